"""Series as text and as LaTeX, sorted by powers of h."""

from __future__ import annotations

from typing import Any

from modeq.algebra.notation import field_names, linear_combination, signed_formula
from modeq.algebra.trees import rooted_trees


def series_rows(series: Any, notation: str, powers: int) -> list[str]:
    """Return a line for each power of h, up to one, in a notation of `modeq.algebra.notation`."""
    width = len(f"h^{series.order + 1}")
    rows = [("1", [(series.empty, "y")])] if series.empty != 0 else []
    for power in range(1, powers + 1):
        label = "h" if power == 1 else f"h^{power}"
        rows.append((label, _terms(series, power, notation, latex=False)))
    return [f"{label:{width}}  {linear_combination(terms)}" for label, terms in rows]


def series_formula(series: Any, notation: str, powers: int) -> str:
    """Return the LaTeX of a series up to a power of h."""
    groups = [(series.empty, "y")]
    for power in range(1, powers + 1):
        label = "h" if power == 1 else f"h^{{{power}}}"
        terms = [term for term in _terms(series, power, notation, latex=True) if term[0] != 0]
        if len(terms) > 1:
            inner = linear_combination(terms, latex=True)
            terms = [(1, rf"\left({inner}\right)")]
        groups.extend((coefficient, f"{label} {formula}") for coefficient, formula in terms)
    return linear_combination(groups, latex=True)


def _terms(series: Any, power: int, notation: str, latex: bool) -> list[tuple[Any, str]]:
    """Return b/σ, with the sign of the notation, and the formula of each tree of one order."""
    fields = field_names(series.colors) if series.colors > 1 else None
    terms = []
    for tree in rooted_trees(power, series.colors):
        sign, formula = signed_formula(tree, notation=notation, latex=latex, fields=fields)
        terms.append((sign * series[tree] / tree.symmetry, formula))
    return terms
