"""Where the flow starts that momentum approaches from rest."""

import math
from fractions import Fraction
from functools import partial
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st

import modeq
from modeq import SGD, Loss, optimizer
from modeq.derivation.start_shift import start_series
from modeq.errors import InvalidMethod
from modeq.flows.integrate import integrate
from modeq.losses.loss import as_field
from modeq.methods.functions import sqrt
from modeq.methods.named import as_method
from modeq.methods.two_steps import as_optimizer

BETA = sympy.Symbol("beta")
HALF = Fraction(1, 2)


def columns(loss, order, method):
    ring, shifts = start_series(as_field(loss), order, as_optimizer(method))
    return [sympy.Matrix([ring.to_sympy(entry) for entry in shift]) for shift in shifts]


def test_heavy_ball_starts_where_the_theory_says():
    """theory.md, section 2: θ₀ + hβ/(1-β)² g + h²β(2+β)/(1-β)⁴ Hg + O(h³)."""
    loss = Loss("x**2*y/2 + x**4/4 + y**3")
    g = sympy.Matrix([loss.expression.diff(z) for z in loss.variables])
    first, second = columns(loss, 2, modeq.HeavyBall(BETA))
    hessian = g.jacobian(loss.variables)
    assert (first - BETA / (1 - BETA) ** 2 * g).applyfunc(sympy.cancel).is_zero_matrix
    expected = BETA * (2 + BETA) / (1 - BETA) ** 4 * hessian * g
    assert (second - expected).applyfunc(sympy.cancel).is_zero_matrix


def roots(step):
    """Return the roots of z² - (3/2 - h) z + 1/2 for heavy ball with β = 1/2, the larger first."""
    root = mpmath.sqrt((mpmath.mpf(3) / 2 - step) ** 2 - 2)
    return [(mpmath.mpf(3) / 2 - step + sign * root) / 2 for sign in (1, -1)]


def test_on_a_quadratic_loss_the_shift_is_the_amplitude_of_the_slow_root():
    shifts = [1, *(column[0].coeff(sympy.Symbol("x")) for column in columns("x**2/2", 8, HEAVY))]
    with mpmath.workdps(60):
        step = mpmath.mpf("1e-4")
        slow, fast = roots(step)
        # θ_m = A slow^m + B fast^m with θ_{-1} = θ_0 = 1.
        exact = (1 - 1 / fast) / (1 / slow - 1 / fast)
        series = sum(
            mpmath.mpf(int(c.p)) / int(c.q) * step**j
            for j, c in enumerate(map(sympy.Rational, shifts))
        )
        assert abs(exact - series) < 1e-25


HEAVY = modeq.HeavyBall(HALF)


def errors_when_the_memory_has_decayed(method, order):
    """Return how far the iterates from rest are from the flow of the shifted start."""
    shifts = columns("x**3/3 + x", order, method)
    rhs = modeq.derive("x**3/3 + x", order + 2, method).lambdify()
    for k in range(3):
        step = 0.004 / 2**k
        start = 0.5 + sum(float(s[0].subs("x", 0.5)) * step**j for j, s in enumerate(shifts, 1))
        iterates = modeq.iterate("x**3/3 + x", [0.5], h=step, steps=40, method=method)
        flow = integrate(partial(rhs, h=step), np.array([start]), step, 40)
        yield abs(iterates[40, 0] - flow.theta[40, 0])


@pytest.mark.parametrize(
    "method",
    [HEAVY, modeq.Nesterov(HALF), modeq.Nesterov(HALF, "parameters")],
    ids=["heavy ball", "Nesterov", "Nesterov's parameters"],
)
def test_the_iterates_from_rest_approach_the_flow_from_the_shifted_start(method):
    """What is left when the memory has decayed falls like h^{n+1}."""
    errors = list(errors_when_the_memory_has_decayed(method, order=2))
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert slopes == pytest.approx([3] * 2, abs=0.1)


