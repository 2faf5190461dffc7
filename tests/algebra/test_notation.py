"""Formulas of trees, as they stand in the books and papers."""

import re
from collections import Counter
from fractions import Fraction

import pytest
import sympy

from modeq import RootedTree, rooted_trees
from modeq.algebra.notation import (
    differential,
    field_names,
    gradient,
    index,
    loss_index,
    signed_formula,
)
from modeq.algebra.series_text import linear_combination
from modeq.errors import InvalidValue

TREES = [tree for order in range(1, 8) for tree in rooted_trees(order)]
COLORED = [tree for order in range(1, 5) for tree in rooted_trees(order, colors=3)]
BUSHY5 = RootedTree.from_level_sequence([1, 2, 2, 2, 2])


def formulas(function, order, **options):
    return [function(tree, **options) for tree in rooted_trees(order)]


def test_elementary_differentials_read_as_in_the_book():
    assert formulas(differential, 1) == ["f"]
    assert formulas(differential, 2) == ["f'f"]
    assert formulas(differential, 3) == ["f'f'f", "f''(f,f)"]
    assert formulas(differential, 4) == ["f'f'f'f", "f'f''(f,f)", "f''(f,f'f)", "f'''(f,f,f)"]
    assert differential(BUSHY5) == "f^(4)(f,f,f,f)"


def test_elementary_differentials_in_latex():
    assert formulas(differential, 3, latex=True) == ["f'f'f", r"f''\!\left(f,f\right)"]
    assert differential(BUSHY5, latex=True) == r"f^{(4)}\!\left(f,f,f,f\right)"


def test_gradients_read_with_hessians_collected():
    assert formulas(gradient, 1) == [(-1, "g")]
    assert formulas(gradient, 2) == [(1, "H g")]
    assert formulas(gradient, 3) == [(-1, "H^2 g"), (-1, "T[g, g]")]
    assert formulas(gradient, 4) == [
        (1, "H^3 g"),
        (1, "H T[g, g]"),
        (1, "T[g, H g]"),
        (1, "Q[g, g, g]"),
    ]
    assert gradient(BUSHY5) == (-1, "D5[g, g, g, g]")


def test_gradients_in_latex():
    assert gradient(RootedTree(), latex=True) == (-1, r"\nabla L")
    assert gradient(RootedTree.from_level_sequence([1, 2, 3]), latex=True) == (
        -1,
        r"(\nabla^2 L)^{2}\,\nabla L",
    )
    assert gradient(RootedTree.from_level_sequence([1, 2, 3, 2]), latex=True) == (
        1,
        r"\nabla^3 L\!\left[\nabla L,\nabla^2 L\,\nabla L\right]",
    )
    bushy = RootedTree([RootedTree()] * 9)
    assert gradient(bushy, latex=True)[1].startswith(r"\nabla^{10} L\!\left[")


def test_components_of_a_field_have_upper_and_lower_indices():
    assert formulas(index, 1) == ["f^i"]
    assert formulas(index, 2) == ["f^i_,j f^j"]
    assert formulas(index, 3) == ["f^i_,j f^j_,k f^k", "f^i_,jk f^j f^k"]
    assert formulas(index, 3, latex=True) == ["f^i_{,j} f^j_{,k} f^k", "f^i_{,jk} f^j f^k"]


def test_components_of_a_gradient_have_lower_indices():
    assert formulas(loss_index, 2) == [(1, "L_ij L_j")]
    assert formulas(loss_index, 3) == [(-1, "L_ij L_jk L_k"), (-1, "L_ijk L_j L_k")]
    assert formulas(loss_index, 2, latex=True) == [(1, "L_{ij} L_j")]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_every_index_but_the_first_is_summed_over(tree):
    _, formula = loss_index(tree)
    counts = Counter(re.findall("[a-z]", formula))
    assert counts.pop("i") == 1
    assert set(counts.values()) <= {2}
    assert len(counts) == tree.order - 1
    assert len(formula.split()) == tree.order


