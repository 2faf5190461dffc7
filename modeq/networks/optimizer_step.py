"""Any optimizer of optax as a step of the weights alone, on the slow manifold of its memory.

An optimizer has weights θ and a memory M. One step is

    θ⁺ = θ + u(θ, M),        M⁺ = N(θ, M) = J M + r,

where J contracts, and r may depend on M a little, by O(h). Along the slow orbit all is a polynomial
in the step number, order by order in h, so that with Δ the forward difference along the orbit

    M*(θ₀) = Σ_{s=0}^{p} (-1)^s (I - J)^{-s-1} Δˢ r(0) + O(h^{p+1}).

A run of p + 1 steps from (θ₀, M*) gives the r; M* right to O(hᵖ) gives it right to O(h^{p+1}). So
p = 0, 1, …, n one after the other take (n + 1)(n + 2)/2 steps, and none of them needs to know the
optimizer: products with J are derivatives of its update, and (I - J)⁻¹ comes from the diagonal of
J, or from a Krylov space of as many dimensions as J has eigenvalues. From (θ₀, M*) the optimizer
stays on the slow manifold, and the field is the usual sum over its next n + 1 steps (derived here).

Long memories need small learning rates: where a gradient changes much while it is remembered, the
series for M* is of no use. An average of squares, as in Adam, then becomes negative, and its root
not finite, unless there is an ε inside of the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_order, check_step, check_steps, whole
from modeq.errors import DidNotConverge, FlowError, InvalidStep, InvalidValue
from modeq.networks.contraction import Contraction, settled_point
from modeq.networks.optimizer_memory import Memory, check_optimizer
from modeq.networks.pytrees import (
    Params,
    cast,
    check_params,
    check_precision,
    epsilon,
    in_precision,
    is_finite,
    scalar,
)

try:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree
except ImportError as error:
    raise ImportError("modeq.networks.optimizer_step needs JAX: pip install modeq[jax]") from error

_State = Any
"""The state of an optimizer of optax: a pytree."""

_SETTLED = 10**9
"""The number of steps after which the corrections of averages for their youth are 1."""

MAX_NEWTON = 12
RESTING = 1e-6
"""How far the memory may be from rest, in parts of it, before its orders are found."""

MAX_FORGETTING = 50_000
"""Steps that an optimizer may take to forget how it started."""


class OptimizerStep:
    """One step of an optimizer of optax, full-batch or an epoch, as a step of the weights alone.

        step(params)         the weights after one step on the slow manifold
        step.field(params)   f̃ at weights, right through hⁿ
        step.start(params)   where the flow starts that the run from rest at ``params`` approaches
        step.run(params, steps)   the weights along a run of the optimizer itself, from rest

    Whole numbers named ``count`` in the state, by which optimizers correct young averages and
    follow schedules, are set to ``count`` on the slow manifold; in ``run`` they count from 0.

    Args:
        optimizer: What optax makes, such as ``optax.adam(0.01)``: a pair ``init``, ``update``.
        loss_fn: ``loss_fn(params, *batch)`` returns a number.
        order: The highest power n of h that the field is right through.
        h: The learning rate, as the unit of time: optax has it inside of the optimizer. Without it,
            time counts steps.
        batches: The minibatches of an epoch in their order, each a tuple of arguments of the loss.
            One epoch is then one step. Without them, the loss takes the weights only.
        precision: "float64" or "float32" to compute in it, whatever the weights come in.
        count: At which step the optimizer is; without it, after so many that averages are settled.

    Raises:
        InvalidLoss, InvalidMethod, InvalidOrder, InvalidStep, InvalidValue: An argument cannot be
            right.

    Example:
        >>> import optax
        >>> step = OptimizerStep(optax.sgd(0.01, momentum=0.5), lambda x: jnp.sum(x**2) / 2, 1,
        ...     h=0.01, precision="float64")
        >>> round(step.field(np.ones(1)).item(), 3)  # -x/(1-β) - h x (1+β)/(2(1-β)³)
        -2.06
        >>> round(step.start(np.ones(1)).item(), 3)  # x + h x β/(1-β)² + …
        1.022

    References:
        Derived here. For a symbolic form of the same see ``modeq.derivation.slow_manifold``.
    """

    def __init__(
        self,
        optimizer: Any,
        loss_fn: Callable[..., Any],
        order: int,
        *,
        h: float = 1.0,
        batches: Iterable[tuple] | None = None,
        precision: str | None = None,
        count: int = _SETTLED,
    ):
        self.order = check_order(order)
        self.h = check_step(h)
        self.precision = check_precision(precision)
        self.count = whole(count, "count", 1, InvalidStep)
        self._optimizer = check_optimizer(optimizer)
        self._batches = _checked_batches(batches, precision)
        gradient = jax.grad(scalar(loss_fn))
        self._gradient = jax.jit(gradient)
        self._one = jax.jit(partial(_one_step, gradient, optimizer.update))
        self._memory: Memory | None = None

    def __call__(self, params: Params) -> Params:
        """Return the weights after one step on the slow manifold.

        Raises:
            InvalidMethod, DidNotConverge: The memory does not contract.
            FlowError: A step is not finite.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            return self._advance(params, self._slow_state(params), 1)[0]

    def field(self, params: Params) -> Params:
        """Return f̃ at weights, from (n + 1)(n + 4)/2 steps or a few more; it raises likewise."""
        with in_precision(self.precision):
            params = self._cast(params)
            state, total = self._slow_state(params), jax.tree.map(jnp.zeros_like, params)
            for number, weight in enumerate(increment_weights(self.order), 1):
                params, state, change = self._advance(params, state, number)
                share = float(weight) / self.h
                total = jax.tree.map(lambda t, c, share=share: t + share * c, total, change)
            return total

    def slow_state(self, params: Params) -> _State:
        """Return the state of the optimizer on the slow manifold at weights, right through hⁿ."""
        with in_precision(self.precision):
            return self._slow_state(self._cast(params))

    def run(self, params: Params, steps: int) -> list[Params]:
        """Return the weights θ₀, …, θ_steps of the optimizer itself, from rest.

        Raises:
            FlowError: A step is not finite.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            found, state = [params], self._optimizer.init(params)
            for number in range(1, check_steps(steps) + 1):
                params, state, _ = self._advance(params, state, number)
                found.append(params)
            return found

    def start(self, params: Params) -> Params:
        """Return where the slow flow starts that the run from rest at ``params`` approaches.

        Both runs take as many steps as the optimizer needs to forget; the slow one starts where
        they end at the same weights.

        Raises:
            DidNotConverge: The start was not found, or the optimizer forgets too slowly.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            at_rest = self._optimizer.init(params)
            radius = self._contraction(self._warm(params), params).radius()
            if radius is None:
                return params
            return self._shadowing(params, at_rest, _forgetting(radius, epsilon(params)))

    def _cast(self, params: Params) -> Params:
        check_params(params)
        return jax.tree.map(jnp.asarray, cast(params, self.precision))

    def _advance(self, params: Params, state: _State, number: int) -> tuple[Params, _State, Params]:
        """Return weights and state after one step, and by how much the weights changed."""
        total = None
        for batch in self._batches:
            params, state, change = self._one(params, state, batch)
            total = change if total is None else jax.tree.map(jnp.add, total, change)
        if not is_finite(params):
            raise FlowError(
                f"step {number} of the optimizer is not finite; take a smaller learning rate, a "
                f"lower order, or an epsilon inside of roots (eps_root)"
            )
        return params, state, total

    def _warm(self, params: Params) -> _State:
        """Return a state of the optimizer after its first step, which may differ from others."""
        return self._settled(self._advance(params, self._optimizer.init(params), 1)[1])

    def _settled(self, state: _State) -> _State:
        """Return a state with its counts of steps set to ``count``."""
        return jax.tree_util.tree_map_with_path(
            lambda path, x: jnp.full_like(x, self.count) if _is_count(path, x) else x, state
        )

    def _contraction(self, state: _State, params: Params) -> Contraction:
        """Return J, at a state and weights."""
        gradient = self._gradient(params, *self._batches[0])
        if self._memory is None:
            repeats = len(self._batches)
            self._memory = Memory(self._optimizer.update, repeats, state, params, gradient)
        return Contraction(
            lambda v: self._memory.response(state, params, gradient, v),
            self._memory.size,
            epsilon(params),
            self._memory.diagonal,
        )

    def _slow_state(self, params: Params) -> _State:
        state = self._warm(params)
        contraction = self._contraction(state, params)
        if contraction.radius() is None:
            return state
        state = self._resting(params, state)
        contraction = self._contraction(state, params)
        for order in range(1, self.order + 1):
            state = self._improved(params, state, contraction, order)
        return state

    def _resting(self, params: Params, state: _State) -> _State:
        """Return the state whose memory is that of a constant gradient, by Newton's method."""
        tolerance = max(RESTING, 1e3 * epsilon(params))
        for _ in range(MAX_NEWTON):
            before = self._memory.vector(state)
            state = self._improved(params, state, self._contraction(state, params), 0)
            after = self._memory.vector(state)
            if np.linalg.norm(after - before) <= tolerance * np.linalg.norm(after):
                return state
        raise DidNotConverge(
            f"the memory of the optimizer does not settle at a constant gradient within "
            f"{MAX_NEWTON} corrections; take a smaller learning rate"
        )

    def _improved(
        self, params: Params, state: _State, contraction: Contraction, order: int
    ) -> _State:
        """Return the state whose memory is right through one more power of h."""
        rests, following = [], state
        for number in range(1, order + 2):
            before = self._memory.vector(following)
            params, following, _ = self._advance(params, following, number)
            rests.append(self._memory.vector(following) - contraction.product(before))
        differences = [rests[0]]
        while len(rests) > 1:
            rests = [b - a for a, b in pairwise(rests)]
            differences.append(rests[0])
        total = np.zeros_like(differences[0])
        for difference in reversed(differences):
            total = contraction.solved(difference - total)
        return self._memory.replaced(state, total)

    def _shadowing(self, params: Params, at_rest: _State, steps: int) -> Params:
        """Return the start of the slow run that ends where that from rest does."""
        end, _ = self._end(params, at_rest, steps)
        first, unravel = ravel_pytree(params)

        def defect(point: np.ndarray) -> np.ndarray:
            start = unravel(jnp.asarray(point, first.dtype))
            reached, _ = self._end(start, self._slow_state(start), steps)
            return np.asarray(ravel_pytree(end)[0] - ravel_pytree(reached)[0], float)

        size = float(jnp.linalg.norm(first))
        tolerance = 4 * epsilon(params) * math.sqrt(steps) * (1 + size)
        return unravel(
            jnp.asarray(settled_point(defect, np.asarray(first, float), tolerance), first.dtype)
        )

    def _end(self, params: Params, state: _State, steps: int) -> tuple[Params, _State]:
        for number in range(1, steps + 1):
            params, state, _ = self._advance(params, state, number)
        return params, state


