"""The command line: each command reads its arguments, calls modeq, and prints what comes back.

Results go to standard output, messages to standard error. The exit code is 0 when all is done, 1
when a check failed, and 2 for bad input, which gets one line: what was wrong, the value, what would
be right.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

import modeq
from modeq import files, problems
from modeq.algebra.table import tree_counts
from modeq.errors import (
    CannotWrite,
    ExceedsLimit,
    InvalidValue,
    ModeqError,
    ModeqWarning,
    ParseError,
)
from modeq.presentation import arguments, plots, tree_rows
from modeq.presentation.text import MAX_TERMS, visible
from modeq.reports import report as reports
from modeq.waiting import waiting

CHECK_STEPS = 4
PICTURE_STEPS = 20
MAX_TREES = 100_000

DONE, CHECK_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_EXCERPT = 60

FORMATS: dict[str, Callable[[modeq.ModifiedEquation, int], str]] = {
    "text": lambda equation, max_terms: equation.text(max_terms),
    "latex": lambda equation, max_terms: equation.latex(max_terms),
    "json": lambda equation, max_terms: equation.to_json(),
    "python": lambda equation, max_terms: equation.to_python(),
    "markdown": lambda equation, max_terms: equation.to_markdown(max_terms),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        words: The words after ``modeq``; without them, those of this process.

    >>> main(["trees", "--method", "euler", "--order", "1"])
    euler: h f~ = sum of coefficient * h^vertices * F(tree)
    vertices  sigma  b     coefficient  F(tree)  tree
    1         1      1     1            f        •
    2         1      -1/2  -1/2         f'f      [•]
    0
    """
    try:
        with _own_warnings():
            code = _commands.main(
                words, prog_name="modeq", standalone_mode=False, windows_expand_args=False
            )
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        _complain("error", _sentence(error))
        return BAD_INPUT
    return code or DONE


