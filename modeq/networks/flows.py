"""Flows along the training of a network: which there are, and their fields for a loss.

A flow is chosen by a small value (``SeriesFlow(2)``, or 2 for short; ``FieldFlow``; the principal
flows of ``modeq.networks.principal_flow``), which is then bound to a loss. Every flow is a field of
vectors and h, real or complex; what is solved is θ' = f̃(θ, h) over a time h, step by step, so that
the learning rate may change and a run may stop and go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from modeq.checks import as_integer, check_count, check_order, shortened
from modeq.errors import InvalidValue
from modeq.networks.field import NetworkField
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.pytrees import in_precision


class Flow(Protocol):
    """A flow before it knows its loss."""

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def period(self) -> int:
        """It meets the iterates at each so many steps."""

    @property
    def settings(self) -> dict[str, Any]:
        """What determines it, as JSON can hold it."""

    def bind(self, loss: FlatLoss) -> Field:
        """Return a new field for a loss, made of what was compiled for the last ones."""


class Field(Protocol):
    """A field of vectors, which may take note of where a step begins: one for each trajectory."""

    def begin(self, theta: np.ndarray, h: float) -> None:
        """Take note of where a step begins."""

    def rhs(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return θ' at a vector; complex where the flow is."""


@dataclass(frozen=True)
class SeriesFlow:
    """The modified equation of gradient descent through hⁿ: gradient flow for n = 0.

    Attributes:
        order: n.
    """

    order: int
    period = 1
    of_descent = True

    def __post_init__(self):
        object.__setattr__(self, "order", check_order(self.order))

    @property
    def name(self) -> str:
        """The name: "order n"."""
        return f"order {self.order}"

    @property
    def settings(self) -> dict[str, Any]:
        """What determines it."""
        return {"flow": "series", **asdict(self)}

    def bind(self, loss: FlatLoss) -> Field:
        """Return its field for a loss."""
        return _Plain(compiled_series(self.order, loss))


@lru_cache(maxsize=8)
def compiled_series(order: int, loss: FlatLoss) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return f̃ₙ of real vectors; the last ones are remembered as they were compiled."""
    return loss.compiled(NetworkField(loss.of_vector, order, check=False).rhs)


@dataclass(frozen=True)
class FieldFlow:
    """The flow of any field of a pytree: of another optimizer, say.

    Attributes:
        name: What results call it.
        field: The function ``field(params, h)`` that returns a pytree like params.
        period: It meets the iterates at each so many steps.
    """

    name: str
    field: Callable[[Any, float], Any]
    period: int = 1

    def __post_init__(self):
        if not (isinstance(self.name, str) and callable(self.field)):
            raise InvalidValue(
                f"the flow has the name {shortened(self.name)} and the field "
                f"{shortened(self.field)}; they must be a "
                f"text and a function of params and h"
            )
        object.__setattr__(self, "period", check_count("period", self.period))

    @property
    def settings(self) -> dict[str, Any]:
        """What determines it, but for the field itself."""
        return {"flow": "field", "name": self.name, "period": self.period}

    def bind(self, loss: FlatLoss) -> Field:
        """Return its field for a loss."""

        def rhs(theta: np.ndarray, h: float) -> np.ndarray:
            with in_precision(loss.precision):
                return loss.ravel(self.field(loss.unravel(theta), h))

        return _Plain(rhs)


@dataclass(frozen=True)
class _Plain:
    """A field that takes no note of where steps begin."""

    rhs: Callable[[np.ndarray, float], np.ndarray]

    def begin(self, theta: np.ndarray, h: float) -> None:
        pass


def as_flow(flow: Any) -> Flow:
    """Return a flow; a whole number n stands for that of order n.

    >>> as_flow(2)
    SeriesFlow(order=2)
    """
    if hasattr(flow, "bind") and hasattr(flow, "name"):
        return flow
    if as_integer(flow) is not None:
        return SeriesFlow(flow)
    raise InvalidValue(
        f"a flow is {shortened(flow)}; it must be an order 0, 1, 2, …, a TopPrincipalFlow or a "
        f"FieldFlow"
    )
