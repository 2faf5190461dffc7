"""Named methods, as tables.

A method is data: a Runge-Kutta tableau, or an update rule of the user's own. Its ``rule`` is what
the rest of modeq runs.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Rational
from typing import Any

from modeq.errors import InvalidMethod
from modeq.rules import Rule, is_explicit, runge_kutta


def exact(entry: Any, where: str) -> Any:
    """Return a table's entry as an exact number: integers and Fractions as they are, and a float
    as the shortest decimal that rounds to it.

    >>> exact(0.1, "b[0]")
    Fraction(1, 10)
    """
    if isinstance(entry, bool | str):
        raise InvalidMethod(f"{where} is {entry!r}; it must be a number, such as Fraction(1, 2)")
    if isinstance(entry, Rational):
        return Fraction(entry.numerator, entry.denominator)
    if isinstance(entry, float):
        if not math.isfinite(entry):
            raise InvalidMethod(f"{where} is {entry!r}; it must be finite")
        return Fraction(repr(float(entry)))
    # sympy's Rational says what it is by p and q, and this layer does not import sympy.
    if hasattr(entry, "p") and hasattr(entry, "q"):
        return Fraction(int(entry.p), int(entry.q))
    raise InvalidMethod(f"{where} is {entry!r}; it must be an integer, a Fraction or a float")


@dataclass(frozen=True)
class RungeKutta:
    """A Runge-Kutta method, explicit or implicit.

        kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ),        θ⁺ = θ + h Σᵢ bᵢ kᵢ

    Args:
        A: Square matrix of stage weights (integers, Fractions, or floats read as decimals).
        b: Weights of the stages, which sum to one.
        name: What to call the method in print.

    Raises:
        InvalidMethod: The tableau is not square, an entry is not a finite number, or the weights
            do not sum to one.

    Example:
        >>> RungeKutta([[0, 0], [Fraction(2, 3), 0]], [Fraction(1, 4), Fraction(3, 4)]).is_explicit
        True

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.1.
    """

    A: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    name: str = field(default="Runge-Kutta", compare=False)

    def __post_init__(self):
        object.__setattr__(self, "A", _exact_matrix(self.A))
        object.__setattr__(self, "b", _exact_row(self.b, "b"))
        stages = len(self.b)
        if len(self.A) != stages or any(len(row) != stages for row in self.A):
            raise InvalidMethod(
                f"the tableau A has rows of lengths {[len(row) for row in self.A]}; "
                f"with {stages} weights b it must be {stages} by {stages}"
            )
        if sum(self.b) != 1:
            raise InvalidMethod(
                f"the weights b sum to {sum(self.b)}; a consistent method has the sum 1"
            )

    @property
    def is_explicit(self) -> bool:
        """Whether every stage uses earlier stages only."""
        return is_explicit(self.A)

    @property
    def is_euler(self) -> bool:
        """Whether this is explicit Euler, that is, gradient descent."""
        return self.A == ((0,),)

    @property
    def rule(self) -> Rule:
        """The update rule ``rule(theta, f, h)`` with exact weights."""
        return self.rule_over(lambda weight: weight)

    def rule_over(self, number: Callable[[Fraction], Any]) -> Rule:
        """Return the update rule with its weights converted by ``number``, such as ``float``."""
        A = [[number(entry) for entry in row] for row in self.A]
        return runge_kutta(A, [number(weight) for weight in self.b])

    def __str__(self) -> str:
        return self.name


def _exact_row(row: Sequence, where: str) -> tuple[Fraction, ...]:
    if isinstance(row, str) or not hasattr(row, "__len__"):
        raise InvalidMethod(f"{where} is {row!r}; it must be a sequence of numbers")
    if len(row) == 0:
        raise InvalidMethod(f"{where} is empty; a method has at least one stage")
    return tuple(exact(entry, f"{where}[{i}]") for i, entry in enumerate(row))


def _exact_matrix(A: Sequence[Sequence]) -> tuple[tuple[Fraction, ...], ...]:
    if isinstance(A, str) or not hasattr(A, "__len__"):
        raise InvalidMethod(f"A is {A!r}; it must be a square matrix of numbers")
    return tuple(_exact_row(row, f"A[{i}]") for i, row in enumerate(A))


@dataclass(frozen=True)
class CustomMethod:
    """A one-step method given by its update rule.

    Args:
        rule: A function ``rule(theta, f, h)`` that returns the next state, and uses only +,
            multiplication by a scalar, and ``f(.)``.
        name: What to call the method in print.

    Example:
        >>> half_steps = CustomMethod(lambda theta, f, h: theta + h * f(theta + h * f(theta)))
        >>> half_steps.rule(1.0, lambda x: -x, 0.5)
        0.75
    """

    rule: Rule
    name: str = "custom method"

    def rule_over(self, number: Callable[[Fraction], Any]) -> Rule:
        """Return the update rule as it is: it has no table whose entries could be converted."""
        return self.rule

    def __str__(self) -> str:
        return self.name


Method = RungeKutta | CustomMethod


def GradientDescent() -> RungeKutta:
    """Return gradient descent θ⁺ = θ - h ∇L(θ): explicit Euler on the gradient flow.

    >>> print(GradientDescent())
    gradient descent
    """
    return RungeKutta(((0,),), (1,), "gradient descent")


def _tableau(name: str, A: Sequence, b: Sequence) -> tuple[str, Callable[[], RungeKutta]]:
    return name, lambda: RungeKutta(A, b, name.replace("-", " "))


_HALF, _SIXTH, _THIRD = Fraction(1, 2), Fraction(1, 6), Fraction(1, 3)

NAMED: dict[str, Callable[[], RungeKutta]] = {
    "gradient-descent": GradientDescent,
    **dict(
        [
            _tableau("euler", [[0]], [1]),
            _tableau("implicit-euler", [[1]], [1]),
            _tableau("implicit-midpoint", [[_HALF]], [1]),
            _tableau("explicit-midpoint", [[0, 0], [_HALF, 0]], [0, 1]),
            _tableau("heun", [[0, 0], [1, 0]], [_HALF, _HALF]),
            _tableau("trapezoid", [[0, 0], [_HALF, _HALF]], [_HALF, _HALF]),
            _tableau("extragradient", [[0, 0], [1, 0]], [0, 1]),
            _tableau(
                "rk4",
                [[0, 0, 0, 0], [_HALF, 0, 0, 0], [0, _HALF, 0, 0], [0, 0, 1, 0]],
                [_SIXTH, _THIRD, _THIRD, _SIXTH],
            ),
        ]
    ),
}


def as_method(method: Any) -> Method:
    """Return a method from a method, the name of one, or an update rule.

    >>> print(as_method("rk4"))
    rk4

    Raises:
        InvalidMethod: The name is unknown, or the object is none of these.
    """
    if isinstance(method, str):
        return _named(method)
    if isinstance(method, RungeKutta | CustomMethod):
        return method
    if callable(method):
        return CustomMethod(method, getattr(method, "__name__", "custom method"))
    raise InvalidMethod(
        f"method is {method!r}; it must be a method such as GradientDescent(), one of the names "
        f"{', '.join(NAMED)}, or an update rule (theta, f, h) -> theta"
    )


def _named(name: str) -> RungeKutta:
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key in NAMED:
        return NAMED[key]()
    near = difflib.get_close_matches(key, NAMED, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InvalidMethod(f"unknown method {name!r}: {hint}known are {', '.join(NAMED)}")
