"""Where gradient descent is stable, direction by direction, and what each flow says about it.

With H = Σ λᵢ uᵢuᵢᵀ and z = hλ a step multiplies the component along u by μ = 1 - z:

    z < 0 repelled,  0 < z < 1 attracted,  1 < z < 2 oscillating,  z = 2 edge,  z > 2 divergent.

Along the principal flow dL/dt = Σᵢ scᵢ with scᵢ = α(hλᵢ) (g·uᵢ)², α(z) = Re log(1 - z)/z (Rosca,
Wu, Qin, Dherin 2023; that this is the real part of g·θ' is derived here). A direction with
scᵢ > 0 makes the loss grow. The largest eigenvalue changes as dλ₀/dt = T[u₀,u₀,θ'], where u₀ is its
eigenvector; it is predicted with the real part of the principal flow, and with its series cut at
hⁿ, n = 0, …, 3.

At a critical point one step of gradient descent multiplies by 1 - z, and so does the principal
flow, whatever its corrections; the flow of order n multiplies by exp(-Σ_{j≤n+1} zʲ/j) in the same
time, and that of two steps composed by |1 - z|.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.checks import check_order, check_step
from modeq.flows.forms import DerivativeTensors
from modeq.flows.integrate import check_start
from modeq.losses.loss import as_loss
from modeq.principal.branches import logarithm
from modeq.show.document import Block, Math, Picture, Pictures, Table, Text, number
from modeq.show.figures import COLORS
from modeq.show.plots import panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGIMES = ("repelled", "flat", "attracted", "one step", "oscillating", "edge", "divergent")
_ORDERS = (0, 1, 2, 3)
_CRITICAL = 1e-8
"""A gradient vanishes if a step of Newton's method is about this part of 1 + |θ|."""

_NEAR = 1e-9


def regime(z: float) -> str:
    """Return what gradient descent does in a direction with z = hλ.

    >>> [regime(z) for z in (-1, 0, 0.5, 1, 1.5, 2, 2.5)] == list(REGIMES)
    True
    """
    for value, name in ((0, "flat"), (1, "one step"), (2, "edge")):
        if abs(z - value) <= _NEAR:
            return name
    if z < 0:
        return "repelled"
    return "attracted" if z < 1 else "oscillating" if z < 2 else "divergent"


def multiplier_of_flow(z: float, order: int) -> float:
    """Return by what the flow of order n multiplies in a time h, exp(-Σ_{j≤n+1} zʲ/j).

    >>> round(multiplier_of_flow(0.5, 60), 9)  # 1 - z, where the series converges
    0.5
    """
    powers = np.arange(1, check_order(order) + 2)
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = float(np.polyval([*(1 / powers[::-1]), 0.0], np.float64(z)))
        return float(np.exp(-exponent))


