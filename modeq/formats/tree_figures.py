"""Many trees at once: as a figure, and as a table of the coefficients of a B-series.

`modeq.report.lower_orders.save` writes the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from modeq import checks
from modeq.algebra.drawing import tree_svg
from modeq.algebra.layout import Layout, layout, mark
from modeq.algebra.notation import differential, field_names
from modeq.algebra.series import BSeries
from modeq.algebra.trees import RootedTree
from modeq.checks import check_count, shortened
from modeq.errors import InvalidTree, InvalidValue
from modeq.show.figures import abridged, new_figure, own_style
from modeq.show.markdown import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEAF, _GAP, _LINE = 0.26, 0.25, 0.2  # inches
_FORMULA, _NUMBER, _LABEL = 12, 10, 7.5  # points
_WIDTH_OF_LETTER, _WIDTH_OF_DIGIT = 0.45 * _FORMULA / 72, 0.65 * _NUMBER / 72
_COEFFICIENT = 24
_HEADS = ("tree", "formula", "σ", "γ", "b", "b/σ")


def plot_trees(
    trees_or_series: Iterable[RootedTree], columns: int = 6, *, fields: Sequence[str] | None = None
) -> Figure:
    """Return a figure of trees, each with its elementary differential beneath it.

    Under the trees of a B-series stands the coefficient b(τ)/σ(τ) of that differential too.

    >>> from modeq.algebra.series import exact_flow
    >>> figure = plot_trees(exact_flow(2))
    >>> [text.get_text() for text in figure.axes[0].texts[-2:]]
    ["$f''\\\\left(f,f\\\\right)$", '1/6']

    Args:
        trees_or_series: Trees, or a B-series.
        columns: How many stand side by side.
        fields: The names of the fields, by color, as in `modeq.algebra.notation.differential`.

    Raises:
        InvalidTree: If there is nothing to draw, or something else than rooted trees.
        InvalidValue: If ``columns`` is not a positive integer, or there are too few fields.
    """
    columns = check_count("columns", columns)
    with own_style():
        cells = _cells(trees_or_series, fields)
        rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
        heights = [_LEAF + _GAP + max(cell.height for cell in row) for row in rows]
        step = _GAP + max(cell.width for cell in cells)
        axes = _empty_axes(step * len(rows[0]), sum(heights))
        for number, row in enumerate(rows):
            bottom = sum(heights[number + 1 :]) + _GAP / 2
            for column, cell in enumerate(row):
                _draw_cell(axes, cell, (column + 0.5) * step, bottom)
    return axes.figure


class _Cell(NamedTuple):
    """A tree and the lines beneath it, in inches."""

    tree: RootedTree
    plan: Layout
    lines: list[str]
    width: float
    height: float


def _cells(trees_or_series: Iterable[RootedTree], fields: Sequence[str] | None) -> list[_Cell]:
    trees = _checked_trees(trees_or_series)
    fields = _named(trees, fields)
    weighted = isinstance(trees_or_series, Mapping)
    return [
        _cell(tree, fields, [str(_weight(trees_or_series, tree))] if weighted else [])
        for tree in trees
    ]


def _cell(tree: RootedTree, fields: Sequence[str], coefficient: list[str]) -> _Cell:
    plan = layout(tree.level_sequence)
    # Matplotlib takes long to measure a formula, and this is never much less than its width.
    width = max(
        _LEAF * (1 + max(plan.x)),
        _WIDTH_OF_LETTER * len(differential(tree, fields=fields)),
        *(_WIDTH_OF_DIGIT * min(_COEFFICIENT, len(text)) for text in coefficient),
    )
    # There is no need for the thin negative spaces, which move primes into parentheses here.
    formula = differential(tree, latex=True, fields=fields).replace(r"\!", "")
    lines = [f"${formula}$", *(abridged(text, _COEFFICIENT) for text in coefficient)]
    return _Cell(tree, plan, lines, width, _LEAF * max(plan.y) + _LINE * len(lines))


def _empty_axes(width: float, height: float) -> Axes:
    """Return axes that fill a figure, with inches for units."""
    axes = new_figure(width, height, layout=None).add_axes(
        (0, 0, 1, 1), xlim=(0, width), ylim=(0, height)
    )
    axes.set_axis_off()
    return axes


def _draw_cell(axes: Axes, cell: _Cell, center: float, bottom: float) -> None:
    top = bottom + _LINE * len(cell.lines)
    for number, line in enumerate(cell.lines):
        place = {"ha": "center", "va": "center", "math_fontfamily": "cm"}
        size = _NUMBER if number else _FORMULA
        y = top - (number + 0.5) * _LINE
        axes.text(center, y, line, fontsize=size, parse_math=not number, **place)
    root = top + _LEAF / 2
    middle = max(cell.plan.x) / 2
    points = [
        (center + _LEAF * (x - middle), root + _LEAF * y)
        for x, y in zip(cell.plan.x, cell.plan.y, strict=True)
    ]
    _draw_edges(axes, cell.plan, points)
    for color, point in zip(cell.tree.colors, points, strict=True):
        _draw_vertex(axes, color, *point)


def _draw_edges(axes: Axes, plan: Layout, points: list[tuple[float, float]]) -> None:
    from matplotlib.collections import LineCollection

    edges = [
        (points[parent], points[child])
        for parent, below in enumerate(plan.children)
        for child in below
    ]
    axes.add_collection(LineCollection(edges, colors="black", linewidths=1, zorder=1))


def _draw_vertex(axes: Axes, color: int, x: float, y: float) -> None:
    from matplotlib.patches import Circle, Rectangle

    drawn = mark(color)
    r = _LEAF * drawn.radius
    face = "black" if drawn.is_filled else "white"
    look = {"facecolor": face, "edgecolor": "black", "linewidth": 1, "zorder": 2}
    if drawn.is_square:
        axes.add_patch(Rectangle((x - r, y - r), 2 * r, 2 * r, **look))
    else:
        axes.add_patch(Circle((x, y), r, **look))
    if drawn.label:
        size = _LABEL / max(1, len(drawn.label) - 1)
        axes.text(x, y, drawn.label, fontsize=size, ha="center", va="center_baseline")


def series_table(
    series: BSeries, format: str = "html", *, fields: Sequence[str] | None = None
) -> str:
    """Return a table of a B-series: each tree, F(τ), σ(τ), γ(τ), b(τ) and b(τ)/σ(τ).

    In HTML the trees are drawn, as SVG inside the table; in Markdown they are nested brackets.
    The empty tree is left out. In a notebook: ``IPython.display.HTML(series_table(series))``.

    >>> from modeq.algebra.series import exact_flow
    >>> print(series_table(exact_flow(1), format="markdown"))
    | tree | formula | σ | γ | b | b/σ |
    | --- | --- | --- | --- | --- | --- |
    | • | f | 1 | 1 | 1 | 1 |
    | \\[•\\] | f'f | 1 | 2 | 1/2 | 1/2 |

    Args:
        series: The series, or another mapping of trees to coefficients.
        format: "html" or "markdown".
        fields: The names of the fields, by color, as in `modeq.algebra.notation.differential`.

    Raises:
        InvalidTree: If it is not a mapping of rooted trees, or an empty one.
        InvalidValue: If the format is unknown, or there are too few fields.
    """
    if not isinstance(format, str) or format not in _TABLES:
        raise InvalidValue(f"format must be one of {', '.join(_TABLES)}, got {shortened(format)}")
    if not isinstance(series, Mapping):
        raise InvalidTree(f"expected a BSeries, got {checks.shortened(series)}")
    trees = _checked_trees(series)
    fields = _named(trees, fields)
    rows = [(tree, _entries(series, tree, fields)) for tree in trees]
    return _TABLES[format](rows)


def _entries(series: Mapping, tree: RootedTree, fields: Sequence[str]) -> list[str]:
    numbers = (tree.symmetry, tree.density, series[tree], _weight(series, tree))
    return [differential(tree, fields=fields), *map(str, numbers)]


def _html(rows: list[tuple[RootedTree, list[str]]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in _HEADS)
    body = "\n".join(
        f"<tr><td>{tree_svg(tree, 18)}</td>{''.join(f'<td>{escape(x)}</td>' for x in entries)}</tr>"
        for tree, entries in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _markdown(rows: list[tuple[RootedTree, list[str]]]) -> str:
    lines = [_HEADS, ["---"] * len(_HEADS)]
    lines += [[escaped(cell) for cell in (str(tree), *entries)] for tree, entries in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_TABLES = {"html": _html, "markdown": _markdown}


def _weight(series: Mapping, tree: RootedTree) -> Any:
    """Return b(τ)/σ(τ)."""
    coefficient = series[tree]
    exact = Fraction(coefficient) if isinstance(coefficient, int) else coefficient
    return exact / tree.symmetry


def _named(trees: list[RootedTree], fields: Sequence[str] | None) -> Sequence[str]:
    """Return the names of the fields of all trees together."""
    return field_names(1 + max(max(tree.colors) for tree in trees)) if fields is None else fields


def _checked_trees(trees: Any) -> list[RootedTree]:
    entries = list(trees) if isinstance(trees, Iterable) else []
    if not entries or not all(isinstance(tree, RootedTree) for tree in entries):
        got = checks.shortened(trees)
        raise InvalidTree(f"expected rooted trees, at least one, or a BSeries, got {got}")
    return entries
