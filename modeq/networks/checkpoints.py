"""Checkpoints: where a run was, so that it goes on after a kill as if nothing had happened.

A checkpoint holds the state of a run, the settings that led there, and marks of the loss and the
optimizer, which are functions and cannot be stored: a few numbers that other functions would not
give. A checkpoint that is damaged, or that belongs to another run, is refused; its file is kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidCheckpoint
from modeq.networks.archives import read_archive, write_archive

SAME = 1e-4
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
    return math.isclose(first, second, rel_tol=SAME, abs_tol=1e-30)
