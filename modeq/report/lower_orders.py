"""One picture that shows how well the flows follow the optimizer.

The same data give the same bytes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from modeq.equation import ModifiedEquation
from modeq.errors import FlowError, InvalidValue
from modeq.flows.check import OrderReport
from modeq.flows.compare import Comparison, compare
from modeq.losses.loss import Field, Loss
from modeq.show.figures import abridged, fix_layout, new_figure, own_style
from modeq.show.plots import OPTIMIZER, draw_errors, error_handles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_TITLE = 90
_LEGEND_COLUMNS = 7


def check_figure(comparison: Comparison, reports: OrderReport | Sequence[OrderReport]) -> Figure:
    """Return a picture of the trajectories, and of the errors against h with the expected slopes.

    Args:
        comparison: The optimizer and its flows, which are drawn on the left: in the plane over
            contour lines of the loss, or coordinates against time.
        reports: Order checks, one or several, which are drawn on the right: the error after one
            step and the error at a fixed time.

    Raises:
        InvalidValue: There is no order check.

    >>> from modeq.equation import derive
    >>> figure = check_figure(
    ...     compare("x**4/4", [1.0], h=0.1, orders=(0, 1)),
    ...     [derive("x**4/4", order=n).check([1.0], h=0.1) for n in (0, 1)],
    ... )
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['x', 'flow minus optimizer', '']
    """
    reports = (reports,) if isinstance(reports, OrderReport) else tuple(reports)
    if not reports:
        raise InvalidValue("reports is empty; give at least one order check")
    with own_style():
        figure = new_figure(14, 5.6)
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
        paths, one_step, fixed_time = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        comparison.draw(paths)
        draw_errors(one_step, [report.curve("local") for report in reports])
        draw_errors(fixed_time, [report.curve("global") for report in reports])
        one_step.set(title="error after one step", ylabel="flow minus optimizer")
        fixed_time.set_title(f"error at the fixed time t = {reports[0].time:.4g}")
        _add_title(figure, comparison, reports)
        _add_legend(figure, paths)
        fix_layout(figure)
    return figure


def figure_with_lower_orders(
    equation: ModifiedEquation, report: OrderReport, theta0: Any, *, h: Any, steps: int = 20
) -> Figure:
    """Return the picture of a check and of the same check at all lower orders.

    Of a lower order that blows up there are no errors, and the legend says so.

    Args:
        equation: The equation that was checked.
        report: Its check.
        theta0: The start of the check.
        h: The learning rate of the trajectories.
        steps: How long the trajectories are.
    """
    loss, orders = equation.loss, range(equation.order + 1)
    comparison = compare(loss, theta0, h=h, steps=steps, orders=orders, method=equation.method)
    lower = lower_reports(equation, theta0, h, round(report.time / report.h[0]))
    return check_figure(comparison, [*lower, report])


def lower_reports(
    equation: ModifiedEquation, theta0: Any, h: Any, steps: int
) -> Iterator[OrderReport]:
    """Yield the checks of all lower orders, but of those that blow up."""
    for order in range(equation.order):
        with contextlib.suppress(FlowError):
            yield equation.truncated(order).check(theta0, h=h, steps=steps)


def _add_title(figure: Figure, comparison: Comparison, reports: Sequence[OrderReport]) -> None:
    title = f"{reports[0].method} and its flows, h = {comparison.t[1]:.6g}"
    figure.suptitle(
        abridged(f"{_loss_name(comparison.loss)}{title}", _TITLE), parse_math=False, fontsize=14
    )


def _add_legend(figure: Figure, paths: Axes) -> None:
    drawn = paths.get_legend_handles_labels()[0]
    handles = [
        *sorted(drawn, key=lambda handle: handle.get_label() != OPTIMIZER),
        *error_handles(),
    ]
    columns = math.ceil(len(handles) / math.ceil(len(handles) / _LEGEND_COLUMNS))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _loss_name(loss: Field) -> str:
    letter = "L" if isinstance(loss, Loss) else "f"
    formula = f"{letter} = {abridged(', '.join(map(str, loss.expressions)), 60)}"
    return f"{getattr(loss, 'name', formula)}: "
