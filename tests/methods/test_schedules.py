"""Learning-rate schedules."""

import numpy as np
import pytest
import sympy

import modeq
from modeq import (
    SAM,
    SGD,
    Adam,
    AdamW,
    EMAMomentum,
    Lion,
    Lookahead,
    NormalizedGradientDescent,
    OptimisticGradient,
    QHMomentum,
    RMSProp,
    State,
    StochasticCoordinateDescent,
    UnnormalizedSAM,
    scheduled,
)
from modeq.errors import InvalidLoss, InvalidMethod
from modeq.flows.fields import gradient_field
from modeq.methods.two_steps import as_optimizer

LOSS = modeq.Loss("x**4/4 + x**2*y/2 + lam*y**2", variables="x y")
T = sympy.Symbol("t")
RATES = ["1/(1 + t)", "exp(-c*t)", "(1 + cos(t))/2", "c"]


@pytest.mark.parametrize("rate", RATES)
def test_the_schedule_adds_its_slope_to_the_counter_term(rate):
    eta = sympy.sympify(rate)
    found = modeq.derive(scheduled(LOSS, rate), 1).counter_terms[0]
    expected = (eta.diff(T) * LOSS.gradient - eta**2 * LOSS.hessian * LOSS.gradient) / 2
    assert sympy.simplify(sympy.Matrix(found[:2]) - expected) == sympy.zeros(2, 1)
    assert found[2] == 0


@pytest.mark.parametrize("method", [modeq.RungeKutta([[0.5]], [1]), "adams-bashforth-2"])
def test_integrators_count_the_time_right(method):
    equation = modeq.derive(scheduled("x**3/3", "1/(1 + t)"), 2, method)
    assert equation.field[1] == 1


def test_a_method_that_counts_the_time_wrong_is_refused():
    double = lambda theta, f, h: theta + 2 * h * f(theta)  # noqa: E731
    with pytest.raises(
        InvalidMethod, match=r"does not count the time of a schedule right: it .* 2"
    ):
        modeq.derive(scheduled("x**3/3", "t"), 1, double)


def test_gradients_at_points_ahead_are_refused():
    with pytest.raises(InvalidMethod, match="takes the gradient at points ahead"):
        modeq.derive(scheduled("x**3/3", "t"), 1, modeq.Nesterov(0.5))


def test_the_iterates_have_the_learning_rates_of_the_schedule():
    h, x, expected = 0.1, 1.0, [1.0]
    for n in range(5):
        x = x - h / (1 + n * h) * x**3
        expected.append(x)
    found = modeq.iterate(scheduled("x**4/4", "1/(1 + t)"), [1.0, 0.0], h=h, steps=5)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], h * np.arange(6), rtol=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_flow_follows_the_schedule_to_its_order(order):
    equation = modeq.derive(scheduled("x**4/4", "1/(1 + t)"), order)
    assert equation.check([1.0, 0.0], h=0.1).passed


def test_parameters_of_the_loss_may_stand_in_the_schedule():
    field = scheduled(LOSS, "1/(1 + lam*t)")
    assert field.parameters == (sympy.Symbol("lam"),)


