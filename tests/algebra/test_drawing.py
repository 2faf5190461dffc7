"""Pictures of trees: each is read back here, by what a person would see."""

import re
import shutil
import subprocess
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeq import RootedTree, rooted_trees, tree_latex, tree_svg, tree_text
from modeq.algebra.layout import layout, mark
from modeq.algebra.notation import field_names, signed_formula
from modeq.errors import InvalidValue

LEAF = RootedTree()
TREES = [tree for order in range(1, 8) for tree in rooted_trees(order)]
COLORED = [tree for order in range(1, 4) for tree in rooted_trees(order, colors=6)]
CHAIN = RootedTree.from_level_sequence(range(1, 1001))
COMB = RootedTree.from_level_sequence([level for i in range(1, 301) for level in (i, i + 1)])
SVG = "{http://www.w3.org/2000/svg}"

PDFLATEX = shutil.which("pdflatex")
needs_tex = pytest.mark.skipif(
    PDFLATEX is None, reason="pdflatex is not installed (Debian: texlive-latex-base)"
)


def has_style(name):
    finder = shutil.which("kpsewhich")
    return finder is not None and subprocess.run([finder, name], capture_output=True).stdout != b""


needs_forest = pytest.mark.skipif(
    not (has_style("forest.sty") and has_style("elocalloc.sty") and has_style("inlinedef.sty")),
    reason="forest is not installed (Debian: texlive-pictures and texlive-latex-extra)",
)


@st.composite
def trees(draw, most=14, colors=6):
    """Trees of all shapes, half of them in one color."""
    size = draw(st.integers(1, most))
    color = st.integers(0, colors - 1) if draw(st.booleans()) else st.just(0)
    children = [[] for _ in range(size)]
    for vertex in range(size - 1, 0, -1):
        parent = draw(st.integers(0, vertex - 1))
        children[parent].append(RootedTree(children[vertex], draw(color)))
    return RootedTree(children[0], draw(color))


def shuffled(tree, random):
    children = [shuffled(child, random) for child in tree.children]
    return RootedTree(random.sample(children, len(children)), tree.color)


def color_of(text):
    return "•∘▪▫".index(text) if text in "•∘▪▫" else int(text.removeprefix("•"))


def read_text(drawing):
    """Return the tree of a drawing in characters, by following its lines from the root."""
    rows = drawing.split("\n")[::-1]
    width = max(map(len, rows))
    rows = [row.ljust(width + 1) for row in rows] + [" " * (width + 1)]

    def vertex(row, column):
        found = re.match(r"[•∘▪▫]\d*", rows[row][column:])[0]
        return RootedTree([vertex(row + 2, x) for x in above(row + 1, column)], color_of(found))

    def above(row, column):
        if row >= len(rows) or rows[row][column] not in "│┬┼":
            return []
        if rows[row][column] == "│":
            return [column]
        start, end = rows[row].rindex("└", 0, column), rows[row].index("┘", column)
        return [x for x in range(start, end + 1) if rows[row][x] in "└┴┼┘"]

    return vertex(0, len(rows[0]) - len(rows[0].lstrip()))


def read_brackets(formula):
    """Return the tree of [\\circ_{c}[...][...]], where only a leaf in color 0 has a dot."""
    pending, finished = [], []
    for token in re.findall(r"\[(?:\\circ(?:_\{\d+\})?)?|\.|\]", formula):
        if token.startswith("["):
            number = re.search(r"\d+", token)
            pending.append((int(number[0]) if number else int(r"\circ" in token), len(finished)))
        elif token == "]":
            color, start = pending.pop()
            finished[start:] = [RootedTree(finished[start:], color)]
    [tree] = finished
    return tree


def read_forest(spec):
    """Return the tree of nodes [label,options[...][...]]."""
    pending, finished = [], []
    for token in re.findall(r"\[[^][]*|\]", spec):
        if token == "]":
            color, start = pending.pop()
            finished[start:] = [RootedTree(finished[start:], color)]
        else:
            label, *options = token[1:].split(",")
            hollow, square = "fill=none" in options, "rectangle" in options
            pending.append((int(label) if label else 2 * square + hollow, len(finished)))
    [tree] = finished
    return tree


def vertices(svg):
    """Return (x, y, radius, color) of each circle and square."""
    drawn = []
    for shape in svg.iter():
        number = {key: float(x) for key, x in shape.items() if re.fullmatch(r"[\d.]+", x)}
        filled = shape.get("fill") == "currentColor"
        if shape.tag == f"{SVG}circle":
            drawn.append((number["cx"], number["cy"], number["r"], 0 if filled else 1))
        elif shape.tag == f"{SVG}rect":
            r = number["width"] / 2
            drawn.append((number["x"] + r, number["y"] + r, r, 2 if filled else 3))
        elif shape.tag == f"{SVG}text":
            *place, _ = drawn.pop()
            drawn.append((*place, int(shape.text)))
    return drawn


