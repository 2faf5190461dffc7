"""What must vanish in a verdict: decided exactly, up to a tolerance, or said to be nearly zero."""

from __future__ import annotations

import math
from typing import Any

from modeq.algebra.entries import symbols_of
from modeq.algebra.trees import RootedTree
from modeq.algebra.zeros import is_zero
from modeq.checks import shortened
from modeq.errors import InvalidValue

NEARLY = 1e-10
"""Residuals that are smaller, and not zero, are said to be nearly zero."""

RELATIVELY = 1e-6
"""So are only those that are as small beside the exact 1/γ(τ)."""


class Residuals:
    """The numbers that must vanish for one verdict, and whether some are only taken for zero.

    >>> residuals = Residuals(1e-12)
    >>> [residuals.vanish(value) for value in (0, 1e-15, 2.0)]
    [True, True, False]
    >>> residuals.reason
    'residuals up to 1e-15 count as zero'

    Raises:
        InvalidValue: The tolerance is no finite number of at least zero.
    """

    def __init__(self, atol: Any = 0):
        self.atol = check_atol(atol)
        self.largest = 0.0
        self.is_decided = True

    def vanish(self, value: Any) -> bool:
        """Tell whether a number or expression vanishes, and keep in mind how."""
        decided = is_zero(value)
        self.is_decided &= decided is not None
        if decided is not False:
            return True
        size = size_of(value)
        if size is None or size > self.atol:
            return False
        self.largest = max(self.largest, size)
        return True

    @property
    def proved(self) -> bool:
        """Whether all that vanished is zero by exact algebra."""
        return self.is_decided and not self.largest

    @property
    def reason(self) -> str:
        """What was taken for zero, in words."""
        if self.largest:
            return f"residuals up to {self.largest:.2g} count as zero"
        return "" if self.is_decided else "zero to sixty digits, not proved"


def check_atol(atol: Any) -> float:
    """Return a tolerance as a float.

    Raises:
        InvalidValue: It is no finite number of at least zero.
    """
    try:
        number = float(atol)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(atol, bool | str) or not 0 <= number < math.inf:
        raise InvalidValue(f"atol is {shortened(atol)}; it must be a number >= 0, such as 1e-12")
    return number


def size_of(value: Any) -> float | None:
    """Return the absolute value of a number, and None for a formula.

    >>> size_of(-0.5)
    0.5
    """
    return None if symbols_of([value]) else abs(float(value))


def nearly(residual: Any, tree: RootedTree) -> str:
    """Return what to say of a residual at a tree that may be zero but for rounding.

    >>> nearly(1.7e-17, RootedTree())
    ', nearly zero: 1.7e-17; give exact values, or atol='
    """
    size = size_of(residual)
    if size is None or not 0 < size < min(NEARLY, RELATIVELY / tree.density):
        return ""
    if is_zero(residual) is not False:
        return ""
    return f", nearly zero: {float(residual):.2g}; give exact values, or atol="
