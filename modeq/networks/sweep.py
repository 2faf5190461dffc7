"""Sweeps: one function for many settings, on any executor, one record for each run.

A sweep takes any ``concurrent.futures.Executor``: processes of this machine unless given; a
``Client`` of dask, the executors of loky and mpi4py, and whatever else has a ``submit`` that gives
futures of ``concurrent.futures``, which is tried before any run. Each run has a file of its own in
a folder, written as a whole when it ends; runs that have one are not run again, so a sweep that was
stopped goes on where it was. A second sweep in the same folder waits until the first has ended, so
that nothing is run twice.

*Killed workers.* A function that raises is recorded as failed at once. A run whose worker dies (the
kernel was out of memory, say) is tried once more, and then recorded as failed. When a process dies
its whole pool is lost, and it is not known which run did it: those that were under way are tried
again one at a time, each in a pool of its own, so that no run is blamed for another.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures import BrokenExecutor as Broken
from functools import partial
from pathlib import Path
from typing import Any

from modeq.checks import check_count, shortened
from modeq.errors import InvalidValue
from modeq.networks.sweep_records import SweepFolder, SweepRun, as_json, keyed, locked
from modeq.progress import Callback, waiting

ATTEMPTS = 2
"""How often a run is begun whose worker dies."""


def sweep(
    function: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    folder: str | os.PathLike,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    in_flight: int | None = None,
    again: bool = False,
    progress: Callback | None = None,
) -> list[SweepRun]:
    """Run a function for each of many settings, and record each run in a file of its own.

    Args:
        function: It is called as ``function(**settings)`` and returns what JSON can hold. With
            processes it must be one of a module, so that they find it.
        settings: Mappings of names to what JSON can hold, no two alike.
        folder: Where the records are and go; it is made if it is not there.
        executor: An executor, or a client of dask; or a function without arguments that makes one,
            as is needed to go on when it breaks. Processes of this machine, as many as it has
            cores, unless given. An executor that was given is not shut down.
        in_flight: How many runs an executor has at a time; for executors with a known number of
            workers that, otherwise all.
        again: Whether runs that are recorded as failed are run again.
        progress: Is called with the runs that are recorded and that of all, in place of the bar on
            standard error.

    Returns:
        The records, in the order of the settings.

    Raises:
        CannotWrite: A record, or the lock of the folder, could not be written.
        InvalidCheckpoint: A record is damaged, or of another function; it is left as it is.
        InvalidValue: Two settings are alike, or no mapping of names to what JSON can hold; or the
            function is none, or processes cannot find it; or the executor is none.

    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
    ...     runs = sweep(pow, [{"base": 2, "exp": n} for n in (3, -1)], folder, executor=pool)
    >>> [run.result for run in runs]
    [8, 0.5]
    """
    if in_flight is not None:
        in_flight = check_count("in_flight", in_flight)
    if not callable(function):
        raise InvalidValue(f"the function is {shortened(function)}; it must be one")
    todo = keyed(settings)
    store = SweepFolder(Path(folder), _name_of(function))
    records = store.records(todo, again)
    if len(records) < len(todo):
        with locked(Path(folder)), waiting("sweep", "runs", progress=progress) as show:
            # Whoever had the folder until now may have run some of them.
            records = store.records(todo, again)
            _run_rest(function, todo, store, records, (executor, in_flight, show))
    return [records[key] for key in todo]


def _run_rest(
    function: Callable[..., Any],
    todo: Mapping[str, Mapping[str, Any]],
    store: SweepFolder,
    records: dict[str, SweepRun],
    options: tuple,
) -> None:
    """Run what is not recorded, and record it."""
    executor, in_flight, show = options

    def record(key: str, run: SweepRun) -> None:
        store.write(key, run)
        records[key] = run
        show(len(records), len(todo))

    left = {key: todo[key] for key in todo if key not in records}
    if left:
        _Sweep(function, left, executor, in_flight, partial(_recorded, record, store)).run()


def _recorded(record: Callable, store: SweepFolder, key: str, run: dict[str, Any]) -> None:
    record(key, SweepRun(function=store.function, **run))


class _Sweep:
    """The runs of a sweep that are not recorded yet."""

    def __init__(
        self,
        function: Callable[..., Any],
        settings: Mapping[str, Mapping[str, Any]],
        executor: Executor | Callable[[], Executor] | None,
        in_flight: int | None,
        record: Callable[[str, dict[str, Any]], None],
    ):
        self._function, self._settings, self._record = function, settings, record
        self._make = _processes if executor is None else executor
        self._given = None if callable(self._make) else _as_executor(self._make)
        self._in_flight = in_flight
        self._attempts = dict.fromkeys(settings, 0)
        if self._make is _processes or isinstance(self._given, ProcessPoolExecutor):
            _check_importable(function)

    def run(self) -> None:
        """Run all: those that were under way when a pool broke one at a time at the end."""
        left, suspects = deque(self._settings), deque()
        while left:
            suspects.extend(self._together(left))
        while suspects:
            suspects.extend(self._together(deque([suspects.popleft()])))

    def _together(self, left: deque[str]) -> list[str]:
        """Run what is left until all is done, or the pool breaks; return those to be tried again.

        What had not begun when the pool broke stays in ``left``.
        """
        executor = _as_executor(self._make()) if self._given is None else self._given
        running: dict[Future, str] = {}
        again: list[str] = []
        is_broken = begun = False
        try:
            while running or (left and not is_broken):
                while left and not is_broken and len(running) < self._room(executor):
                    is_broken = not self._submit(executor, left, running, begun)
                    begun = begun or not is_broken
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    key = running.pop(future)
                    error = future.exception()
                    is_broken = is_broken or isinstance(error, Broken)
                    again += self._ended(key, future, error)
        finally:
            for future in running:
                future.cancel()
            self._close(executor, is_broken)
        return again

    def _submit(
        self, executor: Executor, left: deque[str], running: dict[Future, str], begun: bool
    ) -> bool:
        """Begin the next run, if the pool is not broken."""
        key = left.popleft()
        try:
            future = executor.submit(_attempt, self._function, dict(self._settings[key]))
        except Broken as error:
            left.appendleft(key)
            if not begun:
                raise InvalidValue(f"the executor broke before its first run: {error}") from None
            return False
        self._attempts[key] += 1
        running[future] = key
        return True

    def _ended(self, key: str, future: Future, error: BaseException | None) -> list[str]:
        """Record how a run ended; return its key if its worker died and it is to be tried again."""
        common = {"settings": self._settings[key], "attempts": self._attempts[key]}
        if error is None:
            self._record(key, {**common, **future.result()})
        elif self._attempts[key] < ATTEMPTS:
            return [key]
        else:
            text = f"its worker died {ATTEMPTS} times: {type(error).__name__}: {error}"
            lost = {"status": "failed", "result": None, "error": text, "seconds": 0.0}
            self._record(key, {**common, **lost})
        return []

    def _room(self, executor: Executor) -> int:
        known = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
        return self._in_flight or known or len(self._settings)

    def _close(self, executor: Executor, is_broken: bool) -> None:
        if self._given is None:
            getattr(executor, "shutdown", lambda: None)()
        elif is_broken:
            self._given, self._make = None, partial(_like, executor)


def _attempt(function: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Run the function on a worker; what it raises is a result as well."""
    begin = time.perf_counter()
    try:
        result = as_json(function(**settings))
        ended = {"status": "done", "result": result, "error": ""}
    except Exception as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{text} ({os.path.basename(where.filename)}, line {where.lineno})"
        ended = {"status": "failed", "result": None, "error": text}
    return {**ended, "seconds": time.perf_counter() - begin}