def test_memory_under_a_root_has_no_exact_series():
    @optimizer(memory=["v"])
    def adaptive(state, grad, h, p):
        g = grad(state.theta)
        v = state.v / 2 + g * g / 2
        return state.replace(theta=state.theta - h * g / sqrt(v + 1), v=v)

    with pytest.raises(InvalidMethod, match="does not enter the update of adaptive polynomially"):
        start_series(Loss("x**2/2"), 1, adaptive())


def test_memory_that_feeds_itself_in_a_circle_is_refused():
    @optimizer(memory=["a", "b"])
    def circle(state, grad, h, p):
        a = state.b / 2 + grad(state.theta)
        return state.replace(theta=state.theta - h * a, a=a, b=state.a / 3)

    with pytest.raises(InvalidMethod, match="depend on each other in a circle"):
        modeq.derive("x**2/2 + x**4/4", 1, circle()).start()


def test_dampening_starts_where_the_theory_says():
    beta, tau, x = sympy.symbols("beta tau x")
    [shift] = columns("x**2/2 + x**4/4", 1, SGD(beta, dampening=tau))
    gradient = x + x**3
    expected = ((1 - tau) * beta / (1 - beta) ** 2 - tau / (1 - beta)) * gradient
    assert sympy.simplify(shift[0] - expected) == 0


RATIONALS = st.fractions(min_value=0, max_value=Fraction(3, 4), max_denominator=4)


@settings(max_examples=6, deadline=None)
@given(
    decays=st.lists(RATIONALS, min_size=1, max_size=3),
    feeds=st.lists(RATIONALS, min_size=6, max_size=6),
    order=st.integers(0, 2),
    first=st.booleans(),
)
@example(decays=[HALF, HALF], feeds=[HALF, 0, 0, 0, 0, HALF], order=2, first=True)
def test_the_start_of_any_cascade_of_averages_makes_the_slopes_right(decays, feeds, order, first):
    """Slots that decay, or forget at once, each fed by the gradient and by those before."""
    names = [f"m{i}" for i in range(len(decays))]

    @optimizer(memory=[*names, "started"])
    def cascade(state, grad, h, p):
        g = grad(state.theta)
        memory, total = {}, g
        for i, (name, decay) in enumerate(zip(names, decays, strict=True)):
            fed = sum(feeds[k] * getattr(state, names[k]) for k in range(i))
            damped = feeds[-1] * state.started * g if first else 0
            memory[name] = decay * getattr(state, name) + g + fed - damped
            total = total + memory[name]
        return state.replace(theta=state.theta - h * total, started=0 * g + 1, **memory)

    try:
        equation = modeq.derive("x**2/2 + x**4/4", order, cascade())
        equation.start()
    except InvalidMethod as error:
        assert "shift=False" in str(error)  # noqa: PT017
        return
    report = equation.check([0.75], h=0.01)
    assert report.passed
    assert abs(report.global_slopes[-1] - report.expected_global) < 0.1


@pytest.mark.parametrize(
    "method",
    [as_method("bdf-2"), as_method("adams-bashforth-3")],
    ids=["bdf-2", "adams-bashforth-3"],
)
def test_only_explicit_two_step_methods_become_optimizers(method):
    with pytest.raises(InvalidMethod, match="is not an explicit method of two steps"):
        as_optimizer(method)


def test_a_method_without_velocity_takes_f_between_no_two_points():
    half = sympy.Rational(1, 2)
    extrapolated = modeq.LinearMultistep([0, -1, 1], [1], [[-half, 3 * half, 0]])
    with pytest.raises(InvalidMethod, match="has no velocity"):
        as_optimizer(extrapolated)


def test_a_solution_starts_where_the_iterates_from_rest_belong():
    equation = modeq.derive("x**2/2", 1, HEAVY)
    assert equation.start([1.0], h=0.1).tolist() == [1.2]
    assert equation.solve([1.0], h=0.1, steps=1).theta[0].tolist() == [1.2]
    x, h = sympy.Symbol("x"), equation.h
    assert equation.start() == sympy.ImmutableMatrix([x + 2 * h * x])


def test_the_start_of_a_method_without_memory_is_the_point_itself():
    equation = modeq.derive("x**2/2", 1)
    assert equation.start([1.0], h=0.1).tolist() == [1.0]
    assert equation.start() == sympy.ImmutableMatrix([sympy.Symbol("x")])


