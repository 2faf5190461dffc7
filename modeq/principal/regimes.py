"""What a method does in each eigendirection of the Hessian, over the learning rate.

On f(x) = -λx a method that is linear in f multiplies its memory by a matrix M(h, λ). With r its
eigenvalue of largest size, which decides in the long run, a direction is

    attracted     if 0 <= r < 1,
    oscillating   if -1 < r < 0,
    spiraling     if |r| < 1 and r is not real, as momentum makes it,
    repelled      if λ < 0 and |r| > 1,
    divergent     if λ > 0 and |r| > 1.

For gradient descent r = 1 - hλ, so the learning rate passes from one to the next at h = 1/λ and
h = 2/λ; for heavy ball r² - (1 + β - hλ) r + β = 0, and it diverges from h = 2(1 + β)/λ on (Polyak
1964). Where one regime ends and the next begins is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import check_step, shortened
from modeq.errors import DidNotConverge, InvalidLoss, InvalidStep
from modeq.flows.fields import with_values
from modeq.flows.forms import DerivativeTensors
from modeq.flows.integrate import check_start
from modeq.losses.loss import Loss, as_field
from modeq.methods.named import method_for
from modeq.principal.multipliers import multipliers_of
from modeq.show.document import Block, Finding, Math, Picture, Table, Text
from modeq.show.figures import COLORS
from modeq.show.plots import panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES = ("attracted", "oscillating", "spiraling", "neutral", "repelled", "divergent")

_COLORS = dict(
    zip(_NAMES, (COLORS[2], COLORS[5], COLORS[0], "#999999", COLORS[4], COLORS[1]), strict=True)
)
MAX_DIRECTIONS = 12
"""Eigendirections that are listed and drawn."""

GRID = 400
"""Learning rates at which a direction is looked at before boundaries are bisected."""

WIDEST = 100.0
"""The largest hλ that is looked at to find out where a direction diverges."""

SHARPNESS = 1e-12
"""To which part of itself a boundary is found."""

UNIT = 1e-13
_NEAR = 1e-10
NEARLY_REAL = 1e-7


@dataclass(frozen=True)
class Band:
    """An interval of learning rates.

    Attributes:
        name: What the method does there, one of ``_NAMES``.
        low, high: Its ends.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class StabilityRegimes(Plotted):
    """What a method does at a point, direction by direction, over the learning rate.

    Attributes:
        method: The name of the method.
        theta: The point, of shape (d,).
        eigenvalues: Those of the Hessian there, the largest first.
        bands: For each of them the regimes from h = 0 to ``largest``.
        largest: The largest learning rate that was looked at.

    >>> stability_regimes("x**2", [0.0]).limit
    1.0
    """

    method: str
    theta: np.ndarray
    eigenvalues: np.ndarray
    bands: tuple[tuple[Band, ...], ...]
    largest: float

    @property
    def limit(self) -> float | None:
        """The h up to which every direction with λ > 0 is stable, or None if that is beyond."""
        ends = [
            band.low
            for lam, row in zip(self.eigenvalues, self.bands, strict=True)
            for band in row
            if lam > 0 and band.name == "divergent"
        ]
        return min(ends, default=None)

    def at(self, h: float) -> tuple[str, ...]:
        """Return the regime of each direction at a learning rate.

        Raises:
            InvalidStep: It is not positive, or larger than those that were looked at.

        >>> stability_regimes("x**2 - y**2/10", [0.0, 0.0]).at(0.7)
        ('oscillating', 'repelled')
        """
        h = check_step(h)
        if h > self.largest:
            raise InvalidStep(
                f"h is {h:.6g}; the regimes are known up to {self.largest:.6g}: give "
                f"stability_regimes a larger one, largest=..."
            )
        return tuple(next(band.name for band in row if h <= band.high) for row in self.bands)

    def draw(self, axes: Axes, h: float | None = None) -> None:
        """Draw the regimes of each eigendirection as bars over the learning rate.

        Args:
            axes: Where to draw.
            h: A learning rate to mark.
        """
        count = min(len(self.bands), MAX_DIRECTIONS)
        for place, row in enumerate(self.bands[:count]):
            for band in row:
                axes.barh(
                    place, band.high - band.low, left=band.low, height=0.62,
                    color=_COLORS[band.name], label=band.name,
                )  # fmt: skip
        axes.set_yticks(range(count), [f"λ = {lam:.4g}" for lam in self.eigenvalues[:count]])
        axes.invert_yaxis()
        axes.set(xlim=(0, self.largest), xlabel="learning rate h")
        if h is not None and h <= self.largest:
            axes.axvline(h, color="black", lw=1.4, ls=(0, (4, 2)))
            axes.annotate(f"h = {h:.4g}", (h, 1.01), xycoords=("data", "axes fraction"), fontsize=9)

    def show(self) -> list[Block]:
        """Return the regimes as a sentence, a picture and a table."""
        return [Text(f"{self.method}, by its linear part"), *self.blocks(None, "regimes")]

    def blocks(self, h: float | None, name: str) -> list[Block]:
        """Return a sentence, a picture and a table, with what happens at one learning rate.

        Args:
            h: The learning rate, or None.
            name: What to call the picture.
        """
        rate = None if h is None else float(h)
        now = self.at(rate) if rate is not None else ("",) * len(self.bands)
        rows = tuple(
            (f"{lam:.6g}", here, "; ".join(f"{b.name} to {b.high:.4g}" for b in row))
            for lam, here, row in zip(self.eigenvalues, now, self.bands, strict=True)
        )[:MAX_DIRECTIONS]
        height = 1.7 + 0.42 * min(len(self.bands), MAX_DIRECTIONS)
        blocks: list[Block] = [
            Picture(
                f"regimes-{name}",
                f"Regimes of {self.method} over the learning rate, one bar for each eigenvalue",
                partial(panel, partial(self.draw, h=rate), height, 3),
            ),
            Table(
                (
                    Math(r"\lambda"),
                    "now" if rate is None else f"at h = {rate:.4g}",
                    "over the learning rate",
                ),
                rows,
            ),
        ]
        if self.limit is not None:
            stable = rate is None or rate < self.limit
            words = f"Directions of positive curvature are stable for h < {self.limit:.6g}."
            blocks.insert(0, Finding(stable, words))
        return blocks

    def __str__(self) -> str:
        lines = [f"{self.method} at {self.theta.tolist()}, for 0 < h <= {self.largest:.6g}"]
        for lam, row in zip(self.eigenvalues, self.bands, strict=True):
            parts = ", ".join(f"{band.name} to {band.high:.6g}" for band in row)
            lines.append(f"  lambda = {lam:.6g}: {parts}")
        return "\n".join(lines)


