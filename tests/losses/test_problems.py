"""The toy losses: complete, and usable as they are."""

import math

import numpy as np
import pytest
import sympy

import modeq
from modeq import problems
from modeq.errors import InvalidLoss, InvalidValue


@pytest.mark.parametrize("name", problems.ALL)
def test_every_problem_has_a_start_a_step_and_a_sentence(name):
    problem = problems.named(name)
    assert problem.name == name
    assert len(problem.start) == problem.dimension
    assert math.isfinite(problem.h)
    assert problem.h > 0
    assert problem.description.endswith(".")
    assert problem.parameters == ()


@pytest.mark.parametrize("name", problems.ALL)
def test_gradient_descent_goes_down_from_every_start(name):
    problem = problems.named(name)
    iterates = modeq.iterate(problem, problem.start, h=problem.h, steps=3)
    loss = sympy.lambdify(problem.variables, problem.expression)
    values = [loss(*theta) for theta in iterates]
    assert np.all(np.diff(values) < 0)


@pytest.mark.parametrize("name", problems.ALL)
def test_a_counter_term_matters_at_every_start_and_helps(name):
    problem = problems.named(name)
    comparison = modeq.compare(problem, steps=3, orders=(0, 1))
    without, with_one = (comparison.errors[order].max() for order in (0, 1))
    assert with_one < without / 2
    assert without > 1e-6


@pytest.mark.parametrize("name", ["double_well", "Double-Well", " double-well "])
def test_names_are_forgiving(name):
    assert problems.named(name).name == "double-well"


def test_an_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(InvalidLoss, match="did you mean 'rosenbrock'"):
        problems.named("rosenbrok")


def test_a_quadratic_has_the_eigenvalues_asked_for():
    assert problems.quadratic((3, 2, 1)).hessian == sympy.diag(3, 2, 1)


def test_the_network_has_three_weights_for_each_unit():
    assert problems.tanh_network(3).dimension == 9


@pytest.mark.parametrize(
    "make",
    [
        lambda: problems.quadratic(("print(1)",)),
        lambda: problems.quadratic("ab"),
        lambda: problems.quadratic(3),
        lambda: problems.quadratic((math.nan,)),
        lambda: problems.rosenbrock(a="print(1)"),
        lambda: problems.rosenbrock(b=math.inf),
        lambda: problems.tanh_network(0),
        lambda: problems.tanh_network(1.5),
        lambda: problems.named(3),
    ],
)
def test_what_is_no_problem_is_refused_and_no_text_is_evaluated(make, capsys):
    with pytest.raises(InvalidValue):
        make()
    assert capsys.readouterr().out == ""
