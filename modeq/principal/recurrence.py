"""Methods as recurrences, and what they multiply by in an eigendirection.

    Σ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_lj θ_{m+j})

In an eigendirection of the Jacobian with eigenvalue ν the solutions are the powers μᵐ of the roots
of the characteristic equation ρ(μ) = hν σ(μ). Gradient descent has the one root 1 + hν.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from modeq.errors import InvalidMethod
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.tableaux import RungeKutta


@dataclass(frozen=True)
class Recurrence:
    """Σ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_lj θ_{m+j}), over any numbers."""

    alpha: tuple
    beta: tuple
    points: tuple[tuple, ...]
    name: str = "recurrence"
    has_momentum: bool = False

    def over(self, number: Callable[[Any], Any]) -> Recurrence:
        """Return the recurrence with its entries converted by a function such as ``float``."""
        return replace(
            self,
            alpha=tuple(map(number, self.alpha)),
            beta=tuple(map(number, self.beta)),
            points=tuple(tuple(map(number, row)) for row in self.points),
        )

    @cached_property
    def is_plain(self) -> bool:
        """Whether this is θ_{m+1} = θ_m + h f(θ_m)."""
        return self.alpha == (-1, 1) and self.points == ((1, 0),) and self.beta == (1,)

    def rho(self, b: Any) -> Any:
        """Return ρ(b) = Σ αⱼ bʲ."""
        return _polynomial(self.alpha, b)

    def sigma(self, b: Any) -> Any:
        """Return Σ_l β_l c_l(b)."""
        return self.weight([b])

    def weight(self, bases: Sequence) -> Any:
        """Return Σ_l β_l Π c_l(b): what a product of exponentials is multiplied by inside f."""
        if self.is_plain:
            return 1
        total = 0
        for beta, row in zip(self.beta, self.points, strict=True):
            product = beta
            for b in bases:
                product = product * _polynomial(row, b)
            total = total + product
        return total

    def denominator(self, mu: Any) -> Callable[[Any], Any]:
        """Return b ↦ ρ(b) - hν σ(b), where μ is a root."""
        if self.is_plain:
            return lambda b: b - mu
        hnu = self.rho(mu) / self.sigma(mu)
        return lambda b: self.rho(b) - hnu * self.sigma(b)

    def multipliers(self, hnu: np.ndarray) -> np.ndarray:
        """Return all roots of ρ(1 + q) = hν σ(1 + q) in q, the one that is followed first.

        Of momentum it is the root of the largest modulus, of two such that in the upper half
        plane; otherwise the one next to exp(hν/ρ'(1) σ(1)).
        """
        if self.is_plain:
            return hnu[:, None]
        return np.array([self._roots(z) for z in hnu])

    @cached_property
    def _shifted_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients of ρ(1 + q) and of σ(1 + q), lowest first."""
        rows = zip(self.beta, self.points, strict=True)
        return _shifted(self.alpha), sum(float(beta) * _shifted(row) for beta, row in rows)

    def _roots(self, z: complex) -> np.ndarray:
        rho, sigma = self._shifted_parts
        polynomial = (rho - z * sigma)[::-1]
        roots, derivative = np.roots(polynomial), np.polyder(polynomial)
        for _ in range(3):  # Newton, so that the root next to 0 has all its digits
            value, slope = np.polyval(polynomial, roots), np.polyval(derivative, roots)
            safe = np.where(slope == 0, 1, slope)
            roots = roots - np.where(np.abs(slope) > 1e-6, value / safe, 0)
        if self.has_momentum:
            key = [(-round(abs(1 + q), 12), -q.imag) for q in roots]
        else:
            goal = cmath.exp(z * sigma[0] / rho[1])
            key = [(abs(1 + q - goal), 0) for q in roots]
        return roots[sorted(range(len(roots)), key=key.__getitem__)]


def _polynomial(coefficients: Sequence, b: Any) -> Any:
    total = 0
    for coefficient in reversed(coefficients):
        total = total * b + coefficient
    return total


def _shifted(coefficients: Sequence) -> np.ndarray:
    """Return the coefficients of p(1 + q), lowest first."""
    shifted = np.polynomial.Polynomial([float(c) for c in coefficients])(
        np.polynomial.Polynomial([1.0, 1.0])
    ).coef
    return np.pad(shifted, (0, len(coefficients) - len(shifted)))


def recurrence_of(method: Method) -> Recurrence:
    """Return a method as a recurrence.

    Raises:
        InvalidMethod: It is neither gradient descent nor a table of a method with memory.

    >>> from modeq.methods.named import GradientDescent
    >>> recurrence_of(GradientDescent()).is_plain
    True
    """
    if isinstance(method, RungeKutta) and tuple(method.b) == (1,) and method.A == ((0,),):
        return Recurrence((-1, 1), (1,), ((1, 0),), str(method))
    if isinstance(method, LinearMultistep):
        used = [(b, row) for b, row in zip(method.beta, method.points, strict=True) if b != 0]
        beta, points = zip(*used, strict=True)
        return Recurrence(method.alpha, beta, points, str(method), method.starts_at_rest)
    raise InvalidMethod(
        f"the chains of {method} are not summed; modeq sums those of gradient descent, of momentum "
        f"and of linear multistep methods"
    )


PLAIN = Recurrence((-1, 1), (1,), ((1, 0),), "gradient descent")
