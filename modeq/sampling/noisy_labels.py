"""Square losses whose labels are drawn anew at each step.

With the model f_i and the labels y_i + ε_i, E ε = 0 and Var ε = σ², a full-batch step takes

    γ = 1/m Σ (f_i - y_i - ε_i) ∇f_i,    E γ = ∇L,    Cov γ = σ²/m² Σ ∇f_i ∇f_iᵀ,

with L = 1/(2m) Σ (f_i - y_i)². All this is exact, for ε enters linearly: the mean step is that of
gradient descent without noise, and normal labels make a normal gradient. Where the model fits the
data, the covariance is σ²/m times the Hessian of L, so there is no noise across the directions in
which the loss does not change (Blanc, Gupta, Valiant, Valiant 2020; Damian, Ma, Lee 2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sympy

from modeq.checks import shortened
from modeq.errors import InvalidValue
from modeq.losses.expressions import constant, listed, natural_key
from modeq.losses.formula_latex import expression_latex
from modeq.losses.loss import Loss, as_losses


class LabelNoise(NamedTuple):
    """What noise in the labels makes of a square loss: its mean, and how its gradient varies.

    Attributes:
        loss: L, the mean loss but for a constant.
        covariance: The matrix Cov γ, of shape (d, d).
    """

    loss: Loss
    covariance: sympy.ImmutableMatrix

    def _repr_latex_(self) -> str:
        loss, covariance = map(expression_latex, (self.loss.expression, self.covariance))
        return rf"$\displaystyle L = {loss}, \quad \operatorname{{Cov}} \gamma = {covariance}$"


def label_noise(
    outputs: Iterable[Any], labels: Iterable[Any], variance: Any, *, variables: Any = None
) -> LabelNoise:
    """Return the loss and the gradient covariance of full-batch steps with noise in the labels.

    Args:
        outputs: What the model says of each of m samples, f₁(θ), …, f_m(θ): texts or expressions.
        labels: y₁, …, y_m.
        variance: σ², a number, a text or an expression.
        variables: θ; without it all symbols of the outputs, in sorted order.

    Raises:
        InvalidValue: There are no outputs, other than m labels, or a negative variance.
        InvalidLoss: The variance or a label depends on θ.

    >>> from modeq.sampling.stochastic import stochastic_equation
    >>> noise = label_noise(["x*y"], [1], "s")
    >>> noise.covariance.tolist()
    [[s*y**2, s*x*y], [s*x*y, s*x**2]]
    >>> stochastic_equation(noise.loss, covariance=noise.covariance, weak_order=1).drift[0]
    -x*y**2 + y
    """
    models = as_losses(outputs, variables)
    labels = listed(labels, "the labels")
    m = len(models)
    if not models or m != len(labels):
        raise InvalidValue(
            f"there are {m} outputs and {len(labels)} labels; there must be one label for each "
            f"output, and at least one"
        )
    known = _known(models)
    models = [Loss(f.expression, known) for f in models]
    y = [constant(label, known, "a label") for label in labels]
    sigma = constant(variance, known, "variance")
    if sigma.is_negative:
        raise InvalidValue(f"variance is {shortened(variance)}; it must be >= 0")
    residuals = [f.expression - label for f, label in zip(models, y, strict=True)]
    loss = Loss(sum(r**2 for r in residuals) / (2 * m), known)
    products = (f.gradient * f.gradient.T for f in models)
    covariance = sigma / m**2 * sum(products, sympy.zeros(loss.dimension))
    return LabelNoise(loss, sympy.ImmutableMatrix(covariance).expand())


def _known(models: Sequence[Loss]) -> tuple[sympy.Symbol, ...]:
    """Return the variables of all models: as they are given, or else in natural order."""
    together = dict.fromkeys(x for f in models for x in f.variables)
    if all(f.variables == tuple(together) for f in models):
        return tuple(together)
    return tuple(sorted(together, key=natural_key))
