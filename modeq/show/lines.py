"""Long sums on several lines: how wide a formula is when it is printed, and where it breaks."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence

from modeq.show.document import Math

WIDTH = 72
"""Printed signs in a line, which fit on a page with narrow margins."""


_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|.", re.DOTALL)
_INVISIBLE = {r"\left", r"\right", r"\Bigl", r"\Bigr", r"\mathrm", r"\operatorname", r"\text"}
_INVISIBLE |= {r"\dot", r"\ddot", r"\hat", r"\bar", r"\tilde", r"\mathring", "}", " ", "$"}
_SPACES = {r"\quad": 2.0, r"\qquad": 4.0, "+": 2.5, "-": 2.5, "=": 2.5, r"\cdots": 3.0}
_WORDS = {r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh", r"\log"}
_WORDS |= {r"\arcsin", r"\arccos", r"\arctan"}
_SCRIPT = 0.7


def printed_width(source: str) -> float:
    r"""Return about how wide a formula is when printed, in letters.

    >>> printed_width(r"\theta x"), printed_width(r"\frac{abc}{2}"), printed_width(r"x^{10}")
    (2.0, 3.0, 2.4)
    """
    return _width_of_group(deque(_TOKEN.findall(source)))


def _width_of_group(tokens: deque[str]) -> float:
    total = 0.0
    while tokens and tokens[0] != "}":
        total += _width_of_next(tokens)
    if tokens:
        tokens.popleft()
    return total


def _width_of_next(tokens: deque[str]) -> float:
    token = tokens.popleft() if tokens else " "
    if token == "{":
        return _width_of_group(tokens)
    if token in ("^", "_"):
        return _SCRIPT * _width_of_next(tokens)
    if token == r"\frac":
        return max(_width_of_next(tokens), _width_of_next(tokens))
    if token in _INVISIBLE:
        return 0.0
    return float(len(token) - 1) if token in _WORDS else _SPACES.get(token, 1.0)


def signed(printed: str) -> str:
    """Return a printed term with its sign set apart.

    >>> signed("-x"), signed("x")
    ('- x', '+ x')
    """
    return f"- {printed[1:].lstrip()}" if printed.startswith("-") else f"+ {printed}"


def unsigned_start(piece: str) -> str:
    """Return a signed piece as a sum starts with it: without a plus, and the minus close.

    >>> unsigned_start("+ x"), unsigned_start("- x")
    ('x', '-x')
    """
    return piece[2:] if piece.startswith("+ ") else piece.replace("- ", "-", 1)


def in_lines(
    pieces: Sequence[str], width: float, measure: Callable[[str], float] = len
) -> list[str]:
    """Return pieces joined by blanks, in lines not wider than ``width`` where that is possible.

    >>> in_lines(["x", "+ y", "+ z"], 5)
    ['x + y', '+ z']
    """
    lines: list[str] = []
    used = 0.0
    for piece in pieces:
        size = measure(piece) + measure(" ")
        if lines and used + size <= width + measure(" "):
            lines[-1] += " " + piece
            used += size
        else:
            lines.append(piece)
            used = size
    return lines


_LABEL = 6.0


def power_of_h(power: int) -> Math:
    """Return hⁿ as a formula for a line of words.

    >>> power_of_h(1), power_of_h(2)
    ('h', 'h^{2}')
    """
    return Math("h" if power == 1 else f"h^{{{power}}}")


def aligned(left: str, rows: Sequence[str]) -> str:
    r"""Return left = rows as LaTeX, one row on each line.

    >>> print(aligned("L", ["x", "+ y"]))
    \begin{aligned}
    L &= x \\
    &\quad + y
    \end{aligned}
    """
    first, *others = rows
    lines = [f"{left} &= {unsigned_start(first)}", *(rf"&\quad {row}" for row in others)]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def rest_in_latex(omitted: int) -> str:
    r"""Return the announcement of monomials left out, or nothing.

    >>> print(rest_in_latex(11875))
    + \cdots \text{ and $11{,}875$ more terms}
    """
    if not omitted:
        return ""
    count = f"{omitted:,}".replace(",", "{,}")
    return rf"+ \cdots \text{{ and ${count}$ more term{'s' * (omitted > 1)}}}"
