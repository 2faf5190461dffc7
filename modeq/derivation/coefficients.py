"""The B-series of a method, computed in the arithmetic that its table allows.

Tables of rational numbers go through the tree table in integers, tables with roots or symbols
through the same recurrence in the field that they generate, compositions of flows through the
composition law, and update rules run over B-series as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from math import lcm
from typing import Any

import numpy as np
import sympy

from modeq.algebra import laws, rule_series, series
from modeq.algebra.counts import check_memory, tree_counts
from modeq.algebra.entries import is_expression
from modeq.algebra.multistep_rows import MultistepRows
from modeq.algebra.rows import (
    EXACT,
    Arithmetic,
    RungeKuttaRows,
    RungeKuttaTable,
    field_form,
    map_form,
)
from modeq.algebra.series import BSeries, exact_flow, identity
from modeq.algebra.surds import Surd
from modeq.algebra.sweep import sweep
from modeq.algebra.table import catalog
from modeq.algebra.tree_table import tree_table_of
from modeq.checks import check_order
from modeq.derivation.symbolic import interpolated, number_field
from modeq.errors import InvalidMethod
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import CustomMethod, as_method
from modeq.methods.optimizer import Optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.splitting import Splitting


def coefficients(method: Any, order: int, is_field: bool, limit: int | None = None) -> BSeries:
    """Return the series of the field or the map of a method.

    Args:
        method: A method, the name of one, or an update rule.
        order: The highest power of h in the field.
        is_field: Whether the series of h f̃ is wanted, or that of one step.
        limit: How many bytes may be used; all that the machine has, if not given.

    Raises:
        InvalidMethod: The method is unknown, inconsistent, or a rule over coordinates.
        InvalidOrder: The order is no integer of at least zero, or means too many trees.

    >>> print(coefficients("euler", 1, is_field=True))
    h    f
    h^2  -1/2 f'f
    """
    method, order = as_method(method), check_order(order)
    colors = getattr(method, "colors", 1)
    size = series.BYTES_PER_COEFFICIENT * sum(tree_counts(order + 1, colors))
    check_memory(order + 1, colors, size, limit)
    if isinstance(method, Optimizer):
        raise InvalidMethod(
            f"{method} is given by a rule over coordinates, which has no coefficients over trees; "
            f"derive its equation for a loss"
        )
    if isinstance(method, Splitting):
        return _splitting_series(method, order, is_field)
    if isinstance(method, CustomMethod):
        if is_field:
            return rule_series.modified_equation(method, order)
        return rule_series.step_series(method.rule, order)
    return _of_table(method, order, is_field, limit)


def _of_table(method: Any, order: int, is_field: bool, limit: int | None) -> BSeries:
    """Return the series of a method that is given by a table, with symbols in it or without."""
    symbols = symbols_in(method)
    if len(symbols) == 1:
        [symbol] = symbols
        found = interpolated(
            method, symbol, partial(_rational, order=order, is_field=is_field, limit=limit), order
        )
        if found is not None:
            return found
    is_multistep = isinstance(method, LinearMultistep)
    entries = list(getattr(method, "entries", ()))
    if any(map(is_expression, entries)) or (is_multistep and not _is_rational_row(entries)):
        return _over_number_field(method, order, is_field)
    return _rational(method, order, is_field, limit)


def symbols_in(method: Any) -> frozenset:
    """Return the symbols of a method; none where it is a rule."""
    return getattr(method, "symbols", frozenset())


def tables_of(method: Any, order: int) -> tuple | None:
    """Return the matrices A and the rows b of a method, one for each field, if it has them."""
    if isinstance(method, AdditiveRungeKutta):
        return method.A, method.b
    if hasattr(method, "tableau"):
        tableau = method.tableau(order)
        return (tableau.A,), (tableau.b,)
    return None


def are_rational(tables: tuple) -> bool:
    """Tell whether all entries of the tables of a method are rational."""
    A, b = tables
    return all(_is_rational_row(row) for table in (*A, b) for row in table)


def _is_rational_row(row: Iterable) -> bool:
    return all(isinstance(entry, Fraction | int) for entry in row)


def _rational(method: Any, order: int, is_field: bool, limit: int | None) -> BSeries:
    """Return the series of a method without symbols."""
    if isinstance(method, LinearMultistep):
        return _multistep_series(method, order, is_field, Fraction)
    tables = tables_of(method, order)
    if is_field and are_rational(tables):
        table = RungeKuttaTable.rational(*tables)
        return tree_table_of(table, order, limit=limit).series()
    return _runge_kutta_series(tables, order, is_field, lambda entry: entry)


def _multistep_series(
    method: LinearMultistep, order: int, is_field: bool, number: Callable
) -> BSeries:
    rows = MultistepRows(method.alpha, method.beta, method.points, order + 1, is_field, number)
    trees = catalog(order + 1)
    blocks = list(sweep(trees, rows))
    if number is Fraction:
        return _series_of(
            trees,
            [
                Fraction(int(value), rows.denominator(block.vertices))
                for block in blocks
                for value in block.values
            ],
            is_field,
        )
    return _series_of(trees, [value for block in blocks for value in block.values], is_field)


def _runge_kutta_series(tables: tuple, order: int, is_field: bool, number: Callable) -> BSeries:
    A, b = tables
    table = RungeKuttaTable(
        tuple(tuple(tuple(map(number, row)) for row in matrix) for matrix in A),
        tuple(tuple(map(number, row)) for row in b),
    )
    trees = catalog(order + 1, len(b))
    points = order + 1 if is_field else 1
    rows = RungeKuttaRows(
        table,
        points,
        Arithmetic(object, number, EXACT.reduce),
        _field_weights if is_field else map_form,
    )
    values = [value for block in sweep(trees, rows) for value in block.values]
    return _series_of(trees, values, is_field)


def _field_weights(vertices: int) -> list[Fraction]:
    common = lcm(*range(1, vertices + 1))
    return [Fraction(weight, common) for weight in field_form(vertices)]


def _series_of(trees: Any, values: list, is_field: bool) -> BSeries:
    """Return the series of values in the order of the catalog."""
    array = np.empty(len(values), object)
    array[:] = [series.exact(sympy.sympify(v) if isinstance(v, Surd) else v) for v in values]
    return BSeries.of_array(trees, array, 0 if is_field else 1)


def in_its_field(law: Callable[[BSeries], BSeries], a: BSeries) -> BSeries:
    """Return what a law makes of a series, computed in the field that its coefficients generate.

    >>> in_its_field(laws.inverse, exact_flow(2)) == laws.scaled(exact_flow(2), -1)
    True
    """
    if a.is_rational:
        return law(a)
    number, back = number_field([x for x in a.array if is_expression(x)])
    array = np.empty(len(a), object)
    array[:] = list(map(number, a.array))
    return _out_of_field(law(BSeries.of_array(a.catalog, array, a.empty)), number, back)


def _out_of_field(a: BSeries, number: Callable, back: Callable) -> BSeries:
    """Return a series with expressions in place of elements of a field."""
    return _series_of(a.catalog, [back(number(x)) for x in a.array], is_field=a.empty == 0)


def _over_number_field(method: Any, order: int, is_field: bool) -> BSeries:
    """Return the series of a method, computed in the field that its entries generate."""
    entries = list(method.entries)
    number, back = number_field([e for e in entries if is_expression(e) or isinstance(e, Surd)])
    if isinstance(method, LinearMultistep):
        found = _multistep_series(method, order, is_field, number)
    else:
        found = _runge_kutta_series(tables_of(method, order), order, is_field, number)
    return _out_of_field(found, number, back)


def _splitting_series(method: Splitting, order: int, is_field: bool) -> BSeries:
    """Return the composition of the flows of the parts, in the field of the fractions."""
    irrational = [entry for entry in method.entries if not isinstance(entry, Fraction)]
    number, back = number_field(irrational) if irrational else (Fraction, None)
    theta = identity(order, method.colors)
    for color, fraction in method.stages:
        flow = _flow_of_part(color, order, method.colors)
        theta = laws.compose(theta, laws.scaled(flow, number(fraction)))
    found = laws.modified_equation_of(theta) if is_field else theta
    return _out_of_field(found, number, back) if irrational else found


def _flow_of_part(color: int, order: int, colors: int) -> BSeries:
    """Return the series of the flow of one field, which knows the trees of one color only."""
    whole = exact_flow(order, colors)
    found = {tree: b for tree, b in whole.items() if set(tree.colors) == {color}}
    return BSeries(found, order=order, empty=1, colors=colors)
