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
computational noise, 2011). The arithmetic may be coarser than the type of the weights, as products
in bfloat16 are; the ε of it is then told by the differences along the iterates: those of smooth
slopes fall with k, while rounding gives Δᵏ s₀ the variance C(2k, k) σ².
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.shown import Shown

COARSEST = 2.0**-7
"""The largest ε that is looked for: that of bfloat16."""

FALLING = 0.3
"""How much smaller, in σ, a difference is than the one before, where slopes are smooth: for z = hλ
it is about z/2, and for noise 1.
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


def shift_for(slopes: np.ndarray, epsilon: float) -> float:
    """Return δ for slopes along the iterates: that of ε, or of what the differences show instead.

    >>> shift_for(np.exp(-0.01 * np.arange(4.0))[:, None], 2.0**-52) == perturbation(2.0**-52)
    True
    >>> shift_for(np.array([[1.0], [1.001], [1.0], [1.001]]), 2.0**-52) > 1e-3
    True
    """
    if _falls(slopes):
        return perturbation(epsilon)
    size = float(np.linalg.norm(slopes[0]))
    found = _spread(slopes, len(slopes) - 1)
    coarse = found / size if found and size else COARSEST
    return perturbation(max(epsilon, min(coarse, COARSEST)))


def better_order(
    slopes: np.ndarray, epsilon: float, measured_noise: Callable[[float], float]
) -> int | None:
    """Return a lower order that is as good, if the last term of an order is mostly noise.

    It is if C(2n, n) σ² is more than half of the square of Δⁿ s₀. There is one slope more than the
    order takes, so that Δⁿ⁺¹ s₀ tells whether to measure σ: what is smooth falls.

    Args:
        slopes: s₀, …, s_{n+1}, of shape (n + 2, entries).
        epsilon: The ε of the weights.
        measured_noise: A function of δ that returns σ from the slopes at θ(1 + δ), θ and θ(1 - δ).

    >>> slopes = np.exp(-0.01 * np.arange(10.0))[:, None]
    >>> rounded = slopes + 1e-8 * np.random.default_rng(0).normal(size=(10, 1))
    >>> better_order(slopes[:6], 2.0**-52, lambda delta: 1e-17)
    >>> better_order(rounded, 2.0**-26, lambda delta: 1e-8)
    3
    """
    order = len(slopes) - 2
    if order == 0 or not np.all(np.isfinite(slopes)) or not np.any(slopes[0]) or _falls(slopes):
        return None
    sigma = measured_noise(shift_for(slopes, epsilon))
    if not 2 * sigma**2 > _spread(slopes, order) ** 2:
        return None
    added = sigma * np.array([amplification(n) for n in range(order)])
    return int(np.argmin(left_out(slopes)[:order] + added))


def _falls(slopes: np.ndarray) -> bool:
    last, before = (_spread(slopes, len(slopes) - k) for k in (1, 2))
    return last < FALLING * before


def _spread(slopes: np.ndarray, k: int) -> float:
    """Return |Δᵏ s₀| C(2k, k)^-½: the σ of slopes that are nothing but noise."""
    return float(np.linalg.norm(np.diff(slopes, k, axis=0)[0])) / math.comb(2 * k, k) ** 0.5


def second_difference(middle: np.ndarray, above: np.ndarray, below: np.ndarray) -> float:
    """Return σ from slopes at θ, θ(1 + δ) and θ(1 - δ).

    >>> second_difference(np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([0.0, 1.0]))
    0.0
    """
    return float(np.linalg.norm(above - 2 * middle + below)) / 6**0.5
