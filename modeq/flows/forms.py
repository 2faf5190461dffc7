"""The two forms of a modified field as a numeric function.

*Program*: the n + 1 steps of the method run in truncated power series whose coefficients are
recorded, which costs a small multiple of n + 1 gradients however long the expansion is, and keeps
the digits that the gradient has as the loss is written. In one variable the sum over trees is
shorter: F(τ) is the product of f⁽ᵏ⁾ over the vertices of τ, with k children each.

*Expanded*: the polynomial in its ring, by Horner's rule. Its terms may cancel, as those of
(x - 1000)⁴ do beside 1000, so it is evaluated only where it is asked for.

Arrays of the derivatives f, f', f'', … of a field at a point, as compiled functions.

Of a loss f = -∇L all indices are alike, and each derivative is found once; of a field those after
the first are.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
import sympy

from modeq.algebra.power_series import PowerSeries, Vector
from modeq.algebra.trees import RootedTree
from modeq.checks import shortened
from modeq.derivation.derive import ModifiedField, series_field
from modeq.derivation.evaluate import SeriesField
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidValue
from modeq.flows.fields import NumericField, recorded, recorded_series
from modeq.flows.tape import Node, Tape
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Field, H, Loss
from modeq.methods.multistep import LinearMultistep
from modeq.methods.tableaux import RungeKutta
from modeq.methods.universal import modified_equation

FORMS = ("expanded", "program")
MAX_EXPANDED_TERMS = 4_000
"""Polynomials with more terms are not even tried in expanded form."""

MAX_ORDER_OVER_TREES = 8
"""In one variable there are as many products as partitions; finding them means all trees."""


def numeric_field(
    modified: ModifiedField, parameters: Mapping | None = None, form: str | None = None
) -> NumericField:
    """Return a modified field as a numeric function: as a program unless "expanded" is asked for,
    or nothing can cancel in it, because each counter term is one power of the variables.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> rhs = numeric_field(derive_field(Loss("x**2/2"), 1, GradientDescent()))
    >>> rhs([[1.0], [2.0]], 0.1)
    array([[-1.05],
           [-2.1 ]])
    """
    if form not in (None, *FORMS):
        raise InvalidValue(f"form is {shortened(form)}; it must be 'expanded', 'program' or None")
    tape = Tape((*modified.variables, H), exact_values(parameters, modified.parameters))
    if form == "expanded" or (form is None and _has_single_powers(modified)):
        return NumericField(tape, _record_expanded(modified, tape), "expanded")
    return NumericField(tape, _record_program(modified, tape), "program")


def _has_single_powers(modified: ModifiedField) -> bool:
    """Tell whether no component of a counter term is a sum, and none has functions."""
    entries = [entry for vector in modified.elements for entry in vector]
    return not modified.ring.functions and all(len(entry) <= 1 for entry in entries)


def is_short(modified: ModifiedField) -> bool:
    """Tell whether the expanded form is worth a try."""
    terms = sum(len(element) for vector in modified.elements for element in vector)
    return terms <= MAX_EXPANDED_TERMS


def _record_program(modified: ModifiedField, tape: Tape) -> list[Node]:
    f = recorded_series(modified.loss, tape)
    if _is_short_over_trees(modified):
        return [_sum_over_trees(modified, f, tape)]
    powers = range(1, modified.order + 2)
    total = series_field(modified.method, f, modified.order)
    return [tape.polynomial(H, [series[j] for j in powers]) for series in total]


def _is_short_over_trees(modified: ModifiedField) -> bool:
    return (
        len(modified.variables) == 1
        and modified.order <= MAX_ORDER_OVER_TREES
        and isinstance(modified.method, RungeKutta | LinearMultistep)
    )


def _sum_over_trees(modified: ModifiedField, f: SeriesField, tape: Tape) -> Node:
    """Record f̃ = Σ b/σ h^{|τ| - 1} Π f⁽ᵏ⁾ over vertices with k children each, of all trees τ."""
    n = modified.order
    for symbol in getattr(modified.method, "symbols", ()):
        tape.convert(symbol)  # it must have a value, even where it drops out of the sum
    [along] = f(Vector([PowerSeries([*f.start()[0].first(1), Fraction(1)])]))
    slopes = [tape.node(0) + along[k] * factorial(k) for k in range(n + 1)]
    exponents: dict[tuple[int, ...], sympy.Expr] = {}
    for tree, b in modified_equation(modified.method, n).items():
        counts = _children(tree)
        key = tuple(counts[k] for k in range(n + 1))
        exponents[key] = exponents.get(key, 0) + sympy.sympify(b) / tree.symmetry
    terms = {(sum(key) - 1, *key): tape.convert(sympy.sympify(b)) for key, b in exponents.items()}
    return _horner(*_over_bases(terms, [tape.convert(H), *slopes], tape), tape)


def _over_bases(
    terms: Mapping[tuple[int, ...], Node], generators: Sequence[Node], tape: Tape
) -> tuple[dict[tuple[int, ...], Node], list[Node]]:
    """Return a polynomial in generators of which none is a number or a multiple of another."""
    split = [_number_and_base(generator, tape) for generator in generators]
    bases = list({base.index: base for _, base in split if base is not tape.node(1)}.values())
    found: dict[tuple[int, ...], Node] = {}
    for exponents, term in terms.items():
        for (number, _), e in zip(split, exponents, strict=True):
            term = tape.scale(number**e, term)
        key = tuple(
            sum(e for (_, base), e in zip(split, exponents, strict=True) if base is kept)
            for kept in bases
        )
        found[key] = found.get(key, tape.node(0)) + term
    return {key: term for key, term in found.items() if term is not tape.node(0)}, bases


def _number_and_base(node: Node, tape: Tape) -> tuple[Fraction, Node]:
    """Return (c, x) with node = c·x, where x is 1 or no multiple of a number."""
    kind, *parts = tape.operation(node)
    return (parts[0], tape.node(1)) if kind == "number" else tape.scaled(node)


def _children(tree: RootedTree) -> Counter[int]:
    """Return how many vertices of a tree have k children, for each k.

    >>> from modeq.algebra.trees import RootedTree
    >>> sorted(_children(RootedTree.from_level_sequence([1, 2, 3, 2])).items())
    [(0, 2), (1, 1), (2, 1)]
    """
    counts = Counter([len(tree.children)])
    for child in tree.children:
        counts += _children(child)
    return counts


def _record_expanded(modified: ModifiedField, tape: Tape) -> list[Node]:
    return [
        tape.polynomial(H, [horner(modified.ring, element, tape) for element in elements])
        for elements in zip(*modified.elements, strict=True)
    ]


def horner(ring: DifferentialRing, element: Element, tape: Tape) -> Node:
    """Record a polynomial by Horner's rule, taking out the commonest generator first."""
    terms = {exponents: tape.node(c) for exponents, c in ring.terms(element)}
    return _horner(terms, [tape.convert(generator) for generator in ring.generators], tape)


