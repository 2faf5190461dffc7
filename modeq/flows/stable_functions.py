"""Functions that keep their digits where the formulas they stand for cancel or overflow.

exp(u) - 1 near 0, 1/(1 + exp(-u)) - 1 at 30, log(exp(u) + exp(v)) at -800, sin(u)/u near 0: each
is a function of its own here, and so is each of its derivatives. ``modeq.flows.stable`` finds them
in a formula; on a tape they are recorded from operations that do not cancel.
"""

from __future__ import annotations

from functools import cache
from math import inf

import sympy
from sympy import Function, Integer, Lambda, Rational, S
from sympy.codegen.cfunctions import expm1, log1p

from modeq.algebra.power_series import PowerSeries, is_absent
from modeq.derivation.evaluate import SeriesEvaluator

Z = sympy.Symbol("z")
"""The variable of the functions in ``Rest``."""

_ROUNDING = 1e-17
"""The part of a Taylor series that is left out, beside its first coefficient."""

LARGEST_RADIUS = 2
"""Within it the Taylor series of entire functions are summed; beyond, little cancels."""


class StableFunction(Function):
    """A function that a tape records by ``record``."""

    is_commutative = True


class Softmax(StableFunction):
    """exp(u)/(exp(u) + exp(v) + …) of u, v, …"""

    def fdiff(self, argindex=1):
        """Return ∂/∂u = p Σ q, or ∂/∂v = -p q, with q the weights of the others; of the logistic
        function it is 1/(2 cosh(u/2))².
        """
        if len(self.args) == 2:
            return (-1) ** (argindex - 1) * SechSquared((self.args[0] - self.args[1]) / 2) / 4
        others = [self.weight(i) for i in range(1, len(self.args))]
        if argindex == 1:
            return self * sympy.Add(*others)
        return -self * others[argindex - 2]

    def weight(self, i: int) -> sympy.Expr:
        """Return the weight of argument i."""
        return softmax(self.args[i], (*self.args[:i], *self.args[i + 1 :]))

    def record(self, tape):
        """Record 1/(1 + exp(v - u) + …), of u and -u with one exponential for both."""
        u, *others = self.args
        if others == [0] and u.could_extract_minus_sign():
            growth = tape.reciprocal(tape.convert(sympy.exp(u)))
            return tape.reciprocal(1 + growth)
        return tape.convert(1 / (1 + sympy.Add(*(sympy.exp(v - u) for v in others))))


def softmax(u: sympy.Expr, others) -> sympy.Expr:
    """Return the weight of u among others, as the logistic function of one argument for one other.

    >>> x, y = sympy.symbols("x y")
    >>> softmax(x, [y])
    Softmax(x - y, 0)
    """
    if len(others) == 1:
        return Softmax(u - others[0], S.Zero)
    return Softmax(u, *sorted(others, key=sympy.default_sort_key))


class LogSumExp(StableFunction):
    """log(exp(u) + exp(v) + …)."""

    def fdiff(self, argindex=1):
        """Return the weight of an argument."""
        i = argindex - 1
        return softmax(self.args[i], (*self.args[:i], *self.args[i + 1 :]))

    def record(self, tape):
        """Record u + softplus(log(exp(v) + …) - u), from whichever end does not overflow."""
        u, *others = sorted(self.args, key=lambda term: not term.is_number)
        one = tape.convert(u)
        rest = tape.convert(LogSumExp(*others) if len(others) > 1 else others[0])
        d = rest + -one
        low, high = (tape.call(log1p, tape.call(sympy.exp, e)) for e in (d, -d))
        # From the larger of the two: the smaller, and their difference, may have no digits of it.
        return tape.select("negative", d, one + low, rest + high)


