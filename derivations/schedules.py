"""Learning-rate schedules: what a changing step adds to the equation of gradient descent.

Claim (derived here): θ_{m+1} = θ_m - h η(m h) ∇L(θ_m) follows

    θ' = -η g + h/2 (η' g - η² H g) + O(h²),

because it is explicit Euler on θ' = -η(t) g, t' = 1. A decaying rate (η' < 0) pushes against the
gradient no less than the curvature does: with η = 1/(1 + t) the term of h is -h/2 η² (g + H g).
"""

import sys
from pathlib import Path

import numpy as np
import sympy

import modeq

x, t = sympy.symbols("x t")
h = sympy.Symbol("h", positive=True)
LOSS = x**2 / 2 + x**4 / 4
SCHEDULES = {
    "1/(1 + t)": 1 / (1 + t),
    "exp(-t)": sympy.exp(-t),
    "cosine": (1 + sympy.cos(t)) / 2,
}


def show_terms() -> None:
    """Compare the derived terms with those of the claim."""
    g = LOSS.diff(x)
    for name, rate in SCHEDULES.items():
        equation = modeq.derive(modeq.scheduled(LOSS, rate), 2)
        expected = (rate.diff(t) * g - rate**2 * g.diff(x) * g) / 2
        assert sympy.simplify(equation.counter_terms[0][0] - expected) == 0
        assert all(term[1] == 0 for term in equation.counter_terms)
        assert equation.certify()
        print(f"eta = {name}: the term of h is {sympy.factor(expected)}")


def show_orders() -> dict[str, dict]:
    """Print the measured orders, and return the errors of the flows along a run."""
    errors = {}
    for name, rate in SCHEDULES.items():
        for order in (0, 1):
            report = modeq.derive(modeq.scheduled(LOSS, rate), order).check((0.8, 0.0), h=0.05)
            assert report.passed
        print(f"\neta = {name}: {report}")
        comparison = modeq.compare(
            modeq.scheduled(LOSS, rate), (0.8, 0.0), h=0.1, steps=30, orders=(0, 1)
        )
        errors[name] = comparison.errors
        assert comparison.errors[1].max() < comparison.errors[0].max() / 3
    return errors


def draw(errors: dict, path: Path) -> None:
    """Draw the distance of the flows from gradient descent, for each schedule."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for (name, found), color in zip(errors.items(), "krb", strict=True):
        for order, style in ((0, "--"), (1, "-")):
            steps = np.arange(1, len(found[order]))
            axes.semilogy(steps, found[order][1:], style, color=color, label=f"{name}, h^{order}")
    axes.set(xlabel="step", ylabel="distance")
    axes.legend(fontsize=7)
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the terms that schedules add, and the orders."""
    show_terms()
    errors = show_orders()
    if pictures is not None:
        draw(errors, pictures / "schedules.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
