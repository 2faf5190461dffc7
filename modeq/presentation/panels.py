"""The panels of the picture: trajectories, and errors against the learning rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modeq.flows.check import OrderReport
from modeq.flows.compare import Comparison
from modeq.flows.fields import recorded
from modeq.losses.loss import Field, Loss
from modeq.show.figures import COLORS, DASHES, MARKERS, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MAX_COORDINATES = 3
_GRID = 240
_FINE = 12
_TICKS = 5


def _color(order: int) -> str:
    return COLORS[order % len(COLORS)]


def _names(comparison: Comparison, loss: Field | None) -> list[str]:
    """Return what to call the coordinates."""
    dimension = comparison.iterates.shape[1]
    if loss is None:
        return [f"coordinate {i}" for i in range(1, dimension + 1)]
    return [shortened(x.name, 12) for x in loss.variables]


def draw_trajectories(axes: Axes, comparison: Comparison, loss: Field | None) -> None:
    """Draw the optimizer as dots and its flows as lines: in the plane, or against time."""
    if comparison.iterates.shape[1] == 2:
        _draw_plane(axes, comparison, loss)
    else:
        _draw_coordinates(axes, comparison, _names(comparison, loss))
    for order in comparison.failures:
        axes.plot([], [], color=_color(order), ls=":", label=f"flow of order {order}: blows up")


def _rank(order: int, count: int) -> int:
    """Return how many wider sizes there are for an order, so that it is seen behind the others."""
    return min(max(0, count - 1 - order), 4)


def _line_style(order: int, count: int) -> dict[str, Any]:
    """Return how the flow of an order is drawn."""
    width = 1.6 + 0.7 * _rank(order, count)
    return {"color": _color(order), "lw": width, "ls": DASHES[order % len(DASHES)], "zorder": 2}


def _flow_name(order: int) -> str:
    return "gradient flow (order 0)" if order == 0 else f"flow of order {order}"


def _draw_plane(axes: Axes, comparison: Comparison, loss: Field | None) -> None:
    names = _names(comparison, loss)
    window = [_window(comparison, slice(i, i + 1)) for i in range(2)]
    axes.set(xlim=window[0], ylim=window[1], title="trajectories in the plane")
    axes.set_xlabel(names[0], parse_math=False)
    axes.set_ylabel(names[1], parse_math=False)
    draw_contours(axes, loss)
    for order, theta in comparison.flows.items():
        style = _line_style(order, len(comparison.flows))
        axes.plot(*_smooth(comparison.t, theta)[1].T, label=_flow_name(order), **style)
    _draw_dots(axes, *comparison.iterates.T)


def _smooth(t: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a flow at more times than the optimizer has, by a spline: lines without corners."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(t[0], t[-1], _FINE * (len(t) - 1) + 1)
    return fine, CubicSpline(t, theta)(fine)


def _draw_dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    dots = axes.plot(x, y, "o", color="black", ms=4.5, zorder=3)
    dots[0].set_label("optimizer")


def _draw_coordinates(axes: Axes, comparison: Comparison, names: Sequence[str]) -> None:
    shown = min(len(names), MAX_COORDINATES)
    for order, theta in comparison.flows.items():
        style = _line_style(order, len(comparison.flows))
        lines = axes.plot(*_smooth(comparison.t, theta[:, :shown]), **style)
        lines[0].set_label(_flow_name(order))
    _draw_dots(axes, comparison.t, comparison.iterates[:, :shown])
    axes.set(xlabel="t = steps × h", title=_coordinates_title(len(names)))
    axes.set_ylim(_window(comparison, slice(shown)))
    axes.set_ylabel(names[0] if len(names) == 1 else "coordinates", parse_math=False)
    if len(names) > 1:
        _name_lines(axes, comparison.iterates[-1, :shown], names)


def _coordinates_title(dimension: int) -> str:
    if dimension <= MAX_COORDINATES:
        return "trajectory against time"
    return f"the first {MAX_COORDINATES} of {dimension} coordinates against time"


def _name_lines(axes: Axes, ends: Sequence[float], names: Sequence[str]) -> None:
    """Write the name of each coordinate behind the end of its line, without overlaps."""
    low, high = axes.get_ylim()
    heights = _spread([(end - low) / (high - low) for end in ends], 0.06)
    for height, name in zip(heights, names, strict=False):
        axes.annotate(name, (1.02, height), xycoords="axes fraction", va="center", parse_math=False)


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights that are at least ``gap`` apart, in the same order.

    >>> _spread([0.5, 0.1, 0.5], 0.25)
    [0.5, 0.1, 0.75]
    """
    result = list(heights)
    ascending = sorted(range(len(result)), key=lambda i: result[i])
    for lower, upper in itertools.pairwise(ascending):
        result[upper] = max(result[upper], result[lower] + gap)
    return result


