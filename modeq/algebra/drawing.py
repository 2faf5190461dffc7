r"""Rooted trees as pictures: in text, in LaTeX and in SVG, with the root at the bottom.

Leaves stand at distance one from each other, from left to right in the order of the level sequence,
and every other vertex stands in the middle between its first and its last child. So a subtree keeps
to the columns of its own leaves, and no two vertices or edges meet.

Colors 0, 1, 2, 3 are a filled and an open circle, a filled and an open square; a vertex of any
other color shows its number.
"""

from __future__ import annotations

from math import hypot
from numbers import Real
from typing import Any, NamedTuple

from modeq.algebra.notation import differential
from modeq.algebra.trees import RootedTree, color_mark
from modeq.checks import shortened
from modeq.errors import InvalidTree, InvalidValue

_FOREST = (
    "for tree={grow'=north,circle,draw,fill,font=\\tiny,inner sep=0pt,minimum size=0.45em,"
    "s sep=0.5em,l=1.1em,l sep=0.6em}"
)
_STROKE, _LETTER = 0.06, 0.4


class Mark(NamedTuple):
    """How a vertex is drawn, in units of the distance between neighboring leaves.

    Attributes:
        is_square: Whether it is a square and not a circle.
        is_filled: Whether it is filled.
        radius: The radius of the circle, or half the side of the square.
        label: What is written in it.
    """

    is_square: bool
    is_filled: bool
    radius: float = 0.17
    label: str = ""


_MARKS = (Mark(False, True), Mark(False, False), Mark(True, True), Mark(True, False))


def mark(color: int) -> Mark:
    """Return how a vertex of this color is drawn.

    >>> mark(0)
    Mark(is_square=False, is_filled=True, radius=0.17, label='')
    >>> mark(4)
    Mark(is_square=False, is_filled=False, radius=0.3, label='4')
    """
    return _MARKS[color] if color < len(_MARKS) else Mark(False, False, 0.3, str(color))


class Layout(NamedTuple):
    """Where the vertices of a tree stand, in the order of its level sequence.

    Attributes:
        x: How far each is to the right; neighboring leaves are at distance one.
        y: How far each is from the root.
        children: The numbers of the children of each, from left to right.
    """

    x: list[float]
    y: list[int]
    children: list[list[int]]


def layout(tree: RootedTree) -> Layout:
    """Return where to draw the vertices of a tree.

    >>> layout(RootedTree.from_level_sequence([1, 2, 3, 2]))
    Layout(x=[0.5, 0.0, 0.0, 1.0], y=[0, 1, 2, 1], children=[[1, 3], [2], [], []])
    """
    children = _children(_checked(tree).level_sequence)
    leaves = sum(not below for below in children)
    x = [0.0] * tree.order
    for vertex in reversed(range(tree.order)):
        if below := children[vertex]:
            x[vertex] = (x[below[0]] + x[below[-1]]) / 2
        else:
            leaves -= 1
            x[vertex] = float(leaves)
    return Layout(x, [level - 1 for level in tree.level_sequence], children)


def _children(levels: tuple[int, ...]) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in levels]
    newest: dict[int, int] = {}
    for vertex, level in enumerate(levels):
        newest[level] = vertex
        if level > 1:
            children[newest[level - 1]].append(vertex)
    return children


def tree_text(tree: RootedTree) -> str:
    """Return a drawing of the tree in characters.

    >>> print(tree_text(RootedTree.from_level_sequence([1, 2, 3, 3, 2, 2])))
    • •
    └┬┘
     •  • •
     └─┬┴─┘
       •
    """
    plan, marks = layout(tree), list(map(color_mark, tree.colors))
    spacing = 1 + max(map(len, marks))
    columns = [int(spacing * x) for x in plan.x]
    rows: list[str] = [""] * (2 * max(plan.y) + 1)
    for vertex, below in enumerate(plan.children):
        row = 2 * plan.y[vertex]
        rows[row] = rows[row].ljust(columns[vertex]) + marks[vertex]
        if below:
            reached = [columns[child] for child in below]
            rows[row + 1] = rows[row + 1].ljust(reached[0]) + _fork(columns[vertex], reached)
    return "\n".join(reversed(rows))


def _fork(stem: int, reached: list[int]) -> str:
    """Return the edges from the column of a vertex to those of its children above it."""
    if len(reached) == 1:
        return "│"
    start, *inner, end = reached
    line = dict.fromkeys(range(start, end + 1), "─")
    line |= dict.fromkeys(inner, "┴")
    line |= {start: "└", end: "┘", stem: "┼" if stem in inner else "┬"}
    return "".join(line.values())


def tree_latex(tree: RootedTree, style: str = "forest") -> str:
    r"""Return LaTeX for the tree, which may stand in a formula.

    | style | what is printed | needs |
    | --- | --- | --- |
    | forest | a drawing | ``\usepackage{forest}`` |
    | brackets | [[.][.]], a pair of brackets for each vertex | nothing |
    | differentials | f''(f,f), the elementary differential | nothing |

    Leaves are dots between their brackets. The brackets of a vertex of color 1 begin with ∘, those
    of a vertex of color c > 1 with ∘ and the index c.

    >>> tree = RootedTree([RootedTree(), RootedTree()])
    >>> print(tree_latex(tree, style="brackets"))
    [[.][.]]
    >>> print(tree_latex(RootedTree([tree], color=1), style="brackets"))
    [\circ[[.][.]]]
    >>> tree_latex(tree).startswith(r"\Forest{for tree=")
    True
    >>> print(tree_latex(tree, style="differentials"))
    f''\!\left(f,f\right)

    Args:
        tree: The tree.
        style: One of those in the table.

    Raises:
        InvalidValue: If the style is not in the table.
    """
    if not isinstance(style, str) or style not in _STYLES:
        raise InvalidValue(f"style must be one of {', '.join(_STYLES)}, got {style!r}")
    return _STYLES[style](_checked(tree))


