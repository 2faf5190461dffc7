"""Stochastic gradient descent, and the stochastic equations that it follows in the mean.

A step is θ⁺ = θ - h γ, with a gradient γ that is drawn anew at each step, E γ = g = ∇L. What
becomes of the expected value of a function φ in a step, and in the time h along an equation, is

    E φ(θ - hγ) = (1 + Σ_k hᵏ A_k) φ,    A_k = (-1)ᵏ/k! E[γ_{i₁} ⋯ γ_{i_k}] ∂_{i₁} ⋯ ∂_{i_k},

and exp(h 𝓛) φ with the generator 𝓛 of the equation. So the equation that SGD follows has

    h 𝓛 = log(1 + Σ_k hᵏ A_k) = -h (g + h/2 Hg)·∇ + h/2 hΣ:∇² + O(h³),      Σ = Cov γ.

Cut there, it is a diffusion: the stochastic modified equation of weak order two,

    dX = -∇(L + h/4 |∇L|²) dt + √h Σ^{1/2} dW,

and without the term h/4 |∇L|² that of order one (Li, Tai, E 2017 and 2019). Third derivatives come
in at h², where their coefficient is -1/6 of the third cumulants of γ. Then 𝓛 is the generator of no
stochastic differential equation, though it still gives the moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial, prod
from typing import Any

import sympy

from modeq.checks import as_integer, check_order, shortened
from modeq.errors import InvalidOrder
from modeq.losses.formula_latex import matrix_formula
from modeq.losses.loss import H
from modeq.sampling.diffusion import Generator
from modeq.sampling.gradient_noise import random_gradient
from modeq.sampling.operators import Operator, OperatorAlgebra, exponents
from modeq.show.document import Block, Formula
from modeq.show.shown import Shown


def sgd_generator(
    losses: Any,
    order: int,
    *,
    covariance: Any = None,
    gaussian: bool = False,
    variables: Any = None,
) -> Generator:
    """Return the generator of SGD through hⁿ: 1/h times the logarithm of the expected step.

    Args:
        losses: The losses of the samples, of which each step draws one, all with the same
            probability; or one loss, the mean, together with the covariance of its gradient.
        order: The highest power n of h. Expected values at a fixed time have errors O(h^{n+1}).
        covariance: The matrix Σ(θ), symmetric.
        gaussian: With a covariance, take the gradient to be normally distributed; without it, only
            the moments up to the second are known, which is enough for order 1.
        variables: The variables of losses that are given as texts or expressions.

    Raises:
        InvalidValue: The covariance is not a symmetric d by d matrix, or there is none; or higher
            moments are needed, and neither losses nor ``gaussian`` say what they are.
        InvalidLoss: The losses have different variables.
        InvalidOrder: ``order`` is not an integer at least zero.

    >>> generator = sgd_generator("x**2/2", 2, covariance=[["s**2"]], gaussian=True, variables="x")
    >>> generator.drift[0], generator.covariance[0]
    (-h**2*x/3 - h*x/2 - x, h**2*s**2 + h*s**2)
    >>> print(generator.is_diffusion)
    a diffusion
    """
    order = check_order(order)
    gradient = random_gradient(losses, covariance, gaussian, variables)
    ring = gradient.ring(order)
    algebra, moment = OperatorAlgebra(ring), gradient.moments(ring)
    series: list[Operator] = [{}]
    for k in range(1, order + 2):
        term = {}
        for alpha in exponents(len(gradient.variables), k):
            weight = Fraction((-1) ** k, prod(map(factorial, alpha)))
            term[alpha] = ring.constant(weight) * moment(alpha)
        series.append(algebra.add({}, term))
    terms = algebra.logarithm(series)[1:]
    return Generator(gradient.variables, order, algebra, tuple(terms))


@dataclass(frozen=True)
class StochasticEquation(Shown):
    """The stochastic modified equation dX = b dt + D^{1/2} dW of SGD, of weak order one or two.

    Made by ``stochastic_equation``.

    Attributes:
        drift: The column b.
        covariance: The matrix D = hΣ, of which no root is needed.
        weak_order: The power of h of the error of expected values at a fixed time.
        generator: The generator b·∇ + 1/2 D:∇².

    Example:
        >>> stochastic_equation(["(x - 1)**2/2", "(x + 1)**2/2"], weak_order=1).drift
        Matrix([[-x]])
    """

    weak_order: int
    generator: Generator

    @property
    def drift(self) -> sympy.ImmutableMatrix:
        """The column b."""
        return self.generator.drift

    @property
    def covariance(self) -> sympy.ImmutableMatrix:
        """The matrix D, of which no root is needed."""
        return self.generator.covariance

    @property
    def h(self) -> sympy.Symbol:
        """The learning rate, a positive symbol."""
        return H

    @property
    def variables(self) -> tuple[sympy.Symbol, ...]:
        """The variables θ."""
        return self.generator.variables

    def expectation(self, phi: Any, through: int | None = None) -> sympy.Expr:
        """Return E φ(X_h) from X₀ = θ, as a polynomial in h; see ``Generator.expectation``."""
        return self.generator.expectation(phi, self.weak_order if through is None else through)

    def moment_equations(self, degree: int) -> tuple[tuple[sympy.Expr, ...], sympy.ImmutableMatrix]:
        """Return the equations of the moments; see ``Generator.moment_equations``."""
        return self.generator.moment_equations(degree)

    def show(self) -> list[Block]:
        """Return dX = b dt + D^{1/2} dW with b and D."""
        return [
            Formula(r"dX = b\,dt + D^{1/2}\,dW"),
            Formula(matrix_formula("b", self.drift)),
            Formula(matrix_formula("D", self.covariance)),
        ]


def stochastic_equation(
    losses: Any, *, covariance: Any = None, weak_order: int = 2, variables: Any = None
) -> StochasticEquation:
    """Return the stochastic modified equation of SGD (Li, Tai, E 2019).

        weak order 1:    dX = -∇L dt + √h Σ^{1/2} dW,
        weak order 2:    dX = -∇(L + h/4 |∇L|²) dt + √h Σ^{1/2} dW.

    Args:
        losses: The losses of the samples, of which each step draws one; or one loss, the mean,
            together with the covariance Σ of its gradient.
        covariance: The matrix Σ(θ).
        weak_order: 1 or 2. What SGD follows beyond is in general no diffusion; see
            ``sgd_generator``.
        variables: The variables of losses that are given as texts or expressions.

    Raises:
        InvalidOrder: The order is neither 1 nor 2.
        InvalidValue, InvalidLoss: As for ``sgd_generator``.

    >>> equation = stochastic_equation("x**2/2", covariance=[[4]])
    >>> equation.drift, equation.covariance
    (Matrix([[-h*x/2 - x]]), Matrix([[4*h]]))
    """
    if as_integer(weak_order) not in (1, 2):
        raise InvalidOrder(
            f"weak_order is {shortened(weak_order)}; it must be 1 or 2: beyond, sgd_generator "
            f"gives the "
            f"generator, which in general is not that of a diffusion"
        )
    whole = sgd_generator(losses, 1, covariance=covariance, variables=variables)
    drift, noise = whole.terms
    if weak_order == 1:
        noise = {alpha: c for alpha, c in noise.items() if sum(alpha) == 2}
    generator = Generator(whole.variables, 1, whole.algebra, (drift, noise))
    return StochasticEquation(int(weak_order), generator)
