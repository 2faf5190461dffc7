"""Trajectories of flows, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import as_points, check_step, check_steps
from modeq.derivation.derive import ModifiedField
from modeq.derivation.start_shift import slow_start
from modeq.errors import FlowError, InvalidPoint
from modeq.flows.fields import domain_field, recorded, with_values
from modeq.flows.forms import numeric_field
from modeq.losses.loss import Field
from modeq.show.document import Block, Math, Picture, Table
from modeq.show.plots import draw_path, panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RELATIVE_TOLERANCE = 1e-12
ABSOLUTE_TOLERANCE = 1e-14
"""Relative to the size of what is followed where that is smaller than one: see ``small``."""
MAX_EVALUATIONS, MAX_PER_STEP = 200_000, 2_000
"""No more evaluations of a field are spent on a trajectory: so many, and so many for each step."""


@dataclass(frozen=True)
class Trajectory(Plotted):
    """A solution at t = 0, h, 2h, …

    Attributes:
        t: Times, of shape (steps + 1,), in units of the learning rate times steps.
        theta: Points, of shape (steps + 1, d).
    """

    t: np.ndarray
    theta: np.ndarray

    def draw(self, axes: Axes) -> None:
        """Draw the path: in the plane if it has two coordinates, or against time."""
        draw_path(axes, self.t, self.theta)

    def show(self) -> list[Block]:
        """Return the path, and its first and last points."""
        words = f"{len(self.t) - 1} steps from t = 0 to {self.t[-1]:.6g}"
        return [Picture("path", words, partial(panel, self.draw)), _points(self.t, self.theta)]


MAX_ROWS = 8
"""Rows of points that are listed, from the start and from the end."""

MAX_NUMBERS = 6
"""Coordinates of each of them."""


def _points(t: np.ndarray, theta: np.ndarray) -> Table:
    """Return the first and the last points."""
    shown = list(range(len(t)))
    if len(shown) > MAX_ROWS:
        shown = [*shown[: MAX_ROWS // 2], *shown[-MAX_ROWS // 2 :]]
    more = ", …" * (theta.shape[1] > MAX_NUMBERS)
    rows = tuple(
        (f"{t[i]:.6g}", ", ".join(f"{x:.6g}" for x in theta[i, :MAX_NUMBERS]) + more) for i in shown
    )
    return Table((Math("t"), Math(r"\theta")), rows)


def check_start(theta0: Any, loss: Field, parameters: Mapping | None = None) -> np.ndarray:
    """Return a start as an array of shape (d,), if the loss and its gradient are finite there.

    Raises:
        InvalidPoint: The shape is wrong, an entry is not a finite real number, or the point is
            outside the domain.

    >>> from modeq.losses.loss import Loss
    >>> check_start([1], Loss("log(x)"))
    array([1.])
    """
    start = as_points(theta0, loss.dimension)
    if start.ndim != 1:
        raise InvalidPoint(
            f"the start has the shape {start.shape}; it must be one point of shape "
            f"({loss.dimension},)"
        )
    if np.iscomplexobj(start) or not np.all(np.isfinite(start)):
        raise InvalidPoint(f"the start is {start.tolist()}; its entries must be finite and real")
    if not np.all(np.isfinite(domain_field(loss, parameters)(start, 0.0))):
        raise InvalidPoint(
            f"the loss or its gradient is not a finite real number at the start {start.tolist()}: "
            f"the point is outside the domain"
        )
    return start


def solve(
    modified: ModifiedField,
    theta0: Any,
    h: float,
    steps: int,
    parameters: Mapping | None = None,
) -> Trajectory:
    """Return the solution of θ' = f̃(θ) at t = 0, h, …, steps·h, to about twelve digits.

    Raises:
        FlowError: The flow leaves the domain of the field, or blows up.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> modified = derive_field(Loss("x**2/2"), 1, GradientDescent())
    >>> solve(modified, [1.0], h=0.1, steps=2).theta.round(6).tolist()
    [[1.0], [0.900325], [0.810584]]
    """
    h, steps = check_step(h), check_steps(steps)
    rhs = numeric_field(modified, parameters)
    own, _ = with_values(modified.loss, modified.method, parameters)
    start = check_start(theta0, modified.loss, own)
    return integrate(lambda theta: rhs(theta, h), start, h, steps)


def start_from_rest(
    modified: ModifiedField, theta0: Any, h: float, parameters: Mapping | None = None
) -> np.ndarray:
    """Return where the flow starts that the iterates from rest at ``theta0`` approach.

    Raises:
        InvalidMethod: There is no exact series for it.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> start_from_rest(derive_field(Loss("x**2/2"), 1, HeavyBall(0.5)), [1.0], 0.1)
    array([1.2])
    """
    own, method = with_values(modified.loss, modified.method, parameters)
    point = check_start(theta0, modified.loss, own)
    column = slow_start(modified.loss, modified.order, method)
    return recorded(modified.loss, column, own)(point, check_step(h))


def small(start: np.ndarray, slope: np.ndarray, h: float) -> float:
    """Return the largest coordinate of a start, or of where it goes in time h, at most one.

    >>> small(np.array([1e-6]), np.array([-1e-3]), 0.1), small(np.array([5.0]), np.array([1.0]), 1)
    (0.0001, 1.0)
    """
    size = np.max(np.abs([start, h * np.asarray(slope)]))
    return float(min(size, 1.0)) if 0 < size < np.inf else 1.0


def integrate(
    rhs: Callable[[np.ndarray], np.ndarray], start: np.ndarray, h: float, steps: int
) -> Trajectory:
    """Return the solution of θ' = rhs(θ) at t = 0, h, …, steps·h."""
    t = h * np.arange(steps + 1)
    return Trajectory(t, _solved(rhs, start, h, steps, t_eval=t).y.T)


