"""An optimizer in many digits, started on its slow manifold or at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import sympy

from modeq.algebra.power_series import Vector
from modeq.derivation.slow_manifold import slow_manifold
from modeq.derivation.start_shift import slowest_decay, start_series
from modeq.flows.numeric import NumericField, optimizer_field
from modeq.flows.precise import Number, Precision
from modeq.flows.series_fields import series_at
from modeq.losses.loss import Field
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.two_steps import as_optimizer

DIGITS = 80
POWERS_BEYOND = 6
"""Powers of h in the memory beyond those that the field takes."""


class StartedOptimizer:
    """Steps of an optimizer from a point, with the memory that it has there.

    Args:
        loss: The loss or vector field.
        method: The optimizer, without symbols.
        parameters: Values of the parameters of the loss.
        memory: For each entry of the memory the coefficients of 1, h, h², ….
    """

    def __init__(
        self,
        loss: Field,
        method: Optimizer,
        parameters: Mapping[sympy.Symbol, sympy.Expr],
        memory: Sequence[Sequence[Fraction]],
    ):
        self.step: NumericField = optimizer_field(loss, method, parameters)
        self._dimension = loss.dimension
        self._memory = memory

    def iterates(
        self, precision: Precision, first: Vector, h: Fraction, steps: int
    ) -> list[Vector]:
        """Return θ₀, …, θ_steps."""
        rate = precision.number(h)
        step = precision.field(self.step, rate)
        memory = [
            precision.number(sum(c * h**k for k, c in enumerate(coefficients)))
            for coefficients in self._memory
        ]
        state = Vector((*first, *memory))
        theta: list[Vector] = [first]
        while len(theta) <= steps:
            state = step(state)
            theta.append(Vector(state[: self._dimension]))
        return theta


def on_slow_manifold(
    loss: Field,
    method: Optimizer,
    start: Sequence[Fraction],
    parameters: Mapping[sympy.Symbol, sympy.Expr],
    order: int,
) -> StartedOptimizer:
    """Return an optimizer that starts at θ₀ with the memory that its slow manifold has there.

    That memory is a series in h; its coefficients at the point are numbers with many digits.

    Args:
        loss: The loss or vector field.
        method: The optimizer, without symbols.
        start: The point θ₀, exactly.
        parameters: Values of the parameters of the loss.
        order: The order of the field that the steps are compared with.
    """
    powers = order + POWERS_BEYOND
    f, context = series_at(loss, start, parameters, DIGITS)
    memory = [
        [_exact(context.convert(coefficient)) for coefficient in entry.first(powers + 1)]
        for entry in slow_manifold(method, f).memory(powers)
    ]
    return StartedOptimizer(loss, method, parameters, memory)


class AtRest:
    """A method that starts with a memory of nothing, and where its flow starts.

    Args:
        loss: The loss or vector field.
        method: Momentum: an optimizer or a linear method of two steps, without symbols.
        start: The point θ₀, exactly.
        parameters: Values of the parameters of the loss.
        order: The order n of the flow.
        last: The highest power of h that is looked at.

    Attributes:
        optimizer: The optimizer at rest.
        decay: By what its slowest memory is multiplied in each step.
        power: The first power of h beyond hⁿ in the start of the flow that is not zero, at most
            ``last``.

    Raises:
        InvalidMethod: The start of the flow has no exact series.
    """

    def __init__(
        self,
        loss: Field,
        method: Method,
        start: Sequence[Fraction],
        parameters: Mapping[sympy.Symbol, sympy.Expr],
        order: int,
        last: int,
    ):
        optimizer = as_optimizer(method)
        ring, shifts = start_series(loss, last, optimizer)
        point = dict(zip(loss.variables, map(sympy.Rational, start), strict=True)) | parameters
        values = [[ring.to_sympy(entry).xreplace(point) for entry in shift] for shift in shifts]
        self._shifts = values[:order]
        beyond = (j for j in range(order, last) if not all(e.is_zero for e in values[j]))
        self.power = next(beyond, last - 1) + 1
        self.decay = slowest_decay(loss, optimizer)
        memory = [[Fraction(0)]] * (len(optimizer.memory) * loss.dimension)
        self.optimizer = StartedOptimizer(loss, optimizer, parameters, memory)

    def shifted(self, precision: Precision, start: Vector, h: Fraction) -> Vector:
        """Return where the flow starts that the iterates approach."""
        powers = [precision.number(h ** (j + 1)) for j in range(len(self._shifts))]
        return Vector(
            x
            + sum(
                power * precision.number(shift[i])
                for power, shift in zip(powers, self._shifts, strict=True)
            )
            for i, x in enumerate(start)
        )


def _exact(number: Number) -> Fraction:
    """Return the value of an mpf."""
    sign, mantissa, exponent, _ = number._mpf_
    value = Fraction(int(mantissa)) * Fraction(2) ** exponent
    return -value if sign else value