class LogCosh(StableFunction):
    """log(cosh(u))."""

    def fdiff(self, argindex=1):
        """Return tanh(u)."""
        return Tanh(*self.args)

    def record(self, tape):
        """Record log(1 + 2 sinh(u/2)²) near 0, and |u| + log(1 + exp(-2|u|)) - log(2) elsewhere."""
        u = tape.convert(self.args[0])
        root = tape.call(sympy.sinh, u / 2)
        low, high = (tape.call(log1p, tape.call(sympy.exp, 2 * e)) for e in (u, -u))
        far = tape.select("negative", u, low + -u, high + u) + -tape.convert(sympy.log(2))
        return tape.select(1, u, tape.call(log1p, 2 * root * root), far)


class Tanh(StableFunction):
    """tanh(u), whose derivative does not cancel."""

    def fdiff(self, argindex=1):
        """Return 1/cosh(u)²."""
        return SechSquared(*self.args)

    def record(self, tape):
        """Record tanh(u)."""
        return tape.call(sympy.tanh, tape.convert(self.args[0]))


class SechSquared(StableFunction):
    """1/cosh(u)² = 1 - tanh(u)²."""

    @classmethod
    def eval(cls, u):
        """Return it of -u where that is the shorter, so that equal ones are seen to be equal."""
        return cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex=1):
        """Return -2 tanh(u)/cosh(u)², whose tanh(u) = p - q has few digits near 0, where a formula
        has others beside it; where it stands alone, ``stable`` makes it tanh(u) again.
        """
        p, q = self.weights()
        return -2 * (p - q) * self

    def weights(self) -> tuple[sympy.Expr, sympy.Expr]:
        """Return 1/(1 + exp(-2u)) and 1/(1 + exp(2u))."""
        [u] = self.args
        return Softmax(2 * u, S.Zero), Softmax(-2 * u, S.Zero)

    def record(self, tape):
        """Record 4 p q, of which one exponential is the most expensive part."""
        p, q = self.weights()
        return tape.convert(4 * p * q)


class Rest(StableFunction):
    """F(u) less the first k terms of its Taylor series at 0: of Lambda(z, F), k, u."""

    def fdiff(self, argindex=3):
        """Return the rest of F' after one term less."""
        function, k, u = self.args
        return rest(Lambda(Z, function.expr.diff(Z)), k - 1, u)

    def record(self, tape):
        """Record it by a function that has no more terms to lose, or by its Taylor series."""
        function, k, u = self.args
        closed = _closed_rest(function.expr, int(k))
        if closed is not None:
            return tape.convert(closed.xreplace({Z: u}))
        far = function.expr - taylor_head(function.expr, int(k))
        return _near_or_far(tape, u, function.expr, far, int(k), 0, 0)


class RestOver(StableFunction):
    """The derivative j of F(u)/uᵐ, with F less the first k terms: of Lambda(z, F), k, m, j, u."""

    def fdiff(self, argindex=5):
        """Return the next derivative."""
        function, k, m, j, u = self.args
        return RestOver(function, k, m, j + 1, u)

    def record(self, tape):
        """Record its Taylor series near 0, and the formula elsewhere."""
        function, k, m, j, u = self.args
        rest_of = function.expr - taylor_head(function.expr, int(k))
        far = (rest_of * Z**-m).diff(Z, int(j)) if j else rest_of * Z**-m
        return _near_or_far(tape, u, function.expr, far, int(k), int(m), int(j))


def rest(function: Lambda, k: sympy.Expr, u: sympy.Expr) -> sympy.Expr:
    """Return F(u) less the first k terms of its Taylor series, as F itself where they vanish.

    >>> rest(Lambda(Z, sympy.cos(Z)), 1, sympy.Symbol("x")).fdiff(3)
    -sin(x)
    """
    if taylor_head(function.expr, int(k)) == 0:
        return function(u)
    return Rest(function, Integer(k), u)


