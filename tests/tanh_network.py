"""One small tanh network, as a text for the symbolic engine and as a function for JAX."""

import numpy as np

import modeq

DATA = ((0.5, 1.0), (-1.0, 0.25))
"""Inputs and targets."""

TEXT = " + ".join(f"(v*tanh(w*({x}) + b) + c - ({y}))**2/2" for x, y in DATA)
VARIABLES = "b c v w"
START = np.array([0.25, -0.5, 0.75, 0.5])

PARAMS = {"hidden": {"b": START[0], "w": START[3]}, "out": [START[1], START[2]]}
"""The same weights in a tree."""


def loss(params, data=DATA):
    """Return the loss, with JAX."""
    import jax.numpy as jnp

    inputs, targets = jnp.asarray(data).T
    units = jnp.tanh(params["hidden"]["w"] * inputs + params["hidden"]["b"])
    return jnp.sum((params["out"][1] * units + params["out"][0] - targets) ** 2) / 2


def vector(params):
    """Return a tree of weights in the order of the variables."""
    parts = (params["hidden"]["b"], *params["out"], params["hidden"]["w"])
    return np.array([float(part) for part in parts])


def tree(theta):
    """Return a vector of weights as a tree."""
    b, c, v, w = theta
    return {"hidden": {"b": b, "w": w}, "out": [c, v]}


def symbolic_terms(order):
    """Return f, f₁, …, fₙ at the start by the symbolic engine, of shape (order + 1, 4).

    Its field is a polynomial in h of degree n, which n + 1 values tell.
    """
    rhs = modeq.derive(modeq.Loss(TEXT, VARIABLES), order).lambdify(form="program")
    rates = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1)) / 2 + 0.75
    values = np.array([rhs(START, float(h)) for h in rates])
    return np.linalg.solve(np.vander(rates, increasing=True), values)
