"""At and past the edge of stability: what gradient flow does not know, and which flows do.

Claim (Rosca, Wu, Qin, Dherin 2023): the loss changes along the principal flow by Σ scᵢ with the
stability coefficients scᵢ = Re log(1 - hλᵢ)/(hλᵢ) (g·uᵢ)², so it grows where some hλᵢ > 2 has most
of the gradient; and with the sign of the coefficient turns the sign of dλ₀/dt.

Claim (Cohen, Damian, Talwalkar, Kolter, Lee 2024): where gradient flow would raise the largest
eigenvalue λ past 2/h, gradient descent oscillates, on average along the central flow
θ' = -(∇L + ½σ²∇λ) with σ² = -2 ∇λ·∇L/|∇λ|², which keeps λ = 2/h.

Shown here on E = (xy - 1)²/2 at (2, 0.6), where gradient flow lowers the largest eigenvalue at
every h, and the principal flow raises it past hλ₀ = 2. It is a prediction of first order: two steps
of gradient descent raise it too, but only from about hλ₀ = 2.3 on. Then, on (x²y² - 1)²/2 from
below the edge, all flows next to gradient descent: the flows of order n settle at a minimum that
gradient descent cannot stay at, the principal flow ends where its path meets hλ = 1, the flow of
two steps settles elsewhere, and only the central flow stays near. From far below the edge it misses
how far gradient descent overshoots before it oscillates.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import sympy

import modeq
from modeq import central_flow
from modeq.principal.central import CentralFlow

TOY = modeq.Loss("(x*y - 1)**2/2")
POINT = (2.0, 0.6)
BOWL = "x**2 + y**2/100"
FACTORED = ("(x**2*y**2 - 1)**2/2", (1.5, 0.6), 0.2)
RIVER = ("y*log(cosh(x)) + (y - 4)**2/200", (0.1, 2.0), 0.8)


def largest_eigenvalue(theta: np.ndarray) -> float:
    """Return the largest eigenvalue of the Hessian of the toy loss."""
    hessian = sympy.lambdify(TOY.variables, TOY.hessian)(*theta)
    return float(np.linalg.eigvalsh(np.array(hessian, dtype=float))[-1])


def show_sign_flip() -> None:
    """Print dλ₀/dt by flow next to what two steps of gradient descent do."""
    print("d(lambda_0)/dt at (2, 0.6) on (xy-1)^2/2")
    for h in (0.1, 0.3, 0.45, 0.6):
        report = modeq.stability_report(TOY, POINT, h=h)
        points = modeq.iterate(TOY, POINT, h=h, steps=2)
        change = (largest_eigenvalue(points[2]) - largest_eigenvalue(points[0])) / (2 * h)
        flow, principal = report.eigenvalue_rates[0], report.eigenvalue_rates["principal"]
        z = h * report.eigenvalues[0]
        print(
            f"  h lambda_0 = {z:.2f}: gradient flow {flow:8.3f}, principal flow {principal:8.3f}, "
            f"two steps of descent {change:8.3f}, dL/dt {report.loss_rate:8.4f}"
        )
        assert flow < 0
        assert (principal > 0) == (z > 2) == (report.loss_rate > 0)
    assert change > 0
    print(f"\n{modeq.stability_report(TOY, POINT, h=0.45)}")


def show_verdicts() -> None:
    """Print who sees that a minimum is unstable."""
    print("\nverdicts at the minimum of x^2 + y^2/100")
    for h in (0.5, 0.9, 1.05):
        report = modeq.stability_report(BOWL, (0.0, 0.0), h=h)
        shown = ", ".join(f"{name}: {verdict}" for name, verdict in report.verdicts.items())
        print(f"  h = {h}: {shown}")
        assert "principal" not in report.misjudged
        assert (0 in report.misjudged) == (h > 1)


def show_edge() -> modeq.Comparison:
    """Print all flows next to gradient descent at the edge, and the oscillation that is left."""
    loss, start, h = FACTORED
    composed = [modeq.principal_flow(loss, composed=s) for s in (1, 2)]
    flows: list[Any] = [0, 1, 2, *composed, CentralFlow(loss)]
    found = modeq.compare(loss, start, h=h, steps=60, flows=flows)
    print(f"\n{loss} from {start}, h = {h}: the central flow is compared with averages\n{found}")
    assert found.best == "central"
    assert found.errors["central"].max() < np.nanmax(found.errors[0]) / 5
    variance = central_flow(loss, start, h=h, steps=60).variance
    swing = (found.iterates[2:] - 2 * found.iterates[1:-1] + found.iterates[:-2]) / 4
    measured = (swing[-20:] ** 2).sum(axis=1).mean()
    print(f"mean square of the oscillation at the end: {measured:.3e}", end=", ")
    print(f"predicted {variance[-20:].mean():.3e}")
    assert abs(measured / variance[-20:].mean() - 1) < 0.1
    return found


def show_overshoot() -> modeq.Comparison:
    """Print how far gradient descent goes past the edge before it oscillates."""
    loss, start, h = RIVER
    found = modeq.compare(loss, start, h=h, steps=90, flows=[0, CentralFlow(loss)])
    assert found.averages is not None
    highest = found.averages[:, 1].max()
    print(f"\n{loss} from {start}, h = {h}: lambda = y, and 2/h = {2 / h}")
    print(f"  gradient descent goes up to {highest:.2f}, and is at", end=" ")
    print(f"{found.averages[-20:, 1].mean():.2f} at the end; gradient flow is at", end=" ")
    print(f"{found.flows[0][-1, 1]:.2f}, the central flow at", end=" ")
    print(f"{found.flows['central'][-1, 1]:.2f}")
    assert highest > 1.1 * 2 / h
    assert found.flows["central"][:, 1].max() < 2 / h * (1 + 1e-6)
    return found


def main(pictures: Path | None = None) -> None:
    """Print the sign flip, the verdicts, and the flows at the edge."""
    show_sign_flip()
    show_verdicts()
    edge, overshoot = show_edge(), show_overshoot()
    if pictures is not None:
        from modeq.show.figures import save
        from modeq.show.plots import columns, panel

        report = modeq.stability_report(TOY, POINT, h=0.45)
        save(panel(report.draw), pictures / "edge_of_stability_report.svg")
        panels = {
            title: (found.draw, found.draw_errors)
            for title, found in (("at the edge", edge), ("from far below the edge", overshoot))
        }
        save(columns(panels), pictures / "edge_of_stability_toy.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
