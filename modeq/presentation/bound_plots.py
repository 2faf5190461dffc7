"""A picture of why gradient descent stays near a flow: curvature, and what it makes of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeq.bounds.flow_bound import FlowBound
from modeq.show.figures import new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@own_style()
def bound_figure(bound: FlowBound) -> Figure:
    """Return a picture of λ_min(t), of exp(-∫λ_min) and of what errors grow to.

    >>> from modeq.bounds.bounds import gradient_flow_bound
    >>> bound = gradient_flow_bound("x**2/2", [1.0], time=1, tolerance=0.1, certify=False)
    >>> [axes.get_title() for axes in bound_figure(bound).axes]
    ['curvature along the flow', 'growth of errors']
    """
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    left.stairs(bound.lambda_min, bound.t, baseline=None)
    left.axhline(0, color="0.7", lw=0.8)
    left.set(xlabel="t", ylabel=r"$m(t) \leq \lambda_{min}$", title="curvature along the flow")
    right.plot(bound.t, bound.factor, label=r"$\exp(-\int_0^t m)$")
    right.plot(bound.t, bound.growth, label=r"$\int_0^t \exp(-\int_{t'}^t m)\,dt'$")
    right.set(xlabel="t", title="growth of errors")
    right.legend()
    how = "certified" if bound.certified else "sampled"
    figure.suptitle(f"h < {bound.max_learning_rate:.4g} for error {bound.tolerance:.4g} ({how})")
    return figure
