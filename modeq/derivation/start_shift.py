"""Where the flow starts that an optimizer approaches from rest.

An optimizer with memory that starts at θ₀ with M = 0 is not on its slow manifold. With eigenvalues
λ₁, … of its memory update, the iterates are power series in h with coefficients

    Σ_k λᵏᵐ P_k(m),        λᵏ = λ₁^k₁ λ₂^k₂ …,    P_k polynomials in the step number m.

All that has k ≠ 0 dies out, and P₀ is the slow orbit that is left. Its value at m = 0 is where the
flow must start. Formally z_i = λ_i^m is one more constant, which a step multiplies by λ_i; order by
order, with Λ = λᵏ, E the shift and Δ the difference in m,

    (Λ E - μ) P = r:    P = Σ_s (-Λ)^s (Λ - μ)^{-s-1} Δˢ r,     μ = 1 for θ and λ_i for the memory,

and where Λ = μ a sum over the steps before, with a constant that makes the start come out (derived
here). The memory must enter the update polynomially, as in momentum methods.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from modeq.algebra.power_series import PowerSeries
from modeq.derivation.derive import EXTRA_DEPTH, RingField
from modeq.derivation.evaluate import STEP, SeriesEvaluator
from modeq.derivation.lie import VectorElement
from modeq.derivation.loss import Field, H
from modeq.derivation.modified_field import all_parameters
from modeq.derivation.optimizer_map import OptimizerMap, optimizer_map
from modeq.derivation.ring import DifferentialRing, Element
from modeq.derivation.slow_manifold import differences, value_at
from modeq.errors import InvalidMethod
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.two_steps import as_optimizer

Exponents = tuple[int, ...]

Sequence_ = dict[Exponents, list[Element]]
"""For each k the values of P_k at m = 0, 1, …."""


def start_series(loss: Field, order: int, method: Optimizer) -> tuple[DifferentialRing, list]:
    """Return a ring, and s₁, …, sₙ in it, where the flow starts at θ₀ + Σ hʲ sⱼ(θ₀).

    Raises:
        InvalidMethod: The memory does not enter the update polynomially, or forgets at once.

    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.multistep import HeavyBall
    >>> beta = sympy.Symbol("beta")
    >>> ring, [shift] = start_series(Loss("x**2/2"), 1, as_optimizer(HeavyBall(beta)))
    >>> sympy.factor(ring.to_sympy(shift[0]))
    beta*x/(beta - 1)**2
    """
    orbit = _OrbitFromRest(loss, order, method)
    return orbit.ring, [orbit.shift(j) for j in range(1, order + 1)]


def starts_at_rest(method: Method) -> bool:
    """Tell whether a method starts from one point with a memory of nothing.

    >>> from modeq.methods.named import GradientDescent, HeavyBall
    >>> starts_at_rest(HeavyBall(0.5)), starts_at_rest(GradientDescent())
    (True, False)
    """
    if isinstance(method, Optimizer):
        return bool(method.memory)
    return isinstance(method, LinearMultistep) and method.starts_at_rest


def slow_start(loss: Field, order: int, method: Method) -> sympy.ImmutableMatrix:
    """Return θ₀ + Σ hʲ sⱼ(θ₀), j <= n, where the flow starts that the iterates from rest approach.

    A method without memory starts where its flow does.

    Raises:
        InvalidMethod: There is no exact series, as for Adam.

    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> slow_start(Loss("x**2/2"), 2, HeavyBall(0.5))
    Matrix([[20*h**2*x + 2*h*x + x]])
    """
    theta = sympy.Matrix(loss.variables)
    if starts_at_rest(method):
        ring, shifts = start_series(loss, order, as_optimizer(method))
        for j, shift in enumerate(shifts, 1):
            theta += H**j * sympy.Matrix([ring.to_sympy(entry) for entry in shift])
    return sympy.ImmutableMatrix(theta)


def slowest_decay(loss: Field, method: Optimizer) -> float:
    """Return by what the memory that lasts longest is multiplied in each step, as h -> 0.

    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.multistep import HeavyBall
    >>> slowest_decay(Loss("x**2/2"), as_optimizer(HeavyBall(0.5)))
    0.5
    """
    step = optimizer_map(method, loss)
    return max(float(abs(value)) for value in _eigenvalues(step, method))


class _OrbitFromRest:
    """The orbit that starts at θ₀ with no memory, in powers of h."""

    def __init__(self, loss: Field, order: int, method: Optimizer):
        self._step = optimizer_map(method, loss)
        self._eigenvalues = _eigenvalues(self._step, method)
        self._decaying = tuple(sympy.Dummy(f"z{i}") for i in range(len(self._eigenvalues)))
        self._method = method
        at_rest = [
            fixed * (1 - self._decaying[i])
            for fixed, i in zip(self._step.fixed, self._slots(), strict=True)
        ]
        self._start = dict(zip(self._step.memory, at_rest, strict=True))
        divisors = _divisors(self._eigenvalues, order)
        self.ring = DifferentialRing(
            loss.variables,
            (*all_parameters(loss, method), *self._decaying),
            [*loss.components, *self._step.fixed, *divisors],
            depth=order + EXTRA_DEPTH,
        )
        self._f = RingField(loss, self.ring)
        self._zero = (0,) * len(self._decaying)
        self._theta = [[{self._zero: [self._convert(x)]}] for x in loss.variables]
        self._memory = [[self._split([self._convert(entry)])] for entry in at_rest]
        for j in range(1, order + 1):
            self._extend(j)

    def shift(self, j: int) -> VectorElement:
        """Return the coefficient sⱼ of hʲ of the start of the slow orbit."""
        return tuple(
            self.ring.reduce(series[j].get(self._zero, [self.ring.zero])[0])
            for series in self._theta
        )

    def _slots(self) -> list[int]:
        """Return the number of the eigenvalue of each entry of the memory."""
        return [self._eigenvalues.index(value) for value in self._step.jacobian.diagonal()]

    def _convert(self, expression: sympy.Expr) -> Element:
        try:
            return self.ring.convert(expression)
        except KeyError:
            raise InvalidMethod(
                f"the memory does not enter the update of {self._method} polynomially, so its "
                f"start from rest has no exact series; start it on the slow manifold"
            ) from None

    def _extend(self, j: int) -> None:
        """Find the coefficients of hʲ."""
        steps = self._rows(self._step.theta, range(j), j)
        for i, series in enumerate(self._theta):
            series.append(self._solved([row[i] for row in steps], j, sympy.S.One, self._zero))
        memory = self._rows(self._step.following, range(j + 1), j)
        for i, series in enumerate(self._memory):
            slot = self._slots()[i]
            own = tuple(int(n == slot) for n in range(len(self._decaying)))
            rows = [row[i] for row in memory]
            series.append(self._solved(rows, j, self._eigenvalues[slot], own))

    def _rows(self, expressions: Sequence[sympy.Expr], points: range, j: int) -> list[list]:
        """Return the coefficients of hʲ of expressions, at each of some m."""
        return [
            [self.ring.zero + evaluate(e)[j] for e in expressions]
            for evaluate in (self._evaluator(m) for m in points)
        ]

    def _evaluator(self, m: int) -> SeriesEvaluator:
        path: dict[sympy.Expr, PowerSeries] = {self._step.h: STEP}
        known = [*self._theta, *self._memory]
        for symbol, series in zip((*self._step.variables, *self._step.memory), known, strict=True):
            path[symbol] = PowerSeries([self._joined(sequence, m) for sequence in series])
        return SeriesEvaluator(path, lambda e: self._convert(self._at_start(e)))

    def _at_start(self, expression: sympy.Expr) -> sympy.Expr:
        return expression.xreplace({self._step.h: sympy.S.Zero}).xreplace(self._start)

    def _joined(self, sequence: Sequence_, m: int) -> Element:
        """Return Σ_k zᵏ P_k(m)."""
        total = self.ring.zero
        for exponents, values in sequence.items():
            term = self.ring.zero + value_at(values, m)
            for symbol, exponent in zip(self._decaying, exponents, strict=True):
                term = term * self.ring.generator(symbol) ** exponent
            total = total + term
        return self.ring.reduce(total)

    def _split(self, values: Sequence[Element]) -> Sequence_:
        """Return the values of the P_k, from those of Σ_k zᵏ P_k."""
        first = self.ring.generators.index(self._decaying[0]) if self._decaying else 0
        own = slice(first, first + len(self._decaying))
        parts: Sequence_ = {}
        for position, value in enumerate(values):
            grouped: dict[Exponents, list] = {}
            for exponents, coefficient in self.ring.terms(value):
                rest = (*exponents[: own.start], *self._zero, *exponents[own.stop :])
                grouped.setdefault(exponents[own], []).append((rest, coefficient))
            for key, terms in grouped.items():
                column = parts.setdefault(key, [self.ring.zero] * len(values))
                column[position] = self.ring.from_terms(terms)
        return parts

    def _solved(
        self, values: Sequence[Element], j: int, mu: sympy.Expr, own: Exponents
    ) -> Sequence_:
        """Solve (E - μ) Q = r for sequences, with Q = 0 at m = 0.

        Args:
            values: r at m = 0, 1, …; its parts are polynomials.
            j: The degree up to which values are kept.
            mu: The eigenvalue μ.
            own: The exponents for which λᵏ = μ.
        """
        parts = self._split(values)
        solution = {
            exponents: self._particular(column, j, exponents, mu)
            for exponents, column in parts.items()
            if exponents != own
        }
        # The own part starts from what makes the value at m = 0 zero.
        first = self.ring.zero
        for column in solution.values():
            first = first - column[0]
        solution[own] = self._summed(parts.get(own, [self.ring.zero]), j, first, mu)
        return solution

    def _summed(
        self, column: list[Element], j: int, first: Element, mu: sympy.Expr
    ) -> list[Element]:
        """Solve (μ E - μ) P = r at m = 0, …, j, by a sum over the steps before."""
        factor = self.ring.one if mu == 1 else self.ring.convert(1 / mu)
        result = [first]
        for m in range(j):
            step = self.ring.zero + value_at(column, m)
            result.append(self.ring.reduce(result[-1] + factor * step))
        return result

    def _particular(
        self, column: list[Element], j: int, exponents: Exponents, mu: sympy.Expr
    ) -> list[Element]:
        """Return Σ_s (-Λ)^s (Λ - μ)^{-s-1} Δˢ r at m = 0, …, j, or a sum if Λ = μ."""
        growth = sympy.Mul(*(v**e for v, e in zip(self._eigenvalues, exponents, strict=True)))
        if sympy.expand(growth - mu) == 0:
            return self._summed(column, j, self.ring.zero, mu)
        divided = self.ring.convert(_reciprocal(growth - mu))
        ratio = -self.ring.convert(sympy.expand(growth)) * divided
        result = [self.ring.zero] * (j + 1)
        weight = divided
        for row in differences(column):
            for m in range(j + 1):
                result[m] = result[m] + weight * (self.ring.zero + value_at(row, m))
            weight = self.ring.reduce(weight * ratio)
        return [self.ring.reduce(value) for value in result]


def _eigenvalues(step: OptimizerMap, method: Optimizer) -> tuple[sympy.Expr, ...]:
    """Return the different eigenvalues of the memory, which must stand on the diagonal."""
    if not step.jacobian.is_diagonal():
        raise InvalidMethod(f"the slots of the memory of {method} depend on each other")
    found = tuple(dict.fromkeys(step.jacobian.diagonal()))
    if any(value == 0 for value in found):
        raise InvalidMethod(f"the memory of {method} forgets at once: one step is its start")
    return found


def _reciprocal(expression: sympy.Expr) -> sympy.Expr:
    return 1 / sympy.factor(expression)


def _divisors(eigenvalues: Sequence[sympy.Expr], order: int) -> list[sympy.Expr]:
    """Return what is divided by: Λ - μ for products Λ of up to order + 1 eigenvalues."""
    products = {sympy.S.One}
    for _ in range(order + 1):
        products |= {p * value for p in products for value in eigenvalues}
    mus = (sympy.S.One, *eigenvalues)
    found = {_reciprocal(p - mu) for p in products for mu in mus if sympy.expand(p - mu) != 0}
    return sorted((*found, *(1 / value for value in eigenvalues)), key=sympy.default_sort_key)
