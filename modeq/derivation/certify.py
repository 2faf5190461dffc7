"""An exact proof that a modified field belongs to its method, without solving any equation.

The flow of the full field f̃ passes through the iterates, so it commutes with the step φ:

    f̃(φ(θ)) = φ'(θ) f̃(θ).

With f̃ cut at hⁿ the two sides differ from h^{n+2} on. Both are expanded in h, with ring elements as
coefficients, and the difference must vanish identically up to and including h^{n+1}. That leaves
the speed along the flow open (c·f̃ commutes as well), so it is also proved that the flow for time h
reaches φ(θ), up to and including h^{n+1}: Σ hⁱ/i! (D_f̃)^{i-1} f̃ = φ(θ) - θ.

A method with memory has no step φ of θ alone. There it is proved that points θ(0), θ(h), …, θ(kh)
on a solution of θ' = f̃(θ) satisfy the equation Σ αⱼ θ(jh) = h Σ β_l f(Σ c_{lj} θ(jh)) of the
method, up to and including h^{n+1}, which leaves nothing open.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import factorial
from typing import Any

import sympy

from modeq.checks import check_limit
from modeq.derivation.derive import ModifiedField, RingField, step_series
from modeq.derivation.evaluate import SeriesEvaluator
from modeq.derivation.lie import VectorElement, jacobian_rows, lie_powers, linear_combination
from modeq.derivation.optimizer_map import optimizer_map
from modeq.derivation.ring import DifferentialRing, Element
from modeq.derivation.slow_manifold import slow_manifold
from modeq.errors import ExceedsLimit
from modeq.losses.vanishing import Decisions
from modeq.methods.multistep import LinearMultistep
from modeq.methods.optimizer import Optimizer
from modeq.show.document import Block, Finding, code_lines
from modeq.show.shown import Shown

MAX_PRODUCTS = 20_000_000
"""Products of terms that one multiplication of a proof may have, if no other limit is given."""

Product = Callable[[Element, Element], Element]


@dataclass(frozen=True)
class Certificate(Shown):
    """What ``certify`` proved.

    Attributes:
        order: The order n of the field.
        commutes_through: The highest power of h through which f̃(φ(θ)) = φ'(θ) f̃(θ), or -1.
        reaches_through: The highest power of h through which the flow for time h is the step.
        satisfies_through: The highest power of h through which points at t = 0, h, …, kh on the
            flow satisfy the equation of a method with memory. Such a method has this in place of
            the first two, which are None.
        proved: Whether exact algebra alone shows that it holds. Where it holds and is not proved,
            functions are related in a way that the ring does not know, and that the identities hold
            was checked at random points to 60 digits.
    """

    order: int
    commutes_through: int | None = None
    reaches_through: int | None = None
    satisfies_through: int | None = None
    proved: bool = False

    @property
    def holds(self) -> bool:
        """Whether the identities hold up to and including h^{n+1}."""
        return all(power == self.order + 1 for _, power in self._findings())

    @property
    def verdict(self) -> str:
        """What was found, and in what sense."""
        if not self.holds:
            return "REFUTED"
        return "proved by exact algebra" if self.proved else "checked at random points, not proved"

    def _findings(self) -> list[tuple[str, int]]:
        findings = [
            ("the field commutes with the step", self.commutes_through),
            ("the flow for time h is the step", self.reaches_through),
            ("the flow satisfies the method's equation", self.satisfies_through),
        ]
        return [(sentence, power) for sentence, power in findings if power is not None]

    def show(self) -> list[Block]:
        """Return the verdict, and what it rests on."""
        first, *rest = str(self).splitlines()
        return [Finding(self.holds, first.rstrip(":")), *code_lines(rest)]

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        lines = [f"{self.verdict}, through h^{self.order + 1}:"]
        findings = self._findings()
        width = max(len(sentence) for sentence, _ in findings)
        lines += [f"  {sentence:{width}}   through h^{power}" for sentence, power in findings]
        return "\n".join(lines)


def certify(modified: ModifiedField, limit: int | None = None) -> Certificate:
    """Prove or refute that a field is the modified field of its method, up to its order.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent, as_method
    >>> print(certify(derive_field(Loss("x**2*y + exp(y)"), 2, GradientDescent())))
    proved by exact algebra, through h^3:
      the field commutes with the step   through h^3
      the flow for time h is the step    through h^3
    >>> print(certify(derive_field(Loss("x**2*y + exp(y)"), 2, as_method("leapfrog"))))
    proved by exact algebra, through h^3:
      the flow satisfies the method's equation   through h^3
    """
    decide = Decisions(modified.ring.vanishing)
    product = partial(_product, MAX_PRODUCTS if limit is None else check_limit(limit))
    found = Certificate(modified.order, **_powers(modified, decide, product))
    return replace(found, proved=found.holds and decide.proved)


def _powers(modified: ModifiedField, decide: Decisions, product: Product) -> dict[str, int]:
    """Return through which powers of h the identities hold."""
    if isinstance(modified.method, LinearMultistep):
        return {"satisfies_through": _satisfies_through(modified, decide, product)}
    if isinstance(modified.method, Optimizer):
        return {"satisfies_through": _stays_through(modified, decide, product)}
    step = _padded(modified)
    return {
        "commutes_through": _commutes_through(modified, step, decide, product),
        "reaches_through": _reaches_through(modified, step, decide),
    }


def _padded(modified: ModifiedField) -> list[VectorElement]:
    """Return d₀ = 0, d₁, …, d_{n+1} of the step θ + Σ hʲ dⱼ."""
    zero = (modified.ring.zero,) * len(modified.variables)
    step = step_series(modified.loss, modified.order, modified.method, modified.ring)
    return [zero, *step, *[zero] * (modified.order + 1 - len(step))]


def _commutes_through(
    modified: ModifiedField, step: list[VectorElement], decide: Decisions, product: Product
) -> int:
    """Return the highest power of h, at most n + 1, through which f̃∘φ = φ' f̃."""
    ring, fields = modified.ring, modified.elements
    composed = [[AlongStep(ring, entry, step, product) for entry in field] for field in fields]
    slopes = [jacobian_rows(ring, d) for d in step]
    for m in range(modified.order + 2):
        powers = range(min(m, modified.order) + 1)
        for c in range(len(ring.variables)):
            left = sum((composed[j][c].coefficient(m - j) for j in powers), ring.zero)
            right = sum(
                (
                    product(s, e)
                    for j in powers
                    for s, e in zip(slopes[m - j][c], fields[j], strict=True)
                ),
                fields[m][c] if m <= modified.order else ring.zero,
            )
            if not decide(left - right):
                return m - 1
    return modified.order + 1


