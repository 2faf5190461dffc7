"""Counter terms of networks: against the symbolic engine, and nested derivatives by h."""

import math

import numpy as np
import pytest
import tanh_network

from modeq import networks
from modeq.errors import InvalidLoss, InvalidOrder, InvalidPoint

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
jnp = jax.numpy
lax = jax.lax

from modeq.networks import NetworkField  # noqa: E402
from modeq.networks.taylor import (  # noqa: E402
    OrbitSeries,
    continuation,
    forward_coefficient,
    operations,
    taylor_coefficient,
)

INPUTS = np.linspace(-1, 1, 12).reshape(4, 3)
LABELS = np.array([0, 2, 1, 2])


def by_nested_derivatives(loss, params, order, precision="float64"):
    """Return f, f₁, …, fₙ as the derivatives by h at h = 0 of the field from gradients.

    It needs no Taylor arithmetic, and no polynomials in the step number.
    """
    field = NetworkField(loss, order)

    @jax.jit
    def derivatives(params):
        path = lambda h: field.rhs(params, h)  # noqa: E731
        values = []
        for _ in range(order + 1):
            values.append(path(jnp.zeros((), precision)))
            path = lambda h, f=path: jax.jvp(f, (h,), (jnp.ones_like(h),))[1]  # noqa: E731
        return values

    with networks.double_precision():
        values = derivatives(jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), params))
        return [
            jax.tree.map(lambda x, k=k: np.asarray(x) / math.factorial(k), value)
            for k, value in enumerate(values)
        ]


def test_counter_terms_are_those_of_the_symbolic_engine():
    expected = tanh_network.symbolic_terms(4)
    found = networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 4, precision="float64")
    assert len(found) == 4
    for term, exact in zip(found, expected[1:], strict=True):
        np.testing.assert_allclose(tanh_network.vector(term), exact, rtol=1e-10, atol=1e-10)


def test_the_field_from_gradients_differs_from_them_by_the_next_power_of_h():
    order = 2
    params = tanh_network.PARAMS
    terms = networks.counter_terms(tanh_network.loss, params, order, precision="float64")
    plain = networks.modified_field(tanh_network.loss, 0, precision="float64")(params, 1.0)
    vectors = np.array([tanh_network.vector(term) for term in (plain, *terms)])
    field = networks.modified_field(tanh_network.loss, order, precision="float64")
    rates = 2.0 ** -np.arange(6, 10)
    errors = [
        np.linalg.norm(
            tanh_network.vector(field(params, h)) - (h ** np.arange(order + 1)) @ vectors
        )
        for h in rates
    ]
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(slopes, order + 1, atol=0.1)


def softmax_loss(params):
    return -jnp.mean(jax.nn.log_softmax(INPUTS @ params["w"])[jnp.arange(4), LABELS])


def normalized_loss(params):
    rows = params["w"] / jnp.sqrt(jnp.sum(params["w"] ** 2, axis=0))
    return jnp.mean(jax.nn.gelu(INPUTS @ rows, approximate=False) ** 2)


def relu_loss(params):
    return jnp.mean(jax.nn.relu(INPUTS @ params["w"] + 0.1) ** 3) + jnp.sum(params["w"] ** 4)


def recurrent_loss(params):
    def cell(state, row):
        return jnp.tanh(params["w"] @ state + row), jax.nn.softplus(state[0])

    _, outputs = lax.scan(cell, jnp.ones(3), jnp.asarray(INPUTS))
    return jnp.sum(outputs**2)


def convolution_loss(params):
    image = jnp.sin(jnp.arange(36.0)).reshape(1, 1, 6, 6).astype(params["w"].dtype)
    found = lax.conv_general_dilated(image, params["w"][None, None], (1, 1), "VALID")
    pooled = lax.reduce_window(found, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return jnp.mean(jax.nn.sigmoid(pooled) ** 2)


def embedding_loss(params):
    rows = params["w"][LABELS]
    return jnp.sum(jnp.exp(rows) / (1 + rows**2)) + jnp.max(jnp.cumsum(rows[0]) ** 2)


def special_loss(params):
    w = params["w"] ** 2 + 1
    return jnp.sum(jnp.cbrt(w) + jnp.log1p(w) * jnp.arctan2(w, 2.0) + w**1.5)


LOSSES = [
    *(softmax_loss, normalized_loss, relu_loss, recurrent_loss, convolution_loss),
    *(embedding_loss, special_loss),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_counter_terms_of_all_kinds_of_layers_are_nested_derivatives(loss):
    params = {"w": np.random.default_rng(3).normal(size=(3, 3)) / 2}
    order = 3 if loss is softmax_loss else 2
    expected = by_nested_derivatives(loss, params, order)
    found = networks.counter_terms(loss, params, order, precision="float64")
    for term, exact in zip(found, expected[1:], strict=True):
        size = np.max(np.abs(exact["w"]))
        np.testing.assert_allclose(term["w"], exact["w"], rtol=0, atol=1e-10 * size)


def test_terms_come_in_the_structure_and_precision_of_the_weights():
    found = networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 2)
    assert [jax.tree.structure(term) for term in found] == 2 * [
        jax.tree.structure(tanh_network.PARAMS)
    ]
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(found))
    double = networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 2, precision="float64")
    for left, right in zip(found, double, strict=True):
        np.testing.assert_allclose(tanh_network.vector(left), tanh_network.vector(right), rtol=1e-4)


