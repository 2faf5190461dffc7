"""Order checks and stability regimes as blocks of a document, in reports and in notebooks."""

from __future__ import annotations

import math
from functools import partial

from modeq.flows.order_report import OrderReport
from modeq.reports.document import Block, Finding, Math, Picture, Table
from modeq.reports.regimes import StabilityRegimes
from modeq.reports.report_pictures import regimes_figure

MAX_DIRECTIONS = 12
"""Eigendirections that are listed."""


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table.

    >>> number(0.00012345), number(float("inf")), number(0.25)
    ('1.23e-04', '∞', '0.25')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if math.isnan(value):
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits + 1}g}"
    return f"{value:.{digits - 1}e}"


def order_blocks(report: OrderReport) -> list[Block]:
    """Return an order check as a verdict and a table."""
    words = (
        f"{'Passed' if report.passed else 'Failed'}: expected slopes ",
        number(report.expected_local), " after one step and ", number(report.expected_global),
        f" at the fixed time t = {report.time:.4g}, measured ",
        _last(report.local_slopes), " and ", _last(report.global_slopes), ".",
    )  # fmt: skip
    rows = tuple(
        (f"{h:.4g}", number(local), _slope(a), number(far), _slope(b))
        for h, local, a, far, b in zip(
            report.h,
            report.local_errors,
            (None, *report.local_slopes),
            report.global_errors,
            (None, *report.global_slopes),
            strict=True,
        )
    )
    head = (Math("h"), "error after one step", "slope", f"error at t = {report.time:.4g}", "slope")
    return [Finding(report.passed, words), Table(head, rows, numeric=True)]


def _last(slopes: tuple[float, ...]) -> str:
    return _slope(slopes[-1]) if slopes else "–"


def _slope(slope: float | None) -> str:
    return "" if slope is None else "–" if math.isnan(slope) else f"{slope:.3f}"


def regime_blocks(regimes: StabilityRegimes, h: float | None, name: str) -> list[Block]:
    """Return regimes as a sentence, a picture and a table."""
    rate = None if h is None else float(h)
    now = regimes.at(rate) if rate is not None else ("",) * len(regimes.bands)
    rows = tuple(
        (f"{lam:.6g}", here, "; ".join(f"{b.name} to {b.high:.4g}" for b in row))
        for lam, here, row in zip(regimes.eigenvalues, now, regimes.bands, strict=True)
    )[:MAX_DIRECTIONS]
    here = "now" if rate is None else f"at h = {rate:.4g}"
    blocks: list[Block] = [
        Picture(
            f"regimes-{name}",
            f"Regimes of {regimes.method} over the learning rate, one bar for each eigenvalue",
            partial(regimes_figure, regimes, rate),
        ),
        Table((Math(r"\lambda"), here, "over the learning rate"), rows),
    ]
    if regimes.limit is not None:
        stable = rate is None or rate < regimes.limit
        words = f"Directions of positive curvature are stable for h < {regimes.limit:.6g}."
        blocks.insert(0, Finding(stable, words))
    return blocks