@dataclass(frozen=True)
class StabilityReport(Plotted):
    """What gradient descent and its flows do at a point, direction by direction.

    Attributes:
        theta: The point.
        h: The learning rate.
        eigenvalues: λᵢ of the Hessian, the largest first.
        vectors: The eigenvectors, in columns.
        regimes: What gradient descent does in each direction.
        components: g·uᵢ.
        coefficients: The stability coefficients scᵢ; inf where hλᵢ = 1 and gᵢ is not 0.
        loss_rate: dL/dt along the principal flow, Σ scᵢ.
        eigenvalue_rates: Predicted dλ₀/dt, by flow: orders 0, 1, … and "principal".
        multipliers: By flow, what a time h multiplies each direction by, as if at a critical point;
            "gradient descent" has 1 - hλᵢ.
        gradient_norm: |g|.
    """

    theta: np.ndarray
    h: float
    eigenvalues: np.ndarray
    vectors: np.ndarray
    regimes: tuple[str, ...]
    components: np.ndarray
    coefficients: np.ndarray
    loss_rate: float
    eigenvalue_rates: dict[Any, float]
    multipliers: dict[Any, np.ndarray]
    gradient_norm: float

    @property
    def is_critical(self) -> bool:
        """Whether the gradient vanishes, so that the verdicts are about a fixed point."""
        size = 1 + np.max(np.abs(self.theta))
        return self.gradient_norm <= _CRITICAL * size * np.max(np.abs(self.eigenvalues))

    @property
    def verdicts(self) -> dict[Any, str]:
        """Whether the point is stable, marginal or unstable, for gradient descent and each flow.

        A verdict is that of the linear part, and about the point itself only if it is critical.
        """
        return {name: _verdict(np.abs(values)) for name, values in self.multipliers.items()}

    @property
    def misjudged(self) -> tuple:
        """The flows whose verdict is not that of gradient descent."""
        truth = self.verdicts["gradient descent"]
        return tuple(name for name, verdict in self.verdicts.items() if verdict != truth)

    @property
    def table(self) -> list[dict[str, Any]]:
        """One row for each eigendirection."""
        columns = zip(
            self.eigenvalues, self.regimes, self.components, self.coefficients, strict=True
        )
        return [
            {
                "eigenvalue": float(lam),
                "h_lambda": float(self.h * lam),
                "regime": name,
                "gradient": float(a),
                "coefficient": float(sc),
            }
            for lam, name, a, sc in columns
        ]

    @property
    def judged(self) -> str:
        """What the verdicts are about."""
        return "the critical point" if self.is_critical else "the linear part"

    @property
    def flows(self) -> list[tuple[str, str, float | None]]:
        """The name of each flow, its verdict, and what it predicts for dλ₀/dt if anything."""
        return [
            (_name(flow), verdict, self.eigenvalue_rates.get(flow))
            for flow, verdict in self.verdicts.items()
        ]

    def draw(self, axes: Axes) -> None:
        """Draw hλ in each eigendirection, by its regime."""
        z, place = self.h * self.eigenvalues, np.arange(len(self.eigenvalues))
        axes.bar(place, z, color=self._colors())
        for x, value, name in zip(place, z, self.regimes, strict=True):
            axes.annotate(name, (x, value), ha="center", va="bottom" if value >= 0 else "top")
        for level in (0, 1, 2):
            axes.axhline(level, color="0.6", lw=0.8, ls="-" if level == 0 else "--")
        axes.margins(y=0.15)
        axes.set(xlabel="eigendirection", ylabel="h λ", xticks=place)

    def draw_coefficients(self, axes: Axes) -> None:
        """Draw the stability coefficient of each eigendirection, by its regime."""
        place = np.arange(len(self.eigenvalues))
        finite = np.where(np.isfinite(self.coefficients), self.coefficients, 0)
        axes.bar(place, finite, color=self._colors())
        axes.axhline(0, color="0.6", lw=0.8)
        axes.set(xlabel="eigendirection", ylabel="stability coefficient", xticks=place)

    def _colors(self) -> list[str]:
        palette = dict(zip(REGIMES, (*COLORS, "0.45"), strict=True))
        return [palette[name] for name in self.regimes]

    def show(self) -> list[Block]:
        """Return the eigendirections and the flows, as pictures and tables."""
        where = f"at {self.theta.tolist()}, h = {self.h:.6g}"
        head = ("regime", Math(r"\lambda"), Math(r"h\lambda"), Math(r"g\cdot u"), "coefficient")
        columns = ("eigenvalue", "h_lambda", "gradient", "coefficient")
        rows = tuple(
            (row["regime"], *(number(row[column]) for column in columns)) for row in self.table
        )
        flows = tuple(
            (name, verdict, "" if rate is None else number(rate))
            for name, verdict, rate in self.flows
        )
        pictures = (
            Picture("stability", "hλ of each eigendirection", partial(panel, self.draw)),
            Picture(
                "coefficients",
                "The stability coefficient of each eigendirection",
                partial(panel, self.draw_coefficients),
            ),
        )
        return [
            Pictures(pictures),
            Table(head, rows, where, True),
            Text(("Along the principal flow ", Math(f"dL/dt = {self.loss_rate:.4g}"))),
            Table(("flow", f"for {self.judged}", Math(r"d\lambda_0/dt")), flows),
        ]

    def __str__(self) -> str:
        lines = [
            f"stability at {self.theta.tolist()}, h = {self.h:.6g}, |g| = {self.gradient_norm:.3e}",
            "      lambda    h lambda   regime             g.u   coefficient",
        ]
        for row in self.table:
            lines.append(
                f"{row['eigenvalue']:12.4e}{row['h_lambda']:12.4f}   {row['regime']:11}"
                f"{row['gradient']:12.4e}{row['coefficient']:14.4e}"
            )
        lines.append(f"dL/dt = {self.loss_rate:.4e} along the principal flow")
        rates = ", ".join(f"{_name(k)} {v:.3e}" for k, v in self.eigenvalue_rates.items())
        lines.append(f"d(lambda_0)/dt: {rates}")
        verdicts = ", ".join(f"{_name(k)} {v}" for k, v in self.verdicts.items())
        lines.append(f"{self.judged}: {verdicts}")
        return "\n".join(lines)


