"""Verdicts on rounded decimals, with a tolerance and without, and on numbers that are roots."""

import math
from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import modeq
from modeq import (
    BSeries,
    LinearMultistep,
    RootedTree,
    RungeKutta,
    Splitting,
    method_series,
    modified_equation,
    order_of_accuracy,
    rooted_trees,
)
from modeq.algebra.zeros import is_zero
from modeq.errors import InvalidValue, ModeqWarning
from modeq.methods.named import as_method

LEAF = RootedTree()
x, y = sympy.symbols("x y")


def rounded(entry, digits):
    """Return a number as the text of a decimal."""
    return sympy.N(sympy.sympify(entry), digits).__str__()


def rounded_table(name, digits=14):
    """Return a Runge-Kutta method as it would be published, in decimals."""
    method = as_method(name)
    A = [[rounded(entry, digits) for entry in row] for row in method.A]
    return RungeKutta(A, [rounded(entry, digits) for entry in method.b])


def sdirk_3():
    """Return the third-order method with a root of x³ - 3x² + 3/2 x - 1/6 on the diagonal, as
    doubles (Hairer, Wanner, Solving Ordinary Differential Equations II, IV.6, table 6.4)."""
    with mpmath.workdps(30):
        g = mpmath.findroot(lambda x: x**3 - 3 * x**2 + 3 * x / 2 - mpmath.mpf(1) / 6, 0.4358)
        # b₁ + b₂ + γ = 1 and b₁ γ + b₂ (1+γ)/2 + γ = 1/2 with c = (γ, (1+γ)/2, 1)
        b2 = (mpmath.mpf(1) / 2 - g - (1 - g) * g) / ((1 + g) / 2 - g)
        row = [float(entry) for entry in (1 - g - b2, b2, g)]
        g, c2 = float(g), float((1 - g) / 2)
    return [[g, 0, 0], [c2, g, 0], row], row


# with a tolerance, and without


@pytest.mark.filterwarnings("ignore:.*nearly zero")
@pytest.mark.parametrize("name", ["gauss-2", "radau-iia-3", "lobatto-iiic-3", "rk4", "kutta-3"])
def test_a_table_in_decimals_has_the_order_of_the_exact_one_up_to_a_tolerance(name):
    table = rounded_table(name)
    assert order_of_accuracy(table, 6, atol=1e-12) == order_of_accuracy(name, 6)
    with pytest.warns(ModeqWarning, match=r"nearly zero: -?\d\.?\d?e-1\d; give exact values, or"):
        assert order_of_accuracy(table, 6) < order_of_accuracy(name, 6)


def test_a_published_table_of_doubles_says_that_its_residuals_are_nearly_zero():
    A, b = sdirk_3()
    table = RungeKutta(A, b)
    assert table.A[0][0] == Fraction(str(A[0][0]))  # a root of a cubic stays a decimal
    assert order_of_accuracy(table, atol=1e-14) == 3
    with pytest.warns(ModeqWarning, match="nearly zero"):
        order_of_accuracy(table)


@pytest.mark.filterwarnings("ignore:.*nearly zero")
def test_verdicts_on_rounded_gauss_hold_up_to_a_tolerance_and_say_so():
    b = modified_equation(rounded_table("gauss-2"), 4)
    for verdict in (b.is_hamiltonian(), b.is_symmetric()):
        assert not verdict
        assert "nearly zero: " in str(verdict)
        assert "give exact values, or atol=" in verdict.reason
    a = method_series(rounded_table("gauss-2"), 4)
    held = [s.is_hamiltonian(atol=1e-12) for s in (a, b)] + [b.is_symmetric(atol=1e-12)]
    assert all(held)
    assert not any(verdict.proved for verdict in held)
    assert all(" count as zero" in str(verdict) for verdict in held)
    assert b.is_gradient(atol=1e-12).order == modified_equation("gauss-2", 4).is_gradient().order
    assert not b.is_energy_preserving(atol=1e-12)


def test_the_modified_equation_is_exact_zeros_below_a_tolerance():
    table = rounded_table("gauss-2")
    with pytest.warns(ModeqWarning, match=r"^nearly zero is b\(.*; give exact values, or atol=$"):
        b = modified_equation(table, 3)
    within = modified_equation(table, 3, atol=1e-12)
    assert within == b.without_small(1e-12)
    assert all(within[tree] == 0 for n in (2, 3, 4) for tree in rooted_trees(n))
    assert modeq.modifying_integrator(table, 3, atol=1e-12)[RootedTree([LEAF])] == 0


@pytest.mark.filterwarnings("ignore:.*nearly zero")
@given(st.sampled_from(rooted_trees(3)), st.floats(1e-16, 1e-11), st.sampled_from([-1, 1]))
def test_a_residual_counts_as_zero_exactly_up_to_the_tolerance(tree, size, sign):
    b = modified_equation("gauss-2", 2) + BSeries({tree: sign * size}, order=2)
    assert bool(b.is_hamiltonian(atol=2.1 * size))
    assert not b.is_hamiltonian(atol=0.9 * size)
    assert "nearly zero" in b.is_hamiltonian().reason


@pytest.mark.parametrize("name", ["euler", "rk4", "gauss-3", "adams-bashforth-3", "strang"])
def test_exact_tables_are_never_said_to_be_nearly_something(name):
    b = modified_equation(name, 5)  # warnings are errors
    order_of_accuracy(name, 6)
    for verdict in (b.is_gradient(), b.is_symmetric(), b.is_hamiltonian()):
        assert "nearly" not in str(verdict)
        assert verdict.proved


