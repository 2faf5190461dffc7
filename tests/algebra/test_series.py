"""B-series of maps and modified fields, against values from elsewhere and a brute-force oracle."""

import pickle
import re
import time
from fractions import Fraction
from math import prod

import gmpy2
import numpy as np
import pytest
import sympy
import tree_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from modeq import BSeries, RootedTree, exact_flow, rooted_trees
from modeq.algebra.laws import modifying_integrator_of_rule
from modeq.algebra.notation import differential
from modeq.algebra.rule_series import AbstractField, modified_equation, step_series
from modeq.algebra.series import identity
from modeq.algebra.surds import square_root
from modeq.errors import (
    ExceedsLimit,
    InvalidLoss,
    InvalidMethod,
    InvalidOrder,
    InvalidTree,
    InvalidValue,
)

LEAF = RootedTree()
TALL2 = RootedTree([LEAF])
BUSHY3 = RootedTree([LEAF, LEAF])
BERNOULLI = ["1", "-1/2", "1/6", "0", "-1/30", "0", "1/42", "0", "-1/30", "0"]


def euler(theta, f, h):
    return theta + h * f(theta)


def heun(theta, f, h):
    slope = f(theta)
    return theta + h / 2 * sum([slope, f(theta + h * slope)])


def rk4(theta, f, h):
    k1 = f(theta)
    k2 = f(theta + h / 2 * k1)
    k3 = f(theta + h / 2 * k2)
    k4 = f(theta + h * k3)
    return theta + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def implicit_midpoint(theta, f, h):
    stage = theta
    while (following := theta + h / 2 * f(stage)) != stage:
        stage = following
    return theta + h * f(stage)


EULER = modified_equation(euler, order=7)


def strict_labelings(levels, labels):
    """Count the labelings of the vertices by 1..labels that decrease from parent to child."""
    parent = [
        0,
        *(max(j for j in range(i) if levels[j] < levels[i]) for i in range(1, len(levels))),
    ]

    def extend(chosen):
        if len(chosen) == len(levels):
            return 1
        highest = chosen[parent[len(chosen)]] - 1 if chosen else labels
        return sum(extend([*chosen, label]) for label in range(1, highest + 1))

    return extend([])


def coefficient_of_m(values):
    """Return the coefficient of m in the polynomial with p(0) = 0 and p(1), …, p(n) = values.

    p(m) = Σ_s p(s) m/s Π_{j≠s} (m-j)/(s-j), the interpolation formula of Lagrange.
    """
    nodes = range(1, len(values) + 1)
    return sum(
        Fraction(value, s) * prod(Fraction(j, j - s) for j in nodes if j != s)
        for s, value in zip(nodes, values, strict=True)
    )


def random_series(order=2, empty=0, colors=1):
    trees = [tree for n in range(1, order + 2) for tree in rooted_trees(n, colors)]

    def series(values):
        coefficients = dict(zip(trees, values, strict=True))
        return BSeries(coefficients, order=order, empty=empty, colors=colors)

    return oracle.rationals(len(trees)).map(series)


# Hairer, Lubich, Wanner, IX.1, for the first three powers; Miyagawa 2022, ξ₂, for the fourth
@pytest.mark.parametrize(
    ("formula", "coefficient"),
    {
        "f": "1",
        "f'f": "-1/2",
        "f'f'f": "1/3",
        "f''(f,f)": "1/12",
        "f'f'f'f": "-1/4",
        "f''(f,f'f)": "-1/12",
        "f'f''(f,f)": "-1/12",
        "f'''(f,f,f)": "0",
    }.items(),
)
def test_the_first_coefficients_of_euler_are_those_in_the_books(formula, coefficient):
    [tree] = [tree for tree in EULER if differential(tree) == formula]
    assert EULER[tree] / tree.symmetry == Fraction(coefficient)


def test_euler_on_the_square_gives_the_series_in_the_book():
    # Hairer, Lubich, Wanner, IX.1, Example 1.1: y' = y² at y = 1, where f = 1, f' = f'' = 2
    def value(tree):
        return tree.fold(lambda children: (1, 2, 2, *[0] * 9)[len(children)] * prod(children))

    counter_terms = [
        sum(EULER[tree] / tree.symmetry * value(tree) for tree in rooted_trees(order))
        for order in range(1, 7)
    ]
    assert counter_terms == [Fraction(c) for c in ["1", "-1", "3/2", "-8/3", "31/6", "-157/15"]]


