"""The principal flow of a network: chains of Hessians summed in the sharpest directions.

With the k sharpest directions Huᵢ = λᵢuᵢ, aᵢ = uᵢ·g, z = hλ, and a field f̃ₙ that has the chains of
Hessians through hⁿ, the flow is

    θ' = f̃ₙ(θ) + Σ_{i≤k} [α(hλᵢ) - αₙ(hλᵢ)] aᵢuᵢ,

    α(z) = log(1 - z)/z,      αₙ(z) = -Σ_{j≤n} zʲ/(j + 1).

With ``trees="tall"`` f̃ₙ is the chains themselves, -Σ_{j≤n} (hH)ʲ g/(j + 1): for k = d this is the
flow of Rosca, Wu, Qin, Dherin (2023) whatever n is, for smaller k the directions that are left out
have its series. With ``trees="all"`` f̃ₙ is the modified equation through hⁿ, so that one step
misses gradient descent by O(h^{n+2}) on every loss, and by none on quadratics with k = d. This form
is derived here.

*Branch.* As for small problems (``modeq.principal.flow``): past hλ = 1 the flow is complex,
and its real part is what is read at t = nh. Results say at which step the flow ceases to be real.
Losses that are not analytic have no such flow, and are refused there. Two steps taken as one have a
real flow past hλ = 1 (``composed=2``), to be compared with every other iterate.

*Cost.* Each evaluation finds the eigenpairs anew, some tens of Hessian-vector products. With
``frozen=True`` they are those at the beginning of each step instead, which keeps the order of the
flow with trees "tall", as its error begins at h³ in any case, at the cost of about that of order n.
A direction that enters or leaves the first k makes the field jump by what its chains are past hⁿ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_count, check_order, shortened
from modeq.errors import FlowError, InvalidPoint, InvalidValue
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.flows import compiled_series
from modeq.networks.gradients import gradient
from modeq.networks.spectrum import TOLERANCES, sharpest
from modeq.principal.branches import composed_phases, logarithm
from modeq.principal.large import SMALL

try:
    import jax
except ImportError as error:
    raise ImportError("modeq.networks.principal_flow needs JAX: pip install modeq[jax]") from error

TREES = ("tall", "all")
_SAME = 8 * np.finfo(float).eps
WORST_CONDITION = 1e8
"""Of the eigenvectors of a complex Hessian: worse, and there are too few of them."""


@dataclass(frozen=True)
class TopPrincipalFlow:
    """The principal flow of a network in its sharpest directions; see the module.

    Attributes:
        count: How many directions k, at most as many as there are weights.
        order: n, of the terms in all other directions.
        trees: "tall" or "all": the terms that f̃ₙ has.
        composed: How many steps are taken for one.
        frozen: Whether eigenpairs are found once for each step.

    >>> TopPrincipalFlow(3).name, TopPrincipalFlow(1, order=2, trees="all", composed=2).name
    ('principal(3)', 'principal(1) of 2 steps + order 2')
    """

    count: int
    order: int = 1
    trees: str = "tall"
    composed: int = 1
    frozen: bool = False
    of_descent = True

    def __post_init__(self):
        object.__setattr__(self, "order", check_order(self.order))
        for name in ("count", "composed"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        if self.trees not in TREES:
            raise InvalidValue(f"trees is {shortened(self.trees)}; it must be one of {list(TREES)}")

    @property
    def name(self) -> str:
        """What results call it."""
        parts = [f"principal({self.count})"]
        parts += [f"of {self.composed} steps"] * (self.composed > 1)
        parts += ["frozen"] * self.frozen
        if self.trees == "all":
            parts.append(f"+ order {self.order}")
        elif self.order != 1:
            parts.append(f"+ chains {self.order}")
        return " ".join(parts)

    @property
    def period(self) -> int:
        """It meets the iterates at each so many steps."""
        return self.composed

    @property
    def settings(self) -> dict[str, Any]:
        """What determines it."""
        return {"flow": "principal", **asdict(self)}

    def bind(self, loss: FlatLoss) -> TopPrincipalField:
        """Return its field for a loss."""
        if self.count > loss.dimension:
            raise InvalidValue(
                f"count is {self.count}; a loss of {loss.dimension} weights has so many directions"
            )
        return TopPrincipalField(self, loss)


class TopPrincipalField:
    """The field of a principal flow for a loss."""

    def __init__(self, flow: TopPrincipalFlow, loss: FlatLoss):
        self._flow = flow
        self._loss = loss
        self._base = _base(flow.trees, flow.order, loss)
        self._pairs: tuple[np.ndarray, np.ndarray] | None = None
        self._is_analytic = False

    def begin(self, theta: np.ndarray, h: float) -> None:
        """Take note of where a step begins: of its eigenpairs, if they are frozen.

        What was found before is forgotten, so that a step depends on nothing but its beginning.
        """
        self._pairs = None
        if self._flow.frozen:
            self._pairs = self._eigenpairs(theta if np.any(np.imag(theta)) else np.real(theta))

    def rhs(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return θ' at a vector; complex where the flow is.

        Raises:
            InvalidLoss: The vector is complex, and the loss is not analytic.
            InvalidPoint: h λᵢ = 1 for one of the directions.
            FlowError: There are too few eigenvectors.
        """
        is_complex = np.iscomplexobj(theta)
        if is_complex and not self._is_analytic:
            self._loss.check_analytic(theta)
            self._is_analytic = True
        values, vectors = self._pairs if self._flow.frozen else self._eigenpairs(theta)
        gradient = self._loss.gradient(theta)
        components = _components(vectors, gradient)
        slopes = self._slopes(h * values, np.iscomplexobj(values))
        return self._base(theta, h) + vectors @ (slopes * components)

    def _slopes(self, z: np.ndarray, is_complex: bool) -> np.ndarray:
        """Return α - αₙ, real where the logarithms are."""
        if np.any(np.abs(1 - z) <= _SAME):
            raise InvalidPoint(
                "h*lambda = 1 in one of the directions: one step goes to the bottom there, and no "
                "flow does; take another h"
            )
        logs = logarithm(-z, is_complex)
        logs = logs - composed_phases(logs, self._flow.composed, is_complex)
        if not np.any(np.abs(logs.imag) > 0):
            logs = logs.real
        series = sum(z**j / (j + 1) for j in range(self._flow.order + 1))
        return np.where(z == 0, -1, logs / np.where(z == 0, 1, z)) + series

    def _eigenpairs(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = None if self._pairs is None else self._pairs[1].real.sum(axis=1)
        if np.iscomplexobj(theta):
            pairs = complex_eigenpairs(self._loss, theta, self._flow.count, start)
        else:
            pairs = sharpest(self._loss, theta, self._flow.count, start)
        if not self._flow.frozen:
            self._pairs = pairs
        return pairs


@lru_cache(maxsize=8)
def _base(trees: str, order: int, loss: FlatLoss) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return f̃ₙ of vectors that may be complex; the last ones are remembered as compiled."""
    if trees == "tall":
        return _either(loss.compiled(_chains(loss, order)), _complex_chains(loss, order))
    return _either(compiled_series(order, loss), _complex_series(loss, order))


def _either(real: Callable, other: Callable) -> Callable:
    return lambda theta, h: other(theta, h) if np.iscomplexobj(theta) else real(theta, h)


def _chains(loss: FlatLoss, order: int) -> Callable:
    """Return -Σ_{j≤n} (hH)ʲ g/(j + 1) as JAX sees it."""

    def field(theta: Any, h: Any) -> Any:
        chain, product = jax.linearize(gradient(loss.of_vector), theta)
        total = -chain
        for j in range(1, order + 1):
            chain = h * product(chain)
            total = total - chain / (j + 1)
        return total

    return field


def _complex_chains(loss: FlatLoss, order: int) -> Callable:
    def field(theta: np.ndarray, h: float) -> np.ndarray:
        chain = loss.gradient(theta)
        total = -chain
        for j in range(1, order + 1):
            chain = h * loss.product(theta, chain)
            total = total - chain / (j + 1)
        return total

    return field


def _complex_series(loss: FlatLoss, order: int) -> Callable:
    """Return the weighted sum of gradients along gradient descent from complex weights."""
    weights = [float(w) for w in increment_weights(order)]

    def field(theta: np.ndarray, h: float) -> np.ndarray:
        total = np.zeros_like(theta)
        for weight in weights:
            gradient = loss.gradient(theta)
            total, theta = total - weight * gradient, theta - h * gradient
        return total

    return field


def _components(vectors: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return aᵢ with g = Σ aᵢuᵢ + rest, uᵢ·rest = 0 without conjugates, as H is symmetric so."""
    if not np.iscomplexobj(vectors):
        return vectors.T @ gradient
    gram = vectors.T @ vectors
    if np.linalg.cond(gram) > WORST_CONDITION:
        raise FlowError("the Hessian at these complex weights has too few eigenvectors")
    return np.linalg.solve(gram, vectors.T @ gradient)


def complex_eigenpairs(
    loss: FlatLoss, theta: np.ndarray, count: int, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of largest real part of the Hessian at a complex vector.

    The Hessian is symmetric there, not Hermitian: uᵢᵀuⱼ = 0 without conjugates.

    Returns:
        Arrays of shapes (k,) and (d, k).

    Raises:
        FlowError: The eigenvalues were not found.

    >>> loss = FlatLoss(lambda x: (x**3).sum() / 6, np.ones(2), precision="float64")
    >>> complex_eigenpairs(loss, np.array([1 + 1j, 3 - 1j]), 1)[0].tolist()
    [(3-1j)]
    """
    size = loss.dimension
    if size <= SMALL or count >= size - 1:
        values, vectors = np.linalg.eig(loss.hessian(theta))
        chosen = np.argsort(-values.real, kind="stable")[:count]
        return values[chosen], vectors[:, chosen]
    return _arnoldi(loss, theta, count, start)


def _arnoldi(
    loss: FlatLoss, theta: np.ndarray, count: int, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

    first = np.random.default_rng(0).normal(size=loss.dimension) if start is None else start
    operator = LinearOperator(
        (loss.dimension, loss.dimension),
        matvec=lambda vector: loss.product(theta, vector),
        dtype=complex,
    )
    tolerance = TOLERANCES.get(loss.dtype, 1e-2)
    # Newer releases draw further vectors at random unless they are told how.
    seed = {"rng": 0} if "rng" in inspect.signature(eigs).parameters else {}
    try:
        values, vectors = eigs(
            operator, k=count, which="LR", v0=first.astype(complex), tol=tolerance, **seed
        )
    except ArpackError as error:
        raise FlowError(f"the eigenvalues at complex weights were not found: {error}") from None
    chosen = np.argsort(-values.real, kind="stable")
    return values[chosen], vectors[:, chosen]
