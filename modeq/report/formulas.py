"""Formulas of reports: sums over several lines, and series of elementary differentials."""

from __future__ import annotations

from modeq.algebra.notation import field_names, signed_formula
from modeq.algebra.series import BSeries
from modeq.algebra.series_text import linear_combination
from modeq.algebra.trees import rooted_trees
from modeq.show.lines import _LABEL, WIDTH, aligned, in_lines, printed_width, signed, unsigned_start


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
