"""Pictures of stability reports, of the optimizer beside all its flows, and of learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from modeq.presentation.panels import draw_contours
from modeq.principal.flow_comparison import CENTRAL, FlowComparison, RateComparison
from modeq.principal.stability import REGIMES, StabilityReport
from modeq.show.figures import COLORS, DASHES, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 1e-17
"""Errors below this are drawn at this one."""


@own_style()
def stability_figure(report: StabilityReport) -> Figure:
    """Return a picture of hλ in each eigendirection over the regimes, and of the coefficients.

    >>> from modeq.principal.stability import stability_report
    >>> figure = stability_figure(stability_report("x**2 - y**2/10", [1.0, 1.0], h=0.7))
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['h λ', 'stability coefficient']
    """
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    z = report.h * report.eigenvalues
    place = np.arange(len(z))
    palette = dict(zip(REGIMES, (*COLORS, "0.45"), strict=True))
    colors = [palette[name] for name in report.regimes]
    left.bar(place, z, color=colors)
    for x, value, name in zip(place, z, report.regimes, strict=True):
        left.annotate(name, (x, value), ha="center", va="bottom" if value >= 0 else "top")
    for level in (0, 1, 2):
        left.axhline(level, color="0.6", lw=0.8, ls="-" if level == 0 else "--")
    left.margins(y=0.15)
    left.set(xlabel="eigendirection", ylabel="h λ", xticks=place)
    finite = np.where(np.isfinite(report.coefficients), report.coefficients, 0)
    right.bar(place, finite, color=colors)
    right.axhline(0, color="0.6", lw=0.8)
    right.set(xlabel="eigendirection", ylabel="stability coefficient", xticks=place)
    return figure


@own_style()
def flows_figure(comparison: FlowComparison) -> Figure:
    """Return a picture of the paths, in the plane over the loss or against time, and of the errors.

    >>> from modeq.principal.flow_comparison import compare_flows
    >>> figure = flows_figure(compare_flows("x**2 + y**2/100", [-0.35, -0.2], h=0.9, steps=5))
    >>> figure.axes[1].get_ylabel()
    'distance from the optimizer'
    """
    figure = new_figure(11, 4.4)
    draw_flows(*figure.subplots(1, 2), comparison)
    return figure


@own_style()
def panels_figure(comparisons: Mapping[str, FlowComparison]) -> Figure:
    """Return a picture with one row of panels, the paths above and the errors below, by title.

    >>> from modeq.principal.flow_comparison import compare_flows
    >>> rows = {f"h = {h}": compare_flows("x**2", [1.0], h=h, steps=3) for h in (0.2, 0.9)}
    >>> [axes.get_title() for axes in panels_figure(rows).axes[:2]]
    ['h = 0.2', 'h = 0.9']
    """
    figure = new_figure(4.2 * len(comparisons), 7.6)
    grid = figure.subplots(2, len(comparisons), squeeze=False)
    for (title, comparison), column in zip(comparisons.items(), grid.T, strict=True):
        draw_flows(*column, comparison)
        column[0].set_title(title)
    return figure


def draw_flows(paths: Axes, errors: Axes, comparison: FlowComparison) -> None:
    """Draw the paths into one panel and the errors into the other."""
    in_plane = comparison.iterates.shape[1] == 2
    for i, (name, theta) in enumerate(comparison.flows.items()):
        style = {"color": COLORS[i % len(COLORS)], "ls": DASHES[i % len(DASHES)], "label": name}
        paths.plot(*_path(comparison, theta), **style)
        error = comparison.errors[name][1:]
        met = ~np.isnan(error)
        errors.semilogy(comparison.t[1:][met], np.maximum(error[met], LEAST), **style)
    if CENTRAL in comparison.flows:
        average = _path(comparison, comparison.averages)
        paths.plot(*average, ".", color="0.5", ms=3, label="its average", zorder=3)
    dots = _path(comparison, comparison.iterates)
    paths.plot(*dots, "o", color="black", ms=4, label="optimizer", zorder=3)
    _set_window(paths, comparison, in_plane)
    if in_plane:
        draw_contours(paths, comparison.loss)
    paths.set_xlabel(_name(comparison, 0) if in_plane else "t = steps × h", parse_math=False)
    paths.set_ylabel(_name(comparison, int(in_plane)), parse_math=False)
    errors.set(xlabel="t = steps × h", ylabel="distance from the optimizer")
    paths.locator_params(axis="x", nbins=5)
    paths.legend(fontsize="small")


def _path(comparison: FlowComparison, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what to draw: the plane, or the first coordinate against time."""
    return (theta[:, 0], theta[:, 1]) if theta.shape[1] == 2 else (comparison.t, theta[:, 0])


def _name(comparison: FlowComparison, i: int) -> str:
    return comparison.loss.variables[i].name


def _set_window(axes: Axes, comparison: FlowComparison, in_plane: bool) -> None:
    """Show all of the optimizer, and not all of a flow that leaves it."""
    points = comparison.iterates
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.3 * np.maximum(high - low, 1e-6)
    i = int(in_plane)
    axes.set_ylim(low[i] - margin[i], high[i] + margin[i])
    if in_plane:
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])


@own_style()
def rates_figure(comparison: RateComparison) -> Figure:
    """Return a picture of the loss along runs with different learning rates.

    >>> from modeq.principal.flow_comparison import compare_rates
    >>> found = compare_rates("x**2 + y**2/100", [1.0, 1.0], steps=9, rates=(0.9,))
    >>> [line.get_label() for line in rates_figure(found).axes[0].lines]
    ['DAL-1', 'DAL-0.5', 'h = 0.9']
    """
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for i, (name, values) in enumerate(comparison.losses.items()):
        style = {"color": COLORS[i % len(COLORS)], "ls": DASHES[i % len(DASHES)], "label": name}
        axes.semilogy(np.where(values > 0, values, np.nan), **style)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    return figure
