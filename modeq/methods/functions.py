"""Functions for update rules, over whatever the entries of a state are.

They act on numbers, and on NumPy arrays entry by entry: floats, sympy expressions, or numbers with
many digits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from modeq.errors import NotSmooth

HALF = Fraction(1, 2)


def sqrt(x: Any) -> Any:
    """Return √x.

    >>> sqrt(np.array([4.0, 9.0]))
    array([2., 3.])
    """
    return power(x, HALF)


def power(x: Any, exponent: Fraction) -> Any:
    """Return x to a rational power.

    >>> power(8.0, Fraction(1, 3))
    2.0
    """
    if isinstance(x, np.ndarray) and x.dtype == object:
        return np.array([power(entry, exponent) for entry in x.flat], object).reshape(x.shape)
    if isinstance(x, np.ndarray | float):
        return x ** float(exponent)
    return x**exponent


def absolute(x: Any) -> Any:
    """Return |x| = √(x²), which is smooth except at 0.

    >>> absolute(-3.0)
    3.0
    """
    return sqrt(x * x)


def sign(x: Any) -> Any:
    """Return x/|x|, which is smooth, and constant, except at 0, where it does not exist.

    >>> sign(np.array([-2.0, 0.5]))
    array([-1.,  1.])

    Raises:
        NotSmooth: An entry is 0.
    """
    _refuse_zeros(x)
    return x / absolute(x)


def _refuse_zeros(x: Any) -> None:
    for i, entry in enumerate(np.asarray(x, object).flat):
        if entry == 0:
            raise NotSmooth(
                f"sign has the argument 0 at coordinate {i} (counted from 0), where it is not "
                f"smooth; start where no coordinate of it vanishes"
            )


def norm(x: Any) -> Any:
    """Return the Euclidean norm of a vector.

    >>> norm(np.array([3.0, 4.0]))
    np.float64(5.0)
    """
    return sqrt(np.sum(x * x))


def direction(x: Any) -> Any:
    """Return x/|x| for a vector x, which is smooth except at 0, where it does not exist.

    >>> direction(np.array([3.0, 4.0]))
    array([0.6, 0.8])

    Raises:
        NotSmooth: All entries are 0.
    """
    size = norm(x)
    if size == 0:
        raise NotSmooth("the vector 0 has no direction; start where the gradient does not vanish")
    return x / size
