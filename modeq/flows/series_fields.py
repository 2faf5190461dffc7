"""A loss as a field over power series: recorded on a tape, or in many digits at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import mpmath
import sympy

from modeq.algebra.power_series import Coefficient
from modeq.derivation.evaluate import SeriesField, constants_at
from modeq.flows.stable import stable_components, stable_forces
from modeq.flows.tape import Tape
from modeq.losses.digits import real_context
from modeq.losses.loss import Field


def series_over(loss: Field, constant: Callable[[sympy.Expr], Coefficient]) -> SeriesField:
    """Return the field of a loss, and its parts, over power series with given constants.

    >>> from modeq.losses.loss import Loss
    >>> series_over(Loss("x**2/2"), lambda expression: expression.subs("x", 3)).start()[0].first(1)
    [3]
    """
    parts = [part.components for part in loss.parts]
    field = SeriesField(loss.components, loss.variables, constant, parts)
    field.forces = loss.forces
    return field


def recorded_series(loss: Field, tape: Tape) -> SeriesField:
    """Return the field of a loss, and its parts, over power series of what a tape records.

    >>> from modeq.losses.loss import H, Loss
    >>> loss = Loss("(exp(x) - 1)**2/2")
    >>> f = recorded_series(loss, Tape((*loss.variables, H)))
    >>> f.components[0].has(sympy.exp(loss.variables[0]) - 1)
    False
    """
    parts = [stable_components(part) for part in loss.parts]
    field = SeriesField(stable_components(loss), loss.variables, tape.convert, parts)
    field.forces = stable_forces(loss)
    return field


def series_at(
    loss: Field,
    point: Sequence[Fraction],
    values: Mapping[sympy.Symbol, sympy.Expr],
    digits: int,
) -> tuple[SeriesField, mpmath.MPContext]:
    """Return the field of a loss over power series of numbers at a point, and their arithmetic.

    Args:
        loss: The loss or vector field.
        point: The point, exactly.
        values: Values of the parameters.
        digits: Decimal digits of the numbers.

    >>> from modeq.losses.loss import Loss
    >>> f, context = series_at(Loss("x**2/2"), [Fraction(1, 4)], {}, 15)
    >>> f.start()[0].first(1), context.dps
    ([mpf('0.25')], 15)
    """
    exact = map(sympy.Rational, point)
    at = {**dict(zip(loss.variables, exact, strict=True)), **values}
    context = real_context(digits)
    return series_over(loss, constants_at(at, context, digits)), context
