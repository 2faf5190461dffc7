"""How many terms the counter terms of a loss have, told before they are derived.

The exponents in fⱼ are sums of j + 1 of those in f and its derivatives: they lie in a polytope that
grows linearly with j, so with k generators the number of terms grows about like (j + s)ᵏ (Ehrhart).
The first two or three counter terms of gradient descent are quick to derive; a straight line
through the k-th roots of their numbers of terms goes on from there. Other methods have the same
products of derivatives, with other coefficients. The estimate is right within a factor of about two
for the orders that anybody waits for; it is no bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from modeq.checks import check_limit
from modeq.derivation.lie import VectorElement, lie_recursion
from modeq.derivation.ring import DifferentialRing
from modeq.errors import ExceedsLimit

MAX_TERMS = 1_000_000
"""How many terms a derivation may have, if no other limit is given."""

PROBED = 2
"""Up to which order counter terms are derived to know how many there will be."""


def check_terms(
    ring: DifferentialRing, field: VectorElement, order: int, symbols: int, limit: int | None
) -> int:
    """Return about how many terms a modified field has, and refuse one that has too many.

    Args:
        ring: The ring of the field.
        field: The field at h = 0.
        order: The highest power of h.
        symbols: How many symbols the method has.
        limit: How many terms there may be; ``MAX_TERMS``, if not given.

    Raises:
        ExceedsLimit: There are more, or more vectors A_i(j) than that, which deriving holds.
    """
    limit = MAX_TERMS if limit is None else check_limit(limit)
    held = (order + 1) * (order + 2) // 2
    if held > limit:
        raise ExceedsLimit(f"order={order} means at least", held, "terms", limit)
    powers = [(j + 1) ** symbols for j in range(order + 1)]
    count = sum(p * m for p, m in zip(powers, most_terms(ring, field, order), strict=True))
    if count > limit:
        found = estimated_terms(ring, field, order, limit)
        count = min(count, sum(p * m for p, m in zip(powers, found, strict=True)))
    if count > limit:
        raise ExceedsLimit(f"order={order} means about", count, "terms", limit)
    return count


def most_terms(ring: DifferentialRing, field: VectorElement, order: int) -> list[int]:
    """Return a bound on the numbers of terms of f, f₁, …, fₙ: all monomials of their degrees.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> ring = DifferentialRing((x, y), (), [x * y], depth=1)
    >>> most_terms(ring, (ring.convert(x * y), ring.convert(y)), 2)
    [12, 20, 30]
    """
    degree = max((element.total_degree() for element in field), default=0)
    growth = max(0, degree + ring.slope_degree - 1)
    k = len(ring.generators)
    return [len(field) * comb(degree + j * growth + k, k) for j in range(order + 1)]


def estimated_terms(
    ring: DifferentialRing, field: VectorElement, order: int, limit: int
) -> list[int]:
    """Return about how many terms f, f₁, …, fₙ have; deriving stops where they would be too many.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> loss = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    >>> ring = DifferentialRing((x, y), (), [loss], depth=9)
    >>> field = tuple(ring.convert(sympy.expand(-loss.diff(z))) for z in (x, y))
    >>> estimated_terms(ring, field, 5, 10**6)  # 89 in truth
    [6, 14, 27, 44, 66, 91]
    """
    counts = [_count(field)]
    while len(counts) <= min(order, PROBED):
        most = _products(ring, lie_recursion(ring, [field], len(counts) - 1)[-1], field)
        if most > limit or len(counts) == order:
            counts.append(most)
            break
        counts.append(_count(lie_recursion(ring, [field], len(counts))[-1]))
    return _continued(counts, order, len(ring.generators))


def _count(field: VectorElement) -> int:
    return sum(map(len, field))


def _products(ring: DifferentialRing, last: VectorElement, field: VectorElement) -> int:
    """Return how many products of terms D_f of a vector has."""
    slopes = ((ring.derivative(e, j), f) for e in last for j, f in enumerate(field))
    return sum(len(slope) * len(f) for slope, f in slopes)


def _continued(counts: Sequence[int], order: int, k: int) -> list[int]:
    """Return the counts and those that follow if their k-th roots go on in a straight line.

    >>> _continued([1, 4], 4, 2)
    [1, 4, 9, 16, 25]
    """
    roots = [count ** (1 / k) for count in counts]
    slope = max(0.0, roots[-1] - roots[-2]) if len(roots) > 1 else 0.0
    more = range(1, order + 2 - len(counts))
    return [*counts[: order + 1], *(round((roots[-1] + i * slope) ** k) for i in more)]
