"""Expressions that are equal when multiplied out are one function, with one generator."""

import contextlib

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import GradientDescent, Loss, VectorField
from modeq.derivation.canonical import primitive
from modeq.derivation.derive import field_ring
from modeq.derivation.ring import DifferentialRing
from modeq.errors import ModeqError

x, y, a = sympy.symbols("x y a")

PAIRS = [
    (sympy.exp(-((x - y) ** 2)), sympy.exp(-((y - x) ** 2))),
    (sympy.exp(-((x - y) ** 2)), sympy.exp(-(x**2) - y**2 + 2 * x * y)),
    (1 / ((x - y) ** 2 + 1), 1 / ((y - x) ** 2 + 1)),
    (1 / (x - y), -1 / (y - x)),
    (sympy.sqrt(4 * x**2 + 4), 2 * sympy.sqrt(x**2 + 1)),
    (sympy.sqrt(2 * x + 2), sympy.sqrt(2) * sympy.sqrt(x + 1)),
    (sympy.sqrt(6) * x, sympy.sqrt(2) * sympy.sqrt(3, evaluate=False) * x),
    (sympy.tanh(x * (x - y)), -sympy.tanh(x * (y - x))),
    (sympy.cos(x * (x - y)), sympy.cos(x * (y - x))),
    (sympy.log(6 * x), sympy.log(2) + sympy.log(3) + sympy.log(x)),
    (sympy.log(x**3), 3 * sympy.log(x)),
    (sympy.log(x * y) + sympy.log(x), 2 * sympy.log(x) + sympy.log(y)),
    (sympy.exp(x) ** a, sympy.exp(a * x)),
    (sympy.sin(sympy.sqrt(4 * x + 4)), sympy.sin(2 * sympy.sqrt(x + 1))),
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
def test_one_function_has_one_element_however_it_is_written(one, other):
    ring = DifferentialRing((x, y), (a,), [one, other], depth=2)
    assert ring.reduce(ring.convert(one) - ring.convert(other)) == 0


LINEAR = st.tuples(*[st.integers(-3, 3)] * 3).map(lambda c: c[0] * x + c[1] * y + c[2])
POLYNOMIALS = st.tuples(LINEAR, LINEAR, LINEAR).map(lambda u: u[0] * u[1] + u[2])


@given(POLYNOMIALS, st.sampled_from([1, 2, 3, sympy.Rational(1, 2), -1, -3]))
def test_rational_multiples_have_one_primitive_part(u, c):
    assert primitive(sympy.expand(c * u))[1] == primitive(u)[1]
    if sympy.expand(u) != 0:
        assert primitive(sympy.expand(c * u))[0] == c * primitive(u)[0]


@settings(max_examples=25)
@given(
    POLYNOMIALS, st.sampled_from([sympy.exp, sympy.sin, sympy.cosh, sympy.tanh, sympy.atan, "root"])
)
def test_a_rewritten_argument_gives_an_equal_field(u, function):
    function = (lambda v: sympy.sqrt(1 + v**2)) if function == "root" else function
    one, other = function(u) + x**2 + y, function(sympy.expand(u)) + x**2 + y
    fields = [modeq.derive(Loss(e, "x y"), 1) for e in (one, other)]
    both = field_ring(Loss(one + other, "x y"), 1, GradientDescent())
    assert len(both.generators) <= max(len(f.ring.generators) for f in fields)
    mixed = modeq.derive(Loss((one + other) / 2, "x y"), 1)
    assert mixed.certify().holds
    ring = mixed.ring
    for f in fields:
        for entry, wanted in zip(f.counter_terms[0], mixed.elements[1], strict=True):
            assert ring.vanishes(ring.convert(entry) - wanted)


def test_roots_of_an_expression_and_of_minus_it_are_refused_by_name():
    with pytest.raises(ModeqError, match="real nowhere"):
        modeq.derive(sympy.sqrt(x - y) + sympy.sqrt(y - x), 1)
    assert modeq.derive(sympy.sqrt(y - x) + 1 / (x - y), 1).certify().holds


ATOMS = ["x", "y", "a", "2", "pi"]
UNARY = ["exp", "log", "sin", "cos", "tanh", "sqrt", "atan", "asin", "atanh", "sinh", "erf"]


def _nested(inner):
    call = st.tuples(st.sampled_from(UNARY), inner).map(lambda t: f"{t[0]}({t[1]})")
    pair = st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})")
    power = st.tuples(inner, st.sampled_from(["2", "3", "(-1)", "(1/2)", "a", "y", "(1/3)"]))
    return call | pair | power.map(lambda t: f"({t[0]})**{t[1]}")


