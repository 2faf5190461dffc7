"""Translation-invariant layers: how the sum of their weights moves, as it does for softmax biases.

Claim. Let ℓ(θ_A + c·1) = ℓ(θ_A), s = Σθ_A, and let weight decay λ be added. Then

    gradient flow     s' = -λ s
    order 1           s' = -(λ + hλ²/2) s                          (Miyagawa 2022)
    all orders        s' = h⁻¹ log(1 - hλ) s                       (derived here)
    gradient descent  s⁺ = (1 - hλ) s, exactly,

so that the last two are the same law, and no flow of finite order has it. Without decay every flow,
and gradient descent itself, keeps s.
"""

import sys
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq.losses.problems import softmax_layer

h, lam = sympy.Symbol("h", positive=True), sympy.Symbol("lam")
S = sympy.Symbol("s")
ORDER = 6
DECAY, RATE, STEPS = sympy.Rational(1, 2), 0.8, 10


def show_laws() -> None:
    """Print the laws of softmax biases, and compare them with the claim."""
    result = modeq.translation_invariance(softmax_layer())
    print(f"softmax biases: {result}")
    assert result.is_proved
    laws = result.laws
    assert laws is not None
    assert laws.gradient_flow == -lam * S
    assert sympy.expand(laws.flow(1).derivative + (lam + h * lam**2 / 2) * S) == 0
    law = laws.flow(ORDER)
    series = sympy.series(sympy.log(1 - h * lam) / h, h, 0, ORDER + 1).removeO()
    assert sympy.expand(law.rate - series) == 0
    assert law.gain == law.rest == 0
    assert sympy.expand(laws.gradient_descent - (1 - h * lam) * S) == 0
    assert laws.all_orders == sympy.log(1 - h * lam) / h


def show_sums() -> modeq.Comparison:
    """Print the sums along gradient descent and its flows."""
    laws = modeq.translation_invariance(softmax_layer()).laws
    assert laws is not None
    decayed = laws.decayed.subs({"lam": DECAY})
    comparison = modeq.compare(decayed, [1.0, 2.0, 3.0], h=RATE, steps=STEPS, orders=(0, 1, 2, 3))
    sums = comparison.iterates.sum(axis=1)
    assert np.allclose(sums, 6 * (1 - RATE * float(DECAY)) ** np.arange(STEPS + 1))
    print(f"\nafter {STEPS} steps of {RATE} with λ = {DECAY}: s = {sums[-1]:.6f}")
    for order in range(4):
        theta = comparison.flows[order]
        rate = float(laws.flow(order).rate.subs({h: RATE, lam: DECAY}))
        print(f"  order {order}: {theta[-1].sum():.6f}")
        assert np.isclose(theta[-1].sum(), 6 * np.exp(rate * RATE * STEPS), rtol=1e-8)
    return comparison


def show_refutation() -> None:
    """Refute an invariance that does not hold."""
    result = modeq.translation_invariance("(x - y)**2 + x", block="x y")
    print(f"\n(x - y)² + x: {result}")
    assert not result
    assert result.witness is not None
    assert result.witness.slope != 0


def draw(comparison: modeq.Comparison, path: Path) -> None:
    """Draw the sum along gradient descent and its flows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(comparison.t, comparison.iterates.sum(axis=1), "k.", label="gradient descent")
    for order, theta in comparison.flows.items():
        axes.semilogy(comparison.t, theta.sum(axis=1), label=f"order {order}")
    axes.set(xlabel="time", ylabel="$s$")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the laws of translation-invariant layers, and check them."""
    show_laws()
    comparison = show_sums()
    show_refutation()
    if pictures is not None:
        draw(comparison, pictures / "translation_invariant_layer.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
