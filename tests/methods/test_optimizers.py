"""Ready optimizers: their fields against formulas, against each other, and against themselves."""

import math
from fractions import Fraction
from functools import partial
from itertools import pairwise

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
    Extragradient,
    HeavyBall,
    LinearMultistep,
    Lion,
    Lookahead,
    Nesterov,
    NormalizedGradientDescent,
    OptimisticGradient,
    QHMomentum,
    RMSProp,
    State,
    StochasticCoordinateDescent,
    UnnormalizedSAM,
    adam_counter_term,
    optimizer,
    repeated,
)
from modeq.errors import InvalidLoss, InvalidMethod, InvalidPoint, NotSmooth
from modeq.methods.named import NAMED_OPTIMIZERS, REFUSED, name_of

HALF = Fraction(1, 2)
LOSS = modeq.Loss("x**4/4 + x**2*y/2 + y**2")
X, Y = LOSS.variables
G = LOSS.gradient
HESSIAN = LOSS.hessian
BETA, RHO, EPSILON = sympy.symbols("beta rho epsilon", positive=True)
VALUES = {BETA: 0.7, RHO: 0.9, EPSILON: 0.3, X: 0.8, Y: -0.6}
"""Values of all symbols, at a point where the gradient has coordinates of both signs."""


def column(entries):
    return sympy.Matrix(list(entries))


def agree(found, expected):
    """Tell whether two columns have the same values at the point, to twenty digits."""
    exact = {x: sympy.Rational(str(value)) for x, value in VALUES.items()}
    difference = (sympy.Matrix(found) - sympy.Matrix(expected)).subs(exact)
    return all(abs(sympy.N(entry, 30)) < 1e-20 for entry in difference)


def lag_moment_terms(update, averages):
    """Return f and f₁ of θ⁺ = θ - h U(M), M_i = Σ w_ik φ_i(θ_{n-k}), by the lag-moment rule: with
    W the sum of the weights and τ their mean lag, f₁ = Σ ∂U/∂M W τ φ' f₀ - ½ f₀' f₀.

    Args:
        update: U for one coordinate as a function of its averages.
        averages: Triples of φ (a column), W, and τ.
    """
    moments = [sympy.Dummy() for _ in averages]
    rows = [
        dict(zip(moments, (w * phi[j] for phi, w, _ in averages), strict=True)) for j in range(2)
    ]
    f0 = column(-update(*moments).subs(row) for row in rows)
    theta = LOSS.variables
    lagged = column(
        sum(
            update(*moments).diff(moment).subs(row) * w * lag * (phi.jacobian(theta) * f0)[j]
            for moment, (phi, w, lag) in zip(moments, averages, strict=True)
        )
        for j, row in enumerate(rows)
    )
    return f0, lagged - f0.jacobian(theta) * f0 / 2


SQUARES = column(g**2 for g in G)
FIRST = (G, 1, BETA / (1 - BETA))
SECOND = (SQUARES, 1, RHO / (1 - RHO))
NOW = (G, 1, 0)

LAGGED = {
    "SGD": (SGD(BETA), lambda v: v, [(G, 1 / (1 - BETA), BETA / (1 - BETA))]),
    "dampening": (
        SGD(BETA, dampening=RHO),
        lambda v: v,
        [(G, (1 - RHO) / (1 - BETA), BETA / (1 - BETA))],
    ),
    "Nesterov": (
        SGD(BETA, nesterov=True),
        lambda g, v: g + BETA * v,
        [NOW, (G, 1 / (1 - BETA), BETA / (1 - BETA))],
    ),
    "EMA": (EMAMomentum(BETA), lambda m: m, [FIRST]),
    "QHM": (QHMomentum(BETA, RHO), lambda g, m: (1 - RHO) * g + RHO * m, [NOW, FIRST]),
    "optimistic": (
        OptimisticGradient(BETA, RHO),
        lambda g, last: (BETA + RHO) * g - RHO * last,
        [NOW, (G, 1, 1)],
    ),
    "RMSProp": (
        RMSProp(RHO, epsilon=EPSILON),
        lambda g, v: g / sympy.sqrt(v + EPSILON),
        [NOW, SECOND],
    ),
    "Adam": (
        Adam(BETA, RHO, epsilon=EPSILON),
        lambda m, v: m / sympy.sqrt(v + EPSILON),
        [FIRST, SECOND],
    ),
    "Adam, epsilon outside": (
        Adam(BETA, RHO, epsilon=EPSILON, epsilon_inside=False),
        lambda m, v: m / (sympy.sqrt(v) + EPSILON),
        [FIRST, SECOND],
    ),
}


