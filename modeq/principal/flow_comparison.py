"""Every flow beside the optimizer: truncated, resummed, of several steps, and central."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeq.algebra.trees import check_order
from modeq.derivation.derive import derive_field
from modeq.derivation.loss import Field, as_field
from modeq.errors import FlowError, InvalidMethod, InvalidPoint
from modeq.flows.comparison import error_rows, error_table, start_and_step
from modeq.flows.flow import check_start, check_steps, solve
from modeq.flows.iterates import iterate
from modeq.flows.numeric import check_step
from modeq.methods.named import LinearMultistep, Method, method_for
from modeq.principal.central import averaged, central_flow
from modeq.principal.principal import principal_flow
from modeq.principal.recurrence import recurrence_of
from modeq.shown import Shown

CENTRAL = "central"


@dataclass(frozen=True)
class FlowComparison(Shown):
    """The optimizer and its flows, each by its name.

    Attributes:
        t: Times 0, h, 2h, … of shape (steps + 1,).
        iterates: The optimizer, of shape (steps + 1, d).
        flows: {name: points of shape (steps + 1, d)}; of complex flows the real part.
        errors: {name: distances from the iterates, of shape (steps + 1,)}. Those of s steps
            composed are nan but at t = 0, sh, 2sh, …; those of the central flow are distances from
            ``averages``.
        failures: {name: why that flow could not be followed}.
        averages: (θ_{m-1} + 2θ_m + θ_{m+1})/4, the optimizer without its oscillation, of the same
            shape; the first is the start, and without the central flow the last is the last.
        loss: The loss or vector field.
        h: The learning rate.
    """

    t: np.ndarray
    iterates: np.ndarray
    flows: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    failures: dict[str, str]
    averages: np.ndarray
    loss: Field = field(repr=False)
    h: float

    @property
    def best(self) -> str:
        """The name of the flow whose largest error is smallest."""
        rows = error_rows(self.errors)
        return min(rows, key=lambda name: (np.isnan(rows[name][1]), rows[name][1]))

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row for each flow that could be followed."""
        return [
            {"flow": name, **dict(zip(("first", "largest", "final"), row, strict=True))}
            for name, row in error_rows(self.errors).items()
        ]

    def __str__(self) -> str:
        return error_table("flow", self.errors, self.failures)


def compare_flows(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int = 20,
    orders: Sequence[int] = (0, 1, 2, 3),
    corrections: Sequence[int] = (0, 1),
    composed: Sequence[int] = (),
    central: bool = False,
    method: Any = None,
    parameters: Mapping | None = None,
) -> FlowComparison:
    """Run the optimizer and all its flows, and measure how far apart they are.

    Args:
        loss: A loss or vector field, or a text.
        theta0: The start; that of the problem if the loss is one of ``modeq.problems``.
        h: The learning rate; the same.
        steps: The number of steps.
        orders: n for each flow with counter terms up to hⁿ: "order n".
        corrections: k for each principal flow with corrections: "principal", "principal + k".
        composed: s for each flow of s steps taken as one, with all the corrections: "2 steps",
            "2 steps + k". It meets the iterates at t = 0, sh, 2sh, …
        central: Whether the central flow of gradient descent takes part, as "central"; it is
            compared with the averages over the oscillation.
        method: Gradient descent unless given.
        parameters: Values of symbols.

    A flow that blows up, or that does not exist at this h, is named in ``failures``. A method with
    memory starts on the last flow of single steps.

    Raises:
        InvalidMethod: The central flow is asked for with another method than gradient descent, or
            the chains of the method are not summed.
        InvalidPoint, InvalidStep, InvalidValue, MissingParameter: The arguments cannot be right.

    >>> print(compare_flows("x**2/2", [1.0], h=0.5, steps=4, orders=(0, 1), corrections=(0,)))
    flow        first error   largest error   final error
    order 0       1.065e-01       1.179e-01     7.284e-02
    order 1       3.526e-02       3.650e-02     1.958e-02
    principal   ...
    """
    loss = as_field(loss)
    method = method_for(loss, method)
    theta0, h = start_and_step(loss, theta0, h)
    h, steps = check_step(h), check_steps(steps)
    own = {k: v for k, v in (parameters or {}).items() if str(k) in map(str, loss.parameters)}
    check_start(theta0, loss, own)
    solved = {"theta0": theta0, "h": h, "steps": steps, "parameters": parameters}
    ways = {
        **_truncated(loss, method, tuple(map(check_order, orders)), solved),
        **_resummed(loss, method, corrections, composed, solved),
    }
    if central:
        ways[CENTRAL] = _central(loss, method, solved)
    flows, failures = _followed(ways)
    # The last average needs one step more than the flows.
    further = {**solved, "steps": steps + central}
    points = iterate(loss, method=method, start=_start(method, flows, steps), **further)
    averages, points = averaged(points)[: steps + 1], points[: steps + 1]
    errors = {name: _errors(name, theta, points, averages) for name, theta in flows.items()}
    t = h * np.arange(steps + 1)
    return FlowComparison(t, points, flows, errors, failures, averages, loss, h)


Way = Callable[[], Any]


def _truncated(
    loss: Field, method: Method, orders: Sequence[int], solved: Mapping
) -> dict[str, Way]:
    modified = derive_field(loss, max(orders, default=0), method)
    return {f"order {n}": lambda n=n: solve(modified.truncated(n), **solved) for n in orders}


def _resummed(
    loss: Field,
    method: Method,
    corrections: Sequence[int],
    composed: Sequence[int],
    solved: Mapping,
) -> dict[str, Way]:
    ways = {}
    for s in (1, *composed):
        for k in corrections:
            flow = principal_flow(loss, k, method, composed=s)
            ways[_name(s, k)] = lambda flow=flow: flow.solve(**solved)
    return ways


def _name(composed: int, corrections: int) -> str:
    base = "principal" if composed == 1 else f"{composed} steps"
    return f"{base} + {corrections}" if corrections else base


def _central(loss: Field, method: Method, solved: Mapping) -> Way:
    if not recurrence_of(method).is_plain:
        raise InvalidMethod(f"the central flow is that of gradient descent, not of {method}")
    return lambda: central_flow(loss, **solved)


def _followed(ways: Mapping[str, Way]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the flows that exist, and why the others do not."""
    flows, failures = {}, {}
    for name, way in ways.items():
        try:
            flows[name] = way().theta
        except (FlowError, InvalidPoint) as error:
            failures[name] = str(error)
    return flows, failures


def _start(method: Method, flows: Mapping[str, np.ndarray], steps: int) -> np.ndarray | None:
    """Return the first points of a method with memory, on the last flow of single steps."""
    single = [theta for name, theta in flows.items() if _every(name) == 1]
    if not isinstance(method, LinearMultistep) or not single or method.steps > steps:
        return None
    return single[-1][: method.steps]


def _every(name: str) -> int:
    """Return how many steps lie between the times at which a flow meets the iterates."""
    return int(name.split()[0]) if " steps" in name else 1


def _errors(name: str, theta: np.ndarray, points: np.ndarray, averages: np.ndarray) -> np.ndarray:
    """Return the distances from where the flow should be, nan where it need not be anywhere."""
    distances = np.linalg.norm(theta - (averages if name == CENTRAL else points), axis=1)
    return np.where(np.arange(len(distances)) % _every(name) == 0, distances, np.nan)