def _horner(terms: dict[tuple[int, ...], Node], generators: Sequence[Node], tape: Tape) -> Node:
    if not terms:
        return tape.node(0)
    counts = [sum(e > 0 for e in column) for column in zip(*terms, strict=True)]
    if not any(counts):
        return terms.popitem()[1]
    i = counts.index(max(counts))
    lowest = min(e[i] for e in terms if e[i])
    inside = {(*e[:i], e[i] - lowest, *e[i + 1 :]): c for e, c in terms.items() if e[i]}
    outside = {e: c for e, c in terms.items() if not e[i]}
    power = tape.power(generators[i], lowest)
    return power * _horner(inside, generators, tape) + _horner(outside, generators, tape)


Index = tuple[int, ...]


class DerivativeTensors:
    """The function θ ↦ [f, f', …] of arrays of shape (d,), (d, d), (d, d, d), …

    Args:
        loss: A loss or vector field.
        order: How many times f is differentiated.
        parameters: Values of its parameters.

    Points may be complex: then the derivatives are those of the analytic continuation.

    Example:
        >>> tensors = DerivativeTensors(Loss("x**3/3 + x*y"), 2)
        >>> [array.tolist() for array in tensors([1.0, 2.0])[:2]]
        [[-3.0, -1.0], [[-2.0, -1.0], [-1.0, 0.0]]]
    """

    def __init__(self, loss: Field, order: int, parameters: Mapping | None = None):
        expressions, self._places = _all_derivatives(loss, order)
        self._function = recorded(loss, expressions, parameters)

    def __call__(self, theta: Any) -> list[np.ndarray]:
        """Return the arrays at a point of shape (d,)."""
        values = self._function(theta, 0.0)
        return [values[places] for places in self._places]


def _all_derivatives(loss: Field, order: int) -> tuple[list[sympy.Expr], list[np.ndarray]]:
    """Return the different derivatives, and for each array where its entries are among them."""
    if isinstance(loss, Loss):
        levels = _levels(-loss.expression, loss.variables, order + 1)[1:]
        found = list(itertools.chain.from_iterable(level.values() for level in levels))
        place = _numbered(levels)
        shapes = range(1, order + 2)
        return found, [_places(loss.dimension, p, lambda i, p=p: place[p - 1][i]) for p in shapes]
    found, tables = [], [[] for _ in range(order + 1)]
    for component in loss.components:
        for p, level in enumerate(_levels(component, loss.variables, order)):
            place = {index: len(found) + k for k, index in enumerate(level)}
            found.extend(level.values())
            tables[p].append(_places(loss.dimension, p, place.__getitem__))
    return found, [np.array(table) for table in tables]


def _levels(
    expression: sympy.Expr, variables: Sequence[sympy.Symbol], order: int
) -> list[dict[Index, sympy.Expr]]:
    """Return {ascending indices: derivative} for no derivative, for one, for two, …"""
    levels = [{(): expression}]
    for _ in range(order):
        levels.append(
            {
                (*index, i): derivative.diff(variables[i])
                for index, derivative in levels[-1].items()
                for i in range(index[-1] if index else 0, len(variables))
            }
        )
    return levels


def _numbered(levels: Sequence[Mapping]) -> list[dict[Index, int]]:
    count = itertools.count()
    return [{index: next(count) for index in level} for level in levels]


def _places(dimension: int, rank: int, place: Any) -> np.ndarray:
    """Return the array of a symmetric tensor's entries, each by its sorted indices."""
    result = np.empty((dimension,) * rank, int)
    for index in np.ndindex(result.shape):
        result[index] = place(tuple(sorted(index)))
    return result
