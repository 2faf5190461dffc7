"""The modified loss: a potential of the modified field, where there is one.

f̃ = -∇L̃ asks that every counter term be a gradient. For gradient descent that is so through h: the
modified loss of order 1 is L + h/4 |∇L|² (Barrett and Dherin 2021). At h² it fails in general, and
the curl that does not vanish is the witness.
"""

from __future__ import annotations

from itertools import combinations

import sympy

from modeq.derive import ModifiedField
from modeq.errors import NotAGradient
from modeq.lie import VectorElement, jacobian_rows
from modeq.loss import H
from modeq.ring import DifferentialRing


def modified_loss(modified: ModifiedField) -> sympy.Expr:
    """Return L̃ with f̃ = -∇L̃.

    Raises:
        NotAGradient: With the first power of h whose counter term is not a gradient, and a witness.

    >>> from modeq.derive import derive_field
    >>> from modeq.loss import Loss
    >>> from modeq.methods import GradientDescent
    >>> modified_loss(derive_field(Loss("x**2*y/2"), 1, GradientDescent()))
    h*(x**4/16 + x**2*y**2/4) + x**2*y/2
    """
    for power, elements in enumerate(modified.elements):
        witness = curl_witness(modified.ring, elements)
        if witness is not None:
            raise NotAGradient(power, witness)
    potentials = [_potential(modified, power) for power in range(modified.order + 1)]
    return sympy.Add(*(H**power * term for power, term in enumerate(potentials)))


def curl_witness(ring: DifferentialRing, vector: VectorElement) -> tuple | None:
    """Return (a, b, ∂f_a/∂b - ∂f_b/∂a) for a pair of variables where it is not zero, or None."""
    rows = jacobian_rows(ring, vector)
    for i, j in combinations(range(len(vector)), 2):
        curl = rows[i][j] - rows[j][i]
        if not ring.vanishes(curl):
            return ring.variables[i], ring.variables[j], ring.to_sympy(ring.reduce(curl))
    return None


def _potential(modified: ModifiedField, power: int) -> sympy.Expr:
    """Return P with f_power = -∇P."""
    if power == 0 and hasattr(modified.loss, "expression"):
        return modified.loss.expression
    components = [-modified.ring.to_sympy(element) for element in modified.elements[power]]
    if power == 1:
        candidate = _implicit_regularization(modified, components)
        if candidate is not None:
            return candidate
    return _integrated(components, modified.variables)


def _implicit_regularization(modified: ModifiedField, components: list) -> sympy.Expr | None:
    """Return c |∇L|² if that is the potential of f₁, as for Runge-Kutta methods: f₁ = c' ∇²L ∇L."""
    ring = modified.ring
    square = sum((f * f for f in modified.elements[0]), ring.zero)
    slopes = [ring.derivative(square, i) for i in range(len(modified.variables))]
    for slope, entry in zip(slopes, modified.elements[1], strict=True):
        if slope != 0:
            factor = entry.leading_coefficient() / slope.leading_coefficient()
            holds = all(
                ring.vanishes(e - factor * s)
                for s, e in zip(slopes, modified.elements[1], strict=True)
            )
            return -ring.to_sympy(ring.reduce(factor * square)) if holds else None
    return sympy.S.Zero


def _integrated(components: list[sympy.Expr], variables: tuple) -> sympy.Expr:
    """Return the potential of a gradient, one variable after another."""
    total = sympy.S.Zero
    for x, component in zip(variables, components, strict=True):
        rest = sympy.expand(component - total.diff(x))
        total += sympy.integrate(rest, x)
    return total
