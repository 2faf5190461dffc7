"""Bounds of learning rates from random points of the tube around a flow, in double precision."""

from __future__ import annotations

import math

import numpy as np

from modeq.bounds.flow_bound import Demand, FlowBound
from modeq.errors import FlowError
from modeq.flows.fields import domain_field, gradient_field, recorded
from modeq.flows.integrate import solver_steps
from modeq.flows.next_terms import field_and_next_term

SAMPLES = 24
FEWEST_TIMES, MOST_TIMES = 100, 20_000
CHANGE = 0.1
"""By how much the logarithm of the growth until the end may be uncertain."""


class SampledBound:
    """The theorems of ``modeq.bounds.bounds`` with suprema over random points: no proof.

    For n > 0 the tube and m are those around gradient flow, and the defect is h^{n+2} f_{n+1}, its
    leading order.

    Args:
        demand: What is asked.
    """

    def __init__(self, demand: Demand):
        self.demand = demand
        loss, order, values = demand.loss, demand.order, demand.values
        d = loss.dimension
        slopes = [f.diff(x) for f in loss.components for x in loss.variables]
        self.jacobian = recorded(loss, slopes, values)
        self.f, self.domain = gradient_field(loss, values), domain_field(loss, values)
        self.next_term = field_and_next_term(loss, order, values)[1] if order else None
        rng = np.random.default_rng(0)
        directions = rng.normal(size=(SAMPLES, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        inside = directions * rng.random((SAMPLES, 1))
        self.offsets = demand.tolerance * np.concatenate([np.zeros((1, d)), directions, inside])

    def bound(self) -> FlowBound:
        """Return the bound that the samples give."""
        demand = self.demand
        t, path, rows = self._samples()
        m = np.minimum(rows[1:, 0], rows[:-1, 0])
        defects = np.maximum.accumulate(rows[:, 1:], axis=0)[1:]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            growth = _growth(m, np.diff(t))
            defect = defects[:, 0] * defects[:, 1]
            products = defect * np.maximum(growth[1:], growth[:-1])
            rates = (demand.tolerance / products[products > 0]) ** (1 / (demand.order + 1))
        largest = np.min(rates, initial=math.inf)
        return FlowBound(
            max_learning_rate=float(largest),
            certified=False,
            reason="suprema were sampled, as asked",
            order=demand.order,
            time=demand.time,
            tolerance=demand.tolerance,
            t=t,
            lambda_min=m,
            growth=growth,
            defect=defect,
            centers=path[:-1],
            radii=np.zeros(len(m)),
        )

    def _samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return times, points of the flow, and the rows there: at the solver's own steps, and
        between them where m changes so much that the growth over the step is not known well.
        """
        t, theta = solver_steps(
            lambda x: self.f(x, 0.0), self.demand.start, self.demand.time, FEWEST_TIMES
        )
        rows = {time: self._row(theta(time)) for time in t}
        while len(t) < MOST_TIMES:
            m = np.array([rows[time][0] for time in t])
            unknown = np.abs(np.diff(m)) * np.diff(t)
            coarse = unknown > CHANGE / len(t)
            if np.sum(unknown) <= CHANGE:
                return t, theta(t), np.array([rows[time] for time in t])
            between = ((t[1:] + t[:-1]) / 2)[coarse]
            rows |= {time: self._row(theta(time)) for time in between}
            t = np.sort(np.concatenate([t, between]))
        raise FlowError(
            f"the curvature changes so fast along the flow until t = {self.demand.time:.6g} that "
            f"{MOST_TIMES:,} samples do not show it; take a shorter time"
        )

    def _row(self, point: np.ndarray) -> tuple[float, float, float]:
        """Return the smallest eigenvalue and two suprema, over the samples around a point."""
        points, d = point + self.offsets, len(point)
        jacobians = self.jacobian(points, 0.0).reshape(-1, d, d)
        if not np.all(np.isfinite(self.domain(points, 0.0))) or not np.all(np.isfinite(jacobians)):
            raise FlowError(f"the tube around {point.tolist()} leaves the domain of the loss")
        symmetric = (jacobians + jacobians.swapaxes(1, 2)) / 2
        m = -np.max(np.linalg.eigvalsh(symmetric))
        if self.next_term is not None:
            return m, 1.0, float(np.max(np.linalg.norm(self.next_term(points, 0.0), axis=1)))
        beta = np.max(np.linalg.norm(jacobians, 2, axis=(1, 2)))
        return m, float(beta), float(np.max(np.linalg.norm(self.f(points, 0.0), axis=1)))


def _growth(m: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return ∫₀ᵗ exp(-∫_{t'}^t m ds) dt' at the ends of the steps, from 0."""
    growth = [0.0]
    for rate, step in zip(m, steps, strict=True):
        since = -np.expm1(-rate * step) / rate if rate else step
        growth.append(np.exp(-rate * step) * growth[-1] + since)
    return np.array(growth)
