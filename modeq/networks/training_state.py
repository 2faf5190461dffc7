"""All that changes while a network is trained, and how a checkpoint holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidCheckpoint
from modeq.networks.checkpoints import Checkpoint
from modeq.networks.records import COLUMN


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
            raise InvalidCheckpoint(f"the column {name!r} of the checkpoint is a single number")
