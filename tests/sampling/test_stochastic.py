"""SGD's stochastic equations: what they say of expected values against the expected values."""

from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import factorial, log2, prod

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import sgd_generator, stochastic_equation
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidLoss, InvalidOrder, InvalidValue
from modeq.sampling.operators import OperatorAlgebra, exponents

x, y, s = sympy.symbols("x y s")
h = sympy.Symbol("h", positive=True)
CURVED = [
    modeq.Loss(x**2 * y / 2 + y**2, (x, y)),
    modeq.Loss((x - 1) ** 2 / 2 + x * y**2 / 3, (x, y)),
    modeq.Loss(x * y + (y + 1) ** 3 / 6, (x, y)),
]
SHIFTS = [sympy.Rational(c) for c in (-1, 0, 3)]
SHIFTED = [modeq.Loss((x - c) ** 2 / 2, (x,)) for c in SHIFTS]
SCALED = [modeq.Loss(c * x**2 / 2 + x, (x,)) for c in (1, 2, 4)]
PLANE = [
    modeq.Loss(x**2 + x * y / 2 + y**2 - x, (x, y)),
    modeq.Loss((x - y) ** 2 / 2 + y**2, (x, y)),
    modeq.Loss(x**2 / 2 + y**2 / 2 + 3 * y, (x, y)),
]


def mean_loss(losses):
    total = sum(loss.expression for loss in losses) / len(losses)
    return modeq.Loss(total, losses[0].variables)


def covariance(losses):
    g = mean_loss(losses).gradient
    outer = [(loss.gradient - g) * (loss.gradient - g).T for loss in losses]
    return sum(outer, sympy.zeros(len(g), len(g))) / len(losses)


def expected_step(losses, phi):
    """Return E φ(θ - hγ) by taking the step with each loss."""
    values = []
    for loss in losses:
        moved = {v: v - h * loss.gradient[i] for i, v in enumerate(loss.variables)}
        values.append(phi.subs(moved, simultaneous=True))
    return sympy.expand(sum(values) / len(values))


@cache
def curved_generator(order):
    return sgd_generator(CURVED, order)


def vanishes(matrix):
    return all(sympy.expand(entry) == 0 for entry in matrix)


def test_order_two_has_the_drift_and_covariance_of_li_tai_and_e():
    equation = stochastic_equation(CURVED)
    g = mean_loss(CURVED).gradient
    potential = mean_loss(CURVED).expression + h / 4 * g.dot(g)
    drift = sympy.Matrix([-potential.diff(v) for v in (x, y)])
    assert vanishes(equation.drift - drift)
    assert vanishes(equation.covariance - h * covariance(CURVED))
    assert (equation.variables, equation.h, equation.weak_order) == ((x, y), h, 2)


def test_order_one_is_gradient_flow_with_noise():
    equation = stochastic_equation(CURVED, weak_order=1)
    assert vanishes(equation.drift + mean_loss(CURVED).gradient)
    assert vanishes(equation.covariance - h * covariance(CURVED))


def test_a_covariance_says_what_samples_say_through_order_two():
    given_covariance = stochastic_equation(mean_loss(CURVED), covariance=covariance(CURVED))
    from_samples = stochastic_equation(CURVED)
    assert vanishes(given_covariance.drift - from_samples.drift)
    assert vanishes(given_covariance.covariance - from_samples.covariance)


MONOMIALS = [x, y, x * y, y**2, x**3, x * y**3]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("phi", MONOMIALS, ids=str)
def test_the_generator_gives_the_moments_of_a_step_through_its_order(phi, order):
    found = curved_generator(order).expectation(phi)
    difference = sympy.expand(found - expected_step(CURVED, phi))
    assert [difference.coeff(h, k) for k in range(order + 2)] == [0] * (order + 2)


@pytest.mark.parametrize("weak_order", [1, 2])
@pytest.mark.parametrize("phi", MONOMIALS, ids=str)
def test_the_equation_gives_the_moments_of_a_step_through_its_weak_order(phi, weak_order):
    found = stochastic_equation(CURVED, weak_order=weak_order).expectation(phi)
    difference = sympy.expand(found - expected_step(CURVED, phi))
    assert [difference.coeff(h, k) for k in range(weak_order + 1)] == [0] * (weak_order + 1)


def test_the_generator_of_equal_losses_is_the_modified_equation():
    loss = modeq.Loss(x**3 / 3 + x * y**2, (x, y))
    generator = sgd_generator([loss] * 3, 3)
    assert generator.is_diffusion
    assert vanishes(generator.covariance)
    assert vanishes(generator.drift - modeq.derive(loss, 3).field)


