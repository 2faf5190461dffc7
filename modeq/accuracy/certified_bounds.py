"""Bounds of learning rates by interval arithmetic along a validated trajectory: theorems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from flint import arb

from modeq.accuracy.ball_fields import BallField
from modeq.accuracy.balls import NotEnclosed, lower, matrix_norm_bound, norm_bound, pieces, upper
from modeq.accuracy.enclosure import Segment, contraction, trajectory
from modeq.accuracy.flow_bounds import LARGEST_RATE, Demand, FlowBound
from modeq.errors import FlowError
from modeq.losses.loss import Loss

MAX_ATTEMPTS = 40
SAFETY = 0.98
"""How much smaller the next rate is than the error bound at the last one allows."""

ENOUGH = 1.05
"""How much larger the next rate must be for another attempt to be worth it."""

HOPELESS = 1e6
"""An error bound that is so much larger than the tolerance need not be followed to the end."""


class CertifiedBound:
    """The theorems of ``modeq.accuracy.bounds``, by intervals along a validated trajectory."""

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
