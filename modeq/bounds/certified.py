"""Bounds of learning rates by interval arithmetic along a validated trajectory: theorems.

A validated trajectory is made of boxes that a flow provably stays in. Arb's balls do the
arithmetic. Each step has an a-priori box from Picard's iteration, a Taylor polynomial at its
center, whose remainder is bounded over that box, and a radius r around the center that grows by the
logarithmic norm: with m ≤ λ_min of the symmetric part of -f' on the box, two solutions approach or
separate by no more than exp(-m s) in a step s, so r⁺ = exp(-m s) r + ρ, where ρ bounds the local
error. No box is wrapped into another, so radii grow only as the flow does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb

from modeq.bounds.ball_fields import TAYLOR_ORDER, BallField
from modeq.bounds.balls import (
    Box,
    NotEnclosed,
    eigenvalue_bounds,
    lower,
    matrix_norm_bound,
    norm_bound,
    pieces,
    upper,
    widened,
)
from modeq.bounds.flow_bound import LARGEST_RATE, Demand, FlowBound
from modeq.errors import FlowError
from modeq.losses.loss import Loss

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


MAX_ATTEMPTS = 40
SAFETY = 0.98
"""How much smaller the next rate is than the error bound at the last one allows."""

ENOUGH = 1.05
"""How much larger the next rate must be for another attempt to be worth it."""

HOPELESS = 1e6
"""An error bound that is so much larger than the tolerance need not be followed to the end."""


class CertifiedBound:
    """The theorems of ``modeq.bounds.bounds``, by intervals along a validated trajectory."""

    def __init__(self, demand: Demand):
        self.demand = demand
        self.tolerance, self.order = demand.tolerance, demand.order
        self.is_loss = isinstance(demand.loss, Loss)
        self.field = BallField(demand.loss, demand.order, demand.values)

    def bound(self, guess: float) -> FlowBound:
        """Return a certified bound; for n > 0 one near the largest rate that can be certified.

        Raises:
            NotEnclosed, FlowError: There is no proof.
        """
        return self._search(min(guess, LARGEST_RATE)) if self.order else self._gradient_flow()

    def _gradient_flow(self) -> FlowBound:
        field = self.field.at(arb(0))
        segments = list(self._trajectory(field))
        rows, growth, largest, beta, gamma = [], arb(0), math.inf, 0.0, 0.0
        for segment in segments:
            parts = pieces(segment.tube)
            slopes = [matrix_norm_bound(field.jacobian(part), self.is_loss) for part in parts]
            beta = max(beta, *slopes)
            gamma = max(gamma, *(norm_bound(field(part)) for part in parts))
            m = min(contraction(field, part)[0] for part in parts)
            before, growth = growth, _grown(growth, m, segment)
            worst = max(upper(before), upper(growth))
            product = arb(beta) * arb(gamma) * arb(worst)
            if product > 0:
                largest = min(largest, lower(arb(self.tolerance) / product))
            rows.append((m, upper(growth), upper(arb(beta) * arb(gamma))))
        if not largest > 0:
            raise NotEnclosed("the learning rate that is certified is smaller than floats are")
        return self._result(largest, segments, rows)

    def _search(self, rate: float) -> FlowBound:
        """Return the bound at the largest of the rates that are tried, each after what the error
        bound at the one before says.
        """
        best, failed = None, math.inf
        for _ in range(MAX_ATTEMPTS):
            size, found = self._at(rate)
            if found is not None:
                best = found
            else:
                failed = rate
            lowest = best.max_learning_rate if best else 0.0
            if lowest == LARGEST_RATE:
                break
            # The error bound goes about like h^{n+1}.
            guess = SAFETY * rate * (self.tolerance / size) ** (1 / (self.order + 1))
            if size == math.inf or not lowest < guess < failed:
                guess = math.sqrt(lowest * failed) if lowest else rate / 2
            if lowest and not guess > ENOUGH * lowest:
                break
            rate = min(max(guess, rate / 10), 2 * rate, LARGEST_RATE)
        if best is None:
            raise NotEnclosed(f"no learning rate down to {rate:.3g} was certified")
        return best

    def _at(self, rate: float) -> tuple[float, FlowBound | None]:
        """Return a bound of the error of the flow of order n > 0 for all h ≤ rate, and the result
        if it is below the tolerance.
        """
        rates = arb(rate / 2, rate / 2 * (1 + 1e-12))
        field, h = self.field.at(rates), arb(rate)
        segments, rows, growth, size = [], [], arb(0), 0.0
        defect = largest_growth = most = 0.0
        try:
            for segment in self._trajectory(field):
                m, _ = contraction(field, segment.tube)
                growth = _grown(growth, m, segment)
                defect = max(defect, norm_bound(field.defect(segment.tube)))
                largest_growth, most = max(largest_growth, upper(growth)), max(most, m)
                worst = (h * arb(most)).exp() * arb(largest_growth)
                size = upper(h ** (self.order + 1) * arb(defect) * worst)
                if not size < HOPELESS * self.tolerance:
                    break
                segments.append(segment)
                rows.append((m, upper(growth), defect))
        except (NotEnclosed, FlowError):
            return math.inf, None
        return size, self._result(rate, segments, rows) if size < self.tolerance else None

    def _trajectory(self, field: BallField) -> Iterator[Segment]:
        return trajectory(field, self.demand.start.tolist(), self.demand.time, self.tolerance)

    def _result(self, rate: float, segments: Sequence[Segment], rows: Sequence) -> FlowBound:
        m, growth, defect = (np.array(column) for column in zip(*rows, strict=True))
        return FlowBound(
            max_learning_rate=rate,
            certified=True,
            reason="",
            order=self.order,
            time=self.demand.time,
            tolerance=self.tolerance,
            t=np.array([0.0, *(segment.stop for segment in segments)]),
            lambda_min=m,
            growth=np.concatenate([[0.0], growth]),
            defect=defect,
            centers=np.array([segment.center for segment in segments]),
            radii=np.array([segment.radius for segment in segments]),
        )


def _grown(growth: arb, m: float, segment: Segment) -> arb:
    """Return D(t + s) = exp(-m s) D(t) + (1 - exp(-m s))/m, for D' = 1 - m D, bounded above."""
    # Rounding of times is covered by a step that is a little longer.
    step = arb(segment.stop) - arb(segment.start) + arb(0, 1e-15 * (1 + segment.stop))
    if m == 0:
        return growth + step
    shrink = (-arb(m) * step).exp()
    return shrink * growth + (-(-arb(m) * step).expm1()) / arb(m)
