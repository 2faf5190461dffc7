"""Modified fields of steps that nothing is known of."""

import math
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import sympy
import tanh_network

import modeq
from modeq import BlackboxField, blackbox_field
from modeq.errors import (
    FlowError,
    InvalidMethod,
    InvalidOrder,
    InvalidPoint,
    InvalidStep,
    RoundOffWarning,
)

MATRIX = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.25], [0.0, -0.25, 0.5]])
START = np.array([1.0, -0.5, 2.0])


def cosine_step(theta, h):
    """Gradient descent on Σ -cos, by whatever arithmetic the point brings."""
    return theta - h * np.sin(theta)


def slopes(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_on_a_linear_step_the_field_is_the_cut_logarithm_of_its_matrix(order):
    h = 0.25
    field = blackbox_field(lambda theta: theta - h * MATRIX @ theta, order, h=h)
    power, expected = np.eye(3), np.zeros((3, 3))
    for k in range(1, order + 2):
        power = power @ (h * MATRIX)
        expected -= power / k / h
    np.testing.assert_allclose(field(START), expected @ START, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", ["gradient-descent", "rk4", "implicit-midpoint"])
@pytest.mark.parametrize("order", [1, 2])
def test_the_field_misses_the_symbolic_one_by_the_next_power_of_h(method, order):
    loss, start = "x**4/4 + x*y + y**2", [0.8, -0.5]
    rhs = modeq.derive(loss, order, method).lambdify()
    errors = []
    for h in 2.0 ** -np.arange(7, 11):
        step = lambda theta, h=h: modeq.iterate(loss, theta, h=h, steps=1, method=method)[1]  # noqa: E731
        field = blackbox_field(step, order, h=h)
        errors.append(np.linalg.norm(field(np.array(start)) - rhs(start, h)))
    np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


def test_the_order_n_takes_n_plus_1_steps_and_one_for_noise_and_first_one_to_see_if_it_repeats():
    count = 0

    def step(theta):
        nonlocal count
        count += 1
        return 0.9 * theta

    field = blackbox_field(step, 4)
    field(START)
    assert count == 7
    field(START)
    assert count == 7 + 6
    BlackboxField(step, 4, check=False)(START)
    assert count == 7 + 6 + 5


def test_without_h_time_counts_steps():
    step = lambda theta: 0.9 * theta  # noqa: E731
    in_steps = blackbox_field(step, 3)(START)
    np.testing.assert_allclose(0.1 * blackbox_field(step, 3, h=0.1)(START), in_steps, rtol=1e-14)
    np.testing.assert_allclose(in_steps, math.log(0.9) * START, rtol=1e-3)


class Pair(NamedTuple):
    left: object
    right: object


@pytest.mark.parametrize("wrap", [list, tuple, lambda parts: Pair(*parts), lambda p: {"a": [*p]}])
def test_points_may_be_made_of_several_arrays(wrap):
    def leaves(point):
        return point["a"] if isinstance(point, dict) else list(point)

    def step(point):
        left, right = leaves(point)
        return wrap([left - 0.1 * np.sum(right), right - 0.1 * left**2])

    point = wrap([np.float64(0.5), np.array([1.0, 2.0])])
    found = blackbox_field(step, 2)(point)
    assert type(found) is type(point)

    def flat(theta):
        left, right = leaves(step(wrap([theta[0], theta[1:]])))
        return np.array([left, *right])

    expected = blackbox_field(flat, 2)(np.array([0.5, 1.0, 2.0]))
    left, right = leaves(found)
    np.testing.assert_allclose([left, *right], expected, rtol=1e-13)


def test_numbers_are_points_too():
    assert blackbox_field(lambda x: x / 2, 1)(1.0) == -0.5 - 0.125


def network_step_in_torch(torch, h):
    data = torch.tensor(tanh_network.DATA, dtype=torch.float64)

    def loss(theta):
        b, c, v, w = theta
        return ((v * torch.tanh(w * data[:, 0] + b) + c - data[:, 1]) ** 2).sum() / 2

    def step(theta):
        theta = theta.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(theta), theta)
        return theta.detach() - h * slope

    return step


def test_pytorch_and_jax_and_numpy_steps_of_one_network_have_one_field():
    h, order = 0.125, 3
    rhs = modeq.derive(modeq.Loss(tanh_network.TEXT, tanh_network.VARIABLES), 0).lambdify()
    by_numpy = blackbox_field(lambda x: x + h * rhs(x, h), order, h=h)(tanh_network.START)
    jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
    from modeq import networks

    slope = jax.jit(jax.grad(tanh_network.loss))
    with networks.double_precision():
        params = jax.tree.map(jax.numpy.asarray, tanh_network.PARAMS)
        step = lambda p: jax.tree.map(lambda a, g: a - h * g, p, slope(p))  # noqa: E731
        by_jax = tanh_network.vector(blackbox_field(step, order, h=h)(params))
    sums = networks.modified_field(tanh_network.loss, order, precision="float64")
    by_sum = tanh_network.vector(sums(tanh_network.PARAMS, h))
    np.testing.assert_allclose(by_jax, by_numpy, rtol=1e-12)
    np.testing.assert_allclose(by_sum, by_numpy, rtol=1e-12)
    torch = pytest.importorskip("torch", reason="torch is optional")
    step = network_step_in_torch(torch, h)
    by_torch = blackbox_field(step, order, h=h)(torch.tensor(tanh_network.START))
    assert isinstance(by_torch, torch.Tensor)
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, rtol=1e-12)


