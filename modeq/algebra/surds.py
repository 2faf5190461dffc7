"""Sums of square roots of integers, exactly: the numbers in tableaus of Gauss, Radau and Lobatto.

A surd is Σ q_d √d with rational q_d and square-free d. Sums, products and quotients of surds are
surds, or Fractions as soon as no root is left.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_DIGITS = 60


@dataclass(frozen=True)
class Surd:
    """An irrational number Σ q_d √d; made by ``square_root`` and arithmetic.

    Attributes:
        terms: The pairs (d, q_d) with q_d ≠ 0, sorted.

    Example:
        >>> golden = (1 + square_root(5)) / 2
        >>> print(golden, golden * golden - golden, 1 / golden)
        1/2 + 1/2*sqrt(5) 1 -1/2 + 1/2*sqrt(5)
    """

    terms: tuple[tuple[int, Fraction], ...]

    def over(self, number: Callable[[Fraction], Any], root: Callable[[int], Any]) -> Any:
        """Return the sum in another arithmetic, given its rational numbers and its roots.

        >>> square_root(2).over(float, math.sqrt)
        1.4142135623730951
        """
        parts = [number(q) * root(d) if d != 1 else number(q) for d, q in self.terms]
        return sum(parts[1:], parts[0])

    def __float__(self) -> float:
        # Its terms may cancel: floats of them would not give the nearest float.
        return float(self.over(Fraction, root_digits))

    def _sympy_(self) -> Any:
        # Only sympy and its expressions ask for this, so it has been imported.
        sympy = sys.modules["sympy"]
        return self.over(lambda q: sympy.Rational(q.numerator, q.denominator), sympy.sqrt)

    def _beside(self, other: Any, operation: Callable) -> Any:
        """Return the result of an operation with a float or a sympy expression."""
        if isinstance(other, float):
            return operation(float(self), other)
        if not hasattr(other, "free_symbols"):
            return NotImplemented
        return operation(self._sympy_(), other)

    def __add__(self, other: Any) -> Surd | Fraction:
        terms = _terms(other)
        if terms is None:
            return self._beside(other, operator.add)
        total = dict(self.terms)
        for d, q in terms.items():
            total[d] = total.get(d, 0) + q
        return _number(total)

    __radd__ = __add__

    def __neg__(self) -> Surd:
        return Surd(tuple((d, -q) for d, q in self.terms))

    def __sub__(self, other: Any) -> Surd | Fraction:
        return self + -1 * other

    def __rsub__(self, other: Any) -> Surd | Fraction:
        return -self + other

    def __mul__(self, other: Any) -> Surd | Fraction:
        terms = _terms(other)
        if terms is None:
            return self._beside(other, operator.mul)
        total: dict[int, Fraction] = {}
        for d, q in self.terms:
            for e, r in terms.items():
                common = math.gcd(d, e)
                radicand = d * e // common**2
                total[radicand] = total.get(radicand, 0) + q * r * common
        return _number(total)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Surd | Fraction:
        return self * _inverse(other)

    def __rtruediv__(self, other: Any) -> Surd | Fraction:
        return _inverse(self) * other

    def __str__(self) -> str:
        parts = [str(q) if d == 1 else f"{q}*sqrt({d})" for d, q in self.terms]
        return " + ".join(parts).replace("+ -", "- ")


def root_digits(number: int) -> Fraction:
    """Return the square root of an integer to sixty digits.

    >>> abs(root_digits(2) ** 2 - 2) < Fraction(1, 10**59)
    True
    """
    return Fraction(math.isqrt(number * 10 ** (2 * _DIGITS)), 10**_DIGITS)


def square_root(number: int) -> Surd | Fraction:
    """Return the square root of a positive integer.

    >>> print(square_root(12), square_root(9))
    2*sqrt(3) 3
    """
    outside = max(k for k in range(1, math.isqrt(number) + 1) if number % k**2 == 0)
    return _number({number // outside**2: Fraction(outside)})


def _number(terms: Mapping[int, Fraction]) -> Surd | Fraction:
    """Return the number with these terms: a Fraction where there is no root."""
    kept = tuple(sorted((d, q) for d, q in terms.items() if q != 0))
    if all(d == 1 for d, _ in kept):
        return kept[0][1] if kept else Fraction(0)
    return Surd(kept)


def _terms(number: Any) -> dict[int, Fraction] | None:
    """Return the terms of an exact number, or None if it is something else."""
    if isinstance(number, Surd):
        return dict(number.terms)
    return {1: Fraction(number)} if isinstance(number, int | Fraction) else None


def _inverse(number: Any) -> Any:
    """Return 1/x: for x = u + v √p, p prime, it is (u - v √p)/(u² - v² p)."""
    if not isinstance(number, Surd):
        return Fraction(1) / number
    prime = _smallest_prime_factor(max(d for d, _ in number.terms))
    conjugate = _number({d: -q if d % prime == 0 else q for d, q in number.terms})
    return conjugate * _inverse(number * conjugate)


def _smallest_prime_factor(number: int) -> int:
    return next(k for k in range(2, number + 1) if number % k == 0)
