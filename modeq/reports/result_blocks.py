"""Results that reports and notebooks both show, as blocks of a document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import sympy

from modeq.errors import ModeqError
from modeq.flows.check import OrderReport
from modeq.flows.compare import error_rows
from modeq.invariants.conservation import ConservedQuantity
from modeq.principal.regimes import StabilityRegimes
from modeq.report.formulas import is_printable, sum_formula
from modeq.reports.report_pictures import MAX_DIRECTIONS, regimes_figure
from modeq.show.document import (
    Block,
    Finding,
    Formula,
    Math,
    Missing,
    Picture,
    Table,
    Text,
    Words,
)


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


def distance_table(errors: Mapping[str, np.ndarray], caption: Words = "") -> Table:
    """Return the distances of flows from the optimizer as a table.

    >>> distance_table({"order 0": np.array([0.0, 0.5, 0.25])}).rows
    (('order 0', '0.5', '0.5', '0.25'),)
    """
    rows = tuple((name, *map(number, row)) for name, row in error_rows(errors).items())
    return Table(("flow", "after one step", "largest", "at the end"), rows, caption, numeric=True)


def formula_blocks(left: str, expression: sympy.Expr) -> list[Block]:
    """Return left = expression as a formula, or how long it would be."""
    if is_printable(expression):
        return [Formula(sum_formula(left, expression))]
    count = sympy.count_ops(expression)
    return [Missing(f"a formula of {count} operations is too long to print")]


def quantity_blocks(quantity: ConservedQuantity) -> list[Block]:
    """Return a conserved quantity, and what a step of gradient descent does to it."""
    blocks = formula_blocks("Q", quantity.expression)
    if quantity.degree == 1:
        return [*blocks, Text("Gradient descent keeps it, too, exactly.")]
    try:
        factor, change = quantity.factor, quantity.gradient_descent
    except ModeqError as error:
        return [*blocks, Missing(str(error))]
    if factor is not None:
        words = Text("One step of gradient descent multiplies it by")
        return [*blocks, words, *formula_blocks(r"\frac{Q^+}{Q}", factor)]
    words = Text("One step of gradient descent changes it by")
    return [*blocks, words, *formula_blocks("Q^+ - Q", change)]


def order_blocks(report: OrderReport) -> list[Block]:
    """Return an order check as a verdict and a table."""
    words = (
        f"{'Passed' if report.passed else 'Failed'}: expected slopes ",
        number(report.expected_local), " after one step and ", number(report.expected_global),
        f" at the fixed time t = {report.time:.4g}, measured ",
        _last(report.local_slopes), " and ", _last(report.global_slopes), ".",
        f" Nothing is seen: {report.unseen}." if report.unseen else "",
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
