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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modeq.accuracy.balls import NotEnclosed
from modeq.accuracy.certified_bounds import CertifiedBound
from modeq.accuracy.flow_bounds import Demand, FlowBound
from modeq.accuracy.sampled_bounds import SampledBound
from modeq.checks import check_order
from modeq.errors import FlowError
from modeq.flows.comparison import start_of
from modeq.flows.flow import check_start
from modeq.flows.tolerances import check_positive, check_tolerance
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
