"""The edge of stability: what gradient descent does past hλ = 2, and what its flows see of it.

Claim: gradient descent on a network raises the sharpness λ until hλ is about 2, and then keeps it
there while the loss goes on falling, though not in every step (Cohen, Kaur, Li, Kolter, Talwalkar
2021). Flows of every finite order n multiply the sharpest direction by exp(-Σ_{k≤n+1} (hλ)ᵏ/k) < 1,
so they see no edge, and their sharpness goes on rising (shown here). The principal flow multiplies
it by 1 - hλ, as gradient descent does; its stability coefficients log|1 - hλᵢ|/(hλᵢ) (g·uᵢ)² are
positive past the edge, and their sum tells in which steps the loss will rise (Rosca, Wu, Qin,
Dherin 2023).

The network has two layers of tanh and the square loss, and reads the digits of scikit-learn.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from modeq.networks import (
    NetworkStability,
    SeriesFlow,
    TopPrincipalFlow,
    data,
    double_precision,
    models,
)
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.spectrum import sharpest, stability_from
from modeq.networks.trajectories import advance
from modeq.principal.stability import multiplier_of_flow

RATE = 0.2
ORDERS = (0, 1, 2, 3)
DIRECTIONS = 12
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Sample:
    """What is known at one iterate: its stability, its loss, and that of the next iterate."""

    step: int
    stability: NetworkStability
    loss: float
    change: float

    @property
    def sharpness(self) -> float:
        """Return hλ of the sharpest direction."""
        return RATE * self.stability.sharpness

    @property
    def by_gradient_flow(self) -> float:
        """Return the change that gradient flow predicts, -h|g|²."""
        return -RATE * self.stability.gradient_norm**2

    @property
    def by_coefficients(self) -> float:
        """Return the change that the principal flow predicts: Σ h scᵢ, -h|g|² for the rest."""
        rest = self.stability.rest**2
        return RATE * float(np.sum(self.stability.coefficients) - rest)


def network_loss(units: int, points: int) -> FlatLoss:
    """Return the square loss of a network on digits, as a function of a vector of weights."""
    digits = data.digits(points)
    network = models.mlp((64, units, units, 10), "tanh")
    loss = models.square(network, digits.inputs, digits.one_hot)
    return FlatLoss(loss, network.init(seed=0))


def descend(loss: FlatLoss, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the iterates of gradient descent, of shape (steps + 1, d), and their losses."""
    both = jax.value_and_grad(loss.of_vector)

    def step(theta, _):
        value, slope = both(theta)
        return theta - RATE * slope, (theta, value)

    path, values = jax.jit(lambda theta: jax.lax.scan(step, theta, length=steps + 1)[1])(loss.start)
    return np.asarray(path), np.asarray(values)


def examine(loss: FlatLoss, theta: np.ndarray, start: np.ndarray | None) -> NetworkStability:
    """Return the stability in the sharpest directions."""
    values, vectors = sharpest(loss, theta, DIRECTIONS, start, TOLERANCE)
    return stability_from(loss, theta, RATE, values, vectors)


def sampled(loss: FlatLoss, path: np.ndarray, values: np.ndarray, every: int) -> list[Sample]:
    """Return samples along gradient descent."""
    samples: list[Sample] = []
    for step in range(0, len(path) - 1, every):
        start = samples[-1].stability.vectors.sum(axis=1) if samples else None
        stability = examine(loss, path[step], start)
        change = float(values[step + 1] - values[step])
        samples.append(Sample(step, stability, float(values[step]), change))
    return samples


