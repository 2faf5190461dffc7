"""Heavy ball and Adam on a network, against their modified flows.

Claim: on the slow manifold of its memory, any smooth optimizer follows a field that is found from
its steps alone, and whose flow of order n misses it by O(hⁿ⁺¹) at a fixed time (derived here; for
heavy ball through h Kovachki and Stuart 2021, for Adam Cattaneo, Klusowski and Shigida 2024). The
optimizers are those of optax, and the weights those of a network that reads digits. For heavy ball
order 0 is gradient flow at the speed 1/(1 - β), which is checked as well.
"""

import sys
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from modeq.networks import OptimizerStep, data, double_precision, models
from modeq.networks.flat_loss import FlatLoss
from modeq.networks.trajectories import advance

BETA = 0.5
OPTIMIZERS = {
    "heavy ball": lambda h: optax.sgd(h, momentum=BETA),
    "Adam": lambda h: optax.adam(h, b1=0.5, b2=0.75, eps=0.0, eps_root=0.04),
}


class OptimizerField:
    """The modified field of an optimizer, as a field of vectors."""

    def __init__(self, loss: FlatLoss, optimizer: Any, order: int, h: float):
        self.step = OptimizerStep(optimizer, loss.of_vector, order, h=h)

    def begin(self, theta: np.ndarray, h: float) -> None:
        """Take note of nothing."""

    def rhs(self, theta: np.ndarray, h: float) -> np.ndarray:
        """Return θ'."""
        return np.asarray(self.step.field(jnp.asarray(theta)))


def network_loss(units: int, points: int) -> FlatLoss:
    """Return the cross-entropy of a network on digits, as a function of a vector of weights."""
    digits = data.digits(points)
    network = models.mlp((64, units, 10), "tanh")
    loss = models.cross_entropy(network, digits.inputs, digits.labels)
    return FlatLoss(loss, network.init(seed=0))


def trained(loss: FlatLoss, optimizer: Any, start: Any, steps: int) -> np.ndarray:
    """Return the weights after some steps of the optimizer itself, from a state of its memory."""

    def step(_, now):
        theta, state = now
        updates, state = optimizer.update(jax.grad(loss.of_vector)(theta), state, theta)
        return theta + updates, state

    run = jax.jit(lambda now: jax.lax.fori_loop(0, steps, step, now))
    return np.asarray(run((jnp.asarray(loss.start), start))[0])


def distances(loss: FlatLoss, name: str, rates: list[float], time: float, order: int) -> list:
    """Return how far the flow of one order is from the optimizer on its slow manifold."""
    found = []
    for h in rates:
        optimizer, steps = OPTIMIZERS[name](h), round(time / h)
        field = OptimizerField(loss, optimizer, order, h)
        iterate = trained(loss, optimizer, field.step.slow_state(jnp.asarray(loss.start)), steps)
        end = advance(field, loss.start, time, 1e-11)
        found.append(float(np.linalg.norm(end - iterate)))
    return found


def show(loss: FlatLoss, name: str, rates: list[float], time: float, orders: tuple) -> dict:
    """Print distances and slopes, and check the slopes."""
    print(f"\n{name}, distance at time {time}\n{'h':8}" + "".join(f"{h:11.5g}" for h in rates))
    errors = {}
    for order in orders:
        errors[order] = distances(loss, name, rates, time, order)
        slopes = [log2(a / b) for a, b in pairwise(errors[order])]
        row = "".join(f"{error:11.2e}" for error in errors[order])
        print(f"order {order} {row}   slopes {' '.join(f'{slope:.2f}' for slope in slopes)}")
        assert abs(slopes[-1] - order - 1) < 0.1
    return errors


def show_speed(loss: FlatLoss) -> None:
    """Check that the field of order 0 of heavy ball is -g/(1 - β)."""
    field = OptimizerField(loss, OPTIMIZERS["heavy ball"](1e-3), 0, 1e-3)
    found, gradient = field.rhs(loss.start, 1e-3), loss.gradient(loss.start)
    difference = np.linalg.norm(found + gradient / (1 - BETA)) / np.linalg.norm(gradient)
    print(f"a network of {loss.dimension} weights; order 0 of heavy ball is -g/(1 - beta)", end=" ")
    print(f"to {difference:.0e}")
    assert difference < 1e-9


def draw(errors: dict[str, dict], rates: dict[str, list[float]], path: Path) -> None:
    """Draw distances over learning rates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(1, 2), errors.items(), strict=True):
        for order, row in rows.items():
            axes.loglog(rates[name], row, "o-", label=f"order {order}")
        axes.set(xlabel="learning rate h", ylabel="distance from the optimizer", title=name)
        axes.legend()
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Print how far heavy ball and Adam are from their flows, over learning rates."""
    loss = network_loss(*(2, 20) if quick else (8, 100))
    times = {"heavy ball": 0.2, "Adam": 0.02}
    halvings, orders = (1, (0, 1)) if quick else (3, (0, 1, 2))
    rates = {name: [time / 16 / 2**k for k in range(halvings + 1)] for name, time in times.items()}
    show_speed(loss)
    errors = {name: show(loss, name, rates[name], times[name], orders) for name in OPTIMIZERS}
    if pictures is not None:
        draw(errors, rates, pictures / "momentum_and_adam.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
