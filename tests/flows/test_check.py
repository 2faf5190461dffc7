"""Order checks: right fields pass with the expected slopes, wrong ones fail."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss, VectorField, problems
from modeq.derivation.derive import derive_field
from modeq.errors import FlowError, InvalidPoint, InvalidStep, InvalidValue, MissingParameter
from modeq.flows.check import check
from modeq.methods.named import as_method

CASES = [
    (name, order) for name in problems.ALL for order in range(3 if name == "tanh-network" else 4)
]


def derived(thing, order, method="gradient-descent"):
    return derive_field(thing, order, as_method(method))


def half_and_half(theta, f, h):
    middle = theta + h / 2 * f(theta)
    return middle + h * Fraction(1, 2) * f(middle)


@pytest.mark.parametrize(("name", "order"), CASES)
def test_every_problem_passes_at_its_own_start_and_step(name, order):
    report = modeq.derive(problems.named(name), order).check(steps=2)
    assert report.passed, str(report)
    if not math.isinf(report.expected_local):
        assert report.expected_local >= order + 2
        assert report.expected_local == report.expected_global + 1
        assert all(abs(s - report.expected_local) <= 0.1 for s in report.local_slopes[-3:])
        assert all(abs(s - report.expected_global) <= 0.1 for s in report.global_slopes[-3:])


@pytest.mark.parametrize("problem", [problems.double_well(), problems.quadratic()], ids=repr)
def test_high_orders_are_measured_with_enough_digits(problem):
    report = modeq.derive(problem, 8).check()
    assert report.passed, str(report)
    assert report.digits > 20  # double precision has 16


@pytest.mark.parametrize(
    "method", ["implicit-euler", "implicit-midpoint", "heun", "rk4", half_and_half]
)
@pytest.mark.parametrize("text", ["x**2*y/2 + y**4/4 + x**2", "tanh(x*y) + x**2/2 + y**2"])
def test_every_method_is_followed(method, text):
    report = modeq.derive(text, 2, method).check([0.5, 0.25], h=0.05)
    assert report.passed, str(report)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("text", ["x**4/4 + x**2*y/2 + y**2/2", "exp(x) + sin(x*y) + y**2"])
def test_a_field_with_a_counter_term_wrong_by_a_percent_fails(text, k):
    right = derived(Loss(text), 2)
    elements = list(right.elements)
    elements[k] = tuple(right.ring.constant(Fraction(101, 100)) * e for e in elements[k])
    report = check(replace(right, elements=tuple(elements)), [0.5, 0.75], h=0.1)
    assert not report.passed
    assert report.local_slopes[-1] == pytest.approx(k + 1, abs=0.1)
    assert "FAILED" in str(report)


def test_the_field_of_another_method_fails():
    wrong = replace(derived(Loss("x**4/4"), 2), method=as_method("heun"))
    assert not check(wrong, [0.5], h=0.1).passed


@pytest.mark.parametrize(
    ("thing", "start", "order", "method", "expected"),
    [
        ("x**2*y/2 + y**4/4", [0.5, 0.5], 0, "heun", 3),
        ("x**2*y/2 + y**4/4", [0.5, 0.5], 0, "rk4", 5),
        ("x**2*y/2 + y**4/4", [0.5, 0.5], 2, "implicit-midpoint", 5),
        ("x**2*y/2 + y**4/4", [0.5, 0.5], 1, "implicit-midpoint", 3),
        ("x**2*y/2 + y**4/4", [0.5, 0.5], 0, "gradient-descent", 2),
    ],
)
def test_the_expected_slope_knows_counter_terms_that_vanish(thing, start, order, method, expected):
    report = modeq.derive(thing, order, method).check(start, h=0.1)
    assert report.expected_local == expected
    assert report.passed, str(report)


def test_a_flow_that_is_exact_has_no_errors_at_all():
    report = modeq.derive("x + 2*y", 1).check([0, 0], h=0.1)
    assert report.passed
    assert math.isinf(report.expected_local)
    assert set(report.local_errors) | set(report.global_errors) == {0.0}


def test_where_the_field_vanishes_nothing_is_seen_and_nothing_passes():
    report = modeq.derive("x**2 + y**4", 1).check([0, 0], h=0.1)
    assert not report.passed
    assert "nothing is seen: the field vanishes at the start" in str(report)


def test_a_decaying_weight_moves_where_the_gradient_vanishes_and_is_seen():
    report = modeq.derive("(x - 1)**2", 1, modeq.AdamW(0.5, 0.5, epsilon=1)).check([1], h=0.1)
    assert not report.unseen


def without_counter_terms(equation):
    data = json.loads(equation.to_json())
    data["terms"][1:] = [[[] for _ in column] for column in data["terms"][1:]]
    return modeq.from_json(json.dumps(data))


@pytest.mark.parametrize("start", [1e-30, 1e-6, 1.0, 1e6])
def test_verdicts_do_not_depend_on_the_unit_of_the_variables(start):
    equation, h = modeq.derive("x**4/4", 2), 0.05 / start**2
    report = equation.check([start], h=h)
    assert report.passed
    assert not without_counter_terms(equation).check([start], h=h).passed
    at_one = equation.check([1.0], h=0.05)
    np.testing.assert_allclose(report.local_slopes, at_one.local_slopes, rtol=1e-6)


LOSSES = ["x**2 + y**4", "x**2*y + exp(y)", "sqrt(1 + x**2) + y**2*x**2"]


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(LOSSES), st.integers(-40, 40), st.integers(0, 2), st.booleans())
def test_a_loss_times_a_power_of_ten_has_the_same_verdict_at_h_over_it(loss, k, order, is_right):
    factor, point = sympy.Integer(10) ** k, [0.7, 0.4]
    reports = []
    for c in (sympy.Integer(1), factor):
        equation = modeq.derive(c * modeq.Loss(loss).expression, order)
        equation = equation if is_right else without_counter_terms(equation)
        reports.append(equation.check(point, h=sympy.Rational(1, 50) / c))
    first, second = reports
    assert first.passed == second.passed == (is_right or order == 0)
    np.testing.assert_allclose(first.local_slopes, second.local_slopes, rtol=1e-6)
    np.testing.assert_allclose(first.global_slopes, second.global_slopes, rtol=1e-6)


@pytest.mark.parametrize("k", [-15, 10])
def test_momentum_from_rest_has_the_same_verdict_in_another_unit_of_time(k):
    factor = sympy.Integer(10) ** k
    loss = modeq.Loss("x**2 + y**4").expression
    first, second = (
        modeq.derive(c * loss, 1, modeq.HeavyBall(0.5)).check(
            [1, 0.7], h=sympy.Rational(1, 100) / c
        )
        for c in (sympy.Integer(1), factor)
    )
    assert first.passed
    assert second.passed
    np.testing.assert_allclose(first.global_slopes, second.global_slopes, rtol=1e-6)


def test_tiny_solutions_have_all_their_digits():
    small, one = (
        modeq.derive("x**4/4", 1).solve([s], h=0.1 / s**2, steps=20).theta / s for s in (1e-9, 1)
    )
    np.testing.assert_allclose(small, one, rtol=1e-10)


@pytest.mark.parametrize("start", [np.array([1, 2]), [np.int64(1), 2], [sympy.Integer(1), 2.0]])
@pytest.mark.parametrize("h", [np.float32(0.125), np.array(0.125), sympy.Float(0.125)])
def test_start_and_learning_rate_may_be_numbers_of_any_kind(start, h):
    equation = modeq.derive("x**2/2 + y**4/64", 1)
    assert equation.check(start, h=h).local_errors == equation.check([1, 2], h=0.125).local_errors


@pytest.mark.parametrize("h", [Fraction(1, 10), 0.1, 1 / 10])
def test_a_learning_rate_may_be_a_fraction_or_a_float(h):
    report = modeq.derive("x**4/4", 1).check([0.5], h=h)
    assert report.passed
    assert report.h[0] == 0.1
    assert all(a == 2 * b for a, b in zip(report.h, report.h[1:], strict=False))


def test_the_fixed_time_is_steps_times_h():
    report = modeq.derive("x**4/4", 1).check([0.5], h=0.125, steps=3)
    assert report.time == 0.375


def test_at_least_the_wanted_number_of_halvings_is_made():
    report = modeq.derive("x**4/4", 1).check([0.5], h=0.001, halvings=5)
    assert len(report.h) >= 6
    assert report.passed


def test_parameters_get_their_values_in_the_check():
    equation = modeq.derive("a*x**4 + exp(b*x)", 1, variables="x")
    assert equation.check([0.5], h=0.05, parameters={"a": 0.25, "b": Fraction(1, 3)}).passed
    with pytest.raises(MissingParameter, match="b"):
        equation.check([0.5], h=0.05, parameters={"a": 0.25})


def test_a_vector_field_is_checked_like_a_loss():
    field = VectorField(["p", "-sin(q)"], "q p")
    assert modeq.derive(field, 2, "heun").check([0.5, 0], h=0.1).passed


@pytest.mark.parametrize("h", [0, -0.1, math.nan, math.inf, "0.1", None, [0.1]])
def test_a_learning_rate_must_be_positive_and_finite(h):
    with pytest.raises(InvalidStep) as raised:
        check(derived(Loss("x**2"), 1), [1], h)
    assert repr(h) in str(raised.value)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("start", [[1, 2], 1, [math.nan], [math.inf], ["a"], [[1.0]]])
def test_a_start_must_be_one_finite_point(start):
    with pytest.raises(InvalidPoint):
        check(derived(Loss("x**2"), 1), start, 0.1)


def test_a_start_outside_the_domain_is_refused():
    with pytest.raises(InvalidPoint, match="domain"):
        check(derived(Loss("x*log(x)"), 1), [-1], 0.1)


@pytest.mark.parametrize("halvings", [2, 0, -1, 3.0, True, "3"])
def test_halvings_must_be_an_integer_at_least_three(halvings):
    with pytest.raises(InvalidValue, match="halvings"):
        check(derived(Loss("x**2"), 1), [1], 0.1, halvings=halvings)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "4", True])
def test_steps_must_be_an_integer_at_least_one(steps):
    with pytest.raises(InvalidStep, match="steps"):
        check(derived(Loss("x**2"), 1), [1], 0.1, steps=steps)


def test_a_flow_that_blows_up_is_an_error():
    with pytest.raises(FlowError):
        check(derived(VectorField("y**2"), 0), [1], 0.5, steps=10)
