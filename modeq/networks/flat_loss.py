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
from modeq.networks.gradients import Program, gradient, is_ruled
from modeq.networks.pytrees import (
    cast,
    check_params,
    check_precision,
    digest_of,
    fingerprint,
    in_precision,
    of_weights,
    partitioned,
    refuse_mixed,
    refuse_traced,
    scalar,
)

try:
    import jax
    import jax.numpy as jnp
    from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
except ImportError as error:
    raise ImportError("modeq.networks.flat_loss needs JAX: pip install modeq[jax]") from error

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

    def __init__(
        self,
        loss_fn: Callable[..., Any],
        params: Any,
        *args: Any,
        precision: str | None = None,
    ):
        self.precision = check_precision(precision)
        scalar(loss_fn)  # refuses what is no function
        refuse_traced((params, args), "a loss of vectors of NumPy")
        self._module = None
        if (found := partitioned(params)) is not None:
            params, self._module = found
            loss_fn, args = of_weights(loss_fn), (self._module, *args)
        self._loss = loss_fn
        with in_precision(precision):
            check_params(params)
            self._args = cast(args, precision)
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
            self._programs: dict[tuple[str, bool], Any] = {}
            refuse_mixed(self._program("value", False).jaxpr)
            self._program("gradient", False)

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same function of vectors, with the same numbers in it."""
        return isinstance(other, FlatLoss) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple:
        """What results depend on: programs and the numbers in them, whatever function made them."""
        programs = self._programs["value", False], self._programs["gradient", False]
        numbers = digest_of(*(number for p in programs for number in p.consts), self._args)
        texts = (str(program.jaxpr) for program in programs)
        return *texts, numbers, str(self._structure), self.precision

    @cached_property
    def fingerprint(self) -> str:
        """What tells this loss from others in other processes: a hash of programs and numbers."""
        programs = self._programs["value", False], self._programs["gradient", False]
        return fingerprint(*programs, self._args, str(self._structure))

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
        if (found := partitioned(params)) is not None:
            params = found[0]
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
            weights = jax.tree.map(np.asarray, self.traced(jnp.asarray(vector)))
            return weights if self._module is None else self._module.join(weights)

    @property
    def is_ruled(self) -> bool:
        """Whether the loss stops derivatives or has rules of its own for them.

        Then the Jacobian of its gradient need not be symmetric.
        """
        return is_ruled(self._programs["value", False])

    def of_vector(self, vector: Any) -> Any:
        """Return the loss at a vector, as JAX sees it: to be differentiated or compiled."""
        if jnp.iscomplexobj(vector):
            return self._loss(self.traced(vector), *self._args)
        program = self._programs["value", False]
        leaves = jax.tree.leaves(self._args)
        return jaxpr_as_fun(program)(jnp.asarray(vector, self.dtype), *leaves)[0]

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
            return float(self._run("value", self._real(theta)))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient at a real vector."""
        with in_precision(self.precision):
            vector = self._real(theta)
            value, gradient = self._run("value", vector), self._run("gradient", vector)
            return float(value), np.asarray(gradient)

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient at a vector, real or complex."""
        with in_precision(self.precision):
            return np.asarray(self._run("gradient", self._either(theta)))

    def product(self, theta: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Return the Hessian at a vector times another, H(θ) v; either may be complex."""
        with in_precision(self.precision):
            vectors = self._either(theta, vector), self._either(vector, theta)
            return np.asarray(self._run("product", *vectors))

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the Hessian at a vector, real or complex, of shape (d, d): for small d only.

        >>> FlatLoss(lambda p: p[0] * p[1], [1.0, 2.0]).hessian(np.ones(2)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        """
        with in_precision(self.precision):
            matrix = np.asarray(self._run("hessian", self._either(theta)))
            return matrix if self.is_ruled else (matrix + matrix.T) / 2

    def check_symmetric(self, theta: np.ndarray) -> None:
        """Refuse a gradient whose Jacobian is not symmetric, as it is with ``stop_gradient``.

        Raises:
            InvalidLoss: u·Jv is not v·Ju for vectors u and v at random.

        >>> FlatLoss(lambda p: p[0] * jax.lax.stop_gradient(p[1]), [1.0, 2.0]).check_symmetric(
        ...     np.ones(2))
        Traceback (most recent call last):
        modeq.errors.InvalidLoss: the Jacobian of the gradient is not symmetric, as the loss ...
        """
        if not self.is_ruled:
            return
        u, v = np.random.default_rng(0).normal(size=(2, self.dimension))
        left, right = self.product(theta, v).astype(float), self.product(theta, u).astype(float)
        size = np.linalg.norm(u) * np.linalg.norm(left) + np.linalg.norm(v) * np.linalg.norm(right)
        if not abs(u @ left - v @ right) <= float(jnp.finfo(self.dtype).eps) ** 0.75 * size:
            raise InvalidLoss(
                "the Jacobian of the gradient is not symmetric, as the loss stops derivatives or "
                "has rules of its own for them: it has no real eigenvectors that are orthogonal; "
                "take networks.counter_terms or networks.modified_field, which need none"
            )

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
                found = complex(self._run("value", moved)).imag / COMPLEX_STEP
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InvalidLoss(f"the loss does not take complex weights: {error}") from None
        if not abs(found - expected) <= (1e-6 if self.is_double else 1e-2) * scale:
            raise InvalidLoss(
                "the loss is not analytic, so it has no flow at complex weights: its derivative "
                f"along an imaginary step is {found:.6g}, along a real one {expected:.6g}"
            )

    def _run(self, kind: str, *vectors: jax.Array) -> jax.Array:
        """Return what is asked for, by what was compiled for the same program."""
        source = "value" if kind == "value" else "gradient"
        program = self._program(source, jnp.iscomplexobj(vectors[0]))
        call = _compiled(kind, Program(program.jaxpr))
        return call(program.consts, jax.tree.leaves(self._args), *vectors)

    def _program(self, kind: str, is_complex: bool) -> Any:
        """Return the loss or its gradient as a program of a vector and the data."""
        if (kind, is_complex) not in self._programs:
            start = self._complex(self.start) if is_complex else self._real(self.start)
            loss = self._loss

            def of_vector_and_data(vector: Any, *args: Any) -> Any:
                return loss(self.traced(vector), *args)

            function = of_vector_and_data if is_complex else scalar(of_vector_and_data)
            if kind == "gradient":
                function = gradient(function, holomorphic=is_complex)
            self._programs[kind, is_complex] = jax.make_jaxpr(function)(start, *self._args)
        return self._programs[kind, is_complex]

    def _either(self, vector: np.ndarray, other: Any = 0.0) -> jax.Array:
        is_complex = np.iscomplexobj(vector) or np.iscomplexobj(other)
        return self._complex(vector) if is_complex else self._real(vector)

    def _real(self, vector: np.ndarray) -> jax.Array:
        return jnp.asarray(vector, self.dtype)

    def _complex(self, vector: np.ndarray) -> jax.Array:
        return jnp.asarray(vector, np.complex128 if self.is_double else np.complex64)


@lru_cache(maxsize=32)
def _compiled(kind: str, program: Program) -> Callable:
    """Return a function of constants, data and vectors: compiled once for programs that are equal,
    whatever numbers are in them.
    """

    def call(constants: list, data: list, theta: Any, *vector: Any) -> Any:
        run = jaxpr_as_fun(ClosedJaxpr(program.jaxpr, constants))
        function = lambda point: run(point, *data)[0]  # noqa: E731
        if kind == "product":
            return jax.jvp(function, (theta,), vector)[1]
        if kind == "hessian":
            return jax.jacfwd(function, holomorphic=jnp.iscomplexobj(theta))(theta)
        return function(theta)

    return jax.jit(call)


def flattened(
    loss_fn: Callable[..., Any], params: Any, precision: str | None = None, args: tuple = ()
) -> tuple[FlatLoss, np.ndarray]:
    """Return a loss of vectors and params as a vector.

    The loss is read anew each time, so that what it reads besides its weights may change; what is
    compiled is remembered for its program.

    >>> loss, theta = flattened(lambda p: (p["w"] ** 2).sum(), {"w": np.zeros(2)}, "float64")
    >>> again, other = flattened(lambda p: (p["w"] ** 2).sum(), {"w": np.ones(2)}, "float64")
    >>> loss == again, other.tolist()
    (True, [1.0, 1.0])
    """
    found = FlatLoss(loss_fn, params, *args, precision=precision)
    return found, found.start


def _refuse_infinite(params: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not bool(jnp.all(jnp.isfinite(leaf))):
            name = jax.tree_util.keystr(path)
            raise InvalidPoint(f"params{name} has entries that are not finite")
