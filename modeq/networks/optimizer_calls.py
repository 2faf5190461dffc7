"""What the update of an optimizer of optax needs, and what whole numbers in its state do.

Nothing is told by names; all is measured on calls at a fixed gradient. A whole number that grows
evenly is a counter. One that returns after p calls makes p calls one step. One that does neither
holds random numbers, or a longer period; it must not matter to updates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeq.checks import shortened
from modeq.errors import InvalidMethod, ModeqError

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError("modeq.networks.optimizer_calls needs JAX: pip install modeq[jax]") from error

State = Any
Update = Callable[[Any, State, Any], tuple[Any, State]]

SETTLED = 10**9
"""The number of calls after which the corrections of averages for their youth are 1."""

_LONGEST_PERIOD = 256

_OTHER = 0.7371
"""What a gradient is multiplied by so that sums of its entries are no whole numbers by chance."""


def check_optimizer(optimizer: Any) -> Any:
    """Return an optimizer of optax, if it has an init and an update.

    >>> check_optimizer("adam")
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: the optimizer is 'adam'; it must be a gradient transformation of
    optax, with init and update, such as optax.sgd(0.1)
    """
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise InvalidMethod(
            f"the optimizer is {shortened(optimizer)}; it must be a gradient transformation of "
            f"optax, with "
            f"init and update, such as optax.sgd(0.1)"
        )
    return optimizer


def first_state(optimizer: Any, params: Any, gradient: Any) -> State:
    """Return the state at rest, if an update takes a gradient, a state and weights, and no more.

    Raises:
        InvalidMethod: It needs other arguments or weights, or gives something else.

    >>> import optax
    >>> first_state(optax.polyak_sgd(), jnp.ones(2), jnp.ones(2))
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: the update of the optimizer needs the argument 'value'; a step of
    the weights alone has only a gradient, a state and weights to give
    """
    state = _called("init", optimizer.init, params)
    pair = _called("update", jax.eval_shape, optimizer.update, gradient, state, params)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise InvalidMethod(
            f"the update of the optimizer returns {shortened(pair)}; it must be a pair of an "
            f"update of the weights and a state"
        )
    update, after = pair
    _refuse_other_shapes(update, params)
    kinds = [
        (jax.tree.structure(x), [jnp.shape(leaf) for leaf in jax.tree.leaves(x)])
        for x in (state, after)
    ]
    if kinds[0] != kinds[1]:
        raise InvalidMethod(
            f"the update of the optimizer gives a state of another structure than its init: "
            f"{shortened(after)}, not {shortened(state)}"
        )
    programs = [_program(optimizer.update)(gradient, state, params) for _ in range(2)]
    if _text(programs[0]) != _text(programs[1]):
        raise InvalidMethod(
            "the update of the optimizer is another one each time that it is asked for: it reads "
            "random numbers, or something else, that is not in its state"
        )
    return state


def _called(what: str, function: Callable, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ModeqError:
        raise
    except Exception as error:  # Whatever the optimizer raises, it is the optimizer that fails.
        text = str(error)
        missing = re.search(r"missing \d+ required .*arguments?: (.*)", text)
        if missing:
            names = missing[1]
            raise InvalidMethod(
                f"the {what} of the optimizer needs the argument{'s' if ' ' in names else ''} "
                f"{names}; a step of the weights alone has only a gradient, a state and weights "
                f"to give"
            ) from error
        attribute = re.search(r"has no attribute '?(\w+)", text)
        if attribute and isinstance(error, AttributeError):
            raise InvalidMethod(
                f"the {what} of the optimizer needs weights with an attribute "
                f"{attribute[1]!r}, and not those that the loss has; a step of the weights alone "
                f"has only a gradient, a state and weights to give"
            ) from error
        line = text.strip().splitlines()[0] if text.strip() else ""
        raise InvalidMethod(
            f"the {what} of the optimizer fails at these weights, given a gradient, a state and "
            f"weights only: {type(error).__name__}: {line[:200]}"
        ) from error


def _refuse_other_shapes(update: Any, params: Any) -> None:
    shapes = [(x.shape, jnp.issubdtype(x.dtype, jnp.floating)) for x in jax.tree.leaves(update)]
    wanted = [(jnp.shape(x), True) for x in jax.tree.leaves(params)]
    if shapes != wanted or jax.tree.structure(update) != jax.tree.structure(params):
        raise InvalidMethod(
            f"the update of the optimizer has the shapes {shortened([s for s, _ in shapes])}; "
            f"weights of the shapes {shortened([s for s, _ in wanted])} need as many floats"
        )


def _program(update: Update) -> Callable[..., Any]:
    """Return what traces an update anew: JAX remembers what a function was the first time."""
    return jax.make_jaxpr(lambda *arguments: update(*arguments))


def _text(program: Any) -> str:
    constants = [np.asarray(x).tobytes() for x in program.consts if not is_key(x)]
    return re.sub(r" at 0x[0-9a-f]+", "", str(program)) + str(constants)


def is_key(leaf: Any) -> bool:
    """Tell whether a leaf holds keys of random numbers, by its type."""
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def leaf_names(state: State) -> list[str]:
    """Return what to call each leaf of a state.

    >>> import optax
    >>> leaf_names(optax.adam(0.1).init(jnp.ones(2)))
    ['[0].count', '[0].mu', '[0].nu']
    """
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]


@dataclass(frozen=True)
class WholeNumbers:
    """What the whole numbers in a state do.

    Attributes:
        period: After how many calls all but the counters are what they were.
        counters: Which leaves grow evenly from period to period.
    """

    period: int = 1
    counters: tuple[int, ...] = ()

    def set_to(self, state: State, values: dict[int, int]) -> State:
        """Return a state with some of its counters at other values."""
        leaves, structure = jax.tree.flatten(state)
        for leaf, value in values.items():
            leaves[leaf] = jnp.full_like(leaves[leaf], _in_range(value, leaves[leaf]))
        return structure.unflatten(leaves)


def _in_range(value: int, leaf: Any) -> int:
    kind = jnp.result_type(leaf)
    return min(value, int(jnp.iinfo(kind).max) // 2) if jnp.issubdtype(kind, jnp.integer) else value


def whole_numbers(update: Update, state: State, params: Any, gradient: Any) -> WholeNumbers:
    """Return what the whole numbers in a state do, measured on 768 calls at a fixed gradient.

    Raises:
        InvalidMethod: One does nothing that a field could have, and matters.

    >>> import optax
    >>> w, every = jnp.ones(2), optax.chain(optax.apply_every(3), optax.scale_by_adam())
    >>> found = whole_numbers(every.update, every.init(w), w, w)
    >>> found.period, [leaf_names(every.init(w))[leaf] for leaf in found.counters]
    (3, ['[1].count'])
    """
    gradient = jax.tree.map(lambda g: _OTHER * g, gradient)
    call = jax.jit(lambda state: update(gradient, state, params)[1])
    state = jax.tree.map(as_array, call(state))
    leaves, structure = jax.tree.flatten(state)
    watched = [i for i, leaf in enumerate(leaves) if _may_count(leaf)]
    if not watched:
        return WholeNumbers()

    def along(state: State) -> list:
        """Return what the watched leaves are after each call."""

        def next_one(now: list, _: Any) -> tuple[list, list]:
            after = jax.tree.leaves(call(structure.unflatten(now)))
            after = [like_old(x, y) for x, y in zip(after, now, strict=True)]
            return after, [jax.random.key_data(x) if is_key(x) else x for x in _at(after, watched)]

        return jax.lax.scan(next_one, jax.tree.leaves(state), None, 3 * _LONGEST_PERIOD)[1]

    along = jax.jit(along)
    values = dict(zip(watched, map(_as_whole, along(state)), strict=True))
    values = {i: v for i, v in values.items() if not _is_float(leaves[i]) or _counts(v)}
    growths = {i: _even_growth(v) for i, v in values.items()}
    names = leaf_names(state)
    for leaf in [leaf for leaf, growth in growths.items() if growth is None]:
        if _matters(update, state, params, gradient, leaf, values[leaf]):
            raise InvalidMethod(
                f"calls that differ only in the leaf {names[leaf]} of the optimizer's state give "
                f"different updates, and it neither grows evenly nor returns within "
                f"{_LONGEST_PERIOD} calls: {_what_else(leaves[leaf])}; there is no field then"
            )
        del growths[leaf]
    period = math.lcm(*(growth[0] for growth in growths.values()), 1)
    if period > _LONGEST_PERIOD:
        raise InvalidMethod(
            f"the state of the optimizer returns after {period} calls only; periods of up to "
            f"{_LONGEST_PERIOD} calls are taken as one step"
        )
    found = WholeNumbers(period, tuple(leaf for leaf, growth in growths.items() if growth[1]))
    whole_leaves = [leaf for leaf in found.counters if not _is_float(leaves[leaf])]
    later = found.set_to(state, dict.fromkeys(whole_leaves, SETTLED))
    again = dict(zip(watched, map(_as_whole, along(later)), strict=True))
    for leaf in whole_leaves:
        if _even_growth(again[leaf]) != growths[leaf]:
            raise InvalidMethod(
                f"the leaf {names[leaf]} of the optimizer's state grows at first and not from "
                f"{SETTLED} on: it belongs to a period of more than {_LONGEST_PERIOD} calls, which "
                f"are not taken as one step"
            )
    return found


def as_array(leaf: Any) -> jax.Array:
    """Return a leaf of a state as an array of a type of its own."""
    return leaf if is_key(leaf) else jnp.asarray(leaf, jnp.result_type(leaf))


def like_old(leaf: Any, old: Any) -> jax.Array:
    """Return a leaf after a call in the type that it had before."""
    return leaf if is_key(leaf) else jnp.asarray(leaf, jnp.result_type(old))


def _at(leaves: list, which: list[int]) -> list:
    return [leaves[i] for i in which]


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _may_count(leaf: Any) -> bool:
    return leaf.size > 0 and (not _is_float(leaf) or leaf.ndim == 0)


def _as_whole(values: Any) -> np.ndarray:
    """Return the values of a leaf after each call, one row a call, as integers where they are."""
    rows = np.asarray(values).reshape(len(values), -1)
    return rows if rows.dtype.kind == "f" else rows.astype(np.int64)


def _counts(values: np.ndarray) -> bool:
    """Tell whether floats are whole numbers that grow evenly."""
    if not (np.all(np.isfinite(values)) and np.all(values == np.round(values))):
        return False
    growth = _even_growth(values)
    return growth is not None and growth[1] > 0


def _even_growth(values: np.ndarray) -> tuple[int, int] | None:
    """Return after how many calls a leaf has grown evenly, and by how much, or None.

    The first calls may be others.
    """
    late = values[_LONGEST_PERIOD:]
    for period in range(1, _LONGEST_PERIOD + 1):
        growth = late[period:] - late[:-period]
        if np.all(growth == growth.flat[0]):
            return period, int(growth.flat[0])
    return None


def _what_else(leaf: Any) -> str:
    if is_key(leaf) or jnp.result_type(leaf) == jnp.uint32:
        return "it holds random numbers"
    return "it holds random numbers, or a longer period"


def _matters(
    update: Update, state: State, params: Any, gradient: Any, leaf: int, values: np.ndarray
) -> bool:
    """Tell whether a call depends on which of some values a leaf has."""
    leaves, structure = jax.tree.flatten(state)
    kept = leaves[leaf]
    data = jax.random.key_data(kept) if is_key(kept) else kept

    def called(row: jax.Array) -> list:
        value = row.reshape(data.shape).astype(data.dtype)
        if is_key(kept):
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(kept))
        given = structure.unflatten([*leaves[:leaf], value, *leaves[leaf + 1 :]])
        return outcome(update, 1, given, params, gradient)

    @jax.jit
    def furthest(rows: jax.Array) -> jax.Array:
        first = called(rows[0])
        return jnp.max(jax.lax.map(lambda row: distance(called(row), first), rows))

    return float(furthest(jnp.asarray(values))) > negligible(params)


def negligible(params: Any) -> float:
    """Return which part of an update is taken for rounding errors."""
    return 1e3 * max(float(jnp.finfo(jnp.result_type(x)).eps) for x in jax.tree.leaves(params))


def outcome(
    update: Update, calls: int, state: State, params: Any, gradient: Any, apart: tuple = ()
) -> list:
    """Return the change of the weights in some calls at a fixed gradient, and the floats after it.

    Each is a vector. Leaves of the state that stand ``apart`` are left out.
    """
    like, structure = jax.tree.flatten(state)

    def call(now: tuple, _: Any) -> tuple[tuple, None]:
        leaves, total = now
        change, after = update(gradient, structure.unflatten(leaves), params)
        total = jax.tree.map(lambda t, c: t + c.astype(t.dtype), total, change)
        return (
            [like_old(x, y) for x, y in zip(jax.tree.leaves(after), like, strict=True)],
            total,
        ), None

    start = (list(map(as_array, like)), jax.tree.map(jnp.zeros_like, params))
    (leaves, total), _ = call(start, None) if calls == 1 else jax.lax.scan(call, start, None, calls)
    change = jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(total)])
    kept = [x for i, x in enumerate(leaves) if i not in apart and _is_float(x)]
    return [change, *map(jnp.ravel, kept)]


def distance(some: list, others: list) -> jax.Array:
    """Return how far vectors are from others, in parts of those, at most."""
    found = []
    for x, y in zip(some, others, strict=True):
        x, y = (jnp.where(jnp.isnan(x) & jnp.isnan(y), 0, z) for z in (x, y))
        miss, size = jnp.linalg.norm(x - y), jnp.linalg.norm(y)
        found.append(jnp.where(miss == 0, 0.0, miss / size))  # infinite where others are 0
    return jnp.max(jnp.nan_to_num(jnp.stack(found), nan=jnp.inf, posinf=jnp.inf))
