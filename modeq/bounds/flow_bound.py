"""What a bound is asked for, and what it says: a learning rate, and the curvature behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import sympy

from modeq.losses.loss import Field
from modeq.show.document import Block, Finding, Picture, Table, Text, number
from modeq.show.plots import panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_RATE = 2.0**20
"""No larger learning rates are looked at."""


@dataclass(frozen=True)
class Demand:
    """That gradient descent follows a flow from a start, for a time, to a tolerance.

    Attributes:
        loss: A loss or vector field.
        start: The start, of shape (d,).
        time: The time T.
        tolerance: The tolerance ε.
        order: The order n of the flow.
        values: Values of the parameters.
    """

    loss: Field
    start: np.ndarray
    time: float
    tolerance: float
    order: int
    values: Mapping[sympy.Symbol, sympy.Expr]


@dataclass(frozen=True)
class FlowBound(Plotted):
    """A learning rate below which gradient descent stays within a tolerance of a flow.

    Attributes:
        max_learning_rate: For all smaller h, ‖θ(kh) - θ_k‖ ≤ tolerance for all k ≤ time/h.
        certified: Whether that is proved by interval arithmetic; if not, suprema were sampled.
        reason: Why it is not certified, or an empty text.
        order: The order n of the flow.
        time: The time T.
        tolerance: The tolerance ε.
        t: Times 0 = t₀ < t₁ < … = T, of shape (K + 1,).
        lambda_min: Lower bounds m of λ_min(∇²L) in the tube from tᵢ to tᵢ₊₁, of shape (K,); for
            n > 0, or a vector field, of the symmetric part of -f̃'.
        growth: ∫₀ᵗ exp(-∫_{t'}^t m ds) dt' at the times t.
        defect: The largest βγ, or M for n > 0, up to tᵢ₊₁, of shape (K,).
        centers: Points near the flow at the times t[:-1], of shape (K, d).
        radii: How far the flow is from them, at most; zeros where it was sampled.
    """

    max_learning_rate: float
    certified: bool
    reason: str
    order: int
    time: float
    tolerance: float
    t: np.ndarray
    lambda_min: np.ndarray
    growth: np.ndarray
    defect: np.ndarray
    centers: np.ndarray
    radii: np.ndarray

    @property
    def factor(self) -> np.ndarray:
        """exp(-∫₀ᵗ m ds) at the times t: by how much two solutions approach, or separate."""
        return np.exp(-np.concatenate([[0.0], np.cumsum(self.lambda_min * np.diff(self.t))]))

    def draw(self, axes: Axes) -> None:
        """Draw what errors grow to along the flow, and the curvature m(t) that makes them grow."""
        axes.plot(self.t, self.factor, label=r"$\exp(-\int_0^t m)$")
        axes.plot(self.t, self.growth, label=r"$\int_0^t \exp(-\int_{t'}^t m)\,dt'$")
        axes.stairs(
            self.lambda_min, self.t, baseline=None, color="0.5", label=r"$m(t) \leq \lambda_{min}$"
        )
        axes.axhline(0, color="0.7", lw=0.8)
        axes.set(xlabel="t", title="curvature along the flow, and the growth of errors")

    def show(self) -> list[Block]:
        """Return the bound, why it is not certified if it is not, and a table."""
        reason = [Text(f"Not certified because {self.reason}")] if self.reason else []
        rows = (
            ("learning rates below", self.max_learning_rate),
            ("keep the error below", self.tolerance),
            ("until t =", self.time),
            ("smallest curvature along the flow", float(self.lambda_min.min())),
            ("growth of errors up to then", float(self.growth[-1])),
        )
        table = Table(("", ""), tuple((name, number(float(value), 4)) for name, value in rows))
        picture = Picture("growth", "Curvature along the flow", partial(panel, self.draw))
        return [Finding(self.certified, str(self)), *reason, table, picture]

    def __str__(self) -> str:
        how = "certified by interval arithmetic" if self.certified else "not certified: sampled"
        if not self.max_learning_rate:
            return (
                f"no h that a float can be keeps the flow of order {self.order} within "
                f"{self.tolerance:.6g} of gradient descent until t = {self.time:.6g} ({how})"
            )
        return (
            f"h < {self.max_learning_rate:.6g}: the flow of order {self.order} stays within "
            f"{self.tolerance:.6g} of gradient descent until t = {self.time:.6g} ({how})"
        )
