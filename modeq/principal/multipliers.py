"""Methods as recurrences, and what they multiply by in an eigendirection.

    Σ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_lj θ_{m+j})

In an eigendirection of the Jacobian with eigenvalue ν the solutions are the powers μᵐ of the roots
of the characteristic equation ρ(μ) = hν σ(μ). Gradient descent has the one root 1 + hν.

By what a step of a method multiplies all that it carries, where the field is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import dropwhile
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from modeq.algebra.entries import symbols_of
from modeq.errors import DidNotConverge, InvalidMethod, MissingParameter
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method, as_method
from modeq.methods.optimizer import Optimizer, State, memory_slots
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

    def multipliers(self, hnu: np.ndarray, is_complex_point: bool = False) -> np.ndarray:
        """Return all roots of ρ(1 + q) = hν σ(1 + q) in q, the one that is followed first.

        Of momentum it is the root of the largest modulus, of two such that in the upper half
        plane; otherwise the one next to exp(hν/ρ'(1) σ(1)). Along a complex trajectory two roots
        of momentum that have the same modulus at real points have not quite: there the followed
        one is continued from the real points, so that it does not jump from one to the other.

        Args:
            hnu: hν for each eigendirection, of shape (d,).
            is_complex_point: Whether the Jacobian is that at a complex point.

        Returns:
            An array of shape (d, k).
        """
        if self.is_plain:
            return hnu[:, None]
        rho, sigma = self._shifted_parts
        roots = _roots(rho - hnu[:, None] * sigma)
        if self.has_momentum:
            order = _by_modulus(1 + roots, is_complex_point)
        else:
            goal = np.exp(hnu * sigma[0] / rho[1])
            order = np.argsort(np.abs(1 + roots - goal[:, None]), axis=1, kind="stable")
        return np.take_along_axis(roots, order, axis=1)

    @cached_property
    def branch_points(self) -> np.ndarray:
        """Where in the plane of hν a multiplier vanishes or two of them meet."""
        rho, sigma = map(np.polynomial.Polynomial, self._shifted_parts)
        meet = (rho.deriv() * sigma - rho * sigma.deriv()).roots()
        places = np.append(meet, -1.0).astype(complex)
        with np.errstate(all="ignore"):
            found = rho(places) / sigma(places)
        return found[np.isfinite(found)]

    @cached_property
    def _shifted_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients of ρ(1 + q) and of σ(1 + q), lowest first."""
        rows = zip(self.beta, self.points, strict=True)
        return _shifted(self.alpha), sum(float(beta) * _shifted(row) for beta, row in rows)


def _roots(polynomials: np.ndarray) -> np.ndarray:
    """Return the roots of polynomials in the rows of an array, lowest coefficients first."""
    degree = polynomials.shape[1] - 1
    last = polynomials[:, -1:]
    size = np.max(np.abs(polynomials), axis=1, keepdims=True)
    # A root that has gone to infinity is only very far away here.
    last = np.where(last == 0, np.finfo(float).eps * size, last)
    companions = np.zeros((len(polynomials), degree, degree), polynomials.dtype)
    companions[:, np.arange(1, degree), np.arange(degree - 1)] = 1
    companions[:, :, -1] = -polynomials[:, :-1] / last
    roots = np.linalg.eigvals(companions)
    columns = polynomials.T[:, :, None]
    derivatives = polyder(columns)
    for _ in range(3):  # Newton, so that the root next to 0 has all its digits
        slope = polyval(roots, derivatives, tensor=False)
        is_simple = np.abs(slope) > 1e-6
        change = polyval(roots, columns, tensor=False) / np.where(is_simple, slope, 1)
        roots = roots - np.where(is_simple, change, 0)
    return roots


def _by_modulus(mu: np.ndarray, is_complex_point: bool) -> np.ndarray:
    """Return the order of the multipliers in each row, that which momentum follows first."""
    order = np.lexsort((-mu.imag, -np.round(np.abs(mu), 12)), axis=1)
    if is_complex_point and mu.shape[1] > 1:
        first, second = np.take_along_axis(mu, order[:, :2], axis=1).T
        side = np.where((first + second).real < 0, -1, 1)
        difference = second - first
        swapped = side * difference.real + difference.imag > 0
        order[swapped, :2] = order[swapped, 1::-1]
    return order


def _polynomial(coefficients: Sequence, b: Any) -> Any:
    """Return Σ cⱼ bʲ, without the highest powers if their coefficients are 0."""
    first, *rest = dropwhile(lambda c: c == 0, reversed(coefficients))
    for coefficient in rest:
        first = first * b + coefficient
    return first


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


def multipliers_of(method: Any) -> Callable[[float, float], np.ndarray]:
    """Return the function (h, λ) -> what a step multiplies by on f(x) = -λx, with all its memory.

    Raises:
        InvalidMethod: The step is not linear in f, or the method needs a field in parts.

    >>> multipliers_of("rk4")(0.5, 2.0).round(6)  # 1 - 1 + 1/2 - 1/6 + 1/24
    array([0.375])
    """
    method = as_method(method)
    if symbols := symbols_of(getattr(method, "entries", ())):
        name = min(map(str, symbols))
        raise MissingParameter(
            f"the parameter {name} has no value; give parameters={{'{name}': …}}"
        )
    size = _size(method)

    def multipliers(h: float, lam: float) -> np.ndarray:
        step = _step(method, h, lam)
        columns = np.array([step(list(unit)) for unit in np.eye(size)]).T
        if columns.dtype.kind not in "fc" or not np.all(np.isfinite(columns)):
            raise InvalidMethod(f"a step of {method} with h = {h:.6g} gives no finite numbers")
        probe = np.array([0.7 + 0.1 * j for j in range(size)])
        if not np.allclose(columns @ probe, step(list(probe)), rtol=1e-9, atol=1e-9):
            raise InvalidMethod(
                f"a step of {method} is not linear where f is, so that directions do not separate"
            )
        return np.linalg.eigvals(columns)

    multipliers(0.1, 1.0)
    return multipliers


def _size(method: Method) -> int:
    """Return how many numbers a method carries from step to step in one dimension."""
    if isinstance(method, LinearMultistep):
        return method.steps
    return 1 + len(method.memory) if isinstance(method, Optimizer) else 1


def _step(method: Method, h: float, lam: float) -> Callable[[list[float]], list[float]]:
    """Return one step in one dimension, from all that the method carries to the same later."""
    f = _LinearField(lam)
    if isinstance(method, LinearMultistep):
        recurrence = method.recurrence_over(float)
        return lambda state: [*state[1:], recurrence(state, f, h)]
    if isinstance(method, Optimizer):
        return lambda state: _optimizer_step(method, state, h, lam)
    if not hasattr(method, "rule_over"):
        raise InvalidMethod(
            f"{method} treats parts of a field differently, and a loss has one part"
        )
    rule = method.rule_over(float)
    return lambda state: [rule(state[0], f, h)]


def _optimizer_step(method: Optimizer, state: list[float], h: float, lam: float) -> list[float]:
    slots = dict(zip(("theta", *method.memory), state, strict=True))
    try:
        following = method.step(State(**slots), lambda theta: lam * theta, h, float)
        return [float(value) for value in memory_slots(following, method.memory)]
    except (TypeError, AttributeError, ValueError, ArithmeticError):
        raise InvalidMethod(f"a step of {method} cannot be taken in one dimension") from None


class _LinearField:
    """The field -λx, which solves implicit stages by linear algebra."""

    parts = ()

    def __init__(self, lam: float):
        self._lam = lam

    def __call__(self, x: float) -> float:
        return -self._lam * x

    def fixed_point(self, sweep: Callable[[tuple], tuple], start: tuple) -> tuple:
        """Return the stages that a sweep, which is affine, does not change."""
        size = len(start)
        constant = np.array(sweep((0.0,) * size), dtype=float)
        images = np.array([sweep(tuple(unit)) for unit in np.eye(size)], dtype=float).T
        matrix = np.eye(size) - (images - constant[:, None])
        try:
            return tuple(np.linalg.solve(matrix, constant))
        except np.linalg.LinAlgError:
            raise DidNotConverge("the implicit stages have no solution at this h") from None
