"""What sympy may do with a formula, bounded before it does it.

sympy computes powers of numbers, factors integers under roots, turns exp(n*log(u)) into u**n, and
asks of deeply nested functions whether they are real, positive or finite. Each of these can take
minutes for a text of a line. A ``Meter`` estimates the work first, and inspects the result.
"""

import math
import threading
from typing import NamedTuple, NoReturn

import mpmath
import sympy
from sympy import Add, Expr, Mul, Rational

from modeq.errors import ParseError
from modeq.losses.digits import real_context
from modeq.losses.grammar import Limits

_ROOT_DIGITS = 30  # sympy factors the integer under a root
_POWER_DIGITS = 300
_RATE = 10**6  # sympy takes exp(n*u) for a polynomial of degree n in exp(u)
_LAYERS = 6  # functions and powers of constants in each other; sympy evaluates these over and over
_SIMPLE = 300  # parts of an argument that sympy simplifies a function of
_MANY = 10**9

# In units of about 30 microseconds:
_PRICES = {"Mul": 5, "Add": 6, "Pow": 3}
_ROOT_OF_POWER = 500
_ASKING = 500

_NO_NUMBER = frozenset((sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I))
_NOT_FINITE = "the formula is not a finite real number here"
_NESTED = "powers and functions are nested too deeply here; multiply the exponents of powers"


class _Reals(threading.local):
    """50 digits, in an arithmetic for each thread: mpmath changes the precision while it works."""

    def __init__(self):
        self.context = real_context(50)
        self.tiny = self.context.mpf(10) ** -40


_REALS = _Reals()


class _Seen(NamedTuple):
    """What the inspection found.

    Attributes:
        size: The number of nodes.
        layers: The depth of functions and powers of constants.
        parts: About how large the real and imaginary parts are when sympy writes them out.
        asking: The price of asking sympy whether this is finite, real or positive; only the
            hyperbolic functions write out their parts for the answer.
        value: The value of a constant.
    """

    size: int
    layers: int
    parts: int
    asking: int
    value: mpmath.mpf | None


