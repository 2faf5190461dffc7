"""Heavy ball: its equation, the loss that one step descends on, and where its flow starts.

Claim: θ_{m+1} = θ_m - h ∇L + β (θ_m - θ_{m-1}) follows (derived here; through h Kovachki and
Stuart, JMLR 22, 2021)

    f̃ = f/(1-β) - h (1+β)/(2(1-β)³) f'f
        + h² [(1+4β+β²)/(3(1-β)⁵) f'f'f + (1+10β+β²)/(12(1-β)⁵) f''(f,f)] + …

One step on the slow manifold is gradient descent on another loss, to every order that was tried,

    L̃ = L/(1-β) + h β/(2(1-β)³) |g|² + h² β(1+β)/(2(1-β)⁵) gᵀHg + …,

while the field is no gradient beyond h. Started at rest, heavy ball approaches the flow that starts
at θ₀ + h β/(1-β)² g + h² β(2+β)/(1-β)⁴ Hg + O(h³). From θ₀ itself the distance falls like h only.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from math import log2
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq.errors import NotAGradient

BETA = sympy.Symbol("beta")
LOSS = modeq.Loss("x**2*y/2 + x**4/4 + y**2")
h = sympy.Symbol("h", positive=True)
START = (0.5, 0.3)


def show_coefficients() -> None:
    """Print the universal coefficients, and compare them with the claim."""
    b = modeq.modified_equation(modeq.HeavyBall(BETA), order=2)
    print(f"heavy ball with any beta:\n{b}\n")
    expected = [
        1 / (1 - BETA),
        -(1 + BETA) / (2 * (1 - BETA) ** 3),
        (1 + 4 * BETA + BETA**2) / (3 * (1 - BETA) ** 5),
        (1 + 10 * BETA + BETA**2) / (12 * (1 - BETA) ** 5),
    ]
    for tree, value in zip(b, expected, strict=True):
        assert sympy.cancel(b[tree] / tree.symmetry - value) == 0


def exists(loss: Callable[[], sympy.Expr]) -> bool:
    """Tell whether there is a loss of which a field or a map is the gradient."""
    try:
        loss()
    except NotAGradient:
        return False
    return True


def show_losses() -> None:
    """Derive the loss of the map, and show that the field has none."""
    equation = modeq.derive(LOSS, 2, modeq.HeavyBall(BETA))
    g = sympy.Matrix([LOSS.expression.diff(v) for v in LOSS.variables])
    squared, curved = (g.T * g)[0], (g.T * g.jacobian(LOSS.variables) * g)[0]
    expected = (
        LOSS.expression / (1 - BETA)
        + h * BETA / (2 * (1 - BETA) ** 3) * squared
        + h**2 * BETA * (1 + BETA) / (2 * (1 - BETA) ** 5) * curved
    )
    assert sympy.simplify(equation.map_loss() - expected) == 0
    print("one step descends on   L/(1-beta) + h beta/(2 (1-beta)^3) |g|^2")
    print("                       + h^2 beta (1+beta)/(2 (1-beta)^5) g.Hg + ...")
    for order in (3, 4):
        modeq.derive(LOSS, order, modeq.HeavyBall(0.5)).map_loss()
    assert not exists(equation.modified_loss)
    truncated = modeq.derive(LOSS, 1, modeq.HeavyBall(BETA)).modified_loss()
    print(f"but its field only through h, on  {sympy.factor(truncated.coeff(h, 0))} + ...\n")


def show_start() -> list[np.ndarray]:
    """Print the distance from the flow after the memory has decayed, with the shift and without."""
    method = modeq.HeavyBall(0.5)
    equation = modeq.derive(LOSS, 2, method)
    symbolic = modeq.derive(LOSS, 1, modeq.HeavyBall(BETA)).start()
    g = LOSS.expression.diff("x")
    assert sympy.cancel(symbolic[0].coeff(h) - BETA / (1 - BETA) ** 2 * g) == 0
    print("distance at step 40 from the flow that starts ...")
    print("        h     at the point       slope     at eq.start()      slope")
    rows = []
    for k in range(4):
        rate = 0.0008 / 2**k
        iterates = modeq.iterate(LOSS, START, h=rate, steps=40, method=method)
        shifted = equation.solve(START, h=rate, steps=40).theta
        plain = equation.solve(START, h=rate, steps=40, shift=False).theta
        rows.append((rate, *(np.linalg.norm(p[-1] - iterates[-1]) for p in (plain, shifted))))
    slopes = [
        [log2(a / b) for a, b in pairwise(column)] for column in list(zip(*rows, strict=True))[1:]
    ]
    for i, (rate, plain, shifted) in enumerate(rows):
        shown = [f"{s[i - 1]:.2f}" if i else "" for s in slopes]
        cells = f"{plain:.3e}       {shown[0]:>5}     {shifted:.3e}       {shown[1]:>5}"
        print(f"  {rate:.4f}     {cells}")
    assert abs(slopes[0][-1] - 1) < 0.1
    assert abs(slopes[1][-1] - 3) < 0.1
    rate = 0.02
    return [
        modeq.iterate(LOSS, START, h=rate, steps=25, method=method),
        equation.solve(START, h=rate, steps=25).theta,
        equation.solve(START, h=rate, steps=25, shift=False).theta,
    ]


def draw(paths: list[np.ndarray], path: Path) -> None:
    """Draw the iterates from rest, and the two flows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    names = ("iterates from rest", "flow from eq.start()", "flow from the point itself")
    for points, name, style in zip(paths, names, ("k.", "-", "--"), strict=True):
        axes.plot(*points.T, style, label=name)
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the equation, the losses, and the start of heavy ball."""
    show_coefficients()
    show_losses()
    paths = show_start()
    if pictures is not None:
        draw(paths, pictures / "heavy_ball.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