@contextlib.contextmanager
def _own_warnings() -> Iterator[None]:
    """Print the warnings of modeq as one line each, and none of other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ModeqWarning)
        warnings.showwarning = lambda message, *_, **__: _complain("warning", str(message))
        yield


def _complain(kind: str, sentence: str) -> None:
    if sys.stderr is not None:
        print(f"modeq: {kind}: {visible(sentence)}", file=sys.stderr)


def _sentence(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, ParseError):
        return f"{error.reason} (column {error.position + 1}) in {_excerpt(error)!r}"
    if isinstance(error, click.UsageError):
        return _usage_sentence(error)
    if isinstance(error, ExceedsLimit):
        return f"{error.reason}: take a lower order, or go on with --force"
    if isinstance(error, ModeqError):
        return str(error)
    return f"a fault of modeq itself, please report it: {type(error).__name__}: {error}"


def _usage_sentence(error: click.UsageError) -> str:
    hint = f"; see '{error.ctx.command_path} --help'" if error.ctx else ""
    if isinstance(error, click.NoSuchOption) and not error.option_name.startswith("--"):
        hint = "; a formula that starts with a minus goes after two dashes, --" + hint
    return re.sub(r"\n\s*", " ", error.format_message()).removesuffix(".") + hint


def _excerpt(error: ParseError) -> str:
    """Return the text around a fault."""
    start = max(0, min(error.position - _EXCERPT // 2, len(error.text) - _EXCERPT))
    window = error.text[start : start + _EXCERPT]
    before, after = start > 0, start + _EXCERPT < len(error.text)
    return f"{'...' * before}{window}{'...' * after}"


def _print(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        # What Python could not write it would try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise CannotWrite("standard output", str(error.strerror).lower()) from None


def _deliver(text: str, path: str | None) -> None:
    """Print a text, or write it to a file."""
    if path is None:
        _print(text.rstrip("\n"))
    else:
        files.write_atomically(path, text.rstrip("\n") + "\n")


def _show(context: click.Context, text: str) -> None:
    """Print a text that click would write, which knows nothing of full disks and closed pipes."""
    _print(text)
    context.exit()


class _Helpful:
    """A command whose help text is printed as its results are."""

    def get_help_option(self, context: click.Context) -> click.Option | None:
        option = super().get_help_option(context)
        if option is not None:
            option.callback = lambda context, _, asked: asked and _show(context, context.get_help())
        return option


class _Command(_Helpful, click.Command):
    pass


class _Group(_Helpful, click.Group):
    command_class = _Command


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 90},
    epilog="Each command has a help text of its own: modeq derive --help",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False,
    callback=lambda context, _, asked: asked and _show(context, f"modeq {modeq.__version__}"),
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def _commands(context: click.Context) -> None:
    """Derive the differential equation that an optimizer really follows, and check it.

    \b
    Examples:
      modeq derive "x**2*y + exp(y)" --order 2
      modeq check rosenbrock --order 3 --plot check.png
    """
    if context.invoked_subcommand is None:
        _print(context.get_help())


@_commands.command("derive")
@arguments.loss_arguments
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True,
    help="How to write the equation.",
)  # fmt: skip
@click.option(
    "--max-terms", default=str(MAX_TERMS), show_default=True, metavar="K",
    type=arguments.Read(arguments.read_integer, least=1),
    help="Monomials that are printed of each component and power of h.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead of printing.")
@arguments.force_option
def _derive(loss, order, method, form, max_terms, output, limit) -> None:
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
        text = FORMATS[form](equation, max_terms)
    _deliver(text, output)


@_commands.command("check")
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
    help=f"Steps to the fixed time [default: {CHECK_STEPS}] and of the trajectories in the "
    f"picture [default: {PICTURE_STEPS}].",
)  # fmt: skip
@click.option(
    "--plot", metavar="FILE",
    help=f"Write a picture ({', '.join(plots.FORMATS)}): the trajectories of the method and of the "
    f"flows of order 0 to N, and their errors against h with the expected slopes.",
)  # fmt: skip
@arguments.force_option
def _check(loss, order, method, at, lr, steps, plot, limit) -> int:
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
        plots.picture_format(plot)
    with waiting("deriving", "powers of h") as progress:
        equation = modeq.derive(loss, order, method, limit=limit, progress=progress)
    with waiting("checking"):
        report = equation.check(at, h=lr, steps=steps or CHECK_STEPS)
        if plot is not None:
            figure = plots.figure_with_lower_orders(
                equation, report, at, h=lr, steps=steps or PICTURE_STEPS
            )
            plots.save(figure, plot)
    _print(str(report))
    return DONE if report.passed else CHECK_FAILED


@_commands.command("report")
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
    "-o", "--output", metavar="FILE",
    help=f"Write to a file ({', '.join(reports.FORMATS)}) instead of printing. With Markdown and "
    f"LaTeX the pictures are written beside it.",
)  # fmt: skip
@arguments.force_option
def _report(loss, order, method, at, lr, steps, form, max_terms, output, limit) -> None:
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
        files.require_writable(output)
    command = arguments.words_of(click.get_current_context(), loss)
    with waiting("writing the report"):
        report = reports.report(
            loss, order, method, theta0=at, h=lr, steps=steps, max_terms=max_terms,
            command=command, limit=limit,
        )  # fmt: skip
        if output is not None:
            report.save(output, form)
    if output is None:
        _print(report.text(form or "html").rstrip("\n"))


@_commands.command("trees")
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
    "-o", "--output", type=click.Path(), metavar="FILE",
    help="Write a table with drawn trees (.html, .md) or a picture of it (.png, .svg, .pdf).",
)  # fmt: skip
@arguments.force_option
def _trees(method, settings, order, notation, latex, draw, structure, output, limit) -> None:
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
        _print(
            tree_rows.latex_array([[r"|\tau|", r"\sigma", "b", r"\pm b/\sigma", r"F(\tau)"], *rows])
        )
        return
    heading = f"{method}: h f~ = sum of coefficient * h^vertices * F(tree)"
    head = ["vertices", "sigma", "b", "coefficient", "F(tree)", "tree"]
    properties = tree_rows.structure_lines(series) if structure else []
    drawings = [modeq.tree_text(tree) if draw else "" for tree in series]
    _print("\n".join([heading, tree_rows.with_drawings(head, rows, drawings), *properties]))


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


@_commands.command("problems")
def _problems() -> None:
    """List the losses that have a name, with a start and a learning rate.

    \b
    Example:
      modeq problems
    """
    _print("\n\n".join(_entry(make()) for make in problems.ALL.values()))


def _entry(problem: problems.Problem) -> str:
    names = ", ".join(x.name for x in problem.variables)
    start = ",".join(f"{x:g}" for x in problem.start)
    return (
        f"{problem.name}\n    {problem.description}\n"
        f"    L({names}) = {problem.expression}\n    --at {start} --lr {problem.h:g}"
    )
