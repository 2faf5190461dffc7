"""Files of arrays and JSON: written as a whole or not at all, with a checksum, never a pickle.

An archive is one .npz. Beside the arrays it has an entry ``header``, a JSON text, and an entry
``checksum``, the SHA-256 of the header and of the names, types, shapes and bytes of all arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from modeq.errors import InvalidCheckpoint
from modeq.files import write_atomically

HEADER, CHECKSUM = "header", "checksum"
RESERVED = (HEADER, CHECKSUM, "file")
"""Names that no array may have; the last is an argument of NumPy's."""

FORMAT = 1
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, MemoryError, TypeError, AttributeError, SyntaxError),
)
"""What reading bytes that are no archive raises."""


def write_archive(path: str | os.PathLike, header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and what JSON can hold to one file, so that nobody ever sees a part of it.

    Raises:
        CannotWrite: The file could not be written. An old one is still there, unchanged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_archive(f"{folder}/run.npz", {"step": 3}, {"theta": np.arange(2.0)})
    ...     header, arrays = read_archive(f"{folder}/run.npz")
    >>> header, arrays["theta"].tolist()
    ({'step': 3}, [0.0, 1.0])
    """
    kept = {name: np.asarray(array) for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, "types": _types(kept), "header": header}, sort_keys=True)
    stored = {name: _as_bytes(array) for name, array in kept.items()}
    stored[HEADER] = np.frombuffer(text.encode(), np.uint8)
    stored[CHECKSUM] = _digest(stored)
    buffer = io.BytesIO()
    np.savez(buffer, **stored)
    write_atomically(path, buffer.getvalue())


def read_archive(path: str | os.PathLike) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the header and the arrays of a file, if every bit of them is as it was written.

    Raises:
        InvalidCheckpoint: The file is damaged, or no archive. It is left as it is.
        FileNotFoundError: There is no file.
    """
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            stored = {key: archive[key] for key in archive.files}
        checksum = stored.pop(CHECKSUM)
        intact = np.array_equal(checksum, _digest(stored))
        text = json.loads(stored.pop(HEADER).tobytes()) if intact else {}
    except _DAMAGE as error:
        raise _damaged(
            name, str(error).splitlines()[0] if str(error) else "it ends too soon"
        ) from None
    if not intact:
        raise _damaged(name, "its checksum does not match")
    if text.get("format") != FORMAT:
        raise _damaged(name, f"its format is {text.get('format')!r}, not {FORMAT}")
    types = text["types"]
    return text["header"], {key: _from_bytes(array, types[key]) for key, array in stored.items()}


def _damaged(name: str, reason: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{name!r} is damaged: {reason}; the file was left as it is: move it away, or give another "
        f"name, to start afresh"
    )


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    for name, array in arrays.items():
        if array.dtype.hasobject or name in RESERVED:
            raise InvalidCheckpoint(
                f"the array {name!r} of type {array.dtype} cannot be stored; numbers can, under "
                f"names other than {', '.join(map(repr, RESERVED))}"
            )
    return {name: array.dtype.name for name, array in arrays.items()}


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Return an array that NumPy stores as it is: bfloat16 and its like would lose their names."""
    if array.dtype.kind in "biufc":
        return array
    return np.ascontiguousarray(array)[..., None].view(np.uint8)


def _from_bytes(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.name == name:
        return array
    import jax.numpy as jnp

    return np.ascontiguousarray(array).view(np.dtype(getattr(jnp, name)))[..., 0]


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}\0{arrays[name].shape}\0".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