def edges(svg):
    """Return both ends of each line, the lower one first."""
    paths = [path.get("d") for path in svg.iter(f"{SVG}path")]
    lines = [re.findall(r"-?[\d.]+", line) for path in paths for line in path.split("M")[1:]]
    return [(tuple(map(float, line[:2])), tuple(map(float, line[2:]))) for line in lines]


def distance(one, other):
    return ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5


def read_svg(text):
    """Return the tree whose edges run between the marks that are nearest to their ends."""
    svg = ElementTree.fromstring(text)
    drawn = vertices(svg)
    children = {vertex: [] for vertex in drawn}
    for lower, upper in edges(svg):
        parent, child = (min(drawn, key=lambda v: distance(v, end)) for end in (lower, upper))
        assert parent[1] > child[1]
        children[parent].append(child)

    def tree(vertex):
        return RootedTree(map(tree, children[vertex]), vertex[3])

    return tree(max(drawn, key=lambda vertex: vertex[1]))


DRAWINGS = [tree_text, tree_svg, tree_latex, lambda t: tree_latex(t, "brackets")]


@given(trees(), st.randoms(use_true_random=False))
def test_equal_trees_have_equal_drawings(tree, random):
    other = shuffled(tree, random)
    assert all(draw(tree) == draw(other) for draw in DRAWINGS)


@given(trees())
def test_a_drawing_in_characters_determines_the_tree(tree):
    assert read_text(tree_text(tree)) == tree


@given(trees())
def test_an_svg_determines_the_tree(tree):
    assert read_svg(tree_svg(tree)) == tree


@given(trees())
def test_brackets_determine_the_tree(tree):
    assert read_brackets(tree_latex(tree, "brackets")) == tree


@given(trees(colors=8))
def test_a_forest_specification_determines_the_tree(tree):
    spec = tree_latex(tree)
    assert spec.count("{") == spec.count("}")
    assert read_forest(spec) == tree


@given(trees(most=30))
def test_no_two_vertices_overlap(tree):
    drawn = vertices(ElementTree.fromstring(tree_svg(tree, size=50)))
    assert len(drawn) == tree.order
    for i, one in enumerate(drawn):
        assert all(distance(one, other) > one[2] + other[2] + 10 for other in drawn[:i])


@given(trees(most=30))
def test_no_two_edges_cross(tree):
    x, y, children = layout(tree.level_sequence)
    lines = sorted((y[p], x[p], x[c]) for p, below in enumerate(children) for c in below)
    for (level, stem, end), (next_level, next_stem, next_end) in pairwise(lines):
        if level == next_level:
            assert end < next_end
            assert stem <= next_stem


@given(trees())
def test_the_picture_contains_all_that_is_drawn(tree):
    svg = ElementTree.fromstring(tree_svg(tree))
    width, height = float(svg.get("width")), float(svg.get("height"))
    assert svg.get("viewBox") == f"0 0 {svg.get('width')} {svg.get('height')}"
    for x, y, r, _ in vertices(svg):
        assert r < x < width - r
        assert r < y < height - r


@given(trees())
def test_edges_end_at_the_rims_of_their_vertices(tree):
    svg = ElementTree.fromstring(tree_svg(tree, size=100))
    drawn = vertices(svg)
    lines = edges(svg)
    assert len(lines) == tree.order - 1
    for end in (end for line in lines for end in line):
        x, y, r, color = min(drawn, key=lambda vertex: distance(vertex, end))
        dx, dy = abs(end[0] - x), abs(end[1] - y)
        from_center = max(dx, dy) if color in (2, 3) else (dx**2 + dy**2) ** 0.5
        assert from_center == pytest.approx(r, abs=0.02)


@given(trees())
def test_the_root_is_at_the_bottom_and_a_parent_midway_below_its_outer_children(tree):
    x, y, children = layout(tree.level_sequence)
    assert y[0] == 0
    assert sorted(x[v] for v, below in enumerate(children) if not below) == list(
        range(sum(not below for below in children))
    )
    for vertex, below in enumerate(children):
        assert [y[child] for child in below] == [y[vertex] + 1] * len(below)
        if below:
            assert x[vertex] == (x[below[0]] + x[below[-1]]) / 2


