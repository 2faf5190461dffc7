"""Methods by name, and whatever else stands for a method.

A method is data: a Runge-Kutta tableau, a multistep table, or an update rule of the user's own.
One-step methods have a ``rule``, which the rest of modeq runs; methods with memory have a table.

Optimizers that no flow follows have a name too, and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

from modeq.algebra.entries import Entry
from modeq.checks import hint, refuse_unknown, shortened
from modeq.errors import InvalidMethod, visible
from modeq.methods import multistep_by_name, partitioned_by_name, splitting, tableaux_by_name
from modeq.methods.adaptive import Adam, AdamW, Lion, NormalizedGradientDescent, RMSProp
from modeq.methods.collocation import AverageVectorField
from modeq.methods.momentum import SGD, EMAMomentum, QHMomentum
from modeq.methods.multistep import HeavyBall, LinearMultistep, Nesterov
from modeq.methods.optimizer import Optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.rules import Rule
from modeq.methods.several_gradients import (
    SAM,
    Lookahead,
    OptimisticGradient,
    StochasticCoordinateDescent,
    UnnormalizedSAM,
)
from modeq.methods.splitting import Splitting
from modeq.methods.tableaux import RungeKutta
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.show.shown import Shown

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


@dataclass(frozen=True)
class CustomMethod(Shown):
    """A one-step method given by its update rule.

    Args:
        rule: A function ``rule(theta, f, h)`` that returns the next state, and uses only +,
            multiplication by a scalar, and ``f(.)``.
        name: What to call the method in print.

    Example:
        >>> half_steps = CustomMethod(lambda theta, f, h: theta + h * f(theta + h * f(theta)))
        >>> half_steps.rule(1.0, lambda x: -x, 0.5)
        0.75
    """

    rule: Rule
    name: str = "custom method"

    def rule_over(self, number: Callable[[Entry], Any]) -> Rule:
        """Return the update rule as it is: it has no table whose entries could be converted."""
        return self.rule

    def __str__(self) -> str:
        return visible(self.name)


Method = (
    RungeKutta
    | LinearMultistep
    | AverageVectorField
    | AdditiveRungeKutta
    | Splitting
    | Optimizer
    | CustomMethod
)

NAMED: Mapping[str, Callable[[], Method]] = {
    **tableaux_by_name.NAMED,
    "average-vector-field": AverageVectorField,
    **multistep_by_name.NAMED,
}
"""What makes each of the methods that any field can have, by name."""

NAMED_FOR_PARTS: Mapping[str, Callable[[], AdditiveRungeKutta | Splitting]] = {
    **partitioned_by_name.NAMED,
    **splitting.NAMED,
}
"""The named methods for fields in parts."""


def as_method(method: Any) -> Method:
    """Return a method from a method, the name of one, or an update rule.

    >>> print(as_method("rk4"), as_method("Gauss 2") == as_method("gauss2"))
    rk4 True

    Raises:
        InvalidMethod: The name is unknown, or the object is none of these.
    """
    if isinstance(method, str):
        return named_method(method)
    if isinstance(method, Method):
        return method
    if callable(method):
        return CustomMethod(method, getattr(method, "__name__", "custom method"))
    raise InvalidMethod(
        f"method is {shortened(method)}; it must be a method such as GradientDescent(), one of "
        f"the names "
        f"{', '.join(NAMED)}, or an update rule (theta, f, h) -> theta"
    )


def method_for(field: Any, method: Any = None) -> Method:
    """Return a method; without one, that which the field comes with, or else gradient descent.

    >>> print(method_for("x**2"), method_for("x**2", "rk4"))
    gradient descent rk4
    """
    if method is None:
        method = getattr(field, "method", None)
    method = GradientDescent() if method is None else as_method(method)
    # A text that stands for a loss has no schedule.
    return field.method_for(method) if hasattr(field, "method_for") else method


def named_method(name: str, parameters: Mapping[str, Any] | None = None) -> Method:
    """Return the method of a name, with values for its parameters.

    >>> named_method("heavy-ball", {"beta": 0.9}) == HeavyBall(0.9)
    True

    Raises:
        InvalidMethod: The name, or that of a parameter, is unknown, or a parameter is missing.
    """
    make = _maker(name)
    given = parameters or {}
    refuse_unknown(given, parameter_names(name), name)
    for parameter in signature(make).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in given:
            raise InvalidMethod(
                f"the method {shortened(name)} needs a value for {parameter.name}, a number such "
                f"as 0.9 or "
                f"a symbol"
            )
    return make(**given)


def parameter_names(name: str) -> tuple[str, ...]:
    """Return the names of the parameters of a named method.

    >>> parameter_names("nesterov"), parameter_names("rk4")
    (('beta', 'sequence'), ())
    """
    return tuple(signature(_maker(name)).parameters)


def _maker(name: str) -> Callable[..., Method]:
    """Return the function that makes the method of a name."""
    key, known = _key(name), _all_named()
    for other, make in known.items():
        if key == _key(other):
            return make
    for other, reason in REFUSED.items():
        if key == _key(other):
            raise InvalidMethod(f"{shortened(name)} has no modified equation: {reason}")
    raise InvalidMethod(
        f"unknown method {shortened(name)}: {hint(name.lower(), known)}known are {', '.join(known)}"
    )


def _all_named() -> Mapping[str, Callable[..., Method]]:
    return {**NAMED, **NAMED_FOR_PARTS, **WITH_PARAMETERS}


WITH_PARAMETERS: Mapping[str, Callable[..., LinearMultistep | Optimizer]] = {
    "heavy-ball": HeavyBall,
    "momentum": HeavyBall,
    "nesterov": Nesterov,
    **NAMED_OPTIMIZERS,
}
"""What makes the methods that have parameters, by name."""


def _key(name: str) -> str:
    """Return a name without the signs that people leave out or exchange."""
    return name.strip().lower().translate(str.maketrans("", "", " -_"))