def test_symbols_of_the_method_get_values_in_the_start():
    equation = modeq.derive("lam*x**2/2", 1, modeq.HeavyBall(BETA), variables="x")
    found = equation.start([1.0], h=0.1, parameters={"beta": HALF, "lam": 3})
    assert found.tolist() == pytest.approx([1.6])


@pytest.mark.parametrize(
    "method",
    [
        HEAVY,
        modeq.Nesterov(HALF, "parameters"),
        SGD(HALF),
        SGD(HALF, dampening=0.25),
        modeq.OptimisticGradient(),
    ],
    ids=["heavy ball", "parameters", "SGD", "dampening", "optimistic"],
)
def test_a_check_of_momentum_starts_at_rest_and_shifts_the_flow(method):
    report = modeq.derive("x**3/3 + x*y + y**4", 2, method).check([0.5, 0.3], h=0.01)
    assert report.passed
    assert report.global_slopes[-3:] == pytest.approx([3] * 3, abs=0.1)
    assert "a flow that starts where eq.start says" in str(report)


def test_eigenvalues_that_are_powers_of_each_other_resonate_and_do_no_harm():
    @optimizer(memory=["slow", "fast"], mu=..., nu=...)
    def aggregated(state, grad, h, p):
        g = grad(state.theta)
        slow, fast = p.mu * state.slow - g, p.nu * state.fast - g * state.theta
        return state.replace(theta=state.theta + h * (slow + fast), slow=slow, fast=fast)

    near = aggregated(mu=HALF, nu=Fraction(1, 4) + Fraction(1, 10**9))
    for method in (aggregated(mu=HALF, nu=Fraction(1, 4)), near):
        assert modeq.derive("x**2/2 + x**4/4", 2, method).check([0.5], h=0.05).passed
    ours, theirs = (
        columns("x**2/2 + x**4/4", 4, m) for m in (aggregated(mu=HALF, nu=Fraction(1, 4)), near)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert float(a[0].subs("x", 0.5)) == pytest.approx(float(b[0].subs("x", 0.5)), rel=1e-5)


def test_without_the_shift_momentum_from_rest_is_off_by_h():
    report = modeq.derive("x**2/2 + x**4/4", 2, HEAVY).check([0.5], h=0.01, shift=False)
    assert not report.passed
    assert report.global_slopes[-3:] == pytest.approx([1] * 3, abs=0.1)
    assert "a flow that starts at the same point" in str(report)


def test_where_momentum_is_too_fast_for_its_series_the_check_starts_at_a_smaller_rate():
    equation = modeq.derive("x**2/2 + x**4/4", 1, modeq.HeavyBall(Fraction(4, 5)))
    report = equation.check([0.5], h=Fraction(1, 2))
    assert report.passed
    assert report.h[0] < 1 / 2


def test_an_optimizer_without_an_exact_start_is_checked_on_its_slow_manifold():
    report = modeq.derive("x**2/2", 1, modeq.Adam(HALF, HALF, epsilon=1)).check([1.0], h=0.01)
    assert report.passed
    assert report.start.startswith("a method and a flow that start together on its slow manifold")
    assert "its start from rest has no exact series" in report.start


UNSHIFTED = [modeq.Adam(epsilon=1), modeq.RMSProp(epsilon=1)]


@pytest.mark.parametrize("method", UNSHIFTED, ids=str)
def test_a_solution_says_that_the_start_from_rest_is_not_known(method):
    """And starts at the point itself only if asked; at the order 0 there is nothing to shift."""
    equation = modeq.derive("x**2/2 + x**4/4", 1, method)
    with pytest.raises(InvalidMethod, match="give shift=False"):
        equation.solve([1.0], h=0.01, steps=1)
    path = equation.solve([1.0], h=0.01, steps=1, shift=False)
    assert path.theta[0].tolist() == [1.0]
    first = modeq.derive("x**2/2 + x**4/4", 0, method)
    assert first.solve([1.0], h=0.01, steps=1).theta[0].tolist() == [1.0]