def test_tall_trees_of_euler_have_the_coefficients_of_the_logarithm():
    for tree in EULER:
        if tree.is_tall:
            assert EULER[tree] == Fraction((-1) ** (tree.order + 1), tree.order)


def test_bushy_trees_of_euler_have_the_bernoulli_numbers():
    for tree in EULER:
        if tree.is_bushy:
            assert EULER[tree] == Fraction(BERNOULLI[tree.order - 1])


@pytest.mark.parametrize("order", range(1, 8))
def test_euler_differentiates_the_strict_order_polynomial_at_zero(order):
    for tree in rooted_trees(order):
        values = [strict_labelings(tree.level_sequence, m) for m in range(1, order + 1)]
        assert EULER[tree] == coefficient_of_m(values)


def test_a_field_is_the_same_to_lower_order():
    lower = modified_equation(euler, order=3)
    assert all(lower[tree] == EULER[tree] for tree in lower)
    assert len(lower) == 1 + 1 + 2 + 4


def test_a_method_of_order_four_has_no_counter_terms_before_the_fourth():
    b = modified_equation(rk4, order=4)
    wrong = [tree.order for tree in b if b[tree] != 0]
    assert wrong[:2] == [1, 5]
    assert b[LEAF] == 1


def test_heun_has_its_first_counter_term_at_the_second_power():
    b = modified_equation(heun, order=2)
    # Heun's method differs from the exact flow by h³(1/12 f''(f,f) - 1/6 f'f'f)
    assert b[TALL2] == 0
    assert (b[RootedTree([TALL2])], b[BUSHY3] / 2) == (Fraction(-1, 6), Fraction(1, 12))


def test_a_symmetric_implicit_method_has_only_even_powers_of_h():
    b = modified_equation(implicit_midpoint, order=5)
    assert all(b[tree] == 0 for tree in b if tree.order % 2 == 0)
    assert (b[RootedTree([TALL2])], b[BUSHY3] / 2) == (Fraction(1, 12), Fraction(-1, 24))


def test_a_step_scaled_by_a_symbol_scales_each_tree_by_its_power():
    a = sympy.Symbol("a")
    b = modified_equation(lambda theta, f, h: theta + a * (h * f(theta)), order=3)
    for tree in b:
        assert sympy.expand(b[tree] - EULER[tree] * a**tree.order) == 0


def test_an_object_with_a_rule_is_a_method():
    class Method:
        rule = staticmethod(euler)

    assert modified_equation(Method(), order=7) == EULER


@pytest.mark.parametrize("method", ["euler", None, 3])
def test_a_method_without_a_rule_is_an_error(method):
    with pytest.raises(InvalidMethod, match=r"method is .* must be a rule"):
        modified_equation(method, order=2)


@pytest.mark.parametrize(
    ("rule", "got"),
    [
        (lambda theta, f, h: 2 * theta, "got 2 theta"),
        (lambda theta, f, h: f(theta), "got 0 theta"),
        (lambda theta, f, h: theta + h * f(theta + theta), "got 2 theta"),
        (lambda theta, f, h: None, "got None"),
        (lambda theta, f, h: "next", "got 'next'"),
    ],
)
def test_a_rule_that_is_not_a_step_from_theta_is_an_error(rule, got):
    with pytest.raises(InvalidMethod, match=got):
        modified_equation(rule, order=2)


@pytest.mark.parametrize("order", [-1, 1.5, True, "2"])
def test_the_order_of_a_field_is_a_natural_number(order):
    with pytest.raises(InvalidOrder, match=r"order is .* must be an integer >= 0"):
        modified_equation(euler, order=order)


@pytest.mark.parametrize(
    "rule",
    [
        lambda theta, f, h: theta + h**2 * f(theta),
        lambda theta, f, h: theta + f(theta),
        lambda theta, f, h: theta + h / (1 + h) * f(theta),
        lambda theta, f, h: theta + h * f(theta) + h * (h * f(theta) - f(theta)),
    ],
)
def test_a_rule_in_which_h_stands_by_itself_has_no_coefficients(rule):
    for order in (0, 2):
        with pytest.raises(InvalidMethod, match=r"h enters the rule .* f/2, at •; it has"):
            modified_equation(rule, order=order)
        with pytest.raises(InvalidMethod, match="h enters the rule otherwise"):
            modifying_integrator_of_rule(rule, order)


