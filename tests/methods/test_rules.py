"""Update rules: one function over several arithmetics."""

from fractions import Fraction

import numpy as np
import pytest

from modeq.errors import DidNotConverge
from modeq.methods.rules import fixed_point, is_explicit, linear_multistep, runge_kutta

HALF = Fraction(1, 2)
TABLEAUX = {
    "euler": ([[0]], [1]),
    "heun": ([[0, 0], [1, 0]], [HALF, HALF]),
    "midpoint": ([[0, 0], [HALF, 0]], [0, 1]),
    "kutta": (
        [[0, 0, 0], [HALF, 0, 0], [-1, 2, 0]],
        [Fraction(1, 6), Fraction(2, 3), Fraction(1, 6)],
    ),
}


def by_hand(A, b, y, f, h):
    k = []
    for row in A:
        k.append(f(y + h * sum(a * kj for a, kj in zip(row, k, strict=False))))
    return y + h * sum(w * ki for w, ki in zip(b, k, strict=True))


@pytest.mark.parametrize("name", TABLEAUX)
def test_an_explicit_rule_is_the_tableau_written_out(name):
    A, b = TABLEAUX[name]
    f = lambda y: y * y - 1  # noqa: E731 - one line of mathematics
    assert runge_kutta(A, b)(HALF, f, Fraction(1, 3)) == by_hand(A, b, HALF, f, Fraction(1, 3))


@pytest.mark.parametrize("name", TABLEAUX)
def test_a_rule_runs_over_arrays(name):
    A, b = TABLEAUX[name]
    rule = runge_kutta([list(map(float, row)) for row in A], list(map(float, b)))
    y = np.array([0.5, -0.25])
    together = rule(y, np.sin, 0.1)
    assert together.tolist() == [rule(entry, np.sin, 0.1) for entry in y]


def test_an_implicit_rule_solves_its_stages_in_the_way_of_the_field():
    class Linear:
        """f(y) = -y, whose stage equation k = -(y + h k) is solved at once."""

        def __call__(self, y):
            return -y

        def fixed_point(self, sweep, start):
            (offset,), (value,) = sweep((Fraction(0),)), sweep((Fraction(1),))
            return (offset / (1 - (value - offset)),)

    assert runge_kutta([[1]], [1])(Fraction(1), Linear(), HALF) == Fraction(2, 3)


def test_a_stage_of_weight_zero_is_left_out():
    assert runge_kutta([[0, 0], [1, 0]], [0, 1])(1, lambda y: -y, HALF) == 1 - HALF * HALF


def test_a_rule_without_weights_stands_still():
    assert runge_kutta([[0]], [0])(3, lambda y: y, 1) == 3


@pytest.mark.parametrize(
    ("A", "explicit"),
    [([[0]], True), ([[1]], False), ([[0, 1], [0, 0]], False), ([[0, 0], [1, 0]], True)],
)
def test_explicit_means_strictly_lower_triangular(A, explicit):
    assert is_explicit(A) is explicit


def test_stages_that_never_settle_are_an_error():
    with pytest.raises(DidNotConverge, match="200"):
        fixed_point(lambda x: (x[0] + 1,), (0,))


@pytest.mark.parametrize("kind", [float, complex, np.array])
def test_implicit_stages_of_plain_numbers_settle_to_rounding(kind):
    rule = runge_kutta([[0.5]], [1.0])
    assert np.allclose(rule(kind(1.0), lambda y: -y, 0.1), 0.95 / 1.05, atol=1e-15, rtol=0)


def test_implicit_stages_of_several_points_settle_together():
    rule = runge_kutta([[0.5]], [1.0])
    y = np.array([0.5, -0.25, 2.0])
    assert np.allclose(rule(y, lambda y: -y, 0.1), y * 0.95 / 1.05, atol=1e-15, rtol=0)


def test_an_explicit_rule_with_memory_is_the_table_written_out():
    adams = linear_multistep(
        [0, Fraction(-1), Fraction(1)], [-HALF, 3 * HALF], [[1, 0, 0], [0, 1, 0]]
    )
    f = lambda y: y * y - 1  # noqa: E731 - one line of mathematics
    before, now, h = Fraction(1, 3), HALF, Fraction(1, 7)
    assert adams([before, now], f, h) == now + h * (3 * f(now) - f(before)) / 2


def test_an_implicit_rule_with_memory_is_solved():
    bdf = linear_multistep([0.5, -2.0, 1.5], [1.0], [[0.0, 0.0, 1.0]])
    y = bdf([1.0, 0.9], lambda y: -y, 0.1)
    assert 1.5 * y - 2 * 0.9 + 0.5 * 1.0 == pytest.approx(-0.1 * y, abs=1e-15)


def test_a_rule_with_memory_takes_f_between_the_iterates():
    rule = linear_multistep([0, -1, 1], [1], [[Fraction(-1), Fraction(2), 0]])
    assert rule([Fraction(1), Fraction(2)], lambda y: y * y, HALF) == 2 + HALF * 9
