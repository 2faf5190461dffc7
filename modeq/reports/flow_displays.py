"""What notebooks show of principal flows, comparisons of flows and rates, and stability reports."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from modeq.reports.result_blocks import distance_table, number
from modeq.show.document import Block, Formula, Math, Missing, Picture, Table, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(name: str, found: Any) -> Figure:
    """Return a picture of a result. Its module is imported when it is drawn, because it knows all
    kinds of flows, and these are imported only where people ask for them.
    """
    return getattr(importlib.import_module("modeq.presentation.stability_plots"), name)(found)


def _principal_flow(found: Any) -> list[Block]:
    words = f"{found.method}, corrections={found.corrections}, composed={found.composed}"
    sums = ("θ' = Σ h^{n-1}/σ C F over these trees, n vertices each, with ", Math(r"\mu = 1+h\nu"))
    return [Text(words), Text(sums), Formula(found.latex())]


def _failures(failures: Mapping[str, str]) -> list[Block]:
    return [Missing(f"{name}: {why}") for name, why in failures.items()]


def _flow_comparison(found: Any) -> list[Block]:
    picture = Picture(
        "flows",
        "The optimizer (dots) and its flows, and the distance of each from the optimizer",
        partial(_figure, "flows_figure", found),
    )
    table = distance_table(found.errors, f"h = {found.h:g}")
    return [picture, table, *_failures(found.failures)]


def _rate_comparison(found: Any) -> list[Block]:
    picture = Picture("rates", "The loss along the runs", partial(_figure, "rates_figure", found))
    rows = tuple((r["rate"], number(r["largest"]), number(r["final"])) for r in found.table)
    table = Table(("learning rate", "largest loss", "final loss"), rows, numeric=True)
    return [picture, table, *_failures(found.failures)]


def _stability_report(found: Any) -> list[Block]:
    where = f"at {found.theta.tolist()}, h = {found.h:.6g}"
    head = ("regime", Math(r"\lambda"), Math(r"h\lambda"), Math(r"g\cdot u"), "coefficient")
    rows = tuple(
        (
            row["regime"],
            *map(number, (row["eigenvalue"], row["h_lambda"], row["gradient"])),
            number(row["coefficient"]),
        )
        for row in found.table
    )
    flows = tuple(
        (name, verdict, "" if rate is None else number(rate)) for name, verdict, rate in found.flows
    )
    return [
        Picture(
            "stability",
            "hλ and the stability coefficient of each eigendirection",
            partial(_figure, "stability_figure", found),
        ),
        Table(head, rows, where, True),
        Text(("Along the principal flow ", Math(f"dL/dt = {found.loss_rate:.4g}"))),
        Table(("flow", f"for {found.judged}", Math(r"d\lambda_0/dt")), flows),
    ]


FLOW_DISPLAYS: dict[str, Callable[[Any], list[Block]]] = {
    "PrincipalFlow": _principal_flow,
    "FlowComparison": _flow_comparison,
    "RateComparison": _rate_comparison,
    "StabilityReport": _stability_report,
}
"""How these results are shown, by the name of their class."""
