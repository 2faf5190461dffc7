"""Optimizers under a learning-rate schedule: η(t) multiplies the update, and t⁺ = t + h.

The time is the last coordinate of θ. The gradient that the rule gets has -∇ of the loss negated in
the other coordinates, as always, and -η(t) in the last, so that the rule needs no formula of η.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from modeq.errors import InvalidMethod
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import CustomMethod
from modeq.methods.optimizer import Optimizer, State, memory_slots
from modeq.methods.two_steps import as_optimizer

_INNER = "scheduled_rule"


def under_schedule(method: Any) -> Any:
    """Return a method for a field whose last variable is the time of a schedule.

    Optimizers, and momentum as a table, take their step (θ⁺, M⁺) as without a schedule, and
    θ + η(t) (θ⁺ - θ) is the next point. Integrators solve θ' = η(t) f(θ), t' = 1 as they solve any
    equation, if they count the time right.

    Raises:
        InvalidMethod: The method does not count the time right, or its momentum takes f at points
            that depend on the learning rate.

    >>> from modeq.methods.multistep import HeavyBall
    >>> print(under_schedule(HeavyBall(0.5)))
    heavy ball with beta = 1/2 under a schedule
    """
    if isinstance(method, LinearMultistep) and method.starts_at_rest:
        method = _momentum(method)
    if isinstance(method, Optimizer):
        return method if _INNER in dict(method.options) else _wrapped(method)
    if _step_of_time(method) != 1:
        raise InvalidMethod(
            f"{method} does not count the time of a schedule right: it makes steps of "
            f"{_step_of_time(method)} h where the time grows by h; give it as an optimizer, by "
            f"modeq.optimizer"
        )
    return method


def _momentum(method: LinearMultistep) -> Optimizer:
    found = as_optimizer(method)
    if any(value != 0 for name, value in found.parameters if name.startswith("back")):
        raise InvalidMethod(
            f"{method} takes the gradient at points ahead, which depend on the learning rate, so "
            f"that a schedule does not only multiply its update; take Nesterov(beta, "
            f"sequence='parameters') or SGD(momentum, nesterov=True)"
        )
    return found


def _wrapped(method: Optimizer) -> Optimizer:
    return replace(
        method,
        rule=_scheduled,
        name=f"{method} under a schedule",
        options=(*method.options, (_INNER, method.rule)),
    )


def _scheduled(state: State, grad: Callable, h: Any, p: SimpleNamespace) -> State:
    values = dict(vars(p))
    rule = values.pop(_INNER)
    names = [name for name in vars(state) if name != "theta"]
    theta, *memory = (slot[:-1] for slot in memory_slots(state, names))
    time = state.theta[-1:]
    inner = State(theta=theta, **dict(zip(names, memory, strict=True)))
    following = rule(
        inner, lambda point: grad(np.append(point, time))[:-1], h, SimpleNamespace(**values)
    )
    if not isinstance(following, State):
        return following
    point, *memory = memory_slots(following, names)
    eta = -grad(state.theta)[-1]
    moved = np.append(theta + eta * (point - theta), time + h)
    # The memory has an entry for each coordinate; that of the time stays empty.
    return State(theta=moved, **{n: np.append(m, 0) for n, m in zip(names, memory, strict=True)})


def _step_of_time(method: Any) -> Any:
    """Return the speed of a method on the equation t' = 1."""
    if isinstance(method, LinearMultistep):
        return sum(method.beta) / method.slope
    if not isinstance(method, CustomMethod):
        return 1
    try:
        return float(method.rule_over(float)(np.zeros(1), np.ones_like, 1.0)[0])
    except (TypeError, AttributeError, ValueError, IndexError) as error:
        raise InvalidMethod(
            f"the update rule of {method} cannot be run on the time of a schedule: {error}"
        ) from error
