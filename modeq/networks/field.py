"""The modified field of gradient descent on a network, from gradient calls alone.

With θ₀, θ₁, … the iterates of gradient descent from θ₀ = θ,

    f̃(θ) = -Σ_{s=0}^{n} v_s ∇L(θ_s),      v_s = (-1)^s Σ_{k=s+1}^{n+1} C(k-1, s)/k,

is right up to and including hⁿ. It costs n + 1 gradients, and needs the iterate, the gradient and
the sum at a time, whatever n is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_order, check_step
from modeq.errors import FlowError, InvalidPoint, RoundOffWarning
from modeq.flows.blackbox import (
    RoundOff,
    better_order,
    measured,
    second_difference,
    shift_for,
)
from modeq.networks.gradients import gradient
from modeq.networks.pytrees import (
    Params,
    cast,
    check_params,
    check_precision,
    epsilon,
    in_precision,
    is_finite,
    is_traced,
    of_weights,
    partitioned,
    refuse_traced,
    sampled,
)

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.field needs JAX: pip install modeq[jax]") from error


def modified_field(
    loss_fn: Callable[..., Any],
    order: int,
    *,
    precision: str | None = None,
    check: bool = True,
) -> NetworkField:
    """Return the modified field of gradient descent on a loss, right through hⁿ.

        f̃ = -Σ_{s=0}^{n} v_s ∇L(θ_s),        θ_{s+1} = θ_s - h ∇L(θ_s)

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a number; ``params`` is a pytree, or a module of
            Equinox or Flax: what of it is no weight comes through unchanged.
        order: The highest power n of h.
        precision: "float64" or "float32" to compute in it, whatever the weights come in; without
            it, the precision of the weights, or single precision for those of half.
        check: Whether gradients that are not finite, and orders whose last term is mostly noise,
            are complained of. That takes one gradient more, and waits for the result.

    Raises:
        InvalidOrder, InvalidValue: The order or the precision is none.

    Returns:
        ``field(params, h, *args)``, a pytree of the shape of ``params``.

    Example:
        >>> field = modified_field(lambda w: jnp.sum(w["x"] ** 2) / 2, order=1, precision="float64")
        >>> field({"x": np.array([1.0, 2.0])}, 0.125)["x"].tolist()  # -x - h x/2
        [-1.0625, -2.125]

    References:
        Derived here; for the logarithm of differences see ``modeq.algebra.logarithm``.
    """
    return NetworkField(loss_fn, order, precision=precision, check=check)


class NetworkField:
    """A function ``field(params, h, *args)`` of weights and the learning rate; see above.

    Inside ``jax.jit``, and for integrators, use ``field.rhs``, or call the field: on traced values
    it checks nothing.

    Attributes:
        loss_fn: The loss.
        order: The highest power of h.
        precision: "float64", "float32", or None for that of the weights.
        gradient: ``gradient(params, *args)``, jitted, refusing what is no loss.
    """

    def __init__(
        self,
        loss_fn: Callable[..., Any],
        order: int,
        *,
        precision: str | None = None,
        check: bool = True,
    ):
        self.loss_fn = loss_fn
        self.order = check_order(order)
        self.precision = check_precision(precision)
        self._check = check
        self._weights = np.array(increment_weights(self.order), float)
        self._gradient = gradient(loss_fn)
        self.gradient = jax.jit(self._gradient)
        self._unchecked = jax.jit(self.rhs)
        self._longer: dict[int, NetworkField] = {}
        self._sampled = jax.jit(lambda params, h, args: self._sum(params, h, args, sampled, 1))

    def rhs(self, params: Params, h: Any, *args: Any) -> Params:
        """Return the field, as a pure function that JAX can trace."""
        if (found := partitioned(params)) is not None:
            weights, module = found
            return module.join(self._of_modules.rhs(weights, h, module, *args))
        check_params(params)
        return self._sum(params, h, args, lambda slope: jnp.zeros(0))[0]

    def __call__(self, params: Params, h: Any, *args: Any) -> Params:
        """Return the field at weights.

        Raises:
            InvalidPoint: A leaf does not hold floats, or the gradient is not finite at the weights.
            InvalidStep: h is not positive and finite.
            InvalidLoss: The loss is not a single number.
            FlowError: The gradient is not finite at one of the next iterates.
        """
        if (found := partitioned(params)) is not None:
            weights, module = found
            return module.join(self._of_modules(weights, h, module, *args))
        check_params(params)
        with in_precision(self.precision):
            params, args = cast((jax.tree.map(jnp.asarray, params), args), self.precision)
            if is_traced((params, h, args)):
                return self.rhs(params, h, *args)
            h = check_step(h)
            if not self._check:
                return self._unchecked(params, h, *args)
            total, slopes = self._checked(params, h, args)
            self._warn_of_round_off(slopes.astype(float), params, h, args)
            return total

    def round_off(self, params: Params, h: Any, *args: Any, max_order: int = 12) -> RoundOff:
        """Return what the fields of orders 0, …, ``max_order`` leave out, and what rounding adds.

        It takes three runs of ``max_order`` + 2 gradients, from weights that are close.

        >>> field = modified_field(lambda w: jnp.sum(jnp.cosh(w)), 2)
        >>> field.round_off(np.linspace(0.5, 1, 64, dtype="float32"), 0.03).best_order in (4, 5, 6)
        True
        """
        if (found := partitioned(params)) is not None:
            weights, module = found
            return self._of_modules.round_off(weights, h, module, *args, max_order=max_order)
        refuse_traced((params, h, args), "round_off")
        order, h = check_order(max_order) + 1, check_step(h)
        longer = self._longer.setdefault(order, NetworkField(self.loss_fn, order))
        check_params(params)
        with in_precision(self.precision):
            params, args = cast((jax.tree.map(jnp.asarray, params), args), self.precision)
            run = longer._checked(params, h, args)[1][:-1].astype(float)
            shift = shift_for(run, epsilon(params))
            above, below = (
                longer._checked(_moved(params, sign * shift), h, args)[1][:-1].astype(float)
                for sign in (1, -1)
            )
        size = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
        return measured(run, above, below, (size / run.shape[1]) ** 0.5)

    @cached_property
    def _of_modules(self) -> NetworkField:
        """The field of the weights of modules of Equinox or Flax."""
        loss_fn = of_weights(self.loss_fn)
        return NetworkField(loss_fn, self.order, precision=self.precision, check=self._check)

    def _sum(
        self, params: Params, h: Any, args: tuple, sample: Callable, more: int = 0
    ) -> tuple[Params, Any]:
        """Return -Σ v_s ∇L(θ_s), and samples of the slopes -∇L(θ_s) of shape (n + 1 + more,
        entries).
        """
        params = cast(jax.tree.map(jnp.asarray, params), None)
        weights = jnp.asarray(self._weights, jnp.result_type(float))

        def body(s: Any, carry: tuple) -> tuple:
            theta, total, kept = carry
            slope = self._gradient(theta, *args)
            zero = _zero_after(slope)
            added = jax.tree.map(lambda t, g: _moved_along(t, weights[s] + zero, g), total, slope)
            if more:  # A slope that is only looked at need not be finite.
                added = jax.tree.map(lambda a, t: jnp.where(s <= self.order, a, t), added, total)
            total = added
            theta = jax.tree.map(lambda p, g: _moved_along(p, h + zero, g), theta, slope)
            return theta, total, kept.at[s].set(-sample(slope))

        count = self.order + 1 + more
        kept = jnp.zeros((count, *jax.eval_shape(sample, params).shape))
        start = (params, jax.tree.map(jnp.zeros_like, params), kept)
        _, total, kept = jax.lax.fori_loop(0, count, body, start)
        return total, kept

    def _checked(self, params: Params, h: float, args: tuple) -> tuple[Params, np.ndarray]:
        """Return the field, once it is known to be finite, and samples of the slopes."""
        total, slopes = self._sampled(params, h, args)
        # A gradient that is not finite makes all later iterates so, and the sum.
        if not is_finite(total):
            self._refuse_infinite(params, h, args)
        return total, np.asarray(slopes)

    def _warn_of_round_off(self, slopes: np.ndarray, params: Params, h: float, args: tuple) -> None:
        def measured_noise(shift: float) -> float:
            gradients = (self.gradient(_moved(params, sign * shift), *args) for sign in (0, 1, -1))
            return second_difference(*(np.asarray(sampled(g), float) for g in gradients))

        better = better_order(slopes, epsilon(params), measured_noise)
        if better is not None:
            warnings.warn(
                f"order {self.order} is too high: its last term is mostly noise, and rounding adds "
                f"more to it than order {better} leaves out at this h; take order={better}",
                RoundOffWarning,
                stacklevel=3,
            )

    def _refuse_infinite(self, params: Params, h: float, args: tuple) -> None:
        """Raise the error that names the step and the leaf where a gradient is not finite."""
        for step in range(self.order + 1):
            slope = self.gradient(params, *args)
            for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
                if not is_finite(leaf):
                    raise _infinite(step, self.order, jax.tree_util.keystr(path), h)
            params = jax.tree.map(lambda p, g: p - h * g, params, slope)
        raise FlowError(
            f"the sum of the {self.order + 1} gradients at h = {h} is not finite: too large"
        )


def _zero_after(tree: Params) -> jax.Array:
    """Return 0 once all leaves are known.

    Without waiting for all of a gradient, the weights of a layer would be changed while the slopes
    of the layers before still need them, and XLA would make a copy of them.
    """
    return 0 * sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(tree) if leaf.size)


def _moved_along(leaf: jax.Array, rate: Any, slope: jax.Array) -> jax.Array:
    return leaf - jnp.asarray(rate, slope.dtype) * slope


def _moved(params: Params, shift: float) -> Params:
    """Return weights times 1 + ``shift``."""
    return jax.tree.map(lambda p: jnp.asarray(p) * (1 + shift), params)


def _infinite(step: int, order: int, leaf: str, h: float) -> Exception:
    where = f"the gradient{f' in the leaf {leaf}' if leaf else ''} is not finite"
    if step == 0:
        return InvalidPoint(f"{where} at the weights themselves (step 0)")
    return FlowError(
        f"{where} at step {step} of the {order} that order {order} takes at h = {h}; take a "
        f"smaller h or a lower order"
    )
