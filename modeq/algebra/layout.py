r"""Where the vertices of a tree stand in a drawing, and the drawing as SVG.

Leaves stand at distance one from each other, from left to right in the order of the level sequence,
and every other vertex stands in the middle between its first and its last child. So a subtree keeps
to the columns of its own leaves, and no two vertices or edges meet. The root is at the bottom.

Colors 0, 1, 2, 3 are a filled and an open circle, a filled and an open square; a vertex of any
other color shows its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

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


def layout(levels: Sequence[int]) -> Layout:
    """Return where to draw the vertices of a tree, from its level sequence.

    >>> layout([1, 2, 3, 2])
    Layout(x=[0.5, 0.0, 0.0, 1.0], y=[0, 1, 2, 1], children=[[1, 3], [2], [], []])
    """
    children = _children(levels)
    leaves = sum(not below for below in children)
    x = [0.0] * len(levels)
    for vertex in reversed(range(len(levels))):
        if below := children[vertex]:
            x[vertex] = (x[below[0]] + x[below[-1]]) / 2
        else:
            leaves -= 1
            x[vertex] = float(leaves)
    return Layout(x, [level - 1 for level in levels], children)


def _children(levels: Sequence[int]) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in levels]
    newest: dict[int, int] = {}
    for vertex, level in enumerate(levels):
        newest[level] = vertex
        if level > 1:
            children[newest[level - 1]].append(vertex)
    return children


def svg(levels: Sequence[int], colors: Sequence[int], title: str, size: float) -> str:
    """Return the drawing of a tree as an SVG element, in the color of the text around it.

    Args:
        levels: Its level sequence.
        colors: The color of each vertex.
        title: What the drawing is called.
        size: The distance between neighboring leaves, and between levels, in pixels.

    >>> svg([1, 2], [0, 0], "a tree", 24).count("<circle")
    2
    """
    plan, marks = layout(levels), list(map(mark, colors))
    margin = (max(drawn.radius for drawn in marks) + _STROKE / 2) * size
    xs = [margin + size * x for x in plan.x]
    ys = [margin + size * (max(plan.y) - y) for y in plan.y]
    width, height = _number(max(xs) + margin), _number(max(ys) + margin)
    shapes = "".join(_shape(*vertex, size) for vertex in zip(marks, xs, ys, strict=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">\n<title>{title}</title>'
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
