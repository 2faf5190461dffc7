"""Jacobians whose eigenvectors are nearly dependent: bases of Jacobians around them.

What is summed is analytic in the Jacobian, so it is the mean of its values on a circle around one.
The circle lies in the diagonal of the Schur form J = U T U*, where it moves each eigenvalue by a
known amount, however far J is from normal:

    J(t) = U (T + t diag(d)) U*,        eigenvalues νᵢ + t dᵢ,        |t| = 1.

Only eigenvalues in one cluster are moved, apart from each other; those of different clusters are
left where they are, as in the block algorithm of Davies and Higham (*A Schur-Parlett algorithm for
computing matrix functions*, 2003). The multiplier of an eigenvalue that moves, and its logarithm,
are continued from the middle of the cluster, so that no branch is crossed: the circle is smaller
than the distance R to the nearest point where a multiplier vanishes or two of them meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modeq.principal.branches import logarithm
from modeq.principal.multipliers import Recurrence

_NODES = 32
"""Points on a circle; the error is that of (largest move / R)^NODES."""

TURNS = np.exp(2j * math.pi * (np.arange(_NODES) + 0.5) / _NODES)

MOVES = (0.45, 0.4, 0.35, 0.3, 0.25)
"""Radii that are tried, in parts of R: the one that keeps eigenvalues apart best is taken."""

_NEAR = 0.1
"""Eigenvalues that are nearer to each other than this part of R are in one cluster."""

RAYS = 8
"""Steps in which multipliers are continued from the middle of a cluster."""


@dataclass(frozen=True)
class Basis:
    """Eigenvectors of a Jacobian, with the multipliers that belong to them.

    Attributes:
        nu: The eigenvalues, of shape (d,).
        vectors: The eigenvectors, in columns, of shape (d, d).
        inverse: The inverse of that matrix.
        roots: All roots of each direction, minus one, the one that is followed first: (d, k).
        logs: The logarithms of the multipliers that are followed, (d,).
    """

    nu: np.ndarray
    vectors: np.ndarray
    inverse: np.ndarray
    roots: np.ndarray
    logs: np.ndarray


class Clusters:
    """The eigenvalues of a Jacobian in clusters, and the circles around it.

    Args:
        jacobian: The matrix, of shape (d, d), real or complex.
        h: The learning rate.
        recurrence: The method.

    Attributes:
        centers: The middle of the cluster of each eigenvalue, real where a real matrix has the
            eigenvalues of the cluster in conjugate pairs, of shape (d,).
        room: The distance R of hν to where a multiplier vanishes or meets another one, (d,).
    """

    def __init__(self, jacobian: np.ndarray, h: float, recurrence: Recurrence):
        from scipy.linalg import schur

        self.h, self.recurrence = h, recurrence
        self.is_real = not np.iscomplexobj(jacobian)
        self.triangle, self.unitary = schur(jacobian, output="complex")
        self.nu = np.diag(self.triangle).copy()
        self.room = _distances(h * self.nu, recurrence.branch_points).min(axis=1)
        self.near, self.labels = self._grouped()
        self.centers = self._middles()

    def _grouped(self) -> tuple[float, np.ndarray]:
        """Return how near the members of a cluster are, and the cluster of each eigenvalue."""
        from scipy.sparse.csgraph import connected_components

        z, near = self.h * self.nu, _NEAR
        apart = _distances(z, z)
        while True:
            linked = apart <= near * np.minimum.outer(self.room, self.room)
            labels = connected_components(linked, directed=False)[1]
            wide = np.where(labels == labels[:, None], apart, 0).max(axis=1)
            if np.all(wide <= 2 * _NEAR * self.room) or near < 1e-6:
                return near, labels
            near /= 2

    def _middles(self) -> np.ndarray:
        same = self.labels == self.labels[:, None]
        middles = (same @ self.nu) / same.sum(axis=1)
        if not self.is_real:
            return middles
        in_pairs = np.abs(self.h * middles.imag) < self.near * self.room / 4
        return np.where(in_pairs, middles.real, middles)

    def circle(self, middle: np.ndarray, logs: np.ndarray, share: float) -> Iterator[Basis]:
        """Yield the bases of Jacobians on a circle, whose mean is wanted.

        Args:
            middle: The roots at ``centers``, minus one, the one that is followed first, (d, k).
            logs: The logarithms there of the multipliers that are followed, (d,).
            share: By how much the circle is made smaller.
        """
        nu = self.nu + self._moves(share)[None, :] * TURNS[:, None]
        vectors = _eigenvectors(self.triangle, nu)
        inverse = np.linalg.inv(vectors) @ self.unitary.conj().T
        roots, followed = self._continued(nu, middle, logs)
        for row in zip(nu, self.unitary @ vectors, inverse, roots, followed, strict=True):
            yield Basis(*row)

    def _moves(self, share: float) -> np.ndarray:
        """Return t d: the moves of the eigenvalues on the circle at t = 1."""
        directions = np.zeros(len(self.nu), complex)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            if len(members) > 1:
                spread = np.exp(2j * math.pi * np.arange(len(members)) / len(members))
                directions[members] = spread * self.room[members].min()
        candidates = [directions * share * radius / self.h for radius in MOVES]
        return max(candidates, key=self._least_gap)

    def _least_gap(self, moves: np.ndarray) -> float:
        """Return how near two eigenvalues come at the points of a circle."""
        around = self.nu + moves[None, :] * TURNS[:, None]
        apart = np.abs(around[:, :, None] - around[:, None, :])
        return float((apart + np.where(np.eye(len(moves)), np.inf, 0)).min())

    def _continued(
        self, nu: np.ndarray, middle: np.ndarray, logs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return roots and logarithms at ν, continued from the middles of the clusters."""
        roots = np.broadcast_to(middle, (*nu.shape, middle.shape[1]))
        for step in range(1, RAYS + 1):
            z = self.h * (self.centers + step / RAYS * (nu - self.centers))
            found = self.recurrence.multipliers(z.ravel(), True).reshape(roots.shape)
            nearest = np.argmin(np.abs(found - roots[..., :1]), axis=-1)[..., None]
            others = np.argsort(np.arange(found.shape[-1]) != nearest, axis=-1, kind="stable")
            found = np.take_along_axis(found, others, axis=-1)
            logs = logs + logarithm((found - roots)[..., 0] / (1 + roots[..., 0]))
            roots = found
        exact = logarithm(roots[..., 0])
        return roots, exact + 2j * math.pi * np.rint((logs - exact).imag / (2 * math.pi))


def _distances(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    return np.abs(here[:, None] - there[None, :])


def _eigenvectors(triangle: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """Return the eigenvectors of upper triangular matrices with other entries on the diagonal, as
    matrices with ones on theirs, of shape (nodes, d, d).
    """
    size = len(triangle)
    vectors = np.broadcast_to(np.eye(size, dtype=complex), (len(nu), size, size)).copy()
    above = np.triu(triangle, 1)
    for j in range(1, size):
        block = above[:j, :j] + (nu[:, :j, None] - nu[:, None, j : j + 1]) * np.eye(j)
        right = np.broadcast_to(-above[:j, j, None], (len(nu), j, 1))
        vectors[:, :j, j] = np.linalg.solve(block, right)[..., 0]
    return vectors
