"""Gradient descent against itself with smaller steps, and what that says about gradient flow.

Claim (the experiment of Elkabetz and Cohen 2021): if gradient descent with learning rate h is near
gradient flow, then h/r, r = 2, 5, 10, 20, gives nearly the same weights and losses at equal times.
Derived here: as the error is C h + O(h²), the distance between h and h/r is C h (1 - 1/r), so each
r gives the same estimate of the distance to gradient flow. For a formula it is compared with the
flow; for a network of this size there is no other way to know it. With ReLU units that cross kinks
the estimates differ by tens of percent, as the error is no smooth function of h there.

The protocol is that of the paper: full batches, cross-entropy, no biases, h = 0.001, on 1,000
images, with 784-50-50-10 on MNIST in the paper and 64-50-50-10 on the digits of scikit-learn here.
``python step_refinement.py [folder] --full`` runs it, in minutes. Without ``--full`` there are 200
images and few steps. Without scikit-learn random data stand in for the digits.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import modeq
from modeq.networks import data
from modeq.networks.models import FullyConnected


@dataclass(frozen=True)
class Protocol:
    """How many images, which learning rate, how many steps of it, and the numbers r."""

    images: int
    h: float
    steps: int
    factors: tuple[int, ...] = (2, 5, 10, 20)


SMALL = Protocol(images=100, h=0.001, steps=10)
FULL = Protocol(images=1_000, h=0.001, steps=500)


def show_formula() -> None:
    """Compare the estimates with the distance to gradient flow."""
    loss = modeq.problems.two_layer()
    refinement = modeq.step_refinement(loss, h=0.01, steps=50)
    distance = modeq.compare(loss, h=0.01, steps=50, orders=(0,)).errors[0][-1]
    print(f"{loss.name}\n{refinement}\nestimates of the distance to gradient flow, {distance:.4e}:")
    for r, estimate in refinement.estimates.items():
        print(f"  from h/{r}: {estimate:.4e}")
        assert abs(estimate / distance - 1) < 0.05


def network(activation: str, images: int) -> FullyConnected:
    """Return a network on digits, or on random data where scikit-learn is missing."""
    try:
        digits = data.digits(images)
        inputs, labels = digits.inputs, digits.labels
    except ImportError:
        rng = np.random.default_rng(0)
        inputs, labels = rng.random((images, 64)), rng.integers(0, 10, images)
    return FullyConnected((64, 50, 50, 10), inputs, labels, activation)


def refine(activation: str, protocol: Protocol) -> modeq.StepRefinement:
    """Print how little smaller steps change a network."""
    net = network(activation, protocol.images)
    refinement = modeq.step_refinement(
        net.gradient,
        net.start(),
        h=protocol.h,
        steps=protocol.steps,
        factors=protocol.factors,
        value=net.value,
        is_gradient=True,
    )
    first, last, moved = refinement.losses[1][0], refinement.losses[1][-1], refinement.moved[-1]
    print(
        f"\n{activation} network, {protocol.images} images, {protocol.steps} steps of {protocol.h}"
    )
    print(f"{refinement}\nloss from {first:.5f} to {last:.5f}, weights moved by {moved:.4g}")
    estimates = list(refinement.estimates.values())
    print(f"distance to gradient flow: {min(estimates):.4g} to {max(estimates):.4g}")
    assert last < first
    # At kinks the error is not C h: how far beyond a kink a step goes is chance.
    assert max(estimates) < (1.05 if activation == "linear" else 2) * min(estimates)
    assert max(estimates) < 0.02 * moved
    return refinement


def draw(refinements: dict[str, modeq.StepRefinement], path: Path) -> None:
    """Draw losses and distances over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6), layout="constrained")
    rows = figure.subplots(2, len(refinements))
    for (above, below), (name, refinement) in zip(rows.T, refinements.items(), strict=True):
        for r, losses in refinement.losses.items():
            above.plot(refinement.t, losses, label="h" if r == 1 else f"h/{r}")
        for r, distance in refinement.distances.items():
            below.plot(refinement.t, distance, label=f"h against h/{r}")
        above.set(xlabel="time", ylabel="loss", title=f"{name} network")
        below.set(xlabel="time", ylabel="distance of weights")
        above.legend()
        below.legend()
    figure.savefig(path)


def experiment(protocol: Protocol, pictures: Path | None) -> None:
    """Run the protocol on a linear and a ReLU network."""
    refinements = {activation: refine(activation, protocol) for activation in ("linear", "relu")}
    if pictures is not None:
        draw(refinements, pictures / "step_refinement.svg")


def main(pictures: Path | None = None) -> None:
    """Print distances and losses at equal times, for few images and steps."""
    show_formula()
    experiment(SMALL, pictures)


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--full"]
    folder = folders[0] if folders else None
    if "--full" in sys.argv:
        experiment(FULL, folder)
    else:
        main(folder)
