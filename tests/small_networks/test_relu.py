"""Networks with ReLU units are smooth on pieces, say where the kinks are, and keep their bounds."""

import itertools

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import (
    HomogeneousNetwork,
    LinearNetwork,
    conserved,
    convergence_times,
    deep_network,
    piecewise_flow,
)
from modeq.errors import FlowError, InvalidLoss, InvalidPoint, InvalidValue, NotSmooth
from modeq.small_networks.relu_flow import arrival

INPUTS, TARGETS = [(1, 0), (0, 1), (1, -1)], [1, -1, 2]
NETWORKS = [
    HomogeneousNetwork([2, 3, 1], INPUTS, TARGETS),
    HomogeneousNetwork([2, 2, 2, 1], INPUTS, TARGETS, "leaky-relu"),
    HomogeneousNetwork([2, 1, 2, 1, 1], INPUTS, TARGETS, "leaky-relu", slope="1/2"),
    HomogeneousNetwork([2, 2, 1], INPUTS, [1, -1, 1], loss="logistic"),
    HomogeneousNetwork([2, 2, 2], INPUTS, INPUTS, "leaky-relu"),
]


def start(network, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=network.size)


def loss_by_hand(network, theta):
    """Return the loss by a loop over points, units and outputs."""
    total = 0.0
    for x, y in zip(network.inputs, network.targets, strict=True):
        a = [float(entry) for entry in x]
        matrices = network.weights(theta)
        for j, w in enumerate(matrices):
            z = [sum(c * e for c, e in zip(row, a, strict=True)) for row in w]
            hidden = j < len(matrices) - 1
            a = [e if e > 0 or not hidden else float(network.slope) * e for e in z]
        if network.kind == "square":
            total += sum((e - float(t)) ** 2 for e, t in zip(a, y, strict=True)) / 2
        else:
            total += np.log1p(np.exp(-float(y[0]) * a[0]))
    return total / len(network.inputs)


@pytest.mark.parametrize("network", NETWORKS)
def test_value_piece_and_a_loop_over_units_agree(network):
    for seed in range(5):
        theta = start(network, seed)
        piece = network.piece(theta)
        value = float(piece.expression.subs(dict(zip(piece.variables, theta, strict=True))))
        assert network.value(theta) == pytest.approx(value)
        assert network.value(theta) == pytest.approx(loss_by_hand(network, theta))
        assert piece.contains(theta)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_gradient_is_that_of_the_piece_and_of_differences(network):
    theta, e = start(network, 3), 1e-6
    piece = modeq.derive(network.piece(theta), order=0).lambdify()
    assert np.allclose(network.gradient(theta), -piece(theta, 0.0))
    direction = np.random.default_rng(1).normal(size=network.size)
    slope = network.value(theta + e * direction) - network.value(theta - e * direction)
    assert network.gradient(theta) @ direction == pytest.approx(slope / (2 * e), rel=1e-5)


@pytest.mark.parametrize("network", NETWORKS[:2])
@pytest.mark.parametrize("order", [1, 2])
def test_on_a_piece_the_counter_terms_are_those_of_gradient_descent_on_the_network(network, order):
    theta = start(network, 5)
    equation = modeq.derive(network.piece(theta), order=order)
    errors = []
    for k in range(4):
        h = 0.02 / 2**k
        flow = equation.solve(theta, h=h, steps=1).theta
        assert network.crossings(flow) == []
        errors.append(np.linalg.norm(flow[1] - network.step(theta, h)))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.allclose(slopes, order + 2, atol=0.1)


def test_beyond_a_kink_the_counter_terms_no_longer_hold_and_the_crossing_is_reported():
    network = HomogeneousNetwork([1, 1, 1], [[1]], [-2])
    theta = np.array([0.1, 1.0])
    path = [theta]
    for _ in range(3):
        path.append(network.step(path[-1], 0.1))
    (crossing,) = network.crossings(path)
    assert crossing.step == 1
    assert crossing.units == ((1, 1, 1),)
    assert "unit 1 of layer 1" in str(crossing)
    assert not network.piece(theta).contains(path[1])


def test_on_a_kink_there_are_no_counter_terms_but_a_report():
    network = HomogeneousNetwork([2, 2, 1], INPUTS, TARGETS)
    theta = np.array([1.0, 1.0, 0.5, 0.5, 1.0, 1.0])  # both units get 0 at the point (1, -1)
    assert {(k.layer, k.unit, k.point) for k in network.kinks(theta)} == {(1, 1, 3), (1, 2, 3)}
    for refused in (network.piece, network.pattern, network.smallest_eigenvalue):
        with pytest.raises(NotSmooth, match=r"kink.*unit 1 of layer 1 .* at point 3, and 1 more"):
            refused(theta)
    assert not NETWORKS[0].piece(start(NETWORKS[0])).contains(np.zeros(9))


