"""Files of arrays and JSON: written as a whole or not at all, with a checksum, never a pickle.

An archive is one .npz. Beside the arrays it has an entry ``header``, a JSON text, and an entry
``checksum``, the SHA-256 of the header and of the names, types, shapes and bytes of all arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidCheckpoint
from modeq.files import path_text, write_atomically

HEADER, CHECKSUM = "header", "checksum"
RESERVED = (HEADER, CHECKSUM, "file")
"""Names that no array may have; the last is an argument of NumPy's."""

_FORMAT = 1
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
    text = json.dumps({"format": _FORMAT, "types": _types(kept), "header": header}, sort_keys=True)
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
    name = path_text(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        stored = _stored(content)
        if not np.array_equal(stored.pop(CHECKSUM), _digest(stored)):
            raise ValueError("its checksum does not match")
        text = json.loads(stored.pop(HEADER).tobytes())
        types = _checked_types(text, stored)
        return text["header"], {k: _from_bytes(array, types[k]) for k, array in stored.items()}
    except _DAMAGE as error:
        raise _damaged(
            name, str(error).splitlines()[0] if str(error) else "it ends too soon"
        ) from None


def _stored(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an archive, whose entries are not packed: they take no more memory than
    the file, whatever it claims.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an entry is packed; archives are written unpacked")
        claimed = sum(entry.file_size for entry in entries)
        if claimed > len(content):
            raise ValueError(f"it has {len(content)} bytes and claims to hold {claimed}")
        return {
            entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries
        }


def _array(entry: bytes) -> np.ndarray:
    """Return the array in the bytes of a .npy, if there are as many as its shape needs."""
    file = io.BytesIO(entry)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an entry is of version {version}, not (1, 0)")
    shape, is_by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or dtype.kind not in "biufc":
        raise ValueError(f"an entry is of type {dtype}, which is no number")
    data = np.frombuffer(entry, np.uint8, offset=file.tell())
    if min(shape, default=0) < 0 or data.size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an entry of shape {shape} and type {dtype} has {data.size} bytes")
    order: Any = "F" if is_by_columns else "C"
    return np.frombuffer(data.tobytes(), dtype).reshape(shape, order=order).copy(order)


def _checked_types(text: Any, stored: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the types in a header, if it is one and there is one of each array."""
    if not isinstance(text, dict) or text.get("format") != _FORMAT:
        found = text.get("format") if isinstance(text, dict) else text
        raise ValueError(f"its format is {shortened(found)}, not {_FORMAT}")
    types = text.get("types")
    if not isinstance(types, dict) or types.keys() != stored.keys() or "header" not in text:
        raise ValueError("its header does not belong to its arrays")
    return types


def _damaged(name: str, reason: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{name!r} is damaged: {reason}; the file was left as it is: move it away, or give another "
        f"name, to start afresh"
    )


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    for name, array in arrays.items():
        if array.dtype.hasobject or name in RESERVED:
            raise InvalidCheckpoint(
                f"the array {shortened(name)} of type {array.dtype} cannot be stored; numbers "
                f"can, under "
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

    dtype = jnp.dtype(name)
    if array.dtype != np.uint8 or array.shape[-1:] != (dtype.itemsize,):
        raise ValueError(f"an entry of type {array.dtype} is said to be of type {name}")
    return np.ascontiguousarray(array).view(dtype)[..., 0]


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}\0{arrays[name].shape}\0".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
