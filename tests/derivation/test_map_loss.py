"""The loss that one step of a method descends on, against steps that were taken."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

import modeq
from modeq.errors import NotAGradient

LOSS = "x**2/2 + y**4/4 + x*y**2/3"
BETA = Fraction(1, 4)
WARM = 60
"""After so many steps, or more, the memory has forgotten its start: beta**60 is below 1e-36."""


def test_gradient_descent_descends_on_the_loss_itself():
    equation = modeq.derive(LOSS, 3)
    assert sympy.expand(equation.map_loss() - sympy.sympify(LOSS)) == 0


@pytest.mark.parametrize("method", [modeq.HeavyBall(BETA), modeq.SGD(BETA)], ids=str)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_step_of_momentum_is_one_of_gradient_descent_on_the_loss_of_its_map(method, order):
    equation = modeq.derive(LOSS, order, method)
    gradient = [sympy.diff(equation.map_loss(), x) for x in equation.variables]
    value = sympy.lambdify([*equation.variables, equation.h], gradient, "math")

    def missed(k):
        h = 0.02 / 2**k
        theta = modeq.iterate(LOSS, [1.0, 0.8], h=h, steps=WARM * 2**k, method=method)[-2:]
        return np.linalg.norm(theta[1] - theta[0] + h * np.array(value(*theta[0], h)))

    errors = [missed(k) for k in range(4)]
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    assert slopes == pytest.approx([order + 2] * 3, abs=0.1)


def test_both_forms_of_momentum_have_one_loss():
    found = [modeq.derive(LOSS, 2, m).map_loss() for m in (modeq.HeavyBall(BETA), modeq.SGD(BETA))]
    assert sympy.expand(found[0] - found[1]) == 0


def test_a_step_that_descends_on_no_loss_is_refused_with_a_witness():
    with pytest.raises(NotAGradient, match=r"h\*\*2"):
        modeq.derive("x**2*y + exp(y)", 2, "explicit-midpoint").map_loss()
