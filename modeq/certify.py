"""An exact proof that a modified field belongs to its method, without solving any equation.

The flow of the full field f̃ passes through the iterates, so it commutes with the step φ:

    f̃(φ(θ)) = φ'(θ) f̃(θ).

With f̃ cut at hⁿ the two sides differ from h^{n+2} on. Both are expanded in h, with ring elements as
coefficients, and the difference must vanish identically up to and including h^{n+1}. That leaves
the speed along the flow open (c·f̃ commutes as well), so it is also proved that the flow for time h
reaches φ(θ), up to and including h^{n+1}: Σ hⁱ/i! (D_f̃)^{i-1} f̃ = φ(θ) - θ.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial

from modeq.derive import ModifiedField, step_series
from modeq.lie import VectorElement, jacobian_rows, lie_powers
from modeq.ring import DifferentialRing, Element


@dataclass(frozen=True)
class Certificate:
    """What ``certify`` proved.

    Attributes:
        order: The order n of the field.
        commutes_through: The highest power of h through which f̃(φ(θ)) = φ'(θ) f̃(θ), or -1.
        reaches_through: The highest power of h through which the flow for time h is the step.
    """

    order: int
    commutes_through: int
    reaches_through: int

    @property
    def holds(self) -> bool:
        """Whether both identities hold up to and including h^{n+1}."""
        return min(self.commutes_through, self.reaches_through) == self.order + 1

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        verdict = "proved" if self.holds else "REFUTED"
        return (
            f"{verdict} by exact algebra, through h^{self.order + 1}:\n"
            f"  the field commutes with the step   through h^{self.commutes_through}\n"
            f"  the flow for time h is the step    through h^{self.reaches_through}"
        )


def certify(modified: ModifiedField) -> Certificate:
    """Prove or refute that a field is the modified field of its method, up to its order.

    >>> from modeq.derive import derive_field
    >>> from modeq.loss import Loss
    >>> from modeq.methods import GradientDescent
    >>> print(certify(derive_field(Loss("x**2*y + exp(y)"), 2, GradientDescent())))
    proved by exact algebra, through h^3:
      the field commutes with the step   through h^3
      the flow for time h is the step    through h^3
    """
    step = _padded(modified)
    return Certificate(
        modified.order, _commutes_through(modified, step), _reaches_through(modified, step)
    )


def _padded(modified: ModifiedField) -> list[VectorElement]:
    """Return d₀ = 0, d₁, …, d_{n+1} of the step θ + Σ hʲ dⱼ."""
    zero = (modified.ring.zero,) * len(modified.variables)
    step = step_series(modified.loss, modified.order, modified.method, modified.ring)
    return [zero, *step, *[zero] * (modified.order + 1 - len(step))]


def _commutes_through(modified: ModifiedField, step: list[VectorElement]) -> int:
    """Return the highest power of h, at most n + 1, through which f̃∘φ = φ' f̃."""
    ring, fields = modified.ring, modified.elements
    composed = [[AlongStep(ring, entry, step) for entry in field] for field in fields]
    slopes = [jacobian_rows(ring, d) for d in step]
    for m in range(modified.order + 2):
        powers = range(min(m, modified.order) + 1)
        for c in range(len(ring.variables)):
            left = sum((composed[j][c].coefficient(m - j) for j in powers), ring.zero)
            right = sum(
                (s * e for j in powers for s, e in zip(slopes[m - j][c], fields[j], strict=True)),
                fields[m][c] if m <= modified.order else ring.zero,
            )
            if not ring.vanishes(left - right):
                return m - 1
    return modified.order + 1


def _reaches_through(modified: ModifiedField, step: list[VectorElement]) -> int:
    """Return the highest power of h, at most n + 1, through which the flow is the step."""
    ring = modified.ring
    powers = lie_powers(ring, modified.elements)
    for j in range(modified.order + 1):
        terms = [(Fraction(1, factorial(i)), powers(i, j + 1 - i)) for i in range(1, j + 2)]
        for c in range(len(ring.variables)):
            total = sum((ring.constant(w) * vector[c] for w, vector in terms), ring.zero)
            if not ring.vanishes(total - step[j + 1][c]):
                return j
    return modified.order + 1


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

    def __init__(self, ring: DifferentialRing, element: Element, step: list[VectorElement]):
        self._ring = ring
        self._step = step
        self._derivatives: dict[tuple[int, ...], Element] = {(): element}
        self._coefficients: dict[tuple, Element] = {}

    def coefficient(self, m: int, index: tuple[int, ...] = ()) -> Element:
        """Return the coefficient of hᵐ, of the partial derivative ``index`` of the element."""
        if m == 0:
            return self._derivative(index)
        if (m, index) not in self._coefficients:
            total = self._ring.zero
            for k in range(1, min(m, len(self._step) - 1) + 1):
                for i, entry in enumerate(self._step[k]):
                    if entry != 0:
                        inner = self.coefficient(m - k, tuple(sorted((*index, i))))
                        total = total + k * entry * inner
            self._coefficients[m, index] = self._ring.reduce(total / m)
        return self._coefficients[m, index]

    def _derivative(self, index: tuple[int, ...]) -> Element:
        if index not in self._derivatives:
            self._derivatives[index] = self._ring.derivative(
                self._derivative(index[:-1]), index[-1]
            )
        return self._derivatives[index]
