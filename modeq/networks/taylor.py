"""Taylor arithmetic on JAX programs, along the iterates of gradient descent.

Whatever is computed from the iterates is a power series in h whose coefficients are polynomials in
the step number,

    q(m) = q₀ + Σ_{k>=1} hᵏ p_k(m),        deg p_k <= k,    p_k(0) = 0,

so the values p_k(1), …, p_k(k) say all of p_k, and others are linear combinations of them. A
program is a list of operations, and each knows its coefficient of hᵏ at m from those of its inputs:
linear operations apply themselves, products convolve, and the rest are left to
``jax.experimental.jet``, or, where that has no rule, to k derivatives by forward mode (derived
here). Coefficients that vanish are not computed with.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from math import comb, factorial
from typing import Any

from modeq.errors import InvalidLoss
from modeq.networks.gradients import bound

try:
    import jax
    import jax.numpy as jnp
    from jax.experimental.jet import jet
    from jax.extend.core import Literal
except ImportError as error:
    raise ImportError("modeq.networks.taylor needs JAX: pip install modeq[jax]") from error

Array = Any

LINEAR = frozenset(
    [
        *("add", "add_any", "broadcast_in_dim", "concatenate", "conj", "convert_element_type"),
        *("copy", "copy_p", "cumsum", "dynamic_slice", "dynamic_update_slice", "expand_dims"),
        *("gather", "imag", "neg", "pad", "real", "reduce_sum", "reduce_window_sum", "reshape"),
        *("rev", "scatter-add", "select_n", "slice", "split", "squeeze", "sub", "transpose"),
    ]
)
"""Operations that are linear in their inputs of floats taken together; others are indices."""

BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})

_SCALED = "factorial_scaled" in inspect.signature(jet).parameters
"""Whether jet takes coefficients as they are; otherwise it takes derivatives."""


class OrbitSeries:
    """A quantity along the iterates, as far as its coefficients are known.

    Args:
        start: Its value q₀ at h = 0.

    >>> q = OrbitSeries(1.0)
    >>> q.append([2.0])  # 2 m h
    >>> q.append([0.0, 2.0])  # m(m - 1) h²
    >>> q.at(1, 3), q.at(2, 3)
    (6.0, 6.0)
    """

    def __init__(self, start: Array):
        self.start = start
        self._values: list[list[Array | None]] = []
        self._further: dict[tuple[int, int], Array | None] = {}

    def append(self, values: Sequence[Array | None]) -> None:
        """Set the next coefficient, from its values at m = 1, …, k; None stands for zero."""
        self._values.append(list(values))

    @property
    def is_constant(self) -> bool:
        """Whether all coefficients that are known vanish."""
        return all(value is None for values in self._values for value in values)

    def at(self, k: int, m: int) -> Array | None:
        """Return the coefficient of hᵏ at step m >= 1, or None if it vanishes."""
        if k == 0:
            return self.start
        if k > len(self._values):
            return None
        if m <= k:
            return self._values[k - 1][m - 1]
        if (k, m) not in self._further:
            self._further[k, m] = _combination(continuation(k, m), self._values[k - 1])
        return self._further[k, m]


@cache
def continuation(k: int, m: int) -> tuple[int, ...]:
    """Return c with p(m) = Σ_t c_t p(t), t = 1, …, k, for polynomials p of degree k with p(0) = 0.

    >>> continuation(2, 3)  # p(3) = 3 p(2) - 3 p(1)
    (-3, 3)
    """
    return tuple((-1) ** (k - t) * comb(m, t) * comb(m - t - 1, k - t) for t in range(1, k + 1))


class Operation:
    """One operation of a program: a primitive of JAX, between named values."""

    def __init__(self, primitive: Any, params: dict, inputs: list, outputs: list):
        self.primitive = primitive
        self.params = params
        self.inputs = inputs
        self.outputs = outputs

    def __call__(self, *values: Array) -> list[Array]:
        """Return the outputs, of which there may be one."""
        return bound(self.primitive, self.params, values)

    def coefficients(self, inputs: list[OrbitSeries], k: int, m: int) -> list[Array | None]:
        """Return the coefficients of hᵏ at step m of the outputs, k and m >= 1."""
        if all(series.is_constant for series in inputs):
            return [None] * len(self.outputs)
        name = self.primitive.name
        active = [i for i, series in enumerate(inputs) if not series.is_constant]
        if name in BILINEAR:
            return [self._convolved(*inputs, k, m)]
        if name in LINEAR or (name == "div" and active == [0]):
            return self._linear(inputs, k, m)
        return self._nonlinear(inputs, active, k, m)

    def _convolved(self, left: OrbitSeries, right: OrbitSeries, k: int, m: int) -> Array | None:
        pairs = [(left.at(i, m), right.at(k - i, m)) for i in range(k + 1)]
        products = [self(a, b)[0] for a, b in pairs if a is not None and b is not None]
        return sum(products[1:], products[0]) if products else None

    def _linear(self, inputs: list[OrbitSeries], k: int, m: int) -> list[Array | None]:
        terms = [series.at(k, m) for series in inputs]
        if all(term is None for term in terms):
            return [None] * len(self.outputs)
        divides = self.primitive.name == "div"
        filled = [
            series.start
            if not is_float(series.start) or (divides and i == 1)
            else (jnp.zeros_like(series.start) if term is None else term)
            for i, (series, term) in enumerate(zip(inputs, terms, strict=True))
        ]
        return self(*filled)

    def _nonlinear(
        self, inputs: list[OrbitSeries], active: list[int], k: int, m: int
    ) -> list[Array | None]:
        starts = [jnp.asarray(inputs[i].start) for i in active]
        terms = [[_filled(inputs[i], j, m) for j in range(1, k + 1)] for i in active]

        def function(*values: Array) -> list[Array]:
            given = [series.start for series in inputs]
            for i, value in zip(active, values, strict=True):
                given[i] = value
            # What is counted has no derivative, and JAX has no numbers for it.
            return [x if is_float(x) else jnp.zeros(jnp.shape(x)) for x in self(*given)]

        try:
            if self.primitive.name == "custom_jvp_call":  # jet would not keep the rule.
                return forward_coefficient(function, starts, terms, self.primitive.name)
            return taylor_coefficient(function, starts, terms)
        except (KeyError, NotImplementedError, TypeError):
            return forward_coefficient(function, starts, terms, self.primitive.name)


def taylor_coefficient(function: Callable, starts: list, terms: list[list]) -> list[Array]:
    """Return the coefficient of hᵏ of functions of x₀ + Σ hʲ xⱼ, by ``jax.experimental.jet``.

    >>> one = jnp.ones(())
    >>> taylor_coefficient(lambda x: [x * x], [one], [[one, one]])[0].item()  # (1 + h + h²)²
    3.0
    """
    k = len(terms[0])
    if _SCALED:
        return [series[-1] for series in jet(function, starts, terms, factorial_scaled=False)[1]]
    derivatives = [[factorial(j) * term for j, term in enumerate(row, 1)] for row in terms]
    return [series[-1] / factorial(k) for series in jet(function, starts, derivatives)[1]]


def forward_coefficient(
    function: Callable, starts: list, terms: list[list], name: str = "function"
) -> list[Array]:
    """Return the same by k derivatives in h, each by forward mode.

    Raises:
        InvalidLoss: There is no derivative by forward mode.

    >>> one = jnp.ones(())
    >>> forward_coefficient(lambda x: [x**3], [one], [[one, one]])[0].item()  # (1 + h + h²)³
    6.0
    """
    k = len(terms[0])

    def path(h: Array) -> list[Array]:
        points = []
        for start, row in zip(starts, terms, strict=True):
            total = row[-1]
            for term in (*row[-2::-1], start):
                total = term + h.astype(total.dtype) * total
            points.append(total)
        return function(*points)

    for _ in range(k):
        path = _derivative(path)
    try:
        return [value / factorial(k) for value in path(jnp.zeros(()))]
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InvalidLoss(
            f"the gradient of the loss contains {name}, which JAX can differentiate neither by "
            f"jet nor {k} times by forward mode: {error}"
        ) from error


def _derivative(path: Callable) -> Callable:
    return lambda h: jax.jvp(path, (h,), (jnp.ones_like(h),))[1]


def operations(program: Any) -> tuple[list[Operation], list, list, dict]:
    """Return a program's operations in order, its inputs and outputs by name, and its constants.

    Programs inside of it, such as those of jitted functions, are written out.

    Args:
        program: What ``jax.make_jaxpr`` returns.

    >>> found, inputs, outputs, constants = operations(jax.make_jaxpr(jax.jit(jnp.sinh))(1.0))
    >>> [operation.primitive.name for operation in found]
    ['sinh']
    """
    found: list[Operation] = []
    constants: dict = {}
    inputs = [object() for _ in program.jaxpr.invars]
    outputs = _write_out(program, inputs, found, constants)
    return found, inputs, outputs, constants


def _write_out(program: Any, inputs: list, found: list[Operation], constants: dict) -> list:
    names = dict(zip(program.jaxpr.invars, inputs, strict=True))
    for variable, value in zip(program.jaxpr.constvars, program.consts, strict=True):
        names[variable] = object()
        constants[names[variable]] = value

    def name(atom: Any) -> Any:
        if not isinstance(atom, Literal):
            return names[atom]
        key = object()
        constants[key] = jnp.asarray(atom.val, atom.aval.dtype)
        return key

    for equation in program.jaxpr.eqns:
        given = [name(atom) for atom in equation.invars]
        inner = _inner_program(equation)
        if inner is not None:
            results = _write_out(inner, given, found, constants)
        else:
            results = [object() for _ in equation.outvars]
            found.append(Operation(equation.primitive, equation.params, given, results))
        names.update(zip(equation.outvars, results, strict=True))
    return [name(atom) for atom in program.jaxpr.outvars]


def _inner_program(equation: Any) -> Any:
    """Return the program that an operation only calls, if that is what it does.

    Rules of JAX itself for derivatives are kept: what is written out instead, such as sin(x)/x,
    may have none at some points.
    """
    if equation.primitive.name in ("scan", "while", "cond", "custom_jvp_call"):
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return inner if hasattr(inner, "consts") else jax.extend.core.ClosedJaxpr(inner, ())
    return None


def _combination(weights: Sequence[int], values: Sequence[Array | None]) -> Array | None:
    terms = [w * v for w, v in zip(weights, values, strict=True) if v is not None]
    return sum(terms[1:], terms[0]) if terms else None


def _filled(series: OrbitSeries, k: int, m: int) -> Array:
    term = series.at(k, m)
    return jnp.zeros_like(series.start) if term is None else term


def is_float(value: Array) -> bool:
    """Tell whether a value can depend smoothly on h.

    >>> is_float(1.0), is_float(1)
    (True, False)
    """
    return jnp.issubdtype(jnp.result_type(value), jnp.inexact)