def stability_regimes(
    loss: Any,
    theta: Any,
    *,
    method: Any = None,
    largest: float | None = None,
    parameters: Mapping | None = None,
) -> StabilityRegimes:
    """Return over which learning rates a method is stable, in each eigendirection of the Hessian.

    Args:
        loss: The loss.
        theta: The point, d numbers. The regimes are those of the linear part there.
        method: The method; gradient descent if not given.
        largest: The largest learning rate to look at; without it a quarter beyond that at which
            the stiffest direction diverges, or 4/|λ| if it never does.
        parameters: Values of parameters.

    Raises:
        InvalidLoss: A vector field, which has no Hessian.
        InvalidMethod: A step of the method is not linear where f is, as that of Adam.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> print(stability_regimes("x**2 + y**2/2", [1.0, 1.0], largest=1.5))
    gradient descent at [1.0, 1.0], for 0 < h <= 1.5
      lambda = 2: attracted to 0.5, oscillating to 1, divergent to 1.5
      lambda = 1: attracted to 1, oscillating to 1.5
    """
    loss = as_field(loss)
    if not isinstance(loss, Loss):
        raise InvalidLoss(f"{shortened(loss)} is a vector field; regimes over h need a loss")
    own, method = with_values(loss, method_for(loss, method), parameters)
    point = check_start(theta, loss, own)
    jacobian = DerivativeTensors(loss, 1, own)(point)[1]
    eigenvalues = np.linalg.eigvalsh(-jacobian)[::-1]
    multipliers = multipliers_of(method)
    end = _largest(multipliers, eigenvalues) if largest is None else check_step(largest)
    bands = tuple(tuple(_bands(multipliers, float(lam), end)) for lam in eigenvalues)
    return StabilityRegimes(str(method), point, eigenvalues, bands, end)


def _largest(multipliers: Callable, eigenvalues: Sequence[float]) -> float:
    """Return up to which h to look: somewhat beyond where the stiffest direction diverges."""
    steepest = float(np.max(np.abs(eigenvalues)))
    if steepest == 0:
        return 1.0
    positive = max((lam for lam in eigenvalues if lam > 0), default=None)
    if positive is None:
        return 4 / steepest
    grid = np.geomspace(0.01, WIDEST, GRID) / positive
    first = next((h for h in grid if _name(multipliers, h, positive) == "divergent"), None)
    return 4 / steepest if first in (None, grid[0]) else 1.25 * float(first)


def _bands(multipliers: Callable, lam: float, largest: float) -> list[Band]:
    """Return the regimes of one direction."""
    grid = [_first(lam, largest), *(largest * ((np.arange(GRID) + 0.5) / GRID))]
    names = [_name(multipliers, h, lam) for h in grid]
    bands, low, name = [], 0.0, names[0]
    for (left, right), last in zip(pairwise(grid), names[1:], strict=True):
        # Several regimes may end between two points of the grid.
        while name != last:
            left, following = _boundary(multipliers, lam, (left, right), name)
            bands.append(Band(name, low, left))
            low, name = left, following if following != name else last
    return [*bands, Band(name, low, largest)]


def _first(lam: float, largest: float) -> float:
    """Return a small learning rate, at which a multiplier can still be told from 1."""
    return min(max(1e-9 * largest, 1e-6 / abs(lam) if lam else 0.0), 0.1 * largest / GRID)


def _boundary(
    multipliers: Callable, lam: float, ends: tuple[float, float], name: str
) -> tuple[float, str]:
    """Return where the regime of the lower end stops, and the one that follows."""
    low, high = map(float, ends)
    while high - low > SHARPNESS * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _name(multipliers, middle, lam) == name else (low, middle)
    # At the very boundary two roots are equal, or one is 1 in size, and rounding decides.
    beyond = min(high * (1 + 1e3 * SHARPNESS), ends[1])
    return float(f"{high:.12g}"), _name(multipliers, beyond, lam)


def _name(multipliers: Callable, h: float, lam: float) -> str:
    try:
        roots = multipliers(h, lam)
    except DidNotConverge:
        return "repelled" if lam < 0 else "divergent"
    size = float(np.max(np.abs(roots)))
    if lam == 0 or abs(size - 1) <= UNIT:
        return "neutral"
    if size > 1:
        return "repelled" if lam < 0 else "divergent"
    largest = roots[np.abs(roots) >= size * (1 - _NEAR)]
    if np.any(np.abs(largest.imag) > NEARLY_REAL * size):
        return "spiraling"
    return "oscillating" if np.any(largest.real < 0) else "attracted"
