"""The command that derives an equation and prints it."""

from __future__ import annotations

from collections.abc import Callable

import click

import modeq
from modeq.cli import arguments
from modeq.cli.output import Command, deliver
from modeq.formats.text import MAX_TERMS
from modeq.progress import waiting

_FORMATS: dict[str, Callable[[modeq.ModifiedEquation, int], str]] = {
    "text": lambda equation, max_terms: equation.text(max_terms),
    "latex": lambda equation, max_terms: equation.latex(max_terms),
    "json": lambda equation, max_terms: equation.to_json(),
    "python": lambda equation, max_terms: equation.to_python(),
    "markdown": lambda equation, max_terms: equation.to_markdown(max_terms),
}


@click.command("derive", cls=Command)
@arguments.loss_arguments
@click.option(
    "--format", "form", type=click.Choice(list(_FORMATS)), default="text", show_default=True,
    help="How to write the equation.",
)  # fmt: skip
@click.option(
    "--max-terms", default=str(MAX_TERMS), show_default=True, metavar="K",
    type=arguments.Read(arguments.read_integer, least=1),
    help="Monomials that are printed of each component and power of h.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=arguments.Read(arguments.read_output), metavar="FILE",
    help="Write to a file instead of printing.",
)  # fmt: skip
@arguments.force_option
def command(loss, order, method, form, max_terms, output, limit) -> None:
    """Print the modified equation of LOSS.

    LOSS is a formula, the name of a problem (see: modeq problems), or - for a formula on standard
    input. A formula that starts with a minus goes after two dashes: --order 1 -- "-x**2".

    \b
    Examples:
      modeq derive "x**2*y + exp(y)" --order 3
      modeq derive "lam*x**4/4" --set lam=1/10 --order 2 --format latex
      modeq derive rosenbrock --order 2 --method rk4 --format python -o field.py
    """
    if form == "python":
        arguments.require_values(loss)
    with waiting("deriving", "powers of h") as progress:
        equation = modeq.derive(loss, order, method, limit=limit, progress=progress)
    with waiting("writing"):
        text = _FORMATS[form](equation, max_terms)
    deliver(text, output)
