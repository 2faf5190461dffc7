"""Methods with memory on their slow manifold, against polynomials in the step found directly."""

from fractions import Fraction

import gmpy2
import pytest
import sympy
import tree_oracle as oracle
from hypothesis import assume, given
from hypothesis import strategies as st

from modeq import HeavyBall, LinearMultistep, Nesterov, RootedTree
from modeq.algebra.catalog import catalog
from modeq.algebra.multistep_recurrences import MultistepRows
from modeq.algebra.rule_series import modified_equation
from modeq.algebra.sweep import sweep
from modeq.methods.named import NAMED, as_method
from modeq.methods.rules import runge_kutta

CLASSICAL = [
    name
    for name, make in NAMED.items()
    if isinstance(make(), LinearMultistep) and make().is_classical
]


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def swept(method, vertices, field=True, number=Fraction):
    """Return the coefficients of all trees of the oracle."""
    rows = MultistepRows(method.alpha, method.beta, method.points, vertices, field, number)
    trees = catalog(vertices)
    found = {}
    for block in sweep(trees, rows):
        for value in block.values:
            if number is Fraction:
                value = Fraction(int(value), rows.denominator(block.vertices))
            else:
                assert rows.denominator(block.vertices) == 1
            found[plain(trees.tree(len(found)))] = value
    return found


def polynomial_of(method):
    return oracle.multistep_polynomial(method.alpha, method.beta, method.points)


@st.composite
def methods(draw, most=2):
    """Draw a method in the general linear form."""
    steps, evaluations = draw(st.integers(1, 3)), draw(st.integers(1, most))
    entries = st.fractions(-3, 3, max_denominator=4)
    alpha = draw(st.lists(entries, min_size=steps, max_size=steps))
    alpha = [-sum(alpha), *alpha]
    beta = draw(st.lists(entries, min_size=evaluations, max_size=evaluations))
    points = [draw(st.lists(entries, min_size=steps, max_size=steps)) for _ in range(evaluations)]
    assume(alpha[-1] != 0 and sum(beta) != 0 and sum(j * a for j, a in enumerate(alpha)) != 0)
    return LinearMultistep(alpha, beta, [[1 - sum(row), *row] for row in points])


@given(methods(), st.integers(1, 5))
def test_random_methods_have_the_polynomials_that_solve_their_difference_equations(
    method, vertices
):
    polynomial = polynomial_of(method)
    field, step = swept(method, vertices), swept(method, vertices, field=False)
    for tree in field:
        assert field[tree] == polynomial(tree)[1]
        assert step[tree] == sum(polynomial(tree))


@pytest.mark.parametrize("name", CLASSICAL)
def test_powers_are_replaced_by_the_kappa_of_a_linear_multistep_method(name):
    method = as_method(name)
    b = oracle.by_kappa(method.alpha, method.beta)
    assert all(value == b(tree) for tree, value in swept(method, 6).items())


def test_kappa_of_euler_are_the_bernoulli_numbers():
    # κ(D) = D/(e^D - 1)
    assert oracle.kappa([-1, 1], [1, 0], 10) == [oracle.bernoulli(n) for n in range(10)]
    found = swept(as_method("adams-bashforth-1"), 6)
    assert all(value == oracle.euler_coefficient(tree) for tree, value in found.items())


@pytest.mark.parametrize("name", CLASSICAL)
def test_on_a_linear_equation_the_field_is_the_logarithm_of_the_principal_root(name):
    # On y' = y only tall trees count, and ζ = e^z with z = Σ b_n hⁿ solves ρ(ζ) = h σ(ζ).
    order = 7
    method = as_method(name)
    found = swept(method, order)
    tall = [RootedTree.from_level_sequence(range(n)) for n in range(1, order + 1)]
    z = [Fraction(0), *(found[plain(tree)] for tree in tall)]
    root, power = [Fraction(0)] * len(z), [Fraction(1), *[Fraction(0)] * order]
    for k in range(order + 1):
        root = [r + p / oracle.factorial(k) for r, p in zip(root, power, strict=True)]
        power = oracle.series_times(power, z)
    powers = [[Fraction(1), *[Fraction(0)] * order]]
    for _ in method.alpha[1:]:
        powers.append(oracle.series_times(powers[-1], root))
    rho, sigma = (
        [sum(w * p[k] for w, p in zip(row, powers, strict=True)) for k in range(order + 1)]
        for row in (method.alpha, method.beta)
    )
    assert rho == oracle.shifted(sigma)


def test_the_principal_root_of_leapfrog_is_the_inverse_hyperbolic_sine():
    # ζ² = 1 + 2hζ, so log ζ = log(h + sqrt(1 + h²))
    h = sympy.Symbol("h")
    series = sympy.series(sympy.asinh(h), h, 0, 10).removeO()
    found = swept(as_method("leapfrog"), 9)
    for n in range(1, 10):
        tall = plain(RootedTree.from_level_sequence(range(n)))
        assert found[tall] == series.coeff(h, n)


def test_a_method_of_one_step_is_a_runge_kutta_method():
    # θ⁺ = θ + h f((1-c) θ + c θ⁺)
    for c in (Fraction(0), Fraction(1), Fraction(1, 3)):
        method = LinearMultistep([-1, 1], [1], [[1 - c, c]])
        b = modified_equation(runge_kutta([[c]], [1]), 4)
        assert swept(method, 5) == {plain(tree): value for tree, value in b.items()}


@pytest.mark.parametrize(
    ("formula", "value"),
    {
        (1,): "1 / (1-B)",
        (1, 2): "-(1+B) / (2*(1-B)**3)",
        (1, 2, 2): "(1+10*B+B**2) / (12*(1-B)**5)",
        (1, 2, 3): "(1+4*B+B**2) / (3*(1-B)**5)",
        (1, 2, 2, 2): "-B*(1+B) / (2*(1-B)**7)",
        (1, 2, 3, 4): "-(1+B)*(1+8*B+B**2) / (4*(1-B)**7)",
    }.items(),
    ids=str,
)
@pytest.mark.parametrize("beta", ["1/2", "9/10", "-3/7"])
def test_the_heavy_ball_has_the_coefficients_of_theory_md(formula, value, beta):
    tree = RootedTree.from_level_sequence(formula)
    expected = sympy.sympify(value).subs("B", sympy.Rational(beta))
    found = swept(HeavyBall(Fraction(beta)), 4)[plain(tree)] / tree.symmetry
    assert found == Fraction(int(expected.p), int(expected.q))


def test_the_sequences_of_nesterov_differ_from_h_squared_on():
    beta = Fraction(1, 3)
    theta, parameters = (
        swept(Nesterov(beta, sequence=name), 3) for name in ("theta", "parameters")
    )
    differing = {oracle.size(tree) for tree in theta if theta[tree] != parameters[tree]}
    assert differing == {3}


@pytest.mark.parametrize("field", [True, False])
def test_rows_of_fractions_are_integers_over_a_common_denominator(field):
    method = HeavyBall(Fraction(3, 7))
    rows = MultistepRows(method.alpha, method.beta, method.points, 5, field)
    blocks = list(sweep(catalog(5), rows))
    assert all(type(value) is int for block in blocks for value in block.values)


@pytest.mark.parametrize("field", [True, False])
def test_another_kind_of_number_gives_the_same(field):
    method = Nesterov(Fraction(2, 5))
    other = swept(method, 5, field, lambda q: gmpy2.mpq(q.numerator, q.denominator))
    assert all(type(value) is type(gmpy2.mpq()) for value in other.values())
    assert other == swept(method, 5, field)
