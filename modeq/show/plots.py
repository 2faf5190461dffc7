"""Panels of pictures: paths, distances, errors against the learning rate, bands.

They are drawn from plain arrays into axes. ``panel`` makes a figure of one of them, small enough
for a telephone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modeq.show.figures import COLORS, DASHES, MARKERS, fix_layout, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (5.2, 4.2)
"""The size of a panel in inches."""

MAX_COORDINATES = 3
"""Coordinates that are drawn against time."""

LEAST = 1e-17
"""Distances below this are drawn at this one."""

TIME = "t = steps × h"
OPTIMIZER = "optimizer"
"""The label of the dots, which stands first in a legend."""

_GRID = 240
_FINE = 12
_TICKS = 5


def panel(draw: Callable[[Axes], Any], height: float = SIZE[1], columns: int = 2) -> Figure:
    """Return a figure of one panel, with a legend below it if there is anything to name.

    >>> panel(lambda axes: axes.plot([1, 2], label="up")).legends[0].get_texts()[0].get_text()
    'up'
    """
    with own_style():
        figure = new_figure(SIZE[0], height)
        axes = figure.subplots()
        draw(axes)
        handles, labels = axes.get_legend_handles_labels()
        first = {label: h for h, label in reversed(list(zip(handles, labels, strict=True)))}
        names = sorted(dict.fromkeys(labels), key=lambda name: name != OPTIMIZER)
        if names:
            figure.legend(
                [first[name] for name in names], names,
                loc="outside lower center", ncols=columns, frameon=False, fontsize=9,
            )  # fmt: skip
        fix_layout(figure)
    return figure


def columns(drawn: Mapping[str, Sequence[Callable[[Axes], Any]]]) -> Figure:
    """Return a figure with a column of panels for each title.

    >>> [axes.get_title() for axes in columns({"a": [lambda axes: None]}).axes]
    ['a']
    """
    with own_style():
        height = max(map(len, drawn.values()))
        figure = new_figure(4.2 * len(drawn), 3.8 * height)
        grid = figure.subplots(height, len(drawn), squeeze=False)
        for (title, draws), column in zip(drawn.items(), grid.T, strict=True):
            column[0].set_title(title)
            for draw, axes in zip(draws, column, strict=False):
                draw(axes)
                if axes.get_legend_handles_labels()[1]:
                    axes.legend(fontsize="small")
        fix_layout(figure)
    return figure


def style(place: int) -> dict[str, Any]:
    """Return the color and the dashes of a line, by its place among others."""
    return {"color": COLORS[place % len(COLORS)], "ls": DASHES[place % len(DASHES)]}


def draw_path(axes: Axes, t: np.ndarray, theta: np.ndarray) -> None:
    """Draw the path of a solution: in the plane if it has two coordinates, or against time."""
    if theta.shape[1] == 2:
        axes.plot(*theta.T, "o-", ms=3, color=COLORS[0])
        axes.plot(*theta[0], "o", ms=7, color=COLORS[1], label="start")
        axes.set(xlabel="coordinate 1", ylabel="coordinate 2")
        return
    for i, column in enumerate(theta.T[:MAX_COORDINATES]):
        axes.plot(t, column, label=f"coordinate {i + 1}", **style(i))
    label = "coordinate 1" if theta.shape[1] == 1 else "coordinates"
    axes.set(xlabel=TIME, ylabel=label)


def draw_distances(axes: Axes, t: np.ndarray, distances: Mapping[str, np.ndarray]) -> None:
    """Draw distances from the optimizer against time; nan where there is none."""
    for i, (name, distance) in enumerate(distances.items()):
        met = ~np.isnan(distance[1:])
        axes.semilogy(t[1:][met], np.maximum(distance[1:][met], LEAST), label=name, **style(i))
    axes.set(xlabel=TIME, ylabel="distance from the optimizer")
    axes.grid(color="0.9")


class Paths(NamedTuple):
    """The optimizer and its flows, as they are drawn.

    Attributes:
        t: Times, of shape (steps + 1,).
        dots: The optimizer, of shape (steps + 1, d).
        lines: {name: a flow, of the same shape}.
        names: What to call the coordinates.
        failures: Flows that could not be followed.
        values: The loss at points of shape (..., 2), for contour lines; None for none.
    """

    t: np.ndarray
    dots: np.ndarray
    lines: Mapping[str, np.ndarray]
    names: Sequence[str]
    failures: Sequence[str] = ()
    values: Callable[[np.ndarray], np.ndarray] | None = None


def draw_paths(axes: Axes, paths: Paths) -> None:
    """Draw the optimizer as dots and its flows as lines: in the plane, or against time."""
    if paths.dots.shape[1] == 2:
        _draw_plane(axes, paths)
    else:
        _draw_coordinates(axes, paths)
    for i, name in enumerate(paths.failures, len(paths.lines)):
        axes.plot([], [], color=COLORS[i % len(COLORS)], ls=":", label=f"{name}: blows up")


def _draw_plane(axes: Axes, paths: Paths) -> None:
    window = [_window(paths, slice(i, i + 1)) for i in range(2)]
    axes.set(xlim=window[0], ylim=window[1])
    axes.set_xlabel(paths.names[0], parse_math=False)
    axes.set_ylabel(paths.names[1], parse_math=False)
    if paths.values is not None:
        _draw_contours(axes, paths.values)
    for place, (name, theta) in enumerate(paths.lines.items()):
        axes.plot(*_smooth(paths.t, theta)[1].T, label=name, **_wide(place, len(paths.lines)))
    _draw_dots(axes, *paths.dots.T)


def _draw_coordinates(axes: Axes, paths: Paths) -> None:
    dimension = len(paths.names)
    drawn = min(dimension, MAX_COORDINATES)
    for place, (name, theta) in enumerate(paths.lines.items()):
        lines = axes.plot(*_smooth(paths.t, theta[:, :drawn]), **_wide(place, len(paths.lines)))
        lines[0].set_label(name)
    _draw_dots(axes, paths.t, paths.dots[:, :drawn])
    axes.set(xlabel=TIME)
    axes.set_ylim(_window(paths, slice(drawn)))
    label = f"the first {drawn} of {dimension} coordinates" if dimension > drawn else "coordinates"
    axes.set_ylabel(paths.names[0] if dimension == 1 else label, parse_math=False)
    if dimension > 1:
        _name_lines(axes, paths.dots[-1, :drawn], paths.names)


def _wide(place: int, count: int) -> dict[str, Any]:
    """Return how a flow is drawn: the first ones wider, so that they are seen behind the others."""
    return {**style(place), "lw": 1.6 + 0.7 * _rank(place, count), "zorder": 2}


def _rank(place: int, count: int) -> int:
    """Return how many wider sizes there are for a line, so that it is seen behind the others."""
    return min(max(0, count - 1 - place), 4)


def _smooth(t: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a flow at more times than the optimizer has, by a spline: lines without corners."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(t[0], t[-1], _FINE * (len(t) - 1) + 1)
    return fine, CubicSpline(t, theta)(fine)


def _draw_dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    dots = axes.plot(x, y, "o", color="black", ms=4.5, zorder=3)
    dots[0].set_label(OPTIMIZER)


def _name_lines(axes: Axes, ends: Sequence[float], names: Sequence[str]) -> None:
    """Write the name of each coordinate behind the end of its line, without overlaps."""
    low, high = axes.get_ylim()
    heights = spread([(end - low) / (high - low) for end in ends], 0.06)
    for height, name in zip(heights, names, strict=False):
        axes.annotate(name, (1.02, height), xycoords="axes fraction", va="center", parse_math=False)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights that are at least ``gap`` apart, in the same order.

    >>> spread([0.5, 0.1, 0.5], 0.25)
    [0.5, 0.1, 0.75]
    """
    result = list(heights)
    ascending = sorted(range(len(result)), key=lambda i: result[i])
    for lower, upper in itertools.pairwise(ascending):
        result[upper] = max(result[upper], result[lower] + gap)
    return result


