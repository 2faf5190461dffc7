"""Implicit gradient regularization: the loss that gradient descent seems to descend on, through h.

Claim (Barrett and Dherin, Implicit gradient regularization, ICLR 2021): gradient descent on L
follows, up to O(h²), gradient flow on

    L̃ = L + h/4 |∇L|²,

so that on the linear model E = (y - a b x)²/2 of one data point its iterates lie nearer to the flow
of L̃ than to that of E. Shown here besides: a larger h ends at a smaller |∇E|-penalty on the
hyperbola of minima, that is, nearer to the flattest of them; and from h² on no modified loss exists
(derived here), because the counter term has a curl.
"""

import sys
from math import log2
from pathlib import Path

import numpy as np
import sympy

import modeq

MODEL = modeq.Loss("(3/5 - a*b)**2/2")
START = (2.8, 3.5)
h = sympy.Symbol("h", positive=True)


def show_modified_loss() -> None:
    """Assert the modified loss of order 1, for the model and for another loss, and none beyond."""
    for loss in (MODEL, modeq.Loss("x**2*y + exp(x*y)")):
        potential = modeq.derive(loss, 1).modified_loss()
        squared = sum(entry**2 for entry in loss.gradient)
        assert sympy.expand(potential - loss.expression - h / 4 * squared) == 0
        a, b = no_gradient(loss)
        print(f"L = {loss.expression}: L + h/4 |g|^2 through h; at h^2 d f2[{a}]/d{b} differs")


def no_gradient(loss: modeq.Loss) -> tuple[sympy.Symbol, sympy.Symbol]:
    """Return two variables whose mixed derivatives show that the term of h² is no gradient."""
    try:
        found = modeq.derive(loss, 2).modified_loss()
    except modeq.errors.NotAGradient as error:
        return error.witness[:2]
    raise AssertionError(f"there is a modified loss of order 2, {found}")


def show_distances() -> dict[float, modeq.Comparison]:
    """Print how far both flows are from the iterates, as h is halved, and return the runs."""
    print("\nlargest distance from gradient descent until t = 0.4")
    print("  h         flow of L    of L + h/4 |g|^2   slopes")
    runs, last = {}, None
    for k in range(4):
        rate = 0.005 / 2**k
        steps = 80 * 2**k
        run = modeq.compare(MODEL, START, h=rate, steps=steps, orders=(0, 1))
        sizes = [run.errors[n].max() for n in (0, 1)]
        slopes = [log2(b / a) for a, b in zip(sizes, last or sizes, strict=True)]
        shown = ", ".join(f"{slope:.2f}" for slope in slopes) if last else ""
        print(f"  {rate:.6f}  {sizes[0]:.3e}    {sizes[1]:.3e}          {shown}".rstrip())
        assert sizes[1] < sizes[0] / 3
        runs[rate], last = run, sizes
    assert abs(slopes[0] - 1) < 0.1
    assert abs(slopes[1] - 2) < 0.1
    return runs


def show_flatness() -> None:
    """Print the curvature of the minimum that gradient descent comes to, by learning rate."""
    print("\n     h    largest eigenvalue of the Hessian where it ends")
    curvatures = []
    for rate in (0.001, 0.02, 0.04, 0.06):
        end = modeq.iterate(MODEL, START, h=rate, steps=round(10 / rate))[-1]
        hessian = sympy.lambdify(MODEL.variables, MODEL.hessian)(*end)
        curvatures.append(float(np.linalg.eigvalsh(np.array(hessian, dtype=float))[-1]))
        assert abs(end[0] * end[1] - 0.6) < 1e-6
        print(f"  {rate:.3f}    {curvatures[-1]:.4f}")
    assert curvatures == sorted(curvatures, reverse=True)


def draw(run: modeq.Comparison, path: Path) -> None:
    """Draw the iterates and both flows over the hyperbola of minima."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    a = np.linspace(0.15, 3, 200)
    axes.plot(a, 0.6 / a, color="0.6", label="minima")
    axes.plot(*run.flows[0].T, "--", label="flow of E")
    axes.plot(*run.flows[1].T, "-", label="flow of E + h/4 |∇E|²")
    axes.plot(*run.iterates.T, "k.", label="gradient descent")
    axes.set(xlabel="a", ylabel="b", xlim=(0, 3), ylim=(0, 4))
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the modified loss, the distances, and the flatness."""
    show_modified_loss()
    runs = show_distances()
    show_flatness()
    if pictures is not None:
        draw(runs[0.005], pictures / "implicit_gradient_regularization.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
