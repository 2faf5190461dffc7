"""Every flow beside the optimizer: truncated, resummed, of several steps, and central.

Gradient descent with drift-adjusted learning rates next to fixed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeq.checks import check_orders, check_step, check_steps, several
from modeq.derivation.derive import derive_field
from modeq.errors import FlowError, InvalidMethod, InvalidValue
from modeq.flows.compare import (
    error_rows,
    error_table,
    followed,
    start_and_step,
    start_on_flow,
)
from modeq.flows.fields import recorded, with_values
from modeq.flows.integrate import check_start, solve
from modeq.flows.iterates import iterate
from modeq.losses.loss import Field, as_field, as_loss
from modeq.methods.named import Method, method_for
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.principal.adjusted_rates import checked_powers, run_dal
from modeq.principal.central import REASON, averaged, central_flow
from modeq.principal.flow import principal_flow
from modeq.principal.multipliers import recurrence_of
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
        """The name of the flow whose largest error is smallest.

        Raises:
            FlowError: None could be followed.
        """
        rows = error_rows(self.errors)
        if not rows:
            raise FlowError("no flow could be followed, so that none is best")
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
    memory starts on the last flow of single steps; an optimizer given as a rule has the memory that
    it has on its slow manifold.

    Raises:
        InvalidLoss: The central flow is asked for of a vector field.
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
    check_start(theta0, loss, with_values(loss, method, parameters)[0])
    solved = {"theta0": theta0, "h": h, "steps": steps, "parameters": parameters}
    orders = check_orders(orders)
    ways = {
        **_truncated(loss, method, orders, solved),
        **_resummed(loss, method, corrections, composed, solved),
    }
    if central:
        ways[CENTRAL] = _central(loss, method, solved)
    # The arguments are right, so what is refused now is a point on the way, or what is too large.
    flows, failures = followed(ways, (FlowError, InvalidValue))
    single = [theta for name, theta in flows.items() if _every(name) == 1]
    start = start_on_flow(
        loss, method, theta0, h, max(orders, default=0), parameters, single[-1] if single else None
    )
    # The last average needs one step more than the flows.
    points = iterate(loss, method=method, start=start, **{**solved, "steps": steps + central})
    averages, points = averaged(points)[: steps + 1], points[: steps + 1]
    errors = {name: _errors(name, theta, points, averages) for name, theta in flows.items()}
    t = h * np.arange(steps + 1)
    return FlowComparison(t, points, flows, errors, failures, averages, loss, h)


Way = Callable[[], np.ndarray]


def _truncated(
    loss: Field, method: Method, orders: Sequence[int], solved: Mapping
) -> dict[str, Way]:
    modified = derive_field(loss, max(orders, default=0), method)
    return {f"order {n}": lambda n=n: solve(modified.truncated(n), **solved).theta for n in orders}


def _resummed(
    loss: Field,
    method: Method,
    corrections: Sequence[int],
    composed: Sequence[int],
    solved: Mapping,
) -> dict[str, Way]:
    ways = {}
    for s in (1, *several(composed, "composed")):
        for k in several(corrections, "corrections"):
            flow = principal_flow(loss, k, method, composed=s)
            ways[_name(s, k)] = lambda flow=flow: flow.solve(**solved).theta
    return ways


def _name(composed: int, corrections: int) -> str:
    base = "principal" if composed == 1 else f"{composed} steps"
    return f"{base} + {corrections}" if corrections else base


def _central(loss: Field, method: Method, solved: Mapping) -> Way:
    if not recurrence_of(method).is_plain:
        raise InvalidMethod(f"the central flow is that of gradient descent, not of {method}")
    loss = as_loss(loss, REASON)
    return lambda: central_flow(loss, **solved).theta


def _every(name: str) -> int:
    """Return how many steps lie between the times at which a flow meets the iterates."""
    return int(name.split()[0]) if " steps" in name else 1


def _errors(name: str, theta: np.ndarray, points: np.ndarray, averages: np.ndarray) -> np.ndarray:
    """Return the distances from where the flow should be, nan where it need not be anywhere."""
    distances = np.linalg.norm(theta - (averages if name == CENTRAL else points), axis=1)
    return np.where(np.arange(len(distances)) % _every(name) == 0, distances, np.nan)


@dataclass(frozen=True)
class RateComparison(Shown):
    """Runs of gradient descent with different learning rates, each by its name.

    Attributes:
        losses: {name: the loss at the iterates, of shape (steps + 1,)}.
        paths: {name: the iterates, of shape (steps + 1, d)}.
        failures: {name: why that run ended early}.
    """

    losses: dict[str, np.ndarray]
    paths: dict[str, np.ndarray]
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The name of the run that ends lowest.

        Raises:
            FlowError: There is none.
        """
        if not self.losses:
            raise FlowError("no run came to its end, so that none is best")
        return min(self.losses, key=lambda name: float(self.losses[name][-1]))

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row for each run that did not fail."""
        return [
            {"rate": name, "largest": float(values.max()), "final": float(values[-1])}
            for name, values in self.losses.items()
        ]

    def __str__(self) -> str:
        lines = ["learning rate     largest loss    final loss"]
        for row in self.table:
            lines.append(f"{row['rate']:14}{row['largest']:16.4e}{row['final']:14.4e}")
        lines += [f"{name:14}  {message}" for name, message in self.failures.items()]
        return "\n".join(lines)


def compare_rates(
    loss: Any,
    theta0: Any,
    *,
    steps: int,
    rates: Sequence[float],
    powers: Sequence[float] = (1, 0.5),
    cap: float = 5,
    parameters: Mapping | None = None,
) -> RateComparison:
    """Run gradient descent with DAL-p for several p, and with fixed learning rates.

    A run that diverges is named in ``failures``.

    Args:
        loss: A loss, or a text.
        theta0: The start, of shape (d,).
        steps: How many steps each takes.
        rates: The fixed learning rates.
        powers: The powers p.
        cap: The largest rate of DAL-p.
        parameters: Values of the parameters, by symbol or name.

    Raises:
        InvalidLoss: It is a vector field.
        InvalidPoint, InvalidStep, InvalidValue, MissingParameter: The arguments cannot be right.

    >>> found = compare_rates("x**2 + y**2/100", [1.0, 1.0], steps=60, rates=(0.9, 1.05))
    >>> found.best, bool(found.losses["DAL-1"].max() < 2), bool(found.losses["h = 1.05"][-1] > 1e4)
    ('h = 0.9', True, True)
    """
    loss, steps = as_loss(loss, "learning rates are compared by the loss"), check_steps(steps)
    start = check_start(theta0, loss, parameters)
    ways: dict[str, Callable[[], np.ndarray]] = {}
    descent = GradientDescent()
    for p in several(powers, "powers"):
        p, _ = checked_powers(p, cap)
        ways[f"DAL-{p:g}"] = lambda p=p: (
            run_dal(loss, start, steps=steps, p=p, cap=cap, parameters=parameters).theta
        )
    for h in map(check_step, several(rates, "rates")):
        ways[f"h = {h:g}"] = lambda h=h: iterate(
            loss, start, h=h, steps=steps, method=descent, parameters=parameters
        )
    paths, failures = followed(ways)
    values = recorded(loss, [loss.expression], parameters) if paths else None
    losses = {name: values(path, 0.0)[:, 0] for name, path in paths.items()}
    return RateComparison(losses, paths, failures)
