"""Epochs are what loops over the batches do, and their means are those over all orders."""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
import sympy

import modeq
import modeq.testing
from modeq import (
    CyclicEpoch,
    EpochWithReplacement,
    PairedReversal,
    SequentialUpdates,
    ShuffledEpoch,
)
from modeq.errors import InvalidMethod


class Powers:
    """Fields θ ↦ c + θ^c of one number, in parts, with exact values."""

    def __init__(self, count):
        self.parts = [lambda theta, c=c: c + theta**c for c in range(1, count + 1)]


START, H = Fraction(1, 3), Fraction(1, 7)


def walk(order, size=Fraction(1), theta=START):
    for batch in order:
        theta = theta + H * size * ((batch + 1) + theta ** (batch + 1))
    return theta


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def one_step(method):
    return method.rule(START, Powers(method.colors), H)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_a_cyclic_epoch_is_a_loop_over_the_batches(order):
    assert one_step(CyclicEpoch(3, order)) == walk(order)


def test_the_natural_order_is_the_default():
    assert CyclicEpoch(4) == CyclicEpoch(4, [0, 1, 2, 3])


@pytest.mark.parametrize(("players", "inner"), [(2, 1), (2, 3), (3, 2)])
def test_alternating_updates_are_sequential_ones(players, inner):
    sequence = [0] * inner + list(range(1, players))
    assert SequentialUpdates(sequence) == modeq.AlternatingUpdates(players, inner)


@pytest.mark.parametrize("batches", [2, 3, 4])
def test_the_shuffled_epoch_is_the_mean_over_all_orders(batches):
    assert one_step(ShuffledEpoch(batches)) == mean(map(walk, permutations(range(batches))))


@pytest.mark.parametrize("batches", [2, 3, 4])
def test_the_epoch_with_replacement_is_the_mean_over_all_draws(batches):
    draws = product(range(batches), repeat=batches)
    assert one_step(EpochWithReplacement(batches)) == mean(map(walk, draws))


def test_paired_reversal_goes_forwards_and_backwards_in_half_steps():
    assert one_step(PairedReversal(3)) == walk([0, 1, 2, 2, 1, 0], size=Fraction(1, 2))


def descents(tree):
    """Yield the colors of each vertex and its child."""
    for child in tree.children:
        yield tree.color, child.color
        yield from descents(child)


@pytest.mark.parametrize("batches", [2, 3])
def test_a_coefficient_of_the_shuffled_map_counts_the_orders_in_which_children_come_first(batches):
    series = modeq.method_series(ShuffledEpoch(batches), order=2)
    for tree, coefficient in series.items():
        orders = [list(order) for order in permutations(range(batches))]
        fitting = [
            all(o.index(child) < o.index(parent) for parent, child in descents(tree))
            for o in orders
        ]
        assert coefficient == Fraction(sum(fitting), len(orders))


def test_the_mean_of_the_fields_is_the_field_of_the_mean_through_the_second_power_of_h():
    fields = [modeq.modified_equation(CyclicEpoch(3, o), 3) for o in permutations(range(3))]
    average = sum(fields) / len(fields)
    of_mean = modeq.modified_equation(ShuffledEpoch(3), 3)
    assert average.cut(2) == of_mean.cut(2)
    assert average != of_mean


def test_cyclic_coordinate_descent_is_the_fixed_order_case():
    x, y = sympy.symbols("x y")
    loss = modeq.Loss(x**2 * y + y**3, (x, y))
    equation = modeq.derive(loss.split("x", "y"), 2, CyclicEpoch(2))
    moved = x - equation.h * loss.gradient[0]
    step = [moved, y - equation.h * loss.gradient[1].subs(x, moved)]
    modeq.testing.assert_follows(equation, step, order=2)


def test_integers_of_numpy_count_as_integers():
    batches, order = np.int64(3), np.array([2, 0, 1])
    assert CyclicEpoch(batches, order) == CyclicEpoch(3, [2, 0, 1])
    assert SequentialUpdates(order) == SequentialUpdates([2, 0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CyclicEpoch(1), "batches is 1; it must be an integer >= 2"),
        (lambda: CyclicEpoch(True), "batches is True"),
        (lambda: CyclicEpoch(3, [0, 1]), r"order is \[0, 1\]; it must hold 0 to 2"),
        (lambda: CyclicEpoch(2, [0, "a"]), "it must hold 0 to 1"),
        (lambda: CyclicEpoch(2, 5), "order is 5; it must hold parts"),
        (lambda: CyclicEpoch(2, [0, 0]), "it must hold 0 to 1"),
        (lambda: PairedReversal(2.0), "batches is 2.0"),
        (lambda: ShuffledEpoch(6), "at most 5, and for more by shuffled_field"),
        (lambda: EpochWithReplacement(5), "batches is 5; .* at most 4"),
        (lambda: SequentialUpdates([0, 2]), r"the sequence is \[0, 2\]"),
        (lambda: SequentialUpdates([0, 0]), "at least two parts"),
        (lambda: SequentialUpdates([]), "at least two parts"),
        (lambda: SequentialUpdates([0, True]), "it must hold the parts"),
        (lambda: SequentialUpdates("01"), "it must hold parts, such as"),
        (lambda: SequentialUpdates(3), "it must hold parts, such as"),
    ],
)
def test_what_is_no_epoch_is_refused(call, message):
    with pytest.raises(InvalidMethod, match=message):
        call()
