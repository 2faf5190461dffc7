"""Deep linear networks have the balance, the curvature and the dynamics of the theory."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import LinearNetwork, conserved, convergence_times, end_to_end_flow
from modeq.errors import FlowError, InvalidPoint, InvalidValue

INPUTS, TARGETS = [(1, 0), (0, 1), (1, -1)], [1, -1, 2]
NETWORKS = [
    LinearNetwork([2, 1], INPUTS, TARGETS),
    LinearNetwork([2, 2, 1], INPUTS, TARGETS),
    LinearNetwork([2, 2, 2, 1], INPUTS, TARGETS),
    LinearNetwork([2, 2, 1], INPUTS, [1, -1, 1], loss="logistic"),
]


def start(network, seed=0):
    return np.random.default_rng(seed).normal(size=network.dimension)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_loss_is_that_of_the_product_of_the_matrices(network):
    theta = start(network)
    value = dict(zip(network.variables, theta, strict=True))
    w = network.end_to_end_matrix(theta)
    total = 0
    for x, y in zip(INPUTS, np.array(network.targets, float), strict=True):
        z = w @ np.array(x, float)
        square = np.sum((z - y) ** 2) / 2
        total += square if network.kind == "square" else np.log1p(np.exp(-y[0] * z[0]))
    assert float(network.expression.subs(value)) == pytest.approx(total / 3)


@pytest.mark.parametrize("network", NETWORKS[1:])
def test_gradient_flow_keeps_every_balance(network):
    theta = start(network, 1)
    path = modeq.derive(network, order=0).solve(theta, h=0.05, steps=4).theta

    def balances(point):
        matrices = network.weights(point)
        return [b.T @ b - a @ a.T for a, b in itertools.pairwise(matrices)]

    for before, after in zip(balances(path[0]), balances(path[-1]), strict=True):
        assert np.allclose(before, after, atol=1e-9)


def test_the_balance_is_among_the_conserved_quantities():
    assert len(conserved(NETWORKS[1])) >= 3


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_balanced_start_is_balanced_and_has_its_product(depth):
    network = LinearNetwork([2] * depth + [1], INPUTS, TARGETS)
    product = np.array([[0.3, -0.7]])
    theta = network.balanced_start(product)
    assert network.imbalance(theta) < 1e-12
    assert np.allclose(network.end_to_end_matrix(theta), product)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(NETWORKS), st.integers(0, 10_000), st.floats(0.1, 3))
def test_the_smallest_eigenvalue_is_never_below_its_bound(network, seed, scale):
    theta = scale * start(network, seed)
    smallest = network.smallest_eigenvalue(theta)
    assert smallest >= network.eigenvalue_bound(theta) - 1e-9 * (1 + abs(smallest))


def test_a_thousand_random_attacks_on_the_eigenvalue_bound_find_no_violation():
    rng = np.random.default_rng(7)
    for network in NETWORKS:
        for _ in range(250):
            theta = rng.normal(size=network.dimension) * 10 ** rng.uniform(-1.5, 1)
            smallest = network.smallest_eigenvalue(theta)
            assert smallest >= network.eigenvalue_bound(theta) - 1e-9 * (1 + abs(smallest))


def test_the_eigenvalue_bound_is_attained_by_two_scalar_layers_at_zero():
    network = LinearNetwork([1, 1, 1], [[1]], [2])
    assert network.smallest_eigenvalue([0, 0]) == pytest.approx(network.eigenvalue_bound([0, 0]))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_length_and_cosine_of_the_product_follow_their_two_equations(depth):
    # With two whitened points ½‖w - Λ‖² is twice the mean, so time runs at half speed.
    goal = np.array([0.6, 0.8])
    network = LinearNetwork([2] * depth + [1], np.eye(2, dtype=int).tolist(), ["3/5", "4/5"])
    w0 = np.array([[0.5, -0.1]])
    theta = network.balanced_start(w0)
    path = modeq.derive(network, order=0).solve(theta, h=0.2, steps=20).theta
    w = network.end_to_end_matrix(path)[:, 0]
    r = np.linalg.norm(w, axis=1)
    expected = end_to_end_flow(depth, r[0], w[0] @ goal / r[0], h=0.1, steps=20).theta
    assert np.allclose(r, expected[:, 0], atol=1e-8)
    assert np.allclose(w @ goal / r, expected[:, 1], atol=1e-8)


def test_gradient_descent_converges_about_when_gradient_flow_does():
    network = NETWORKS[1]
    theta = network.balanced_start([[0.2, -0.1]])
    floor = 1 / 3 * sum((1, 1, 4)) / 2
    fine = convergence_times(network, theta, h=0.002, target=floor / 2)
    coarse = convergence_times(network, theta, h=0.1, target=floor / 2)
    assert fine.flow == pytest.approx(coarse.flow)
    assert abs(fine.descent - fine.flow) < 0.01
    assert abs(coarse.descent - coarse.flow) < 0.3
    assert fine.descent == pytest.approx(0.002 * fine.steps)


def test_a_loss_that_is_not_reached_is_an_error():
    with pytest.raises(FlowError, match="does not reach"):
        convergence_times(modeq.Loss("x**4 + 1"), [3.0], h=1.0, target=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        ([2], INPUTS, TARGETS),
        ([2, 0, 1], INPUTS, TARGETS),
        ([3, 1], INPUTS, TARGETS),
        ([2, 1], INPUTS, TARGETS[:2]),
        ([2, 1], [], []),
        ([2, 1], INPUTS, TARGETS, "hinge"),
        ([2, 2], INPUTS, INPUTS, "logistic"),
        ([2, 1], INPUTS, TARGETS, "logistic"),
        ([2, 1], [("a", 0)], [1]),
    ],
)
def test_widths_data_and_losses_that_cannot_be_right_are_refused(arguments):
    with pytest.raises(InvalidValue):
        LinearNetwork(*arguments)


def test_a_product_of_the_wrong_shape_or_rank_is_refused():
    with pytest.raises(InvalidPoint, match="shape"):
        NETWORKS[1].balanced_start([[1.0]])
    with pytest.raises(InvalidPoint, match="rank"):
        LinearNetwork([2, 1, 2], INPUTS, INPUTS).balanced_start(np.eye(2))


@pytest.mark.parametrize("options", [{"depth": 0}, {"length": 0}, {"cosine": 2}])
def test_dynamics_that_cannot_be_right_are_refused(options):
    with pytest.raises(InvalidValue):
        end_to_end_flow(**({"depth": 2, "length": 1, "cosine": 0} | options), h=0.1, steps=2)
