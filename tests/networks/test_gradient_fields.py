"""Gradients as fields: what is stopped, replaced or counted in a loss, and numbers that change."""

import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeq import networks
from modeq.errors import InvalidLoss, InvalidMethod, InvalidPoint
from modeq.networks import blackbox_field

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
jnp = jax.numpy

from modeq.networks import flat_loss, jets  # noqa: E402
from modeq.networks.gradients import gradient  # noqa: E402

stop = jax.lax.stop_gradient
STEP = 2.0**-12


@jax.custom_jvp
def straight_through(x):
    return x**3


straight_through.defjvp(lambda x, t: (straight_through(x[0]), t[0]))


@jax.custom_vjp
def clipped_slope(x):
    return jnp.sin(x)


clipped_slope.defvjp(lambda x: (jnp.sin(x), x), lambda x, t: (jnp.tanh(x) * t,))

PIECES = [
    stop,
    straight_through,
    clipped_slope,
    jnp.sin,
    lambda x: x * stop(x),
    lambda x: x - stop(x) + 1,
    lambda x: stop(jnp.cos(x)) * jnp.exp(x / 4),
    lambda x: jax.lax.scan(lambda c, i: (jnp.sin(c) + stop(c) * i, straight_through(c)), x, W)[0],
    lambda x: jax.lax.cond(x > 0, lambda y: y * stop(y), lambda y: stop(y) ** 2 + y, x),
    jax.jit(lambda x: x**2 * stop(x)),
]
W = np.arange(1.0, 3.0) / 4


def first_terms(loss, x):
    """Return f₁ = ½ g'g and f₂ = -⅓ g'²g - 1/12 g''g² of a field -g by differences of ``jax.grad``.

    Central differences of h and 2h are combined, so that h⁴ is left.
    """
    slope = jax.jit(jax.grad(loss))
    left2, left, middle, right, right2 = (float(slope(x + k * STEP)) for k in (-2, -1, 0, 1, 2))
    first = (8 * (right - left) - (right2 - left2)) / (12 * STEP)
    second = (16 * (right + left) - (right2 + left2) - 30 * middle) / (12 * STEP**2)
    return -first * middle / 2, -(first**2) * middle / 3 - second * middle**2 / 12


@settings(max_examples=4, deadline=None)
@given(st.lists(st.sampled_from(range(len(PIECES))), min_size=2, max_size=4), st.floats(0.3, 1.2))
def test_counter_terms_are_those_of_the_field_that_jax_grad_gives(chosen, x):
    def loss(x):
        return sum((i + 1) * x * PIECES[k](x) for i, k in enumerate(chosen)) + PIECES[chosen[0]](
            jnp.sin(x) * PIECES[chosen[1]](x) / 4
        )

    with networks.double_precision():
        expected = first_terms(loss, x)
        found = networks.counter_terms(loss, jnp.array(x), 2)
    size = 1 + abs(float(expected[0])) + abs(float(expected[1]))
    np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=1e-5 * size)


def test_a_detached_target_has_the_terms_of_its_gradient():
    found = networks.counter_terms(lambda x: x * stop(x) * 1.0, jnp.array(2.0), 3)
    np.testing.assert_allclose([float(term) for term in found], [-1.0, -2 / 3, -0.5], rtol=1e-6)


def test_products_are_those_of_the_jacobian_of_the_gradient():
    loss = flat_loss.FlatLoss(lambda x: jnp.sum(x * stop(x[::-1] ** 2)), np.array([1.0, 2.0]))
    np.testing.assert_allclose(loss.hessian(np.array([1.0, 2.0])), [[0, 4], [2, 0]])
    np.testing.assert_allclose(loss.product(np.ones(2), np.array([1.0, 0.0])), [0, 2])


def test_eigenpairs_of_what_is_not_symmetric_are_refused():
    with pytest.raises(InvalidLoss, match="not symmetric"):
        networks.hessian_eigenpairs(lambda x: x[0] * stop(x[1] ** 2), np.array([1.0, 2.0]))


def test_rules_of_jax_itself_are_kept():
    second = jax.grad(gradient(lambda x: jnp.sinc(x)))(0.0)
    np.testing.assert_allclose(second, -(np.pi**2) / 3, rtol=1e-6)


