"""Flows of networks against gradient descent, and against the flows of small problems."""

import contextlib

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")

import jax
import jax.numpy as jnp
from network_cases import DOUBLE, descent, quadratic, tanh_network

from modeq.errors import FlowError, InvalidLoss, InvalidPoint, InvalidValue
from modeq.networks import FieldFlow, SeriesFlow, TopPrincipalFlow, hessian_eigenpairs, solve_flow
from modeq.networks.flat_loss import FlatLoss, flattened
from modeq.networks.flows import as_flow
from modeq.networks.principal_flow import complex_eigenpairs
from modeq.principal.resummed import resummed_field

SMALL = tanh_network(hidden=2)
QUADRATIC = quadratic([2.9, 1.4, 0.3, -0.2])
STEPS = np.array([0.08, 0.04, 0.02, 0.01])  # three halvings


def followed(loss, params, flow, h, steps=1, tolerance=1e-12):
    return solve_flow(loss, params, flow, h=h, steps=steps, tolerance=tolerance, precision=DOUBLE)


def slopes_of_one_step(loss, params, flow, rates):
    errors = []
    for h in rates:
        found = followed(loss, params, flow, float(h)).theta[-1]
        errors.append(np.linalg.norm(found - descent(loss, params, h, 1)[-1]))
    return np.log2(np.array(errors[:-1]) / errors[1:])


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_one_step_of_order_n_misses_gradient_descent_by_h_to_the_n_plus_2(order):
    loss, params, _ = SMALL
    slopes = slopes_of_one_step(loss, params, order, STEPS / 2)
    np.testing.assert_allclose(slopes, order + 2, atol=0.1)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_at_a_fixed_time_order_n_misses_gradient_descent_by_h_to_the_n_plus_1(order):
    loss, params, _ = SMALL
    errors = []
    for halvings in range(4):
        h, steps = 0.08 / 2**halvings, 5 * 2**halvings
        found = followed(loss, params, order, h, steps).theta[-1]
        errors.append(np.linalg.norm(found - descent(loss, params, h, steps)[-1]))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, order + 1, atol=0.1)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_principal_flow_with_tall_trees_has_the_local_order_of_order_1(frozen):
    loss, params, _ = SMALL
    flow = TopPrincipalFlow(3, frozen=frozen)
    slopes = slopes_of_one_step(loss, params, flow, STEPS / 4)
    np.testing.assert_allclose(slopes, 3, atol=0.1)


def test_the_principal_flow_with_all_trees_keeps_the_local_order_of_its_series():
    loss, params, _ = SMALL
    flow = TopPrincipalFlow(3, order=2, trees="all")
    np.testing.assert_allclose(slopes_of_one_step(loss, params, flow, STEPS / 2), 4, atol=0.1)


@pytest.mark.parametrize(("trees", "order"), [("tall", 0), ("all", 2)])
def test_with_all_directions_the_principal_flow_meets_the_iterates_of_quadratics(trees, order):
    loss, params, _ = QUADRATIC
    flow = TopPrincipalFlow(4, order=order, trees=trees)
    for h in (0.3, 0.9):
        path = followed(loss, params, flow, h, steps=2, tolerance=1e-8)
        expected = descent(loss, params, h, 2)
        np.testing.assert_allclose(path.theta, expected, atol=1e-6 * np.abs(expected).max())
        assert path.complex_from == (None if h < 1 / 2.9 else 1)


def test_directions_left_out_have_their_series():
    loss, params, matrix = quadratic([1.9, 0.8, 0.3, -0.4])
    h, order = 0.5, 2
    found = followed(loss, params, TopPrincipalFlow(1, order=order), h).theta[-1]
    values, vectors = np.linalg.eigh(matrix)
    z = h * values
    exponents = -sum(z**j / j for j in range(1, order + 2))
    exponents[-1] = np.log1p(-z[-1])
    x = np.concatenate([params["a"], params["b"]])
    np.testing.assert_allclose(found, vectors @ (np.exp(exponents) * (vectors.T @ x)), atol=1e-11)


def test_with_all_directions_the_field_is_that_of_small_problems():
    loss, params, _ = SMALL
    flat, theta = flattened(loss, params, DOUBLE)
    f, jacobian = -flat.gradient(theta), -flat.hessian(theta)
    field = TopPrincipalFlow(len(theta)).bind(flat)
    for h in (0.2, 1.5):
        expected = resummed_field([f, jacobian], h, symmetric=True)
        assert np.iscomplexobj(expected) == (h == 1.5)
        np.testing.assert_allclose(field.rhs(theta, h), expected, atol=1e-10)


def test_past_h_lambda_one_the_flow_is_complex_and_nearer_to_the_iterates_than_series():
    loss, params, _ = SMALL
    h = 1.3 / hessian_eigenpairs(loss, params, precision=DOUBLE)[0][0]
    first = descent(loss, params, h, 1)[-1]
    path = followed(loss, params, TopPrincipalFlow(1), h, tolerance=1e-7)
    assert path.complex_from == 1
    assert np.iscomplexobj(path.path)
    np.testing.assert_array_equal(path.theta, path.path.real)
    error = np.linalg.norm(path.theta[-1] - first)
    for order in (0, 1, 2, 3):
        series = followed(loss, params, order, h, tolerance=1e-7).theta[-1]
        assert error < 0.6 * np.linalg.norm(series - first)