BAD = [
    ({"eta": "1/(1 + x)"}, r"eta = 1/\(x \+ 1\) depends on x; a schedule depends on the time t"),
    ({"eta": "t", "time": "y"}, "the time has the name y, which the loss has too"),
    ({"eta": "t", "time": "s t"}, "time is 's t'; it must be one name"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_schedules_that_are_none_are_refused(arguments, message):
    with pytest.raises(InvalidLoss, match=message):
        scheduled(LOSS, **arguments)


OPTIMIZERS = {
    "sgd": SGD(0.5),
    "dampening": SGD(0.5, dampening=0.25, weight_decay=0.125),
    "nesterov": SGD(0.5, nesterov=True, weight_decay=0.125, decoupled=True),
    "ema": EMAMomentum(0.5, weight_decay=0.125),
    "quasi-hyperbolic": QHMomentum(0.5, 0.75),
    "adam": Adam(0.5, 0.75, epsilon=1, weight_decay=0.125),
    "adamw": AdamW(0.5, 0.75, epsilon=1),
    "rmsprop": RMSProp(0.5, epsilon=1, momentum=0.5, weight_decay=0.125),
    "lion": Lion(0.5, 0.75, weight_decay=0.125),
    "normalized": NormalizedGradientDescent(),
    "optimistic": OptimisticGradient(),
    "lookahead": Lookahead(2),
    "sam": SAM(rho=0.125),
    "unnormalized sam": UnnormalizedSAM(rho_over_h=0.5),
    "coordinates": StochasticCoordinateDescent(),
    "heavy ball": modeq.HeavyBall(0.5),
    "parameters": modeq.Nesterov(0.5, sequence="parameters"),
}
ETA = "1/(1 + t) + t**2"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_schedule_multiplies_the_updates_of_every_optimizer(name):
    """The same rule without a schedule, whose updates are multiplied from outside."""
    method, h, steps = OPTIMIZERS[name], 0.1, 6
    loss = modeq.Loss("x**4/4 + x**2*y/2 + y**2")
    found = modeq.iterate(scheduled(loss, ETA), [0.75, 0.5, 0.25], h=h, steps=steps, method=method)
    field = gradient_field(loss)
    state, time = np.array([0.75, 0.5]), 0.25
    rule = as_optimizer(method)
    state = State(theta=state, **{slot: np.zeros(2) for slot in rule.memory})
    for k in range(steps + 1):
        np.testing.assert_allclose(found[k], [*state.theta, time], rtol=1e-12)
        following = rule.step(state, lambda point: -field(point, 0.0), h, float)
        eta = 1 / (1 + time) + time**2
        theta = state.theta + eta * (following.theta - state.theta)
        state, time = following.replace(theta=theta), time + h


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_flows_of_scheduled_optimizers_have_their_order_and_the_clock(name):
    equation = modeq.derive(scheduled("x**4/4 + x**2/2", "1/(1 + t)"), 1, OPTIMIZERS[name])
    assert equation.field[1] == 1
    assert equation.check([0.75, 0.25], h=0.02).passed
    assert equation.certify().holds


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "adamw", "lion", "rmsprop"])
def test_scheduled_optimizers_are_those_of_optax(name):
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")
    h = 0.1
    schedule = lambda count: h / (1 + h * count)  # noqa: E731
    transformations = {
        "sgd": (SGD(0.5), optax.sgd(schedule, 0.5)),
        "nesterov": (SGD(0.5, nesterov=True), optax.sgd(schedule, 0.5, nesterov=True)),
        "adam": (
            Adam(0.5, 0.75, epsilon=0.25, epsilon_inside=False),
            optax.adam(schedule, 0.5, 0.75, 0.25),
        ),
        "adamw": (
            AdamW(0.5, 0.75, epsilon=0.25, epsilon_inside=False, weight_decay=0.125),
            optax.adamw(schedule, 0.5, 0.75, 0.25, weight_decay=0.125),
        ),
        "lion": (
            Lion(0.5, 0.75, weight_decay=0.125),
            optax.lion(schedule, 0.5, 0.75, weight_decay=0.125),
        ),
        "rmsprop": (RMSProp(0.5, epsilon=0.25), optax.rmsprop(schedule, 0.5, 0.25)),
    }
    method, transformation = transformations[name]
    theta = jax.numpy.array([0.75, 0.5])
    state, expected = transformation.init(theta), [theta]
    for _ in range(6):
        updates, state = transformation.update(theta**3 + theta, state, theta)
        theta = optax.apply_updates(theta, updates)
        expected.append(theta)
    field = scheduled("x**4/4 + x**2/2 + y**4/4 + y**2/2", "1/(1 + t)")
    found = modeq.iterate(field, [0.75, 0.5, 0.0], h=h, steps=6, method=method)
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-6)  # optax has float32 here


def test_values_of_parameters_go_into_the_schedule_too():
    field = scheduled(modeq.Loss("a*x**2/2", variables="x"), "c/(1 + a*t)")
    equation = modeq.derive(field, 1, SGD(sympy.Symbol("mu")))
    found = equation.subs({"a": 2, "c": 3, "mu": sympy.Rational(1, 2)})
    other = scheduled("x**2", "3/(1 + 2*t)")
    assert found.field == modeq.derive(other, 1, SGD(0.5)).field


def test_a_field_in_parts_has_no_schedule():
    with pytest.raises(InvalidLoss, match="a schedule is for a loss or field in one piece"):
        scheduled(modeq.VectorField(["-y", "x"], "x y").split("x", "y"), "t")
