"""The modified equation as people hold it: one object, with a verb for everything done to it.

Each verb is one call into the room where the work is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sympy

from modeq.algebra.series import BSeries
from modeq.derivation import certify, potential, start_shift
from modeq.derivation.derive import ModifiedField, derive_field
from modeq.derivation.lie import Progress, no_progress
from modeq.flows import check, integrate
from modeq.flows.check import OrderReport
from modeq.flows.compare import start_and_step
from modeq.flows.fields import NumericField
from modeq.flows.forms import numeric_field
from modeq.formats import json, latex, markdown, source, text
from modeq.formats.text import MAX_TERMS
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Field, Loss, as_field
from modeq.methods import universal
from modeq.methods.named import method_for


class ModifiedEquation(ModifiedField):
    """The differential equation θ' = f + h f₁ + … + hⁿ fₙ that a method follows.

    Made by ``derive``. It is an immutable value: two equations are equal if their loss, method,
    order and counter terms are.

    Attributes:
        loss: The loss or vector field.
        method: The method.
        order: The highest power n of h.
        variables, parameters, h: Its symbols.
        counter_terms: The columns f₁, …, fₙ, as sympy matrices.
        field: The column f + h f₁ + … + hⁿ fₙ.

    Example:
        >>> equation = derive("x**2*y/2", order=1)
        >>> equation.counter_terms[0].T
        Matrix([[-x**3/4 - x*y**2/2, -x**2*y/2]])

    The series is asymptotic: beyond some order, further terms make it worse at a given h.
    """

    def modified_loss(self) -> sympy.Expr:
        """Return the loss L̃ with θ' = -∇L̃; raise NotAGradient, with a witness, if there is none."""
        return potential.modified_loss(self)

    def map_loss(self) -> sympy.Expr:
        """Return the loss L̃ for which one step is θ - h ∇L̃; raise NotAGradient if there is none."""
        return potential.map_loss(self)

    def modified_hamiltonian(self, pairs: Iterable | None = None) -> sympy.Expr:
        """Return the H̃ with p' = -∂H̃/∂q, q' = ∂H̃/∂p; raise NotHamiltonian if there is none.

        Args:
            pairs: Pairs (p, q) of names or symbols; without them p goes with q, p1 with q1, …
        """
        return potential.modified_hamiltonian(self, pairs)

    def subs(self, values: Mapping) -> ModifiedEquation:
        """Return the same equation with parameters (symbols or names) replaced by exact values.

        >>> derive("lam*x**2/2", order=1, variables="x").subs({"lam": 2}).field
        Matrix([[-2*h*x - 2*x]])
        """
        values = exact_values(values, self.parameters)
        symbols = getattr(self.method, "symbols", frozenset())
        own = {symbol: value for symbol, value in values.items() if symbol in symbols}
        rest = {symbol: v for symbol, v in values.items() if symbol in self.loss.parameters}
        method = self.method.subs(own) if own else self.method
        # What was allowed to be derived once is not estimated again.
        return derive(self.loss.subs(rest), self.order, method, limit=sys.maxsize)

    def universal(self) -> BSeries:
        """Return the same equation without coordinates: the coefficients over rooted trees.

        >>> print(derive("x**4", order=2).universal().text("gradient"))
        h    -g
        h^2  -1/2 H g
        h^3  -1/3 H^2 g - 1/12 T[g, g]
        """
        return universal.modified_equation(self.method, self.order)

    def lambdify(self, parameters: Mapping | None = None, form: str | None = None) -> NumericField:
        """Return a NumPy function rhs(theta, h), batched over the leading axes of theta.

        Args:
            parameters: Values of the parameters, by symbol or name.
            form: "program", which keeps the digits of the loss as it is written and is the
                default, or "expanded", whose terms may cancel.
        """
        return numeric_field(self, parameters, form)

    def solve(
        self,
        theta0: Any,
        *,
        h: float,
        steps: int,
        parameters: Mapping | None = None,
        shift: bool = True,
    ) -> integrate.Trajectory:
        """Return the solution at t = 0, h, …, steps·h; raise FlowError if it blows up.

        The flow of an optimizer with memory that starts at rest at ``theta0`` starts beside it, at
        ``start``. With ``shift=False`` it starts at ``theta0`` itself, as for an optimizer that is
        on its slow manifold there.

        Raises:
            InvalidMethod: There is no exact series for the start from rest, as for Adam from the
                order 1 on; give ``shift=False``.
        """
        if shift and start_shift.starts_at_rest(self.method):
            theta0 = self.start(theta0, h=h, parameters=parameters)
        return integrate.solve(self, theta0, h, steps, parameters)

    def start(
        self, theta0: Any = None, *, h: Any = None, parameters: Mapping | None = None
    ) -> sympy.ImmutableMatrix | np.ndarray:
        """Return where the flow starts that the iterates from rest at ``theta0`` approach.

        Without arguments it is the series in h, as a column of expressions; with a point and a
        learning rate it is a point of shape (d,). Methods without memory start at the point itself.

        >>> from modeq.methods.named import HeavyBall
        >>> derive("x**2/2", 1, HeavyBall(0.5)).start([1.0], h=0.1)
        array([1.2])

        Raises:
            InvalidMethod: There is no exact series, because the memory does not enter the update
                polynomially: start such optimizers on the slow manifold.
        """
        if theta0 is None and h is None:
            return start_shift.slow_start(self.loss, self.order, self.method)
        theta0, h = start_and_step(self.loss, theta0, h)
        return integrate.start_from_rest(self, theta0, h, parameters)

    def certify(self, *, limit: int | None = None) -> certify.Certificate:
        """Prove by exact algebra that the flow belongs to the method, up to the order.

        The answer ``holds`` or not, and is ``proved`` or, where functions are related in a way that
        exact algebra does not see, checked at random points.

        Args:
            limit: How many products of terms one multiplication may have; 20 million, if not given.

        Raises:
            ExceedsLimit: The proof takes more.
        """
        return certify.certify(self, limit)

    def check(
        self,
        theta0: Any = None,
        *,
        h: Any = None,
        steps: int = 4,
        parameters: Mapping | None = None,
        halvings: int = 3,
        shift: bool = True,
    ) -> OrderReport:
        """Measure the order against the method itself, at halved learning rates.

        The start and h may be left out for the losses of ``modeq.problems``. Momentum starts at
        rest; its flow starts where ``start`` says, or with ``shift=False`` at the same point.
        """
        theta0, h = start_and_step(self.loss, theta0, h)
        return check.check(self, theta0, h, steps, parameters, halvings, shift)

    def text(self, max_terms: int = MAX_TERMS) -> str:
        """Return the equation as plain text; of long components, the first terms."""
        return text.text(self, max_terms=max_terms)

    def latex(self, max_terms: int = MAX_TERMS, **options) -> str:
        """Return the equation as LaTeX, aligned by powers of h; see ``presentation.latex``."""
        return latex.latex(self, max_terms=max_terms, **options)

    def to_markdown(self, max_terms: int = MAX_TERMS) -> str:
        """Return the equation as Markdown, with the code that reproduces it."""
        return markdown.markdown(self, max_terms=max_terms)

    def to_python(self, name: str = "modified_field", parameters: Mapping | None = None) -> str:
        """Return the source of a NumPy function ``name(theta, h)``."""
        return source.to_python(self, name, parameters=parameters)

    def to_json(self) -> str:
        """Return the equation as JSON with exact rationals, for ``from_json``."""
        return json.to_json(self)

    def _repr_latex_(self) -> str:
        return latex.repr_latex(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<ModifiedEquation of order {self.order}: {self.method} on {self.loss!r}>"


def derive(
    loss: Any,
    order: int,
    method: Any = None,
    *,
    variables: Any = None,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> ModifiedEquation:
    """Return the modified equation of a loss or vector field, with counter terms up to hⁿ.

    Args:
        loss: A Loss, a VectorField, or a text or sympy expression for a loss.
        order: The highest power n of h that is kept; 0 is gradient flow.
        method: A method, the name of one, or an update rule (theta, f, h) -> theta. Without it,
            that which the field comes with, as ``Minibatches`` do, or gradient descent.
        variables: The variables of a text or expression; other symbols are parameters.
        limit: How many terms the equation may have, as estimated before it is derived; a million,
            if not given.
        progress: Is called with the number of powers of h that are done, and that of all.

    Raises:
        InvalidOrder: ``order`` is not an integer at least zero.
        ExceedsLimit: There would be more terms than are allowed.
        InvalidLoss, NotSmooth, ParseError: The loss is not one that has counter terms.
        InvalidMethod: The method is unknown or inconsistent.

    Example:
        >>> derive("x**3/3", order=2).field
        Matrix([[-3*h**2*x**4/2 - h*x**3 - x**2]])
    """
    field: Field = as_field(loss) if variables is None else Loss(_expression(loss), variables)
    method = method_for(field, method)
    return _equation(derive_field(field, order, method, limit=limit, progress=progress))


def _expression(loss: Any) -> Any:
    return loss.expression if isinstance(loss, Loss) else loss


def _equation(modified: ModifiedField) -> ModifiedEquation:
    return ModifiedEquation(
        modified.loss, modified.method, modified.order, modified.ring, modified.elements
    )


def from_json(data: str) -> ModifiedEquation:
    """Return the modified equation that ``to_json`` wrote.

    >>> equation = derive("log(1 + exp(x))", order=2)
    >>> from_json(equation.to_json()) == equation
    True

    Raises:
        InvalidData: The text does not hold a modified equation.
    """
    return json.from_json(data, ModifiedEquation)
