"""One training run: a step of the optimizer, the flows along it, and all that is noted.

All that changes while a network is trained, and how a checkpoint holds it.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import FlowError, InvalidCheckpoint, InvalidValue, ModeqError, ModeqWarning
from modeq.networks.adjusted_rates import DriftAdjusted
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.flows import FieldFlow, Flow, SeriesFlow
from modeq.networks.optax_steps import optax_step
from modeq.networks.optimizer_calls import check_optimizer
from modeq.networks.records import (
    COLUMN,
    Checkpoint,
    TrainingRecord,
    load_checkpoint,
    save_checkpoint,
)
from modeq.networks.spectrum import sharpest, stability_coefficients
from modeq.networks.trajectories import advance, check_tolerance, drift_at
from modeq.principal.adjusted_rates import adjusted_rate

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.training_run needs JAX: pip install modeq[jax]") from error


@dataclass
class TrainingState:
    """All that changes in a run.

    Attributes:
        step: How many steps are done.
        theta: The weights, of shape (d,).
        time: The sum of the learning rates.
        memory: The arrays of the optimizer's state.
        flows: {flow: where it is, of shape (d,)}; complex where it is.
        failures: {flow: why it ended}.
        complex_from: {flow: the first step at whose end it is not real}.
        columns: {name: a value for each step}.
        lanczos: Where the next search for eigenvectors begins, of shape (d,).
        gradient: The gradient at theta; found again when the state is restored.
    """

    step: int
    theta: np.ndarray
    time: float
    memory: list[np.ndarray]
    flows: dict[str, np.ndarray]
    failures: dict[str, str] = field(default_factory=dict)
    complex_from: dict[str, int] = field(default_factory=dict)
    columns: dict[str, list] = field(default_factory=dict)
    lanczos: np.ndarray | None = None
    gradient: np.ndarray | None = None

    def note(self, name: str, value: Any) -> None:
        """Add a value to a column."""
        self.columns.setdefault(name, []).append(value)

    def checkpoint(self, settings: Mapping[str, Any], marks: Mapping[str, float]) -> Checkpoint:
        """Return all of it as a checkpoint."""
        arrays = {"theta": self.theta, "time": np.array(self.time)}
        arrays |= {COLUMN + name: np.array(values) for name, values in self.columns.items()}
        arrays |= {f"memory/{i:04d}": leaf for i, leaf in enumerate(self.memory)}
        arrays |= {f"flow/{name}": theta for name, theta in self.flows.items()}
        if self.lanczos is not None:
            arrays["lanczos"] = self.lanczos
        kept = {"failures": self.failures, "complex_from": self.complex_from}
        return Checkpoint(self.step, settings, marks, kept, arrays)

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> TrainingState:
        """Return what a checkpoint holds.

        Raises:
            InvalidCheckpoint: It is not the checkpoint of a training run.
        """
        _refuse_others(checkpoint)
        arrays = checkpoint.arrays

        def below(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        return cls(
            step=checkpoint.step,
            theta=arrays["theta"],
            time=float(arrays["time"]),
            memory=[leaf for _, leaf in sorted(below("memory/").items())],
            flows=below("flow/"),
            failures=dict(checkpoint.state["failures"]),
            complex_from=dict(checkpoint.state["complex_from"]),
            columns={name: list(values) for name, values in below(COLUMN).items()},
            lanczos=arrays.get("lanczos"),
        )


_KEPT = {"failures": str, "complex_from": int}
"""The type of the values of each mapping in the state."""


def _refuse_others(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint without what belongs to a training run."""
    arrays, state = checkpoint.arrays, checkpoint.state
    dimensions = {name: arrays[name].ndim for name in ("theta", "time") if name in arrays}
    if dimensions != {"theta": 1, "time": 0} or arrays["time"].dtype.kind != "f":
        raise InvalidCheckpoint(
            "the checkpoint is not that of a training run: it needs an array 'theta' of weights "
            "and a number 'time'"
        )
    for name, kind in _KEPT.items():
        kept = state.get(name)
        if not isinstance(kept, Mapping) or any(type(value) is not kind for value in kept.values()):
            raise InvalidCheckpoint(
                f"the checkpoint is not that of a training run: its {name} is {shortened(kept)}"
            )
    for name, values in arrays.items():
        if name.startswith(COLUMN) and not values.ndim:
            raise InvalidCheckpoint(
                f"the column {shortened(name)} of the checkpoint is a single number"
            )