def test_a_real_flow_that_becomes_complex_says_at_which_step():
    def loss(p):  # the curvature 2 - x grows along the valley y = 0
        return jnp.sum(0.5 * p["y"] ** 2 * (2 - p["x"])) + 0.5 * p["x"].sum()

    params, h = {"x": np.array([1.6]), "y": np.array([0.01])}, 0.8
    path = followed(loss, params, TopPrincipalFlow(1), h, steps=4, tolerance=1e-6)
    curvature = 2 - descent(loss, params, h, 4)[:, 0]
    assert path.complex_from == np.argmax(h * curvature > 1)
    np.testing.assert_array_equal(path.path[: path.complex_from].imag, 0)


def test_two_steps_taken_as_one_stay_real_and_meet_every_other_iterate():
    loss, params, _ = QUADRATIC
    path = followed(loss, params, TopPrincipalFlow(4, composed=2), h=0.5, steps=6)
    expected = descent(loss, params, 0.5, 6)
    assert path.complex_from is None
    np.testing.assert_allclose(path.theta[::2], expected[::2], atol=1e-9)
    assert not np.allclose(path.theta[1], expected[1])


def test_complex_eigenpairs_of_large_hessians_are_those_of_dense_ones():
    loss, params, _ = tanh_network(hidden=14)
    flat = FlatLoss(loss, params, precision=DOUBLE)
    assert flat.dimension > 64
    theta = flat.start + 0.05j * np.random.default_rng(3).normal(size=flat.dimension)
    matrix = np.array([flat.product(theta, column) for column in np.eye(flat.dimension)])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    expected = np.linalg.eigvals(matrix)
    expected = expected[np.argsort(-expected.real)][:3]
    values, vectors = complex_eigenpairs(flat, theta, 3)
    np.testing.assert_allclose(values, expected, rtol=1e-7)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-6)


def test_a_loss_that_is_not_analytic_has_no_complex_flow():
    def loss(p):
        return jnp.sum(jnp.abs(p["x"]) ** 3) + jnp.sum(p["x"] ** 2)

    with pytest.raises(InvalidLoss, match="not analytic"):
        followed(loss, {"x": np.array([1.0, -0.5])}, TopPrincipalFlow(2), h=0.3)


def test_the_tree_of_weights_comes_back():
    loss, params, _ = SMALL
    path = followed(loss, params, 0, 0.1, steps=2)
    assert path.params(0)["in"].shape == params["in"].shape
    np.testing.assert_array_equal(path.params(0)["in"], params["in"])
    np.testing.assert_allclose(path.t, [0, 0.1, 0.2])


def test_any_field_of_trees_has_its_flow():
    loss, params, _ = quadratic([1.0, 2.0, 3.0])
    flow = FieldFlow("decay", lambda p, h: jax.tree.map(lambda leaf: -leaf, p))
    path = followed(loss, params, flow, 0.5, steps=2)
    start = np.concatenate([params["a"], params["b"]])
    np.testing.assert_allclose(path.theta[-1], np.exp(-1) * start, rtol=1e-9)


def test_a_flow_that_blows_up_names_the_step():
    with pytest.raises(FlowError, match=r"order 0 ends in step 3 at h = 0\.1"):
        followed(lambda p: -jnp.sum(p**3) / 3, np.array([4.0]), 0, 0.1, steps=5)


def test_h_lambda_one_has_no_principal_flow():
    with pytest.raises(FlowError, match=r"h\*lambda = 1"):
        followed(lambda p: jnp.sum(p**2), np.array([4.0]), TopPrincipalFlow(1), 0.5)


@pytest.mark.parametrize("flow", ["gradient flow", 1.5, True])
def test_what_is_no_flow_is_refused(flow):
    with pytest.raises(InvalidValue, match="a flow is"):
        as_flow(flow)


def test_bad_flows_and_starts_are_refused():
    loss, params, _ = quadratic([1.0, 2.0])
    for options in ({"count": 0}, {"count": 1, "trees": "bushy"}, {"count": 1, "composed": 0}):
        with pytest.raises(InvalidValue):
            TopPrincipalFlow(**options)
    with pytest.raises(InvalidValue, match="count is 3"):
        followed(loss, params, TopPrincipalFlow(3), 0.1)
    with pytest.raises(InvalidValue, match="tolerance"):
        followed(loss, params, 0, 0.1, tolerance=2)
    with pytest.raises(InvalidPoint, match="int64"):
        followed(loss, {"a": np.ones(1), "b": np.arange(1)}, 0, 0.1)


class Model:
    """A loss that is a method of an object, as people write them."""

    def __init__(self):
        self.traced = 0

    def loss(self, params):
        self.traced += 1
        return jnp.sum(params**4)


