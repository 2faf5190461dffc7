"""Two-step methods, such as momentum in the form of a table, as optimizers with a memory."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from modeq.errors import InvalidMethod
from modeq.methods.multistep import LinearMultistep
from modeq.methods.optimizer import Optimizer, State


def as_optimizer(method: Optimizer | LinearMultistep) -> Optimizer:
    """Return an explicit two-step method as an optimizer whose memory is nothing at rest.

    The memory is w = α₀ (θ_{m+1} - θ_m)/h + β₀ f(θ_m), the velocity and the force that acted last:
    α₂ u = w + Σ β_l f(…), θ⁺ = θ + h u, and w⁺ = α₀ u + β₀ f(θ).

    Raises:
        InvalidMethod: The method is not an explicit one of two steps, or takes f at points between
            θ_m and θ_{m+1}, and takes it at θ_m too or has no velocity that tells the two apart.

    >>> from modeq.methods.multistep import HeavyBall
    >>> print(as_optimizer(HeavyBall(0.5)))
    heavy ball with beta = 1/2
    """
    if isinstance(method, Optimizer):
        return method
    if method.steps != 2 or not method.is_explicit:
        raise InvalidMethod(f"{method} is not an explicit method of two steps")
    rows = zip(method.beta, method.points, strict=True)
    used = [(beta, row[0], row[1]) for beta, row in rows if beta != 0]
    old = [beta for beta, _, new in used if new == 0]
    is_between = any(back != 0 and new != 0 for _, back, new in used)
    if is_between and old:
        raise InvalidMethod(f"{method} takes f at an earlier iterate and at points between two")
    if is_between and method.alpha[0] == 0:
        raise InvalidMethod(f"{method} takes f at points between two iterates, but has no velocity")
    table = {"alpha0": method.alpha[0], "alpha2": method.alpha[2], "old": sum(old)}
    for i, (beta, back, new) in enumerate(used):
        if new != 0:
            # With c₀ ≠ 0 the velocity is what the memory is, over α₀.
            table |= {f"beta{i}": beta, f"back{i}": back and back / method.alpha[0]}
    return Optimizer(_two_steps, ("memory",), tuple(table.items()), str(method))


def _two_steps(state: State, grad: Callable, h: Any, table: SimpleNamespace) -> State:
    """Return the next state of a two-step method, from its table."""
    total = state.memory
    for name, beta in vars(table).items():
        if name.startswith("beta"):
            back = getattr(table, name.replace("beta", "back"))
            # c₀ θ_m + c₁ θ_{m+1} = θ_{m+1} - c₀ h velocity, and the velocity is memory/α₀.
            total = total - beta * grad(state.theta - h * back * state.memory)
    slope = total / table.alpha2
    memory = table.alpha0 * slope
    if table.old != 0:
        memory = memory - table.old * grad(state.theta)
    return state.replace(theta=state.theta + h * slope, memory=memory)
