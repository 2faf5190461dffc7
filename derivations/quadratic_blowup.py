"""y' = y² under explicit Euler: twenty coefficients of a divergent series, and where to stop.

Claim (Hairer, Lubich and Wanner, Geometric Numerical Integration, IX.1, example 1.1): explicit
Euler for y' = y² follows

    y' = y² - h y³ + 3/2 h² y⁴ - 8/3 h³ y⁵ + 31/6 h⁴ y⁶ - 157/15 h⁵ y⁷ + …

The series diverges for every h: |c_k|^{1/k} grows like k/(2πe), so the coefficients grow like
k!/(2π)^k, the distance from 0 to the nearest of the points 2πi m where the Borel transform of the
logarithm of a map is singular. For given z = h y the best that the series can do is to stop near
its smallest term. (The first six coefficients are the book's; the growth and the best order are
measured here.)
"""

import sys
from fractions import Fraction
from math import e, pi
from pathlib import Path

import sympy

import modeq

PRINTED = 20
ORDER = 80
STEPS = (0.2, 0.25, 0.3)
LONGEST = 36
KNOWN = [Fraction(c) for c in ("1", "-1", "3/2", "-8/3", "31/6", "-157/15")]


def coefficients(count: int) -> list[Fraction]:
    """Return c₀, c₁, … with h f̃(y) = Σ c_k z^{k+2} at z = h y."""
    y = sympy.Symbol("y")
    equation = modeq.derive(modeq.VectorField([y**2], [y]), order=count - 1)
    columns = [sympy.Matrix([y**2]), *equation.counter_terms]
    return [
        Fraction(str(sympy.expand(column[0]).coeff(y, k + 2))) for k, column in enumerate(columns)
    ]


def smallest_term(c: list[Fraction], z: float) -> int:
    """Return the k with the smallest term |c_k| z^{k+2}."""
    return min(range(len(c)), key=lambda k: abs(c[k]) * z ** (k + 2))


def step_errors(z: float, orders: range) -> list[float]:
    """Return, for each order, how far one step of the flow from y = z at h = 1 is from Euler's."""
    y = sympy.Symbol("y")
    field = modeq.VectorField([y**2], [y])
    comparison = modeq.compare(field, [z], h=1.0, steps=1, orders=orders)
    return [comparison.errors[order][-1] for order in orders]


def draw(c: list[Fraction], errors: dict[float, list[float]], path: Path) -> None:
    """Draw the size of the terms and the errors of the truncated flows against the order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for z, error in errors.items():
        shown = range(len(error))
        left.semilogy(shown, [float(abs(c[k])) * z ** (k + 2) for k in shown], label=f"$hy = {z}$")
        right.semilogy(shown, error, marker="o", markersize=3, label=f"$hy = {z}$")
    left.set(title="terms of the series", xlabel="power $k$ of $h$", ylabel="$|c_k| (hy)^{k+2}$")
    right.set(title="error of one step", xlabel="order of the flow", ylabel="$h$ |flow - Euler|")
    right.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the coefficients and their growth, and where to stop for some step sizes."""
    c = coefficients(ORDER + 1)
    assert c[: len(KNOWN)] == KNOWN
    print(" k   c_k")
    for k, ck in enumerate(c[:PRINTED]):
        print(f"{k:2d}   {ck}")

    print("\n  k   |c_k|^(1/k)   k/(2 pi e)")
    for k in range(20, ORDER + 1, 20):
        print(f"{k:3d}   {float(abs(c[k])) ** (1 / k):11.3f}   {k / (2 * pi * e):10.3f}")
    assert abs(float(abs(c[ORDER])) ** (1 / ORDER) / (ORDER / (2 * pi * e)) - 1) < 0.1

    print("\n  hy   error of order 0   smallest term   at k   best order   error   last error")
    errors = {z: step_errors(z, range(LONGEST + 1)) for z in STEPS}
    for z, error in errors.items():
        # Along the step y grows by the factor 1 + z, and the terms are largest at its end.
        end = z * (1 + z)
        k, best = smallest_term(c, end), error.index(min(error))
        term = float(abs(c[k])) * end ** (k + 2)
        print(
            f"{z:4}   {error[0]:16.1e}   {term:13.1e}   {k:4d}   {best:10d}   {error[best]:.0e}   "
            f"{error[-1]:.1e}"
        )
        assert error[k - 1] < 10 * term, "stopping before the smallest term leaves about that term"
        assert error[-1] > 2 * error[best], "and going on makes it worse"
    if pictures is not None:
        draw(c, errors, pictures / "quadratic_blowup.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
