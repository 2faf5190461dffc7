"""What arguments must be: whole and positive numbers, points, times, known words.

And how an error shows what was given.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable
from fractions import Fraction
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

from modeq.errors import (
    ExceedsLimit,
    InvalidMethod,
    InvalidOrder,
    InvalidPoint,
    InvalidStep,
    InvalidValue,
)

if TYPE_CHECKING:
    import numpy as np

HIGHEST = 1000
"""The highest order that is taken: no series has been summed further, and none is of use there."""


def check_order(order: Any, lowest: int = 0) -> int:
    """Return ``order`` as an int, or raise InvalidOrder unless it is an integer >= ``lowest``.

    Orders above ``HIGHEST`` are refused before anything of that size is begun.

    >>> check_order(3)
    3
    """
    number = as_integer(order)
    if number is None or number < lowest:
        raise InvalidOrder(f"order is {shortened(order)}; it must be an integer >= {lowest}")
    if number > HIGHEST:
        means = f"order={shortened(order)} means at least"
        raise ExceedsLimit(means, min(number, sys.maxsize), "terms", HIGHEST)
    return number


def check_orders(orders: Any, name: str = "orders") -> tuple[int, ...]:
    """Return several orders, or raise InvalidOrder if they are no such sequence.

    >>> check_orders((0, 1, 2))
    (0, 1, 2)
    """
    return tuple(map(check_order, several(orders, name, InvalidOrder)))


def several(values: Any, name: str, error: type[InvalidValue] = InvalidValue) -> tuple:
    """Return the members of a sequence, or raise if it is none, or is text.

    >>> several([1, 2], "rates")
    (1, 2)
    """
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        return tuple(values)
    except TypeError:
        raise error(f"{name} is {shortened(values)}; it must be a sequence") from None


def check_limit(limit: Any) -> int | float:
    """Return how much work is allowed, or raise InvalidOrder unless it is a number of at least 0.

    >>> check_limit(10**6)
    1000000
    """
    is_number = isinstance(limit, Real) and not isinstance(limit, bool)
    if not is_number or not limit >= 0:
        raise InvalidOrder(f"limit is {shortened(limit)}; it must be a number of at least 0")
    return limit


def check_colors(colors: Any) -> int:
    """Return a number of colors as an int, or raise InvalidValue unless it is an integer >= 1.

    >>> check_colors(2)
    2
    """
    return whole(colors, "colors", 1, InvalidValue)


def as_integer(value: Any) -> int | None:
    """Return the value of anything that stands for an integer, and None for the rest."""
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None


def shortened(value: Any, width: int = 80) -> str:
    """Return how a value is shown in an error."""
    try:
        text = repr(value)
    except Exception:  # Python shows no integers of more than 4300 digits.
        text = f"of the type {type(value).__name__}, and too long to be shown"
    return text if len(text) <= width else f"{text[: width - 3]}..."


MAX_PARTS = 200
"""A method has at most so many parts or repetitions: its tables hold the cube of that."""


def whole(
    value: Any,
    name: str,
    least: int = 1,
    error: type[InvalidValue] = InvalidMethod,
    most: int = sys.maxsize,
) -> int:
    """Return a number as an int, if it is an integer that is neither too small nor too large.

    Args:
        value: The number; those of NumPy and sympy are integers too, True and 2.0 are not.
        name: What to call it in the error.
        least: The smallest value.
        error: What is raised.
        most: The largest value; what a machine can count to, if not given.

    >>> whole(3, "steps")
    3
    >>> whole(2.0, "steps")
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: steps is 2.0; it must be an integer >= 1
    """
    number = as_integer(value)
    if number is None or number < least:
        raise error(f"{name} is {shortened(value)}; it must be an integer >= {least}")
    if number > most:
        raise error(f"{name} is {shortened(value)}; it must be at most {most:,}")
    return number


def flag(value: Any, name: str) -> bool:
    """Return True or False, or raise InvalidMethod for anything else.

    >>> flag(True, "nesterov")
    True
    """
    if not isinstance(value, bool):
        raise InvalidMethod(f"{name} is {shortened(value)}; it must be True or False")
    return value


def one_of(value: Any, known: Iterable[str], name: str) -> str:
    """Return a word, if it is one of those that are known.

    >>> one_of("epoch", ("epoch", "step"), "clock")
    'epoch'

    Raises:
        InvalidMethod: It is not.
    """
    words = tuple(known)
    if not isinstance(value, str) or value not in words:
        raise InvalidMethod(
            f"{name} is {shortened(value)}; it must be one of {', '.join(map(repr, words))}"
        )
    return value


def hint(name: str, known: Iterable[str]) -> str:
    """Return the question that helps with a name that is nearly known, or nothing.

    >>> hint("betta", ["alpha", "beta"])
    "did you mean 'beta'? "
    """
    near = difflib.get_close_matches(name, [*known], n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def refuse_unknown(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Raise InvalidMethod if a name is not that of a parameter.

    >>> refuse_unknown(["betta"], ["beta"], "momentum")
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: momentum has no parameter 'betta': did you mean 'beta'? it has beta
    """
    names = [*known]
    for name in given:
        if name not in names:
            raise InvalidMethod(
                f"{owner} has no parameter {shortened(name)}: {hint(name, names)}it has "
                f"{', '.join(names) or 'none'}"
            )


