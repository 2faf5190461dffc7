"""The command line: each command reads its arguments, calls modeq, and prints what comes back.

Results go to standard output, messages to standard error. The exit code is 0 when all is done, 1
when a check failed, and 2 for bad input, which gets one line: what was wrong, the value, what would
be right. It is 130 when somebody pressed Control-C.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

INTERRUPTED = 130


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
        # Imported only here: Control-C may come while that goes on.
        return importlib.import_module("modeq.cli.program").run(words)
    except KeyboardInterrupt:
        return INTERRUPTED
