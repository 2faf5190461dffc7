"""Modified fields as JSON with exact rationals, and back.

What is read is hostile until checked: no part of it is evaluated, every value is checked for type
and size, the loss is read by modeq's own grammar, and f₀ must be the field of that loss. Whatever
is wrong, the reader says so by one exception, InvalidData, which names the key.

The ring is not written but built again from the loss, so exponents mean the same on both sides
only if the generators do, and their texts are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from modeq.checks import shortened
from modeq.derivation.derive import ModifiedField, field_ring, leading_field
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidData, InvalidLoss, InvalidMethod, ModeqError, ParseError
from modeq.formats.formula import (
    fault,
    formula,
    is_transcendental,
    monomial_bound,
    written_names,
)
from modeq.formats.json_methods import method_data, read_method, read_symbols, symbol_data
from modeq.formats.json_values import items, keys, load, rational, short, whole
from modeq.losses.loss import Field, Loss, VectorField
from modeq.losses.parse import parse_expression
from modeq.methods.named import Method

_FORMAT = "modeq modified equation"
VERSION = 1

MARGIN = 8
"""How much larger exponents may be than those of Euler's method; see ``_largest_degree``."""

MAX_ORDER = 1_000
MAX_WORK = 300_000
"""What deriving the ring from the loss may take; see ``_refuse_laborious``."""

_KEYS = ("format", "version", "kind", "expressions", "variables", "parameters", "method", "order")
_KEYS += ("generators", "terms")
_KINDS: dict[str, type[Field]] = {"loss": Loss, "field": VectorField}


def to_json(modified: ModifiedField) -> str:
    """Return a modified field as JSON, with every coefficient exact.

    The entry ``terms`` holds for f, f₁, …, fₙ and each component the list of its monomials
    [exponents of the generators..., "numerator/denominator"].

    Raises:
        InvalidData: The method is an update rule without a table, the field is in parts, or the
            loss contains something that modeq's grammar does not read.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> modified = derive_field(Loss("x**2/2"), 1, GradientDescent())
    >>> json.loads(to_json(modified))["terms"]
    [[[[1, '-1']]], [[[1, '-1/2']]]]
    """
    loss = modified.loss
    if loss.parts:
        raise InvalidData(
            "a field in parts cannot be written: the format holds fields in one piece"
        )
    names = written_names((*loss.variables, *modified.parameters))
    data = {
        "format": _FORMAT,
        "version": VERSION,
        "kind": "loss" if isinstance(loss, Loss) else "field",
        "expressions": [_expression_text(e, names) for e in loss.expressions],
        "variables": [symbol_data(x, names) for x in loss.variables],
        "parameters": [symbol_data(x, names) for x in loss.parameters],
        "method": method_data(modified, names),
        "order": modified.order,
        "generators": [formula(g, names) for g in modified.ring.generators],
        "terms": [[_terms_data(e, modified.ring) for e in f] for f in modified.elements],
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _expression_text(expression: sympy.Expr, names: dict) -> str:
    reason = fault(expression, names)
    if reason is not None:
        raise InvalidData(f"{short(expression)} cannot be written: {reason[:200]}")
    return formula(expression, names)


def _terms_data(element: Element, ring: DifferentialRing) -> list[list]:
    return [[*exponents, str(c)] for exponents, c in ring.terms(element)]


def from_json(text: str, build: Callable[..., ModifiedField] = ModifiedField) -> ModifiedField:
    """Return the modified field that was written as JSON; nothing is derived again.

    Args:
        text: What ``to_json`` returned. It may come from anyone.
        build: Makes the result from loss, method, order, ring and elements.

    Raises:
        InvalidData: The text is not such a JSON text, or contradicts itself.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> modified = derive_field(Loss("x**2/2"), 1, GradientDescent())
    >>> from_json(to_json(modified)).field
    Matrix([[-h*x/2 - x]])
    """
    data = keys(load(text), "the text", _KEYS)
    if data["format"] != _FORMAT or data["version"] != VERSION or data["version"] is True:
        raise InvalidData(
            f"format and version are {short(data['format'])} and {short(data['version'])}; "
            f"this modeq reads {shortened(_FORMAT)}, version {VERSION}"
        )
    loss, names = _read_loss(data)
    method, names = read_method(data["method"], names)
    order = whole(data["order"], "order", MAX_ORDER)
    vectors = items(data["terms"], "terms", length=order + 1)
    ring = _read_ring(loss, order, method, data["generators"], names)
    degree = _largest_degree(loss, ring)
    elements = tuple(
        _read_vector(vector, f"terms[{j}]", loss, ring, (j + 1) * degree)
        for j, vector in enumerate(vectors)
    )
    _refuse_contradiction(elements[0], loss, method, ring)
    return build(loss, method, order, ring, elements)


def _read_loss(data: dict) -> tuple[Field, dict[sympy.Symbol, str]]:
    """Return the loss, and what its symbols are called in formulas."""
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidData(f"kind is {short(kind)}; it must be 'loss' or 'field'")
    variables = read_symbols(data["variables"], "variables")
    parameters = read_symbols(data["parameters"], "parameters")
    names = {**variables, **parameters}
    symbols = {written: x for x, written in names.items()}
    if len(symbols) != len(variables) + len(parameters):
        raise InvalidData("variables and parameters: a name is given to two symbols")
    length = 1 if kind == "loss" else len(variables)
    texts = items(data["expressions"], "expressions", length=length)
    expressions = [
        _read_expression(text, f"expressions[{i}]", symbols) for i, text in enumerate(texts)
    ]
    _refuse_laborious(expressions, tuple(variables))
    loss = _make_loss(_KINDS[kind], expressions, tuple(variables))
    if loss.parameters != tuple(parameters):
        raise InvalidData("parameters are not the symbols of the expressions in natural order")
    return loss, names


def _make_loss(kind: type[Field], expressions: list, variables: tuple) -> Field:
    try:
        loss = Loss(*expressions, variables) if kind is Loss else kind(expressions, variables)
        for component in loss.components:
            if component.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I):
                raise InvalidLoss("a derivative is not finite and real")
    except ModeqError as error:
        raise InvalidData(f"expressions: {error}") from None
    return loss


