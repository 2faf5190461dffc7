"""Toy losses, each with a start, a sensible learning rate and a sentence.

Every problem is a ``Loss`` and can be used wherever one can. Among them are small layers whose
losses are invariant: normalized ones by scale, softmax by translation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from modeq.checks import hint, shortened, whole
from modeq.errors import InvalidLoss
from modeq.losses.expressions import listed, read_expression
from modeq.losses.loss import Loss


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
    raise InvalidLoss(
        f"unknown problem {shortened(name)}: {hint(key, ALL)}known are {', '.join(ALL)}"
    )


_POINTS = ((0, 1), (2, 0), (-1, 1))
TARGETS = (1, -1, Fraction(1, 2))


def batch_normalized(points: Sequence = _POINTS, targets: Sequence = TARGETS) -> Problem:
    """Return the square loss of a linear unit whose outputs are normalised over the batch.

    With outputs u = Xw, it is ½ Σ ((uᵢ - mean u)/std u - yᵢ)², the same for all multiples of w.

    >>> from modeq.invariants.invariance import scale_invariance
    >>> scale_invariance(batch_normalized(), block="w1 w2").holds
    True
    """
    w = sympy.symbols(f"w1:{len(points[0]) + 1}")
    outputs = [sum(wi * sympy.sympify(x) for wi, x in zip(w, p, strict=True)) for p in points]
    mean = sum(outputs) / len(points)
    variance = sympy.expand(sum((u - mean) ** 2 for u in outputs) / len(points))
    normed = [sympy.expand(u - mean) / sympy.sqrt(variance) for u in outputs]
    loss = sum((z - sympy.sympify(y)) ** 2 for z, y in zip(normed, targets, strict=True)) / 2
    return Problem(
        "batch-normalized",
        "A linear unit, outputs normalised over the batch: scaling its weights changes nothing.",
        loss,
        w,
        [1 - Fraction(i, 2) for i in range(len(w))],
        0.1,
    )


def weight_normalized(point: Sequence = (1, 2), target: Fraction = Fraction(1, 2)) -> Problem:
    """Return ½ (g v·x/|v| - y)²: a linear unit with weights g v/|v|, of gain g and direction v.

    >>> from modeq.invariants.invariance import scale_invariance
    >>> loss = weight_normalized()
    >>> scale_invariance(loss, block="v1 v2").holds, scale_invariance(loss, block="g").holds
    (True, False)
    """
    v = sympy.symbols(f"v1:{len(point) + 1}")
    g = sympy.Symbol("g")
    length = sympy.sqrt(sum(vi**2 for vi in v))
    output = g * sum(vi * sympy.sympify(x) for vi, x in zip(v, point, strict=True)) / length
    return Problem(
        "weight-normalized",
        "A linear unit with weights g v/|v|: scaling v changes nothing, scaling g does.",
        (output - sympy.sympify(target)) ** 2 / 2,
        (g, *v),
        [1] * (len(v) + 1),
        0.1,
    )


def softmax_layer(counts: Sequence = (3, 2, 1)) -> Problem:
    """Return the cross-entropy of softmax biases: adding the same number to all changes nothing.

    The label k occurs cₖ times: it is Σ cₖ (log Σⱼ exp bⱼ - bₖ) / Σ cₖ.

    >>> from modeq.invariants.invariance import translation_invariance
    >>> translation_invariance(softmax_layer()).holds
    True
    """
    b = sympy.symbols(f"b1:{len(counts) + 1}")
    total = sympy.log(sympy.Add(*map(sympy.exp, b)))
    shares = [sympy.Rational(c, sum(counts)) for c in counts]
    return Problem(
        "softmax-layer",
        "The biases of a softmax layer: adding the same number to all changes nothing.",
        total - sum(share * bk for share, bk in zip(shares, b, strict=True)),
        b,
        [Fraction(k, 2) for k in range(len(b))],
        0.5,
    )


def softmax_last_layer(
    features: Sequence = ((1, 2), (-1, 1)), labels: Sequence[int] = (0, 1)
) -> Problem:
    """Return the cross-entropy of a softmax layer: adding one number to the weights that one
    feature has for all classes changes nothing.

    With logits z = Wx it is the mean of log Σ_k exp z_k - z_y over the points; wk_j is the weight
    of feature j for class k.

    >>> from modeq.invariants.invariance import translation_invariance
    >>> loss = softmax_last_layer()
    >>> translation_invariance(loss, block="w1_1 w2_1").holds
    True
    >>> translation_invariance(loss, block="w1_1 w1_2").holds
    False
    """
    classes, width = max(labels) + 1, len(features[0])
    w = sympy.Matrix(classes, width, lambda k, j: sympy.Symbol(f"w{k + 1}_{j + 1}"))
    total = sympy.Integer(0)
    for x, y in zip(features, labels, strict=True):
        z = w * sympy.Matrix(list(map(sympy.sympify, x)))
        total += sympy.log(sympy.Add(*map(sympy.exp, z))) - z[y]
    return Problem(
        "softmax-last-layer",
        "A softmax layer: adding the same number to the weights of a feature changes nothing.",
        total / len(features),
        list(w),
        [Fraction((-1) ** i * (i + 1), 4) for i in range(len(w))],
        0.5,
    )
