"""Data sets from local files: digits, MNIST, CIFAR-10. Nothing is downloaded.

The handwritten digits come with scikit-learn. MNIST is read from its idx files, plain or .gz; and
CIFAR-10 from its binary version. The Python version of CIFAR-10 is a pickle: reading one may run
any program, so it is refused. Files that are damaged or too short are refused as well.

    >>> data = LabelledData(np.eye(4), np.array([0, 1, 1, 0]), classes=2, shape=(2, 2))
    >>> data.take(3).one_hot
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from modeq.checks import as_integer, shortened
from modeq.errors import InvalidData, InvalidValue

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The numbers in an idx file, by the third byte of its header; the largest byte comes first."""

MOST_BYTES = 2**31
"""Larger arrays than this are refused: such a header is damaged, or the data are not these."""

MOST_DIMENSIONS = 16
"""Arrays of more dimensions are refused as well; NumPy has at most 64."""

MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
CIFAR_FILES = {
    "train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    "test": ("test_batch.bin",),
}
CIFAR_SHAPE = (3, 32, 32)
CIFAR_RECORD = 1 + math.prod(CIFAR_SHAPE)
CIFAR_POINTS = 10_000
"""The number of pictures in each file, each with its label before it."""

PICKLE = b"\x80"
"""The first byte of a pickle, which is no label."""


@dataclass(frozen=True)
class LabelledData:
    """Inputs with labels.

    Attributes:
        inputs: Numbers from 0 to 1, of shape (points, features).
        labels: Whole numbers 0, …, classes - 1, of shape (points,).
        classes: How many classes there are.
        shape: The shape of one input as a picture: (rows, columns) or (colors, rows, columns).

    Raises:
        InvalidValue: The shapes do not fit.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: int
    shape: tuple[int, ...]

    def __post_init__(self):
        points, features = len(self.labels), math.prod(self.shape)
        if self.inputs.shape != (points, features) or self.labels.shape != (points,):
            raise InvalidValue(
                f"inputs have the shape {self.inputs.shape} and labels {self.labels.shape}; they "
                f"must be (points, {features}) and (points,)"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def one_hot(self) -> np.ndarray:
        """The labels as rows of zeros with a one, of shape (points, classes)."""
        return np.eye(self.classes)[self.labels]

    def take(self, count: int | None) -> LabelledData:
        """Return the first points; all of them if there is no count.

        Raises:
            InvalidValue: The count is not a whole number from 1 to the number of points.
        """
        end = _checked_count(count, len(self))
        return LabelledData(self.inputs[:end], self.labels[:end], self.classes, self.shape)


def digits(count: int | None = None) -> LabelledData:
    """Return the 1,797 handwritten digits of scikit-learn, 8 by 8 pixels.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("these digits need scikit-learn: pip install modeq[data]") from error
    found = load_digits()
    return LabelledData(found.data / 16, found.target.astype(np.int64), 10, (8, 8)).take(count)


def mnist(
    folder: str | os.PathLike, split: str = "train", count: int | None = None
) -> LabelledData:
    """Return MNIST, or any data in its format, from a folder with its files, plain or .gz.

    Args:
        folder: It has train-images-idx3-ubyte, train-labels-idx1-ubyte, or the same with t10k.
        split: "train" or "test".
        count: How many points.

    Raises:
        InvalidData: A file is damaged or too short, or images and labels do not fit.
        InvalidValue: A file is missing, or there is no such split.

    References:
        The format is that of LeCun, Cortes, Burges, The MNIST database of handwritten digits.
    """
    names = MNIST_FILES[_checked_split(split, MNIST_FILES)]
    images, labels = (read_idx(_found(Path(folder), name)) for name in names)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise InvalidData(
            f"{folder}: images have the shape {images.shape} and labels {labels.shape}; they must "
            "be (points, rows, columns) and (points,)"
        )
    return _labelled(images, labels, count, folder)


