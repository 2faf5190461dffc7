"""The mean of an epoch over all orders of its batches, for any number of batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial, reduce
from typing import Any

import sympy

from modeq.checks import check_order
from modeq.derivation.derive import EXTRA_DEPTH
from modeq.derivation.lie import (
    VectorElement,
    along,
    jacobian_rows,
    lie_recursion,
    linear_combination,
)
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidOrder
from modeq.losses.loss import H, SplitField


def shuffled_field(losses: Any, order: int = 1) -> sympy.ImmutableMatrix:
    """Return the field of the mean epoch over all orders of any number of losses, through h².

    With f_k = -∇L_k, F = Σf_k and sums over different batches written out by inclusion and
    exclusion, the mean epoch is θ + h F + h²/2 (F'F - Σf_k'f_k) + h³ d₃ + …, where

        d₃ = 1/6 Σ f_i'f_j'f_k + 1/6 Σ f_i''(f_j, f_k) + 1/4 Σ f_i''(f_j, f_j),

    for in the mean a step of i comes after one of j in half of all orders, and after those of j and
    k in a third (derived here). Its logarithm is F - h/2 Σf_k'f_k + h² f₂ + ….

    Args:
        losses: Losses, or ``Minibatches``, whose parts are taken and whose sampling is not.
        order: The highest power of h, at most 2.

    Raises:
        InvalidOrder: The order is larger; ``ShuffledEpoch`` has any order, for few losses.

    >>> shuffled_field(["(x - 1)**2/2", "(x + 1)**2"])  # -∇(L₁ + L₂ + h/4 (|g₁|² + |g₂|²))
    Matrix([[-5*h*x/2 - 3*h/2 - 3*x - 1]])
    """
    field = losses if isinstance(losses, SplitField) else SplitField(losses)
    if check_order(order) > 2:
        raise InvalidOrder(f"order is {order}; the mean over orders is known here through h**2")
    components = [f for part in field.parts for f in part.components]
    ring = DifferentialRing(field.variables, field.parameters, components, EXTRA_DEPTH + order)
    parts = [tuple(map(ring.convert, part.components)) for part in field.parts]
    fields = lie_recursion(ring, _MeanEpoch(ring, parts).step(order), order)
    columns = [sympy.Matrix([ring.to_sympy(entry) for entry in f]) for f in fields]
    total = sum((H**k * f for k, f in enumerate(columns[1:], 1)), columns[0])
    return sympy.ImmutableMatrix(total).expand()


class _MeanEpoch:
    """The coefficients of h, h², h³ in the mean epoch over all orders."""

    def __init__(self, ring: DifferentialRing, parts: Sequence[VectorElement]):
        self.ring = ring
        self.parts = parts
        self.whole = self._sum(parts)
        self._along = partial(along, ring)

    def step(self, order: int) -> list[VectorElement]:
        makers = (lambda: self.whole, self._second, self._third)
        return [make() for make in makers[: order + 1]]

    def _second(self) -> VectorElement:
        own = self._sum(self._along(f, f) for f in self.parts)
        return self._weighted([(1, 2), (-1, 2)], [self._along(self.whole, self.whole), own])

    def _third(self) -> VectorElement:
        F, parts, along, bent = self.whole, self.parts, self._along, self._bent
        own = self._sum(along(f, f) for f in parts)
        chains = [
            along(F, along(F, F)),
            self._sum(along(f, along(f, F)) for f in parts),
            along(F, own),
            self._sum(along(f, along(F, f)) for f in parts),
            self._sum(along(f, along(f, f)) for f in parts),
        ]
        twice = self._sum(bent(F, f, f) for f in parts)
        alone = self._sum(bent(f, f, f) for f in parts)
        bushes = [bent(F, F, F), self._sum(bent(f, f, F) for f in parts), twice, alone]
        chain_weights = [(1, 6), (-1, 6), (-1, 6), (-1, 6), (1, 3)]
        bush_weights = [(1, 6), (-1, 3), (1, 12), (1, 12)]
        return self._weighted(chain_weights + bush_weights, chains + bushes)

    def _bent(self, f: VectorElement, u: VectorElement, v: VectorElement) -> VectorElement:
        """Return f''(u, v)."""
        ring = self.ring
        indices = range(len(u))
        return tuple(
            sum(
                (
                    ring.derivative(slope, j) * u[i] * v[j]
                    for i, slope in enumerate(row)
                    for j in indices
                ),
                ring.zero,
            )
            for row in jacobian_rows(ring, f)
        )

    def _sum(self, vectors: Iterable[VectorElement]) -> VectorElement:
        return reduce(lambda u, v: tuple(a + b for a, b in zip(u, v, strict=True)), vectors)

    def _weighted(self, weights: Sequence, vectors: Sequence[VectorElement]) -> VectorElement:
        numbers = [self.ring.constant(sympy.Rational(*weight)) for weight in weights]
        return linear_combination(self.ring, numbers, vectors)
