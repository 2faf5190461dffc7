"""Random shuffling: what minibatches add to gradient descent, in any order and in the mean.

Claim (Smith, Dherin, Barrett and De 2021, On the origin of implicit regularization in stochastic
gradient descent): with learning rate ε, an epoch over m minibatches in random order
follows in the mean, through the first power of ε, gradient flow on

    L̃ = L̄ + ε/(4m) Σ_k |∇L_k|²,

with time counted in steps, L̄ the mean of the losses. In a fixed order the field has one more term,

    ε/(2m) Σ_{i before j} (H_j g_i - H_i g_j),

which is no gradient; an epoch forwards and one backwards cancel it; and with replacement the mean
of a step is one of gradient descent on L̄. At ε² the mean over orders is no gradient (derived
here), and all of this can be seen in the iterates.
"""

import sys
from itertools import combinations, pairwise, permutations
from math import log2
from pathlib import Path

import numpy as np
import sympy

import modeq
from modeq.errors import NotAGradient

x, y = sympy.symbols("x y")
h = sympy.Symbol("h", positive=True)
DATA = [(1, 0, 1), (sympy.Rational(1, 2), 1, 0), (-1, 1, sympy.Rational(1, 2))]
LOSSES = [modeq.Loss((a * x + b * y + x * y / 2 - c) ** 2 / 2, (x, y)) for a, b, c in DATA]
M = len(LOSSES)
MEAN = sum(loss.expression for loss in LOSSES) / M
START = (0.8, -0.5)


def descent(potential: sympy.Expr) -> sympy.Matrix:
    """Return the column -∇ of a potential."""
    return sympy.Matrix([-potential.diff(x), -potential.diff(y)])


def vanishes(column: sympy.Matrix) -> bool:
    """Tell whether a column of polynomials is zero."""
    return all(sympy.expand(entry) == 0 for entry in column)


def noise_term() -> sympy.Expr:
    """Return Σ|∇L_k|²."""
    return sum(loss.gradient.dot(loss.gradient) for loss in LOSSES)


def bracket() -> sympy.Matrix:
    """Return Σ_{i before j} (H_j g_i - H_i g_j)."""
    pairs = combinations(LOSSES, 2)
    terms = (b.hessian * a.gradient - a.hessian * b.gradient for a, b in pairs)
    return sum(terms, sympy.zeros(2, 1))


def field(sampling: str, order: int) -> sympy.Matrix:
    """Return the field with time counted in steps, and h for the learning rate."""
    batches = modeq.Minibatches(LOSSES, sampling, clock="step")
    return batches.in_learning_rate(modeq.derive(batches, order).field)


def show_fields() -> None:
    """Assert the fields of the claim, for each way of choosing the batches."""
    smith = descent(MEAN + h / (4 * M) * noise_term())
    full = modeq.Loss(MEAN, (x, y))
    expected = {
        "cyclic": smith + h / (2 * M) * bracket(),
        "shuffled": smith,
        "paired reversal": smith,
        "with replacement": modeq.derive(full, 1).field,
    }
    for sampling, column in expected.items():
        found = field(sampling, 1)
        print(f"{sampling:18} agrees through h: {vanishes(found - column)}")
        assert vanishes(found - column), sampling
    assert not vanishes(bracket())


def show_closed_form() -> None:
    """Compare the mean over all orders with its closed form, and look for a potential at h²."""
    batches = modeq.Minibatches(LOSSES, "shuffled", clock="step")
    equation = modeq.derive(batches, 2)
    assert vanishes(equation.field - modeq.shuffled_field(batches, 2))
    print(f"\nshuffled, through h: L~ = {sympy.collect(equation.truncated(1).modified_loss(), h)}")
    refused = None
    try:
        equation.modified_loss()
    except NotAGradient as error:
        refused = error
    print(f"shuffled, through h^2: {str(refused).split(',')[0]}")
    assert refused is not None
    assert refused.order == 2


GRADIENTS = [sympy.lambdify((x, y), loss.gradient) for loss in LOSSES]


def epoch(order: tuple[int, ...], point: np.ndarray, rate: float) -> np.ndarray:
    """Run an epoch in an order."""
    for batch in order:
        point = point - rate * np.ravel(GRADIENTS[batch](*point))
    return point


def show_slopes() -> list[tuple[float, ...]]:
    """Measure how well two flows follow the mean of an epoch over all orders."""
    from scipy.integrate import solve_ivp

    flows = {"gradient flow": descent(MEAN), "with noise term": field("shuffled", 1)}
    rows = []
    for rate in (0.1, 0.05, 0.025, 0.0125):
        start = np.array(START)
        mean = np.mean([epoch(order, start, rate) for order in permutations(range(M))], axis=0)
        errors = []
        for column in flows.values():
            rhs = sympy.lambdify((x, y), list(column.subs(h, rate)))
            options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
            end = solve_ivp(lambda _, p, rhs=rhs: rhs(*p), (0, M * rate), start, **options)
            errors.append(float(np.linalg.norm(end.y[:, -1] - mean)))
        rows.append((rate, *errors))
    print("\nlearning rate   error of one epoch: " + ", ".join(flows))
    for row in rows:
        print(f"{row[0]:13.4f}   {row[1]:.3e}   {row[2]:.3e}")
    for column, expected in ((1, 2), (2, 3)):
        slopes = [log2(a[column] / b[column]) for a, b in pairwise(rows)]
        print(f"slopes {' '.join(f'{slope:.2f}' for slope in slopes)}, expected {expected}")
        assert abs(slopes[-1] - expected) < 0.1
    return rows


def draw(path: Path) -> None:
    """Draw the ends of many epochs in all orders, and the flows with and without the noise term."""
    from matplotlib.figure import Figure

    rate, epochs = 0.12, 12
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for k, permutation in enumerate(permutations(range(M))):
        points = [np.array(START)]
        for _ in range(epochs):
            points.append(epoch(permutation, points[-1], rate))
        label = "one order over and over" if k == 0 else None
        axes.plot(*np.array(points).T, ".-", color="0.7", linewidth=0.8, label=label)
    for sampling, order, label in (
        ("shuffled", 0, "gradient flow"),
        ("shuffled", 1, "flow with the noise term"),
    ):
        equation = modeq.derive(modeq.Minibatches(LOSSES, sampling, "step"), order)
        flow = equation.solve(START, h=M * rate, steps=epochs)
        axes.plot(*flow.theta.T, label=label)
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the fields and measure them against the iterates."""
    show_fields()
    show_closed_form()
    show_slopes()
    if pictures is not None:
        draw(pictures / "random_shuffling.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
