"""Arrays of the derivatives f, f', f'', … of a field at a point, as compiled functions.

Of a loss f = -∇L all indices are alike, and each derivative is found once; of a field those after
the first are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from modeq.flows.numeric import recorded
from modeq.losses.loss import Field, Loss

Index = tuple[int, ...]


class DerivativeTensors:
    """The function θ ↦ [f, f', …] of arrays of shape (d,), (d, d), (d, d, d), …

    Args:
        loss: A loss or vector field.
        order: How many times f is differentiated.
        parameters: Values of its parameters.

    Points may be complex: then the derivatives are those of the analytic continuation.

    Example:
        >>> tensors = DerivativeTensors(Loss("x**3/3 + x*y"), 2)
        >>> [array.tolist() for array in tensors([1.0, 2.0])[:2]]
        [[-3.0, -1.0], [[-2.0, -1.0], [-1.0, 0.0]]]
    """

    def __init__(self, loss: Field, order: int, parameters: Mapping | None = None):
        expressions, self._places = _all_derivatives(loss, order)
        self._function = recorded(loss, expressions, parameters)

    def __call__(self, theta: Any) -> list[np.ndarray]:
        """Return the arrays at a point of shape (d,)."""
        values = self._function(theta, 0.0)
        return [values[places] for places in self._places]


def _all_derivatives(loss: Field, order: int) -> tuple[list[sympy.Expr], list[np.ndarray]]:
    """Return the different derivatives, and for each array where its entries are among them."""
    if isinstance(loss, Loss):
        levels = _levels(-loss.expression, loss.variables, order + 1)[1:]
        found = list(itertools.chain.from_iterable(level.values() for level in levels))
        place = _numbered(levels)
        shapes = range(1, order + 2)
        return found, [_places(loss.dimension, p, lambda i, p=p: place[p - 1][i]) for p in shapes]
    found, tables = [], [[] for _ in range(order + 1)]
    for component in loss.components:
        for p, level in enumerate(_levels(component, loss.variables, order)):
            place = {index: len(found) + k for k, index in enumerate(level)}
            found.extend(level.values())
            tables[p].append(_places(loss.dimension, p, place.__getitem__))
    return found, [np.array(table) for table in tables]


def _levels(
    expression: sympy.Expr, variables: Sequence[sympy.Symbol], order: int
) -> list[dict[Index, sympy.Expr]]:
    """Return {ascending indices: derivative} for no derivative, for one, for two, …"""
    levels = [{(): expression}]
    for _ in range(order):
        levels.append(
            {
                (*index, i): derivative.diff(variables[i])
                for index, derivative in levels[-1].items()
                for i in range(index[-1] if index else 0, len(variables))
            }
        )
    return levels


def _numbered(levels: Sequence[Mapping]) -> list[dict[Index, int]]:
    count = itertools.count()
    return [{index: next(count) for index in level} for level in levels]


def _places(dimension: int, rank: int, place: Any) -> np.ndarray:
    """Return the array of a symmetric tensor's entries, each by its sorted indices."""
    result = np.empty((dimension,) * rank, int)
    for index in np.ndindex(result.shape):
        result[index] = place(tuple(sorted(index)))
    return result
