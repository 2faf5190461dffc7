"""The command that prints coefficients over rooted trees.

Trees and their coefficients as rows of a table, for a terminal and for LaTeX.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

import modeq
from modeq import files
from modeq.algebra.counts import tree_counts
from modeq.algebra.notation import field_names, signed_formula
from modeq.algebra.series import BSeries
from modeq.algebra.trees import RootedTree
from modeq.cli import arguments
from modeq.cli.output import Command, print_text
from modeq.errors import ExceedsLimit, InvalidValue
from modeq.progress import waiting
from modeq.show.figures import picture_format, save

_MAX_TREES = 100_000


@click.command("trees", cls=Command)
@arguments.method_option
@arguments.set_option
@arguments.order_option
@click.option(
    "--notation", type=click.Choice(["differentials", "gradient", "index"]),
    default="differentials", show_default=True,
    help="How F(tree) is written: f''(f,f'f), T[g, H g] or f^i_,jk f^j f^k_,l f^l.",
)  # fmt: skip
@click.option("--latex", is_flag=True, help="Print a LaTeX array.")
@click.option("--draw", is_flag=True, help="Draw each tree beside its row.")
@click.option("--structure", is_flag=True, help="Add what the coefficients keep: energy, ....")
@click.option(
    "-o", "--output", type=arguments.Read(arguments.read_output), metavar="FILE",
    help="Write a table with drawn trees (.html, .md) or a picture of it (.png, .svg, .pdf).",
)  # fmt: skip
@arguments.force_option
def command(method, settings, order, notation, latex, draw, structure, output, limit) -> None:
    """Print the coefficients of a method over rooted trees.

    The modified equation of every loss is h f~ = sum of coefficient * h^vertices * F(tree). Of a
    tree, sigma is the symmetry, F the elementary differential, and the coefficient is b/sigma, with
    the sign (-1)^vertices in the notation gradient, where f = -g.

    \b
    Examples:
      modeq trees --method euler --order 5
      modeq trees --method rk4 --order 4 --notation gradient --latex
      modeq trees --method strang --order 2 --draw --structure
      modeq trees --method heavy-ball --set beta=9/10 --order 3
      modeq trees --method heun --order 4 -o heun.html
    """
    method, unused = arguments.read_method(method, settings)
    if unused:
        raise InvalidValue(
            f"{method} has no parameter {next(iter(unused))!r}, and there is no loss"
        )
    _refuse_long_table(order, getattr(method, "colors", 1), limit)
    with waiting("adding up", "trees") as progress:
        series = modeq.modified_equation(method, order, limit=limit)
        rows = []
        for tree in series:
            rows.append(tree_row(tree, series, notation, latex))
            progress(len(rows), len(series))
    if output is not None:
        _write_trees(series, output)
    if latex:
        print_text(latex_array([[r"|\tau|", r"\sigma", "b", r"\pm b/\sigma", r"F(\tau)"], *rows]))
        return
    heading = f"{method}: h f~ = sum of coefficient * h^vertices * F(tree)"
    head = ["vertices", "sigma", "b", "coefficient", "F(tree)", "tree"]
    properties = structure_lines(series) if structure else []
    drawings = [modeq.tree_text(tree) if draw else "" for tree in series]
    print_text("\n".join([heading, with_drawings(head, rows, drawings), *properties]))


def _refuse_long_table(order: int, colors: int, limit: int | None) -> None:
    """Refuse a table of more trees than anybody reads, before they are added up."""
    limit = _MAX_TREES if limit is None else limit
    count = sum(tree_counts(order + 1, colors))
    if count > limit:
        raise ExceedsLimit(f"order={order} means", count, "trees", limit)


def _write_trees(series: modeq.BSeries, output: str) -> None:
    """Write a table or a picture, as the end of the name says."""
    suffix = Path(output).suffix.lower()
    if suffix in (".html", ".md"):
        kind = "html" if suffix == ".html" else "markdown"
        files.write_atomically(output, modeq.series_table(series, kind))
        return
    picture_format(output)
    save(modeq.plot_trees(series), output)


def tree_row(tree: RootedTree, series: BSeries, notation: str, latex: bool) -> list[str]:
    """Return the order, σ, b, b/σ with the sign of the notation, F, and as text the tree.

    >>> from modeq.algebra.series import exact_flow
    >>> tree_row(RootedTree([RootedTree()]), exact_flow(1), "gradient", latex=False)
    ['2', '1', '1/2', '1/2', 'H g', '[•]']
    """
    fields = field_names(series.colors) if series.colors > 1 else None
    sign, formula = signed_formula(tree, notation=notation, latex=latex, fields=fields)
    b = series[tree]
    cells = [str(tree.order), str(tree.symmetry), str(b), str(sign * b / tree.symmetry), formula]
    return cells if latex else [*cells, str(tree)]


def structure_lines(series: BSeries) -> list[str]:
    """Return a line for each property that a modified field may have."""
    return ["", *(f"{name:18} {verdict}" for name, verdict in series.structure().items())]


def with_drawings(head: list[str], rows: list[list[str]], drawings: list[str]) -> str:
    """Return a table with a drawing of several lines beside each row that has one."""
    first, *lines = columns([head, *rows]).splitlines()
    width = max(map(len, lines)) + 4
    drawn = [first]
    for line, drawing in zip(lines, drawings, strict=True):
        parts = drawing.splitlines()[::-1]
        drawn.append(f"{line:{width}}{parts[0]}" if parts else line)
        drawn[-1:] = [*(" " * width + part for part in reversed(parts[1:])), drawn[-1]]
    return "\n".join(drawn)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns.

    >>> print(columns([["b", "tree"], ["-1/2", "[•]"]]))
    b     tree
    -1/2  [•]
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def latex_array(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a LaTeX array; the last column is set to the left."""
    lines = [" & ".join(row) + r" \\" for row in rows]
    columns = "r" * (len(rows[0]) - 1) + "l"
    return "\n".join([rf"\begin{{array}}{{{columns}}}", *lines, r"\end{array}"])
