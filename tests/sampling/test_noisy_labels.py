"""Noise in the labels: its exact moments, over all labels that can be drawn."""

from fractions import Fraction
from itertools import product

import pytest
import sympy

import modeq
from modeq import label_noise
from modeq.errors import InvalidLoss, InvalidValue, ParseError

X, Y, SIGMA = sympy.symbols("x y sigma")
OUTPUTS = [X * Y, X**2 + Y, X - 2 * Y]
LABELS = [1, Fraction(1, 2), -1]


def gradients():
    """Return the gradients of the losses with labels y ± σ, in all 2³ ways."""
    for signs in product((-1, 1), repeat=3):
        rows = zip(OUTPUTS, LABELS, signs, strict=True)
        loss = sum((f - sympy.Rational(y) - s * SIGMA) ** 2 for f, y, s in rows) / 6
        yield sympy.Matrix([loss.diff(X), loss.diff(Y)])


def mean(matrices):
    matrices = list(matrices)
    return sum(matrices[1:], matrices[0]) / len(matrices)


def vanishes(matrix):
    return all(sympy.expand(entry) == 0 for entry in matrix)


def test_the_moments_are_those_over_all_labels():
    noise = label_noise(OUTPUTS, LABELS, SIGMA**2)
    g = mean(gradients())
    assert vanishes(noise.loss.gradient - g)
    assert vanishes(noise.covariance - mean((v - g) * (v - g).T for v in gradients()))


def test_the_mean_step_is_that_of_gradient_descent_without_noise():
    noise = label_noise(OUTPUTS, LABELS, SIGMA**2)
    generator = modeq.sgd_generator(noise.loss, 1, covariance=noise.covariance)
    for coordinate in (X, Y):
        step = generator.expectation(coordinate, 1) - coordinate
        assert sympy.expand(step + generator.h * noise.loss.expression.diff(coordinate)) == 0


def test_the_equation_of_weak_order_two_has_the_second_moments_of_a_step():
    noise = label_noise(OUTPUTS, LABELS, SIGMA**2)
    equation = modeq.stochastic_equation(noise.loss, covariance=noise.covariance)
    h = equation.h
    phi = X**2 * Y
    exact = mean(
        phi.subs({X: X - h * g[0], Y: Y - h * g[1]}, simultaneous=True) for g in gradients()
    )
    difference = sympy.Poly(sympy.expand(exact - equation.expectation(phi, 2)), h)
    assert difference.monoms()[-1] >= (3,)


def test_where_the_model_fits_the_data_the_covariance_is_the_hessian():
    noise = label_noise([X * Y, X**2], [1, 1], SIGMA**2)
    fitted = {X: 1, Y: 1}
    hessian = noise.loss.hessian.subs(fitted)
    assert noise.covariance.subs(fitted) == SIGMA**2 / 2 * hessian
    assert noise.covariance.subs({X: 1, Y: 2}) != SIGMA**2 / 2 * noise.loss.hessian.subs(
        {X: 1, Y: 2}
    )


def test_outputs_of_different_variables_have_them_all():
    noise = label_noise(["x2", "x10*x1"], [0, 0], 1)
    assert [str(x) for x in noise.loss.variables] == ["x1", "x2", "x10"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], [], 1), InvalidValue, "there are 0 outputs and 0 labels"),
        ((["x"], [1, 2], 1), InvalidValue, "there are 1 outputs and 2 labels"),
        ((["x"], [1], -2), InvalidValue, "variance is -2; it must be >= 0"),
        ((["x"], [1], "x"), InvalidLoss, "variance is x, which depends on the variables"),
        ((["x"], ["2*x"], 1), InvalidLoss, r"a label is 2\*x, which depends on the variables"),
        ((["x"], [1], "__import__('os')"), ParseError, "__import__"),
    ],
)
def test_what_is_no_label_noise_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        label_noise(*arguments)
