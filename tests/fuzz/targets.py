"""What the fuzzer calls: hostile bytes to a value, or to an error of modeq, and nothing else.

A target returns whether the bytes were read. Everything but a ``ModeqError`` passes through it, and
is a fault of modeq: another exception, or a run that takes long or much memory.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modeq import Loss, from_json
from modeq.errors import ModeqError
from modeq.losses.parse import parse_expression

CORPUS = Path(__file__).parent / "corpus"

MAX_SECONDS = 10
"""What one input may take, on a slow machine that does other things too."""

MAX_MEGABYTES = 2_048


def read_formula(data: bytes) -> bool:
    """Read bytes as a formula, and as a loss with its gradient."""
    return _was_read(data, lambda text: (parse_expression(text), Loss(text).gradient))


def read_json(data: bytes) -> bool:
    """Read bytes as a modified equation, and write it again."""
    return _was_read(data, lambda text: from_json(text).to_json())


def _was_read(data: bytes, read: Callable[[str], object]) -> bool:
    try:
        read(data.decode("utf-8", "surrogateescape"))
    except ModeqError:
        return False
    return True


TARGETS: dict[str, Callable[[bytes], bool]] = {"formula": read_formula, "json": read_json}
