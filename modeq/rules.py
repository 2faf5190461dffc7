"""Update rules: one step of a method, written once and run over any arithmetic.

A rule is a function ``rule(theta, f, h)`` that returns the state after one step, and uses nothing
but +, multiplication by a scalar, and ``f(.)``. What it runs over decides what comes out: arrays
give the optimizer itself, power series the step as a series in h, B-series universal coefficients.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from modeq.errors import DidNotConverge

State = TypeVar("State")
Rule = Callable[[State, Callable[[State], State], object], State]

MAX_SWEEPS = 200


def runge_kutta(A: Sequence[Sequence], b: Sequence) -> Rule:
    """Return the rule of a Runge-Kutta tableau, explicit or implicit.

        kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ),        θ⁺ = θ + h Σᵢ bᵢ kᵢ.

    (Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.1, equation 1.8.)

    >>> heun = runge_kutta([[0, 0], [1, 0]], [0.5, 0.5])
    >>> heun(1.0, lambda x: -x, 0.1)
    0.905
    """
    if is_explicit(A):
        return lambda theta, f, h: _advance(theta, h, b, _explicit_stages(A, theta, f, h))
    return lambda theta, f, h: _advance(theta, h, b, _implicit_stages(A, theta, f, h))


def is_explicit(A: Sequence[Sequence]) -> bool:
    """Tell whether every stage uses earlier stages only.

    >>> is_explicit([[0, 0], [1, 0]]), is_explicit([[1]])
    (True, False)
    """
    return all(entry == 0 for i, row in enumerate(A) for entry in row[i:])


def _advance(theta: State, h, weights: Sequence, slopes: Sequence[State]) -> State:
    """Return θ + h Σ wᵢ kᵢ, without the terms of weight zero."""
    terms = [weight * k for weight, k in zip(weights, slopes, strict=True) if weight != 0]
    return theta + h * sum(terms[1:], terms[0]) if terms else theta


def _explicit_stages(A, theta, f, h) -> list:
    stages = []
    for i, row in enumerate(A):
        stages.append(f(_advance(theta, h, row[:i], stages)))
    return stages


def _implicit_stages(A, theta, f, h) -> tuple:
    """Solve kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ), in the way that the arithmetic of f knows best."""

    def sweep(stages):
        return tuple(f(_advance(theta, h, row, stages)) for row in A)

    solve = getattr(f, "fixed_point", fixed_point)
    return solve(sweep, (f(theta),) * len(A))


def fixed_point(sweep: Callable[[tuple], tuple], start: tuple) -> tuple:
    """Repeat ``sweep`` until nothing changes, as happens when series are cut at some power of h.

    Raises:
        DidNotConverge: Nothing has settled after many sweeps.

    >>> fixed_point(lambda x: (min(x[0] + 1, 5),), (0,))
    (5,)
    """
    for _ in range(MAX_SWEEPS):
        following = sweep(start)
        if following == start:
            return following
        start = following
    raise DidNotConverge(f"the implicit stages did not settle in {MAX_SWEEPS} sweeps")
