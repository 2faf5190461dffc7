"""What rounding does to a field that is made from steps, and the order at which it wins.

With the slopes s_k = (θ_{k+1} - θ_k)/h along the iterates, the field of order n is

    f̃ = Σ_{k=0}^{n} (-1)^k/(k+1) Δᵏ s₀ = Σ_k v_k s_k.

What it misses is about the next term, |Δⁿ⁺¹ s₀|/(n + 2), which falls like hⁿ⁺¹. What rounding adds
grows with the weights: errors of size σ in the slopes, independent of each other, give

    σ (Σ_k v_k²)^½ = σ · (1, 1.6, 2.2, 3.0, 4.4, 6.5, 10, 17, 28)    for n = 0, …, 8.

Where the two meet is the best order. σ is measured: from starts that are close the same steps are
rounded differently, and the second difference

    E_k = s_k(θ(1 + δ)) - 2 s_k(θ) + s_k(θ(1 - δ))

keeps nothing but rounding, with a variance of 6 σ², if δ² is well below the ε of the arithmetic.
But δ must be well above ε, or what is rounded has the same last digits: δ = ε^⅔ (derived here; the
idea of measuring noise by differences is Hamming's, and that of Moré and Wild, Estimating
computational noise, 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.shown import Shown

SHARE = 0.2
"""The root mean square of the error of one rounding, in ε times the size of the number: the spacing
of floats is ε/2 to ε times the number, 0.72 ε in the mean, and the error is uniform in one spacing.
"""

CLEARLY = 3.0
"""How many times larger than what a lower order misses the rounding must be to be complained of."""


MOST_ROUNDINGS = 100.0
"""How many times larger than one rounding the noise of a slope can be without being something else.
"""


@dataclass(frozen=True)
class RoundOff(Shown):
    """What the fields of orders 0, 1, … at a point miss, and what rounding adds.

    Attributes:
        truncation: The Euclidean norm of the first term that is left out, of shape (orders,).
        round_off: That of the rounding error, of shape (orders,).

    Example:
        >>> found = RoundOff(np.array([1e-2, 1e-5, 1e-8]), np.array([1e-7, 2e-7, 4e-7]))
        >>> found.best_order
        2
        >>> print(found)
        order   left out   rounding
            0    1.0e-02    1.0e-07
            1    1.0e-05    2.0e-07
            2    1.0e-08    4.0e-07   best
    """

    truncation: np.ndarray
    round_off: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The sum of both, of shape (orders,)."""
        return self.truncation + self.round_off

    @property
    def best_order(self) -> int:
        """The order with the smallest sum of both."""
        return int(np.argmin(self.total))

    def __str__(self) -> str:
        rows = [
            f"{order:5}   {missed:8.1e}   {added:8.1e}{'   best' * (order == self.best_order)}"
            for order, (missed, added) in enumerate(
                zip(self.truncation, self.round_off, strict=True)
            )
        ]
        return "\n".join(["order   left out   rounding", *rows])


def perturbation(epsilon: float) -> float:
    """Return δ, the relative distance of the starts from which rounding is measured.

    >>> round(perturbation(2.0**-52), 13)
    3.67e-11
    """
    return epsilon ** (2 / 3)


def left_out(slopes: np.ndarray) -> np.ndarray:
    """Return |Δⁿ⁺¹ s₀|/(n + 2) for n = 0, 1, …, from slopes of shape (steps, entries).

    >>> left_out(np.array([[1.0], [0.5], [0.25]]))  # 1/2 · 1/2, 1/3 · 1/4
    array([0.25      , 0.08333333])
    """
    sizes = []
    row = slopes
    while len(row) > 1:
        row = np.diff(row, axis=0)
        sizes.append(np.linalg.norm(row[0]) / (len(sizes) + 2))
    return np.array(sizes)


def amplification(order: int) -> float:
    """Return (Σ v_k²)^½, by which independent errors of the slopes grow.

    >>> round(amplification(1), 3)
    1.581
    """
    return float(sum(v * v for v in increment_weights(order))) ** 0.5


def measured(
    slopes: np.ndarray, above: np.ndarray, below: np.ndarray, scale: float = 1.0
) -> RoundOff:
    """Return what is left out and what rounding adds, from slopes along three starts.

    Args:
        slopes: From θ, of shape (n + 2, entries) for orders up to n.
        above: From θ(1 + δ).
        below: From θ(1 - δ).
        scale: What norms are multiplied by, where only a sample of the entries is given.
    """
    noise = above - 2 * slopes + below
    added = [
        np.linalg.norm(np.array(increment_weights(order), float) @ noise[: order + 1]) / np.sqrt(6)
        for order in range(len(slopes) - 1)
    ]
    return RoundOff(scale * left_out(slopes), scale * np.array(added))


def better_order(slopes: np.ndarray, rounding: float) -> int | None:
    """Return a lower order that is clearly better than that of all the slopes, if there is one.

    The noise of the slopes is taken from the last difference, whose variance C(2n, n) σ² rounding
    alone would give, as far as that is plausible.

    Args:
        slopes: s₀, …, s_n, of shape (n + 1, entries).
        rounding: The size of the error that one rounding makes in a slope.

    >>> slopes = np.exp(-0.01 * np.arange(9.0))[:, None]
    >>> better_order(slopes, 1e-17), better_order(slopes, 1e-8)
    (None, 3)
    """
    order = len(slopes) - 1
    if order == 0:
        return None
    last = np.linalg.norm(np.diff(slopes, order, axis=0)) / math.comb(2 * order, order) ** 0.5
    noise = float(np.clip(last, rounding, MOST_ROUNDINGS * rounding))
    added = noise * np.array([amplification(n) for n in range(order + 1)])
    total = left_out(slopes) + added[:order]
    return int(np.argmin(total)) if CLEARLY * np.min(total) < added[order] else None
