"""By what a step of a method multiplies all that it carries, where the field is linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modeq.algebra.entries import symbols_of
from modeq.errors import DidNotConverge, InvalidMethod, MissingParameter
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, as_method
from modeq.methods.optimizer import Optimizer, State, memory_slots


def multipliers_of(method: Any) -> Callable[[float, float], np.ndarray]:
    """Return the function (h, λ) -> what a step multiplies by on f(x) = -λx, with all its memory.

    Raises:
        InvalidMethod: The step is not linear in f, or the method needs a field in parts.

    >>> multipliers_of("rk4")(0.5, 2.0).round(6)  # 1 - 1 + 1/2 - 1/6 + 1/24
    array([0.375])
    """
    method = as_method(method)
    if symbols := symbols_of(getattr(method, "entries", ())):
        name = min(map(str, symbols))
        raise MissingParameter(
            f"the parameter {name} has no value; give parameters={{'{name}': …}}"
        )
    size = _size(method)

    def multipliers(h: float, lam: float) -> np.ndarray:
        step = _step(method, h, lam)
        columns = np.array([step(list(unit)) for unit in np.eye(size)]).T
        if columns.dtype.kind not in "fc" or not np.all(np.isfinite(columns)):
            raise InvalidMethod(f"a step of {method} with h = {h:.6g} gives no finite numbers")
        probe = np.array([0.7 + 0.1 * j for j in range(size)])
        if not np.allclose(columns @ probe, step(list(probe)), rtol=1e-9, atol=1e-9):
            raise InvalidMethod(
                f"a step of {method} is not linear where f is, so that directions do not separate"
            )
        return np.linalg.eigvals(columns)

    multipliers(0.1, 1.0)
    return multipliers


def _size(method: Method) -> int:
    """Return how many numbers a method carries from step to step in one dimension."""
    if isinstance(method, LinearMultistep):
        return method.steps
    return 1 + len(method.memory) if isinstance(method, Optimizer) else 1


def _step(method: Method, h: float, lam: float) -> Callable[[list[float]], list[float]]:
    """Return one step in one dimension, from all that the method carries to the same later."""
    f = _LinearField(lam)
    if isinstance(method, LinearMultistep):
        recurrence = method.recurrence_over(float)
        return lambda state: [*state[1:], recurrence(state, f, h)]
    if isinstance(method, Optimizer):
        return lambda state: _optimizer_step(method, state, h, lam)
    if not hasattr(method, "rule_over"):
        raise InvalidMethod(
            f"{method} treats parts of a field differently, and a loss has one part"
        )
    rule = method.rule_over(float)
    return lambda state: [rule(state[0], f, h)]


def _optimizer_step(method: Optimizer, state: list[float], h: float, lam: float) -> list[float]:
    slots = dict(zip(("theta", *method.memory), state, strict=True))
    try:
        following = method.step(State(**slots), lambda theta: lam * theta, h, float)
        return [float(value) for value in memory_slots(following, method.memory)]
    except (TypeError, AttributeError, ValueError, ArithmeticError):
        raise InvalidMethod(f"a step of {method} cannot be taken in one dimension") from None


class _LinearField:
    """The field -λx, which solves implicit stages by linear algebra."""

    parts = ()

    def __init__(self, lam: float):
        self._lam = lam

    def __call__(self, x: float) -> float:
        return -self._lam * x

    def fixed_point(self, sweep: Callable[[tuple], tuple], start: tuple) -> tuple:
        """Return the stages that a sweep, which is affine, does not change."""
        size = len(start)
        constant = np.array(sweep((0.0,) * size), dtype=float)
        images = np.array([sweep(tuple(unit)) for unit in np.eye(size)], dtype=float).T
        matrix = np.eye(size) - (images - constant[:, None])
        try:
            return tuple(np.linalg.solve(matrix, constant))
        except np.linalg.LinAlgError:
            raise DidNotConverge("the implicit stages have no solution at this h") from None
