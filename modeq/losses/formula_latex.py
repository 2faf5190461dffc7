r"""Expressions as LaTeX, in which no name of a symbol is more than a name.

The names are the user's: theta_1 is \theta_{1}, and what TeX could take for a command, or HTML and
Markdown, in which formulas stand, for a tag, an entity or a link, is escaped.
"""

from __future__ import annotations

import re
import unicodedata

import sympy
from sympy.core.alphabets import greeks
from sympy.printing.conventions import split_super_sub
from sympy.printing.latex import LatexPrinter, translate

from modeq.show.latex import character_latex

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
