"""Sums over all trees that become one tree when vertices with one child are left out.

A step in m of θ_{m+1} = θ_m + h f(θ_m) multiplies by μ = 1 + hν in each eigendirection of the
Jacobian, and chains of vertices with one child are powers of it. What is left is a *reduced* tree,
in which no vertex has one child. Its iterates, as functions of the step index m, are

    A_v(m) = Σ_{s<m} μ_v^{m-1-s} Π_u A_u(s)        over the children u of the vertex v,

sums of exponentials b^m (with powers of m where bases meet), because
Σ_{s<m} μ^{m-1-s} b^s = (b^m - μ^m)/(b - μ). The coefficient of the flow is the derivative at m = 0
at the root, which turns b^m into log b. The Taylor series of that coefficient in the hν_v has the
coefficients of modified_equation: those of the trees with so many vertices put in above each v.

With memory (see ``recurrence``) the same holds with a root of the characteristic equation
ρ(μ) = hν σ(μ) for μ, and ρ(b) - hν σ(b) for b - μ.

Of s steps taken as one the iterates are the same A_v(m), at m = 0, s, 2s, … only. The exponentials
through them are those of (1/s) log bˢ, with any branch of the logarithm: the bases b stay in the
denominators as they are, and only what they become in the end is another logarithm.

Everything is a function of the logarithms of the multipliers, analytic but where a product of
them equals another one up to 2πi; log b means the sum of the logarithms of the factors of b.
Where a denominator vanishes and the function does not, its value is the mean over a circle.

This is derived here; for one third derivative the closed form is checked in the tests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import sympy

from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.errors import InvalidValue
from modeq.principal.fork import fork_coefficients
from modeq.principal.recurrence import PLAIN, Recurrence

NODES = 32
SHRINK = 0.25
"""The radius of the circle, in parts of the distance to the next pole: its powers are the error."""

CLOSE = 1e-9
"""Logarithms that differ by less, rounding apart, are equal."""

MAX_ENTRIES = 5_000_000
"""Coefficients for more choices of eigendirections would not fit into memory."""

BLOCK = 4_096
"""Points that are worked on at a time."""

Term = tuple[Any, Any, Any]
"""A coefficient c, a base b and its logarithm, for c·b^m."""


@cache
def reduced_trees(excess: int) -> tuple[RootedTree, ...]:
    """Return the trees in which no vertex has one child, with ``excess`` + 1 leaves.

    The excess is Σ (children - 1) over the vertices with children: the power of f in the
    elementary differential beyond the first.

    >>> print(*reduced_trees(0), *reduced_trees(1), *reduced_trees(2))
    • [•,•] [[•,•],•] [•,•,•]
    """
    trees = itertools.chain.from_iterable(map(rooted_trees, range(2 * excess + 1, 0, -1)))
    return tuple(tree for tree in trees if _leaves(tree) == excess + 1)


def _leaves(tree: RootedTree) -> int:
    """Return how many leaves there are, or 0 if some vertex has one child."""
    return tree.fold(lambda below: 1 if not below else sum(below) if _branches(below) else 0)


def _branches(below: Sequence[int]) -> bool:
    return len(below) > 1 and all(below)


def coefficient(
    tree: RootedTree,
    logs: Sequence,
    recurrence: Recurrence = PLAIN,
    exp: Callable[[Any], Any] = np.exp,
    signs: Sequence | None = None,
) -> Any:
    """Return the coefficient of a reduced tree by its formula, over any kind of numbers.

    Args:
        tree: A reduced tree.
        logs: The logarithms of the multipliers, one for each vertex in the order of the level
            sequence. Where a denominator vanishes, so does the use of the formula.
        recurrence: The method.
        exp: The exponential function of these numbers.
        signs: What exp(log) is multiplied by to be the multiplier, for each vertex: roots of unity
            if several steps are composed, 1 unless given.

    >>> round(float(coefficient(RootedTree(), [math.log(0.5)])), 12)  # log(μ)/(μ - 1)
    1.38629436112
    """
    multipliers = [exp(log) for log in logs]
    if signs is not None:
        multipliers = [mu * sign for mu, sign in zip(multipliers, signs, strict=True)]
    vertices = iter(reversed(list(zip(multipliers, logs, strict=True))))

    def combine(children: list[list[Term]]) -> list[Term]:
        return _summed(_products(children, recurrence), *next(vertices), recurrence)

    return sum(c * log for c, _, log in tree.fold(combine))


def _products(children: Sequence[list[Term]], recurrence: Recurrence) -> Iterator[Term]:
    """Yield the terms of β f(…) for a product of sums of exponentials."""
    for chosen in itertools.product(*children):
        c, base, log = recurrence.weight([b for _, b, _ in chosen]), 1, 0
        for factor, b, ell in chosen:
            c, base, log = c * factor, base * b, log + ell
        yield c, base, log


def _summed(terms: Iterable[Term], mu: Any, ell: Any, recurrence: Recurrence) -> list[Term]:
    """Return the solution with A(0) = 0 of the recurrence with these terms on the right."""
    denominator = recurrence.denominator(mu)
    found = [(c / denominator(base), base, log) for c, base, log in terms]
    return [*found, (-sum(c for c, _, _ in found), mu, ell)]


def gaps(tree: RootedTree, logs: Sequence, roots: Sequence | None = None) -> list:
    """Return log b - log μ for every denominator in the coefficient of a tree, or log b - log r
    for other roots r.

    >>> gaps(RootedTree([RootedTree()] * 2), [1, 10, 100])
    [-100, -10, -1, 99, 9, 109]
    """
    found = []
    vertices = iter(reversed(list(zip(logs, logs if roots is None else roots, strict=True))))

    def combine(children: list[list]) -> list:
        ell, root = next(vertices)
        sums = [sum(chosen) for chosen in itertools.product(*children)]
        found.extend(total - root for total in sums)
        return [*sums, ell]

    tree.fold(combine)
    return found


@cache
def _directions(tree: RootedTree) -> tuple[np.ndarray, float]:
    """Return a direction for the logarithms in which no gap is small, the largest gap being one,
    and the smallest gap in it.
    """
    random = np.random.default_rng(0)
    best, score = None, -1.0
    for _ in range(400):
        trial = random.uniform(-1, 1, tree.order)
        sizes = np.abs(gaps(tree, list(trial)))
        if sizes.min() / sizes.max() > score:
            best, score = trial / sizes.max(), sizes.min() / sizes.max()
    return best, score


def coefficients(
    tree: RootedTree,
    logs: np.ndarray,
    others: np.ndarray,
    recurrence: Recurrence = PLAIN,
    phases: np.ndarray | None = None,
) -> np.ndarray:
    """Return the coefficients of a tree for all choices of an eigendirection at each vertex.

    Args:
        tree: A reduced tree with n vertices.
        logs: The logarithms of the d multipliers, of shape (d,).
        others: The logarithms of the other roots of each direction, of shape (d, k - 1).
        recurrence: The method.
        phases: What is left out of the logarithms because s steps are composed, multiples of
            2πi/s, of shape (d,); nothing unless given.

    Returns:
        An array of shape (d,) * n, with the removable limits at their places. It is inf or nan
        where a product of multipliers meets another one with another logarithm: a pole.
    """
    if phases is None or not np.any(phases):
        is_fork = recurrence.is_plain and tree == reduced_trees(1)[0]
        closed = fork_coefficients(logs) if is_fork else None
        if closed is not None:
            return closed
    return on_circles(tree, logs, others, recurrence, phases)


def on_circles(
    tree: RootedTree,
    logs: np.ndarray,
    others: np.ndarray,
    recurrence: Recurrence = PLAIN,
    phases: np.ndarray | None = None,
) -> np.ndarray:
    """Return the same by the general formula, and by means over circles around its limits."""
    n, d = tree.order, len(logs)
    _check_size(d, n)
    index = np.indices((d,) * n).reshape(n, -1)
    points = logs[index]
    left_out = np.zeros(d) if phases is None else phases
    signs = _roots_of_unity(left_out)[index]
    near, far = _distances(tree, points, left_out[index], others[index])
    direction, least = _directions(tree)
    radius = SHRINK * far
    on_circle = near < least * radius
    result = np.empty(points.shape[1], np.result_type(logs, signs))
    mean = partial(_mean, tree, recurrence, not np.iscomplexobj(result))
    with np.errstate(all="ignore"):
        if not on_circle.all():
            rows = [list(array[:, ~on_circle]) for array in (points, signs)]
            result[~on_circle] = coefficient(tree, rows[0], recurrence, signs=rows[1])
        chosen = np.flatnonzero(on_circle)
        for begin in range(0, len(chosen), BLOCK):
            part = chosen[begin : begin + BLOCK]
            steps = direction[:, None] * radius[part]
            result[part] = mean(points[:, part], steps, signs[:, part])
    return result.reshape((d,) * n)


def _check_size(dimension: int, vertices: int) -> None:
    if dimension**vertices > MAX_ENTRIES:
        raise InvalidValue(
            f"a tree with {vertices} vertices in {dimension} dimensions has "
            f"{dimension}**{vertices} coefficients, more than {MAX_ENTRIES:,}; take fewer "
            f"corrections"
        )


def _roots_of_unity(phases: np.ndarray) -> np.ndarray:
    """Return exp of the phases, real where they are 1 and -1."""
    signs = np.exp(phases)
    return np.rint(signs.real) if np.all(np.abs(signs.imag) < CLOSE) else signs


def _distances(
    tree: RootedTree, points: np.ndarray, phases: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the nearest vanishing denominator is, and the nearest pole.

    A denominator vanishes where the bases are equal, so that their logarithms differ by 2πi n; this
    is no pole if the logarithms that are used are equal there.
    """
    near = far = np.full(points.shape[1], np.inf)
    whole = points + phases
    for used, gap in zip(gaps(tree, list(points)), gaps(tree, list(whole)), strict=True):
        distance, beyond = _to_turns(gap)
        is_limit = np.abs(used - distance) < CLOSE * (1 + np.abs(gap))
        near = np.where(is_limit, np.minimum(near, np.abs(distance)), near)
        far = np.minimum(far, np.where(is_limit, beyond, np.abs(distance)))
    for k in range(others.shape[2]):
        for gap in gaps(tree, list(whole), list(others[:, :, k])):
            far = np.minimum(far, np.abs(_to_turns(gap)[0]))
    return near, np.minimum(far, 2 * math.pi)


