"""Modified fields as fast numeric functions.

A field has two forms. *Expanded*: the polynomial in its ring, by Horner's rule. *Program*: the
n + 1 steps of the method run in truncated power series whose coefficients are recorded, which costs
a small multiple of n + 1 gradients however long the expansion is. Both are recorded on a tape; the
cheaper one is compiled. They agree to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from sympy.printing.codeprinter import PrintMethodNotImplementedError

from modeq.derivation.derive import ModifiedField, series_field
from modeq.derivation.evaluate import SeriesField
from modeq.derivation.expressions import exact_values
from modeq.derivation.loss import Field, H
from modeq.derivation.optimizer_map import optimizer_map
from modeq.derivation.ring import DifferentialRing, Element
from modeq.derivation.slow_manifold import slow_manifold
from modeq.errors import InvalidPoint, InvalidStep, InvalidValue
from modeq.flows.program import Node, Tape
from modeq.flows.values import with_values
from modeq.methods.optimizer import Optimizer
from modeq.shown import Shown

FORMS = ("expanded", "program")
MAX_EXPANDED_TERMS = 4_000
"""Polynomials with more terms are not even tried in expanded form."""

BLOCK = 2_048
"""Points that are worked on at a time, so that intermediate arrays stay in the cache."""


class NumericField(Shown):
    """A function ``rhs(theta, h)`` of points and the learning rate.

    Args:
        tape: A tape whose inputs are the variables and h.
        outputs: The nodes of the components.
        form: How the program was found.

    ``rhs(theta, h)`` takes an array of shape (..., d) and returns one of shape (..., number of
    outputs), for a field the same shape; h is a number, or an array that broadcasts against the
    leading axes. Where the field is undefined (the logarithm of a negative number, say) the result
    is nan.
    """

    def __init__(self, tape: Tape, outputs: list[Node], form: str):
        self.form = form
        self.dimension = len(tape.inputs) - 1
        self.cost = tape.cost(outputs)
        self._tape = tape
        self._outputs = outputs

    @cached_property
    def _arrays(self) -> Callable:
        namespace = {"numpy": np}
        source = self._tape.source(self._outputs, "numpy")
        if "scipy" in source:
            import scipy.special

            namespace["scipy"] = scipy
        return self._tape.compile(self._outputs, "numpy", namespace)

    @cached_property
    def _floats(self) -> Callable | None:
        try:
            return self._tape.compile(self._outputs, "math", {"math": math})
        except PrintMethodNotImplementedError:
            return None

    def source(self, dialect: str = "numpy") -> str:
        """Return the source of the program; see ``Tape.source``."""
        return self._tape.source(self._outputs, dialect)

    def compile(self, dialect: str, namespace: Mapping) -> Callable:
        """Return the function of x0, …, h that returns a tuple; see ``Tape.compile``."""
        return self._tape.compile(self._outputs, dialect, namespace)

    def __call__(self, theta: Any, h: Any) -> np.ndarray:
        """Return the outputs at points; see the class."""
        theta, h = as_points(theta, self.dimension), _as_rates(h)
        if theta.ndim == 1 and isinstance(h, float) and theta.dtype == np.float64:
            return self._at_point(theta, h)
        if isinstance(h, np.ndarray):
            shape = np.broadcast_shapes(theta.shape[:-1], h.shape)
            theta = np.broadcast_to(theta, (*shape, self.dimension))
            h = np.broadcast_to(h, shape).reshape(-1)
        columns = np.ascontiguousarray(theta.reshape(-1, self.dimension).T)
        return self._in_blocks(columns, h).reshape(*theta.shape[:-1], len(self._outputs))

    def _at_point(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return the value at one point, by Python's floats, which are faster than arrays there."""
        if self._floats is not None:
            try:
                return np.array(self._floats(*theta.tolist(), h))
            except (ArithmeticError, ValueError):
                pass  # arrays give inf and nan where floats raise an error
        return self._in_blocks(theta[:, None], h)[0]

    def _in_blocks(self, columns: np.ndarray, h: float | complex | np.ndarray) -> np.ndarray:
        """Return the outputs, of shape (points, outputs), at points in the columns of an array."""
        size = columns.shape[1]
        result = np.empty((size, len(self._outputs)), np.result_type(columns, h))
        with np.errstate(all="ignore"):
            for begin in range(0, size, BLOCK):
                part = slice(begin, begin + BLOCK)
                rate = h[part] if isinstance(h, np.ndarray) else h
                for i, value in enumerate(self._arrays(*columns[:, part], rate)):
                    result[part, i] = value
        return result


def _as_rates(h: Any) -> float | complex | np.ndarray:
    """Return learning rates as a Python number or an array of floats, or complex ones."""
    rates = np.asarray(h)
    rates = rates if rates.dtype.kind == "c" else rates.astype(np.float64, copy=False)
    return rates if rates.ndim else rates.item()


def as_points(theta: Any, dimension: int) -> np.ndarray:
    """Return an array of floats of shape (..., d).

    Raises:
        InvalidPoint: It is not numeric, or the last axis has not the length d.

    >>> as_points([1, 2], 2)
    array([1., 2.])
    """
    try:
        points = np.asarray(theta)
        points = points if points.dtype.kind == "c" else points.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise InvalidPoint(f"the point {theta!r} does not consist of numbers") from None
    if points.ndim == 0 or points.shape[-1] != dimension:
        raise InvalidPoint(
            f"the point has the shape {points.shape}; "
            f"its last axis must have the length {dimension}, one entry for each variable"
        )
    return points


