"""The numeric field of order 4 against n + 1 gradient calls, at 1,000 points."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from measure import Row, best

from modeq import GradientDescent, problems
from modeq.algebra.logarithm import logarithm_weights
from modeq.derivation.derive import derive_field
from modeq.flows.fields import gradient_field
from modeq.flows.forms import numeric_field

ORDER = 4
POINTS = 1_000


def difference_formula(gradient, order: int, h: float):
    """Return the field Σ v_s f(θ_s) from n + 1 gradient calls, exact through hⁿ."""
    w = logarithm_weights(order)
    # h f̃ = Σ w_s θ_s, and θ_s is θ₀ plus the sum of the steps before, so f(θ_s) has the weight
    # w_{s+1} + … + w_{n+1}.
    weights = [float(sum(w[s + 1 :], Fraction(0))) for s in range(order + 1)]

    def field(theta):
        total = 0.0
        for weight in weights:
            slope = gradient(theta, h)
            total = total + weight * slope
            theta = theta + h * slope
        return total

    return field


def rows() -> Iterator[Row]:
    random = np.random.default_rng(0)
    for make in problems.ALL.values():
        loss = make()
        field = numeric_field(derive_field(loss, ORDER, GradientDescent()))
        gradient = gradient_field(loss)
        theta = np.array(loss.start) + 0.1 * random.normal(size=(POINTS, loss.dimension))
        formula = difference_formula(gradient, ORDER, loss.h)
        ours = best(lambda f=field, x=theta, h=loss.h: f(x, h), repeats=9)
        theirs = best(lambda f=formula, x=theta: f(x), repeats=9)
        name = f"{loss.name}: {field.form} form, {ours * 1e6:.0f} us, over 5 gradient calls"
        yield Row(name, ours / theirs, 10, "times")