def third_cumulant(losses, *variables):
    g = {v: mean_loss(losses).expression.diff(v) for v in variables}
    products = [prod(loss.expression.diff(v) - g[v] for v in variables) for loss in losses]
    return sum(products) / len(losses)


def test_third_derivatives_come_in_at_h_squared_with_the_third_cumulant():
    generator = curved_generator(2)
    verdict = generator.is_diffusion
    assert not verdict
    assert verdict.order == 2
    variables, coefficient = verdict.witness
    assert len(variables) == 3
    assert sympy.expand(coefficient - generator.coefficient(*variables)) == 0
    found = generator.coefficient(x, x, y)
    # C(3, 1) mixed derivatives are the same.
    expected = -sympy.Rational(3, 6) * third_cumulant(CURVED, x, x, y) * h**2
    assert sympy.expand(found - expected) == 0
    assert "not a diffusion from h^2 on: d^3/d" in str(verdict)


def test_through_the_first_power_sgd_is_a_diffusion():
    assert sgd_generator(CURVED, 1).is_diffusion
    assert str(sgd_generator(CURVED, 1).is_diffusion) == "a diffusion"


def test_noise_with_symmetric_samples_is_a_diffusion_through_h_squared_only():
    losses = [modeq.Loss((x - c) ** 2 / 2, (x,)) for c in (-1, 1)]
    assert sgd_generator(losses, 2).is_diffusion
    verdict = sgd_generator(losses, 3).is_diffusion
    # The fourth cumulant of ±1 is -2, and 4! = 24.
    assert (verdict.order, verdict.witness) == (3, ((x,) * 4, -sympy.Rational(2, 24) * h**3))


def test_constant_gaussian_noise_on_a_quadratic_is_a_diffusion_to_all_orders():
    generator = sgd_generator("x**2/2", 4, covariance=[[s]], gaussian=True, variables="x")
    assert generator.is_diffusion
    # X₁ = (1 - h) X₀ + h noise: an Ornstein-Uhlenbeck process with b = log(1 - h)/h.
    rate = sympy.series(sympy.log(1 - h) / h, h, 0, 5).removeO()
    assert sympy.expand(generator.drift[0] - rate * x) == 0
    variance = h**2 * s * 2 * sympy.log(1 - h) / h / ((1 - h) ** 2 - 1)
    expected = sympy.series(variance, h, 0, 5).removeO()
    assert sympy.expand(generator.covariance[0] - expected) == 0


def test_gaussian_noise_that_depends_on_the_point_is_no_diffusion_in_the_end():
    generator = sgd_generator("x**2/2", 3, covariance=[["x**2"]], gaussian=True)
    assert generator.is_diffusion.order == 3
    assert generator.diffusion_part().is_diffusion
    assert generator.diffusion_part().drift == generator.drift


SIGMA = sympy.Matrix(2, 2, sympy.symbols("a b b c"))
"""The covariance at the point, which does not move with φ."""


def normal_expectation(loss, sigma, phi):
    """Return E φ(θ - hγ) for normal γ: exp(h²/2 Σ:∇²) φ at θ - hg."""
    total, term = phi, phi
    for k in range(1, 3):
        term = sum(
            SIGMA[i, j] * term.diff(v, w)
            for i, v in enumerate((x, y))
            for j, w in enumerate((x, y))
        )
        total += (h**2 / 2) ** k / factorial(k) * term
    moved = {v: v - h * loss.gradient[i] for i, v in enumerate((x, y))}
    values = dict(zip(SIGMA, sigma, strict=True))
    return sympy.expand(total.subs(moved, simultaneous=True).subs(values, simultaneous=True))


@pytest.mark.parametrize("phi", [x, x * y, x**2 * y, y**4], ids=str)
def test_gaussian_noise_has_the_moments_of_a_normal_distribution(phi):
    loss = modeq.Loss(x**2 * y / 2 + y**2, (x, y))
    sigma = sympy.Matrix([[1 + x**2, x * y], [x * y, 2 + y**2]])
    found = sgd_generator(loss, 2, covariance=sigma, gaussian=True).expectation(phi)
    difference = sympy.expand(found - normal_expectation(loss, sigma, phi))
    assert [difference.coeff(h, k) for k in range(4)] == [0, 0, 0, 0]


coefficients = st.lists(st.integers(-3, 3), min_size=3, max_size=3)


