"""What a flow follows: the iterates of a method in many digits, and where their flow starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import factorial

import numpy as np

from modeq.algebra.power_series import Vector
from modeq.derivation.start_shift import slow_start, starts_at_rest
from modeq.errors import FlowError, InvalidMethod
from modeq.flows.next_terms import field_and_next_term
from modeq.flows.numeric import NumericField, gradient_field, part_fields, recorded
from modeq.flows.precise import Precision, exact_point, flow, is_finite
from modeq.flows.precise_iterates import PreciseField, precise_iterates
from modeq.flows.started import AtRest, on_slow_manifold
from modeq.losses.loss import Field, H
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer

POWERS_BEYOND = 3
"""Counter terms beyond the first error in the flow that multistep methods take their start from."""

GUARD_DIGITS = 4

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
        tolerance = precision.number(Fraction(1, 10 ** (precision.digits - GUARD_DIGITS)))
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
