"""Stability, drift, adjusted learning rates, tall parts: against what the loop itself does."""

import math

import numpy as np
import pytest
import sympy
from matplotlib.figure import Figure

import modeq
from modeq import compare_rates, run_drift
from modeq.errors import FlowError, InvalidLoss, InvalidPoint, InvalidStep, InvalidValue
from modeq.principal.adjusted_rates import adjusted_rate
from modeq.principal.stability import multiplier_of_flow, regime
from modeq.show.plots import columns


def compare_flows(*arguments, **options):
    with pytest.deprecated_call(match="compare takes flows"):
        return modeq.compare_flows(*arguments, **options)


TOY = "(x*y - 1)**2/2"
SADDLE = "x**2/2 - y**2/10"


@pytest.mark.parametrize("h", [0.3, 0.9, 1.5, 2.5])
def test_a_regime_is_what_a_step_does_to_a_component(h):
    report = modeq.stability_report(SADDLE, [1.0, 1.0], h=h)
    before, after = modeq.iterate(SADDLE, [1.0, 1.0], h=h, steps=1)
    for i, name in enumerate(report.regimes):
        u = report.vectors[:, i]
        ratio = (u @ after) / (u @ before)
        assert (ratio < 0) == (name in ("oscillating", "divergent", "edge"))
        assert (abs(ratio) > 1) == (name in ("repelled", "divergent"))


def test_the_edge_and_the_single_step_have_names():
    assert [regime(z) for z in (0, 1, 2)] == ["flat", "one step", "edge"]


@pytest.mark.parametrize("h", [0.2, 0.45])
def test_the_loss_changes_along_the_principal_flow_as_the_coefficients_say(h):
    loss, point = modeq.Loss(TOY), np.array([2.0, 0.6])
    report = modeq.stability_report(loss, point, h=h)
    values = dict(zip(loss.variables, point, strict=True))
    gradient = np.array(loss.gradient.subs(values), dtype=float).ravel()
    slope = modeq.principal_flow(loss).field(point, h)
    assert report.loss_rate == pytest.approx(float(np.real(gradient @ slope)), rel=1e-12)
    assert report.loss_rate == pytest.approx(sum(report.coefficients))


def test_the_largest_eigenvalue_changes_as_predicted_by_its_difference_quotient():
    loss, point, h = modeq.Loss(TOY), np.array([2.0, 0.6]), 0.45
    slope = modeq.principal_flow(loss).field(point, h).real
    hessian = sympy.lambdify(loss.variables, loss.hessian)

    def largest(theta):
        return np.linalg.eigvalsh(np.array(hessian(*theta), dtype=float))[-1]

    quotient = (largest(point + 1e-6 * slope) - largest(point - 1e-6 * slope)) / 2e-6
    report = modeq.stability_report(loss, point, h=h)
    assert report.eigenvalue_rates["principal"] == pytest.approx(quotient, rel=1e-7)


def test_past_the_edge_the_largest_eigenvalue_turns_round():
    """On (xy-1)²/2 gradient flow lowers it at (2, 0.6); the principal flow at hλ > 2 raises it."""
    rates = modeq.stability_report(TOY, [2.0, 0.6], h=0.45).eigenvalue_rates
    assert rates[0] < 0 < rates["principal"]


@pytest.mark.parametrize("h", [0.5, 1.05])
def test_at_a_critical_point_the_principal_flow_judges_as_gradient_descent_does(h):
    report = modeq.stability_report("x**2 + y**2/100", [0.0, 0.0], h=h)
    assert report.is_critical
    np.testing.assert_array_equal(
        report.multipliers["principal"], report.multipliers["gradient descent"]
    )
    # Flows whose coefficients all have one sign take the minimum for stable past the edge.
    assert (0 in report.misjudged) == (h > 1)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_multiplier_of_a_flow_is_measured_by_solving_it(order):
    flow = modeq.derive("x**2", order).solve([1.0], h=0.7, steps=1)
    assert flow.theta[-1, 0] == pytest.approx(multiplier_of_flow(1.4, order), rel=1e-9)


def test_a_report_is_a_table_a_text_and_a_picture():
    report = modeq.stability_report(TOY, [2.0, 0.6], h=0.45)
    assert [row["regime"] for row in report.table] == ["divergent", "repelled"]
    assert "divergent" in str(report)
    html = report._repr_html_()
    assert html.count("<table") == html.count("</table>") == 2
    for part in ("divergent", "2 steps", "unstable", "<svg"):
        assert part in html
    assert report.plot(Figure().subplots()).get_ylabel() == "h λ"