def _checked(tree: Any) -> RootedTree:
    if not isinstance(tree, RootedTree):
        raise InvalidTree(
            f"{shortened(tree)} is no tree; give a RootedTree, such as one of rooted_trees(3)"
        )
    return tree


def _forest(tree: RootedTree) -> str:
    return rf"\Forest{{{_FOREST}{tree.fold_colored(_forest_node)}}}"


def _forest_node(color: int, children: list[str]) -> str:
    drawn = mark(color)
    options = (",rectangle" if drawn.is_square else "") + ("" if drawn.is_filled else ",fill=none")
    return f"[{drawn.label}{options}{''.join(children)}]"


def _brackets(tree: RootedTree) -> str:
    return tree.fold_colored(_bracket_node)


def _bracket_node(color: int, children: list[str]) -> str:
    if color == 0:
        return f"[{''.join(children) or '.'}]"
    sign = r"\circ" if color == 1 else rf"\circ_{{{color}}}"
    return f"[{sign}{''.join(children)}]"


_STYLES = {
    "forest": _forest,
    "brackets": _brackets,
    "differentials": lambda tree: differential(tree, latex=True),
}


def tree_svg(tree: RootedTree, size: float = 24) -> str:
    """Return a drawing of the tree as an SVG element, in the color of the text around it.

    >>> print(tree_svg(RootedTree(), size=50))
    <svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" viewBox="0 0 20 20" role="img">
    <title>•</title><g fill="none" stroke="currentColor" stroke-width="3">
    <circle cx="10" cy="10" r="8.5" fill="currentColor"/></g></svg>

    Args:
        tree: The tree.
        size: The distance between neighboring leaves, and between levels, in pixels.

    Raises:
        InvalidValue: If the size is not a positive number.
    """
    size = _checked_size(size)
    plan, marks = layout(tree), list(map(mark, tree.colors))
    margin = (max(drawn.radius for drawn in marks) + _STROKE / 2) * size
    xs = [margin + size * x for x in plan.x]
    ys = [margin + size * (max(plan.y) - y) for y in plan.y]
    width, height = _number(max(xs) + margin), _number(max(ys) + margin)
    shapes = "".join(_shape(*vertex, size) for vertex in zip(marks, xs, ys, strict=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">\n<title>{tree}</title>'
        f'<g fill="none" stroke="currentColor" stroke-width="{_number(_STROKE * size)}">\n'
        f"{_edges(plan, marks, xs, ys, size)}{shapes}</g></svg>"
    )


def _shape(drawn: Mark, x: float, y: float, size: float) -> str:
    r = drawn.radius * size
    fill = ' fill="currentColor"' if drawn.is_filled else ""
    if drawn.is_square:
        side, corner = _number(2 * r), f'x="{_number(x - r)}" y="{_number(y - r)}"'
        return f'<rect {corner} width="{side}" height="{side}"{fill}/>'
    circle = f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(r)}"{fill}/>'
    return circle + (_label(drawn.label, x, y, size) if drawn.label else "")


def _label(label: str, x: float, y: float, size: float) -> str:
    height = _LETTER * size / max(1, len(label) - 1)
    # Not every program knows how to center text vertically; digits are about 0.7 high.
    return (
        f'<text x="{_number(x)}" y="{_number(y + 0.35 * height)}" font-size="{_number(height)}" '
        f'font-family="sans-serif" text-anchor="middle" fill="currentColor" stroke="none">'
        f"{label}</text>"
    )


def _edges(plan: Layout, marks: list[Mark], xs: list[float], ys: list[float], size: float) -> str:
    """Return all edges as one path, each from rim to rim, so that open circles stay empty."""
    lines = []
    for parent, below in enumerate(plan.children):
        for child in below:
            dx, dy = xs[child] - xs[parent], ys[child] - ys[parent]
            start = _to_rim(marks[parent], dx, dy) * size
            end = 1 - _to_rim(marks[child], dx, dy) * size
            points = [(xs[parent] + t * dx, ys[parent] + t * dy) for t in (start, end)]
            lines.append("M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points))
    return f'<path d="{"".join(lines)}"/>\n' if lines else ""


def _to_rim(drawn: Mark, dx: float, dy: float) -> float:
    """Return which part of an edge, per unit of size, lies within the mark at its end."""
    return drawn.radius / (max(abs(dx), abs(dy)) if drawn.is_square else hypot(dx, dy))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _checked_size(size: Any) -> float:
    is_number = isinstance(size, Real) and not isinstance(size, bool)
    if not is_number or not 0 < size < float("inf"):
        raise InvalidValue(f"size is {shortened(size)}; it must be a positive number")
    return float(size)


# Notebooks look for this method. It is given to trees here, because they stand above their
# drawings and do not know of them: trees show themselves once this module has been imported.
RootedTree._repr_svg_ = tree_svg
