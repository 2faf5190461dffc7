"""What arguments must be: whole numbers, one of several words, names that are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from modeq.algebra.checks import as_integer, shortened
from modeq.errors import InvalidMethod, InvalidValue

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