def test_a_stability_report_refuses_what_it_cannot_use():
    with pytest.raises(InvalidLoss, match="vector field"):
        modeq.stability_report(modeq.VectorField(["y", "-x"], "x y"), [1, 0], h=0.1)
    with pytest.raises(InvalidPoint):
        modeq.stability_report("x**2", [math.nan], h=0.1)
    with pytest.raises(InvalidStep):
        modeq.stability_report("x**2", [1.0], h=-1)


def test_the_drift_is_predicted_to_leading_order():
    relative = []
    for h in (0.02, 0.01):
        found = modeq.drift(TOY, [2.0, 0.6], h=h)
        relative.append(abs(found.measured / found.predicted - 1))
    assert relative[0] / relative[1] == pytest.approx(2, rel=0.1)


def test_the_drift_of_each_step_of_a_run_is_that_at_its_iterate():
    run = run_drift(TOY, [2.0, 0.6], h=0.1, steps=4)
    assert run.theta.shape == (5, 2)
    for point, measured, predicted in zip(run.theta[:-1], run.measured, run.predicted, strict=True):
        single = modeq.drift(TOY, point, h=0.1)
        assert (single.measured, single.predicted) == (measured, predicted)
    assert len(str(run).splitlines()) == 5


def test_the_adjusted_rate_is_that_of_the_formula():
    loss, point = modeq.Loss(TOY), [2.0, 0.6]
    values = dict(zip(loss.variables, point, strict=True))
    g = np.array(loss.gradient.subs(values), dtype=float).ravel()
    curved = np.array(loss.hessian.subs(values), dtype=float) @ (g / np.linalg.norm(g))
    for p in (1, 0.5):
        assert modeq.dal(loss, point, p) == pytest.approx(2 / np.linalg.norm(curved) ** p)
    assert modeq.dal(loss, point, cap=0.25) == 0.25
    assert modeq.dal("x**2", [0.0]) == 5


def test_dal_1_stays_bounded_where_a_fixed_rate_and_dal_of_a_half_diverge():
    """And it loses to a fixed rate that suits the quadratic, because it stays at the edge."""
    bowl, start = "x**2 + y**2/100", [-0.35, -0.2]
    sizes = np.linalg.norm(modeq.run_dal(bowl, start, steps=200).theta, axis=1)
    assert sizes.max() <= sizes[0] * (1 + 1e-12)
    assert np.linalg.norm(modeq.iterate(bowl, start, h=1.05, steps=200)[-1]) > 1e6
    assert np.linalg.norm(modeq.run_dal(bowl, start, steps=200, p=0.5).theta[-1]) > 1e6
    assert np.linalg.norm(modeq.iterate(bowl, start, h=0.9, steps=200)[-1]) < sizes[-1]
    with pytest.raises(FlowError, match="diverges"), np.errstate(all="ignore"):
        modeq.run_dal("x**2/2 + x**4/4", [1.5], steps=200, p=0.5)


def test_adjusted_rates_are_compared_with_fixed_ones_in_one_table():
    found = compare_rates("x**2/2 + x**4/4", [1.5], steps=60, rates=(0.2, 2.0))
    assert [*found.losses] == ["DAL-1", "h = 0.2"]
    assert [*found.failures] == ["DAL-0.5", "h = 2"]
    assert found.best == "h = 0.2"
    assert found.losses["DAL-1"][0] == pytest.approx(1.5**2 / 2 + 1.5**4 / 4)
    assert len(str(found).splitlines()) == 5
    assert "DAL-1" in found._repr_html_()
    assert len(found.plot(Figure().subplots()).lines) == 2


@pytest.mark.parametrize(
    ("p", "cap"), [(0, 5), (-1, 5), (1, 0), (math.nan, 5), ("1", 5), (1, None), (1j, 5)]
)
def test_an_adjusted_rate_with_a_bad_power_or_cap_is_refused(p, cap):
    with pytest.raises(InvalidValue):
        modeq.dal("x**2", [1.0], p, cap)


def test_an_adjusted_rate_of_what_is_not_finite_is_refused():
    with pytest.raises(InvalidValue, match="finite"):
        adjusted_rate([1.0], [math.inf])


def test_the_principal_parts_and_the_rest_are_the_counter_terms():
    equation = modeq.derive("x**3*y + exp(y)", 3)
    parts = modeq.principal_part(equation)
    g, H = sympy.Matrix(equation.loss.gradient), equation.loss.hessian
    for j, (term, tall, rest) in enumerate(
        zip(equation.counter_terms, parts.principal, parts.rest, strict=True), 1
    ):
        assert sympy.expand(sympy.Matrix(term) - tall - rest).is_zero_matrix
        assert sympy.expand(tall + H**j * g / (j + 1)).is_zero_matrix
    assert not parts.rest[1].is_zero_matrix


