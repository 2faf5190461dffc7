"""Learning-rate schedules: a learning rate h η(t) as a field with the time as one more variable."""

from __future__ import annotations

from typing import Any

import sympy

from modeq.derivation.expressions import names_of, read_expression
from modeq.derivation.loss import VectorField, as_field
from modeq.derivation.parse import parse_names
from modeq.errors import InvalidLoss


def scheduled(loss: Any, eta: Any, time: str = "t") -> VectorField:
    """Return the field of a loss under a learning rate h η(t), with the variable t added.

        θ' = η(t) f(θ),     t' = 1

    A step of gradient descent on it is θ⁺ = θ - h η(t) ∇L(θ), t⁺ = t + h, and its counter term of
    the order h is ½ (η' g - η² H g), with g and H the gradient and the Hessian of L.

    Any method may be derived for it. Methods that follow f itself count the time right: one-step
    methods, momentum in EMA form, Adams methods. The heavy ball follows f/(1-β), and so t' is
    1/(1-β). Momentum averages η g, as where a schedule multiplies the gradients.

    Args:
        loss: A loss or vector field.
        eta: η, as a text or an expression in t; other symbols in it are parameters.
        time: The name of t.

    Raises:
        InvalidLoss: The loss has a variable with the name of the time, or η depends on variables of
            the loss.

    Example:
        >>> scheduled("x**2/2", "1/(1 + t)")
        VectorField(['-x/(t + 1)', '1'], 'x t')
    """
    field = as_field(loss)
    names = parse_names(time)
    if len(names) != 1:
        raise InvalidLoss(f"time is {time!r}; it must be one name, such as 't'")
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
    components = [*(rate * f for f in field.components), sympy.Integer(1)]
    return VectorField(components, (*field.variables, t))
