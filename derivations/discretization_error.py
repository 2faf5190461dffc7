"""How far the flow of order n is from gradient descent, to leading order.

Claim (Miyagawa 2022 for gradient flow and order 1; to all orders derived here): with
e_k = θ(kh) - θ_k and the flow cut at hⁿ,

    after k steps:      e_k  = -h^{n+2} Σ_{s<k} f_{n+1}(θ_s) + O(h^{n+3})
    at a fixed time t:  e(t) = -h^{n+1} ∫₀ᵗ Φ(t, s) f_{n+1}(θ(s)) ds + O(h^{n+2}),  ∂ₜΦ = f'(θ) Φ,

On a parabola all of this is elementary: e_k = exp(-kh) - (1 - h)^k, and the two leading orders are
h/2 (1 - (1 - h)^k) and h/2 t exp(-t). The same holds for other methods on their slow manifolds,
with the first f_j that does not vanish; momentum from rest misses the start of its flow as well, by
-h^{n+1} Φ(t, 0) s_{n+1}. The series of counter terms is asymptotic: where hλ is not small, the best
order is finite, and so is what it can reach.
"""

import sys
from pathlib import Path

import numpy as np

import modeq

PROBLEMS = ("rosenbrock", "double-well", "two-layer", "cosine")
METHODS = {
    "heavy ball": (modeq.HeavyBall(0.5), False),
    "heavy ball, at rest": (modeq.HeavyBall(0.5), True),
    "adam": (modeq.Adam(0.5, 0.6, epsilon=0.01), False),
    "rk4": ("rk4", False),
}
SQUARE = modeq.VectorField(["y**2"], "y")


def show_parabola() -> None:
    """Compare with the closed forms on a parabola."""
    h, k = 0.05, np.arange(11)
    error = modeq.discretization_error("x**2/2", [1.0], h=h, steps=10)
    assert np.allclose(error.measured[:, 0], np.exp(-h * k) - (1 - h) ** k, atol=1e-14)
    assert np.allclose(error.predicted[:, 0], h / 2 * (1 - (1 - h) ** k))
    assert np.allclose(error.predicted_at_time[:, 0], h / 2 * h * k * np.exp(-h * k))


def show_ratios() -> None:
    """Print predicted over measured errors, and their slopes."""
    print("problem         order   predicted/measured: steps, time     slopes: steps, time")
    for name in PROBLEMS:
        for order in range(4):
            error = modeq.discretization_error(modeq.problems.named(name), steps=3, order=order)
            slopes = error.slopes[-1], error.time_slopes[-1]
            print(
                f"{name:15} {order:5d}   {error.ratio:25.4f} {error.time_ratio:8.4f}"
                f"     {slopes[0]:13.3f} {slopes[1]:5.3f}"
            )
            assert abs(error.ratio - 1) < 0.05
            assert abs(error.time_ratio - 1) < 0.05
            assert np.allclose(slopes, (order + 2, order + 1), atol=0.1)


def show_methods() -> None:
    """Print the same for methods with memory, and for one of high order."""
    print("\ncos x             order   power   predicted/measured at a fixed time   slope")
    for name, (method, at_rest) in METHODS.items():
        for order in range(2):
            error = modeq.discretization_error(
                "cos(x)", [1.0], h=0.05, steps=6, order=order, method=method, at_rest=at_rest
            )
            ratio, slope = error.time_ratio, error.time_slopes[-1]
            print(f"{name:19} {order:3d}   {error.power:5d}   {ratio:34.4f}   {slope:5.3f}")
            assert abs(ratio - 1) < 0.05
            assert abs(slope - error.power) < 0.1


def show_truncation() -> None:
    """Print where the series for y' = y² should stop."""
    print("\ny' = y**2 at y = 1:")
    for h in (0.3, 0.5, 1.0):
        print(f"  h = {h}: {modeq.optimal_truncation(SQUARE, [1.0], h=h)}")
    assert modeq.optimal_truncation(SQUARE, [1.0], h=1.0).order == 0


def draw(path: Path) -> None:
    """Draw measured and predicted errors along the iterates."""
    from matplotlib.figure import Figure

    loss = modeq.problems.two_layer()
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    for order in range(3):
        error = modeq.discretization_error(loss, h=0.05, steps=15, order=order)
        t = 0.05 * np.arange(16)
        (line,) = axes.semilogy(
            t[1:], np.linalg.norm(error.measured, axis=1)[1:], label=f"order {order}"
        )
        for values, style in ((error.predicted, "--"), (error.predicted_at_time, ":")):
            axes.semilogy(t[1:], np.linalg.norm(values, axis=1)[1:], style, color=line.get_color())
    axes.set(xlabel="time", ylabel="error", title="measured; by steps (dashed), by time (dotted)")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print errors, predictions and best orders."""
    show_parabola()
    show_ratios()
    show_methods()
    show_truncation()
    if pictures is not None:
        draw(pictures / "discretization_error.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
