"""Sharpest directions of networks against dense Hessians, and what is said of them."""

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from network_cases import DOUBLE, quadratic, tanh_network

import modeq
from modeq.errors import InvalidLoss, InvalidPoint, InvalidStep, InvalidValue
from modeq.networks import dal, double_precision, hessian_eigenpairs, network_stability, step_drift
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.spectrum import stability_coefficients


def dense(loss, params):
    """Return the vector of weights, the gradient and the Hessian, by JAX alone."""
    with double_precision():
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
        flat, unravel = ravel_pytree(params)
        gradient = jax.jit(jax.grad(lambda v: loss(unravel(v))))(flat)
        hessian = jax.jit(jax.hessian(lambda v: loss(unravel(v))))(flat)
        return np.asarray(flat), np.asarray(gradient), np.asarray(hessian)


@pytest.mark.parametrize("hidden", [4, 20])
def test_eigenpairs_are_those_of_the_dense_hessian(hidden):
    loss, params, _ = tanh_network(hidden=hidden)
    _, _, hessian = dense(loss, params)
    expected = np.linalg.eigvalsh(hessian)[::-1][:4]
    values, vectors = hessian_eigenpairs(loss, params, 4, precision=DOUBLE)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    np.testing.assert_allclose(hessian @ vectors, vectors * values, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-10)


def test_products_with_the_hessian_are_columns_of_it():
    loss, params, _ = tanh_network()
    start, gradient, hessian = dense(loss, params)
    flat = FlatLoss(loss, params, precision=DOUBLE)
    np.testing.assert_array_equal(flat.start, start)
    np.testing.assert_allclose(flat.gradient(start), gradient, atol=1e-14)
    np.testing.assert_allclose(flat.product(start, np.eye(len(start))[3]), hessian[3], atol=1e-14)
    moved = flat.unravel(start)
    assert all(np.array_equal(moved[name], params[name]) for name in params)


def test_stability_coefficients_are_those_of_small_problems():
    eigenvalues = [3.0, 1.4, 0.2, -0.5]
    loss, params, matrix = quadratic(eigenvalues)
    h = 0.9
    names = "abcd"
    text = " + ".join(
        f"({float(matrix[i, j] / 2)!r})*{names[i]}*{names[j]}" for i in range(4) for j in range(4)
    )
    start = np.concatenate([params["a"], params["b"]])
    expected = modeq.stability_report(text, start, h=h)
    found = network_stability(loss, params, h=h, count=4, precision=DOUBLE)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-7)
    assert found.regimes == expected.regimes
    assert found.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-9)


def test_stability_coefficients_add_up_to_the_change_of_the_loss_along_the_principal_flow():
    loss, params, matrix = quadratic([1.5, 0.7, 0.2])
    h = 0.4
    found = network_stability(loss, params, h=h, count=3, precision=DOUBLE)
    x = np.concatenate([params["a"], params["b"]])
    values, vectors = np.linalg.eigh(matrix)
    field = vectors @ (np.log1p(-h * values) / (h * values) * (vectors.T @ (matrix @ x)))
    assert found.coefficients.sum() == pytest.approx((matrix @ x) @ field, rel=1e-12)


def test_what_lies_outside_the_directions_is_reported():
    loss, params, _ = tanh_network()
    _, gradient, hessian = dense(loss, params)
    found = network_stability(loss, params, h=0.1, count=3, precision=DOUBLE)
    vectors = np.linalg.eigh(hessian)[1][:, ::-1][:, :3]
    outside = gradient - vectors @ (vectors.T @ gradient)
    assert found.rest == pytest.approx(np.linalg.norm(outside), rel=1e-8)
    assert found.predicted_drift == pytest.approx(0.005 * np.linalg.norm(hessian @ gradient))
    assert found.sharpness == found.eigenvalues[0]
    assert len(str(found).splitlines()) == 5


def test_a_direction_without_gradient_has_the_coefficient_zero_even_at_h_lambda_one():
    assert stability_coefficients([1.0, 2.0], [0.0, 0.0], 1.0).tolist() == [0.0, 0.0]
    assert stability_coefficients([1.0], [0.1], 1.0).tolist() == [-np.inf]


def test_the_adjusted_rate_is_that_of_small_problems():
    text, start = "(1 - x)**2 + 5*(y - x**2)**2", [0.3, 0.7]

    def loss(p):
        return (1 - p[0]) ** 2 + 5 * (p[1] - p[0] ** 2) ** 2

    for p, cap in ((1, 5), (0.5, 5), (1, 0.01)):
        expected = modeq.dal(text, start, p=p, cap=cap)
        assert dal(loss, start, p, cap, precision=DOUBLE) == pytest.approx(expected, rel=1e-12)


def test_the_measured_drift_tends_to_the_predicted_one():
    loss, params, _ = tanh_network()
    misses = []
    for h in (0.02, 0.01, 0.005):
        found = step_drift(loss, params, h=h, precision=DOUBLE)
        misses.append(abs(found.measured / found.predicted - 1))
    slopes = np.log2(np.array(misses[:-1]) / misses[1:])
    np.testing.assert_allclose(slopes, 1, atol=0.1)


def test_single_precision_works_and_is_near():
    loss, params, _ = tanh_network()
    single = network_stability(loss, params, h=0.1, count=2, precision="float32")
    loss, params, _ = tanh_network()  # other arrays of data: JAX mixes up precisions of the same
    double = network_stability(loss, params, h=0.1, count=2, precision=DOUBLE)
    np.testing.assert_allclose(single.eigenvalues, double.eigenvalues, rtol=1e-4)
    np.testing.assert_allclose(single.coefficients, double.coefficients, rtol=1e-3)


@pytest.mark.parametrize(
    ("loss", "params", "error", "words"),
    [
        (lambda p: p["w"], {"w": np.ones(2)}, InvalidLoss, r"\(2,\)"),
        (lambda p: jnp.sum(p["w"] > 0), {"w": np.ones(2)}, InvalidLoss, "int"),
        (lambda p: 1.0 * p["n"].sum(), {"n": np.arange(3)}, InvalidPoint, r"\['n'\].*int64"),
        (lambda p: 0.0, {}, InvalidPoint, "one leaf"),
        (lambda p: p["w"].sum(), {"w": np.array([1, np.nan])}, InvalidPoint, "not finite"),
    ],
)
def test_what_is_no_loss_or_no_weights_is_refused(loss, params, error, words):
    with pytest.raises(error, match=words):
        network_stability(loss, params, h=0.1, count=1)


def test_numbers_that_cannot_be_right_are_refused():
    loss, params, _ = quadratic([1.0, 2.0])
    with pytest.raises(InvalidStep):
        network_stability(loss, params, h=-1)
    with pytest.raises(InvalidValue, match="3 eigenpairs"):
        network_stability(loss, params, h=0.1, count=3)
    with pytest.raises(InvalidValue, match="p is 0"):
        dal(loss, params, p=0)
    with pytest.raises(InvalidValue, match="precision"):
        dal(loss, params, precision="half")
