"""Which exact number a float stands for, in a table or an exponent.

Nobody types the double 0.16666666666666666 for its own sake: it stands for 1/6. A number with the
precision of a double that is within two units in the last place of the float nearest to

- a rational number with a denominator below 10⁴, or
- such a number plus a rational multiple of √2, √3, √5, √6 or √15, both of them simple enough,

is that number. All others are their shortest decimals. For the sums of the second kind the bounds
are such that a number that has nothing to do with roots meets one in fewer than one of 10,000
cases. In p + r √d neither p nor r is above 4, or 4 times the number; the common denominator and the
numerator of r over it are at most 2,000, or the denominator of p times the sum of numerator and
denominator of r is at most 50,000. They are found as short vectors of the lattice of all
(n, b, W (n x - b √d - a)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import count, product
from numbers import Rational
from typing import Any

import numpy as np

from modeq.algebra.surds import Surd, root_digits, square_root
from modeq.checks import shortened
from modeq.errors import InvalidValue

DENOMINATOR = 10_000
"""Rational numbers that floats stand for have smaller denominators."""

RADICANDS = (2, 3, 5, 6, 15)
COMMON_DENOMINATOR = 2_000
HEIGHT = 50_000
LARGEST = 4
"""Bounds for sums of a rational number and a multiple of a root that floats stand for."""

TYPED_DIGITS = 10
"""A number of no more digits was typed as the decimal that it is."""

DOUBLE = 53
"""The bits of a double."""

_MAX_BITS = 4_000
"""Numbers have no more bits, and are powers of ten up to this one; larger ones are infinite."""


@dataclass(frozen=True)
class Measured:
    """A number that is known up to its last place.

    Attributes:
        value: What it is, exactly.
        unit: The unit in its last place.
        decimal: The shortest decimal that rounds to it.
        digits: How many digits that has.
    """

    value: Fraction
    unit: Fraction
    decimal: Fraction
    digits: int

    def stands_for(self) -> Fraction | Surd:
        """Return the simplest number that this may be, or else its decimal."""
        if self.digits <= TYPED_DIGITS or self.decimal.denominator < DENOMINATOR:
            return self.decimal
        found = _near_rational(self)
        return next(_near_surds(self), self.decimal) if found is None else found

    def is_near(self, *parts: Fraction) -> bool:
        """Tell whether a sum is within two units, of the largest of its parts, after rounding."""
        largest = max(map(abs, (self.value, *parts)))
        return 2 * abs(sum(parts) - self.value) < 5 * self.unit_at(largest)

    def unit_at(self, size: Fraction) -> Fraction:
        """Return the unit in the last place of numbers of some size, at least that of this one.

        In floats 1/4 - √3/6 is known as well as its parts, not to the last place of -0.0387.
        """
        return self.unit * 2 ** max(0, _binade(size) - _binade(abs(self.value)))


def read_float(number: Any, where: str = "a number") -> Fraction | Surd:
    """Return the exact number that a float, of any library, or a Decimal stands for.

    Args:
        number: The float.
        where: What to call it in the error.

    >>> print(read_float(1 / 6), read_float(0.1), read_float(0.5 + 3**0.5 / 6))
    1/6 1/10 1/2 + 1/6*sqrt(3)
    >>> print(read_float(0.4358665215084590))  # a root of a cubic polynomial
    435866521508459/1000000000000000

    Raises:
        InvalidValue: It is not finite, or has so few bits that it may stand for many numbers.
    """
    return measure(number, where).stands_for()


def is_float(number: Any) -> bool:
    """Tell whether something is a float of Python, NumPy, sympy or mpmath, or a Decimal.

    >>> is_float(0.5), is_float(Decimal("0.5")), is_float(1)
    (True, True, False)
    """
    return isinstance(number, float | np.floating | Decimal) or (
        hasattr(number, "_mpf_") and not isinstance(number, Rational)
    )


def measure(number: Any, where: str = "a number") -> Measured:
    """Return a float with the unit in its last place, and its shortest decimal.

    >>> measure(0.5).unit == Fraction(2) ** -53
    True

    Raises:
        InvalidValue: It is not finite, or has fewer bits than a double, and more digits than these
            are enough for.
    """
    if isinstance(number, Decimal):
        value, bits, text = _of_decimal(number)
    else:
        value, bits, text = _of_mpf(number) if hasattr(number, "_mpf_") else _of_float(number)
    if value is None:
        raise InvalidValue(f"{where} is {shortened(number)}; it must be finite")
    if bits > _MAX_BITS:
        raise InvalidValue(f"{where} has {bits:,} bits; at most {_MAX_BITS:,} are read")
    unit = Fraction(2) ** (_binade(abs(value)) + 1 - bits)
    digits = _digits(text)
    if bits < DOUBLE and value:
        if digits > (bits - 1) * math.log10(2) and not isinstance(number, Decimal):
            raise InvalidValue(
                f"{where} is {shortened(number)}; it has too few bits to tell which number it "
                f"stands for: "
                f"give a double, a Fraction or a text such as '1/6'"
            )
        digits = min(digits, TYPED_DIGITS)
    return Measured(value, unit, Fraction(text), digits)


def _of_float(number: float | np.floating) -> tuple[Fraction | None, int, str]:
    """Return a float of Python or NumPy, how many bits it has, and its shortest decimal."""
    if not np.isfinite(number):
        return None, 0, ""
    bits = np.finfo(type(number)).nmant + 1
    return (
        Fraction(*number.as_integer_ratio()),
        max(bits, 53 * isinstance(number, float)),
        str(number),
    )


def _of_decimal(number: Decimal) -> tuple[Fraction | None, int, str]:
    """Return a Decimal; its bits are those that its digits are worth."""
    if not number.is_finite() or abs(number.adjusted()) > _MAX_BITS:
        return None, 0, ""
    digits = len(number.as_tuple().digits)
    return Fraction(number), math.floor(digits * math.log2(10)), str(number)


def _of_mpf(number: Any) -> tuple[Fraction | None, int, str]:
    """Return a number of sympy or mpmath, which has the bits of a double if not told otherwise."""
    sign, mantissa, exponent, bits = map(int, number._mpf_)
    if (not mantissa and exponent) or abs(exponent + bits) > 4 * _MAX_BITS:
        return None, 0, ""
    value = (-1) ** sign * mantissa * Fraction(2) ** exponent
    bits = getattr(number, "_prec", max(bits, DOUBLE))
    if bits > _MAX_BITS:
        return value, bits, ""
    if bits == DOUBLE and Fraction(float(value)) == value:
        return value, bits, repr(float(value))
    return value, bits, _shortest(value, bits)


def _shortest(value: Fraction, bits: int) -> str:
    """Return the shortest decimal within half a unit in the last place."""
    unit = Fraction(2) ** (_binade(abs(value)) + 1 - bits)
    places = math.floor(_binade(abs(value)) * math.log10(2))
    for digits in count(1):
        scale = Fraction(10) ** (digits - 1 - places)
        near = round(value * scale)
        if 2 * abs(near / scale - value) <= unit:
            return f"{near}e{places + 1 - digits}"
    raise AssertionError


def _digits(text: str) -> int:
    """Return the number of significant digits of a decimal.

    >>> _digits("-0.0120e-5")
    2
    """
    mantissa = text.lower().partition("e")[0].replace(".", "").lstrip("-")
    return len(mantissa.strip("0")) or 1


def _near_rational(measured: Measured) -> Fraction | None:
    """Return the rational number with a small denominator that is meant, if only one is near."""
    if 4 * measured.unit * DENOMINATOR**2 > 1:
        return None
    near = measured.value.limit_denominator(DENOMINATOR - 1)
    return near if measured.is_near(near) else None


def _near_surds(measured: Measured) -> Iterator[Surd]:
    """Yield the simple sums of a rational number and a multiple of a root that may be meant."""
    for radicand in RADICANDS:
        root = root_digits(radicand)
        for n, b in _relations(measured, radicand):
            p, r = Fraction(round(n * measured.value - b * root), n), Fraction(b, n)
            if measured.is_near(p, r * root) and _is_simple(p, r, measured.value):
                yield p + r * square_root(radicand)


def _is_simple(p: Fraction, r: Fraction, value: Fraction) -> bool:
    """Tell whether p + r √d is so simple that a number is not near it by chance."""
    n = math.lcm(p.denominator, r.denominator)
    is_small = max(abs(p), abs(r)) <= LARGEST * max(1, abs(value))
    is_common = n * max(1, abs(r)) <= COMMON_DENOMINATOR
    is_low = p.denominator * (r.denominator + abs(r.numerator)) <= HEIGHT
    return is_small and p.denominator < DENOMINATOR and (is_common or is_low)


def _relations(measured: Measured, radicand: int) -> Iterator[tuple[int, int]]:
    """Return the (n, b) of short vectors of the lattice, with n > 0 and b not zero."""
    scale = 1 / (2 * measured.unit_at(Fraction(1)))
    columns = (measured.value, -root_digits(radicand), Fraction(1))
    basis = [(int(i == 0), int(i == 1), round(scale * column)) for i, column in enumerate(columns)]
    return ((n, b) if n > 0 else (-n, -b) for n, b, _ in _reduced(basis) if n and b)


def _reduced(basis: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return a reduced basis of a lattice of three dimensions, the shortest vector first.

    The longest vector is brought as near to zero as the others can, as long as that makes it
    shorter (Semaev, A 3-dimensional lattice reduction algorithm, 2001).
    """
    while True:
        first, second, last = sorted(basis, key=_square)
        times = round(Fraction(_dot(first, second), _square(first)))
        if times:
            basis = [first, _minus(second, (times, first)), last]
            continue
        shorter = min(_translates(first, second, last), key=_square)
        if _square(shorter) >= _square(last):
            return [first, second, last]
        basis = [first, second, shorter]


