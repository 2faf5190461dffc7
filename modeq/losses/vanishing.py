"""Deciding whether something vanishes as a function, by its values in balls at random points.

A ball of Arb's arithmetic contains the true value. One that does not contain zero proves that a
function is not zero; balls that contain zero, at points that nobody could have known before, with
radii of 60 digits, prove nothing: that it vanishes is *checked*. Proofs are up to the normal form
in a ring (see ``DifferentialRing.vanishing``).

Points are where all functions that take part are real, on both sides of zero as far as that goes.
If there are none they are anywhere, and the functions complex.
"""

from __future__ import annotations

import contextlib
import random
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from fractions import Fraction
from typing import Any

import flint
import sympy
from flint import acb, arb, fmpq
from sympy.core.function import AppliedUndef

from modeq.errors import InvalidLoss, NotProvedWarning, Undecided
from modeq.losses.digits import to_digits

Ball = arb | acb
Values = Callable[[sympy.Expr], Ball]

_POINTS = 8
TRIES = 80
_PRECISIONS = (256, 512, 1024, 2048)
_ZERO = arb(2) ** -200
"""Zero to 60 digits, as a part of the terms that are summed."""

SCALES = tuple(map(Fraction, (1, 1000, Fraction(1, 8), 20, 10**9, 2, 5)))
"""How large the values at points are: what is zero near 0 only, as |x - 9| + x - 9, is not zero."""

LARGEST_BY_DIGITS = 100
"""Functions that Arb has not are not evaluated farther away, where it would take long."""


class Vanishing(Enum):
    """What is known of a function that may be zero."""

    PROVED = "zero, by exact algebra"
    CHECKED = "zero to 60 digits at random points: checked, not proved"
    REFUTED = "not zero"


class Decisions:
    """Decisions that something vanishes, and whether all of them are proofs.

    Args:
        vanishing: What decides, such as ``ring.vanishing``.

    Attributes:
        proved: Whether exact algebra decided everything so far that was found to be zero.
    """

    def __init__(self, vanishing: Callable[[Any], Vanishing]):
        self._vanishing = vanishing
        self.proved = True

    def __call__(self, thing: Any) -> bool:
        """Tell whether a thing vanishes."""
        found = self._vanishing(thing)
        self.proved = self.proved and found is not Vanishing.CHECKED
        return found is not Vanishing.REFUTED

    def warn(self, answer: str) -> None:
        """Warn if an answer rests on more than proofs."""
        if not self.proved:
            warnings.warn(
                f"{answer} was checked at random points to 60 digits, and is not proved: the "
                f"functions in it are related in a way that exact algebra does not see",
                NotProvedWarning,
                stacklevel=3,
            )


def vanishing_at_points(
    symbols: Sequence[sympy.Symbol],
    terms: Callable[[Values], Iterator[Ball]],
    what: Any = "the expression",
) -> Vanishing:
    """Return whether a sum is zero at random points.

    Args:
        symbols: The symbols that have values.
        terms: Yields the terms of the sum, given what evaluates expressions.
        what: What it is, for the error.

    Raises:
        Undecided: No point was found where the terms have values.

    >>> x = sympy.Symbol("x")
    >>> double = [sympy.sin(2 * x), -2 * sympy.sin(x) * sympy.cos(x)]
    >>> vanishing_at_points([x], lambda value: map(value, double))
    <Vanishing.CHECKED: 'zero to 60 digits at random points: checked, not proved'>
    >>> vanishing_at_points([x], lambda value: map(value, [sympy.exp(x), -1 - x]))
    <Vanishing.REFUTED: 'not zero'>
    """
    for number in (arb, acb):
        found = 0
        for point in random_points(symbols):
            is_zero = _is_zero(point, terms, number)
            if is_zero is False:
                return Vanishing.REFUTED
            found += is_zero is True
            if found == _POINTS or (found and not symbols):
                return Vanishing.CHECKED
        if found:
            return Vanishing.CHECKED
    raise Undecided(
        f"whether {what} is zero is not decided: it has no value at any of {TRIES} random points; "
        f"give values to its parameters, or write it in functions such as exp, log and sqrt"
    )


