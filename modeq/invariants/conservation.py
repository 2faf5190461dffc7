"""Linear and quadratic conserved quantities of gradient flow, found by exact linear algebra.

Q = Σ bᵢθᵢ + Σ aᵢⱼθᵢθⱼ is kept by θ' = f(θ) if ∇Q·f = 0. That is linear in the unknown coefficients:
one equation over ℚ for every monomial of the differential ring. Among the solutions are the
balancedness W_{j+1}ᵀW_{j+1} - W_jW_jᵀ of linear networks, and the norms of scale-invariant blocks.
Gradient descent and the flows of higher order do not keep them; how fast they drift is exact too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd, lcm
from typing import Any

import sympy
from flint import fmpq, fmpq_mat

from modeq.checks import check_order
from modeq.derivation.derive import ModifiedField, derive_field, field_ring
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import ModeqError
from modeq.invariants.flow_laws import derivative_along, quantity_derivatives
from modeq.losses.formula_latex import formula_blocks
from modeq.losses.loss import Field, H, as_field
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.show.document import Block, Missing, Text
from modeq.show.shown import Shown

_Row = dict[sympy.Expr, fmpq]


@dataclass(frozen=True)
class ConservedQuantity(Shown):
    """A polynomial Q of degree one or two that the flow of f keeps.

    Attributes:
        expression: Q, with whole coefficients.
        degree: 1 or 2.
        loss: The loss or vector field.
    """

    expression: sympy.Expr
    degree: int
    loss: Field

    def drift(self, order: int) -> sympy.Expr:
        """Return Q' under the flow of order n; 0 for n = 0.

        >>> conserved("exp(x*y)")[0].drift(1)
        h*(-x**2*exp(2*x*y) + y**2*exp(2*x*y))
        """
        modified = derive_field(self.loss, check_order(order), GradientDescent())
        changes = quantity_derivatives(modified, self.expression)
        return sympy.Add(*(H**j * modified.ring.to_sympy(e) for j, e in enumerate(changes)))

    def rate(self, order: int) -> sympy.Expr | None:
        """Return r with Q' = r·Q under the flow of order n, or None if Q' is no multiple of Q.

        >>> conserved("exp(x*y)")[0].rate(1)
        -h*exp(2*x*y)
        """
        modified = derive_field(self.loss, check_order(order), GradientDescent())
        changes = quantity_derivatives(modified, self.expression)
        ratios = [_quotient(modified.ring, e, self.expression) for e in changes]
        if None in ratios:
            return None
        return sympy.Add(*(H**j * modified.ring.to_sympy(r) for j, r in enumerate(ratios)))

    @cached_property
    def gradient_descent(self) -> sympy.Expr:
        """Q⁺ - Q for one step of gradient descent, exactly: h² fᵀAf, where Q = θᵀAθ + bᵀθ."""
        modified = self._field()
        return H**2 * modified.ring.to_sympy(self._second_order(modified))

    @cached_property
    def factor(self) -> sympy.Expr | None:
        """The factor Q⁺/Q of one step of gradient descent, or None if Q⁺ is no multiple of Q.

        >>> conserved("exp(x*y)")[0].factor
        -h**2*exp(2*x*y) + 1
        """
        modified = self._field()
        ratio = _quotient(modified.ring, self._second_order(modified), self.expression)
        return None if ratio is None else 1 + H**2 * modified.ring.to_sympy(ratio)

    def _field(self) -> ModifiedField:
        return derive_field(self.loss, 0, GradientDescent())

    def _second_order(self, modified: ModifiedField) -> Element:
        """Return fᵀAf = ½ Σ ∂ᵢ∂ⱼQ fᵢfⱼ."""
        ring, (f, *_) = modified.ring, modified.elements
        total = ring.zero
        hessian = sympy.hessian(self.expression, self.loss.variables) / 2
        for i, j in itertools.product(range(len(f)), repeat=2):
            if hessian[i, j] != 0:
                total = total + ring.convert(hessian[i, j]) * f[i] * f[j]
        return ring.reduce(total)

    def show(self) -> list[Block]:
        """Return the quantity, and what a step of gradient descent does to it."""
        blocks = formula_blocks("Q", self.expression)
        if self.degree == 1:
            return [*blocks, Text("Gradient descent keeps it, too, exactly.")]
        try:
            factor, change = self.factor, self.gradient_descent
        except ModeqError as error:
            return [*blocks, Missing(str(error))]
        if factor is not None:
            words = Text("One step of gradient descent multiplies it by")
            return [*blocks, words, *formula_blocks(r"\frac{Q^+}{Q}", factor)]
        words = Text("One step of gradient descent changes it by")
        return [*blocks, words, *formula_blocks("Q^+ - Q", change)]

    def __str__(self) -> str:
        if self.degree == 1:
            return f"{self.expression}: kept by gradient flow, and by gradient descent exactly"
        if self.factor is None:
            law = f"adds {self.gradient_descent}"
        else:
            law = f"multiplies it by {self.factor}"
        return f"{self.expression}: kept by gradient flow; one step of gradient descent {law}"


def conserved(loss: Any) -> tuple[ConservedQuantity, ...]:
    """Return all linear and quadratic conserved quantities of θ' = -∇L, or of a vector field.

    They are a basis over ℚ of the solutions, linear ones first; squares and products of linear ones
    are left out. Each is proved by exact algebra. Coefficients do not depend on parameters. With
    functions among the generators, identities that the ring does not know may hide a quantity.

    >>> for quantity in conserved("(x*y - 1)**2/2"):
    ...     print(quantity)
    x**2 - y**2: kept by gradient flow; one step of gradient descent multiplies it by
    h**2*(-x**2*y**2 + 2*x*y - 1) + 1
    >>> [str(q.expression) for q in conserved("exp(a - b) + (b - c)**2")]
    ['a + b + c']
    """
    loss = as_field(loss)
    ring = field_ring(loss, 0, GradientDescent())
    f = [ring.reduce(ring.convert(component)) for component in loss.components]
    linear = _kept(ring, f, loss.variables)
    products = [a * b for a, b in itertools.combinations_with_replacement(loss.variables, 2)]
    known = [
        *linear,
        *(_product(a, b) for a, b in itertools.combinations_with_replacement(linear, 2)),
    ]
    quadratic = _independent(known, _kept(ring, f, [*products, *loss.variables]))
    return tuple(
        ConservedQuantity(_expression(row), degree, loss)
        for degree, rows in ((1, linear), (2, quadratic))
        for row in rows
    )


def _kept(ring: DifferentialRing, f: Sequence[Element], monomials: Sequence) -> list[_Row]:
    """Return a basis of the combinations Q of some monomials with ∇Q·f = 0."""
    images = [derivative_along(ring, m, f) for m in monomials]
    terms = [dict(ring.terms(image)) for image in images]
    keys = sorted(set().union(*terms))
    table = [
        [fmpq(t[k].numerator, t[k].denominator) if k in t else fmpq(0) for t in terms] for k in keys
    ]
    return [
        {m: c for m, c in zip(monomials, vector, strict=True) if c != 0}
        for vector in _nullspace(table, len(monomials))
    ]


def _nullspace(table: list[list[fmpq]], width: int) -> list[list[fmpq]]:
    """Return a basis of the vectors v with table·v = 0."""
    if not table:
        return [[fmpq(int(i == j)) for j in range(width)] for i in range(width)]
    reduced, rank = fmpq_mat(table).rref()
    pivots = [next(j for j in range(width) if reduced[i, j] != 0) for i in range(rank)]
    basis = []
    for free in sorted(set(range(width)) - set(pivots)):
        vector = [fmpq(0)] * width
        vector[free] = fmpq(1)
        for i, pivot in enumerate(pivots):
            vector[pivot] = -reduced[i, free]
        basis.append(vector)
    return basis


def _product(a: _Row, b: _Row) -> _Row:
    total: _Row = {}
    for (x, c), (y, d) in itertools.product(a.items(), b.items()):
        total[x * y] = total.get(x * y, fmpq(0)) + c * d
    return total


def _independent(known: Iterable[_Row], rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows that are no combination of the known ones and of those before."""
    chosen, new = list(known), []
    for row in rows:
        if _rank([*chosen, row]) > _rank(chosen):
            chosen.append(row)
            new.append(row)
    return new


def _rank(rows: Sequence[_Row]) -> int:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if not keys:
        return 0
    return fmpq_mat([[row.get(key, fmpq(0)) for key in keys] for row in rows]).rank()


def _expression(row: _Row) -> sympy.Expr:
    """Return a combination of monomials, scaled to whole coefficients without common factor."""
    common = lcm(*(int(c.q) for c in row.values()))
    whole = {m: int(c * common) for m, c in row.items()}
    divisor = gcd(*whole.values()) * (1 if next(iter(whole.values())) > 0 else -1)
    return sympy.Add(*(sympy.Integer(c // divisor) * m for m, c in whole.items()))


def _quotient(ring: DifferentialRing, element: Element, divisor: sympy.Expr) -> Element | None:
    """Return q with element = q·divisor in the ring, or None if division leaves a remainder."""
    quotient, remainder = divmod(element, ring.convert(sympy.expand(divisor)))
    return quotient if remainder == 0 else None
