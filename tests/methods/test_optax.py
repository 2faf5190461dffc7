"""The update rules against optax: the same iterates, in double precision."""

import warnings

import numpy as np
import pytest

from modeq import SGD, Adam, AdamW, Lion, Lookahead, OptimisticGradient, RMSProp, State

REASON = "optax and jax are optional: pip install modeq[optax]"
pytest.importorskip("jax", reason=REASON)
pytest.importorskip("optax", reason=REASON)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they warn of when they are imported is their own
    import jax
    import optax

H = 0.005
STEPS = 40
INNER = 5

LOSSES = {
    "rosenbrock": (lambda x: (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2, [-0.7, 1.1]),
    "softplus": (
        lambda x: jax.numpy.log(1 + jax.numpy.exp(x[0] - 2 * x[1])) + 0.3 * x[0] ** 2 + x[1] ** 4,
        [0.9, 0.8],
    ),
}

PAIRS = {
    "sgd": (SGD(), optax.sgd(H)),
    "momentum": (SGD(0.9), optax.sgd(H, momentum=0.9)),
    "nesterov": (SGD(0.9, nesterov=True), optax.sgd(H, momentum=0.9, nesterov=True)),
    "weight decay": (
        SGD(0.9, weight_decay=0.1),
        optax.chain(optax.add_decayed_weights(0.1), optax.sgd(H, momentum=0.9)),
    ),
    "adam": (Adam(0.9, 0.99, epsilon=1e-4), optax.adam(H, 0.9, 0.99, eps=0.0, eps_root=1e-4)),
    "adam, epsilon outside": (
        Adam(0.9, 0.99, epsilon=1e-4, epsilon_inside=False),
        optax.adam(H, 0.9, 0.99, eps=1e-4),
    ),
    "adamw": (
        AdamW(0.8, 0.95, weight_decay=0.3, epsilon_inside=False),
        optax.adamw(H, 0.8, 0.95, weight_decay=0.3),
    ),
    "rmsprop": (RMSProp(0.9, epsilon=1e-3), optax.rmsprop(H, 0.9, eps=1e-3)),
    "rmsprop, epsilon outside": (
        RMSProp(0.9, epsilon=1e-3, epsilon_inside=False),
        optax.rmsprop(H, 0.9, eps=1e-3, eps_in_sqrt=False),
    ),
    "rmsprop, momentum": (
        RMSProp(0.9, epsilon=1e-3, momentum=0.5),
        optax.rmsprop(H, 0.9, eps=1e-3, momentum=0.5),
    ),
    "lion": (Lion(0.9, 0.99, weight_decay=0.1), optax.lion(H, 0.9, 0.99, weight_decay=0.1)),
    "optimistic": (OptimisticGradient(), optax.optimistic_gradient_descent(H)),
    "optimistic, other weights": (
        OptimisticGradient(0.7, 0.4),
        optax.optimistic_gradient_descent(H, 0.7, 0.4),
    ),
}


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def ours(method, loss, start, steps):
    gradient = jax.jit(jax.grad(loss))
    state = State(theta=np.array(start), **{slot: np.zeros(len(start)) for slot in method.memory})
    iterates = []
    for _ in range(steps):
        state = method.step(state, lambda x: np.asarray(gradient(x)), H, float)
        iterates.append(state.theta)
    return np.array(iterates)


def theirs(transformation, loss, start, steps):
    gradient = jax.jit(jax.grad(loss))
    parameters = jax.numpy.array(start)
    memory = transformation.init(parameters)
    update = jax.jit(transformation.update)
    iterates = []
    for _ in range(steps):
        updates, memory = update(gradient(parameters), memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        iterates.append(np.asarray(parameters))
    return np.array(iterates)


@pytest.mark.parametrize(("loss", "start"), LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(("method", "transformation"), PAIRS.values(), ids=PAIRS)
def test_the_iterates_are_those_of_optax(method, transformation, loss, start):
    expected = theirs(transformation, loss, start, STEPS)
    assert expected.dtype == float
    np.testing.assert_allclose(ours(method, loss, start, STEPS), expected, rtol=0, atol=1e-12)


INNERS = {
    "sgd": (None, optax.sgd(H)),
    "momentum": (SGD(0.9), optax.sgd(H, momentum=0.9)),
    "adam": (Adam(0.9, 0.99, epsilon=1e-4), optax.adam(H, 0.9, 0.99, eps=0.0, eps_root=1e-4)),
}


@pytest.mark.parametrize(("inner", "theirs"), INNERS.values(), ids=INNERS)
@pytest.mark.parametrize(("loss", "start"), LOSSES.values(), ids=LOSSES)
def test_one_step_of_lookahead_is_one_synchronization_of_optax(loss, start, inner, theirs):
    gradient = jax.jit(jax.grad(loss))
    transformation = optax.lookahead(theirs, sync_period=INNER, slow_step_size=0.5)
    parameters = optax.LookaheadParams.init_synced(jax.numpy.array(start))
    memory = transformation.init(parameters)
    update = jax.jit(transformation.update)
    expected = []
    for _ in range(8 * INNER):
        updates, memory = update(gradient(parameters.fast), memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        expected.append(np.asarray(parameters.slow))
    found = ours(Lookahead(INNER, inner=inner), loss, start, 8)
    np.testing.assert_allclose(found, expected[INNER - 1 :: INNER], rtol=0, atol=1e-12)
