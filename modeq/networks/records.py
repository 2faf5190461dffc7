"""What a training run leaves behind: every curve, by name, in one file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.errors import InvalidCheckpoint, InvalidValue
from modeq.files import path_text, write_atomically
from modeq.networks.archives import read_archive, write_archive
from modeq.shown import Shown

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
