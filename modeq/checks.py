"""Checks of whole numbers that a user gives, and how an error shows what was given.

What arguments must be: whole numbers, one of several words, names that are known.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from numbers import Real
from operator import index
from typing import Any

from modeq.errors import ExceedsLimit, InvalidMethod, InvalidOrder, InvalidValue

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
    number = as_integer(colors)
    if number is None or number < 1:
        raise InvalidValue(f"colors is {shortened(colors)}; it must be an integer >= 1")
    return number


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
    most: int | None = None,
) -> int:
    """Return a number as an int, if it is an integer that is neither too small nor too large.

    Args:
        value: The number; those of NumPy and sympy are integers too, True and 2.0 are not.
        name: What to call it in the error.
        least: The smallest value.
        error: What is raised.
        most: The largest value, if there is one.

    >>> whole(3, "steps")
    3
    >>> whole(2.0, "steps")
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: steps is 2.0; it must be an integer >= 1
    """
    number = as_integer(value)
    if number is None or number < least:
        raise error(f"{name} is {shortened(value)}; it must be an integer >= {least}")
    if most is not None and number > most:
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
        raise InvalidMethod(f"{name} is {value!r}; it must be one of {', '.join(map(repr, words))}")
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
                f"{owner} has no parameter {name!r}: {hint(name, names)}it has "
                f"{', '.join(names) or 'none'}"
            )
