"""One sweep at a time in a folder: a second one waits, and then finds what the first has done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modeq.errors import CannotWrite

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
