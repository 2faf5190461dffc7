"""Generators: second-order differential operators, and more, that expected values evolve by.

For dX = b dt + D^{1/2} dW the expected value of a function of X changes as d/dt E φ = E 𝓛φ with
𝓛 = b·∇ + 1/2 D:∇². An operator with finitely many higher derivatives belongs to no random process,
as it would need negative probabilities (Pawula 1967), but it still says how moments change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from modeq.checks import check_order, shortened, whole
from modeq.errors import InvalidOrder, InvalidValue
from modeq.losses.expressions import names_of, read_expression, split_symbols
from modeq.losses.formula_latex import matrix_formula
from modeq.losses.loss import H
from modeq.losses.vanishing import Decisions
from modeq.sampling.operators import Exponents, Operator, OperatorAlgebra, exponents
from modeq.show.document import Block, Finding, Formula
from modeq.show.shown import Shown


@dataclass(frozen=True)
class DiffusionVerdict(Shown):
    """Whether an operator is the generator of a diffusion; true or false in conditions.

    Attributes:
        holds: Whether it has no derivatives beyond the second.
        order: The power of h at which third or higher derivatives come in; None if they do not.
        witness: The variables that φ is differentiated by, and the coefficient.
        proved: Whether that is proved, and not only checked at random points.

    >>> from modeq.sampling.stochastic import sgd_generator
    >>> print(sgd_generator(["x**2/2", "(x - 1)**2/2", "x**2 + x"], order=2).is_diffusion)
    not a diffusion from h^2 on: d^3/dx dx dx has the coefficient ...
    """

    holds: bool
    order: int | None = None
    witness: tuple[tuple[sympy.Symbol, ...], sympy.Expr] | None = None
    proved: bool = True

    def show(self) -> list[Block]:
        """Return the verdict."""
        return [Finding(self.holds, str(self))]

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if self.holds:
            return "a diffusion" + (
                "" if self.proved else " (checked at random points, not proved)"
            )
        variables, coefficient = self.witness
        names = " ".join(f"d{x}" for x in variables)
        return (
            f"not a diffusion from h^{self.order} on: d^{len(variables)}/{names} has the "
            f"coefficient {coefficient}"
        )


@dataclass(frozen=True, eq=False)
class Generator(Shown):
    """The generator 𝓛 = b·∇ + 1/2 D:∇² + … of the expected values of functions: d/dt E φ = E 𝓛φ.

    Made by ``sgd_generator``.

    Attributes:
        variables: The variables θ.
        order: The highest power n of h.
        terms: The coefficients of 1, h, …, hⁿ, each {α: c_α} for Σ c_α ∂^α.

    >>> from modeq.sampling.stochastic import sgd_generator
    >>> x = sympy.Symbol("x")
    >>> generator = sgd_generator(["(x - 1)**2/2", "(x + 1)**2/2"], order=1)
    >>> generator(x), generator(x**2)
    (-h*x/2 - x, -h*x**2 + h - 2*x**2)
    """

    variables: tuple[sympy.Symbol, ...]
    order: int
    algebra: OperatorAlgebra
    terms: tuple[Operator, ...]

    @property
    def h(self) -> sympy.Symbol:
        """The learning rate, a positive symbol."""
        return H

    def coefficient(self, *variables: Any) -> sympy.Expr:
        """Return the coefficient of a derivative, with the variables that φ is differentiated by.

        Raises:
            InvalidValue: One of them is no variable.

        >>> from modeq.sampling.stochastic import sgd_generator
        >>> sgd_generator(["(x - 1)**2/2", "(x + 1)**2/2"], order=1).coefficient("x", "x")
        h/2
        """
        names = [str(x) for x in variables]
        for name in names:
            if name not in {x.name for x in self.variables}:
                raise InvalidValue(
                    f"{shortened(name)} is no variable; they are {names_of(self.variables)}"
                )
        return self._coefficient(tuple(names.count(x.name) for x in self.variables))

    def _coefficient(self, alpha: Exponents) -> sympy.Expr:
        ring = self.algebra.ring
        found = (ring.to_sympy(term[alpha]) if alpha in term else 0 for term in self.terms)
        return sympy.Add(*(H**k * c for k, c in enumerate(found)))

    @cached_property
    def drift(self) -> sympy.ImmutableMatrix:
        """The column b."""
        return sympy.ImmutableMatrix([self.coefficient(x) for x in self.variables])

    @cached_property
    def covariance(self) -> sympy.ImmutableMatrix:
        """The symmetric matrix D; for a diffusion that of √D dW."""
        d = len(self.variables)
        entry = lambda i, j: self.coefficient(self.variables[i], self.variables[j])  # noqa: E731
        return sympy.ImmutableMatrix(d, d, lambda i, j: entry(i, j) * (1 + (i == j)))

    @cached_property
    def is_diffusion(self) -> DiffusionVerdict:
        """Whether there are first and second derivatives only, with a witness if not.

        The coefficients D of a diffusion must be positive semidefinite as well, which holds for
        small h where Σ is positive definite.
        """
        decide = Decisions(self.algebra.ring.vanishing)
        for power, term in enumerate(self.terms):
            for alpha in sorted(term, key=lambda alpha: (sum(alpha), alpha)):
                if sum(alpha) > 2 and not decide(term[alpha]):
                    where = [
                        x for x, k in zip(self.variables, alpha, strict=True) for _ in range(k)
                    ]
                    coefficient = H**power * self.algebra.ring.to_sympy(term[alpha])
                    return DiffusionVerdict(False, power, (tuple(where), coefficient))
        return DiffusionVerdict(True, proved=decide.proved)

    def diffusion_part(self) -> Generator:
        """Return the generator without its third and higher derivatives."""
        kept = tuple({a: c for a, c in term.items() if sum(a) <= 2} for term in self.terms)
        return Generator(self.variables, self.order, self.algebra, kept)

    def __call__(self, phi: Any) -> sympy.Expr:
        """Return 𝓛φ for an expression in the variables.

        Raises:
            InvalidLoss: φ contains h, or a symbol with the name of a variable that is another.
        """
        return self._applied(self._function(phi))

    def _function(self, phi: Any) -> sympy.Expr:
        phi = read_expression(phi, self.variables)
        split_symbols([phi], self.variables)
        return phi

    def _applied(self, phi: sympy.Expr) -> sympy.Expr:
        total = [
            self._coefficient(alpha) * _derivative(phi, self.variables, alpha)
            for alpha in {alpha for term in self.terms for alpha in term}
        ]
        return sympy.expand(sympy.Add(*total))

    def expectation(self, phi: Any, through: int | None = None) -> sympy.Expr:
        """Return E φ(X_h) from X₀ = θ, as a polynomial in h: Σ hᵏ/k! 𝓛ᵏφ, cut after a power of h.

        Args:
            phi: An expression in the variables.
            through: The highest power of h; n + 1, up to which it is that of SGD, if not given.

        Raises:
            InvalidLoss: As for 𝓛φ.
            InvalidOrder: ``through`` is not an integer at least zero.

        >>> from modeq.sampling.stochastic import sgd_generator
        >>> x = sympy.Symbol("x")
        >>> sgd_generator(["(x - 1)**2/2", "(x + 1)**2/2"], order=1).expectation(x**2)
        h**2*x**2 + h**2 - 2*h*x**2 + x**2
        """
        through = self.order + 1 if through is None else check_order(through)
        term = self._function(phi)
        total = term
        for k in range(1, through + 1):
            term = _cut(self._applied(term) / k, through - k)
            total += H**k * term
        return _cut(total, through)

    def moment_equations(self, degree: int) -> tuple[tuple[sympy.Expr, ...], sympy.ImmutableMatrix]:
        """Return the monomials m of up to a degree, and the matrix M with d/dt E m = M E m.

        Raises:
            InvalidOrder: The degree is not an integer at least zero.
            InvalidValue: The moments of higher degree take part, as they do unless all losses are
                quadratic.

        >>> from modeq.sampling.stochastic import sgd_generator
        >>> generator = sgd_generator(["(x - 1)**2/2", "(x + 1)**2/2"], order=1)
        >>> generator.moment_equations(2)
        ((1, x, x**2), Matrix([
        [0,        0,      0],
        [0, -h/2 - 1,      0],
        [h,        0, -h - 2]]))
        """
        degree = whole(degree, "degree", 0, InvalidOrder)
        indices = [a for k in range(degree + 1) for a in exponents(len(self.variables), k)]
        monomials = [_power(self.variables, alpha) for alpha in indices]
        rows = [_row(self._applied(m), self.variables, indices, m) for m in monomials]
        return tuple(monomials), sympy.ImmutableMatrix(rows)

    def show(self) -> list[Block]:
        """Return the drift, the covariance, and whether it is the generator of a diffusion."""
        return [
            Formula(matrix_formula("b", self.drift)),
            Formula(matrix_formula("D", self.covariance)),
            *self.is_diffusion.show(),
        ]

    def __repr__(self) -> str:
        return f"<Generator of order {self.order} in {names_of(self.variables)}>"


def _derivative(phi: sympy.Expr, variables: Sequence, alpha: Exponents) -> sympy.Expr:
    for x, times in zip(variables, alpha, strict=True):
        phi = phi.diff(x, times) if times else phi
    return phi


def _power(variables: Sequence, alpha: Exponents) -> sympy.Expr:
    return sympy.Mul(*(x**k for x, k in zip(variables, alpha, strict=True)))


def _cut(expression: sympy.Expr, power: int) -> sympy.Expr:
    """Return a polynomial in h without the higher powers."""
    poly = sympy.expand(expression)
    return sympy.expand(sympy.Add(*(poly.coeff(H, k) * H**k for k in range(power + 1))))


def _row(image: sympy.Expr, variables: Sequence, indices: Sequence, monomial: Any) -> list:
    known = dict(sympy.Poly(image, *variables).terms()) if image.is_polynomial(*variables) else {}
    beyond = [_power(variables, a) for a, c in known.items() if a not in indices and c != 0]
    if beyond or not known:
        raise InvalidValue(
            f"the moments are not closed: the rate of E {monomial} needs "
            f"E {[*beyond, image][0]}; they are if all losses are quadratic"
        )
    return [known.get(alpha, sympy.S.Zero) for alpha in indices]
