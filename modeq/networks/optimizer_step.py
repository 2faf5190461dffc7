"""Any optimizer of optax as a step of the weights alone, on the slow manifold of its memory.

From weights θ₀ and the memory that belongs to them there (modeq.networks.optimizer_manifold) the
optimizer stays on the slow manifold, and the field is the usual sum over its next n + 1 steps
(derived here).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_order, check_step, check_steps, whole
from modeq.errors import DidNotConverge, InvalidStep, InvalidValue
from modeq.networks.contraction import settled_point
from modeq.networks.optimizer_calls import SETTLED, State, check_optimizer
from modeq.networks.optimizer_manifold import OptimizerCalls, SlowManifold
from modeq.networks.pytrees import (
    Params,
    cast,
    check_params,
    check_precision,
    epsilon,
    in_precision,
    refuse_traced,
    scalar,
)

try:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree
except ImportError as error:
    raise ImportError("modeq.networks.optimizer_step needs JAX: pip install modeq[jax]") from error

_MAX_FORGETTING = 50_000
"""Steps that an optimizer may take to forget how it started."""


class OptimizerStep:
    """One step of an optimizer of optax, full-batch or an epoch, as a step of the weights alone.

        step(params)         the weights after one step on the slow manifold
        step.field(params)   f̃ at weights, right through hⁿ
        step.start(params)   where the flow starts that the run from rest at ``params`` approaches
        step.run(params, steps)   the weights along a run of the optimizer itself, from rest
        step.period(params)  how many calls of the update, or epochs, are one step

    What is in the state is told by what calls do with it, not by names. Whole numbers that grow
    evenly are ages, by which young averages are corrected, and clocks of schedules. On the slow
    manifold averages are settled; clocks are at ``count``. In ``run`` all count from 0, in
    ``start`` clocks from ``count``. Where the state returns only after p calls (accumulated
    gradients, two passes of sharpness-aware minimization), p calls are one step, which takes the
    time p h: the field goes by calls, as a loop around the optimizer does.

    Memory that is never forgotten, random numbers, and updates that need more than a gradient, a
    state and weights have no slow manifold here, and are refused with what was measured.

    Args:
        optimizer: What optax makes, such as ``optax.adam(0.01)``: a pair ``init``, ``update``.
        loss_fn: ``loss_fn(params, *batch)`` returns a number.
        order: The highest power n of h that the field is right through.
        h: The learning rate, as the unit of time: optax has it inside of the optimizer. Without it,
            time counts steps.
        batches: The minibatches of an epoch in their order, each a tuple of arguments of the loss.
            One epoch is then one step. Without them, the loss takes the weights only.
        precision: "float64" or "float32" to compute in it, whatever the weights come in.
        count: After how many calls the field is wanted, at most 10⁹; needed for schedules only.

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
        count: int | None = None,
    ):
        self.order = check_order(order)
        self.h = check_step(h)
        self.precision = check_precision(precision)
        self.count = None if count is None else whole(count, "count", 1, InvalidStep, SETTLED)
        self._optimizer = check_optimizer(optimizer)
        self._batches = _checked_batches(batches, precision)
        self._steps = OptimizerCalls(self._optimizer, jax.grad(scalar(loss_fn)), self._batches)
        self._manifold: SlowManifold | None = None
        self._shapes: Any = None

    def __call__(self, params: Params) -> Params:
        """Return the weights after one step on the slow manifold.

        Raises:
            InvalidMethod, DidNotConverge: The memory does not contract.
            FlowError: A step is not finite.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            return self._steps.step(params, self._measured(params).state(params), 1)[0]

    def field(self, params: Params) -> Params:
        """Return f̃ at weights, from (n + 1)(n + 4)/2 steps or a few more; it raises likewise."""
        with in_precision(self.precision):
            params = self._cast(params)
            state, total = (
                self._measured(params).state(params),
                jax.tree.map(jnp.zeros_like, params),
            )
            time = self._steps.rounds * self.h
            for number, weight in enumerate(increment_weights(self.order), 1):
                params, state, change = self._steps.step(params, state, number)
                share = float(weight) / time
                total = jax.tree.map(lambda t, c, share=share: t + share * c, total, change)
            return total

    def slow_state(self, params: Params) -> State:
        """Return the state of the optimizer on the slow manifold at weights, right through hⁿ."""
        with in_precision(self.precision):
            params = self._cast(params)
            return self._measured(params).state(params)

    def run(self, params: Params, steps: int) -> list[Params]:
        """Return the weights θ₀, …, θ_steps of the optimizer itself, from rest.

        Raises:
            FlowError: A step is not finite.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            self._measured(params)
            found, state = [params], self._optimizer.init(params)
            for number in range(1, check_steps(steps) + 1):
                params, state, _ = self._steps.step(params, state, number)
                found.append(params)
            return found

    def start(self, params: Params) -> Params:
        """Return where the slow flow starts that the run from rest at ``params`` approaches.

        Both runs take as many steps as the optimizer needs to forget; the slow one starts where
        they end at the same weights. Clocks start at ``count``.

        Raises:
            DidNotConverge: The start was not found, or the optimizer forgets too slowly.
        """
        with in_precision(self.precision):
            params = self._cast(params)
            manifold = self._measured(params)
            radius = manifold.radius(params)
            if radius is None:
                return params
            at_rest = manifold.whole.set_to(self._optimizer.init(params), manifold.clocks)
            return self._shadowing(params, at_rest, _forgetting(radius, epsilon(params)))

    def _cast(self, params: Params) -> Params:
        refuse_traced(params, "a step of an optimizer")
        check_params(params)
        return jax.tree.map(jnp.asarray, cast(params, self.precision))

    def period(self, params: Params) -> int:
        """Return how many calls of the update, or epochs of calls, are one step.

        >>> import optax
        >>> every = OptimizerStep(optax.MultiSteps(optax.sgd(0.1), 3), lambda x: jnp.sum(x**2), 0)
        >>> every.period(np.ones(2, "float32"))
        3
        """
        with in_precision(self.precision):
            self._measured(self._cast(params))
            return self._steps.rounds

    def _measured(self, params: Params) -> SlowManifold:
        """Return the slow manifold, which is measured once for weights of the same shapes."""
        shapes = jax.tree.structure(params), [(x.shape, x.dtype) for x in jax.tree.leaves(params)]
        if self._manifold is None or self._shapes != shapes:
            manifold = SlowManifold(self._optimizer, self._steps, params, self.order, self.count)
            gradient = self._steps.gradient(params)
            if not any(bool(jnp.any(g != 0)) for g in jax.tree.leaves(gradient)):
                return manifold  # Where all rests, clocks do not show.
            self._manifold, self._shapes = manifold, shapes
        return self._manifold

    def _shadowing(self, params: Params, at_rest: State, steps: int) -> Params:
        """Return the start of the slow run that ends where that from rest does."""
        end, _ = self._end(params, at_rest, steps)
        first, unravel = ravel_pytree(params)

        def defect(point: np.ndarray) -> np.ndarray:
            start = unravel(jnp.asarray(point, first.dtype))
            reached, _ = self._end(start, self._measured(start).state(start), steps)
            return np.asarray(ravel_pytree(end)[0] - ravel_pytree(reached)[0], float)

        size = float(jnp.linalg.norm(first))
        tolerance = 4 * epsilon(params) * math.sqrt(steps) * (1 + size)
        return unravel(
            jnp.asarray(settled_point(defect, np.asarray(first, float), tolerance), first.dtype)
        )

    def _end(self, params: Params, state: State, steps: int) -> tuple[Params, State]:
        for number in range(1, steps + 1):
            params, state, _ = self._steps.step(params, state, number)
        return params, state


def _forgetting(radius: float, rounding: float) -> int:
    """Return after how many steps the memory of the start is lost to rounding."""
    steps = max(8, math.ceil(math.log(rounding) / math.log(max(radius, rounding))))
    if steps > _MAX_FORGETTING:
        raise DidNotConverge(
            f"the optimizer forgets how it started by a factor of {radius:.6g} in each step, which "
            f"takes {steps} steps; more than {_MAX_FORGETTING} are not taken"
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