def solver_steps(
    rhs: Callable[[np.ndarray], np.ndarray], start: np.ndarray, time: float, fewest: int
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the times of the solver's own steps, at least so many, and the solution between them.

    >>> t, theta = solver_steps(lambda theta: -theta, np.array([1.0]), 2.0, 10)
    >>> len(t) > 10, bool(abs(theta(t)[-1, 0] - np.exp(-2)) < 1e-10)
    (True, True)
    """
    h = time / fewest
    solution = _solved(rhs, start, h, fewest, max_step=h, dense_output=True)
    return solution.t, lambda t: solution.sol(t).T


def _solved(
    rhs: Callable[[np.ndarray], np.ndarray], start: np.ndarray, h: float, steps: int, **asked: Any
) -> Any:
    """Return what SciPy finds until steps·h.

    Raises:
        FlowError: The solution blows up, leaves the domain, or is too stiff.
    """
    from scipy.integrate import solve_ivp

    evaluations, most = count(1), MAX_EVALUATIONS + MAX_PER_STEP * steps

    def counted(time: float, theta: np.ndarray) -> np.ndarray:
        if next(evaluations) > most:
            raise FlowError(
                f"the flow was at {theta.tolist()} at t = {time:.6g} after {most:,} evaluations of "
                f"its field: it is too stiff; take a smaller h or a lower order"
            )
        return rhs(theta)

    with np.errstate(all="ignore"):
        solution = solve_ivp(
            counted,
            (0.0, h * steps),
            start,
            method="DOP853",
            rtol=RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE * small(start, rhs(start), h),
            # Finding a first step would evaluate the field outside its domain.
            first_step=h / 16,
            **asked,
        )
    if not (solution.success and np.all(np.isfinite(solution.y))):
        reached, last = (solution.t[-1], solution.y[:, -1]) if len(solution.t) else (0.0, start)
        raise FlowError(
            f"the flow blows up or leaves the domain of the field soon after t = {reached:.6g}; "
            f"the last point was {last.tolist()}"
        )
    return solution
