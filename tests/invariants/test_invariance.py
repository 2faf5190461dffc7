"""Invariances are proved or refuted, and what they conserve obeys laws that can be measured."""

import time

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import scale_invariance, translation_invariance
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidLoss, InvalidValue
from modeq.invariants.flow_laws import FORCE, NORM, SUM
from modeq.invariants.laws import Laws, multiple
from modeq.losses.loss import H
from modeq.losses.problems import (
    batch_normalized,
    softmax_last_layer,
    softmax_layer,
    weight_normalized,
)

LAM = sympy.Symbol("lam")
SCALE = [(batch_normalized(), "w1 w2"), (weight_normalized(), "v1 v2")]


@pytest.mark.parametrize(("loss", "block"), SCALE)
def test_normalised_layers_are_scale_invariant(loss, block):
    result = scale_invariance(loss, block)
    assert result
    assert result.is_proved
    assert result.witness is None


def test_a_loss_that_is_not_invariant_is_refuted_by_a_point_where_it_changes():
    loss = weight_normalized()
    result = scale_invariance(loss, "g v1")
    assert not result
    assert result.laws is None
    before, c = result.witness.point, sympy.Rational(11, 10)
    after = {x: value * (c if x.name in ("g", "v1") else 1) for x, value in before.items()}
    assert abs((loss.expression.subs(after) - loss.expression.subs(before)).n()) > 1e-6
    assert "refuted" in str(result)


def test_what_breaks_an_invariance_by_less_than_a_witness_shows_is_refuted_and_said_to_be_small():
    result = translation_invariance("exp(x - y) + x/10**80")
    assert not result
    assert "refuted, though by less than 1e-15 at the points that were tried" in str(result)


def test_the_witness_of_a_loss_with_parameters_gives_them_values():
    result = translation_invariance(modeq.Loss("(x - y)**2 + c*x**2", "x y"))
    slope = 2 * sympy.Symbol("c") * sympy.Symbol("x")
    assert result.witness.slope == slope.subs(result.witness.point) != 0


def test_a_parameter_may_stay_a_symbol_in_an_invariant_loss():
    assert scale_invariance(modeq.Loss("c*x*y/(x**2 + y**2)", "x y")).is_proved


@pytest.mark.parametrize(("loss", "block"), SCALE)
def test_gradient_flow_and_order_one_have_the_laws_of_the_theory(loss, block):
    laws = scale_invariance(loss, block).laws
    assert laws.gradient_flow == -2 * LAM * NORM
    expected = -(2 * LAM + H * LAM**2) * NORM + H * FORCE
    assert sympy.expand(laws.flow(1).derivative - expected) == 0
    claim = (1 - H * LAM) ** 2 * NORM + H**2 * FORCE
    assert sympy.expand(laws.gradient_descent - claim) == 0


@pytest.mark.parametrize(("loss", "block"), SCALE)
def test_the_rate_of_the_norm_is_the_series_of_the_logarithm(loss, block):
    laws = scale_invariance(loss, block).laws
    series = sympy.series(laws.all_orders, H, 0, 5).removeO()
    assert sympy.expand(laws.flow(4).rate - series) == 0


def test_the_gain_is_that_of_a_logarithm_of_operators():
    # With M the map and q = (1-hλ)², MN = qN + h²G, so log(M)N = log(q)N + h² K(M)G,
    # K(z) = (log z - log q)/(z - q); decay alone takes G, of degree -2, to G/q.
    q = (1 - H * LAM) ** 2
    series = sympy.series(-2 * H * sympy.log(q) / (1 / q - q), H, 0, 5).removeO()
    gain = scale_invariance(batch_normalized()).laws.flow(4).gain
    assert sympy.expand(gain - series) == 0


