"""How small h must be for gradient descent to stay near a flow, as theorems with numbers.

*Theorem* (Elkabetz and Cohen 2021). With gradient flow θ on [0, T], ε > 0, β_t and γ_t suprema of
‖∇²L‖ and ‖∇L‖ over the ε-tube around θ([0, t]), and m(s) ≤ λ_min(∇²L) on the ε-ball at θ(s), if

    h < inf_{t ≤ T} ε / (β_t γ_t ∫₀ᵗ exp(-∫_{t'}^t m(s) ds) dt'),

then ‖θ(kh) - θ_k‖ ≤ ε for all k ≤ T/h.

*For the flow of order n* (derived here). With the one-step defect ‖Φ_h - φ_h‖ ≤ M h^{n+2} in the
tube around that flow, and m for its own field, the same holds where

    h^{n+1} M exp(h max(0, max m)) ∫₀ᵗ exp(-∫_{t'}^t m(s) ds) dt' < ε.

Suprema are certified by interval arithmetic along a validated trajectory, or else sampled; the
result says which. A bound from samples may be too large.

For convex losses, and at a saddle, the theorem has a closed form.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from modeq.bounds.balls import NotEnclosed
from modeq.bounds.certified import CertifiedBound
from modeq.bounds.flow_bound import LARGEST_RATE, Demand, FlowBound
from modeq.bounds.sampled import SampledBound
from modeq.checks import as_points, check_order, check_positive, check_tolerance, shortened
from modeq.errors import FlowError, InvalidPoint
from modeq.flows.compare import start_of
from modeq.flows.integrate import check_start
from modeq.losses.expressions import exact_values
from modeq.losses.loss import as_field


def gradient_flow_bound(
    loss: Any,
    theta0: Any = None,
    *,
    time: float,
    tolerance: float,
    order: int = 0,
    certify: bool = True,
    parameters: Mapping | None = None,
) -> FlowBound:
    """Return a learning rate below which gradient descent follows a flow, with a proof.

    Args:
        loss: A loss, or a vector field, for Euler's method.
        theta0: The start, of shape (d,); for the losses of ``modeq.problems`` it may be left out.
        time: How long, in units of steps·h.
        tolerance: The distance ε that is allowed.
        order: The order n of the flow; 0 is gradient flow.
        certify: Whether to prove it; without that suprema are sampled, which is faster.
        parameters: Values of the parameters, by symbol or name.

    Where a proof is not found, the suprema are sampled and ``reason`` says why.

    Raises:
        FlowError: The flow leaves the domain, or blows up.
        InvalidValue: The time or the tolerance is not a positive finite number.
        InvalidPoint, InvalidOrder, MissingParameter: The arguments cannot be right.

    >>> bound = gradient_flow_bound("x**2/2", [1.0], time=1, tolerance=0.01)
    >>> print(bound)
    h < 0.0156...: the flow of order 0 stays within 0.01 of gradient descent until t = 1
    (certified by interval arithmetic)
    """
    loss, order = as_field(loss), check_order(order)
    time, tolerance = check_positive("time", time), check_tolerance(tolerance)
    values = exact_values(parameters, loss.parameters)
    start = check_start(start_of(loss, theta0), loss, values)
    demand = Demand(loss, start, time, tolerance, order, values)
    sampled = SampledBound(demand).bound()
    if not certify:
        return sampled
    try:
        return CertifiedBound(demand).bound(sampled.max_learning_rate)
    except (NotEnclosed, FlowError) as error:
        return replace(sampled, reason=str(error))


SMALL, TERMS = 0.01, 10
"""Up to where a logarithm is summed as a series, and how many terms of it."""


def convex_bound(beta: float, gamma: float, *, time: float, tolerance: float) -> float:
    """Return ε/(βγT): for a convex loss, the h below which ‖θ(kh) - θ_k‖ ≤ ε for all k ≤ T/h.

    >>> convex_bound(1.0, 2.0, time=5, tolerance=0.1)
    0.01
    """
    beta, gamma = check_positive("beta", beta), check_positive("gamma", gamma)
    return _quotient((check_tolerance(tolerance),), (beta, gamma, check_positive("time", time)))


def strongly_convex_bound(mu: float, beta: float, gamma: float, *, tolerance: float) -> float:
    """Return με/(βγ): for a μ-strongly convex loss, the h that is small enough for all time.

    >>> strongly_convex_bound(0.5, 1.0, 2.0, tolerance=0.1)
    0.025
    """
    mu, beta, gamma = (
        check_positive(name, value)
        for name, value in (("mu", mu), ("beta", beta), ("gamma", gamma))
    )
    return _quotient((mu, check_tolerance(tolerance)), (beta, gamma))


def saddle_bound(start: float, *, time: float, tolerance: float) -> float:
    """Return ε/((|y₀|e^T + ε)(e^T - 1)): the theorem for L = -y²/2, along which flows separate.

    >>> round(saddle_bound(1.0, time=2.0, tolerance=0.1), 6)
    0.00209
    """
    size, time, tolerance = _size(start), check_positive("time", time), check_tolerance(tolerance)
    # Over e^2T, so that nothing is too large for a float.
    left = tolerance * math.exp(-time)
    largest = min(size + left, sys.float_info.max)
    above, below = (left, math.exp(-time)), (largest, -math.expm1(-time))
    return _quotient(above, below) if largest else _quotient(above[1:], below[1:])


def saddle_limit(start: float, *, time: float, tolerance: float) -> float:
    """Return the h at which |y₀|(e^T - (1+h)^{T/h}) = ε on L = -y²/2: no larger h will do at T.

    It shrinks like e^{-T}: there is no bound without that factor. From 0 nothing moves.

    >>> h = saddle_limit(1.0, time=2.0, tolerance=0.1)
    >>> round(h, 4), abs(math.exp(2) - (1 + h) ** (2 / h)) - 0.1 < 1e-9
    (0.0138, True)
    """
    size, time, tolerance = _size(start), check_positive("time", time), check_tolerance(tolerance)
    low, high = 0.0, LARGEST_RATE
    allowed = tolerance * math.exp(-time)

    def error(h: float) -> float:
        return -size * math.expm1(time * _slower(h))

    if error(high) <= allowed:
        return math.inf
    if allowed < sys.float_info.min:
        return 0.0  # it is smaller than floats are
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if error(middle) <= allowed else (low, middle)
    return low


def _quotient(above: Iterable[float], below: Iterable[float]) -> float:
    """Return a quotient of products, none of which is too large or too small for a float."""
    value = math.prod(map(Fraction, above)) / math.prod(map(Fraction, below))
    return float(value) if value <= sys.float_info.max else math.inf


def _slower(h: float) -> float:
    """Return log(1 + h)/h - 1, to all digits where that is small."""
    if h > SMALL:
        return math.log1p(h) / h - 1
    return sum((-h) ** k / (k + 1) for k in range(1, TERMS))


def _size(start: float) -> float:
    """Return the distance of a start from the saddle."""
    [value] = as_points([start], 1)
    if isinstance(value, complex) or not math.isfinite(value):
        raise InvalidPoint(f"the start is {shortened(start)}; it must be a finite real number")
    return abs(float(value))
