"""What a training run leaves behind: every curve, by name, in one file.

Checkpoints: where a run was, so that it goes on after a kill as if nothing had happened.

A checkpoint holds the state of a run, the settings that led there, among them what tells the
programs of the loss and the optimizer from others, and marks: a few numbers that other functions
would not give. A checkpoint that is damaged, or that belongs to another run, is refused; its file
is kept.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidCheckpoint, InvalidValue
from modeq.files import path_text, write_atomically
from modeq.networks.archives import read_archive, write_archive
from modeq.show.shown import Shown

COLUMN = "column/"
THETA = "theta"


@dataclass(frozen=True)
class TrainingRecord(Shown):
    """The curves of an optimizer and its flows, all that is needed to draw them again.

    Attributes:
        settings: What determined the run, as JSON can hold it.
        columns: Arrays of shape (steps + 1,), or (steps + 1, k) for k directions, by name:
            ``time`` (the sum of the learning rates), ``rate`` (of the step that begins there),
            ``loss``, ``gradient_norm``; where it was asked for ``eigenvalues``, ``coefficients``,
            ``drift_measured``, ``drift_predicted``; and for each flow ``<flow>/loss``,
            ``<flow>/weights`` and ``<flow>/function``, the last two distances from the optimizer.
            nan where nothing was measured.
        failures: {flow: why it ended}.
        complex_from: {flow: the first step at whose end it is not real}.
        theta: The weights in the end, as a vector.
    """

    settings: Mapping[str, Any]
    columns: Mapping[str, np.ndarray]
    failures: Mapping[str, str]
    complex_from: Mapping[str, int]
    theta: np.ndarray

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.columns["time"]) - 1

    @property
    def flows(self) -> tuple[str, ...]:
        """The names of the flows."""
        return tuple(flow["name"] for flow in self.settings["flows"])

    @property
    def sharpness(self) -> np.ndarray:
        """The largest eigenvalue of the Hessian at each step, nan where it was not measured.

        Raises:
            InvalidValue: It was not asked for.
        """
        if "eigenvalues" not in self.columns:
            raise InvalidValue("directions was 0, so there is no sharpness; ask for 1 or more")
        return self.columns["eigenvalues"][:, 0]

    def save(self, path: str | os.PathLike) -> None:
        """Write all of it to a .npz, or as text to a .json, as a whole or not at all.

        Raises:
            CannotWrite: It could not be written.
            InvalidValue: The name ends in neither.
        """
        header = {
            "settings": self.settings,
            "failures": self.failures,
            "complex_from": self.complex_from,
        }
        if _ending(path) == ".json":
            columns = {name: _listed(values) for name, values in self.columns.items()}
            text = {**header, "columns": columns, "theta": _listed(self.theta)}
            write_atomically(path, json.dumps(text, indent=1, allow_nan=False))
        else:
            arrays = {COLUMN + name: values for name, values in self.columns.items()}
            write_archive(path, header, {**arrays, THETA: self.theta})

    @classmethod
    def load(cls, path: str | os.PathLike) -> TrainingRecord:
        """Return what was saved.

        Raises:
            InvalidCheckpoint: The file is damaged, or something else; it is left as it is.
            FileNotFoundError: There is none.
        """
        try:
            return _from_text(path) if _ending(path) == ".json" else _from_archive(path)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, InvalidValue):
                raise
            raise InvalidCheckpoint(
                f"{path_text(path)!r} is not the record of a training run: {error}"
            ) from None

    def __str__(self) -> str:
        lines = [
            f"{self.steps} steps to t = {self.columns['time'][-1]:.6g}, loss "
            f"{self.columns['loss'][0]:.6g} to {self.columns['loss'][-1]:.6g}",
            f"{'flow':32}{'largest distance':>18}{'final distance':>16}{'final loss':>14}",
        ]
        for name in self.flows:
            distance, loss = self.columns[f"{name}/weights"], self.columns[f"{name}/loss"]
            known = distance[np.isfinite(distance)]
            lines.append(f"{name:32}{known.max():18.3e}{known[-1]:16.3e}{_last(loss):14.6g}")
        lines += [f"{name} is complex from step {k} on" for name, k in self.complex_from.items()]
        return "\n".join([*lines, *self.failures.values()])


def _last(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)][-1])


def _ending(path: str | os.PathLike) -> str:
    ending = os.path.splitext(path_text(path))[1]
    if ending not in (".npz", ".json"):
        raise InvalidValue(f"the file is {path_text(path)!r}; its name must end in .npz or .json")
    return ending


def _from_archive(path: str | os.PathLike) -> TrainingRecord:
    header, arrays = read_archive(path)
    theta = arrays.pop(THETA)
    columns = {name.removeprefix(COLUMN): values for name, values in arrays.items()}
    return TrainingRecord(columns=columns, theta=theta, **header)


def _from_text(path: str | os.PathLike) -> TrainingRecord:
    with open(path, encoding="utf-8") as file:
        text = json.load(file)
    text["columns"] = {name: np.array(v, float) for name, v in text["columns"].items()}
    text["theta"] = np.array(text["theta"], float).astype(text["settings"]["precision"])
    return TrainingRecord(**text)


def _listed(values: np.ndarray) -> Any:
    """Return lists of numbers, and of texts for those that JSON has no numbers for.

    >>> _listed(np.array([1.0, np.nan, -np.inf]))
    [1.0, 'nan', '-inf']
    """
    if values.ndim:
        return [_listed(value) for value in values]
    number = float(values)
    return number if math.isfinite(number) else str(number)


_SAME = 1e-4
"""How far marks may differ, in parts of themselves: other machines round otherwise."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: How many steps were done.
        settings: What determines the run, as JSON can hold it.
        marks: Numbers by which functions are recognized.
        state: What else is not an array, as JSON can hold it.
        arrays: The arrays of the state.
    """

    step: int
    settings: Mapping[str, Any]
    marks: Mapping[str, float]
    state: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def save_checkpoint(path: str | os.PathLike, checkpoint: Checkpoint) -> None:
    """Write a checkpoint over the last one, as a whole or not at all.

    Raises:
        CannotWrite: It could not be written. The last one is still there.
    """
    header = {
        "step": checkpoint.step,
        "settings": checkpoint.settings,
        "marks": checkpoint.marks,
        "state": checkpoint.state,
    }
    write_archive(path, header, checkpoint.arrays)


def load_checkpoint(
    path: str | os.PathLike,
    settings: Mapping[str, Any] | None = None,
    marks: Mapping[str, float] | None = None,
) -> Checkpoint:
    """Return a checkpoint, if it belongs to a run of these settings and marks.

    Raises:
        InvalidCheckpoint: It is damaged, or belongs to another run; the first difference is named.
            The file is left as it is.
        FileNotFoundError: There is none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/run.npz"
    ...     save_checkpoint(path, Checkpoint(5, {"h": 0.1}, {}, {}, {"theta": np.ones(2)}))
    ...     print(load_checkpoint(path, {"h": 0.1}).step)
    ...     load_checkpoint(path, {"h": 0.2})
    Traceback (most recent call last):
    modeq.errors.InvalidCheckpoint: ... belongs to another run: its h is 0.1, not 0.2; ...
    """
    header, arrays = read_archive(path)
    found = Checkpoint(**_checked(header, os.fsdecode(path)), arrays=arrays)
    for kind, mine, theirs, same in (
        ("settings", settings, found.settings, _equal),
        ("marks", marks, found.marks, _close),
    ):
        if mine is not None:
            _refuse_other(os.fsdecode(path), kind, mine, theirs, same)
    return found


_FIELDS = {"step": int, "settings": dict, "marks": dict, "state": dict}
"""What a header holds, and of which types."""


def _checked(header: Any, path: str) -> dict[str, Any]:
    """Return a header whose fields are all there and of their types."""
    if not isinstance(header, dict) or header.keys() != _FIELDS.keys():
        raise InvalidCheckpoint(f"{path!r} is not a checkpoint but another archive")
    for key, kind in _FIELDS.items():
        if type(header[key]) is not kind or (key == "step" and header[key] < 0):
            raise InvalidCheckpoint(
                f"{path!r} is no checkpoint of modeq: its {key} is {shortened(header[key])}"
            )
    return header


def _refuse_other(path: str, kind: str, mine: Mapping, theirs: Mapping, same: Any) -> None:
    for key in sorted({*mine, *theirs}):
        if not same(mine.get(key), theirs.get(key)):
            raise InvalidCheckpoint(
                f"{path!r} belongs to another run: its {key} is {theirs.get(key)!r}, not "
                f"{mine.get(key)!r}; give the same {kind} to go on with it, or another name"
            )


def _equal(first: Any, second: Any) -> bool:
    """Tell whether two settings are the same, once both went through JSON."""
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_equal(first[k], second[k]) for k in first)
    return first == second


def _close(first: Any, second: Any) -> bool:
    if not (isinstance(first, float) and isinstance(second, float)):
        return _equal(first, second)
    return math.isclose(first, second, rel_tol=_SAME, abs_tol=1e-30)