FORMULAS = st.recursive(st.sampled_from(ATOMS), _nested, max_leaves=4)
OUTPUTS = {
    "text": str,
    "latex": lambda e: e.latex(),
    "JSON": lambda e: modeq.from_json(e.to_json()) == e or pytest.fail("JSON changed the equation"),
    "source": lambda e: e.to_python(parameters={"a": 2} if e.parameters else None),
    "numbers": lambda e: e.subs({"a": 2}).lambdify() if e.parameters else e.lambdify(),
    "proof": lambda e: e.certify().holds or pytest.fail("the equation is wrong"),
}


def _all_outputs(loss):
    equation = modeq.derive(loss, 1)
    for output in OUTPUTS.values():
        try:
            output(equation)
        except ModeqError:
            continue
    return equation


@settings(max_examples=30, deadline=None)
@given(FORMULAS)
def test_random_formulas_give_every_output_or_one_error_of_modeq(formula):
    with contextlib.suppress(ModeqError):
        _all_outputs(Loss(f"{formula} + x**2 + a*y", "x y"))


@pytest.mark.parametrize(
    "formula",
    ["log(a*x)**2", "x*log(pi*x)", "exp(x)**a", "(pi*x)**y", "asin(atanh(tanh(x)))", "a**y*x**2/2"],
)
def test_a_ring_holds_what_the_series_of_its_functions_are_made_of(formula):
    equation = modeq.derive(Loss(formula, "x y"), 2)
    assert equation.certify().holds
    assert str(equation)
    _all_outputs(Loss(formula, "x y"))
    if "**y" not in formula:  # sympy makes x**y*x**y one power
        for column, elements in zip(equation.counter_terms, equation.elements[1:], strict=True):
            for entry, element in zip(column, elements, strict=True):
                assert equation.ring.vanishes(equation.ring.convert(entry) - element)


def test_a_power_of_two_parameters_is_printed():
    assert "a**b" in str(modeq.derive(Loss("a**b*x**2/2", "x"), 1))


@pytest.mark.parametrize(
    "field",
    [
        ["-y/(1 + x**2*y**2)", "-x/(1 + x**2*y**2)"],
        ["-1/(x**2 - a**2)", "0"],
        ["-1/(x**2 + a)", "0"],
        ["-1/(x**3 - 1)", "-y"],
    ],
    ids=str,
)
def test_a_real_field_has_a_real_potential(field):
    field = VectorField(field, "x y")
    potential = modeq.derive(field, 0).modified_loss()
    assert not potential.has(sympy.I)
    point = {x: sympy.Rational(-1, 3), y: sympy.Rational(2, 7), a: sympy.Rational(5, 3)}
    for z, f in zip(field.variables, field.components, strict=True):
        assert abs(sympy.N((potential.diff(z) + f).subs(point), 30)) < 1e-25


def test_the_hamiltonian_of_a_pair_force_does_not_depend_on_how_the_force_is_written():
    both = ["-(q1-q2)/((q1-q2)**2+1)**2", "-(q2-q1)/((q2-q1)**2+1)**2", "p1", "p2"]
    once = ["-(q1-q2)/((q1-q2)**2+1)**2", "(q1-q2)/((q1-q2)**2+1)**2", "p1", "p2"]
    energies = [
        modeq.derive(
            VectorField(f, "p1 p2 q1 q2").split("p1 p2", "q1 q2"), 2, method="symplectic-euler"
        ).modified_hamiltonian()
        for f in (both, once)
    ]
    assert sympy.simplify(energies[0] - energies[1]) == 0
