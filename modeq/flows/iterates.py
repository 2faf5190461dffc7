"""The optimizer itself, in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modeq.checks import as_points, check_step, check_steps, shortened
from modeq.errors import DidNotConverge, FlowError, InvalidMethod, InvalidPoint
from modeq.flows.fields import NumericField, gradient_field, part_fields, recorded, with_values
from modeq.flows.integrate import check_start, integrate
from modeq.flows.stable import stable_forces
from modeq.losses.loss import Field, as_field
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, method_for
from modeq.methods.optimizer import Optimizer, State


def iterate(
    loss: Any,
    theta0: Any,
    *,
    h: float,
    steps: int,
    method: Any = None,
    parameters: Mapping | None = None,
    start: Any = None,
) -> np.ndarray:
    """Return the iterates θ₀, …, θ_steps of the method itself, of shape (steps + 1, d).

    Args:
        loss: A loss or vector field.
        theta0: The start, of shape (d,).
        h: The learning rate.
        steps: How many steps.
        method: A method, the name of one, or an update rule. Without it, that which the field comes
            with, or gradient descent.
        parameters: Values of the parameters of the loss and of the method, by symbol or name.
        start: For a method with memory that needs k points, θ₀, …, θ_{k-1}, of shape (k, d), in
            place of ``theta0``. Without it momentum starts at rest, as optimizers do, and multistep
            methods start with k points of the exact flow, to about twelve digits. For an optimizer
            given as a rule, a mapping of its memory slots to arrays of shape (d,).

    Raises:
        FlowError: An iterate is not finite.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> iterate("x**2/2", [1.0], h=0.1, steps=2).ravel().tolist()
    [1.0, 0.9, 0.81]
    >>> iterate("x**2/2", [1.0], h=0.1, steps=2, method=LinearMultistep([-1, 0, 1], [0, 2, 0]),
    ...         start=[[1.0], [0.9]]).ravel().round(12).tolist()
    [1.0, 0.9, 0.82]
    """
    h, steps = check_step(h), check_steps(steps)
    loss = as_field(loss)
    own, method = with_values(loss, method_for(loss, method), parameters)
    f = _ArrayField(gradient_field(loss, own), part_fields(loss, own))
    if isinstance(method, LinearMultistep):
        theta = _first_points(method, loss, theta0, start, own, f, h)
        recurrence = method.recurrence_over(float)
        step = lambda theta: recurrence(theta[-method.steps :], f, h)  # noqa: E731
    elif isinstance(method, Optimizer):
        first = check_start(theta0, loss, own)
        memory = _checked_memory(method, start, first)
        forces = _ArrayField(recorded(loss, stable_forces(loss), own))
        return _optimizer_points(method, State(theta=first, **memory), forces, h, steps)
    else:
        _refuse_start(method, start)
        theta = [check_start(theta0, loss, own)]
        rule = method.rule_over(float)
        step = lambda theta: rule(theta[-1], f, h)  # noqa: E731
    with np.errstate(all="ignore"):
        while len(theta) <= steps:
            theta.append(_checked_result(method, step(theta), theta[0].shape))
            _refuse_infinite(theta)
    return np.array(theta[: steps + 1])


def _checked_result(method: Method, theta: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what an update rule has returned, if it is a point."""
    if not isinstance(theta, np.ndarray) or theta.shape != shape:
        raise InvalidMethod(
            f"the update rule of {method} returned {shortened(theta)}; it must return the next "
            f"point, an "
            f"array of the shape {shape}"
        )
    return theta


def _checked_memory(method: Optimizer, start: Any, first: np.ndarray) -> dict[str, np.ndarray]:
    """Return the memory that an optimizer starts with: zero, unless it is given."""
    if start is None:
        return {slot: np.zeros_like(first) for slot in method.memory}
    if not isinstance(start, Mapping) or {*start} != {*method.memory}:
        slots = ", ".join(method.memory) or "none"
        raise InvalidPoint(f"start must be a mapping with the memory of {method}: {slots}")
    memory = {slot: as_points(value, len(first)) for slot, value in start.items()}
    for slot, value in memory.items():
        if value.shape != first.shape:
            raise InvalidPoint(
                f"{slot} of the start has the shape {value.shape}; it must be {first.shape}"
            )
        if np.iscomplexobj(value) or not np.all(np.isfinite(value)):
            raise InvalidPoint(
                f"{slot} of the start is {value.tolist()}; its entries must be finite and real"
            )
    return memory


