"""What a flow follows: the iterates of a method in many digits, and where their flow starts.

An optimizer starts on its slow manifold or at rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import factorial

import numpy as np
import sympy

from modeq.algebra.power_series import Vector
from modeq.derivation.slow_manifold import slow_manifold
from modeq.derivation.start_shift import slow_start, slowest_decay, start_series, starts_at_rest
from modeq.errors import FlowError, InvalidMethod
from modeq.flows.fields import (
    NumericField,
    gradient_field,
    optimizer_field,
    part_fields,
    recorded,
    series_at,
)
from modeq.flows.next_terms import field_and_next_term
from modeq.flows.precise import (
    Number,
    PreciseField,
    Precision,
    exact_point,
    flow,
    is_finite,
    precise_iterates,
)
from modeq.losses.loss import Field, H
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.two_steps import as_optimizer

_DIGITS = 80
START_POWERS = 6
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
    powers = order + START_POWERS
    f, context = series_at(loss, start, parameters, _DIGITS)
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


POWERS_BEYOND = 3
"""Counter terms beyond the first error in the flow that multistep methods take their start from."""

_GUARD_DIGITS = 4

Followed = tuple[list[Vector], Vector]
"""The iterates θ₀, …, θ_steps, and where the flow starts."""


class StepsFollowed:
    """A one-step method from a point, or a multistep method from points of its own flow.

    Args:
        loss: The loss or vector field.
        method: A method without symbols that is no optimizer with a rule.
        start: The start, of shape (d,).
        values: Values of the parameters of the loss.
        power: The power j of h in the first counter term that the flow leaves out.
    """

    at_rest = False

    def __init__(self, loss: Field, method: Method, start: np.ndarray, values: Mapping, power: int):
        self.method, self.start = method, exact_point(start)
        self._gradient, self._parts = gradient_field(loss, values), part_fields(loss, values)
        self._memory = method.steps if isinstance(method, LinearMultistep) else 1
        self._ahead: NumericField | None = None
        if self._memory > 1:
            self._ahead = field_and_next_term(loss, power + POWERS_BEYOND, values, method)[0]

    @property
    def fields(self) -> list[NumericField]:
        """The fields that are run in many digits."""
        return [self._gradient, *self._parts, *filter(None, [self._ahead])]

    def iterates(self, precision: Precision, h: Fraction, steps: int) -> Followed:
        """Return θ₀, …, θ_steps and the start."""
        rate, start = precision.number(h), precision.vector(self.start)
        first = [start]
        tolerance = precision.number(Fraction(1, 10 ** (precision.digits - _GUARD_DIGITS)))
        while len(first) < self._memory:
            first.append(flow(precision.field(self._ahead, rate), first[-1], rate, tolerance))
        f = PreciseField(precision, self._gradient, rate, self._parts)
        theta = precise_iterates(self.method, precision, f, first, rate, steps)
        return _finite(theta, self.method), start


class OptimizerFollowed:
    """An optimizer with a rule, on its slow manifold. The arguments are those of StepsFollowed."""

    at_rest = False

    def __init__(
        self, loss: Field, method: Optimizer, start: np.ndarray, values: Mapping, power: int
    ):
        self.method, self.start = method, exact_point(start)
        self._optimizer = on_slow_manifold(loss, method, self.start, values, power)

    @property
    def fields(self) -> list[NumericField]:
        """The fields that are run in many digits."""
        return [self._optimizer.step]

    def iterates(self, precision: Precision, h: Fraction, steps: int) -> Followed:
        """Return θ₀, …, θ_steps and the start."""
        start = precision.vector(self.start)
        return _finite(self._optimizer.iterates(precision, start, h, steps), self.method), start


class RestFollowed:
    """Momentum from rest, and the start of its flow through hⁿ.

    Attributes:
        power: The first power of h beyond hⁿ in the start of the flow that is not zero.
    """

    at_rest = True

    def __init__(
        self,
        loss: Field,
        method: Method,
        start: np.ndarray,
        values: Mapping,
        order: int,
        power: int,
    ):
        if not starts_at_rest(method):
            raise InvalidMethod(f"{method} has no memory that could start at rest; leave it out")
        self.loss, self.method, self.values, self._point = loss, method, values, start
        self.start = exact_point(start)
        self._resting = AtRest(loss, method, self.start, values, order, power)
        self.power = self._resting.power

    @property
    def fields(self) -> list[NumericField]:
        """The fields that are run in many digits."""
        return [self._resting.optimizer.step]

    def iterates(self, precision: Precision, h: Fraction, steps: int) -> Followed:
        """Return θ₀, …, θ_steps from rest and the start of the flow."""
        start = precision.vector(self.start)
        theta = self._resting.optimizer.iterates(precision, start, h, steps)
        return _finite(theta, self.method), self._resting.shifted(precision, start, h)

    def missing_shift(self) -> np.ndarray:
        """Return by how much the start of the flow is missed: minus its coefficient of h^power."""
        column = slow_start(self.loss, self.power, self.method)
        shift = [e.diff(H, self.power).subs(H, 0) / factorial(self.power) for e in column]
        return -recorded(self.loss, shift, self.values)(self._point, 0.0)


def followed(
    loss: Field,
    method: Method,
    start: np.ndarray,
    values: Mapping,
    order: int,
    power: int,
    at_rest: bool = False,
) -> StepsFollowed | OptimizerFollowed | RestFollowed:
    """Return what the flow of order n follows.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> source = followed(Loss("x**2/2"), GradientDescent(), np.array([1.0]), {}, 0, 1)
    >>> with Precision(30, *source.fields) as p:
    ...     theta, start = source.iterates(p, Fraction(1, 10), 2)
    >>> print(f"{theta[2][0]:.20f} {start[0]:.3f}")
    0.81000000000000000000 1.000
    """
    if at_rest:
        return RestFollowed(loss, method, start, values, order, power)
    kind = OptimizerFollowed if isinstance(method, Optimizer) else StepsFollowed
    return kind(loss, method, start, values, power)


def _finite(theta: Sequence[Vector], method: Method) -> list[Vector]:
    for before, point in pairwise(theta):
        if not is_finite(point):
            raise FlowError(
                f"{method} diverges or leaves the domain after {[float(x) for x in before]}"
            )
    return list(theta)
