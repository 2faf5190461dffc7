"""Bounds of learning rates from random points of the tube around a flow, in double precision."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from modeq.accuracy.flow_bounds import Demand, FlowBound
from modeq.errors import FlowError
from modeq.flows.flow import integrate
from modeq.flows.next_terms import field_and_next_term
from modeq.flows.numeric import domain_field, gradient_field, recorded

SAMPLES = 24
SAMPLE_TIMES = 100


class SampledBound:
    """The theorems of ``modeq.accuracy.bounds`` with suprema over random points: no proof.

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
        step = demand.time / SAMPLE_TIMES
        path = integrate(lambda x: self.f(x, 0.0), demand.start, step, SAMPLE_TIMES).theta
        rows = [self._row(point) for point in path]
        m = np.minimum(*np.array([[row[0] for row in pair] for pair in pairwise(rows)]).T)
        sizes = np.maximum.accumulate(np.array([row[1:] for row in rows]), axis=0)[1:]
        growth = [0.0]
        for rate in m:
            shrink = math.exp(-rate * step)
            growth.append(
                shrink * growth[-1] - (math.expm1(-rate * step) / rate if rate else -step)
            )
        defect = sizes[:, 0] * sizes[:, 1]
        products = defect * np.maximum(growth[1:], growth[:-1])
        power = 1 / (demand.order + 1)
        rates = ((demand.tolerance / p) ** power for p in products if p > 0)
        largest = min(rates, default=math.inf)
        return FlowBound(
            max_learning_rate=float(largest),
            certified=False,
            reason="suprema were sampled, as asked",
            order=demand.order,
            time=demand.time,
            tolerance=demand.tolerance,
            t=step * np.arange(SAMPLE_TIMES + 1),
            lambda_min=m,
            growth=np.array(growth),
            defect=defect,
            centers=path[:-1],
            radii=np.zeros(SAMPLE_TIMES),
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
