"""Step refinement: the optimizer against itself with smaller steps, at equal times.

If gradient descent with learning rate h stays near gradient flow, then taking r steps of h/r for
each step of h changes little. This needs no flow, so it can be done for any step function, as in
the experiment of Elkabetz and Cohen (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import as_integer, check_duration, check_step, check_steps, shortened
from modeq.errors import FlowError, InvalidPoint, InvalidValue
from modeq.flows.compare import start_and_step
from modeq.flows.fields import gradient_field, recorded
from modeq.flows.integrate import check_start
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Loss, as_field
from modeq.show.document import Block, Picture, Table, number
from modeq.show.plots import draw_distances, panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACTORS = (2, 5, 10, 20)
_STEPS = 20
Step = Callable[[np.ndarray, float], Any]


@dataclass(frozen=True)
class StepRefinement(Plotted):
    """The optimizer with steps h and h/r, compared at t = 0, h, 2h, …

    Attributes:
        t: Times, of shape (steps + 1,).
        factors: The numbers r.
        distances: {r: ‖θ_k(h) - θ_{rk}(h/r)‖, of shape (steps + 1,)}.
        losses: {r: the losses at θ_{rk}(h/r)}, with r = 1 for h itself; empty without a loss.
        moved: ‖θ_k(h) - θ₀‖, of shape (steps + 1,), to compare distances with.
    """

    t: np.ndarray
    factors: tuple[int, ...]
    distances: dict[int, np.ndarray]
    losses: dict[int, np.ndarray]
    moved: np.ndarray

    @property
    def estimates(self) -> dict[int, float]:
        """{r: the final distance over 1 - 1/r}: estimates of the distance to gradient flow.

        The error is a multiple of h to leading order, so all of them agree while that holds.
        """
        return {r: float(d[-1]) / (1 - 1 / r) for r, d in self.distances.items()}

    def draw(self, axes: Axes) -> None:
        """Draw the distances between steps of h and of h/r at equal times."""
        draw_distances(axes, self.t, {f"h/{r}": d for r, d in self.distances.items()})
        axes.set_ylabel("distance from steps of h")

    def show(self) -> list[Block]:
        """Return the distances, as a picture and a table."""
        words = "Distance between steps of h and of h/r at equal times"
        rows = tuple(
            (f"h/{r}", number(float(d.max())), number(d[-1]), number(self.estimates[r]))
            for r, d in self.distances.items()
        )
        head = ("steps", "largest distance", "final distance", "estimate for gradient flow")
        picture = Picture("refinement", words, partial(panel, self.draw))
        return [picture, Table(head, rows, numeric=True)]

    def __str__(self) -> str:
        lines = ["steps   largest distance   final distance   final loss"]
        ends = {r: f"{values[-1]:10.4e}" for r, values in self.losses.items()}
        lines.append(f"h       {'':16}   {'':14}   {ends.get(1, '')}".rstrip())
        for r, d in self.distances.items():
            row = f"h/{r:<5d} {d.max():16.3e}   {d[-1]:14.3e}   {ends.get(r, '')}"
            lines.append(row.rstrip())
        return "\n".join(lines)


def step_refinement(
    step_or_loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    steps: int | None = None,
    time: float | None = None,
    factors: Sequence[int] = FACTORS,
    value: Callable[[np.ndarray], float] | None = None,
    is_gradient: bool = False,
    parameters: Mapping | None = None,
) -> StepRefinement:
    """Compare the optimizer with itself at h/r for several r, at equal times.

    All runs go side by side, so that only as many points are held as there are runs.

    Args:
        step_or_loss: A loss (for gradient descent), a vector field (for Euler's method), or a
            function ``step(theta, h)`` that returns the next point, an array of the same shape.
        theta0: The start, of shape (d,); for the losses of ``modeq.problems`` it may be left out.
        h: The learning rate; it may be left out for these as well.
        steps: How many steps of h; twenty without it and without a time.
        time: A whole multiple of h, in place of the number of steps.
        factors: Whole numbers r > 1.
        value: The loss of a step function, as a function of the point.
        is_gradient: Whether the function is the gradient of a loss, ``gradient(theta)``, for
            gradient descent.
        parameters: Values of the parameters of a loss, by symbol or name.

    Raises:
        InvalidValue: A factor is not a whole number > 1.
        FlowError: A point is not finite.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> refinement = step_refinement("x**2/2", [1.0], h=0.1, steps=10, factors=(2, 4))
    >>> print(refinement)
    steps   largest distance   final distance   final loss
    h                                           6.0788e-02
    h/2            9.807e-03        9.807e-03   6.4256e-02
    h/4            1.455e-02        1.455e-02   6.5969e-02
    >>> {r: round(e, 4) for r, e in refinement.estimates.items()}  # exp(-1) - 0.9**10 = 0.0192
    {2: 0.0196, 4: 0.0194}
    """
    if callable(step_or_loss):
        start = _checked_start(theta0)
        step = descent(step_or_loss) if is_gradient else step_or_loss
    else:
        loss = as_field(step_or_loss)
        theta0, h = start_and_step(loss, theta0, h)
        values = exact_values(parameters, loss.parameters)
        start = check_start(theta0, loss, values)
        step, value = _euler(loss, values), value or _value(loss, values)
    h, factors = check_step(h), _checked_factors(factors)
    steps = check_duration(_STEPS if steps is None and time is None else steps, time, h)
    check_steps(steps * max(factors))
    return _side_by_side(step, start, h, steps, factors, value)


def descent(gradient: Callable[[np.ndarray], Any]) -> Step:
    """Return the step of gradient descent for a gradient.

    >>> descent(lambda x: 2 * x)(np.array([1.0]), 0.25)
    array([0.5])
    """
    return lambda theta, h: theta - h * np.asarray(gradient(theta))


def _side_by_side(
    step: Step,
    start: np.ndarray,
    h: float,
    steps: int,
    factors: tuple[int, ...],
    value: Callable | None,
) -> StepRefinement:
    points = dict.fromkeys((1, *factors), start)
    distances = {r: [0.0] for r in factors}
    losses = {r: [float(value(start))] for r in points} if value else {}
    moved = [0.0]
    for k in range(1, steps + 1):
        points = {r: _advanced(step, theta, h / r, r, k) for r, theta in points.items()}
        moved.append(_distance(points[1], start))
        for r in factors:
            distances[r].append(_distance(points[r], points[1]))
        for r, row in losses.items():
            row.append(float(value(points[r])))
    return StepRefinement(
        t=h * np.arange(steps + 1),
        factors=factors,
        distances={r: np.array(row) for r, row in distances.items()},
        losses={r: np.array(row) for r, row in losses.items()},
        moved=np.array(moved),
    )


def _advanced(step: Step, theta: np.ndarray, h: float, count: int, k: int) -> np.ndarray:
    """Return the point after ``count`` steps."""
    shape = theta.shape
    with np.errstate(all="ignore"):
        for _ in range(count):
            theta = np.asarray(step(theta, h))
    if theta.shape != shape or not np.all(np.isfinite(theta)):
        raise FlowError(
            f"with the step {h:.6g}, point {k} has the shape {theta.shape} or is not finite; it "
            f"must be a finite array of shape {shape}"
        )
    return theta


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.sum((a - b) ** 2)))


def _euler(loss: Any, values: Mapping) -> Step:
    f = gradient_field(loss, values)
    return lambda theta, h: theta + h * f(theta, 0.0)


def _value(loss: Any, values: Mapping) -> Callable | None:
    if not isinstance(loss, Loss):
        return None
    field = recorded(loss, [loss.expression], values)
    return lambda theta: field(theta, 0.0)[0]


def _checked_start(theta0: Any) -> np.ndarray:
    start = np.asarray(theta0)
    if start.dtype.kind not in "iuf" or start.ndim == 0 or not np.all(np.isfinite(start)):
        raise InvalidPoint(
            f"the start is {shortened(theta0)}; it must be an array of finite real numbers"
        )
    return start.astype(np.float64)


def _checked_factors(factors: Any) -> tuple[int, ...]:
    found = tuple(map(as_integer, factors)) if isinstance(factors, Iterable) else ()
    if not found or any(r is None or r < 2 for r in found):
        raise InvalidValue(
            f"factors is {shortened(factors)}; give whole numbers > 1, such as {FACTORS}"
        )
    return found
