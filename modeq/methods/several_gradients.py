"""Optimizers that take several gradients in one step, or a mean over random steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from modeq.checks import shortened, whole
from modeq.errors import InvalidMethod
from modeq.methods.functions import direction
from modeq.methods.optimizer import (
    NOT_NEGATIVE,
    POSITIVE,
    Interval,
    Optimizer,
    State,
    checks_names,
    with_parameters,
)
from modeq.methods.tableaux import RungeKutta
from modeq.methods.tableaux_by_name import NAMED as NAMED_TABLEAUX


@checks_names
def OptimisticGradient(alpha: Any = 1, beta: Any = 1) -> Optimizer:
    """Return the optimistic gradient method, which extrapolates the last two gradients.

        θ⁺ = θ - h ((α + β) g - β g₋),        g = ∇L(θ), g₋ the gradient at the step before,

    and g₋ = g at the first step. It follows -α g. With α = 1 this is the two-step method
    θ_{m+2} = θ_{m+1} + h ((1+β) f_{m+1} - β f_m), Adams-Bashforth's for β = 1/2.

    Args:
        alpha: α.
        beta: β.

    Raises:
        InvalidMethod: α is not positive, or β is negative.

    Example:
        >>> OptimisticGradient().memory
        ('last', 'started')

    References:
        Mokhtari, Ozdaglar, Pattathil, A unified analysis of extra-gradient and optimistic gradient
        methods for saddle point problems (2020), equation 4, and equation 12 for α and β.
    """
    return with_parameters(
        _optimistic,
        ["last", "started"],
        "optimistic gradient",
        {"alpha": POSITIVE, "beta": NOT_NEGATIVE},
        alpha=alpha,
        beta=beta,
    )


def _optimistic(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g = grad(state.theta)
    last = state.last + (1 - state.started) * g
    step = (p.alpha + p.beta) * g - p.beta * last
    return state.replace(theta=state.theta - h * step, last=g, started=0 * state.started + 1)


@checks_names
def Extragradient() -> RungeKutta:
    """Return the extragradient method θ⁺ = θ + h f(θ + h f(θ)), which is a tableau.

    >>> [str(weight) for weight in Extragradient().b]
    ['0', '1']

    References:
        Korpelevich, The extragradient method for finding saddle points and other problems (1976).
    """
    return NAMED_TABLEAUX["extragradient"]()


@checks_names
def Lookahead(
    steps: int = 5, alpha: Any = Fraction(1, 2), inner: Optimizer | None = None
) -> Optimizer:
    """Return lookahead: k steps of an optimizer, of which the fraction α is kept.

        φ₀ = θ,     φ_{i+1} = φᵢ - h ∇L(φᵢ),     θ⁺ = θ + α (φ_k - θ)

    or with the steps of another optimizer, whose memory goes on from each outer step to the next.

    One step of the method is one of these outer steps, and takes the time h, where h is the
    learning rate of the inner steps: the outer clock. So it follows -α k g, and iterate j is at the
    time j h. In the inner clock an outer step takes the time k h: divide the field by k.

    Args:
        steps: The number k of inner steps.
        alpha: α.
        inner: The optimizer that makes the inner steps; without it gradient descent.

    Raises:
        InvalidMethod: k is not a positive integer, α is not in (0, 1], or the inner optimizer is
            none, or is lookahead itself.

    Example:
        >>> from modeq.methods.optimizer import State
        >>> Lookahead(2).step(State(theta=1.0), lambda x: x, 0.5, float).theta  # 1 - (1 - 1/4)/2
        0.625
        >>> from modeq.methods.momentum import SGD
        >>> print(Lookahead(2, inner=SGD(momentum=0.5)))
        lookahead on SGD

    References:
        Zhang, Lucas, Hinton, Ba, Lookahead optimizer: k steps forward, 1 step back (2019),
        Algorithm 1.
    """
    is_optimizer = isinstance(inner, Optimizer) and inner.rule is not _lookahead
    if inner is not None and not is_optimizer:
        shown = inner if isinstance(inner, Optimizer | str) else shortened(inner)
        raise InvalidMethod(
            f"inner of lookahead is {shown}; it must be an optimizer other than lookahead, such "
            f"as SGD(momentum=0.9) or Adam()"
        )
    name = "lookahead" if inner is None else f"lookahead on {inner}"
    ranges = {"alpha": Interval(0, 1, closed_high=True)}
    outer = with_parameters(_lookahead, [], name, ranges, alpha=alpha)
    outer = replace(outer, options=(("steps", whole(steps, "steps of lookahead")),))
    return outer if inner is None else _around(outer, inner)


def _around(outer: Optimizer, inner: Any) -> Optimizer:
    """Return lookahead on an optimizer, with its memory, and with the parameters of both."""
    return replace(
        outer,
        memory=inner.memory,
        parameters=(*outer.parameters, *_as_inner(inner.parameters)),
        options=(*outer.options, (f"{_INNER}rule", inner.rule), *_as_inner(inner.options)),
        ranges=(*outer.ranges, *_as_inner(inner.ranges)),
    )


_INNER = "inner_"
"""What the names of the parameters of the inner optimizer begin with: both may have an alpha."""


def _as_inner(pairs: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(_INNER + name, value) for name, value in pairs]


def _lookahead(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    own = {name.removeprefix(_INNER): v for name, v in vars(p).items() if name.startswith(_INNER)}
    step = own.pop("rule", _descend)
    fast = state
    for _ in range(p.steps):
        fast = step(fast, grad, h, SimpleNamespace(**own))
    return fast.replace(theta=state.theta + p.alpha * (fast.theta - state.theta))


def _descend(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    return state.replace(theta=state.theta - h * grad(state.theta))


@checks_names
def SAM(rho: Any = None, *, rho_over_h: Any = None) -> Optimizer:
    """Return sharpness-aware minimization: the gradient at a point that is uphill.

        θ⁺ = θ - h ∇L(θ + ρ g/|g|),        g = ∇L(θ)

    With a constant ρ it follows -∇L(θ + ρ g/|g|). With ρ = r h, as a multiple of the learning rate,
    it follows -∇L and descends on L + (h/4) |g|² + r h |g| in the order h.

    Args:
        rho: The radius ρ as a constant, 1/20 if neither is given.
        rho_over_h: The ratio r = ρ/h, instead of ``rho``.

    Raises:
        InvalidMethod: Both are given, or one is negative.

    Example:
        >>> SAM(rho_over_h=0.5).parameters
        (('rho_over_h', Fraction(1, 2)),)

    References:
        Foret, Kleiner, Mobahi, Neyshabur, Sharpness-aware minimization (2021), equations 2 and 3;
        Compagnoni et al., An SDE for modeling SAM (2023), for the order h.
    """
    return _sam_with(_sam, "SAM", rho, rho_over_h)


@checks_names
def UnnormalizedSAM(rho: Any = None, *, rho_over_h: Any = None) -> Optimizer:
    """Return sharpness-aware minimization without the norm, θ⁺ = θ - h ∇L(θ + ρ ∇L(θ)).

    With ρ = r h it follows -∇L and descends on L + (h/4 + r h/2) |g|² in the order h. It is smooth
    everywhere. The parameters are those of ``SAM``.

    Example:
        >>> UnnormalizedSAM().parameters
        (('rho', Fraction(1, 20)),)

    References:
        Andriushchenko, Flammarion, Towards understanding sharpness-aware minimization (2022).
    """
    return _sam_with(_unnormalized_sam, "unnormalized SAM", rho, rho_over_h)


def _sam_with(rule, name: str, rho: Any, rho_over_h: Any) -> Optimizer:
    if rho is not None and rho_over_h is not None:
        raise InvalidMethod(
            f"{name} has rho = {rho} and rho_over_h = {rho_over_h}; give one of them"
        )
    if rho_over_h is not None:
        values = {"rho_over_h": rho_over_h}
    else:
        values = {"rho": Fraction(1, 20) if rho is None else rho}
    return with_parameters(rule, [], name, dict.fromkeys(values, NOT_NEGATIVE), **values)


def _sam(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    ascent = _radius(h, p) * direction(grad(state.theta))
    return state.replace(theta=state.theta - h * grad(state.theta + ascent))


def _unnormalized_sam(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    ascent = _radius(h, p) * grad(state.theta)
    return state.replace(theta=state.theta - h * grad(state.theta + ascent))


def _radius(h: Any, p: SimpleNamespace) -> Any:
    return h * p.rho_over_h if hasattr(p, "rho_over_h") else p.rho


@checks_names
def StochasticCoordinateDescent() -> Optimizer:
    """Return the mean of a step along one coordinate, drawn with equal chances from all d.

        θ⁺ = θ - (h/d) ∇L(θ)

    This is the mean of the next iterate, given the present one. On quadratic losses, where the step
    is linear, the means of all iterates follow it exactly; on others there are also terms from
    their spread. A step takes the time h, so the flow is d times slower than gradient flow.

    Example:
        >>> import numpy as np
        >>> from modeq.methods.optimizer import State
        >>> start = State(theta=np.array([1.0, 2.0]))
        >>> StochasticCoordinateDescent().step(start, lambda x: x, 0.5, float).theta
        array([0.75, 1.5 ])

    References:
        Nesterov, Efficiency of coordinate descent methods on huge-scale optimization problems
        (2012).
    """
    return with_parameters(_mean_coordinate, [], "mean of stochastic coordinate descent", {})


def _mean_coordinate(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    return state.replace(theta=state.theta - h * grad(state.theta) / len(state.theta))
