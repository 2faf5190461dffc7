"""When gradient flow is enough: learning rates with a proof.

Claim (Elkabetz and Cohen 2021). With β_t, γ_t the suprema of ‖∇²L‖, ‖∇L‖ over the ε-tube around
gradient flow on [0, t], and m ≤ λ_min(∇²L) in it, gradient descent stays within ε of the flow if

    h < inf_{t ≤ T} ε / (β_t γ_t ∫₀ᵗ exp(-∫_{t'}^t m ds) dt').

On a convex loss that is at least ε/(βγT), on a μ-strongly convex one με/(βγ) for all time, and on a
saddle -y²/2 it must shrink like e^{-T}. The same holds for the flow of order n with its own defect,
where h may be of the order ε^{1/(n+1)} (derived here). Suprema and trajectories are enclosed by
interval arithmetic, so each number printed here is a theorem about that loss and start.
"""

import math
import sys
from pathlib import Path

import numpy as np

import modeq
from modeq.bounds.bounds import (
    convex_bound,
    saddle_bound,
    saddle_limit,
    strongly_convex_bound,
)
from modeq.show.figures import save
from modeq.show.plots import panel

TOLERANCE = 0.02
CASES = (("double-well", 1.0), ("two-layer", 1.0), ("cosine", 1.5), ("rosenbrock", 0.002))


def show_corollaries() -> None:
    """Compare the bound with its corollaries where these are known in closed form."""
    bowl = modeq.gradient_flow_bound("x**2 + y**2/2", [1, 1], time=3, tolerance=TOLERANCE)
    beta, gamma = 2.0, math.hypot(2 + 2 * TOLERANCE, 1 + TOLERANCE)
    convex = convex_bound(beta, gamma, time=3, tolerance=TOLERANCE)
    strongly = strongly_convex_bound(1.0, beta, gamma, tolerance=TOLERANCE)
    print(f"bowl: {bowl}\n  convex {convex:.3e}, strongly convex {strongly:.3e}")
    assert convex < bowl.max_learning_rate
    assert strongly < bowl.max_learning_rate
    for time in (1, 2, 3):
        bound = modeq.gradient_flow_bound("-y**2/2", [1], time=time, tolerance=TOLERANCE)
        closed = saddle_bound(1, time=time, tolerance=TOLERANCE)
        limit = saddle_limit(1, time=time, tolerance=TOLERANCE)
        print(
            f"saddle, T = {time}: certified {bound.max_learning_rate:.3e}, closed form "
            f"{closed:.3e}, no h above {limit:.3e}"
        )
        assert 0.8 * closed < bound.max_learning_rate <= closed < limit


def worst_error(loss: modeq.Loss, h: float, time: float, order: int) -> float:
    """Return the largest distance of gradient descent from a flow."""
    steps = max(1, math.floor(time / h))
    comparison = modeq.compare(loss, h=h, steps=steps, orders=(order,))
    return float(np.max(comparison.errors[order]))


def show_bounds() -> None:
    """Print certified learning rates, and the errors measured at them."""
    print(f"\nallowed error {TOLERANCE}\nproblem       order   h         measured error")
    for name, time in CASES:
        loss = modeq.problems.named(name)
        for order in (0, 1):
            bound = modeq.gradient_flow_bound(loss, time=time, tolerance=TOLERANCE, order=order)
            h = 0.999 * bound.max_learning_rate
            error = worst_error(loss, h, time, order)
            print(f"{name:13} {order:5d}   {h:.2e}  {error:.2e}")
            assert bound.certified
            assert error <= TOLERANCE


def main(pictures: Path | None = None) -> None:
    """Print bounds, corollaries and measured errors."""
    show_corollaries()
    show_bounds()
    if pictures is not None:
        bound = modeq.gradient_flow_bound("cos(x)", [0.3], time=4, tolerance=TOLERANCE)
        save(panel(bound.draw), pictures / "gradient_flow_bound.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
