"""Methods that go through the parts of a field one after another, as tables.

An epoch over minibatches, players that move in turn, and means of such epochs over orders drawn at
random are additive Runge-Kutta methods: a stage is the point that some of the steps lead to, and
orders that begin alike share their stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import permutations, product
from typing import Any

from modeq.checks import MAX_PARTS, as_integer, shortened, whole
from modeq.errors import InvalidMethod
from modeq.methods.partitioned import AdditiveRungeKutta

Steps = tuple[tuple[int, Fraction], ...]
"""Pairs (c, a): a step of explicit Euler of size a·h in part c."""

MAX_SHUFFLED = 5
MAX_DRAWN = 4
"""How many parts there may be, where a mean is taken over all orders or draws."""


def SequentialUpdates(
    sequence: Sequence[int], name: str = "sequential updates"
) -> AdditiveRungeKutta:
    """Return explicit Euler for one part after the other, in any order.

    A part that occurs k times moves by h/k each time, so that its field acts for the time h.

    Args:
        sequence: The parts in the order in which they move. Each occurs at least once.
        name: What to call the method in print.

    Raises:
        InvalidMethod: A part below the largest one is missing, or there are fewer than two.

    >>> from modeq.methods.partitioned_by_name import AlternatingUpdates
    >>> SequentialUpdates([0, 0, 1]) == AlternatingUpdates(inner=2)
    True
    """
    sequence = _checked(sequence)
    times = Counter(sequence)
    steps = tuple((c, Fraction(1, times[c])) for c in sequence)
    return _mean([steps], len(times), name)


def CyclicEpoch(batches: int, order: Sequence[int] | None = None) -> AdditiveRungeKutta:
    """Return an epoch that takes a step on each batch, always in the same order.

        θ⁺ = θ_m,    θ_i = θ_{i-1} + h f_i(θ_{i-1}).

    The field is the sum of the parts, and an epoch takes the time h; see ``Minibatches`` for the
    field of the mean. A method of ``SequentialUpdates``.

    Args:
        batches: How many there are.
        order: The batches in the order in which they come; 0, 1, … if not given.

    Raises:
        InvalidMethod: There are fewer than two batches, or one is missing in the order.

    >>> print(CyclicEpoch(3, order=[2, 0, 1]))
    cyclic epoch
    """
    batches = _batches(batches)
    found = [*range(batches)] if order is None else _integers(order, "order")
    if None in found or sorted(found) != [*range(batches)]:
        raise InvalidMethod(
            f"order is {shortened(order)}; it must hold 0 to {batches - 1}, each of them once"
        )
    return SequentialUpdates(found, "cyclic epoch")


def PairedReversal(batches: int) -> AdditiveRungeKutta:
    """Return an epoch followed by one in the reversed order, together in the time h.

    Each step has the size h/2. The Lie brackets of the two epochs cancel at the first order.

    Raises:
        InvalidMethod: There are fewer than two batches.

    >>> PairedReversal(2) == SequentialUpdates([0, 1, 1, 0])
    True
    """
    forwards = list(range(_batches(batches)))
    return SequentialUpdates(forwards + forwards[::-1], "paired reversal")


def ShuffledEpoch(batches: int) -> AdditiveRungeKutta:
    """Return the mean of an epoch over all orders of the batches.

        θ⁺ = E φ_π(θ),    φ_π the epoch in the order π, all orders equally likely.

    It is the expected epoch, not one that anybody runs. The flow of the mean and the mean of the
    fields agree through h², and differ from h³ on.

    Raises:
        InvalidMethod: There are more than five batches, so more than 120 orders;
            ``shuffled_field`` knows the mean for any number, through h².

    >>> ShuffledEpoch(2).b
    ((Fraction(1, 2), Fraction(0, 1), Fraction(1, 2)), (Fraction(1, 2), Fraction(1, 2), ...
    """
    return _mean(map(_whole_steps, all_orders(batches)), batches, "shuffled epoch")


def EpochWithReplacement(batches: int) -> AdditiveRungeKutta:
    """Return the mean of an epoch of as many steps as there are batches, each drawn independently.

    In the clock of steps it is gradient descent on the mean, up to -h²(m-1)/4 ∇³L̄[Cov g] + O(h³),
    for the gradients are taken at points that scatter (derived here).

    Raises:
        InvalidMethod: There are more than four batches, so more than 256 draws.

    >>> EpochWithReplacement(2).b[0]
    (Fraction(1, 2), Fraction(1, 4), Fraction(1, 4))
    """
    return _mean(map(_whole_steps, all_draws(batches)), batches, "epoch with replacement")


def all_orders(batches: int) -> list[tuple[int, ...]]:
    """Return all orders of at most five batches.

    >>> all_orders(2)
    [(0, 1), (1, 0)]
    """
    return list(permutations(range(_batches(batches, MAX_SHUFFLED))))


def all_draws(batches: int) -> list[tuple[int, ...]]:
    """Return all draws, with replacement, of as many batches as there are, at most four.

    >>> all_draws(2)
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    return list(product(range(_batches(batches, MAX_DRAWN)), repeat=batches))


def _whole_steps(order: Iterable[int]) -> Steps:
    return tuple((c, Fraction(1)) for c in order)


def _mean(orders: Iterable[Steps], colors: int, name: str) -> AdditiveRungeKutta:
    """Return the mean of compositions of Euler steps, all equally likely."""
    orders = list(orders)
    beginnings = {order[:k] for order in orders for k in range(len(order))}
    stages = {steps: i for i, steps in enumerate(sorted(beginnings, key=lambda s: (len(s), s)))}
    A = [[[Fraction(0)] * len(stages) for _ in stages] for _ in range(colors)]
    b = [[Fraction(0)] * len(stages) for _ in range(colors)]
    for steps, i in stages.items():
        for c, j, size in _taken(steps, stages):
            A[c][i][j] += size
    for order in orders:
        for c, j, size in _taken(order, stages):
            b[c][j] += size / len(orders)
    return AdditiveRungeKutta(A, b, name)


def _taken(steps: Steps, stages: dict[Steps, int]) -> Iterable[tuple[int, int, Fraction]]:
    """Yield, for each step, its part, the stage that it starts from, and its size."""
    for k, (c, size) in enumerate(steps):
        yield c, stages[steps[:k]], size


def _checked(sequence: Any) -> list[int]:
    found = _integers(sequence, "the sequence")
    if None in found or len(set(found)) < 2 or set(found) != set(range(max(found) + 1)):
        raise InvalidMethod(
            f"the sequence is {shortened([*sequence])}; it must hold the parts 0, 1, ... of a "
            f"field, each of them at least once, and at least two parts"
        )
    return found


def _integers(values: Any, name: str) -> list[int | None]:
    """Return integers as they are, and None for whatever else is among them."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidMethod(f"{name} is {shortened(values)}; it must hold parts, such as [0, 1]")
    return [as_integer(value) for value in values]


def _batches(batches: Any, most: int | None = None) -> int:
    batches = whole(batches, "batches", 2, most=MAX_PARTS)
    if most is not None and batches > most:
        raise InvalidMethod(
            f"batches is {batches}; the mean over all orders is taken for at most {most}, and for "
            f"more by shuffled_field, through h**2"
        )
    return batches
