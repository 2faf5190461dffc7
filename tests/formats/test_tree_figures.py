"""Figures and tables of many trees."""

import io
import itertools
import re
import subprocess
import sys
from fractions import Fraction
from xml.etree import ElementTree

import matplotlib
import pytest
import sympy
from matplotlib.collections import LineCollection

from modeq import BSeries, RootedTree, exact_flow, plot_trees, rooted_trees, series_table, tree_svg
from modeq.algebra.layout import mark
from modeq.algebra.rule_series import modified_equation
from modeq.errors import InvalidTree, InvalidValue
from modeq.show.figures import save

LEAF = RootedTree()
EULER = modified_equation(lambda y, f, h: y + h * f(y), order=4)
TREES = [tree for order in range(1, 6) for tree in rooted_trees(order)]
COLORED = rooted_trees(3, colors=2)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure):
    """Return the rectangles that the texts take up, in pixels."""
    renderer = figure.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in figure.axes[0].texts]


def test_every_tree_has_its_formula_beneath_it():
    figure = plot_trees(rooted_trees(3))
    assert texts(figure) == ["$f'f'f$", r"$f''\left(f,f\right)$"]
    assert len(figure.axes[0].patches) == 6


def test_every_tree_of_a_series_has_the_coefficient_of_its_differential_beneath_it():
    shown = texts(plot_trees(EULER))
    assert len(shown) == 2 * len(EULER)
    assert shown[1::2] == [str(EULER[tree] / tree.symmetry) for tree in EULER]
    assert shown[1::2][:8] == ["1", "-1/2", "1/3", "1/12", "-1/4", "-1/12", "-1/12", "0"]


def test_every_vertex_and_every_edge_is_drawn():
    axes = plot_trees(TREES).axes[0]
    assert len(axes.patches) == sum(tree.order for tree in TREES)
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in lines) == sum(tree.order - 1 for tree in TREES)


@pytest.mark.parametrize("columns", [1, 2, 5, 6, 100])
def test_trees_stand_in_columns(columns):
    figure = plot_trees(TREES, columns)
    centers = [round(text.get_position()[0], 6) for text in figure.axes[0].texts]
    assert len(set(centers)) == min(columns, len(TREES))
    assert centers == [centers[i % columns] for i in range(len(TREES))]


@pytest.mark.parametrize("drawn", [EULER, COLORED, rooted_trees(7)], ids=["b", "colors", "7"])
def test_no_two_texts_overlap_or_leave_the_figure(drawn):
    figure = plot_trees(drawn)
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    assert all(box.x0 > 0 and box.y0 > 0 and box.x1 < width and box.y1 < height for box in found)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))


def test_no_vertex_stands_on_a_text_or_on_another_vertex():
    figure = plot_trees(TREES)
    vertices = [patch.get_window_extent() for patch in figure.axes[0].patches]
    taken = [*boxes(figure), *vertices]
    pairs = itertools.product(range(len(vertices)), range(len(taken)))
    assert not any(vertices[i].overlaps(taken[j]) for i, j in pairs if taken[j] is not vertices[i])


def test_open_and_filled_marks_tell_colors_apart():
    trees = [RootedTree(color=color) for color in range(6)]
    axes = plot_trees(trees).axes[0]
    filled = [patch.get_facecolor()[:3] == (0, 0, 0) for patch in axes.patches]
    assert filled == [mark(color).is_filled for color in range(6)]
    assert [text for text in texts(axes.figure) if "$" not in text] == ["4", "5"]


def test_fields_are_numbered_when_any_of_the_trees_has_a_second_color():
    assert texts(plot_trees(rooted_trees(2, colors=2))) == [
        *("$f_{1}'f_{1}$", "$f_{1}'f_{2}$", "$f_{2}'f_{1}$", "$f_{2}'f_{2}$")
    ]
    named = plot_trees(rooted_trees(2, colors=2), fields=("f", "g"))
    assert texts(named) == ["$f'f$", "$f'g$", "$g'f$", "$g'g$"]


def test_long_coefficients_are_cut():
    beta = sympy.Symbol("beta")
    series = BSeries({LEAF: 1 / (1 - beta) ** 3 + beta**7 - 2 * beta**5}, order=0)
    [_, coefficient] = texts(plot_trees(series))
    assert coefficient.endswith("...")
    assert len(coefficient) == 24


def test_signs_of_mathematics_in_a_coefficient_are_not_typeset():
    series = BSeries({LEAF: sympy.Symbol("$a_1$")}, order=0)
    figure = plot_trees(series)
    assert texts(figure) == ["$f$", "$a_1$"]
    assert [text.get_parse_math() for text in figure.axes[0].texts] == [True, False]


def test_a_generator_of_trees_is_drawn():
    assert len(texts(plot_trees(tree for tree in TREES))) == len(TREES)


