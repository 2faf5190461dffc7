"""Training with the flows along it: every step, all are where the learning rate takes them.

One step of the optimizer is compared with each flow over the time h, from the same start. The flows
are never put back to the iterates; how far one step alone goes astray is the drift. A run stores
checkpoints, and goes on from them to the same numbers, bit by bit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from modeq.errors import FlowError, InvalidCheckpoint, InvalidValue, ModeqError
from modeq.flows.flow import check_steps
from modeq.flows.numeric import check_step
from modeq.networks.checkpoints import load_checkpoint, save_checkpoint
from modeq.networks.flows import (
    FieldFlow,
    Flow,
    SeriesFlow,
    advance,
    as_flow,
    bound,
    check_tolerance,
    drift_at,
)
from modeq.networks.optax_steps import optax_step
from modeq.networks.records import TrainingRecord
from modeq.networks.spectrum import check_powers, sharpest, stability_coefficients
from modeq.networks.training_state import TrainingState
from modeq.networks.vectors import FlatLoss, flattened
from modeq.principal.drift import adjusted_rate

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.training needs JAX: pip install modeq[jax]") from error

Progress = Callable[[int, int], Any]
"""A function of the steps that are done, and of all."""


@dataclass(frozen=True)
class DriftAdjusted:
    """The drift-adjusted learning rate DAL-p, min(2/|Hĝ|^p, cap), ĝ = g/|g|.

    References:
        Rosca, Wu, Qin, Dherin 2023.
    """

    p: float = 1
    cap: float = 5

    def __post_init__(self):
        check_powers(self.p, self.cap)


def train(
    loss_fn: Callable[[Any], Any],
    params: Any,
    *,
    steps: int,
    rate: float | DriftAdjusted = 0.1,
    optimizer: Any = None,
    flows: Sequence[Any] = (0, 1),
    predict: Callable[[Any], Any] | None = None,
    directions: int = 0,
    drift: bool = False,
    every: int = 1,
    tolerance: float | None = None,
    precision: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 100,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Run gradient descent, or an optimizer of optax, and flows along it.

    Args:
        loss_fn: A function of a pytree that returns a scalar.
        params: The weights at the start.
        steps: How many steps.
        rate: The learning rate h, or ``DriftAdjusted()``. With an optimizer: the time of a step.
        optimizer: A gradient transformation of optax, with its own learning rate in it.
        flows: Orders n, ``TopPrincipalFlow`` and ``FieldFlow``.
        predict: A function of params, for distances between functions.
        directions: For how many of the sharpest directions eigenvalues and stability coefficients
            are recorded.
        drift: Whether the drift of single steps is recorded, measured and predicted.
        every: At each so many steps directions and drift are looked at.
        tolerance: Relative, of each step of the solver; 1e-9 in double precision, else 1e-5.
        precision: "float64" or "float32"; that of the weights unless given.
        checkpoint: The file to store the state in. If there is one of the same run already, it
            goes on from there; it may then take more steps.
        checkpoint_every: After how many steps.
        progress: Is called with the steps that are done, and that of all.

    Raises:
        FlowError: The loss or the gradient is not finite; the step and the leaf are named. The last
            checkpoint is kept. A flow that ends is noted in ``failures`` instead.
        InvalidCheckpoint: The checkpoint is damaged, or of another run; it is left as it is.
        InvalidLoss, InvalidPoint, InvalidStep, InvalidValue: The arguments cannot be right.

    >>> record = train(lambda p: (p["x"] ** 2).sum() / 2, {"x": np.ones(1)}, steps=10, rate=0.1,
    ...     flows=(0, 1, 2), precision="float64")
    >>> [float(f"{record.columns[f'order {n}/weights'][-1]:.1e}") for n in (0, 1, 2)]
    [0.019, 0.0013, 9.5e-05]
    """
    run = _Run(
        *flattened(loss_fn, params, precision),
        rate=_checked_rate(rate, optimizer),
        optimizer=optimizer,
        flows=_checked_flows(flows),
        predict=predict,
        directions=_checked_count("directions", directions, 0),
        drift=bool(drift),
        every=_checked_count("every", every, 1),
        tolerance=tolerance,
    )
    steps, stride = check_steps(steps), _checked_count("checkpoint_every", checkpoint_every, 1)
    state = run.resumed(checkpoint, steps)
    while state.step < steps:
        run.advance(state)
        if checkpoint is not None and (state.step % stride == 0 or state.step == steps):
            run.store(checkpoint, state)
        if progress is not None:
            progress(state.step, steps)
    return run.record(state)


