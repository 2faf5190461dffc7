"""Formulas of reports: sums over several lines, and series of elementary differentials."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from modeq.algebra.notation import field_names, signed_formula
from modeq.algebra.series import BSeries
from modeq.algebra.series_text import linear_combination
from modeq.algebra.trees import rooted_trees
from modeq.formats.latex import WIDTH, printed_width
from modeq.formats.text import signed, unsigned_start
from modeq.losses.formula_latex import expression_latex
from modeq.show.document import Math, in_lines

MAX_OPERATIONS = 400
"""Expressions with more operations than that are counted and not printed."""

_LABEL = 6.0


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


def power_of_h(power: int) -> Math:
    """Return hⁿ as a formula for a line of words.

    >>> power_of_h(1), power_of_h(2)
    ('h', 'h^{2}')
    """
    return Math("h" if power == 1 else f"h^{{{power}}}")


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


def series_formula(series: BSeries, notation: str) -> str:
    r"""Return θ' = Σ h^{|τ|-1} b(τ)/σ(τ) F(τ) as LaTeX, each power of h on lines of its own.

    Args:
        series: The coefficients b of a modified field.
        notation: One of those of ``modeq.algebra.notation``.

    >>> from modeq.methods.universal import modified_equation
    >>> print(series_formula(modified_equation("euler", 1), "gradient"))
    \begin{aligned}
    \dot{\theta} &= -\nabla L \\
    &\quad - \tfrac{1}{2} h \nabla^2 L\,\nabla L
    \end{aligned}
    """
    rows = [row for power in range(series.order + 1) for row in _power(series, power, notation)]
    return aligned(r"\dot{\theta}", rows) if rows else r"\dot{\theta} = 0"


def _power(series: BSeries, power: int, notation: str) -> list[str]:
    """Return the lines of one power of h."""
    fields = field_names(series.colors) if series.colors > 1 else None
    terms = []
    for tree in rooted_trees(power + 1, series.colors):
        sign, formula = signed_formula(tree, notation=notation, latex=True, fields=fields)
        if series[tree] != 0:
            terms.append((sign * series[tree] / tree.symmetry, formula))
    factor = ("", "h ", rf"h^{{{power}}} ")[min(power, 2)]
    if len(terms) == 1:
        coefficient, formula = terms[0]
        return [signed(linear_combination([(coefficient, factor + formula)], latex=True))]
    pieces = [signed(linear_combination([term], latex=True)) for term in terms]
    if not pieces:
        return []
    if power:
        pieces[0] = f"+ {factor}\\Bigl({unsigned_start(pieces[0])}"
        pieces[-1] += r"\Bigr)"
    first, *rest = in_lines(pieces, WIDTH - _LABEL, printed_width)
    return [first, *(rf"\qquad {line}" for line in rest)]
