"""Files that are there as a whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

from modeq.errors import CannotWrite, InvalidValue

_REASONS = {
    errno.ENOENT: "the directory {directory!r} does not exist",
    errno.ENOTDIR: "{directory!r} is not a directory",
    errno.EISDIR: "it is a directory; give the name of a file",
    errno.EACCES: "there is no permission",
    errno.ENOSPC: "the disk is full",
}
_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a process without a word to it."""


def write_atomically(path: str | os.PathLike, data: str | bytes) -> None:
    """Write a file so that nobody ever sees a part of it.

    The data go to a temporary file in the same directory, which takes the name of the file when all
    of them are on the disk. A link is followed, the permissions of an old file are kept, and what
    is not a file (/dev/stdout, a pipe) is written to as it is.

    Args:
        path: Where to write.
        data: Bytes, or a text that is written in UTF-8 with its newlines as they are.

    Raises:
        CannotWrite: The file could not be written. An old file is still there, unchanged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_atomically(f"{directory}/field.txt", "x' = -x")
    ...     print(os.listdir(directory))
    ['field.txt']
    """
    write_together({path_text(path): data})


def write_together(contents: Mapping[str | os.PathLike, str | bytes]) -> None:
    """Write several files so that all of them are there, or none.

    All data go to temporary files first, which then take the names of the files, in order. These
    are removed if SIGTERM ends the process meanwhile, where this is its main thread.

    Args:
        contents: The data of each path, as for `write_atomically`.

    Raises:
        CannotWrite: A file could not be written. Old files are still there, unchanged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_together({f"{directory}/a.md": "see b", f"{directory}/b.svg": b"<svg/>"})
    ...     print(sorted(os.listdir(directory)))
    ['a.md', 'b.svg']
    """
    contents = {path_text(path): data for path, data in contents.items()}
    name, temporary = "", {}
    try:
        with _removed(temporary):
            for name, data in contents.items():
                if not _is_stream(name):
                    _refuse_unwritable(name)
                    temporary[name] = _temporary(name)
                    _store(temporary[name], _bytes(data))
            for name, data in contents.items():
                if name in temporary:
                    _replace(os.path.realpath(name), temporary[name])
                else:
                    _write(name, _bytes(data))
    except (OSError, ValueError) as error:
        raise CannotWrite(name, _reason(error, name)) from None
    for directory in {os.path.dirname(left) for left in temporary.values()}:
        _sync_directory(directory)


def require_writable(path: str | os.PathLike) -> None:
    """Refuse a file that cannot be written, before anybody works for it.

    Raises:
        CannotWrite: It is a directory, is protected, or its directory does not exist.

    >>> require_writable("no-such-directory/report.html")
    Traceback (most recent call last):
    modeq.errors.CannotWrite: cannot write 'no-such-directory/report.html': the directory
    'no-such-directory' does not exist
    """
    name = path_text(path)
    try:
        if not _is_stream(name):
            _refuse_unwritable(name)
            directory = os.path.dirname(os.path.realpath(name))
            os.stat(directory)
            if not os.access(directory, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise CannotWrite(name, _reason(error, name)) from None


def path_text(path: str | os.PathLike) -> str:
    """Return the name of a file as a text.

    >>> path_text(None)
    Traceback (most recent call last):
    modeq.errors.InvalidValue: the name of a file is None; it must be a text or a path

    Raises:
        InvalidValue: It is neither a text nor a path.
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        raise InvalidValue(f"the name of a file is {path!r}; it must be a text or a path") from None


def _bytes(data: str | bytes) -> bytes:
    return data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data


def _is_stream(name: str) -> bool:
    """Tell whether a path is a device or a pipe, which cannot be replaced."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _refuse_unwritable(name: str) -> None:
    """Refuse directories, and old files that are protected, which renaming would not notice."""
    if not name:
        raise ValueError("it has no name; give the name of a file")
    if os.path.isdir(name) or not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if os.path.exists(name) and not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _temporary(name: str) -> str:
    """Return an unused name in the directory of a file."""
    directory = os.path.dirname(os.path.realpath(name))
    return os.path.join(directory, f".modeq-{secrets.token_hex(8)}.tmp")


def _replace(name: str, temporary: str) -> None:
    if os.path.exists(name):
        shutil.copymode(name, temporary)
    os.replace(temporary, name)


def _store(name: str, content: bytes) -> None:
    """Write a new file, and wait until the disk has it: a name that is given to a file may outlive
    a loss of power, where its content does not.
    """
    with open(name, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(name: str) -> None:
    """Wait until the disk has the names in a directory, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(name: str, content: bytes) -> None:
    with open(name, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def _removed(temporary: Mapping[str, str]) -> Iterator[None]:
    """Remove files in the end, and also if the end is a signal that nobody else handles."""

    def remove() -> None:
        for left in temporary.values():
            _remove(left)

    def end(number: int, frame: FrameType | None) -> None:
        remove()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    is_main = threading.current_thread() is threading.main_thread()
    deadly = [n for n in _ENDINGS if is_main and signal.getsignal(n) is signal.SIG_DFL]
    for number in deadly:
        signal.signal(number, end)
    try:
        yield
    finally:
        remove()
        for number in deadly:
            signal.signal(number, signal.SIG_DFL)


def _remove(name: str) -> None:
    if os.path.lexists(name):
        os.unlink(name)


def _reason(error: Exception, name: str) -> str:
    """Return in words why a file could not be written."""
    if not isinstance(error, OSError):
        return str(error)
    reason = _REASONS.get(error.errno, (error.strerror or str(error)).lower())
    return reason.format(directory=os.path.dirname(name) or os.curdir)
