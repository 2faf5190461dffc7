"""Gradients as fields: what gradient descent follows is what ``jax.grad`` returns, as a function.

Where a loss has ``stop_gradient``, ``custom_jvp`` or ``custom_vjp``, its gradient is a field that
need not be the derivative of anything, but a field with a derivative of its own:

    L = x · stop(x²),    g(x) = x²,    g'(x) = 2x.

JAX's derivative of g would stop again, and give 0. Here the program of the gradient is
differentiated as it computes: what is stopped passes, and what has a rule of one's own for its
derivative is what it calls. The rules that JAX itself has for its functions are kept, as they are
true and made for accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from modeq.networks.pytrees import scalar

try:
    import jax
    from jax.extend.core import ClosedJaxpr, Literal
except ImportError as error:
    raise ImportError("modeq.networks.gradients needs JAX: pip install modeq[jax]") from error

RULED = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
LOOPS = ("scan", "while", "cond")
JAX = str(Path(jax.__file__).parent)


def gradient(loss_fn: Callable[..., Any], *, holomorphic: bool = False) -> Callable[..., Any]:
    """Return the gradient of a loss as a field, whose derivatives in JAX are those of the field.

    >>> loss = lambda x: x * jax.lax.stop_gradient(x**2)
    >>> jax.grad(jax.grad(loss))(3.0).item(), jax.grad(gradient(loss))(3.0).item()
    (0.0, 6.0)
    """
    slope = jax.grad(scalar(loss_fn) if not holomorphic else loss_fn, holomorphic=holomorphic)

    def field(params: Any, *args: Any) -> Any:
        program, shapes = jax.make_jaxpr(slope, return_shape=True)(params, *args)
        values = evaluated(program, jax.tree.leaves((params, *args)))
        return jax.tree.unflatten(jax.tree.structure(shapes), values)

    return field


class Program:
    """A program without its constants; equal to those that compute the same."""

    def __init__(self, jaxpr: Any):
        self.jaxpr = jaxpr
        self._text = str(jaxpr)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def is_ruled(program: Any) -> bool:
    """Tell whether a program stops derivatives, or has rules of its own for them.

    >>> is_ruled(jax.make_jaxpr(jax.nn.relu)(1.0)), is_ruled(jax.make_jaxpr(jax.numpy.sin)(1.0))
    (False, False)
    >>> is_ruled(jax.make_jaxpr(jax.lax.stop_gradient)(1.0))
    True
    """
    return any(map(_is_ruled, getattr(program, "jaxpr", program).eqns))


def evaluated(program: Any, values: list) -> list:
    """Return the results of a program, so that their derivatives are those of what it computes."""
    jaxpr = program.jaxpr
    known = dict(zip(jaxpr.constvars, program.consts, strict=True))
    known |= dict(zip(jaxpr.invars, values, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        results = _results(equation, [value(atom) for atom in equation.invars])
        known |= dict(zip(equation.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _results(equation: Any, given: list) -> list:
    primitive, params = equation.primitive, equation.params
    if primitive.name == "stop_gradient":
        return given
    if _is_ruled(equation):
        if primitive.name not in LOOPS:
            return evaluated(_closed(next(_programs(params))), given)
        params = {key: _unruled(inner) for key, inner in params.items()}
    return bound(primitive, params, given)


def bound(primitive: Any, params: dict, values: list) -> list:
    """Return the results of an operation, of which there may be one."""
    found = primitive.bind(*values, **primitive.get_bind_params(params))
    return list(found) if primitive.multiple_results else [found]


def _is_ruled(equation: Any) -> bool:
    name = equation.primitive.name
    inner = list(_programs(equation.params))
    own = name in RULED and not any(map(_is_of_jax, inner))
    return name == "stop_gradient" or own or any(map(is_ruled, inner))


def _is_of_jax(program: Any) -> bool:
    """Tell whether a function with a rule is one of JAX's own."""
    source = getattr(_closed(program).jaxpr.debug_info, "func_src_info", None) or ""
    return source.partition(" at ")[2].startswith(JAX)


def _programs(params: dict) -> Iterator[Any]:
    """Return the programs inside of an operation."""
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield part


def _closed(program: Any) -> Any:
    return program if hasattr(program, "consts") else ClosedJaxpr(program, ())


def _unruled(value: Any) -> Any:
    """Return the same program without rules, or what is no program as it is."""
    if isinstance(value, tuple | list):
        return type(value)(map(_unruled, value)) if type(value) in (tuple, list) else value
    if not hasattr(value, "eqns") and not hasattr(value, "jaxpr"):
        return value
    found = jax.make_jaxpr(lambda *given: evaluated(_closed(value), list(given)))(
        *[
            jax.ShapeDtypeStruct(x.aval.shape, x.aval.dtype, weak_type=x.aval.weak_type)
            for x in _closed(value).jaxpr.invars
        ]
    )
    return found if hasattr(value, "consts") else found.jaxpr