def test_units_that_are_zero_all_around_are_no_kinks():
    network = HomogeneousNetwork([1, 1, 1, 1], [[1], [0]], [2, 1])
    theta = [-1.0, 1.0, 1.0]  # the first unit is off, so the second gets 0 from nothing
    assert network.kinks(theta) == []
    assert network.piece(theta).expression == sympy.Rational(4 + 1, 4)
    assert np.all(network.gradient(theta) == 0)


def test_a_relu_network_with_all_units_on_is_the_linear_one():
    network = HomogeneousNetwork([2, 2, 1], [(1, 2), (3, 1)], [1, 2])
    linear = LinearNetwork([2, 2, 1], [(1, 2), (3, 1)], [1, 2])
    theta = np.abs(start(network, 1))
    assert (network.piece(theta).expression - linear.expression).expand() == 0
    assert network.smallest_eigenvalue(theta) == pytest.approx(linear.smallest_eigenvalue(theta))


def test_with_slope_one_leaky_units_are_linear():
    leaky = deep_network([2, 2, 1], INPUTS, TARGETS, activation="leaky-relu", slope=1)
    linear = deep_network([2, 2, 1], INPUTS, TARGETS)
    theta = start(leaky)
    assert (leaky.piece(theta).expression - linear.expression).expand() == 0


def hessian_by_differences(network, theta, e=1e-5):
    columns = []
    for i in range(network.size):
        step = e * np.eye(network.size)[i]
        columns.append((network.gradient(theta + step) - network.gradient(theta - step)) / (2 * e))
    return np.array(columns)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_smallest_eigenvalue_is_that_of_the_differences_of_gradients(network):
    theta = start(network, 11)
    expected = np.linalg.eigvalsh(hessian_by_differences(network, theta))[0]
    assert network.smallest_eigenvalue(theta) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_random_attacks_on_the_eigenvalue_bound_find_no_violation(network):
    rng = np.random.default_rng(17)
    closest = 0.0
    for _ in range(150):
        theta = rng.normal(size=network.size) * 10 ** rng.uniform(-1.5, 1)
        pattern = network.pattern(theta)
        smallest = smallest_on(network, theta, pattern)
        bound = network.eigenvalue_bound(theta)
        assert smallest >= bound - 1e-6 * (1 + abs(smallest))
        closest = max(closest, smallest / bound if bound else 0.0)
    assert closest > 0.02


def smallest_on(network, theta, pattern, e=1e-6):
    """Return the smallest eigenvalue on a piece, by differences of gradients on that piece."""
    columns = []
    for i in range(network.size):
        step = e * (1 + abs(theta[i])) * np.eye(network.size)[i]
        change = network.gradient(theta + step, pattern) - network.gradient(theta - step, pattern)
        columns.append(change / (2 * step[i]))
    hessian = np.array(columns)
    return np.linalg.eigvalsh((hessian + hessian.T) / 2)[0]


def test_the_eigenvalue_bound_is_attained_by_two_scalar_layers():
    network = HomogeneousNetwork([1, 1, 1], [[3]], [2])
    theta = [1e-9, 0.0]
    assert network.smallest_eigenvalue(theta) == pytest.approx(network.eigenvalue_bound(theta))


@pytest.mark.parametrize("network", [NETWORKS[1], NETWORKS[0]])
def test_a_rotated_balanced_start_is_balanced_and_off_the_kinks(network):
    product = np.array([[0.3, -0.7]])
    plain, rotated = network.balanced_start(product), network.balanced_start(product, rotation=1)
    assert network.kinks(plain)
    assert network.kinks(rotated) == []
    assert network.imbalance(rotated) < 1e-12
    matrices = network.weights(rotated)
    total = matrices[0]
    for w in matrices[1:]:
        total = w @ total
    assert np.allclose(total, product)


def test_gradient_flow_keeps_the_balance_of_each_unit_across_kinks():
    network = NETWORKS[0]
    flow = piecewise_flow(network, start(network, 0), h=0.5, steps=8)
    assert len(flow.crossings) >= 1

    def balances(theta):
        matrices = network.weights(theta)
        return np.concatenate(
            [np.sum(b**2, axis=0) - np.sum(a**2, axis=1) for a, b in itertools.pairwise(matrices)]
        )

    assert np.allclose(balances(flow.theta[0]), balances(flow.theta[-1]), atol=1e-8)


