"""Scale-invariant layers: how the norm of their weights moves, and how fast they turn.

Claim. Let ℓ(cθ_A) = ℓ(θ_A), N = |θ_A|², G = |∇_Aℓ|², and let weight decay λ be added. Then

    gradient flow     N' = -2λ N
    order 1           N' = -(2λ + hλ²) N + h G                     (Miyagawa 2022)
    gradient descent  N⁺ = (1 - hλ)² N + h² G, exactly,

and to all orders the coefficient of N is (2/h) log(1 - hλ). The direction of θ_A sees the learning
rate h/N; a step turns it by the angle Δ with tan Δ = h √G / ((1 - hλ) √N). With Ĝ = N·G constant,
N comes to rest at √(hĜ/(2λ - hλ²)), with the angle arccos(1 - hλ) in every step, and under the flow
of order 1 at √(hĜ/(2λ + hλ²)).

Derived here: with M the map, q = (1 - hλ)² and K(z) = (log z - log q)/(z - q), log(M)N is
log(q)N + h²K(M)G. So without decay N' = h Σ B_j/j! (hD)ʲ G, D the derivative along the flow; and
decay alone, which takes G to G/q, gives G the factor -2h log(q)/(1/q - q).
"""

import sys
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq.losses.problems import batch_normalized, weight_normalized

h, lam = sympy.Symbol("h", positive=True), sympy.Symbol("lam")
N, G, Ghat = sympy.symbols("N G Ghat")
ORDER = 4
VALUES = {h: 0.2, lam: 0.3, Ghat: 0.7}


def show_norms() -> None:
    """Print the laws of normalised layers, and compare them with the claim."""
    q = (1 - h * lam) ** 2
    rate = sympy.series(sympy.log(q) / h, h, 0, ORDER + 1).removeO()
    gain = sympy.series(-2 * h * sympy.log(q) / (1 / q - q), h, 0, ORDER + 1).removeO()
    for loss, block in ((batch_normalized(), None), (weight_normalized(), "v1 v2")):
        result = modeq.scale_invariance(loss, block=block)
        print(f"{loss.name}: {result}\n")
        assert result.is_proved
        laws = result.laws
        assert laws is not None
        assert laws.gradient_flow == -2 * lam * N
        first = -(2 * lam + h * lam**2) * N + h * G
        assert sympy.expand(laws.flow(1).derivative - first) == 0
        assert sympy.expand(laws.gradient_descent - q * N - h**2 * G) == 0
        assert sympy.expand(laws.flow(ORDER).rate - rate) == 0
        if block is None:
            assert sympy.expand(laws.flow(ORDER).gain - gain) == 0


def show_balance() -> None:
    """Compare learning rate, angle and equilibria with the claim."""
    laws = modeq.scale_invariance(batch_normalized()).laws
    assert laws is not None
    assert laws.effective_learning_rate == h / N
    point = {N: 1.3, G: 0.4, h: 0.2, lam: 0.3}
    angle = sympy.atan(h * sympy.sqrt(G) / ((1 - h * lam) * sympy.sqrt(N)))
    assert abs((laws.angular_update - angle).subs(point)) < 1e-12
    claimed = {
        "order 1": sympy.sqrt(h * Ghat / (2 * lam + h * lam**2)),
        "gradient descent": sympy.sqrt(h * Ghat / (2 * lam - h * lam**2)),
        "angle": sympy.acos(1 - h * lam),
    }
    for name, value in claimed.items():
        assert abs((laws.equilibria[name] - value).subs(VALUES)) < 1e-12
    rest = {name: float(value.subs(VALUES)) for name, value in laws.equilibria.items()}
    print("equilibria at h = 0.2, λ = 0.3, Ĝ = 0.7:")
    print(*(f"  {name}: {value:.6f}" for name, value in rest.items()), sep="\n")
    # N is of the order √h there, so that h Ĝ/N counts as much as λN, and h³ Ĝ²/N³ as h² λĜ/N: only
    # order 3 has both of these.
    distances = [abs(rest[f"order {n}"] - rest["gradient descent"]) for n in (1, 2, 3)]
    assert 5 * distances[2] < min(distances[:2])


def show_refutation() -> None:
    """Refute an invariance that does not hold."""
    result = modeq.scale_invariance(weight_normalized(), block="g")
    print(f"weight-normalized: {result}")
    assert not result
    assert result.witness is not None
    assert result.witness.slope != 0


def draw(path: Path) -> None:
    """Draw N along gradient descent and its flows."""
    from matplotlib.figure import Figure

    loss, rate, steps = batch_normalized(), 0.3, 20
    laws = modeq.scale_invariance(loss).laws
    assert laws is not None
    decayed = laws.decayed.subs({"lam": sympy.Rational(1, 4)})
    figure = Figure(figsize=(6.5, 3.4), layout="constrained")
    axes = figure.subplots()
    comparison = modeq.compare(decayed, [1.0, -0.5], h=rate, steps=steps, orders=(0, 1, 2))
    axes.plot(comparison.t, np.sum(comparison.iterates**2, axis=1), "k.", label="gradient descent")
    for order, theta in comparison.flows.items():
        axes.plot(comparison.t, np.sum(theta**2, axis=1), label=f"order {order}")
    axes.set(xlabel="time", ylabel="$N$")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the laws of scale-invariant layers, and check them."""
    show_norms()
    show_balance()
    show_refutation()
    if pictures is not None:
        draw(pictures / "scale_invariant_layer.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
