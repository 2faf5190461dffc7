"""Gradient descent with drift-adjusted learning rates next to fixed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeq.checks import several
from modeq.errors import FlowError
from modeq.flows.compare import followed
from modeq.flows.fields import check_step, recorded
from modeq.flows.integrate import check_start, check_steps
from modeq.flows.iterates import iterate
from modeq.losses.loss import as_loss
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.principal.adjusted_rates import checked_powers, run_dal
from modeq.shown import Shown


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
