"""Small networks as pairs of functions on pytrees, and their losses.

A network is two functions: ``init(seed)`` makes the weights, a tuple with one dictionary for each
layer, and ``apply(params, inputs)`` the outputs. A loss is a function of the weights alone, so that
it has gradients, counter terms and flows like any other function:

    >>> import jax, numpy as np
    >>> network = mlp((2, 5, 3), "tanh")
    >>> loss = cross_entropy(network, np.eye(2), [0, 2])
    >>> params = network.init(seed=1)
    >>> slope = jax.jit(jax.grad(loss))(params)
    >>> [sorted(layer) for layer in slope], slope[0]["w"].shape
    ([['b', 'w'], ['b', 'w']], (5, 2))

Two kinds of layers have invariances, whose laws are in ``modeq.invariants.invariance``: a row v of
a weight-normalised layer enters as g v/|v|, so that its length changes nothing; and the same number
added to all weights that lead from one unit to a softmax changes nothing.

Fully connected networks in plain NumPy, as gradients of a flat array of weights.

They serve experiments with step refinement on real data; ReLU networks have no counter terms, but
gradient descent on them can be compared with itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from modeq.checks import as_integer, shortened
from modeq.errors import InvalidValue

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.models needs JAX: pip install modeq[jax]") from error


_SLOPES = {"linear": 1.0, "relu": 0.0, "leaky-relu": 0.1}
"""The slope of each activation for negative inputs."""


class FullyConnected:
    """The mean cross-entropy of a fully connected network without biases, over labelled data.

    Args:
        widths: Inputs, hidden units, classes, such as (64, 50, 50, 10).
        inputs: An array of shape (points, inputs).
        labels: Whole numbers 0, …, classes - 1, of shape (points,).
        activation: "linear", "relu" or "leaky-relu".

    Raises:
        InvalidValue: The shapes do not fit, or the activation is unknown.

    >>> net = FullyConnected((2, 3, 2), [[1, 0], [0, 1]], [0, 1], "linear")
    >>> theta = net.start(seed=1)
    >>> net.value(net.step(theta, 0.1)) < net.value(theta)
    True
    """

    def __init__(self, widths: Sequence[int], inputs, labels, activation: str = "relu"):
        self.widths = check_widths(widths)
        self.inputs, self.labels = np.asarray(inputs, float), np.asarray(labels)
        if not isinstance(activation, str) or activation not in _SLOPES:
            raise InvalidValue(
                f"activation is {shortened(activation)}; it must be one of {list(_SLOPES)}"
            )
        self.slope = _SLOPES[activation]
        points = len(self.labels) if self.labels.ndim == 1 else 0
        fit = self.inputs.shape == (points, self.widths[0]) and self.labels.dtype.kind in "iu"
        if not (points and fit):
            raise InvalidValue(
                f"inputs have the shape {self.inputs.shape} and labels {self.labels.shape}; for "
                f"the widths {self.widths} they must be (points, {self.widths[0]}) and (points,)"
            )
        if not (self.labels.min() >= 0 and self.labels.max() < self.widths[-1]):
            raise InvalidValue(f"labels must be whole numbers from 0 to {self.widths[-1] - 1}")

    @property
    def dimension(self) -> int:
        """The number of weights."""
        return sum(m * n for n, m in itertools.pairwise(self.widths))

    def start(self, seed: int = 0) -> np.ndarray:
        """Return random weights, uniform in ±1/√inputs for each layer."""
        rng = np.random.default_rng(seed)
        shapes = [(m, n) for n, m in itertools.pairwise(self.widths)]
        layers = [rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) for shape in shapes]
        return np.concatenate([layer.ravel() for layer in layers])

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the weights as one matrix for each layer."""
        shapes = [(m, n) for n, m in itertools.pairwise(self.widths)]
        ends = np.cumsum([m * n for m, n in shapes])[:-1]
        return [w.reshape(s) for w, s in zip(np.split(theta, ends), shapes, strict=True)]

    def value(self, theta: np.ndarray) -> float:
        """Return the mean cross-entropy."""
        z = self._forward(self.split(theta))[-1]
        z = z - z.max(axis=1, keepdims=True)
        chosen = z[np.arange(len(z)), self.labels]
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - chosen))

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient, by backpropagation."""
        weights = self.split(theta)
        *layers, z = self._forward(weights)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        delta = p / p.sum(axis=1, keepdims=True)
        delta[np.arange(len(z)), self.labels] -= 1
        delta /= len(z)
        slopes = []
        for i in reversed(range(len(weights))):
            slopes.append((delta.T @ layers[i]).ravel())
            if i:
                delta = (delta @ weights[i]) * np.where(layers[i] > 0, 1.0, self.slope)
        return np.concatenate(slopes[::-1])

    def step(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return the weights after one step of gradient descent."""
        return theta - h * self.gradient(theta)

    def _forward(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return the inputs of each layer, and the outputs."""
        layers = [self.inputs]
        for i, w in enumerate(weights):
            z = layers[-1] @ w.T
            hidden = i < len(weights) - 1
            layers.append(np.where(z > 0, z, self.slope * z) if hidden else z)
        return layers


def check_widths(widths: Any) -> tuple[int, ...]:
    """Return the widths of a network as ints, if there are two or more, and all are positive.

    >>> check_widths([64, 10])
    (64, 10)
    """
    found = [as_integer(n) or 0 for n in widths] if isinstance(widths, Iterable) else []
    if len(found) < 2 or min(found) < 1:
        raise InvalidValue(
            f"widths is {shortened(widths)}; give whole numbers > 0, such as (64, 50, 10)"
        )
    return tuple(found)


Params = tuple[dict[str, Any], ...]
_Loss = Callable[[Any], Any]

LEAK = _SLOPES["leaky-relu"]


def _softplus(x: Any) -> Any:
    """Return log(1 + exp x), without overflow, and analytic where JAX's own is not."""
    is_right = jnp.real(x) > 0
    return jnp.where(is_right, x, 0) + jnp.log1p(jnp.exp(jnp.where(is_right, -x, x)))


ACTIVATIONS: dict[str, Callable] = {
    "linear": lambda x: x,
    "relu": lambda x: jnp.where(x > 0, x, 0),
    "leaky-relu": lambda x: jnp.where(x > 0, x, LEAK * x),
    "tanh": jnp.tanh,
    "sigmoid": lambda x: jnp.tanh(x / 2) / 2 + 0.5,
    "softplus": _softplus,
}


class Network(NamedTuple):
    """A network as two functions.

    Attributes:
        init: ``init(seed, dtype=None)`` returns weights; without a dtype they are doubles where JAX
            has them switched on, and single precision elsewhere.
        apply: ``apply(params, inputs)`` returns outputs of shape (points, classes) for inputs of
            shape (points, features), in the precision of the weights.
    """

    init: Callable[..., Params]
    apply: Callable[[Params, Any], jax.Array]


def mlp(
    widths: Sequence[int], activation: str | Callable = "tanh", *, bias: bool = True
) -> Network:
    """Return a fully connected network: x ↦ Wx + b in each layer, an activation between them.

    Weights and biases start uniform in ±1/√inputs. Without biases and with "linear", "relu" or
    "leaky-relu" it is the network of ``modeq.networks.models``, with the same start.

    Args:
        widths: Inputs, hidden units, outputs, such as (64, 50, 50, 10).
        activation: A name in ``ACTIVATIONS``, or a function of arrays.
        bias: Whether layers have biases.

    Raises:
        InvalidValue: A width is not a whole number > 0, or the activation is unknown.

    >>> network = mlp((64, 20, 10), "relu")
    >>> sum(leaf.size for leaf in jax.tree.leaves(network.init(seed=0)))
    1510
    """

    def layer(params: dict, x: jax.Array) -> jax.Array:
        y = x @ params["w"].T
        return y + params["b"] if bias else y

    parts = ("w", "b") if bias else ("w",)
    return _stack(check_widths(widths), _checked_activation(activation), parts, layer)


def weight_normalized(widths: Sequence[int], activation: str | Callable = "tanh") -> Network:
    """Return the same network with rows g v/|v| in place of w, so that the length of v is free.

    Each row v starts as that of ``mlp`` and its gain g as |v|, so both start as the same function.

    >>> network = weight_normalized((2, 3, 2))
    >>> params = network.init(seed=0)
    >>> longer = jax.tree_util.tree_map_with_path(
    ...     lambda path, x: 7 * x if path[-1].key == "v" else x, params)
    >>> bool(jnp.allclose(network.apply(params, np.eye(2)), network.apply(longer, np.eye(2))))
    True

    References:
        Salimans, Kingma, Weight normalization, 2016.
    """

    def layer(params: dict, x: jax.Array) -> jax.Array:
        gains = params["g"] / jnp.sqrt(jnp.sum(params["v"] ** 2, axis=1))
        return x @ (gains[:, None] * params["v"]).T + params["b"]

    widths, activation = check_widths(widths), _checked_activation(activation)
    return _stack(widths, activation, ("v", "b", "g"), layer)


def cross_entropy(network: Network, inputs: Any, labels: Any) -> _Loss:
    """Return the loss log Σⱼ exp zⱼ - z_label, averaged over points; z are the outputs.

    Args:
        network: Its outputs are the logits of a softmax.
        inputs: An array of shape (points, features).
        labels: Whole numbers 0, …, classes - 1, of shape (points,).

    Raises:
        InvalidValue: The shapes do not fit, or a label is not a whole number >= 0.
    """
    inputs = _checked_inputs(inputs)
    labels = _checked_labels(labels, len(inputs))
    loss_on = batch_cross_entropy(network)

    def loss(params: Any) -> jax.Array:
        classes = jax.eval_shape(network.apply, params, inputs).shape[1]
        if classes <= labels.max():
            raise InvalidValue(f"a label is {labels.max()}, but there are {classes} outputs")
        return loss_on(params, inputs, labels)

    return loss


def batch_cross_entropy(network: Network) -> Callable[[Any, Any, Any], jax.Array]:
    """Return the same loss as a function of weights, inputs and labels: for minibatches.

    >>> network = mlp((2, 2), bias=False)
    >>> loss = batch_cross_entropy(network)
    >>> round(float(loss(({"w": jnp.zeros((2, 2))},), np.eye(2), np.array([0, 1]))), 4)  # log 2
    0.6931
    """

    def loss(params: Any, inputs: Any, labels: Any) -> jax.Array:
        z = network.apply(params, inputs)
        chosen = jnp.take_along_axis(z, jnp.asarray(labels)[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - chosen)

    return loss


def square(network: Network, inputs: Any, targets: Any) -> _Loss:
    """Return the loss ½ |z - y|², averaged over points; z are the outputs and y the targets.

    Args:
        network: Its outputs have the shape of the targets.
        inputs: An array of shape (points, features).
        targets: An array of shape (points, outputs).

    Raises:
        InvalidValue: The shapes do not fit.

    >>> network = mlp((1, 1), bias=False)
    >>> loss = square(network, [[1.0], [2.0]], [[1.0], [1.0]])
    >>> float(loss(({"w": jnp.ones((1, 1))},)))
    0.25
    """
    inputs, targets = _checked_inputs(inputs), np.asarray(targets, float)

    def loss(params: Any) -> jax.Array:
        z = network.apply(params, inputs)
        if z.shape != targets.shape:
            raise InvalidValue(f"targets have the shape {targets.shape}, the outputs {z.shape}")
        return jnp.mean(jnp.sum((z - targets.astype(z.dtype)) ** 2, axis=1)) / 2

    return loss


def decayed(loss: _Loss, rate: float) -> _Loss:
    """Return a loss with weight decay: L(θ) + rate/2 |θ|².

    >>> float(decayed(lambda params: params["x"] ** 2, 0.5)({"x": jnp.array(2.0)}))
    5.0
    """

    def total(params: Any) -> jax.Array:
        squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
        return loss(params) + rate / 2 * squares

    return total


def accuracy(network: Network, params: Params, inputs: Any, labels: Any) -> float:
    """Return the share of points whose largest output is that of their label.

    Raises:
        InvalidValue: The shapes do not fit, or a label is not a whole number >= 0.

    >>> network = mlp((2, 2), bias=False)
    >>> accuracy(network, ({"w": jnp.eye(2)},), np.eye(2), [0, 0])
    0.5
    """
    inputs = _checked_inputs(inputs)
    found = jnp.argmax(network.apply(params, inputs), axis=1)
    return float(np.mean(np.asarray(found) == _checked_labels(labels, len(inputs))))


def _stack(widths: tuple[int, ...], activation: Callable, parts: Sequence, layer: Callable):
    """Return a network of layers of one kind with an activation between them."""

    def init(seed: int, dtype: Any = None) -> Params:
        rng, dtype = np.random.default_rng(seed), _checked_dtype(dtype)
        pairs = itertools.pairwise(widths)
        drawn = [_drawn(rng, parts, inputs, outputs) for inputs, outputs in pairs]
        return tuple({k: jnp.asarray(v, dtype) for k, v in each.items()} for each in drawn)

    def apply(params: Params, inputs: Any) -> jax.Array:
        x = jnp.asarray(inputs, jax.tree.leaves(params)[0].dtype)
        if x.ndim != 2 or x.shape[1] != widths[0]:
            raise InvalidValue(f"inputs have the shape {x.shape}, not (points, {widths[0]})")
        for each in params[:-1]:
            x = activation(layer(each, x))
        return layer(params[-1], x)

    return Network(init, apply)


def _drawn(rng: np.random.Generator, parts: Sequence[str], inputs: int, outputs: int) -> dict:
    """Return the weights of one layer; all chance is NumPy's, the same on every device."""
    shapes = {"w": (outputs, inputs), "v": (outputs, inputs), "b": (outputs,)}
    drawn = [part for part in parts if part in shapes]
    found = {part: rng.uniform(-1, 1, shapes[part]) / np.sqrt(inputs) for part in drawn}
    if "g" in parts:
        found["g"] = np.linalg.norm(found["v"], axis=1)
    return found


def _checked_activation(activation: Any) -> Callable:
    if callable(activation):
        return activation
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        names = list(ACTIVATIONS)
        raise InvalidValue(
            f"activation is {shortened(activation)}; it must be a function or one of {names}"
        )
    return ACTIVATIONS[activation]


def _checked_dtype(dtype: Any) -> np.dtype:
    dtype = np.dtype(jnp.zeros(()).dtype if dtype is None else dtype)
    if dtype.kind != "f":
        raise InvalidValue(f"dtype is {dtype}; weights must be floats")
    if dtype == np.float64 and not jax.config.jax_enable_x64:
        raise InvalidValue(
            "dtype is float64, which JAX has switched off; "
            "call jax.config.update('jax_enable_x64', True) first"
        )
    return dtype


def _checked_inputs(inputs: Any) -> np.ndarray:
    inputs = np.asarray(inputs, float)
    if inputs.ndim != 2 or not len(inputs):
        raise InvalidValue(f"inputs have the shape {inputs.shape}; it must be (points, features)")
    return inputs


def _checked_labels(labels: Any, points: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (points,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InvalidValue(
            f"labels have the shape {labels.shape} and the type {labels.dtype}; they must be "
            f"whole numbers >= 0, of shape ({points},)"
        )
    return labels