def test_the_settings_of_the_user_do_not_change_the_figure(tmp_path):
    save(plot_trees(EULER), tmp_path / "one.png")
    with matplotlib.rc_context({"lines.linewidth": 30, "font.size": 30, "text.usetex": True}):
        save(plot_trees(EULER), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_pyplot_is_not_imported():
    program = (
        "import sys, modeq.formats.tree_figures as t, modeq.algebra.trees as r\n"
        "assert 'matplotlib' not in sys.modules\n"
        "t.plot_trees(r.rooted_trees(3))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_figure_is_a_picture_of_black_on_white():
    figure = plot_trees(TREES)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    image = matplotlib.image.imread(io.BytesIO(data.getvalue()))
    assert image[:3].min() == 1
    assert 0.01 < (image[:, :, 0] < 0.5).mean() < 0.1


@pytest.mark.parametrize("columns", [0, -1, 2.0, "6", None, True])
def test_the_number_of_columns_is_a_positive_integer(columns):
    with pytest.raises(InvalidValue, match=r"columns is .*; it must be an integer >= 1"):
        plot_trees(TREES, columns)


@pytest.mark.parametrize("trees", [[], {}, 3, None, LEAF, "trees", [LEAF, 1], {"f": 1}])
def test_only_trees_are_drawn(trees):
    with pytest.raises(InvalidTree, match="expected rooted trees, at least one, or a BSeries, got"):
        plot_trees(trees)


def cells(html):
    """Return the texts of the cells in each row of a table, and the drawings in the first."""
    rows = [list(row) for row in ElementTree.fromstring(html).iter("tr")]
    svg = "{http://www.w3.org/2000/svg}"
    drawn = [row[0].find(f"{svg}svg") for row in rows]
    return [[cell.text for cell in row] for row in rows], drawn


def test_a_table_has_a_row_for_each_tree_with_its_drawing():
    (head, *rows), (_, *drawn) = cells(series_table(EULER))
    assert head == ["tree", "formula", "σ", "γ", "b", "b/σ"]
    assert len(rows) == len(EULER)
    assert rows[3][1:] == ["f''(f,f)", "2", "3", "1/6", "1/12"]
    for tree, svg in zip(EULER, drawn, strict=True):
        assert svg.findtext("{http://www.w3.org/2000/svg}title") == str(tree)
    assert all(tree_svg(tree, 18) in series_table(EULER) for tree in EULER)


@pytest.mark.parametrize("series", [EULER, exact_flow(3)], ids=["field", "map"])
def test_the_columns_of_a_table_are_those_of_the_trees(series):
    (_, *rows), _ = cells(series_table(series))
    for tree, (_, _, symmetry, density, b, weight) in zip(series, rows, strict=True):
        assert (int(symmetry), int(density)) == (tree.symmetry, tree.density)
        assert Fraction(b) == series[tree]
        assert Fraction(weight) == series[tree] / tree.symmetry


def test_a_table_in_markdown_has_the_same_entries():
    lines = series_table(EULER, format="markdown").split("\n")
    (_, *rows), _ = cells(series_table(EULER))
    assert lines[1] == "| --- | --- | --- | --- | --- | --- |"
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in lines)
    for tree, row, line in zip(EULER, rows, lines[2:], strict=True):
        shown = [cell.strip() for cell in line.replace("\\", "").strip("|").split("|")]
        assert shown == [str(tree), *row[1:]]


def test_entries_have_no_meaning_to_html_or_markdown():
    series = {LEAF: sympy.Symbol("<b>|&*a*")}
    rows, _ = cells(series_table(series))
    assert rows[1][4] == "<b>|&*a*"
    line = series_table(series, format="markdown").split("\n")[-1]
    assert r"\<b\>\|\&\*a\*" in line
    assert cells(series_table(EULER, fields=["<i>"]))[0][2][1] == "<i>'<i>"


def test_a_mapping_with_integers_stays_exact():
    bushy = RootedTree([LEAF, LEAF])
    assert cells(series_table({bushy: 1}))[0][1][4:] == ["1", "1/2"]


def test_a_table_of_a_colored_series_names_its_fields():
    series = dict.fromkeys(rooted_trees(2, colors=2), 1)
    formulas = [row[1] for row in cells(series_table(series))[0][1:]]
    assert formulas == ["f1'f1", "f1'f2", "f2'f1", "f2'f2"]
    formulas = [row[1] for row in cells(series_table(series, fields=["p", "q"]))[0][1:]]
    assert formulas == ["p'p", "p'q", "q'p", "q'q"]


def test_an_unknown_format_is_an_error():
    with pytest.raises(InvalidValue, match="format must be one of html, markdown, got 'latex'"):
        series_table(EULER, format="latex")


@pytest.mark.parametrize("series", [TREES, None, LEAF, 3])
def test_a_table_is_of_a_series(series):
    with pytest.raises(InvalidTree, match="expected a BSeries, got"):
        series_table(series)


def test_an_empty_table_is_an_error():
    with pytest.raises(InvalidTree, match="at least one"):
        series_table({})
