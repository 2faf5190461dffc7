"""Learning rates for an allowed error, to leading order: how they are found, and how they hold.

Claim (Miyagawa 2022 for gradient flow; to all orders derived here). After k steps the flow of order
n is within ε of gradient descent, to leading order, if

    h ≤ (ε / ‖Σ_{s<k} f_{n+1}(θ_s)‖)^{1/(n+2)},

so with each order the learning rate for an error ε goes with a lower power of ε: 1/2, 1/3, 1/4, ….
It is no bound; but at that rate the measured error is ε, up to higher orders. On a parabola and for
one step the condition is elementary: exp(-h) - 1 + h = h²/2 + … is ε at h = √(2ε).
"""

import math
import sys
from pathlib import Path

import numpy as np

import modeq

CASES = ("rosenbrock", "two-layer", "cosine")
STEPS = 5


def show_parabola() -> None:
    """Compare with the closed form on a parabola."""
    for allowed in (1e-3, 1e-5, 1e-7):
        h = modeq.max_learning_rate("x**2/2", [1.0], steps=1, tolerance=allowed)
        exact = math.sqrt(2 * allowed)
        print(f"parabola, one step, error {allowed:.0e}: h = {float(h):.6e} = √(2ε)")
        assert abs(h / exact - 1) < 1e-9
        assert abs((math.expm1(-h) + h) / allowed - 1) < h


def measured(loss: modeq.Loss, h: float, order: int) -> float:
    """Return the largest error over all steps."""
    error = modeq.discretization_error(loss, h=h, steps=STEPS, order=order)
    return float(np.max(np.linalg.norm(error.measured, axis=1)))


def show_rates() -> None:
    """Print learning rates for small errors, the errors measured there, and the powers of ε."""
    print(
        f"\n{STEPS} steps\nproblem        order   allowed     h          measured/allowed   power"
    )
    for name in CASES:
        loss = modeq.problems.named(name)
        for order in range(3):
            # An error that makes h small against the h that the problem comes with.
            first = measured(loss, loss.h / 50, order)
            allowed = [first, first / 2 ** (order + 2)]
            rates = [
                modeq.max_learning_rate(loss, steps=STEPS, order=order, tolerance=e)
                for e in allowed
            ]
            ratio = measured(loss, rates[-1], order) / allowed[-1]
            power = math.log(rates[0] / rates[1]) / math.log(allowed[0] / allowed[1])
            print(
                f"{name:13} {order:5d}    {allowed[-1]:.2e}   {float(rates[-1]):.3e}"
                f"   {ratio:16.4f}   {power:.3f}"
            )
            assert abs(ratio - 1) < 0.05
            assert abs(power - 1 / (order + 2)) < 0.1 / (order + 2)


def draw(path: Path) -> None:
    """Draw learning rates against allowed errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    allowed = 10.0 ** np.arange(-9, -3, 2)
    for order in range(3):
        rates = [
            modeq.max_learning_rate(
                modeq.problems.two_layer(), steps=STEPS, order=order, tolerance=e
            )
            for e in allowed
        ]
        axes.loglog(allowed, rates, ".-", label=f"order {order}")
    axes.set(xlabel="allowed error", ylabel="learning rate, to leading order")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print learning rates, and the errors measured at them."""
    show_parabola()
    show_rates()
    if pictures is not None:
        draw(pictures / "learning_rate_bound.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
