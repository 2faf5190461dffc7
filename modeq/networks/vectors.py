"""A loss of a pytree of weights as a function of one vector, with its gradient and Hessian.

Solvers of differential equations and of eigenproblems work on vectors; networks keep their weights
in trees of arrays. Everything is compiled once, and takes and returns NumPy arrays. Vectors may be
complex: then the loss is continued analytically, as flows past hλ = 1 need.

A loss that closes over NumPy arrays of doubles keeps to one precision in a process: see
``modeq.networks.pytrees.refuse_mixed``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from modeq.errors import InvalidLoss, InvalidPoint
from modeq.networks.precision import cast, check_precision, in_precision
from modeq.networks.pytrees import check_params, refuse_mixed, scalar

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.vectors needs JAX: pip install modeq[jax]") from error

COMPLEX_STEP = 1e-20
"""An imaginary part that no square of it can be seen of, not even in single precision."""


class FlatLoss:
    """A loss of a pytree of real arrays as a function of a vector of shape (d,).

    Args:
        loss_fn: The function of a pytree that returns a real scalar.
        params: A pytree like those it will be given: their shapes and precisions are kept.
        precision: "float64" or "float32" to compute in it, whatever the weights come in; without
            it, the precision of the weights.

    Raises:
        InvalidLoss: The loss is not a real scalar.
        InvalidPoint: There are no weights, or some are not real or not finite.

    >>> loss = FlatLoss(lambda p: (p["a"] ** 2).sum() + p["b"], {"a": np.ones(2), "b": 3.0},
    ...     precision="float64")
    >>> loss.dimension, loss.value(loss.start), loss.gradient(loss.start).tolist()
    (3, 5.0, [2.0, 2.0, 1.0])
    """

    def __init__(self, loss_fn: Callable[[Any], Any], params: Any, *, precision: str | None = None):
        self.precision = check_precision(precision)
        self._loss = loss_fn
        with in_precision(precision):
            check_params(params)
            _refuse_infinite(params)
            params = cast(params, precision)
            leaves = jax.tree_util.tree_leaves_with_path(params)
            self._names = [jax.tree_util.keystr(path) for path, _ in leaves]
            arrays = [jnp.asarray(leaf) for _, leaf in leaves]
            self._shapes = [array.shape for array in arrays]
            self._types = [array.dtype for array in arrays]
            self._ends = np.cumsum([array.size for array in arrays]).tolist()
            self._structure = jax.tree.structure(params)
            self.dtype = np.dtype(jnp.result_type(*self._types))
            self.start = self.ravel(params)
            refuse_mixed(jax.make_jaxpr(scalar(loss_fn))(params).jaxpr)

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same function of vectors, compiled in the same way."""
        return isinstance(other, FlatLoss) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple:
        """What compiled programs depend on: as in JAX, equal functions are one function."""
        shapes, types = tuple(self._shapes), tuple(map(str, self._types))
        return _key(self._loss), self._structure, shapes, types, self.precision

    @property
    def dimension(self) -> int:
        """The number of weights, d."""
        return self._ends[-1]

    @property
    def is_double(self) -> bool:
        """Whether all numbers are kept in double precision."""
        return self.dtype == np.float64

    def ravel(self, params: Any) -> np.ndarray:
        """Return a pytree as a vector.

        Raises:
            InvalidPoint: It is not like the weights: other leaves, or other shapes.
        """
        leaves, structure = jax.tree.flatten(params)
        shapes = [np.shape(leaf) for leaf in leaves]
        if structure != self._structure or shapes != self._shapes:
            raise InvalidPoint(
                f"a pytree has the structure {structure} and the shapes {shapes}; it must have "
                f"those of the weights, {self._structure} and {self._shapes}"
            )
        return np.concatenate([np.asarray(leaf).ravel() for leaf in leaves]).astype(self.dtype)

    def unravel(self, vector: Any) -> Any:
        """Return a vector as a pytree of NumPy arrays, in its own precisions or complex."""
        with in_precision(self.precision):
            return jax.tree.map(np.asarray, self.traced(jnp.asarray(vector)))

    def of_vector(self, vector: Any) -> Any:
        """Return the loss at a vector, as JAX sees it: to be differentiated or compiled."""
        return self._loss(self.traced(vector))

    def traced(self, vector: Any) -> Any:
        """Return a vector as a pytree inside of functions that JAX compiles."""
        begins, is_complex = [0, *self._ends], jnp.iscomplexobj(vector)
        leaves = [
            vector[begin:end].reshape(shape).astype(vector.dtype if is_complex else dtype)
            for begin, end, shape, dtype in zip(
                begins, self._ends, self._shapes, self._types, strict=False
            )
        ]
        return jax.tree.unflatten(self._structure, leaves)

    def value(self, theta: np.ndarray) -> float:
        """Return the loss at a real vector."""
        with in_precision(self.precision):
            return float(self._value(self._real(theta)))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient at a real vector."""
        with in_precision(self.precision):
            value, gradient = self._both(self._real(theta))
            return float(value), np.asarray(gradient)

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient at a vector, real or complex."""
        with in_precision(self.precision):
            if np.iscomplexobj(theta):
                return np.asarray(self._complex_gradient(self._complex(theta)))
            return np.asarray(self._gradient(self._real(theta)))

    def product(self, theta: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Return the Hessian at a vector times another, H(θ) v; either may be complex."""
        with in_precision(self.precision):
            if np.iscomplexobj(theta) or np.iscomplexobj(vector):
                product = self._complex_product(self._complex(theta), self._complex(vector))
            else:
                product = self._product(self._real(theta), self._real(vector))
            return np.asarray(product)

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the Hessian at a vector, real or complex, of shape (d, d): for small d only.

        >>> FlatLoss(lambda p: p[0] * p[1], [1.0, 2.0]).hessian(np.ones(2)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        """
        with in_precision(self.precision):
            if np.iscomplexobj(theta):
                matrix = self._complex_hessian(self._complex(theta))
            else:
                matrix = self._hessian(self._real(theta))
            return np.asarray((matrix + matrix.T) / 2)

    def compiled(self, function: Callable) -> Callable:
        """Return a function of a real vector and more, compiled, between NumPy arrays.

        >>> loss = FlatLoss(lambda p: (p**2).sum(), np.ones(2), precision="float64")
        >>> loss.compiled(lambda theta, h: theta - h * jax.grad(loss.of_vector)(theta))(
        ...     np.array([1.0, 2.0]), 0.25)
        array([0.5, 1. ])
        """
        jitted = jax.jit(function)

        def call(theta: np.ndarray, *args: Any) -> np.ndarray:
            with in_precision(self.precision):
                return np.asarray(jitted(self._real(theta), *args))

        return call

    def name_of(self, index: int) -> str:
        """Return the name of the leaf that an entry of a vector belongs to.

        >>> FlatLoss(lambda p: p["a"] * p["b"], {"a": 1.0, "b": 2.0}).name_of(1)
        "['b']"
        """
        place = next(i for i, end in enumerate(self._ends) if index < end)
        return self._names[place] or "params"

    def check_analytic(self, theta: np.ndarray) -> None:
        """Refuse a loss that cannot be continued to complex weights, by a complex step.

        Im L(θ + iεv)/ε = g·v for a tiny ε if L is analytic; an absolute value loses it.

        Raises:
            InvalidLoss: It does not hold at θ.
        """
        direction = np.random.default_rng(0).normal(size=self.dimension)
        expected = float(np.dot(self.gradient(theta.real), direction))
        scale = np.linalg.norm(self.gradient(theta.real)) * np.linalg.norm(direction)
        try:
            with in_precision(self.precision):
                moved = self._complex(theta.real + 1j * COMPLEX_STEP * direction)
                found = complex(self._value(moved)).imag / COMPLEX_STEP
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InvalidLoss(f"the loss does not take complex weights: {error}") from None
        if not abs(found - expected) <= (1e-6 if self.is_double else 1e-2) * scale:
            raise InvalidLoss(
                "the loss is not analytic, so it has no flow at complex weights: its derivative "
                f"along an imaginary step is {found:.6g}, along a real one {expected:.6g}"
            )

    @cached_property
    def _value(self) -> Callable:
        return jax.jit(self.of_vector)

    @cached_property
    def _both(self) -> Callable:
        return jax.jit(jax.value_and_grad(self.of_vector))

    @cached_property
    def _gradient(self) -> Callable:
        return jax.jit(jax.grad(self.of_vector))

    @cached_property
    def _complex_gradient(self) -> Callable:
        return jax.jit(jax.grad(self.of_vector, holomorphic=True))

    @cached_property
    def _product(self) -> Callable:
        return jax.jit(_product_of(jax.grad(self.of_vector)))

    @cached_property
    def _complex_product(self) -> Callable:
        return jax.jit(_product_of(jax.grad(self.of_vector, holomorphic=True)))

    @cached_property
    def _hessian(self) -> Callable:
        return jax.jit(jax.jacfwd(jax.grad(self.of_vector)))

    @cached_property
    def _complex_hessian(self) -> Callable:
        gradient = jax.grad(self.of_vector, holomorphic=True)
        return jax.jit(jax.jacfwd(gradient, holomorphic=True))

    def _real(self, vector: np.ndarray) -> jax.Array:
        return jnp.asarray(vector, self.dtype)

    def _complex(self, vector: np.ndarray) -> jax.Array:
        return jnp.asarray(vector, np.complex128 if self.is_double else np.complex64)


def flattened(
    loss_fn: Callable[[Any], Any], params: Any, precision: str | None = None
) -> tuple[FlatLoss, np.ndarray]:
    """Return a loss of vectors and params as a vector.

    The last few losses are remembered with what was compiled for them, for functions that are equal
    (as a method of one object always is) and params of one structure. As everywhere in JAX, what a
    loss reads besides its weights must stay as it is.

    >>> loss_fn = lambda p: (p["w"] ** 2).sum()
    >>> loss, theta = flattened(loss_fn, {"w": np.zeros(2)}, "float64")
    >>> again, other = flattened(loss_fn, {"w": np.ones(2)}, "float64")
    >>> loss is again, other.tolist()
    (True, [1.0, 1.0])
    """
    found = FlatLoss(loss_fn, params, precision=precision)
    return _first_like(found), found.start


@lru_cache(maxsize=8)
def _first_like(loss: FlatLoss) -> FlatLoss:
    return loss


def _key(function: Callable) -> Any:
    """Return a function, or its id if it cannot be hashed."""
    try:
        hash(function)
    except TypeError:
        return id(function)
    return function


def _product_of(gradient: Callable) -> Callable:
    return lambda theta, vector: jax.jvp(gradient, (theta,), (vector,))[1]


def _refuse_infinite(params: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not bool(jnp.all(jnp.isfinite(leaf))):
            name = jax.tree_util.keystr(path)
            raise InvalidPoint(f"params{name} has entries that are not finite")
