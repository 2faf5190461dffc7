"""What gradient flow keeps and gradient descent does not: balance, and how fast it is lost.

Claim (Elkabetz and Cohen 2021; drifts derived here). Gradient flow on the loss of a linear network
keeps W_{j+1}ᵀW_{j+1} - W_jW_jᵀ. For a loss φ(xy) that is Q = x² - y², and

    gradient descent multiplies Q by 1 - h²φ'² at each step, exactly,
    the flow of order 1 has Q' = -hφ'² Q.

All linear and quadratic conserved quantities are found here by linear algebra over ℚ, not typed in.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq import LinearNetwork

x, y, u = sympy.symbols("x y u")
h = sympy.Symbol("h", positive=True)
FUNCTIONS = ((u - 1) ** 2 / 2, sympy.exp(-u), u**2 + u**4 / 4)


def show_products() -> None:
    """Find the conserved quantity of φ(xy), and its drift."""
    for phi in FUNCTIONS:
        loss = modeq.Loss(phi.subs(u, x * y), (x, y))
        (quantity,) = modeq.conserved(loss)
        slope = phi.diff(u).subs(u, x * y)
        print(f"phi(u) = {phi}: {quantity}")
        assert quantity.expression == x**2 - y**2
        assert quantity.factor is not None
        assert sympy.expand(quantity.factor - 1 + h**2 * slope**2) == 0
        assert sympy.expand(quantity.rate(1) + h * slope**2) == 0


def show_network() -> LinearNetwork:
    """Find the balance of a linear network among all quantities that it keeps."""
    network = LinearNetwork([2, 2, 1], [(1, 0), (0, 1), (1, -1)], [1, -1, 3])
    first, second = network.matrices
    found = modeq.conserved(network)
    print(f"\na linear network of widths 2, 2, 1 keeps {len(found)} quantities:")
    monomials = sorted(
        {m for q in found for m in sympy.Poly(q.expression, *network.variables).monoms()}
    )

    def row(expression: sympy.Expr) -> list:
        polynomial = sympy.Poly(expression, *network.variables)
        return [polynomial.coeff_monomial(m) for m in monomials]

    rows = [row(q.expression) for q in found]
    for q in found:
        print(f"  {q.expression}")
    balance = second.T * second - first * first.T
    for entry in (balance[0, 0], balance[0, 1], balance[1, 1]):
        assert sympy.Matrix([*rows, row(entry)]).rank() == len(rows)
    return network


def show_drift(network: LinearNetwork) -> list[tuple[float, float]]:
    """Print the imbalance after gradient descent for a fixed time: it is O(h)."""
    start = network.balanced_start([[0.5, -0.2]])
    drifts = []
    for rate in (0.1, 0.05, 0.025):
        end = modeq.iterate(network, start, h=rate, steps=round(2 / rate))[-1]
        drifts.append((rate, network.imbalance(end)))
        print(f"  h = {rate}: imbalance at t = 2 is {drifts[-1][1]:.3e}")
    sizes = [size for _, size in drifts]
    assert all(1.7 < a / b < 2.4 for a, b in pairwise(sizes))
    return drifts


def draw(path: Path) -> None:
    """Draw x² - y² along gradient descent and its flows."""
    from matplotlib.figure import Figure

    loss = modeq.problems.two_layer()
    comparison = modeq.compare(loss, h=0.2, steps=20, orders=(0, 1, 2))
    figure = Figure(figsize=(6.5, 3.4), layout="constrained")
    axes = figure.subplots()
    a, b = comparison.iterates.T
    axes.plot(comparison.t, a**2 - b**2, "k.", label="gradient descent")
    for order, theta in comparison.flows.items():
        axes.plot(comparison.t, np.square(theta) @ [1, -1], label=f"order {order}")
    axes.set(xlabel="time", ylabel="$x^2 - y^2$")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print what is kept, and how it drifts."""
    show_products()
    show_drift(show_network())
    if pictures is not None:
        draw(pictures / "conserved.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