def test_the_tree_at_which_h_stands_by_itself_is_named():
    def rule(theta, f, h):
        return theta + h * f(theta + h / 3 * f(theta + h**2 * f(theta)))

    assert modified_equation(rule, order=1) == modified_equation(third, order=1)
    message = (
        "h enters the rule otherwise than in products h f(...): its step is not the same with 2 h "
        "and f/2, at [[•]]; it has no coefficients over trees, but an equation for each loss"
    )
    with pytest.raises(InvalidMethod, match=f"^{re.escape(message)}$"):
        modified_equation(rule, order=2)


def third(theta, f, h):
    return theta + h * f(theta + h / 3 * f(theta))


def test_a_rule_may_round_its_factors():
    b = modified_equation(lambda theta, f, h: theta + h * f(theta + h * 0.1 / 0.3 * f(theta)), 4)
    exactly = modified_equation(third, order=4)
    assert b.is_rational
    assert all(abs(b[tree] - exactly[tree]) <= 1e-15 for tree in b)
    large = modified_equation(lambda theta, f, h: theta + h * (1e15 / 7) * f(theta), 1)
    assert large[LEAF] == Fraction(str(1e15 / 7))
    cancelled = modified_equation(
        lambda theta, f, h: theta + h * f(theta) + (h * 0.1 * 3 - h * 0.3) * f(f(theta) + theta), 2
    )
    assert abs(cancelled[TALL2] - EULER[TALL2]) <= 1e-15


def test_the_series_of_a_step_is_that_of_the_first_iterate():
    assert step_series(euler, 4) == identity(4) + identity(4).b_plus()
    assert step_series(euler, 2, colors=2) == identity(2, 2) + identity(2, 2).b_plus()


def test_order_zero_is_the_field_itself():
    assert modified_equation(euler, order=0) == BSeries({LEAF: 1}, order=0)


def test_the_exact_flow_satisfies_its_differential_equation():
    flow = exact_flow(6)
    slope = flow.b_plus()
    assert flow.empty == 1
    assert all(flow[tree] * tree.order == slope[tree] for tree in flow)


@given(random_series(empty=1))
def test_b_plus_multiplies_the_coefficients_of_the_children(series):
    image = series.b_plus()
    assert image.empty == 0
    assert all(image[tree] == prod(series[child] for child in tree.children) for tree in image)


@given(random_series(empty=1, colors=2))
def test_each_field_is_the_part_of_b_plus_with_roots_in_its_color(series):
    f = AbstractField(colors=2)
    assert f(series) == f.parts[0](series) + f.parts[1](series) == series.b_plus()
    for color, part in enumerate(f.parts):
        for tree, coefficient in part(series).items():
            expected = prod(series[child] for child in tree.children) * (tree.color == color)
            assert coefficient == expected


def test_a_rule_that_treats_all_fields_alike_has_the_coefficients_of_one_field():
    class Method:
        rule = staticmethod(rk4)
        colors = 2

    b = modified_equation(Method(), order=4)
    plain = modified_equation(rk4, order=4)
    assert b.colors == 2
    assert all(b[tree] == plain[RootedTree.from_level_sequence(tree.level_sequence)] for tree in b)
    assert len(AbstractField().parts) == 1


def test_a_rule_that_takes_its_fields_one_after_the_other_is_a_splitting():
    class Splitting:
        colors = 2

        @staticmethod
        def rule(theta, f, h):
            moved = theta + h * f.parts[0](theta)
            return moved + h * f.parts[1](moved)

    b = modified_equation(Splitting(), order=1)
    # log(e^A e^B) of two Euler steps: -1/2 f'f of each, and f₁'f₀ once instead of twice a half
    expected = {(0, 0): "-1/2", (0, 1): "-1/2", (1, 0): "1/2", (1, 1): "-1/2"}
    found = {tree.colors: b[tree] for tree in rooted_trees(2, colors=2)}
    assert found == {colors: Fraction(value) for colors, value in expected.items()}


@given(random_series(), random_series(empty=1), st.fractions(max_denominator=9))
def test_series_form_a_vector_space(a, b, scalar):
    assert a + b == b + a
    assert a - a == 0 * a == BSeries({}, order=2)
    assert scalar * (a + b) == a * scalar + scalar * b
    assert sum([a, b]) == a + b
    assert -a == 0 * a - a
    assert (a + a) / 2 == a
    assert ((b / 2).empty, (-b).empty, (b + b).empty) == (Fraction(1, 2), -1, 2)
    assert all((a - scalar * b)[tree] == a[tree] - scalar * b[tree] for tree in a)


