"""The linear multistep methods that have a name, derived from their generating functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from math import comb

from modeq.algebra.power_series import PowerSeries, reciprocal
from modeq.methods.multistep import LinearMultistep


def adams_bashforth(steps: int) -> LinearMultistep:
    """Return the explicit Adams method θ_{m+1} = θ_m + h Σ γⱼ ∇ʲ f_m, j < ``steps``.

    The γⱼ are the coefficients of -x/((1-x) log(1-x)).

    >>> print(*adams_bashforth(2).beta)
    -1/2 3/2 0

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, III.1, equation 1.5.
    """
    gamma = (reciprocal(_LOGARITHM, 1) * PowerSeries(rule=lambda k: 1)).first(steps)
    beta = _from_differences(gamma, steps - 1)
    return LinearMultistep(_adams_alpha(steps), (*beta, 0), name=f"Adams-Bashforth {steps}")


def adams_moulton(steps: int) -> LinearMultistep:
    """Return the implicit Adams method θ_{m+1} = θ_m + h Σ γⱼ ∇ʲ f_{m+1}, j <= ``steps``.

    The γⱼ are the coefficients of -x/log(1-x).

    >>> print(*adams_moulton(2).beta)
    -1/12 2/3 5/12

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, III.1, equation 1.8.
    """
    gamma = reciprocal(_LOGARITHM, 1).first(steps + 1)
    beta = _from_differences(gamma, steps)
    return LinearMultistep(_adams_alpha(steps), beta, name=f"Adams-Moulton {steps}")


def bdf(steps: int) -> LinearMultistep:
    """Return the backward differentiation formula Σ ∇ʲ θ_{m+1}/j = h f_{m+1}, j <= ``steps``.

    >>> print(*bdf(2).alpha)
    1/2 -2 3/2

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, III.1, equation 1.22.
    """
    alpha = _from_differences([0, *(Fraction(1, j) for j in range(1, steps + 1))], steps)
    return LinearMultistep(alpha, (*[0] * steps, 1), name=f"BDF {steps}")


def leapfrog() -> LinearMultistep:
    """Return the explicit two-step midpoint rule θ_{m+2} = θ_m + 2h f(θ_{m+1}).

    >>> leapfrog().characteristic_roots()
    ((1+0j), (-1+0j))
    """
    return LinearMultistep((-1, 0, 1), (0, 2, 0), name="leapfrog")


_LOGARITHM = PowerSeries(rule=lambda k: Fraction(1, k + 1))
"""-log(1-x)/x."""


def _adams_alpha(steps: int) -> tuple[int, ...]:
    return (*[0] * (steps - 1), -1, 1)


def _from_differences(gamma: Sequence, last: int) -> list[Fraction]:
    """Return the coefficients at 0, …, ``last`` of Σ γⱼ ∇ʲ taken at ``last``."""
    return [
        sum(Fraction(g) * (-1) ** i * comb(j, i) for j, g in enumerate(gamma) if j >= i)
        for i in range(last, -1, -1)
    ]


NAMED: dict[str, Callable[[], LinearMultistep]] = {
    **{f"adams-bashforth-{k}": partial(adams_bashforth, k) for k in range(1, 6)},
    **{f"adams-moulton-{k}": partial(adams_moulton, k) for k in range(1, 5)},
    **{f"bdf-{k}": partial(bdf, k) for k in range(1, 7)},
    "leapfrog": leapfrog,
}
