"""Tasks learned together or in turn: the terms with names are all that the first order has."""

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import TaskSteps, joint_step, sequential_steps
from modeq.errors import InvalidLoss

x, y = sympy.symbols("x y")
h = sympy.Symbol("h", positive=True)
FIRST = modeq.Loss(x**2 * y + y**3, (x, y))
SECOND = modeq.Loss((x - 1) ** 2 * y / 2 + x, (x, y))

coefficients = st.lists(st.integers(-3, 3), min_size=4, max_size=4)


def polynomial(c):
    return modeq.Loss(c[0] * x**3 + c[1] * x**2 * y + c[2] * x * y**2 + c[3] * y**2 + x, (x, y))


def vanishes(column):
    return all(sympy.expand(entry) == 0 for entry in column)


@pytest.mark.parametrize("make", [joint_step, sequential_steps])
@settings(max_examples=8)
@given(rows=st.lists(coefficients, min_size=2, max_size=4))
def test_the_named_terms_are_the_field_that_is_derived(make, rows):
    steps = make(*map(polynomial, rows))
    assert vanishes(modeq.derive(steps, 1).field - steps.first_order)


def test_a_joint_step_has_the_conflict_and_no_bracket():
    steps = joint_step(FIRST, SECOND)
    conflict = FIRST.gradient.dot(SECOND.gradient) / 2
    assert sympy.expand(steps.conflict_term - conflict) == 0
    assert steps.bracket_term == sympy.zeros(2, 1)
    assert steps.is_joint


def test_sequential_steps_have_the_bracket_and_no_conflict():
    steps = sequential_steps(FIRST, SECOND)
    bracket = (SECOND.hessian * FIRST.gradient - FIRST.hessian * SECOND.gradient) / 2
    assert vanishes(steps.bracket_term - bracket)
    assert steps.conflict_term == 0
    assert not steps.is_joint


def test_both_share_the_terms_of_each_task_alone():
    own = [modeq.derive(loss, 1).modified_loss() - loss.expression for loss in (FIRST, SECOND)]
    for steps in (joint_step(FIRST, SECOND), sequential_steps(FIRST, SECOND)):
        difference = sympy.expand(sum(own) - h * steps.own_term)
        assert [sympy.expand(difference.diff(v)) for v in (x, y)] == [0, 0]


def test_the_bracket_changes_its_sign_with_the_order_of_the_tasks():
    there, back = sequential_steps(FIRST, SECOND), sequential_steps(SECOND, FIRST)
    assert vanishes(there.bracket_term + back.bracket_term)


def test_a_joint_step_is_one_on_the_sum():
    total = modeq.Loss(FIRST.expression + SECOND.expression, (x, y))
    assert vanishes(modeq.derive(joint_step(FIRST, SECOND), 3).field - modeq.derive(total, 3).field)


def test_parameters_of_tasks_get_values():
    steps = sequential_steps("a*x**2", "x**4 + a*x", variables="x").subs({"a": 2})
    assert steps == sequential_steps("2*x**2", "x**4 + 2*x")
    assert isinstance(steps, TaskSteps)
    assert repr(steps).endswith("'cyclic epoch')")


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ((), "0 losses are given; tasks are at least two"),
        (("x**2",), "1 losses are given"),
        (("x**2", "y**2"), "part 1 has the variables y, but part 0 has x"),
    ],
)
@pytest.mark.parametrize("make", [joint_step, sequential_steps])
def test_losses_that_do_not_fit_are_refused(make, losses, message):
    with pytest.raises(InvalidLoss, match=message):
        make(*losses)
