"""The principal flow and the flows beyond it: chains of derivatives summed in closed form.

The principal flow keeps the tall trees, all of them (Rosca, Wu, Qin, Dherin, *On a continuous time
model of gradient descent dynamics and instability in deep learning*, 2023):

    θ' = h⁻¹ J⁻¹ log(I + hJ) f,        for a loss  Σᵢ log(1 - hλᵢ)/(hλᵢ) (g·uᵢ) uᵢ.

It is exact on quadratics for every h with hλᵢ ≠ 1. With ``corrections=k`` the chains inside all
trees with up to k + 1 leaves are summed as well (derived here, see ``reduced_trees``): what is
missing is of degree k + 2 in the gradient. This series is asymptotic too: more corrections are not
always better, and none are not always better than the first counter term.

Past hλ = 1 the flow is complex (see ``branches``), and its real part at t = nh is what is read. The
flow of an even number of steps taken as one is real there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import sympy

from modeq.algebra.trees import RootedTree
from modeq.checks import as_points, check_count, check_step, check_steps
from modeq.errors import FlowError, InvalidValue
from modeq.flows.fields import with_values
from modeq.flows.forms import DerivativeTensors
from modeq.flows.integrate import ABSOLUTE_TOLERANCE, Trajectory, check_start, small
from modeq.losses.formula_latex import expression_latex
from modeq.losses.loss import Field, Loss, as_field
from modeq.methods.named import Method, method_for
from modeq.principal.multipliers import Recurrence, recurrence_of
from modeq.principal.reduced_trees import reduced_trees, symbolic_coefficient
from modeq.principal.resummed import resummed_field
from modeq.show.document import Block, Formula, Math, Text
from modeq.show.shown import Shown

_RELATIVE_TOLERANCE = 1e-13
_MAX_EVALUATIONS = 2_000
"""No more evaluations of the field are spent on one step."""

_MAX_CORRECTIONS = 6
"""There are 144 reduced trees with up to 6 + 1 leaves, of up to 13 vertices."""


@dataclass(frozen=True)
class ComplexTrajectory(Trajectory):
    """A solution at t = 0, h, 2h, … that may be complex in between and at these times.

    Attributes:
        t: Times, of shape (steps + 1,).
        theta: The real part, of shape (steps + 1, d).
        path: The solution itself, complex, of the same shape.
    """

    path: np.ndarray


class PrincipalFlow(Shown):
    """The flow with chains summed; see ``principal_flow``.

    Attributes:
        loss: The loss or vector field.
        method: The method that it is the flow of.
        corrections: The largest power of f beyond the first.
        composed, every: How many steps it takes for one, after which it meets the iterates.
        name: "principal", "principal + k", "2 steps", "2 steps + k".
    """

    def __init__(self, loss: Field, corrections: int, method: Method, composed: int = 1):
        self.loss = loss
        self.method = method
        self.corrections = corrections
        self.composed = self.every = composed
        base = "principal" if composed == 1 else f"{composed} steps"
        self.name = f"{base} + {corrections}" if corrections else base
        recurrence_of(method)

    def show(self) -> list[Block]:
        """Return what it is of, and the coefficients of its trees."""
        words = f"{self.method}, corrections={self.corrections}, composed={self.composed}"
        sums = (
            "θ' = Σ h^{n-1}/σ C F over these trees, n vertices each, with ",
            Math(r"\mu = 1+h\nu"),
        )
        return [Text(words), Text((sums, Math(r"\mu = 1+h\nu"))), Formula(self.latex())]

    def __repr__(self) -> str:
        steps = f", composed={self.composed}" if self.composed > 1 else ""
        return f"PrincipalFlow({self.loss!r}, corrections={self.corrections}, {self.method}{steps})"

    @property
    def trees(self) -> tuple[RootedTree, ...]:
        """The reduced trees that take part."""
        return tuple(t for e in range(self.corrections + 1) for t in reduced_trees(e))

    def _at(self, parameters: Mapping | None) -> tuple[DerivativeTensors, Recurrence]:
        own, method = with_values(self.loss, self.method, parameters)
        key = tuple(sorted(own.items(), key=str))
        return _tensors(self.loss, self.corrections + 1, key), recurrence_of(method).over(float)

    def field(self, theta: Any, h: float, parameters: Mapping | None = None) -> np.ndarray:
        """Return θ' at points of shape (..., d), complex where the flow is.

        Raises:
            InvalidPoint: A multiplier is zero (hλ = 1), or a derivative is not finite.

        >>> principal_flow("x**2/2").field([1.0], 0.5)  # log(1/2)/(1/2)
        array([-1.38629436])
        """
        h = check_step(h)
        tensors, recurrence = self._at(parameters)
        points = as_points(theta, self.loss.dimension)
        flat = points.reshape(-1, self.loss.dimension)
        rows = [self._value(tensors, recurrence, point, h) for point in flat]
        return np.array(rows).reshape(points.shape)

    def _value(
        self, tensors: DerivativeTensors, recurrence: Recurrence, theta: np.ndarray, h: float
    ) -> np.ndarray:
        arrays, is_loss = tensors(theta), isinstance(self.loss, Loss)
        return resummed_field(arrays, h, self.corrections, recurrence, is_loss, self.composed)

    def solve(
        self, theta0: Any, *, h: float, steps: int, parameters: Mapping | None = None
    ) -> ComplexTrajectory:
        """Return the solution at t = 0, h, …, steps·h, its real part and itself.

        Raises:
            FlowError: The flow leaves the domain of the field, or blows up.
            InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.

        >>> flow = principal_flow("x**2/2").solve([1.0], h=1.5, steps=3)  # 1 - h = -1/2
        >>> flow.theta.ravel().round(9).tolist()
        [1.0, -0.5, 0.25, -0.125]
        """
        h, steps = check_step(h), check_steps(steps)
        tensors, recurrence = self._at(parameters)
        own, _ = with_values(self.loss, self.method, parameters)
        start = check_start(theta0, self.loss, own)
        path = [start.astype(complex)]

        def rhs(theta: np.ndarray) -> np.ndarray:
            real = theta.real if not np.any(theta.imag) else theta
            return self._value(tensors, recurrence, real, h)

        for step in range(steps):
            path.append(_followed(rhs, path[-1], h, step))
        points = np.array(path)
        return ComplexTrajectory(h * np.arange(steps + 1), points.real.copy(), points)

    def coefficient_functions(self) -> dict[RootedTree, sympy.Expr]:
        """Return the coefficient of each reduced tree as a formula in multipliers μ₀, μ₁, …

        They belong to the vertices in the order of the level sequence, with μ = 1 + hν for gradient
        descent, ν an eigenvalue of the Jacobian. The flow is Σ_τ h^{|τ|-1}/σ(τ) C_τ F(τ), where
        each vertex of F is split into eigendirections, whose multipliers C_τ takes. log of a
        product stands for the sum of the logarithms; of s steps composed, log μ for (1/s) log μˢ.

        >>> formulas = principal_flow("x**4", corrections=1).coefficient_functions()
        >>> print(*formulas)
        • [•,•]
        """
        recurrence = recurrence_of(self.method)
        return {tree: symbolic_coefficient(tree, recurrence)[0] for tree in self.trees}

    def latex(self) -> str:
        r"""Return the coefficient functions as lines of LaTeX.

        >>> print(principal_flow("x**4").latex())
        \begin{aligned}
        C_{\bullet} &= - \frac{\log{\left(\mu_{0} \right)}}{1 - \mu_{0}}
        \end{aligned}
        """
        rows = [
            f"C_{{{_tree_label(tree)}}} &= {expression_latex(formula)}"
            for tree, formula in self.coefficient_functions().items()
        ]
        body = " \\\\\n".join(rows)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _tree_label(tree: RootedTree) -> str:
    return str(tree).replace("•", r"\bullet").replace(",", r"\,")


def principal_flow(
    loss_or_field: Any, corrections: int = 0, method: Any = None, *, composed: int = 1
) -> PrincipalFlow:
    """Return the flow of a method in which chains of Jacobians are summed to all orders in h.

    Args:
        loss_or_field: A loss, a vector field, or a text.
        corrections: k keeps the elementary differentials with up to k + 1 times f itself; 0 is the
            principal flow as published. On losses that are not quadratic, one step of it misses
            gradient descent by O(h³), O(h⁵), O(h⁵), O(h⁷), … for k = 0, 1, 2, 3, …
        method: Gradient descent unless given; momentum and multistep tables work as well.
        composed: The flow of s steps taken as one, h⁻¹ J⁻¹ log((I + hJ)ˢ)/s f and its corrections,
            which meets the iterates at t = 0, sh, 2sh, … With s even it is real past hλ = 1.

    Raises:
        InvalidMethod: The chains of the method are not summed.
        InvalidValue: ``corrections`` is not an integer from 0 to 6, or ``composed`` not one of at
            least one.

    Example:
        >>> flow = principal_flow("x**2/2 + x**4/4", corrections=1)
        >>> error = flow.solve([0.5], h=0.2, steps=1).theta[-1] - [0.5 - 0.2 * 0.625]
        >>> bool(abs(error[0]) < 2e-6)
        True

    References:
        Rosca, Wu, Qin, Dherin 2023 (k = 0); k > 0 is derived here.
    """
    corrections = check_count("corrections", corrections, least=0)
    composed = check_count("composed", composed)
    if corrections > _MAX_CORRECTIONS:
        raise InvalidValue(
            f"corrections is {corrections}; at most {_MAX_CORRECTIONS} are summed, of which the "
            f"last needs {_MAX_CORRECTIONS + 2} derivatives of the loss"
        )
    field = as_field(loss_or_field)
    return PrincipalFlow(field, corrections, method_for(field, method), composed)


@lru_cache(maxsize=64)
def _tensors(loss: Field, order: int, parameters: tuple) -> DerivativeTensors:
    return DerivativeTensors(loss, order, dict(parameters))


def _followed(rhs: Any, start: np.ndarray, h: float, step: int) -> np.ndarray:
    """Return the solution after time h."""
    from scipy.integrate import solve_ivp

    evaluations = count(1)

    def counted(time: float, theta: np.ndarray) -> np.ndarray:
        if next(evaluations) > _MAX_EVALUATIONS:
            raise FlowError(
                f"the flow does not get past {theta.tolist()}, soon after t = {step * h:.6g}: the "
                f"field is singular where h*lambda = 1, and that of momentum where its two roots "
                f"meet; take another h or another start"
            )
        return rhs(theta)

    with np.errstate(all="ignore"):
        solution = solve_ivp(
            counted,
            (0.0, h),
            start,
            method="DOP853",
            rtol=_RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE * small(start, rhs(start), h),
            first_step=h / 4,
        )
    if not (solution.success and np.all(np.isfinite(solution.y))):
        raise FlowError(
            f"the flow blows up or leaves the domain of the field soon after "
            f"t = {step * h + solution.t[-1]:.6g}; the last point was {start.tolist()}"
        )
    return solution.y[:, -1]