COUNTED = [
    lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * jnp.sin(x + i), x),
    lambda x: jax.lax.scan(lambda c, i: (c * jnp.cos(x + i), i), x, jnp.arange(3))[0],
    lambda x: jnp.log(jnp.abs(jnp.linalg.det(jnp.array([[x, 1.0], [x**2, 5.0]])))),
    lambda x: jnp.sum(jnp.sort(jnp.array([x**3, jnp.sin(x)])) * jnp.arange(1, 3)),
    lambda x: jax.lax.top_k(jnp.array([x**3, jnp.sin(x)]), 1)[0][0],
    pytest.param(
        lambda x: jnp.sum(jax.scipy.linalg.expm(jnp.array([[x, 1.0], [x**2, 0.0]]))),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize("loss", COUNTED)
def test_operations_that_count_have_derivatives_where_there_are_any(loss):
    with networks.double_precision():
        expected = first_terms(loss, 0.7)
        found = networks.counter_terms(loss, jnp.array(0.7), 2)
    np.testing.assert_allclose(np.array(found), expected, rtol=1e-5)


def test_numbers_that_a_loss_reads_may_change_and_nothing_compiles_anew():
    batch = {"w": jnp.ones(3)}

    def loss(x):
        return jnp.sum(batch["w"]) * x**2

    x, scales = jnp.array(1.0), [1.0, 2.0, 5.0]
    before = jets._compiled_terms.cache_info().misses, flat_loss._compiled.cache_info().misses
    for scale in scales:
        batch["w"] = scale * jnp.ones(3)
        curvature = 6 * scale
        assert float(networks.counter_terms(loss, x, 1)[0]) == -(curvature**2) / 2
        assert networks.hessian_eigenpairs(loss, x)[0][0] == curvature
        assert networks.hessian_eigenpairs(lambda x, w: jnp.sum(w) * x**2, x, args=(batch["w"],))
        assert np.isclose(networks.dal(loss, x), 2 / curvature)
    after = jets._compiled_terms.cache_info().misses, flat_loss._compiled.cache_info().misses
    assert after[0] - before[0] == 1
    assert after[1] - before[1] <= 6  # hessian, gradient and product, of two programs


def test_no_batch_is_kept():
    def kept():
        gc.collect()
        return sum(array.nbytes for array in jax.live_arrays())

    def call():
        batch = jnp.ones(100_000)
        networks.counter_terms(lambda x: jnp.mean(batch) * x**2, jnp.array(1.0), 1)
        networks.hessian_eigenpairs(lambda x: jnp.mean(batch) * x**2, jnp.array(1.0))

    call()
    before = kept()
    for _ in range(10):
        call()
    assert kept() - before < 400_000


def test_views_of_arrays_that_a_step_changes_are_copied():
    live = np.zeros(2)

    def step(theta):
        live[:] = theta
        live[:] -= 0.1 * live
        return live[:]

    expected = blackbox_field(lambda theta: theta - 0.1 * theta, 3, h=0.1)(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(blackbox_field(step, 3, h=0.1)(np.array([1.0, 2.0])), expected)


def test_a_step_with_a_state_of_its_own_is_refused():
    memory = np.zeros(2)

    def step(theta):
        memory[:] = 0.9 * memory - 0.1 * theta
        return theta + memory

    with pytest.raises(InvalidMethod, match="same point"):
        blackbox_field(step, 1, h=0.1)(np.ones(2))


def test_a_dictionary_may_come_back_in_another_order():
    step = jax.jit(lambda p: {"b": p["b"] * 0.9, "a": p["a"] * 0.9})
    found = blackbox_field(step, 0, h=0.1)({"b": jnp.ones(2), "a": jnp.ones((3, 1))})
    np.testing.assert_allclose(found["a"], -np.ones((3, 1)), rtol=1e-5)


def test_rules_of_jax_are_kept_where_what_is_written_out_has_no_value():
    def maclaurin(x):
        return sum((-1) ** k * (np.pi * x) ** (2 * k) / math.factorial(2 * k + 1) for k in range(5))

    with networks.double_precision():
        found, expected = (
            networks.counter_terms(lambda x, f=f: f(x) + (x - 0.7) ** 2, jnp.array(0.0), 3)
            for f in (jnp.sinc, maclaurin)
        )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


HELD = jnp.ones(3, "float32")


@pytest.mark.parametrize(
    "loss",
    [
        lambda p: jax.lax.mul(p, HELD).sum(),
        lambda p: jax.lax.scan(lambda c, x: (c * x, c), HELD[0], p)[0],
        jax.jit(lambda p, held={"a": HELD}: jax.lax.mul(p, HELD).sum()),
    ],
)
@pytest.mark.parametrize(
    "follow",
    [
        lambda loss, p: networks.modified_field(loss, 1, precision="float64")(p, 0.1),
        lambda loss, p: networks.counter_terms(loss, p, 1, precision="float64"),
        lambda loss, p: networks.hessian_eigenpairs(loss, p, precision="float64"),
        lambda loss, p: networks.solve_flow(loss, p, 1, h=0.1, steps=1, precision="float64"),
    ],
)
def test_arrays_of_a_loss_that_cannot_be_followed_in_another_precision_are_named(loss, follow):
    with pytest.raises(InvalidLoss, match=r"holds HELD of shape \(3,\) and type float32"):
        follow(loss, np.ones(3, "float32"))


@pytest.mark.parametrize("transform", [jax.jit, lambda f: lambda p: jax.vmap(f)(p[None])])
def test_what_runs_outside_of_jax_says_so_where_numbers_are_not_known(transform):
    loss = lambda p: jnp.sum(jnp.cos(p))  # noqa: E731
    for function in (
        lambda p: networks.hessian_eigenpairs(loss, p)[0],
        lambda p: networks.dal(loss, p),
        lambda p: networks.network_stability(loss, p, h=0.1).coefficients,
        lambda p: networks.solve_flow(loss, p, 1, h=0.1, steps=1).theta,
        lambda p: networks.modified_field(loss, 1).round_off(p, 0.1).round_off,
    ):
        with pytest.raises(InvalidPoint, match="outside of them"):
            transform(function)(jnp.ones(3))