def test_a_drawing_in_characters_is_compact():
    drawings = [tree_text(tree) for tree in rooted_trees(4)]
    assert drawings == [
        "•\n│\n•\n│\n•\n│\n•",
        "• •\n└┬┘\n •\n │\n •",
        "•\n│\n• •\n└┬┘\n •",
        "• • •\n└─┼─┘\n  •",
    ]
    tree = RootedTree([RootedTree([LEAF], 3), RootedTree(color=5), RootedTree(color=5)], 1)
    assert tree_text(tree) == "•\n│\n▫  •5 •5\n└──┼──┘\n   ∘"


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_a_drawing_in_characters_has_no_space_at_the_end_of_a_line(tree):
    lines = tree_text(tree).split("\n")
    assert lines == [line.rstrip() for line in lines]
    assert len(lines) == 2 * max(tree.level_sequence) - 1


def test_colors_are_told_apart():
    assert len({mark(color) for color in range(20)}) == 20
    for draw in DRAWINGS[:-1]:
        assert len({draw(tree) for tree in COLORED}) == len(COLORED)


def test_the_svg_takes_the_color_of_the_text_around_it():
    for tree in COLORED:
        paint = re.findall(r'(?:fill|stroke|color)="([^"]*)"', tree_svg(tree))
        assert set(paint) <= {"currentColor", "none"}


def test_the_svg_grows_with_its_size():
    def shape(size):
        svg = ElementTree.fromstring(tree_svg(TREES[-2], size=size))
        return [float(svg.get("width")), float(svg.get("height"))]

    assert shape(200) == pytest.approx([10 * x for x in shape(20)])
    assert tree_svg(LEAF, size=24) == tree_svg(LEAF)


def test_the_svg_says_which_tree_it_shows():
    for tree in COLORED:
        assert ElementTree.fromstring(tree_svg(tree)).findtext(f"{SVG}title") == str(tree)


def test_a_tree_in_a_notebook_is_drawn():
    tree = RootedTree([LEAF, LEAF])
    assert tree._repr_svg_() == tree_svg(tree)


@pytest.mark.parametrize("tree", [CHAIN, COMB], ids=["chain", "comb"])
def test_large_trees_have_drawings(tree):
    assert tree_text(tree).count("•") == tree.order
    assert tree_svg(tree).count("<circle") == tree.order
    assert read_brackets(tree_latex(tree, "brackets")) == tree
    assert read_forest(tree_latex(tree)) == tree


def test_brackets_read_as_in_the_docstring():
    assert [tree_latex(tree, "brackets") for tree in rooted_trees(3)] == ["[[[.]]]", "[[.][.]]"]
    assert tree_latex(RootedTree([RootedTree(color=1)], 2), "brackets") == r"[\circ_{2}[\circ]]"


def test_the_style_of_the_books_is_the_elementary_differential():
    assert tree_latex(RootedTree([LEAF, LEAF]), style="differentials") == r"f''\!\left(f,f\right)"


@pytest.mark.parametrize("style", ["tikz", "", None, 3])
def test_an_unknown_style_is_an_error(style):
    with pytest.raises(InvalidValue, match="one of forest, brackets, differentials, got"):
        tree_latex(LEAF, style)


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf"), "24", None, 1j, True])
def test_a_size_is_a_positive_number(size):
    with pytest.raises(InvalidValue, match=r"size is .*; it must be a positive finite number"):
        tree_svg(LEAF, size)


def compile_tex(preamble, formulas, folder):
    """Let a real TeX set formulas, in a paragraph and displayed; it must succeed."""
    body = "\n".join(f"${formula}$ \\[{formula}\\]" for formula in formulas)
    document = f"\\documentclass{{article}}{preamble}\\begin{{document}}{body}\\end{{document}}"
    (folder / "a.tex").write_text(document, encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    run = subprocess.run(
        [PDFLATEX, *options, "a.tex"], cwd=folder, capture_output=True, timeout=300, check=False
    )
    log = run.stdout.decode("utf-8", "replace")
    assert run.returncode == 0, log[-3000:]
    assert "Missing character" not in log


@needs_tex
def test_brackets_and_differentials_compile_without_a_package(tmp_path):
    some = [*TREES[:20], *COLORED[:50]]
    brackets = [tree_latex(tree, "brackets") for tree in some]
    differentials = [tree_latex(tree, "differentials") for tree in some]
    compile_tex("", brackets + differentials, tmp_path)


@needs_tex
def test_formulas_of_several_fields_compile(tmp_path):
    names = [field_names(6), [f"f^{{[{c}]}}" for c in range(6)], [f"u_{{{c}}}" for c in range(6)]]
    some = [*TREES[:30], *COLORED[:50]]
    formulas = [
        signed_formula(tree, notation=notation, latex=True, fields=fields)[1]
        for notation in ("differentials", "index")
        for fields in names
        for tree in some
    ]
    compile_tex("", formulas, tmp_path)


@needs_tex
@needs_forest
def test_forests_compile_inside_of_formulas(tmp_path):
    some = [tree_latex(tree) for tree in [*TREES[:8], *COLORED[:8]]]
    compile_tex(r"\usepackage{forest}", some, tmp_path)
