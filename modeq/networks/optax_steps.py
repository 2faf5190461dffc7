"""Optimizers of optax as steps of vectors, with their memory as a list of arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from modeq.errors import InvalidCheckpoint
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.optimizer_calls import check_optimizer
from modeq.networks.pytrees import fingerprint, in_precision

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.optax_steps needs JAX: pip install modeq[jax]") from error

MARKS = (1.0, -0.5, 2.0)
"""Multiples of the gradient by whose updates an optimizer is recognized."""


class OptaxStep:
    """A step ``step(theta, memory)`` of vectors, where memory is a list of arrays.

    Args:
        transformation: A gradient transformation of optax.
        loss: The loss.

    >>> import optax
    >>> step = OptaxStep(optax.sgd(0.5), FlatLoss(lambda p: (p**2).sum() / 2, np.ones(2)))
    >>> step(np.float32([2.0, 4.0]), step.first(np.float32([2.0, 4.0])))[0].tolist()
    [1.0, 2.0]
    """

    def __init__(self, transformation: Any, loss: FlatLoss):
        self._optax = check_optimizer(transformation)
        self._loss = loss
        self._structure: Any = None
        self._keys: list[Any] = []
        self._update = jax.jit(self._traced)

    def first(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the memory at the start."""
        with in_precision(self._loss.precision):
            return self._packed(self._optax.init(self._loss.traced(jnp.asarray(theta))))

    def __call__(
        self, theta: np.ndarray, memory: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the next vector and memory."""
        if self._structure is None:
            self.first(theta)
        with in_precision(self._loss.precision):
            vector, after = self._update(jnp.asarray(theta), self._unpacked(memory), 1.0)
            return np.asarray(vector), self._packed(after)

    def descent_rate(self, theta: np.ndarray) -> float | None:
        """Return h if the first step is -h times the gradient, as far as can be told, or None."""
        self.first(theta)
        with in_precision(self._loss.precision):
            params = self._loss.traced(jnp.asarray(theta))
            gradient = jax.grad(self._loss.of_vector)(jnp.asarray(theta))
            updates, _ = self._optax.update(
                self._loss.traced(gradient), self._optax.init(params), params
            )
            move = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(updates)])
            slope, move = (np.asarray(vector, float) for vector in (gradient, move))
        size, rounding = slope @ slope, np.finfo(self._loss.dtype).eps
        rate = -(move @ slope) / size if size else 0.0
        if not rate > 0 or np.linalg.norm(move + rate * slope) > 10 * rounding * np.sqrt(
            move @ move
        ):
            return None
        return float(f"{rate:.{6 if rounding > 1e-10 else 14}g}")

    def fingerprint(self, theta: np.ndarray) -> str:
        """Return what tells the optimizer from others: a hash of its init and update."""
        with in_precision(self._loss.precision):
            params = self._loss.traced(jnp.asarray(theta))
            state = self._optax.init(params)
            programs = (
                jax.make_jaxpr(self._optax.init)(params),
                jax.make_jaxpr(self._optax.update)(params, state, params),
            )
            return fingerprint(*programs, str(jax.tree.structure(state)))

    def refuse_others(self, memory: list[np.ndarray], theta: np.ndarray) -> None:
        """Refuse a memory that is not of this optimizer.

        Raises:
            InvalidCheckpoint: It has other arrays.
        """
        own = [(array.shape, array.dtype) for array in self.first(theta)]
        theirs = [(array.shape, array.dtype) for array in memory]
        if own != theirs:
            raise InvalidCheckpoint(
                f"the checkpoint is of another optimizer: its memory has {len(theirs)} arrays of "
                f"the shapes {[shape for shape, _ in theirs]}, and this one's has {len(own)} of "
                f"the shapes {[shape for shape, _ in own]}"
            )

    def mark(self, theta: np.ndarray) -> float:
        """Return a number that other optimizers, or other numbers in this one, would not give."""
        self.first(theta)
        with in_precision(self._loss.precision):
            start, total = jnp.asarray(theta), 0.0
            state = self._optax.init(self._loss.traced(start))
            for k, multiple in enumerate(MARKS, start=1):
                moved, state = self._update(start, state, multiple)
                total += k * float(jnp.linalg.norm(moved - start))
            return total

    def _traced(self, theta: Any, state: Any, multiple: Any) -> tuple[Any, Any]:
        loss = self._loss
        params = loss.traced(theta)
        gradient = loss.traced(multiple * jax.grad(loss.of_vector)(theta))
        updates, state = self._optax.update(gradient, state, params)
        leaves = jax.tree.leaves(jax.tree.map(jnp.add, params, updates))
        vector = jnp.concatenate([leaf.ravel() for leaf in leaves])
        return vector.astype(loss.dtype), state

    def _packed(self, state: Any) -> list[np.ndarray]:
        """Return the leaves of a state; keys of random numbers as the integers they are made of."""
        leaves, self._structure = jax.tree.flatten(state)
        self._keys = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in leaves]
        return [
            np.asarray(jax.random.key_data(leaf) if key else leaf)
            for leaf, key in zip(leaves, self._keys, strict=True)
        ]

    def _unpacked(self, memory: list[np.ndarray]) -> Any:
        leaves = [
            jax.random.wrap_key_data(jnp.asarray(leaf), impl=key) if key else jnp.asarray(leaf)
            for leaf, key in zip(memory, self._keys, strict=True)
        ]
        return jax.tree.unflatten(self._structure, leaves)


@lru_cache(maxsize=8)
def optax_step(transformation: Any, loss: FlatLoss) -> OptaxStep:
    """Return the step of an optimizer; the last ones are remembered as they were compiled."""
    return OptaxStep(transformation, loss)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
