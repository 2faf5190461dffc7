r"""Modified fields as LaTeX, aligned by powers of h, with long sums broken over lines.

Where to break is decided by counting what is printed, not the characters of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import sympy

from modeq.checks import shortened
from modeq.derivation.derive import ModifiedField
from modeq.errors import InvalidValue
from modeq.formats.text import MAX_TERMS, Terms, grouped_terms, signed_pieces
from modeq.losses.formula_latex import expression_latex, symbol_latex
from modeq.losses.loss import H
from modeq.show.latex import escaped
from modeq.show.lines import (
    WIDTH,
    in_lines,
    printed_width,
    rest_in_latex,
    unsigned_start,
)

Show = Callable[[sympy.Expr], str]

ENVIRONMENTS = ("aligned", "align*")

_INDENT = 6.0


def latex(
    modified: ModifiedField,
    *,
    max_terms: int = MAX_TERMS,
    width: float = WIDTH,
    environment: str = "aligned",
) -> str:
    r"""Return a modified field as LaTeX (amsmath), one block of lines for each variable.

    Args:
        modified: The field.
        max_terms: How many monomials of each component and power of h are printed; how many are
            left out is printed, too.
        width: How many printed signs fit in a line.
        environment: "aligned", to be put into mathematics, or "align*", which stands by itself and
            may be broken over pages.

    Raises:
        InvalidValue: The environment is neither of these.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> print(latex(derive_field(Loss("x**3/3 + x**2/2"), 1, GradientDescent())))
    \begin{aligned}
    \dot{x} &= -x - x^{2} \\
    &\quad + h \left(-\frac{x}{2} - \frac{3 x^{2}}{2} - x^{3}\right)
    \end{aligned}
    """
    if environment not in ENVIRONMENTS:
        raise InvalidValue(
            f"environment is {shortened(environment)}; it must be 'aligned' or 'align*'"
        )
    show = cache(expression_latex)
    rows = []
    for component in range(len(modified.variables)):
        rows += _rows(modified, component, show, max_terms, width)
    body = " \\\\\n".join(rows)
    return f"\\begin{{{environment}}}\n{body}\n\\end{{{environment}}}"


def repr_latex(modified: ModifiedField, *, max_terms: int = MAX_TERMS) -> str:
    r"""Return a modified field as notebooks show it.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> print(repr_latex(derive_field(Loss("x**2/2"), 0, GradientDescent())))
    $\displaystyle \begin{aligned}
    \dot{x} &= -x
    \end{aligned}$
    """
    return f"$\\displaystyle {latex(modified, max_terms=max_terms)}$"


def _rows(
    modified: ModifiedField, component: int, show: Show, max_terms: int, width: float
) -> list[str]:
    """Return the lines of one variable, each with its mark of alignment."""
    label = symbol_latex(modified.variables[component].name, r"\dot")
    room = width - printed_width(label) - _INDENT
    rows = []
    for terms in grouped_terms(modified, component, max_terms):
        first, *others = _broken(terms, show, room)
        rows += [rf"&\quad {first}", *(rf"&\qquad\quad {line}" for line in others)]
    first = unsigned_start(rows[0].removeprefix(r"&\quad ")) if rows else "0"
    return [f"{label} &= {first}", *rows[1:]]


def _broken(terms: Terms, show: Show, room: float) -> list[str]:
    r"""Return a group in lines; the pair \left( \right) cannot span lines, \Bigl( \Bigr) can."""
    factor, rest = show(H**terms.power), rest_in_latex(terms.omitted)
    for left, right in (r"\left(", r"\right)"), (r"\Bigl(", r"\Bigr)"):
        pieces = signed_pieces(terms, show, f"{factor} {left}", right, rest)
        lines = in_lines(pieces, room, printed_width)
        if len(lines) == 1:
            break
    return lines


_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks
\begin{document}
"""


def document(bodies: Iterable[tuple[str, str]]) -> str:
    r"""Return a complete article, with one section for each pair of a title and a formula.

    A formula in the environment align* stands by itself, and pages may break inside it; any other
    is put into \[ \].

    >>> print(document([("A & B", "x = 1")]).splitlines()[-5])
    \section*{A \& B}
    """
    sections = [f"\\section*{{{escaped(title)}}}\n{_displayed(body)}\n" for title, body in bodies]
    return _PREAMBLE + "".join(sections) + "\\end{document}\n"


def _displayed(body: str) -> str:
    return body if body.startswith(r"\begin{align*}") else f"\\[\n{body}\n\\]"
