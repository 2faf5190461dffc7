"""Small networks that several tests train."""

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
import jax.numpy as jnp  # noqa: E402

DOUBLE = "float64"


def tanh_network(inputs=3, hidden=4, outputs=2, points=12, seed=0, scale=1.0):
    """Return (loss, params, predict): the mean square error of a network with one hidden layer."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(points, inputs))
    y = scale * random.normal(size=(points, outputs))
    params = {
        "in": random.normal(size=(inputs, hidden)) / np.sqrt(inputs),
        "bias": 0.1 * random.normal(size=hidden),
        "out": random.normal(size=(hidden, outputs)) / np.sqrt(hidden),
    }

    def predict(p):
        return jnp.tanh(x @ p["in"] + p["bias"]) @ p["out"]

    return (lambda p: jnp.mean((predict(p) - y) ** 2)), params, predict


def quadratic(eigenvalues, seed=0):
    """Return (loss, params, matrix) of x·Ax/2 on a pytree of two arrays."""
    random = np.random.default_rng(seed)
    size = len(eigenvalues)
    basis, _ = np.linalg.qr(random.normal(size=(size, size)))
    matrix = basis @ np.diag(eigenvalues) @ basis.T

    def loss(p):
        x = jnp.concatenate([p["a"], p["b"]])
        return x @ matrix @ x / 2

    start = random.normal(size=size)
    return loss, {"a": start[:1], "b": start[1:]}, matrix


def descent(loss, params, h, steps):
    """Return the iterates of gradient descent as vectors, of shape (steps + 1, d)."""
    from modeq.networks.flat_loss import FlatLoss

    flat = FlatLoss(loss, params, precision=DOUBLE)
    theta = [flat.start]
    for _ in range(steps):
        theta.append(theta[-1] - h * flat.gradient(theta[-1]))
    return np.array(theta)
