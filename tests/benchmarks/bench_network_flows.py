"""Solvers for flows of networks: SciPy's DOP853 against diffrax's Dopri8, and what flows cost."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from measure import Row, best

STEPS = 4
SIZES = (((8, 8, 4), 64), ((64, 32, 10), 500), ((784, 100, 10), 500))
"""The widths of networks, and how many points they are fitted to."""


def network(widths, points):
    """Return the mean square error of a tanh network on random data, and its weights."""
    import jax.numpy as jnp

    random = np.random.default_rng(0)
    x, y = random.normal(size=(points, widths[0])), random.normal(size=(points, widths[-1]))
    pairs = pairwise(widths)
    params = [random.normal(size=shape) / np.sqrt(shape[0]) for shape in pairs]

    def loss(weights):
        z = x
        for w in weights[:-1]:
            z = jnp.tanh(z @ w)
        return jnp.mean((z @ weights[-1] - y) ** 2)

    return loss, params


def by_scipy(loss, theta, h, tolerance):
    from modeq.networks import SeriesFlow
    from modeq.networks.trajectories import advance

    field = SeriesFlow(0).bind(loss)
    for _ in range(STEPS):
        theta = advance(field, theta, h, tolerance)
    return theta


def by_diffrax(loss, h, tolerance):
    """Return the function that solves as many steps with diffrax, compiled as one step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffrax
        import jax

    def field(t, theta, args):
        return -jax.grad(loss.of_vector)(theta)

    @jax.jit
    def step(theta):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Dopri8(),
            0.0,
            h,
            h / 2,
            theta,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance / 100),
            saveat=diffrax.SaveAt(t1=True),
        ).ys[0]

    def solve(theta):
        for _ in range(STEPS):
            theta = step(theta)
        return np.asarray(theta)

    return solve


def solvers(loss, theta, h) -> Iterator[Row]:
    """Yield the time of both for the same steps, and what compiling costs the second."""
    from modeq.networks import double_precision

    name = f"{len(theta)} weights"
    mine = best(lambda: by_scipy(loss, theta, h, 1e-9), 2)
    yield Row(f"{name}: {STEPS} steps of h, SciPy", mine)
    if find_spec("diffrax") is None:
        return
    with double_precision():
        theirs = by_diffrax(loss, h, 1e-9)
        first = best(lambda: theirs(theta), 1)
        after = best(lambda: theirs(theta), 2)
        apart = np.abs(theirs(theta) - by_scipy(loss, theta, h, 1e-9)).max()
    yield Row(f"{name}: the same with diffrax", after)
    yield Row(f"{name}: compiling that", first - after)
    yield Row(f"{name}: how far apart they are", apart, 1e-7, unit="")


def costs(loss, theta, h) -> Iterator[Row]:
    """Yield what a field of the principal flow costs, in gradients."""
    from modeq.networks import TopPrincipalFlow

    loss.gradient(theta)
    gradient = best(lambda: loss.gradient(theta), 5)
    for flow in (TopPrincipalFlow(1, frozen=True), TopPrincipalFlow(1)):
        field = flow.bind(loss)
        field.begin(theta, h)
        field.rhs(theta, h)
        spent = best(lambda field=field: field.rhs(theta, h), 3)
        yield Row(f"{len(theta)} weights: {flow.name}", spent / gradient, unit="gradients")


def rows() -> Iterator[Row]:
    if find_spec("jax") is None:
        return
    from modeq.networks.flat_loss import flattened

    for widths, points in SIZES:
        loss, theta = flattened(*network(widths, points), "float64")
        yield from solvers(loss, theta, 0.3)
        yield from costs(loss, theta, 0.3)