def check_step(h: Any) -> float:
    """Return a learning rate as a float, if it is positive and finite.

    >>> check_step(0.1)
    0.1
    """
    try:
        value = float(h)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(h, str) or not (math.isfinite(value) and value > 0):
        raise InvalidStep(f"the learning rate h is {h!r}; it must be a positive finite number")
    return value


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


def gradient_field(loss: Field, parameters: Mapping | None = None) -> NumericField:
    """Return the field f of a loss itself as a numeric function."""
    return recorded(loss, loss.components, parameters)


def part_fields(loss: Field, parameters: Mapping | None = None) -> tuple[NumericField, ...]:
    """Return the parts of a split field as numeric functions.

    >>> from modeq.derivation.loss import VectorField
    >>> kick, drift = part_fields(VectorField(["-q", "p"], variables="p q").split("p", "q"))
    >>> kick([1.0, 2.0], 0), drift([1.0, 2.0], 0)
    (array([-2.,  0.]), array([0., 1.]))
    """
    return tuple(recorded(loss, part.components, parameters) for part in loss.parts)


def recorded(loss: Field, expressions: Iterable, parameters: Mapping | None) -> NumericField:
    """Return expressions in the variables of a loss, its parameters and h as a numeric function.

    >>> from modeq.derivation.loss import Loss
    >>> loss = Loss("x**2/2")
    >>> recorded(loss, [H * loss.variables[0]], None)([3.0], 0.5)
    array([1.5])
    """
    tape = Tape((*loss.variables, H), exact_values(parameters or {}, loss.parameters))
    return NumericField(tape, [tape.convert(e) for e in expressions], "program")


def optimizer_field(
    loss: Field, method: Optimizer, parameters: Mapping | None = None
) -> NumericField:
    """Return one step of an optimizer as a function of θ with its memory, and of h.

    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.optimizer import optimizer
    >>> @optimizer(memory=["v"])
    ... def momentum(state, grad, h, p):
    ...     v = state.v / 2 + grad(state.theta)
    ...     return state.replace(theta=state.theta - h * v, v=v)
    >>> optimizer_field(Loss("x**2/2"), momentum())([1.0, 0.0], 0.1)
    array([0.9, 1. ])
    """
    step = optimizer_map(method, loss.components, loss.variables)
    variables = (*step.variables, *step.memory, H)
    tape = Tape(variables, exact_values(parameters or {}, loss.parameters))
    return NumericField(tape, [tape.convert(e) for e in (*step.theta, *step.following)], "program")


def memory_field(
    loss: Field, method: Optimizer, order: int, parameters: Mapping | None = None
) -> NumericField:
    """Return the memory of an optimizer on its slow manifold through hⁿ, as a function of θ and h.

    >>> from modeq.derivation.loss import Loss
    >>> from modeq.methods.optimizer import optimizer
    >>> @optimizer(memory=["v"])
    ... def momentum(state, grad, h, p):
    ...     v = state.v / 2 + grad(state.theta)
    ...     return state.replace(theta=state.theta - h * v, v=v)
    >>> memory_field(Loss("x**2/2"), momentum(), 1)([1.0], 0.1)  # 2 x + 8 h x
    array([2.8])
    """
    tape = Tape((*loss.variables, H), exact_values(parameters or {}, loss.parameters))
    f = SeriesField(loss.components, loss.variables, tape.convert)
    memory = slow_manifold(method, f).memory(order)
    outputs = [
        _in_powers_of_h([tape.node(entry[j]) for j in range(order + 1)], tape) for entry in memory
    ]
    return NumericField(tape, outputs, "program")


def domain_field(loss: Field, parameters: Mapping | None = None) -> NumericField:
    """Return the numeric function whose outputs are all finite where a loss and its field exist.

    >>> from modeq.derivation.loss import Loss
    >>> domain_field(Loss("log(x)"))([-1.0], 0)  # the gradient 1/x is a number, the loss is not
    array([nan,  1.])
    """
    parts = (f for part in loss.parts for f in part.components)
    expressions = dict.fromkeys((*loss.expressions, *loss.components, *parts))
    return recorded(loss, expressions, parameters)


def is_short(modified: ModifiedField) -> bool:
    """Tell whether the expanded form is worth a try."""
    terms = sum(len(element) for vector in modified.elements for element in vector)
    return terms <= MAX_EXPANDED_TERMS


def _program_form(modified: ModifiedField, tape: Tape) -> NumericField:
    return NumericField(tape, _record_program(modified, tape), "program")


def _record_program(modified: ModifiedField, tape: Tape) -> list[Node]:
    loss = modified.loss
    parts = [part.components for part in loss.parts]
    f = SeriesField(loss.components, loss.variables, tape.convert, parts)
    total = series_field(modified.method, f, modified.order)
    return [
        _in_powers_of_h([tape.node(series[j + 1]) for j in range(modified.order + 1)], tape)
        for series in total
    ]


def _record_expanded(modified: ModifiedField, tape: Tape) -> list[Node]:
    return [
        _in_powers_of_h([horner(modified.ring, element, tape) for element in elements], tape)
        for elements in zip(*modified.elements, strict=True)
    ]


def _in_powers_of_h(coefficients: list[Node], tape: Tape) -> Node:
    """Return c₀ + h (c₁ + h (c₂ + …))."""
    total = tape.node(0)
    for coefficient in reversed(coefficients):
        total = total * tape.convert(H) + coefficient
    return total


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
