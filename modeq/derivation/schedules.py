"""Learning-rate schedules: a learning rate h η(t) as a field with the time as one more variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from modeq.checks import shortened
from modeq.errors import InvalidLoss
from modeq.losses.expressions import exact_values, names_of, read_expression
from modeq.losses.loss import Field, VectorField, as_field
from modeq.losses.parse import parse_names
from modeq.methods.schedules import under_schedule


class ScheduledField(VectorField):
    """The field η(t) f(θ), t' = 1, which knows f and η; made by ``scheduled``.

    Attributes:
        base: The field f.
        eta: The schedule η.
        time: The symbol t.
    """

    def __init__(self, base: Field, eta: sympy.Expr, time: sympy.Symbol):
        self.base, self.eta, self.time = base, eta, time
        components = [*(eta * f for f in base.components), sympy.Integer(1)]
        super().__init__(components, (*base.variables, time))

    @property
    def forces(self) -> tuple[sympy.Expr, ...]:
        """f, and η in the place of the time: see ``modeq.methods.schedules``."""
        return (*self.base.components, self.eta)

    def method_for(self, method: Any) -> Any:
        """Return a method with the schedule on its updates."""
        return under_schedule(method)

    def subs(self, values: Mapping) -> ScheduledField:
        """Return the same field with parameters (symbols or names) replaced by exact values."""
        new = exact_values(values, self.parameters)
        own = {x: value for x, value in new.items() if x in self.base.parameters}
        eta = self.eta.subs(new, simultaneous=True)
        return ScheduledField(self.base.subs(own), eta, self.time)


def scheduled(loss: Any, eta: Any, time: str = "t") -> ScheduledField:
    """Return the field of a loss under a learning rate h η(t), with the variable t added.

        θ' = η(t) f(θ),     t' = 1

    A step of gradient descent on it is θ⁺ = θ - h η(t) ∇L(θ), t⁺ = t + h, and its counter term of
    the order h is ½ (η' g - η² H g), with g and H the gradient and the Hessian of L.

    For every optimizer η multiplies the update, as in libraries: if a step without the schedule
    takes θ to Φ(θ, M), one with it takes θ to θ + η(t) (Φ(θ, M) - θ), and t to t + h; the memory is
    updated as without. That holds for momentum as a table too. Integrators, such as Runge–Kutta and
    Adams methods, solve θ' = η(t) f(θ), t' = 1.

    Args:
        loss: A loss or vector field.
        eta: η, as a text or an expression in t; other symbols in it are parameters.
        time: The name of t.

    Raises:
        InvalidLoss: The loss has a variable with the name of the time, or η depends on variables of
            the loss, or the loss is in parts.
        InvalidMethod (when it is derived): The method does not count the time right.

    Example:
        >>> scheduled("x**2/2", "1/(1 + t)")
        VectorField(['-x/(t + 1)', '1'], 'x t')
    """
    field = as_field(loss)
    if field.parts or field.method is not None:
        raise InvalidLoss(
            f"{shortened(field)} is in parts, or comes with a method of its own; a schedule is "
            f"for a loss "
            f"or field in one piece"
        )
    names = parse_names(time)
    if len(names) != 1:
        raise InvalidLoss(f"time is {shortened(time)}; it must be one name, such as 't'")
    [t] = names
    if t.name in {x.name for x in (*field.variables, *field.parameters)}:
        raise InvalidLoss(
            f"the time has the name {t}, which the loss has too; give another name, time=..."
        )
    known = {x.name: x for x in (*field.variables, *field.parameters, t)}
    rate = read_expression(eta, tuple(known.values()))
    rate = rate.xreplace({x: known[x.name] for x in rate.free_symbols if x.name in known})
    mixed = [x for x in field.variables if x in rate.free_symbols]
    if mixed:
        raise InvalidLoss(
            f"eta = {rate} depends on {names_of(mixed)}; a schedule depends on the time {t} and on "
            f"parameters"
        )
    return ScheduledField(field, rate, t)
