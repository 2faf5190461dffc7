"""The memory in the state of an optimizer of optax, as one vector, and how an update changes it.

A state is a pytree: averages of gradients, which are memory; counts of steps; and hyperparameters,
which an update leaves as they are, whatever the gradient. Only the first is a part of the slow
manifold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from modeq.networks.optimizer_calls import State, leaf_names, outcome

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError(
        "modeq.networks.optimizer_memory needs JAX: pip install modeq[jax]"
    ) from error


class Memory:
    """Which leaves of a state are memory.

    Args:
        update: The ``update`` of an optimizer of optax.
        repeats: How many updates are one step.
        state: A state.
        params: The weights that belong to it.
        gradient: A gradient there.
        elsewhere: A state that comes from other weights and gradients, by as many updates.
        counters: Which leaves are no memory.

    Example:
        >>> import optax
        >>> momentum, w = optax.sgd(0.1, momentum=0.5), jnp.ones(2)
        >>> memory = Memory(momentum.update, 1, momentum.init(w), w, w, momentum.init(-w))
        >>> memory.size
        2
        >>> memory.response(momentum.init(w), w, w, np.array([1.0, 2.0]))
        array([0.5, 1. ])
    """

    def __init__(
        self,
        update: Callable,
        repeats: int,
        state: State,
        params: Any,
        gradient: Any,
        elsewhere: State,
        counters: tuple[int, ...] = (),
    ):
        leaves, structure = jax.tree.flatten(state)
        self._step = jax.jit(lambda *given: outcome(update, repeats, *given)[0])
        self._response = jax.jit(partial(_response, update, repeats), static_argnums=(0, 2))
        following = jax.tree.leaves(jax.jit(update)(gradient, state, params)[1])
        # What an update neither changes nor mixes with anything, nor has ever, is no memory.
        self._mask = tuple(
            jnp.issubdtype(jnp.result_type(x), jnp.floating) and i not in counters
            for i, x in enumerate(leaves)
        )
        ones = [jnp.ones_like(x) for x in self._chosen(leaves)]
        kept = iter(self._response(self._mask, leaves, structure, params, gradient, ones))
        self._mask = tuple(
            m and not (bool(jnp.all(next(kept) == 1)) and bool(jnp.all((x == y) & (x == z))))
            for m, x, y, z in zip(
                self._mask, leaves, following, jax.tree.leaves(elsewhere), strict=True
            )
        )
        self._like = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self._chosen(leaves)]
        self._names = self._chosen(leaf_names(state))
        self.size = sum(x.size for x in self._like)
        self.diagonal = self._diagonal(state, params, gradient)

    def _diagonal(self, state: State, params: Any, gradient: Any) -> np.ndarray:
        """Return the diagonal of J, if each leaf of it changes entry by entry, of shape (size,)."""
        found = np.zeros(self.size)
        ends = np.cumsum([0, *(x.size for x in self._like)])
        for begin, end in pairwise(ends.tolist()):
            ones = np.zeros(self.size)
            ones[begin:end] = 1
            found[begin:end] = self.response(state, params, gradient, ones)[begin:end]
        return found

    def name_of(self, vector: np.ndarray) -> str:
        """Return what the leaf is called in which a vector is largest; entries may be infinite."""
        ends = np.cumsum([x.size for x in self._like])[:-1]
        sizes = [
            np.max(np.abs(np.nan_to_num(part, nan=np.inf)), initial=0)
            for part in np.split(vector, ends)
        ]
        return self._names[int(np.argmax(sizes))]

    def vector(self, state: State) -> np.ndarray:
        """Return the memory in a state as doubles, of shape (size,)."""
        return self._joined(self._chosen(jax.tree.leaves(state)))

    def replaced(self, state: State, vector: np.ndarray) -> State:
        """Return a state with other memory."""
        leaves, structure = jax.tree.flatten(state)
        parts = iter(self._split(vector))
        return structure.unflatten(
            [next(parts) if m else x for x, m in zip(leaves, self._mask, strict=True)]
        )

    def response(self, state: State, params: Any, gradient: Any, vector: np.ndarray) -> np.ndarray:
        """Return Jv: how the memory after a step changes with that before, at a fixed gradient."""
        leaves, structure = jax.tree.flatten(state)
        changed = self._response(
            self._mask, leaves, structure, params, gradient, self._split(vector)
        )
        return self._joined(changed)

    def bend(self, before: State, after: State, params: Any, gradient: Any) -> float:
        """Return by how much a step bends on the way from one memory to another, in parts of it.

        That is its second difference over half of the way, twice; 0 where a step is linear.

        >>> import optax
        >>> belief, w = optax.adabelief(0.1), jnp.ones(2)
        >>> at_rest = belief.init(w)
        >>> memory = Memory(belief.update, 1, at_rest, w, w, at_rest, counters=(0,))
        >>> memory.bend(at_rest, memory.replaced(at_rest, np.ones(4)), w, w) > 1
        True
        """
        begin, end = self.vector(before), self.vector(after)
        first, middle, last = (
            np.asarray(self._step(self.replaced(before, v), params, gradient), float)
            for v in (begin, (begin + end) / 2, end)
        )
        miss = 2 * float(np.linalg.norm(last - 2 * middle + first))
        size = float(np.linalg.norm(first))
        if miss == 0:
            return 0.0
        return miss / size if size and np.isfinite(miss) else np.inf

    def _chosen(self, leaves: list) -> list:
        return [x for x, m in zip(leaves, self._mask, strict=True) if m]

    def _joined(self, leaves: list) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(np.asarray(x, float).ravel() for x in leaves)])

    def _split(self, vector: np.ndarray) -> list:
        ends = np.cumsum([x.size for x in self._like])
        parts = np.split(vector, ends[:-1]) if self._like else []
        return [
            jnp.asarray(p.reshape(x.shape), x.dtype) for p, x in zip(parts, self._like, strict=True)
        ]


def _response(
    update: Callable,
    repeats: int,
    mask: tuple,
    leaves: list,
    structure: Any,
    params: Any,
    gradient: Any,
    tangents: list,
) -> list:
    """Return the derivative of the memory after some updates by that before, times tangents."""

    def advanced(memory: list) -> list:
        given = iter(memory)
        state = structure.unflatten(
            [next(given) if m else x for x, m in zip(leaves, mask, strict=True)]
        )
        if repeats == 1:
            state = update(gradient, state, params)[1]
        else:
            state = jax.lax.fori_loop(
                0, repeats, lambda _, old: update(gradient, old, params)[1], state
            )
        return [x for x, m in zip(jax.tree.leaves(state), mask, strict=True) if m]

    memory = [x for x, m in zip(leaves, mask, strict=True) if m]
    return jax.jvp(advanced, (memory,), (tangents,))[1]