def vanishing_expression(expression: sympy.Expr) -> Vanishing:
    """Return whether an expression is zero as a function of its symbols, by its values alone.

    >>> x = sympy.Symbol("x")
    >>> vanishing_expression(sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1).name
    'CHECKED'
    """
    if expression.is_Rational:
        return Vanishing.REFUTED if expression else Vanishing.PROVED
    symbols = sorted(expression.free_symbols, key=str)
    parts = sympy.Add.make_args(expression)
    return vanishing_at_points(symbols, lambda value: map(value, parts), expression)


def refuse_zeros(divisors: Iterable[sympy.Expr]) -> None:
    """Refuse divisors that are zero everywhere.

    Raises:
        InvalidLoss: With the divisor.

    >>> x = sympy.Symbol("x")
    >>> refuse_zeros([sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - x])
    """
    for divisor in dict.fromkeys(divisors):
        with contextlib.suppress(Undecided):
            if vanishing_expression(divisor) is not Vanishing.REFUTED:
                raise InvalidLoss(
                    f"{divisor} is zero everywhere, and it is divided by, or stands under a root "
                    f"or a logarithm"
                )


def divisors_of(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Yield the sums that are divided by, or stand under a root or a logarithm.

    >>> x = sympy.Symbol("x")
    >>> list(divisors_of(1 / (x + 1) ** 2 + sympy.log(x)))
    [x + 1]
    """
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, sympy.log):
            base = node.args[0]
        elif isinstance(node, sympy.Pow) and not (node.exp.is_Integer and node.exp.is_positive):
            base = node.base
        else:
            continue
        if base.is_Add:
            yield base


def random_points(symbols: Sequence[sympy.Symbol]) -> Iterator[dict[sympy.Symbol, Fraction]]:
    """Yield points that are new at each call: below zero, above it, and on both sides of it."""
    draw = random.SystemRandom()
    for k in range(TRIES if symbols else 1):
        scale = SCALES[k % len(SCALES)]
        signs = {0: (-1,), 1: (1,), 2: (-1, 1)}[k % 3]
        yield {x: _random_value(x, draw, scale, draw.choice(signs)) for x in symbols}


def _random_value(x: sympy.Expr, draw: random.Random, scale: Fraction, sign: int) -> Fraction:
    """Return a value that a symbol may have: its assumptions hold for it."""
    size = scale * Fraction(draw.randrange(1, 2**61), 2**61)
    if x.is_integer:
        size = Fraction(1 + int(100 * size))
    if x.is_nonnegative or x.is_nonpositive:
        sign = 1 if x.is_nonnegative else -1
    return sign * size


_lock = threading.Lock()
"""The precision of python-flint is one for all threads. Balls of others stay right at any."""


def _is_zero(point: dict, terms: Callable, number: type) -> bool | None:
    """Tell whether a sum is zero at a point, to 60 digits; None where it has no value."""
    with _lock:
        before = flint.ctx.prec
        try:
            for bits in _PRECISIONS:
                flint.ctx.prec = bits
                try:
                    balls = list(terms(BallValues(point, number)))
                except _NoValue:
                    return None
                total, size = sum(balls, number(0)), sum(map(abs, balls), arb(0))
                if total.abs_lower() > 0:
                    return False
                if total.abs_upper() <= _ZERO * size:
                    return True
            # The terms may be small themselves, as log(sin² + cos²) is.
            return True if total.abs_upper() <= _ZERO else None
        finally:
            flint.ctx.prec = before


class _NoValue(Exception):
    """An expression has no value at a point, or not one of the kind that is asked for."""


class BallValues:
    """The values of expressions at a point, as balls that contain them.

    Args:
        point: The value of each symbol; those of unknown functions, such as φ(x), are added.
        number: ``arb`` for real values, ``acb`` for complex ones.

    >>> x = sympy.Symbol("x")
    >>> value = BallValues({x: Fraction(2)}, arb)(sympy.sqrt(x) * sympy.exp(-x))
    >>> abs(float(value.mid()) - 2**0.5 * 0.1353352832366127) < 1e-15
    True
    """

    def __init__(self, point: dict[sympy.Expr, Fraction], number: type):
        self._point, self._number = point, number
        self._known: dict[sympy.Expr, Ball] = {}

    def __call__(self, expression: sympy.Expr) -> Ball:
        """Return the value of an expression; raise ``_NoValue`` where it has none."""
        if expression not in self._known:
            value = self._number(self._value(expression))
            if not value.is_finite():
                raise _NoValue
            self._known[expression] = value
        return self._known[expression]

    def rational(self, value: Any) -> Ball:
        """Return an exact number."""
        return self._number(
            value if isinstance(value, fmpq) else fmpq(int(value.numerator), int(value.denominator))
        )

    def _value(self, expression: sympy.Expr) -> Ball:
        if expression.is_Rational or expression.is_Float:
            return self.rational(sympy.Rational(expression))
        if expression in self._point:
            return self.rational(self._point[expression])
        if expression is sympy.I and self._number is acb:
            return acb(0, 1)
        if expression.is_Add:
            return sum(map(self, expression.args), self._number(0))
        if expression.is_Mul:
            product = self._number(1)
            for factor in expression.args:
                product = product * self(factor)
            return product
        if expression.is_Pow:
            return self._power(self(expression.base), expression.exp)
        return self._function(expression)

    def _power(self, base: Ball, exponent: sympy.Expr) -> Ball:
        if exponent.is_Integer:
            return base ** int(exponent)
        if exponent.is_Rational and exponent.q == 2:
            return base.sqrt() ** int(exponent.p)
        return (self(exponent) * base.log()).exp()

    def _function(self, expression: sympy.Expr) -> Ball:
        if expression.has(AppliedUndef):
            # A function that may be any one, such as φ(x), has any value.
            value = _random_value(expression, random.SystemRandom(), Fraction(1), 1)
            return self.rational(self._point.setdefault(expression, value))
        name = type(expression).__name__
        rule = _RULES.get(name)
        try:
            if rule is not None:
                return rule(*map(self, expression.args))
            return self._by_digits(expression)
        except (ArithmeticError, ValueError, TypeError, AttributeError):
            raise _NoValue from None

    def _by_digits(self, expression: sympy.Expr) -> Ball:
        """Return the value of a function that Arb has not, with a generous radius."""
        if any(abs(value) > LARGEST_BY_DIGITS for value in self._point.values()):
            raise _NoValue
        digits = int(flint.ctx.prec * 0.3)
        at = {x: sympy.Rational(v.numerator, v.denominator) for x, v in self._point.items()}
        found = to_digits(expression.xreplace(at), digits)
        if not (found.is_Float or found.is_Rational):
            raise _NoValue
        middle = arb(str(found))
        return middle + arb(0, abs(middle).upper() * arb(10) ** (10 - digits))


def _method(name: str) -> Callable:
    return lambda x: getattr(x, name)()


def _sign(x: Ball) -> Ball:
    if not x.abs_lower() > 0 or isinstance(x, acb):
        raise _NoValue
    return x.sgn()


_SAME = (
    *("exp", "log", "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "erfi", "gamma", "digamma", "sinc", "li"),
)
_OTHER = {
    "loggamma": "lgamma",
    "Ei": "ei",
    "Si": "si",
    "Ci": "ci",
    "Shi": "shi",
    "Chi": "chi",
    "fresnels": "fresnel_s",
    "fresnelc": "fresnel_c",
    "airyai": "airy_ai",
    "airybi": "airy_bi",
}
_RULES: dict[str, Callable] = {
    **{name: _method(name) for name in _SAME},
    **{name: _method(other) for name, other in _OTHER.items()},
    "acot": lambda x: (1 / x).atan(),
    "asec": lambda x: (1 / x).acos(),
    "acsc": lambda x: (1 / x).asin(),
    "acoth": lambda x: (1 / x).atanh(),
    "asech": lambda x: (1 / x).acosh(),
    "acsch": lambda x: (1 / x).asinh(),
    "Abs": lambda x: x * _sign(x),
    "sign": _sign,
    "Pi": lambda: arb.pi(),
    "Exp1": lambda: arb.const_e(),
    "EulerGamma": lambda: arb.const_euler(),
    "Catalan": lambda: arb.const_catalan(),
    "GoldenRatio": lambda: (1 + arb(5).sqrt()) / 2,
}
"""How Arb evaluates sympy's functions and constants."""
