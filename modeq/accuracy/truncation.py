"""Where to stop the series of counter terms, which diverges in general."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modeq.checks import check_order
from modeq.flows.comparison import start_and_step
from modeq.flows.flow import check_start
from modeq.flows.next_terms import term_sizes
from modeq.flows.numeric import check_step
from modeq.flows.values import with_values
from modeq.losses.loss import as_field
from modeq.methods.named import method_for
from modeq.shown import Shown

LARGEST_ORDER = 30


@dataclass(frozen=True)
class Truncation(Shown):
    """Where to stop an asymptotic series at a point, and what can be reached there.

    Attributes:
        order: The order n whose one-step error is smallest, to leading order.
        error: That error, the smallest that can be reached.
        errors: The one-step error of each order 0, 1, 2, …, to leading order.
        is_reached: Whether the errors grow again within the orders that were looked at.
    """

    order: int
    error: float
    errors: tuple[float, ...]
    is_reached: bool

    def __str__(self) -> str:
        rest = "" if self.is_reached else f"; it still falls at order {len(self.errors) - 1}"
        return f"order {self.order} is best: one step is missed by about {self.error:.3e}{rest}"


def optimal_truncation(
    loss: Any,
    theta0: Any = None,
    *,
    h: float | None = None,
    max_order: int = LARGEST_ORDER,
    method: Any = None,
    parameters: Mapping | None = None,
) -> Truncation:
    """Return the order at which the series of counter terms should stop at a point.

    One step of the flow of order n misses the method by about h^{n+2} |f_{n+1}|. The series is
    asymptotic: these terms fall, and then grow without bound. The best order stands before the
    smallest one. As every other term may vanish (odd Bernoulli numbers do), the error of an order
    is taken to be the larger of the next two terms. It is an estimate from the point alone, and no
    bound: where the field grows within the step, the best order is right, but less is reached.

    Args:
        loss: A loss or vector field.
        theta0: The point, of shape (d,); for the losses of ``modeq.problems`` it may be left out.
        h: The learning rate; it may be left out for these as well.
        max_order: The highest order that is looked at.
        method: A method, the name of one, or an update rule; gradient descent without it. One with
            memory is on its slow manifold.
        parameters: Values of the parameters of the loss and of the method, by symbol or name.

    >>> from modeq.losses.loss import VectorField
    >>> field = VectorField(["y**2"], "y")
    >>> print(optimal_truncation(field, [1.0], h=1))
    order 0 is best: one step is missed by about 1.500e+00
    """
    loss, max_order = as_field(loss), check_order(max_order)
    theta0, h = start_and_step(loss, theta0, h)
    h = check_step(h)
    values, method = with_values(loss, method_for(loss, method), parameters)
    sizes = term_sizes(loss, check_start(theta0, loss, values), max_order + 2, values, method)
    # In the arithmetic of the sizes, because high powers of h may not be numbers for floats.
    terms = [size * size.context.mpf(h) ** (j + 1) for j, size in enumerate(sizes)]
    errors = [max(pair) for pair in pairwise(terms[1:])]
    best = min(range(len(errors)), key=errors.__getitem__)
    is_reached = best < max_order or errors[best] == 0
    return Truncation(best, float(errors[best]), tuple(map(float, errors)), is_reached)
