"""Which counters in the state of an optimizer are ages of averages, and which clocks of schedules.

An age matters as long as averages are young: after c steps what it changes is at most a few times

    ρᶜ (1 + c (1 - ρ)) / (1 - ρᶜ),

where ρ is the spectral radius of the memory. What matters longer, or otherwise, is a clock.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modeq.networks.optimizer_calls import (
    SETTLED,
    State,
    Update,
    WholeNumbers,
    distance,
    negligible,
    outcome,
)

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError(
        "modeq.networks.optimizer_clocks needs JAX: pip install modeq[jax]"
    ) from error

_YOUTH = 10.0
"""How many times that an age may change a call."""

_NEIGHBORS = 256
"""How many calls one after the other are compared."""


class Clocks:
    """What calls of an update make of its counters, at a state at rest.

    Args:
        update: The update of an optimizer of optax.
        calls: How many calls of it are one step.
        whole: Its whole numbers.
        state: A state, with its counters at the number of calls that is asked for.
        params, gradient: The weights and gradient that belong to it.

    Example:
        >>> import optax
        >>> w, decay = jnp.ones(2), optax.sgd(optax.exponential_decay(0.1, 100, 0.5))
        >>> clocks = Clocks(decay.update, 1, WholeNumbers(1, (0,)), decay.init(w), w, w)
        >>> clocks.found(radius=0.0)
        {0: (1, inf)}
        >>> round(clocks.change(2), 3)
        0.014
    """

    def __init__(
        self,
        update: Update,
        calls: int,
        whole: WholeNumbers,
        state: State,
        params: Any,
        gradient: Any,
    ):
        leaves, structure = jax.tree.flatten(state)
        self._counters = whole.counters
        self._calls = calls
        self._here = np.array([int(np.ravel(leaves[i])[0]) for i in whole.counters])
        self._negligible = negligible(params)

        def called(row: Any) -> list:
            given = list(leaves)
            for leaf, value in zip(self._counters, row, strict=True):
                given[leaf] = jnp.full_like(leaves[leaf], value)
            state = structure.unflatten(given)
            return outcome(update, calls, state, params, gradient, self._counters)

        def distances(rows: Any, reference: Any) -> Any:
            wanted = called(reference)
            return jax.lax.map(lambda row: distance(called(row), wanted), rows)

        self._distances = jax.jit(distances)

    def found(self, radius: float) -> dict[int, tuple[int, float]]:
        """Return the clocks, each with a number of calls where it shows, and how much it shows.

        That is by how much a call differs from one after 10⁹ calls, in parts of it.
        """
        found = {}
        counts = _counts(radius, self._calls)
        allowed = self._negligible + _YOUTH * _young(radius, counts / self._calls)
        for which, leaf in enumerate(self._counters):
            rows = np.tile(self._here, (len(counts) + 1, 1))
            rows[:, which] = [*counts, SETTLED]
            missed = self._compared(rows[:-1], rows[-1])
            worst = int(np.argmax(missed / allowed))
            if not missed[worst] <= allowed[worst]:
                found[leaf] = int(counts[worst]), float(missed[worst])
        return found

    def change(self, steps: int) -> float:
        """Return by how much a call differs from those in the next steps, in parts of it."""
        later = np.arange(1, steps * self._calls + 1)
        return float(np.max(self._compared(self._here + later[:, None], self._here)))

    def _compared(self, rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
        rows, reference = jnp.asarray(rows, "int32"), jnp.asarray(reference, "int32")
        return np.asarray(self._distances(rows, reference), float)


def _counts(radius: float, calls: int) -> np.ndarray:
    """Return numbers of calls from where averages are no more young to far beyond."""
    first = calls * min(math.ceil(1 / (1 - radius)), SETTLED // 2)
    powers = 2.0 ** np.arange(math.ceil(math.log2(SETTLED / first)))
    return np.array([*(first * powers).astype(int), *(SETTLED + np.arange(1, _NEIGHBORS + 1))])


def _young(radius: float, steps: np.ndarray) -> np.ndarray:
    kept = radius**steps
    return kept * (1 + steps * (1 - radius)) / (1 - kept) if radius else np.zeros(len(steps))
