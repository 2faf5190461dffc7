"""Optimizers by name, and those that no flow follows, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

from modeq.methods.optimizer import Optimizer
from modeq.optimizers.adaptive import Adam, AdamW, Lion, NormalizedGradientDescent, RMSProp
from modeq.optimizers.momentum import SGD, EMAMomentum, QHMomentum
from modeq.optimizers.one_step import (
    SAM,
    Lookahead,
    OptimisticGradient,
    StochasticCoordinateDescent,
    UnnormalizedSAM,
)

NAMED_OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "ema-momentum": EMAMomentum,
    "qh-momentum": QHMomentum,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
    "lion": Lion,
    "normalized-gradient-descent": NormalizedGradientDescent,
    "optimistic-gradient": OptimisticGradient,
    "lookahead": Lookahead,
    "sam": SAM,
    "unnormalized-sam": UnnormalizedSAM,
    "stochastic-coordinate-descent": StochasticCoordinateDescent,
}
"""What makes each optimizer, by name, from its parameters."""

REFUSED: Mapping[str, str] = {
    "adagrad": (
        "its sum of squared gradients never forgets: the update of this memory has the eigenvalue "
        "1, so there is no slow manifold; RMSProp forgets"
    ),
    "amsgrad": "the largest of the past averages is neither smooth nor forgotten; Adam is both",
    "gradient-clipping": (
        "the step has a corner where the gradient reaches the bound, and is plain or normalized "
        "gradient descent on the two sides of it; derive those"
    ),
}
"""Why some optimizers have no modified equation, by name."""


def name_of(method: Optimizer) -> str | None:
    """Return the name of a ready optimizer, or None for a rule of somebody's own.

    >>> name_of(Adam(0.5, 0.75))
    'adam'
    """
    values = dict(method.parameters) | dict(method.options)
    for name, make in NAMED_OPTIMIZERS.items():
        if {*values} <= {*signature(make).parameters} and make(**values) == method:
            return name
    return None
