"""The principal flow and its corrections as numbers, from the arrays of derivatives at a point."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modeq.algebra.trees import RootedTree
from modeq.errors import InvalidPoint, InvalidValue
from modeq.principal.branches import NEGLIGIBLE, chain_factor, composed_phases, logarithm
from modeq.principal.clusters import Basis, Clusters
from modeq.principal.coefficients import coefficients
from modeq.principal.first_correction import fork_sum
from modeq.principal.multipliers import PLAIN, Recurrence
from modeq.principal.reduced_trees import reduced_trees

MAX_CONDITION = 1e4
"""Eigenvectors worse than this are replaced by those of matrices nearby."""

SMALLER = 0.7
"""A second circle, in parts of the first; the means over both must agree ..."""

AGREEMENT = 1e-6
"""... to this part of them."""

_ZERO = 8 * np.finfo(float).eps
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

    def basis(
        self, nu: np.ndarray, vectors: np.ndarray, inverse: np.ndarray, is_complex_point: bool
    ) -> tuple[Basis, np.ndarray]:
        """Return a basis of eigenvectors with its multipliers, and what to subtract for several."""
        roots = self.recurrence.multipliers(self.h * nu, is_complex_point)
        q = np.where(_is_zero(roots[:, 0]), 0, roots[:, 0])
        logs, phases = self.logs(nu, q, is_complex_point)
        return Basis(nu, vectors, inverse, roots, logs), phases


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
            return _over_circles(tensors, scheme)
    basis, phases = scheme.basis(nu, vectors, inverse, np.iscomplexobj(jacobian))
    value = vectors @ _Eigenbasis(tensors, basis, phases, scheme).value
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
    if symmetric and np.abs(jacobian - jacobian.T).max() > 1e-8 * np.abs(jacobian).max():
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


def _is_zero(q: np.ndarray) -> np.ndarray:
    """Tell which multipliers 1 + q are zero."""
    return np.abs(1 + q) <= _ZERO * max(1.0, np.max(np.abs(q)))


def _is_real(nu: np.ndarray) -> np.ndarray:
    return np.abs(nu.imag) <= NEGLIGIBLE * np.max(np.abs(nu))


def _over_circles(tensors: Sequence[np.ndarray], scheme: _Scheme) -> np.ndarray:
    """Return the mean over a circle of Jacobians, for one with nearly dependent eigenvectors.

    Raises:
        InvalidPoint: It is another one over a smaller circle, around what is the same Jacobian but
            for the rounding of its entries.
    """
    jacobian = tensors[1]
    noise = np.random.default_rng(0).choice([-1, 1], jacobian.shape) * np.finfo(float).eps
    try:
        found, again = (
            _over_circle(tensors, Clusters(matrix, scheme.h, scheme.recurrence), share, scheme)
            for matrix, share in ((jacobian, 1.0), (jacobian * (1 + noise), SMALLER))
        )
    except np.linalg.LinAlgError:
        raise _dependent(scheme.h) from None
    if np.linalg.norm(found - again) > AGREEMENT * np.linalg.norm(found):
        raise _dependent(scheme.h)
    return found


def _dependent(h: float) -> InvalidPoint:
    return InvalidPoint(
        f"the eigenvectors of the Jacobian are so nearly dependent that at h = {h:.6g} rounding "
        f"its entries changes the flow by more than one part in {1 / AGREEMENT:,.0f}; take a "
        f"smaller h, other units, or fewer corrections"
    )


def _over_circle(
    tensors: Sequence[np.ndarray], clusters: Clusters, share: float, scheme: _Scheme
) -> np.ndarray:
    f, jacobian = tensors[0], tensors[1]
    centers, is_complex_point = clusters.centers, np.iscomplexobj(jacobian)
    roots = scheme.recurrence.multipliers(scheme.h * centers, is_complex_point)
    if np.any(_is_zero(roots[:, 0])):
        raise _bottom(centers[np.argmax(_is_zero(roots[:, 0]))], scheme.h)
    logs, phases = scheme.logs(centers, roots[:, 0], is_complex_point)
    values = [
        basis.vectors @ _Eigenbasis(tensors, basis, phases, scheme).value
        for basis in clusters.circle(roots, logs, share)
    ]
    mean = np.mean(values, axis=0)
    is_real = not np.iscomplexobj(f) and not is_complex_point
    return mean.real if is_real and _is_conjugate(centers, scheme) else mean


class _Eigenbasis:
    """A point whose Jacobian has the eigenvalues ν and these eigenvectors."""

    def __init__(
        self,
        tensors: Sequence[np.ndarray],
        basis: Basis,
        phases: np.ndarray,
        scheme: _Scheme,
    ):
        self.tensors, self.scheme = tensors, scheme
        self.nu, self.vectors, self.inverse = basis.nu, basis.vectors, basis.inverse
        self.roots, self.phases = basis.roots, phases
        self.force = basis.inverse @ tensors[0]
        self.is_curved = any(map(_has_entries, tensors[2 : scheme.corrections + 2]))
        logs = basis.logs - phases
        is_real = np.all(np.abs(logs.imag) <= NEGLIGIBLE) and not np.iscomplexobj(self.force)
        self.logs = logs.real if is_real else logs

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
        force, zero = self.force, _is_zero(self.roots[:, 0])
        matters = np.abs(force) > NEGLIGIBLE * np.max(np.abs(force), initial=0.0)
        if self.is_curved:
            matters = np.ones_like(zero)
        if np.any(zero & matters):
            raise _bottom(self.nu[np.argmax(zero & matters)], self.scheme.h)
        return ~zero

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