def _name(flow: Any) -> str:
    return f"order {flow}" if isinstance(flow, int) else str(flow)


def _verdict(sizes: np.ndarray) -> str:
    if np.any(sizes > 1 + _NEAR):
        return "unstable"
    return "marginal" if np.any(sizes > 1 - _NEAR) else "stable"


def stability_report(
    loss: Any, theta: Any, *, h: float, parameters: Mapping | None = None
) -> StabilityReport:
    """Return what gradient descent does in each eigendirection of the Hessian at a point.

    Raises:
        InvalidLoss: A vector field, which has no Hessian.
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

    >>> report = stability_report("x**2 + y**2/100", [0.0, 0.0], h=1.05)
    >>> report.regimes, report.verdicts["gradient descent"], report.verdicts[0]
    (('divergent', 'attracted'), 'unstable', 'stable')

    References:
        Rosca, Wu, Qin, Dherin 2023.
    """
    loss = as_loss(loss, "stability coefficients need a loss")
    h, point = check_step(h), check_start(theta, loss, parameters)
    f, jacobian, second = DerivativeTensors(loss, 2, parameters)(point)
    descending, vectors = np.linalg.eigh(jacobian)  # of -H, so the largest λ comes first
    eigenvalues = -descending
    z, components = h * eigenvalues, -vectors.T @ f
    slopes = _slopes(z)
    with np.errstate(invalid="ignore"):
        coefficients = np.where(components == 0, 0.0, slopes["principal"] * components**2)
    top = -np.einsum("ijk,i,j->k", second, vectors[:, 0], vectors[:, 0])
    along = vectors.T @ top
    with np.errstate(invalid="ignore"):
        rates = {
            name: float(np.sum(np.where(components * along == 0, 0.0, s * components * along)))
            for name, s in slopes.items()
        }
    return StabilityReport(
        theta=point,
        h=h,
        eigenvalues=eigenvalues,
        vectors=vectors,
        regimes=tuple(map(regime, z)),
        components=components,
        coefficients=coefficients,
        loss_rate=float(np.sum(coefficients)),
        eigenvalue_rates=rates,
        multipliers={
            "gradient descent": 1 - z,
            **{n: np.array([multiplier_of_flow(x, n) for x in z]) for n in _ORDERS},
            "principal": 1 - z,
            "2 steps": np.abs(1 - z),
        },
        gradient_norm=float(np.linalg.norm(f)),
    )


def _slopes(z: np.ndarray) -> dict[Any, np.ndarray]:
    """Return the factor α with θ' = Σ α(zᵢ) (g·uᵢ) uᵢ, real part, from chains only, by flow."""
    with np.errstate(over="ignore", invalid="ignore"):
        truncated = {n: -sum(z**j / (j + 1) for j in range(n + 1)) for n in _ORDERS}
    with np.errstate(divide="ignore"):
        principal = logarithm(-z).real / np.where(z == 0, 1, z)
    return {**truncated, "principal": np.where(z == 0, -1.0, principal)}