def test_without_decay_the_forcing_is_a_bernoulli_series_of_the_squared_gradient():
    # log(M)/(M - 1) G with M = exp(h D): N' = h Σ B_j/j! hʲ Dʲ G, D the derivative along the flow.
    loss = modeq.Loss("x*y/(x**2 + y**2)")
    x, y = loss.variables
    order = 3
    field = modeq.derive(loss, order=order).field
    g = sum(entry**2 for entry in loss.gradient)
    total, power = 0, g
    for j, bernoulli in enumerate([1, sympy.Rational(-1, 2), sympy.Rational(1, 12)]):
        total += H ** (j + 1) * bernoulli * power
        power = sum(power.diff(v) * f for v, f in zip(loss.variables, field, strict=True))
    derived = scale_invariance(loss).laws.flow(order).derivative.subs(LAM, 0).subs(FORCE, g)
    difference = (total - derived).subs({x: sympy.Rational(2, 3), y: sympy.Rational(1, 5)})
    assert all(sympy.expand(difference).coeff(H, j) == 0 for j in range(order + 1))


def test_the_law_of_gradient_descent_holds_along_iterates():
    laws = scale_invariance(batch_normalized()).laws
    lam, h = 0.3, 0.1
    points = modeq.iterate(laws.decayed, [1.0, -0.5], h=h, steps=5, parameters={"lam": lam})
    x = laws.block
    norm = sympy.lambdify(x, laws.conserved)(*points.T)
    force = sympy.lambdify(x, laws.squared_gradient)(*points.T)
    assert np.allclose(norm[1:], ((1 - h * lam) ** 2 * norm + h**2 * force)[:-1], rtol=1e-12)


def test_gradient_flow_keeps_the_norm_and_order_two_changes_it_as_its_law_says():
    loss, h = weight_normalized(), 0.05
    laws = scale_invariance(loss, "v1 v2").laws
    for order in (0, 2):
        theta = modeq.derive(loss, order=order).solve(loss.start, h=h, steps=1).theta
        middle = modeq.derive(loss, order=order).solve(loss.start, h=h / 2, steps=1).theta[-1]
        law = laws.flow(order).derivative.subs(LAM, 0)
        law = law.subs({FORCE: laws.squared_gradient}).subs({H: h})
        norm = sympy.lambdify(loss.variables, laws.conserved)
        slope = float(law.subs(dict(zip(loss.variables, middle, strict=True))))
        change = norm(*theta[1]) - norm(*theta[0])
        assert change == pytest.approx(h * slope, rel=1e-2, abs=1e-11)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_softmax_biases_decay_as_one_number_without_forcing(order):
    law = translation_invariance(softmax_layer()).laws.flow(order)
    series = sympy.series(sympy.log(1 - H * LAM) / H, H, 0, order + 1).removeO()
    assert sympy.expand(law.derivative - series * SUM) == 0


def test_the_weights_of_each_feature_of_a_softmax_layer_keep_their_sum():
    loss = softmax_last_layer()
    points = modeq.iterate(loss, loss.start, h=0.5, steps=5)
    for block, columns in (("w1_1 w2_1", [0, 2]), ("w1_2 w2_2", [1, 3])):
        assert translation_invariance(loss, block)
        assert np.allclose(np.diff(points[:, columns].sum(axis=1)), 0, atol=1e-14)
    assert not translation_invariance(loss, "w1_1 w1_2")


def test_the_sum_of_softmax_biases_shrinks_by_one_minus_h_lam_at_each_step():
    laws = translation_invariance(softmax_layer()).laws
    points = modeq.iterate(laws.decayed, [1, 2, 3], h=0.5, steps=4, parameters={"lam": 0.2})
    assert np.allclose(points.sum(axis=1), 6 * 0.9 ** np.arange(5))
    assert laws.gradient_descent.expand() == (SUM * (1 - H * LAM)).expand()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("find", "loss", "block"),
    [
        (scale_invariance, batch_normalized(), None),
        (scale_invariance, weight_normalized(), "v1 v2"),
        (translation_invariance, softmax_layer(), None),
        (translation_invariance, softmax_last_layer(), "w1_1 w2_1"),
    ],
)
def test_laws_come_out_to_order_six_in_twenty_seconds(find, loss, block):
    begin = time.process_time()
    laws = find(loss, block).laws
    series = sympy.series(laws.all_orders, H, 0, 7).removeO()
    assert sympy.expand(laws.flow(6).rate - series) == 0
    assert laws.decay_rates(orders=range(7))["order 6"] == laws.flow(6).rate
    assert time.process_time() - begin < 20