@settings(max_examples=5)
@given(st.lists(coefficients, min_size=2, max_size=3))
def test_the_generator_follows_any_polynomial_losses(rows):
    losses = [modeq.Loss(a * x**3 / 3 + b * x**2 / 2 + c * x, (x,)) for a, b, c in rows]
    generator = sgd_generator(losses, 2)
    for phi in (x, x**2, x**3):
        difference = sympy.expand(generator.expectation(phi) - expected_step(losses, phi))
        assert [difference.coeff(h, k) for k in range(4)] == [0, 0, 0, 0]


class Moments:
    """Exact moments of SGD on quadratic losses, and those of an equation, at a fixed time."""

    def __init__(self, losses, start, degree):
        self.losses = losses
        self.variables = losses[0].variables
        self.start = dict(zip(self.variables, start, strict=True))
        self.degree = degree

    def of_sgd(self, monomials, rate, steps):
        rows = []
        for m in monomials:
            image = sympy.Poly(expected_step(self.losses, m).subs(h, rate), *self.variables)
            rows.append([image.coeff_monomial(other) for other in monomials])
        matrix, values = sympy.Matrix(rows), [m.subs(self.start) for m in monomials]
        powers = sympy.Matrix(values)
        for _ in range(steps):
            powers = matrix * powers
        return mpmath.matrix([mpmath.mpf(int(e.p)) / int(e.q) for e in powers])

    def of_equation(self, equation, rate, time):
        monomials, matrix = equation.moment_equations(self.degree)
        numbers = mpmath.matrix(
            [[mpmath.mpf(e.p) / e.q for e in row] for row in (matrix.subs(h, rate) * time).tolist()]
        )
        start = mpmath.matrix(
            [mpmath.mpf(m.subs(self.start).p) / m.subs(self.start).q for m in monomials]
        )
        return monomials, mpmath.expm(numbers) * start

    def slopes(self, equation):
        errors = []
        for k in range(4, 8):
            rate = sympy.Rational(1, 4 * 2**k)
            monomials, of_equation = self.of_equation(equation, rate, sympy.Rational(1, 4))
            of_sgd = self.of_sgd(monomials, rate, 2**k)
            errors.append(max(abs(a - b) for a, b in zip(of_equation, of_sgd, strict=True)))
        return [log2(a / b) for a, b in pairwise(errors)]


