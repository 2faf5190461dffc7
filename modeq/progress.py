"""What people see on a terminal while they wait: a bar on standard error, and nothing elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Callback = Callable[[int, int], None]

_DUMB = ("", "dumb", "unknown")
_WIDTH = 80


@contextmanager
def waiting(
    message: str, unit: str = "", least: int = 0, progress: Callback | None = None
) -> Iterator[Callback]:
    """Give a function (done, total) that shows how much is done; the bar goes away at the end.

    Args:
        message: What is going on.
        unit: What is counted.
        least: A total below which no bar is worth its place; 0 shows one before there is a total.
        progress: A function of the caller, which is given in place of the bar.

    >>> with waiting("deriving") as show:  # not on a terminal
    ...     show(1, 2)
    """
    if progress is not None:
        yield progress
        return
    bar = _Bar(message, unit, least)
    try:
        if not least:
            bar.start()
        yield bar.show
    finally:
        bar.stop()


def is_terminal() -> bool:
    """Tell whether standard error is a terminal that can move its cursor."""
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and os.environ.get("TERM", "").lower() not in _DUMB
    )


class _Bar:
    """A progress bar on standard error, if that is a terminal."""

    def __init__(self, message: str, unit: str, least: int):
        self._message = message
        self._unit = unit
        self._least = least
        self._progress: Any = None
        self._task: Any = None

    def start(self) -> None:
        if not is_terminal():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        # A terminal of unknown width says 0.
        known = os.environ.get("COLUMNS", "1").lstrip("0") != ""
        console = Console(stderr=True, width=None if known else _WIDTH)
        columns = (self._message, BarColumn(), MofNCompleteColumn(), self._unit)
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._progress.add_task(self._message, total=None)
        self._progress.start()

    def show(self, done: int, total: int) -> None:
        if self._progress is None and self._least and total >= self._least:
            self.start()
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
