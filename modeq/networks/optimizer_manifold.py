"""The slow manifold of the memory of an optimizer of optax, at weights.

An optimizer has weights θ and a memory M. One step is

    θ⁺ = θ + u(θ, M),        M⁺ = N(θ, M) = J M + r,

where J contracts, and r may depend on M a little, by O(h). Along the slow orbit all is a polynomial
in the step number, order by order in h, so that with Δ the forward difference along the orbit

    M*(θ₀) = Σ_{s=0}^{p} (-1)^s (I - J)^{-s-1} Δˢ r(0) + O(h^{p+1}).

A run of p + 1 steps from (θ₀, M*) gives the r; M* right to O(hᵖ) gives it right to O(h^{p+1}). So
p = 0, 1, …, n one after the other take (n + 1)(n + 2)/2 steps, and none of them needs to know the
optimizer: products with J are derivatives of its update, and (I - J)⁻¹ comes from the diagonal of
J, or from a Krylov space of as many dimensions as J has eigenvalues.

Long memories need small learning rates: where a gradient changes much while it is remembered, the
series for M* is of no use. An average of squares, as in Adam, then becomes negative, and its root
not finite, unless there is an ε inside of the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from modeq.errors import DidNotConverge, FlowError, InvalidMethod, ModeqError
from modeq.networks.contraction import Contraction
from modeq.networks.optimizer_calls import (
    SETTLED,
    State,
    as_array,
    first_state,
    leaf_names,
    like_old,
    whole_numbers,
)
from modeq.networks.optimizer_clocks import Clocks
from modeq.networks.optimizer_memory import Memory
from modeq.networks.pytrees import Params, epsilon, is_finite

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError(
        "modeq.networks.optimizer_manifold needs JAX: pip install modeq[jax]"
    ) from error

_MAX_NEWTON = 12
_RESTING = 1e-6
"""How far the memory may be from rest, in parts of it, before its orders are found."""

_NEARBY = 1e-3
"""How far from rest, in parts of it, memory must be forgotten as well."""

_OFF = 1e-2
"""How far from rest, in parts of it, memory is where clocks are looked for."""

_WARM = (0, 1_000)
"""How many calls at the same gradient may go before Newton's method."""

_ROUGH = 0.5
"""By how much a step may bend over one more order of the memory, in parts of it."""

_SLOW = 0.25
"""By how much clocks may change a step while a field is measured, in parts of it."""


class OptimizerCalls:
    """Calls of the update of an optimizer of optax along a loss.

    Args:
        optimizer: The optimizer.
        gradient: The gradient of the loss at weights and a minibatch.
        batches: The minibatches of an epoch, each a tuple.

    Attributes:
        rounds: How many epochs are one step.
    """

    def __init__(self, optimizer: Any, gradient: Callable, batches: list[tuple]):
        self.init, self.update = optimizer.init, optimizer.update
        self.batches, self.rounds = batches, 1
        self._gradient = jax.jit(gradient)

        def one(params: Params, state: State, batch: tuple) -> tuple[Params, State, Params]:
            change, state = optimizer.update(gradient(params, *batch), state, params)
            change = jax.tree.map(lambda c, p: jnp.asarray(c, p.dtype), change, params)
            return jax.tree.map(jnp.add, params, change), state, change

        self._one = jax.jit(one)

    @property
    def number(self) -> int:
        """How many calls are one step."""
        return self.rounds * len(self.batches)

    def gradient(self, params: Params) -> Params:
        """Return the gradient of the first call.

        Raises:
            FlowError: It is not finite.
        """
        found = self._gradient(params, *self.batches[0])
        if not is_finite(found):
            raise FlowError("the gradient is not finite at these weights")
        return found

    def step(self, params: Params, state: State, number: int) -> tuple[Params, State, Params]:
        """Return weights and state after one step, and by how much the weights changed.

        Raises:
            FlowError: They are not finite.
        """
        total = None
        for batch in self.rounds * self.batches:
            params, state, change = self._one(params, state, batch)
            total = change if total is None else jax.tree.map(jnp.add, total, change)
        if not is_finite(params):
            raise FlowError(
                f"step {number} of the optimizer is not finite; take a smaller learning rate, a "
                f"lower order, or an epsilon inside of roots (eps_root)"
            )
        return params, state, total

    def repeated(self, params: Params, gradient: Params, state: State, calls: int) -> State:
        """Return the state after some calls at the same gradient and weights."""
        like, structure = jax.tree.flatten(jax.tree.map(as_array, state))

        def call(_: Any, leaves: list) -> list:
            after = self.update(gradient, structure.unflatten(leaves), params)[1]
            return [like_old(x, y) for x, y in zip(jax.tree.leaves(after), like, strict=True)]

        return structure.unflatten(jax.jit(lambda x: jax.lax.fori_loop(0, calls, call, x))(like))


