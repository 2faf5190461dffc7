"""Normalised and softmax layers of a network: how norms, angles and sums of weights move.

Claim (through h Miyagawa 2022; all orders and the equilibrium derived here). Let v be the weights
of a weight-normalised layer, N = |v|², G = |∇_vℓ|², and λ the weight decay. Gradient descent has

    N⁺ = (1 - hλ)² N + h² G,        tan Δ = h √G / ((1 - hλ) √N),

exactly, where Δ is the angle by which v turns. Gradient flow has N' = -2λN, and its flows

    N' = -2λ N + h (G - λ² N) + h² (λ G - ½ dG/dt - ⅔ λ³ N) + …,

with dG/dt along gradient flow. Where N rests in the mean, v turns by Δ* = arccos(1 - hλ) in each
step, and N* = (h ⟨NG⟩ / (2λ - hλ²))^½; training with minibatches gets there.

Where s is the sum of all weights from one unit to a softmax, gradient descent multiplies it by
1 - hλ, and the flow of order n by exp(-Σ_{k≤n+1} (hλ)ᵏ/k) in the same time.
"""

import sys
from collections.abc import Callable
from math import acos, atan, exp
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modeq.networks import counter_terms, data, double_precision, models, solve_flow

RATE, DECAY = 0.2, 0.1
ORDERS = (0, 1, 2, 3)


def inner(a: Any, b: Any) -> float:
    """Return the inner product of two arrays of weights."""
    return float(np.vdot(np.asarray(a), np.asarray(b)))


def angle(v: jax.Array, w: jax.Array) -> float:
    """Return the angle between two arrays, also where it is small."""
    one, other = np.asarray(v), np.asarray(w)
    along = inner(one, other) / inner(one, one) ** 0.5
    across = other - one * (inner(one, other) / inner(one, one))
    return float(np.arctan2(np.sqrt(inner(across, across)), along))


def descent(loss: Callable) -> Callable:
    """Return a function of weights: ∇ℓ, and the weights after a step with decay."""

    def step(params):
        slopes = jax.grad(loss)(params)
        new = jax.tree.map(lambda p, g: (1 - RATE * DECAY) * p - RATE * g, params, slopes)
        return slopes, new

    return jax.jit(step)


def show_descent(loss: Callable, params: models.Params, steps: int) -> list[float]:
    """Check the exact laws of gradient descent for each layer, and return N of the first."""
    step, norms, worst = descent(loss), [inner(params[0]["v"], params[0]["v"])], [0.0, 0.0]
    for _ in range(steps):
        slopes, new = step(params)
        for old, slope, layer in zip(params, slopes, new, strict=True):
            N, G = inner(old["v"], old["v"]), inner(slope["v"], slope["v"])
            law = (1 - RATE * DECAY) ** 2 * N + RATE**2 * G
            turn = atan(RATE * G**0.5 / ((1 - RATE * DECAY) * N**0.5))
            worst[0] = max(worst[0], abs(inner(layer["v"], layer["v"]) / law - 1))
            worst[1] = max(worst[1], abs(angle(old["v"], layer["v"]) / turn - 1))
        params = new
        norms.append(inner(params[0]["v"], params[0]["v"]))
    print(f"gradient descent, {steps} steps: its laws of N and of angles hold", end=" ")
    print(f"to {worst[0]:.0e} and {worst[1]:.0e}")
    assert max(worst) < 1e-9
    return norms


def show_laws(loss: Callable, params: models.Params) -> None:
    """Check the coefficients of 1, h and h² in N' of the flows, with decay."""
    slopes, _ = descent(loss)(params)
    f1, f2 = counter_terms(models.decayed(loss, DECAY), params, 2)

    def squares(at):
        return [jnp.sum(slope["v"] ** 2) for slope in jax.grad(loss)(at)]

    def growth(at, slopes):
        flow = jax.tree.map(lambda p, g: -g - DECAY * p, at, slopes)
        return jax.jvp(squares, (at,), (flow,))[1]

    rates = jax.jit(growth)(params, slopes)
    print("\nlayer             N' of order 0            times h           times h²")
    for number, (layer, slope) in enumerate(zip(params, slopes, strict=True)):
        v, N, G = layer["v"], inner(layer["v"], layer["v"]), inner(slope["v"], slope["v"])
        found = [
            -2 * (inner(v, slope["v"]) + DECAY * N),
            2 * inner(v, f1[number]["v"]),
            2 * inner(v, f2[number]["v"]),
        ]
        second = -2 * DECAY**3 / 3 * N + DECAY * G - float(rates[number]) / 2
        expected = [-2 * DECAY * N, -(DECAY**2) * N + G, second]
        for name, values in ((f"{number} measured", found), (f"{number} law", expected)):
            print(f"{name:14}" + "".join(f"{value:18.12f}" for value in values))
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-14)


def show_norms(
    loss: Callable, params: models.Params, norms: list[float], orders: tuple
) -> dict[int, list[float]]:
    """Print N along the flows beside that of gradient descent."""
    steps, decayed = len(norms) - 1, models.decayed(loss, DECAY)
    found = {}
    for order in orders:
        path = solve_flow(decayed, params, order, h=RATE, steps=steps)
        found[order] = [inner(v, v) for v in (path.params(k)[0]["v"] for k in range(steps + 1))]
    errors = {order: abs(values[-1] / norms[-1] - 1) for order, values in found.items()}
    print(f"\nN of the first layer after {steps} steps: gradient descent {norms[-1]:.8f}")
    for order, values in found.items():
        print(f"  order {order}   {values[-1]:.8f}   off by {errors[order]:.1e}")
    assert abs(found[0][-1] / (norms[0] * exp(-2 * DECAY * RATE * steps)) - 1) < 1e-7
    assert all(errors[order + 1] < errors[order] / 2 for order in orders[:-1])
    return found


