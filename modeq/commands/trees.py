"""The command that prints coefficients over rooted trees."""

from __future__ import annotations

from pathlib import Path

import click

import modeq
from modeq import files
from modeq.algebra.table import tree_counts
from modeq.commands.output import Command, print_text
from modeq.errors import ExceedsLimit, InvalidValue
from modeq.presentation import arguments, plots, tree_rows
from modeq.progress import waiting

MAX_TREES = 100_000


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
            rows.append(tree_rows.tree_row(tree, series, notation, latex))
            progress(len(rows), len(series))
    if output is not None:
        _write_trees(series, output)
    if latex:
        print_text(
            tree_rows.latex_array([[r"|\tau|", r"\sigma", "b", r"\pm b/\sigma", r"F(\tau)"], *rows])
        )
        return
    heading = f"{method}: h f~ = sum of coefficient * h^vertices * F(tree)"
    head = ["vertices", "sigma", "b", "coefficient", "F(tree)", "tree"]
    properties = tree_rows.structure_lines(series) if structure else []
    drawings = [modeq.tree_text(tree) if draw else "" for tree in series]
    print_text("\n".join([heading, tree_rows.with_drawings(head, rows, drawings), *properties]))


def _refuse_long_table(order: int, colors: int, limit: int | None) -> None:
    """Refuse a table of more trees than anybody reads, before they are added up."""
    limit = MAX_TREES if limit is None else limit
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
    plots.picture_format(output)
    plots.save(modeq.plot_trees(series), output)
