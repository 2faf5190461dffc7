r"""Rooted trees as pictures: in text, in LaTeX and in SVG, with the root at the bottom.

``modeq.algebra.layout`` says where the vertices stand.
"""

from __future__ import annotations

from typing import Any

from modeq.algebra.layout import layout, mark
from modeq.algebra.notation import differential
from modeq.algebra.trees import RootedTree, color_mark
from modeq.checks import check_positive, shortened
from modeq.errors import InvalidTree, InvalidValue
from modeq.show.document import Drawing

_IN_A_LINE = 16

_FOREST = (
    "for tree={grow'=north,circle,draw,fill,font=\\tiny,inner sep=0pt,minimum size=0.45em,"
    "s sep=0.5em,l=1.1em,l sep=0.6em}"
)


def tree_text(tree: RootedTree) -> str:
    """Return a drawing of the tree in characters.

    >>> print(tree_text(RootedTree.from_level_sequence([1, 2, 3, 3, 2, 2])))
    • •
    └┬┘
     •  • •
     └─┬┴─┘
       •
    """
    plan, marks = layout(_checked(tree).level_sequence), list(map(color_mark, tree.colors))
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
        raise InvalidValue(f"style must be one of {', '.join(_STYLES)}, got {shortened(style)}")
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
    return _checked(tree)._repr_svg_(_checked_size(size))


def tree_drawing(tree: RootedTree) -> Drawing:
    """Return a tree as a cell of a table, small enough to stand in a line.

    >>> tree_drawing(RootedTree()).text
    '•'
    """
    return Drawing(tree_svg(tree, _IN_A_LINE), str(tree))


def _checked_size(size: Any) -> float:
    return check_positive("size", size)
