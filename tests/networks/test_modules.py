"""Modules of Equinox and Flax: their states, counters, keys and functions are no weights."""

import numpy as np
import pytest

import modeq
from modeq import networks
from modeq.errors import InvalidPoint
from modeq.networks.pytrees import partitioned

jax = pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")
jnp = jax.numpy

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


def equinox_net():
    eqx = pytest.importorskip("equinox", reason="equinox is optional")
    net = eqx.nn.MLP(3, "scalar", 4, 1, key=jax.random.key(0), activation=jnp.tanh)
    return net, lambda net: jnp.mean(jax.vmap(net)(X) ** 2), eqx.filter_grad


def flax_net():
    nnx = pytest.importorskip("flax.nnx", reason="flax is optional")

    class Net(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
            self.norm = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
            self.drop = nnx.Dropout(0.5, rngs=nnx.Rngs(1))
            self.count = nnx.Variable(jnp.zeros((), int))

        def __call__(self, x):
            x = self.norm(self.linear(x), use_running_average=True)
            return self.drop(x, deterministic=True)

    graph, state = nnx.split(Net())

    def loss(state):
        return jnp.mean(nnx.merge(graph, state)(X) ** 2)

    def slope(loss):
        def found(state):
            _, weights, others = nnx.split(nnx.merge(graph, state), nnx.Param, ...)
            return jax.grad(lambda w: loss(nnx.merge_state(w, others)))(weights)

        return found

    return state, loss, slope


@pytest.mark.parametrize("net", [equinox_net, flax_net])
def test_weights_of_modules_are_moved_and_what_else_is_in_them_comes_through(net):
    params, loss, gradient = net()
    slopes = jax.tree.leaves(gradient(loss)(params))
    found = networks.modified_field(loss, 0)(params, 0.1)
    jitted = jax.jit(networks.modified_field(loss, 0).rhs, static_argnums=1)
    if net is flax_net:
        jax.tree.map(np.testing.assert_allclose, *map(arrays, (jitted(params, 0.1), found)))
    assert jax.tree.structure(found) == jax.tree.structure(params)
    moved = [
        new
        for old, new in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True)
        if new is not old
    ]
    assert len(moved) == len(slopes)
    for slope, new in zip(slopes, moved, strict=True):
        np.testing.assert_allclose(new, -slope, rtol=1e-6)


def test_modules_inside_of_trees_are_told_apart_too():
    params, loss, _ = flax_net()
    found = networks.modified_field(lambda p: loss(p["net"]), 1)({"net": params}, 0.1)["net"]
    assert found["norm"]["mean"].get_value() is params["norm"]["mean"].get_value()
    assert np.any(found["linear"]["kernel"].get_value() != params["linear"]["kernel"].get_value())


def arrays(tree):
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.number)]


@pytest.mark.parametrize("net", [equinox_net, flax_net])
def test_flows_terms_and_eigenpairs_of_modules_are_those_of_their_weights(net):
    params, loss, gradient = net()
    size = sum(slope.size for slope in jax.tree.leaves(gradient(loss)(params)))
    assert networks.hessian_eigenpairs(loss, params)[1].shape == (size, 1)
    after = networks.solve_flow(loss, params, 0, h=0.01, steps=1).params(1)
    assert float(loss(after)) < float(loss(params))
    [term] = networks.counter_terms(loss, params, 1)
    first, zeroth = (networks.modified_field(loss, n)(params, 2.0**-7) for n in (1, 0))
    assert jax.tree.structure(term) == jax.tree.structure(zeroth)
    for f1, f01, f0 in zip(*map(jax.tree.leaves, (term, first, zeroth)), strict=True):
        if f01 is not f0 and jnp.issubdtype(f01.dtype, jnp.floating) and np.any(f01 != f0):
            difference = (f01 - f0) * 2**7
            assert np.linalg.norm(f1 - difference) <= 0.1 * np.linalg.norm(f1) + 1e-4


def test_a_tree_with_leaves_that_are_no_weights_is_refused_by_jitted_fields_too():
    field = networks.modified_field(lambda p: jnp.sum(p["w"] ** 2), 1)
    with pytest.raises(InvalidPoint, match=r"leaf \['n'\].*int32"):
        jax.jit(field.rhs)({"w": jnp.ones(2), "n": jnp.arange(2)}, 0.1)


@pytest.mark.parametrize("net", [equinox_net, flax_net])
def test_a_step_of_modules_has_a_field_in_which_their_weights_move(net):
    params, loss, gradient = net()
    slope = gradient(loss)

    def step(params):
        taken = iter(jax.tree.leaves(slope(params)))
        weights, rest = partitioned(params)
        return rest.join([w - 0.125 * next(taken) for w in weights])

    found = networks.blackbox_field(step, 1, h=0.125, check=False)(params)
    want = networks.modified_field(loss, 1)(params, 0.125)
    weights, rest = partitioned(found)
    expected, _ = partitioned(want)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-2, atol=2e-4)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    same = zip(rest.arrays, partitioned(params)[1].arrays, strict=True)
    assert all(a is b for a, b in same)


def test_a_module_is_no_point_of_a_field_that_does_not_know_jax():
    params, _, _ = equinox_net()
    with pytest.raises(InvalidPoint, match=r"modeq\.networks\.blackbox_field"):
        modeq.blackbox_field(lambda net: net, 1)(params)
