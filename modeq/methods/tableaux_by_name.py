"""The Runge-Kutta methods that have a name. Those made from nodes are derived, not typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from modeq.algebra.surds import square_root
from modeq.methods.collocation import collocation, partner
from modeq.methods.tableaux import RungeKutta, adjoint


def GradientDescent() -> RungeKutta:
    """Return gradient descent θ⁺ = θ - h ∇L(θ): explicit Euler on the gradient flow.

    >>> print(GradientDescent())
    gradient descent
    """
    return RungeKutta(((0,),), (1,), name="gradient descent")


def _gauss(stages: int) -> RungeKutta:
    half = Fraction(1, 2)
    root, middle = {2: (square_root(3) / 6, []), 3: (square_root(15) / 10, [half])}[stages]
    return collocation([half - root, *middle, half + root], f"Gauss {stages}")


def _radau_iia(stages: int) -> RungeKutta:
    root = square_root(6) / 10
    nodes = {2: [Fraction(1, 3)], 3: [Fraction(2, 5) - root, Fraction(2, 5) + root]}[stages]
    return collocation([*nodes, 1], f"Radau IIA {stages}")


def _radau_ia(stages: int) -> RungeKutta:
    return partner(adjoint(_radau_iia(stages)), f"Radau IA {stages}")


def _lobatto_iiia(stages: int) -> RungeKutta:
    return collocation([0, *[Fraction(1, 2)] * (stages - 2), 1], f"Lobatto IIIA {stages}")


def _lobatto_iiib(stages: int) -> RungeKutta:
    return partner(_lobatto_iiia(stages), f"Lobatto IIIB {stages}")


def _fractions(row: str) -> list[Fraction]:
    return [Fraction(entry) for entry in row.split()]


def _typed(name: str, rows: Sequence[str], b: str) -> tuple[str, Callable[[], RungeKutta]]:
    """Return a name and what makes the method, from its lines; an explicit one leaves out zeros."""
    stages = len(rows)
    A = [[*row, *[0] * (stages - len(row))] for row in map(_fractions, rows)]
    return name, partial(RungeKutta, A, _fractions(b), (), name.replace("-", " "))


def _family(name: str, make: Callable[[int], Any], *stages: int) -> dict[str, Callable]:
    return {f"{name}-{count}": partial(make, count) for count in stages}


_LOBATTO_IIIC_3 = ["1/6 -1/3 1/6", "1/6 5/12 -1/12", "1/6 2/3 1/6"]

NAMED: dict[str, Callable[[], RungeKutta]] = {
    "gradient-descent": GradientDescent,
    **dict(
        [
            _typed("euler", [""], "1"),
            _typed("implicit-euler", ["1"], "1"),
            _typed("proximal-point", ["1"], "1"),
            _typed("explicit-midpoint", ["", "1/2"], "0 1"),
            _typed("implicit-midpoint", ["1/2"], "1"),
            _typed("trapezoid", ["", "1/2 1/2"], "1/2 1/2"),
            _typed("extragradient", ["", "1"], "0 1"),
            _typed("heun", ["", "1"], "1/2 1/2"),
            _typed("ralston", ["", "2/3"], "1/4 3/4"),
            _typed("kutta-3", ["", "1/2", "-1 2"], "1/6 2/3 1/6"),
            _typed("ssprk-33", ["", "1", "1/4 1/4"], "1/6 1/6 2/3"),
            _typed("rk4", ["", "1/2", "0 1/2", "0 0 1"], "1/6 1/3 1/3 1/6"),
            _typed("kutta-three-eighths", ["", "1/3", "-1/3 1", "1 -1 1"], "1/8 3/8 3/8 1/8"),
            _typed("lobatto-iiic-2", ["1/2 -1/2", "1/2 1/2"], "1/2 1/2"),
            _typed("lobatto-iiic-3", _LOBATTO_IIIC_3, "1/6 2/3 1/6"),
        ]
    ),
    **_family("gauss", _gauss, 2, 3),
    **_family("radau-ia", _radau_ia, 2, 3),
    **_family("radau-iia", _radau_iia, 2, 3),
    **_family("lobatto-iiia", _lobatto_iiia, 2, 3),
    **_family("lobatto-iiib", _lobatto_iiib, 2, 3),
}
"""What makes each of the methods, by name."""
