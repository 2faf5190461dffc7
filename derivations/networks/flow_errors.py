"""How far gradient flow, the flows of order 1, 2, 3 and principal flows are from gradient descent.

Claim: also along the training of a network, the flow of order n misses gradient descent by
O(hⁿ⁺²) after one step, and by O(hⁿ⁺¹) at a fixed time (backward error analysis; Miyagawa 2022). The
principal flow of its sharpest directions (Rosca, Wu, Qin, Dherin 2023) has the order of n = 1, as
its first missing term is h²/12 T[g,g]; with the modified equation through hⁿ in place of the chains
in all other directions it has that of n (derived here).

The network has one layer of tanh and a softmax, and reads the digits of scikit-learn.
"""

import sys
from itertools import pairwise
from math import log2
from pathlib import Path

import numpy as np

from modeq.networks import SeriesFlow, TopPrincipalFlow, data, double_precision, models
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.trajectories import advance

FLOWS = {
    SeriesFlow(0): 0,
    SeriesFlow(1): 1,
    SeriesFlow(2): 2,
    SeriesFlow(3): 3,
    TopPrincipalFlow(2, frozen=True): 1,
}
"""The flows, and the order that each of them has."""

MIXED = {TopPrincipalFlow(2, order=2, trees="all", frozen=True): 2}
"""The principal flow with the modified equation through h² in all other directions."""

TOLERANCE = 1e-13
"""Of the solver, so that what is measured is the flow."""


def network_loss(units: int, points: int) -> FlatLoss:
    """Return the cross-entropy of a network on digits, as a function of a vector of weights."""
    digits = data.digits(points)
    network = models.mlp((64, units, 10), "tanh")
    loss = models.cross_entropy(network, digits.inputs, digits.labels)
    return FlatLoss(loss, network.init(seed=0))


def descend(loss: FlatLoss, h: float, steps: int) -> np.ndarray:
    """Return the weights after some steps of gradient descent."""
    theta = loss.start
    for _ in range(steps):
        theta = theta - h * loss.gradient(theta)
    return theta


def distances(
    loss: FlatLoss, flows: dict, rates: list[float], time: float | None
) -> dict[str, list[float]]:
    """Return the distance of each flow from gradient descent, at a time or after one step."""
    counts = [1 if time is None else round(time / h) for h in rates]
    runs = list(zip(rates, counts, strict=True))
    iterates = [descend(loss, h, steps) for h, steps in runs]
    found = {}
    for flow in flows:
        field, ends = flow.bind(loss), []
        for h, steps in runs:
            theta = loss.start
            for _ in range(steps):
                theta = advance(field, theta, h, TOLERANCE)
            ends.append(theta)
        found[flow.name] = [
            float(np.linalg.norm(e - i)) for e, i in zip(ends, iterates, strict=True)
        ]
    return found


def slopes(errors: list[float]) -> list[float]:
    """Return the slope of each halving of the learning rate."""
    return [log2(a / b) for a, b in pairwise(errors)]


def show(title: str, flows: dict, rates: list[float], errors: dict, extra: int) -> None:
    """Print distances and slopes, and check the last slopes against the order of each flow."""
    print(f"\n{title}\n{'h':30}" + "".join(f"{h:11.6g}" for h in rates) + "   slopes")
    for flow, order in flows.items():
        row, expected = errors[flow.name], order + extra
        measured = slopes(row)
        shown = " ".join(f"{slope:.2f}" for slope in measured[-3:])
        print(f"{flow.name:30}" + "".join(f"{e:11.2e}" for e in row) + f"   {shown}")
        assert all(abs(slope - expected) < 0.1 for slope in measured[-3:]), (flow.name, measured)


def draw(rates: list[float], errors: dict[str, list[float]], path: Path) -> None:
    """Draw distances over learning rates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    for name, row in errors.items():
        axes.loglog(rates, row, "o--" if "principal" in name else "o-", label=name, markersize=3)
    axes.set(xlabel="learning rate h", ylabel="distance from gradient descent")
    axes.legend()
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Print the distances of all flows from gradient descent, over learning rates."""
    loss = network_loss(*(4, 40) if quick else (16, 200))
    flows = FLOWS if quick else FLOWS | MIXED
    print(f"a network of {loss.dimension} weights")
    rates = [0.05 / 2**k for k in range(4)]
    show("distance after one step", flows, rates, distances(loss, flows, rates, None), extra=2)
    halvings, time = (4, 0.1) if quick else (6, 1.6)
    rates = [time / (2 if quick else 4) / 2**k for k in range(halvings)]
    errors = distances(loss, flows, rates, time)
    show(f"distance at time {time}", flows, rates, errors, extra=1)
    if pictures is not None:
        draw(rates, errors, pictures / "flow_errors.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