class _Run:
    """What stays the same in a run."""

    def __init__(self, loss: FlatLoss, start: np.ndarray, **options: Any):
        self.loss, self.start = loss, start
        self.rate: float | DriftAdjusted = options["rate"]
        self.flows: dict[str, Flow] = options["flows"]
        self.directions, self.every = options["directions"], options["every"]
        self.drift = options["drift"]
        self.tolerance = check_tolerance(options["tolerance"], loss)
        self.optimizer = options["optimizer"] and optax_step(options["optimizer"], loss)
        self.function_distance = options["predict"] and _function_distance(options["predict"], loss)
        self.fields = {name: bound(flow, loss) for name, flow in self.flows.items()}
        if self.directions > loss.dimension:
            raise InvalidValue(
                f"directions is {self.directions}; the loss has {loss.dimension} weights"
            )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What determines the run but for functions, as JSON can hold it."""
        is_adjusted = isinstance(self.rate, DriftAdjusted)
        return {
            "rate": asdict(self.rate) if is_adjusted else self.rate,
            "optimizer": "optax" if self.optimizer else "gradient descent",
            "flows": [{**flow.settings, "name": name} for name, flow in self.flows.items()],
            "function": self.function_distance is not None,
            "directions": self.directions,
            "drift": self.drift,
            "every": self.every,
            "tolerance": self.tolerance,
            "precision": str(self.loss.dtype),
            "weights": self.loss.dimension,
            "start": hashlib.sha256(np.ascontiguousarray(self.start).tobytes()).hexdigest(),
        }

    @cached_property
    def marks(self) -> dict[str, float]:
        """Numbers that other functions would not give."""
        value, gradient = self.loss.value_and_gradient(self.start)
        found = {"loss at the start": value, "gradient at the start": _size(gradient)}
        if self.optimizer:
            found["update of the optimizer"] = self.optimizer.mark(self.start)
        if self.function_distance:
            found["predictions"] = self.function_distance(self.start, self.start - gradient)
        step = 1.0 if isinstance(self.rate, DriftAdjusted) else self.rate
        for name, flow in self.flows.items():
            if isinstance(flow, FieldFlow):
                found[f"field of {name}"] = _size(self.fields[name].rhs(self.start, step))
        return found

    def resumed(self, path: str | os.PathLike | None, steps: int) -> TrainingState:
        """Return the state that a checkpoint holds, or that at the start."""
        if path is None or not os.path.exists(path):
            return self._first()
        found = load_checkpoint(path, self.settings, self.marks)
        if found.step > steps:
            raise InvalidCheckpoint(
                f"{os.fsdecode(path)!r} has {found.step} steps already, and steps is {steps}; give "
                f"at least as many, or another name"
            )
        state = TrainingState.restored(found)
        self._slope(state)
        return state

    def _first(self) -> TrainingState:
        flows = {name: self.start.astype(float) for name in self.flows}
        memory = self.optimizer.first(self.start) if self.optimizer else []
        state = TrainingState(0, self.start, 0.0, memory, flows)
        self._observe(state, self._slope(state))
        return state

    def store(self, path: str | os.PathLike, state: TrainingState) -> None:
        """Write a checkpoint."""
        save_checkpoint(path, state.checkpoint(self.settings, self.marks))

    def advance(self, state: TrainingState) -> None:
        """Take a step, and all flows with it."""
        h = state.columns["rate"][-1]
        for name in [name for name in self.flows if name not in state.failures]:
            self._advance_flow(state, name, h)
        if self.optimizer:
            state.theta, state.memory = self.optimizer(state.theta, state.memory)
        else:
            state.theta = state.theta - self.loss.dtype.type(h) * state.gradient
        state.step, state.time = state.step + 1, state.time + h
        self._observe(state, self._slope(state))

    def _advance_flow(self, state: TrainingState, name: str, h: float) -> None:
        step = state.step + 1
        try:
            end = advance(
                self.fields[name], state.flows[name], h, self.tolerance, name=name, step=step
            )
        except ModeqError as error:
            text = str(error)
            state.failures[name] = text if text.startswith(name) else f"{name}, step {step}: {text}"
            return
        if np.iscomplexobj(end):
            state.complex_from.setdefault(name, step)
        state.flows[name] = end

    def _slope(self, state: TrainingState) -> float:
        """Return the loss, and keep its gradient, if they are finite."""
        value, gradient = self.loss.value_and_gradient(state.theta)
        wrong = np.flatnonzero(~np.isfinite(gradient))
        if not np.isfinite(value) or len(wrong):
            leaf = f" in the leaf {self.loss.name_of(int(wrong[0]))}" if len(wrong) else ""
            raise FlowError(
                f"the {'gradient' if len(wrong) else 'loss'} is not finite{leaf} at step "
                f"{state.step}; take a smaller learning rate"
            )
        state.gradient = gradient
        return value

    def _observe(self, state: TrainingState, value: float) -> None:
        """Note all that is recorded at a step."""
        h = self._rate_at(state)
        state.note("time", state.time)
        state.note("rate", h)
        state.note("loss", value)
        state.note("gradient_norm", _size(state.gradient))
        looked = state.step % self.every == 0
        if self.directions:
            self._note_directions(state, h, looked)
        if self.drift:
            self._note_drift(state, h, looked)
        for name in self.flows:
            self._note_flow(state, name)

    def _rate_at(self, state: TrainingState) -> float:
        if not isinstance(self.rate, DriftAdjusted):
            return self.rate
        curved = self.loss.product(state.theta, state.gradient)
        try:
            return adjusted_rate(state.gradient, curved, self.rate.p, self.rate.cap)
        except InvalidValue as error:
            raise FlowError(f"there is no learning rate at step {state.step}: {error}") from None

    def _note_directions(self, state: TrainingState, h: float, looked: bool) -> None:
        values = coefficients = np.full(self.directions, np.nan)
        if looked:
            values, vectors = sharpest(self.loss, state.theta, self.directions, state.lanczos)
            state.lanczos = vectors.sum(axis=1)
            coefficients = stability_coefficients(values, vectors.T @ state.gradient, h)
        state.note("eigenvalues", values)
        state.note("coefficients", coefficients)

    def _note_drift(self, state: TrainingState, h: float, looked: bool) -> None:
        measured = predicted = np.nan
        if looked:
            flow = bound(SeriesFlow(0), self.loss)
            try:
                found = drift_at(self.loss, flow, state.theta, h, self.tolerance)
                measured, predicted = found.measured, found.predicted
            except FlowError:  # gradient flow ends before one step does
                predicted = np.nan
        state.note("drift_measured", measured)
        state.note("drift_predicted", predicted)

    def _note_flow(self, state: TrainingState, name: str) -> None:
        meets = name not in state.failures and state.step % self.flows[name].period == 0
        point = np.real(state.flows[name])
        state.note(f"{name}/loss", self.loss.value(point) if meets else np.nan)
        state.note(f"{name}/weights", _size(point - state.theta) if meets else np.nan)
        if self.function_distance:
            apart = self.function_distance(point, state.theta) if meets else np.nan
            state.note(f"{name}/function", apart)

    def record(self, state: TrainingState) -> TrainingRecord:
        """Return what was noted."""
        columns = {name: np.array(values, float) for name, values in state.columns.items()}
        return TrainingRecord(
            self.settings, columns, state.failures, state.complex_from, state.theta
        )


def _size(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))


@lru_cache(maxsize=8)
def _function_distance(predict: Callable[[Any], Any], loss: FlatLoss) -> Callable:
    """Return the root mean square of the difference of the predictions at two vectors."""

    def apart(theta: Any, other: Any) -> Any:
        pairs = zip(
            jax.tree.leaves(predict(loss.traced(theta))),
            jax.tree.leaves(predict(loss.traced(other.astype(theta.dtype)))),
            strict=True,
        )
        squares, sizes = zip(*((jnp.sum((a - b) ** 2), a.size) for a, b in pairs), strict=True)
        return jnp.sqrt(sum(squares) / sum(sizes))

    compiled = loss.compiled(apart)
    return lambda theta, other: float(compiled(theta, other))


def _checked_rate(rate: Any, optimizer: Any) -> float | DriftAdjusted:
    if not isinstance(rate, DriftAdjusted):
        return check_step(rate)
    if optimizer is not None:
        raise InvalidValue(
            "the rate is drift-adjusted and there is an optimizer, which has its own; give the "
            "time of a step as rate"
        )
    return rate


def _checked_flows(flows: Any) -> dict[str, Flow]:
    chosen = [as_flow(flow) for flow in flows]
    found = {flow.name: flow for flow in chosen}
    if len(found) < len(chosen):
        raise InvalidValue(f"two flows have the same name: {[flow.name for flow in chosen]}")
    return found


def _checked_count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise InvalidValue(f"{name} is {value!r}; it must be an integer >= {least}")
    return value.__index__()
