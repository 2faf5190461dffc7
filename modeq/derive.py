"""Counter terms of a given loss or vector field, for a given method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import sympy

from modeq.errors import InvalidMethod
from modeq.evaluate import STEP, SeriesField
from modeq.lie import VectorElement, lie_recursion
from modeq.logarithm import logarithm
from modeq.loss import Field, H
from modeq.methods import Method, RungeKutta
from modeq.power_series import Vector
from modeq.ring import DifferentialRing
from modeq.trees import check_order

EXTRA_DEPTH = 4
"""Derivatives beyond the order that proofs, potentials and the next counter terms take."""


@dataclass(frozen=True, eq=False)
class ModifiedField:
    """The field f̃ = f + h f₁ + … + hⁿ fₙ that a method follows, as elements of a ring.

    Attributes:
        loss: The loss or vector field.
        method: The method.
        order: The highest power n of h.
        ring: The ring that the elements belong to.
        elements: The vectors f, f₁, …, fₙ of ring elements.
    """

    loss: Field
    method: Method
    order: int
    ring: DifferentialRing
    elements: tuple[VectorElement, ...]

    @property
    def h(self) -> sympy.Symbol:
        """The learning rate, a positive symbol."""
        return H

    @property
    def variables(self) -> tuple[sympy.Symbol, ...]:
        """The variables θ."""
        return self.loss.variables

    @property
    def parameters(self) -> tuple[sympy.Symbol, ...]:
        """The symbols that are neither variables nor h."""
        return self.loss.parameters

    @cached_property
    def counter_terms(self) -> tuple[sympy.ImmutableMatrix, ...]:
        """The columns f₁, …, fₙ: the coefficients of h, h², …, hⁿ."""
        return tuple(self._column(elements) for elements in self.elements[1:])

    @cached_property
    def field(self) -> sympy.ImmutableMatrix:
        """The column f + h f₁ + … + hⁿ fₙ."""
        total = self._column(self.elements[0])
        for power, term in enumerate(self.counter_terms, 1):
            total += H**power * term
        return total

    def truncated(self, order: int) -> Self:
        """Return the field with counter terms up to a lower order only."""
        order = min(check_order(order), self.order)
        return replace(self, order=order, elements=self.elements[: order + 1])

    def __eq__(self, other) -> bool:
        return isinstance(other, ModifiedField) and all(
            getattr(self, name) == getattr(other, name)
            for name in ("loss", "method", "order", "elements")
        )

    def __hash__(self) -> int:
        return hash((self.loss, self.order))

    def _column(self, elements: VectorElement) -> sympy.ImmutableMatrix:
        return sympy.ImmutableMatrix([self.ring.to_sympy(element) for element in elements])


def derive_field(loss: Field, order: int, method: Method) -> ModifiedField:
    """Return the modified field of a loss or vector field, with counter terms up to hⁿ.

    Raises:
        InvalidOrder: ``order`` is not an integer at least zero.

    >>> from modeq.loss import Loss
    >>> from modeq.methods import GradientDescent
    >>> derive_field(Loss("x**2/2"), 3, GradientDescent()).field
    Matrix([[-h**3*x/4 - h**2*x/3 - h*x/2 - x]])
    """
    order = check_order(order)
    ring = field_ring(loss, order)
    by = by_lie_recursion if _recursion_is_faster(ring) else by_logarithm
    return ModifiedField(loss, method, order, ring, by(loss, order, method, ring))


def _recursion_is_faster(ring: DifferentialRing) -> bool:
    """Tell which of the two derivations to use; tests/benchmarks/derive.py measures both.

    The recursion multiplies expanded polynomials d² at a time, while the logarithm follows the
    structure of the field, which pays as soon as there are functions or more than two variables.
    """
    return len(ring.variables) <= 2 and not ring.functions


def field_ring(loss: Field, order: int) -> DifferentialRing:
    """Return the ring that holds a field and its counter terms up to hⁿ."""
    return DifferentialRing(
        loss.variables, loss.parameters, loss.components, depth=order + EXTRA_DEPTH
    )


def by_lie_recursion(
    loss: Field, order: int, method: Method, ring: DifferentialRing
) -> tuple[VectorElement, ...]:
    """Return f, f₁, …, fₙ from one step of the method and the Lie recursion."""
    return lie_recursion(ring, step_series(loss, order, method, ring), order)


def step_series(
    loss: Field, order: int, method: Method, ring: DifferentialRing
) -> list[VectorElement]:
    """Return d₁, …, d_{n+1}, where one step takes θ to θ + Σ hʲ dⱼ."""
    if isinstance(method, RungeKutta) and method.is_euler:
        return [tuple(ring.reduce(ring.convert(c)) for c in loss.components)]
    f = _RingField(loss, ring)
    return _elements(f.step(method)(f.start()), order + 2, ring)[1:]


def by_logarithm(
    loss: Field, order: int, method: Method, ring: DifferentialRing
) -> tuple[VectorElement, ...]:
    """Return f, f₁, …, fₙ from n + 1 steps of the method and h f̃ = log(1 + Δ) θ₀."""
    f = _RingField(loss, ring)
    total = logarithm(f.step(method), f.start(), order)
    return tuple(_elements(total, order + 2, ring)[1:])


class _RingField(SeriesField):
    """A field over power series of ring elements, which refuses points away from the start θ₀."""

    def __init__(self, loss: Field, ring: DifferentialRing):
        super().__init__(loss.components, loss.variables, ring.convert)
        self._ring = ring

    def __call__(self, theta: Vector) -> Vector:
        return super().__call__(self._near_start(theta))

    def step(self, method: Method) -> Callable[[Vector], Vector]:
        """Return one step of a method, as a function of the point."""
        step = one_step(method, self)
        return lambda theta: self._near_start(step(theta))

    def _near_start(self, theta: Vector) -> Vector:
        for x, series in zip(self.variables, theta, strict=True):
            if series[0] != self.constant(x):
                value = self._ring.to_sympy(self._ring.zero + series[0])
                raise InvalidMethod(
                    f"at h = 0 the update rule takes {x} to {value}; it must put into f, and "
                    f"return, theta plus multiples of h f(...)"
                )
        return theta


def one_step(method: Method, f: SeriesField) -> Callable[[Vector], Vector]:
    """Return one step of a method over power series, as a function of the point.

    Raises:
        InvalidMethod: The update rule does something else than add, scale, and call f.
    """

    def step(theta: Vector) -> Vector:
        try:
            following = method.rule(theta, f, STEP)
        except (TypeError, AttributeError) as error:
            raise InvalidMethod(
                f"the update rule of {method} cannot be run over power series: {error}; it may "
                f"only add, multiply by numbers and by h, and call f"
            ) from error
        if not isinstance(following, Vector) or len(following) != len(theta):
            raise InvalidMethod(
                f"the update rule of {method} returned {following!r}; it must return the next "
                f"state, made from theta by +, multiplication by scalars, and f"
            )
        return following

    return step


def _elements(vector, count: int, ring: DifferentialRing) -> list[VectorElement]:
    """Return the coefficients of h⁰, … as vectors of reduced ring elements."""
    return [
        tuple(ring.reduce(ring.zero + coefficient) for coefficient in coefficients)
        for coefficients in vector.coefficient_vectors(count)
    ]
