"""Losses and pytrees of weights: which are refused, what is known of them, samples of them.

JAX has doubles only where they are switched on.

    with double_precision():
        ...

switches them on for a block. Arrays of doubles may leave the block, to be converted to NumPy; JAX's
own arithmetic on them belongs inside.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidLoss, InvalidPoint, InvalidValue

try:
    import jax
    import jax.numpy as jnp
    from jax.extend.core import ClosedJaxpr, Jaxpr
except ImportError as error:
    raise ImportError("modeq.networks.pytrees needs JAX: pip install modeq[jax]") from error


Params = Any
"""A pytree of arrays of floats."""

_SAMPLE = 1_024
"""About how many entries of the gradients are kept for estimates of round-off."""


OF_ONE_TYPE = frozenset(
    ("add", "sub", "mul", "div", "max", "min", "pow", "dot_general", "concatenate", "select_n")
)
"""Operations whose operands have one type, as JAX converts them."""

BOTH = {jnp.dtype("float32"), jnp.dtype("float64")}


def scalar(loss_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same loss, which refuses to be traced unless it is a single number.

    Raises:
        InvalidLoss: The loss is no function, or, when it is called, not a single floating-point
            number.

    >>> jax.grad(scalar(lambda x: x**2))(jnp.ones(3))
    Traceback (most recent call last):
    modeq.errors.InvalidLoss: the loss has the shape (3,) and the type float32; it must be ...
    """

    if not callable(loss_fn):
        raise InvalidLoss(
            f"the loss is {shortened(loss_fn)}; it must be a function of a pytree of weights"
        )

    def checked(params: Params, *args: Any) -> Any:
        try:
            value = loss_fn(params, *args)
        except TypeError as error:
            refuse_other_types(loss_fn, params, error)
            raise
        shape = getattr(value, "shape", () if isinstance(value, float) else None)
        kind = getattr(value, "dtype", type(value).__name__)
        if shape != () or not (isinstance(value, float) or jnp.issubdtype(kind, jnp.floating)):
            what = f"has the shape {shape} and the type {kind}" if shape else f"is a {kind}"
            raise InvalidLoss(
                f"the loss {what}; it must be one floating-point number, such as a mean over the "
                f"batch"
            )
        return value

    return checked


def refuse_other_types(loss_fn: Callable[..., Any], params: Params, error: TypeError) -> None:
    """Refuse a loss that failed and holds arrays of another precision than the weights, by name.

    >>> held = jnp.ones(3, "float16")
    >>> refuse_other_types(lambda w: jax.lax.mul(w, held), jnp.ones(3), TypeError("types differ"))
    Traceback (most recent call last):
    modeq.errors.InvalidLoss: the loss holds held of shape (3,) and type float16, but the ...
    """
    types = {str(jnp.result_type(leaf)) for leaf in jax.tree.leaves(params)}
    others = [
        f"{name} of shape {held.shape} and type {held.dtype}"
        for name, held in _held(loss_fn, set())
        if str(held.dtype) not in types and jnp.issubdtype(held.dtype, jnp.floating)
    ]
    if others:
        raise InvalidLoss(
            f"the loss holds {', '.join(others)}, but the weights have the type "
            f"{', '.join(sorted(types))}, and one of its operations takes one type only ({error}); "
            f"give arrays as more arguments of the loss, or convert them to the type of the weights"
        ) from None


