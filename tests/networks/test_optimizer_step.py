"""Optimizers of optax on their slow manifolds: against the symbolic engine and their own runs."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import tanh_network
from scipy.integrate import solve_ivp

import modeq
from modeq import networks
from modeq.errors import (
    DidNotConverge,
    FlowError,
    InvalidLoss,
    InvalidMethod,
    InvalidOrder,
    InvalidPoint,
    InvalidValue,
)

REASON = "optax and jax are optional: pip install modeq[optax]"
jax = pytest.importorskip("jax", reason=REASON)
pytest.importorskip("optax", reason=REASON)
jnp = jax.numpy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it warns of when it is imported is its own
    import optax

from modeq.networks.contraction import Contraction, settled_point  # noqa: E402

TEXT = "x**4/4 + x**2*y**2 + y**2/2 + x*y/3"
START = np.array([0.7, -0.4])
HALF, FIFTH = Fraction(1, 2), Fraction(1, 5)


def loss(w):
    x, y = w
    return x**4 / 4 + x**2 * y**2 + y**2 / 2 + x * y / 3


PAIRS = {
    "heavy ball": (lambda h: optax.sgd(h, momentum=0.5), modeq.SGD(HALF)),
    "nesterov": (
        lambda h: optax.sgd(h, momentum=0.5, nesterov=True),
        modeq.SGD(HALF, nesterov=True),
    ),
    "adam": (
        lambda h: optax.adam(h, 0.5, 0.2, eps=0.0, eps_root=0.5),
        modeq.Adam(HALF, FIFTH, epsilon=HALF),
    ),
    "rmsprop, momentum": (
        lambda h: optax.rmsprop(h, 0.2, eps=0.5, momentum=0.5),
        modeq.RMSProp(FIFTH, epsilon=HALF, momentum=HALF),
    ),
    "optimistic": (optax.optimistic_gradient_descent, modeq.OptimisticGradient()),
    "gradient descent": (optax.sgd, modeq.GradientDescent()),
}


def optimizer_step(optimizer, order, h, **options):
    return networks.OptimizerStep(optimizer, loss, order, h=h, precision="float64", **options)


def slopes(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@pytest.mark.parametrize(("name", "order"), [("heavy ball", 1), *((name, 2) for name in PAIRS)])
def test_the_field_misses_the_symbolic_one_by_the_next_power_of_h(name, order):
    make, method = PAIRS[name]
    rhs = modeq.derive(TEXT, order, method).lambdify(form="program")
    errors = []
    for h in 2.0 ** -np.arange(9, 13):
        field = optimizer_step(make(h), order, h).field(START)
        errors.append(np.linalg.norm(np.asarray(field) - rhs(START, h)))
    np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


@pytest.mark.parametrize(("name", "order"), [("heavy ball", 2), ("nesterov", 1)])
def test_the_start_misses_the_symbolic_one_by_the_next_power_of_h(name, order):
    make, method = PAIRS[name]
    equation = modeq.derive(TEXT, order, method)
    errors = []
    for h in 2.0 ** -np.arange(8, 12):
        start = optimizer_step(make(h), order, h).start(START)
        errors.append(np.linalg.norm(np.asarray(start) - equation.start(START, h=h)))
    np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


def flow_and_run(make, order, h, steps, shifted=True):
    """Return where the flow and the optimizer from rest are after some steps."""
    step = optimizer_step(make(h), order, h)
    start = np.asarray(step.start(START)) if shifted else START
    rhs = lambda t, theta: np.asarray(step.field(theta))  # noqa: E731
    flow = solve_ivp(rhs, (0, steps * h), start, "DOP853", rtol=1e-9, first_step=steps * h).y[:, -1]
    return flow, np.asarray(step.run(START, steps)[-1])


@pytest.mark.parametrize(("name", "order"), [("heavy ball", 2), ("adam", 1)])
def test_the_flow_from_the_shifted_start_follows_the_optimizer_from_rest(name, order):
    errors = []
    for halving in range(4):
        flow, run = flow_and_run(PAIRS[name][0], order, 2.0 ** -(8 + halving), 32 * 2**halving)
        errors.append(np.linalg.norm(flow - run))
    np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


def test_without_the_shift_the_slope_is_one():
    errors = []
    for halving in range(4):
        h, steps = 2.0 ** -(8 + halving), 32 * 2**halving
        flow, run = flow_and_run(PAIRS["heavy ball"][0], 1, h, steps, shifted=False)
        errors.append(np.linalg.norm(flow - run))
    np.testing.assert_allclose(slopes(errors), 1, atol=0.1)


def test_gradient_descent_has_no_memory_and_the_field_from_gradients():
    step = networks.OptimizerStep(
        optax.sgd(0.125), tanh_network.loss, 3, h=0.125, precision="float64"
    )
    params = tanh_network.PARAMS
    plain = networks.modified_field(tanh_network.loss, 3, precision="float64")(params, 0.125)
    found = tanh_network.vector(step.field(params))
    np.testing.assert_allclose(found, tanh_network.vector(plain), rtol=1e-13)
    assert tanh_network.vector(step.start(params)).tolist() == tanh_network.START.tolist()


def test_a_step_on_the_slow_manifold_is_a_black_box_with_the_same_field():
    errors = []
    for h in 2.0 ** -np.arange(8, 12):
        step = optimizer_step(optax.sgd(h, momentum=0.5), 1, h)
        with networks.double_precision():
            by_steps = networks.blackbox_field(step, 1, h=h)(jnp.asarray(START))
            errors.append(np.linalg.norm(by_steps - step.field(START)))
    np.testing.assert_allclose(slopes(errors), 2, atol=0.1)


def test_one_step_stays_on_the_slow_manifold():
    defects = []
    for h in 2.0 ** -np.arange(8, 12):
        step = optimizer_step(PAIRS["adam"][0](h), 2, h)
        with networks.double_precision():
            theta, state, _ = step._steps.step(jnp.asarray(START), step.slow_state(START), 1)
        memory = [np.asarray(leaf) for leaf in jax.tree.leaves(state) if leaf.ndim]
        slow = [np.asarray(leaf) for leaf in jax.tree.leaves(step.slow_state(theta)) if leaf.ndim]
        defects.append(max(np.max(np.abs(a - b)) for a, b in zip(memory, slow, strict=True)))
    # The manifold is right through h², so what is missing is O(h³).
    assert slopes(defects)[-1] > 2.9


BATCHES = [(np.array([[0.5, 1.0]]),), (np.array([[-1.0, 0.25]]),), (np.array([[0.75, -0.5]]),)]


def batch_loss(params, data):
    return tanh_network.loss(params, data)


def test_an_epoch_of_minibatches_is_one_step():
    h, order = 2.0**-6, 2
    step = networks.OptimizerStep(
        optax.sgd(h), batch_loss, order, h=h, batches=BATCHES, precision="float64"
    )
    slope = jax.jit(jax.grad(batch_loss))

    def epoch(params):
        for batch in BATCHES:
            params = jax.tree.map(lambda p, g: p - h * g, params, slope(params, *batch))
        return params

    with networks.double_precision():
        params = jax.tree.map(jnp.asarray, tanh_network.PARAMS)
        expected = networks.blackbox_field(epoch, order, h=h)(params)
        found, expected = map(tanh_network.vector, (step.field(params), expected))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_an_epoch_with_momentum_has_the_field_that_its_run_follows():
    order, errors = 1, []
    for halving in range(4):
        h, epochs = 2.0 ** -(9 + halving), 8 * 2**halving
        step = networks.OptimizerStep(
            optax.sgd(h, momentum=0.5), batch_loss, order, h=h, batches=BATCHES, precision="float64"
        )
        start = tanh_network.vector(step.start(tanh_network.PARAMS))
        rhs = lambda t, w, s=step: tanh_network.vector(s.field(tanh_network.tree(w)))  # noqa: E731
        time = epochs * h
        flow = solve_ivp(rhs, (0, time), start, "DOP853", rtol=1e-8, first_step=time).y[:, -1]
        run = tanh_network.vector(step.run(tanh_network.PARAMS, epochs)[-1])
        errors.append(np.linalg.norm(flow - run))
    np.testing.assert_allclose(slopes(errors), order + 1, atol=0.1)


def test_long_memory_is_found_as_well():
    h = 2.0**-20
    step = optimizer_step(optax.adam(h, 0.9, 0.999, eps=0.0, eps_root=0.5), 1, h)
    adam = modeq.Adam(Fraction(9, 10), Fraction(999, 1000), epsilon=HALF)
    exact = modeq.derive(TEXT, 1, adam).lambdify(form="program")(START, h)
    plain = modeq.derive(TEXT, 0, adam).lambdify(form="program")(START, h)
    assert np.linalg.norm(np.asarray(step.field(START)) - exact) < 0.02 * np.linalg.norm(
        exact - plain
    )


def test_hyperparameters_in_the_state_are_no_memory():
    h = 2.0**-9
    inside = optax.inject_hyperparams(optax.sgd)(learning_rate=h, momentum=0.5)
    plain = optax.sgd(h, momentum=0.5)
    left, right = (optimizer_step(tx, 2, h).field(START) for tx in (inside, plain))
    np.testing.assert_allclose(left, right, rtol=1e-9)


def test_the_run_is_that_of_optax():
    h = 0.05
    optimizer = PAIRS["adam"][0](h)
    found = optimizer_step(optimizer, 1, h).run(START, 5)
    with networks.double_precision():
        theta = jnp.asarray(START)
        state = optimizer.init(theta)
        for point in found[1:]:
            change, state = optimizer.update(jax.grad(loss)(theta), state, theta)
            theta = optax.apply_updates(theta, change)
            np.testing.assert_allclose(point, theta, rtol=1e-12)


def test_a_step_that_is_not_finite_is_named():
    step = optimizer_step(optax.sgd(100.0), 6, 100.0)
    with pytest.raises(FlowError, match=r"step [3-7] of the optimizer is not finite"):
        step.field(1e3 * START)


def test_memory_that_does_not_contract_is_refused():
    with pytest.raises(InvalidMethod, match=r"eigenvalue 1\.1"):
        optimizer_step(optax.sgd(0.01, momentum=1.1), 1, 0.01).field(START)
    with pytest.raises(DidNotConverge, match=r"takes \d+ steps"):
        optimizer_step(optax.sgd(1e-9, momentum=0.9999), 0, 1e-9).start(START)


def test_sums_that_grow_for_ever_are_no_slow_manifold():
    with pytest.raises(InvalidMethod, match="eigenvalue 1,"):
        optimizer_step(optax.adagrad(0.01), 1, 0.01).field(START)


def test_small_entries_of_the_memory_are_as_exact_as_large_ones():
    scales = np.array([1.0, 1e-12])
    sizes = lambda w: jnp.sum(scales * w**2) / 2  # noqa: E731
    step = networks.OptimizerStep(
        optax.adam(1e-9, eps=1e-12), sizes, 0, h=1e-9, precision="float64"
    )
    memory = [leaf for leaf in jax.tree.leaves(step.slow_state(np.ones(2))) if leaf.ndim]
    for found, exact in zip(memory, (scales, scales**2), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_a_nilpotent_part_is_corrected_and_others_are_left_to_krylov():
    for coupling in (np.array([[0.0, 3.0], [0.0, 0.0]]), np.array([[0.0, 0.3], [0.3, 0.0]])):
        matrix = np.diag([0.5, 0.5]) + coupling
        average = Contraction(lambda v, j=matrix: j @ v, 2, diagonal=np.full(2, 0.5))
        expected = np.linalg.solve(np.eye(2) - matrix, [1.0, 2.0])
        np.testing.assert_allclose(average.solved(np.array([1.0, 2.0])), expected, rtol=1e-12)


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidMethod, match="optax, with init and update"):
        optimizer_step(0.1, 1, 0.1)
    with pytest.raises(InvalidOrder):
        optimizer_step(optax.sgd(0.1), -1, 0.1)
    for batches in ([], [np.ones(2)]):
        with pytest.raises(InvalidValue, match="at least one minibatch"):
            optimizer_step(optax.sgd(0.1), 1, 0.1, batches=batches)
    with pytest.raises(InvalidPoint, match="must hold floats"):
        optimizer_step(optax.sgd(0.1), 1, 0.1).field(np.arange(2))
    with pytest.raises(InvalidLoss, match="one floating-point number"):
        networks.OptimizerStep(optax.sgd(0.1), lambda w: w, 1).field(np.ones(2, "f"))


def test_a_few_eigenvalues_need_a_few_products():
    diagonal = np.repeat([0.9, 0.999, 0.5], 1_000)
    count = 0

    def product(vector):
        nonlocal count
        count += 1
        return diagonal * vector

    right = np.random.default_rng(0).normal(size=3_000)
    found = Contraction(product, 3_000).solved(right)
    np.testing.assert_allclose(found, right / (1 - diagonal), rtol=1e-8)
    assert count <= 5


def test_a_fixed_point_that_is_not_reached_says_how_far_it_is():
    with pytest.raises(DidNotConverge, match="runs still end 1"):
        settled_point(lambda x: np.ones(2), np.zeros(2), 1e-9)