@pytest.mark.filterwarnings("ignore:.*nearly")
def test_tolerances_serve_splittings_and_multistep_methods_too():
    third = "0.33333333333333"
    strang = Splitting([(0, third), (1, 1), (0, "0.66666666666667")])
    assert order_of_accuracy(strang, 3, atol=1e-12) == 1
    halves = Splitting([(0, "0.50000000000001"), (1, 1), (0, "0.49999999999999")])
    assert order_of_accuracy(halves, 3) == 1
    assert order_of_accuracy(halves, 3, atol=1e-12) == 2
    adams = LinearMultistep([0, -1, 1], ["-0.50000000000001", "1.50000000000001", 0])
    assert order_of_accuracy(adams, 3) == 1
    assert order_of_accuracy(adams, 3, atol=1e-12) == 2


@pytest.mark.parametrize("atol", [-1, math.nan, math.inf, "1e-9", None, True])
def test_a_tolerance_is_a_number_of_at_least_zero(atol):
    b = modified_equation("euler", 1)
    for ask in (b.is_gradient, b.is_hamiltonian, b.is_symmetric, b.is_energy_preserving):
        with pytest.raises(InvalidValue, match=r"^atol is .*; it must be a number >= 0"):
            ask(atol=atol)
    for ask in (modified_equation, order_of_accuracy, modeq.modifying_integrator):
        with pytest.raises(InvalidValue, match=r"^atol is "):
            ask("euler", 2, atol=atol)


# roots in roots, and of the third degree


ROOTS = st.sampled_from([sympy.sqrt(2), sympy.sqrt(3), sympy.sqrt(6), sympy.cbrt(2)])
SUMS = st.builds(
    lambda p, q, r, s: sympy.Rational(p, 7) + sympy.Rational(q, 3) * r + s,
    *(st.integers(-9, 9), st.integers(-9, 9), ROOTS, ROOTS),
)


@given(SUMS, SUMS, SUMS)
def test_what_is_zero_by_the_laws_of_a_field_is_decided(a, b, c):
    assert is_zero(sympy.Add(a * (b + c), -a * b, -a * c)) is True
    assert is_zero((a + b) ** 2 - a**2 - 2 * a * b - b**2) is True
    assert is_zero(sympy.sqrt(a**2) - abs(a).subs(sympy.Abs(a), sympy.sqrt(a**2))) is True
    if is_zero(b) is False:
        assert is_zero(a / b * b - a) is True
    assert is_zero((a + b) * (a - b) - a**2 + b**2 + sympy.Rational(1, 10**80)) is False


@pytest.mark.parametrize(
    "zero",
    [
        sympy.sqrt(3 + 2 * sympy.sqrt(2)) - 1 - sympy.sqrt(2),
        sympy.sqrt(5 + 2 * sympy.sqrt(6)) - sympy.sqrt(2) - sympy.sqrt(3),
        sympy.cbrt(2 + sympy.sqrt(5)) - (1 + sympy.sqrt(5)) / 2,
        1 / (2 - sympy.cbrt(2)) - (4 + 2 * sympy.cbrt(2) + sympy.cbrt(4)) / 6,
        (x + 1) ** 2 - x**2 - 2 * x - 1,
        x * sympy.sqrt(3 + 2 * sympy.sqrt(2)) - x - sympy.sqrt(2) * x,
    ],
    ids=str,
)
def test_numbers_that_are_zero_but_do_not_look_so_are_decided(zero):
    assert is_zero(zero) is True
    assert is_zero(zero + sympy.Rational(1, 10**90)) is False


@pytest.mark.parametrize(
    "zero", [sympy.sin(1) ** 2 + sympy.cos(1) ** 2 - 1, sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1]
)
def test_what_cannot_be_decided_is_said_to_be_undecided(zero):
    assert is_zero(zero) is None
    hidden = RungeKutta([[sympy.Rational(1, 2) + zero]], [1])
    verdict = modified_equation(hidden, 2).is_symmetric()
    assert verdict
    assert not verdict.proved
    assert str(verdict) == "holds through h^2: zero to sixty digits, not proved"


def test_a_table_with_hidden_zeros_is_the_table_without_them():
    zero = sympy.sqrt(3 + 2 * sympy.sqrt(2)) - 1 - sympy.sqrt(2)
    hidden = RungeKutta([[0, 0], [sympy.Rational(1, 2) + zero, 0]], [zero, 1])
    assert modified_equation(hidden, 4) == modified_equation("explicit-midpoint", 4)
    assert order_of_accuracy(hidden) == 2
    assert modified_equation(hidden, 2).is_hamiltonian().proved


def test_the_triple_jump_has_order_four_exactly():
    root = sympy.cbrt(2)
    outer = 1 / (2 - root)
    inner = 1 - 2 * outer
    jump = [(0, outer / 2), (1, outer), (0, (outer + inner) / 2), (1, inner)]
    jump += [(0, (outer + inner) / 2), (1, outer), (0, outer / 2)]
    b = modified_equation(Splitting(jump), 3)
    assert all(value == 0 for tree, value in b.items() if tree.order > 1)
    assert b.is_symmetric().proved
