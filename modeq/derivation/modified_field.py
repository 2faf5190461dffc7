"""The modified field of a method, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import sympy

from modeq.checks import check_order
from modeq.derivation.lie import VectorElement
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidMethod
from modeq.losses.expressions import natural_key
from modeq.losses.loss import Field, H
from modeq.methods.named import Method


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
        """The symbols of the loss and of the method that are neither variables nor h."""
        return all_parameters(self.loss, self.method)

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

    def __reduce__(self):
        terms = tuple(tuple(map(self.ring.terms, elements)) for elements in self.elements)
        return _restored, (type(self), self.loss, self.method, self.order, self.ring, terms)

    def _column(self, elements: VectorElement) -> sympy.ImmutableMatrix:
        return sympy.ImmutableMatrix([self.ring.to_sympy(element) for element in elements])


def _restored(
    kind: type[ModifiedField],
    loss: Field,
    method: Method,
    order: int,
    ring: DifferentialRing,
    terms: Sequence[Sequence[Any]],
) -> ModifiedField:
    """Return what was pickled or copied: ring elements are made anew from their terms."""
    elements = tuple(tuple(map(ring.from_terms, vector)) for vector in terms)
    return kind(loss, method, order, ring, elements)


def all_parameters(loss: Field, method: Method) -> tuple[sympy.Symbol, ...]:
    """Return the parameters of a loss, and then the symbols of a method in natural order.

    Raises:
        InvalidMethod: A symbol of the method has the name of a variable or of the learning rate, or
            that of a parameter without being the same symbol.

    >>> from modeq.methods.named import HeavyBall
    >>> from modeq.losses.loss import Loss
    >>> all_parameters(Loss("lam*x**2", "x"), HeavyBall(sympy.Symbol("beta")))
    (lam, beta)
    """
    new = sorted(getattr(method, "symbols", frozenset()) - {*loss.parameters}, key=natural_key)
    taken = {x.name for x in (*loss.variables, *loss.parameters, H)}
    for symbol in new:
        if symbol.name in taken:
            raise InvalidMethod(
                f"the symbol {symbol} of {method} has the name of a variable, of a parameter of "
                f"the loss with other assumptions, or of the learning rate; give it another name"
            )
    return (*loss.parameters, *new)
