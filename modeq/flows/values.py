"""Values of parameters, shared out between a loss and a method."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from modeq.derivation.modified_field import all_parameters
from modeq.errors import MissingParameter
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Field
from modeq.methods.named import Method


def with_values(
    loss: Field, method: Method, parameters: Mapping | None
) -> tuple[dict[sympy.Symbol, sympy.Expr], Method]:
    """Return the values that belong to the loss, and the method with numbers for its symbols.

    Raises:
        MissingParameter: A symbol of the method has no value.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> loss, method = Loss("lam*x**2", "x"), HeavyBall(sympy.Symbol("beta"))
    >>> own, method = with_values(loss, method, {"lam": 2, "beta": 0.5})
    >>> own, method == HeavyBall(0.5)
    ({lam: 2}, True)
    """
    values = exact_values(parameters, all_parameters(loss, method))
    own = {symbol: value for symbol, value in values.items() if symbol in loss.parameters}
    return own, numeric_method(method, values)


def numeric_method(method: Method, values: Mapping[sympy.Symbol, sympy.Expr]) -> Method:
    """Return a method with numbers for its symbols."""
    symbols = getattr(method, "symbols", frozenset())
    missing = sorted(symbol.name for symbol in symbols - values.keys())
    if missing:
        raise MissingParameter(
            f"the parameter {missing[0]} of {method} has no value; give "
            f"parameters={{{missing[0]!r}: ...}}"
        )
    own = {symbol: value for symbol, value in values.items() if symbol in symbols}
    return method.subs(own) if own else method
