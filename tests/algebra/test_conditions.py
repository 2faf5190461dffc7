"""Order conditions as they are printed, evaluated on tables."""

import re
from fractions import Fraction
from itertools import product
from math import prod

import pytest

from modeq import OrderCondition, RootedTree, RungeKutta, order_conditions, rooted_trees
from modeq.errors import InvalidOrder
from modeq.methods.named import NAMED

RUNGE_KUTTA = {
    "gradient-descent": 1,
    "euler": 1,
    "implicit-euler": 1,
    "proximal-point": 1,
    "explicit-midpoint": 2,
    "implicit-midpoint": 2,
    "trapezoid": 2,
    "extragradient": 1,
    "heun": 2,
    "ralston": 2,
    "kutta-3": 3,
    "ssprk-33": 3,
    "rk4": 4,
    "kutta-three-eighths": 4,
    "lobatto-iiic-2": 2,
    "lobatto-iiic-3": 4,
    "gauss-2": 4,
    "gauss-3": 6,
    "radau-ia-2": 3,
    "radau-ia-3": 5,
    "radau-iia-2": 3,
    "radau-iia-3": 5,
    "lobatto-iiia-2": 2,
    "lobatto-iiia-3": 4,
    "lobatto-iiib-2": 2,
    "lobatto-iiib-3": 4,
}


def parsed(text):
    """Return the letters, the factors (name, letters, power) and the value of a condition."""
    letters, factors, value = re.fullmatch(r"sum_(\w+) (.+) = (\S+)", text).groups()
    found = [re.fullmatch(r"([abc])_(\w+?)(?:\^(\d+))?", f).groups() for f in factors.split()]
    return letters, [(name, places, int(k or 1)) for name, places, k in found], Fraction(value)


def left_side(text, method):
    """Return the sum that a printed condition asks for."""
    letters, factors, _ = parsed(text)
    A, b, c = method.A, method.b, [sum(row) for row in method.A]
    total = Fraction(0)
    for stages in product(range(len(b)), repeat=len(letters)):
        at = dict(zip(letters, stages, strict=True))

        def value(name, places, power, at=at):
            entry = {"b": b, "c": c, "a": A}[name]
            for letter in places:
                entry = entry[at[letter]]
            return prod([entry] * power)

        total = total + prod(value(*factor) for factor in factors)
    return total


def holds(condition, method):
    text = str(condition)
    return left_side(text, method) == parsed(text)[2]


def test_the_conditions_through_order_four_are_those_in_the_book():
    # Hairer, Lubich, Wanner, III.1, Table 1.1, and II.1, equation 1.11, with c for row sums
    assert list(map(str, order_conditions(4))) == [
        "sum_i b_i = 1",
        "sum_i b_i c_i = 1/2",
        "sum_ij b_i a_ij c_j = 1/6",
        "sum_i b_i c_i^2 = 1/3",
        "sum_ijk b_i a_ij a_jk c_k = 1/24",
        "sum_ij b_i a_ij c_j^2 = 1/12",
        "sum_ij b_i c_i a_ij c_j = 1/8",
        "sum_i b_i c_i^3 = 1/4",
    ]


@pytest.mark.parametrize(("order", "count"), list(enumerate([1, 2, 4, 8, 17, 37, 85, 200], 1)))
def test_there_is_one_condition_for_each_tree(order, count):
    # Butcher's numbers of order conditions
    conditions = order_conditions(order)
    assert len(conditions) == count
    trees = [tree for n in range(1, order + 1) for tree in rooted_trees(n)]
    assert [condition.tree for condition in conditions] == trees
    assert all(condition.value == Fraction(1, condition.tree.density) for condition in conditions)


def test_no_two_conditions_are_printed_alike():
    texts = list(map(str, order_conditions(8)))
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("name", "order"), [(n, p) for n, p in RUNGE_KUTTA.items() if p < 5])
def test_a_method_satisfies_the_printed_conditions_through_its_order(name, order):
    method = NAMED[name]()
    assert all(holds(condition, method) for condition in order_conditions(order))
    beyond = order_conditions(order + 1)[len(order_conditions(order)) :]
    assert not all(holds(condition, method) for condition in beyond)


def test_a_printed_condition_is_the_elementary_weight_of_its_tree():
    method = RungeKutta([[2, 3], [5, -7]], [Fraction(1, 3), Fraction(2, 3)])

    def stages(tree):
        inner = [stages(child) for child in tree.children]
        return [
            prod(sum(a * g for a, g in zip(row, values, strict=True)) for values in inner)
            for row in method.A
        ]

    for condition in order_conditions(6):
        weight = sum(b * g for b, g in zip(method.b, stages(condition.tree), strict=True))
        assert left_side(str(condition), method) == weight


def test_latex_says_the_same_as_the_text():
    for condition in order_conditions(6):
        latex = condition.latex()
        assert latex.count("{") == latex.count("}")
        value = re.sub(r"\\tfrac\{(\d+)\}\{(\d+)\}", r"\1/\2", latex)
        assert re.sub(r"[{}]", "", value).replace("\\sum", "sum") == str(condition)
        assert condition._repr_latex_() == rf"$\displaystyle {latex}$"
    assert order_conditions(1)[0].latex() == r"\sum_{i} b_{i} = 1"


def test_a_tree_with_more_vertices_than_letters_has_a_condition():
    tall = RootedTree.from_level_sequence(range(18))
    text = str(OrderCondition(tall, Fraction(1, tall.density)))
    letters = text.split()[0].removeprefix("sum_")
    assert letters == "ijklmnpqrstuvwi1i2i3"
    assert text.split()[-3] == "c_i3"


@pytest.mark.parametrize("order", [0, -1, 1.5, True, "4"])
def test_the_order_of_conditions_is_at_least_one(order):
    with pytest.raises(InvalidOrder, match="must be an integer >= 1"):
        order_conditions(order)
