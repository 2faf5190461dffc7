"""Gradient descent with drift-adjusted learning rates next to fixed ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import check_orders, check_step, check_steps, several
from modeq.errors import FlowError, InvalidMethod
from modeq.flows.compare import (
    Comparison,
    compare,
    followed,
    label,
)
from modeq.flows.fields import recorded
from modeq.flows.integrate import check_start
from modeq.flows.iterates import iterate
from modeq.losses.loss import as_field, as_loss
from modeq.methods.named import method_for
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.principal.adjusted_rates import checked_powers, run_dal
from modeq.principal.central import CentralFlow
from modeq.principal.flow import principal_flow
from modeq.principal.multipliers import recurrence_of
from modeq.show.document import Block, Picture, Table, missing, number
from modeq.show.plots import panel, style
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
) -> Comparison:
    """Return ``compare`` with flows by their kinds, which goes on for one release.

    Args:
        loss, theta0, h, steps, method, parameters: Those of ``modeq.compare``.
        orders: n for each flow with counter terms up to hⁿ: "order n".
        corrections: k for each principal flow with corrections: "principal", "principal + k".
        composed: s for each flow of s steps taken as one, with all the corrections: "2 steps",
            "2 steps + k". It meets the iterates at t = 0, sh, 2sh, …
        central: Whether the central flow of gradient descent takes part, as "central".

    Raises:
        InvalidLoss: The central flow is asked for of a vector field.
        InvalidMethod: The central flow is asked for with another method than gradient descent, or
            the chains of the method are not summed.
        InvalidPoint, InvalidStep, InvalidValue, MissingParameter: The arguments cannot be right.

    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     print(compare_flows("x**2/2", [1.0], h=0.5, steps=4, orders=(0, 1), corrections=(0,)))
    flow        first error   largest error   final error
    order 0       1.065e-01       1.179e-01     7.284e-02
    order 1       3.526e-02       3.650e-02     1.958e-02
    principal   ...
    """
    warnings.warn(
        "compare_flows goes after this release; compare takes flows=[0, 1, principal_flow(loss)]",
        DeprecationWarning,
        stacklevel=2,
    )
    loss = as_field(loss)
    flows: list[Any] = list(check_orders(orders))
    for s in (1, *several(composed, "composed")):
        for k in several(corrections, "corrections"):
            flows.append(principal_flow(loss, k, method, composed=s))
    if central:
        own = method_for(loss, method)
        if not recurrence_of(own).is_plain:
            raise InvalidMethod(f"the central flow is that of gradient descent, not of {own}")
        flows.append(CentralFlow(loss))
    found = compare(
        loss, theta0, h=h, steps=steps, flows=flows, method=method, parameters=parameters
    )
    named = {
        name: {label(key): value for key, value in getattr(found, name).items()}
        for name in ("flows", "errors", "failures")
    }
    return replace(found, **named)


@dataclass(frozen=True)
class RateComparison(Plotted):
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

    def draw(self, axes: Axes) -> None:
        """Draw the loss along the runs."""
        for i, (name, values) in enumerate(self.losses.items()):
            axes.semilogy(np.where(values > 0, values, np.nan), label=name, **style(i))
        axes.set(xlabel="step", ylabel="loss")

    def show(self) -> list[Block]:
        """Return the loss along the runs, as a picture and a table."""
        rows = tuple((r["rate"], number(r["largest"]), number(r["final"])) for r in self.table)
        table = Table(("learning rate", "largest loss", "final loss"), rows, numeric=True)
        picture = Picture("rates", "The loss along the runs", partial(panel, self.draw))
        return [picture, table, *missing(self.failures)]

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
