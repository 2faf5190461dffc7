"""Single and double precision: JAX has doubles only where they are switched on.

    with double_precision():
        ...

switches them on for a block. Arrays of doubles may leave the block, to be converted to NumPy; JAX's
own arithmetic on them belongs inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from modeq.errors import InvalidValue

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.precision needs JAX: pip install modeq[jax]") from error

PRECISIONS = (None, "float32", "float64")


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
    if precision not in PRECISIONS:
        raise InvalidValue(
            f"precision is {precision!r}; it must be 'float32', 'float64', or None for that of "
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
