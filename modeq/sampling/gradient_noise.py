"""Random gradients: what is known of the gradient that SGD draws, as moments in a ring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any, Protocol

import sympy

from modeq.checks import shortened
from modeq.derivation.derive import EXTRA_DEPTH
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidOrder, InvalidValue
from modeq.losses.expressions import names_of, read_expression, split_symbols
from modeq.losses.loss import Loss, SplitField, as_losses
from modeq.sampling.operators import Exponents

Moments = Callable[[Exponents], Element]
"""α ↦ E γ^α."""


def random_gradient(losses: Any, covariance: Any, gaussian: bool, variables: Any) -> RandomGradient:
    """Return what losses, or a covariance, say about the gradient."""
    is_one = isinstance(losses, Loss | str | sympy.Expr)
    if is_one and covariance is None:
        raise InvalidValue(
            "one loss is given without a covariance; give covariance=..., or the losses of all "
            "samples in a list"
        )
    if not is_one and covariance is not None:
        raise InvalidValue(
            "both the losses of the samples and a covariance are given; the losses say what it is"
        )
    if not is_one:
        return _OfSamples(_samples(losses, variables))
    loss = losses if isinstance(losses, Loss) else Loss(losses, variables)
    return _OfCovariance(loss, _covariance(covariance, loss), gaussian)


def _samples(losses: Any, variables: Any) -> list[Loss]:
    """Return the losses of the samples, which have the same variables."""
    return list(SplitField(as_losses(getattr(losses, "losses", losses), variables)).parts)


def _covariance(matrix: Any, loss: Loss) -> sympy.ImmutableMatrix:
    rows = matrix.tolist() if hasattr(matrix, "tolist") else matrix
    d = loss.dimension
    if not isinstance(rows, Sequence) or [_length(row) for row in rows] != [d] * d:
        raise InvalidValue(
            f"the covariance is {shortened(matrix)}; it must be a matrix of {d} by {d}, for the "
            f"variables "
            f"{names_of(loss.variables)}"
        )
    known = (*loss.variables, *loss.parameters)
    sigma = sympy.ImmutableMatrix([[read_expression(e, known) for e in row] for row in rows])
    split_symbols([loss.expression, *sigma], loss.variables)
    if not all(sympy.expand(e) == 0 for e in sigma - sigma.T):
        raise InvalidValue(f"the covariance {sigma.tolist()} is not symmetric")
    if not sigma.free_symbols and sigma.is_positive_semidefinite is False:
        raise InvalidValue(f"the covariance {sigma.tolist()} has a negative eigenvalue")
    return sigma


def _length(row: Any) -> int:
    return len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1


class RandomGradient(Protocol):
    """What is known of γ."""

    variables: tuple[sympy.Symbol, ...]

    def ring(self, order: int) -> DifferentialRing:
        """Return a ring for the generator through hⁿ, if enough is known for that."""

    def moments(self, ring: DifferentialRing) -> Moments:
        """Return the moments as elements of that ring."""


class _OfSamples:
    def __init__(self, losses: Sequence[Loss]):
        self.losses = losses
        self.variables = losses[0].variables

    def ring(self, order: int) -> DifferentialRing:
        entries = [entry for loss in self.losses for entry in loss.gradient]
        parameters = SplitField(self.losses).parameters
        return DifferentialRing(self.variables, parameters, entries, 2 * order + EXTRA_DEPTH)

    def moments(self, ring: DifferentialRing) -> Moments:
        gradients = [list(map(ring.convert, loss.gradient)) for loss in self.losses]
        share = ring.constant(Fraction(1, len(gradients)))

        def moment(alpha: Exponents) -> Element:
            powers = (
                prod((g**k for g, k in zip(gs, alpha, strict=True)), start=ring.one)
                for gs in gradients
            )
            return share * sum(powers, ring.zero)

        return moment


class _OfCovariance:
    def __init__(self, loss: Loss, sigma: sympy.ImmutableMatrix, gaussian: bool):
        self.loss = loss
        self.sigma = sigma
        self.gaussian = gaussian
        self.variables = loss.variables

    def ring(self, order: int) -> DifferentialRing:
        if order > 1 and not self.gaussian:
            raise InvalidOrder(
                f"order is {order}, which needs moments of the gradient beyond the second; give "
                f"gaussian=True, or the losses of the samples, or an order of at most 1"
            )
        entries = [*self.loss.gradient, *self.sigma]
        _, parameters = split_symbols(entries, self.variables)
        return DifferentialRing(self.variables, parameters, entries, 2 * order + EXTRA_DEPTH)

    def moments(self, ring: DifferentialRing) -> Moments:
        """Return E γ^α for a normal γ: E γᵢ γ^β = gᵢ E γ^β + Σⱼ Σᵢⱼ βⱼ E γ^{β-eⱼ}."""
        g = list(map(ring.convert, self.loss.gradient))
        sigma = [list(map(ring.convert, row)) for row in self.sigma.tolist()]

        def moment(alpha: Exponents) -> Element:
            if not any(alpha):
                return ring.one
            i = next(i for i, k in enumerate(alpha) if k)
            beta = _less(alpha, i)
            total = g[i] * moment(beta)
            for j, k in enumerate(beta):
                if k:
                    total = total + sigma[i][j] * ring.constant(k) * moment(_less(beta, j))
            return total

        return moment


def _less(alpha: Exponents, i: int) -> Exponents:
    return (*alpha[:i], alpha[i] - 1, *alpha[i + 1 :])
