"""Gradients and modified fields with the batch shared out over devices.

Each device has a part of the batch and all of the weights; JAX adds up what they find. The losses
are ordinary functions ``loss_fn(params, batch)``: means and sums over the batch are over all of it,
wherever its parts are, so the numbers are those of one device, to rounding.

    batch = shard_batch((inputs, labels))
    gradient = sharded_gradient(loss_fn)(params, batch)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modeq.checks import check_step
from modeq.errors import InvalidValue
from modeq.networks.field import NetworkField
from modeq.networks.pytrees import check_params, is_traced, scalar

try:
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec
except ImportError as error:
    raise ImportError("modeq.networks.sharding needs JAX: pip install modeq[jax]") from error

AXIS = "batch"


def device_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Return devices in a row: all that JAX has unless given.

    Raises:
        InvalidValue: There are none.

    >>> device_mesh().axis_names
    ('batch',)
    """
    chosen = jax.devices() if devices is None else list(devices)
    if not chosen:
        raise InvalidValue("devices is empty; give at least one, such as jax.devices()[:1]")
    return Mesh(np.array(chosen), (AXIS,))


def shard_batch(batch: Any, mesh: Mesh | None = None) -> Any:
    """Return a pytree of arrays with their first axes shared out over the devices.

    Raises:
        InvalidValue: An array has no first axis, the lengths differ, or the number of devices does
            not divide them.

    >>> shard_batch({"x": np.ones((8, 2))}, device_mesh(jax.devices()[:1]))["x"].shape
    (8, 2)
    """
    mesh = device_mesh() if mesh is None else mesh
    _check_lengths(batch, mesh.size)
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec(AXIS)))


def replicate(params: Any, mesh: Mesh | None = None) -> Any:
    """Return a pytree with a copy of it on each device."""
    mesh = device_mesh() if mesh is None else mesh
    return jax.device_put(params, NamedSharding(mesh, PartitionSpec()))


def sharded_gradient(
    loss_fn: Callable[[Any, Any], Any], mesh: Mesh | None = None
) -> Callable[[Any, Any], Any]:
    """Return ``gradient(params, batch)`` that is found on all devices at once.

    Args:
        loss_fn: ``loss_fn(params, batch)`` returns a scalar, such as a mean over the batch.
        mesh: The devices; all that JAX has unless given.

    Returns:
        A function of a pytree and a batch, on whichever devices they are, that returns a pytree
        with a copy on each device.

    Raises (when it is called):
        InvalidLoss, InvalidPoint: The loss is not a scalar, or a leaf of params holds no floats.
        InvalidValue: The number of devices does not divide the batch.

    >>> gradient = sharded_gradient(lambda p, x: ((x - p) ** 2).mean())
    >>> float(gradient(np.float32(1.0), np.ones(8, np.float32) * 3))
    -4.0
    """
    return _shared_out(jax.grad(scalar(loss_fn)), mesh)


def sharded_field(
    loss_fn: Callable[[Any, Any], Any], order: int, mesh: Mesh | None = None
) -> Callable[[Any, float, Any], Any]:
    """Return the modified field ``field(params, h, batch)`` that is found on all devices at once.

    Raises (when it is called):
        InvalidLoss, InvalidPoint: The loss is not a scalar, or a leaf of params holds no floats.
        InvalidStep: h is not positive and finite.
        InvalidValue: The number of devices does not divide the batch.

    >>> field = sharded_field(lambda p, x: ((x * p) ** 2).mean() / 2, order=1)
    >>> float(field(np.float32(1.0), 0.125, np.ones(8, np.float32)))  # -p - h p/2
    -1.0625
    """
    rhs = NetworkField(loss_fn, order, check=False).rhs
    shared = _shared_out(lambda params, batch, h: rhs(params, h, batch), mesh)

    def field(params: Any, h: Any, batch: Any) -> Any:
        return shared(params, batch, h if is_traced(h) else check_step(h))

    return field


def _shared_out(function: Callable[..., Any], mesh: Mesh | None) -> Callable[..., Any]:
    """Return ``function(params, batch, …)`` with the batch shared out, the rest on each device."""
    mesh = device_mesh() if mesh is None else mesh
    copies = NamedSharding(mesh, PartitionSpec())
    compiled = jax.jit(function, out_shardings=copies)

    def call(params: Any, batch: Any, *rest: Any) -> Any:
        check_params(params)
        return compiled(replicate(params, mesh), shard_batch(batch, mesh), *rest)

    return call


def _check_lengths(batch: Any, devices: int) -> None:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch)]
    lengths = {shape[0] if shape else None for shape in shapes}
    if len(lengths) != 1 or None in lengths:
        raise InvalidValue(
            f"the arrays of the batch have the shapes {shapes}; their first axes must have one "
            f"length, that of the batch"
        )
    length = lengths.pop()
    if length % devices:
        raise InvalidValue(
            f"the batch has {length} entries, which {devices} devices do not divide; take "
            f"{_fewer(length, devices)}{_divisors(length, devices)} devices"
        )


def _fewer(length: int, devices: int) -> str:
    kept = length - length % devices
    return f"{kept} of them, or " if kept else ""


def _divisors(length: int, most: int) -> str:
    return " or ".join(str(n) for n in range(1, most) if length % n == 0)
