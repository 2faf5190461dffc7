"""Counter terms of a given loss or vector field, for a given method.

The modified field of a method, as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Self

import sympy

from modeq.algebra.logarithm import logarithm
from modeq.algebra.power_series import Coefficient, PowerSeries, Vector
from modeq.checks import check_limit, check_order, shortened
from modeq.derivation.evaluate import SeriesField
from modeq.derivation.lie import Progress, VectorElement, lie_recursion, no_progress
from modeq.derivation.optimizer_map import optimizer_map
from modeq.derivation.orbit import SlowOrbit
from modeq.derivation.ring import DifferentialRing, Element
from modeq.derivation.slow_manifold import slow_manifold
from modeq.derivation.workload import check_terms
from modeq.errors import InvalidMethod
from modeq.losses.expansion import MAX_WORDS
from modeq.losses.expressions import natural_key
from modeq.losses.loss import Field, H
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.rules import Rule
from modeq.methods.tableaux import RungeKutta


@dataclass(frozen=True, eq=False)
class ModifiedField:
    """The field f̃ = f + h f₁ + … + hⁿ fₙ that a method follows, as elements of a ring.

    Attributes:
        loss: The loss or vector field.
        method: The method.
        order: The highest power n of h.
        ring: The ring that the elements belong to.
        elements: The vectors f, f₁, …, fₙ of ring elements.
    """

    loss: Field
    method: Method
    order: int
    ring: DifferentialRing
    elements: tuple[VectorElement, ...]

    @property
    def h(self) -> sympy.Symbol:
        """The learning rate, a positive symbol."""
        return H

    @property
    def variables(self) -> tuple[sympy.Symbol, ...]:
        """The variables θ."""
        return self.loss.variables

    @property
    def parameters(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the loss and of the method that are neither variables nor h."""
        return all_parameters(self.loss, self.method)

    @cached_property
    def counter_terms(self) -> tuple[sympy.ImmutableMatrix, ...]:
        """The columns f₁, …, fₙ: the coefficients of h, h², …, hⁿ."""
        return tuple(self._column(elements) for elements in self.elements[1:])

    @cached_property
    def field(self) -> sympy.ImmutableMatrix:
        """The column f + h f₁ + … + hⁿ fₙ."""
        total = self._column(self.elements[0])
        for power, term in enumerate(self.counter_terms, 1):
            total += H**power * term
        return total

    def truncated(self, order: int) -> Self:
        """Return the field with counter terms up to a lower order only."""
        order = min(check_order(order), self.order)
        return replace(self, order=order, elements=self.elements[: order + 1])

    def __eq__(self, other) -> bool:
        return isinstance(other, ModifiedField) and all(
            getattr(self, name) == getattr(other, name)
            for name in ("loss", "method", "order", "elements")
        )

    def __hash__(self) -> int:
        return hash((self.loss, self.order))

    def __reduce__(self):
        terms = tuple(tuple(map(self.ring.terms, elements)) for elements in self.elements)
        return _restored, (type(self), self.loss, self.method, self.order, self.ring, terms)

    def _column(self, elements: VectorElement) -> sympy.ImmutableMatrix:
        return sympy.ImmutableMatrix([self.ring.to_sympy(element) for element in elements])


def _restored(
    kind: type[ModifiedField],
    loss: Field,
    method: Method,
    order: int,
    ring: DifferentialRing,
    terms: Sequence[Sequence[Any]],
) -> ModifiedField:
    """Return what was pickled or copied: ring elements are made anew from their terms."""
    elements = tuple(tuple(map(ring.from_terms, vector)) for vector in terms)
    return kind(loss, method, order, ring, elements)


def all_parameters(loss: Field, method: Method) -> tuple[sympy.Symbol, ...]:
    """Return the parameters of a loss, and then the symbols of a method in natural order.

    Raises:
        InvalidMethod: A symbol of the method has the name of a variable or of the learning rate, or
            that of a parameter without being the same symbol.

    >>> from modeq.methods.named import HeavyBall
    >>> from modeq.losses.loss import Loss
    >>> all_parameters(Loss("lam*x**2", "x"), HeavyBall(sympy.Symbol("beta")))
    (lam, beta)
    """
    new = sorted(getattr(method, "symbols", frozenset()) - {*loss.parameters}, key=natural_key)
    taken = {x.name for x in (*loss.variables, *loss.parameters, H)}
    for symbol in new:
        if symbol.name in taken:
            raise InvalidMethod(
                f"the symbol {symbol} of {method} has the name of a variable, of a parameter of "
                f"the loss with other assumptions, or of the learning rate; give it another name"
            )
    return (*loss.parameters, *new)


