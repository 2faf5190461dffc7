"""Many digits: closed forms to the last of them, by gmpy2 and by mpmath."""

from fractions import Fraction

import mpmath
import pytest
import sympy

import modeq
from modeq import VectorField
from modeq.algebra.power_series import Vector
from modeq.errors import FlowError, ModeqWarning
from modeq.flows.fields import gradient_field
from modeq.flows.precise import Precision, flow, is_finite, norm


def as_mpmath(entries, digits):
    """Return numbers of gmpy2 or mpmath as numbers of mpmath, which reads at its own precision."""
    with mpmath.workdps(digits + 10):
        return [mpmath.mpf(f"{entry:.{digits + 5}f}") for entry in entries]


def precise_flow(components, start, time, digits, variables=None):
    """Return where the flow of a field gets to."""
    field = gradient_field(VectorField(components, variables))
    with Precision(digits, field) as precision:
        rhs = precision.field(field, precision.number(0))
        tolerance = precision.number(Fraction(1, 10 ** (digits - 4)))
        end = flow(rhs, precision.vector(start), precision.number(time), tolerance)
        return as_mpmath(end, digits)


CLOSED_FORMS = [
    (["-x"], [1], 2, lambda t: [mpmath.exp(-t)]),
    (["x**2"], [1], Fraction(1, 2), lambda t: [1 / (1 - t)]),
    (["y", "-x"], [0, 1], 3, lambda t: [mpmath.sin(t), mpmath.cos(t)]),
    (["-exp(x)"], [0], 1, lambda t: [-mpmath.log(1 + t)]),
    (["1/(2*x)"], [1], 3, lambda t: [mpmath.sqrt(1 + t)]),
    (["1 + x**2"], [0], 1, lambda t: [mpmath.tan(t)]),
    (["sqrt(1 - x**2)"], [0], 1, lambda t: [mpmath.sin(t)]),
]


@pytest.mark.parametrize("digits", [20, 40, 80])
@pytest.mark.parametrize(("components", "start", "time", "solution"), CLOSED_FORMS)
def test_a_flow_has_the_digits_it_was_asked_for(components, start, time, solution, digits):
    end = precise_flow(components, start, time, digits)
    with mpmath.workdps(digits + 10):
        exact = solution(mpmath.mpf(time.numerator) / time.denominator)
        assert all(
            abs(a - b) < 100 * mpmath.mpf(10) ** (4 - digits) * (1 + abs(b))
            for a, b in zip(end, exact, strict=True)
        )


def test_functions_that_gmpy2_has_not_are_done_by_mpmath():
    """With x = u exp(u) and u' = 1 comes x' = x (1 + 1/u), where u is LambertW(x)."""
    x = sympy.Symbol("x")
    field = gradient_field(VectorField([x * (1 + 1 / sympy.LambertW(x))]))
    with Precision(30, field) as precision:
        rhs = precision.field(field, precision.number(0))
        start = precision.vector([1])
        end = flow(rhs, start, precision.number(1), precision.number(Fraction(1, 10**27)))
        assert "mpmath" in type(end[0]).__module__
    with mpmath.workdps(40):
        value = mpmath.mpf(end[0])
        u = mpmath.lambertw(1).real + 1
        assert abs(value - u * mpmath.exp(u)) < mpmath.mpf(10) ** -23


def test_the_precision_of_others_is_left_alone():
    before = mpmath.mp.dps
    with Precision(50):
        assert mpmath.mp.dps == before
    assert mpmath.mp.dps == before


@pytest.mark.parametrize("value", [Fraction(1, 3), 0.1, 2, Fraction(-7, 9)])
def test_numbers_are_rounded_once(value):
    exact = Fraction(value)
    with Precision(40) as precision:
        error = precision.number(value) * exact.denominator - exact.numerator
        assert abs(error) < Fraction(1, 10**38)


@pytest.mark.parametrize(
    ("component", "start", "time", "end"),
    [("x**2", 1, 2, 1), ("-1/(2*x)", 1, 2, 1), ("exp(x)", 0, 3, 1)],
)
def test_a_flow_that_ends_early_says_when(component, start, time, end):
    with pytest.raises(FlowError, match="blows up or leaves the domain") as raised:
        precise_flow([component], [start], time, 20)
    reached = float(str(raised.value).split("t = ")[1].split(",")[0])
    assert reached == pytest.approx(end, abs=0.01)


def test_the_step_is_not_wasted_on_a_field_that_is_zero():
    calls = []

    def nothing(point):
        calls.append(point)
        return Vector([0 * point[0]])

    assert flow(nothing, Vector([Fraction(1)]), Fraction(5), Fraction(1, 10**20)) == (1,)
    assert len(calls) < 20


@pytest.mark.parametrize(
    ("entries", "finite"),
    [([1.0, -2.0], True), ([1.0, float("nan")], False), ([float("inf")], False)],
)
def test_finite_means_every_entry(entries, finite):
    assert is_finite(Vector(entries)) is finite


def test_the_norm_is_the_largest_entry():
    assert norm(Vector([1, -3, 2])) == 3


@pytest.mark.parametrize("text", ["x**2*y + y**4", "tanh(x*y) + exp(x)", "log(1 + exp(x)) * y"])
def test_a_precise_field_has_the_value_of_the_formula(text):
    equation = modeq.derive(text, 2)
    field = equation.lambdify()
    with Precision(40, field) as precision:
        rhs = precision.field(field, precision.number(Fraction(1, 8)))
        values = as_mpmath(rhs(precision.vector([Fraction(1, 2), 2])), 40)
    point = dict(zip(equation.variables, (sympy.Rational(1, 2), 2), strict=True))
    exact = equation.field.subs(point | {equation.h: sympy.Rational(1, 8)}).evalf(45)
    with mpmath.workdps(50):
        assert all(abs(v - mpmath.mpf(e)) < 1e-36 for v, e in zip(values, exact, strict=True))


def test_what_mpmath_makes_complex_has_left_the_domain():
    """Past 0 the square root is imaginary, and gmpy2 has no Bessel functions of any order."""
    x = sympy.Symbol("x")
    with pytest.warns(ModeqWarning, match="besselj"):
        equation = modeq.derive(sympy.sqrt(x) + sympy.besselj(0, x), 1)
    with pytest.raises(FlowError, match=r"not finite|leaves the domain"):
        equation.check([0.01], h=0.02)
