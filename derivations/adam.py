"""Adam: the O(h) term of its equation, and how good the flow is beside the optimizer.

Claim (Cattaneo, Klusowski and Shigida, On the implicit bias of Adam, 2024; derived here on the slow
manifold): after many steps, with ε inside the root, Adam with decay rates β and ρ follows

    θⱼ' = -(gⱼ² + ε)^{-1/2} (gⱼ + biasⱼ) + O(h²),
    biasⱼ = h/2 [(1+β)/(1-β) - (1+ρ)/(1-ρ) + (1+ρ)/(1-ρ) ε/(gⱼ²+ε)] ∂ⱼ Σᵢ √(gᵢ²+ε).

For β < ρ and small ε the bracket is negative: where the gradient is larger than √ε, Adam is drawn
to a larger perturbed 1-norm of the gradient, while gradient descent is drawn to a smaller 2-norm.
"""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq import Adam

x, y = sympy.symbols("x y")
h = sympy.Symbol("h", positive=True)
LOSS = modeq.Loss(x**2 * y / 2 + x**4 / 4 + y**2)
BETA, RHO, EPSILON = Fraction(1, 2), Fraction(3, 4), Fraction(1, 100)
METHOD = Adam(BETA, RHO, epsilon=EPSILON, epsilon_inside=True)
START = (0.5, 0.3)


def printed() -> sympy.Matrix:
    """Return the field of the claim through h."""
    beta, rho, epsilon = (sympy.Rational(q.numerator, q.denominator) for q in (BETA, RHO, EPSILON))
    g = [LOSS.expression.diff(v) for v in (x, y)]
    norm = sum(sympy.sqrt(entry**2 + epsilon) for entry in g)
    rows = []
    for v, entry in zip((x, y), g, strict=True):
        old, older = (1 + beta) / (1 - beta), (1 + rho) / (1 - rho)
        bias = h / 2 * (old - older + older * epsilon / (entry**2 + epsilon)) * norm.diff(v)
        rows.append(-(entry + bias) / sympy.sqrt(entry**2 + epsilon))
    return sympy.Matrix(rows)


def show_bias() -> None:
    """Compare the derived field with the printed one, exactly, at rational points."""
    equation = modeq.derive(LOSS, 1, METHOD)
    difference = equation.field - printed()
    for point in ({x: 1, y: 2}, {x: sympy.Rational(1, 3), y: sympy.Rational(-2, 5)}):
        for entry in difference.subs(point):
            assert all(sympy.simplify(entry.expand().coeff(h, k)) == 0 for k in (0, 1))
    print(f"{equation.certify()}\n")


def show_orders() -> modeq.Comparison:
    """Print the measured orders against Adam itself on its slow manifold."""
    for order in (0, 1, 2):
        report = modeq.derive(LOSS, order, METHOD).check(START, h=0.01)
        print(report, end="\n\n")
        assert report.passed
    return modeq.compare(LOSS, START, h=0.004, steps=60, orders=(0, 1, 2), method=METHOD)


def draw(comparison: modeq.Comparison, path: Path) -> None:
    """Draw how far the flows are from Adam."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for order, error in comparison.errors.items():
        axes.semilogy(np.arange(1, len(error)), error[1:], label=f"order {order}")
    axes.set(xlabel="step", ylabel="distance from Adam")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the bias of Adam, and the orders of its flows."""
    show_bias()
    comparison = show_orders()
    print(comparison)
    if pictures is not None:
        draw(comparison, pictures / "adam.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
