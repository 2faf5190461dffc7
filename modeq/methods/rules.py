"""Update rules: one step of a method, written once and run over any arithmetic.

A rule is a function ``rule(theta, f, h)`` that returns the state after one step, and uses nothing
but +, multiplication by a scalar, and ``f(.)``. What it runs over decides what comes out: arrays
give the optimizer itself, power series the step as a series in h, B-series universal coefficients.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from modeq.errors import DidNotConverge, InvalidMethod

_State = TypeVar("State")
Rule = Callable[[_State, Callable[[_State], _State], object], _State]
MemoryRule = Callable[[Sequence[_State], Callable[[_State], _State], object], _State]

_MAX_SWEEPS = 200
_ROUNDING = 1e-15
"""Relative changes of floats below this are not waited out."""


def runge_kutta(A: Sequence[Sequence], b: Sequence) -> Rule:
    """Return the rule of a Runge-Kutta tableau, explicit or implicit.

        kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ),        θ⁺ = θ + h Σᵢ bᵢ kᵢ.

    (Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.1, equation 1.8.)

    >>> heun = runge_kutta([[0, 0], [1, 0]], [0.5, 0.5])
    >>> heun(1.0, lambda x: -x, 0.1)
    0.905
    """
    if is_explicit(A):
        return lambda theta, f, h: advance(theta, h, b, _explicit_stages(A, theta, f, h))
    return lambda theta, f, h: advance(theta, h, b, _implicit_stages(A, theta, f, h))


def is_explicit(A: Sequence[Sequence]) -> bool:
    """Tell whether every stage uses earlier stages only.

    >>> is_explicit([[0, 0], [1, 0]]), is_explicit([[1]])
    (True, False)
    """
    return all(entry == 0 for i, row in enumerate(A) for entry in row[i:])


def advance(theta: _State, h, weights: Sequence, slopes: Sequence[_State]) -> _State:
    """Return θ + h Σ wᵢ kᵢ, without the terms of weight zero.

    >>> advance(1.0, 0.5, [0, 2], [None, 3.0])
    4.0
    """
    terms = [weight * k for weight, k in zip(weights, slopes, strict=True) if weight != 0]
    return theta + h * sum(terms[1:], terms[0]) if terms else theta


def linear_multistep(alpha: Sequence, beta: Sequence, points: Sequence[Sequence]) -> MemoryRule:
    """Return the rule of a method with memory in the general linear form,

        Σⱼ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_{lj} θ_{m+j}),        j = 0, …, k,

    as a function ``rule(history, f, h)`` of the last k states, the oldest first.

    >>> leapfrog = linear_multistep([-1, 0, 1], [2], [[0, 1, 0]])
    >>> leapfrog([1.0, 0.9], lambda x: -x, 0.1)
    0.82
    """
    scale = 1 / alpha[-1]
    pairs = [(weight, row) for weight, row in zip(beta, points, strict=True) if weight != 0]
    known = [(weight, row) for weight, row in pairs if row[-1] == 0]
    unknown = [(weight, row) for weight, row in pairs if row[-1] != 0]

    def rule(history, f, h):
        slopes = [f(_combination(row[:-1], history)) for _, row in known]
        base = _combination([-scale * weight for weight in alpha[:-1]], history)
        base = advance(base, h * scale, [weight for weight, _ in known], slopes)
        if not unknown:
            return base
        weights = [weight for weight, _ in unknown]

        def sweep(stages):
            new = [*history, advance(base, h * scale, weights, stages)]
            return tuple(f(_combination(row, new)) for _, row in unknown)

        solve = getattr(f, "fixed_point", fixed_point)
        return advance(base, h * scale, weights, solve(sweep, (f(history[-1]),) * len(unknown)))

    return rule


def _combination(weights: Sequence, states: Sequence[_State]) -> _State:
    """Return Σ wⱼ θⱼ, without the terms of weight zero, of which not all are."""
    terms = [weight * state for weight, state in zip(weights, states, strict=True) if weight != 0]
    return sum(terms[1:], terms[0])


def _explicit_stages(A, theta, f, h) -> list:
    stages = []
    for i, row in enumerate(A):
        stages.append(f(advance(theta, h, row[:i], stages)))
    return stages


def _implicit_stages(A, theta, f, h) -> tuple:
    """Solve kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ), in the way that the arithmetic of f knows best."""

    def sweep(stages):
        return tuple(f(advance(theta, h, row, stages)) for row in A)

    solve = getattr(f, "fixed_point", fixed_point)
    return solve(sweep, (f(theta),) * len(A))


def fixed_point(sweep: Callable[[tuple], tuple], start: tuple) -> tuple:
    """Repeat ``sweep`` until nothing changes, as happens when series are cut at some power of h,
    or until floats change by rounding only.

    Raises:
        DidNotConverge: Nothing has settled after many sweeps.

    >>> fixed_point(lambda x: (min(x[0] + 1, 5),), (0,))
    (5,)
    >>> fixed_point(lambda x: (0.1 * (1 - x[0]),), (0.0,))
    (0.09090909090909...,)
    """
    for _ in range(_MAX_SWEEPS):
        following = sweep(start)
        if all(map(_is_settled, following, start)):
            return following
        start = following
    raise DidNotConverge(f"the implicit stages did not settle in {_MAX_SWEEPS} sweeps")


def _is_settled(new: Any, old: Any) -> bool:
    """Tell whether nothing has changed, or floats and arrays only by rounding."""
    if isinstance(new, float | complex) or hasattr(new, "dtype"):
        settled = abs(new - old) <= _ROUNDING * (1 + abs(new))
    else:
        settled = new == old
    return settled.all() if hasattr(settled, "all") else settled


def parts_of(f: Any, colors: int) -> Sequence:
    """Return the parts of a field in parts, if there are as many as a method treats differently.

    Raises:
        InvalidMethod: There are more or fewer.

    >>> class Oscillator:
    ...     parts = (lambda z: -z.imag, lambda z: 1j * z.real)
    >>> len(parts_of(Oscillator, 2))
    2
    """
    parts = getattr(f, "parts", ())
    if len(parts) != colors:
        found = f"is in {len(parts)} parts" if parts else "is in one piece"
        raise InvalidMethod(
            f"the method treats {colors} parts of a field differently, but the field {found}; "
            f'split it by its variables, field.split("p", "q"), or give SplitField([f0, f1, ...])'
        )
    return parts
