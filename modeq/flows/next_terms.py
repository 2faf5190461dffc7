"""The counter term after those that a flow keeps: what makes its error, to leading order.

Of f_{n+1}, f_{n+2}, … the first one that does not vanish decides. For gradient descent it is
f_{n+1}, but methods of high order and symmetric ones have gaps.

The series diverges in general, so there is an order to stop it at, which the terms tell as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np

from modeq.checks import check_order, check_step
from modeq.derivation.derive import derive_field, series_field
from modeq.flows.compare import start_and_step
from modeq.flows.fields import (
    NumericField,
    gradient_field,
    recorded,
    series_at,
    series_over,
    with_values,
)
from modeq.flows.integrate import check_start, integrate
from modeq.flows.precise import exact_point
from modeq.flows.tape import Tape
from modeq.losses.loss import Field, H, as_field
from modeq.methods.named import Method, method_for
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.show.document import Block, Finding, Table, number
from modeq.show.shown import Shown

_DIGITS = 60
LOOKAHEADS = (1, 4, 8)
"""How many terms beyond hⁿ are looked at; more only where all of fewer vanish."""

_NEAR = 2.0**-20
"""How far beside a start is, as a part of the start."""


def field_and_next_term(
    loss: Field,
    order: int,
    parameters: Mapping | None = None,
    method: Method | None = None,
    power: int | None = None,
) -> tuple[NumericField, NumericField]:
    """Return the field of a method cut at hⁿ, and f_j, as numeric functions.

    Args:
        loss: A loss or vector field.
        order: The order n.
        parameters: Values of the parameters of the loss and of the method.
        method: The method; gradient descent without it.
        power: The number j; n + 1 without it.

    >>> from modeq.losses.loss import Loss
    >>> field, following = field_and_next_term(Loss("x**2/2"), 1)
    >>> field([1.0], 0.1), following([1.0], 0.1).round(6)
    (array([-1.05]), array([-0.333333]))
    """
    own, method = with_values(loss, method or GradientDescent(), parameters)
    power = order + 1 if power is None else power
    tape = Tape((*loss.variables, H), own)
    total = series_field(method, series_over(loss, tape.convert), power)
    outputs = [tape.polynomial(H, [series[j] for j in range(1, order + 2)]) for series in total]
    terms = [tape.node(series[power + 1]) for series in total]
    return NumericField(tape, outputs, "program"), NumericField(tape, terms, "program")


def term_sizes(
    loss: Field, point: Sequence, order: int, values: Mapping, method: Method, digits: int = _DIGITS
) -> list[mpmath.mpf]:
    """Return |f|, |f₁|, …, |fₙ| at a point, from the method run in power series of numbers.

    >>> from modeq.losses.loss import Loss
    >>> [float(size) for size in term_sizes(Loss("x**2/2"), [1.0], 1, {}, GradientDescent())]
    [1.0, 0.5]
    """
    f, context = series_at(loss, exact_point(point), values, digits)
    total = series_field(method, f, order)
    rows = list(total.coefficient_vectors(order + 2))[1:]
    return [context.norm([context.convert(entry) for entry in row]) for row in rows]


def next_term(
    loss: Field, start: np.ndarray, order: int, values: Mapping, method: Method
) -> tuple[int, mpmath.mpf] | None:
    """Return the first j > n for which f_j does not vanish at a start and beside it, and the size
    of f_j there, or None.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import as_method
    >>> next_term(Loss("x**3/3"), np.array([1.0]), 1, {}, as_method("rk4"))[0]
    4
    """
    slope = gradient_field(loss, values)(start, 0.0)
    steepness = np.linalg.norm(slope)
    size = np.linalg.norm(start) or 1.0
    beside = start + _NEAR * size * slope / steepness if steepness else start + _NEAR * size
    found = first_term(loss, (start, beside), order, values, method)
    return found and (found.power, max(found.sizes))


@dataclass(frozen=True)
class _Term:
    """A counter term at some points.

    Attributes:
        power: The power j of h.
        sizes: |f_j| at the points.
        speeds: |f| at the points.
    """

    power: int
    sizes: list[mpmath.mpf]
    speeds: list[mpmath.mpf]


def first_term(
    loss: Field, points: Sequence[Sequence], order: int, values: Mapping, method: Method
) -> _Term | None:
    """Return the first f_j, j > n, that does not vanish at all of some points; None if there is
    none among those that are looked at.

    What vanishes is smaller by as many digits as there are more of them, in whatever units.

    >>> from modeq.losses.loss import Loss
    >>> found = first_term(Loss("x**2/2"), [[1.0]], 0, {}, GradientDescent())
    >>> found.power, float(found.sizes[0])
    (1, 0.5)
    """
    for lookahead in LOOKAHEADS:
        rough, fine = (
            [term_sizes(loss, x, order + lookahead, values, method, digits) for x in points]
            for digits in (_DIGITS, 2 * _DIGITS)
        )
        for j in range(order + 1, order + lookahead + 1):
            sizes = [table[j] for table in fine]
            if any(map(_is_seen, (table[j] for table in rough), sizes)):
                return _Term(j, sizes, [table[0] for table in fine])
    return None


def _is_seen(rough: mpmath.mpf, fine: mpmath.mpf) -> bool:
    """Tell whether a size that was found with few digits and with many is not rounding alone."""
    return rough > 0 and fine > rough * rough.context.mpf(10) ** (-_DIGITS // 2)


def propagated(
    loss: Field,
    term: NumericField,
    start: np.ndarray,
    h: float,
    steps: int,
    parameters: Mapping | None = None,
    method: Method | None = None,
    offset: np.ndarray | None = None,
) -> np.ndarray:
    """Return Φ(t, 0) offset - ∫₀ᵗ Φ(t, s) term(θ(s)) ds at t = 0, h, …, with ∂ₜΦ = f₀'(θ) Φ.

    f₀ is the field that the method follows at h → 0, which θ follows too. The result is the
    solution of w' = f₀'(θ) w - term(θ) from w(0) = offset, which is followed together with θ.

    >>> from modeq.losses.loss import Loss
    >>> loss = Loss("x**2/2")  # f' = -1 and f₁ = -x/2, so w = t exp(-t)/2
    >>> w = propagated(loss, field_and_next_term(loss, 0)[1], np.array([1.0]), 0.5, 2)
    >>> bool(abs(w[-1, 0] - np.exp(-1) / 2) < 1e-10)
    True
    """
    own, method = with_values(loss, method or GradientDescent(), parameters)
    d, leading = loss.dimension, derive_field(loss, 0, method).field
    f = recorded(loss, leading, own)
    jacobian = recorded(loss, [c.diff(x) for c in leading for x in loss.variables], own)

    def rhs(state: np.ndarray) -> np.ndarray:
        theta, w = state[:d], state[d:]
        slope = jacobian(theta, 0.0).reshape(d, d) @ w
        return np.concatenate([f(theta, 0.0), slope - term(theta, 0.0)])

    first = np.zeros(d) if offset is None else offset
    return integrate(rhs, np.concatenate([start, first]), h, steps).theta[:, d:]


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

    def show(self) -> list[Block]:
        """Return the best order, and the error of each."""
        rows = tuple((str(n), number(error)) for n, error in enumerate(self.errors))
        head = ("order", "error of one step, to leading order")
        return [Finding(self.is_reached, str(self)), Table(head, rows, numeric=True)]

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