CASES = {
    "shifts": Moments(SHIFTED, [Fraction(2)], 3),
    "curvatures": Moments(SCALED, [Fraction(1, 2)], 3),
    "plane": Moments(PLANE, [Fraction(1, 2), Fraction(-1, 3)], 2),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weak_order", [1, 2])
def test_the_weak_order_is_measured_with_exact_moments(case, weak_order):
    moments = CASES[case]
    equation = stochastic_equation(moments.losses, weak_order=weak_order)
    with mpmath.workdps(40):
        slopes = moments.slopes(equation)
    assert all(abs(slope - weak_order) <= 0.1 for slope in slopes)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("order", [0, 2, 3])
def test_the_generator_of_order_n_has_weak_order_n_plus_one(case, order):
    moments = CASES[case]
    with mpmath.workdps(40):
        slopes = moments.slopes(sgd_generator(moments.losses, order))
    assert all(abs(slope - (order + 1)) <= 0.1 for slope in slopes)


def test_without_its_third_derivatives_the_generator_loses_an_order():
    moments = CASES["shifts"]
    generator = sgd_generator(moments.losses, 2)
    assert not generator.is_diffusion
    with mpmath.workdps(40):
        slopes = moments.slopes(generator.diffusion_part())
    assert all(abs(slope - 2) <= 0.1 for slope in slopes)


def test_the_samples_may_be_minibatches():
    batches = modeq.Minibatches(PLANE, "with replacement")
    assert vanishes(stochastic_equation(batches).drift - stochastic_equation(PLANE).drift)


def test_losses_may_have_functions_and_parameters():
    generator = sgd_generator(["exp(a*x)", "sin(x)"], 1, variables="x")
    a = sympy.Symbol("a")
    g = (a * sympy.exp(a * x) + sympy.cos(x)) / 2
    difference = generator.drift[0] + g + h / 2 * g * g.diff(x)
    assert abs(sympy.N(difference.subs({x: 0.3, a: 0.7, h: 0.2}))) < 1e-12


def test_operators_obey_leibniz_and_the_logarithm_undoes_the_exponential():
    algebra = OperatorAlgebra(DifferentialRing((x, y), (), [x, y], depth=8))
    ring = algebra.ring
    a = {(1, 0): ring.convert(x * y), (0, 2): ring.convert(x**2)}
    b = {(0, 1): ring.convert(y**2 + x), (0, 0): ring.convert(x * y)}
    c = {(1, 1): ring.convert(x + y)}
    left = algebra.product(algebra.product(a, b), c)
    assert left == algebra.product(a, algebra.product(b, c))
    square, cube = algebra.product(b, b), algebra.product(b, algebra.product(b, b))
    powers = [{}, b, algebra.add({}, square, Fraction(1, 2)), algebra.add({}, cube, Fraction(1, 6))]
    assert algebra.logarithm(powers) == [{}, b, {}, {}]


def test_there_are_as_many_derivatives_as_monomials():
    assert len(list(exponents(3, 4))) == 15


def test_the_moments_of_curved_losses_are_not_closed():
    with pytest.raises(InvalidValue, match="the rate of E x needs E x"):
        sgd_generator(CURVED, 0).moment_equations(1)


def test_a_generator_says_what_it_is_about():
    assert repr(sgd_generator(CURVED, 1)) == "<Generator of order 1 in x y>"
    assert sgd_generator(CURVED, 1).h == h


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sgd_generator("x**2", 1), InvalidValue, "one loss is given without a covariance"),
        (
            lambda: sgd_generator(["x**2", "x"], 1, covariance=[[1]]),
            InvalidValue,
            "both the losses of the samples and a covariance",
        ),
        (
            lambda: sgd_generator("x**2", 2, covariance=[[1]]),
            InvalidOrder,
            "beyond the second; give gaussian=True",
        ),
        (lambda: sgd_generator("x*y", 1, covariance=[[1]]), InvalidValue, "a matrix of 2 by 2"),
        (lambda: sgd_generator("x**2", 1, covariance=3), InvalidValue, "a matrix of 1 by 1"),
        (lambda: sgd_generator("x**2", 1, covariance=["s"]), InvalidValue, "a matrix of 1 by 1"),
        (
            lambda: sgd_generator("x*y", 1, covariance=[[1, 2], [0, 1]]),
            InvalidValue,
            "is not symmetric",
        ),
        (
            lambda: sgd_generator("x*y", 1, covariance=[[1, 2], [2, 1]]),
            InvalidValue,
            "has a negative eigenvalue",
        ),
        (lambda: sgd_generator(["x**2", "y"], 1), InvalidLoss, "part 1 has the variables y"),
        (lambda: sgd_generator(["x**2"], 1), InvalidLoss, "at least two"),
        (lambda: sgd_generator(7, 1), InvalidLoss, "they must be a list"),
        (
            lambda: sgd_generator([modeq.VectorField(["x"]), "x"], 1),
            InvalidLoss,
            "is no loss",
        ),
        (lambda: sgd_generator(["x**2", "x"], -1), InvalidOrder, "-1"),
        (
            lambda: stochastic_equation(["x**2", "x"], weak_order=3),
            InvalidOrder,
            "weak_order is 3; it must be 1 or 2: beyond, sgd_generator",
        ),
    ],
)
def test_what_does_not_say_what_the_gradient_is_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


X_AGAIN = sympy.Symbol("x", real=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: g.coefficient("z"), InvalidValue, "'z' is no variable; they are x"),
        (lambda g: g.coefficient("x x"), InvalidValue, "'x x' is no variable"),
        (lambda g: g(X_AGAIN**2), InvalidLoss, "two different symbols are called 'x'"),
        (lambda g: g("h*x"), InvalidLoss, "the name h is the learning rate"),
        (lambda g: g.expectation(X_AGAIN), InvalidLoss, "two different symbols are called 'x'"),
        (lambda g: g.expectation("x", 1.5), InvalidOrder, "order is 1.5"),
        (lambda g: g.moment_equations(1.5), InvalidOrder, "degree is 1.5"),
        (lambda g: g.moment_equations(-1), InvalidOrder, "degree is -1"),
        (lambda g: g.moment_equations(1), InvalidValue, "the moments are not closed"),
    ],
)
def test_what_is_not_asked_of_the_variables_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(sgd_generator(["exp(x)", "x**2"], 1))


def test_a_covariance_with_another_symbol_of_the_same_name_is_refused():
    with pytest.raises(InvalidLoss, match="two different symbols are called 'x'"):
        sgd_generator("x**2", 1, covariance=[[X_AGAIN**2]])


@pytest.mark.parametrize("weak_order", [1.0, True, []])
def test_a_weak_order_is_an_integer(weak_order):
    with pytest.raises(InvalidOrder, match="it must be 1 or 2"):
        stochastic_equation(["x**2", "x"], weak_order=weak_order)
