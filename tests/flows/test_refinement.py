"""The optimizer is compared with itself at smaller steps, for formulas and for networks."""

import numpy as np
import pytest

import modeq
from modeq import problems, step_refinement
from modeq.errors import FlowError, InvalidPoint, InvalidStep, InvalidValue
from modeq.networks import data
from modeq.networks.models import FullyConnected


def small_network(activation):
    rng = np.random.default_rng(3)
    return FullyConnected(
        (4, 6, 5, 3), rng.normal(size=(20, 4)), rng.integers(0, 3, 20), activation
    )


@pytest.mark.parametrize("name", ["rosenbrock", "double-well", "two-layer"])
def test_distances_are_those_of_iterates_at_equal_times(name):
    loss = problems.named(name)
    refinement = step_refinement(loss, steps=6, factors=(2, 5))
    coarse = modeq.iterate(loss, loss.start, h=loss.h, steps=6)
    for r in (2, 5):
        fine = modeq.iterate(loss, loss.start, h=loss.h / r, steps=6 * r)[::r]
        assert np.allclose(refinement.distances[r], np.linalg.norm(fine - coarse, axis=1))
    assert refinement.t[-1] == pytest.approx(6 * loss.h)


def test_the_estimates_agree_with_each_other_and_with_the_distance_to_gradient_flow():
    loss, h = problems.two_layer(), 0.01
    refinement = step_refinement(loss, h=h, steps=50)
    comparison = modeq.compare(loss, h=h, steps=50, orders=(0,))
    for estimate in refinement.estimates.values():
        assert estimate == pytest.approx(comparison.errors[0][-1], rel=0.05)


def test_a_step_function_gives_what_its_loss_gives():
    loss = problems.cosine()
    by_loss = step_refinement(loss, h=0.2, steps=5)
    by_step = step_refinement(
        lambda x, h: x + h * np.sin(x), [1.0], h=0.2, steps=5, value=lambda x: np.cos(x[0])
    )
    for r in by_loss.factors:
        assert np.allclose(by_loss.distances[r], by_step.distances[r])
        assert np.allclose(by_loss.losses[r], by_step.losses[r])


def test_a_gradient_function_gives_what_its_loss_gives():
    by_loss = step_refinement("cos(x)", [1.0], h=0.2, time=1.0)
    by_gradient = step_refinement(
        lambda x: -np.sin(x), [1.0], h=0.2, time=1.0, is_gradient=True, value=lambda x: np.cos(x[0])
    )
    for r in by_loss.factors:
        assert np.allclose(by_loss.distances[r], by_gradient.distances[r])
        assert np.allclose(by_loss.losses[r], by_gradient.losses[r])
    assert by_loss.moved[-1] == pytest.approx(
        abs(modeq.iterate("cos(x)", [1], h=0.2, steps=5)[-1] - 1)
    )


def test_a_time_that_is_no_multiple_of_h_is_refused_with_those_nearby():
    with pytest.raises(InvalidStep, match=r"time is 0.55; .* h = 0.1, such as 0.5 or 0.6"):
        step_refinement("x**2", [1.0], h=0.1, time=0.55)
    with pytest.raises(InvalidStep, match="give one of them"):
        step_refinement("x**2", [1.0], h=0.1, time=0.5, steps=5)


def test_without_a_loss_only_distances_are_compared():
    refinement = step_refinement(lambda x, h: x - h * x, [1.0], h=0.1, steps=3)
    assert refinement.losses == {}
    assert "h/20" in str(refinement)


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky-relu"])
def test_backpropagation_agrees_with_differences(activation):
    net = small_network(activation)
    theta = net.start(seed=2)
    direction = np.random.default_rng(0).normal(size=net.dimension)
    e = 1e-6
    slope = (net.value(theta + e * direction) - net.value(theta - e * direction)) / (2 * e)
    assert net.gradient(theta) @ direction == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_networks_are_refined_and_smaller_learning_rates_change_less(activation):
    net = small_network(activation)
    theta = net.start()
    ends = []
    for h in (0.1, 0.01):
        refinement = step_refinement(
            net.step, theta, h=h, steps=round(1 / h), factors=(2, 10), value=net.value
        )
        assert refinement.distances[2][-1] < refinement.distances[10][-1]
        ends.append(refinement.distances[10][-1])
    assert 5 < ends[0] / ends[1] < 20


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_on_digits_the_protocol_of_the_paper_runs(activation):
    pytest.importorskip("sklearn")
    digits = data.digits(200)
    net = FullyConnected((64, 50, 50, 10), digits.inputs, digits.labels, activation)
    refinement = step_refinement(net.step, net.start(), h=0.001, steps=5, value=net.value)
    assert refinement.factors == (2, 5, 10, 20)
    assert refinement.distances[20].max() < 0.01 * refinement.moved[-1]
    estimates = list(refinement.estimates.values())
    assert max(estimates) < (1.05 if activation == "linear" else 2) * min(estimates)
    assert refinement.losses[1][-1] < refinement.losses[1][0]


@pytest.mark.parametrize("factors", [5, None, (), (1,), (2, 0), (2.5,), (True,)])
def test_factors_that_are_no_whole_numbers_above_one_are_refused(factors):
    with pytest.raises(InvalidValue, match="factors"):
        step_refinement("x**2", [1.0], h=0.1, factors=factors)


def test_other_arguments_that_cannot_be_right_are_refused():
    with pytest.raises(InvalidStep):
        step_refinement("x**2", [1.0], h=0)
    with pytest.raises(InvalidStep):
        step_refinement("x**2", [1.0], h=0.1, steps=0)
    with pytest.raises(InvalidPoint):
        step_refinement(lambda x, h: x, "here", h=0.1)
    with pytest.raises(FlowError):
        step_refinement("x**4", [10.0], h=1.0, steps=50)
    with pytest.raises(FlowError, match="shape"):
        step_refinement(lambda x, h: x[:1], [1.0, 2.0], h=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        ((2, 2), [[1.0]], [0]),
        ((1, 2), [[1.0]], [2]),
        ((1, 2), [[1.0]], [0.5]),
        ((1, 2), [[1.0]], [0], "tanh"),
        ((1, 2), [[1.0]], [0], ["relu"]),
        ((1, 2.5), [[1.0]], [0]),
        ((), [[1.0]], [0]),
        (3, [[1.0]], [0]),
        ((1, 2), np.zeros((0, 1)), np.zeros(0, int)),
    ],
)
def test_networks_that_cannot_be_right_are_refused(arguments):
    with pytest.raises(InvalidValue):
        FullyConnected(*arguments)
