"""Drift-adjusted rates in optax: the same run as with the formulas."""

import sys
import warnings

import numpy as np
import pytest

import modeq
from modeq.errors import InvalidValue
from modeq.networks.adjusted_rates import dal_transform

REASON = "optax and jax are optional: pip install modeq[optax]"
pytest.importorskip("jax", reason=REASON)
pytest.importorskip("optax", reason=REASON)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they warn of when they are imported is their own
    import jax
    import optax


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def followed(loss_fn, params, steps, p, cap, **extra):
    """Return the parameters and the learning rates along a run of the transformation."""
    transform = dal_transform(loss_fn, p, cap)
    state, path, rates = transform.init(params), [params], []
    gradient, update = jax.grad(loss_fn), jax.jit(transform.update)
    for _ in range(steps):
        batch = extra.get("batch")
        g = gradient(params) if batch is None else gradient(params, batch)
        updates, state = update(g, state, params, **extra)
        params = optax.apply_updates(params, updates)
        path.append(params)
        rates.append(float(state.learning_rate))
    return path, rates


@pytest.mark.parametrize(("p", "cap"), [(1, 5), (0.5, 5), (1, 0.2)])
def test_the_run_is_that_of_run_dal(p, cap):
    def loss_fn(theta):
        return (theta["x"] * theta["y"] - 1) ** 2 / 2

    start = {"x": jax.numpy.array(1.5), "y": jax.numpy.array(0.2)}
    path, rates = followed(loss_fn, start, 12, p, cap)
    expected = modeq.run_dal("(x*y - 1)**2/2", [1.5, 0.2], steps=12, p=p, cap=cap)
    np.testing.assert_allclose([[q["x"], q["y"]] for q in path], expected.theta, rtol=1e-11)
    np.testing.assert_allclose(rates, expected.rates, rtol=1e-11)


def test_the_loss_may_be_that_of_a_batch():
    def loss_fn(theta, batch):
        return jax.numpy.mean((batch @ theta - 1) ** 2)

    batch, start = jax.numpy.array([[1.0, 2.0], [0.5, -1.0]]), jax.numpy.array([0.3, 0.4])
    path, _ = followed(loss_fn, start, 3, 1, 5, batch=batch)
    loss = "((x + 2*y - 1)**2 + (x/2 - y - 1)**2)/2"
    expected = modeq.run_dal(loss, [0.3, 0.4], steps=3)
    np.testing.assert_allclose(path, expected.theta, rtol=1e-11)


def test_where_the_gradient_vanishes_the_rate_is_the_cap():
    path, rates = followed(lambda x: jax.numpy.sum(x**2), jax.numpy.zeros(2), 1, 1, 5)
    assert rates == [5.0]
    assert not np.any(path[1])


def test_it_is_one_link_of_a_chain():
    transform = optax.chain(optax.trace(0.0), dal_transform(lambda x: 2 * jax.numpy.sum(x**2)))
    params = jax.numpy.array([1.0])
    updates, _ = transform.update(4 * params, transform.init(params), params)
    np.testing.assert_allclose(updates, [-2.0])


def test_bad_powers_and_missing_parameters_are_refused():
    with pytest.raises(InvalidValue, match="p is 0"):
        dal_transform(lambda x: x, p=0)
    transform = dal_transform(lambda x: x**2)
    with pytest.raises(ValueError, match="params"):
        transform.update(1.0, transform.init(1.0))


@pytest.mark.parametrize("missing", ["jax", "optax"])
def test_without_jax_or_optax_it_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install modeq\[optax\]"):
        dal_transform(lambda x: x)
