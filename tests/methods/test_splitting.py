"""Splitting methods, against Lie series written out."""

from fractions import Fraction

import numpy as np
import oracle
import pytest
import sympy

import modeq
from modeq import LieTrotter, SplitField, Splitting, Strang, VectorField
from modeq.errors import InvalidMethod

x, y, z = sympy.symbols("x y z")
HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
PARTS = ([x * y + y**2, x - y], [x**2, 1 - x * y])
FIELD = SplitField(VectorField(part, [x, y]) for part in PARTS)
PENDULUM = VectorField(["-sin(q)", "p"], variables="p q").split("p", "q")
BACKWARD = Splitting([(0, THIRD), (1, 2), (0, 2 * THIRD), (1, -1)])
METHODS = [LieTrotter(), Strang(), BACKWARD]


def test_values_are_given_by_symbol_or_by_name_and_no_text_is_evaluated():
    a = sympy.Symbol("a")
    method = Splitting([(0, a), (1, 1), (0, 1 - a)], "two thirds")
    found = method.subs({"a": Fraction(2, 3)})
    assert found == method.subs({a: Fraction(2, 3)})
    assert str(found) == "two thirds with a = 2/3"
    for values in ({"a": "print(1)"}, {"print(1)": 1}):
        with pytest.raises(InvalidMethod):
            method.subs(values)


@pytest.mark.parametrize("method", METHODS, ids=["lie-trotter", "strang", "backward"])
def test_counter_terms_are_those_of_the_lie_series(method):
    step = oracle.splitting_step(PARTS, (x, y), method.stages, 3)
    expected = oracle.counter_terms_of(step, (x, y), 2)
    derived = modeq.derive(FIELD, 2, method).counter_terms
    assert all(map(oracle.same, derived, expected[1:]))


@pytest.mark.parametrize("method", METHODS, ids=["lie-trotter", "strang", "backward"])
@pytest.mark.parametrize("field", [FIELD, PENDULUM], ids=["polynomial", "pendulum"])
def test_the_flow_commutes_with_the_splitting_and_has_its_slopes(method, field):
    equation = modeq.derive(field, 2, method)
    assert equation.certify()
    assert equation.check([0.3, 0.4], h=0.0625)


def test_the_first_counter_term_of_lie_trotter_is_half_a_bracket():
    f0, f1 = (sympy.Matrix(part) for part in PARTS)
    bracket = f1.jacobian([x, y]) * f0 - f0.jacobian([x, y]) * f1
    assert oracle.same(modeq.derive(FIELD, 1, LieTrotter()).counter_terms[0], bracket / 2)


def test_the_counter_terms_of_strang_have_even_powers_only():
    assert not any(any(t) for t in modeq.derive(FIELD, 5, "strang").counter_terms[::2])


def test_splitting_parts_that_commute_is_exact():
    commuting = SplitField([VectorField([x, -y], [x, y]), VectorField([2 * x, 3 * y], [x, y])])
    assert not any(any(t) for t in modeq.derive(commuting, 4, "lie-trotter").counter_terms)


@pytest.mark.parametrize(
    ("splitting", "partitioned"),
    [("lie-trotter", "symplectic-euler"), ("strang", "stoermer-verlet")],
)
def test_splitting_kinetic_from_potential_energy_is_a_partitioned_method(splitting, partitioned):
    left, right = (modeq.derive(PENDULUM, 4, name) for name in (splitting, partitioned))
    assert left.elements == right.elements


def test_iterates_apply_the_flow_of_the_first_stage_first():
    shear = VectorField([y, 0], [x, y])
    growth = VectorField([0, y], [x, y])
    points = modeq.iterate(
        SplitField([shear, growth]), [1.0, 2.0], h=0.5, steps=1, method="lie-trotter"
    )
    assert np.allclose(points[1], [2.0, 2 * np.exp(0.5)], rtol=1e-12)


def test_flows_may_go_backward():
    points = modeq.iterate(FIELD, [0.3, 0.4], h=0.1, steps=3, method=BACKWARD)
    flow = modeq.derive(FIELD, 7, BACKWARD).solve([0.3, 0.4], h=0.1, steps=3)
    assert np.allclose(points, flow.theta, atol=1e-6)


def test_fractions_may_be_symbols():
    c = sympy.Symbol("c")
    method = Splitting([(0, c), (1, 1), (0, 1 - c)])
    equation = modeq.derive(FIELD, 2, method)
    assert equation.certify()
    for value, name in ((1, "lie-trotter"), (sympy.Rational(1, 2), "strang")):
        expected = modeq.derive(FIELD, 2, name).field
        assert oracle.same(equation.field.subs({c: value}), expected)


def test_three_parts_may_be_split():
    field = VectorField(["10*(y - x)", "x*(28 - z) - y", "x*y - 8/3*z"], variables="x y z")
    method = Splitting([(0, HALF), (1, HALF), (2, 1), (1, HALF), (0, HALF)], "Strang in three")
    equation = modeq.derive(field.split("x", "y", "z"), 2, method)
    assert not any(equation.counter_terms[0])
    assert equation.certify()
    assert str(method) == "Strang in three"


def test_functions_of_both_parts_and_parameters_may_be_split():
    field = SplitField([VectorField(["-k*tanh(x)"], "x"), VectorField(["1/(1 + x**2)"], "x")])
    equation = modeq.derive(field, 2, "strang")
    assert equation.certify()
    assert equation.check([0.5], h=0.25, parameters={"k": 2})
    point, values = [[0.5], [0.7]], {"k": 2}
    expanded, program = (
        equation.lambdify(values, form)(point, 0.1) for form in ("expanded", "program")
    )
    assert np.allclose(expanded, program, rtol=1e-13)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "one part or none"),
        ([(0, 1)], "one part or none"),
        ([(0, 1), (2, 1)], "fractions of part 1 sum to 0"),
        ([(0, 1), (1, HALF)], "fractions of part 1 sum to 1/2"),
        ([(0, 1), (-1, 1)], r"color of stages\[1\] is -1"),
        ([(0, 1), (True, 1)], r"color of stages\[1\] is True"),
        ([(0, 1), 1], r"stages\[1\] is 1"),
        ([(0, 1), (1, "one")], r"fraction of stages\[1\] is 'one'"),
        ("strang", "stages is 'strang'"),
        (3, "stages is 3"),
    ],
)
def test_stages_that_are_no_method_are_refused(stages, message):
    with pytest.raises(InvalidMethod, match=message):
        Splitting(stages)
