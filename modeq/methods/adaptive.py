"""Optimizers that scale each coordinate of the gradient, or all of it, by its size.

They are smooth where ε > 0 stands inside the root; with ε outside, or without it, only where no
coordinate of the gradient vanishes.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from modeq.algebra.entries import exact
from modeq.methods.functions import direction, sign, sqrt
from modeq.methods.optimizer import (
    FRACTION_OF_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    Optimizer,
    State,
    checks_names,
    with_parameters,
)

_RANGES = {
    "beta1": FRACTION_OF_ONE,
    "beta2": FRACTION_OF_ONE,
    "decay": FRACTION_OF_ONE,
    "momentum": FRACTION_OF_ONE,
    "epsilon": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
}

_EPSILON = Fraction(1, 10**8)


@checks_names
def Adam(
    beta1: Any = Fraction(9, 10),
    beta2: Any = Fraction(999, 1000),
    *,
    epsilon: Any = _EPSILON,
    epsilon_inside: bool = True,
    weight_decay: Any = 0,
    bias_correction: bool = True,
) -> Optimizer:
    """Return Adam: averages of the gradient and of its square, for each coordinate.

        g = ∇L(θ) + λ θ,     m⁺ = β₁ m + (1 - β₁) g,     v⁺ = β₂ v + (1 - β₂) g²,
        θ⁺ = θ - h m̂/√(v̂ + ε),     m̂ = m⁺/(1 - β₁ⁿ),     v̂ = v⁺/(1 - β₂ⁿ)  at step n = 1, 2, …

    On the slow manifold, which is reached after a few times 1/(1 - β₂) steps, the corrections are
    1: the modified field is the same with them and without.

    Args:
        beta1: β₁.
        beta2: β₂.
        epsilon: ε.
        epsilon_inside: Whether ε is inside the root; PyTorch and optax (as ``eps``) have it
            outside, √v̂ + ε, which is smooth only where no coordinate of the gradient vanishes.
        weight_decay: λ, which goes through the averages; for decoupled decay see ``AdamW``.
        bias_correction: Whether m and v are divided by 1 - β₁ⁿ and 1 - β₂ⁿ.

    Raises:
        InvalidMethod: β₁ or β₂ is not in [0, 1), ε is not positive, or λ is negative.

    Example:
        >>> Adam(0.9, 0.99, bias_correction=False).memory
        ('mean', 'square')

    References:
        Kingma, Ba, Adam: a method for stochastic optimization (2015), Algorithm 1; Cattaneo,
        Klusowski, Shigida, On the implicit bias of Adam (2024), for ε inside and the order h.
    """
    return _adam_with(
        _adam, "Adam", beta1, beta2, epsilon, weight_decay, epsilon_inside, bias_correction
    )


@checks_names
def AdamW(
    beta1: Any = Fraction(9, 10),
    beta2: Any = Fraction(999, 1000),
    *,
    epsilon: Any = _EPSILON,
    epsilon_inside: bool = True,
    weight_decay: Any = Fraction(1, 100),
    bias_correction: bool = True,
) -> Optimizer:
    """Return Adam with decoupled weight decay, g = ∇L(θ) and θ⁺ = (1 - hλ) θ - h m̂/√(v̂ + ε).

    The parameters are those of ``Adam``.

    Example:
        >>> dict(AdamW().parameters)["weight_decay"]
        Fraction(1, 100)

    References:
        Loshchilov, Hutter, Decoupled weight decay regularization (2019), Algorithm 2, with the
        decay multiplied by the learning rate as in PyTorch and optax.
    """
    return _adam_with(
        _adamw, "AdamW", beta1, beta2, epsilon, weight_decay, epsilon_inside, bias_correction
    )


def _adam_with(rule, name, beta1, beta2, epsilon, weight_decay, inside, corrected) -> Optimizer:
    return with_parameters(
        rule,
        ["mean", "square", "weight1", "weight2"] if corrected else ["mean", "square"],
        name,
        _RANGES,
        {"epsilon_inside": inside, "bias_correction": corrected},
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        weight_decay=weight_decay,
    )


def _adam(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    step, memory = _adam_step(state, grad(state.theta) + p.weight_decay * state.theta, p)
    return state.replace(theta=state.theta - h * step, **memory)


def _adamw(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    step, memory = _adam_step(state, grad(state.theta), p)
    step = step + p.weight_decay * state.theta
    return state.replace(theta=state.theta - h * step, **memory)


def _adam_step(state: State, g: Any, p: SimpleNamespace) -> tuple[Any, dict[str, Any]]:
    mean = p.beta1 * state.mean + (1 - p.beta1) * g
    square = p.beta2 * state.square + (1 - p.beta2) * g * g
    memory = {"mean": mean, "square": square}
    if p.bias_correction:
        # The averages of 1 in place of g and g², which are 1 - β₁ⁿ and 1 - β₂ⁿ.
        weight1 = p.beta1 * state.weight1 + (1 - p.beta1)
        weight2 = p.beta2 * state.weight2 + (1 - p.beta2)
        memory |= {"weight1": weight1, "weight2": weight2}
        mean, square = mean / weight1, square / weight2
    return mean / _root(square, p), memory


def _root(square: Any, p: SimpleNamespace) -> Any:
    return sqrt(square + p.epsilon) if p.epsilon_inside else sqrt(square) + p.epsilon


@checks_names
def RMSProp(
    decay: Any = Fraction(9, 10),
    *,
    epsilon: Any = _EPSILON,
    epsilon_inside: bool = True,
    momentum: Any = 0,
    weight_decay: Any = 0,
) -> Optimizer:
    """Return RMSProp: the gradient divided by the root of an average of its square.

        g = ∇L(θ) + λ θ,     v⁺ = ρ v + (1 - ρ) g²,     θ⁺ = θ - h g/√(v⁺ + ε)

    With momentum μ the last is b⁺ = μ b + g/√(v⁺ + ε), θ⁺ = θ - h b⁺. The centered form, with
    v⁺ minus the square of the mean in the root, is left out: on the slow manifold that is O(h²), so
    as h vanishes it is gradient descent divided by √ε, or not smooth with ε outside.

    Args:
        decay: ρ. PyTorch calls it alpha.
        epsilon: ε.
        epsilon_inside: Whether ε is inside the root, as in optax; PyTorch has √v⁺ + ε.
        momentum: μ.
        weight_decay: λ.

    Raises:
        InvalidMethod: ρ or μ is not in [0, 1), ε is not positive, or λ is negative.

    Example:
        >>> RMSProp(momentum=0.5).memory
        ('square', 'velocity')

    References:
        Tieleman, Hinton, Lecture 6.5 of Neural networks for machine learning (2012).
    """
    has_momentum = exact(momentum, "momentum of RMSProp") != 0
    return with_parameters(
        _rmsprop,
        ["square", "velocity"] if has_momentum else ["square"],
        "RMSProp",
        _RANGES,
        {"epsilon_inside": epsilon_inside},
        decay=decay,
        epsilon=epsilon,
        momentum=momentum,
        weight_decay=weight_decay,
    )


def _rmsprop(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g = grad(state.theta) + p.weight_decay * state.theta
    square = p.decay * state.square + (1 - p.decay) * g * g
    step, memory = g / _root(square, p), {"square": square}
    if hasattr(state, "velocity"):
        step = memory["velocity"] = p.momentum * state.velocity + step
    return state.replace(theta=state.theta - h * step, **memory)


@checks_names
def Lion(
    beta1: Any = Fraction(9, 10), beta2: Any = Fraction(99, 100), *, weight_decay: Any = 0
) -> Optimizer:
    """Return Lion: the sign of an average of the gradient, and decoupled weight decay λ.

        c = β₁ m + (1 - β₁) ∇L(θ),     θ⁺ = θ - h (sign(c) + λ θ),     m⁺ = β₂ m + (1 - β₂) ∇L(θ)

    Where no coordinate of the gradient vanishes the sign c/√c² is smooth, and constant, so without
    weight decay every counter term vanishes.

    Args:
        beta1: β₁.
        beta2: β₂.
        weight_decay: λ.

    Raises:
        InvalidMethod: β₁ or β₂ is not in [0, 1), or λ is negative.
        NotSmooth (when it runs): A coordinate of c is 0.

    Example:
        >>> Lion().memory
        ('average',)

    References:
        Chen et al., Symbolic discovery of optimization algorithms (2023), Algorithm 2.
    """
    return with_parameters(
        _lion,
        ["average"],
        "Lion",
        _RANGES,
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
    )


def _lion(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g = grad(state.theta)
    step = sign(p.beta1 * state.average + (1 - p.beta1) * g) + p.weight_decay * state.theta
    average = p.beta2 * state.average + (1 - p.beta2) * g
    return state.replace(theta=state.theta - h * step, average=average)


@checks_names
def NormalizedGradientDescent() -> Optimizer:
    """Return normalized gradient descent, θ⁺ = θ - h ∇L/|∇L|, with the Euclidean norm.

    It is smooth where the gradient does not vanish.

    Example:
        >>> print(NormalizedGradientDescent())
        normalized gradient descent

    References:
        Nesterov, Introductory lectures on convex optimization (2004), 3.2.3.
    """
    return with_parameters(_normalized, [], "normalized gradient descent", {})


def _normalized(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    return state.replace(theta=state.theta - h * direction(grad(state.theta)))