@pytest.mark.parametrize(("method", "update", "averages"), LAGGED.values(), ids=LAGGED)
def test_the_term_of_order_h_obeys_the_lag_moment_rule(method, update, averages):
    equation = modeq.derive(LOSS, 1, method)
    f0, f1 = lag_moment_terms(update, averages)
    assert agree(equation.field.subs(equation.h, 0), f0)
    assert agree(equation.counter_terms[0], f1)


@pytest.mark.parametrize("inside", [True, False])
def test_adam_has_the_published_bias(inside):
    size = lambda g: sympy.sqrt(g**2 + EPSILON) if inside else sympy.sqrt(g**2) + EPSILON  # noqa: E731
    slopes = column(g / size(g) for g in G)
    lag = lambda b: (1 + b) / (1 - b)  # noqa: E731
    expected = []
    for g, along in zip(G, HESSIAN * slopes, strict=True):
        share = EPSILON / (g**2 + EPSILON) if inside else EPSILON / (sympy.sqrt(g**2) + EPSILON)
        bias = (lag(BETA) - lag(RHO) + lag(RHO) * share) * along / 2
        expected.append(-bias / size(g))
    method = Adam(BETA, RHO, epsilon=EPSILON, epsilon_inside=inside)
    assert agree(modeq.derive(LOSS, 1, method).counter_terms[0], expected)


@pytest.mark.parametrize("inside", [True, False])
def test_bias_correction_does_not_change_the_field(inside):
    fields = [
        modeq.derive(LOSS, 2, Adam(0.5, 0.75, epsilon=1, epsilon_inside=inside, bias_correction=b))
        for b in (True, False)
    ]
    assert agree(fields[0].field.subs("h", 1), fields[1].field.subs("h", 1))
    assert agree(fields[0].counter_terms[1], fields[1].counter_terms[1])


def test_decoupled_decay_is_not_scaled():
    decay = sympy.Symbol("decay", positive=True)
    method = AdamW(BETA, RHO, epsilon=EPSILON, weight_decay=decay)
    field = modeq.derive(LOSS, 0, method).field.subs(decay, Fraction(1, 3))
    assert agree(field, [-g / sympy.sqrt(g**2 + EPSILON) - x / 3 for g, x in zip(G, (X, Y))])  # noqa: B905


def test_normalized_sam_descends_on_the_norm_of_the_gradient_too():
    ratio = RHO
    found = modeq.derive(LOSS, 1, SAM(rho_over_h=ratio))
    size = sympy.sqrt(G.dot(G))
    potential = G.dot(G) / 4 + ratio * size
    assert agree(found.field.subs(found.h, 0), -G)
    assert agree(found.counter_terms[0], [-potential.diff(x) for x in (X, Y)])


def test_unnormalized_sam_descends_on_more_of_the_squared_gradient():
    ratio = RHO
    found = modeq.derive(LOSS, 1, UnnormalizedSAM(rho_over_h=ratio))
    potential = (sympy.Rational(1, 4) + ratio / 2) * G.dot(G)
    assert agree(found.counter_terms[0], [-potential.diff(x) for x in (X, Y)])


def test_sam_with_a_constant_radius_follows_the_gradient_uphill():
    found = modeq.derive(LOSS, 0, UnnormalizedSAM(RHO)).field
    uphill = {X: X + RHO * G[0], Y: Y + RHO * G[1]}
    assert agree(found, -G.subs(uphill, simultaneous=True))


@optimizer(memory=["velocity"], beta=...)
def nesterov_sequence(state, grad, h, p):
    """The sequence θ of Nesterov's method, with gradients ahead of it."""
    ahead = state.theta + p.beta * h * state.velocity
    velocity = p.beta * state.velocity - grad(ahead)
    return state.replace(theta=state.theta + h * velocity, velocity=velocity)


