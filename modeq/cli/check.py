"""The command that checks the order of a flow against the method."""

from __future__ import annotations

import click

import modeq
from modeq.cli import arguments
from modeq.cli.output import Command, print_text
from modeq.cli.program import CHECK_FAILED, DONE
from modeq.progress import waiting
from modeq.report import lower_orders
from modeq.show.figures import FORMATS, picture_format, save

_CHECK_STEPS = 4
PICTURE_STEPS = 20


@click.command("check", cls=Command)
@arguments.loss_arguments
@click.option(
    "--at", type=arguments.Read(arguments.read_point), metavar="X,Y,...",
    help="The start, one number for each variable. Problems have one of their own.",
)  # fmt: skip
@click.option(
    "--lr", type=arguments.Read(arguments.read_rate), metavar="H",
    help="The largest learning rate; it is halved. Problems have one of their own.",
)  # fmt: skip
@click.option(
    "--steps", type=arguments.Read(arguments.read_integer, least=1), metavar="K",
    help=f"Steps to the fixed time [default: {_CHECK_STEPS}] and of the trajectories in the "
    f"picture [default: {PICTURE_STEPS}].",
)  # fmt: skip
@click.option(
    "--plot", type=arguments.Read(arguments.read_output), metavar="FILE",
    help=f"Write a picture ({', '.join(FORMATS)}): the trajectories of the method and of the "
    f"flows of order 0 to N, and their errors against h with the expected slopes.",
)  # fmt: skip
@arguments.force_option
def command(loss, order, method, at, lr, steps, plot, limit) -> int:
    """Check the order of the flow of LOSS against the method itself.

    The learning rate is halved until the slopes of the errors settle: N + 2 after one step and
    N + 1 at a fixed time. Exits with 1 if they do not come within 0.1 of that.

    \b
    Examples:
      modeq check rosenbrock --order 3 --plot check.png
      modeq check "x**2*y + lam*y**4" --set lam=0.1 --at -1,1 --lr 1e-2 --order 2
    """
    arguments.require_values(loss)
    at, lr = arguments.start_and_rate(loss, at, lr)
    if plot is not None:
        picture_format(plot)
    with waiting("deriving", "powers of h") as progress:
        equation = modeq.derive(loss, order, method, limit=limit, progress=progress)
    with waiting("checking"):
        report = equation.check(at, h=lr, steps=steps or _CHECK_STEPS)
        if plot is not None:
            figure = lower_orders.figure_with_lower_orders(
                equation, report, at, h=lr, steps=steps or PICTURE_STEPS
            )
            save(figure, plot)
    print_text(str(report))
    return DONE if report.passed else CHECK_FAILED
