"""The sections of a report that are measured, and the code to reproduce them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from modeq.flows.check import OrderReport
from modeq.flows.compare import label
from modeq.formats.markdown import snippet
from modeq.report.parts import Parts, attempted
from modeq.show.document import (
    Block,
    Code,
    Missing,
    Picture,
    Pictures,
    Section,
    Text,
    missing,
)
from modeq.show.plots import draw_errors, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check_section(parts: Parts) -> Section:
    """Return the section of the order check."""
    return Section("order-check", "Order check", tuple(attempted(lambda: _check(parts))))


def _check(parts: Parts) -> list[Block]:
    report = parts.check
    blocks: list[Block] = [
        Text(
            "The flow against the method itself, at halved learning rates, with as many digits "
            "as the errors need."
        ),
        *report.findings(),
    ]
    return [*blocks, *attempted(lambda: [_check_pictures(parts)])]


def _check_pictures(parts: Parts) -> Pictures:
    orders = ", ".join(str(report.order) for report in parts.checks)
    time = f"{parts.check.time:.4g}"
    return Pictures(
        (
            Picture(
                "one-step",
                f"Errors after one step against the learning rate, for the flows of order {orders}",
                partial(panel, partial(_draw_errors, parts.checks, "local")),
            ),
            Picture(
                "fixed-time",
                f"Errors at the fixed time t = {time}, for the flows of order {orders}",
                partial(panel, partial(_draw_errors, parts.checks, "global")),
            ),
        )
    )


def _draw_errors(reports: Sequence[OrderReport], kind: str, axes: Axes) -> None:
    draw_errors(axes, [report.curve(kind) for report in reports])
    axes.set_ylabel("flow minus optimizer")


def trajectories_section(parts: Parts) -> Section:
    """Return the section of the method and its flows side by side."""
    blocks = attempted(lambda: _trajectories(parts))
    return Section("trajectories", "Trajectories", tuple(blocks))


def _trajectories(parts: Parts) -> list[Block]:
    comparison = parts.comparison
    where = "in the plane" if comparison.iterates.shape[1] == 2 else "by coordinates"
    caption = f"Distance from {parts.method} in {parts.steps} steps with h = {float(parts.h):.6g}"
    pictures = (
        Picture(
            "trajectories",
            f"The iterates (dots) and the flows {where}: {parts.method}",
            partial(panel, comparison.draw),
        ),
        Picture(
            "distances",
            f"Distance of each flow from {parts.method}, step by step",
            partial(panel, comparison.draw_errors),
        ),
    )
    table = [comparison.distances(caption)] if comparison.errors else []
    named = {label(name): reason for name, reason in comparison.failures.items()}
    return [Pictures(pictures), *table, *missing(named)]


def stability_section(parts: Parts) -> Section:
    """Return the section of the regimes over the learning rate."""
    blocks: list[Block] = attempted(lambda: _stability_at_start(parts))
    if not isinstance(blocks[0], Missing):
        blocks += attempted(lambda: _stability_at_critical_point(parts))
    return Section("stability", "Stability over the learning rate", tuple(blocks))


def _point(theta: np.ndarray) -> str:
    return f"({', '.join(f'{x:.6g}' for x in theta)})"


def _stability_at_start(parts: Parts) -> list[Block]:
    parts.start()
    lead = Text(
        f"What {parts.method} does in each eigendirection of the Hessian, as the learning rate "
        f"grows, by its linear part at the start {_point(parts.point)}."
    )
    return [lead, *parts.regimes.blocks(parts.h, "start")]


def _stability_at_critical_point(parts: Parts) -> list[Block]:
    point = parts.critical_point
    regimes = parts.regimes_at(point)
    lead = Text(
        f"The same at {_point(point)}, the point without gradient that is reached from where the "
        f"iterates end; there the regimes decide what is stable."
    )
    return [lead, *regimes.blocks(parts.h, "critical-point")]


def code_section(parts: Parts) -> Section:
    """Return the section with the code that derives and checks everything again."""
    lines = [
        snippet(parts.equation),
        "",
        "print(eq)                        # the counter terms",
        "print(eq.certify())              # the exact proof",
    ]
    if parts.theta0 is not None and parts.h is not None:
        start = ", ".join(_literal(x) for x in parts.theta0)
        rate, values = _literal(parts.h), ""
        if parts.parameters:
            named = {str(k): str(v) for k, v in parts.parameters.items()}
            lines.append(f"values = {named!r}")
            values = ", parameters=values"
        point = f"[{start}], h={rate}"
        compared = f"loss, {point}, steps={parts.steps}, orders=range({parts.equation.order + 1})"
        lines += [
            f"print(eq.check({point}{values}))",
            f"print(modeq.compare({compared}, method=eq.method{values}))",
        ]
    if parts.is_loss:
        lines.append("for quantity in modeq.conserved(loss):\n    print(quantity)")
    blocks: list[Block] = [Code("\n".join(lines), "python")]
    if parts.command is not None:
        blocks += [Text("This report, from the command line:"), Code(parts.command, "sh")]
    return Section("code", "To reproduce", tuple(blocks))


def _literal(value: object) -> str:
    """Return a number as Python code."""
    return repr(float(value))
