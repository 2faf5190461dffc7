"""The law of N or s under a flow, and how any polynomial changes along one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from modeq.derivation.derive import ModifiedField
from modeq.derivation.ring import DifferentialRing, Element

NORM, SUM, FORCE, CONSTANT = sympy.symbols("N s G Ghat")
"""N = |θ_A|², s = Σθ_A, G = |∇_Aℓ|², and Ĝ = N·G, which does not depend on the length of θ_A."""


@dataclass(frozen=True)
class FlowLaw:
    """The law Q' = rate·Q + gain·G + rest of N or s under the flow of order n, with weight decay.

    Attributes:
        order: The order n.
        rate: A polynomial in h and the weight decay λ.
        gain: A polynomial in h and λ, the factor of G = |∇_Aℓ|²; 0 for translations.
        rest: What remains, in the variables of the loss, λ and h; it starts at h².
        quantity: The symbol of Q.
    """

    order: int
    rate: sympy.Expr
    gain: sympy.Expr
    rest: sympy.Expr
    quantity: sympy.Symbol

    @property
    def derivative(self) -> sympy.Expr:
        """Q', in the symbols of Q and G and, for the rest, in the variables."""
        return self.rate * self.quantity + self.gain * FORCE + self.rest

    def __str__(self) -> str:
        size = str(self.rest)
        shown = size if len(size) < 200 else f"{size[:180]}… ({len(size)} characters)"
        gain = f" + ({self.gain})*G" if self.gain != 0 else ""
        rest = f" + {shown}" if self.rest != 0 else ""
        return f"order {self.order}: {self.quantity}' = ({self.rate})*{self.quantity}{gain}{rest}"


def quantity_derivatives(modified: ModifiedField, quantity: sympy.Expr) -> tuple[Element, ...]:
    """Return ∇Q·f, ∇Q·f₁, …, ∇Q·fₙ: the time derivative of Q along a flow, by powers of h.

    Q must be a polynomial in the variables and parameters.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> field = derive_field(Loss("x**2/2"), 1, GradientDescent())
    >>> [field.ring.to_sympy(e) for e in quantity_derivatives(field, field.variables[0] ** 2)]
    [-2*x**2, -x**2]
    """
    ring = modified.ring
    return tuple(derivative_along(ring, quantity, field) for field in modified.elements)


def derivative_along(
    ring: DifferentialRing, quantity: sympy.Expr, field: Sequence[Element]
) -> Element:
    """Return ∇Q·f for a polynomial Q in the variables of a ring.

    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [x], depth=1)
    >>> ring.to_sympy(derivative_along(ring, x**3, [ring.convert(x)]))
    3*x**3
    """
    slopes = (ring.convert(quantity.diff(x)) for x in ring.variables)
    products = (s * f for s, f in zip(slopes, field, strict=True) if s != 0)
    return ring.reduce(sum(products, ring.zero))
