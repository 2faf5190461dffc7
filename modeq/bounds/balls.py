"""Boxes and matrices of balls: arithmetic by Arb whose results contain the true ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from flint import arb, arb_mat, fmpq

from modeq.errors import ModeqError
from modeq.flows.source import compiled_program
from modeq.flows.tape import Node, Tape

Box = list[arb]

MOST_HALVED = 3
"""In how many dimensions boxes are halved, to bound a function on them more closely."""


class NotEnclosed(ModeqError):
    """Interval arithmetic does not give a finite enclosure."""


class _BallFunctions:
    """What a program calls ``mp``, with the functions of Arb's balls."""

    pi = property(lambda self: arb.pi())
    e = property(lambda self: arb.const_e())

    def power(self, base: arb, exponent: arb) -> arb:
        """Return a power with an exponent that is no whole number."""
        return arb(base) ** arb(exponent)

    def __getattr__(self, name: str) -> Callable:
        method = getattr(arb, name, None)
        if method is None:
            raise NotEnclosed(f"there is no interval arithmetic for the function {name}")

        def function(x: arb) -> arb:
            return method(arb(x))

        # Kept, because a program asks for the same few functions a thousand times.
        setattr(self, name, function)
        return function


@cache
def _quotient(p: int, q: int) -> arb:
    return arb(fmpq(p, q))


def compiled(tape: Tape, outputs: Sequence[Node]) -> Callable[..., Box]:
    """Return a function of balls that returns balls; raise NotEnclosed where one is not finite.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> tape = Tape((x,))
    >>> square = compiled(tape, [tape.convert(x**2)])
    >>> bool(square(arb(2, 1))[0].contains(9))
    True
    """
    names = {"mp": _BallFunctions(), "mpq": _quotient}
    program = compiled_program(tape, outputs, "mpmath", names)

    def evaluate(*arguments: arb) -> Box:
        values = [arb(value) for value in program(*arguments)]
        if not all(value.is_finite() for value in values):
            raise NotEnclosed("the field is not finite on a box around the trajectory")
        return values

    return evaluate


def upper(ball: arb) -> float:
    """Return a float that is at least as large as every number in a ball."""
    return math.nextafter(float(arb(ball).upper()), math.inf)


def lower(ball: arb) -> float:
    """Return a float that is at most as large as every number in a ball."""
    return math.nextafter(float(arb(ball).lower()), -math.inf)


def norm_bound(box: Box) -> float:
    """Return a float that is at least the length of every vector in a box.

    >>> norm_bound([arb(3), arb(4)]) - 5 < 1e-14
    True
    """
    return upper(sum((arb(x.abs_upper()) ** 2 for x in box), arb(0)).sqrt())


def widened(box: Box, margin: float) -> Box:
    """Return a box with a margin on all sides."""
    return [x + arb(0, margin) for x in box]


def pieces(box: Box) -> list[Box]:
    """Return boxes of half the size that cover a box, if it has at most three dimensions.

    >>> [round(float(x.mid()), 6) for (x,) in pieces([arb(1, 1)])]
    [0.5, 1.5]
    >>> len(pieces([arb(1, 1)] * 2)), len(pieces([arb(1, 1)] * 4))
    (4, 1)
    """
    if len(box) > MOST_HALVED:
        return [box]
    halves = [[x.mid() + arb(sign * x.rad() / 2, x.rad() / 2) for sign in (-1, 1)] for x in box]
    return [list(piece) for piece in itertools.product(*halves)]


def eigenvalue_bounds(matrix: arb_mat) -> tuple[float, float]:
    """Return bounds of all eigenvalues of the symmetric part of all matrices in a matrix of balls.

    Gershgorin's circles of Q⁻¹SQ, with S the midpoint and Q its approximate eigenvectors, are
    widened by a norm of the radii.

    >>> low, high = eigenvalue_bounds(arb_mat([[2, 1], [1, 2]]))
    >>> round(low, 12), round(high, 12), low <= 1 and high >= 3
    (1.0, 3.0, True)
    """
    d = matrix.nrows()
    symmetric = [[(matrix[i, j] + matrix[j, i]) / 2 for j in range(d)] for i in range(d)]
    middle = np.array([[float(x.mid()) for x in row] for row in symmetric])
    rest = [
        [x - arb(m) for x, m in zip(row, ms, strict=True)]
        for row, ms in zip(symmetric, middle.tolist(), strict=True)
    ]
    width = max(sum((arb(x.abs_upper()) for x in row), arb(0)).upper() for row in rest)
    vectors = arb_mat(np.linalg.eigh(middle)[1].tolist())
    similar = vectors.solve(arb_mat(middle.tolist()) * vectors)
    radii = [
        sum((arb(similar[i, j].abs_upper()) for j in range(d) if j != i), arb(0)) for i in range(d)
    ]
    low = min(lower(similar[i, i] - radii[i] - width) for i in range(d))
    high = max(upper(similar[i, i] + radii[i] + width) for i in range(d))
    return low, high


def matrix_norm_bound(matrix: arb_mat, is_symmetric: bool) -> float:
    """Return a float that is at least the spectral norm of every matrix in a matrix of balls.

    >>> matrix_norm_bound(arb_mat([[2, 1], [1, 2]]), True) - 3 < 1e-12
    True
    """
    d = matrix.nrows()
    sizes = [[arb(matrix[i, j].abs_upper()) for j in range(d)] for i in range(d)]
    rows = max(upper(sum(row, arb(0))) for row in sizes)
    columns = max(upper(sum(column, arb(0))) for column in zip(*sizes, strict=True))
    bounds = [
        upper((arb(rows) * arb(columns)).sqrt()),
        upper(sum((x**2 for row in sizes for x in row), arb(0)).sqrt()),
    ]
    if is_symmetric:
        bounds.append(max(map(abs, eigenvalue_bounds(matrix))))
    return min(bounds)
