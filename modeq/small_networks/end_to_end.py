"""What the product of a balanced deep linear network does along gradient flow, in two numbers."""

from __future__ import annotations

from numbers import Real

import numpy as np

from modeq.errors import InvalidValue
from modeq.flows.flow import Trajectory, check_steps, integrate
from modeq.flows.numeric import check_step
from modeq.flows.tolerances import check_count, check_positive


def end_to_end_flow(
    depth: int, length: float, cosine: float, *, h: float, steps: int
) -> Trajectory:
    """Return r and ν along gradient flow of a balanced network, at t = 0, h, 2h, …

    r' = N r^{2-2/N} (ν - r), ν' = r^{1-2/N} (1 - ν²), for ½‖w - Λ‖² with ‖Λ‖ = 1, w = r ŵ and
    ν = ⟨ŵ, Λ⟩; ``theta`` holds r and ν (Elkabetz and Cohen 2021). The network is balanced, with
    whitened data and one output.

    Args:
        depth: The number N of matrices.
        length: r at the start, > 0.
        cosine: ν at the start.
        h: The time between two points.
        steps: How many points beyond the start.

    Raises:
        InvalidValue: The depth, the length or the cosine cannot be right.

    >>> end_to_end_flow(2, 0.5, 1.0, h=10.0, steps=1).theta[-1].round(6).tolist()
    [1.0, 1.0]
    """
    depth, length = check_count("depth", depth), check_positive("length", length)
    if not isinstance(cosine, Real) or not -1 <= cosine <= 1:
        raise InvalidValue(f"cosine is {cosine!r}; it must be a number between -1 and 1")

    def rhs(state: np.ndarray) -> np.ndarray:
        r, nu = state
        r = max(r, 0.0)
        return np.array(
            [depth * r ** (2 - 2 / depth) * (nu - r), r ** (1 - 2 / depth) * (1 - nu**2)]
        )

    return integrate(rhs, np.array([length, float(cosine)]), check_step(h), check_steps(steps))