def test_a_sum_is_known_as_far_as_both_of_its_terms():
    assert exact_flow(5) + exact_flow(2) == 2 * exact_flow(2)


def test_a_numpy_scalar_multiplies_each_coefficient():
    np = pytest.importorskip("numpy")
    assert np.float64(2) * exact_flow(1) == 2 * exact_flow(1)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + 1,
        lambda a: a - 1,
        lambda a: a - "f",
        lambda a: a * a,
        lambda a: a / a,
        lambda a: a + LEAF,
    ],
)
def test_operations_without_meaning_are_errors(operation):
    with pytest.raises(TypeError):
        operation(exact_flow(1))


def test_a_series_is_a_mapping_from_trees():
    series = BSeries({TALL2: 2}, order=2)
    assert dict(series) == {LEAF: 0, TALL2: 2, RootedTree([TALL2]): 0, BUSHY3: 0}
    assert all(isinstance(value, Fraction) for value in series.values())
    assert RootedTree([TALL2, TALL2]) not in series
    assert series.get(RootedTree([TALL2, TALL2])) is None
    assert "f" not in series
    assert series.get(3) is None
    with pytest.raises(KeyError):
        series["f"]


def test_a_series_in_two_colors_is_a_mapping_from_colored_trees():
    trees = [tree for n in (1, 2, 3) for tree in rooted_trees(n, colors=2)]
    series = BSeries({tree: i for i, tree in enumerate(trees)}, order=2, colors=2)
    assert list(series) == trees
    assert list(series.values()) == list(range(len(trees)))
    assert series.cut(1) == BSeries({t: i for i, t in enumerate(trees[:6])}, order=1, colors=2)
    assert pickle.loads(pickle.dumps(series)) == series
    with pytest.raises(InvalidTree, match=r"of at most 3 vertices in the colors 0 to 1$"):
        BSeries({RootedTree(color=2): 1}, order=2, colors=2)
    assert identity(1, colors=2) == BSeries({}, order=1, empty=1, colors=2)


@pytest.mark.parametrize("colors", [1, 2, 3])
def test_the_exact_flow_of_several_fields_has_the_densities_of_the_shapes(colors):
    for tree, coefficient in exact_flow(3, colors).items():
        assert coefficient == Fraction(1, tree.density)


NUMBERS = [
    1,
    Fraction(1),
    1.0,
    np.float32(1),
    np.int64(1),
    sympy.Integer(1),
    gmpy2.mpq(1),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: type(number).__name__)
def test_rational_numbers_of_all_kinds_are_the_same_coefficient(number):
    tenth = BSeries({LEAF: number / 10}, order=1, empty=number)
    assert tenth == BSeries({LEAF: Fraction(1, 10)}, order=1, empty=1)
    assert tenth == number * tenth == tenth * number == tenth / number
    assert type(tenth[LEAF]) is Fraction
    assert tenth.is_rational
    assert {type(entry) for entry in tenth.array} == {gmpy2.mpq}


def test_symbols_that_cancel_leave_rational_numbers():
    x = sympy.Symbol("x")
    found = BSeries({LEAF: x}, order=1) - BSeries({LEAF: x - sympy.Rational(1, 2)}, order=1)
    half = BSeries({LEAF: Fraction(1, 2)}, order=1)
    assert found == half
    assert hash(found) == hash(half)
    assert type(found[LEAF]) is Fraction
    assert found.is_rational
    assert not BSeries({LEAF: x}, order=1).is_rational
    assert not BSeries({LEAF: 1}, order=1, empty=x).is_rational


@pytest.mark.parametrize("number", [sympy.Symbol("x"), square_root(2), 1j])
def test_elements_of_other_rings_are_kept_beside_fractions(number):
    series = exact_flow(2) * number
    assert series == number * exact_flow(2)
    assert (series[LEAF], series.empty) == (number, number)
    assert series[TALL2] == number * Fraction(1, 2)
    assert (series / number)[TALL2] == (series - series + exact_flow(2))[TALL2] == Fraction(1, 2)
    assert series + exact_flow(2) == exact_flow(2) + series
    assert (exact_flow(2) / number)[LEAF] * number == 1
    assert not any(isinstance(entry, gmpy2.mpq) for entry in series.array)
    assert pickle.loads(pickle.dumps(series)) == series


