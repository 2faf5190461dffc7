"""Data sets are read from local files, and files that are damaged are refused in one sentence."""

import builtins
import gzip
import os
import pickle
import struct

import numpy as np
import pytest

from modeq.errors import InvalidData, InvalidValue
from modeq.networks import data

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 1, 3], np.uint8)
PICTURES = RNG.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
KINDS = np.array([0, 9, 4, 4, 1, 7, 0, 3, 8, 5], np.uint8)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Files of CIFAR-10 with two pictures in place of 10,000."""
    monkeypatch.setattr(data, "CIFAR_POINTS", 2)


def idx(array):
    codes = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
    head = bytes([0, 0, codes[array.dtype.str[1:]], array.ndim])
    sizes = b"".join(struct.pack(">I", n) for n in array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder, images=None, labels=None, suffix="", pack=bytes, prefix="train"):
    images = idx(IMAGES) if images is None else images
    labels = idx(LABELS) if labels is None else labels
    (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(images))
    (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(labels))
    return folder


def cifar_bytes(pictures, kinds):
    return b"".join(bytes([k]) + p.tobytes() for k, p in zip(kinds, pictures, strict=True))


def write_cifar(folder):
    for k in range(5):
        content = cifar_bytes(PICTURES[2 * k : 2 * k + 2], KINDS[2 * k : 2 * k + 2])
        (folder / f"data_batch_{k + 1}.bin").write_bytes(content)
    (folder / "test_batch.bin").write_bytes(cifar_bytes(PICTURES[3:5], KINDS[3:5]))
    return folder


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress)])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_mnist_is_read_plain_and_packed(tmp_path, suffix, pack, split, prefix):
    found = data.mnist(write_mnist(tmp_path, None, None, suffix, pack, prefix), split)
    np.testing.assert_array_equal(found.inputs, IMAGES.reshape(5, 12) / 255)
    np.testing.assert_array_equal(found.labels, [3, 0, 9, 1, 3])
    assert (found.shape, found.classes, len(found)) == ((4, 3), 10, 5)
    assert found.labels.dtype == np.int64


def test_only_as_many_points_are_taken_as_asked_for(tmp_path):
    np.testing.assert_array_equal(data.mnist(write_mnist(tmp_path), count=2).labels, [3, 0])
    (write_cifar(tmp_path) / "data_batch_4.bin").write_bytes(b"damaged, but not needed")
    np.testing.assert_array_equal(data.cifar10(tmp_path, count=3).labels, KINDS[:3])
    assert len(data.cifar10(tmp_path, "test").take(1)) == 1
    for count in (0, -1, 3, 1.5, True, "all"):
        with pytest.raises(InvalidValue, match="count is"):
            data.cifar10(tmp_path, "test", count)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 2, 2)])
def test_idx_files_of_every_type_are_read(tmp_path, dtype, shape):
    array = (100 * RNG.standard_normal(shape)).astype(dtype)
    (tmp_path / "array").write_bytes(idx(array))
    found = data.read_idx(tmp_path / "array")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_cifar10_is_read_from_its_binary_version(tmp_path):
    found = data.cifar10(write_cifar(tmp_path))
    np.testing.assert_array_equal(found.inputs, PICTURES.reshape(10, -1) / 255)
    np.testing.assert_array_equal(found.labels, KINDS)
    assert (found.shape, found.classes) == ((3, 32, 32), 10)
    np.testing.assert_array_equal(data.cifar10(tmp_path, "test").labels, KINDS[3:5])


def test_cifar10_is_found_in_the_folder_that_its_archive_makes(tmp_path):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    write_cifar(tmp_path / "cifar-10-batches-bin")
    assert len(data.cifar10(tmp_path)) == 10


class Trap:
    """What a pickle may do when it is read."""

    def __reduce__(self):
        return os.mkdir, ("trap",)


@pytest.mark.parametrize(
    "place", ["data_batch_1", "cifar-10-batches-py/data_batch_1", "data_batch_1.bin"]
)
def test_the_pickled_version_of_cifar10_is_refused_and_never_read(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps({"data": Trap()}))
    with pytest.raises(InvalidData, match=r"pickle.*get the binary version"):
        data.cifar10(tmp_path)
    assert not (tmp_path / "trap").exists()


def cut(content):
    return content[:-1]


def longer(content):
    return content + b"\0"


def other_magic(content):
    return b"PK" + content[2:]


def other_type(content):
    return content[:2] + b"\x0a" + content[3:]


def no_dimensions(content):
    return content[:3] + b"\0"


def only_header(content):
    return content[:6]


def empty(content):
    return b""


def huge(content):
    return content[:4] + b"\xff" * 8 + content[12:]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "damage", [cut, longer, other_magic, other_type, no_dimensions, only_header, empty, huge]
)
def test_damaged_idx_files_are_refused_by_name(tmp_path, damage, pack):
    suffix = "" if pack is bytes else ".gz"
    write_mnist(tmp_path, images=damage(idx(IMAGES)), suffix=suffix, pack=pack)
    with pytest.raises(InvalidData, match="train-images-idx3-ubyte") as caught:
        data.mnist(tmp_path)
    assert "\n" not in str(caught.value)


def damaged_gz(folder, position):
    packed = bytearray(gzip.compress(idx(IMAGES), mtime=0))
    packed[position] ^= 0xFF
    (folder / "array.gz").write_bytes(bytes(packed))
    return folder / "array.gz"


@pytest.mark.parametrize("position", [0, 2, 3, 15, 20, -9, -6, -1])
def test_damaged_gz_files_are_refused(tmp_path, position):
    with pytest.raises(InvalidData, match=r"array\.gz is damaged"):
        data.read_idx(damaged_gz(tmp_path, position))


def test_the_time_in_a_gz_file_does_not_matter(tmp_path):
    np.testing.assert_array_equal(data.read_idx(damaged_gz(tmp_path, 5)), IMAGES)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_gz_files_cut_short_are_refused(tmp_path, share):
    packed = gzip.compress(idx(IMAGES))
    (tmp_path / "array.gz").write_bytes(packed[: int(share * len(packed))])
    with pytest.raises(InvalidData, match=r"array\.gz"):
        data.read_idx(tmp_path / "array.gz")


def test_a_small_gz_file_that_unpacks_to_a_lot_is_not_unpacked(tmp_path):
    content = idx(IMAGES)[:16] + bytes(2**26)
    write_mnist(tmp_path, images=content, suffix=".gz", pack=gzip.compress)
    with pytest.raises(InvalidData, match="goes on after"):
        data.mnist(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (idx(IMAGES), idx(LABELS[:4])),
        (idx(LABELS), idx(LABELS)),
        (idx(IMAGES), idx(IMAGES)),
        (idx(IMAGES), idx(LABELS + 1)),
        (idx(IMAGES), idx(LABELS.astype("i1") - 1)),
        (idx(IMAGES), idx(LABELS / 2)),
        (idx(IMAGES / 2), idx(LABELS)),
        (idx(IMAGES[:0]), idx(LABELS[:0])),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(tmp_path, images, labels):
    with pytest.raises(InvalidData):
        data.mnist(write_mnist(tmp_path, images, labels))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        cifar_bytes(PICTURES[:2], KINDS[:2])[:-1],
        cifar_bytes(PICTURES[:2], KINDS[:2] + 1),
        b"x" * 2 * 3073,
    ],
    ids=["empty", "cut", "label 10", "label 120"],
)
def test_damaged_files_of_cifar10_are_refused(tmp_path, content):
    (write_cifar(tmp_path) / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(InvalidData):
        data.cifar10(tmp_path)


@pytest.mark.parametrize(
    ("split", "name"), [("train", "data_batch_3.bin"), ("test", "test_batch.bin")]
)
def test_a_file_of_cifar10_that_ends_between_two_pictures_is_refused(tmp_path, split, name):
    path = write_cifar(tmp_path) / name
    path.write_bytes(path.read_bytes()[:3073])
    with pytest.raises(InvalidData, match=r"has 3073 bytes; .* 2 pictures .* 6146 bytes"):
        data.cifar10(tmp_path, split)


def test_a_file_of_cifar10_has_ten_thousand_pictures(monkeypatch, tmp_path):
    monkeypatch.undo()
    with pytest.raises(InvalidData, match=r"10,000 pictures .* 30730000 bytes"):
        data.cifar10(write_cifar(tmp_path), "test")


def test_inputs_and_labels_must_fit():
    with pytest.raises(InvalidValue, match=r"inputs have the shape \(2, 2\) and labels \(3,\)"):
        data.LabelledData(np.eye(2), np.array([0, 1, 1]), 2, (1, 2))
    with pytest.raises(InvalidValue, match=r"must be \(points, 4\)"):
        data.LabelledData(np.eye(2), np.array([0, 1]), 2, (2, 2))


def test_missing_files_and_splits_are_named(tmp_path):
    with pytest.raises(InvalidValue, match=r"neither train-images-idx3-ubyte nor .*\.gz"):
        data.mnist(tmp_path)
    with pytest.raises(InvalidValue, match=r"no data_batch_1\.bin"):
        data.cifar10(tmp_path)
    for load in (data.mnist, data.cifar10):
        with pytest.raises(InvalidValue, match="split is 'valid'"):
            load(tmp_path, "valid")


def test_the_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="pip install modeq[data]")
    found = data.digits()
    pixels = datasets.load_digits().images
    np.testing.assert_array_equal(found.inputs.reshape(-1, 8, 8) * 16, pixels)
    assert found.inputs.min() == 0
    assert found.inputs.max() == 1
    np.testing.assert_array_equal(found.one_hot.argmax(axis=1), found.labels)
    assert len(data.digits(count=20)) == 20


def test_without_scikit_learn_the_digits_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"modeq\[data\]"):
        data.digits()


@pytest.mark.parametrize("shape", [(1,) * 65, (1,) * 255, (0, *[2**32 - 1] * 9), (2**32 - 1,) * 3])
def test_idx_headers_that_no_array_has_are_refused(shape, tmp_path):
    sizes = b"".join(n.to_bytes(4, "big") for n in shape)
    (tmp_path / "array").write_bytes(bytes([0, 0, 8, len(shape)]) + sizes + b"\0")
    with pytest.raises(InvalidData, match="claims an array of"):
        data.read_idx(tmp_path / "array")
