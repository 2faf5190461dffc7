"""Universal coefficients with the symbols of a method in them.

The coefficients are rational functions of the entries of the table whose denominators are known:
powers of ρ'(1) for a method with memory, none for a Runge-Kutta table. Where the entries are
polynomials in one symbol, the numerators are found by interpolation between integer values of it,
for which everything is fast. In all other cases the computation runs in the field of rational
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import count
from typing import Any

import gmpy2
import numpy as np
import sympy

from modeq.algebra.series import BSeries
from modeq.algebra.surds import Surd
from modeq.errors import InvalidMethod


def number_field(entries: Sequence) -> tuple[Callable, Callable]:
    """Return what takes exact numbers and expressions into the field that some entries generate,
    and what takes elements of the field back to expressions.

    >>> x = sympy.Symbol("x")
    >>> number, back = number_field([x])
    >>> back(1 / number(x) + number(Fraction(1, 2)))
    (x + 2)/(2*x)
    """
    domain, _ = sympy.construct_domain(
        [sympy.sympify(entry) for entry in (*entries, Fraction(1, 2))], field=True, extension=True
    )

    def number(entry: Any) -> Any:
        is_element = isinstance(entry, type(domain.one))
        return entry if is_element else domain.from_sympy(sympy.sympify(entry))

    return number, lambda element: sympy.factor(domain.to_sympy(element))


def interpolated(
    method: Any, symbol: sympy.Symbol, compute: Callable[[Any], BSeries], order: int
) -> BSeries | None:
    """Return a series whose coefficients are rational functions of a symbol of the method.

    With entries of degree d and N = |τ|, ρ'(1)^{2N-1} a(τ) is a polynomial of degree at most
    d (3N - 2): each vertex contributes βₗ/ρ'(1), and each power of m that is lost on the way an
    entry of κ, of degree d over ρ'(1), or of a shift (derived here).

    Args:
        method: The method.
        symbol: Its symbol.
        compute: Gives the series of the method with a number for the symbol.
        order: The order of the series.

    Returns:
        The series, or None if an entry is no polynomial in the symbol with rational coefficients.
    """
    degree = _degree(method.entries, symbol)
    if degree is None:
        return None
    slope = sympy.Poly(sympy.sympify(getattr(method, "slope", 1)), symbol, domain="QQ")
    nodes: list[int] = []
    columns = []
    values_needed = degree * (3 * (order + 1) - 2) + 1
    for node in count(2):
        if len(nodes) == values_needed:
            break
        try:
            found = compute(method.subs({symbol: node}))
        except InvalidMethod:
            continue  # this number is none that the method allows
        nodes.append(node)
        columns.append(_cleared(found, gmpy2.mpq(str(slope.eval(node)))))
    polynomials = _newton_to_monomial(nodes, np.array(columns))
    trees = found.catalog
    array = np.empty(len(trees), object)
    for n in range(1, trees.vertices + 1):
        for i in range(trees.starts[n], trees.starts[n + 1]):
            array[i] = _quotient(polynomials[:, i], slope, 2 * n - 1, symbol)
    return BSeries.of_array(trees, array, found.empty)


def _degree(entries: Any, symbol: sympy.Symbol) -> int | None:
    """Return the largest degree of the entries as rational polynomials, if they are such."""
    degree = 0
    for entry in entries:
        if isinstance(entry, Surd):
            return None
        expression = sympy.sympify(entry)
        if not expression.is_polynomial(symbol):
            return None
        polynomial = sympy.Poly(expression, symbol)
        if not polynomial.domain.is_QQ and not polynomial.domain.is_ZZ:
            return None
        degree = max(degree, polynomial.degree())
    return degree


def _cleared(series: BSeries, slope: Any) -> np.ndarray:
    """Return the coefficients times slope^{2|τ|-1}."""
    array = series.array.copy()
    for n in range(1, series.order + 2):
        array[series.catalog.starts[n] : series.catalog.starts[n + 1]] *= slope ** (2 * n - 1)
    return array


def _newton_to_monomial(nodes: list[int], values: np.ndarray) -> np.ndarray:
    """Return the coefficients, lowest first, of the polynomials with values at some nodes.

    >>> _newton_to_monomial([2, 3, 4], np.array([[4], [9], [16]], object) * gmpy2.mpq(1)).tolist()
    [[mpq(0,1)], [mpq(0,1)], [mpq(1,1)]]
    """
    differences = values.copy()
    for level in range(1, len(nodes)):
        for i in range(len(nodes) - 1, level - 1, -1):
            step = nodes[i] - nodes[i - level]
            differences[i] = (differences[i] - differences[i - 1]) / step
    coefficients = np.zeros_like(values)
    for i in range(len(nodes) - 1, -1, -1):
        shifted = np.zeros_like(coefficients)
        shifted[1:] = coefficients[:-1]
        coefficients = shifted - coefficients * nodes[i]
        coefficients[0] = coefficients[0] + differences[i]
    return coefficients + gmpy2.mpq()


def _quotient(
    coefficients: np.ndarray, slope: sympy.Poly, power: int, symbol: sympy.Symbol
) -> sympy.Expr:
    """Return polynomial / slope^power in lowest terms."""
    entries = [sympy.Rational(int(c.numerator), int(c.denominator)) for c in coefficients[::-1]]
    numerator = sympy.Poly(entries, symbol, domain="QQ")
    if numerator.is_zero:
        return sympy.S.Zero
    while power and slope.degree() > 0:
        quotient, remainder = numerator.div(slope)
        if not remainder.is_zero:
            break
        numerator, power = quotient, power - 1
    return sympy.factor(numerator.as_expr()) / slope.as_expr() ** power