def _optimizer_points(
    method: Optimizer, state: State, f: _ArrayField, h: float, steps: int
) -> np.ndarray:
    """Return the iterates of an optimizer from a state."""
    theta = [state.theta]
    with np.errstate(all="ignore"):
        while len(theta) <= steps:
            state = method.step(state, lambda point: -f(point), h, float)
            theta.append(_checked_result(method, state.theta, theta[0].shape))
            _refuse_infinite(theta)
    return np.array(theta)


def _first_points(
    method: LinearMultistep,
    loss: Field,
    theta0: Any,
    start: Any,
    parameters: Mapping,
    f: _ArrayField,
    h: float,
) -> list[np.ndarray]:
    """Return the k points that a method with memory starts from."""
    if start is not None:
        return _checked_points(method, loss, start, parameters)
    first = check_start(theta0, loss, parameters)
    if method.starts_at_rest:
        return method.started_at_rest(first, f, h, float)
    if method.steps == 1:
        return [first]
    speed = float(sum(method.beta) / method.slope)
    return [*integrate(lambda theta: speed * f(theta), first, h, method.steps - 1).theta]


def _checked_points(
    method: LinearMultistep, loss: Field, start: Any, parameters: Mapping
) -> list[np.ndarray]:
    points = as_points(start, loss.dimension)
    if points.shape != (method.steps, loss.dimension):
        raise InvalidPoint(
            f"start has the shape {points.shape}; {method} starts from {method.steps} points, so "
            f"it must be ({method.steps}, {loss.dimension})"
        )
    return [check_start(point, loss, parameters) for point in points]


def _refuse_start(method: Method, start: Any) -> None:
    if start is not None:
        raise InvalidPoint(f"{method} starts from one point: give theta0 alone, and no start")


def _refuse_infinite(theta: Sequence[np.ndarray]) -> None:
    if not np.all(np.isfinite(theta[-1])):
        raise FlowError(
            f"iterate {len(theta) - 1} is {theta[-1].tolist()}, after {theta[-2].tolist()}: the "
            f"method diverges or leaves the domain"
        )


class _ArrayField:
    """The field of a loss over arrays: the ``f`` that an update rule is run with."""

    def __init__(self, f: NumericField, parts: Sequence[NumericField] = ()):
        self.parts = tuple(map(_ArrayField, parts))
        self._f = f

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        return self._f(theta, 0.0)

    def flow(self, theta: np.ndarray, time: float) -> np.ndarray:
        """Return the exact flow of the field, to about twelve digits, for a time of any sign."""
        sign = math.copysign(1.0, time)
        return integrate(lambda point: sign * self(point), theta, abs(time), 1).theta[-1]

    def fixed_point(self, sweep: Callable, start: tuple[np.ndarray, ...]) -> tuple:
        """Return the stages k = ``sweep``(k), by SciPy's root finder unless sweeps find them."""
        # Stages that depend on earlier ones only, as those of separable fields, settle exactly.
        stages = start
        for _ in start:
            previous, stages = stages, sweep(stages)
            if all(map(np.array_equal, stages, previous)):
                return stages
        from scipy.optimize import root

        shape = (len(start), *start[0].shape)

        def defect(flat: np.ndarray) -> np.ndarray:
            return np.ravel(sweep(tuple(flat.reshape(shape)))) - flat

        found = root(defect, np.ravel(start), tol=1e-14)
        size = 1 + np.max(np.abs(found.x))
        if not np.max(np.abs(found.fun)) <= 1e-9 * size:
            raise DidNotConverge(
                f"the implicit stages were not found from the start {np.ravel(start).tolist()}: "
                f"{found.message}"
            )
        return tuple(found.x.reshape(shape))
