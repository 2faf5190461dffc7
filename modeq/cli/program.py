"""The program: its commands, each imported when it is asked for, and its exit codes and errors."""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
from collections.abc import Iterator, Sequence

import click

import modeq
from modeq.cli.output import Helpful, complain, print_text, show
from modeq.errors import ExceedsLimit, ModeqError, ModeqWarning, ParseError

DONE, CHECK_FAILED, BAD_INPUT = 0, 1, 2

_EXCERPT = 60

COMMANDS = {
    "check": "Check the order of the flow of LOSS against the method itself.",
    "derive": "Print the modified equation of LOSS.",
    "problems": "List the losses that have a name, with a start and a learning rate.",
    "report": "Write a report on LOSS: one page that needs no network.",
    "trees": "Print the coefficients of a method over rooted trees.",
}
"""The commands and the first sentences of their help texts: the list needs no import."""


class _Program(Helpful, click.Group):
    """The commands, each of which stands in the module of its name."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"modeq.cli.{name}").command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 90},
    epilog="Each command has a help text of its own: modeq derive --help",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False,
    callback=lambda context, _, asked: asked and show(context, f"modeq {modeq.__version__}"),
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def program(context: click.Context) -> None:
    """Derive the differential equation that an optimizer really follows, and check it.

    \b
    Examples:
      modeq derive "x**2*y + exp(y)" --order 2
      modeq check rosenbrock --order 3 --plot check.png
    """
    if context.invoked_subcommand is None:
        print_text(context.get_help())


def run(words: Sequence[str] | None) -> int:
    """Run a command line and return its exit code.

    Args:
        words: The words after ``modeq``; without them, those of this process.

    Raises:
        KeyboardInterrupt: Somebody pressed Control-C.
    """
    try:
        with _own_warnings():
            code = program.main(
                words, prog_name="modeq", standalone_mode=False, windows_expand_args=False
            )
    except click.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        complain("error", _sentence(error))
        return BAD_INPUT
    return code or DONE


@contextlib.contextmanager
def _own_warnings() -> Iterator[None]:
    """Print the warnings of modeq as one line each, and none of other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ModeqWarning)
        warnings.showwarning = lambda message, *_, **__: complain("warning", str(message))
        yield


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
