"""The drift of each step from gradient flow, and the learning rate that is adjusted to it.

Claim (Rosca, Wu, Qin, Dherin 2023): one step of gradient descent leaves gradient flow by
h²/2 |Hg| + O(h³). The drift-adjusted learning rate DAL-p, h(θ) = min(2/|Hĝ|^p, 5) with ĝ = g/|g|,
needs one Hessian-vector product and no tuning; on networks p = 1 is stable, p = 1/2 faster.

Shown here: the drift along a run, measured and predicted, and DAL next to fixed rates. DAL-1 is the
edge of stability along the gradient: it stays bounded where fixed rates diverge, and in a curved
valley it is ahead of the fixed rates that do not overshoot. But it stays at the edge, so that on a
quadratic or in a well a fixed rate that suits the loss ends lower. DAL-1/2 is ahead of DAL-1 on a
logistic loss, and diverges where 2/|Hĝ|^½ is too large, on a quadratic already.
"""

import sys
from pathlib import Path

import modeq
from modeq import RateComparison, compare_rates, run_drift

BOWL, START = "x**2 + y**2/100", (-0.35, -0.2)


def show_drift() -> None:
    """Print the drift of every step of a run, and that the prediction gets better like h."""
    print("(xy - 1)^2/2 from (2, 0.6), h = 0.05")
    print(run_drift("(x*y - 1)**2/2", (2.0, 0.6), h=0.05, steps=5))
    misses = []
    for h in (0.02, 0.01):
        run = run_drift("(x*y - 1)**2/2", (2.0, 0.6), h=h, steps=3)
        misses.append(max(abs(run.measured / run.predicted - 1)))
    print(f"the prediction is off by {misses[0]:.4f} at h = 0.02 and {misses[1]:.4f} at h = 0.01")
    assert abs(misses[0] / misses[1] - 2) < 0.2


def show_rates() -> RateComparison:
    """Print DAL next to fixed rates, where it wins and where it loses."""
    bowl = compare_rates(BOWL, START, steps=100, rates=(0.5, 0.9, 1.05))
    print(f"\n{BOWL}\n{bowl}")
    assert bowl.losses["DAL-1"].max() <= bowl.losses["DAL-1"][0] * (1 + 1e-12)
    assert bowl.losses["h = 1.05"][-1] > 1e5
    assert bowl.losses["DAL-0.5"][-1] > 1e5
    assert bowl.best == "h = 0.9"
    well = compare_rates("(x**2 - 1)**2/4", [1.8], steps=40, rates=(0.3, 1.1, 3.0))
    print(f"\n(x^2 - 1)^2/4\n{well}")
    assert "h = 3" in well.failures
    assert well.losses["DAL-1"].max() <= well.losses["DAL-1"][0]
    logistic = modeq.problems.logistic_regression()
    runs = compare_rates(logistic, logistic.start, steps=60, rates=(0.5, 8.0))
    print(f"\n{logistic.description}\n{runs}")
    assert runs.losses["DAL-0.5"][-1] < runs.losses["DAL-1"][-1]
    valley = modeq.problems.rosenbrock()
    runs = compare_rates(valley, valley.start, steps=200, rates=(5e-4, 1e-3, 2e-3, 4e-3))
    print(f"\n{valley.description}\n{runs}")
    assert runs.losses["DAL-1"][-1] < runs.losses["h = 0.002"][-1]
    assert runs.losses["DAL-1"].max() < runs.losses["h = 0.004"].max() / 10
    return runs


def main(pictures: Path | None = None) -> None:
    """Print the drift and the runs."""
    show_drift()
    runs = show_rates()
    if pictures is not None:
        from modeq.show.figures import save
        from modeq.show.plots import panel

        save(panel(runs.draw), pictures / "dal.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
