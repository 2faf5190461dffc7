"""The command that writes a report."""

from __future__ import annotations

import functools

import click

from modeq.cli import arguments
from modeq.cli.output import Command, print_text
from modeq.progress import waiting
from modeq.report import report as reports


@click.command("report", cls=Command)
@functools.partial(arguments.loss_arguments, order="3")
@click.option(
    "--at", type=arguments.Read(arguments.read_point), metavar="X,Y,...",
    help="The start, one number for each variable. Problems have one of their own; without one "
    "the report says what it cannot measure.",
)  # fmt: skip
@click.option(
    "--lr", type=arguments.Read(arguments.read_rate), metavar="H",
    help="The learning rate. Problems have one of their own.",
)  # fmt: skip
@click.option(
    "--steps", type=arguments.Read(arguments.read_integer, least=1), metavar="K",
    default=str(reports.STEPS), show_default=True, help="How long the trajectories are.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(list(dict.fromkeys(reports.FORMATS.values()))),
    help="How to write the report; by the end of FILE if not given, and else as html.",
)  # fmt: skip
@click.option(
    "--max-terms", default=str(reports.MAX_TERMS), show_default=True, metavar="K",
    type=arguments.Read(arguments.read_integer, least=1),
    help="Monomials that are printed of each component and power of h.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=arguments.Read(arguments.read_output), metavar="FILE",
    help=f"Write to a file ({', '.join(reports.FORMATS)}) instead of printing. With Markdown and "
    f"LaTeX the pictures are written beside it.",
)  # fmt: skip
@arguments.force_option
def command(loss, order, method, at, lr, steps, form, max_terms, output, limit) -> None:
    """Write a report on LOSS: one page that needs no network.

    In it are the counter terms, with coordinates and without, the modified loss, the proof, the
    order check, trajectories, stability over the learning rate, what is conserved, and code. A
    part that cannot be had says why.

    \b
    Examples:
      modeq report rosenbrock -o report.html
      modeq report "x**2*y + lam*y**4" --set lam=0.1 --at -1,1 --lr 1e-2 -o report.tex
    """
    at, lr = arguments.given_start_and_rate(loss, at, lr)
    if output is not None:
        form = form or reports.report_format(output)
    command = arguments.words_of(click.get_current_context(), loss)
    with waiting("writing the report"):
        report = reports.report(
            loss, order, method, theta0=at, h=lr, steps=steps, max_terms=max_terms,
            command=command, limit=limit,
        )  # fmt: skip
        if output is not None:
            report.save(output, form)
    if output is None:
        print_text(report.text(form or "html").rstrip("\n"))
