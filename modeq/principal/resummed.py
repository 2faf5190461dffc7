"""The principal flow and its corrections as numbers, from the arrays of derivatives at a point."""

from __future__ import annotations

import cmath
import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modeq.algebra.trees import RootedTree
from modeq.errors import InvalidPoint, InvalidValue
from modeq.principal.branches import NEGLIGIBLE, chain_factor, composed_phases, logarithm
from modeq.principal.coefficients import coefficients
from modeq.principal.fork_sum import fork_sum
from modeq.principal.recurrence import PLAIN, Recurrence
from modeq.principal.resummation import reduced_trees

MAX_CONDITION = 1e6
"""Eigenvectors worse than this are replaced by those of matrices nearby."""

NODES = 16

ZERO = 8 * np.finfo(float).eps
"""Multipliers of this size and smaller are zero."""


@dataclass(frozen=True)
class _Scheme:
    """What is summed: see ``resummed_field``."""

    h: float
    corrections: int
    recurrence: Recurrence
    composed: int

    def logs(
        self, nu: np.ndarray, q: np.ndarray, is_complex_point: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithms for one step of all 1 + q, and what is subtracted for several."""
        is_cut_below = is_complex_point | _is_real(nu)
        logs = logarithm(q, is_cut_below)
        return logs, composed_phases(logs, self.composed, is_cut_below)


def resummed_field(
    tensors: Sequence[np.ndarray],
    h: float,
    corrections: int = 0,
    recurrence: Recurrence = PLAIN,
    symmetric: bool = False,
    composed: int = 1,
) -> np.ndarray:
    """Return θ' from the arrays of derivatives [f, f', f'', …] at a point, of a field of any size.

    Args:
        tensors: At least ``corrections`` + 2 arrays of shapes (d,), (d, d), (d, d, d), …
        h: The learning rate.
        corrections: The largest power of f beyond the first.
        recurrence: The method.
        symmetric: Whether f' is symmetric, as for losses. If it is also real, its eigenvectors are
            orthogonal, and found by ``eigh``.
        composed: How many steps are taken for one.

    Raises:
        InvalidPoint: A multiplier is zero, or an entry is not finite.
        InvalidValue: There are too few arrays, or f' is not symmetric though it should be.

    >>> resummed_field([np.array([-1.0]), np.array([[-1.0]])], h=0.5)
    array([-1.38629436])
    """
    _check_tensors(tensors, corrections, symmetric)
    with np.errstate(over="ignore", invalid="ignore"):
        value = _value(tensors, _Scheme(h, corrections, recurrence, composed), symmetric)
    # All derivatives are multiplied, and what is not finite stays so: to look at each entry of the
    # large ones at once would cost as much as a contraction with them.
    if not np.all(np.isfinite(value)):
        _check_finite(tensors[: corrections + 2])
    return value


def _value(tensors: Sequence[np.ndarray], scheme: _Scheme, symmetric: bool) -> np.ndarray:
    f, jacobian = tensors[0], tensors[1]
    if symmetric and not np.iscomplexobj(jacobian):
        nu, vectors = np.linalg.eigh(jacobian)
        inverse = vectors.T
    else:
        nu, vectors = np.linalg.eig(jacobian)
        inverse = _inverse(vectors)
        if inverse is None:
            return _over_nearby_jacobians(tensors, scheme)
    value = vectors @ _Eigenbasis(tensors, nu, vectors, inverse, scheme).value
    is_real = not np.iscomplexobj(f) and not np.iscomplexobj(jacobian)
    return value.real if is_real and _is_conjugate(nu, scheme) else value


def _check_tensors(tensors: Sequence[np.ndarray], corrections: int, symmetric: bool) -> None:
    if len(tensors) < corrections + 2:
        raise InvalidValue(
            f"corrections is {corrections}, which needs {corrections + 2} arrays of derivatives, "
            f"but there are {len(tensors)}"
        )
    _check_finite(tensors[:2])
    jacobian = tensors[1]
    if symmetric and np.abs(jacobian - jacobian.T).max() > 1e-8 * np.abs(jacobian).max() + 1e-12:
        raise InvalidValue("the Hessian is not symmetric; it must be for a loss")


def _check_finite(tensors: Sequence[np.ndarray]) -> None:
    for p, array in enumerate(tensors):
        if not np.all(np.isfinite(array)):
            raise InvalidPoint(f"derivative {p} of the field is not finite at this point")


def _inverse(vectors: np.ndarray) -> np.ndarray | None:
    """Return the inverse of a matrix of eigenvectors, or None if they are nearly dependent."""
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        return None
    condition = np.linalg.norm(vectors) * np.linalg.norm(inverse)
    return inverse if condition <= MAX_CONDITION else None


def _is_conjugate(nu: np.ndarray, scheme: _Scheme) -> bool:
    """Tell whether the flow of a real field is real: the logarithm of each real ν is."""
    q = scheme.recurrence.multipliers(scheme.h * nu)[:, 0]
    logs, phases = scheme.logs(nu, q, False)
    return not np.any(np.abs((logs - phases)[_is_real(nu)].imag) > NEGLIGIBLE)


def _is_real(nu: np.ndarray) -> np.ndarray:
    return np.abs(nu.imag) <= NEGLIGIBLE * np.max(np.abs(nu))


def _over_nearby_jacobians(tensors: Sequence[np.ndarray], scheme: _Scheme) -> np.ndarray:
    """Return the mean over a circle of Jacobians, for one that has too few eigenvectors."""
    f, jacobian, *rest = tensors
    direction = np.random.default_rng(0).normal(size=jacobian.shape)
    direction = direction / np.linalg.norm(direction, 2)
    eigenvalues = np.linalg.eigvals(jacobian)
    sizes = np.abs(1 + scheme.recurrence.multipliers(scheme.h * eigenvalues)[:, 0])
    least = np.min(sizes)
    if least <= ZERO:
        raise _bottom(eigenvalues[np.argmin(sizes)], scheme.h)
    radius = min(0.1, 0.1 * least) / scheme.h
    total = np.zeros(len(f), complex)
    for k in range(NODES):
        turn = radius * cmath.exp(2j * math.pi * (k + 0.5) / NODES)
        moved = [f, jacobian + turn * direction, *rest]
        nu, vectors = np.linalg.eig(moved[1])
        total += vectors @ _Eigenbasis(moved, nu, vectors, np.linalg.inv(vectors), scheme).value
    mean = total / NODES
    is_real = not np.iscomplexobj(f) and not np.iscomplexobj(jacobian)
    return mean.real if is_real and _is_conjugate(eigenvalues, scheme) else mean


class _Eigenbasis:
    """A point whose Jacobian has the eigenvalues ν and these eigenvectors."""

    def __init__(
        self,
        tensors: Sequence[np.ndarray],
        nu: np.ndarray,
        vectors: np.ndarray,
        inverse: np.ndarray,
        scheme: _Scheme,
    ):
        self.tensors = tensors
        self.nu, self.vectors, self.inverse = nu, vectors, inverse
        self.scheme = scheme
        self.force = inverse @ tensors[0]
        self.is_complex_point = np.iscomplexobj(tensors[1])
        self.roots = scheme.recurrence.multipliers(scheme.h * nu, self.is_complex_point)
        self.is_curved = any(map(_has_entries, tensors[2 : scheme.corrections + 2]))

    @property
    def value(self) -> np.ndarray:
        """The components of θ' in the eigenvectors."""
        scheme = self.scheme
        value = np.where(
            self._live,
            self.force * chain_factor(self.logs, scheme.h * self.nu, scheme.recurrence),
            0,
        )
        if self.is_curved:
            for excess in range(1, scheme.corrections + 1):
                for tree in reduced_trees(excess):
                    value = value + self._contribution(tree)
        return value

    @cached_property
    def _live(self) -> np.ndarray:
        """Which multipliers 1 + q are not zero; those that are and matter are refused."""
        q, force = self.roots[:, 0], self.force
        zero = np.abs(1 + q) <= ZERO * max(1.0, np.max(np.abs(q)))
        matters = np.abs(force) > NEGLIGIBLE * np.max(np.abs(force), initial=0.0)
        if self.is_curved:
            matters = np.ones_like(zero)
        if np.any(zero & matters):
            raise _bottom(self.nu[np.argmax(zero & matters)], self.scheme.h)
        return ~zero

    @property
    def phases(self) -> np.ndarray:
        """What is left out of the logarithms because several steps are composed."""
        return self._logs_and_phases[1]

    @cached_property
    def logs(self) -> np.ndarray:
        """The logarithms of the multipliers, real where all of them and the point are."""
        whole, phases = self._logs_and_phases
        logs = whole - phases
        is_real = np.all(np.abs(logs.imag) <= NEGLIGIBLE) and not np.iscomplexobj(self.force)
        return logs.real if is_real else logs

    @cached_property
    def _logs_and_phases(self) -> tuple[np.ndarray, np.ndarray]:
        q = np.where(self._live, self.roots[:, 0], 0)
        return self.scheme.logs(self.nu, q, self.is_complex_point)

    @cached_property
    def _rotated(self) -> list[np.ndarray]:
        """The derivatives in the basis of the eigenvectors; the Jacobian is not needed."""
        result = [self.force, None]
        for array in self.tensors[2 : self.scheme.corrections + 2]:
            moved = np.tensordot(self.inverse, array, axes=(1, 0))
            for _ in range(array.ndim - 1):
                # The axis that is contracted comes back last, so all of them have their turn.
                moved = np.tensordot(moved, self.vectors, axes=(1, 0))
            result.append(moved)
        return result

    def _contribution(self, tree: RootedTree) -> np.ndarray:
        """Return h^{|τ|-1}/σ(τ) Σ C_τ Π f^{(k)} over the eigendirections of all but the root."""
        scheme = self.scheme
        if tree.order == 3 and scheme.recurrence.is_plain and not np.any(self.phases):
            second, h = self.tensors[2], scheme.h
            quick = fork_sum(second, self.force, self.logs, self.vectors, self.inverse, h)
            if quick is not None:
                return quick
        others = logarithm(self.roots[:, 1:], True)
        found = coefficients(tree, self.logs, others, scheme.recurrence, self.phases)
        letters = string.ascii_letters[: tree.order]
        factors = [(letters, found)]
        for vertex, below in enumerate(_children_of(tree)):
            names = "".join(letters[v] for v in (vertex, *below))
            factors.append((names, self._rotated[len(below)]))
        subscripts = ",".join(names for names, _ in factors)
        arrays = [array for _, array in factors]
        total = np.einsum(f"{subscripts}->{letters[0]}", *arrays, optimize=len(self.nu) > 4)
        return scheme.h ** (tree.order - 1) / tree.symmetry * total


def _has_entries(array: np.ndarray) -> bool:
    """Tell whether an entry is not zero; mostly the first part says so."""
    return bool(np.any(array[0]) or np.any(array))


def _bottom(nu: complex, h: float) -> InvalidPoint:
    """Return the error for a Jacobian with an eigenvalue ν whose multiplier is zero."""
    eigenvalue = -complex(nu)
    shown = f"{eigenvalue.real:.6g}" if eigenvalue.imag == 0 else f"{eigenvalue:.6g}"
    return InvalidPoint(
        f"h*lambda = 1 for the eigenvalue lambda = {shown} at h = {h:.6g}: one step goes to the "
        f"bottom in that direction, and no flow does; take another h"
    )


def _children_of(tree: RootedTree) -> list[list[int]]:
    """Return the children of each vertex, by their places in the level sequence."""
    children: list[list[int]] = [[] for _ in range(tree.order)]
    above: list[int] = []
    for vertex, level in enumerate(tree.level_sequence):
        del above[level - 1 :]
        if above:
            children[above[-1]].append(vertex)
        above.append(vertex)
    return children
