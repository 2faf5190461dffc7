"""Universal coefficients: what a method does to every field at once, as a B-series.

The B-series of a method, computed in the arithmetic that its table allows.

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
from modeq.algebra.catalog import catalog
from modeq.algebra.counts import check_memory, tree_counts
from modeq.algebra.entries import warn
from modeq.algebra.multistep_recurrences import MultistepRows
from modeq.algebra.recurrences import (
    EXACT,
    Arithmetic,
    RungeKuttaRows,
    RungeKuttaTable,
    field_form,
    map_form,
)
from modeq.algebra.residuals import check_atol
from modeq.algebra.series import BSeries, exact_flow, identity
from modeq.algebra.surds import Surd
from modeq.algebra.sweep import sweep
from modeq.algebra.tree_table import Progress, TreeBlock, TreeTable, blocks_of, tree_table_of
from modeq.algebra.zeros import is_expression
from modeq.checks import check_order
from modeq.errors import InvalidMethod
from modeq.methods import tableaux
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import CustomMethod, as_method
from modeq.methods.optimizer import Optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.splitting import Splitting
from modeq.methods.symbolic import interpolated, number_field
from modeq.methods.tableaux import RungeKutta
from modeq.progress import waiting

LONG = 2_000_000
"""Trees from which on a progress bar is worth its place."""


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


def modified_equation(
    method: Any, order: int, *, limit: int | None = None, atol: float = 0
) -> BSeries:
    """Return the universal coefficients b of h f̃ for a method, over all trees up to the order.

    Args:
        method: A method, the name of one, or an update rule; numbers in its table may be
            rational, roots, or expressions with symbols.
        order: The highest power n of h in f̃; trees with up to n + 1 vertices take part.
        limit: How many bytes may be used; all that the machine has, if not given.
        atol: Coefficients up to it count as zero, in a table of rounded decimals. Without it a
            warning says which are nearly zero.

    Raises:
        InvalidMethod: The method is unknown or inconsistent.
        InvalidOrder: The order is no integer of at least zero.
        InvalidValue: The tolerance is no finite number of at least zero.
        ExceedsLimit: The order means more trees than may be held.

    >>> import sympy
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
    check_atol(atol)
    return _within(coefficients(method, order, is_field=True, limit=limit), atol)


def _within(b: BSeries, atol: float) -> BSeries:
    """Return a series without what a tolerance takes for zero; say what may be zero without it."""
    if atol:
        return b.without_small(atol)
    if near := b.nearly_zero():
        warn(f"nearly zero is {near}; give exact values, or atol=")
    return b


def method_series(method: Any, order: int) -> BSeries:
    """Return the series of one step of a method; with memory, of one step on its slow manifold.

    >>> print(method_series("explicit-midpoint", order=2))
    1    y
    h    f
    h^2  1/2 f'f
    h^3  1/8 f''(f,f)
    """
    return coefficients(method, order, is_field=False)


def modifying_integrator(method: Any, order: int, *, atol: float = 0) -> BSeries:
    """Return the coefficients b of the field with which a method gives the exact flow of f.

    See Chartier, Hairer, Vilmart, Math. Comp. 76 (2007).

    >>> print(modifying_integrator("implicit-midpoint", order=2))
    h    f
    h^2  0
    h^3  -1/12 f'f'f + 1/24 f''(f,f)

    Coefficients up to ``atol`` count as zero, as in `modified_equation`.

    Raises:
        InvalidMethod: The method treats several fields differently.
        InvalidValue: The tolerance is no finite number of at least zero.
    """
    check_atol(atol)
    method = as_method(method)
    if getattr(method, "colors", 1) > 1:
        raise InvalidMethod(
            f"{method} is for {method.colors} fields; a modifying integrator is for one"
        )
    if not hasattr(method, "rule") or _is_irrational(method):
        b = in_its_field(laws.modifying_integrator_of, method_series(method, order))
    else:
        b = laws.modifying_integrator_of_rule(_rule(method, order), check_order(order))
    return _within(b, atol)


def _is_irrational(method: Any) -> bool:
    return not all(isinstance(entry, Fraction) for entry in getattr(method, "entries", ()))


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


def order_of_accuracy(method: Any, limit: int = 12, *, atol: float = 0) -> int:
    """Return the largest p, at most ``limit``, with a local error of O(h^{p+1}) for every field.

    A series of a map is taken as it is, with its own order for a limit.

    Args:
        method: A method, the name of one, an update rule, or the series of a map.
        limit: The largest order that is tried.
        atol: Residuals of order conditions up to it count as zero, in a table of rounded decimals.
            Without it a warning says if the first one that is not zero is nearly so.

    >>> from modeq.algebra.series import exact_flow
    >>> order_of_accuracy("rk4"), order_of_accuracy(exact_flow(3))
    (4, 4)

    Raises:
        InvalidValue: The tolerance is no finite number of at least zero.
    """
    check_atol(atol)
    if isinstance(method, BSeries):
        return laws.order_of_accuracy(method, atol=atol)
    for order in range(check_order(limit, lowest=1)):
        found = laws.order_of_accuracy(method_series(method, order), atol=atol)
        if found <= order:
            return found
    return limit


def tree_table(
    method: Any, order: int, *, limit: int | None = None, progress: Progress | None = None
) -> TreeTable:
    """Return the coefficients b(τ) of a method for all trees with up to order + 1 vertices.

    Numerators are exact integers over one denominator for all trees with equally many vertices.
    Long work shows a progress bar on standard error if that is a terminal.

    Args:
        method: A method with a rational table (Runge-Kutta, additive or partitioned), or its name.
        order: The highest power of h; 19 means 20,247,374 trees, 21 means 152,524,387.
        limit: How many bytes may be used; all that the machine has, if not given.
        progress: Is called with the number of trees that are done, and that of all, in place of
            the progress bar.

    Raises:
        InvalidMethod: The method has no rational table.
        InvalidOrder: The table would not fit in memory.

    >>> table = tree_table("euler", order=9)
    >>> len(table), table.coefficients(3)
    (1205, (array([1, 2]), 6))
    """
    with waiting("trees", least=LONG, progress=progress) as callback:
        return tree_table_of(_rational_table(method, order), order, limit=limit, progress=callback)


def tree_blocks(
    method: Any, order: int, *, limit: int | None = None, progress: Progress | None = None
) -> Iterator[TreeBlock]:
    """Yield the coefficients of ``tree_table`` in blocks, so that nobody has to hold them all.

    >>> counts = {}
    >>> for block in tree_blocks("euler", order=12):
    ...     zeros = int((block.numerators == 0).sum())
    ...     counts[block.vertices] = counts.get(block.vertices, 0) + zeros
    >>> counts[4], counts[8]  # trees that do not occur in the equation of gradient descent
    (1, 12)
    """
    return _blocks(_rational_table(method, order), order, limit, progress)


def _blocks(
    table: RungeKuttaTable, order: int, limit: int | None, progress: Progress | None
) -> Iterator[TreeBlock]:
    with waiting("trees", least=LONG, progress=progress) as callback:
        yield from blocks_of(table, order, limit=limit, progress=callback)


def _rational_table(method: Any, order: int) -> RungeKuttaTable:
    method = as_method(method)
    tables = tables_of(method, check_order(order))
    if tables is None or not are_rational(tables):
        raise InvalidMethod(
            f"{method} has no table of rational numbers; modified_equation takes every method"
        )
    return RungeKuttaTable.rational(*tables)
