"""Deep linear networks: curvature from below, end-to-end dynamics, and gradient descent beside.

Claim (Elkabetz and Cohen 2021). On L = φ(W_N ⋯ W₁) with φ convex,

    λ_min(∇²L) ≥ -(N-1) ‖∇φ‖_F max_{|J| = N-2} Π_{j∈J} ‖W_j‖.

From a balanced start, with whitened data, one output, ½‖w - Λ‖² and ‖Λ‖ = 1, the product w = r ŵ
with ν = ⟨ŵ, Λ⟩ follows r' = N r^{2-2/N} (ν - r), ν' = r^{1-2/N} (1 - ν²). Gradient descent takes
about the time that gradient flow takes, to a few h (measured here). With ReLU or leaky ReLU units
the same bound of λ_min holds on every piece, with mean_i(‖∇ℓ_i‖ ‖x_i‖) in place of ‖∇φ‖_F (proved
in ``modeq.small_networks.relu``), and convergence times compare alike, across
kinks.
"""

import sys
from pathlib import Path

import numpy as np

import modeq
from modeq import (
    HomogeneousNetwork,
    LinearNetwork,
    convergence_times,
    deep_network,
    end_to_end_flow,
    piecewise_flow,
)

GOAL = np.array([0.6, 0.8])
PRODUCT = np.array([[0.3, -0.1]])


def whitened(depth: int) -> LinearNetwork:
    """Return a network with two whitened points, whose loss is ¼‖w - Λ‖²."""
    return LinearNetwork([2] * depth + [1], [(1, 0), (0, 1)], ["3/5", "4/5"])


def show_curvature() -> None:
    """Print the smallest eigenvalue and its bound along gradient flow."""
    print("depth   time   smallest eigenvalue      bound")
    for depth in (2, 3):
        network = whitened(depth)
        flow = modeq.derive(network, order=0)
        path = flow.solve(network.balanced_start(PRODUCT), h=2.0, steps=4)
        for t, theta in zip(path.t, path.theta, strict=True):
            smallest, bound = network.smallest_eigenvalue(theta), network.eigenvalue_bound(theta)
            print(f"{depth:5d}   {t:4.1f}   {smallest:19.5f}   {bound:8.5f}")
            assert bound - 1e-9 <= smallest
            assert network.imbalance(theta) < 1e-8


def show_pieces() -> None:
    """Print the same for networks with ReLU and leaky ReLU units, and where they cross kinks."""
    for activation in ("relu", "leaky-relu"):
        network = HomogeneousNetwork([2, 3, 1], [(1, 0), (0, 1), (1, -1)], [1, -1, 2], activation)
        start = np.random.default_rng(0).normal(size=network.size)
        flow = piecewise_flow(network, start, h=1.0, steps=4)
        print(f"\n{activation} units, {len(flow.crossings)} kinks crossed:")
        for t, theta in zip(flow.t, flow.theta, strict=True):
            smallest, bound = network.smallest_eigenvalue(theta), network.eigenvalue_bound(theta)
            print(f"        {t:4.1f}   {smallest:19.5f}   {bound:8.5f}")
            assert bound - 1e-9 <= smallest
        assert network.value(flow.theta[-1]) < network.value(start)


def show_dynamics() -> None:
    """Compare length and cosine of the product with their two equations."""
    print()
    for depth in (1, 2, 3):
        network = whitened(depth)
        start = network.balanced_start(PRODUCT)
        path = modeq.derive(network, order=0).solve(start, h=0.5, steps=10).theta
        w = network.end_to_end_matrix(path)[:, 0]
        r = np.linalg.norm(w, axis=1)
        # The loss is half of ½‖w - Λ‖², so time runs at half speed.
        expected = end_to_end_flow(depth, r[0], w[0] @ GOAL / r[0], h=0.25, steps=10).theta
        error = np.max(np.abs(expected - np.stack([r, w @ GOAL / r], axis=1)))
        print(f"depth {depth}: r and nu follow their equations to {error:.1e}")
        assert error < 1e-8


def show_times() -> None:
    """Print the times at which gradient flow and gradient descent converge."""
    linear = whitened(3)
    leaky = deep_network([2, 2, 1], [(1, 0), (0, 1)], ["3/5", "4/5"], activation="leaky-relu")
    cases = {
        "linear": (linear, linear.balanced_start(PRODUCT)),
        "leaky": (leaky, leaky.balanced_start(PRODUCT, rotation=0)),
    }
    for name, (network, start) in cases.items():
        print(f"\n{name} network")
        for h in (0.2, 0.1, 0.05):
            times = convergence_times(network, start, h=h, target=1e-4)
            print(f"h = {h:5.3f}: {times}")
            assert abs(times.flow - times.descent) < 5 * h


def draw(path: Path) -> None:
    """Draw the smallest eigenvalue and its bound along gradient flow."""
    from matplotlib.figure import Figure

    network = whitened(3)
    flow = modeq.derive(network, order=0).solve(network.balanced_start(PRODUCT), h=0.2, steps=60)
    figure = Figure(figsize=(6.5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(flow.t, [network.smallest_eigenvalue(x) for x in flow.theta], label="measured")
    axes.plot(flow.t, [network.eigenvalue_bound(x) for x in flow.theta], "--", label="bound")
    axes.set(xlabel="time", ylabel="smallest eigenvalue")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print curvature, dynamics and convergence times."""
    show_curvature()
    show_pieces()
    show_dynamics()
    show_times()
    if pictures is not None:
        draw(pictures / "deep_linear_network.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
