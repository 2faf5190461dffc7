"""Formulas as fast numeric functions of points and of the learning rate.

Values of parameters are shared out between a loss and a method. A loss is a field over power series
too: recorded on a tape, or in many digits at a point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy
from sympy.printing.codeprinter import PrintMethodNotImplementedError

from modeq.algebra.power_series import Coefficient
from modeq.checks import as_numbers, as_points, shortened
from modeq.derivation.derive import all_parameters
from modeq.derivation.evaluate import SeriesField, constants_at
from modeq.derivation.optimizer_map import optimizer_map
from modeq.derivation.slow_manifold import slow_manifold
from modeq.errors import InvalidStep, MissingParameter
from modeq.flows.source import compiled_program, program_source
from modeq.flows.stable import stable, stable_components, stable_forces
from modeq.flows.tape import Node, Tape
from modeq.losses.digits import real_context
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Field, H
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.show.document import Block, Code, Text
from modeq.show.shown import Shown


def series_over(loss: Field, constant: Callable[[sympy.Expr], Coefficient]) -> SeriesField:
    """Return the field of a loss, and its parts, over power series with given constants.

    >>> from modeq.losses.loss import Loss
    >>> series_over(Loss("x**2/2"), lambda expression: expression.subs("x", 3)).start()[0].first(1)
    [3]
    """
    parts = [part.components for part in loss.parts]
    field = SeriesField(loss.components, loss.variables, constant, parts)
    field.forces = loss.forces
    return field


def recorded_series(loss: Field, tape: Tape) -> SeriesField:
    """Return the field of a loss, and its parts, over power series of what a tape records.

    >>> from modeq.losses.loss import H, Loss
    >>> loss = Loss("(exp(x) - 1)**2/2")
    >>> f = recorded_series(loss, Tape((*loss.variables, H)))
    >>> f.components[0].has(sympy.exp(loss.variables[0]) - 1)
    False
    """
    parts = [stable_components(part) for part in loss.parts]
    field = SeriesField(stable_components(loss), loss.variables, tape.convert, parts)
    field.forces = stable_forces(loss)
    return field


def series_at(
    loss: Field,
    point: Sequence[Fraction],
    values: Mapping[sympy.Symbol, sympy.Expr],
    digits: int,
) -> tuple[SeriesField, mpmath.MPContext]:
    """Return the field of a loss over power series of numbers at a point, and their arithmetic.

    Args:
        loss: The loss or vector field.
        point: The point, exactly.
        values: Values of the parameters.
        digits: Decimal digits of the numbers.

    >>> from modeq.losses.loss import Loss
    >>> f, context = series_at(Loss("x**2/2"), [Fraction(1, 4)], {}, 15)
    >>> f.start()[0].first(1), context.dps
    ([mpf('0.25')], 15)
    """
    exact = map(sympy.Rational, point)
    at = {**dict(zip(loss.variables, exact, strict=True)), **values}
    context = real_context(digits)
    return series_over(loss, constants_at(at, context, digits)), context


_BLOCK = 2_048
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

    def __getstate__(self) -> dict:
        """Return what is pickled: the recording, without the functions that are compiled of it."""
        compiled = ("_arrays", "_floats")
        return {name: value for name, value in vars(self).items() if name not in compiled}

    @cached_property
    def _arrays(self) -> Callable:
        namespace = {"numpy": np}
        if "scipy" in self.source():
            import scipy.special

            namespace["scipy"] = scipy
        return compiled_program(self._tape, self._outputs, "numpy", namespace)

    @cached_property
    def _floats(self) -> Callable | None:
        try:
            return compiled_program(self._tape, self._outputs, "math", {"math": math})
        except PrintMethodNotImplementedError:
            return None

    def source(self, dialect: str = "numpy") -> str:
        """Return the source of the program; see ``program_source``."""
        return program_source(self._tape, self._outputs, dialect)

    def compile(self, dialect: str, namespace: Mapping) -> Callable:
        """Return the function of x0, …, h that returns a tuple; see ``compiled_program``."""
        return compiled_program(self._tape, self._outputs, dialect, namespace)

    def __call__(self, theta: Any, h: Any) -> np.ndarray:
        """Return the outputs at points; see the class."""
        theta, h = as_points(theta, self.dimension), _as_rates(h)
        if theta.ndim == 1 and isinstance(h, float) and theta.dtype == np.float64:
            return self._at_point(theta, h)
        if isinstance(h, np.ndarray):
            shape = _common_shape(theta.shape[:-1], h.shape)
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
            for begin in range(0, size, _BLOCK):
                part = slice(begin, begin + _BLOCK)
                rate = h[part] if isinstance(h, np.ndarray) else h
                for i, value in enumerate(self._arrays(*columns[:, part], rate)):
                    result[part, i] = _kept_real(value) if result.dtype == float else value
        return result

    def show(self) -> list[Block]:
        """Return its size and its program."""
        size = f"a function of points with {self.dimension} coordinates and of h"
        return [Text(f"{size}, {self.form}, {self.cost} operations"), Code(self.source())]


def _kept_real(value: np.ndarray) -> np.ndarray:
    """Return a value at real points as a real one: nan outside the domain of LambertW, where SciPy
    goes on with complex numbers.
    """
    return (
        np.where(np.imag(value) == 0, np.real(value), np.nan) if np.iscomplexobj(value) else value
    )


def _as_rates(h: Any) -> float | complex | np.ndarray:
    """Return learning rates as a Python number or an array of floats, or complex ones."""
    rates = as_numbers(h)
    if rates is None:
        raise InvalidStep(
            f"the learning rate h is {shortened(h)}; it must be a number or an array of some"
        )
    return rates if rates.ndim else rates.item()


def _common_shape(points: tuple[int, ...], rates: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(points, rates)
    except ValueError:
        raise InvalidStep(
            f"h has the shape {rates}; it must fit the leading axes of the points, {points}"
        ) from None


def gradient_field(loss: Field, parameters: Mapping | None = None) -> NumericField:
    """Return the field f of a loss itself as a numeric function."""
    return _recorded(loss, stable_components(loss), parameters)


def part_fields(loss: Field, parameters: Mapping | None = None) -> tuple[NumericField, ...]:
    """Return the parts of a split field as numeric functions.

    >>> from modeq.losses.loss import VectorField
    >>> kick, drift = part_fields(VectorField(["-q", "p"], variables="p q").split("p", "q"))
    >>> kick([1.0, 2.0], 0), drift([1.0, 2.0], 0)
    (array([-2.,  0.]), array([0., 1.]))
    """
    return tuple(_recorded(loss, stable_components(part), parameters) for part in loss.parts)


def recorded(loss: Field, expressions: Iterable, parameters: Mapping | None) -> NumericField:
    """Return expressions in the variables of a loss, its parameters and h as a numeric function.

    >>> from modeq.losses.loss import Loss
    >>> loss = Loss("x**2/2")
    >>> recorded(loss, [H * loss.variables[0]], None)([3.0], 0.5)
    array([1.5])
    """
    return _recorded(loss, map(stable, expressions), parameters)


def _recorded(loss: Field, expressions: Iterable, parameters: Mapping | None) -> NumericField:
    tape = Tape((*loss.variables, H), exact_values(parameters, loss.parameters))
    return NumericField(tape, [tape.convert(e) for e in expressions], "program")


def optimizer_field(
    loss: Field, method: Optimizer, parameters: Mapping | None = None
) -> NumericField:
    """Return one step of an optimizer as a function of θ with its memory, and of h.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.optimizer import optimizer
    >>> @optimizer(memory=["v"])
    ... def momentum(state, grad, h, p):
    ...     v = state.v / 2 + grad(state.theta)
    ...     return state.replace(theta=state.theta - h * v, v=v)
    >>> optimizer_field(Loss("x**2/2"), momentum())([1.0, 0.0], 0.1)
    array([0.9, 1. ])
    """
    step = optimizer_map(method, recorded_series(loss, Tape(loss.variables)))
    variables = (*step.variables, *step.memory, H)
    tape = Tape(variables, exact_values(parameters, loss.parameters))
    return NumericField(tape, [tape.convert(e) for e in (*step.theta, *step.following)], "program")


def memory_field(
    loss: Field, method: Optimizer, order: int, parameters: Mapping | None = None
) -> NumericField:
    """Return the memory of an optimizer on its slow manifold through hⁿ, as a function of θ and h.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.optimizer import optimizer
    >>> @optimizer(memory=["v"])
    ... def momentum(state, grad, h, p):
    ...     v = state.v / 2 + grad(state.theta)
    ...     return state.replace(theta=state.theta - h * v, v=v)
    >>> memory_field(Loss("x**2/2"), momentum(), 1)([1.0], 0.1)  # 2 x + 8 h x
    array([2.8])
    """
    tape = Tape((*loss.variables, H), exact_values(parameters, loss.parameters))
    memory = slow_manifold(method, recorded_series(loss, tape)).memory(order)
    outputs = [tape.polynomial(H, entry.first(order + 1)) for entry in memory]
    return NumericField(tape, outputs, "program")


def domain_field(loss: Field, parameters: Mapping | None = None) -> NumericField:
    """Return the numeric function whose outputs are all finite where a loss and its field exist.

    >>> from modeq.losses.loss import Loss
    >>> domain_field(Loss("log(x)"))([-1.0], 0)  # the gradient 1/x is a number, the loss is not
    array([nan,  1.])
    """
    parts = (f for part in loss.parts for f in part.components)
    expressions = dict.fromkeys((*loss.expressions, *loss.components, *parts))
    return recorded(loss, expressions, parameters)


def with_values(
    loss: Field, method: Method, parameters: Mapping | None
) -> tuple[dict[sympy.Symbol, sympy.Expr], Method]:
    """Return the values that belong to the loss, and the method with numbers for its symbols.

    Raises:
        MissingParameter: A symbol of the method has no value.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> loss, method = Loss("lam*x**2", "x"), HeavyBall(sympy.Symbol("beta"))
    >>> own, method = with_values(loss, method, {"lam": 2, "beta": 0.5})
    >>> own, method == HeavyBall(0.5)
    ({lam: 2}, True)
    """
    values = exact_values(parameters, all_parameters(loss, method))
    own = {symbol: value for symbol, value in values.items() if symbol in loss.parameters}
    return own, numeric_method(method, values)


def numeric_method(method: Method, values: Mapping[sympy.Symbol, sympy.Expr]) -> Method:
    """Return a method with numbers for its symbols."""
    symbols = getattr(method, "symbols", frozenset())
    missing = sorted(symbol.name for symbol in symbols - values.keys())
    if missing:
        raise MissingParameter(
            f"the parameter {missing[0]} of {method} has no value; give "
            f"parameters={{{missing[0]!r}: ...}}"
        )
    own = {symbol: value for symbol, value in values.items() if symbol in symbols}
    return method.subs(own) if own else method
