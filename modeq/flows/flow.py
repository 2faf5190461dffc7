"""What a flow is: the one protocol of all flows that are compared with an optimizer.

A class of one's own is a flow if it has a name and a solution:

    class Halved:
        \"\"\"Gradient flow of half the loss, as an example.\"\"\"

        name = "half"

        def solve(self, theta0, *, h, steps, parameters=None):
            ...
            return Trajectory(t, theta)       # at t = 0, h, …, steps·h

and takes part in ``modeq.compare(loss, theta0, h=…, flows=[0, 1, Halved()])``. What else it may
have stands below; ``order n`` of a loss and a method is one, and so are the principal flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from modeq.derivation.derive import ModifiedField
from modeq.flows.integrate import Trajectory, solve


@runtime_checkable
class Flow(Protocol):
    """A flow of a loss and a method.

    Attributes:
        name: What it is called in tables and legends.

    It may have these as well, and is asked for them with what stands behind them:

        every (1): It meets the optimizer at t = 0, every·h, 2·every·h, … only.
        is_average (False): It follows (θ_{m-1} + 2θ_m + θ_{m+1})/4, the optimizer without its
            oscillation, and not the iterates.
        loss, method: Of which loss and method it is; another optimizer is refused.
        field(theta, h): θ' at points of shape (..., d).

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.tableaux_by_name import GradientDescent
    >>> isinstance(OrderFlow(derive_field(Loss("x**2"), 0, GradientDescent())), Flow)
    True
    """

    name: str

    def solve(
        self, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
    ) -> Trajectory:
        """Return the solution from θ₀ at t = 0, h, …, steps·h.

        Raises:
            FlowError: It ends before.
        """


class OrderFlow:
    """The flow with counter terms up to hⁿ.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.tableaux_by_name import GradientDescent
    >>> flow = OrderFlow(derive_field(Loss("x**2/2"), 1, GradientDescent()))
    >>> flow.name, flow.solve([1.0], h=0.5, steps=1).theta[-1].round(3).tolist()
    ('order 1', [0.535])
    """

    def __init__(self, modified: ModifiedField):
        self.modified = modified
        self.loss = modified.loss
        self.method = modified.method
        self.order = modified.order
        self.name = f"order {modified.order}"

    def solve(
        self, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
    ) -> Trajectory:
        """Return the solution from θ₀; see ``Flow``."""
        return solve(self.modified, theta0, h, steps, parameters)
