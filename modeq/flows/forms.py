"""The two forms of a modified field as a numeric function.

*Expanded*: the polynomial in its ring, by Horner's rule. *Program*: the n + 1 steps of the method
run in truncated power series whose coefficients are recorded, which costs a small multiple of n + 1
gradients however long the expansion is. Both are recorded on a tape; the cheaper one is compiled.
They agree to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

from modeq.derivation.derive import ModifiedField, series_field
from modeq.derivation.expressions import exact_values
from modeq.derivation.loss import H
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidValue
from modeq.flows.numeric import NumericField, gradient_field
from modeq.flows.series_fields import series_over
from modeq.flows.tape import Node, Tape
from modeq.flows.values import with_values

FORMS = ("expanded", "program")
MAX_EXPANDED_TERMS = 4_000
"""Polynomials with more terms are not even tried in expanded form."""


def numeric_field(
    modified: ModifiedField, parameters: Mapping | None = None, form: str | None = None
) -> NumericField:
    """Return a modified field as a numeric function, in the cheaper form unless one is named.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> rhs = numeric_field(derive_field(Loss("x**2/2"), 1, GradientDescent()))
    >>> rhs([[1.0], [2.0]], 0.1)
    array([[-1.05],
           [-2.1 ]])
    """
    if form not in (None, *FORMS):
        raise InvalidValue(f"form is {form!r}; it must be 'expanded', 'program' or None")
    tape = Tape((*modified.variables, H), exact_values(parameters or {}, modified.parameters))
    if form == "program" or (form is None and not is_short(modified)):
        return _program_form(modified, tape)
    expanded = NumericField(tape, _record_expanded(modified, tape), "expanded")
    if form == "expanded" or expanded.cost <= _least_program_cost(modified, parameters):
        return expanded
    return min(expanded, _program_form(modified, tape), key=lambda candidate: candidate.cost)


def _least_program_cost(modified: ModifiedField, parameters: Mapping | None) -> int:
    """Return a bound below the cost of the program form, which is slow to record at high order:
    each of n steps does every operation of the gradient at least once for half its n + 1 powers.
    """
    n = modified.order
    own, _ = with_values(modified.loss, modified.method, parameters)
    return gradient_field(modified.loss, own).cost * (1 + n * (n + 1) // 2)


def is_short(modified: ModifiedField) -> bool:
    """Tell whether the expanded form is worth a try."""
    terms = sum(len(element) for vector in modified.elements for element in vector)
    return terms <= MAX_EXPANDED_TERMS


def _program_form(modified: ModifiedField, tape: Tape) -> NumericField:
    return NumericField(tape, _record_program(modified, tape), "program")


def _record_program(modified: ModifiedField, tape: Tape) -> list[Node]:
    f = series_over(modified.loss, tape.convert)
    powers = range(1, modified.order + 2)
    total = series_field(modified.method, f, modified.order)
    return [tape.polynomial(H, [series[j] for j in powers]) for series in total]


def _record_expanded(modified: ModifiedField, tape: Tape) -> list[Node]:
    return [
        tape.polynomial(H, [horner(modified.ring, element, tape) for element in elements])
        for elements in zip(*modified.elements, strict=True)
    ]


def horner(ring: DifferentialRing, element: Element, tape: Tape) -> Node:
    """Record a polynomial by Horner's rule, taking out the commonest generator first."""
    terms = {exponents: tape.node(c) for exponents, c in ring.terms(element)}
    return _horner(terms, ring.generators, tape)


def _horner(terms: dict[tuple[int, ...], Node], generators: tuple, tape: Tape) -> Node:
    if not terms:
        return tape.node(0)
    counts = [sum(e > 0 for e in column) for column in zip(*terms, strict=True)]
    if not any(counts):
        return terms.popitem()[1]
    i = counts.index(max(counts))
    lowest = min(e[i] for e in terms if e[i])
    inside = {(*e[:i], e[i] - lowest, *e[i + 1 :]): c for e, c in terms.items() if e[i]}
    outside = {e: c for e, c in terms.items() if not e[i]}
    power = tape.power(tape.convert(generators[i]), lowest)
    return power * _horner(inside, generators, tape) + _horner(outside, generators, tape)