def _versions(more: Iterable[str]) -> dict[str, str]:
    """Return the versions, as far as they are known, of what gives other numbers in another."""
    found = {}
    for name in ("modeq", "jax", "jaxlib", "numpy", *more):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class TrainingRun:
    """What stays the same in a run.

    Args:
        loss: The loss.
        start: The weights at the start, of shape (d,).
        flows: The flows, by their names.
        rate, optimizer, predict, directions, drift, every, tolerance: As for
            ``modeq.networks.training.train``.

    Raises:
        InvalidValue: There are fewer directions, or the optimizer or the tolerance is none.
    """

    def __init__(
        self,
        loss: FlatLoss,
        start: np.ndarray,
        *,
        rate: float | DriftAdjusted | None,
        optimizer: Any,
        flows: Mapping[str, Flow],
        predict: Callable[[Any], Any] | None,
        directions: int,
        drift: bool,
        every: int,
        tolerance: float | None,
    ):
        if directions > loss.dimension:
            raise InvalidValue(f"directions is {directions}; the loss has {loss.dimension} weights")
        self.loss, self.start = loss, start
        self.flows, self._warned = flows, False
        self.directions, self.drift, self.every = directions, drift, every
        self.tolerance = check_tolerance(tolerance, loss)
        self.optimizer = None if optimizer is None else optax_step(check_optimizer(optimizer), loss)
        self.rate = self._own_rate() if rate is None else rate
        self.function_distance = None if predict is None else _function_distance(predict, loss)
        self.fields = {name: flow.bind(loss) for name, flow in flows.items()}

    def _own_rate(self) -> float:
        """Return the learning rate that is in the optimizer."""
        rate = self.optimizer.descent_rate(self.start)
        if rate is None:
            raise InvalidValue(
                "rate is missing: the first step of the optimizer is no multiple of the gradient, "
                "so its learning rate cannot be read from it; give rate=, the time of a step"
            )
        return rate

    @cached_property
    def of_descent(self) -> tuple[str, ...]:
        """What is looked at that belongs to gradient descent alone."""
        names = [name for name, flow in self.flows.items() if getattr(flow, "of_descent", False)]
        return (*names, *(["the drift"] if self.drift else []))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What determines the run but for functions, as JSON can hold it."""
        is_adjusted = isinstance(self.rate, DriftAdjusted)
        return {
            "rate": asdict(self.rate) if is_adjusted else self.rate,
            "optimizer": self._optimizer_program(),
            "loss": f"program {self.loss.fingerprint}",
            "versions": _versions(("optax",) if self.optimizer else ()),
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

    def _optimizer_program(self) -> str:
        if self.optimizer is None:
            return "gradient descent"
        return f"program {self.optimizer.fingerprint(self.start)}"

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

    @np.errstate(over="ignore", invalid="ignore")
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
        if self.optimizer:
            self.optimizer.refuse_others(state.memory, self.start)
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

    @np.errstate(over="ignore", invalid="ignore")
    def advance(self, state: TrainingState) -> None:
        """Take a step, and all flows with it.

        Raises:
            FlowError: The weights, the loss or the gradient are not finite then.
        """
        h = state.columns["rate"][-1]
        for name in [name for name in self.flows if name not in state.failures]:
            self._advance_flow(state, name, h)
        if self.optimizer:
            before, step = state.theta, h * state.gradient
            state.theta, state.memory = self.optimizer(state.theta, state.memory)
            self._warn_of_other_steps(before - step - state.theta, step, state)
        else:
            state.theta = state.theta - self.loss.dtype.type(h) * state.gradient
        state.step, state.time = state.step + 1, state.time + h
        self._observe(state, self._slope(state))

    def _warn_of_other_steps(
        self, miss: np.ndarray, step: np.ndarray, state: TrainingState
    ) -> None:
        """Warn of flows of gradient descent beside steps that are not h times the gradient."""
        rounding = np.finfo(self.loss.dtype).eps
        allowed = 100 * rounding * _size(step) + 4 * rounding * _size(state.theta)
        if self.of_descent and not self._warned and not _size(miss) <= allowed:
            self._warned = True
            warnings.warn(
                f"{', '.join(self.of_descent)} belong to gradient descent with the rate "
                f"{self.rate:.6g}, but step {state.step + 1} of the optimizer is another one; give "
                f"rate= as it is in the optimizer, or for its own flow "
                f"flows=[FieldFlow('its own', OptimizerStep(optimizer, loss, order))]",
                ModeqWarning,
                stacklevel=4,
            )

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
        if not np.all(np.isfinite(state.theta)):
            raise FlowError(
                f"the weights are not finite at step {state.step}; take a smaller learning rate"
            )
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
            flow = SeriesFlow(0).bind(self.loss)
            with suppress(FlowError):  # gradient flow may end before one step does
                found = drift_at(self.loss, flow, state.theta, h, self.tolerance)
                measured, predicted = found.measured, found.predicted
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
    """Return |v|, in double precision, where squares do not overflow as early."""
    return float(np.linalg.norm(vector.astype(float)))


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
