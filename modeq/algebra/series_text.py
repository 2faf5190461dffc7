"""Sums of formulas, and series sorted by powers of h, as text and as LaTeX."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from numbers import Rational
from typing import Any

from modeq.algebra.notation import field_names, signed_formula
from modeq.algebra.rationals import as_fraction
from modeq.algebra.trees import rooted_trees

_POWERS_IN_BEGINNING = 5


def linear_combination(terms: Iterable[tuple[Any, str]], *, latex: bool = False) -> str:
    """Return the sum Σ cᵢ tᵢ of pairs (cᵢ, tᵢ) of a coefficient and a formula.

    Coefficients 0 and 1 are not written. A rational one shows its sign and, in LaTeX, its
    fraction. Any other is written as it writes itself, in parentheses: by `str`, or in LaTeX,
    if it is an expression of sympy, with names that are escaped.

    >>> from fractions import Fraction
    >>> linear_combination([(Fraction(1, 3), "f'f'f"), (Fraction(-1, 12), "f''(f,f)")])
    "1/3 f'f'f - 1/12 f''(f,f)"
    >>> linear_combination([(-1, "f"), (Fraction(1, 2), "f'f")], latex=True)
    "-f + \\\\tfrac{1}{2} f'f"
    >>> linear_combination([])
    '0'
    """
    signed = [_signed_term(*term, latex) for term in terms if term[0] != 0]
    if not signed:
        return "0"
    (first_sign, first), *others = signed
    lead = "-" if first_sign == "-" else ""
    return lead + first + "".join(f" {sign} {text}" for sign, text in others)


def _signed_term(coefficient: Any, formula: str, latex: bool) -> tuple[str, str]:
    """Return the sign of a term, and the term without it."""
    if not isinstance(coefficient, Rational):
        return "+", f"{_in_parentheses(coefficient, latex)} {formula}"
    sign = "-" if coefficient < 0 else "+"
    size = abs(as_fraction(coefficient))
    if size == 1:
        return sign, formula
    if latex and size.denominator > 1:
        return sign, rf"\tfrac{{{size.numerator}}}{{{size.denominator}}} {formula}"
    return sign, f"{size} {formula}"


def _in_parentheses(coefficient: Any, latex: bool) -> str:
    if not latex:
        return f"({coefficient})"
    return rf"\left({_in_latex(coefficient)}\right)"


def _in_latex(coefficient: Any) -> str:
    """Return a coefficient as LaTeX. How expressions are written is known far below, where they
    are: it is imported when there is one.
    """
    if not hasattr(coefficient, "_repr_latex_"):
        return str(coefficient)
    return importlib.import_module("modeq.losses.formula_latex").expression_latex(coefficient)


def series_rows(series: Any, notation: str, powers: int) -> list[str]:
    """Return a line for each power of h, up to one, in a notation of `modeq.algebra.notation`."""
    width = len(f"h^{series.order + 1}")
    rows = [("1", [(series.empty, "y")])] if series.empty != 0 else []
    for power in range(1, powers + 1):
        label = "h" if power == 1 else f"h^{power}"
        rows.append((label, _terms(series, power, notation, latex=False)))
    return [f"{label:{width}}  {linear_combination(terms)}" for label, terms in rows]


def series_beginning(series: Any) -> str:
    """Return the lines of the first powers of h, and how long the whole series is."""
    shown = min(series.order + 1, _POWERS_IN_BEGINNING)
    rows = [f"<BSeries of order {series.order}", *series_rows(series, "differentials", shown)]
    if shown <= series.order:
        rows.append(f"...  {len(series)} trees up to h^{series.order + 1}, all in .text()")
    return "\n".join(rows) + ">"


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


def series_formula_beginning(series: Any) -> str:
    """Return the LaTeX of the first powers of h, in the form that notebooks show."""
    shown = min(series.order + 1, _POWERS_IN_BEGINNING)
    rest = r" + \cdots" if shown <= series.order else ""
    return rf"$\displaystyle {series_formula(series, 'differentials', shown)}{rest}$"


def _terms(series: Any, power: int, notation: str, latex: bool) -> list[tuple[Any, str]]:
    """Return b/σ, with the sign of the notation, and the formula of each tree of one order."""
    fields = field_names(series.colors) if series.colors > 1 else None
    terms = []
    for tree in rooted_trees(power, series.colors):
        sign, formula = signed_formula(tree, notation=notation, latex=latex, fields=fields)
        terms.append((sign * series[tree] / tree.symmetry, formula))
    return terms
