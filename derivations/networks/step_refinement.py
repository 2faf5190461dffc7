"""Gradient descent on linear and ReLU networks against itself with smaller steps.

Claim (the experiment of Elkabetz and Cohen 2021, on digits in place of MNIST): for a network with
two hidden layers, linear or ReLU, full-batch gradient descent with h₀ = 0.001 and with h₀/r,
r = 2, 5, 10, 20, have nearly the same losses and weights at equal times, so it is near gradient
flow. Derived here: the error is C h + O(h²), so the distance between h₀ and h₀/r over 1 - 1/r is
the distance to gradient flow, for every r. Gradient flow itself, solved for the linear network,
has that distance; the flow of order 1 is at least a hundred times nearer. With ReLU the estimates
scatter by some percent, as steps of different sizes cross the kinks at different points.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

import modeq
from modeq.networks import SeriesFlow, data, double_precision, models
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.trajectories import advance

RATE = 0.001
FACTORS = (2, 5, 10, 20)


def network_loss(activation: str, points: int) -> FlatLoss:
    """Return the cross-entropy of a network of widths 64, 50, 50, 10 on digits."""
    digits = data.digits(points)
    network = models.mlp((64, 50, 50, 10), activation, bias=False)
    loss = models.cross_entropy(network, digits.inputs, digits.labels)
    return FlatLoss(loss, network.init(seed=0))


def many_steps(loss: FlatLoss, count: int) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return ``count`` steps of gradient descent, each of h/count, as one step of h."""
    slope = jax.grad(loss.of_vector)

    def step(theta, h):
        return jax.lax.fori_loop(0, count, lambda _, at: at - h / count * slope(at), theta)

    return loss.compiled(step)


def refine(activation: str, points: int, shown: int, count: int) -> modeq.StepRefinement:
    """Print losses and distances at ``shown`` times, each after ``count`` steps of h₀."""
    loss = network_loss(activation, points)
    refinement = modeq.step_refinement(
        many_steps(loss, count),
        loss.start,
        h=RATE * count,
        steps=shown,
        factors=FACTORS,
        value=loss.value,
    )
    end = many_steps(loss, shown * count)(loss.start, RATE * shown * count)
    moved = float(np.linalg.norm(end - loss.start))
    print(f"\n{activation} network, {shown * count} steps of {RATE}: weights move by {moved:.4f}")
    print(f"{refinement}\nestimates of the distance to gradient flow:")
    estimates = refinement.estimates
    print("  " + "   ".join(f"{estimate:.4e} (h/{r})" for r, estimate in estimates.items()))
    scatter = max(estimates.values()) / min(estimates.values()) - 1
    assert scatter < (0.01 if activation == "linear" else 0.25)
    assert max(estimates.values()) < 0.002 * moved
    spread = max(abs(refinement.losses[r][-1] / refinement.losses[1][-1] - 1) for r in FACTORS)
    assert spread < 1e-3
    if activation == "linear":
        compare_flows(loss, end, shown * count, estimates[max(FACTORS)])
    return refinement


def compare_flows(loss: FlatLoss, end: np.ndarray, steps: int, estimate: float) -> None:
    """Compare the estimate with gradient flow itself, and with the flow of order 1."""
    distances = []
    for order in (0, 1):
        field = SeriesFlow(order).bind(loss)
        flowed = advance(field, loss.start, RATE, 1e-12, time=RATE * steps)
        distances.append(float(np.linalg.norm(flowed - end)))
    print(f"the distance is {distances[0]:.4e}, and to the flow of order 1 {distances[1]:.1e}")
    assert abs(estimate / distances[0] - 1) < 0.01
    assert distances[1] < distances[0] / 100


def draw(refinements: dict[str, modeq.StepRefinement], path: Path) -> None:
    """Draw distances and losses over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(2, 2)
    for column, (name, refinement) in zip(panels.T, refinements.items(), strict=True):
        for r, distance in refinement.distances.items():
            column[0].plot(refinement.t, distance, label=f"h against h/{r}")
        for r, values in refinement.losses.items():
            column[1].plot(refinement.t, values, label=f"h/{r}" if r > 1 else "h")
        column[0].set(ylabel="distance", title=f"{name} network")
        column[1].set(xlabel="time", ylabel="loss")
        column[0].legend()
        column[1].legend()
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Print distances and losses at equal times."""
    points, shown, count = (100, 10, 4) if quick else (1_000, 20, 15)
    names = ("linear", "relu")
    refinements = {name: refine(name, points, shown, count) for name in names}
    if pictures is not None:
        draw(refinements, pictures / "network_step_refinement.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
