"""Counter terms of a network at its weights, exact for each order.

Gradient descent is run in power series in h: its iterates are θ_m = θ₀ + Σ hᵏ c_k(m), with

    c_k(m) = -Σ_{t<m} [∇L(θ_t)]_{k-1},        f_k = -Σ_s v_s [∇L(θ_s)]_k,

where [.]_k is the coefficient of hᵏ, and v are the weights of order k in
``modeq.algebra.logarithm.increment_weights``. Each is a polynomial in m, so [∇L]_k is needed at k
steps only. One program holds all of it; it is compiled once for each gradient's program and order,
whatever numbers the loss closes over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_order
from modeq.errors import InvalidPoint
from modeq.networks.gradients import Program, gradient
from modeq.networks.pytrees import (
    Params,
    cast,
    check_params,
    check_precision,
    in_precision,
    is_finite,
    is_traced,
    of_weights,
    partitioned,
)
from modeq.networks.taylor import Operation, OrbitSeries, is_float, operations

try:
    import jax
    import jax.numpy as jnp
    from jax.extend.core import ClosedJaxpr
except ImportError as error:
    raise ImportError("modeq.networks.jets needs JAX: pip install modeq[jax]") from error


def counter_terms(
    loss_fn: Callable[..., Any],
    params: Params,
    order: int,
    *args: Any,
    precision: str | None = None,
) -> tuple[Params, ...]:
    """Return the counter terms f₁, …, fₙ of gradient descent on a loss, at some weights.

        f₁ = -½ H∇L,    f₂ = -⅓ H²∇L - 1/12 T[∇L, ∇L],    …

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a number; ``params`` is a pytree.
        params: The weights.
        order: n.
        args: More arguments of the loss, such as a batch.
        precision: "float64" or "float32" to compute in it, whatever the weights come in.

    Returns:
        n pytrees of the shape of ``params``: the coefficients of h, …, hⁿ.

    Raises:
        InvalidOrder, InvalidValue: The order or the precision is none.
        InvalidPoint: A leaf does not hold floats, or a term is not finite there.
        InvalidLoss: The loss is not a single number, or has too few derivatives in JAX.

    Example:
        >>> def loss(w):
        ...     return jnp.sum(w["x"] ** 4) / 4
        >>> [term["x"].tolist() for term in counter_terms(loss, {"x": jnp.array([1.0])}, 2)]
        [[-1.5], [-3.5]]

    References:
        Derived here; Griewank, Walther, Evaluating derivatives (2008), chapter 13, for Taylor
        arithmetic.
    """
    order = check_order(order)
    if (found := partitioned(params)) is not None:
        weights, module = found
        terms = counter_terms(
            of_weights(loss_fn), weights, order, module, *args, precision=precision
        )
        return tuple(map(module.join, terms))
    check_params(params)
    with in_precision(check_precision(precision)):
        params, args = cast((params, args), precision)
        terms = _counter_terms(loss_fn, order, params, args)
        if not is_traced(terms):
            _refuse_infinite(terms)
        return terms[1:]


def _counter_terms(
    loss_fn: Callable, order: int, params: Params, args: tuple
) -> tuple[Params, ...]:
    """Return f, f₁, …, fₙ, by what was compiled for the same program."""
    params = jax.tree.map(jnp.asarray, params)
    program = jax.make_jaxpr(gradient(loss_fn))(params, *args)
    compiled = _compiled_terms(Program(program.jaxpr), len(jax.tree.leaves(params)), order)
    terms = compiled(program.consts, jax.tree.leaves((params, *args)))
    return tuple(map(jax.tree.structure(params).unflatten, terms))


@lru_cache(maxsize=16)
def _compiled_terms(program: Program, weights: int, order: int) -> Callable:
    """Return a function of constants and leaves: numbers of a loss may change, and are not kept."""

    def terms(constants: list, leaves: list) -> list[list]:
        slopes = _slopes(ClosedJaxpr(program.jaxpr, constants), leaves, weights, order)
        found = [[-slope.start for slope in slopes]]
        for k in range(1, order + 1):
            rates = increment_weights(k)[1:]
            found.append([_weighted(slope, k, rates) for slope in slopes])
        return found

    return jax.jit(terms)


def gradient_series(
    loss_fn: Callable, order: int, params: Params, args: tuple
) -> list[OrbitSeries]:
    """Return ∇L along the iterates of gradient descent right through hⁿ, leaf by leaf.

    >>> [slope] = gradient_series(lambda x: x**2 / 2, 2, jnp.ones(()), ())
    >>> slope.start.item(), slope.at(1, 2).item(), slope.at(2, 2).item()  # 1 - 2 h + h²
    (1.0, -2.0, 1.0)
    """
    program = jax.make_jaxpr(gradient(loss_fn))(params, *args)
    leaves = jax.tree.leaves((params, *args))
    return _slopes(program, leaves, len(jax.tree.leaves(params)), order)


def _slopes(program: Any, leaves: list, weights: int, order: int) -> list[OrbitSeries]:
    found, names, results, constants = operations(program)
    values = {name: OrbitSeries(value) for name, value in constants.items()}
    values |= {name: OrbitSeries(jnp.asarray(x)) for name, x in zip(names, leaves, strict=True)}
    for operation in found:
        given = [values[name].start for name in operation.inputs]
        values |= {
            name: OrbitSeries(value)
            for name, value in zip(operation.outputs, operation(*given), strict=True)
        }
    theta = [values[name] for name in names[:weights]]
    slopes = [values[name] for name in results]
    for k in range(1, order + 1):
        for weight, slope in zip(theta, slopes, strict=True):
            weight.append(_descended(slope, k))
        for operation in found:
            _extend(operation, values, k)
    return slopes


def _extend(operation: Operation, values: dict, k: int) -> None:
    """Append the coefficients of hᵏ of the outputs of an operation."""
    inputs = [values[name] for name in operation.inputs]
    rows = [operation.coefficients(inputs, k, m) for m in range(1, k + 1)]
    for name, column in zip(operation.outputs, zip(*rows, strict=True), strict=True):
        # What is counted or compared does not change with h.
        values[name].append(column if is_float(values[name].start) else [None] * k)


def _descended(slope: OrbitSeries, k: int) -> list:
    """Return c_k(m) = -Σ_{t<m} [∇L(θ_t)]_{k-1} at m = 1, …, k."""
    if k == 1:
        return [-slope.start]
    total, found = None, [None]
    for m in range(1, k):
        term = slope.at(k - 1, m)
        if term is not None:
            total = -term if total is None else total - term
        found.append(total)
    return found


def _weighted(slope: OrbitSeries, k: int, weights: Any) -> Any:
    terms = [
        -float(weight) * term
        for m, weight in enumerate(weights, 1)
        if (term := slope.at(k, m)) is not None
    ]
    return sum(terms[1:], terms[0]) if terms else jnp.zeros_like(slope.start)


def _refuse_infinite(terms: tuple[Params, ...]) -> None:
    if is_finite(terms):
        return
    for k, term in enumerate(terms):
        for path, leaf in jax.tree_util.tree_leaves_with_path(term):
            if not is_finite(leaf):
                name = jax.tree_util.keystr(path)
                what = f"the counter term of h**{k}" if k else "the gradient (step 0)"
                raise InvalidPoint(
                    f"{what} is not finite at these weights{f', in the leaf {name}' * bool(name)}; "
                    f"they must be where the loss is smooth"
                )