def show_descent(samples: list[Sample], values: np.ndarray) -> list[Sample]:
    """Print gradient descent, and return the samples at the edge."""
    print(
        "gradient descent\n  step   h lambda       loss      change     by coefficients   -h |g|²"
    )
    for sample in samples[:: max(1, len(samples) // 12)]:
        predicted = f"{sample.by_coefficients:16.2e}  {sample.by_gradient_flow:10.1e}"
        shown = f"{sample.sharpness:11.3f}{sample.loss:11.5f}{sample.change:12.2e}{predicted}"
        print(f"{sample.step:6d}{shown}")
    first = next(i for i, sample in enumerate(samples) if sample.change > 0)
    edge = samples[first:]
    mean = np.mean([sample.sharpness for sample in edge])
    rising = np.mean(np.diff(values[edge[0].step :]) > 0)
    fallen = values[-1] / edge[0].loss
    print(
        f"from step {edge[0].step} on: h lambda {mean:.3f} on average, the loss rises in", end=" "
    )
    print(f"{rising:.0%} of all steps, and falls to {fallen:.0%} in the end")
    assert 1.9 < mean < 2.3
    assert rising > 0.1
    assert fallen < 0.8
    return edge


def show_signs(edge: list[Sample]) -> None:
    """Print how well the change of the loss in a step is foreseen at the edge."""
    rises = [sample.change > 0 for sample in edge]
    met = [(s.by_coefficients > 0) == up for s, up in zip(edge, rises, strict=True)]
    share = sum(met) / len(met)
    ratios = {
        "stability coefficients": np.median([abs(s.by_coefficients / s.change) for s in edge]),
        "gradient flow": np.median([abs(s.by_gradient_flow / s.change) for s in edge]),
    }
    print(
        f"the loss rises in {sum(rises)} of {len(edge)} samples; the sign of its change is", end=" "
    )
    print(f"that of the coefficients in {share:.0%}, that of gradient flow in", end=" ")
    print(f"{1 - np.mean(rises):.0%}, and its size, in the median, is foreseen as")
    for name, ratio in ratios.items():
        print(f"  {ratio:5.2f} times itself by {name}")
    assert share > max(0.65, 1.1 - sum(rises) / len(rises))
    assert 0.5 < ratios["stability coefficients"] < 2
    assert ratios["gradient flow"] > 4


def show_flows(loss: FlatLoss, steps: int, every: int, orders: tuple) -> dict[int, list[float]]:
    """Print hλ along the flows of finite order, which go on past the edge."""
    found: dict[int, list[float]] = {}
    for order in orders:
        field, theta, start = SeriesFlow(order).bind(loss), loss.start, None
        found[order] = []
        for _ in range(0, steps, every):
            theta = advance(field, theta, RATE, TOLERANCE, time=every * RATE)
            stability = examine(loss, theta, start)
            start = stability.vectors.sum(axis=1)
            found[order].append(RATE * stability.sharpness)
        print(f"order {order}: h lambda {found[order][-1]:.3f} at step {steps}")
        assert found[order][-1] > 2.5
    return found


def show_step(loss: FlatLoss, theta: np.ndarray, orders: tuple) -> None:
    """Print one step from a point past the edge: by gradient descent, and by each flow."""
    stability = examine(loss, theta, None)
    z, u = RATE * stability.sharpness, stability.vectors[:, 0]
    gradient = loss.gradient(theta)
    target = theta - RATE * gradient

    def factor(end: np.ndarray) -> float:
        return float(u @ loss.gradient(end) / (u @ gradient))

    print(f"\none step where h lambda = {z:.3f}; the sharpest component of g is multiplied by")
    print(f"{'gradient descent':26}{factor(target):9.3f}   linear part {1 - z:8.3f}")
    distances = {}
    principal = TopPrincipalFlow(DIRECTIONS, frozen=True)
    flows: list[Any] = [*map(SeriesFlow, orders), principal]
    for flow in flows:
        end = advance(flow.bind(loss), theta, RATE, 1e-8).real
        law = multiplier_of_flow(z, flow.order) if flow is not principal else 1 - z
        distances[flow.name] = float(np.linalg.norm(end - target))
        shown = f"{factor(end):9.3f}   linear part {law:8.3f}   distance {distances[flow.name]:.1e}"
        print(f"{flow.name:26}{shown}")
    nearest = min(distances[SeriesFlow(n).name] for n in orders)
    assert distances[principal.name] < nearest / 5


def draw(samples: list[Sample], flows: dict, every: int, path: Path) -> None:
    """Draw sharpness and loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [sample.step for sample in samples]
    left.plot(steps, [sample.sharpness for sample in samples], "k.-", label="gradient descent")
    for order, values in flows.items():
        left.plot(every * np.arange(1, len(values) + 1), values, label=f"order {order}")
    left.axhline(2, color="gray", linestyle=":")
    left.set(xlabel="step", ylabel="$h\\lambda$")
    left.legend()
    changes = [abs(sample.change) for sample in samples]
    columns: dict[str, Callable] = {
        "stability coefficients": lambda sample: abs(sample.by_coefficients),
        "gradient flow": lambda sample: abs(sample.by_gradient_flow),
    }
    for name, column in columns.items():
        right.loglog(changes, list(map(column, samples)), ".", label=name)
    right.loglog(changes, changes, color="gray", linestyle=":")
    right.set(xlabel="change of the loss in a step", ylabel="predicted change")
    right.legend()
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Train to the edge of stability, and compare gradient descent with its flows there."""
    loss = network_loss(*(16, 30) if quick else (16, 50))
    steps, every, until = (350, 10, 140) if quick else (600, 6, 200)
    path, values = descend(loss, steps)
    samples = sampled(loss, path, values, every)
    edge = show_descent(samples, values)
    show_signs(edge)
    orders = ORDERS[:2] if quick else ORDERS
    flows = show_flows(loss, until, 20, orders)
    worst = max(samples, key=lambda sample: sample.sharpness)
    show_step(loss, path[worst.step], orders)
    if pictures is not None:
        draw(samples, flows, 20, pictures / "edge_of_stability.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
