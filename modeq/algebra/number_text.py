"""Numbers as texts, such as "1/6" or "(3 - sqrt(3))/6", read by a grammar and never evaluated.

    sum     = ["+" | "-"] product {("+" | "-") product}
    product = atom {("*" | "/") atom}
    atom    = integer | decimal | "sqrt" "(" sum ")" | "(" sum ")"

This room knows no sympy, so a number is what surds are: a rational number, or one with square roots
of rational numbers. Formulas with names are for the reader of losses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from modeq.algebra.surds import Surd, square_root

_SIGNS = ("sqrt", *"+-*/()")

_MAX_CHARACTERS = 200
_MAX_NESTING = 10
MAX_ROOTS = 6
"""How many roots a text may have: a quotient of sums of k of them has up to 2ᵏ terms."""

MAX_RADICAND = 10_000
"""Roots of larger integers are not taken, because surds factor what is under the root."""

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?"
_TOKEN = re.compile(rf"({_NUMBER}|sqrt|[-+*/()])", re.ASCII)


def read_number(text: str) -> Fraction | Surd | None:
    """Return the exact number of a text, or None if it is not the text of one.

    >>> print(read_number("1/6"), read_number("1/4 - sqrt(3)/6"), read_number("0.1"))
    1/6 1/4 - 1/6*sqrt(3) 1/10
    >>> read_number("1/0"), read_number("x")
    (None, None)
    """
    try:
        tokens = list(_tokens(text))
        number = _sum(tokens, 0)
    except (_NoNumber, ZeroDivisionError):
        return None
    return None if tokens else number


class _NoNumber(Exception):
    """The text is not that of a number."""


def _tokens(text: str) -> Iterator[str]:
    """Return the tokens, the last one first."""
    parts = _TOKEN.split(text) if len(text) <= _MAX_CHARACTERS else ["?"]
    # Between the tokens there is nothing but blanks.
    if any(map(str.strip, parts[::2])) or parts.count("sqrt") > MAX_ROOTS:
        raise _NoNumber
    return reversed(parts[1::2])


def _next(tokens: list[str], *wanted: str) -> str | None:
    return tokens.pop() if tokens and tokens[-1] in wanted else None


def _sum(tokens: list[str], nesting: int) -> Fraction | Surd:
    sign = _next(tokens, "+", "-") or "+"
    total: Fraction | Surd = Fraction(0)
    while sign:
        term = _product(tokens, nesting)
        total = total + term if sign == "+" else total - term
        sign = _next(tokens, "+", "-")
    return total


def _product(tokens: list[str], nesting: int) -> Fraction | Surd:
    value = _atom(tokens, nesting)
    while operator := _next(tokens, "*", "/"):
        factor = _atom(tokens, nesting)
        value = value * factor if operator == "*" else value / factor
    return value


def _atom(tokens: list[str], nesting: int) -> Fraction | Surd:
    if _next(tokens, "sqrt"):
        return _root(_group(tokens, nesting))
    if tokens and tokens[-1] not in _SIGNS:
        return Fraction(tokens.pop())
    return _group(tokens, nesting)


def _group(tokens: list[str], nesting: int) -> Fraction | Surd:
    if nesting == _MAX_NESTING or not _next(tokens, "("):
        raise _NoNumber
    inside = _sum(tokens, nesting + 1)
    if not _next(tokens, ")"):
        raise _NoNumber
    return inside


def _root(number: Fraction | Surd) -> Fraction | Surd:
    """Return √(p/q) = √(p q)/q."""
    if isinstance(number, Surd) or not 0 <= number.numerator * number.denominator <= MAX_RADICAND:
        raise _NoNumber
    if number == 0:
        return number
    return square_root(number.numerator * number.denominator) / number.denominator
