"""Numbers keep the digits of the loss as it is written, and those that its formulas lose."""

import copy
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import Loss, VectorField
from modeq.flows.fields import gradient_field
from modeq.flows.stable import stable
from modeq.losses.loss import H

EPSILON = np.finfo(float).eps
x, y = sympy.symbols("x y")


def load(name):
    path = Path(__file__).parents[1] / "fuzz" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


digits = load("digits")


def exact(equation, point, h):
    """Return the field that the formulas give, from many more digits than cancel."""
    values = dict(zip([*equation.variables, H], map(sympy.Rational, [*point, h]), strict=True))
    with mpmath.workdps(30):
        return [float(sympy.N(c.xreplace(values), 30, maxn=4000)) for c in equation.field]


CANCELLING = [
    ("log(exp((x-1)/2)+exp((x-1000000)/2))*log(1+(x-10)**2)**2", 3, [1.002378605366839]),
    ("log(exp(x)+exp(x-1000000))*cos(x)", 2, [0.001]),
    ("log(exp(x+y)+exp(x-1000000)+exp(y-300000))", 2, [0.001, -0.0011]),
    ("(x-1000)**4/4", 2, [1000.001]),
    ("(x-3)**8", 3, [3.1]),
    ("sin(x)/x", 2, [1e-3]),
    ("sin(x)/x", 4, [1.99]),
    ("sin(x)/x", 4, [2.01]),
    ("(1-cos(x))/x**2", 3, [1e-4]),
    ("(1-cos(2*x*y))/x", 2, [1e-7, 0.5]),
    ("(x-sin(x))/x**3", 3, [1e-3]),
    ("(exp(x)-1)/x", 3, [1e-5]),
    ("(exp(1-x)-1)/(x-1)", 3, [1 + 2.0**-20]),
    ("(exp(x)-1-x)/x**2", 3, [-3.0]),
    ("x/(exp(x)-1)", 3, [1e-5]),
    ("(exp(x)-1)**2", 3, [1e-9]),
    ("sqrt(1+x)-1", 3, [1e-9]),
    ("(sqrt(1+x)-1)**2", 3, [1e-9]),
    ("(sqrt(x-9)-1)/(x-10)", 3, [10 + 2.0**-20]),
    ("(sqrt(4+x)-2)/x", 3, [1e-6]),
    ("log(1+x)/x", 3, [1e-5]),
    ("log(1+x**2)**2", 3, [1e-9]),
    ("tanh(x)/x", 4, [0.74]),
    ("atan(x)/x", 4, [0.49]),
    ("erf(x)/x", 3, [1e-3]),
    ("(sigmoid(x)-1)**2", 2, [30.0]),
    ("(tanh(x)-1)**2", 3, [20.0]),
    ("(1-tanh(x)**2)**2", 2, [20.0]),
    ("(1-erf(x))**2", 3, [5.0]),
    ("sigmoid(x)", 4, [1e-9]),
    ("exp(-x)/(1+exp(-x))**2", 3, [1e-9]),
    ("log(1+exp(x))-x/2", 2, [1e-9]),
    ("(1/(1+exp(-x))-1/2)**2", 2, [1e-9]),
    ("(exp(x)-exp(-x))/(exp(x)+exp(-x))", 2, [30.0]),
    ("((exp(x)-1)/(exp(x)+1))**2", 3, [-30.0]),
    ("(exp(x)-exp(y))/(exp(x)+exp(y))", 2, [800.0, 790.0]),
    ("(exp(x)-exp(y))/(exp(x)+exp(y)+exp(z))", 1, [800.0, 790.0, 795.0]),
    ("sinh(x)/cosh(x)", 3, [30.0]),
    ("log(exp(x)-1)", 2, [800.0]),
    ("log(1+exp(-3*y*(x+1/2)))", 2, [-80.0, 4.0]),
    ("log(exp(x)+1)**2", 3, [-30.0]),
    ("log(cosh(x))", 3, [900.0]),
    ("log(cosh(x))**2", 3, [1e-5]),
    ("log(1-sigmoid(x))", 2, [40.0]),
    ("log(exp(x)+exp(y))", 2, [-800.0, -799.0]),
    ("log(exp(x)+exp(y))", 2, [800.0, 799.0]),
    ("log(exp(x)+exp(y)+exp(z))-y", 2, [1.0, 50.0, 2.0]),
    ("exp(x)/(exp(x)+exp(y))", 2, [800.0, 790.0]),
    ("log(2*exp(x)+3*exp(-x)+1)", 2, [720.0]),
]