def test_a_field_of_a_jax_step_can_be_traced():
    jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
    field = blackbox_field(lambda x: x - 0.1 * jax.numpy.sin(x), 2, h=0.1)
    x = jax.numpy.ones(3)
    np.testing.assert_allclose(jax.jit(field)(x), field(x), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("h", [1 / 128, 1 / 8])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_estimate_of_round_off_is_within_a_factor_of_ten_of_the_measured_one(library, h, dtype):
    start = np.random.default_rng(0).normal(size=500).astype(dtype)
    sine, point = np.sin, start
    if library == "torch":
        torch = pytest.importorskip("torch", reason="torch is optional")
        sine, point = torch.sin, torch.tensor(start)
    step = lambda theta: theta - h * sine(theta)  # noqa: E731
    estimate = blackbox_field(step, 2, h=h).round_off(point, max_order=8).round_off
    exact_step = lambda theta: cosine_step(theta, np.longdouble(h))  # noqa: E731
    for order in range(9):
        found = np.asarray(BlackboxField(step, order, h=h, check=False)(point))
        exact = BlackboxField(exact_step, order, h=h, check=False)(start.astype(np.longdouble))
        assert 0.1 < estimate[order] / np.linalg.norm(found - exact) < 10


def test_the_best_order_has_the_smallest_error():
    h, start = 1 / 64, np.random.default_rng(0).normal(size=500).astype("float32")
    step = lambda theta: cosine_step(theta, np.float32(h))  # noqa: E731
    best = blackbox_field(step, 2, h=h).round_off(start).best_order
    exact = blackbox_field(lambda x: cosine_step(x, h), 6, h=h)(start.astype(float))
    errors = [
        np.linalg.norm(BlackboxField(step, n, h=h, check=False)(start) - exact) for n in range(9)
    ]
    assert errors[best] < 1.5 * min(errors)
    assert errors[8] > 3 * min(errors)


def test_an_order_at_which_rounding_wins_says_which_order_is_best():
    h, start = 1e-3, np.random.default_rng(0).normal(size=500).astype("float32")
    step = lambda theta: cosine_step(theta, np.float32(h))  # noqa: E731
    with pytest.warns(RoundOffWarning, match="order 6 is too high.*take order=[01]"):
        blackbox_field(step, 6, h=h)(start)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        blackbox_field(step, 6, h=h, check=False)(start)
        blackbox_field(step, 1, h=h)(start)
        blackbox_field(lambda x: cosine_step(x, 0.1), 6, h=0.1)(start.astype(float))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_that_are_coarser_than_the_point_are_complained_of(order):
    start = np.random.default_rng(0).normal(size=500)
    for h in (0.25, 2.0**-20):
        coarse = lambda x, h=h: x - h * np.sin(x.astype("float16")).astype(float)  # noqa: E731
        fine = lambda x: x - np.sin(x) / 4  # noqa: E731
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            blackbox_field(coarse, order, h=h)(start)
            blackbox_field(fine, order, h=0.25)(start)
        assert len(caught) == (h < 0.25)


def test_a_step_that_is_not_finite_is_named():
    step = lambda theta: np.where(theta > 2, np.nan, 2 * theta)  # noqa: E731
    with pytest.raises(FlowError, match="step 3 of the 4 that order 3 takes"):
        blackbox_field(step, 3)(np.array([0.7]))
    with pytest.raises(InvalidPoint, match="not finite"):
        blackbox_field(step, 3)(np.array([np.inf]))


def test_a_step_that_changes_its_argument_is_refused():
    def in_place(theta):
        theta -= 0.1 * theta
        return theta

    with pytest.raises(InvalidMethod, match="the point it was given"):
        blackbox_field(in_place, 1)(START.copy())
    with pytest.raises(InvalidMethod, match="None"):
        blackbox_field(lambda theta: None, 1)(START)


def test_bad_orders_and_learning_rates_are_refused():
    for order in (-1, 0.5, None):
        with pytest.raises(InvalidOrder):
            blackbox_field(np.sin, order)
    for h in (0, -1, np.nan):
        with pytest.raises(InvalidStep):
            blackbox_field(np.sin, 1, h=h)


def test_complex_points_are_points_too():
    field = blackbox_field(lambda z: z - 0.125j * z, order=1, h=0.125)
    np.testing.assert_allclose(field(np.array([2.0, 1j])), [-2j + 0.125, 1 + 0.0625j])
    assert field.round_off(np.array([2.0, 1j]), 3).best_order == 3


@pytest.mark.parametrize("point", [np.zeros(0), [], {"a": np.zeros((0, 2))}])
def test_a_point_without_entries_is_refused(point):
    with pytest.raises(InvalidPoint, match="no entries"):
        blackbox_field(lambda theta: theta, order=1)(point)


def test_a_step_that_changes_the_shape_is_refused():
    with pytest.raises(InvalidMethod, match="shapes"):
        blackbox_field(lambda theta: theta[:1] / 2, order=1)(np.array([1.0, 2.0]))


def test_exact_numbers_are_not_rounded():
    field = blackbox_field(lambda theta: theta / 2, order=1)
    assert field(sympy.Integer(1)) == -0.625
