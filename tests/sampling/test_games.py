"""Games: the joint fields of simultaneous and alternating updates, and the clock per player."""

from itertools import pairwise
from math import log2

import mpmath
import numpy as np
import pytest
import sympy

import modeq
from modeq import Game
from modeq.errors import InvalidLoss, InvalidMethod

x, y, alpha, lam = sympy.symbols("x y alpha lam")
h = sympy.Symbol("h", positive=True)
F, G = y**2 - x + x * y, -x * y + y**3 / 3 - x**2
ALTERNATING = {"updates": "alternating"}


def game(rates=(alpha, lam), **options):
    return Game([[F], [G]], ["x", "y"], rates, **options)


def joint_field(sign):
    """Return the field of the theory, with the sign of the term αλ g_φ f in the second line."""
    f, g = alpha * F, lam * G
    return sympy.Matrix(
        [
            f - h / 2 * (f.diff(x) * f + f.diff(y) * g),
            g - h / 2 * (sign * g.diff(x) * f + g.diff(y) * g),
        ]
    )


def vanishes(column):
    return all(sympy.expand(entry) == 0 for entry in column)


@pytest.mark.parametrize(("options", "sign"), [({}, 1), (ALTERNATING, -1)])
def test_the_joint_field_of_the_theory_comes_out_with_symbolic_rates(options, sign):
    assert vanishes(modeq.derive(game(**options), 1).field - joint_field(sign))


@pytest.mark.parametrize(
    ("method", "sign"), [("simultaneous", 1), (modeq.SequentialUpdates([0, 1]), -1)]
)
def test_the_joint_field_of_the_theory_holds_for_all_players(method, sign):
    b = modeq.modified_equation(method, 1)
    tree = {
        (tree.color, tree.children[0].color): value for tree, value in b.items() if tree.children
    }
    half = sympy.Rational(1, 2)
    assert tree == {(0, 0): -half, (0, 1): -half, (1, 0): -sign * half, (1, 1): -half}


@pytest.mark.parametrize(
    "options", [{}, ALTERNATING, {**ALTERNATING, "inner": 3}, {**ALTERNATING, "inner": [2, 1]}]
)
def test_the_updates_are_those_of_a_loop(options):
    f, g = (sympy.lambdify((x, y), e) for e in (F, G))
    point, rate = (0.4, -0.3), 0.1
    steps = options.get("inner", 1)
    m, k = [steps] * 2 if isinstance(steps, int) else steps
    phi, theta = point
    for _ in range(m):
        phi = phi + 2 * rate / m * f(phi, theta)
    seen = phi if options else point[0]
    for _ in range(k):
        theta = theta + 0.5 * rate / k * g(seen, theta)
    found = modeq.iterate(game((2, 0.5), **options), point, h=rate, steps=1)[-1]
    assert np.allclose(found, (phi, theta), rtol=0, atol=1e-15)


@pytest.mark.parametrize("options", [{}, ALTERNATING, {**ALTERNATING, "inner": (2, 3)}])
@pytest.mark.parametrize("order", [1, 2])
def test_the_slopes_of_the_joint_field_are_those_of_its_order(options, order):
    equation = modeq.derive(game((2, 0.5), **options), order)
    assert equation.check([0.4, -0.3], h=0.1).passed


@pytest.mark.parametrize("options", [{}, ALTERNATING, {**ALTERNATING, "inner": (2, 3)}])
def test_with_equal_rates_the_clock_per_player_is_that_of_the_joint_field(options):
    same = game((alpha, alpha), **options)
    assert vanishes(modeq.derive(same, 1).field - alpha * same.clock_per_player())


def test_the_clock_per_player_prints_what_the_paper_does():
    """Rosca, Wu, Dherin, Barrett 2021, theorems 3.1 and 3.2 (with m and k inner steps)."""
    first = F - alpha * h / 2 * (F.diff(x) * F + F.diff(y) * G)
    second = G - lam * h / 2 * (G.diff(x) * F + G.diff(y) * G)
    assert vanishes(game().clock_per_player() - sympy.Matrix([first, second]))
    first = F - alpha * h / 2 * (F.diff(x) * F / 2 + F.diff(y) * G)
    second = G - lam * h / 2 * ((1 - 2 * alpha / lam) * G.diff(x) * F + G.diff(y) * G / 3)
    found = game(updates="alternating", inner=(2, 3)).clock_per_player()
    assert vanishes(found - sympy.Matrix([first, second]))


