"""Rational numbers as Fractions, which go with other rings, and as mpq, which are fast."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from numbers import Rational
from typing import Any

import gmpy2
import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidValue

RealNumber = float | np.floating | Rational
"""A rational number of any library, or a float, which stands for its shortest decimal."""


def as_fraction(number: RealNumber) -> Fraction:
    """Return a rational number as a Fraction, and a float as its shortest decimal.

    >>> as_fraction(0.1), as_fraction(gmpy2.mpq(1, 3))
    (Fraction(1, 10), Fraction(1, 3))

    Raises:
        InvalidValue: If it is not finite.
    """
    if isinstance(number, Rational):
        return Fraction(int(number.numerator), int(number.denominator))
    if not isfinite(number):
        raise InvalidValue(f"a number is {number}; it must be finite")
    return Fraction(str(number))


def exact(coefficient: Any) -> Any:
    """Return a number as an mpq, a float as that of its shortest decimal, and others as they are.

    >>> exact(0.5)
    mpq(1,2)

    Raises:
        InvalidValue: If a number is not finite, or it is no number at all.
    """
    if type(coefficient) is gmpy2.mpq:
        return coefficient
    if isinstance(coefficient, Rational):
        return gmpy2.mpq(int(coefficient.numerator), int(coefficient.denominator))
    if isinstance(coefficient, RealNumber):
        return gmpy2.mpq(as_fraction(coefficient))
    if coefficient is None or isinstance(coefficient, Sequence | np.ndarray):
        raise InvalidValue(
            f"{shortened(coefficient)} is no coefficient; it must be a number or symbols"
        )
    if not _is_zero_times_zero(coefficient):
        raise InvalidValue(
            f"{shortened(coefficient)} is no coefficient; it must be a number or symbols"
        )
    return coefficient


def _is_zero_times_zero(coefficient: Any) -> bool:
    """Tell whether 0 times something is 0, as for numbers, symbols and polynomials, and for nothing
    that is infinite, undefined, or no member of a ring.
    """
    try:
        return not coefficient * 0
    except Exception:
        return False


def plain(coefficient: Any) -> Any:
    """Return an mpq as a Fraction, and anything else as it is.

    >>> plain(gmpy2.mpq(1, 2))
    Fraction(1, 2)
    """
    return as_fraction(coefficient) if isinstance(coefficient, gmpy2.mpq) else coefficient


def plain_array(array: np.ndarray) -> np.ndarray:
    """Return an array of objects with Fractions in place of mpq."""
    return np.fromiter(map(plain, array.tolist()), object)
