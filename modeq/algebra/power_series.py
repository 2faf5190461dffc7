"""Power series whose coefficients are computed when they are asked for, and then kept.

A series knows how to find its next coefficient from the earlier ones, so an equation such as
y = 1 + ∫ y may be written down directly: the series may stand in its own rule. Coefficients are
anything with + and * (polynomials, recorded programs, arrays, Fractions); the integer 0 stands for
a coefficient that is absent and is never multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import reduce
from typing import Any

from modeq.algebra.rationals import RealNumber, as_fraction
from modeq.checks import as_integer, shortened
from modeq.errors import InvalidMethod

Coefficient = Any


def is_absent(coefficient: Coefficient) -> bool:
    """Tell whether a coefficient is the integer 0 (not merely equal to it)."""
    return type(coefficient) is int and coefficient == 0


def scaled(coefficient: Coefficient, factor: Any) -> Coefficient:
    """Return ``factor`` times a coefficient, exactly; a float stands for its shortest decimal.

    Polynomials know integers but not Fractions, so these are multiplied in two steps.

    >>> scaled(2, Fraction(1, 4)), scaled(Fraction(1, 3), 0.5)
    (Fraction(1, 2), Fraction(1, 6))
    """
    if is_absent(coefficient):
        return 0
    if isinstance(factor, RealNumber) and not isinstance(factor, int):
        factor = as_fraction(factor)
    if not isinstance(factor, Fraction) or isinstance(coefficient, int):
        return factor * coefficient
    product = factor.numerator * coefficient
    return product if factor.denominator == 1 else product / factor.denominator


def times(left: Coefficient, right: Coefficient) -> Coefficient:
    """Return the product of two coefficients, of which one may be a Fraction, or either absent.

    >>> times(Fraction(1, 2), 3)
    Fraction(3, 2)
    """
    if is_absent(left) or is_absent(right):
        return 0
    if isinstance(left, Fraction):
        return scaled(right, left)
    return scaled(left, right) if isinstance(right, Fraction) else left * right


def plus(left: Coefficient, right: Coefficient) -> Coefficient:
    """Return the sum of two coefficients, either of which may be absent.

    >>> plus(Fraction(1, 2), 0)
    Fraction(1, 2)
    """
    if is_absent(left):
        return right
    return left if is_absent(right) else left + right


def added(terms: Iterable[Coefficient]) -> Coefficient:
    """Return the sum of coefficients, of which any may be absent.

    >>> added([0, Fraction(1, 2), 0, Fraction(1, 3)])
    Fraction(5, 6)
    """
    return reduce(plus, terms, 0)


def convolve(
    a: PowerSeries, b: PowerSeries, k: int, start: int = 0, stop: int | None = None
) -> Coefficient:
    """Return Σ aᵢ bₖ₋ᵢ over i = ``start``, …, ``stop`` - 1, or up to k.

    Where aᵢ is absent, bₖ₋ᵢ is not asked for: it may be what is being computed.
    """
    indices = range(start, k + 1 if stop is None else stop)
    return added(times(a[i], b[k - i]) for i in indices if not is_absent(a[i]))


def _square(a: PowerSeries, k: int) -> Coefficient:
    """Return the coefficient k of a², with half the products of a general one."""
    twice = scaled(convolve(a, a, k, stop=(k + 1) // 2), 2)
    return twice if k % 2 else plus(twice, convolve(a, a, k, start=k // 2, stop=k // 2 + 1))


class PowerSeries:
    """The power series Σ cₖ hᵏ with c₀, c₁, … = ``known``, and cₖ = ``rule(k)`` after those.

    Args:
        known: The first coefficients.
        rule: Gives coefficient k; it is called once for each k, in increasing order, and may ask
            this series for coefficients below k. Without it, the rest is absent.

    Example:
        >>> h = PowerSeries([0, 1])
        >>> (1 + h) ** 3
        PowerSeries(1, 3, 3, 1, 0, 0, ...)
        >>> exponential = PowerSeries([1], lambda k: exponential[k - 1] * Fraction(1, k))
        >>> exponential[4]
        Fraction(1, 24)
    """

    __slots__ = ("_known", "rule")

    def __init__(
        self,
        known: Iterable[Coefficient] = (),
        rule: Callable[[int], Coefficient] | None = None,
    ):
        self._known = list(known)
        self.rule = rule

    def __getitem__(self, k: int) -> Coefficient:
        if k < 0:
            raise IndexError(f"a power series has no coefficient of h**{k}")
        known = self._known
        while len(known) <= k:
            if self.rule is None:
                return 0
            known.append(self.rule(len(known)))
        return known[k]

    # A series has no end, so it must not pass for a sequence.
    __iter__ = None

    def first(self, count: int) -> list[Coefficient]:
        """Return the coefficients of h⁰, …, h^{count - 1}."""
        return [self[k] for k in range(count)]

    def __repr__(self) -> str:
        return f"PowerSeries({', '.join(map(str, self.first(6)))}, ...)"

    def __add__(self, other) -> PowerSeries:
        if not isinstance(other, PowerSeries):
            other = PowerSeries([_real(other)])
        return PowerSeries(rule=lambda k: plus(self[k], other[k]))

    __radd__ = __add__

    def __neg__(self) -> PowerSeries:
        return -1 * self

    def __sub__(self, other) -> PowerSeries:
        return self + -1 * other

    def __rsub__(self, other) -> PowerSeries:
        return -1 * self + other

    def __mul__(self, other) -> PowerSeries:
        if isinstance(other, Vector):
            return NotImplemented
        if not isinstance(other, PowerSeries):
            factor = _real(other)
            return PowerSeries(rule=lambda k: scaled(self[k], factor))
        if other is self:
            return PowerSeries(rule=lambda k: _square(self, k))
        return PowerSeries(rule=lambda k: convolve(self, other, k))

    __rmul__ = __mul__

    def __truediv__(self, number) -> PowerSeries:
        if isinstance(number, PowerSeries | Vector):
            return NotImplemented
        return self * (1 / as_fraction(number) if isinstance(number, RealNumber) else 1 / number)

    def __pow__(self, exponent: int) -> PowerSeries:
        """Return the product of ``exponent`` copies, by repeated squaring."""
        copies = as_integer(exponent)
        if copies is None or copies < 0:
            raise TypeError(f"a power series has powers 0, 1, 2, …, and not {shortened(exponent)}")
        if copies == 0:
            return PowerSeries([1])
        if copies == 1:
            return self
        half = self ** (copies // 2)
        square = half * half
        return square * self if copies % 2 else square


def _real(number: Any) -> Any:
    """Return what a series is multiplied by or added to, unless it is a complex number."""
    if isinstance(number, complex):
        raise InvalidMethod(f"{number} is complex; the numbers in an update rule must be real")
    return number


def integral_coefficient(slope: PowerSeries, inner: PowerSeries, k: int) -> Coefficient:
    """Return the coefficient of hᵏ, k >= 1, in y = ∫ ``slope`` d``inner``.

    It is Σⱼ j innerⱼ slopeₖ₋ⱼ / k over j = 1, …, k. The slope may depend on y itself:

    >>> h = PowerSeries([0, 1])
    >>> y = PowerSeries([1], lambda k: integral_coefficient(y, h, k))  # y' = y, y(0) = 1
    >>> y[3]
    Fraction(1, 6)
    """
    derivative = PowerSeries([0], lambda j: scaled(inner[j], j))
    return scaled(convolve(derivative, slope, k), Fraction(1, k))


def reciprocal(series: PowerSeries, constant: Coefficient) -> PowerSeries:
    """Return 1/``series``, given ``constant`` = 1/``series[0]``.

    >>> reciprocal(PowerSeries([1, -1]), 1)
    PowerSeries(1, 1, 1, 1, 1, 1, ...)
    """

    def coefficient(k: int) -> Coefficient:
        return scaled(times(constant, convolve(series, inverse, k, start=1)), -1)

    inverse = PowerSeries([constant], coefficient)
    return inverse


class Vector(tuple):
    """A point whose coordinates are power series: it adds up and takes scalar factors.

    >>> h = PowerSeries([0, 1])
    >>> (Vector([h, h * h]) + h * Vector([h, h]))[1]
    PowerSeries(0, 0, 2, 0, 0, 0, ...)
    """

    __slots__ = ()

    def __add__(self, other: Vector) -> Vector:
        return Vector(a + b for a, b in zip(self, other, strict=True))

    def __radd__(self, other: int) -> Vector:
        # The built-in sum starts from the number zero.
        return self if is_absent(other) else NotImplemented

    def __neg__(self) -> Vector:
        return -1 * self

    def __sub__(self, other: Vector) -> Vector:
        return self + -1 * other

    def __mul__(self, factor) -> Vector:
        if isinstance(factor, tuple):
            return NotImplemented  # a point times a point is no vector
        return Vector(factor * a for a in self)

    __rmul__ = __mul__

    def __truediv__(self, number) -> Vector:
        return Vector(a / number for a in self)

    def coefficient_vectors(self, count: int) -> Iterator[tuple[Coefficient, ...]]:
        """Yield the vectors of coefficients of h⁰, …, h^{count - 1}."""
        for k in range(count):
            yield tuple(component[k] for component in self)