def test_order_zero_has_no_counter_terms():
    assert networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 0) == ()


def test_a_batch_may_be_an_argument():
    data = np.array(tanh_network.DATA)
    given = networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 2, data)
    inside = networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, 2)
    for left, right in zip(given, inside, strict=True):
        np.testing.assert_allclose(tanh_network.vector(left), tanh_network.vector(right), rtol=1e-5)


def test_counter_terms_can_be_traced():
    loss = lambda w: jnp.sum(w**4) / 4  # noqa: E731
    found = jax.jit(lambda w: networks.counter_terms(loss, w, 2))(jnp.ones(1))
    assert [term.tolist() for term in found] == [[-1.5], [-3.5]]


def test_a_loss_that_does_not_depend_on_a_leaf_has_no_terms_there():
    loss = lambda p: jnp.sum(p["x"] ** 2) / 2  # noqa: E731
    params = {"x": np.ones(1, "f"), "unused": np.ones(2, "f")}
    first, second = networks.counter_terms(loss, params, 2)
    assert first["unused"].tolist() == second["unused"].tolist() == [0, 0]
    np.testing.assert_allclose([first["x"][0], second["x"][0]], [-1 / 2, -1 / 3], rtol=1e-6)


def test_where_the_loss_is_not_smooth_the_term_is_named():
    # The gradient of x^(3/2) is 0 at 0, but the second derivative is not finite there.
    with pytest.raises(InvalidPoint, match=r"counter term of h\*\*1 is not finite"):
        networks.counter_terms(lambda w: jnp.sum(w["x"] ** 1.5), {"x": np.zeros(1, "f")}, 1)
    with pytest.raises(InvalidPoint, match=r"gradient \(step 0\) is not finite.*\['x'\]"):
        networks.counter_terms(lambda w: jnp.sum(w["x"] ** 2), {"x": np.full(1, np.nan, "f")}, 1)


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidOrder, match="order"):
        networks.counter_terms(tanh_network.loss, tanh_network.PARAMS, -1)
    with pytest.raises(InvalidPoint, match="must hold floats"):
        networks.counter_terms(tanh_network.loss, {"w": np.arange(2)}, 1)
    with pytest.raises(InvalidLoss, match="one floating-point number"):
        networks.counter_terms(lambda w: w, np.ones(2, "f"), 1)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("function", [jnp.tanh, jnp.exp, jnp.sin, lax.logistic, lambda x: x**3])
def test_jet_and_forward_mode_agree(function, k):
    with networks.double_precision():
        starts = [jnp.array([0.3, -0.7])]
        terms = [[jnp.array([0.5, 1.0]) / j for j in range(1, k + 1)]]
        listed = lambda x: [function(x)]  # noqa: E731
        [left] = taylor_coefficient(listed, starts, terms)
        [right] = forward_coefficient(listed, starts, terms)
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def test_an_operation_without_any_derivative_says_its_name():
    @jax.custom_vjp
    def odd(x):
        return x

    odd.defvjp(lambda x: (x, x), lambda x, g: (jax.pure_callback(np.sin, x, x) * g,))
    with pytest.raises(InvalidLoss, match="pure_callback"):
        networks.counter_terms(lambda w: jnp.sum(odd(w) ** 2), np.ones(2, "f"), 1)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_polynomial_is_continued_from_its_first_values(k):
    polynomial = lambda m: sum((j + 2) * m**j for j in range(1, k + 1))  # noqa: E731
    for m in (k + 1, k + 3):
        weights = continuation(k, m)
        assert sum(w * polynomial(t) for t, w in enumerate(weights, 1)) == polynomial(m)


def test_what_vanishes_is_not_computed():
    series = OrbitSeries(1.0)
    series.append([None])
    assert series.is_constant
    assert series.at(1, 5) is None
    program = jax.make_jaxpr(jax.grad(lambda w: jnp.sum(jnp.tanh(INPUTS @ w))))(jnp.ones((3, 3)))
    assert len(operations(program)[0]) == len(program.jaxpr.eqns)