def _one_step(
    gradient: Callable, update: Callable, params: Params, state: _State, batch: tuple
) -> tuple[Params, _State, Params]:
    """Return weights and state after one step, and by how much the weights changed."""
    change, state = update(gradient(params, *batch), state, params)
    change = jax.tree.map(lambda c, p: jnp.asarray(c, p.dtype), change, params)
    return jax.tree.map(jnp.add, params, change), state, change


def _is_count(path: tuple, leaf: Any) -> bool:
    last = getattr(path[-1], "name", getattr(path[-1], "key", None)) if path else None
    return last == "count" and jnp.issubdtype(jnp.result_type(leaf), jnp.integer)


def _forgetting(radius: float, rounding: float) -> int:
    """Return after how many steps the memory of the start is lost to rounding."""
    steps = max(8, math.ceil(math.log(rounding) / math.log(max(radius, rounding))))
    if steps > MAX_FORGETTING:
        raise DidNotConverge(
            f"the optimizer forgets how it started by a factor of {radius:.6g} in each step, which "
            f"takes {steps} steps; more than {MAX_FORGETTING} are not taken"
        )
    return steps


def _checked_batches(batches: Any, precision: str | None) -> list[tuple]:
    if batches is None:
        return [()]
    found = list(batches) if isinstance(batches, Iterable) else []
    if not found or not all(isinstance(batch, tuple) for batch in found):
        raise InvalidValue(
            "batches must be a list of at least one minibatch, each a tuple of arguments of the "
            "loss"
        )
    with in_precision(precision):
        return [cast(jax.tree.map(jnp.asarray, batch), precision) for batch in found]