def _held(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Return the names and values of the arrays that a function closes over or reads."""
    function = getattr(function, "func", getattr(function, "__wrapped__", function))
    if id(function) in seen or not hasattr(function, "__code__"):
        return
    seen.add(id(function))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {name: _content(cell) for name, cell in cells}
    names = function.__code__.co_names
    found |= {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, value in found.items():
        if callable(value):
            yield from _held(value, seen)
            continue
        for path, leaf in jax.tree_util.tree_leaves_with_path(value):
            if _is_array(leaf):
                yield name + jax.tree_util.keystr(path), leaf


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # It is not filled yet.
        return None


def refuse_mixed(program: Any) -> None:
    """Refuse a loss with an operand that JAX remembers in another precision.

    JAX (seen in 0.10) remembers a NumPy array of doubles that a loss closes over in the precision
    of its first use, as long as anything compiled with it is kept. In the other precision it then
    has the wrong type, or the wrong digits. For another precision in the same process make the loss
    anew from copies of its arrays.

    Args:
        program: The loss as a program, without its constants.

    Raises:
        InvalidLoss: An operation has operands of both precisions, and none that JAX put there.
    """
    for equation in program.eqns:
        types = {x.aval.dtype for x in equation.invars if _is_float(x)}
        if equation.primitive.name in OF_ONE_TYPE and types >= BOTH:
            raise InvalidLoss(
                "JAX has numbers of both precisions in one operation of the loss, as it closes "
                "over a NumPy array that was used in the other precision before; make the loss "
                "anew from a copy of that array"
            )
        for inner in equation.params.values():
            if hasattr(inner, "jaxpr"):
                refuse_mixed(inner.jaxpr)


def _is_float(atom: Any) -> bool:
    return jnp.issubdtype(getattr(atom.aval, "dtype", None), jnp.inexact)


def check_params(params: Params) -> None:
    """Raise InvalidPoint unless all leaves of a pytree hold floats, and there is one.

    >>> check_params({"w": jnp.ones(2), "steps": jnp.arange(2)})
    Traceback (most recent call last):
    modeq.errors.InvalidPoint: the leaf ['steps'] of params has the type int32; it must hold floats
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise InvalidPoint(
            f"params is {shortened(params)}; it must have at least one leaf of floats"
        )
    for path, leaf in leaves:
        kind = getattr(leaf, "dtype", None)
        if not (isinstance(leaf, float) or (kind and jnp.issubdtype(kind, jnp.floating))):
            name = jax.tree_util.keystr(path)
            raise InvalidPoint(
                f"{f'the leaf {name} of params' if name else 'params'} has the type "
                f"{kind or type(leaf).__name__}; it must hold floats"
            )


class Module:
    """What of a module is no weight; a pytree itself, of arrays, with static leaves in its type."""

    def __init__(self, arrays: tuple, static: tuple):
        self.arrays = arrays
        self.static = static

    def join(self, weights: list) -> Params:
        """Return the module with other weights; what else is in it comes through unchanged."""
        structure, rows = self.static
        moved = iter(weights)
        return structure.unflatten(
            next(moved) if kind == "weight" else array if kind == "array" else leaf
            for (kind, leaf), array in zip(rows, self.arrays, strict=True)
        )


jax.tree_util.register_pytree_node(
    Module, lambda found: ((found.arrays,), found.static), lambda static, x: Module(x[0], static)
)


def digest_of(*trees: Any) -> bytes:
    """Return a hash of the numbers in trees of arrays, of their types and shapes.

    >>> digest_of([1.0, jnp.ones(2)]) == digest_of([1.0, jnp.ones(2)]) != digest_of([1.0])
    True
    """
    found = hashlib.blake2b(digest_size=16)
    for leaf in jax.tree.leaves(trees):
        is_key = jnp.issubdtype(getattr(leaf, "dtype", None) or int, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()


def fingerprint(*parts: Any) -> str:
    """Return what is the same in every process for the same programs, trees of arrays and texts.

    Functions of Python that a program calls are known by their names alone.

    Args:
        parts: Programs (closed jaxprs, with the arrays in them), trees of arrays, and texts.

    >>> double = jax.make_jaxpr(lambda x: 2 * x)(1.0)
    >>> fingerprint(double) == fingerprint(jax.make_jaxpr(lambda x: 2 * x)(1.0))
    True
    >>> fingerprint(double) == fingerprint(jax.make_jaxpr(lambda x: 3 * x)(1.0))
    False
    """
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode())
        elif isinstance(part, ClosedJaxpr):
            found.update(_ADDRESS.sub("", str(part.jaxpr)).encode())
            found.update(digest_of(_constants(part)))
        else:
            found.update(digest_of(part))
    return found.hexdigest()


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def _constants(program: ClosedJaxpr) -> list[Any]:
    """Return the arrays in a program and in the programs inside of it."""
    found, inside = list(program.consts), [program.jaxpr]
    while inside:
        for equation in inside.pop().eqns:
            for value in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda x: isinstance(x, ClosedJaxpr | Jaxpr)
            ):
                if isinstance(value, ClosedJaxpr):
                    found += value.consts
                    inside.append(value.jaxpr)
                elif isinstance(value, Jaxpr):
                    inside.append(value)
    return found


def partitioned(params: Params) -> tuple[list, Module] | None:
    """Return the weights of modules of Equinox or Flax and the rest; None for trees without any.

    Weights are arrays of floats, as for ``equinox.partition``, and of the variables of Flax those
    that are ``nnx.Param``, as for ``nnx.grad``. Other trees must hold only weights.
    """
    if not any(map(_is_module, jax.tree.leaves(params, is_leaf=_is_module))):
        return None
    leaves, structure = jax.tree.flatten(params, is_leaf=_is_none)
    is_weight: list[bool] = []
    for node in jax.tree.leaves(params, is_leaf=lambda x: _is_none(x) or _is_a(x, "Variable")):
        is_state = _is_a(node, "Variable") and not _is_a(node, "Param")
        is_weight += [
            not is_state and _is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact)
            for leaf in jax.tree.leaves(node, is_leaf=_is_none)
        ]
    rows, arrays, weights = [], [], []
    for leaf, moves in zip(leaves, is_weight, strict=True):
        kind = "weight" if moves else "array" if _is_array(leaf) else "static"
        rows.append((kind, leaf if kind == "static" else None))
        arrays.append(leaf if kind == "array" else None)
        weights += [leaf] * moves
    return weights, Module(tuple(arrays), (structure, tuple(rows)))