def _to_turns(gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference to the nearest 2πi n, and how far the next one is."""
    distance = gap - 2j * math.pi * np.rint(np.imag(gap) / (2 * math.pi))
    side = np.where(distance.imag < 0, -1, 1)
    return distance, np.abs(distance - 2j * math.pi * side)


def _mean(
    tree: RootedTree,
    recurrence: Recurrence,
    is_real: bool,
    points: np.ndarray,
    steps: np.ndarray,
    signs: np.ndarray,
) -> np.ndarray:
    """Return the mean of the formula over a circle in the direction ``steps``; half a circle is
    enough for what is real at real points.
    """
    turns = np.exp(2j * math.pi * (np.arange(NODES // 2 if is_real else NODES) + 0.5) / NODES)
    around = points[:, None, :] + turns[:, None] * steps[:, None, :]
    beside = list(signs[:, None, :])
    mean = coefficient(tree, list(around), recurrence, signs=beside).mean(axis=0)
    return mean.real if is_real else mean


def symbolic_coefficient(
    tree: RootedTree, recurrence: Recurrence = PLAIN
) -> tuple[sympy.Expr, tuple[sympy.Symbol, ...]]:
    """Return the coefficient as a formula in the multipliers μ₀, μ₁, … of the vertices.

    >>> symbolic_coefficient(RootedTree())[0]
    -log(mu_0)/(1 - mu_0)
    """
    mu = sympy.symbols(f"mu_:{tree.order}")
    logs = [_Logarithm(m, sympy.log(m)) for m in mu]
    formula = coefficient(tree, logs, recurrence, exp=lambda log: log.base)
    return sympy.sympify(formula), mu


class _Logarithm:
    """The logarithm of a product of multipliers as a formula, which remembers the product."""

    def __init__(self, base: Any, log: Any):
        self.base = base
        self.log = log

    def __add__(self, other: _Logarithm) -> _Logarithm:
        return self if other == 0 else _Logarithm(self.base * other.base, self.log + other.log)

    __radd__ = __add__

    def __rmul__(self, factor: Any) -> Any:
        return factor * self.log