EQUAL = {
    "heavy ball": (SGD(BETA), HeavyBall(BETA), 1),
    "Nesterov": (SGD(BETA, nesterov=True), Nesterov(BETA, "parameters"), 1),
    "Nesterov, theta": (nesterov_sequence(beta=BETA), Nesterov(BETA, "theta"), 1),
    "EMA": (EMAMomentum(BETA), HeavyBall(BETA), 1 - BETA),
    "QHM with nu = 1": (QHMomentum(BETA, 1), HeavyBall(BETA), 1 - BETA),
    "QHM with nu = beta": (QHMomentum(BETA, BETA), Nesterov(BETA, "parameters"), 1 - BETA),
    "QHM with nu = 0": (QHMomentum(BETA, 0), modeq.GradientDescent(), 1),
    "optimistic": (
        OptimisticGradient(1, BETA),
        LinearMultistep((0, -1, 1), (-BETA, 1 + BETA, 0)),
        1,
    ),
    "extragradient": (
        optimizer()(
            lambda state, grad, h, p: state.replace(
                theta=state.theta - h * grad(state.theta - h * grad(state.theta))
            )
        )(),
        Extragradient(),
        1,
    ),
}


@pytest.mark.parametrize(("method", "table", "rate"), EQUAL.values(), ids=EQUAL)
def test_the_rule_and_the_table_have_the_same_field(method, table, rate):
    """The field of the rule at h, times h, is that of the table at rate times h, times that."""
    ours, theirs = modeq.derive(LOSS, 3, method), modeq.derive(LOSS, 3, table)
    assert agree(ours.field.subs(ours.h, 0), theirs.field.subs(theirs.h, 0) * rate)
    for k, (a, b) in enumerate(zip(ours.counter_terms, theirs.counter_terms, strict=True), 2):
        assert agree(a, b * rate**k)


def test_lookahead_that_keeps_all_is_gradient_descent_several_times():
    ours = modeq.derive(LOSS, 2, Lookahead(3, 1))
    composed = modeq.derive(LOSS, 2, repeated(modeq.GradientDescent(), 3))
    for k, (a, b) in enumerate(zip(ours.counter_terms, composed.counter_terms, strict=True), 2):
        assert agree(a, b * 3**k)


def test_lookahead_is_a_gradient_step_of_the_outer_clock():
    alpha = BETA
    found = modeq.derive(LOSS, 1, Lookahead(4, alpha))
    f = -G
    inner = f.jacobian((X, Y)) * f
    assert agree(found.field.subs(found.h, 0), 4 * alpha * f)
    assert agree(found.counter_terms[0], alpha * (6 - 8 * alpha) * inner)


def test_lookahead_that_keeps_all_of_one_step_is_the_inner_optimizer():
    inner = SGD(BETA, weight_decay=HALF)
    ours, theirs = (modeq.derive(LOSS, 2, m) for m in (Lookahead(1, 1, inner), inner))
    assert agree(ours.field, theirs.field)


def test_an_inner_optimizer_may_have_parameters_of_the_same_names():
    inner = OptimisticGradient(HALF, Fraction(1, 4))
    ours, theirs = (modeq.derive(LOSS, 1, m) for m in (Lookahead(1, 1, inner), inner))
    assert agree(ours.field, theirs.field)


def test_lookahead_on_an_optimizer_without_parameters_has_no_name_for_files():
    assert name_of(Lookahead(2)) == "lookahead"
    assert name_of(Lookahead(2, inner=NormalizedGradientDescent())) is None


def test_lion_without_decay_moves_with_constant_speed():
    equation = modeq.derive(LOSS, 2, Lion(BETA, RHO))
    assert agree(equation.field, [-g / sympy.sqrt(g**2) for g in G])
    assert equation.counter_terms[0] == equation.counter_terms[1] == sympy.zeros(2, 1)


def test_normalized_gradient_descent_has_the_field_of_its_map():
    f = -G / sympy.sqrt(G.dot(G))
    found = modeq.derive(LOSS, 1, NormalizedGradientDescent())
    assert agree(found.counter_terms[0], -f.jacobian((X, Y)) * f / 2)


def test_stochastic_coordinate_descent_is_the_mean_over_the_coordinates():
    theta, h = np.array([0.8, -0.6]), 0.1
    gradient = sympy.lambdify([(X, Y)], list(G))
    grad = lambda point: np.array(gradient(point))  # noqa: E731
    steps = [theta - h * grad(theta) * np.eye(2)[i] for i in range(2)]
    found = StochasticCoordinateDescent().step(State(theta=theta), grad, h, float).theta
    np.testing.assert_allclose(found, np.mean(steps, axis=0), rtol=1e-15)


