"""Where the flow starts that an optimizer approaches from rest.

An optimizer with memory that starts at θ₀ with M = 0 is not on its slow manifold. With eigenvalues
λ₁, … of its memory update, the iterates are power series in h with coefficients

    Σ_k λᵏᵐ P_k(m),        λᵏ = λ₁^k₁ λ₂^k₂ …,    P_k polynomials in the step number m.

All that has k ≠ 0 dies out, and P₀ is the slow orbit that is left. Its value at m = 0 is where the
flow must start. Formally z_i = λ_i^m is one more constant, which a step multiplies by λ_i; order by
order, with Λ = λᵏ, E the shift and Δ the difference in m,

    (Λ E - μ) P = r:    P = Σ_s (-Λ)^s (Λ - μ)^{-s-1} Δˢ r,     μ = 1 for θ and λ_i for the memory,

and where Λ = μ a sum over the steps before, with a constant that makes the start come out (derived
here). The memory must enter the update polynomially, as in momentum methods, and where its slots
depend on each other, J must be triangular. What forgets at once (λ = 0) settles after some steps,
one more for each power of h; these are made one by one, and m counts from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import sympy

from modeq.algebra.power_series import PowerSeries
from modeq.derivation.derive import EXTRA_DEPTH, all_parameters
from modeq.derivation.evaluate import STEP, SeriesEvaluator
from modeq.derivation.lie import VectorElement
from modeq.derivation.optimizer_map import OptimizerMap, optimizer_map
from modeq.derivation.ring import DifferentialRing, Element
from modeq.derivation.slow_manifold import differences, value_at
from modeq.errors import InvalidLoss, InvalidMethod
from modeq.losses.loss import Field, H
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.two_steps import as_optimizer

_Exponents = tuple[int, ...]

Sequence_ = dict[_Exponents, list[Element]]
"""For each k the values of P_k at m = 0, 1, …."""


def start_series(loss: Field, order: int, method: Optimizer) -> tuple[DifferentialRing, list]:
    """Return a ring, and s₁, …, sₙ in it, where the flow starts at θ₀ + Σ hʲ sⱼ(θ₀).

    Raises:
        InvalidMethod: The memory does not enter the update polynomially.

    >>> from modeq.losses.loss import Loss
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

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> slow_start(Loss("x**2/2"), 2, HeavyBall(0.5))
    Matrix([[20*h**2*x + 2*h*x + x]])
    """
    theta = sympy.Matrix(loss.variables)
    if order > 0 and starts_at_rest(method):
        ring, shifts = start_series(loss, order, as_optimizer(method))
        for j, shift in enumerate(shifts, 1):
            theta += H**j * sympy.Matrix([ring.to_sympy(entry) for entry in shift])
    return sympy.ImmutableMatrix(theta)


def slowest_decay(loss: Field, method: Optimizer) -> float:
    """Return by what the memory that lasts longest is multiplied in each step, as h -> 0.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.multistep import HeavyBall
    >>> slowest_decay(Loss("x**2/2"), as_optimizer(HeavyBall(0.5)))
    0.5
    """
    step = optimizer_map(method, loss)
    return max((float(abs(value)) for value in _eigenvalues(step)), default=0.0)


class _OrbitFromRest:
    """The orbit that starts at θ₀ with no memory, in powers of h."""

    def __init__(self, loss: Field, order: int, method: Optimizer):
        self._step, self._method = optimizer_map(method, loss), method
        self._eigenvalues = _eigenvalues(self._step)
        self._decaying = tuple(sympy.Dummy(f"z{i}") for i in range(len(self._eigenvalues)))
        self._levels, chain = _levels(self._step, method)
        self._before = chain * (order + 1)
        moments = self._first_moments()
        self.ring = DifferentialRing(
            loss.variables,
            (*all_parameters(loss, method), *self._decaying),
            [
                *loss.components,
                *loss.forces,
                *self._step.fixed,
                *(entry for moment in moments for entry in moment.values()),
                *_divisors(self._eigenvalues, order),
            ],
            depth=order + EXTRA_DEPTH,
        )
        self._zero = (0,) * len(self._decaying)
        self._first = self._first_steps(moments, order)
        self._start: dict[sympy.Symbol, sympy.Expr] = {}
        self._theta = [[{self._zero: [self._convert(x)]}] for x in loss.variables]
        self._memory: list[list[Sequence_]] = [[] for _ in self._step.memory]
        for level in self._levels:
            self._begin(level)
        for j in range(1, order + 1):
            self._extend(j)

    def _first_moments(self) -> list[dict[sympy.Symbol, sympy.Expr]]:
        """Return the memory at h = 0 after 0, 1, … steps, until what forgets at once is settled."""
        moments = [dict.fromkeys(self._step.memory, sympy.S.Zero)]
        for _ in range(self._before):
            known = {self._step.h: sympy.S.Zero, **moments[-1]}
            rest = (entry.xreplace(known) for entry in self._step.following)
            moments.append(dict(zip(self._step.memory, rest, strict=True)))
        return moments

    def _first_steps(self, moments: Sequence[dict], order: int) -> list[list[Element]]:
        """Return the state after the first steps, each entry as its coefficients of h⁰, h¹, …."""
        symbols = (*self._step.variables, *self._step.memory)
        state = [[self._convert(x)] for x in self._step.variables]
        state += [[self._convert(moments[0][x])] for x in self._step.memory]
        for moment in moments[:-1]:
            path = {x: PowerSeries(known) for x, known in zip(symbols, state, strict=True)}
            known = {self._step.h: sympy.S.Zero, **moment}
            evaluate = SeriesEvaluator(
                {**path, self._step.h: STEP},
                lambda e, known=known: self._convert(e.xreplace(known)),
            )
            following = (*self._step.theta, *self._step.following)
            state = [
                [self.ring.reduce(self.ring.zero + c) for c in evaluate(e).first(order + 1)]
                for e in following
            ]
        return [[*known, *[self.ring.zero] * (order + 1 - len(known))] for known in state]

    def _begin(self, level: Sequence[int]) -> None:
        """Find the coefficients of h⁰ of some of the memory, from those before."""
        symbols = [self._step.memory[i] for i in level]
        known = {self._step.h: sympy.S.Zero, **dict.fromkeys(symbols, sympy.S.Zero), **self._start}
        for i in level:
            row = self._convert(self._step.following[i].xreplace(known))
            mu, own = self._own(i)
            if any(self._resonates(e, mu) for e in self._split([row])):
                raise InvalidMethod(
                    f"slots of the memory of {self._method} that decay alike depend on each "
                    f"other; give shift=False"
                )
            self._memory[i].append(self._solved([row], 0, mu, own, self._initial(i, 0)))
        for i in level:
            value = self._joined(self._memory[i][0], 0)
            self._start[self._step.memory[i]] = self.ring.to_sympy(value)

    def _initial(self, i: int, j: int) -> Element:
        return self._first[len(self._step.variables) + i][j]

    def _own(self, i: int) -> tuple[sympy.Expr, _Exponents | None]:
        """Return the eigenvalue of an entry of the memory, and the exponents of its own decay."""
        mu = self._step.jacobian[i, i]
        if mu == 0:
            return mu, None
        slot = self._eigenvalues.index(mu)
        return mu, tuple(int(n == slot) for n in range(len(self._decaying)))

    def shift(self, j: int) -> VectorElement:
        """Return the coefficient sⱼ of hʲ of the start of the slow orbit."""
        return tuple(
            self.ring.reduce(
                self.ring.zero
                + _value_before(series[j].get(self._zero, [self.ring.zero]), self._before)
            )
            for series in self._theta
        )

    def _convert(self, expression: sympy.Expr) -> Element:
        try:
            if not expression.has(sympy.zoo, sympy.nan):
                return self.ring.convert(expression)
        except InvalidLoss:
            pass
        raise InvalidMethod(
            f"the memory does not enter the update of {self._method} polynomially, so its "
            f"start from rest has no exact series; give shift=False, and the flow starts at the "
            f"point itself, as on the slow manifold"
        )

    def _extend(self, j: int) -> None:
        """Find the coefficients of hʲ."""
        degree = self._degree(j)
        steps = self._rows(self._step.theta, range(degree), j)
        for i, series in enumerate(self._theta):
            column = [row[i] for row in steps]
            series.append(self._solved(column, degree, sympy.S.One, self._zero, self._first[i][j]))
        for level in self._levels:
            memory = self._rows([self._step.following[i] for i in level], range(degree + 1), j)
            for i, column in zip(level, zip(*memory, strict=True), strict=True):
                self._memory[i].append(
                    self._solved([*column], degree, *self._own(i), self._initial(i, j))
                )

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
            grouped: dict[_Exponents, list] = {}
            for exponents, coefficient in self.ring.terms(value):
                rest = (*exponents[: own.start], *self._zero, *exponents[own.stop :])
                grouped.setdefault(exponents[own], []).append((rest, coefficient))
            for key, terms in grouped.items():
                column = parts.setdefault(key, [self.ring.zero] * len(values))
                column[position] = self.ring.from_terms(terms)
        return parts

    def _solved(
        self,
        values: Sequence[Element],
        j: int,
        mu: sympy.Expr,
        own: _Exponents | None,
        first: Element,
    ) -> Sequence_:
        """Solve (E - μ) Q = r for sequences.

        Args:
            values: r at m = 0, 1, …; its parts are polynomials.
            j: The degree in m up to which values are kept.
            mu: The eigenvalue μ.
            own: The exponents for which λᵏ = μ; None where μ = 0, and so Q is known from r alone.
            first: Q at m = 0.
        """
        parts = self._split(values)
        solution = {
            exponents: self._particular(column, j, exponents, mu)
            for exponents, column in parts.items()
            if exponents != own
        }
        if own is None:
            return solution
        # The own part starts from what makes the value at m = 0 right.
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
        self, column: list[Element], j: int, exponents: _Exponents, mu: sympy.Expr
    ) -> list[Element]:
        """Return Σ_s (-Λ)^s (Λ - μ)^{-s-1} Δˢ r at m = 0, …, j, or a sum if Λ = μ."""
        growth = self._growth(exponents)
        if self._resonates(exponents, mu):
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

    def _degree(self, j: int) -> int:
        """Return a bound on the degrees in m of the coefficients of hʲ: j, and with slots that feed
        others of the same decay one more for each of them at each power of h.
        """
        levels = len(self._levels)
        return j if levels < 2 else (levels + 1) * j

    def _growth(self, exponents: _Exponents) -> sympy.Expr:
        return sympy.Mul(*(v**e for v, e in zip(self._eigenvalues, exponents, strict=True)))

    def _resonates(self, exponents: _Exponents, mu: sympy.Expr) -> bool:
        return sympy.expand(self._growth(exponents) - mu) == 0


def _value_before(values: Sequence[Element], steps: int) -> Element:
    """Return the value at m = -steps of the polynomial with these values at 0, 1, ….

    >>> _value_before([0, 1, 4], 3)
    9
    """
    if not steps:
        return values[0]
    rows = enumerate(differences(values))
    return sum((-1) ** k * comb(steps + k - 1, k) * row[0] for k, row in rows)


def _eigenvalues(step: OptimizerMap) -> tuple[sympy.Expr, ...]:
    """Return the different eigenvalues of the memory other than 0, where J is triangular."""
    return tuple(dict.fromkeys(value for value in step.jacobian.diagonal() if value != 0))


def _levels(step: OptimizerMap, method: Optimizer) -> tuple[list[list[int]], int]:
    """Return the indices of the memory in groups that need only those before, and how many entries
    that forget at once stand behind one another at most.
    """
    everything = range(len(step.memory))
    needs = {i: {j for j in everything if j != i and step.jacobian[i, j] != 0} for i in everything}
    levels: list[list[int]] = []
    chains: dict[int, int] = {}
    while len(chains) < len(step.memory):
        level = [i for i in everything if i not in chains and needs[i] <= chains.keys()]
        if not level:
            raise InvalidMethod(
                f"the slots of the memory of {method} depend on each other in a circle, so its "
                f"start from rest has no exact series; give shift=False"
            )
        for i in level:
            own = int(step.jacobian[i, i] == 0)
            chains[i] = own + max((chains[j] for j in needs[i] if j in chains), default=0)
        levels.append(level)
    return levels, max(chains.values(), default=0)


def _reciprocal(expression: sympy.Expr) -> sympy.Expr:
    return 1 / sympy.factor(expression)


def _divisors(eigenvalues: Sequence[sympy.Expr], order: int) -> list[sympy.Expr]:
    """Return what is divided by: Λ - μ for products Λ of up to order + 1 eigenvalues."""
    products = {sympy.S.One}
    for _ in range(order + 1):
        products |= {p * value for p in products for value in eigenvalues}
    mus = (sympy.S.One, sympy.S.Zero, *eigenvalues)
    found = {_reciprocal(p - mu) for p in products for mu in mus if sympy.expand(p - mu) != 0}
    return sorted((*found, *(1 / value for value in eigenvalues)), key=sympy.default_sort_key)