def _translates(u: tuple, v: tuple, w: tuple) -> Iterator[tuple]:
    """Yield w minus the combinations of u and v around its projection to their plane."""
    uu, uv, vv, uw, vw = _square(u), _dot(u, v), _square(v), _dot(u, w), _dot(v, w)
    determinant = uu * vv - uv * uv
    x = (uw * vv - vw * uv) // determinant
    y = (vw * uu - uw * uv) // determinant
    for i, j in product((x, x + 1), (y, y + 1)):
        yield _minus(w, (i, u), (j, v))


def _minus(vector: tuple, *others: tuple[int, tuple]) -> tuple[int, ...]:
    return tuple(x - sum(k * o[i] for k, o in others) for i, x in enumerate(vector))


def _dot(u: tuple, v: tuple) -> int:
    return sum(a * b for a, b in zip(u, v, strict=True))


def _square(u: tuple) -> int:
    return _dot(u, u)


def _binade(number: Fraction) -> int:
    """Return the k with 2ᵏ <= number < 2ᵏ⁺¹, and 0 for 0.

    >>> _binade(Fraction(5)), _binade(Fraction(1, 3))
    (2, -2)
    """
    if not number:
        return 0
    k = number.numerator.bit_length() - number.denominator.bit_length()
    return k if number >= Fraction(2) ** k else k - 1