EXTRA_DEPTH = 4
"""Derivatives beyond the order that proofs, potentials and the next counter terms take."""


def derive_field(
    loss: Field,
    order: int,
    method: Method,
    *,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> ModifiedField:
    """Return the modified field of a loss or vector field, with counter terms up to hⁿ.

    Args:
        loss: The loss or vector field.
        order: The highest power n of h.
        method: The method.
        limit: How many terms there may be; ``modeq.derivation.workload.MAX_TERMS``, if not given.
        progress: Is called with the number of powers of h that are done, and that of all.

    Raises:
        InvalidOrder: ``order`` is not an integer at least zero.
        ExceedsLimit: There would be more terms than are allowed.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> derive_field(Loss("x**2/2"), 3, GradientDescent()).field
    Matrix([[-h**3*x/4 - h**2*x/3 - h*x/2 - x]])
    """
    order = check_order(order)
    words = MAX_WORDS if limit is None else max(check_limit(limit), MAX_WORDS)
    ring = field_ring(loss, order, method, words)
    symbols = len(getattr(method, "symbols", ()))
    check_terms(ring, leading_field(loss, method, ring), order, symbols, limit)
    by = by_lie_recursion if _recursion_is_faster(method, ring) else by_series
    return ModifiedField(loss, method, order, ring, by(loss, order, method, ring, progress))


def leading_field(loss: Field, method: Method, ring: DifferentialRing) -> VectorElement:
    """Return the field at h = 0: f, or f σ(1)/ρ'(1) for a method with memory, or what an optimizer
    makes of it.
    """
    if isinstance(method, Optimizer):
        return by_series(loss, 0, method, ring)[0]
    speed = ring.one
    if isinstance(method, LinearMultistep):
        speed = ring.convert(sympy.sympify(sum(method.beta)))
        speed = speed * ring.convert(sympy.sympify(1 / method.slope))
    return tuple(ring.reduce(speed * ring.convert(component)) for component in loss.components)


def _recursion_is_faster(method: Method, ring: DifferentialRing) -> bool:
    """Tell which of the two derivations to use; tests/benchmarks/derive.py measures both.

    The recursion multiplies expanded polynomials d² at a time, while the logarithm follows the
    structure of the field, which pays as soon as there are functions or more than two variables.
    """
    is_one_step = not isinstance(method, LinearMultistep | Optimizer)
    return is_one_step and len(ring.variables) <= 2 and not ring.functions


def field_ring(loss: Field, order: int, method: Method, limit: int = MAX_WORDS) -> DifferentialRing:
    """Return the ring that holds a field and its counter terms up to hⁿ, for a method.

    Raises:
        ExceedsLimit: The field, multiplied out, would have more terms than ``limit``.
    """
    expressions = [f for field in (loss, *loss.parts) for f in field.components]
    entries = [*getattr(method, "entries", ())]
    if isinstance(method, LinearMultistep):
        entries.append(1 / method.slope)
    if isinstance(method, Optimizer):
        expressions += [*loss.forces, *optimizer_map(method, loss).expressions]
    irrational = [sympy.sympify(e) for e in entries if not isinstance(e, Fraction)]
    return DifferentialRing(
        loss.variables,
        all_parameters(loss, method),
        [*expressions, *irrational],
        depth=order + EXTRA_DEPTH,
        limit=limit,
    )


def by_lie_recursion(
    loss: Field,
    order: int,
    method: Method,
    ring: DifferentialRing,
    progress: Progress = no_progress,
) -> tuple[VectorElement, ...]:
    """Return f, f₁, …, fₙ from one step of the method and the Lie recursion."""
    return lie_recursion(ring, step_series(loss, order, method, ring), order, progress)


def step_series(
    loss: Field, order: int, method: Method, ring: DifferentialRing
) -> list[VectorElement]:
    """Return d₁, …, d_{n+1}, where one step takes θ to θ + Σ hʲ dⱼ; with memory, one step on the
    slow manifold.
    """
    if isinstance(method, RungeKutta) and method.is_euler:
        return [tuple(ring.reduce(ring.convert(c)) for c in loss.components)]
    f = RingField(loss, ring)
    return _elements(_first_step(method, f, order), order + 2, ring)[1:]


def _first_step(method: Method, f: RingField, order: int) -> Vector:
    """Return θ₁ as power series right through h^{n+1}."""
    if isinstance(method, LinearMultistep):
        return SlowOrbit(method, f, f.tidy).point(1)
    if isinstance(method, Optimizer):
        return slow_manifold(method, f).step(order)
    return one_step(method, f, order)(f.start())


def by_series(
    loss: Field,
    order: int,
    method: Method,
    ring: DifferentialRing,
    progress: Progress = no_progress,
) -> tuple[VectorElement, ...]:
    """Return f, f₁, …, fₙ from the method run in power series."""
    total = series_field(method, RingField(loss, ring), order)
    return tuple(_elements(total, order + 2, ring, progress)[1:])


def series_field(method: Method, f: SeriesField, order: int) -> Vector:
    """Return h f̃ as power series, right through h^{n+1}: for a one-step method h f̃ = log(1 + Δ) θ₀
    from n + 1 steps, and for a method with memory from its orbit on the slow manifold.
    """
    if isinstance(method, LinearMultistep):
        return SlowOrbit(method, f, f.tidy).field()
    if isinstance(method, Optimizer):
        return slow_manifold(method, f).field(order)
    return logarithm(one_step(method, f, order), f.start(), order)


class RingField(SeriesField):
    """A field over power series of ring elements, which refuses points away from the start θ₀."""

    def __init__(self, loss: Field, ring: DifferentialRing):
        super().__init__(loss.components, loss.variables, ring.convert)
        # Ring elements know no Fractions, so what a rule makes of h alone must not be one.
        self.h = PowerSeries([0, self.number(1)])
        self.forces = loss.forces
        self.parts = tuple(RingField(part, ring) for part in loss.parts)
        self._ring = ring

    def __call__(self, theta: Vector) -> Vector:
        """Return f along a path that starts at θ₀."""
        return super().__call__(self.near_start(theta))

    def tidy(self, coefficient: Coefficient) -> Element:
        """Return a coefficient as a reduced element of the ring."""
        return self._ring.reduce(self._ring.zero + coefficient)

    def near_start(self, theta: Vector) -> Vector:
        """Return a path, if it starts at θ₀; raise InvalidMethod if not."""
        for x, series in zip(self.variables, theta, strict=True):
            if series[0] != self.constant(x):
                value = self._ring.to_sympy(self._ring.zero + series[0])
                raise InvalidMethod(
                    f"at h = 0 the update rule takes {x} to {value}; it must put into f, and "
                    f"return, theta plus multiples of h f(...)"
                )
        return theta


def one_step(method: Method, f: SeriesField, order: int) -> Callable[[Vector], Vector]:
    """Return one step of a method over power series, right through h^{n+1}, as a function of the
    point.

    Raises:
        InvalidMethod: The update rule does something else than add, scale, and call f.
    """
    rule = _series_rule(method, f, order)

    def step(theta: Vector) -> Vector:
        try:
            following = rule(theta, f, f.h)
        except (TypeError, AttributeError) as error:
            raise InvalidMethod(
                f"the update rule of {method} cannot be run over power series: {error}; it may "
                f"only add, multiply by numbers and by h, and call f"
            ) from error
        if not isinstance(following, Vector) or len(following) != len(theta):
            raise InvalidMethod(
                f"the update rule of {method} returned {shortened(following)}; it must return "
                f"the next "
                f"state, made from theta by +, multiplication by scalars, and f"
            )
        return f.near_start(following)

    return step


def _series_rule(method: Method, f: SeriesField, order: int) -> Rule:
    """Return the update rule of a method, with Fractions as they are and other numbers as
    coefficients.
    """
    table = method.tableau(order) if hasattr(method, "tableau") else method
    return table.rule_over(lambda e: e if isinstance(e, Fraction) else f.number(e))


def _elements(
    vector: Vector, count: int, ring: DifferentialRing, progress: Progress = no_progress
) -> list[VectorElement]:
    """Return the coefficients of h⁰, … as vectors of reduced ring elements."""
    elements = []
    for power, coefficients in enumerate(vector.coefficient_vectors(count)):
        elements.append(tuple(ring.reduce(ring.zero + entry) for entry in coefficients))
        progress(power, count - 1)
    return elements