def _reaches_through(modified: ModifiedField, step: list[VectorElement], decide: Decisions) -> int:
    """Return the highest power of h, at most n + 1, through which the flow is the step."""
    ring = modified.ring
    powers = lie_powers(ring, modified.elements)
    for j in range(modified.order + 1):
        terms = [(Fraction(1, factorial(i)), powers(i, j + 1 - i)) for i in range(1, j + 2)]
        for c in range(len(ring.variables)):
            total = sum((ring.constant(w) * vector[c] for w, vector in terms), ring.zero)
            if not decide(total - step[j + 1][c]):
                return j
    return modified.order + 1


def _satisfies_through(modified: ModifiedField, decide: Decisions, product: Product) -> int:
    """Return the highest power of h, at most n + 1, through which the flow solves the method."""
    ring, method = modified.ring, modified.method
    alpha = [_number(ring, entry) for entry in method.alpha]
    orbit = [_flow_series(modified, j) for j in range(method.steps + 1)]
    slopes = []
    for weight, row in zip(method.beta, method.points, strict=True):
        point = [
            linear_combination(ring, [_number(ring, c) for c in row], column)
            for column in zip(*orbit, strict=True)
        ]
        along = [AlongStep(ring, ring.convert(c), point, product) for c in modified.loss.components]
        slopes.append((_number(ring, weight), along))
    for m in range(1, modified.order + 2):
        left = linear_combination(ring, alpha, [series[m] for series in orbit])
        for c in range(len(ring.variables)):
            right = sum((w * along[c].coefficient(m - 1) for w, along in slopes), ring.zero)
            if not decide(left[c] - right):
                return m - 1
    return modified.order + 1


