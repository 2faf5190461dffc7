"""Two-player games: the joint field of both players, and the one with a clock for each.

Claim (derived here, for any smooth f and g): φ⁺ = φ + αh f(φ, θ) and θ⁺ = θ + λh g(φ, θ) follow
one joint field in the time h,

    φ' = αf - h/2 (α² f_φ f + αλ f_θ g) + O(h²),
    θ' = λg - h/2 (αλ g_φ f + λ² g_θ g) + O(h²)         if both move at once,
    θ' = λg - h/2 (-αλ g_φ f + λ² g_θ g) + O(h²)        if φ moves first.

Rosca, Wu, Dherin and Barrett 2021 (Discretization drift in two-player games, theorems 3.1 and 3.2)
give each player a clock, αh and λh:

    φ' = f - αh/2 (f_φ f + f_θ g),     θ' = g - λh/2 (g_φ f + g_θ g),

with (1 - 2α/λ) g_φ f in the second if φ moves first. For α = λ this is the joint field. For α ≠ λ
it matches a single step, each player read at its own time; as a field for both players at once it
is of one order less, and with clocks that run apart it misses the iterates at a fixed time by O(1).

On the zero-sum game φθ, simultaneous updates spiral outward and alternating ones keep a modified
Hamiltonian, to all orders of the series.
"""

import sys
from itertools import pairwise
from math import log2
from pathlib import Path

import numpy as np
import sympy

import modeq

x, y, alpha, lam = sympy.symbols("x y alpha lambda")
h = sympy.Symbol("h", positive=True)
F, G = y**2 - x + x * y, -x * y + y**3 / 3 - x**2
RATES = (2, sympy.Rational(1, 2))
START = (0.4, -0.3)


def game(updates: str, rates: tuple = (alpha, lam)) -> modeq.Game:
    """Return a game in which all partial derivatives take part."""
    return modeq.Game([[F], [G]], ["x", "y"], rates, updates)


def vanishes(column: sympy.Matrix) -> bool:
    """Tell whether a column of polynomials is zero."""
    return all(sympy.expand(entry) == 0 for entry in column)


def show_formulas() -> None:
    """Assert the four formulas, over colored trees and for a game, and when the clocks agree."""
    for updates, sign in (("simultaneous", 1), ("alternating", -1)):
        method = game(updates).method
        universal = modeq.modified_equation(method, order=1)
        print(f"{updates} updates, with f1 = αf and f2 = λg:\n{universal}\n")
        weights = {
            (tree.color, child.color): universal[tree]
            for tree in universal
            for child in tree.children
        }
        half = sympy.Rational(1, 2)
        assert weights == {(0, 0): -half, (0, 1): -half, (1, 0): -sign * half, (1, 1): -half}

        f, g = alpha * F, lam * G
        joint = [
            f - h / 2 * (f.diff(x) * f + f.diff(y) * g),
            g - h / 2 * (sign * g.diff(x) * f + g.diff(y) * g),
        ]
        assert vanishes(modeq.derive(game(updates), 1).field - sympy.Matrix(joint))

        clocks = game(updates).clock_per_player()
        factor = 1 if sign == 1 else 1 - 2 * alpha / lam
        printed = [
            F - alpha * h / 2 * (F.diff(x) * F + F.diff(y) * G),
            G - lam * h / 2 * (factor * G.diff(x) * F + G.diff(y) * G),
        ]
        assert vanishes(clocks - sympy.Matrix(printed))
        together = sympy.Matrix([alpha * clocks[0], lam * clocks[1]])
        difference = (sympy.Matrix(joint) - together).applyfunc(sympy.factor)
        print(f"joint field minus that with clocks: {difference.T.tolist()[0]}\n")
        assert vanishes(difference.subs(lam, alpha))
        assert not vanishes(difference)


def step(updates: str, point: tuple, rate: float) -> tuple:
    """Take a step of the game."""
    u, v = point
    moved = u + float(RATES[0]) * rate * MOVES[0](u, v)
    seen = moved if updates == "alternating" else u
    return moved, v + float(RATES[1]) * rate * MOVES[1](seen, v)


