"""Positive numbers that people hand in: tolerances, times, counts, and whole numbers of steps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from modeq.checks import whole
from modeq.errors import InvalidStep, InvalidValue
from modeq.flows.fields import check_step, positive
from modeq.flows.integrate import check_steps

CLOSE = 1e-9
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
        raise InvalidValue(f"{name} is {value!r}; it must be a positive finite number")
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
    if abs(steps * h - time) > CLOSE * time:
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
        raise InvalidStep(f"steps is {steps!r} and time is {time!r}; give one of them")
    return check_steps(steps) if time is None else steps_until(time, h)