def _window(comparison: Comparison, part: slice) -> tuple[float, float]:
    """Return the limits of an axis: all of the optimizer, and of the flows what is not far off."""
    iterates = comparison.iterates[:, part]
    low, high = iterates.min(), iterates.max()
    span = max(high - low, 1e-6 * (1 + abs(low)))
    flows = [theta[:, part] for theta in comparison.flows.values()]
    everything = np.clip(np.concatenate([iterates, *flows]), low - span, high + span)
    margin = 0.12 * max(np.ptp(everything), span)
    return everything.min() - margin, everything.max() + margin


def draw_contours(axes: Axes, loss: Field | None) -> None:
    """Draw contour lines of a loss without parameters, all over axes that have their limits.

    There are equally many points between any two of them, so that flat parts have some too.
    """
    if not isinstance(loss, Loss) or loss.parameters:
        return
    x, y = np.meshgrid(
        *(np.linspace(*limits, _GRID) for limits in (axes.get_xlim(), axes.get_ylim()))
    )
    values = recorded(loss, [loss.expression], None)(np.stack([x, y], axis=-1), 0.0)[..., 0]
    finite = values[np.isfinite(values)]
    if finite.size == 0 or np.ptp(finite) == 0:
        return
    levels = np.unique(np.quantile(finite, np.linspace(0.02, 0.98, 13)))
    masked = np.ma.masked_invalid(values)
    axes.contour(
        x, y, masked, levels=levels, colors="0.78", linewidths=0.9, linestyles="solid", zorder=1
    )


def draw_errors(axes: Axes, reports: Sequence[OrderReport], kind: str) -> None:
    """Draw the errors against h, and through the last of each the line of the expected slope.

    Args:
        axes: Where to draw.
        reports: Order checks.
        kind: "local" for the errors after one step, or "global" for those at the fixed time.
    """
    curves = [curve for curve in (_curve(report, kind) for report in reports) if curve]
    exact = [report.order for report in reports if not any(getattr(report, f"{kind}_errors"))]
    axes.set_xlabel("learning rate h")
    if curves:
        _draw_curves(axes, curves)
    else:
        axes.set(xticks=[], yticks=[])
    for row, order in enumerate(reversed(exact)):
        note = f"order {order}: no error at all"
        axes.text(0.96, 0.04 + 0.06 * row, note, ha="right", transform=axes.transAxes)


class _Curve(NamedTuple):
    order: int
    h: np.ndarray
    errors: np.ndarray
    slope: float


def _curve(report: OrderReport, kind: str) -> _Curve | None:
    """Return the errors of a report that can be drawn on a logarithmic axis, if there are any."""
    errors = np.array(getattr(report, f"{kind}_errors"))
    slope = getattr(report, f"expected_{kind}")
    seen = errors > 0
    if not (seen.any() and math.isfinite(slope)):
        return None
    return _Curve(report.order, np.array(report.h)[seen], errors[seen], slope)


def _draw_curves(axes: Axes, curves: Sequence[_Curve]) -> None:
    from matplotlib.ticker import NullLocator

    rates = max((curve.h for curve in curves), key=len)
    ends = [_draw_curve(axes, curve, rates[-1], len(curves)) for curve in curves]
    axes.set(xscale="log", yscale="log")
    shown = rates[:: math.ceil(len(rates) / _TICKS)]
    axes.set_xticks(shown, [f"{h:.3g}" for h in shown], fontsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    _name_slopes(axes, curves, ends, rates)


def _draw_curve(axes: Axes, curve: _Curve, smallest: float, count: int) -> float:
    """Draw one order, and return the height of the line of the expected slope at its left end."""
    color = _color(curve.order)
    ends = np.array([smallest, curve.h[0]])
    line = curve.errors[-1] * (ends / curve.h[-1]) ** curve.slope
    axes.plot(ends, line, color=color, ls="--", lw=1.2)
    marker = MARKERS[curve.order % len(MARKERS)]
    axes.plot(curve.h, curve.errors, marker, color=color, ms=6 + _rank(curve.order, count))
    return line[0]


def _name_slopes(
    axes: Axes, curves: Sequence[_Curve], ends: Sequence[float], rates: np.ndarray
) -> None:
    """Write the expected power of h at the left end of each line."""
    width = rates[0] / rates[-1]
    axes.set_xlim(rates[-1] / max(width, 2) ** 0.22, rates[0] * max(width, 2) ** 0.06)
    low, high = np.log(axes.get_ylim())
    heights = _spread([(math.log(end) - low) / (high - low) for end in ends], 0.06)
    for curve, height in zip(curves, heights, strict=True):
        axes.text(
            rates[-1] / max(width, 2) ** 0.05, height, f"$h^{{{curve.slope:g}}}$",
            color=_color(curve.order), ha="right", va="center", fontsize=13,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
