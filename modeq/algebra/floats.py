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
from itertools import product
from numbers import Rational
from typing import Any

import numpy as np

from modeq.algebra.surds import Surd, root_digits, square_root
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

_DOUBLE = Fraction(1, 2**52)
"""The unit in the last place of a double is at most this, relative to the double."""


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

    def stands_for(self, *parts: Fraction) -> bool:
        """Tell whether a sum is within two units, of the largest of its parts, after rounding."""
        largest = max(map(abs, (self.value, *parts)))
        return 2 * abs(sum(parts) - self.value) < 5 * self.unit_at(largest)

    def unit_at(self, size: Fraction) -> Fraction:
        """Return the unit in the last place of numbers of some size, at least that of this one.

        In floats 1/4 - √3/6 is known as well as its parts, not to the last place of -0.0387.
        """
        return self.unit * 2 ** max(0, _binade(size) - _binade(abs(self.value)))


def read_float(number: Any) -> Fraction | Surd:
    """Return the exact number that a float, of any library, or a Decimal stands for.

    >>> print(read_float(1 / 6), read_float(0.1), read_float(0.5 + 3**0.5 / 6))
    1/6 1/10 1/2 + 1/6*sqrt(3)
    >>> print(read_float(0.4358665215084590))  # a root of a cubic polynomial
    435866521508459/1000000000000000

    Raises:
        InvalidValue: It is not finite, or has so few bits that it may stand for many numbers.
    """
    measured = measure(number)
    if measured.digits <= TYPED_DIGITS or measured.decimal.denominator < DENOMINATOR:
        return measured.decimal
    found = _near_rational(measured)
    return next(_near_surds(measured), measured.decimal) if found is None else found


def is_float(number: Any) -> bool:
    """Tell whether something is a float of Python, NumPy, sympy or mpmath, or a Decimal.

    >>> is_float(0.5), is_float(Decimal("0.5")), is_float(1)
    (True, True, False)
    """
    return isinstance(number, float | np.floating | Decimal) or (
        hasattr(number, "_mpf_") and not isinstance(number, Rational)
    )


def measure(number: Any) -> Measured:
    """Return a float with the unit in its last place, and its shortest decimal.

    >>> measure(0.5).unit == Fraction(2) ** -53
    True

    Raises:
        InvalidValue: It is not finite, or a float of fewer bits than a double that is not given by
            the digits that these are enough for.
    """
    if isinstance(number, Decimal):
        return _of_decimal(number)
    if hasattr(number, "_mpf_"):
        return _of_bits(number)
    if not np.isfinite(number):
        raise InvalidValue(f"a number is {number}; it must be finite")
    bits, value = np.finfo(type(number)), Fraction(*number.as_integer_ratio())
    eps, least = (Fraction(*x.as_integer_ratio()) for x in (bits.eps, bits.smallest_subnormal))
    unit = max(eps * Fraction(2) ** _binade(abs(value)), least)
    return _checked(number, value, unit, str(number))


def _of_decimal(number: Decimal) -> Measured:
    if not number.is_finite():
        raise InvalidValue(f"a number is {number}; it must be finite")
    digits, exponent = number.as_tuple()[1:]
    value, unit = Fraction(number), Fraction(10) ** exponent
    # With less than the digits of a double it is what it says.
    is_typed = unit > abs(value) * _DOUBLE
    return Measured(value, unit, value, TYPED_DIGITS if is_typed else len(digits))


def _of_bits(number: Any) -> Measured:
    """Return a number of sympy or mpmath; it is a double if it has no more bits than one."""
    sign, mantissa, exponent, bits = number._mpf_
    if not mantissa and exponent:
        raise InvalidValue(f"a number is {number}; it must be finite")
    value = (-1) ** sign * int(mantissa) * Fraction(2) ** int(exponent)
    bits = max(getattr(number, "_prec", 0), int(bits))
    if bits <= 53 and Fraction(float(value)) == value:
        return measure(float(value))
    unit = Fraction(2) ** (int(exponent) + int(number._mpf_[3]) - bits)
    decimal = _shortest(value, unit)
    return Measured(value, unit, Fraction(decimal), _digits(decimal))


def _shortest(value: Fraction, unit: Fraction) -> str:
    """Return the shortest decimal within half a unit in the last place."""
    places = math.floor(math.log10(abs(value))) if value else 0
    for digits in range(1, 10_000):
        scale = Fraction(10) ** (digits - 1 - places)
        if 2 * abs(round(value * scale) / scale - value) <= unit:
            break
    return f"{round(value * scale)}e{places + 1 - digits}"


def _checked(number: Any, value: Fraction, unit: Fraction, text: str) -> Measured:
    """Return a number once it is known to have enough bits for what it is given by."""
    digits = _digits(text)
    if value and unit > abs(value) * _DOUBLE and not isinstance(number, float):
        enough = int(np.finfo(type(number)).precision)
        if digits > enough:
            raise InvalidValue(
                f"{number!r} has too few bits to tell which number it stands for; give a double, "
                f"a Fraction or a text such as '1/6'"
            )
        digits = min(digits, TYPED_DIGITS)
    return Measured(value, unit, Fraction(text), digits)


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
    return near if measured.stands_for(near) else None


def _near_surds(measured: Measured) -> Iterator[Surd]:
    """Yield the simple sums of a rational number and a multiple of a root that may be meant."""
    for radicand in RADICANDS:
        root = root_digits(radicand)
        for n, b in _relations(measured, radicand):
            p, r = Fraction(round(n * measured.value - b * root), n), Fraction(b, n)
            if measured.stands_for(p, r * root) and _is_simple(p, r, measured.value):
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
