"""The coefficients of reduced trees for all eigendirections at once, with their limits.

The formula of ``modeq.principal.reduced_trees`` has denominators b - μ. Where one of them vanishes
and the coefficient does not, its value is the mean over a circle in the logarithms of the
multipliers, of which it is an analytic function there.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np

from modeq.algebra.trees import RootedTree
from modeq.errors import InvalidValue
from modeq.principal.first_correction import fork_coefficients
from modeq.principal.multipliers import PLAIN, Recurrence
from modeq.principal.reduced_trees import coefficient, reduced_trees

_NODES = 32
SHRINK = 0.25
"""The radius of the circle, in parts of the distance to the next pole: its powers are the error."""

_CLOSE = 1e-9
"""Logarithms that differ by less, rounding apart, are equal."""

_MAX_ENTRIES = 5_000_000
"""Coefficients for more choices of eigendirections would not fit into memory."""

_BLOCK = 4_096
"""Points that are worked on at a time."""

TRIALS = 400
"""Directions that are tried, to take the best of them."""


def coefficients(
    tree: RootedTree,
    logs: np.ndarray,
    others: np.ndarray,
    recurrence: Recurrence = PLAIN,
    phases: np.ndarray | None = None,
) -> np.ndarray:
    """Return the coefficients of a tree for all choices of an eigendirection at each vertex.

    Args:
        tree: A reduced tree with n vertices.
        logs: The logarithms of the d multipliers, of shape (d,).
        others: The logarithms of the other roots of each direction, of shape (d, k - 1).
        recurrence: The method.
        phases: What is left out of the logarithms because s steps are composed, multiples of
            2πi/s, of shape (d,); nothing unless given.

    Returns:
        An array of shape (d,) * n, with the removable limits at their places. It is inf or nan
        where a product of multipliers meets another one with another logarithm: a pole.
    """
    if phases is None or not np.any(phases):
        is_fork = recurrence.is_plain and tree == reduced_trees(1)[0]
        closed = fork_coefficients(logs) if is_fork else None
        if closed is not None:
            return closed
    return on_circles(tree, logs, others, recurrence, phases)


def on_circles(
    tree: RootedTree,
    logs: np.ndarray,
    others: np.ndarray,
    recurrence: Recurrence = PLAIN,
    phases: np.ndarray | None = None,
) -> np.ndarray:
    """Return the same by the general formula, and by means over circles around its limits."""
    shape = (len(logs),) * tree.order
    _check_size(*shape)
    phases = np.zeros(len(logs)) if phases is None else phases
    signs = _roots_of_unity(phases)
    result = np.empty(len(logs) ** tree.order, np.result_type(logs, signs))
    for begin in range(0, len(result), _BLOCK):
        chosen = np.arange(begin, min(begin + _BLOCK, len(result)))
        index = np.array(np.unravel_index(chosen, shape))
        points = _Points(tree, logs[index], phases[index], others[index], recurrence)
        result[chosen] = points.values(signs[index])
    return result.reshape(shape)


def _check_size(*shape: int) -> None:
    if math.prod(shape) > _MAX_ENTRIES:
        raise InvalidValue(
            f"a tree with {len(shape)} vertices in {shape[0]} dimensions has "
            f"{shape[0]}**{len(shape)} coefficients, more than {_MAX_ENTRIES:,}; take fewer "
            f"corrections"
        )


def _roots_of_unity(phases: np.ndarray) -> np.ndarray:
    """Return exp of the phases, real where they are 1 and -1."""
    signs = np.exp(phases)
    return np.rint(signs.real) if np.all(np.abs(signs.imag) < _CLOSE) else signs


@cache
def _gaps(tree: RootedTree) -> tuple[np.ndarray, np.ndarray]:
    """Return what is subtracted in the denominators b - μ of a tree: for each of them, in rows,
    which logarithms are summed for log b, and the vertex of μ.

    >>> sums, vertices = _gaps(RootedTree([RootedTree()] * 2))
    >>> logs = np.array([1, 10, 100])
    >>> sums @ logs - logs[vertices]
    array([-100,  -10,   -1,   99,    9,  109])
    """
    sums: list[np.ndarray] = []
    vertices: list[int] = []
    above = iter(reversed(range(tree.order)))
    none, unit = np.zeros(tree.order, int), np.eye(tree.order, dtype=int)

    def combine(children: list[list]) -> list:
        vertex = next(above)
        found = [sum(chosen, none) for chosen in itertools.product(*children)]
        sums.extend(found)
        vertices.extend([vertex] * len(found))
        return [*found, unit[vertex]]

    tree.fold(combine)
    return np.array(sums), np.array(vertices)


@cache
def _direction(tree: RootedTree) -> tuple[np.ndarray, float]:
    """Return a direction for the logarithms in which no gap is small, the largest gap being one,
    and the smallest gap in it.
    """
    trials = np.random.default_rng(0).uniform(-1, 1, (TRIALS, tree.order))
    sums, vertices = _gaps(tree)
    sizes = np.abs(trials @ sums.T - trials[:, vertices])
    shares = sizes.min(axis=1) / sizes.max(axis=1)
    best = np.argmax(shares)
    return trials[best] / sizes[best].max(), float(shares[best])


class _Points:
    """Choices of an eigendirection at each vertex of a tree.

    Args:
        tree: The tree, with n vertices.
        logs: The logarithms of their multipliers, of shape (n, points).
        phases: What is left out of them, of the same shape.
        others: The logarithms of the other roots, of shape (n, points, k - 1).
        recurrence: The method.
    """

    def __init__(
        self,
        tree: RootedTree,
        logs: np.ndarray,
        phases: np.ndarray,
        others: np.ndarray,
        recurrence: Recurrence,
    ):
        self.tree, self.logs, self.phases, self.others = tree, logs, phases, others
        self.recurrence = recurrence

    def values(self, signs: np.ndarray) -> np.ndarray:
        """Return the coefficients, of shape (points,).

        Args:
            signs: The roots of unity by which exp of the logarithms is multiplied to be the
                multipliers, of shape (n, points).
        """
        near, far = self._distances()
        direction, least = _direction(self.tree)
        radius = SHRINK * far
        on_circle = near < least * radius
        result = np.empty(len(near), np.result_type(self.logs, signs))
        with np.errstate(all="ignore"):
            if not on_circle.all():
                rows = [list(array[:, ~on_circle]) for array in (self.logs, signs)]
                found = coefficient(self.tree, rows[0], self.recurrence, signs=rows[1])
                result[~on_circle] = found
            if on_circle.any():
                steps = direction[:, None] * radius[on_circle]
                result[on_circle] = self._means(on_circle, steps, signs[:, on_circle])
        return result

    def _distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Return how far the nearest vanishing denominator is, and the nearest pole.

        A denominator vanishes where the bases are equal, so that their logarithms differ by 2πi n;
        this is no pole if the logarithms that are used are equal there.
        """
        sums, vertices = _gaps(self.tree)
        whole = self.logs + self.phases
        products = sums @ whole
        used, gap = sums @ self.logs - self.logs[vertices], products - whole[vertices]
        distance, beyond = _to_turns(gap)
        size = np.abs(distance)
        is_limit = np.abs(used - distance) < _CLOSE * (1 + np.abs(gap))
        near = np.where(is_limit, size, np.inf).min(axis=0)
        far = np.where(is_limit, beyond, size).min(axis=0)
        for k in range(self.others.shape[2]):
            distance, _ = _to_turns(products - self.others[vertices, :, k])
            far = np.minimum(far, np.abs(distance).min(axis=0))
        return near, np.minimum(far, 2 * math.pi)

    def _means(self, chosen: np.ndarray, steps: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """Return the means of the formula over circles in the direction ``steps``; half a circle is
        enough for what is real at real points.
        """
        is_real = not np.iscomplexobj(self.logs) and not np.iscomplexobj(signs)
        count = _NODES // 2 if is_real else _NODES
        turns = np.exp(2j * math.pi * (np.arange(count) + 0.5) / _NODES)
        around = self.logs[:, None, chosen] + turns[:, None] * steps[:, None, :]
        beside = list(signs[:, None, :])
        mean = coefficient(self.tree, list(around), self.recurrence, signs=beside).mean(axis=0)
        return mean.real if is_real else mean


def _to_turns(gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference to the nearest 2πi n, and how far the next one is."""
    distance = gap - 2j * math.pi * np.rint(np.imag(gap) / (2 * math.pi))
    side = np.where(distance.imag < 0, -1, 1)
    return distance, np.abs(distance - 2j * math.pi * side)
