"""Universal coefficients: what a method does to every field at once, as a B-series.

Tables of rational numbers go through the tree table in integers, tables with roots or symbols
through the same recurrence in the field that they generate, compositions of flows through the
composition law, and update rules run over B-series as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from math import lcm
from typing import Any

import numpy as np
import sympy

from modeq.algebra import laws, rule_series, series
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
from modeq.algebra.rule_series import AbstractField, run
from modeq.algebra.series import BSeries, exact_flow, identity
from modeq.algebra.surds import Surd
from modeq.algebra.sweep import sweep
from modeq.algebra.table import catalog, check_memory, tree_counts
from modeq.algebra.tree_table import Progress, TreeBlock, TreeTable, tree_blocks, tree_table_of
from modeq.algebra.trees import check_order
from modeq.derivation.symbolic import interpolated, number_field
from modeq.errors import InvalidMethod
from modeq.methods import tableaux
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import CustomMethod, as_method
from modeq.methods.optimizer import Optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.splitting import Splitting
from modeq.methods.tableaux import RungeKutta


def modified_equation(method: Any, order: int, *, limit: int | None = None) -> BSeries:
    """Return the universal coefficients b of h f̃ for a method, over all trees up to the order.

    Args:
        method: A method, the name of one, or an update rule; numbers in its table may be
            rational, roots, or expressions with symbols.
        order: The highest power n of h in f̃; trees with up to n + 1 vertices take part.
        limit: How many bytes may be used; all that the machine has, if not given.

    Raises:
        InvalidMethod: The method is unknown or inconsistent.
        InvalidOrder: The order is no integer of at least zero.
        ExceedsLimit: The order means more trees than may be held.

    >>> from modeq.methods.named import HeavyBall
    >>> print(modified_equation("rk4", order=4))  # doctest: +ELLIPSIS
    h    f
    h^2  0
    h^3  0
    h^4  0
    h^5  -1/120 f'f'f'f'f + ...
    >>> b = modified_equation(HeavyBall(sympy.Symbol("beta")), order=1)
    >>> list(b.values())
    [1/(1 - beta), -(beta + 1)/(2*(1 - beta)**3)]
    """
    return _coefficients(method, order, is_field=True, limit=limit)


def method_series(method: Any, order: int) -> BSeries:
    """Return the series of one step of a method; with memory, of one step on its slow manifold.

    >>> print(method_series("explicit-midpoint", order=2))
    1    y
    h    f
    h^2  1/2 f'f
    h^3  1/8 f''(f,f)
    """
    return _coefficients(method, order, is_field=False)


def modifying_integrator(method: Any, order: int) -> BSeries:
    """Return the coefficients b of the field with which a method gives the exact flow of f.

    See Chartier, Hairer, Vilmart, Math. Comp. 76 (2007).

    >>> print(modifying_integrator("implicit-midpoint", order=2))
    h    f
    h^2  0
    h^3  -1/12 f'f'f + 1/24 f''(f,f)

    Raises:
        InvalidMethod: The method treats several fields differently.
    """
    method = as_method(method)
    if getattr(method, "colors", 1) > 1:
        raise InvalidMethod(
            f"{method} is for {method.colors} fields; a modifying integrator is for one"
        )
    if _symbols(method) or not hasattr(method, "rule") or _surds(method):
        return _simplified(laws.modifying_integrator_of(method_series(method, order)))
    return laws.modifying_integrator_of_rule(_rule(method, order), check_order(order))


def _rule(method: Any, order: int) -> Callable:
    return method.tableau(order).rule if hasattr(method, "tableau") else method.rule


def adjoint(method: Any) -> Any:
    """Return the adjoint Φ*_h = Φ_{-h}^{-1} of a Runge-Kutta method, or of the series of a map.

    >>> adjoint("euler") == as_method("implicit-euler")
    True

    Raises:
        InvalidMethod: It is neither.
    """
    if isinstance(method, BSeries):
        return laws.adjoint(method)
    method = as_method(method)
    if not isinstance(method, RungeKutta):
        raise InvalidMethod(f"{method} has no tableau; take the adjoint of its method_series")
    return tableaux.adjoint(method)


def order_of_accuracy(method: Any, limit: int = 12) -> int:
    """Return the largest p, at most ``limit``, with a local error of O(h^{p+1}) for every field.

    A series of a map is taken as it is, with its own order for a limit.

    >>> order_of_accuracy("rk4"), order_of_accuracy(exact_flow(3))
    (4, 4)
    """
    if isinstance(method, BSeries):
        return laws.order_of_accuracy(method)
    for order in range(check_order(limit, lowest=1)):
        found = laws.order_of_accuracy(method_series(method, order))
        if found <= order:
            return found
    return limit


def tree_table(
    method: Any, order: int, *, limit: int | None = None, progress: Progress | None = None
) -> TreeTable:
    """Return the coefficients of the modified equation of a method for all trees, as arrays.

    Args:
        method: A method whose table is rational: Runge-Kutta, additive or partitioned.
        order: The highest power of h; 19 means 20,247,374 trees.
        limit: How many bytes may be used; all that the machine has, if not given.
        progress: Is called with the number of trees that are done, and that of all.

    Raises:
        InvalidMethod: The method has no rational table.
        InvalidOrder: The table would not fit in memory.

    >>> tree_table("euler", order=9)
    <TreeTable of order 9: 1,205 trees>
    """
    return tree_table_of(_rational_table(method, order), order, limit=limit, progress=progress)


def blocks_of_trees(
    method: Any, order: int, *, limit: int | None = None, progress: Progress | None = None
) -> Iterator[TreeBlock]:
    """Yield the coefficients of ``tree_table`` in blocks, so that nobody has to hold them all.

    >>> sum(len(block) for block in blocks_of_trees("euler", order=9))
    1205
    """
    return tree_blocks(_rational_table(method, order), order, limit=limit, progress=progress)


def _rational_table(method: Any, order: int) -> RungeKuttaTable:
    method = as_method(method)
    tables = _tables(method, check_order(order))
    if tables is None or not _is_rational(tables):
        raise InvalidMethod(
            f"{method} has no table of rational numbers; modified_equation takes every method"
        )
    return RungeKuttaTable.rational(*tables)


def _coefficients(method: Any, order: int, is_field: bool, limit: int | None = None) -> BSeries:
    """Return the series of the field or the map of a method."""
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
        a = _simplified(_splitting_series(method, order))
        return _simplified(laws.modified_equation_of(a)) if is_field else a
    if isinstance(method, CustomMethod):
        start = identity(order)
        return (
            rule_series.modified_equation(method, order)
            if is_field
            else run(method.rule, start, AbstractField())
        )
    symbols = _symbols(method)
    if len(symbols) == 1:
        [symbol] = symbols
        found = interpolated(
            method, symbol, partial(_rational, order=order, is_field=is_field, limit=limit), order
        )
        if found is not None:
            return found
    if symbols or (isinstance(method, LinearMultistep) and not _is_rational_row(method.entries)):
        return _over_number_field(method, order, is_field)
    return _rational(method, order, is_field, limit)


def _symbols(method: Any) -> frozenset:
    return getattr(method, "symbols", frozenset())


def _surds(method: Any) -> bool:
    return any(isinstance(entry, Surd) for entry in getattr(method, "entries", ()))


def _tables(method: Any, order: int) -> tuple | None:
    """Return the matrices A and the rows b of a method, one for each field, if it has them."""
    if isinstance(method, AdditiveRungeKutta):
        return method.A, method.b
    if hasattr(method, "tableau"):
        tableau = method.tableau(order)
        return (tableau.A,), (tableau.b,)
    return None


def _is_rational(tables: tuple) -> bool:
    A, b = tables
    return all(_is_rational_row(row) for table in (*A, b) for row in table)


def _is_rational_row(row: Iterable) -> bool:
    return all(isinstance(entry, Fraction | int) for entry in row)


def _rational(method: Any, order: int, is_field: bool, limit: int | None) -> BSeries:
    """Return the series of a method without symbols."""
    if isinstance(method, LinearMultistep):
        return _multistep_series(method, order, is_field, Fraction)
    tables = _tables(method, order)
    if is_field and _is_rational(tables):
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
    array[:] = [series.exact(_expression(value)) for value in values]
    return BSeries.of_array(trees, array, 0 if is_field else 1)


def _simplified(a: BSeries) -> BSeries:
    """Return the series with expressions in lowest terms."""
    if a.is_rational:
        return a
    return _series_of(
        a.catalog, [sympy.factor(sympy.sympify(x)) for x in a.array], is_field=a.empty == 0
    )


def _expression(value: Any) -> Any:
    """Return a sum of roots as sympy writes it, and anything else as it is."""
    return value.over(sympy.Rational, sympy.sqrt) if isinstance(value, Surd) else value


def _over_number_field(method: Any, order: int, is_field: bool) -> BSeries:
    """Return the series of a method with symbols, computed in the field that they generate."""
    entries = list(method.entries)
    number, back = number_field([e for e in entries if is_expression(e) or isinstance(e, Surd)])
    if isinstance(method, LinearMultistep):
        found = _multistep_series(method, order, is_field, number)
    else:
        found = _runge_kutta_series(_tables(method, order), order, is_field, number)
    return _series_of(found.catalog, [back(value) for value in found.array], is_field)


def _splitting_series(method: Splitting, order: int) -> BSeries:
    """Return the composition of the flows of the parts."""
    theta = identity(order, method.colors)
    for color, fraction in method.stages:
        theta = laws.compose(
            theta, laws.scaled(_flow_of_part(color, order, method.colors), fraction)
        )
    return theta


def _flow_of_part(color: int, order: int, colors: int) -> BSeries:
    """Return the series of the flow of one field, which knows the trees of one color only."""
    whole = exact_flow(order, colors)
    found = {tree: b for tree, b in whole.items() if set(tree.colors) == {color}}
    return BSeries(found, order=order, empty=1, colors=colors)
