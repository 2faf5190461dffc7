"""The theorem of ``modeq.accuracy.bounds`` in closed form: convex losses, and a saddle."""

from __future__ import annotations

import math

from modeq.flows.tolerances import check_positive, check_tolerance

LARGEST_RATE = 2.0**20


def convex_bound(beta: float, gamma: float, *, time: float, tolerance: float) -> float:
    """Return ε/(βγT): for a convex loss, the h below which ‖θ(kh) - θ_k‖ ≤ ε for all k ≤ T/h.

    >>> convex_bound(1.0, 2.0, time=5, tolerance=0.1)
    0.01
    """
    beta, gamma = check_positive("beta", beta), check_positive("gamma", gamma)
    return check_tolerance(tolerance) / (beta * gamma * check_positive("time", time))


def strongly_convex_bound(mu: float, beta: float, gamma: float, *, tolerance: float) -> float:
    """Return με/(βγ): for a μ-strongly convex loss, the h that is small enough for all time.

    >>> strongly_convex_bound(0.5, 1.0, 2.0, tolerance=0.1)
    0.025
    """
    mu, beta, gamma = (
        check_positive(name, value)
        for name, value in (("mu", mu), ("beta", beta), ("gamma", gamma))
    )
    return mu * check_tolerance(tolerance) / (beta * gamma)


def saddle_bound(start: float, *, time: float, tolerance: float) -> float:
    """Return ε/((|y₀|e^T + ε)(e^T - 1)): the theorem for L = -y²/2, along which flows separate.

    >>> round(saddle_bound(1.0, time=2.0, tolerance=0.1), 6)
    0.00209
    """
    time, tolerance = check_positive("time", time), check_tolerance(tolerance)
    growth = math.exp(time)
    return tolerance / ((abs(start) * growth + tolerance) * (growth - 1))


def saddle_limit(start: float, *, time: float, tolerance: float) -> float:
    """Return the h at which |y₀|(e^T - (1+h)^{T/h}) = ε on L = -y²/2: no larger h will do at T.

    It shrinks like e^{-T}: there is no bound without that factor.

    >>> h = saddle_limit(1.0, time=2.0, tolerance=0.1)
    >>> round(h, 4), abs(math.exp(2) - (1 + h) ** (2 / h)) - 0.1 < 1e-9
    (0.0138, True)
    """
    time, tolerance = check_positive("time", time), check_tolerance(tolerance)
    start = check_positive("start", abs(start))
    low, high = 0.0, LARGEST_RATE

    def error(h: float) -> float:
        exponent = time / h * math.log1p(h)
        return -start * math.exp(time) * math.expm1(exponent - time)

    if error(high) < tolerance:
        return math.inf
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) <= tolerance else (low, middle)
    return low
