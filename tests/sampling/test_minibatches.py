"""Minibatches follow the fields that the literature prints, in both clocks."""

from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import oracle
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Minibatches, State, shuffled_field
from modeq.errors import InvalidLoss, InvalidMethod, InvalidOrder
from modeq.sampling.minibatches import SAMPLINGS

x, y = sympy.symbols("x y")
h = sympy.Symbol("h", positive=True)
LOSSES = [
    modeq.Loss(x**2 * y / 2 + y**2, (x, y)),
    modeq.Loss((x - 1) ** 2 / 2 + x * y**2 / 3, (x, y)),
    modeq.Loss(x * y + (y + 1) ** 3 / 6, (x, y)),
]
M = len(LOSSES)
SUM = sum(loss.expression for loss in LOSSES)
NORMS = sum(loss.gradient.dot(loss.gradient) for loss in LOSSES)


def descent(potential):
    return sympy.Matrix([-potential.diff(v) for v in (x, y)])


def vanishes(column):
    return all(sympy.expand(entry) == 0 for entry in column)


def bracket(losses):
    pairs = combinations(losses, 2)
    terms = [b.hessian * a.gradient - a.hessian * b.gradient for a, b in pairs]
    return sum(terms, sympy.zeros(2, 1)) / 2


def test_the_fixed_order_has_the_noise_term_and_the_brackets():
    equation = modeq.derive(Minibatches(LOSSES), 1)
    assert vanishes(equation.counter_terms[0] - descent(NORMS / 4) - bracket(LOSSES))
    with pytest.raises(modeq.errors.NotAGradient):
        equation.modified_loss()


def test_random_shuffling_has_the_noise_term_of_smith_et_al_in_the_clock_of_steps():
    batches = Minibatches(LOSSES, "shuffled", clock="step")
    found = batches.in_learning_rate(modeq.derive(batches, 1).modified_loss())
    expected = SUM / M + h / (4 * M) * NORMS
    assert vanishes(descent(found - expected))


def test_random_shuffling_has_the_same_noise_term_for_the_sum_in_the_clock_of_epochs():
    equation = modeq.derive(Minibatches(LOSSES, "shuffled"), 1)
    assert vanishes(equation.field - descent(SUM + h / 4 * NORMS))


def test_paired_reversal_cancels_the_brackets():
    equation = modeq.derive(Minibatches(LOSSES, "paired reversal"), 1)
    assert vanishes(equation.field - descent(SUM + h / 8 * NORMS))


def test_a_step_with_replacement_is_in_the_mean_one_of_gradient_descent():
    batches = Minibatches(LOSSES, "with replacement", clock="step")
    equation = modeq.derive(batches, 3)
    mean = modeq.derive(modeq.Loss(SUM / M, (x, y)), 3)
    assert batches.learning_rate == h
    assert vanishes(equation.field - mean.field)


def test_an_epoch_with_replacement_departs_from_gradient_descent_on_the_mean_at_h_squared():
    batches = Minibatches(LOSSES, "epoch with replacement", clock="step")
    found = batches.in_learning_rate(modeq.derive(batches, 2).field)
    mean = modeq.derive(modeq.Loss(SUM / M, (x, y)), 2).field
    # ∇³L̄[C] for a constant matrix C is the gradient of C:∇²L̄.
    g = sympy.Matrix([SUM.diff(v) / M for v in (x, y)])
    outer = [(loss.gradient - g) * (loss.gradient - g).T for loss in LOSSES]
    covariance = sum(outer, sympy.zeros(2, 2)) / M
    third = [
        sum(
            (SUM / M).diff(v, a, b) * covariance[i, j]
            for i, a in enumerate((x, y))
            for j, b in enumerate((x, y))
        )
        for v in (x, y)
    ]
    assert vanishes(found - mean + h**2 * sympy.Rational(M - 1, 4) * sympy.Matrix(third))


def gradient(loss, theta):
    return np.array(loss.gradient.subs(dict(zip((x, y), theta, strict=True))), float).ravel()


def loop(losses, rate, theta):
    for loss in losses:
        theta = theta - rate * gradient(loss, theta)
    return theta


START = np.array([0.3, -0.2])
TRAVERSALS = {
    "cyclic": [LOSSES],
    "shuffled": list(permutations(LOSSES)),
    "paired reversal": [LOSSES + LOSSES[::-1]],
    "with replacement": [[loss] for loss in LOSSES],
    "epoch with replacement": [[a, b, c] for a in LOSSES for b in LOSSES for c in LOSSES],
}


