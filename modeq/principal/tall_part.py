"""The part of each counter term that the principal flow keeps: that of the tall trees.

The counter term of h^j is b(τ) (f')^j f for the tall tree τ with j + 1 vertices, plus the rest. For
gradient descent b = (-1)^j/(j+1), so that for a loss they sum to log(1 - z)/z · g with z = hH.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from modeq.algebra.trees import rooted_trees
from modeq.checks import check_order, shortened
from modeq.derivation.derive import ModifiedField
from modeq.errors import InvalidValue
from modeq.methods.named import Method, as_method
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.methods.universal import modified_equation
from modeq.show.document import Block, Finding, code_lines
from modeq.show.shown import Shown


@dataclass(frozen=True)
class PrincipalPart:
    """The counter terms of a loss in two parts.

    Attributes:
        principal: The tall parts of f₁, …, fₙ, as columns.
        rest: What is left of each; zero for quadratics.
    """

    principal: tuple[sympy.ImmutableMatrix, ...]
    rest: tuple[sympy.ImmutableMatrix, ...]


def principal_part(equation: ModifiedField) -> PrincipalPart:
    """Return each counter term as the part of the tall tree and the rest.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> parts = principal_part(derive_field(Loss("x**3/3"), 2, GradientDescent()))
    >>> parts.principal[1], parts.rest[1]  # -H²g/3 and -T[g,g]/12
    (Matrix([[-4*x**4/3]]), Matrix([[-x**4/6]]))
    """
    if not isinstance(equation, ModifiedField):
        raise InvalidValue(f"{shortened(equation)} is no equation; give what modeq.derive returns")
    f = sympy.Matrix(equation.loss.components)
    jacobian = f.jacobian(equation.variables)
    principal, rest, chain = [], [], f
    coefficients = tall_coefficients(equation.method, equation.order)
    for term, b in zip(equation.counter_terms, coefficients[1:], strict=True):
        chain = (jacobian * chain).expand()
        part = (chain * sympy.sympify(b)).expand()
        principal.append(sympy.ImmutableMatrix(part))
        rest.append(sympy.ImmutableMatrix((sympy.Matrix(term) - part).expand()))
    return PrincipalPart(tuple(principal), tuple(rest))


def tall_coefficients(method: Any, order: int) -> list:
    """Return b of the tall trees with 1, …, n + 1 vertices.

    >>> [str(b) for b in tall_coefficients(GradientDescent(), 3)]
    ['1', '-1/2', '1/3', '-1/4']
    """
    series = modified_equation(method, check_order(order))
    return [series[rooted_trees(n)[0]] for n in range(1, order + 2)]


@dataclass(frozen=True)
class TallCertificate(Shown):
    """Whether the tall coefficients are those of log(1 + z)/z, for all powers up to one.

    Attributes:
        order: The highest power of h that was compared.
        residuals: The coefficients of (1 + z) (z B)' - 1, B(z) = Σ b zⁿ; all zero in a proof.
    """

    order: int
    residuals: tuple[Fraction, ...]

    @property
    def holds(self) -> bool:
        """Whether all residuals vanish."""
        return not any(self.residuals)

    def show(self) -> list[Block]:
        """Return the verdict, and what it rests on."""
        first, *rest = str(self).splitlines()
        return [Finding(self.holds, first.rstrip(":")), *code_lines(rest)]

    def __bool__(self) -> bool:
        return self.holds


def certify_tall(method: Method | str | None = None, order: int = 8) -> TallCertificate:
    """Return the exact proof that the tall coefficients sum to log(1 + z)/z up to zⁿ.

    B(z) = log(1 + z)/z is the only power series with (1 + z) (z B)' = 1, so it is enough that the
    coefficients of the two sides, which are rational numbers, are equal. With z = -hλ this is
    log(1 - hλ)/(-hλ), the factor of f = -g.

    >>> certify_tall(order=9).holds, certify_tall("heun", order=3).holds
    (True, False)
    """
    method = GradientDescent() if method is None else as_method(method)
    b = tall_coefficients(method, order)
    slope = [(n + 1) * entry for n, entry in enumerate(b)]
    residuals = [slope[0] - 1, *(slope[n] + slope[n - 1] for n in range(1, order + 1))]
    return TallCertificate(order, tuple(residuals))
