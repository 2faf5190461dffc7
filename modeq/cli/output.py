"""What commands print: results on standard output or in files, messages on standard error."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

from modeq import files
from modeq.errors import CannotWrite, visible


def print_text(text: str) -> None:
    """Print a text on standard output, whatever its encoding.

    A reader that has gone away is no error.

    Raises:
        CannotWrite: Standard output is closed, or the disk behind it is full.

    >>> print_text("x' = -x")
    x' = -x
    """
    if sys.stdout is None or sys.stdout.closed:
        raise CannotWrite("standard output", "it is closed")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        _abandon(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise CannotWrite("standard output", str(error.strerror).lower()) from None


def complain(kind: str, sentence: str) -> None:
    """Print a message of one line on standard error; where it cannot be told, nobody is.

    Args:
        kind: "error" or "warning".
        sentence: The message.
    """
    if sys.stderr is not None:
        try:
            print(f"modeq: {kind}: {visible(sentence)}", file=sys.stderr, flush=True)
        except OSError:
            _abandon(sys.stderr)


def _abandon(stream: TextIO) -> None:
    """Let nothing more be written: what Python could not write it would try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def deliver(text: str, path: str | None) -> None:
    """Print a text, or write it to a file.

    Raises:
        CannotWrite: The file cannot be written.
    """
    if path is None:
        print_text(text.rstrip("\n"))
    else:
        files.write_atomically(path, text.rstrip("\n") + "\n")


def show(context: click.Context, text: str) -> None:
    """Print a text that click would write, which knows nothing of full disks and closed pipes."""
    print_text(text)
    context.exit()


class Helpful:
    """A command whose help text is printed as its results are."""

    def get_help_option(self, context: click.Context) -> click.Option | None:
        """Return the option --help of click with a way of its own to print."""
        option = super().get_help_option(context)
        if option is not None:
            option.callback = lambda context, _, asked: asked and show(context, context.get_help())
        return option


class Command(Helpful, click.Command):
    """A command of the program."""