def _window(paths: Paths, part: slice) -> tuple[float, float]:
    """Return the limits of an axis: all of the optimizer, and of the flows what is not far off."""
    dots = paths.dots[:, part]
    low, high = dots.min(), dots.max()
    span = max(high - low, 1e-6 * (1 + abs(low)))
    flows = [theta[:, part] for theta in paths.lines.values()]
    everything = np.clip(np.concatenate([dots, *flows]), low - span, high + span)
    margin = 0.12 * max(np.ptp(everything), span)
    return everything.min() - margin, everything.max() + margin


def _draw_contours(axes: Axes, values: Callable[[np.ndarray], np.ndarray]) -> None:
    """Draw contour lines of a loss, all over axes that have their limits.

    There are equally many points between any two of them, so that flat parts have some too.
    """
    x, y = np.meshgrid(
        *(np.linspace(*limits, _GRID) for limits in (axes.get_xlim(), axes.get_ylim()))
    )
    heights = values(np.stack([x, y], axis=-1))
    finite = heights[np.isfinite(heights)]
    if finite.size == 0 or np.ptp(finite) == 0:
        return
    levels = np.unique(np.quantile(finite, np.linspace(0.02, 0.98, 13)))
    masked = np.ma.masked_invalid(heights)
    axes.contour(
        x, y, masked, levels=levels, colors="0.78", linewidths=0.9, linestyles="solid", zorder=1
    )