class Measured:
    """Errors of a field against the iterates of a game, in 30 digits."""

    def __init__(self, options):
        self.game = game((2, sympy.Rational(1, 2)), **options)
        self.rates = [mpmath.mpf(2), mpmath.mpf(0.5)]
        self.f, self.g = (sympy.lambdify((x, y), e, "mpmath") for e in (F, G))
        self.start = [mpmath.mpf("0.4"), mpmath.mpf("-0.3")]

    def field(self, kind):
        if kind == "joint":
            column = modeq.derive(self.game, 1).field
        else:
            column = self.game.clock_per_player()
            if kind == "put together":
                column = sympy.Matrix([column[0] * 2, column[1] / 2])
        return sympy.lambdify((x, y, h), list(column), "mpmath")

    def flow(self, field, rate, time, point):
        steps = 40
        k = mpmath.mpf(time) / steps
        point = mpmath.matrix(point)
        slope = lambda p: mpmath.matrix(field(p[0], p[1], rate))  # noqa: E731
        for _ in range(steps):
            k1 = slope(point)
            k2 = slope(point + k / 2 * k1)
            k3 = slope(point + k / 2 * k2)
            k4 = slope(point + k * k3)
            point = point + k / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return list(point)

    def step(self, point, rate):
        phi, theta = point
        moved = phi + self.rates[0] * rate * self.f(phi, theta)
        seen = moved if self.game.updates == "alternating" else phi
        return [moved, theta + self.rates[1] * rate * self.g(seen, theta)]

    def error(self, kind, field, rate, steps):
        reached = self.start
        for _ in range(steps):
            reached = self.step(reached, rate)
        times = [rate * steps] * 2
        if kind == "clocks":
            times = [own * time for own, time in zip(self.rates, times, strict=True)]
        ends = [self.flow(field, rate, time, self.start) for time in times]
        return max(abs(ends[i][i] - reached[i]) for i in range(2))

    def slopes(self, kind):
        rates = [mpmath.mpf(1) / 2**k for k in range(7, 11)]
        field = self.field(kind)
        local = [self.error(kind, field, rate, 1) for rate in rates]
        whole = [self.error(kind, field, rate, 2 ** (k + 6)) for k, rate in enumerate(rates)]
        return [[log2(a / b) for a, b in pairwise(e)] for e in (local, whole)]


@pytest.mark.parametrize("options", [{}, ALTERNATING])
@pytest.mark.parametrize(
    ("kind", "local", "fixed_time"), [("joint", 3, 2), ("put together", 2, 1), ("clocks", 3, 0)]
)
def test_at_unequal_rates_the_joint_field_has_one_order_more(kind, local, fixed_time, options):
    with mpmath.workdps(30):
        one_step, whole = Measured(options).slopes(kind)
    assert np.allclose(one_step, local, atol=0.1)
    assert np.allclose(whole, fixed_time, atol=0.1)


def test_players_descend_their_losses_in_their_own_variables():
    found = Game(["x*y**2 + x**3", modeq.Loss("x*y", "x y")], ["x", "y"], [1, "a"])
    assert found.components == (-(y**2) - 3 * x**2, -sympy.Symbol("a") * x)


def test_players_may_have_several_variables():
    losses = ["p**2*q + r*p", "r**2*p + s*q"]
    found = Game(losses, ["p q", "r s"], [2, 3], "alternating")
    p, q, r = sympy.symbols("p q r")
    assert found.components == (2 * (-2 * p * q - r), -2 * p**2, -6 * p * r, -3 * q)
    plain = Game(losses, ["p q", "r s"], [2, 2], "alternating")
    assert vanishes(modeq.derive(plain, 1).field - 2 * plain.clock_per_player())


def test_three_players_move_in_turn():
    found = Game(["x*y*z", "x*y + z**2", "z*x"], ["x", "y", "z"], updates="alternating")
    assert modeq.derive(found, 2).certify()
    with pytest.raises(InvalidMethod, match="for two players, not 3"):
        found.clock_per_player()


def test_parameters_of_a_game_get_values():
    found = game(updates="alternating", inner=2).subs({"alpha": 2, lam: 0.5})
    assert found == game((2, 0.5), updates="alternating", inner=2)
    assert (found.rates, found.inner) == ((2, sympy.Rational(1, 2)), (2, 2))
    assert game().subs({"alpha": 1}).method == modeq.SimultaneousUpdates()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["x*y"], ["x", "y"]), "1 aims are given for 2 players"),
        ((["x*y", "x"], ["x", "y"], [1]), "1 rates are given for 2 players"),
        (("x*y", ["x", "y"]), "aims are 'x.y'; they must be a list"),
        (([["x", "y"], ["x"]], ["x", "y"]), "the player of x has 2 components"),
        ((["x**2"], ["x"]), "the field has 1 parts"),
        ((["x*y", "y"], ["x", "y"], [1, "y"]), "a rate is y, which depends on the variables y"),
        ((["x**2", "x"], ["x", "x"]), "the name x is given twice"),
    ],
)
def test_what_is_no_game_is_refused(arguments, message):
    with pytest.raises(InvalidLoss, match=message):
        Game(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": "random"}, "updates is 'random'; it must be one of 'simultaneous', 'alter"),
        ({"inner": 2}, "only alternating updates have inner steps"),
        ({**ALTERNATING, "inner": 0}, "inner is 0; it must be an integer >= 1"),
        ({**ALTERNATING, "inner": 1.5}, "inner is 1.5; it must be an integer >= 1"),
        ({**ALTERNATING, "inner": "12"}, "inner is '12'; it must be an integer >= 1"),
        ({**ALTERNATING, "inner": [1, 2, 3]}, "one for each of 2 players"),
    ],
)
def test_unknown_updates_are_refused(options, message):
    with pytest.raises(InvalidMethod, match=message):
        game(**options)