@pytest.mark.parametrize(
    "series", [exact_flow(1), exact_flow(1).general(), exact_flow(1) * 1j, -exact_flow(1)]
)
def test_the_coefficients_cannot_be_changed(series):
    with pytest.raises(ValueError, match="read-only"):
        series.array[0] = 2


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("-inf")])
def test_coefficients_are_finite(number):
    with pytest.raises(InvalidValue, match=f"a number is {number}; it must be finite"):
        BSeries({LEAF: number}, order=1)
    with pytest.raises(InvalidValue, match="must be finite"):
        BSeries({}, order=1, empty=number)
    with pytest.raises(InvalidValue, match="must be finite"):
        exact_flow(1) * number


@pytest.mark.parametrize("value", [None, "1/2", [1], (1,), np.array([1, 2])], ids=repr)
def test_a_coefficient_is_a_number(value):
    for order in (0, 1):
        with pytest.raises(InvalidValue, match="is no coefficient; it must be a number"):
            BSeries({LEAF: value}, order=order)
    with pytest.raises(InvalidValue, match="is no coefficient"):
        exact_flow(1) * value


@pytest.mark.parametrize("coefficients", [[1], "f", None, 3])
def test_coefficients_are_given_by_tree(coefficients):
    with pytest.raises(InvalidValue, match="coefficients must map trees to numbers, got"):
        BSeries(coefficients, order=1)


@pytest.mark.parametrize("colors", [0, -1, 1.5, True, "2"])
def test_the_number_of_colors_of_a_series_is_a_positive_integer(colors):
    with pytest.raises(InvalidValue, match=r"^colors is .*; it must be an integer >= 1"):
        BSeries({}, order=1, colors=colors)


def test_a_series_that_would_not_fit_in_memory_is_refused():
    with pytest.raises(ExceedsLimit, match=r"order=40 means [\d,]+ trees"):
        identity(40)
    with pytest.raises(ExceedsLimit, match=r"order=30 means [\d,]+ trees"):
        identity(30, colors=3)


def test_series_of_different_numbers_of_fields_have_no_sum():
    match = "^the series have 1 and 2 fields; they must have equally many$"
    with pytest.raises(InvalidValue, match=match):
        exact_flow(1) + exact_flow(1, colors=2)


def test_a_sum_of_rational_series_is_kept_as_fast_numbers():
    total = exact_flow(2) + exact_flow(1)
    for series in (total, -total, total / 3, total.cut(0), exact_flow(1).b_plus(0)):
        assert series.is_rational
        assert {type(entry) for entry in series.array} == {gmpy2.mpq}
    assert {type(entry) for entry in total.general().array} == {Fraction}
    assert (type(total.zero), total.zero) == (gmpy2.mpq, 0)
    assert (type(total.general().zero), total.general().zero) == (Fraction, 0)


@pytest.mark.parametrize("empty", [2, Fraction(1, 2), sympy.Symbol("x")])
def test_what_is_neither_field_nor_map_has_no_properties(empty):
    series = BSeries({LEAF: 1}, order=2, empty=empty)
    for ask in (
        series.is_gradient,
        series.is_hamiltonian,
        series.is_energy_preserving,
        series.is_symmetric,
    ):
        with pytest.raises(InvalidValue, match="a field has coefficient 0 at the empty tree, not"):
            ask()


def test_equal_series_are_equal_in_every_respect():
    series = BSeries({LEAF: 1}, order=2)
    same = BSeries({LEAF: Fraction(1), TALL2: 0}, order=2)
    assert series == same
    assert hash(series) == hash(same)
    assert series != BSeries({LEAF: 1}, order=3)
    assert series != BSeries({LEAF: 1}, order=2, empty=1)
    assert len({hash(BSeries({LEAF: value}, order=2)) for value in range(20)}) == 20
    assert series.__eq__("f") is NotImplemented
    assert pickle.loads(pickle.dumps(series)) == series


def test_a_series_cannot_be_changed():
    with pytest.raises(AttributeError, match="a BSeries is immutable, so order cannot be changed"):
        EULER.order = 3
    with pytest.raises(AttributeError, match="so array cannot be changed"):
        del EULER.array