@pytest.mark.parametrize(("text", "order", "point"), CANCELLING, ids=lambda value: str(value))
def test_a_field_has_its_digits_where_the_formula_of_its_loss_loses_them(text, order, point):
    equation = modeq.derive(text, order)
    rhs = equation.lambdify()
    expected = exact(equation, point, 0.01)
    for found in (rhs(point, 0.01), rhs([point, point], 0.01)[1]):
        np.testing.assert_allclose(found, expected, rtol=1e3 * EPSILON, atol=0)


ALONE = """
import json, sys
blocked = ("modeq", "sympy", "mpmath")
sys.modules.update(dict.fromkeys(blocked))
for source, point in json.load(sys.stdin):
    scope = {}
    exec(source, scope)
    print(json.dumps([float(v) for v in scope["modified_field"](point, 0.01)]))
"""


def test_the_source_has_the_same_digits_in_a_process_without_modeq():
    equations = [(modeq.derive(text, order), point) for text, order, point in CANCELLING]
    sources = json.dumps([(equation.to_python(), point) for equation, point in equations])
    command = [sys.executable, "-I", "-c", ALONE]
    run = subprocess.run(command, input=sources, capture_output=True, text=True, check=True)
    found = list(map(json.loads, run.stdout.splitlines()))
    assert len(found) == len(equations)
    for values, (equation, point) in zip(found, equations, strict=True):
        np.testing.assert_allclose(values, equation.lambdify()(point, 0.01), rtol=1e-14)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_digits_are_lost_only_where_the_gradient_as_written_loses_them(seed):
    excess, where = digits.worst_of(seed, points=3)
    assert excess <= digits.ALLOWED, where


def test_the_search_for_lost_digits_finds_those_of_the_expanded_form():
    tree, point = ("power", ("-", "x", "1000"), 4), [1000.001]
    equation = modeq.derive(Loss(digits.text(tree)), 2)
    lost, kept = (
        digits.excess(tree, ["x"], equation.lambdify(form=form), point, 2, 0.01)
        for form in ("expanded", "program")
    )
    assert lost > digits.ALLOWED > 1 > kept / 10


