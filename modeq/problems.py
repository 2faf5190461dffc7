"""Toy losses, each with a start, a sensible learning rate and a sentence.

Every problem is a ``Loss`` and can be used wherever one can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from modeq.derivation.expressions import listed, read_expression
from modeq.derivation.loss import Loss
from modeq.errors import InvalidLoss
from modeq.methods.checks import hint, whole


class Problem(Loss):
    """A loss with a start, a learning rate and a description.

    Attributes:
        name: The name of the problem.
        description: One sentence.
        start: A point of d numbers.
        h: A learning rate at which counter terms matter and the series still helps.
    """

    def __init__(
        self,
        name: str,
        description: str,
        expression: Any,
        variables: Any,
        start: Sequence[float],
        h: float,
    ):
        super().__init__(expression, variables)
        self.name = name
        self.description = description
        self.start = tuple(map(float, start))
        self.h = h


def quadratic(eigenvalues: Sequence = (1, Fraction(1, 10))) -> Problem:
    """Return ½ Σ λᵢ xᵢ², on which all flows are linear and only tall trees count.

    Args:
        eigenvalues: The λᵢ: numbers, texts or expressions.

    Raises:
        InvalidLoss: There are none, or one is not finite and real.

    >>> quadratic((2, 1)).expression
    x1**2 + x2**2/2
    """
    lambdas = [read_expression(lam) for lam in listed(eigenvalues, "the eigenvalues")]
    x = sympy.symbols(f"x1:{len(lambdas) + 1}")
    terms = [lam * xi**2 / 2 for lam, xi in zip(lambdas, x, strict=True)]
    return Problem(
        "quadratic",
        "A quadratic bowl: every flow is linear, and gradient descent multiplies by 1 - h lambda.",
        sympy.Add(*terms),
        x,
        [1] * len(x),
        0.2,
    )


def rosenbrock(a: Any = 1, b: Any = 100) -> Problem:
    """Return the banana valley (a - x)² + b (y - x²)², with a and b numbers or expressions.

    >>> rosenbrock().gradient.T
    Matrix([[-400*x*(-x**2 + y) + 2*x - 2, -200*x**2 + 200*y]])
    """
    x, y = sympy.symbols("x y")
    return Problem(
        "rosenbrock",
        "A curved valley, steep across and flat along: the classical test of optimizers.",
        (read_expression(a) - x) ** 2 + read_expression(b) * (y - x**2) ** 2,
        (x, y),
        (-1, 1),
        5e-4,
    )


def double_well() -> Problem:
    """Return (x² - 1)²/4, with two minima and a hill between them.

    >>> double_well().expression
    (x**2 - 1)**2/4
    """
    return Problem(
        "double-well",
        "Two minima at -1 and 1, and a maximum at 0 between them.",
        "(x**2 - 1)**2/4",
        "x",
        [0.4],
        0.1,
    )


def cubic() -> Problem:
    """Return x³/3; with y = -x its gradient flow is y' = y², which blows up in finite time.

    >>> cubic().components
    (-x**2,)
    """
    return Problem(
        "cubic",
        "The flow is y' = y**2 for y = -x: it blows up in finite time, gradient descent does not.",
        "x**3/3",
        "x",
        [-0.5],
        0.1,
    )


def saddle() -> Problem:
    """Return (x² - y²)/2, a saddle that the flow leaves along y.

    >>> saddle().components
    (-x, y)
    """
    return Problem(
        "saddle",
        "A saddle: attracted along x, repelled along y.",
        "(x**2 - y**2)/2",
        "x y",
        (1, 0.01),
        0.1,
    )


def cosine() -> Problem:
    """Return cos x, a periodic landscape.

    >>> cosine().start, cosine().h
    ((1.0,), 0.2)
    """
    return Problem(
        "cosine",
        "A periodic landscape with curvature of both signs.",
        "cos(x)",
        "x",
        [1],
        0.2,
    )


def two_layer() -> Problem:
    """Return (xy - 1)²/2, a linear network with two scalar layers.

    >>> two_layer().expression
    (x*y - 1)**2/2
    """
    return Problem(
        "two-layer",
        "A linear network with two scalar layers, fitted to one data point.",
        "(x*y - 1)**2/2",
        "x y",
        (1.5, 0.2),
        0.1,
    )


def tanh_network(units: int = 2) -> Problem:
    """Return the square loss of Σ vᵢ tanh(wᵢ x + bᵢ) on two data points, with 3 weights a unit.

    Raises:
        InvalidLoss: ``units`` is not an integer >= 1.

    >>> tanh_network(1).variables
    (w1, b1, v1)
    """
    units = whole(units, "units", error=InvalidLoss)
    w, b, v = (sympy.symbols(f"{letter}1:{units + 1}") for letter in "wbv")

    def network(x: sympy.Expr) -> sympy.Expr:
        return sum(vi * sympy.tanh(wi * x + bi) for wi, bi, vi in zip(w, b, v, strict=True))

    data = [(sympy.Rational(1, 2), 1), (-1, sympy.Rational(1, 3))]
    return Problem(
        "tanh-network",
        "A network with one hidden layer of tanh units, fitted to two data points.",
        sum((network(x) - y) ** 2 for x, y in data) / 2,
        (*w, *b, *v),
        [(-1) ** i * (0.3 + 0.1 * i) for i in range(3 * units)],
        0.1,
    )


def logistic_regression() -> Problem:
    """Return the logistic loss of two weights on four data points.

    >>> logistic_regression().variables
    (w, b)
    """
    w, b = sympy.symbols("w b")
    points = [(-2, -1), (-1, 1), (1, -1), (3, 1)]
    terms = [sympy.log(1 + sympy.exp(-label * (w * x + b))) for x, label in points]
    return Problem(
        "logistic-regression",
        "Logistic regression with slope and intercept on four points that no line separates.",
        sum(terms) / len(terms),
        (w, b),
        (-0.5, 1),
        0.5,
    )


def exponential() -> Problem:
    """Return exp x, whose counter terms are all multiples of powers of exp x.

    >>> exponential().components
    (-exp(x),)
    """
    return Problem(
        "exponential",
        "A convex loss without a minimum, whose counter terms are powers of itself.",
        "exp(x)",
        "x",
        [0],
        0.2,
    )


def softplus() -> Problem:
    """Return log(1 + exp x), the smooth ramp.

    >>> softplus().expression
    log(exp(x) + 1)
    """
    return Problem(
        "softplus",
        "A smooth ramp: flat to the left, of slope one to the right.",
        "log(1 + exp(x))",
        "x",
        [1],
        0.5,
    )


ALL: dict[str, Callable[[], Problem]] = {
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
    "double-well": double_well,
    "cubic": cubic,
    "saddle": saddle,
    "cosine": cosine,
    "two-layer": two_layer,
    "tanh-network": tanh_network,
    "logistic-regression": logistic_regression,
    "exponential": exponential,
    "softplus": softplus,
}
"""Every problem by its name."""


def named(name: str) -> Problem:
    """Return the problem of that name; underscores count as dashes.

    >>> named("double_well").start
    (0.4,)

    Raises:
        InvalidLoss: There is no such problem.
    """
    key = str(name).strip().lower().replace("_", "-")
    if key in ALL:
        return ALL[key]()
    raise InvalidLoss(f"unknown problem {name!r}: {hint(key, ALL)}known are {', '.join(ALL)}")