@pytest.mark.parametrize("key", [RootedTree([BUSHY3]), "f", (1,)])
def test_only_trees_that_take_part_can_be_given(key):
    wrong = re.escape(f"{key!r} is not a rooted tree of at most 3 vertices")
    with pytest.raises(InvalidTree, match=f"^{wrong}$"):
        BSeries({key: 1}, order=2)


def test_a_field_is_handed_to_the_loss_that_knows_its_derivatives():
    class Recorder:
        def elementary_sum(self, series):
            return "summed", series

    assert EULER.field(Recorder()) == ("summed", EULER)
    with pytest.raises(InvalidLoss, match=r"expected a Loss or a VectorField, got 'x\*\*2'"):
        EULER.field("x**2")
    with pytest.raises(InvalidValue, match="coefficient 0 at the empty tree, not 1"):
        exact_flow(1).field(Recorder())


def test_a_series_prints_as_a_table_by_powers_of_h():
    assert str(modified_equation(euler, order=3)).splitlines() == [
        "h    f",
        "h^2  -1/2 f'f",
        "h^3  1/3 f'f'f + 1/12 f''(f,f)",
        "h^4  -1/4 f'f'f'f - 1/12 f'f''(f,f) - 1/12 f''(f,f'f)",
    ]
    assert str(exact_flow(0)) == "1    y\nh    f"


def test_each_notation_has_its_table():
    b = modified_equation(euler, order=2)
    assert b.text("gradient").splitlines()[2] == "h^3  -1/3 H^2 g - 1/12 T[g, g]"
    assert b.text("index").splitlines()[2] == "h^3  1/3 f^i_,j f^j_,k f^k + 1/12 f^i_,jk f^j f^k"
    assert b.text("loss index").splitlines()[1] == "h^2  -1/2 L_ij L_j"
    with pytest.raises(InvalidValue, match="notation must be one of"):
        b.text("music")


def test_the_repr_of_a_long_series_is_short():
    lines = repr(EULER).splitlines()
    assert lines[0] == "<BSeries of order 7"
    assert lines[-1] == "...  200 trees up to h^8, all in .text()>"
    assert len(lines) == 7
    assert repr(modified_equation(euler, order=0)) == "<BSeries of order 0\nh    f>"
    assert repr(EULER.cut(4)) == f"<BSeries of order 4\n{EULER.cut(4)}>"
    assert repr(EULER.cut(5)).splitlines()[-1] == "...  37 trees up to h^6, all in .text()>"


def test_latex_is_one_formula():
    assert modified_equation(euler, order=2).latex() == (
        r"h f - \tfrac{1}{2} h^{2} f'f + "
        r"h^{3} \left(\tfrac{1}{3} f'f'f + \tfrac{1}{12} f''\!\left(f,f\right)\right)"
    )
    assert exact_flow(0).latex() == "y + h f"
    assert BSeries({}, order=1).latex() == "0"
    assert modified_equation(euler, order=1).latex("gradient") == (
        r"-h \nabla L - \tfrac{1}{2} h^{2} \nabla^2 L\,\nabla L"
    )


def test_notebooks_show_the_beginning_of_a_long_formula():
    assert modified_equation(euler, order=0)._repr_latex_() == r"$\displaystyle h f$"
    assert EULER._repr_latex_().endswith(r"\right) + \cdots$")
    assert EULER.cut(4)._repr_latex_() == rf"$\displaystyle {EULER.cut(4).latex()}$"
    assert EULER.cut(5)._repr_latex_() == rf"$\displaystyle {EULER.cut(4).latex()} + \cdots$"


def test_a_series_of_two_fields_names_them():
    assert str(exact_flow(1, colors=2)).splitlines() == [
        "1    y",
        "h    f1 + f2",
        "h^2  1/2 f1'f1 + 1/2 f1'f2 + 1/2 f2'f1 + 1/2 f2'f2",
    ]
    assert exact_flow(0, colors=2).latex() == r"y + h \left(f_{1} + f_{2}\right)"
    assert exact_flow(0, colors=3).text("index").splitlines()[1] == "h    f1^i + f2^i + f3^i"
    only_second = BSeries({RootedTree(color=1): 1}, order=0, colors=2)
    assert only_second.latex() == r"h f_{2}"


def test_euler_to_order_eight_takes_less_than_a_second():
    start = time.process_time()
    b = modified_equation(euler, order=8)
    assert time.process_time() - start < 1
    assert len(b) == 486
