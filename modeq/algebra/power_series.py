"""Power series whose coefficients are computed when they are asked for, and then kept.

A series knows how to find its next coefficient from the earlier ones, so an equation such as
y = 1 + ∫ y may be written down directly: the series may stand in its own rule. Coefficients are
anything with + and * (polynomials, recorded programs, arrays, Fractions); the integer 0 stands for
a coefficient that is absent and is never multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from numbers import Rational
from typing import Any

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
    if isinstance(factor, float | Rational) and not isinstance(factor, int):
        factor = _exact(factor)
    if not isinstance(factor, Fraction) or isinstance(coefficient, int):
        return factor * coefficient
    product = factor.numerator * coefficient
    return product if factor.denominator == 1 else product / factor.denominator


def _exact(number: float | Rational) -> Fraction:
    """Return an int, a float, or a rational number of any library as a Fraction."""
    if isinstance(number, float):
        return Fraction(repr(float(number)))
    return Fraction(int(number.numerator), int(number.denominator))


def times(left: Coefficient, right: Coefficient) -> Coefficient:
    """Return the product of two coefficients, of which one may be a Fraction.

    >>> times(Fraction(1, 2), 3)
    Fraction(3, 2)
    """
    if isinstance(left, Fraction):
        return scaled(right, left)
    return scaled(left, right) if isinstance(right, Fraction) else left * right


def convolve(a: PowerSeries, b: PowerSeries, k: int, start: int = 0) -> Coefficient:
    """Return Σ aᵢ bₖ₋ᵢ over i = ``start``, …, k."""
    total = 0
    for i in range(start, k + 1):
        left = a[i]
        if is_absent(left):
            continue
        right = b[k - i]
        if not is_absent(right):
            product = times(left, right)
            total = product if is_absent(total) else total + product
    return total


def _square(a: PowerSeries, k: int) -> Coefficient:
    """Return the coefficient k of a², with half the products of a general one."""
    total = 0
    for i in range((k + 1) // 2):
        left, right = a[i], a[k - i]
        if not (is_absent(left) or is_absent(right)):
            total = total + left * right
    total = 2 * total
    middle = a[k // 2] if k % 2 == 0 else 0
    return total if is_absent(middle) else total + middle * middle


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
            other = PowerSeries([other])
        return PowerSeries(rule=lambda k: self[k] + other[k])

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
            return PowerSeries(rule=lambda k: scaled(self[k], other))
        if other is self:
            return PowerSeries(rule=lambda k: _square(self, k))
        return PowerSeries(rule=lambda k: convolve(self, other, k))

    __rmul__ = __mul__

    def __truediv__(self, number) -> PowerSeries:
        return self * (Fraction(1) / _exact(number))

    def __pow__(self, exponent: int) -> PowerSeries:
        """Return the product of ``exponent`` >= 1 copies, by repeated squaring."""
        if exponent == 1:
            return self
        half = self ** (exponent // 2)
        square = half * half
        return square * self if exponent % 2 else square


def integral(slope: PowerSeries, inner: PowerSeries, constant: Coefficient) -> PowerSeries:
    """Return the series y with y(0) = ``constant`` and dy/dh = ``slope`` · d(``inner``)/dh.

    The slope may depend on y itself:

    >>> h = PowerSeries([0, 1])
    >>> y = PowerSeries([1])
    >>> y.rule = integral(y, h, 1).rule  # y' = y, y(0) = 1
    >>> y[3]
    Fraction(1, 6)
    """

    def coefficient(k: int) -> Coefficient:
        total = 0
        for j in range(1, k + 1):
            if not (is_absent(inner[j]) or is_absent(slope[k - j])):
                total = total + j * inner[j] * slope[k - j]
        return scaled(total, Fraction(1, k))

    return PowerSeries([constant], coefficient)


def reciprocal(series: PowerSeries, constant: Coefficient) -> PowerSeries:
    """Return 1/``series``, given ``constant`` = 1/``series[0]``.

    >>> reciprocal(PowerSeries([1, -1]), 1)
    PowerSeries(1, 1, 1, 1, 1, 1, ...)
    """

    def coefficient(k: int) -> Coefficient:
        total = convolve(series, inverse, k, start=1)
        return total if is_absent(total) else -1 * times(constant, total)

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
