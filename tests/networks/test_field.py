"""Modified fields of networks from gradients: against the symbolic engine, and gradient descent."""

import subprocess
import sys
import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import tanh_network
from scipy.integrate import solve_ivp

import modeq
from modeq import networks
from modeq.algebra.logarithm import increment_weights
from modeq.errors import (
    FlowError,
    InvalidLoss,
    InvalidOrder,
    InvalidPoint,
    InvalidStep,
    InvalidValue,
    RoundOffWarning,
)

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
jnp = jax.numpy

ORDERS = range(5)


def mlp(widths, dtype="float32", seed=0):
    random = np.random.default_rng(seed)
    return [
        {"w": (random.normal(size=(a, b)) / np.sqrt(a)).astype(dtype), "b": np.zeros(b, dtype)}
        for a, b in pairwise(widths)
    ]


def batch(count, inputs, outputs, dtype="float32", seed=1):
    random = np.random.default_rng(seed)
    shapes = (count, inputs), (count, outputs)
    return tuple(random.normal(size=shape).astype(dtype) for shape in shapes)


def square_loss(params, inputs, targets):
    for layer in params[:-1]:
        inputs = jnp.tanh(inputs @ layer["w"] + layer["b"])
    return jnp.mean((inputs @ params[-1]["w"] + params[-1]["b"] - targets) ** 2)


def norm(tree):
    leaves = jax.tree.leaves(tree)
    return np.sqrt(sum(np.sum(np.asarray(leaf, float) ** 2) for leaf in leaves))


def difference(left, right):
    return jax.tree.map(lambda a, b: np.asarray(a, float) - np.asarray(b, float), left, right)


@cache
def tanh_field(order):
    return networks.modified_field(tanh_network.loss, order, precision="float64")


def slopes(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@pytest.mark.parametrize("order", ORDERS)
def test_the_field_is_the_weighted_sum_of_gradients_of_the_symbolic_engine(order):
    gradient = modeq.derive(modeq.Loss(tanh_network.TEXT, tanh_network.VARIABLES), 0).lambdify()
    theta, expected, h = tanh_network.START, 0.0, 0.125
    for weight in increment_weights(order):
        slope = gradient(theta, h)
        expected = expected + float(weight) * slope
        theta = theta + h * slope
    field = tanh_field(order)
    found = tanh_network.vector(field(tanh_network.PARAMS, h))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_field_misses_the_symbolic_one_by_the_next_power_of_h(order):
    field = tanh_field(order)
    terms = tanh_network.symbolic_terms(order)
    errors = []
    for h in 2.0 ** -np.arange(5, 9):
        exact = (h ** np.arange(order + 1)) @ terms
        errors.append(np.linalg.norm(tanh_network.vector(field(tanh_network.PARAMS, h)) - exact))
    if order == 0:
        assert max(errors) < 1e-14
    else:
        np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_flow_follows_gradient_descent_with_the_right_slopes(order):
    field = tanh_field(order)
    plain = tanh_field(0)

    def vector_field(rule, h):
        return lambda theta: tanh_network.vector(rule(tanh_network.tree(theta), h))

    local, far = [], []
    for halving in range(4):
        h, steps = 2.0 ** -(7 + halving), 2 * 2**halving
        rhs, slope = vector_field(field, h), vector_field(plain, h)
        theta = [tanh_network.START]
        for _ in range(steps):
            theta.append(theta[-1] + h * slope(theta[-1]))
        times = (h, steps * h)
        flow = solve_ivp(
            lambda t, y, f=rhs: f(y),
            (0, times[1]),
            theta[0],
            "DOP853",
            times,
            rtol=1e-13,
            atol=1e-15,
        ).y.T
        local.append(np.linalg.norm(flow[0] - theta[1]))
        far.append(np.linalg.norm(flow[-1] - theta[-1]))
    np.testing.assert_allclose(slopes(local), order + 2, atol=0.1)
    np.testing.assert_allclose(slopes(far), order + 1, atol=0.1)


def test_the_field_keeps_the_structure_and_the_precision_of_the_weights():
    params, data = mlp((3, 4, 2)), batch(5, 3, 2)
    field = networks.modified_field(square_loss, 2)
    found = field(params, 0.1, *data)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(found))
    double = networks.modified_field(square_loss, 2, precision="float64")(params, 0.1, *data)
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(double))
    assert norm(difference(found, double)) < 1e-5 * norm(double)
    assert not jax.config.jax_enable_x64


def test_a_batch_may_be_an_argument_or_inside_of_the_loss():
    params, data = mlp((3, 4, 2)), batch(5, 3, 2)
    given = networks.modified_field(square_loss, 3)(params, 0.1, *data)
    closed = networks.modified_field(lambda p: square_loss(p, *data), 3)(params, 0.1)
    assert norm(difference(given, closed)) < 1e-6 * norm(given)