def _read_expression(text: Any, where: str, symbols: dict[str, sympy.Symbol]) -> sympy.Expr:
    if not isinstance(text, str):
        raise InvalidData(f"{where} is {short(text)}; it must be a text")
    try:
        return parse_expression(text, symbols)
    except ParseError as error:
        raise InvalidData(f"{where}: {error.reason} (column {error.position + 1})") from None


def _refuse_laborious(expressions: Sequence[sympy.Expr], variables: Sequence) -> None:
    """Refuse a loss whose ring would take long to build: such a file was not made by deriving.

    What takes time is to differentiate every node (a product in as many terms as it has factors),
    to reduce the derivative of each function by the relations of every other, and to expand.
    """
    nodes = [node for e in expressions for node in sympy.preorder_traversal(e)]
    functions = {node for node in nodes if is_transcendental(node)}
    slopes = sum(len(node.args) ** 2 if node.is_Mul else 1 for node in nodes)
    expanded = [*expressions, *(argument for node in functions for argument in node.args)]
    monomials = sum(monomial_bound(expression, MAX_WORK) for expression in expanded)
    if max(len(variables) * (slopes + 3 * len(functions) ** 2), monomials) >= MAX_WORK:
        raise InvalidData("expressions: the loss is too large to be read from a file")


def _read_ring(
    loss: Field, order: int, method: Method, generators: Any, names: dict
) -> DifferentialRing:
    try:
        ring = field_ring(loss, order, method)
    except InvalidMethod as error:
        raise InvalidData(f"method: {error}") from None
    except ModeqError as error:
        raise InvalidData(f"expressions: {error}") from None
    if generators != [formula(g, names) for g in ring.generators]:
        raise InvalidData(
            "generators are not those that this version of modeq makes from the loss; "
            "derive the equation again"
        )
    return ring


def _largest_degree(loss: Field, ring: DifferentialRing) -> int:
    """Return what no exponent in fⱼ exceeds, over j + 1.

    A power of h multiplies by the field and by a derivative; methods with memory do so with roots
    and quotients of the field, which the margin is for.
    """
    degree = max(int(ring.convert(c).total_degree()) for c in loss.components)
    return MARGIN * (degree + ring.slope_degree + 2)


def _read_vector(data: Any, where: str, loss: Field, ring: DifferentialRing, largest: int) -> tuple:
    components = items(data, where, length=loss.dimension)
    return tuple(
        _read_element(component, f"{where}[{i}]", ring, largest)
        for i, component in enumerate(components)
    )


def _read_element(data: Any, where: str, ring: DifferentialRing, largest: int) -> Element:
    length = len(ring.generators) + 1
    terms = [_read_term(term, where, length, largest) for term in items(data, where)]
    element = ring.from_terms(terms)
    if len(element) != len(terms):
        raise InvalidData(f"{where} has a monomial twice, or one with the coefficient 0")
    return element


def _read_term(
    data: Any, where: str, length: int, largest: int
) -> tuple[tuple[int, ...], Fraction]:
    *exponents, coefficient = items(data, f"a monomial of {where}", length=length)
    where = f"an exponent in {where}"
    return (
        tuple(whole(exponent, where, largest) for exponent in exponents),
        rational(coefficient, f"a coefficient in {where.removeprefix('an exponent in ')}"),
    )


def _refuse_contradiction(f0: tuple, loss: Field, method: Method, ring: DifferentialRing) -> None:
    if f0 != leading_field(loss, method, ring):
        raise InvalidData("terms[0] is not the field of the loss in expressions")
