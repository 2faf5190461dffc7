"""What a report is made from: everything is computed once, when a section first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from modeq.algebra.series import BSeries
from modeq.derivation.antiderivative import antiderivative
from modeq.derivation.certify import Certificate
from modeq.derivation.potential import curl_witness
from modeq.equation import ModifiedEquation
from modeq.errors import InvalidPoint, InvalidStep, ModeqError, NotAGradient
from modeq.flows.check import OrderReport
from modeq.flows.compare import Comparison, compare
from modeq.flows.fields import recorded, with_values
from modeq.flows.forms import DerivativeTensors
from modeq.invariants.conservation import ConservedQuantity, conserved
from modeq.losses.loss import Loss
from modeq.methods.optimizer import Optimizer
from modeq.principal.flow import principal_flow
from modeq.principal.regimes import StabilityRegimes, stability_regimes
from modeq.report.lower_orders import lower_reports
from modeq.show.document import Block, Missing

_CHECK_STEPS = 4
_CRITICAL = 1e-8


class Parts:
    """The parts of a report about one equation.

    Args:
        equation: The equation.
        theta0: The start, or None.
        h: The learning rate, or None.
        steps: The length of trajectories.
        parameters: Values of parameters.
        max_terms: How many monomials of each counter term are printed.
        command: The words of the command line that asks for the report, if one did.
    """

    def __init__(
        self,
        equation: ModifiedEquation,
        theta0: Any,
        h: Any,
        steps: int,
        parameters: Mapping | None,
        max_terms: int,
        command: str | None,
    ):
        self.equation = equation
        self.loss, self.method = equation.loss, equation.method
        self.is_loss = isinstance(self.loss, Loss)
        self.theta0 = getattr(self.loss, "start", None) if theta0 is None else theta0
        self.h = getattr(self.loss, "h", None) if h is None else h
        self.steps = steps
        self.parameters = parameters
        self.max_terms = max_terms
        self.command = command

    @cached_property
    def name(self) -> str:
        """What the loss is called, or its formula."""
        if hasattr(self.loss, "name"):
            return self.loss.name
        return ", ".join(map(str, self.loss.expressions))

    def start(self) -> tuple[Any, Any]:
        """Return the start and the learning rate; raise an error that says what is missing."""
        if self.theta0 is None:
            names = ", ".join(x.name for x in self.loss.variables)
            raise InvalidPoint(f"no start was given: one number for each of {names}")
        if self.h is None:
            raise InvalidStep("no learning rate was given: a positive number")
        return self.theta0, self.h

    @cached_property
    def point(self) -> np.ndarray:
        """The start, of shape (d,)."""
        return np.array([float(x) for x in self.start()[0]])

    @cached_property
    def certificate(self) -> Certificate:
        """The proof that the field belongs to the method."""
        return self.equation.certify()

    @cached_property
    def universal(self) -> BSeries:
        """The coefficients for all losses."""
        return self.equation.universal()

    @cached_property
    def potential(self) -> tuple[sympy.Expr | None, int, NotAGradient | None]:
        """The modified loss of the highest order that has one, that order, and why not more.

        Without a gradient even at order 0, as for vector fields, the loss is None and the order -1.

        Raises:
            ModeqError: All terms are gradients, but of functions that are not those of the loss.
        """
        self._refuse_long_integrals()
        try:
            return self.equation.modified_loss(), self.equation.order, None
        except NotAGradient as error:
            if error.order == 0:
                return None, -1, error
            lower = self.equation.truncated(error.order - 1)
            return lower.modified_loss(), error.order - 1, error

    def _refuse_long_integrals(self) -> None:
        """Refuse what would be integrated by trying for a long time, as the terms of Adam are."""
        ring, elements = self.equation.ring, self.equation.elements
        if not isinstance(self.method, Optimizer) or any(
            curl_witness(ring, e, ring.vanishes) for e in elements
        ):
            return
        if any(antiderivative(ring, tuple(-entry for entry in e)) is None for e in elements):
            raise ModeqError(
                f"the equation of {self.method} is -∇L̃ of some L̃, which is not made of the "
                f"functions in its field, so that no formula is looked for; "
                f"eq.modified_loss() tries, and may take long"
            )

    @cached_property
    def check(self) -> OrderReport:
        """The order check."""
        theta0, h = self.start()
        return self.equation.check(theta0, h=h, steps=_CHECK_STEPS, parameters=self.parameters)

    @cached_property
    def checks(self) -> tuple[OrderReport, ...]:
        """The order checks of all lower orders and of this one."""
        theta0, h = self.start()
        equation = self.equation.subs(self.parameters) if self.parameters else self.equation
        return (*lower_reports(equation, theta0, h, _CHECK_STEPS), self.check)

    @cached_property
    def comparison(self) -> Comparison:
        """The method and its flows of all orders up to that of the equation; of gradient descent
        the principal flows as well.
        """
        theta0, h = self.start()
        flows: list[Any] = list(range(self.equation.order + 1))
        if getattr(self.method, "is_euler", False):
            flows += [principal_flow(self.loss, k, self.method) for k in (0, 1)]
        return compare(
            self.loss, theta0, h=h, steps=self.steps, flows=flows, method=self.method,
            parameters=self.parameters,
        )  # fmt: skip

    def regimes_at(self, theta: np.ndarray) -> StabilityRegimes:
        """Return the regimes at a point, up to beyond the learning rate."""
        options = {"method": self.method, "parameters": self.parameters}
        regimes = stability_regimes(self.loss, theta, **options)
        if self.h is None or float(self.h) <= regimes.largest:
            return regimes
        return stability_regimes(self.loss, theta, largest=1.25 * float(self.h), **options)

    @cached_property
    def regimes(self) -> StabilityRegimes:
        """The regimes at the start."""
        return self.regimes_at(self.point)

    @cached_property
    def critical_point(self) -> np.ndarray:
        """The minimum that is reached from the end of the iterates.

        Raises:
            InvalidPoint: None is reached.
        """
        from scipy.optimize import minimize

        own, _ = with_values(self.loss, self.method, self.parameters)
        tensors = DerivativeTensors(self.loss, 1, own)
        value = recorded(self.loss, [self.loss.expression], own)
        with np.errstate(all="ignore"):
            found = minimize(
                lambda x: value(x, 0.0)[0], self.comparison.iterates[-1], method="trust-exact",
                jac=lambda x: -tensors(x)[0], hess=lambda x: -tensors(x)[1],
                options={"gtol": 1e-13, "maxiter": 400},
            )  # fmt: skip
        steepness = np.linalg.norm(tensors(found.x)[0])
        size = 1 + np.linalg.norm(found.x)
        if not steepness <= _CRITICAL * size * np.linalg.norm(tensors(found.x)[1]):
            raise InvalidPoint(
                "a search for a minimum from where the iterates end does not come to a point "
                "without gradient"
            )
        return np.round(found.x, 10) + 0.0

    @cached_property
    def conserved(self) -> tuple[ConservedQuantity, ...]:
        """The conserved quantities of the flow of f."""
        return conserved(self.loss)


def attempted(build: Callable[[], list[Block]]) -> list[Block]:
    """Return what a function builds, or the reason why it cannot be had.

    >>> def fails(): raise InvalidStep("no learning rate was given: a positive number")
    >>> attempted(fails)
    [Missing(reason='no learning rate was given: a positive number')]
    """
    try:
        return build()
    except ModeqError as error:
        return [Missing(str(error))]