def test_indices_get_numbers_when_the_letters_are_used_up():
    tree = RootedTree.from_level_sequence(range(1, 17))
    assert loss_index(tree)[1].endswith("L_vw L_wi1 L_i1i2 L_i2")
    assert index(tree, latex=True).endswith("f^w_{,i_{1}} f^{i_{1}}_{,i_{2}} f^{i_{2}}")
    assert loss_index(tree, latex=True)[1].endswith("L_{vw} L_{wi_{1}} L_{i_{1}i_{2}} L_{i_{2}}")


@pytest.mark.parametrize("notation", ["differentials", "gradient", "index", "loss index"])
@pytest.mark.parametrize("latex", [False, True])
def test_different_trees_have_different_formulas(notation, latex):
    texts = [signed_formula(tree, notation=notation, latex=latex)[1] for tree in TREES]
    assert len(set(texts)) == len(TREES)
    assert all(text.count("{") == text.count("}") for text in texts)
    assert all(text.count(r"\left") == text.count(r"\right") for text in texts)


def test_a_tree_of_a_thousand_levels_has_a_formula():
    tree = RootedTree.from_level_sequence(range(1, 1001))
    assert differential(tree) == "f'" * 999 + "f"
    assert gradient(tree) == (1, "H^999 g")
    assert len(index(tree).split()) == 1000
    assert loss_index(tree)[1].startswith("L_ij L_jk L_kl L_lm L_mn L_np ")


def test_a_thousand_branchings_have_a_formula():
    comb = RootedTree.from_level_sequence([level for i in range(1, 1001) for level in (i, i + 1)])
    assert gradient(comb)[1].startswith("T[g, T[g, T[g, ")
    assert differential(comb).endswith("f'f" + ")" * 999)


@pytest.mark.parametrize("latex", [False, True])
def test_a_signed_formula_is_that_of_its_notation(latex):
    for tree in TREES[:20]:
        assert signed_formula(tree, latex=latex) == (1, differential(tree, latex=latex))
        assert signed_formula(tree, notation="index", latex=latex) == (1, index(tree, latex=latex))
        for name, function in (("gradient", gradient), ("loss index", loss_index)):
            assert signed_formula(tree, notation=name, latex=latex) == function(tree, latex=latex)


def test_an_unknown_notation_is_an_error():
    with pytest.raises(InvalidValue, match=r"one of differentials, gradient, .*, got 'x'"):
        signed_formula(RootedTree(), notation="x")


def test_signs_and_fractions_are_written_as_a_person_would():
    terms = [(-1, "a"), (Fraction(1, 2), "b"), (0, "c"), (Fraction(-3, 4), "d"), (1, "e")]
    assert linear_combination(terms) == "-a + 1/2 b - 3/4 d + e"
    assert linear_combination(terms, latex=True) == r"-a + \tfrac{1}{2} b - \tfrac{3}{4} d + e"
    assert linear_combination([(2, "a")], latex=True) == "2 a"


def test_a_sum_of_nothing_is_zero():
    assert linear_combination([]) == linear_combination([(0, "a")], latex=True) == "0"


def test_symbolic_coefficients_stand_in_parentheses():
    beta = sympy.Symbol("beta")
    terms = [(1 / (1 - beta), "f"), (sympy.Rational(-1, 2), "f'f")]
    assert linear_combination(terms) == "(1/(1 - beta)) f - 1/2 f'f"
    assert linear_combination(terms, latex=True) == (
        r"\left(\frac{1}{1 - \beta}\right) f - \tfrac{1}{2} f'f"
    )
    assert linear_combination([(0.5, "f")], latex=True) == r"\left(0.5\right) f"
    X = sympy.Symbol("X")
    assert linear_combination([(1, "f"), (X, "g"), (-X, "h")]) == "f + (X) g + (-X) h"
    assert linear_combination([(X, "f")], latex=True) == r"\left(X\right) f"


def two_colors(function, order, **options):
    return [function(tree, **options) for tree in rooted_trees(order, colors=2)]


