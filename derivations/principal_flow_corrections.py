"""The terms beyond the principal flow: chains summed inside every other tree.

Claim (derived here): with μ = 1 - hλ and a = g·u, all terms with one third derivative sum to

    θ'ᵢ += -½ Σⱼₖ Tᵢⱼₖ (aⱼ/λⱼ)(aₖ/λₖ) [Eᵢ(μⱼμₖ) - Eᵢ(μⱼ) - Eᵢ(μₖ) + Eᵢ(1)],
    Eᵢ(a) = (log a - log μᵢ)/(a - μᵢ),

in one dimension -½ T (g/λ)² [(1+μ) log μ/(μ-1) - 2]/μ, and -h²/12 T[g,g] for small hλ. Those with
more derivatives sum to functions on trees in which no vertex has one child. k corrections keep the
trees with up to k + 1 leaves: what is missing is of degree k + 2 in the gradient, at any hλ, and of
order h³, h⁵, h⁵, h⁷, h⁷ in a step for k = 0, 1, 2, 3, 4. The flow of two steps taken as one has the
same degrees, and is real past hλ = 1.

None of this converges: a correction may lose to the plain flow.
"""

import sys
from math import log2
from pathlib import Path

import numpy as np
import sympy

import modeq

QUARTIC = "x**2/2 + x**4/4"
CUBIC = "x**2/2 + x**3/6"
RAMP, RAMP_START = "log(1 + exp(x))", [1.0]


def show_closed_form() -> None:
    """Compare the coefficient of the first correction with its closed form, and its limits."""
    flow = modeq.principal_flow(CUBIC, corrections=1)
    print(f"the coefficients in LaTeX:\n{flow.latex()}")
    root, left, right = mu = sympy.symbols("mu_:3")

    def divided(*factors: sympy.Expr) -> sympy.Expr:
        log = sum(map(sympy.log, factors))
        return (log - sympy.log(root)) / (sympy.Mul(*factors) - root)

    square = divided(left, right) - divided(left) - divided(right) + divided()
    formula = flow.coefficient_functions()[flow.trees[1]]
    difference = sympy.together(formula - square / ((left - 1) * (right - 1)))
    assert {str(m) for m in mu} == {str(m) for m in formula.free_symbols}
    assert sympy.simplify(difference.subs({m: sympy.Symbol(str(m)) for m in mu})) == 0
    x, third = 0.3, 1.0
    gradient, curvature = x + x**2 / 2, 1 + x
    print("the first correction in one dimension, over its closed form and over -h^2/12 T[g,g]")
    for h in (0.6, 1e-4):
        plain, corrected = (modeq.principal_flow(CUBIC, k).field([x], h)[0] for k in (0, 1))
        z = h * curvature
        bracket = (2 - z) * np.log1p(-z) / -z - 2
        closed = -third / 2 * (gradient / curvature) ** 2 * bracket / (1 - z)
        leading = -(h**2) / 12 * third * gradient**2
        ratios = (corrected - plain) / closed, (corrected - plain) / leading
        print(f"  h = {h:<8}{ratios[0]:.6f}   {ratios[1]:.6f}")
    assert abs(ratios[0] - 1) < 1e-2
    assert abs(ratios[1] - 1) < 1e-3


def one_step_errors(
    loss: str, h: float, orders: tuple, corrections: tuple
) -> dict[int | str, float]:
    """Return the distance after one step from 0.5, by flow."""
    flows = [*orders, *(modeq.principal_flow(loss, k) for k in corrections)]
    found = modeq.compare(loss, [0.5], h=h, steps=1, flows=flows)
    return {name: float(error[1]) for name, error in found.errors.items()}


def show_one_step() -> None:
    """Print the errors of a step on a loss that is not quadratic, and where two lose to one."""
    print(f"\none step on {QUARTIC} from 0.5")
    for z, h in ((0.35, 0.2), (0.96, 0.96 / 1.75)):
        errors = one_step_errors(QUARTIC, h, (0, 1, 7), (0, 1, 2))
        print(f"  h lambda = {z}" + "".join(f"   {n} {e:.1e}" for n, e in errors.items()))
        assert errors["principal + 1"] < errors["principal"] < errors[1]
        assert errors["principal + 1"] < errors["principal + 2"] or z > 0.5


def show_slopes() -> list[tuple[int, list[float], list[float]]]:
    """Print the slopes in h, and in the size of the start at hλ = 1.3 with two steps composed."""
    full = modeq.derive(RAMP, 12).lambdify()
    rows = []
    for k, expected in enumerate((3, 5, 5)):
        flow = modeq.principal_flow(RAMP, k)
        rates = [0.16, 0.08, 0.04]
        sizes = [r * abs(flow.field(RAMP_START, r) - full(RAMP_START, r))[0] for r in rates]
        slope = log2(sizes[1] / sizes[2])
        print(f"  {k} corrections: local slope in h {slope:.2f}, expected {expected}", end="")
        assert abs(slope - expected) < 0.1
        slope = slope_in_size(k)
        print(f"; at h lambda = 1.3 slope in the start {slope:.2f}, expected {k + 2}")
        assert abs(slope - k - 2) < 0.1
        rows.append((k, rates, sizes))
    return rows


def slope_in_size(corrections: int) -> float:
    """Return the power of the start with which two steps past hλ = 1 are missed."""
    flow = modeq.principal_flow(CUBIC, corrections, composed=2)
    errors = []
    for size in (0.02, 0.01):
        path = flow.solve([size], h=1.3, steps=2).path
        assert not np.any(path.imag)
        errors.append(abs(path[-1] - modeq.iterate(CUBIC, [size], h=1.3, steps=2)[-1])[0])
    return log2(errors[0] / errors[1])


def draw(rows: list[tuple[int, list[float], list[float]]], path: Path) -> None:
    """Draw the defects of the fields over h."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for (k, rates, sizes), style in zip(rows, ("o-", "s--", "^:"), strict=True):
        axes.loglog(rates, sizes, style, label=f"{k} corrections")
    axes.set(xlabel="learning rate h", ylabel="what a step misses", title=RAMP)
    axes.legend()
    figure.savefig(path)


def main(pictures: Path | None = None) -> None:
    """Print the closed form, the errors of a step and the slopes."""
    show_closed_form()
    show_one_step()
    print()
    rows = show_slopes()
    if pictures is not None:
        draw(rows, pictures / "principal_flow_corrections.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