def sums(params: models.Params) -> np.ndarray:
    """Return Σ over classes of the weights from each unit to the softmax, and of the biases."""
    last = params[-1]
    return np.append(np.asarray(last["w"]).sum(axis=0), np.asarray(last["b"]).sum())


def show_sums(loss: Callable, params: models.Params, steps: int, orders: tuple) -> None:
    """Print by what the sums are multiplied, along gradient descent and its flows."""
    decayed, z = models.decayed(loss, DECAY), RATE * DECAY
    step, theta = descent(loss), params
    for _ in range(steps):
        theta = step(theta)[1]
    rows = {"gradient descent": ((1 - z) ** steps, theta)}
    for order in orders:
        exponent = sum(z**k / k for k in range(1, order + 2))
        path = solve_flow(decayed, params, order, h=RATE, steps=steps)
        rows[f"order {order}"] = (exp(-steps * exponent), path.params(steps))
    print(f"\nsums into the softmax are multiplied in {steps} steps by")
    for name, (law, end) in rows.items():
        factors = sums(end) / sums(params)
        print(f"  {name:18}{factors.mean():.10f}   law {law:.10f}")
        assert np.allclose(factors, law, rtol=1e-7)


def show_equilibrium(
    network: models.Network, digits: data.LabelledData, params: models.Params, steps: int
) -> tuple[np.ndarray, float]:
    """Train with minibatches and decay, and compare N and angles with the equilibrium."""
    rate, decay, size = 0.5, 0.02, 20
    slope = jax.grad(models.batch_cross_entropy(network))
    inputs, labels = jnp.asarray(digits.inputs), jnp.asarray(digits.labels)

    def step(theta, chosen):
        slopes = slope(theta, inputs[chosen], labels[chosen])
        new = jax.tree.map(lambda p, g: (1 - rate * decay) * p - rate * g, theta, slopes)
        v, w = theta[0]["v"], new[0]["v"]
        N, G = jnp.sum(v**2), jnp.sum(slopes[0]["v"] ** 2)
        return new, (N, G, jnp.arccos(jnp.sum(v * w) / jnp.sqrt(N * jnp.sum(w**2))))

    rng = np.random.default_rng(0)
    batches = np.array([rng.choice(len(digits), size, replace=False) for _ in range(steps)])
    N, G, turns = map(np.asarray, jax.lax.scan(step, params, jnp.asarray(batches))[1])
    late = slice(steps // 2, None)
    turn, rest = atan(np.sqrt(np.mean(np.tan(turns[late]) ** 2))), acos(1 - rate * decay)
    law = np.sqrt(rate * np.mean(N[late] * G[late]) / (2 * decay - rate * decay**2))
    print(f"\nminibatches of {size}, {steps} steps, h = {rate}, weight decay {decay}")
    print(f"  angle of a step {turn:.4f}, at equilibrium {rest:.4f}")
    print(f"  N {N[0]:.3f} at first, then {np.mean(N[late]):.3f}, at equilibrium {law:.3f}")
    assert abs(turn / rest - 1) < 0.05
    assert abs(np.mean(N[late]) / law - 1) < 0.05
    return turns, rest


def draw(norms: list, flows: dict, turns: np.ndarray, rest: float, path: Path) -> None:
    """Draw N along gradient descent and its flows, and the angles of steps with minibatches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    times = RATE * np.arange(len(norms))
    left.plot(times, norms, "k.", label="gradient descent")
    for order, values in flows.items():
        left.plot(times, values, label=f"order {order}")
    left.set(xlabel="time", ylabel="$N$", title="a weight-normalised layer, with decay")
    left.legend()
    right.plot(turns, ",", label="steps with minibatches")
    right.axhline(rest, color="k", label="arccos(1 - hλ)")
    right.set(xlabel="step", ylabel="angle of a step", ylim=(0, 3 * rest))
    right.legend()
    figure.savefig(path)


@double_precision()
def main(pictures: Path | None = None, quick: bool = False) -> None:
    """Check the laws of invariant layers on networks that learn digits."""
    units, points, steps = (4, 60, 8) if quick else (16, 400, 20)
    orders, digits = ORDERS[:3] if quick else ORDERS, data.digits(points)
    normalised, plain = models.weight_normalized((64, units, 10)), models.mlp((64, units, 10))
    loss = models.cross_entropy(normalised, digits.inputs, digits.labels)
    params = normalised.init(seed=0)
    norms = show_descent(loss, params, steps)
    show_laws(loss, params)
    flows = show_norms(loss, params, norms, orders)
    softmax = models.cross_entropy(plain, digits.inputs, digits.labels)
    show_sums(softmax, plain.init(seed=0), steps, orders)
    turns, rest = show_equilibrium(normalised, digits, params, 2_000 if quick else 8_000)
    if pictures is not None:
        draw(norms, flows, turns, rest, pictures / "invariant_layers.svg")


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:] if argument != "--quick"]
    main(folders[0] if folders else None, quick="--quick" in sys.argv)