def _as_executor(given: Any) -> Any:
    """Return what takes runs and gives futures that can be waited for, or refuse it.

    Raises:
        InvalidValue: It has no such ``submit``.
    """
    if isinstance(given, Executor):
        return given
    if callable(getattr(given, "get_executor", None)):
        return _as_executor(given.get_executor())
    submit = getattr(given, "submit", None)
    try:
        future = submit(int) if callable(submit) else None
    except Exception as error:
        raise InvalidValue(f"the executor {shortened(given)} takes no run: {error}") from None
    if not isinstance(future, Future):
        raise InvalidValue(
            f"the executor is {shortened(given)}; it must be an executor, a client of dask, or "
            f"have a "
            f"submit that returns futures of concurrent.futures; or be a function that makes one"
        )
    return given


def _processes(workers: int | None = None) -> ProcessPoolExecutor:
    """Return a pool of fresh processes: JAX has threads, and does not survive a fork."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def _like(executor: Executor) -> Executor:
    """Return a pool in place of one that broke.

    Raises:
        InvalidValue: It is not one of processes, which nobody but its owner can make again.
    """
    if isinstance(executor, ProcessPoolExecutor):
        return _processes(getattr(executor, "_max_workers", None))
    raise InvalidValue(
        f"the executor {type(executor).__name__} broke; what is recorded is kept: give a function "
        f"that makes one, to go on with another"
    )


def _check_importable(function: Callable[..., Any]) -> None:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InvalidValue(
            f"the function {_name_of(function)} cannot be sent to processes ({error}); use one of "
            f"a module, or give an executor of threads"
        ) from None


def _name_of(function: Callable[..., Any]) -> str:
    inner = getattr(function, "func", function)
    return f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', repr(inner))}"
