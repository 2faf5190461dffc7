"""The command that lists the losses that have a name."""

from __future__ import annotations

import click

from modeq.cli.output import Command, print_text
from modeq.losses import problems


@click.command("problems", cls=Command)
def command() -> None:
    """List the losses that have a name, with a start and a learning rate.

    \b
    Example:
      modeq problems
    """
    print_text("\n\n".join(_entry(make()) for make in problems.ALL.values()))


def _entry(problem: problems.Problem) -> str:
    names = ", ".join(x.name for x in problem.variables)
    start = ",".join(f"{x:g}" for x in problem.start)
    return (
        f"{problem.name}\n    {problem.description}\n"
        f"    L({names}) = {problem.expression}\n    --at {start} --lr {problem.h:g}"
    )
