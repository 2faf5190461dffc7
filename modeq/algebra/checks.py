"""Checks of whole numbers that a user gives, and how an error shows what was given."""

from __future__ import annotations

from operator import index
from typing import Any

from modeq.errors import InvalidOrder, InvalidValue


def check_order(order: Any, lowest: int = 0) -> int:
    """Return ``order`` as an int, or raise InvalidOrder unless it is an integer >= ``lowest``.

    >>> check_order(3)
    3
    """
    number = as_integer(order)
    if number is None or number < lowest:
        raise InvalidOrder(f"order is {shortened(order)}; it must be an integer >= {lowest}")
    return number


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
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