def test_a_perfect_square_under_a_root_is_a_sign():
    field = modeq.derive("x**4/4", 1, Adam(epsilon=1, epsilon_inside=False)).lambdify()
    rate = lambda x: -(x**3) / (abs(x) ** 3 + 1)  # noqa: E731
    for x in (0.7, -0.7):
        assert field([x], 0.0)[0] == pytest.approx(rate(x), abs=1e-14)


# The first steps of Adam


def test_the_first_correction_of_adam_tends_to_its_field():
    far = adam_counter_term(LOSS, 2000, "7/10", "9/10", epsilon="3/10")
    method = Adam(0.7, 0.9, epsilon=0.3)
    assert agree(modeq.derive(LOSS, 1, method).counter_terms[0], far)


def test_the_first_step_of_adam_is_one_of_normalized_descent():
    n = sympy.Symbol("n", positive=True)
    general = adam_counter_term(LOSS, n, BETA, RHO, epsilon=EPSILON)
    f0 = column(-g / sympy.sqrt(g**2 + EPSILON) for g in G)
    assert agree(general.subs(n, 1), -f0.jacobian((X, Y)) * f0 / 2)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_the_first_correction_of_adam_gains_an_order(step, inside):
    method = Adam(0.7, 0.9, epsilon=0.3, epsilon_inside=inside)
    term = adam_counter_term(LOSS, step, 0.7, 0.9, epsilon=0.3, epsilon_inside=inside)
    f0 = modeq.derive(LOSS, 0, method).field
    h = sympy.Symbol("h")
    field = sympy.lambdify([(X, Y), h], list(f0 + h * term))
    start = [0.8, 0.6]
    errors = []
    for rate in (0.08 / 2**k for k in range(4)):
        iterates = modeq.iterate(LOSS, start, h=rate, steps=step, method=method)
        following = runge_kutta_step(partial(field, h=rate), iterates[-2], rate)
        errors.append(np.max(abs(following - iterates[-1])))
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert slopes[-1] == pytest.approx(3, abs=0.1)


def runge_kutta_step(rhs, theta, h, substeps=4):
    h = h / substeps
    for _ in range(substeps):
        k1 = np.array(rhs(theta))
        k2 = np.array(rhs(theta + h / 2 * k1))
        k3 = np.array(rhs(theta + h / 2 * k2))
        k4 = np.array(rhs(theta + h * k3))
        theta = theta + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return theta


def test_a_step_of_adam_before_the_first_is_refused():
    with pytest.raises(InvalidMethod, match=r"step is 0; it must be 1, 2, \.\.\., or a symbol"):
        adam_counter_term(LOSS, 0, 0.9, 0.99, epsilon=1)


@pytest.mark.parametrize("name", ["step", "beta1", "beta2", "epsilon"])
def test_parameters_of_adam_do_not_depend_on_the_variables(name):
    values = {"step": 2, "beta1": 0.9, "beta2": 0.99, "epsilon": 1, name: "x"}
    with pytest.raises(InvalidLoss, match=f"{name} is x, which depends on the variables x"):
        adam_counter_term(LOSS, **values)


# Against the optimizers themselves