class Curve(NamedTuple):
    """Errors against the learning rate.

    Attributes:
        order: The order of the flow, which chooses the color.
        h: The learning rates, the largest first.
        errors: An error for each.
        slope: The power of h that is expected.
    """

    order: int
    h: np.ndarray
    errors: np.ndarray
    slope: float

    @property
    def is_drawn(self) -> bool:
        """Whether there is anything to draw on a logarithmic axis."""
        return bool(np.any(self.errors > 0)) and math.isfinite(self.slope)


def draw_errors(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw errors against h, and through the last of each the line of the expected slope."""
    drawn = [curve for curve in curves if curve.is_drawn]
    exact = [curve.order for curve in curves if not np.any(curve.errors)]
    axes.set_xlabel("learning rate h")
    if drawn:
        _draw_curves(axes, [_seen(curve) for curve in drawn])
    else:
        axes.set(xticks=[], yticks=[])
    for row, order in enumerate(reversed(exact)):
        note = f"order {order}: no error at all"
        axes.text(0.96, 0.04 + 0.06 * row, note, ha="right", transform=axes.transAxes)


def _seen(curve: Curve) -> Curve:
    seen = curve.errors > 0
    return curve._replace(h=curve.h[seen], errors=curve.errors[seen])


def _draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
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


def _draw_curve(axes: Axes, curve: Curve, smallest: float, count: int) -> float:
    """Draw one order, and return the height of the line of the expected slope at its left end."""
    color = COLORS[curve.order % len(COLORS)]
    ends = np.array([smallest, curve.h[0]])
    line = curve.errors[-1] * (ends / curve.h[-1]) ** curve.slope
    axes.plot(ends, line, color=color, ls="--", lw=1.2)
    marker = MARKERS[curve.order % len(MARKERS)]
    axes.plot(curve.h, curve.errors, marker, color=color, ms=6 + _rank(curve.order, count))
    return line[0]


def _name_slopes(
    axes: Axes, curves: Sequence[Curve], ends: Sequence[float], rates: np.ndarray
) -> None:
    """Write the expected power of h at the left end of each line."""
    width = rates[0] / rates[-1]
    axes.set_xlim(rates[-1] / max(width, 2) ** 0.22, rates[0] * max(width, 2) ** 0.06)
    low, high = np.log(axes.get_ylim())
    heights = spread([(math.log(end) - low) / (high - low) for end in ends], 0.06)
    for curve, height in zip(curves, heights, strict=True):
        axes.text(
            rates[-1] / max(width, 2) ** 0.05, height, f"$h^{{{curve.slope:g}}}$",
            color=COLORS[curve.order % len(COLORS)], ha="right", va="center", fontsize=13,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def error_handles() -> list[Any]:
    """Return what the legend of ``draw_errors`` says: measured dots, and expected lines."""
    from matplotlib.lines import Line2D

    gray = {"color": "0.4"}
    return [
        Line2D([], [], marker="o", ls="none", label="measured error", **gray),
        Line2D([], [], ls="--", label="expected slope", **gray),
    ]