def as_numbers(thing: Any) -> np.ndarray | None:
    """Return an array of doubles, real or complex; None for what does not consist of numbers.

    >>> as_numbers([1, 2]), as_numbers("12"), as_numbers([[1, 2], [3]])
    (array([1., 2.]), None, None)
    """
    import numpy as np

    try:
        array = np.asarray(thing)
        if array.dtype.kind == "c":
            return array
        return array.astype(np.float64, copy=False) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, OverflowError):
        return None


def as_points(theta: Any, dimension: int) -> np.ndarray:
    """Return an array of floats of shape (..., d).

    Raises:
        InvalidPoint: It is not numeric, or the last axis has not the length d.

    >>> as_points([1, 2], 2)
    array([1., 2.])
    """
    points = as_numbers(theta)
    if points is None:
        raise InvalidPoint(f"the point {shortened(theta)} does not consist of numbers")
    if points.ndim == 0 or points.shape[-1] != dimension:
        raise InvalidPoint(
            f"the point has the shape {points.shape}; "
            f"its last axis must have the length {dimension}, one entry for each variable"
        )
    return points


def check_step(h: Any) -> float:
    """Return a learning rate as a float, if it is positive and finite.

    >>> check_step(0.1)
    0.1
    """
    value = positive(h)
    if value is None:
        raise InvalidStep(
            f"the learning rate h is {shortened(h)}; it must be a positive finite number"
        )
    return value


def positive(value: Any) -> float | None:
    """Return the value of anything that stands for a positive finite number, None for the rest.

    >>> positive(2), positive(-1), positive("1"), positive(10**400)
    (2.0, None, None, None)
    """
    import numpy as np

    try:
        number = math.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


_MAX_STEPS = 10**8
"""No more steps are taken in a run: every point of it is kept."""


def check_steps(steps: Any) -> int:
    """Return a number of steps, if it is an integer at least one whose points can be held.

    >>> check_steps(10)
    10
    """
    steps = whole(steps, "steps", 1, InvalidStep)
    if steps > _MAX_STEPS:
        raise InvalidStep(f"steps is {shortened(steps)}; it must be at most {_MAX_STEPS:,}")
    return steps


_CLOSE = 1e-9
"""How far the number of steps may be from a whole one, as a part of it: times are rounded."""


def check_tolerance(tolerance: Any) -> float:
    """Return a tolerance as a float, if it is positive and finite.

    >>> check_tolerance(0.1)
    0.1
    """
    return check_positive("tolerance", tolerance)


def check_positive(name: str, value: Any) -> float:
    """Return a number as a float, if it is positive and finite.

    >>> check_positive("time", 2)
    2.0
    """
    number = positive(value)
    if number is None:
        raise InvalidValue(f"{name} is {shortened(value)}; it must be a positive finite number")
    return number


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return a number of things as an int, if it is an integer that is not too small.

    >>> check_count("directions", 0, least=0)
    0
    """
    return whole(value, name, least, InvalidValue)


def steps_until(time: Any, h: float) -> int:
    """Return the number of steps of h that make up a time.

    Raises:
        InvalidValue: The time is not a positive finite number.
        InvalidStep: It is not a whole multiple of h.

    >>> steps_until(0.3, 0.1)
    3
    """
    time, h = check_positive("time", time), check_step(h)
    steps = round(Fraction(time) / Fraction(h))
    if abs(steps * h - time) > _CLOSE * time:
        below = int(Fraction(time) / Fraction(h))
        near = " or ".join(f"{k * h:.6g}" for k in (below, below + 1) if k)
        raise InvalidStep(
            f"time is {time:.6g}; it must be a whole multiple of h = {h:.6g}, such as {near}"
        )
    return check_steps(steps)


def check_duration(steps: Any, time: Any, h: float) -> int:
    """Return the number of steps that is given, or that makes up the time that is given.

    Raises:
        InvalidStep: Both are given, or what is given is no number of steps.

    >>> check_duration(None, 0.3, 0.1), check_duration(5, None, 0.1)
    (3, 5)
    """
    if steps is not None and time is not None:
        raise InvalidStep(
            f"steps is {shortened(steps)} and time is {shortened(time)}; give one of them"
        )
    return check_steps(steps) if time is None else steps_until(time, h)
