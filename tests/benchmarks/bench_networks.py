"""Fields and counter terms of networks against gradient calls: time, memory, compilation, rounding.

Everything is compared with the jitted gradient of the same loss, measured in turns in the same run.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from measure import Row

from modeq.errors import RoundOffWarning
from modeq.networks import modified_field
from modeq.networks.jets import _counter_terms
from modeq.networks.models import mlp

NETWORKS = {"1e5 weights": (64, 280, 280, 10), "1e6 weights": (784, 784, 480, 10)}
POINTS = 1_024
"""In the batch: gradient descent is run on all data."""

FEW = 32
ORDERS = (1, 2, 4, 8)
TERMS = 4
WIDTHS = (64, 256)


def problem(widths: tuple[int, ...], points: int) -> tuple:
    """Return weights and a batch."""
    network = mlp(widths)
    random = np.random.default_rng(0)
    inputs = random.normal(size=(points, widths[0])).astype("float32")
    labels = random.integers(widths[-1], size=points)

    def loss(params, inputs, labels):
        scores = network.apply(params, inputs)
        return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(labels)), labels])

    params = jax.tree.map(lambda x: jnp.asarray(x, "float32"), network.init(seed=0))
    return loss, params, (jnp.asarray(inputs), jnp.asarray(labels))


def in_turns(actions: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Return the shortest time of each action, which are run one after the other, again and again.

    The machine may be busy with something else for a while; this way it is so for all of them.
    """
    shortest = dict.fromkeys(actions, np.inf)
    for action in actions.values():
        jax.block_until_ready(action())
    for _ in range(repeats):
        for name, action in actions.items():
            begin = time.perf_counter()
            jax.block_until_ready(action())
            shortest[name] = min(shortest[name], time.perf_counter() - begin)
    return shortest


def size_of(params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def field_times(name: str, widths: tuple[int, ...], points: int, limit: float | None):
    """Yield the time of fields over that of as many gradients."""
    loss, params, batch = problem(widths, points)
    gradient = jax.jit(jax.grad(loss))
    actions = {"gradient": partial(gradient, params, *batch)}
    for order in ORDERS:
        field = modified_field(loss, order)
        actions[f"order {order}"] = partial(field, params, 1e-2, *batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundOffWarning)
        found = in_turns(actions, 9)
    call = found.pop("gradient")
    for order, seconds in zip(ORDERS, found.values(), strict=True):
        what = f"{name}, {points} points: field of order {order}, {seconds * 1e3:.1f} ms, over"
        yield Row(f"{what} {order + 1} gradients", seconds / call / (order + 1), limit, "times")


def field_memory(name: str, widths: tuple[int, ...]) -> Iterator[Row]:
    """Yield the vectors of weights that a field takes, beside what a gradient takes for itself."""
    loss, params, batch = problem(widths, FEW)

    def memory(function, *given):
        return jax.jit(function).lower(*given).compile().memory_analysis()

    scratch = memory(jax.grad(loss), params, *batch).temp_size_in_bytes
    for order in (1, 8):
        used = memory(modified_field(loss, order).rhs, params, 1e-2, *batch)
        held = used.output_size_in_bytes + used.temp_size_in_bytes - scratch
        vectors = 1 + held / 4 / size_of(params)
        yield Row(f"{name}: memory of the field of order {order}", vectors, 4, "vectors")


def term_times(name: str, widths: tuple[int, ...], limit: float | None) -> Iterator[Row]:
    """Yield the time of counter terms over that of a gradient, and that of compiling them."""
    loss, params, batch = problem(widths, POINTS)
    gradient = jax.jit(jax.grad(loss))
    begin = time.perf_counter()
    terms = _counter_terms.lower(loss, TERMS, params, batch).compile()
    compiling = time.perf_counter() - begin
    actions = {
        "gradient": partial(gradient, params, *batch),
        "terms": partial(terms, params, batch),
    }
    found = in_turns(actions, 5)
    ratio = found["terms"] / found["gradient"]
    yield Row(f"{name}: counter terms to order {TERMS}, over a gradient", ratio, limit, "times")
    yield Row(f"{name}: compiling them", compiling, 30)


def compile_growth() -> Iterator[Row]:
    """Yield how much longer compiling counter terms takes for a wider network."""
    seconds = []
    for width in WIDTHS:
        loss, params, batch = problem((64, width, width, 10), FEW)
        begin = time.process_time()
        _counter_terms.lower(loss, TERMS, params, batch).compile()
        seconds.append(time.process_time() - begin)
    name = f"compiling counter terms, width {WIDTHS[1]} over width {WIDTHS[0]}"
    yield Row(name, seconds[1] / seconds[0], 1.5, "times")


def rounding() -> Iterator[Row]:
    """Yield the estimate of round-off in single precision over the measured one."""
    loss, params, batch = problem((64, 50, 10), 256)
    estimate = modified_field(loss, 2).round_off(params, 0.05, *batch, max_order=8).round_off
    for order in (1, 4, 8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundOffWarning)
            single = modified_field(loss, order)(params, 0.05, *batch)
            double = modified_field(loss, order, precision="float64")(params, 0.05, *batch)
        parts = zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True)
        error = np.sqrt(sum(np.sum((np.asarray(a, float) - np.asarray(b)) ** 2) for a, b in parts))
        ratio = estimate[order] / error
        yield Row(f"round-off of order {order}, estimated over measured", ratio, None, "times")


def rows() -> Iterator[Row]:
    for name, widths in NETWORKS.items():
        yield from field_times(name, widths, POINTS, 1.2)
        yield from field_times(name, widths, FEW, None)
        yield from field_memory(name, widths)
        yield from term_times(name, widths, 60)
    yield from compile_growth()
    yield from rounding()