def test_on_a_quadratic_nothing_is_left_beside_the_principal_part():
    parts = modeq.principal_part(modeq.derive("x**2 + x*y + 3*y**2", 4))
    assert all(rest.is_zero_matrix for rest in parts.rest)


@pytest.mark.parametrize(("method", "holds"), [("gradient-descent", True), ("rk4", False)])
def test_only_gradient_descent_has_the_tall_coefficients_of_the_logarithm(method, holds):
    assert modeq.certify_tall(method, 10).holds == holds


START = [-0.35, -0.2]


@pytest.mark.parametrize("h", [0.9, 1.0, 1.05])
def test_on_the_papers_quadratic_the_principal_flow_is_the_best(h):
    comparison = compare_flows("x**2 + y**2/100", START, h=h, steps=4)
    assert comparison.best.startswith("principal")
    assert comparison.errors["principal"].max() < 1e-10
    assert len(str(comparison).splitlines()) == 1 + len(comparison.flows) + len(comparison.failures)
    assert comparison.plot(Figure().subplots()).get_xlabel() == "x"


def test_at_h_lambda_of_one_the_comparison_goes_on_without_the_principal_flow():
    comparison = compare_flows("x**2 + y**2/100", START, h=0.5, steps=3, orders=(0,))
    assert list(comparison.flows) == ["order 0"]
    assert "lambda = 2" in comparison.failures["principal"]


def test_momentum_is_compared_with_its_own_flows():
    comparison = compare_flows(
        "x**2/2 + x**4/20", [0.5], h=0.02, steps=6, orders=(0, 1), method=modeq.HeavyBall(0.25)
    )
    assert comparison.errors["principal + 1"].max() < comparison.errors["order 1"].max()


def test_all_flows_are_compared_in_one_call():
    found = compare_flows(
        "x**2 + y**2/100 + x**3/9",
        START,
        h=0.9,
        steps=2,
        orders=(0, 1),
        corrections=(0, 1),
        composed=(2,),
        central=True,
    )
    names = "order 0, order 1, principal, principal + 1, 2 steps, 2 steps + 1, central"
    assert ", ".join(found.errors) == names
    assert [row["flow"] for row in found.table] == names.split(", ")
    errors = found.errors["2 steps + 1"]
    assert np.isnan(errors[1])
    assert errors[2] < found.errors["2 steps"][2] < found.errors["order 1"][2]
    assert "2 steps + 1" in found._repr_html_()
    drawn = columns(dict.fromkeys(("one", "two"), (found.draw, found.draw_errors)))
    assert [axes.get_title() for axes in drawn.axes] == ["one", "two", "", ""]


def test_two_composed_steps_and_one_step_meet_the_same_iterates_below_h_lambda_of_one():
    found = compare_flows("cos(x)", [2.0], h=0.5, steps=4, orders=(), composed=(2,))
    for one, two in (("principal", "2 steps"), ("principal + 1", "2 steps + 1")):
        np.testing.assert_allclose(found.flows[one], found.flows[two], atol=1e-11)


def test_a_principal_flow_shows_its_coefficient_functions():
    html = modeq.principal_flow("x**2", 1)._repr_html_()
    assert "corrections=1" in html
    assert "log" in html


def test_a_comparison_without_any_flow_that_exists_says_so():
    found = compare_flows("x**2/2", [1.0], h=1.0, steps=1, orders=(), corrections=(0,))
    assert not found.errors
    assert "h*lambda = 1" in str(found)


def test_rates_are_compared_for_losses_alone():
    with pytest.raises(InvalidLoss, match="vector field"):
        compare_rates(
            modeq.VectorField(["y", "-x"], "x y"), [1, 1], steps=2, rates=(0.1,), powers=()
        )


def test_of_no_runs_and_no_flows_none_is_best():
    with pytest.raises(FlowError, match="none is best"):
        _ = compare_rates("x**2", [1.0], steps=2, rates=(), powers=()).best
    found = compare_flows("x**2", [1.0], h=0.1, steps=2, orders=(), corrections=())
    with pytest.raises(FlowError, match="none is best"):
        _ = found.best


def test_a_flow_that_is_too_large_does_not_stop_the_others():
    names = " ".join(f"x{i}" for i in range(24))
    loss = modeq.Loss(f"({'+'.join(names.split())})**2 + x0**4", names)
    found = compare_flows(loss, [0.01] * 24, h=0.01, steps=1, orders=(0,), corrections=(0, 2))
    assert [*found.flows] == ["order 0", "principal"]
    assert "24**5 coefficients" in found.failures["principal + 2"]


@pytest.mark.parametrize("z", [1e200, -1e200])
def test_the_multiplier_of_a_flow_may_be_too_large_or_too_small_for_a_float(z):
    assert multiplier_of_flow(z, 2) == (0 if z > 0 else math.inf)
