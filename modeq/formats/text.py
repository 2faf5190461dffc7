"""Modified fields as plain text that a person can paste back.

Long counter terms are cut after ``max_terms`` monomials per component and power of h, the simplest
ones first, and what is left out is counted in the output. Nothing here expands a whole field.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

import sympy
from flint import fmpq

from modeq.checks import check_count
from modeq.derivation.derive import ModifiedField
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import visible
from modeq.losses.loss import H, Loss
from modeq.show.lines import in_lines, signed, unsigned_start

MAX_TERMS = 40
"""Monomials that are printed of each component and power of h."""

WIDTH = 100


class Terms(NamedTuple):
    """The monomials of one component that belong to one power of h.

    Attributes:
        power: The power of h.
        shown: The monomials to print, without the power of h.
        omitted: How many more there are.
    """

    power: int
    shown: list[sympy.Expr]
    omitted: int


def leading_terms(ring: DifferentialRing, element: Element, count: int) -> list[sympy.Expr]:
    """Return the first monomials of an element: low degree first, then x before y.

    >>> x, y = sympy.symbols("x y")
    >>> ring = DifferentialRing((x, y), (), [x * y], depth=0)
    >>> leading_terms(ring, ring.convert(x * y + 2 * y - x + 3), 3)
    [3, -x, 2*y]
    """
    monomials, coefficients = element.monoms(), element.coeffs()
    # They come with the highest degree first, so only those at the end are looked at.
    degree = sum(monomials[-count:][0])
    start = bisect_left(monomials, -degree, key=lambda exponents: -sum(exponents))
    rows = zip(monomials[start:], coefficients[start:], strict=True)
    tail = [(tuple(map(int, exponents)), c) for exponents, c in rows]
    tail.sort(key=lambda row: (sum(row[0]), [-e for e in row[0]]))
    return [_monomial(ring, exponents, c) for exponents, c in tail[:count]]


def _monomial(ring: DifferentialRing, exponents: tuple[int, ...], c: fmpq) -> sympy.Expr:
    factors = (g**e for g, e in zip(ring.generators, exponents, strict=True) if e)
    return sympy.Mul(sympy.Rational(int(c.p), int(c.q)), *factors)


def grouped_terms(modified: ModifiedField, component: int, max_terms: int) -> list[Terms]:
    """Return the monomials of one component, grouped by powers of h, without empty groups."""
    max_terms = check_count("max_terms", max_terms)
    groups = []
    for power, elements in enumerate(modified.elements):
        element = elements[component]
        if len(element):
            groups.append(_group(modified.ring, element, power, max_terms))
    return groups


def _group(ring: DifferentialRing, element: Element, power: int, max_terms: int) -> Terms:
    if ring.has_fractions:
        terms = ring.collected_terms(element)
        return Terms(power, terms[:max_terms], max(0, len(terms) - max_terms))
    shown = leading_terms(ring, element, max_terms)
    return Terms(power, shown, len(element) - len(shown))


def signed_pieces(
    group: Terms, show: Callable[[sympy.Expr], str], opening: str, closing: str, rest: str
) -> list[str]:
    """Return a group as pieces with signs; more than one monomial stand in parentheses.

    Args:
        group: The monomials.
        show: Prints one of them.
        opening: What to put before the monomials of a power of h.
        closing: What to put after them.
        rest: What to say about monomials left out.
    """
    alone = len(group.shown) == 1 and not group.omitted
    if alone or group.power == 0:
        factor = H**group.power
        return [signed(show(factor * term)) for term in group.shown] + [rest] * bool(rest)
    pieces = [signed(show(term)) for term in group.shown] + [rest] * bool(rest)
    pieces[0] = f"+ {opening}{unsigned_start(pieces[0])}"
    pieces[-1] += closing
    return pieces


def rest_in_words(omitted: int) -> str:
    """Return the announcement of monomials left out, or nothing.

    >>> rest_in_words(11875)
    '... and 11,875 more terms'
    """
    return f"... and {omitted:,} more term{'s' * (omitted > 1)}" if omitted else ""


def text(modified: ModifiedField, *, max_terms: int = MAX_TERMS) -> str:
    """Return a modified field as plain text, one block for each variable.

    Args:
        modified: The field.
        max_terms: How many monomials of each component and power of h are printed, at least 1.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> print(text(derive_field(Loss("x**4/4 + lam*x**2/2", "x"), 1, GradientDescent())))
    modified equation of gradient descent, counter terms up to h
    L(x) = lam*x**2/2 + x**4/4, parameters lam
    <BLANKLINE>
    x' = -lam*x - x**3
       + h*(-lam**2*x/2 - 2*lam*x**3 - 3*x**5/2)
    """
    blocks = [_block(modified, i, max_terms) for i in range(len(modified.variables))]
    return "\n\n".join(["\n".join(_header(modified)), *blocks])


def _header(modified: ModifiedField) -> Iterator[str]:
    method, loss = visible(str(modified.method)), modified.loss
    yield f"modified equation of {method}, {_powers_in_words(modified.order)}"
    arguments = ", ".join(x.name for x in loss.variables)
    if isinstance(loss, Loss):
        formula = f"L({arguments}) = {loss.expression}"
    else:
        columns = (", ".join(map(str, part.components)) for part in loss.parts or (loss,))
        formula = f"f({arguments}) = {' + '.join(f'({column})' for column in columns)}"
    if loss.parameters:
        formula += f", parameters {', '.join(x.name for x in loss.parameters)}"
    yield textwrap.fill(
        visible(formula), WIDTH, subsequent_indent="    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _powers_in_words(order: int) -> str:
    """Return in words which powers of h a field contains."""
    if order == 0:
        return "without counter terms"
    return f"counter terms up to {H**order}"


def _block(modified: ModifiedField, component: int, max_terms: int) -> str:
    """Return the right-hand side of one variable, each power of h on lines of its own."""
    label = f"{visible(modified.variables[component].name)}' = "
    indent = len(label) - 2
    lines = []
    for group in grouped_terms(modified, component, max_terms):
        rest = rest_in_words(group.omitted)
        opening = f"{H**group.power}*("
        pieces = signed_pieces(group, _show, opening, ")", f"+ {rest}" if rest else "")
        first, *others = in_lines(pieces, WIDTH - indent - 4)
        lines += [" " * indent + first, *(" " * (indent + 4) + line for line in others)]
    if not lines:
        return label + "0"
    lines[0] = label + unsigned_start(lines[0].lstrip())
    return "\n".join(lines)


def _show(term: sympy.Expr) -> str:
    return visible(str(term))
