"""The Lie-derivative recursion: from the step of a method to the field that it follows.

With D_v φ = φ'·v, f̃ = Σ hʲ fⱼ and Aᵢ(j) the coefficient of hʲ in (D_f̃)^{i-1} f̃, the flow for time
h takes θ to θ + Σᵢ hⁱ/i! (D_f̃)^{i-1} f̃. Where the method takes it to θ + Σ hʲ dⱼ,

    Aᵢ(j) = Σ_{k=0}^{j} D_{f_k} A_{i-1}(j-k),        fⱼ = d_{j+1} - Σ_{i=2}^{j+1} Aᵢ(j+1-i)/i!

(Hairer, Lubich, Wanner, Geometric Numerical Integration, IX.1; for gradient descent, Miyagawa
2022, whose counter terms are ξ_α = -f_{α+1}).
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from math import factorial

from modeq.derivation.ring import DifferentialRing, Element

VectorElement = tuple[Element, ...]

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Tell nobody how much is done."""


def lie_recursion(
    ring: DifferentialRing,
    step: Sequence[VectorElement],
    order: int,
    progress: Progress = no_progress,
) -> tuple[VectorElement, ...]:
    """Return f₀, …, fₙ for n = ``order``, given ``step`` = (d₁, …, d_{n+1}).

    Missing entries of ``step`` at the end count as zero. ``progress`` is called with the number of
    fields that are done, and that of all.

    >>> import sympy
    >>> y = sympy.Symbol("y")
    >>> ring = DifferentialRing((y,), (), [y], depth=3)
    >>> [ring.to_sympy(f[0]) for f in lie_recursion(ring, [(ring.convert(y**2),)], 3)]
    [y**2, -y**3, 3*y**4/2, -8*y**5/3]
    """
    zero = (ring.zero,) * len(ring.variables)
    fields: list[VectorElement] = []
    powers = lie_powers(ring, fields)
    for j in range(order + 1):
        total = step[j] if j < len(step) else zero
        for i in range(2, j + 2):
            weight = ring.constant(Fraction(-1, factorial(i)))
            correction = powers(i, j + 1 - i)
            total = tuple(t + weight * c for t, c in zip(total, correction, strict=True))
        fields.append(total)
        progress(j + 1, order + 1)
    return tuple(fields)


def lie_powers(
    ring: DifferentialRing, fields: Sequence[VectorElement]
) -> Callable[[int, int], VectorElement]:
    """Return the function (i, j) -> Aᵢ(j), each computed once; ``fields`` may still grow."""

    @cache
    def jacobian(i: int, j: int) -> list[VectorElement]:
        return jacobian_rows(ring, powers(i, j))

    @cache
    def powers(i: int, j: int) -> VectorElement:
        if i == 1:
            return fields[j]
        pairs = [(jacobian(i - 1, j - k), fields[k]) for k in range(j + 1)]
        return _sum_of_products(ring, pairs)

    return powers


def jacobian_rows(ring: DifferentialRing, vector: VectorElement) -> list[VectorElement]:
    """Return the matrix of partial derivatives of a vector, one row for each component."""
    indices = range(len(ring.variables))
    return [tuple(ring.derivative(component, i) for i in indices) for component in vector]


def linear_combination(
    ring: DifferentialRing, weights: Sequence[Element], vectors: Sequence[VectorElement]
) -> VectorElement:
    """Return Σ wᵢ vᵢ.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [x], depth=1)
    >>> linear_combination(ring, [ring.constant(2), ring.constant(3)], [(ring.one,), (ring.one,)])
    (5,)
    """
    return tuple(
        ring.reduce(sum((w * e for w, e in zip(weights, column, strict=True)), ring.zero))
        for column in zip(*vectors, strict=True)
    )


def along(ring: DifferentialRing, f: VectorElement, u: VectorElement) -> VectorElement:
    """Return f'u.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [x], depth=1)
    >>> along(ring, (ring.convert(x**2),), (ring.constant(3),))
    (6*g0,)
    """
    return _sum_of_products(ring, [(jacobian_rows(ring, f), u)])


def _sum_of_products(ring: DifferentialRing, pairs: list) -> VectorElement:
    """Return Σ J v over pairs (J, v) of a matrix and a vector."""
    return tuple(
        ring.reduce(
            sum(
                (
                    slope * entry
                    for rows, vector in pairs
                    for slope, entry in zip(rows[c], vector, strict=True)
                    if slope != 0 and entry != 0
                ),
                ring.zero,
            )
        )
        for c in range(len(ring.variables))
    )
