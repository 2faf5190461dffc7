"""The modified equation as a value with verbs."""

import dataclasses

import pytest
import sympy

import modeq
from modeq import GradientDescent, Loss
from modeq.errors import InvalidLoss, InvalidMethod, InvalidOrder
from modeq.losses.loss import H

x, y = sympy.symbols("x y")


@pytest.fixture
def equation():
    return modeq.derive("lam*x**4/4 + x*y**2", 2, variables="x y")


def test_its_parts_are_those_of_the_design(equation):
    assert equation.h == H
    assert equation.h.is_positive
    assert [v.name for v in equation.variables] == ["x", "y"]
    assert [p.name for p in equation.parameters] == ["lam"]
    assert equation.order == 2
    assert equation.method == GradientDescent()
    assert equation.loss == Loss("lam*x**4/4 + x*y**2", "x y")


def test_the_field_is_the_sum_of_its_terms(equation):
    first, second = equation.counter_terms
    total = -equation.loss.gradient + H * first + H**2 * second
    assert sympy.expand(equation.field - total) == sympy.zeros(2, 1)
    assert all(isinstance(term, sympy.ImmutableMatrix) for term in equation.counter_terms)


def test_equal_questions_have_equal_answers(equation):
    twin = modeq.derive(Loss("x*y**2 + x**4*lam/4", "x y"), 2, GradientDescent())
    assert twin == equation
    assert hash(twin) == hash(equation)
    assert {equation: 1}[twin] == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: modeq.derive("lam*x**4/4 + x*y**2", 1, variables="x y"),
        lambda: modeq.derive("lam*x**4/4 + x*y**2", 2, "heun", variables="x y"),
        lambda: modeq.derive("lam*x**4/4 + x*y**2", 2, variables="y x"),
        lambda: modeq.derive("lam*x**4/4 + x*y**2", 2),
        lambda: modeq.derive("x**4/4 + x*y**2", 2),
        lambda: "lam*x**4/4 + x*y**2",
        lambda: None,
    ],
)
def test_other_questions_have_other_answers(equation, other):
    assert equation != other()


@pytest.mark.parametrize("name", ["order", "loss", "method", "elements", "ring"])
def test_nothing_about_it_can_be_changed(equation, name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(equation, name, None)


def test_the_matrices_cannot_be_changed(equation):
    with pytest.raises(TypeError):
        equation.field[0] = 0


def test_substitution_is_derivation_for_the_value(equation):
    assert equation.subs({"lam": 3}) == modeq.derive("3*x**4/4 + x*y**2", 2)
    assert equation.subs({}) == equation
    with pytest.raises(InvalidLoss, match="mu"):
        equation.subs({"mu": 1})


@pytest.mark.parametrize("thing", ["a*x**2", sympy.Symbol("a") * x**2, Loss("a*x**2")])
def test_variables_may_be_named_for_texts_expressions_and_losses(thing):
    equation = modeq.derive(thing, 1, variables="x")
    assert [v.name for v in equation.variables] == ["x"]
    assert [p.name for p in equation.parameters] == ["a"]


def test_a_vector_field_has_its_own_variables():
    field = modeq.VectorField("y**2")
    assert modeq.derive(field, 1).loss is field


def test_the_universal_coefficients_are_those_of_the_method(equation):
    assert equation.universal() == modeq.modified_equation("gradient-descent", 2)


def test_a_universal_modified_equation_refuses_what_derive_refuses():
    with pytest.raises(InvalidOrder):
        modeq.modified_equation("euler", -1)
    with pytest.raises(InvalidMethod):
        modeq.modified_equation("eulr", 1)


def test_it_prints_in_every_way(equation):
    for text in (str(equation), equation.text(), equation.latex(), equation.to_markdown()):
        assert "lam" in text
    assert repr(equation).startswith("<ModifiedEquation of order 2: gradient descent on Loss(")
    assert equation._repr_latex_().startswith("$")


def test_it_survives_json(equation):
    assert modeq.from_json(equation.to_json()) == equation


def test_its_python_source_is_its_numeric_field():
    equation = modeq.derive("x**4/4 + x*y**2", 2)
    scope = {}
    exec(equation.to_python(), scope)
    value = scope["modified_field"]([0.5, 0.25], 0.1)
    assert list(value) == pytest.approx(list(equation.lambdify()([0.5, 0.25], 0.1)), rel=1e-14)