def _stays_through(modified: ModifiedField, decide: Decisions, product: Product) -> int:
    """Return the highest power of h, at most n + 1, through which the flow, with the memory M(θ) of
    the slow manifold, solves θ⁺ = θ + h U(θ, M) and M(θ⁺) = N(θ, M), the latter to one power less.
    """
    ring, method, loss = modified.ring, modified.method, modified.loss
    step = optimizer_map(method, loss)
    f = RingField(loss, ring)
    memory = slow_manifold(method, f).memory(modified.order)
    path = dict(zip(step.memory, memory, strict=True)) | {step.h: f.h}
    path |= dict(zip(step.variables, f.start(), strict=True))
    evaluate = SeriesEvaluator(path, lambda e: f.constant(step.at_rest(e)))
    flow = _flow_series(modified, 1)
    carried = [
        [AlongStep(ring, ring.zero + entry[j], flow, product) for j in range(modified.order + 1)]
        for entry in memory
    ]
    for m in range(1, modified.order + 2):
        defects = [evaluate(e)[m] - d for e, d in zip(step.theta, flow[m], strict=True)]
        for entry, along in zip(step.following, carried, strict=True):
            arrived = (along[j].coefficient(m - 1 - j) for j in range(m))
            defects.append(evaluate(entry)[m - 1] - sum(arrived, ring.zero))
        if not all(decide(ring.zero + defect) for defect in defects):
            return m - 1
    return modified.order + 1


def _flow_series(modified: ModifiedField, j: int) -> list[VectorElement]:
    """Return the coefficients of h⁰, …, h^{n+1} of θ(jh) - θ: Σ jⁱ/i! Aᵢ(m-i) at hᵐ."""
    ring = modified.ring
    powers = lie_powers(ring, modified.elements)
    series = [(ring.zero,) * len(ring.variables)]
    for m in range(1, modified.order + 2):
        weights = [ring.constant(Fraction(j**i, factorial(i))) for i in range(1, m + 1)]
        series.append(
            linear_combination(ring, weights, [powers(i, m - i) for i in range(1, m + 1)])
        )
    return series


def _product(limit: int | float, left: Element, right: Element) -> Element:
    """Return a product, if it has at most so many products of terms.

    Raises:
        ExceedsLimit: It is one of too many terms.
    """
    count = len(left) * len(right)
    if count > limit:
        raise ExceedsLimit("the proof takes a product of about", count, "terms", limit)
    return left * right


def _number(ring: DifferentialRing, entry: Any) -> Element:
    return ring.convert(sympy.sympify(entry))


class AlongStep:
    """The Taylor coefficients in h of p(θ + Σ hᵏ dₖ) for a ring element p.

    From d/dh p(φ) = Σᵢ ∂ᵢp(φ) φᵢ', the coefficients of p follow from those of its derivatives:
    m [p∘φ]_m = Σᵢ Σ_k k d_{k,i} [∂ᵢp∘φ]_{m-k}.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [x], depth=2)
    >>> along = AlongStep(ring, ring.convert(x**2), [(ring.zero,), (ring.one,)])
    >>> [ring.to_sympy(along.coefficient(m)) for m in range(4)]
    [x**2, 2*x, 1, 0]
    """

    def __init__(
        self,
        ring: DifferentialRing,
        element: Element,
        step: list[VectorElement],
        product: Product = operator.mul,
    ):
        self._ring = ring
        self._product = product
        self._step = step
        self._derivatives: dict[tuple[int, ...], Element] = {(): element}
        self._coefficients: dict[tuple, Element] = {}

    def coefficient(self, m: int, index: tuple[int, ...] = ()) -> Element:
        """Return the coefficient of hᵐ, of the partial derivative ``index`` of the element."""
        if m == 0 or self._derivative(index) == 0:
            return self._derivative(index)
        if (m, index) not in self._coefficients:
            total = self._ring.zero
            for k in range(1, min(m, len(self._step) - 1) + 1):
                for i, entry in enumerate(self._step[k]):
                    if entry != 0:
                        inner = self.coefficient(m - k, tuple(sorted((*index, i))))
                        total = total + k * self._product(entry, inner)
            self._coefficients[m, index] = self._ring.reduce(total / m)
        return self._coefficients[m, index]

    def _derivative(self, index: tuple[int, ...]) -> Element:
        if index not in self._derivatives:
            self._derivatives[index] = self._ring.derivative(
                self._derivative(index[:-1]), index[-1]
            )
        return self._derivatives[index]
