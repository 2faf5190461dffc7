"""Gradient descent with momentum, in the forms that libraries and papers have.

With forces that are constant all of them follow -g/(1-μ) or -g; they differ in what a step of h
means, in where weight decay enters, and in their counter terms.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from modeq.algebra.entries import exact
from modeq.checks import flag, shortened
from modeq.errors import InvalidMethod
from modeq.methods.optimizer import (
    FRACTION_OF_ONE,
    NOT_NEGATIVE,
    Interval,
    Optimizer,
    State,
    checks_names,
    with_parameters,
)

_RANGES = {
    "momentum": FRACTION_OF_ONE,
    "beta": FRACTION_OF_ONE,
    "dampening": FRACTION_OF_ONE,
    "nu": Interval(0, 1, closed_low=True, closed_high=True),
    "weight_decay": NOT_NEGATIVE,
}


@checks_names
def SGD(
    momentum: Any = 0,
    dampening: Any = 0,
    weight_decay: Any = 0,
    nesterov: bool = False,
    decoupled: bool = False,
) -> Optimizer:
    """Return PyTorch's SGD: momentum μ, dampening τ, and weight decay λ.

        g = ∇L(θ) + λ θ,        v⁺ = μ v + (1 - τ) g,        θ⁺ = θ - h v⁺,

    with v⁺ = g at the first step. It follows -g (1-τ)/(1-μ).

    Args:
        momentum: μ.
        dampening: τ.
        weight_decay: λ.
        nesterov: Whether θ⁺ = θ - h (g + μ v⁺) instead.
        decoupled: Whether the decay is kept out of the momentum: g = ∇L, θ⁺ = (1 - hλ) θ - h v⁺.

    Raises:
        InvalidMethod: μ or τ is not in [0, 1), λ is negative; there is dampening without momentum,
            or Nesterov's form without momentum or with dampening, which PyTorch refuses too.

    Example:
        >>> SGD(momentum=0.9, nesterov=True).memory
        ('velocity',)

    References:
        Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in deep
        learning (2013), in the form of torch.optim.SGD.
    """
    has_momentum = exact(momentum, "momentum of SGD") != 0
    has_dampening = exact(dampening, "dampening of SGD") != 0
    if flag(nesterov, "nesterov of SGD") and (has_dampening or not has_momentum):
        raise InvalidMethod(
            f"nesterov of SGD needs momentum and no dampening; they are {momentum} and {dampening}"
        )
    if has_dampening and not has_momentum:
        raise InvalidMethod(
            f"dampening of SGD is {shortened(dampening)} without momentum, where it has no "
            f"meaning; it must "
            f"be 0, or momentum must be positive"
        )
    memory = ["velocity", "started"] if has_dampening else ["velocity"] if has_momentum else []
    return with_parameters(
        _sgd,
        memory,
        "SGD",
        _RANGES,
        {"nesterov": nesterov, "decoupled": decoupled},
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
    )


def _sgd(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g, decay = _gradient_and_decay(state, grad, p)
    if not hasattr(state, "velocity"):
        return state.replace(theta=state.theta - h * (g + decay))
    velocity, memory = p.momentum * state.velocity + g, {}
    if hasattr(state, "started"):  # 0 at the first step, and 1 later
        velocity = velocity - p.dampening * state.started * g
        memory = {"started": 0 * state.started + 1}
    step = g + p.momentum * velocity if p.nesterov else velocity
    return state.replace(theta=state.theta - h * (step + decay), velocity=velocity, **memory)


def _gradient_and_decay(state: State, grad: Any, p: SimpleNamespace) -> tuple[Any, Any]:
    """Return the gradient with weight decay in it, or without, and what is left of the decay."""
    decay = p.weight_decay * state.theta
    g = grad(state.theta)
    return (g, decay) if p.decoupled else (g + decay, 0 * decay)


@checks_names
def EMAMomentum(
    beta: Any = Fraction(9, 10), weight_decay: Any = 0, decoupled: bool = False
) -> Optimizer:
    """Return gradient descent along an exponential moving average of the gradients.

        g = ∇L(θ) + λ θ,        m⁺ = β m + (1 - β) g,        θ⁺ = θ - h m⁺

    This is the heavy ball with the learning rate (1 - β) h, so it follows -g for every β.

    Args:
        beta: β.
        weight_decay: λ.
        decoupled: Whether the decay is kept out of the average: g = ∇L, θ⁺ = (1 - hλ) θ - h m⁺.

    Raises:
        InvalidMethod: β is not in [0, 1), or λ is negative.

    Example:
        >>> EMAMomentum(0.5).parameters[0]
        ('beta', Fraction(1, 2))
    """
    return with_parameters(
        _average,
        ["average"],
        "EMA momentum",
        _RANGES,
        {"decoupled": decoupled},
        beta=beta,
        weight_decay=weight_decay,
    )


def _average(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g, decay = _gradient_and_decay(state, grad, p)
    average = p.beta * state.average + (1 - p.beta) * g
    return state.replace(theta=state.theta - h * (average + decay), average=average)


@checks_names
def QHMomentum(
    beta: Any = Fraction(999, 1000), nu: Any = Fraction(7, 10), weight_decay: Any = 0
) -> Optimizer:
    """Return quasi-hyperbolic momentum: a mean of gradient descent and of momentum.

        g = ∇L(θ) + λ θ,     m⁺ = β m + (1 - β) g,     θ⁺ = θ - h ((1 - ν) g + ν m⁺)

    With ν = 0 this is gradient descent, with ν = 1 momentum in EMA form, and with ν = β Nesterov's
    method for the parameters with the learning rate (1 - β) h. It follows -g.

    Args:
        beta: β.
        nu: ν.
        weight_decay: λ.

    Raises:
        InvalidMethod: β is not in [0, 1), ν is not in [0, 1], or λ is negative.

    Example:
        >>> QHMomentum(nu=2)
        Traceback (most recent call last):
        modeq.errors.InvalidMethod: nu of quasi-hyperbolic momentum is 2; it must be in [0, 1]

    References:
        Ma, Yarats, Quasi-hyperbolic momentum and Adam for deep learning (2019), equation 3, where
        β = 0.999 and ν = 0.7 are recommended.
    """
    return with_parameters(
        _quasi_hyperbolic,
        ["average"],
        "quasi-hyperbolic momentum",
        _RANGES,
        beta=beta,
        nu=nu,
        weight_decay=weight_decay,
    )


def _quasi_hyperbolic(state: State, grad: Any, h: Any, p: SimpleNamespace) -> State:
    g = grad(state.theta) + p.weight_decay * state.theta
    average = p.beta * state.average + (1 - p.beta) * g
    step = (1 - p.nu) * g + p.nu * average
    return state.replace(theta=state.theta - h * step, average=average)
