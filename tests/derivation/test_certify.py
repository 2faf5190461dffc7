"""The exact proof: it holds for what derive finds, and for nothing else."""

import json
from dataclasses import replace

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import GradientDescent, Loss, VectorField
from modeq.derivation.certify import certify
from modeq.derivation.derive import derive_field
from modeq.losses.vanishing import Vanishing
from modeq.methods.named import as_method
from modeq.testing import losses, tableaux, vector_fields

ORDER = 3
LOSSES = ["x**2*y + y**3", "tanh(x*y) + x**2/2", "log(1 + exp(x - y))", "sqrt(1 + x**2 + y**2)"]


def derived(loss, method="gradient-descent", order=ORDER):
    return derive_field(loss, order, as_method(method))


def with_scaled_terms(modified, factors):
    """Return a field whose f_k are multiplied by the factor of k."""
    elements = tuple(
        tuple(modified.ring.constant(factor) * entry for entry in vector)
        for factor, vector in zip(factors, modified.elements, strict=True)
    )
    return replace(modified, elements=elements)


@given(losses())
def test_every_derived_field_of_a_loss_is_proved(loss):
    certificate = certify(derived(loss, order=2))
    assert certificate.holds
    assert (certificate.commutes_through, certificate.reaches_through) == (3, 3)


@settings(max_examples=10)
@given(field=vector_fields(variables="x y", max_degree=2), method=tableaux())
def test_every_derived_field_of_a_tableau_is_proved(field, method):
    assert certify(derived(field, method, order=2))


@pytest.mark.parametrize("k", range(1, ORDER + 1))
@pytest.mark.parametrize("text", LOSSES)
def test_a_perturbed_counter_term_is_refuted_at_its_power(text, k):
    factors = [sympy.Rational(1001, 1000) if j == k else 1 for j in range(ORDER + 1)]
    certificate = certify(with_scaled_terms(derived(Loss(text)), factors))
    assert not certificate
    assert certificate.reaches_through == k


@pytest.mark.parametrize("text", LOSSES)
def test_a_field_of_the_wrong_speed_commutes_but_is_refuted(text):
    certificate = certify(with_scaled_terms(derived(Loss(text)), [2] * (ORDER + 1)))
    assert certificate.commutes_through == ORDER + 1
    assert certificate.reaches_through == 0
    assert not certificate.holds


@pytest.mark.parametrize("text", LOSSES)
@pytest.mark.parametrize(
    ("method", "agrees_through"),
    [("implicit-euler", 1), ("heun", 1), ("extragradient", 1), ("rk4", 1)],
)
def test_the_field_of_another_method_is_refuted(text, method, agrees_through):
    wrong = replace(derived(Loss(text), method), method=GradientDescent())
    certificate = certify(wrong)
    assert not certificate
    assert certificate.reaches_through == agrees_through


def test_the_field_of_another_loss_is_refuted():
    wrong = replace(derived(Loss("x**2*y + y**3")), loss=Loss("x**2*y + y**3 + x**3"))
    assert not certify(wrong)


def test_a_perturbation_that_vanishes_to_one_order_is_still_refuted():
    """f₃ enters commutation only at h⁴, and only together with f₀, from which it is a multiple."""
    modified = derived(Loss("x**2/2"))
    certificate = certify(with_scaled_terms(modified, [1, 1, 1, 2]))
    assert certificate.commutes_through == ORDER + 1
    assert certificate.reaches_through == ORDER


def test_a_certificate_is_a_truth_value_and_prints_its_verdict():
    proof = modeq.derive("x**4 + x*y", 2).certify()
    assert proof
    assert str(proof).startswith("proved by exact algebra, through h^3:")
    refuted = certify(with_scaled_terms(derived(Loss("x**4 + x*y"), order=2), [1, 2, 1]))
    assert "REFUTED" in str(refuted)


def test_a_vector_field_with_parameters_is_proved_for_all_their_values():
    field = VectorField(["a*x - b*x*y", "-c*y + d*x*y"], "x y")
    assert certify(derived(field, order=3))


def test_the_certificate_does_not_trust_the_derivation(monkeypatch):
    """A recursion with a wrong weight is caught."""
    monkeypatch.setattr("modeq.derivation.lie.factorial", lambda i: i)
    assert not certify(derived(Loss("x**2*y + y**3")))


GUESSED = "((4*x**2 - 3)*(4*x**2 - 5))**4"


def test_a_term_that_vanishes_at_points_that_could_be_guessed_is_refuted():
    equation = modeq.derive("exp(x) + x**2", 1)
    data = json.loads(equation.to_json())
    at = data["generators"].index("x")
    for (power,), c in sympy.Poly(sympy.sympify(GUESSED), sympy.Symbol("x")).terms():
        exponents = [power if i == at else 0 for i in range(len(data["generators"]))]
        data["terms"][1][0].append([*exponents, str(c)])
    certificate = modeq.from_json(json.dumps(data)).certify()
    assert not certificate.holds
    assert not certificate.proved
    assert "REFUTED" in str(certificate)


@settings(max_examples=15, deadline=None)
@given(
    losses(),
    st.integers(0, 2),
    st.lists(st.sampled_from([sympy.Rational(n, 4) for n in range(13)]), min_size=1, max_size=4),
    st.integers(0, 50),
)
def test_no_wrong_counter_term_has_a_certificate(loss, k, zeros, smallness):
    modified = derived(loss, order=2)
    ring = modified.ring
    x = ring.generator(ring.variables[0])
    change = ring.constant(sympy.Rational(1, 10**smallness))
    for zero in zeros:
        change = change * (x - ring.constant(zero))
    rows = [list(vector) for vector in modified.elements]
    rows[k][0] = rows[k][0] + change
    assert not certify(replace(modified, elements=tuple(map(tuple, rows)))).holds


def test_what_algebra_does_not_see_is_checked_and_says_that_it_is_not_proved():
    x = sympy.Symbol("x")
    modified = derived(Loss(sympy.tan(x) + sympy.sin(x)), order=1)
    ring = modified.ring
    tangent, sine, cosine = map(ring.convert, (sympy.tan(x), sympy.sin(x), sympy.cos(x)))
    relation = tangent * cosine - sine
    assert ring.vanishing(relation) is Vanishing.CHECKED
    rows = [list(vector) for vector in modified.elements]
    rows[1][0] = rows[1][0] + relation
    certificate = certify(replace(modified, elements=tuple(map(tuple, rows))))
    assert certificate.holds
    assert not certificate.proved
    assert str(certificate).startswith("checked at random points, not proved, through h^2:")
