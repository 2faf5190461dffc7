r"""Expressions as LaTeX, in which no name of a symbol is more than a name.

The names are the user's: theta_1 is \theta_{1}, and what TeX could take for a command, or HTML and
Markdown, in which formulas stand, for a tag, an entity or a link, is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import sympy
from sympy.core.alphabets import greeks
from sympy.printing.conventions import split_super_sub
from sympy.printing.latex import LatexPrinter, translate

from modeq.show.document import (
    Block,
    Formula,
    Missing,
)
from modeq.show.latex import character_latex
from modeq.show.lines import _LABEL, WIDTH, aligned, in_lines, printed_width, signed

_PLAIN_NAME = re.compile(r"[A-Za-z]+[A-Za-z0-9]*(?:__?[A-Za-z0-9]+)*")
_GREEK = {
    unicodedata.lookup(f"GREEK {case} LETTER {name.upper().replace('MBD', 'MD')}"): spelled
    for name in greeks
    for case, spelled in (("SMALL", name), ("CAPITAL", name.capitalize()))
}
_LONE_GREEK = re.compile(r"(?<![^\W\d_])[Α-Ωα-ω](?![^\W\d_])")


class _Printer(LatexPrinter):
    """The printer of sympy, with names that cannot break what they stand in."""

    def _print_Symbol(self, expr: sympy.Symbol, style: str = "plain") -> str:
        return symbol_latex(expr.name)

    _print_Dummy = _print_RandomSymbol = _print_Symbol


def expression_latex(expression: sympy.Basic) -> str:
    r"""Return an expression or a matrix as LaTeX.

    >>> print(expression_latex(sympy.Symbol("<b>") ** 2 / 2))
    \frac{\mathrm{{<}b{>}}^{2}}{2}
    """
    return _Printer({"inv_trig_style": "full"}).doprint(expression)


def symbol_latex(name: str, accent: str = "") -> str:
    r"""Return a symbol's name as LaTeX, the accent over its base.

    Greek names become letters and what follows an underscore, or digits at the end, a subscript,
    as in sympy. Names of several letters are upright. Other characters are escaped.

    >>> for name in ("theta_1", "w11", "lam", "50%", "x'"):
    ...     print(symbol_latex(name), end="   ")
    \theta_{1}   w_{11}   \mathrm{lam}   \mathrm{50\%}   \mathrm{x{}^{\prime}}
    >>> print(symbol_latex("theta_1", r"\dot"))
    \dot{\theta}_{1}
    """
    spelled = _LONE_GREEK.sub(lambda match: _GREEK.get(match[0], match[0]), name)
    if _PLAIN_NAME.fullmatch(spelled):
        base, above, below = split_super_sub(spelled)
    else:
        base, above, below = name, [], []
    result = _part(base)
    if accent:
        result = f"{accent}{{{result}}}"
    for mark, parts in (("^", above), ("_", below)):
        if parts:
            result += f"{mark}{{{' '.join(map(_part, parts))}}}"
    return result


def _part(part: str) -> str:
    """Return one part of a name, such as the base or a subscript."""
    spelled = _GREEK.get(part, part)
    if not (spelled.isascii() and spelled.isalnum()):
        return rf"\mathrm{{{''.join(map(character_latex, part))}}}"
    translated = translate(spelled)
    several_letters = translated.isalnum() and len(translated) > 1 and not translated.isdecimal()
    return rf"\mathrm{{{translated}}}" if several_letters else translated


MAX_OPERATIONS = 400
"""Expressions with more operations than that are counted and not printed."""


def sum_formula(left: str, expression: sympy.Expr) -> str:
    r"""Return left = expression as LaTeX, a long sum on several lines.

    >>> x = sympy.Symbol("x")
    >>> print(sum_formula("L", x**2 - x))
    \begin{aligned}
    L &= x^{2} - x
    \end{aligned}
    """
    terms = expression.as_ordered_terms()
    pieces = [signed(expression_latex(term)) for term in terms]
    return aligned(left, in_lines(pieces, WIDTH - _LABEL, printed_width))


def is_printable(expression: sympy.Expr) -> bool:
    """Tell whether an expression is short enough for a person.

    >>> is_printable(sympy.Symbol("x") ** 2)
    True
    """
    return sympy.count_ops(expression) <= MAX_OPERATIONS


def matrix_formula(left: str, matrix: sympy.Matrix) -> str:
    r"""Return left = matrix as LaTeX.

    >>> x = sympy.Symbol("x")
    >>> print(matrix_formula("f", sympy.Matrix([x, 1])))
    f = \left[\begin{matrix}x\\1\end{matrix}\right]
    """
    rows = r"\\".join(" & ".join(map(expression_latex, row)) for row in matrix.tolist())
    return rf"{left} = \left[\begin{{matrix}}{rows}\end{{matrix}}\right]"


def formula_blocks(left: str, expression: sympy.Expr) -> list[Block]:
    """Return left = expression as a formula, or how long it would be."""
    if is_printable(expression):
        return [Formula(sum_formula(left, expression))]
    count = sympy.count_ops(expression)
    return [Missing(f"a formula of {count} operations is too long to print")]


def number_latex(number: Any) -> str:
    r"""Return a number of any kind, or an expression, as LaTeX.

    >>> from fractions import Fraction
    >>> print(number_latex(Fraction(1, 2)))
    \frac{1}{2}
    """
    return expression_latex(sympy.sympify(number, strict=True))


def sum_latex(terms: Iterable[tuple[Any, str]]) -> str:
    r"""Return Σ cᵢ tᵢ as LaTeX, the last first.

    >>> from fractions import Fraction
    >>> print(sum_latex([(-1, "x"), (Fraction(1, 2), "y")]))
    \frac{1}{2} y - x
    """
    parts = []
    for coefficient, name in reversed(list(terms)):
        value = sympy.sympify(coefficient, strict=True)
        if value == 0:
            continue
        sign = "-" if value.could_extract_minus_sign() else "+"
        size = number_latex(-value if sign == "-" else value)
        size = rf"\left({size}\right)" if value.is_Add else size
        parts.append(f"{sign} {'' if size == '1' else size + ' '}{name}")
    return " ".join(parts).removeprefix("+ ") or "0"