def cifar10(
    folder: str | os.PathLike, split: str = "train", count: int | None = None
) -> LabelledData:
    """Return CIFAR-10 from a folder with the files of its binary version.

    Args:
        folder: It has data_batch_1.bin, …, data_batch_5.bin, or test_batch.bin; or a folder
            cifar-10-batches-bin with them.
        split: "train" or "test".
        count: How many points; files that are not needed for them are not read.

    Raises:
        InvalidData: A file is damaged, has not the size of 10,000 pictures, or is a pickle.
        InvalidValue: A file is missing, or there is no such split.

    References:
        Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    folder, names = Path(folder), CIFAR_FILES[_checked_split(split, CIFAR_FILES)]
    most = _checked_count(count, len(names) * CIFAR_POINTS)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    needed = names if most is None else names[: -(-most // CIFAR_POINTS)]
    records = np.concatenate([_cifar_records(_cifar_file(folder, name)) for name in needed])
    images = records[:, 1:].reshape(-1, *CIFAR_SHAPE)
    return _labelled(images, records[:, 0], count, folder)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Return the array in an idx file, in the byte order of this machine.

    Args:
        path: The file; it is unpacked if its name ends in .gz.

    Raises:
        FileNotFoundError: There is no file.
        InvalidData: The file is damaged, or has fewer or more bytes than its header says.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "three")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7]))
    ...     read_idx(path)
    array([5, 6, 7], dtype=uint8)
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _idx_array(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidData(f"{path} is damaged or too short: {error}") from None


def _idx_array(file: BinaryIO, path: Path) -> np.ndarray:
    head = _read(file, 4, path)
    if head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not head[3]:
        raise InvalidData(f"{path} starts with the bytes {head.hex(' ')}; it is not an idx file")
    if head[3] > MOST_DIMENSIONS:
        raise InvalidData(
            f"{path} claims an array of {head[3]} dimensions; at most {MOST_DIMENSIONS} are read: "
            "it is damaged"
        )
    dtype = np.dtype(IDX_TYPES[head[2]])
    shape = tuple(int(n) for n in np.frombuffer(_read(file, 4 * head[3], path), ">u4"))
    size = math.prod(shape) * dtype.itemsize
    # NumPy counts the bytes of arrays without entries as if there were one in each direction.
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > MOST_BYTES:
        raise InvalidData(f"{path} claims an array of shape {shape}, {size} bytes; it is damaged")
    data = _read(file, size, path)
    if file.read(1):
        raise InvalidData(f"{path} goes on after its array of shape {shape}; it is damaged")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read(file: BinaryIO, size: int, path: Path) -> bytes:
    """Return exactly so many bytes; memory grows only with what is really there."""
    parts, left = [], size
    while left and (part := file.read(min(left, 2**20))):
        parts.append(part)
        left -= len(part)
    if left:
        raise InvalidData(f"{path} ends {left} bytes too soon; it is damaged or was cut short")
    return b"".join(parts)


def _found(folder: Path, name: str) -> Path:
    """Return the file of this name, or the same packed."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InvalidValue(f"the folder {folder} has neither {name} nor {name}.gz")


def _cifar_file(folder: Path, name: str) -> Path:
    """Return the file of the binary version, and say so where there is only the Python version."""
    if (folder / name).is_file():
        return folder / name
    pickled = Path(name).stem
    for path in (folder / pickled, folder / "cifar-10-batches-py" / pickled):
        if path.is_file():
            raise InvalidData(_pickle_message(path))
    raise InvalidValue(
        f"the folder {folder} has no {name}; it needs the binary version of CIFAR-10"
    )


def _pickle_message(path: Path) -> str:
    return (
        f"{path} is of the Python version of CIFAR-10, a pickle, which may run any program when it "
        "is read; get the binary version, with data_batch_1.bin and test_batch.bin"
    )


def _cifar_records(path: Path) -> np.ndarray:
    """Return a label and then 3,072 bytes of a picture in each row."""
    size, right = path.stat().st_size, CIFAR_POINTS * CIFAR_RECORD
    if size == right:
        return np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, CIFAR_RECORD)
    with path.open("rb") as file:
        if file.read(1) == PICKLE:
            raise InvalidData(_pickle_message(path))
    raise InvalidData(
        f"{path} has {size} bytes; a file of CIFAR-10 has {CIFAR_POINTS:,} pictures with their "
        f"labels, which is {right} bytes: it is damaged, was cut short, or is something else"
    )


def _labelled(
    images: np.ndarray, labels: np.ndarray, count: int | None, folder: Any
) -> LabelledData:
    """Return the first pictures as numbers from 0 to 1, if all labels are of ten classes."""
    if images.dtype != np.uint8 or not len(images):
        raise InvalidData(
            f"{folder}: images have the shape {images.shape} and the type {images.dtype}; they "
            f"must be one or more pictures of bytes"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
        raise InvalidData(f"{folder}: a label is not a whole number from 0 to 9; a file is damaged")
    end, shape = _checked_count(count, len(images)), images.shape[1:]
    flat = images[:end].reshape(-1, math.prod(shape)) / 255
    return LabelledData(flat, labels[:end].astype(np.int64), 10, shape)


def _checked_count(count: Any, most: int) -> int | None:
    """Return how many points to take, None for all of them."""
    if count is None:
        return None
    number = as_integer(count)
    if number is None or not 1 <= number <= most:
        raise InvalidValue(
            f"count is {shortened(count)}; it must be a whole number from 1 to {most}"
        )
    return number


def _checked_split(split: Any, known: dict) -> str:
    if not isinstance(split, str) or split not in known:
        raise InvalidValue(f"split is {shortened(split)}; it must be one of {list(known)}")
    return split
