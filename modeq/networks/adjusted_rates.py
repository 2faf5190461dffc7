"""Drift-adjusted learning rates of networks: at one point, and as a rule for training.

Drift-adjusted learning rates as a gradient transformation of optax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from modeq.errors import InvalidValue
from modeq.networks.flat_loss import flattened
from modeq.principal.adjusted_rates import adjusted_rate, checked_powers

try:
    from modeq.networks.gradients import gradient
except ImportError:  # Asking for the transformation says what to install.
    gradient = None

if TYPE_CHECKING:
    from optax import GradientTransformationExtraArgs


@dataclass(frozen=True)
class DriftAdjusted:
    """The drift-adjusted learning rate DAL-p, min(2/|Hĝ|^p, cap), ĝ = g/|g|.

    Attributes:
        p: The power; 1 is the edge of stability along the gradient.
        cap: The largest learning rate.

    Raises:
        InvalidValue: One of them is not a positive number.

    >>> DriftAdjusted(0.5)
    DriftAdjusted(p=0.5, cap=5.0)

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """

    p: float = 1
    cap: float = 5

    def __post_init__(self):
        for name, value in zip(("p", "cap"), checked_powers(self.p, self.cap), strict=True):
            object.__setattr__(self, name, value)


def dal(
    loss_fn: Callable[..., Any],
    params: Any,
    p: float = 1,
    cap: float = 5,
    *,
    precision: str | None = None,
    args: tuple = (),
) -> float:
    """Return the drift-adjusted learning rate min(2/|Hĝ|^p, cap), ĝ = g/|g|, of a network.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The pytree of weights.
        p: The power; 1 is the edge of stability along the gradient.
        cap: The largest learning rate.
        precision: "float64" or "float32"; that of the weights unless given.
        args: More arguments of the loss, such as a batch.

    Raises:
        InvalidValue: p or the cap is not a positive number, or the gradient is not finite.

    >>> import numpy as np
    >>> dal(lambda w: 2 * (w**2).sum(), np.array([1.0])), dal(lambda w: 0 * w, 1.0)
    (0.5, 5.0)

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """
    p, cap = checked_powers(p, cap)
    loss, theta = flattened(loss_fn, params, precision, args)
    gradient = loss.gradient(theta)
    return adjusted_rate(gradient, loss.product(theta, gradient), p, cap)


HINT = "drift-adjusted learning rates for optax need jax and optax: pip install modeq[optax]"


class DalState(NamedTuple):
    """The state of ``dal_transform``.

    Attributes:
        learning_rate: That of the last step; zero before the first.
    """

    learning_rate: Any


def dal_transform(
    loss_fn: Callable[..., Any], p: float = 1, cap: float = 5
) -> GradientTransformationExtraArgs:
    """Return gradient descent with the rate h(θ) = min(2/‖H ĝ‖^p, cap) for models in jax.

    The Hessian-vector product is the derivative of the gradient along the gradient, of about the
    cost of two gradients.

    Args:
        loss_fn: A function of the parameters, an array or a tree of arrays; of the parameters and a
            batch if the updates are given ``batch=``. H is its Hessian.
        p: The power; 1 is the edge of stability along the gradient.
        cap: The largest learning rate.

    Returns:
        A transformation whose updates are -h(θ) times the gradient. It needs ``params``.

    Raises:
        ImportError: jax or optax is not installed.
        InvalidValue: p or the cap is not a positive number.

    Example, with a Hessian of 4, so that the rate is 2/4:
        >>> import pytest; _ = pytest.importorskip("optax")
        >>> import jax.numpy as jnp, optax
        >>> transform = dal_transform(lambda x: 2 * jnp.sum(x**2))
        >>> params = jnp.array([1.0])
        >>> updates, state = transform.update(4 * params, transform.init(params), params)
        >>> float(state.learning_rate), optax.apply_updates(params, updates).tolist()
        (0.5, [-1.0])

    References:
        Rosca, Wu, Qin, Dherin 2023; the cap of 5 is that of their code.
    """
    p, cap = checked_powers(p, cap)
    jax = _imported_jax()
    optax = _imported_optax()

    def init(params: Any) -> DalState:
        return DalState(jax.numpy.zeros(()))

    def update(
        updates: Any, state: DalState, params: Any = None, *, batch: Any = None, **extra: Any
    ) -> tuple[Any, DalState]:
        if params is None:
            raise InvalidValue(
                "params is missing, which the drift-adjusted rate needs: give update(updates, "
                "state, params)"
            )
        data = () if batch is None else (batch,)
        field = gradient(lambda point: loss_fn(point, *data))
        _, curved = jax.jvp(field, (params,), (updates,))
        rate = _rate(jax, updates, curved, p, cap)
        return jax.tree.map(lambda g: -rate.astype(g.dtype) * g, updates), DalState(rate)

    return optax.GradientTransformationExtraArgs(init, update)


def _imported_jax() -> Any:
    try:
        import jax
        import jax.numpy
    except ImportError as error:
        raise ImportError(HINT) from error
    return jax


def _imported_optax() -> Any:
    try:
        import optax
    except ImportError as error:
        raise ImportError(HINT) from error
    return optax


def _rate(jax: Any, gradient: Any, curved: Any, p: float, cap: float) -> Any:
    """Return the rate from g and Hg, the cap where one of them vanishes."""
    size, bent = _norm(jax, gradient), _norm(jax, curved)
    flat = (size == 0) | (bent == 0)
    ratio = jax.numpy.where(flat, 1, bent) / jax.numpy.where(flat, 1, size)
    return jax.numpy.where(flat, cap, jax.numpy.minimum(2 / ratio**p, cap))


def _norm(jax: Any, tree: Any) -> Any:
    squares = [jax.numpy.sum(jax.numpy.square(leaf)) for leaf in jax.tree.leaves(tree)]
    return jax.numpy.sqrt(sum(squares))
