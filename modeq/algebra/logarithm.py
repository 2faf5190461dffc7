"""From iterates to the field whose flow passes through them.

With Δ the forward difference along the iterates θ₀, θ₁, … of a one-step method,

    h f̃(θ₀) = log(1 + Δ) θ₀ = Σ_{k≥1} (-1)^{k+1}/k Δᵏθ₀,        Δᵏθ₀ = O(hᵏ).

Cut at k = n + 1 this is right up to and including the counter term of hⁿ, and it is a fixed
weighted sum of the first n + 2 iterates. Nothing here knows what an iterate is: anything that can
be added and multiplied by a Fraction will do (numbers, arrays, power series, B-series).
"""

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import TypeVar

_State = TypeVar("State")


def logarithm_weights(order: int) -> tuple[Fraction, ...]:
    """Return w with h f̃(θ₀) = Σ_s w_s θ_s, right through hⁿ for n = ``order``.

    >>> [str(w) for w in logarithm_weights(1)]
    ['-3/2', '2', '-1/2']
    """
    return tuple(
        sum(Fraction((-1) ** (s + 1) * comb(k, s), k) for k in range(max(s, 1), order + 2))
        for s in range(order + 2)
    )


def increment_weights(order: int) -> tuple[Fraction, ...]:
    """Return v with h f̃(θ₀) = Σ_s v_s (θ_{s+1} - θ_s), right through hⁿ for n = ``order``:

        v_s = Σ_{r>s} w_r,        w = ``logarithm_weights(order)``.

    For gradient descent θ_{s+1} - θ_s = h f(θ_s), and f̃ is a weighted sum of gradients.

    >>> [str(v) for v in increment_weights(1)]
    ['3/2', '-1/2']
    """
    weights = logarithm_weights(order)
    return tuple(sum(weights[s:]) for s in range(1, order + 2))


def logarithm(step: Callable[[_State], _State], start: _State, order: int) -> _State:
    """Return h f̃ at ``start``, right through hⁿ⁺¹ for n = ``order``, from n + 1 steps.

    >>> h = Fraction(1, 2)
    >>> float(logarithm(lambda x: x - h * x, Fraction(1), 30))  # log(1 - 1/2)
    -0.6931471805...
    """
    weights = logarithm_weights(order)
    total = weights[0] * start
    state = start
    for weight in weights[1:]:
        state = step(state)
        total = total + weight * state
    return total