def test_the_field_can_be_traced():
    params, data = mlp((3, 4, 2)), batch(5, 3, 2)
    field = networks.modified_field(square_loss, 2)
    expected = field(params, 0.1, *data)
    traced = jax.jit(lambda p, h: field(p, h, *data))(params, 0.1)
    jitted = jax.jit(field.rhs)(params, jnp.float32(0.1), *data)
    for found in (traced, jitted):
        assert norm(difference(found, expected)) < 1e-6 * norm(expected)


def test_the_weights_that_are_given_are_not_changed():
    params, data = mlp((3, 4, 2)), batch(5, 3, 2)
    copies = jax.tree.map(np.copy, params)
    networks.modified_field(square_loss, 4)(params, 0.5, *data)
    assert norm(difference(params, copies)) == 0


def test_memory_is_four_vectors_of_weights_whatever_the_order():
    params, data = mlp((64, 256, 256, 10)), batch(8, 64, 10)
    size = 4 * sum(leaf.size for leaf in jax.tree.leaves(params))

    def memory(function, *given):
        return jax.jit(function).lower(*given).compile().memory_analysis()

    scratch = memory(jax.grad(square_loss), params, *data).temp_size_in_bytes
    taken = []
    for order in (1, 8):
        used = memory(networks.modified_field(square_loss, order).rhs, params, 0.1, *data)
        # The weights that are given, what comes out, and what is held on the way: the iterate and
        # the gradient, and what a gradient call needs for itself.
        held = used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes
        taken.append((held - sum(part.nbytes for part in data) - scratch) / size)
    assert taken[0] == taken[1] < 4.01


@cache
def square_field(order, precision=None):
    return networks.modified_field(square_loss, order, precision=precision)


def error(order, h, exact_order):
    """Return the error of the field in single precision against one of some order in double."""
    params, data = mlp((20, 30, 5)), batch(64, 20, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundOffWarning)
        exact = square_field(exact_order, "float64")(params, h, *data)
        return norm(difference(square_field(order)(params, h, *data), exact))


@pytest.mark.parametrize("order", [0, 2, 8])
@pytest.mark.parametrize("h", [0.01, 0.2])
def test_the_estimate_of_round_off_is_within_a_factor_of_ten_of_the_measured_one(h, order):
    params, data = mlp((20, 30, 5)), batch(64, 20, 5)
    estimate = square_field(2).round_off(params, h, *data, max_order=8)
    assert 0.1 < estimate.round_off[order] / error(order, h, order) < 10


def test_the_best_order_is_better_than_those_before_and_those_far_beyond():
    params, data, h = mlp((20, 30, 5)), batch(64, 20, 5), 0.05
    best = square_field(2).round_off(params, h, *data, max_order=8).best_order
    errors = {order: error(order, h, 8) for order in (0, best - 2, best, 8)}
    assert best in (3, 4)
    assert errors[best] == min(errors.values())


