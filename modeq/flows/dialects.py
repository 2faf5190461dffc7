"""How a program is written for one kind of arithmetic: NumPy, floats, gmpy2 or mpmath."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache

import mpmath
import sympy
from sympy.core.function import UndefinedFunction
from sympy.printing.codeprinter import PrintMethodNotImplementedError
from sympy.printing.numpy import SciPyPrinter
from sympy.printing.pycode import MpmathPrinter, PythonCodePrinter
from sympy.utilities.lambdify import MPMATH_TRANSLATIONS

from modeq.errors import InvalidLoss


class Dialect:
    """How numbers, powers and functions are written for one kind of arithmetic.

    Args:
        printer: sympy's printer for it.
        power: The text of a power, with {0} for the base and {1} for the exponent.
        number: Gives the text of an exact number.
        constant: Gives the text of a constant such as pi.
        choice: The text of {1} where {0} is true, and {2} elsewhere.
        is_precise: Whether there are more digits than Taylor polynomials for doubles have.
        spare: What has the functions that the printer does not know; it is ``mp`` in the text.
    """

    def __init__(
        self,
        printer,
        power: str,
        number: Callable,
        constant: Callable,
        *,
        choice: str = "(({1} if {0} else {2}))",
        is_precise: bool = False,
        spare=None,
    ):
        self.printer = printer
        self.spare = spare
        self.power = power
        self.number = number
        self.constant = constant
        self.choice = choice
        self.is_precise = is_precise

    def select(self, region: float | str, u: str, inside: str, outside: str) -> str:
        """Return the text of what ``Tape.select`` records; many digits bear the formula outside."""
        if region == "negative":
            part = f"numpy.real({u})" if "numpy" in self.choice else u
            return self.choice.format(f"{part} < 0", inside, outside)
        if self.is_precise:
            return outside
        size = f"numpy.abs({u})" if "numpy" in self.choice else f"abs({u})"
        return self.choice.format(f"{size} < {float(region)}", inside, outside)

    def fallback(self, function: Callable, holes: list[sympy.Symbol]) -> str:
        """Return a call that sympy's printer does not know, where mpmath has the function."""
        name = MPMATH_TRANSLATIONS.get(function.__name__, function.__name__)
        if not hasattr(self.spare, name):
            raise PrintMethodNotImplementedError(f"{function.__name__} is not available")
        return f"mp.{name}({', '.join(hole.name for hole in holes)})"

    @cache  # noqa: B019 - there are four dialects, and they live for ever
    def template(self, function: Callable, arity: int) -> str:
        """Return the text of a call, with {0}, {1}, … for the arguments."""
        holes = [sympy.Symbol(f"HOLE{i}") for i in range(arity)]
        try:
            text = self.printer.doprint(function(*holes))
        except PrintMethodNotImplementedError:
            text = self.fallback(function, holes)
        for i, hole in enumerate(holes):
            text = text.replace(hole.name, f"{{{i}}}")
        return text


def _float(number: Fraction | sympy.Expr) -> str:
    try:
        return repr(float(number))
    except OverflowError:
        raise InvalidLoss(
            f"a coefficient of about 1e{len(str(abs(int(number)))) - 1} is too large for a float"
        ) from None


def _exact(number: Fraction) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    return f"mpq({number.numerator}, {number.denominator})"


def _precise_printer(module: str) -> MpmathPrinter:
    # The functions must come from the context with the right precision, not from the module.
    printer = MpmathPrinter({"fully_qualified_modules": True, "strict": True})
    printer._module_format = lambda name, register=True: name.replace("mpmath", module, 1)
    return printer


def _gmpy2_constant(expression: sympy.Expr) -> str:
    names = {sympy.pi: "const_pi()", sympy.EulerGamma: "const_euler()", sympy.E: "exp(1)"}
    return f"gmpy2.{names.get(expression, expression)}"


_MPMATH = _precise_printer("mp")

DIALECTS = {
    "numpy": Dialect(
        SciPyPrinter({"strict": True}),
        "numpy.power({0}, {1})",
        _float,
        _float,
        choice="numpy.where({0}, {1}, {2})",
    ),
    "math": Dialect(PythonCodePrinter({"strict": True}), "math.pow({0}, {1})", _float, _float),
    "gmpy2": Dialect(
        _precise_printer("gmpy2"), "({0}**{1})", _exact, _gmpy2_constant, is_precise=True
    ),
    "mpmath": Dialect(
        _MPMATH,
        "mp.power({0}, {1})",
        _exact,
        _MPMATH.doprint,
        is_precise=True,
        spare=mpmath.mp,
    ),
}


@cache
def has_values(function: Callable) -> bool:
    """Tell whether NumPy or SciPy have a function."""
    if isinstance(function, UndefinedFunction):
        return False
    try:
        DIALECTS["numpy"].template(function, _arity(function))
    except PrintMethodNotImplementedError:
        return False
    return True


def _arity(function: Callable) -> int:
    arities = function.nargs
    return min(arities) if arities.is_FiniteSet else 1