class SlowManifold:
    """The states of an optimizer on its slow manifold, at weights of one shape.

    What the state does is measured first, on calls of the update, and refused if it has no slow
    manifold.

    Args:
        optimizer: An optimizer of optax.
        calls: Its calls along a loss; how many rounds are one step is set here.
        params: Weights.
        order: The highest power n of h that states are right through.
        count: After how many calls clocks are read, or None.

    Attributes:
        clocks: {leaf of the state: count} for counters that are clocks of schedules.
        whole: What the whole numbers in a state do.

    Raises:
        InvalidMethod: There is no slow manifold.
        DidNotConverge, FlowError: It was not found.
    """

    def __init__(
        self,
        optimizer: Any,
        calls: OptimizerCalls,
        params: Params,
        order: int,
        count: int | None,
    ):
        self._calls, self._order = calls, order
        gradient = calls.gradient(params)
        at_rest = first_state(optimizer, params, gradient)
        self.whole = whole_numbers(calls.update, at_rest, params, gradient)
        calls.rounds = self.whole.period // math.gcd(self.whole.period, len(calls.batches))
        here = SETTLED if count is None else count
        self._counts, self._warming = dict.fromkeys(self.whole.counters, here), _WARM[0]
        self._memory = self._remembered(params, gradient)
        self.clocks = self._found_clocks(params, gradient, count)
        self._counts = dict.fromkeys(self.whole.counters, SETTLED) | self.clocks

    def _remembered(self, params: Params, gradient: Params) -> Memory:
        """Return what of the state is memory."""
        calls = self._calls
        others = jax.tree.map(lambda p: 0.9 * p - 0.1, params)
        steeper = jax.tree.map(lambda g: -1.3 * g, gradient)
        elsewhere = calls.update(steeper, calls.init(others), others)[1]
        return Memory(
            calls.update,
            calls.number,
            self._warm(params),
            params,
            gradient,
            elsewhere,
            self.whole.counters,
        )

    def _found_clocks(self, params: Params, gradient: Params, count: int | None) -> dict[int, int]:
        """Return {leaf: count} for the clocks, once the memory is found to contract."""
        state, radius = self._rested(params)
        if self._memory.size:
            self._refuse_what_stays(params, state)
        # Off rest it also shows where memory is only now and then made of the gradient.
        moved = next(self._moved(state, _OFF))
        clocks = Clocks(self._calls.update, self._calls.number, self.whole, moved, params, gradient)
        found, names = clocks.found(radius), leaf_names(state)
        if found and count is None:
            leaf, (calls, much) = next(iter(found.items()))
            what = f"differs by {much:.1%} from that" if math.isfinite(much) else "is not that"
            raise InvalidMethod(
                f"the update of the optimizer depends on the counter {names[leaf]} of its state: "
                f"after {calls} calls it {what} after {SETTLED}; give count=, the number of calls "
                f"after which the field is wanted"
            )
        if found and not (change := clocks.change(self._order + 1)) <= _SLOW:
            raise InvalidMethod(
                f"the update of the optimizer changes by {change:.1%} within {self._order + 1} "
                f"steps after count={count}, without any change of the gradient; a field needs a "
                f"count where it changes slowly"
            )
        for leaf, (other, _) in found.items():
            for calls in (other, SETTLED):
                states = (self.whole.set_to(state, {leaf: c}) for c in (count, calls))
                self._refuse_forgetting_by(names[leaf], params, gradient, *states)
        return dict.fromkeys(found, count)

    def _rested(self, params: Params) -> tuple[State, float]:
        """Return a state at rest, and the spectral radius of the memory there.

        Where memory does not contract after the first step, more calls at the same gradient may
        bring it to where it does.
        """
        for self._warming in _WARM:
            state = self._warm(params)
            try:
                radius = self._contraction(state, params).radius()
                if radius is None:
                    return state, 0.0
                state = self._resting(params, state)
                return state, self._contraction(state, params).radius()
            except ModeqError:
                if self._warming == _WARM[-1]:
                    raise
        raise AssertionError("there is a number of calls to warm up")

    def _refuse_what_stays(self, params: Params, state: State) -> None:
        """Refuse memory that stays what it was once it is no more at rest, such as a maximum."""
        for moved in self._moved(state, _NEARBY):
            self._contraction(moved, params).radius()

    def _moved(self, state: State, part: float) -> Iterator[State]:
        """Return states with each entry of the memory moved to one side, and to the other."""
        memory = self._memory.vector(state)
        signs = np.random.default_rng(0).choice([-1.0, 1.0], len(memory))
        for sign in (1, -1):
            yield self._memory.replaced(state, memory * (1 + sign * part * signs))

    def _refuse_forgetting_by(
        self, name: str, params: Params, gradient: Params, one: State, other: State
    ) -> None:
        """Refuse a clock that changes how the memory forgets, which is no polynomial in steps."""
        vector = np.random.default_rng(0).normal(size=self._memory.size)
        some, others = (
            self._memory.response(state, params, gradient, vector) for state in (one, other)
        )
        if np.linalg.norm(some - others) > 1e3 * epsilon(params) * np.linalg.norm(vector):
            raise InvalidMethod(
                f"the counter {name} of the optimizer's state changes how fast its memory "
                f"forgets; only schedules that leave that alone have a field here"
            )

    def radius(self, params: Params) -> float | None:
        """Return the spectral radius of the memory after a first step; None without memory."""
        return self._contraction(self._warm(params), params).radius()

    def state(self, params: Params) -> State:
        """Return the state on the slow manifold at weights, right through hⁿ."""
        state = self._warm(params)
        contraction = self._contraction(state, params)
        if contraction.radius() is None:
            return state
        state = self._resting(params, state)
        contraction = self._contraction(state, params)
        found = [state]
        for order in range(1, max(self._order, 1) + 1):
            found.append(self._improved(params, found[-1], contraction, order))
        self._refuse_rough(params, found[-2], found[-1])
        return found[self._order]

    def _warm(self, params: Params) -> State:
        """Return a state of the optimizer after its first step, which may differ from others."""
        state = self._calls.step(params, self._calls.init(params), 1)[1]
        state = self.whole.set_to(state, self._counts)
        if self._warming:
            calls = self._warming * self._calls.number
            state = self._calls.repeated(params, self._calls.gradient(params), state, calls)
            state = self.whole.set_to(state, self._counts)
        return state

    def _contraction(self, state: State, params: Params) -> Contraction:
        """Return J, at a state and weights."""
        gradient = self._calls.gradient(params)
        return Contraction(
            lambda v: self._memory.response(state, params, gradient, v),
            self._memory.size,
            epsilon(params),
            self._memory.diagonal,
            self._memory.name_of,
        )

    def _refuse_rough(self, params: Params, before: State, after: State) -> None:
        """Refuse memory whose series in h is of no use for the update, as under a root of 0."""
        bend = self._memory.bend(before, after, params, self._calls.gradient(params))
        if not bend <= _ROUGH:
            much = f"bends by {bend:.1%}" if bend < np.inf else "is not finite"
            raise FlowError(
                f"over one more order of the memory a step of the optimizer {much}: gradients "
                f"change too much while they are remembered; take a smaller learning rate, or an "
                f"epsilon inside of roots (eps_root)"
            )

    def _resting(self, params: Params, state: State) -> State:
        """Return the state whose memory is that of a constant gradient, by Newton's method."""
        tolerance = max(_RESTING, 1e3 * epsilon(params))
        for _ in range(_MAX_NEWTON):
            before = self._memory.vector(state)
            state = self._improved(params, state, self._contraction(state, params), 0)
            after = self._memory.vector(state)
            if np.linalg.norm(after - before) <= tolerance * np.linalg.norm(after):
                return state
        raise DidNotConverge(
            f"the memory of the optimizer does not settle at a constant gradient within "
            f"{_MAX_NEWTON} corrections; take a smaller learning rate"
        )

    def _improved(
        self, params: Params, state: State, contraction: Contraction, order: int
    ) -> State:
        """Return the state whose memory is right through one more power of h."""
        rests, following = [], state
        for number in range(1, order + 2):
            before = self._memory.vector(following)
            params, following, _ = self._calls.step(params, following, number)
            rests.append(self._memory.vector(following) - contraction.product(before))
            if not np.all(np.isfinite(rests[-1])):
                raise FlowError(
                    f"the memory of the optimizer is not finite after step {number}, in the leaf "
                    f"{self._memory.name_of(rests[-1])} of its state"
                )
        differences = [rests[0]]
        while len(rests) > 1:
            rests = [b - a for a, b in pairwise(rests)]
            differences.append(rests[0])
        total = np.zeros_like(differences[0])
        for difference in reversed(differences):
            total = contraction.solved(difference - total)
        return self._memory.replaced(state, total)