ARGUMENTS = [x, x - 1, 2 * x, x * y, x**2]
SHAPES = [
    lambda u, v: sympy.log(sympy.exp(u) + sympy.exp(v)) - v,
    lambda u, v: sympy.exp(v) / (sympy.exp(u) + sympy.exp(v)) - 1,
    lambda u, v: (sympy.exp(u) - 1) / u * v,
    lambda u, v: u / (sympy.exp(u) - 1) + sympy.tanh(v) + 1,
    lambda u, v: (sympy.cos(u) - 1) * sympy.sin(v) ** 2 / (u**2 * v**2),
    lambda u, v: (sympy.sqrt(4 + u**2) - 2) / u**2 - sympy.erf(v) + 1,
    lambda u, v: sympy.log(sympy.cosh(u)) * (1 - sympy.tanh(v) ** 2),
    lambda u, v: (v * sympy.exp(u) - v - u * v) / u**2,
    lambda u, v: 1 / (sympy.exp(u) + sympy.exp(v) + 2) ** 2,
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("u", ARGUMENTS, ids=str)
def test_a_stable_form_is_the_same_function(shape, u):
    formula = shape(u, x + y / 2)
    found = stable(formula)
    assert found != formula
    point = [0.375, -0.8125]
    value = modeq.derive(VectorField([formula, 0], [x, y]), 0).lambdify()(point, 0)[0]
    expected = formula.subs(dict(zip((x, y), map(sympy.Rational, point), strict=True))).n(30)
    np.testing.assert_allclose(value, float(expected), rtol=1e-13)


@pytest.mark.parametrize("text", ["sin(x)/x", "log(1+exp(x))", "log(cosh(x))", "(exp(x)-1)/x"])
@pytest.mark.parametrize("point", [0.5 + 0.25j, -2 + 1j, complex(0, 1e-6)])
def test_stable_forms_continue_to_complex_points(text, point):
    equation = modeq.derive(text, 2)
    at = sympy.Rational(point.real) + sympy.I * sympy.Rational(point.imag)
    values = {equation.variables[0]: at, H: sympy.Rational(1, 8)}
    expected = complex(equation.field[0].subs(values).n(40, maxn=400))
    np.testing.assert_allclose(equation.lambdify()([point], 0.125), [expected], rtol=1e-12)


def test_a_removable_pole_is_a_point_of_the_domain():
    rhs = modeq.derive("sin(x)/x", 2).lambdify()
    np.testing.assert_array_equal(rhs([[0.0], [1e-9]], 0.1) < 1e-9, True)


def test_iterates_keep_the_digits():
    found = modeq.iterate("(sigmoid(x)-1)**2", [30.0], h=1e25, steps=1)[1, 0] - 30
    with mpmath.workdps(60):
        low = 1 / (1 + mpmath.exp(30))
        step = 2e25 * low**2 * (1 - low)
    assert abs(found - step) <= 30 * EPSILON


@pytest.mark.parametrize(
    ("text", "order", "start"),
    [
        ("(x-1000)**4/4", 2, [1000.5]),
        ("(x-3)**8", 3, [3.1]),
        ("sin(x)/x", 2, [1e-3]),
        ("(exp(x)-1)/x", 2, [1e-8]),
    ],
)
def test_checks_have_as_many_digits_as_cancel(text, order, start):
    assert modeq.derive(text, order).check(start, h=0.01).passed


def test_flows_follow_a_loss_beside_its_root():
    equation = modeq.derive("(x-1000)**4/4", 2)
    there = equation.solve([1000.5], h=0.01, steps=20).theta[:, 0] - 1000
    here = modeq.derive("x**4/4", 2).solve([0.5], h=0.01, steps=20).theta[:, 0]
    np.testing.assert_allclose(there, here, atol=1e-11)


def test_results_beyond_the_floats_are_infinite_or_nan_without_warnings():
    for text in ("exp(x)**2", "1/x", "log(x)*x", "cosh(x)*sin(x)/x"):
        rhs = modeq.derive(text, 2).lambdify()
        for point in ([800.0], [0.0], [-800.0], [np.inf], [np.nan]):
            assert rhs(point, 0.1).shape == rhs([point, point], 0.1)[0].shape


@pytest.mark.parametrize("text", ["x**2*y + y**4", "sin(x)/x + log(exp(x)+exp(y))", "erf(x)"])
def test_a_numeric_field_is_pickled_before_and_after_its_calls(text):
    rhs = modeq.derive(text, 2).lambdify()
    point = [0.5] * rhs.dimension
    copies = [pickle.loads(pickle.dumps(rhs))]
    expected = rhs(point, 0.1), rhs([point, point], 0.1)
    copies += [pickle.loads(pickle.dumps(rhs)), copy.deepcopy(rhs)]
    for again in copies:
        np.testing.assert_array_equal(again(point, 0.1), expected[0])
        np.testing.assert_array_equal(again([point, point], 0.1), expected[1])
        assert again.source() == rhs.source()


def test_a_formula_without_such_patterns_stays_as_it_is():
    for text in ("(1-x)**2 + 100*(y-x**2)**2", "exp(x)*sin(y)", "x/(1+y**2)"):
        loss = Loss(text)
        assert stable(loss.expression) == loss.expression
    assert "where" not in gradient_field(loss).source()


def test_a_logistic_loss_takes_one_exponential_at_every_order():
    for order in range(5):
        source = modeq.derive("log(1 + exp(x))", order).lambdify().source()
        assert sum(source.count(f"numpy.{name}(") for name in ("exp", "cosh", "tanh")) == 1


def test_in_one_variable_equal_derivatives_are_computed_once():
    for text, order in (("exp(x)", 4), ("x**3/3", 2)):
        equation = modeq.derive(text, order)
        assert equation.lambdify(form="program").cost < equation.lambdify(form="expanded").cost
