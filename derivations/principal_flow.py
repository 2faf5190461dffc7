"""The principal flow: exact on quadratics past hλ = 1, and next to the other flows elsewhere.

Claim (Rosca, Wu, Qin, Dherin, On a continuous time model of gradient descent dynamics and
instability in deep learning, 2023): the counter terms with gradients and Hessians only sum to

    θ' = Σᵢ log(1 - hλᵢ)/(hλᵢ) (g·uᵢ) uᵢ,

which is exact on quadratics for every h with hλᵢ ≠ 1, oscillating and diverging ones included; it
is complex for hλᵢ > 1, where its real part at t = nh is read. Gradient flow and the flows of order
n see neither oscillation nor divergence.

Shown here on a quadratic, and on a cosine, a banana valley, a double well and a saddle, with one
correction (see principal_flow_corrections.py). At hλ = 1 it does not exist, and where a path would
cross hλ = 1 it ends. It does not always win: on the flank of √(1 + x²) the flow of order 1 does.
"""

import sys
from pathlib import Path

import modeq

BOWL, START = "x**2 + y**2/100", (-0.35, -0.2)
SIZES = (0.5, 0.9, 1.0, 1.05)

LANDSCAPES = {
    "cosine, h λ to 1.5": ("cos(x)", [3.6], 1.5, 4),
    "banana, h λ = 0.8": ("(1 - x)**2 + 100*(y - x**2)**2", [-1.0, 1.0], 8e-4, 6),
    "double well, h λ to 0.8": ("(x**2 - 1)**2/4", [0.2], 0.4, 8),
    "saddle, h λ = 1.5 and -1.5": ("(x**2 - y**2)/2", [1.0, 0.01], 1.5, 4),
}


def show_quadratic() -> dict[str, modeq.Comparison]:
    """Print how far the flows are from the iterates, past hλ = 1 and past hλ = 2."""
    print("theta^T diag(1, 1/100) theta from (-0.35, -0.2), largest distance in 5 steps")
    found = {}
    for h in SIZES:
        comparison = modeq.compare(
            BOWL, START, h=h, steps=5, flows=[0, 3, modeq.principal_flow(BOWL)]
        )
        largest = {row["flow"]: row["largest"] for row in comparison.table}
        print(f"  h = {h:<5}" + "".join(f"   {n} {e:.1e}" for n, e in largest.items()))
        found[f"h = {h}, h λ = {2 * h:g}"] = comparison
        if h == 0.5:
            assert "h*lambda = 1" in comparison.failures["principal"]
        else:
            assert largest["principal"] < 1e-10
    proof = modeq.certify_tall(order=12)
    print(f"tall coefficients are those of log(1 - z)/z through z^12: {proof.holds}")
    assert proof.holds
    return found


def show_landscapes() -> dict[str, modeq.Comparison]:
    """Print the tables of the flows on losses that are not quadratic, and on a saddle."""
    found = {}
    for title, (loss, start, h, steps) in LANDSCAPES.items():
        comparison = modeq.compare(
            loss, start, h=h, steps=steps, flows=[0, 1, 3, *principal_flows(loss)]
        )
        print(f"\n{title.replace('λ', 'lambda')}: {loss}\n{comparison}")
        largest = {row["flow"]: row["largest"] for row in comparison.table}
        assert max(largest["principal"], largest["principal + 1"]) < largest[1]
        found[title] = comparison
    return found


def principal_flows(loss: str) -> list[modeq.PrincipalFlow]:
    """Return the principal flow, and that with one correction."""
    return [modeq.principal_flow(loss, k) for k in (0, 1)]


def drawn(found: dict[str, modeq.Comparison]) -> dict[str, tuple]:
    """Return the panels of comparisons: paths, and below them distances."""
    return {title: (one.draw, one.draw_errors) for title, one in found.items()}


def show_defeat() -> None:
    """Print where the flow of order 1 wins: it leaves out two terms that nearly cancel."""
    loss, start, h = "sqrt(1 + x**2)", [1.2], 0.5
    found = modeq.compare(loss, start, h=h, steps=1, flows=[1, modeq.principal_flow(loss)])
    errors = {name: error[1] for name, error in found.errors.items()}
    print(f"\n{loss} from 1.2: order 1 wins, {errors[1]:.1e}", end=" ")
    print(f"against {errors['principal']:.1e}")
    assert errors[1] < errors["principal"]


def main(pictures: Path | None = None) -> None:
    """Print where the principal flow is exact, where it is better, and where it loses."""
    quadratic, landscapes = show_quadratic(), show_landscapes()
    show_defeat()
    if pictures is not None:
        from modeq.show.figures import save
        from modeq.show.plots import columns

        save(columns(drawn(quadratic)), pictures / "principal_flow_quadratic.svg")
        save(columns(drawn(landscapes)), pictures / "principal_flow_landscapes.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