def test_the_equilibria_are_fixed_points_of_their_laws():
    laws = scale_invariance(batch_normalized()).laws
    ghat, lam, h = 0.7, 0.1, 0.2
    values = {sympy.Symbol("Ghat"): ghat, LAM: lam, H: h}
    n = float(laws.equilibria["gradient descent"].subs(values))
    assert (1 - h * lam) ** 2 * n + h**2 * ghat / n == pytest.approx(n)
    first = float(laws.equilibria["order 1"].subs(values))
    assert laws.flow(1).derivative.subs({NORM: first, FORCE: ghat / first}).subs(
        values
    ) == pytest.approx(0, abs=1e-12)


def test_the_equilibria_of_higher_orders_are_rest_points_of_the_map_of_the_norm():
    # With G = Ĝ/N one step is N⁺ = qN + h²Ĝ/N. N is of the order √h at rest, where h²λĜ/N and
    # h³Ĝ²/N³ count alike: order 2 has only the first of them, and is no better than order 1.
    laws = scale_invariance(batch_normalized()).laws
    errors = {}
    for h in (0.2, 0.1):
        values = {sympy.Symbol("Ghat"): 0.7, LAM: 0.3, H: h}
        at_rest = {k: float(e.subs(values)) for k, e in laws.equilibria.items()}
        exact = at_rest["gradient descent"]
        errors[h] = [abs(at_rest[f"order {n}"] - exact) for n in (1, 2, 3)]
    slopes = np.log2(np.array(errors[0.2]) / errors[0.1])
    assert np.allclose(slopes, [1.5, 1.5, 2.5], atol=0.15)


def test_what_a_step_does_to_norm_and_overlap_is_derived_for_the_loss():
    laws = scale_invariance(weight_normalized(), "v1 v2").laws
    assert sympy.expand(laws.overlap - (1 - H * LAM) * NORM) == 0
    assert laws.degree == -1
    assert laws.effective_learning_rate == H / NORM
    assert set(laws.table()) == {
        "decay rates",
        "effective learning rate",
        "angular update",
        "equilibria",
    }
    assert set(translation_invariance(softmax_layer()).laws.table()) == {"decay rates"}


def test_the_direction_follows_the_step_with_the_effective_learning_rate():
    loss = batch_normalized()
    laws = scale_invariance(loss).laws
    start, h = np.array([1.0, -0.5]), 1e-4
    after = modeq.iterate(loss, start, h=h, steps=1)[1]
    unit, norm = start / np.linalg.norm(start), start @ start
    effective = float(laws.effective_learning_rate.subs({H: h, NORM: norm}))
    gradient = -(modeq.iterate(loss, unit, h=1e-3, steps=1)[1] - unit) / 1e-3
    turned = after / np.linalg.norm(after) - unit
    assert np.allclose(turned, -effective * gradient, atol=1e-3 * np.linalg.norm(turned))


def test_the_witness_is_in_the_domain_even_if_that_is_far_away():
    result = scale_invariance("log(x - 1000)")
    assert result.witness.point[sympy.Symbol("x")] > 1000
    assert "refuted" in str(result)


def test_elements_that_are_multiples_only_as_functions_are_found_by_their_values():
    x = sympy.Symbol("x")
    ring = DifferentialRing((x,), (), [sympy.sin(x), sympy.sin(2 * x), sympy.cos(x)], 1)
    one, other = ring.convert(sympy.sin(2 * x)), ring.convert(3 * sympy.sin(x) * sympy.cos(x))
    assert multiple(ring, one, other) == sympy.Rational(2, 3)
    assert multiple(ring, one, ring.convert(sympy.sin(x))) is None


def test_a_loss_that_does_not_follow_its_law_is_refused():
    laws = Laws("scale", modeq.Loss("x**2 + y**4"), sympy.symbols("x y"))
    with pytest.raises(InvalidLoss, match="law"):
        _ = laws.gradient_descent