def of_weights(loss_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loss of modules as one of their weights and the rest of them."""
    scalar(loss_fn)  # refuses what is no function
    return lambda weights, module, *args: loss_fn(module.join(weights), *args)


def _is_module(node: Any) -> bool:
    """Tell whether a node is of Equinox or Flax, which need not be there to ask."""
    return any(
        base.__module__.split(".")[0] == "equinox" or base.__module__.startswith("flax.nnx")
        for base in type(node).__mro__
    )


def _is_none(x: Any) -> bool:
    return x is None


def _is_a(node: Any, name: str) -> bool:
    """Tell whether a node is a kind of variable of Flax."""
    return any(
        base.__name__ == name and base.__module__.startswith("flax.nnx")
        for base in type(node).__mro__
    )


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape")


def is_traced(tree: Any) -> bool:
    """Tell whether a pytree has leaves whose values JAX does not know yet.

    >>> is_traced([1.0, jnp.ones(2)])
    False
    """
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def refuse_traced(tree: Any, what: str) -> None:
    """Refuse values that JAX does not know yet, where they must be known.

    Raises:
        InvalidPoint: There are such leaves.
    """
    if is_traced(tree):
        raise InvalidPoint(
            f"{what} needs the numbers of its arguments, and inside of jax.jit, jax.vmap and "
            f"jax.grad there are none yet; call it outside of them, once for each point"
        )


def sampled(tree: Params, size: int = _SAMPLE) -> jax.Array:
    """Return about ``size`` entries of a pytree, evenly spaced in each leaf, or all if fewer.

    >>> sampled([jnp.arange(10.0), jnp.ones((2, 2))], size=7).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 1.0, 1.0]
    """
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)]
    stride = -(-sum(leaf.size for leaf in leaves) // size)
    return jnp.concatenate([leaf[::stride] for leaf in leaves])


@jax.jit
def is_finite(tree: Params) -> Any:
    """Return whether all entries of all leaves are finite.

    >>> bool(is_finite([1.0, jnp.array([jnp.nan])]))
    False
    """
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def epsilon(params: Params) -> float:
    """Return the distance from 1 to the next number, in the least precise leaf.

    >>> epsilon([jnp.ones(2), jnp.ones(2, "bfloat16")]) == 2.0**-7
    True
    """
    return max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(params))


_PRECISIONS = (None, "float32", "float64")


@contextmanager
def double_precision(enabled: bool = True) -> Iterator[None]:
    """Let JAX compute with doubles inside a block, or not.

    >>> with double_precision():
    ...     jnp.ones(2).dtype.name
    'float64'
    """
    if hasattr(jax, "enable_x64"):
        switch = jax.enable_x64
    else:
        from jax.experimental import enable_x64 as switch
    with switch(enabled):
        yield


def check_precision(precision: Any) -> str | None:
    """Return the name of a precision, or None for that of the weights.

    >>> check_precision("float64")
    'float64'
    """
    if precision not in _PRECISIONS:
        raise InvalidValue(
            f"precision is {shortened(precision)}; it must be 'float32', 'float64', or None for "
            f"that of "
            f"the weights"
        )
    return precision


def in_precision(precision: str | None):
    """Return a context in which JAX has the numbers of a precision.

    >>> with in_precision("float64"):
    ...     cast({"w": 0.5}, "float64")["w"].dtype.name
    'float64'
    """
    return double_precision() if precision == "float64" else nullcontext()


def cast(tree: Any, precision: str | None) -> Any:
    """Return a pytree with its floating leaves in a precision; others stay as they are.

    Without a precision, leaves of half precision, which the differences of steps are lost in, are
    taken in single precision.

    >>> cast([jnp.ones(2), jnp.arange(2)], "float32")[1].dtype.name
    'int32'
    >>> cast(jnp.ones(2, "bfloat16"), None).dtype.name
    'float32'
    """
    return jax.tree.map(lambda leaf: _cast(leaf, precision), tree)


def _cast(leaf: Any, precision: str | None) -> Any:
    kind = getattr(leaf, "dtype", None)
    if kind is not None and jnp.issubdtype(kind, jnp.floating):
        is_half = jnp.finfo(kind).bits < 32
        return jnp.asarray(leaf, precision or "float32") if precision or is_half else leaf
    return jnp.asarray(leaf, precision) if precision and isinstance(leaf, float) else leaf