class Meter:
    """Counts what a formula costs, and refuses it before it costs too much.

    Args:
        text: The formula, for the messages.
        limits: How large it may be.
    """

    def __init__(self, text: str, limits: Limits):
        self.text = text
        self.limits = limits
        self._seen: dict[Expr, _Seen] = {}
        self._asked: set[Expr] = set()
        self._spent = 0

    def fail(self, reason: str, at: int) -> NoReturn:
        """Refuse the formula because of what stands at an index of the text."""
        raise ParseError(reason, self.text, at)

    def spend(self, price: int, at: int, reason: str = "the formula is too long") -> None:
        """Pay for what sympy is going to do."""
        self._spent += price
        if self._spent > self.limits.nodes:
            self.fail(f"{reason}: at most {self.limits.nodes} nodes", at)

    def spend_function(self, u: Expr, at: int) -> None:
        """Pay for a function or root of u; sympy evaluates those of constants to many digits."""
        seen = self._seen[u]
        self.spend(10 if seen.value is None else 60 * (1 + seen.layers), at)

    def is_simple(self, expr: Expr) -> bool:
        """Tell whether sympy simplifies functions of an expression at once."""
        return self._seen[expr].parts <= _SIMPLE and self._seen[expr].layers < 2

    def ask(self, expr: Expr, at: int) -> None:
        """Pay for a question to sympy, whether an expression is finite, real or positive."""
        if expr not in self._asked:
            self._asked.add(expr)
            self.spend(self._seen[self.checked(expr, at)].asking, at, _NESTED)

    def check_sum(self, terms: list[Expr], at: int) -> dict[Expr, Rational]:
        """Return the terms with their coefficients added, but stop at the first that is too long.

        >>> x = sympy.Symbol("x")
        >>> Meter("2*x - 3*x", Limits()).check_sum([2 * x, -3 * x], 0)
        {x: -1}
        """
        totals: dict[Expr, Rational] = {}
        for term in terms:
            for part in Add.make_args(term):
                number, rest = part.as_coeff_Mul()
                totals[rest] = totals.get(rest, 0) + number
                self._check_digits(_digits(totals[rest]), at)
        return totals

    def check_product(self, factors: list[Expr], at: int) -> None:
        """Bound a product: sympy adds the exponents of equal bases, and those of all exp(u)."""
        parts = [part for factor in factors for part in Mul.make_args(factor)]
        exponents: dict[Expr, list[Expr]] = {}
        for part in parts:
            base, exponent = part.as_base_exp()
            exponents.setdefault(base, []).append(exponent)
        self._check_digits(sum(_digits(part) for part in parts if part.is_Rational), at)
        for base, group in exponents.items():
            if len(group) > 1:
                self.check_sum(group, at)
                self._check_root_of_powers(base, at)

    def check_power(self, base: Expr, exponent: Expr, at: int, at_exponent: int) -> None:
        """Bound a power: its numbers, the exponents in it, and the questions it leads to."""
        if exponent.is_Rational:
            self._check_constant_exponent(base, exponent, at, at_exponent)
        else:
            self._check_varying_exponent(base, exponent, at, at_exponent)
        if not exponent.is_Integer:
            self._check_root_of_powers(base, at)

    def _check_root_of_powers(self, base: Expr, at: int) -> None:
        """Pay for the powers in a base, of which sympy asks whether they may be drawn out."""
        for factor in Mul.make_args(base):
            if base.is_Mul:
                self.ask(factor, at)
            if factor.is_Pow or isinstance(factor, sympy.exp):
                is_all = factor is base
                self.spend(_ROOT_OF_POWER * is_all + self._seen[factor.args[0]].parts, at, _NESTED)

    def _check_constant_exponent(self, base: Expr, exponent: Rational, at: int, at_exponent: int):
        if base == 0 and exponent < 0:
            self.fail("this divides by zero", at)
        self._check_exponent(exponent, at_exponent)
        digits = [_digits(b) * max(1, abs(e)) for b, e in _numbers(base)]
        self._check_digits(int(sum(digits) * abs(exponent)), at_exponent)
        if not exponent.is_Integer:
            self.spend_function(base, at)
            for number, _ in _numbers(base):
                self.check_root(number, at, abs(exponent.p))

    def _check_varying_exponent(self, base: Expr, exponent: Expr, at: int, at_exponent: int):
        self.spend(10, at)
        value = self._seen[base].value
        if value is not None and not value > 0:
            self.fail(f"{_NOT_FINITE}: the base of a varying power is positive", at)
        if any(_is_tower(part) for part in sympy.preorder_traversal(exponent)):
            self.fail("a power tower: an exponent has no varying powers inside", at_exponent)
        self._check_exponent(_largest_coefficient(exponent), at_exponent)
        self.ask(exponent, at_exponent)

    def _check_exponent(self, exponent: Rational, at: int) -> None:
        largest, finest = self.limits.exponent, self.limits.denominator
        if abs(exponent.p) > largest or exponent.q > finest:
            shown = exponent if _digits(exponent) < 20 else "here"
            self.fail(f"the exponent {shown} is too large: at most {largest} over {finest}", at)

    def _check_digits(self, digits: int, at: int) -> None:
        if digits > self.limits.value_digits:
            self.fail(f"a number has more than {self.limits.value_digits} digits here", at)

    def check_root(self, number: Rational, at: int, power: int = 1) -> None:
        """Bound the root of a power of a number, for which sympy factors it."""
        self.spend(20 + 3 * _digits(number), at)
        if _digits(number) > _ROOT_DIGITS or _digits(number) * power > _POWER_DIGITS:
            self.fail(f"a root is taken only of numbers with up to {_ROOT_DIGITS} digits", at)

    def check_exp(self, u: Expr, at: int) -> None:
        """Bound exp(u), and exp(n*log(v)) in it, which sympy turns into v**n."""
        digits = 0
        for term in Add.make_args(u):
            number, rest = term.as_coeff_Mul()
            if abs(number) > _RATE:
                self.fail(f"a number in the argument of exp is larger than {_RATE}", at)
            logs = [part for part in Mul.make_args(rest) if isinstance(part, sympy.log)]
            for log in logs:
                self._check_exponent(number, at)
                digits += abs(number) * sum(_digits(b) for b, _ in _numbers(log.args[0]))
        self._check_digits(int(digits), at)

    def checked(self, expr: Expr, at: int) -> Expr:
        """Inspect every part of a result that was not there before, from the leaves up."""
        stack = [expr]
        while stack:
            part = stack.pop()
            if part in self._seen:
                continue
            missing = [arg for arg in part.args if arg not in self._seen]
            if missing:
                stack += [part, *missing]
            else:
                self._seen[part] = self._inspect(part, at)
        return expr

    def _inspect(self, part: Expr, at: int) -> _Seen:
        self.spend(_PRICES.get(type(part).__name__, 1) + len(part.args) // 8, at)
        if part in _NO_NUMBER:
            self.fail(_NOT_FINITE, at)
        if part.is_Rational:
            self._check_digits(_digits(part), at)
            return _Seen(1, 0, 1, 0, _REALS.context.mpf(part.p) / part.q)
        if part.is_Pow:
            exponent = part.args[1]
            is_constant = exponent.is_Rational
            self._check_exponent(exponent if is_constant else _largest_coefficient(exponent), at)
        return self._composed(part, [self._seen[arg] for arg in part.args], at)

    def _composed(self, part: Expr, below: list[_Seen], at: int) -> _Seen:
        size = 1 + sum(seen.size for seen in below)
        if size > 10 * self.limits.nodes:
            self.fail("sympy's form of the formula is too long here", at)
        if part.is_Symbol or any(seen.value is None for seen in below):
            return _Seen(size, 0, _parts(part, below), _asking(part, below), None)
        is_layer = part.is_Function or part.is_Pow
        layers = max((seen.layers for seen in below), default=0) + is_layer
        if layers > _LAYERS:
            self.fail(f"functions of constants are nested deeper than {_LAYERS}", at)
        return _Seen(size, layers, 1, 0, self._value(part, [seen.value for seen in below], at))

    def _value(self, part: Expr, values: list[mpmath.mpf], at: int) -> mpmath.mpf:
        """Return the value of a constant, so that neither it nor sympy leaves the real numbers."""
        try:
            value = _evaluate(part, values)
        except (ArithmeticError, ValueError):
            self.fail(_NOT_FINITE, at)
        reals = _REALS.context
        if not isinstance(value, reals.mpf) or not reals.isfinite(value):
            self.fail(_NOT_FINITE, at)
        size = abs(value)
        largest = max([size, *map(abs, values)]) if part.is_Add else size
        if size <= largest * _REALS.tiny:
            self.fail("a constant cannot be told from zero here; simplify it", at)
        if abs(reals.log10(size)) > self.limits.value_digits:
            self.fail(f"{_NOT_FINITE}: a constant is too large or too small", at)
        return value


def _parts(part: Expr, below: list[_Seen]) -> int:
    """Return the estimate of ``_Seen.parts`` from those of the arguments."""
    if part.is_Mul:
        return min(_MANY, 1 + math.prod(seen.parts for seen in below))
    inside = sum(seen.parts for seen in below)
    if part.is_Pow and part.exp.is_Integer:
        inside *= (2 if part.exp > 0 else 10) * int(part.exp) ** 2
    elif part.is_Pow or part.is_Function:
        inside *= 200 if part.is_Pow else 50
    return min(_MANY, 1 + inside)


def _asking(part: Expr, below: list[_Seen]) -> int:
    """Return the estimate of ``_Seen.asking`` from the arguments."""
    is_unknown = part.is_Mul and any(arg.is_Symbol for arg in part.args)
    price = 0 if is_unknown else sum(seen.asking for seen in below)
    if isinstance(part, sympy.sinh | sympy.cosh | sympy.tanh):
        price += _ASKING + 2 * below[0].parts
    elif part.is_Pow and not (part.args[0].is_Symbol and part.exp.is_Integer):
        price += _ASKING // 5
    return min(_MANY, price)


def _digits(number: Rational) -> int:
    """Return about how many decimal digits an exact number has."""
    return int(max(abs(number.p), number.q).bit_length() * 0.30103) + 1


def _numbers(expr: Expr) -> list[tuple[Rational, Rational]]:
    """Return base and exponent of the rational numbers, and roots of them, in a product."""
    pairs = [part.as_base_exp() for part in Mul.make_args(expr)]
    return [
        (base, exponent) for base, exponent in pairs if base.is_Rational and exponent.is_Rational
    ]


def _largest_coefficient(exponent: Expr) -> Rational:
    """Return the largest coefficient in a varying exponent, cut to an integer."""
    return Rational(max(int(abs(t.as_coeff_Mul()[0])) for t in Add.make_args(exponent)))


def _is_tower(part: Expr) -> bool:
    """Return whether a part of an exponent is itself a varying power."""
    return isinstance(part, sympy.exp) or (part.is_Pow and not part.exp.is_Rational)


def _evaluate(part: Expr, values: list[mpmath.mpf]) -> mpmath.mpf | mpmath.mpc:
    """Return the value of a constant from the values of its arguments, to 50 digits."""
    reals = _REALS.context
    match part:
        case sympy.Add():
            return reals.fsum(values)
        case sympy.Mul():
            return reals.fprod(values)
        case sympy.Pow():
            return reals.power(*values)
    name = {"Pi": "pi", "Exp1": "e", "Abs": "fabs"}.get(part.func.__name__, part.func.__name__)
    function = getattr(reals, name)
    return function(*values) if values else +function
