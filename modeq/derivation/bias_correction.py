"""The counter term of bias-corrected Adam while its averages are still young.

At step n the averages, divided by 1 - βⁿ, have the weights (1-β) βᵏ/(1-βⁿ) on the gradients k steps
ago, k < n. Their sum is 1, and their mean lag is

    τₙ(β) = β/(1-β) - n βⁿ/(1-βⁿ),

which is 0 at n = 1 and β/(1-β) for large n. So step n is h f₀ + h² Σ (∂U/∂M) τₙ φ' f₀ + O(h³) with
the same f₀ from the first step on, and a flow with f₁ constant over each step follows it.
"""

from __future__ import annotations

from typing import Any

import sympy

from modeq.checks import shortened
from modeq.errors import InvalidMethod
from modeq.losses.expressions import constant
from modeq.losses.loss import as_field
from modeq.methods.adaptive import Adam

LAST_STEP = 10**6
"""Formulas hold the powers β₁ⁿ and β₂ⁿ; after so many steps nobody wants their digits."""


def adam_counter_term(
    loss: Any,
    step: Any,
    beta1: Any,
    beta2: Any,
    *,
    epsilon: Any,
    epsilon_inside: bool = True,
) -> sympy.ImmutableMatrix:
    """Return the counter term f₁ of bias-corrected Adam at one of its steps, as a column.

    With f₀ = -g/r, r = √(g² + ε) or √g² + ε, and for each coordinate

        f₁ = τₙ(β₁) g'/r - τₙ(β₂) (∂r/∂(g²)) (g²)' g/r² - ½ f₀'f₀,

    where g' and (g²)' are derivatives along f₀. For large n it is the counter term that
    ``modeq.derive`` gives. One step of the flow of f₀ + h f₁ from iterate n - 1 misses iterate n by
    O(h³).

    Args:
        loss: A loss or vector field.
        step: n = 1, 2, …, or a symbol.
        beta1: β₁, a number, text or expression.
        beta2: β₂, likewise.
        epsilon: ε, likewise.
        epsilon_inside: Whether r = √(g² + ε).

    Raises:
        InvalidMethod: A parameter is out of its range, or n is a number but not 1, 2, ….
        InvalidLoss: A parameter depends on the variables.

    Example:
        >>> first = adam_counter_term("x**2/2", 1, "9/10", "99/100", epsilon=1)
        >>> sympy.simplify(first[0] * (sympy.Symbol("x") ** 2 + 1) ** 2)
        -x/2

    References:
        Cattaneo, Klusowski, Shigida, On the implicit bias of Adam (2024), Theorem 3.1. Derived
        here from the lags.
    """
    field = as_field(loss)
    given = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "step": step}
    beta1, beta2, epsilon, n = (constant(v, field.variables, name) for name, v in given.items())
    Adam(beta1, beta2, epsilon=epsilon)
    if n.is_number and not (n.is_Integer and n >= 1):
        raise InvalidMethod(f"step is {shortened(step)}; it must be 1, 2, ..., or a symbol")
    if n.is_Integer and n > LAST_STEP:
        raise InvalidMethod(
            f"step is {shortened(step)}; it must be at most {LAST_STEP:,}, or a symbol"
        )
    x = sympy.Matrix(field.variables)
    g = -sympy.Matrix(field.components)
    v = sympy.Dummy("v")
    root = sympy.sqrt(v + epsilon) if epsilon_inside else sympy.sqrt(v) + epsilon
    roots = [root.xreplace({v: entry**2}) for entry in g]
    slopes = [root.diff(v).xreplace({v: entry**2}) for entry in g]
    f0 = sympy.Matrix([-entry / r for entry, r in zip(g, roots, strict=True)])
    along = g.jacobian(x) * f0
    lagged = [
        mean_lag(beta1, n) * d / r - mean_lag(beta2, n) * slope * 2 * entry**2 * d / r**2
        for entry, d, r, slope in zip(g, along, roots, slopes, strict=True)
    ]
    return sympy.ImmutableMatrix(sympy.Matrix(lagged) - f0.jacobian(x) * f0 / 2)


def mean_lag(beta: sympy.Expr, step: sympy.Expr) -> sympy.Expr:
    """Return the mean lag τₙ(β) of a corrected average at step n.

    >>> mean_lag(sympy.Rational(1, 2), sympy.Integer(1)), mean_lag(sympy.S.Half, sympy.Integer(2))
    (0, 1/3)
    """
    return beta / (1 - beta) - step * beta**step / (1 - beta**step)
