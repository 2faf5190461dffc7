"""The records of a sweep: a folder with a JSON file for each run.

There is one sweep at a time in a folder: a second one waits, and finds what the first has done.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeq.checks import shortened
from modeq.errors import CannotWrite, InvalidCheckpoint, InvalidValue
from modeq.files import write_atomically

try:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

except ImportError:  # Windows has locks of another kind, which wait for ten seconds
    import msvcrt

    def _take(file: int) -> None:
        while True:
            try:
                return msvcrt.locking(file, msvcrt.LK_LOCK, 1)
            except OSError:
                continue


FIELDS = {"function", "settings", "status", "result", "error", "attempts", "seconds"}


@dataclass(frozen=True)
class SweepRun:
    """The record of one run.

    Attributes:
        function: The name of the function.
        settings: Its arguments.
        status: "done" or "failed".
        result: What it returned, or None.
        error: Why it failed, or "".
        attempts: How often it was begun.
        seconds: How long it took; 0 if its worker died.
    """

    function: str
    settings: Mapping[str, Any]
    status: str
    result: Any
    error: str
    attempts: int
    seconds: float

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.status == "done"


def load_sweep(folder: str | os.PathLike) -> list[SweepRun]:
    """Return all records of a folder, in the order of their settings.

    Raises:
        InvalidCheckpoint: One is damaged.
        InvalidValue: There is no such folder.
    """
    if not Path(folder).is_dir():
        raise InvalidValue(f"there is no folder {os.fsdecode(folder)!r}")
    runs = [_read_run(path) for path in Path(folder).glob("*.json")]
    return sorted(runs, key=lambda run: json.dumps(run.settings, sort_keys=True))


def keyed(settings: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return settings by the key of their record."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in settings:
        if not isinstance(each, Mapping) or not all(isinstance(name, str) for name in each):
            raise InvalidValue(f"the settings {shortened(each)} are no mapping of names to values")
        try:
            text = json.dumps(each, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidValue(
                f"the settings {shortened(each)} are not what JSON can hold: {error}"
            ) from None
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        if key in found:
            raise InvalidValue(f"the settings {shortened(each)} are there twice")
        found[key] = json.loads(text)
    return found


class SweepFolder:
    """The folder of records."""

    def __init__(self, folder: Path, function: str):
        self.function = function
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidValue(f"the folder {str(folder)!r} cannot be made: {error}") from None

    def write(self, key: str, run: SweepRun) -> None:
        """Write a record, as a whole."""
        text = json.dumps(vars(run), indent=1, sort_keys=True, allow_nan=False)
        write_atomically(self._folder / f"{key}.json", text)

    def records(self, keys: Iterable[str], again: bool) -> dict[str, SweepRun]:
        """Return the records that are there, by their keys."""
        found = {key: self.read(key, again) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    def read(self, key: str, again: bool) -> SweepRun | None:
        """Return the record of a run, unless there is none or it is to be run again."""
        path = self._folder / f"{key}.json"
        if not path.exists():
            return None
        run = _read_run(path)
        if run.function != self.function:
            raise InvalidCheckpoint(
                f"{str(path)!r} is the record of {run.function}, not of {self.function}; give "
                f"another folder"
            )
        return None if again and not run.done else run


def _read_run(path: Path) -> SweepRun:
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.keys() != FIELDS:
            raise ValueError(f"its keys must be {sorted(FIELDS)}")
    except (ValueError, RecursionError) as error:
        raise InvalidCheckpoint(
            f"{str(path)!r} is damaged: {error}; the file was left as it is: move it away to run "
            f"that again"
        ) from None
    return SweepRun(**found)


def as_json(value: Any) -> Any:
    """Return what JSON can hold: arrays as lists, and inf and nan as texts.

    >>> as_json({"loss": math.nan, "steps": (1, 2)})
    {'loss': 'nan', 'steps': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    raise TypeError(
        f"the function returned a {type(value).__name__}, which JSON cannot hold; return numbers, "
        f"texts, lists, arrays or mappings of them"
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, once whoever has it is done or dead.

    The system lets go of it when a process ends, however that ends.

    Raises:
        CannotWrite: There is no writing to the folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     [path.name for path in Path(folder).iterdir()]
    ['.lock']
    """
    path = folder / ".lock"
    file = _opened(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _opened(path: Path) -> int:
    """Return the file that is the lock; whoever had it before has removed his."""
    while True:
        try:
            file = os.open(path, os.O_CREAT | os.O_RDWR)
        except OSError as error:
            raise CannotWrite(os.fsdecode(path), str(error)) from None
        try:
            _take(file)
            if path.exists() and os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except FileNotFoundError:
            pass  # it was removed between both looks
        except BaseException:
            os.close(file)
            raise
        os.close(file)