CHECKED = {
    "SGD": SGD(HALF, weight_decay=HALF),
    "dampening": SGD(HALF, dampening=Fraction(1, 4)),
    "QHM": QHMomentum(HALF),
    "Adam": Adam(HALF, Fraction(3, 4), epsilon=Fraction(1, 10)),
    "Adam, epsilon outside": Adam(HALF, HALF, epsilon=HALF, epsilon_inside=False),
    "AdamW": AdamW(HALF, Fraction(3, 4), epsilon=HALF, weight_decay=HALF),
    "RMSProp": RMSProp(HALF, epsilon=HALF),
    "RMSProp, momentum": RMSProp(HALF, epsilon=HALF, momentum=HALF),
    "Lion": Lion(weight_decay=HALF),
    "normalized": NormalizedGradientDescent(),
    "optimistic": OptimisticGradient(),
    "lookahead": Lookahead(3),
    "lookahead, momentum": Lookahead(2, inner=SGD(HALF)),
    "lookahead, Adam": Lookahead(2, HALF, Adam(HALF, HALF, epsilon=1)),
    "SAM": SAM(rho_over_h=1),
    "SAM with a constant radius": SAM(),
    "unnormalized SAM": UnnormalizedSAM(rho_over_h=1),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("method", CHECKED.values(), ids=CHECKED)
def test_the_flow_follows_the_optimizer_to_its_order(method, order):
    report = modeq.derive(LOSS, order, method).check([0.8, 0.6], h=0.02)
    assert report.expected_local == order + 2
    assert report.passed, report


# Names and refusals


@pytest.mark.parametrize("make", NAMED_OPTIMIZERS.values(), ids=NAMED_OPTIMIZERS)
def test_an_optimizer_is_made_again_from_its_parameters(make):
    method = make()
    assert make(**dict(method.parameters), **dict(method.options)) == method


@pytest.mark.parametrize("name", NAMED_OPTIMIZERS)
def test_an_optimizer_is_known_by_its_name(name):
    found = modeq.derive("x**2/2", 0, name)
    assert found.method == NAMED_OPTIMIZERS[name]()


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_flow_is_refused_with_the_reason(name):
    with pytest.raises(InvalidMethod, match=REFUSED[name].split(":")[0][:30]):
        modeq.derive("x**2/2", 0, name)


BAD = [
    (lambda: SGD(momentum=1), r"momentum of SGD is 1; it must be in \[0, 1\)"),
    (lambda: SGD(momentum=-0.1), r"momentum of SGD is -0.1; it must be in \[0, 1\)"),
    (lambda: SGD(nesterov=True), "nesterov of SGD needs momentum and no dampening"),
    (lambda: SGD(dampening=0.5), "dampening of SGD is 0.5 without momentum"),
    (lambda: SGD(0.9, weight_decay=-1), "weight_decay of SGD is -1; it must be >= 0"),
    (lambda: SGD(momentun=0.9), "SGD has no parameter 'momentun': did you mean 'momentum'?"),
    (lambda: SGD(np.array([0.9, 0.5])), "momentum of SGD is array"),
    (lambda: RMSProp(momentum=np.array([0.9, 0.5])), "momentum of RMSProp is array"),
    (lambda: SGD(0.9, nesterov=2), "nesterov of SGD is 2; it must be True or False"),
    (lambda: Lookahead(True), "steps of lookahead is True; it must be an integer >= 1"),
    (lambda: SGD(0.9, nesterov="yes"), "nesterov of SGD is 'yes'; it must be True or False"),
    (lambda: Adam(1.0), r"beta1 of Adam is 1.0; it must be in \[0, 1\)"),
    (lambda: Adam(0.9, -1), r"beta2 of Adam is -1; it must be in \[0, 1\)"),
    (lambda: Adam(epsilon=0), "epsilon of Adam is 0; it must be > 0"),
    (lambda: Adam(epsilon="tiny"), "epsilon of Adam is 'tiny'; it must be a number"),
    (lambda: Adam(amsgrad=True), "Adam has no parameter 'amsgrad': it has beta1, beta2"),
    (lambda: RMSProp(epsilon=-1e-8), "epsilon of RMSProp is -1e-08; it must be > 0"),
    (lambda: Lion(beta_1=0.9), "Lion has no parameter 'beta_1': did you mean 'beta1'?"),
    (lambda: QHMomentum(nu=2), r"nu of quasi-hyperbolic momentum is 2; it must be in \[0, 1\]"),
    (lambda: Lookahead(0), "steps of lookahead is 0; it must be an integer >= 1"),
    (lambda: Lookahead(inner="adam"), "inner of lookahead is adam; it must be an optimizer"),
    (lambda: Lookahead(inner=Lookahead()), "inner of lookahead is lookahead; it must be an"),
    (lambda: Lookahead(alpha=0), r"alpha of lookahead is 0; it must be in \(0, 1\]"),
    (lambda: SAM(-1), "rho of SAM is -1; it must be >= 0"),
    (lambda: SAM(1, rho_over_h=1), "SAM has rho = 1 and rho_over_h = 1; give one of them"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_parameters_that_cannot_be_right_are_refused(make, message):
    with pytest.raises(InvalidMethod, match=message):
        make()


@pytest.mark.parametrize("factor", [1j, math.nan, math.inf])
def test_a_rule_that_leaves_the_real_numbers_is_refused(factor):
    @optimizer()
    def strange(state, grad, h, p):
        return state.replace(theta=state.theta - factor * h * grad(state.theta))

    with pytest.raises(InvalidMethod, match="no finite real number"):
        modeq.derive("x**2", 1, strange())


def test_memory_that_does_not_contract_is_refused_with_its_eigenvalue():
    @optimizer(memory=["sum"], name="Adagrad")
    def adagrad(state, grad, h, p):
        g = grad(state.theta)
        total = state.sum + g * g
        return state.replace(theta=state.theta - h * g / (total + 1), sum=total)

    message = "the memory of Adagrad does not contract: its update has the eigenvalue 1,"
    with pytest.raises(InvalidMethod, match=message):
        modeq.derive(LOSS, 1, adagrad())


@pytest.mark.parametrize("method", [Lion(), Adam(epsilon_inside=False)])
def test_a_gradient_that_vanishes_everywhere_has_no_sign(method):
    loss = modeq.Loss("x**2", variables="x y")
    with pytest.raises(NotSmooth, match="is not smooth for the coordinate y"):
        modeq.derive(loss, 1, method)


def test_lion_stops_at_a_zero_of_its_average_and_names_the_coordinate():
    with pytest.raises(NotSmooth, match="sign has the argument 0 at coordinate 1"):
        modeq.iterate("x**2 + y**2", [1.0, 0.0], h=0.1, steps=1, method=Lion())


@pytest.mark.parametrize("method", [Lion(), Adam(epsilon_inside=False)])
def test_a_check_at_a_corner_is_refused_with_the_point(method):
    with pytest.raises(InvalidPoint, match=r"at x = 1.00000, y = 0 the value of .* is zoo"):
        modeq.derive("x**2 + y**2", 1, method).check([1.0, 0.0], h=0.01)


def test_the_velocity_of_a_first_step_is_not_dampened():
    found = modeq.iterate("x**2/2", [1.0], h=0.1, steps=2, method=SGD(0.5, dampening=0.25))
    velocity = 0.5 * 1.0 + 0.75 * 0.9
    np.testing.assert_allclose(found.ravel(), [1.0, 0.9, 0.9 - 0.1 * velocity], rtol=1e-15)


def test_momentum_after_rmsprop_is_a_cascade_of_two_averages():
    """b averages the steps U = g/√(v + ε), which average g² themselves: both lags add up."""
    method = RMSProp(RHO, epsilon=EPSILON, momentum=BETA)
    update = lambda g, v: g / sympy.sqrt(v + EPSILON)  # noqa: E731
    theta = LOSS.variables
    f0, alone = lag_moment_terms(update, [NOW, SECOND])
    speed = f0 / (1 - BETA)
    lagged = alone + f0.jacobian(theta) * f0 / 2
    lag = -f0.jacobian(theta) * speed * BETA / (1 - BETA)
    expected = (lagged / (1 - BETA) + lag) / (1 - BETA) - speed.jacobian(theta) * speed / 2
    found = modeq.derive(LOSS, 1, method)
    assert agree(found.field.subs(found.h, 0), speed)
    assert agree(found.counter_terms[0], expected)


def test_the_zero_gradient_has_no_direction():
    with pytest.raises(NotSmooth, match="the vector 0 has no direction"):
        modeq.iterate("x**2", [0.0], h=0.1, steps=1, method=NormalizedGradientDescent())


MEMORIES = {
    "sgd": {"momentum": HALF},
    "optimistic-gradient": {},
    "lookahead": {"steps": 2, "inner": modeq.SGD(HALF)},
    "sam": {"rho_over_h": HALF},
    "unnormalized-sam": {"rho_over_h": HALF},
}


@pytest.mark.parametrize("loss", ["x + y**2", "x", "3*x + y**2/2", "x + y/2"])
@pytest.mark.parametrize("name", sorted(NAMED_OPTIMIZERS))
def test_a_field_with_constant_components_is_derived_and_certified(name, loss):
    method = NAMED_OPTIMIZERS[name](**MEMORIES.get(name, {}))
    assert modeq.derive(loss, 1, method).certify().holds