def test_a_method_of_an_object_is_compiled_once():
    model, start = Model(), np.ones(2)
    first = hessian_eigenpairs(model.loss, start, precision=DOUBLE)
    traced = model.traced
    again = hessian_eigenpairs(model.loss, 2 * start, precision=DOUBLE)
    assert model.traced == traced + 2  # the loss and its gradient are read, and not compiled
    assert again[0] == pytest.approx(4 * first[0])
    assert flattened(model.loss, start)[0] == flattened(Model().loss, start)[0]


def test_a_loss_that_cannot_be_hashed_is_known_by_what_it_computes():
    class Loss:
        __hash__ = None

        def __call__(self, params):
            return jnp.sum(params**2)

    loss = Loss()
    assert flattened(loss, np.ones(2))[0] == flattened(Loss(), np.ones(2))[0]


@pytest.mark.parametrize("first", ["float32", "float64"])
def test_arrays_that_jax_remembers_in_the_other_precision_are_not_used_in_silence(first):
    weights = np.array([0.1, 0.2])
    other = {"float32": "float64", "float64": "float32"}[first]

    def loss(params):
        return jnp.dot(params, weights) ** 2

    kept = FlatLoss(loss, np.ones(2), precision=first)
    kept.gradient(kept.start)
    # Other releases of JAX remember nothing, and have all digits.
    digits = 1e-15 if other == "float64" else 1e-6
    with contextlib.suppress(InvalidLoss):
        found = FlatLoss(loss, np.ones(2), precision=other)
        assert found.value(found.start) == pytest.approx(0.3**2, rel=digits)
    copied = weights.copy()
    anew = FlatLoss(lambda p: jnp.dot(p, copied) ** 2, np.ones(2), precision=other)
    assert anew.value(anew.start) == pytest.approx(0.3**2, rel=digits)


@pytest.mark.parametrize(
    "field",
    [lambda p, h: -1.0, lambda p, h: {"x": -p}, lambda p, h: -p[:1]],
    ids=["number", "other structure", "too short"],
)
def test_a_field_that_returns_something_else_than_weights_ends_at_once(field):
    with pytest.raises(FlowError, match="it must have those of the weights"):
        solve_flow(lambda p: jnp.sum(p**2), np.ones(3), FieldFlow("mine", field), h=0.1, steps=1)


def test_whole_numbers_of_numpy_are_orders_and_counts():
    assert as_flow(np.int64(2)) == as_flow(2)
    flow = TopPrincipalFlow(np.int64(2), order=np.int32(1), composed=np.int8(1))
    assert flow == TopPrincipalFlow(2)
    assert all(type(value) in (int, str, bool) for value in flow.settings.values())
    assert type(as_flow(np.int64(2)).settings["order"]) is int


@pytest.mark.parametrize(
    "arguments", [("mine", 3), (3, lambda p, h: p), ("mine", lambda p, h: p, 0)]
)
def test_fields_names_and_periods_that_cannot_be_right_are_refused(arguments):
    with pytest.raises(InvalidValue):
        FieldFlow(*arguments)


@pytest.mark.parametrize("loss", [3, "x**2", None])
def test_what_is_no_function_is_no_loss(loss):
    with pytest.raises(InvalidLoss, match="it must be a function of a pytree of weights"):
        FlatLoss(loss, np.ones(2))


@pytest.mark.parametrize(
    "flow", [SeriesFlow(1), TopPrincipalFlow(1), TopPrincipalFlow(1, frozen=True)]
)
def test_two_trajectories_of_one_flow_do_not_know_of_each_other(flow):
    loss = FlatLoss(lambda p: jnp.sum(jnp.cosh(p * jnp.arange(1.0, 4.0))), np.ones(3))
    here, there = np.float32([0.1, 0.2, 0.3]), np.float32([0.9, -0.5, 0.2])
    alone = flow.bind(loss)
    alone.begin(here, 0.01)
    expected = alone.rhs(here, 0.01)
    first, second = flow.bind(loss), flow.bind(loss)
    first.begin(here, 0.01)
    second.begin(there, 0.01)
    second.rhs(there, 0.01)
    np.testing.assert_array_equal(first.rhs(here, 0.01), expected)


def test_a_flow_is_compiled_once_for_a_loss():
    loss = FlatLoss(lambda p: jnp.sum(p**4), np.ones(2))
    assert SeriesFlow(1).bind(loss).rhs is SeriesFlow(1).bind(loss).rhs
    first, second = (TopPrincipalFlow(1, frozen=f).bind(loss) for f in (False, True))
    assert first._base is second._base


@pytest.mark.parametrize("composed", [1, 2, 3])
def test_the_field_is_continuous_where_a_complex_path_crosses_the_real_points(composed):
    def loss(p):
        return (p["x"] ** 2 + p["x"] ** 4 / 4).sum()

    flat = FlatLoss(loss, {"x": np.ones(1)}, precision=DOUBLE)
    field = TopPrincipalFlow(1, composed=composed).bind(flat)
    here = field.rhs(np.array([0.5]), 0.8)
    for side in (1e-9j, -1e-9j):
        np.testing.assert_allclose(field.rhs(np.array([0.5 + side]), 0.8), here, atol=1e-7)
