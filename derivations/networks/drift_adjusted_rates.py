"""Drift-adjusted learning rates against fixed ones, on two networks.

Claim (Rosca, Wu, Qin, Dherin 2023): the learning rate DAL-p, h(θ) = min(2/|Hĝ|^p, cap), ĝ = g/|g|,
needs no tuning. DAL-1 is stable and DAL-1/2 is faster.

On a network of ReLU with cross-entropy, where |Hĝ| falls below 1, both end lower than every fixed
rate of a grid by factors of two, and DAL-1/2 ends lowest. With tanh and the square loss |Hĝ| stays
at about 9: DAL-1 follows the edge of stability, as good as the best rate of the grid, while DAL-1/2
is three times larger than that, and diverges (both shown here).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modeq.errors import FlowError
from modeq.networks import DriftAdjusted, TrainingRecord, data, double_precision, models, train

GRID = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
Runs = dict[str, TrainingRecord | None]
ADJUSTED = {"DAL-1": DriftAdjusted(1), "DAL-1/2": DriftAdjusted(0.5)}


def relu_network(points: int) -> tuple[Callable, models.Params]:
    """Return the cross-entropy of a network of ReLU on digits, and its weights."""
    digits = data.digits(points)
    network = models.mlp((64, 32, 32, 10), "relu")
    return models.cross_entropy(network, digits.inputs, digits.labels), network.init(seed=0)


def tanh_network(points: int) -> tuple[Callable, models.Params]:
    """Return the square loss of a network of tanh on digits, and its weights."""
    digits = data.digits(points)
    network = models.mlp((64, 32, 10), "tanh")
    return models.square(network, digits.inputs, digits.one_hot), network.init(seed=0)


def run(loss: Callable, params: models.Params, rate: Any, steps: int) -> TrainingRecord | None:
    """Return a run, or nothing if it diverged."""
    try:
        return train(loss, params, rate=rate, steps=steps, flows=())
    except FlowError:
        return None


def final(record: TrainingRecord | None) -> float:
    """Return the mean of the last losses, as they go up and down at the edge of stability."""
    return np.inf if record is None else float(np.mean(record.columns["loss"][-10:]))


def compare(title: str, network: tuple, grid: tuple, steps: int) -> Runs:
    """Print the losses in the end for each learning rate."""
    rules = {**ADJUSTED, **{f"h = {rate}": rate for rate in grid}}
    loss, params = network
    records = {name: run(loss, params, rate, steps) for name, rate in rules.items()}
    print(f"\n{title}, {steps} steps\n{'':12}   loss in the end    largest   learning rates")
    for name, record in records.items():
        if record is None:
            print(f"{name:12}   diverges")
            continue
        rates = record.columns["rate"]
        largest = f"{record.columns['loss'].max():11.3g}"
        span = f"{rates.min():.3f} to {rates.max():.3f}"
        print(f"{name:12}   {final(record):15.5f}{largest}   {span}")
    return records


def check_relu(records: Runs) -> None:
    """Check that both rules end lower than all fixed rates, and DAL-1/2 lowest."""
    fixed = min(final(record) for name, record in records.items() if name not in ADJUSTED)
    assert 2 * final(records["DAL-1"]) < fixed
    assert 2 * final(records["DAL-1/2"]) < fixed
    assert final(records["DAL-1/2"]) < final(records["DAL-1"])


def check_tanh(records: Runs) -> None:
    """Check that DAL-1 is as good as the best fixed rate, and that DAL-1/2 diverges."""
    adjusted = records["DAL-1"]
    assert adjusted is not None
    start = adjusted.columns["loss"][0]
    fixed = min(final(record) for name, record in records.items() if name not in ADJUSTED)
    assert adjusted.columns["loss"].max() < 1.1 * start
    assert final(records["DAL-1"]) < 1.1 * fixed
    assert not final(records["DAL-1/2"]) < 1e3 * start
    assert not final(records["h = 1.0"]) < 1e3 * start


def draw(runs: dict[str, Runs], path: Path) -> None:
    """Draw losses over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (title, records) in zip(figure.subplots(1, 2), runs.items(), strict=True):
        for name, record in records.items():
            if record is not None and final(record) < 1e3:
                width = 2 if name in ADJUSTED else 0.8
                axes.semilogy(record.columns["loss"], label=name, linewidth=width)
        axes.set(xlabel="step", ylabel="loss", title=title)
        axes.legend(fontsize="small")
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Print the losses that drift-adjusted and fixed learning rates end with."""
    points, steps, grid = (100, 250, GRID[1:5]) if quick else (300, 500, GRID)
    runs = {}
    for title, network, check in (
        ("ReLU, cross-entropy", relu_network(points), check_relu),
        ("tanh, square loss", tanh_network(points), check_tanh),
    ):
        runs[title] = compare(title, network, grid, steps)
        check(runs[title])
    if pictures is not None:
        draw(runs, pictures / "drift_adjusted_rates.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