def test_an_order_at_which_rounding_wins_says_which_order_is_best():
    params, data = mlp((20, 30, 5)), batch(64, 20, 5)
    with pytest.warns(RoundOffWarning, match=r"order 8 is too high.*take order=[12]"):
        square_field(8)(params, 0.001, *data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        square_field(2)(params, 0.01, *data)
        square_field(8, "float64")(params, 0.05, *data)
        networks.modified_field(square_loss, 8, check=False)(params, 0.001, *data)


def products_in(kind):
    """Return a loss whose products are rounded to a type, and its weights."""

    def product(a, b):
        return (a.astype(kind or a.dtype) @ b.astype(kind or a.dtype)).astype(a.dtype)

    params, (x, y) = mlp((20, 30, 5)), batch(64, 20, 5)
    matrices = [params[0]["w"], params[1]["w"]]

    def loss(p):
        hidden = jnp.tanh(product(jnp.asarray(x, p[0].dtype), p[0]))
        return jnp.mean((product(hidden, p[1]) - y) ** 2)

    return loss, matrices


@pytest.mark.parametrize(("kind", "order"), [(None, 2), ("float16", 3), ("bfloat16", 1)])
def test_an_order_is_complained_of_where_the_error_of_its_last_term_is_as_large_as_the_term(
    kind, order
):
    (loss, weights), (exact, _) = products_in(kind), products_in(None)
    orders, complaints = (order, order - 1), []
    fields = [networks.modified_field(loss, n, check=n == order) for n in orders]
    exact = [networks.modified_field(exact, n, precision="float64", check=False) for n in orders]
    for h in (1.0, 0.1, 1e-2, 1e-3, 1e-5):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            last = difference(*(field(weights, h) for field in fields))
        truth = difference(*(field(weights, h) for field in exact))
        error = norm(difference(last, truth))
        if error > 0.95 * norm(last):
            assert [c.category for c in caught] == [RoundOffWarning], h
        elif error < 0.5 * norm(last):
            assert not caught, h
        complaints.append(len(caught))
    assert complaints[0] == 0
    assert complaints[-1] == 1


def test_the_estimate_of_round_off_sees_products_that_are_coarser_than_the_weights():
    (loss, weights), (exact, _) = products_in("bfloat16"), products_in(None)
    found = networks.modified_field(loss, 0).round_off(weights, 0.1, max_order=8)
    for order in (0, 6):
        rounded = networks.modified_field(loss, order, check=False)(weights, 0.1)
        true = networks.modified_field(exact, order, precision="float64")(weights, 0.1)
        assert 0.1 < found.round_off[order] / norm(difference(rounded, true)) < 10


def test_slopes_that_never_change_and_steps_past_convergence_are_no_noise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        networks.modified_field(lambda w: jnp.sum(w * np.float32(0.1)), 3)(np.ones(9, "f"), 1e-3)
        networks.modified_field(lambda w: jnp.sum(w**2), 2)(np.zeros(9, "f"), 0.1)
        # hλ = 1.9: the differences grow, but not by rounding.
        networks.modified_field(lambda w: jnp.sum(jnp.cos(w)), 3)(np.ones(9, "f"), 3.5)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_of_half_precision_are_taken_in_single_precision(kind):
    loss = lambda p: jnp.sum(jnp.cosh(p["w"]))  # noqa: E731
    half = {"w": jnp.linspace(0.5, 1, 8).astype(kind)}
    single = {"w": half["w"].astype("float32")}
    for function in (
        lambda p: networks.modified_field(loss, 2)(p, 0.1),
        lambda p: jax.jit(networks.modified_field(loss, 2).rhs)(p, 0.1),
        lambda p: networks.counter_terms(loss, p, 2),
        lambda p: networks.hessian_eigenpairs(loss, p)[0],
        lambda p: networks.solve_flow(loss, p, 1, h=0.1, steps=1).theta,
    ):
        jax.tree.map(np.testing.assert_array_equal, function(half), function(single))


def test_a_loss_that_is_not_one_number_is_refused():
    params, data = mlp((3, 4, 2)), batch(5, 3, 2)
    for wrong in (
        lambda p, x, y: (x @ p[0]["w"]) ** 2,
        lambda p, x, y: jnp.argmax(p[0]["w"]),
        lambda p, x, y: {"loss": 1.0},
    ):
        with pytest.raises(InvalidLoss, match="one floating-point number"):
            networks.modified_field(wrong, 1)(params, 0.1, *data)


def test_leaves_that_hold_no_floats_are_refused_by_name():
    loss = lambda p: jnp.sum(p["w"] ** 2)  # noqa: E731
    for leaf, kind in ((np.arange(3), "int"), (np.ones(2, complex), "complex"), ("a", "str")):
        with pytest.raises(InvalidPoint, match=rf"leaf \['steps'\].*{kind}"):
            networks.modified_field(loss, 1)({"w": np.ones(2, "f"), "steps": leaf}, 0.1)
    with pytest.raises(InvalidPoint, match="at least one leaf"):
        networks.modified_field(loss, 1)({}, 0.1)


def test_a_gradient_that_is_not_finite_names_the_step_and_the_leaf():
    loss = lambda p: jnp.sum(p["w"] ** 2) - jnp.sum(jnp.log(p["x"]))  # noqa: E731
    field = networks.modified_field(loss, 3)
    start = {"w": np.ones(2, "f"), "x": np.ones(1, "f")}
    field(start, 0.1)
    with pytest.raises(InvalidPoint, match=r"leaf \['w'\].*weights themselves \(step 0\)"):
        field({**start, "w": np.array([np.nan, 1], "f")}, 0.1)
    # 1/x pushes x up, and the square root of 2 - x has no slope past 2: that is at step 2.
    loss = lambda p: jnp.sum(jnp.sqrt(2 - p["x"])) - jnp.sum(jnp.log(p["x"]))  # noqa: E731
    with pytest.raises(FlowError, match=r"leaf \['x'\] is not finite at step 1 of"):
        networks.modified_field(loss, 3)({"x": np.ones(1, "f")}, 1.0)


@pytest.mark.parametrize("h", [0, -1, np.nan, np.inf, "a", None])
def test_a_learning_rate_must_be_positive_and_finite(h):
    with pytest.raises(InvalidStep, match="learning rate"):
        networks.modified_field(lambda p: jnp.sum(p**2), 1)(np.ones(2, "f"), h)


def test_orders_and_precisions_that_cannot_be_are_refused():
    for order in (-1, 1.5, "a"):
        with pytest.raises(InvalidOrder, match="order"):
            networks.modified_field(tanh_network.loss, order)
    with pytest.raises(InvalidValue, match="precision"):
        networks.modified_field(tanh_network.loss, 1, precision="double")


def test_importing_the_package_does_not_import_jax():
    program = "import sys, modeq.networks as n; n.BlackboxField; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["modified_field", "train", "models"])
def test_without_jax_the_error_says_what_to_install(name):
    program = f"import sys; sys.modules['jax'] = None; import modeq.networks as n; n.{name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: modeq.networks" in done.stderr
    assert "needs JAX: pip install modeq[jax]" in done.stderr


def test_every_public_name_is_there():
    assert len(set(networks.__all__)) == len(networks.__all__)
    for name in networks.__all__:
        assert getattr(networks, name).__doc__
    assert set(networks.__all__) <= set(dir(networks))
    with pytest.raises(AttributeError, match="nothing"):
        _ = networks.nothing
