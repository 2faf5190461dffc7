"""The pictures of reports, one panel each, small enough for a telephone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modeq.flows.check import OrderReport
from modeq.flows.compare import Comparison
from modeq.losses.loss import Field
from modeq.presentation.panels import MAX_COORDINATES, draw_errors, draw_trajectories
from modeq.principal.regimes import NAMES, StabilityRegimes
from modeq.show.figures import COLORS, DASHES, fix_layout, new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (5.2, 4.2)
_SMALLEST = 1e-17
_REGIME_COLORS = dict(
    zip(NAMES, (COLORS[2], COLORS[5], COLORS[0], "#999999", COLORS[4], COLORS[1]), strict=True)
)
MAX_DIRECTIONS = 12
"""Eigendirections that are listed and drawn."""


@contextlib.contextmanager
def _panel(height: float = SIZE[1]) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure and its one panel, whose layout is fixed at the end."""
    with own_style():
        figure = new_figure(SIZE[0], height)
        axes = figure.subplots()
        yield figure, axes
        fix_layout(figure)


def _legend(figure: Figure, axes: Axes, columns: int = 2) -> None:
    handles, labels = axes.get_legend_handles_labels()
    pairs = sorted(zip(handles, labels, strict=True), key=lambda pair: pair[1] != "optimizer")
    figure.legend(
        [h for h, _ in pairs], [label for _, label in pairs],
        loc="outside lower center", ncols=columns, frameon=False, fontsize=9,
    )  # fmt: skip


def trajectories_figure(comparison: Comparison, loss: Field | None) -> Figure:
    """Return the optimizer and its flows in the plane, or by coordinates against time.

    >>> from modeq.flows.compare import compare
    >>> trajectories_figure(compare("x**2", [1.0], h=0.1, steps=3), None).axes[0].get_xlabel()
    't = steps × h'
    """
    with _panel() as (figure, axes):
        draw_trajectories(axes, comparison, loss)
        axes.set_title("")
        _legend(figure, axes)
    return figure


def distances_figure(t: np.ndarray, errors: Mapping[str, np.ndarray]) -> Figure:
    """Return the distance of each flow from the optimizer, step by step.

    >>> distances_figure(np.arange(2.0), {"order 0": np.array([0, 0.1])}).axes[0].get_yscale()
    'log'
    """
    with _panel() as (figure, axes):
        for i, (name, error) in enumerate(errors.items()):
            style = {"color": COLORS[i % len(COLORS)], "ls": DASHES[i % len(DASHES)]}
            axes.semilogy(t[1:], np.maximum(error[1:], _SMALLEST), label=name, **style)
        axes.set(xlabel="t = steps × h", ylabel="distance from the optimizer")
        axes.grid(color="0.9")
        _legend(figure, axes)
    return figure


def errors_figure(reports: Sequence[OrderReport], kind: str) -> Figure:
    """Return the errors of order checks against h, "local" or "global", with expected slopes.

    >>> from modeq.equation import derive
    >>> figure = errors_figure([derive("x**4/4", order=1).check([1.0], h=0.1)], "local")
    >>> figure.axes[0].get_ylabel()
    'flow minus optimizer'
    """
    from matplotlib.lines import Line2D

    with _panel() as (figure, axes):
        draw_errors(axes, reports, kind)
        axes.set_ylabel("flow minus optimizer")
        gray = {"color": "0.4"}
        handles = [
            Line2D([], [], marker="o", ls="none", label="measured", **gray),
            Line2D([], [], ls="--", label="expected slope", **gray),
        ]
        place = "outside lower center"
        figure.legend(handles=handles, loc=place, ncols=2, frameon=False, fontsize=9)
    return figure


def regimes_figure(regimes: StabilityRegimes, h: float | None) -> Figure:
    """Return the regimes of each eigendirection as bars over the learning rate.

    >>> from modeq.principal.regimes import stability_regimes
    >>> regimes_figure(stability_regimes("x**2", [0.0]), 0.1).axes[0].get_xlabel()
    'learning rate h'
    """
    count = min(len(regimes.bands), MAX_DIRECTIONS)
    with _panel(1.7 + 0.42 * count) as (figure, axes):
        for place, row in enumerate(regimes.bands[:count]):
            for band in row:
                axes.barh(
                    place, band.high - band.low, left=band.low, height=0.62,
                    color=_REGIME_COLORS[band.name], label=band.name,
                )  # fmt: skip
        axes.set_yticks(range(count), [f"λ = {lam:.4g}" for lam in regimes.eigenvalues[:count]])
        axes.invert_yaxis()
        axes.set(xlim=(0, regimes.largest), xlabel="learning rate h")
        if h is not None and h <= regimes.largest:
            axes.axvline(h, color="black", lw=1.4, ls=(0, (4, 2)))
            axes.annotate(f"h = {h:.4g}", (h, 1.01), xycoords=("data", "axes fraction"), fontsize=9)
        _unique_legend(figure, axes)
    return figure


def _unique_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    first = {label: handle for handle, label in reversed(list(zip(handles, labels, strict=True)))}
    known = [name for name in NAMES if name in first]
    figure.legend(
        [first[name] for name in known], known,
        loc="outside lower center", ncols=3, frameon=False, fontsize=9,
    )  # fmt: skip


def coordinates_figure(t: np.ndarray, theta: np.ndarray) -> Figure:
    """Return the path of a trajectory: in the plane if it has two coordinates, or against time.

    >>> coordinates_figure(np.arange(3.0), np.zeros((3, 1))).axes[0].get_ylabel()
    'coordinate 1'
    """
    with _panel() as (figure, axes):
        if theta.shape[1] == 2:
            axes.plot(*theta.T, "o-", ms=3, color=COLORS[0])
            axes.plot(*theta[0], "o", ms=7, color=COLORS[1], label="start")
            axes.set(xlabel="coordinate 1", ylabel="coordinate 2")
        else:
            for i, column in enumerate(theta.T[:MAX_COORDINATES]):
                axes.plot(t, column, color=COLORS[i], ls=DASHES[i], label=f"coordinate {i + 1}")
            label = "coordinate 1" if theta.shape[1] == 1 else "coordinates"
            axes.set(xlabel="t = steps × h", ylabel=label)
        _legend(figure, axes)
    return figure
