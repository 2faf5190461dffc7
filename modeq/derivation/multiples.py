"""Ring elements as polynomials in a parameter, and as multiples of one another."""

from __future__ import annotations

from fractions import Fraction

import sympy

from modeq.derivation.ring import DifferentialRing, Element
from modeq.losses.vanishing import random_points

LARGEST_DENOMINATOR = 10**6
DIGITS = 30


def by_power(ring: DifferentialRing, element: Element, symbol: sympy.Symbol) -> dict[int, Element]:
    """Return {k: the coefficient of symbol**k}, in rising powers of a parameter.

    >>> x, c = sympy.symbols("x c")
    >>> ring = DifferentialRing((x,), (c,), [x], depth=1)
    >>> parts = by_power(ring, ring.convert(x + 2 * c * x + c), c)
    >>> {k: ring.to_sympy(part) for k, part in parts.items()}
    {0: x, 1: 2*x + 1}
    """
    i = ring.generators.index(symbol)
    parts: dict[int, list] = {}
    for e, c in ring.terms(element):
        parts.setdefault(e[i], []).append(((*e[:i], 0, *e[i + 1 :]), c))
    return {power: ring.from_terms(parts[power]) for power in sorted(parts)}


def multiple(ring: DifferentialRing, element: Element, unit: Element) -> sympy.Rational | None:
    """Return the number c with element = c·unit, or None if there is none.

    Where the two are no multiples as polynomials, but may be as functions, c is read off their
    values and the difference is put to the test of ``ring.vanishes``.

    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [sympy.exp(x)], depth=1)
    >>> one, other = ring.convert(2 * x * sympy.exp(x)), ring.convert(3 * x * sympy.exp(x))
    >>> multiple(ring, one, other), multiple(ring, one, ring.convert(x))
    (2/3, None)
    """
    terms = dict(ring.terms(element))
    exponents, unit_coefficient = next(iter(ring.terms(unit)), (None, Fraction(1)))
    ratio = terms.get(exponents, Fraction(0)) / unit_coefficient
    if element != ring.constant(ratio) * unit:
        ratio = _ratio_of_values(ring, element, unit) if ring.functions else None
    return None if ratio is None else sympy.Rational(ratio.numerator, ratio.denominator)


def _ratio_of_values(ring: DifferentialRing, element: Element, unit: Element) -> Fraction | None:
    parts = [ring.to_sympy(e) for e in (element, unit)]
    for point in random_points((*ring.variables, *ring.parameters)):
        over, under = (part.subs(point).n(DIGITS) for part in parts)
        if over.is_Float and under.is_Float and under != 0:
            break
    else:
        return None
    value = Fraction(str(over / under))
    ratio = value.limit_denominator(LARGEST_DENOMINATOR)
    if abs(ratio - value) > Fraction(1, LARGEST_DENOMINATOR**3):
        return None
    return ratio if ring.vanishes(element - ring.constant(ratio) * unit) else None