def test_elementary_differentials_of_two_fields_read_as_in_the_book():
    fields = ("f", "g")
    assert two_colors(differential, 1, fields=fields) == ["f", "g"]
    assert two_colors(differential, 2, fields=fields) == ["f'f", "f'g", "g'f", "g'g"]
    bushy = two_colors(differential, 3, fields=fields)[-6:]
    assert bushy[:3] == ["f''(f,f)", "f''(f,g)", "f''(g,g)"]
    assert bushy[3:] == ["g''(f,f)", "g''(f,g)", "g''(g,g)"]


def test_fields_without_names_are_numbered():
    assert field_names(1) == ("f",)
    assert field_names(3) == ("f1", "f2", "f3")
    tree = RootedTree([RootedTree(), RootedTree(color=2)], color=1)
    assert differential(tree) == "f2''(f1,f3)"
    assert differential(tree, latex=True) == r"f_{2}''\!\left(f_{1},f_{3}\right)"
    assert index(tree) == "f2^i_,jk f1^j f3^k"
    assert index(tree, latex=True) == "{f_{2}}^i_{,jk} {f_{1}}^j {f_{3}}^k"


def test_a_tree_in_color_zero_gets_the_name_of_the_first_of_several_fields():
    tree = RootedTree([RootedTree()])
    assert differential(tree) == "f'f"
    assert differential(tree, fields=field_names(2)) == "f1'f1"
    assert signed_formula(tree, notation="index", fields=("u", "v")) == (1, "u^i_,j u^j")


def test_latex_puts_no_second_superscript_on_a_name():
    fields = ("f^{[1]}", "f^{[2]}")
    tree = RootedTree([RootedTree()], color=1)
    bushy = RootedTree([RootedTree(color=1)] * 4)
    assert differential(tree, latex=True, fields=fields) == "{f^{[2]}}'f^{[1]}"
    assert differential(bushy, latex=True, fields=fields).startswith("{f^{[1]}}^{(4)}")
    assert index(tree, latex=True, fields=fields) == "{f^{[2]}}^i_{,j} {f^{[1]}}^j"
    assert differential(tree, latex=True, fields=("Y", "X")) == "X'Y"
    assert index(tree, latex=True, fields=("Y", "X")) == "X^i_{,j} Y^j"


@pytest.mark.parametrize("notation", ["differentials", "index"])
@pytest.mark.parametrize("latex", [False, True])
def test_different_colored_trees_have_different_formulas(notation, latex):
    fields = field_names(3)
    texts = {
        signed_formula(tree, notation=notation, latex=latex, fields=fields) for tree in COLORED
    }
    assert len(texts) == len(COLORED)


@pytest.mark.parametrize("notation", ["gradient", "loss index"])
def test_formulas_of_a_loss_are_for_one_color(notation):
    with pytest.raises(InvalidValue, match=r"are for trees in color 0 alone, got \[∘\]"):
        signed_formula(RootedTree([RootedTree(color=1)]), notation=notation)
    with pytest.raises(InvalidValue, match=r"is a notation for one loss L, got fields \('f',\)"):
        signed_formula(RootedTree(), notation=notation, fields=("f",))


@pytest.mark.parametrize("function", [differential, index])
def test_every_color_needs_a_name(function):
    with pytest.raises(InvalidValue, match=r"\[•4\] has colors up to 4, got fields \('f', 'g'\)"):
        function(RootedTree([RootedTree(color=4)]), fields=("f", "g"))
    with pytest.raises(InvalidValue, match="has colors up to 0, got fields"):
        function(RootedTree(), fields=())


@pytest.mark.parametrize("fields", ["fg", 3, ["f", 1], ["f", ""], {"f": 1}])
def test_names_of_fields_are_a_list_of_texts(fields):
    with pytest.raises(InvalidValue, match="fields must list the names of the fields, got"):
        differential(RootedTree(), fields=fields)


def test_a_colored_tree_of_a_thousand_levels_has_a_formula():
    tree = RootedTree.from_level_sequence(range(1, 1001), [level % 2 for level in range(1000)])
    assert differential(tree, fields=("f", "g")) == "f'g'" * 499 + "f'g"
    assert len(index(tree).split()) == 1000
