"""Gradients on eight devices are those of one, to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")

from modeq.errors import InvalidLoss, InvalidPoint, InvalidStep, InvalidValue  # noqa: E402
from modeq.networks import device_mesh, shard_batch, sharded_field, sharded_gradient  # noqa: E402
from modeq.networks.sharding import _check_lengths  # noqa: E402

PROGRAM = """
import json
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
from modeq.networks.field import modified_field
from modeq.networks.sharding import (
    device_mesh, replicate, shard_batch, sharded_field, sharded_gradient
)

random = np.random.default_rng(0)
params = {"a": random.normal(size=(5, 7)), "b": random.normal(size=(7, 3))}
batch = {"x": random.normal(size=(64, 5)), "y": random.normal(size=(64, 3))}

def loss(p, d):
    return jnp.mean((jnp.tanh(d["x"] @ p["a"]) @ p["b"] - d["y"]) ** 2)

def apart(first, second):
    return max(float(jnp.abs(first[k] - second[k]).max() / jnp.abs(second[k]).max()) for k in "ab")

one, eight = device_mesh(jax.devices()[:1]), device_mesh()
spread = shard_batch(batch, eight)
gradient = sharded_gradient(loss, eight)(params, spread)
alone = sharded_gradient(loss, one)(params, batch)
compiled = jax.jit(jax.grad(loss)).lower(replicate(params, eight), spread).compile()
try:
    shard_batch({"x": np.ones(12)}, eight)
except ValueError as error:
    message = str(error)
print(json.dumps({
    "devices": len(jax.devices()),
    "shards": sorted({shard.data.shape[0] for shard in spread["x"].addressable_shards}),
    "places": len({shard.device for shard in spread["x"].addressable_shards}),
    "all_reduce": "all-reduce" in compiled.as_text(),
    "copies": len(gradient["a"].sharding.device_set),
    "gradient": apart(gradient, jax.grad(loss)(params, batch)),
    "gradient_one": apart(alone, jax.grad(loss)(params, batch)),
    "field": apart(sharded_field(loss, 2, eight)(params, 0.1, batch),
                   modified_field(loss, 2, check=False)(params, 0.1, batch)),
    "message": message,
}))
"""


@pytest.fixture(scope="module")
def found():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **flags},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def test_eight_devices_give_the_numbers_of_one_to_rounding(found):
    assert found["devices"] == 8
    assert found["gradient"] < 1e-13
    assert found["gradient_one"] < 1e-13
    assert found["field"] < 1e-12


def test_each_device_has_an_eighth_of_the_batch_and_all_of_the_gradient(found):
    assert found["shards"] == [8]
    assert found["places"] == 8
    assert found["copies"] == 8
    assert found["all_reduce"]


def test_a_batch_that_the_devices_do_not_divide_is_refused_with_a_way_out(found):
    assert "12 entries, which 8 devices do not divide" in found["message"]
    assert "take 8 of them, or 1 or 2 or 3 or 4 or 6 devices" in found["message"]


def test_what_cannot_be_shared_out_is_refused():
    mesh = device_mesh(jax.devices()[:1])
    for batch in ({"x": np.ones(4), "y": np.ones(5)}, np.float32(1.0), {}):
        with pytest.raises(InvalidValue, match="first axes"):
            shard_batch(batch, mesh)


def test_bad_losses_and_weights_are_refused():
    mesh = device_mesh(jax.devices()[:1])
    with pytest.raises(InvalidLoss, match="one floating-point number"):
        sharded_gradient(lambda p, x: p * x, mesh)(1.0, np.ones(4))
    with pytest.raises(InvalidPoint, match="int64"):
        sharded_gradient(lambda p, x: (p * x).sum(), mesh)(np.arange(4), np.ones(4))


def test_a_learning_rate_that_cannot_be_right_is_refused():
    field = sharded_field(lambda p, x: ((x * p) ** 2).mean(), 1, device_mesh(jax.devices()[:1]))
    for h in (0, -1.0, np.nan):
        with pytest.raises(InvalidStep):
            field(np.float32(1.0), h, np.ones(4, np.float32))


def test_a_batch_smaller_than_the_devices_is_refused_without_an_empty_one_as_the_way_out():
    with pytest.raises(InvalidValue, match=r"do not divide; take 1 or 3 devices$"):
        _check_lengths(np.ones(3), 8)


def test_no_devices_are_refused():
    with pytest.raises(InvalidValue, match="devices is empty"):
        device_mesh([])
