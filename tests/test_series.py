"""B-series of maps and modified fields, against values from elsewhere and a brute-force oracle."""

import pickle
import time
from fractions import Fraction
from math import prod

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modeq.algebra.notation import differential
from modeq.algebra.rule_series import modified_equation
from modeq.algebra.series import BSeries, exact_flow
from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.errors import InvalidLoss, InvalidMethod, InvalidOrder, InvalidTree, InvalidValue

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


def random_series(order=2, empty=0):
    size = sum(len(rooted_trees(n)) for n in range(1, order + 2))
    trees = [tree for n in range(1, order + 2) for tree in rooted_trees(n)]
    return st.lists(st.fractions(max_denominator=9), min_size=size, max_size=size).map(
        lambda values: BSeries(dict(zip(trees, values, strict=True)), order=order, empty=empty)
    )


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
    ],
)
def test_a_rule_that_is_not_a_step_from_theta_is_an_error(rule, got):
    with pytest.raises(InvalidMethod, match=got):
        modified_equation(rule, order=2)


@pytest.mark.parametrize("order", [-1, 1.5, True, "2"])
def test_the_order_of_a_field_is_a_natural_number(order):
    with pytest.raises(InvalidOrder, match=r"order is .* must be an integer >= 0"):
        modified_equation(euler, order=order)


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


@given(random_series(), random_series(empty=1), st.fractions(max_denominator=9))
def test_series_form_a_vector_space(a, b, scalar):
    assert a + b == b + a
    assert a - a == 0 * a == BSeries({}, order=2)
    assert scalar * (a + b) == a * scalar + scalar * b
    assert sum([a, b]) == a + b
    assert -a == 0 * a - a
    assert (a + a) / 2 == a
    assert all((a - scalar * b)[tree] == a[tree] - scalar * b[tree] for tree in a)


def test_a_sum_is_known_as_far_as_both_of_its_terms():
    assert exact_flow(5) + exact_flow(2) == 2 * exact_flow(2)


def test_a_numpy_scalar_multiplies_each_coefficient():
    np = pytest.importorskip("numpy")
    assert np.float64(2) * exact_flow(1) == 2 * exact_flow(1)


@pytest.mark.parametrize(
    "operation",
    [lambda a: a + 1, lambda a: a - 1, lambda a: a * a, lambda a: a / a, lambda a: a + LEAF],
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


def test_equal_series_are_equal_in_every_respect():
    series = BSeries({LEAF: 1}, order=2)
    same = BSeries({LEAF: Fraction(1), TALL2: 0}, order=2)
    assert series == same
    assert hash(series) == hash(same)
    assert series != BSeries({LEAF: 1}, order=3)
    assert series != BSeries({LEAF: 1}, order=2, empty=1)
    assert pickle.loads(pickle.dumps(series)) == series


def test_a_series_cannot_be_changed():
    with pytest.raises(AttributeError):
        EULER.order = 3


@pytest.mark.parametrize("key", [RootedTree([BUSHY3]), "f", (1,)])
def test_only_trees_that_take_part_can_be_given(key):
    with pytest.raises(InvalidTree, match="is not a rooted tree of at most 3 vertices"):
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


def test_euler_to_order_eight_takes_less_than_a_second():
    start = time.process_time()
    b = modified_equation(euler, order=8)
    assert time.process_time() - start < 1
    assert len(b) == 486
