"""The iterates of a method that has no memory, or a table of one, in many digits."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from modeq.algebra.power_series import Vector
from modeq.errors import DidNotConverge
from modeq.flows.numeric import NumericField
from modeq.flows.precise import Number, Precision, flow, norm
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method

MAX_SWEEPS = 2_000


def precise_iterates(
    method: Method,
    precision: Precision,
    f: PreciseField,
    first: Sequence[Vector],
    h: Number,
    steps: int,
) -> list[Vector]:
    """Return the iterates of the method from its first points on, with many digits.

    Args:
        method: A method that is no optimizer with a rule, without symbols.
        precision: The digits.
        f: The field.
        first: The points that the method starts from.
        h: The learning rate.
        steps: How many steps.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> from modeq.flows.numeric import gradient_field
    >>> gradient = gradient_field(Loss("x**2/2"))
    >>> with Precision(30, gradient) as p:
    ...     h = p.number(Fraction(1, 10))
    ...     f = PreciseField(p, gradient, h)
    ...     theta = precise_iterates(GradientDescent(), p, f, [p.vector([1])], h, 2)
    >>> print(f"{theta[2][0]:.20f}")
    0.81000000000000000000
    """
    theta = list(first)
    if isinstance(method, LinearMultistep):
        recurrence = method.recurrence_over(precision.number)
        step = lambda: recurrence(theta[-method.steps :], f, h)  # noqa: E731
    else:
        rule = method.rule_over(precision.number)
        step = lambda: rule(theta[-1], f, h)  # noqa: E731
    while len(theta) <= steps:
        theta.append(step())
    return theta


class PreciseField:
    """The field of a loss over many digits: the ``f`` that an update rule is run with."""

    def __init__(
        self,
        precision: Precision,
        gradient: NumericField,
        h: Number,
        parts: Sequence[NumericField] = (),
    ):
        self.parts = tuple(PreciseField(precision, part, h) for part in parts)
        self._f = precision.field(gradient, h)
        self._tolerance = precision.number(Fraction(1, 10 ** (precision.digits - 3)))

    def __call__(self, theta: Vector) -> Vector:
        """Return f at a point."""
        return self._f(theta)

    def flow(self, theta: Vector, time: Number) -> Vector:
        """Return the exact flow of the field for a time that may be negative."""
        tolerance = 10 * self._tolerance
        if time < 0:
            return flow(lambda point: -self._f(point), theta, -time, tolerance)
        return flow(self._f, theta, time, tolerance)

    def fixed_point(self, sweep, start: tuple[Vector, ...]) -> tuple[Vector, ...]:
        """Repeat ``sweep`` until the stages settle; this converges for small h."""
        for _ in range(MAX_SWEEPS):
            following = sweep(start)
            change = max(norm(a - b) for a, b in zip(following, start, strict=True))
            if change <= self._tolerance * (1 + max(map(norm, following))):
                return following
            start = following
        raise DidNotConverge("the implicit stages were not found; take a smaller h")
