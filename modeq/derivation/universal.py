"""Universal coefficients: what a method does to every field at once, as a B-series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from modeq.algebra import laws
from modeq.algebra.entries import warn
from modeq.algebra.residuals import check_atol
from modeq.algebra.rows import (
    RungeKuttaTable,
)
from modeq.algebra.series import BSeries
from modeq.algebra.tree_table import Progress, TreeBlock, TreeTable, tree_blocks, tree_table_of
from modeq.checks import check_order
from modeq.derivation.coefficients import (
    are_rational,
    coefficients,
    in_its_field,
    tables_of,
)
from modeq.errors import InvalidMethod
from modeq.methods import tableaux
from modeq.methods.named import as_method
from modeq.methods.tableaux import RungeKutta


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
    tables = tables_of(method, check_order(order))
    if tables is None or not are_rational(tables):
        raise InvalidMethod(
            f"{method} has no table of rational numbers; modified_equation takes every method"
        )
    return RungeKuttaTable.rational(*tables)
