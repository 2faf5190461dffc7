"""Runs that are killed go on to the same numbers; damaged and foreign checkpoints are refused."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
pytest.importorskip("optax", reason="optax is optional: pip install modeq[optax]")

import jax.numpy as jnp
import optax
import training_case
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import DOUBLE, tanh_network

from modeq.errors import CannotWrite, InvalidCheckpoint
from modeq.networks import train
from modeq.networks.archives import read_archive, write_archive
from modeq.networks.records import COLUMN, Checkpoint, load_checkpoint, save_checkpoint
from modeq.networks.training_run import TrainingState

PROGRAM = Path(__file__).parents[1] / "training_case.py"


def assert_same(first, second):
    assert first.columns.keys() == second.columns.keys()
    for name, values in first.columns.items():
        assert values.tobytes() == second.columns[name].tobytes(), name
    assert first.theta.tobytes() == second.theta.tobytes()
    assert (first.failures, first.complex_from) == (second.failures, second.complex_from)


def killed_after_its_first_checkpoint(path, timeout=120):
    """Start the run in a process of its own, and kill it; return the step that it had reached."""
    process = subprocess.Popen([sys.executable, str(PROGRAM), str(path)])
    try:
        end = time.monotonic() + timeout
        while not path.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(0.05)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    return load_checkpoint(path).step


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path):
    path = tmp_path / "run.npz"
    reached = killed_after_its_first_checkpoint(path)
    assert 0 < reached < training_case.STEPS
    assert_same(training_case.run(path), training_case.run())


def test_a_finished_run_may_take_more_steps(tmp_path):
    path = tmp_path / "run.npz"
    training_case.run(path, 6)
    longer = training_case.run(path, 9)
    assert_same(longer, training_case.run(steps=9))
    with pytest.raises(InvalidCheckpoint, match="has 9 steps already, and steps is 8"):
        training_case.run(path, 8)


def test_a_run_that_is_over_is_not_run_again(tmp_path):
    path = tmp_path / "run.npz"
    first = training_case.run(path, 4)
    stored, seen = path.read_bytes(), []
    assert_same(training_case.run(path, 4, progress=lambda *a: seen.append(a)), first)
    assert not seen
    assert path.read_bytes() == stored


def test_optimizers_with_random_numbers_go_on_with_them(tmp_path):
    loss, params, _ = tanh_network(hidden=2)
    noisy = optax.chain(optax.add_noise(0.1, 0.5, key=7), optax.adam(0.01))

    def run(steps, path=None):
        options = {"optimizer": noisy, "rate": 0.01, "flows": (), "precision": DOUBLE}
        options["checkpoint"] = path
        return train(loss, params, steps=steps, **options)

    path = tmp_path / "run.npz"
    run(3, path)
    assert_same(run(6, path), run(6))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run.npz"
    training_case.run(path, 2)
    return path.read_bytes()


@pytest.fixture
def stored(content, tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    return path


DAMAGES = {
    "the end is missing": lambda data: data[:-100],
    "half is missing": lambda data: data[: len(data) // 2],
    "it is empty": lambda data: b"",
    "one bit is flipped": lambda data: bytes([*data[:400], data[400] ^ 1, *data[401:]]),
    "it is a text": lambda data: b"checkpoint",
    "it is an array": lambda data: saved(np.save, np.ones(3)),
    "it has no checksum": lambda data: saved(np.savez, header=np.zeros(3, np.uint8)),
    "it is a pickle": lambda data: saved(np.savez, header=np.array([{}], object)),
}


def saved(function, *arrays, **named):
    buffer = io.BytesIO()
    function(buffer, *arrays, **named)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_kept(stored, damage):
    stored.write_bytes(damage(stored.read_bytes()))
    damaged = stored.read_bytes()
    with pytest.raises(InvalidCheckpoint, match=r"run\.npz' is damaged: .*left as it is"):
        training_case.run(stored, 4)
    assert stored.read_bytes() == damaged


def test_every_flipped_byte_of_a_small_archive_is_noticed_or_harmless(tmp_path):
    path = tmp_path / "small.npz"
    write_archive(path, {"a": 1}, {"x": np.arange(3.0)})
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(bytes([*data[:place], data[place] ^ 0x55, *data[place + 1 :]]))
        try:
            header, arrays = read_archive(path)
        except InvalidCheckpoint:
            continue
        assert header == {"a": 1}
        assert arrays["x"].tolist() == [0, 1, 2]


def forged(header, arrays):
    """Return an archive with any header and the checksum that belongs to it."""
    entries = {**arrays, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    digest = hashlib.sha256()
    for name, array in sorted(entries.items()):
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode() + array.tobytes())
    checksum = np.frombuffer(digest.digest(), np.uint8)
    return saved(np.savez, **entries, checksum=checksum)


ANYTHING = st.sampled_from([None, True, 0, -1, 0.5, "a", [], [1], {}, {"a": [1]}, {"failures": 1}])
FORGED = {"format": 1, "types": {"theta": "float64"}}
INSIDE = {"step": 0, "settings": {}, "marks": {}, "state": {}}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([*FORGED, "header", *INSIDE, "header of another", ""]),
    ANYTHING,
    st.booleans(),
)
def test_a_forged_header_with_the_right_checksum_is_refused(place, thing, is_missing):
    inside, header = dict(INSIDE), {**FORGED, "header": None}
    if place in header:
        header[place] = thing
    elif place in inside:
        inside[place] = thing
        header["header"] = inside
    for each in (inside, header):
        if is_missing:
            each.pop(place, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.npz")
        path.write_bytes(forged(header if place else thing, {"theta": np.ones(2)}))
        try:
            found = load_checkpoint(path, {}, {})
            with pytest.raises(InvalidCheckpoint):  # there is no time in it
                TrainingState.restored(found)
        except InvalidCheckpoint:
            pass


THETA, TIME = {"theta": np.ones(2)}, {"time": np.array(1.0)}
KEPT = {"failures": {}, "complex_from": {}}


@pytest.mark.parametrize(
    ("arrays", "state"),
    [
        (THETA, KEPT),
        (TIME, KEPT),
        ({**THETA, "time": np.ones(1)}, KEPT),
        (THETA | TIME, {"failures": []}),
        (THETA | TIME, {**KEPT, "complex_from": {"a": "b"}}),
        ({**THETA, **TIME, COLUMN + "loss": np.array(1.0)}, KEPT),
    ],
)
def test_a_checkpoint_without_what_a_run_has_is_refused(arrays, state):
    with pytest.raises(InvalidCheckpoint, match="checkpoint"):
        TrainingState.restored(Checkpoint(1, {}, {}, state, arrays))


def test_an_archive_takes_no_more_memory_than_it_has_bytes(tmp_path):
    path = tmp_path / "run.npz"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", saved(np.save, np.zeros(10**7)))
    claims = bytearray(saved(np.savez, header=np.zeros(10**3)))
    place = claims.rindex(b"PK\x01\x02") + 20  # the sizes in the directory at the end
    claims[place : place + 8] = (2**31 - 1).to_bytes(4, "little") * 2
    shape = io.BytesIO()
    with zipfile.ZipFile(shape, "w") as archive:
        entry = io.BytesIO()
        form = {"descr": "<f8", "fortran_order": False, "shape": (10**8,)}
        np.lib.format.write_array_header_1_0(entry, form)
        archive.writestr("header.npy", entry.getvalue() + bytes(80))
    for content in (packed.getvalue(), bytes(claims), shape.getvalue()):
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(InvalidCheckpoint, match="is damaged"):
            read_archive(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content) + 2**20
        tracemalloc.stop()


def test_arrays_without_entries_and_by_columns_come_back(tmp_path):
    arrays = {"none": np.zeros((0, 3)), "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    write_archive(tmp_path / "a.npz", {}, arrays)
    found = read_archive(tmp_path / "a.npz")[1]
    assert {name: array.tolist() for name, array in found.items()} == {
        "none": [],
        "columns": [[0, 1, 2], [3, 4, 5]],
    }
    assert all(array.flags.writeable for array in found.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 0.06}, "rate is 0.05, not 0.06"),
        ({"every": 2}, "every is 3, not 2"),
        ({"flows": (0,)}, "flows"),
        ({"optimizer": None}, "optimizer is 'program .*', not 'gradient descent'"),
        ({"optimizer": optax.sgd(0.05, momentum=0.51)}, "optimizer is 'program .*', not 'program "),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(stored, options, words):
    before = stored.read_bytes()
    with pytest.raises(InvalidCheckpoint, match=words):
        training_case.run(stored, 4, **options)
    assert stored.read_bytes() == before


def test_a_checkpoint_of_another_loss_or_start_is_refused(stored):
    checkpoint = load_checkpoint(stored)
    mine, marks = checkpoint.settings, checkpoint.marks
    with pytest.raises(InvalidCheckpoint, match="its start is"):
        load_checkpoint(stored, {**mine, "start": "other"}, marks)
    with pytest.raises(InvalidCheckpoint, match="its loss at the start is"):
        load_checkpoint(stored, mine, {**marks, "loss at the start": 3.0})


def test_an_archive_of_something_else_is_no_checkpoint(tmp_path):
    write_archive(tmp_path / "run.npz", [1, 2], {})
    with pytest.raises(InvalidCheckpoint, match="not a checkpoint but another archive"):
        load_checkpoint(tmp_path / "run.npz")


def test_small_floats_keep_their_type(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with jax")
    small = np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3)
    arrays = {"small": small, "count": np.array(3, np.int32), "c": np.array([1 + 2j])}
    save_checkpoint(tmp_path / "a.npz", Checkpoint(1, {}, {}, {}, arrays))
    found = load_checkpoint(tmp_path / "a.npz").arrays
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()
        assert found[name].shape == array.shape


def test_what_is_no_number_is_not_stored(tmp_path):
    with pytest.raises(InvalidCheckpoint, match="cannot be stored"):
        write_archive(tmp_path / "a.npz", {}, {"x": np.array([{}], object)})
    with pytest.raises(InvalidCheckpoint, match="other than 'header'"):
        write_archive(tmp_path / "a.npz", {}, {"header": np.ones(2)})
    with pytest.raises(CannotWrite):
        write_archive(tmp_path / "none" / "a.npz", {}, {"x": np.ones(2)})
    assert not list(tmp_path.iterdir())


CENTER = np.arange(3.0)


def bowl(factor=1.0, center=CENTER):
    return lambda w: factor * jnp.sum((w - center) ** 2)


PAIRS = {
    "the decay of weights": (
        {"optimizer": optax.adamw(0.1, weight_decay=1e-5)},
        {"optimizer": optax.adamw(0.1, weight_decay=2e-5)},
    ),
    "epsilon": (
        {"optimizer": optax.adam(0.1, eps=1e-8)},
        {"optimizer": optax.adam(0.1, eps=1e-7)},
    ),
    "the schedule": (
        {"optimizer": optax.sgd(optax.cosine_decay_schedule(0.1, 100))},
        {"optimizer": optax.sgd(optax.cosine_decay_schedule(0.1, 101))},
    ),
    "the state": (
        {"optimizer": optax.sgd(0.1, momentum=0.5)},
        {"optimizer": optax.sgd(0.1)},
    ),
    "the start of the state": (
        {"optimizer": optax.adagrad(0.1, initial_accumulator_value=0.1)},
        {"optimizer": optax.adagrad(0.1, initial_accumulator_value=0.10001)},
    ),
    "the loss, by next to nothing": ({}, {"loss": bowl(1.00005)}),
    "the data": ({}, {"loss": bowl(center=CENTER + 1e-9)}),
}


def followed(path, steps, loss=None, **options):
    options = {"rate": 0.1, "flows": (), "precision": DOUBLE, **options}
    return train(loss or bowl(), np.ones(3), steps=steps, checkpoint=path, **options)


@pytest.mark.parametrize("name", PAIRS)
def test_a_run_goes_on_as_what_it_was_and_not_as_another(tmp_path, name):
    path = tmp_path / "run.npz"
    one, other = PAIRS[name]
    followed(path, 3, **one)
    before = path.read_bytes()
    part = "loss" if "loss" in other else "optimizer"
    with pytest.raises(InvalidCheckpoint, match=f"its {part} is 'program .*', not 'program"):
        followed(path, 5, **other)
    assert path.read_bytes() == before
    assert followed(path, 5, **one).theta.tobytes() == followed(None, 5, **one).theta.tobytes()


def test_another_version_of_what_computes_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    followed(path, 3)
    monkeypatch.setattr("modeq.networks.training_run.version", lambda name: f"another {name}")
    with pytest.raises(InvalidCheckpoint, match=r"its versions is .*, not .*another jax"):
        followed(path, 5)


def test_a_memory_of_other_arrays_is_refused_in_words(tmp_path):
    path = tmp_path / "run.npz"
    momentum = {"optimizer": optax.sgd(0.1, momentum=0.5)}
    followed(path, 3, **momentum)
    found = load_checkpoint(path)
    arrays = {name: a for name, a in found.arrays.items() if not name.startswith("memory/")}
    save_checkpoint(path, replace(found, arrays=arrays))
    with pytest.raises(InvalidCheckpoint, match="its memory has 0 arrays"):
        followed(path, 5, **momentum)


PROGRAM_OF_A_LOSS = """
import jax, jax.numpy as jnp, numpy as np, optax, sys
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.optax_steps import OptaxStep

@jax.custom_jvp
def square(x):
    return x * x

square.defjvp(lambda x, t: (square(x[0]), 2 * x[0] * t[0]))
data = np.arange(6.0).reshape(2, 3)
loss = FlatLoss(lambda w: jnp.sum(square(jnp.tanh(data @ w["a"])) + w["b"]),
    {"a": np.ones(3), "b": np.ones(2)}, precision="float64")
step = OptaxStep(optax.adamw(optax.cosine_decay_schedule(0.1, 9)), loss)
print(loss.fingerprint, step.fingerprint(loss.start))
"""


def test_programs_have_the_same_fingerprints_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM_OF_A_LOSS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1
    assert len(found.pop().split()) == 2
