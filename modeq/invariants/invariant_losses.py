"""Small layers whose losses are invariant: normalised ones by scale, softmax by translation.

Each is a problem with a start and a learning rate, and can be used wherever a loss can.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy

from modeq.problems import Problem

POINTS = ((0, 1), (2, 0), (-1, 1))
TARGETS = (1, -1, Fraction(1, 2))


def batch_normalized(points: Sequence = POINTS, targets: Sequence = TARGETS) -> Problem:
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