def _closed_rest(expression: sympy.Expr, k: int) -> sympy.Expr | None:
    """Return the rest after k terms as an expression in z that does not cancel, if there is one."""
    factor, function = expression.as_independent(Z, as_Add=False)
    if k == 1 and function == sympy.exp(Z):
        return factor * expm1(Z)
    if k in (1, 2) and function == sympy.cos(Z):
        return -2 * factor * sympy.sin(Z / 2) ** 2
    if k in (1, 2) and function == sympy.cosh(Z):
        return 2 * factor * sympy.sinh(Z / 2) ** 2
    if k == 1 and function == sympy.log(1 + Z):
        return factor * log1p(Z)
    if k == 1 and function.is_Pow and function.base == 1 + Z:
        return factor * expm1(function.exp * log1p(Z))
    return None


def _near_or_far(tape, u, expression, far, k, m, j):
    """Record Σ_{i ≥ k} cᵢ (zⁱ⁻ᵐ)⁽ʲ⁾ within a radius, and the formula beyond."""
    radius, count = _reach(expression)
    coefficients = [c * sympy.ff(i - m, j) for i, c in enumerate(taylor(expression, count)) if c]
    exponents = [i - m - j for i, c in enumerate(taylor(expression, count)) if c]
    terms = {
        e: c for e, c in zip(exponents, coefficients, strict=True) if e + m + j >= k and c != 0
    }
    node = tape.convert(u)
    near = _polynomial(tape, node, terms)
    return tape.select(radius, node, near, tape.convert(far.xreplace({Z: u})))


def _polynomial(tape, u, terms: dict[int, sympy.Expr]):
    """Record Σ cₑ uᵉ by Horner's rule in the steps between its powers."""
    exponents = sorted(terms)
    total = tape.node(0)
    for e, following in zip(reversed(exponents), [0, *reversed(exponents)], strict=False):
        gap = following - e if following else 0
        total = total * tape.power(u, gap) + tape.convert(terms[e])
    return total * tape.power(u, exponents[0])


@cache
def taylor(expression: sympy.Expr, count: int) -> tuple[sympy.Expr, ...]:
    """Return the first Taylor coefficients of F(z) at 0, exactly.

    >>> taylor(sympy.tan(Z), 4)
    (0, 1, 0, 1/3)
    """
    evaluate = SeriesEvaluator({Z: PowerSeries([0, 1])}, lambda e: sympy.sympify(e).subs(Z, 0))
    found = evaluate(expression).first(count)
    return tuple(S.Zero if is_absent(c) else sympy.sympify(c) for c in found)


def taylor_head(expression: sympy.Expr, k: int) -> sympy.Expr:
    """Return the first k terms of the Taylor series of F(z).

    >>> taylor_head(sympy.exp(Z), 2)
    z + 1
    """
    return sympy.Add(*(c * Z**i for i, c in enumerate(taylor(expression, k))))


@cache
def _reach(expression: sympy.Expr) -> tuple[float, int]:
    """Return the radius within which a Taylor series is summed, and how many terms that takes."""
    distance = min((r for kind, r in _SINGULAR if expression.has(kind)), default=inf)
    if distance == inf:
        return LARGEST_RADIUS, 40
    return distance / 2, 62


_SINGULAR = (
    (sympy.tan, 1.5),
    (sympy.tanh, 1.5),
    (sympy.log, 1.0),
    (sympy.asin, 1.0),
    (sympy.atan, 1.0),
    (sympy.asinh, 1.0),
    (sympy.atanh, 1.0),
    (sympy.Pow, 1.0),
)
"""How far from 0 the functions are singular whose Taylor series are summed."""

ENTIRE = tuple(Lambda(Z, f(Z)) for f in (sympy.exp, sympy.sin, sympy.cos, sympy.sinh, sympy.cosh))
ODD = tuple(
    Lambda(Z, f(Z))
    for f in (
        *(sympy.sin, sympy.sinh, sympy.tan, sympy.asin, sympy.atan),
        *(sympy.asinh, sympy.atanh, sympy.erf),
    )
)
LOG1P = Lambda(Z, sympy.log(1 + Z))
TANH = Lambda(Z, sympy.tanh(Z))


def power_of(exponent: Rational) -> Lambda:
    """Return (1 + z)ᵖ as a function."""
    return Lambda(Z, (1 + Z) ** exponent)
