"""Validated trajectories: boxes of interval arithmetic that a flow provably stays in.

Arb's balls do the arithmetic. Each step has an a-priori box from Picard's iteration, a Taylor
polynomial at its center, whose remainder is bounded over that box, and a radius r around the center
that grows by the logarithmic norm: with m ≤ λ_min of the symmetric part of -f' on the box, two
solutions approach or separate by no more than exp(-m s) in a step s, so r⁺ = exp(-m s) r + ρ, where
ρ bounds the local error. No box is wrapped into another, so radii grow only as the flow does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flint import arb

from modeq.accuracy.ball_fields import TAYLOR_ORDER, BallField
from modeq.accuracy.balls import Box, NotEnclosed, eigenvalue_bounds, norm_bound, upper, widened
from modeq.errors import FlowError

MAX_SEGMENTS = 20_000
PICARD_ROUNDS = 6
ERROR_SHARE = 0.01
"""How much local errors may add up to, as a part of the radius of the tube."""

STEP_SHARE = 0.25
"""How far the center moves in a step, as a part of the radius of the tube."""

FEWEST_SEGMENTS, ENOUGH_SEGMENTS = 64, 512
"""How many boxes there are at least, and how many are enough for tubes however thin."""


@dataclass(frozen=True)
class Segment:
    """A piece of a validated trajectory.

    Attributes:
        start, stop: Times.
        center: A point near the solution at ``start``.
        radius: How far the solution is from it at ``start``, at most.
        box: A box that the solution is in from ``start`` to ``stop``.
        tube: The box with a margin on all sides.
    """

    start: float
    stop: float
    center: tuple[float, ...]
    radius: float
    box: Box
    tube: Box


def trajectory(
    field: BallField, start: Sequence[float], time: float, margin: float
) -> Iterator[Segment]:
    """Yield pieces of a validated solution from 0 to ``time``, with boxes widened by a margin.

    Raises:
        FlowError: The solution cannot be enclosed until then: it blows up or leaves the domain.
    """
    center, radius, t = [float(x) for x in start], 0.0, 0.0
    step = time / FEWEST_SEGMENTS
    for _ in range(MAX_SEGMENTS):
        speed = norm_bound(field([arb(x) for x in center]))
        near = STEP_SHARE * margin / speed if speed else time
        step = min(2 * step, time / FEWEST_SEGMENTS, max(near, time / ENOUGH_SEGMENTS))
        # The last step is a little longer, because times are rounded when they are added.
        rest = time - t + 1e-11 * time
        box, following, error, step = _step(field, center, radius, min(step, rest), margin, time)
        stop = time if step >= rest else t + step
        # So do points of the flow move a little, against their times.
        slack = 1e-10 * time * norm_bound(field(box))
        yield Segment(t, stop, tuple(center), radius, box, widened(box, margin + slack))
        if stop == time:
            return
        rate, _ = contraction(field, box)
        radius = upper((-arb(rate) * arb(step)).exp() * arb(radius) + arb(error))
        center, t = following, stop
    raise FlowError(
        f"the trajectory is not enclosed until t = {time:.6g}: it took {MAX_SEGMENTS} boxes to "
        f"come to t = {t:.6g}; take a shorter time or a larger tolerance"
    )


def contraction(field: BallField, box: Box) -> tuple[float, float]:
    """Return bounds of the eigenvalues of the symmetric part of -f' on a box."""
    low, high = eigenvalue_bounds(field.jacobian(box))
    return -high, -low


def _step(field, center, radius, step, margin, time) -> tuple[Box, list[float], float, float]:
    """Return the box of a step, the next center, the local error there, and the step taken."""
    around = [arb(x, radius) for x in center]
    while step > 1e-12 * time:
        try:
            box = _a_priori(field, around, step)
            if box is not None:
                following, error = _taylor_step(field, center, box, step)
                spread = norm_bound([arb(f.rad()) for f in field([arb(x) for x in center])])
                if error <= step * (ERROR_SHARE * margin / time + 2 * spread):
                    return box, following, error, step
        except NotEnclosed:
            pass
        step /= 2
    raise FlowError(
        f"the trajectory cannot be enclosed beyond {center}: it blows up or leaves the domain, or "
        f"the boxes around it do"
    )


def _a_priori(field: BallField, around: Box, step: float) -> Box | None:
    """Return a box that all solutions from ``around`` stay in, by Picard's iteration."""
    times = arb(step / 2, step / 2)
    box = around
    for _ in range(PICARD_ROUNDS):
        image = [x + times * f for x, f in zip(around, field(box), strict=True)]
        if all(x.contains(y) for x, y in zip(box, image, strict=True)):
            return image
        box = [
            x.union(y) + arb(0, upper(y.rad()) / 8 + 1e-300)
            for x, y in zip(around, image, strict=True)
        ]
    return None


def _taylor_step(field, center, box, step) -> tuple[list[float], float]:
    s = arb(step)
    coefficients = field.taylor([arb(x) for x in center])[:TAYLOR_ORDER]
    coefficients.append(field.taylor(box)[TAYLOR_ORDER])
    after = [arb(x) for x in center]
    for k, row in enumerate(coefficients, 1):
        after = [x + c * s**k for x, c in zip(after, row, strict=True)]
    following = [float(x.mid()) for x in after]
    return following, norm_bound([x - arb(y) for x, y in zip(after, following, strict=True)])
