"""Whether the flow of a field follows a map: proved for formulas, measured for functions.

This shares no code with the derivation of counter terms: it is the test that others put theirs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from modeq.checks import check_order, check_step, shortened
from modeq.derivation.derive import ModifiedField
from modeq.errors import FlowError, InvalidLoss, InvalidPoint, InvalidStep
from modeq.flows.check import SLOPE_TOLERANCE, slopes_of
from modeq.losses.loss import H
from modeq.losses.parse import parse_names
from modeq.losses.vanishing import Vanishing, vanishing_expression

_Column = sympy.ImmutableMatrix
Proof = tuple[_Column, _Column, tuple[sympy.Symbol, ...]]

_SLOPES = 3
"""How many successive slopes must be right."""

_MAX_HALVINGS = 12

ROUND_OFF = 5e-14
"""Errors below this part of the largest coordinate are too noisy for a slope to be measured."""


def assert_follows(
    field: Any,
    step: Any,
    order: int,
    *,
    variables: Any = None,
    theta0: Any = None,
    h: Any = None,
) -> None:
    """Assert that the flow of a field follows a one-step map to a given order.

    With counter terms up to hⁿ, n = ``order``, the flow for time h misses the map by O(h^{n+2}).

    *Formulas.* If ``field`` is a column of sympy expressions (or a modified equation) and ``step``
    is the column of θ⁺ in terms of θ and h, this is proved, by comparing the truncated Lie series
    θ + Σ hⁱ/i! (D_f̃)^{i-1} f̃ with the map, through h^{n+1}. An h in the formulas is the learning
    rate.

    >>> import modeq
    >>> x, h = sympy.symbols("x h")
    >>> assert_follows([-x - h * x / 2], [x - h * x], order=1, variables=[x])
    >>> assert_follows(modeq.derive("x**4/4", order=2), [x - h * x**3], order=2)
    >>> assert_follows([-x - h * x / 3], [x - h * x], order=1, variables=[x])
    Traceback (most recent call last):
    AssertionError: the flow does not follow the map to order 1: expected a one-step error of order
    h^3, but it is of order h^2
      power   flow minus map
        h^1   0
        h^2   x/6

    *Functions.* If both are functions of an array of shape (d,) and h that return such an array,
    the one-step error is measured from ``theta0`` at ``h`` and its halves, in double precision,
    until three successive slopes are within 0.1 of n + 2.

    >>> assert_follows(
    ...     lambda x, h: -(x**3) - 1.5 * h * x**5, lambda x, h: x - h * x**3, 1, theta0=[1], h=0.05
    ... )
    >>> assert_follows(lambda x, h: -(x**3), lambda x, h: x - h * x**3, 1, theta0=[1], h=0.05)
    Traceback (most recent call last):
    AssertionError: the flow does not follow the map to order 1: expected slopes 3, measured 2.000,
    2.000, 2.000
      ...

    Raises:
        AssertionError: The flow does not follow the map; the message holds the table.
        InvalidStep: The errors sink into round-off before three slopes are measured.
        InvalidLoss, InvalidOrder, InvalidPoint: The arguments cannot be right.
        FlowError: The flow or the map is not finite.
    """
    order = check_order(order)
    if callable(field) and callable(step):
        _assert_slopes(_Steps(field, step, theta0, h), order)
    else:
        _assert_identity(*_formulas(field, step, variables), order)


def _formulas(field: Any, step: Any, variables: Any) -> Proof:
    """Return the field, the map and the variables, with one symbol h for the learning rate."""
    if isinstance(field, ModifiedField):
        field, variables = field.field, field.variables if variables is None else variables
    if variables is None:
        raise InvalidLoss("the variables are missing: give variables=(x, y, ...)")
    x = parse_names(variables)
    return _column(field, x, "field"), _column(step, x, "step"), x


def _column(thing: Any, x: Sequence[sympy.Symbol], name: str) -> _Column:
    try:
        column = sympy.ImmutableMatrix(list(map(sympy.sympify, thing)))
    except (TypeError, sympy.SympifyError):
        raise InvalidLoss(
            f"the {name} is {shortened(thing)}; it must be a column of sympy expressions, or "
            f"both the field "
            f"and the step must be functions of theta and h"
        ) from None
    if len(column) != len(x):
        raise InvalidLoss(
            f"the {name} has {len(column)} components but there are {len(x)} variables {x}"
        )
    # Symbols of one name are the same variable, whatever their assumptions.
    known = {symbol.name: symbol for symbol in (*x, H)}
    return column.xreplace({s: known.get(s.name, s) for s in column.free_symbols})


def _assert_identity(
    field: _Column, step: _Column, x: tuple[sympy.Symbol, ...], order: int
) -> None:
    rows = []
    moved = _taylor(step - sympy.ImmutableMatrix(x), order + 1)
    for power, (reached, goal) in enumerate(zip(_flow(field, x, order), moved, strict=True)):
        difference = [sympy.factor_terms(a - b) for a, b in zip(reached, goal, strict=True)]
        vanishes = all(map(_is_zero, difference))
        rows.append(f"    h^{power}   {0 if vanishes else ', '.join(map(str, difference))}")
        if not vanishes:
            # The coefficient of h⁰ is that of θ⁺ - θ alone, and only shown where it is wrong.
            shown = "\n".join(rows[min(power, 1) :])
            raise AssertionError(
                f"the flow does not follow the map to order {order}: expected a one-step error of "
                f"order h^{order + 2}, but it is of order h^{power}\n"
                f"  power   flow minus map\n{shown}"
            )


def _flow(field: _Column, x: tuple[sympy.Symbol, ...], order: int) -> list[_Column]:
    """Return the coefficients of h⁰, …, h^{n+1} in Σ hⁱ/i! (D_f̃)^{i-1} f̃, i ≥ 1."""
    zero = sympy.zeros(len(x), 1)
    fields = _taylor(field, order)
    total = [zero, *fields]
    terms = fields
    for i in range(2, order + 2):
        terms = [
            sum((terms[j - k].jacobian(x) * fields[k] for k in range(j + 1)), zero)
            for j in range(order + 2 - i)
        ]
        for j, term in enumerate(terms):
            total[j + i] += term / math.factorial(i)
    return total


def _taylor(column: _Column, order: int) -> list[_Column]:
    """Return the Taylor coefficients in h."""
    derivatives = [column]
    for _ in range(order):
        derivatives.append(derivatives[-1].diff(H))
    return [d.subs(H, 0) / math.factorial(k) for k, d in enumerate(derivatives)]


def _is_zero(expression: sympy.Expr) -> bool:
    """Tell whether an expression vanishes identically."""
    return vanishing_expression(expression) is not Vanishing.REFUTED


class _Steps:
    """One step of a map and of a flow, from the same start."""

    def __init__(self, field: Callable, step: Callable, theta0: Any, h: Any):
        if theta0 is None:
            raise InvalidPoint("the start is missing: give theta0=...")
        self.field = field
        self.step = step
        self.start = np.asarray(theta0, dtype=float)
        self.h = check_step(h)
        if self.start.ndim != 1 or not np.all(np.isfinite(self.start)):
            raise InvalidPoint(
                f"the start is {shortened(theta0)}; it must be one point of finite numbers, of "
                f"shape (d,)"
            )

    @cached_property
    def size(self) -> float:
        """The largest coordinate of the start and of what the map makes of it."""
        both = np.abs([self.start, self.step(self.start, self.h)])
        return float(np.max(both, initial=0.0, where=np.isfinite(both))) or 1.0

    @property
    def noise(self) -> float:
        return ROUND_OFF * self.size

    def error(self, h: float) -> float:
        """Return the largest coordinate of flow minus map after one step."""
        from scipy.integrate import solve_ivp

        with np.errstate(all="ignore"):
            flow = solve_ivp(
                lambda _, theta: np.asarray(self.field(theta, h), dtype=float),
                (0.0, h),
                self.start,
                method="DOP853",
                rtol=3e-14,
                atol=1e-17 * self.size,
                first_step=h / 4,
            )
            error = float(np.max(np.abs(flow.y[:, -1] - self.step(self.start, h))))
        if not (flow.success and math.isfinite(error)):
            raise FlowError(f"the flow or the map is not finite at h = {h:.6g}")
        return error


def _assert_slopes(steps: _Steps, order: int) -> None:
    expected = order + 2
    rates = [steps.h / 2**k for k in range(_MAX_HALVINGS + 1)]
    errors: list[float] = []
    for h in rates:
        errors.append(steps.error(h))
        if errors[-1] < steps.noise:
            errors.pop()
            break
        last = slopes_of(errors)[-_SLOPES:]
        if len(last) == _SLOPES and all(abs(s - expected) <= SLOPE_TOLERANCE for s in last):
            return
    if len(errors) <= _SLOPES:
        raise InvalidStep(
            f"only {len(errors)} of the one-step errors at h = {steps.h:.6g} and its halves are "
            f"above the round-off of {steps.noise:.1e}, and {_SLOPES + 1} are needed for "
            f"{_SLOPES} slopes: take a larger h"
        )
    raise AssertionError(_slope_message(order, rates, errors))


def _slope_message(order: int, rates: Sequence[float], errors: Sequence[float]) -> str:
    slopes = [f"{slope:.3f}" for slope in slopes_of(errors)]
    rows = zip(rates, errors, ["", *slopes], strict=False)
    table = "\n".join(f"  {h:9.3e}   {error:14.3e}   {slope:>6}" for h, error, slope in rows)
    return (
        f"the flow does not follow the map to order {order}: expected slopes {order + 2}, "
        f"measured {', '.join(slopes[-_SLOPES:])}\n"
        f"          h   one-step error    slope\n{table}"
    )