MOVES = [sympy.lambdify((x, y), move) for move in (F, G)]


def errors(updates: str, column: sympy.Matrix, times: tuple, steps: int, rate: float) -> float:
    """Return the error of a field, with each player read at a time of its own."""
    from scipy.integrate import solve_ivp

    point = START
    for _ in range(steps):
        point = step(updates, point, rate)
    rhs = sympy.lambdify((x, y), list(column.subs(h, rate)))
    options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
    ends = [
        solve_ivp(lambda _, p: rhs(*p), (0, steps * rate * float(t)), START, **options).y[i, -1]
        for i, t in enumerate(times)
    ]
    return max(abs(end - reached) for end, reached in zip(ends, point, strict=True))


def show_orders() -> None:
    """Measure three readings of the two fields against the iterates, at unequal rates."""
    print(f"rates {RATES[0]} and {RATES[1]}:{'':27} slope in one step, at a fixed time")
    for updates in ("simultaneous", "alternating"):
        both = game(updates, RATES)
        clocks = both.clock_per_player()
        together = sympy.Matrix([RATES[0] * clocks[0], RATES[1] * clocks[1]])
        for name, column, times, expected in (
            ("joint field", modeq.derive(both, 1).field, (1, 1), (3, 2)),
            ("clocks, put together", together, (1, 1), (2, 1)),
            ("clocks, each read alone", clocks, RATES, (3, 0)),
        ):
            rates = [2.0**-k for k in range(6, 10)]
            local = [errors(updates, column, times, 1, rate) for rate in rates]
            fixed = [errors(updates, column, times, round(0.5 / rate), rate) for rate in rates]
            slopes = [
                log2(a / b) for a, b in (list(pairwise(local))[-1], list(pairwise(fixed))[-1])
            ]
            print(f"  {updates:13} {name:24} {slopes[0]:14.2f} {slopes[1]:18.2f}")
            assert np.allclose(slopes, expected, atol=0.1), (updates, name)


def show_bilinear() -> None:
    """The zero-sum game φθ: outward at once, and on closed curves in turn."""
    aims, players = ["x*y", "-x*y"], ["x", "y"]
    at_once = modeq.derive(modeq.Game(aims, players), 3)
    outward = sympy.factor(sympy.Matrix([x, y]).dot(at_once.field))
    print(f"\ngame xy, at once: (x² + y²)'/2 = {outward}")
    assert sympy.expand(outward - (h / 2 - h**3 / 4) * (x**2 + y**2)) == 0
    in_turn = modeq.derive(modeq.Game(aims, players, updates="alternating"), 5)
    energy = sympy.factor(in_turn.modified_hamiltonian([("y", "x")]))
    print(f"game xy, in turn: H~ = {energy}")
    # A step has determinant 1 and keeps x² + y² - hxy, so every modified Hamiltonian is a multiple.
    assert sympy.expand(sympy.diff(energy / (x**2 + y**2 - h * x * y), x)).simplify() == 0


def draw(path: Path) -> None:
    """Draw the iterates and the flows of the zero-sum game xy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    aims, players = ["x*y", "-x*y"], ["x", "y"]
    rate, steps = 0.2, 60
    for axes, updates in zip(figure.subplots(1, 2), ("simultaneous", "alternating"), strict=True):
        both = modeq.Game(aims, players, updates=updates)
        axes.plot(*modeq.iterate(both, (1, 0), h=rate, steps=steps).T, ".", label="players")
        for order, style in ((0, ":"), (1, "-")):
            flow = modeq.derive(both, order).solve((1, 0), h=rate, steps=steps)
            axes.plot(*flow.theta.T, style, label=f"flow of order {order}")
        axes.set(title=updates, xlabel="x", ylabel="y", aspect="equal")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the fields of the game, and the orders at which they follow the players."""
    show_formulas()
    show_orders()
    show_bilinear()
    if pictures is not None:
        draw(pictures / "two_player_games.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