def test_on_a_piece_the_balance_of_units_is_among_the_conserved_quantities():
    network = HomogeneousNetwork([1, 2, 1], [[1], [2]], [1, -1], "leaky-relu")
    found = conserved(network.piece([1.0, -0.5, 0.3, 0.7]))
    texts = {str(q.expression) for q in found}
    assert {"w1_1_1**2 - w2_1_1**2", "w1_2_1**2 - w2_1_2**2"} <= texts


def test_the_flow_across_kinks_is_where_small_steps_of_gradient_descent_go():
    network = NETWORKS[0]
    theta0 = start(network, 0)
    flow = piecewise_flow(network, theta0, h=1.0, steps=4)
    theta = theta0
    for _ in range(8_000):
        theta = network.step(theta, 5e-4)
    assert flow.crossings
    assert np.linalg.norm(theta - flow.theta[-1]) < 1e-3


def test_a_flow_that_slides_along_a_kink_is_an_error():
    # Both sides of w1 = 0 lead back: the first point pushes it down, the second one up.
    network = HomogeneousNetwork([1, 1, 1], [[1], [-1]], [-1, -1])
    with pytest.raises(FlowError, match="slides along the kink"):
        piecewise_flow(network, [0.1, 1.0], h=1.0, steps=20)


def test_gradient_descent_converges_about_when_gradient_flow_does_across_kinks():
    network = HomogeneousNetwork([2, 4, 1], INPUTS, TARGETS, "leaky-relu")
    theta = start(network, 4)
    times = [convergence_times(network, theta, h=h, target=0.05) for h in (0.04, 0.02, 0.01)]
    assert len({round(t.flow, 6) for t in times}) == 1
    assert all(
        abs(t.descent - t.flow) < 5 * h for t, h in zip(times, (0.04, 0.02, 0.01), strict=True)
    )
    assert times[-1].ratio == pytest.approx(1, abs=0.05)


def test_a_target_that_is_not_reached_is_an_error():
    network = HomogeneousNetwork([1, 1, 1], [[1]], [2])
    assert arrival(network, [-1.0, 1.0], 0.1, 10.0) is None
    with pytest.raises(FlowError, match="does not reach"):
        convergence_times(network, [-1.0, 1.0], h=100.0, target=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3))
def test_scaling_the_weights_of_a_piece_stays_on_it(seed, scale):
    network = NETWORKS[1]
    theta = start(network, seed)
    assert network.pattern(theta) == network.pattern(scale * theta)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "tanh"},
        {"activation": "relu", "slope": 0.1},
        {"activation": "leaky-relu", "slope": -1},
        {"activation": "leaky-relu", "slope": 2},
        {"activation": "linear", "slope": 0.5},
        {"activation": "relu", "loss": "hinge"},
    ],
)
def test_activations_slopes_and_losses_that_cannot_be_right_are_refused(options):
    with pytest.raises(InvalidValue):
        deep_network([2, 2, 1], INPUTS, TARGETS, **options)


def test_points_of_the_wrong_shape_are_refused():
    with pytest.raises(InvalidPoint):
        NETWORKS[0].pattern([1.0, 2.0])
    with pytest.raises(InvalidPoint, match="shape"):
        NETWORKS[0].kinks(np.ones((2, NETWORKS[0].size)))


@pytest.mark.parametrize("theta", [[[1.0] * 6] * 2, [1j] * 6, ["a"] * 6])
def test_functions_of_one_point_refuse_several_points_and_what_is_not_real(theta):
    network = HomogeneousNetwork([2, 2, 1], INPUTS, TARGETS)
    for function in (network.value, network.gradient, network.eigenvalue_bound, network.kinks):
        with pytest.raises(InvalidPoint):
            function(theta)


def test_flows_and_descent_start_at_finite_points_of_a_loss():
    network = HomogeneousNetwork([2, 2, 1], INPUTS, TARGETS)
    theta = np.array([np.nan, 1, 1, 1, 1, 1])
    with pytest.raises(InvalidPoint, match="finite"):
        piecewise_flow(network, theta, h=0.1, steps=1)
    with pytest.raises(InvalidPoint, match="finite"):
        convergence_times(network, theta, h=0.1, target=0.1)
    with pytest.raises(InvalidLoss, match="is a vector field"):
        convergence_times(modeq.VectorField(["-x"]), [1.0], h=0.1, target=0.1)


@pytest.mark.parametrize("label", [1, -1])
def test_the_logistic_loss_has_gradients_far_away(label):
    network = HomogeneousNetwork([1, 1], [[1]], [label], loss="logistic")
    far = np.array([1000.0])
    slopes = sorted([network.gradient(far)[0], network.gradient(-far)[0]], key=abs)
    assert slopes == [0.0, -label]