def test_at_equilibrium_the_angle_of_a_step_is_arccos_of_one_minus_h_lam():
    laws = scale_invariance(batch_normalized()).laws
    ghat, lam, h = 0.7, 0.1, 0.2
    values = {sympy.Symbol("Ghat"): ghat, LAM: lam, H: h}
    n = float(laws.equilibria["gradient descent"].subs(values))
    angle = laws.angular_update.subs({NORM: n, FORCE: ghat / n}).subs(values)
    assert float(angle) == pytest.approx(float(laws.equilibria["angle"].subs(values)))


def test_the_angle_of_a_step_is_measured():
    laws = scale_invariance(batch_normalized()).laws
    a, b = modeq.iterate(laws.decayed, [1.0, -0.5], h=0.1, steps=1, parameters={"lam": 0.3})
    measured = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    point = dict(zip(laws.block, a, strict=True))
    values = {NORM: a @ a, FORCE: laws.squared_gradient.subs(point), LAM: 0.3, H: 0.1}
    assert float(laws.angular_update.subs(values)) == pytest.approx(measured)


def test_the_effective_learning_rate_turns_the_direction_alike_at_every_length():
    loss = batch_normalized()
    laws = scale_invariance(loss).laws
    start, h, c = np.array([1.0, -0.5]), 0.05, 2.0
    rates = [
        float(laws.effective_learning_rate.subs({H: a, NORM: b}))
        for a, b in ((h, start @ start), (c**2 * h, c**2 * start @ start))
    ]
    assert rates[0] == pytest.approx(rates[1])
    one = modeq.iterate(loss, start, h=h, steps=5)
    other = modeq.iterate(loss, c * start, h=c**2 * h, steps=5)
    assert np.allclose(other, c * one)


def test_rates_come_as_a_table_whose_last_rows_agree():
    rates = scale_invariance(batch_normalized()).laws.decay_rates()
    assert list(rates) == [
        "gradient flow",
        "order 1",
        "order 2",
        "order 3",
        "all orders",
        "gradient descent",
    ]
    assert rates["all orders"] == rates["gradient descent"]


def test_the_name_of_the_decay_avoids_the_names_of_the_loss():
    laws = scale_invariance(modeq.Loss("lam*x*y/(x**2 + y**2)", "x y")).laws
    assert laws.decay.name == "decay"
    assert laws.gradient_flow == -2 * laws.decay * NORM


COEFFICIENTS = st.integers(-3, 3)


@settings(max_examples=15, deadline=None)
@given(st.lists(COEFFICIENTS, min_size=3, max_size=3), st.sampled_from([0, 1]))
def test_quotients_of_forms_of_one_degree_are_scale_invariant_and_no_others(c, extra):
    x, y = sympy.symbols("x y")
    form = c[0] * x**2 + c[1] * x * y + c[2] * y**2
    loss = modeq.Loss(form * x**extra / (x**2 + y**2), (x, y))
    assert scale_invariance(loss).holds == (extra == 0 or form == 0)


@pytest.mark.parametrize("block", ["z", "x z", "", "x x"])
def test_a_block_that_is_no_block_of_variables_is_refused(block):
    with pytest.raises((InvalidValue, InvalidLoss), match=r"block|name|variable"):
        scale_invariance("x*y/(x**2 + y**2)", block)


def test_a_vector_field_is_refused():
    with pytest.raises(InvalidLoss, match="vector field"):
        scale_invariance(modeq.VectorField(["-y", "x"], "x y"))


def test_lengths_and_angles_are_refused_for_translations():
    with pytest.raises(InvalidValue, match="scale-invariant"):
        _ = translation_invariance(softmax_layer()).laws.angular_update


def test_a_law_is_printed_with_its_terms():
    laws = scale_invariance("x*y/(x**2 + y**2)").laws
    assert str(laws.flow(1)) == "order 1: N' = (-h*lam**2 - 2*lam)*N + (h)*G"
    assert str(laws.flow(0)) == "order 0: N' = (-2*lam)*N"