@pytest.mark.parametrize("clock", ["epoch", "step"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_method_takes_steps_of_the_learning_rate(sampling, clock):
    batches = Minibatches(LOSSES, sampling, clock)
    [_, reached] = modeq.iterate(batches, START, h=0.1, steps=1)
    rate = float(batches.learning_rate.subs(h, 0.1))
    expected = np.mean([loop(order, rate, START) for order in TRAVERSALS[sampling]], axis=0)
    assert np.allclose(reached, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("clock", ["epoch", "step"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_clock_is_the_time_that_the_steps_take(sampling, clock):
    batches = Minibatches(LOSSES, sampling, clock)
    scale = 1 if clock == "epoch" else M
    equation = modeq.derive(batches, 0)
    assert vanishes(equation.field - descent(SUM) / scale)
    steps = len(TRAVERSALS[sampling][0])
    time_of_a_step = batches.learning_rate * (1 if clock == "step" else Fraction(1, M))
    assert sympy.expand(steps * time_of_a_step - h) == 0


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_slopes_are_those_of_the_order(sampling):
    equation = modeq.derive(Minibatches(LOSSES, sampling, "step"), 1)
    assert equation.check(START, h=Fraction(1, 8)).passed


@pytest.mark.parametrize("sampling", ["cyclic", "shuffled", "paired reversal"])
def test_the_field_is_certified(sampling):
    assert modeq.derive(Minibatches(LOSSES, sampling), 2).certify()


coefficients = st.lists(st.integers(-3, 3), min_size=4, max_size=4)


def polynomial(c):
    return modeq.Loss(c[0] * x**3 + c[1] * x**2 * y + c[2] * x * y**2 + c[3] * y**2 + x, (x, y))


@settings(max_examples=8)
@given(st.lists(coefficients, min_size=2, max_size=4))
def test_the_closed_form_of_the_mean_is_what_all_orders_give(rows):
    losses = list(map(polynomial, rows))
    enumerated = modeq.derive(Minibatches(losses, "shuffled"), 2).field
    assert vanishes(shuffled_field(losses, 2) - enumerated)


@settings(max_examples=5)
@given(st.lists(coefficients, min_size=6, max_size=8))
def test_the_closed_form_holds_for_any_number_of_batches(rows):
    losses = list(map(polynomial, rows))
    norms = sum(loss.gradient.dot(loss.gradient) for loss in losses)
    total = sum(loss.expression for loss in losses)
    assert vanishes(shuffled_field(losses) - descent(total + h / 4 * norms))


def test_the_closed_form_knows_functions_and_the_clock_of_steps():
    losses = ["exp(x) + a*y**2", "sin(x*y)", "x*y"]
    batches = Minibatches(losses, "shuffled", "step", variables="x y")
    enumerated = modeq.derive(batches, 2).field
    difference = shuffled_field(batches, 2) - enumerated
    values = {x: 0.3, y: 0.7, sympy.Symbol("a"): 0.2, h: 0.5}
    assert all(abs(sympy.N(entry.subs(values), 20)) < 1e-12 for entry in difference)


def test_the_closed_form_at_order_zero_is_the_sum():
    assert vanishes(shuffled_field(LOSSES, 0) - descent(SUM))


def test_identical_batches_are_gradient_descent_with_smaller_steps():
    batches = Minibatches(["x**3/3 + x"] * 4, "cyclic", "step")
    found = batches.in_learning_rate(modeq.derive(batches, 3).field)
    assert found == modeq.derive("x**3/3 + x", 3).field.expand()


BETA = sympy.Rational(1, 2)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_no_momentum_is_none(sampling):
    plain, zero = (Minibatches(LOSSES[:2], sampling, momentum=beta) for beta in (None, 0))
    assert vanishes(modeq.derive(plain, 2).field - modeq.derive(zero, 2).field)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_heavy_ball_over_identical_batches_is_a_heavy_ball(sampling):
    batches = Minibatches(["x**3/3"] * 2, sampling, momentum=BETA, clock="step")
    found = batches.in_learning_rate(modeq.derive(batches, 2).field)
    assert found == modeq.derive("x**3/3", 2, modeq.HeavyBall(BETA)).field.expand()


def epoch_matrix(curvatures, lr, beta):
    """Return the matrix by which a heavy ball through quadratic losses multiplies (x, v)."""
    epoch = sympy.eye(2)
    for curvature in curvatures:
        epoch = sympy.Matrix([[1 - lr * curvature, -lr * beta], [curvature, beta]]) * epoch
    return epoch


QUADRATICS = {
    "cyclic": [(1, 3)],
    "shuffled": [(1, 3), (3, 1)],
    "epoch with replacement": [(1, 1), (1, 3), (3, 1), (3, 3)],
}


@pytest.mark.parametrize("beta", [BETA, sympy.Rational(9, 10)])
@pytest.mark.parametrize("sampling", QUADRATICS)
def test_on_quadratics_momentum_follows_the_slow_eigenvalue_of_an_epoch(sampling, beta):
    lr = h
    matrices = [epoch_matrix(curvatures, lr, beta) for curvatures in QUADRATICS[sampling]]
    epoch = sum(matrices, sympy.zeros(2, 2)) / len(matrices)
    equation = modeq.derive(Minibatches(["x**2/2", "3*x**2/2"], sampling, momentum=beta), 2)
    rate = sympy.expand(equation.field[0] / x)
    # The characteristic polynomial vanishes at exp(h rate) through h³.
    root = sympy.series(sympy.exp(lr * sympy.Symbol("r")), lr, 0, 5).removeO()
    root = root.subs(sympy.Symbol("r"), rate)
    polynomial = sympy.expand(root**2 - epoch.trace() * root + epoch.det())
    assert [polynomial.coeff(lr, k) for k in range(4)] == [0, 0, 0, 0]
    assert polynomial.coeff(lr, 4) != 0


def test_the_momentum_may_be_a_symbol():
    beta = sympy.Symbol("beta")
    symbolic, fixed = (modeq.derive(Minibatches(LOSSES, momentum=b), 1) for b in (beta, BETA))
    assert vanishes(symbolic.field.subs(beta, BETA) - fixed.field)


def heavy_ball(losses, rate, theta, velocity):
    for loss in losses:
        velocity = 0.5 * velocity + gradient(loss, theta)
        theta = theta - rate * velocity
    return np.array([theta, velocity])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_momentum_through_batches_takes_the_steps_of_a_heavy_ball(sampling):
    batches = Minibatches(LOSSES, sampling, momentum=BETA)
    rate, moving = float(batches.learning_rate.subs(h, 0.1)), np.array([0.2, 0.1])
    state = State(theta=START, velocity=moving)
    state = batches.method.step(state, None, 0.1, float)
    ends = [heavy_ball(order, rate, START, moving) for order in TRAVERSALS[sampling]]
    expected = np.mean(ends, axis=0)
    assert np.allclose([state.theta, state.velocity], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sampling", ["cyclic", "shuffled"])
def test_the_slopes_with_momentum_are_those_of_the_order_from_the_shifted_start(sampling):
    equation = modeq.derive(Minibatches(LOSSES[:2], sampling, momentum=0.3), 1)
    assert equation.check(START, h=Fraction(1, 16)).passed
    assert np.linalg.norm(equation.start(START, h=0.1) - START) > 0.01


def test_batches_bring_their_method():
    batches = Minibatches(LOSSES, "paired reversal")
    assert modeq.derive(batches, 1).method == modeq.PairedReversal(M)
    other = modeq.derive(batches, 1, modeq.CyclicEpoch(M))
    assert other.method == modeq.CyclicEpoch(M)
    table = modeq.compare(batches, START, h=0.1, steps=3, orders=(0, 1))
    expected = modeq.iterate(batches, START, h=0.1, steps=3, method=modeq.PairedReversal(M))
    assert np.array_equal(table.iterates, expected)


def test_parameters_get_values():
    batches = Minibatches(["a*x**2", "b*x**2"], "shuffled", "step", variables="x")
    fixed = batches.subs({"a": 2})
    assert (fixed.sampling, fixed.clock, fixed.learning_rate) == ("shuffled", "step", h / 2)
    assert fixed.losses[0] == modeq.Loss("2*x**2", "x")
    assert repr(fixed).endswith("'shuffled', clock='step')")


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (["x**2", "y**2"], "part 1 has the variables y, but part 0 has x; .*variables=..."),
        (["x**2"], "the field has 1 parts; it must have at least two"),
        ([modeq.VectorField(["x"]), "x**2"], "is no loss; a field in parts"),
    ],
)
def test_losses_that_do_not_fit_are_refused(losses, message):
    with pytest.raises(InvalidLoss, match=message):
        Minibatches(losses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "random"}, "sampling is 'random'; it must be one of 'cyclic', 'shuffled'"),
        ({"clock": "batch"}, "clock is 'batch'; it must be one of 'epoch', 'step'"),
    ],
)
def test_unknown_choices_are_refused(options, message):
    with pytest.raises(InvalidMethod, match=message):
        Minibatches(["x**2", "x**4"], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1}, r"beta of heavy ball, cyclic is 1; it must be in \[0, 1\)"),
        ({"momentum": -0.1}, r"it must be in \[0, 1\)"),
    ],
)
def test_a_method_that_there_is_not_is_refused_when_it_is_needed(options, message):
    batches = Minibatches(["x**2", "x**4"], **options)
    with pytest.raises(InvalidMethod, match=message):
        modeq.derive(batches, 1)


def test_more_than_five_shuffled_batches_are_sent_to_the_closed_form():
    batches = Minibatches(["x**2"] * 6, "shuffled")
    with pytest.raises(InvalidMethod, match="for at most 5, and for more by shuffled_field"):
        modeq.derive(batches, 1)
    assert shuffled_field(batches).shape == (1, 1)


def test_the_closed_form_ends_at_the_second_power():
    with pytest.raises(InvalidOrder, match=r"order is 3; .* through h\*\*2"):
        shuffled_field(LOSSES, 3)


def test_parameters_of_the_losses_get_values_under_momentum_too():
    beta = sympy.Symbol("beta")
    batches = Minibatches(["a*x**2/2", "x**4"], momentum=beta, variables="x")
    values = {"a": 2, "beta": Fraction(1, 2)}
    fixed = modeq.derive(Minibatches(["x**2", "x**4"], momentum=Fraction(1, 2)), 1)
    equation = modeq.derive(batches, 1)
    assert oracle.same(equation.subs(values).field, fixed.field)
    assert oracle.same(equation.subs({"a": 2}).subs({"beta": Fraction(1, 2)}).field, fixed.field)
    assert equation.check([0.5], h=0.02, parameters=values).passed
