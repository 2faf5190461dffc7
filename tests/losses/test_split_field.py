"""Fields in parts: made by hand or split by their variables, and clear about what they refuse."""

import pickle

import pytest
import sympy

import modeq
from modeq import Loss, SplitField, VectorField
from modeq.errors import InvalidData, InvalidLoss, NotSmooth, ParseError

x, y, a = sympy.symbols("x y a")
PENDULUM = VectorField(["-sin(q)", "p"], variables="p q")


def test_the_field_is_the_sum_of_its_parts():
    field = SplitField([VectorField([y, a * x], [x, y]), Loss(x * y**2, [x, y])])
    assert field.components == (y - y**2, a * x - 2 * x * y)
    assert (field.variables, field.parameters) == ((x, y), (a,))


def test_a_part_moves_the_variables_of_its_group_only():
    field = VectorField([x * y, x + y, x - y], variables=["u", x, y])
    moved = [part.components for part in field.split("u y", "x").parts]
    assert moved == [(x * y, 0, x - y), (0, x + y, 0)]


@pytest.mark.parametrize("groups", [("p", "q"), (["p"], ["q"]), (sympy.Symbol("p"), ("q",))])
def test_groups_are_named_in_any_way(groups):
    assert PENDULUM.split(*groups) == PENDULUM.split("p", "q")


def test_the_order_of_the_groups_is_the_order_of_the_parts():
    assert PENDULUM.split("q", "p").parts == PENDULUM.split("p", "q").parts[::-1]


def test_variables_with_assumptions_are_named_by_their_names():
    u = sympy.Symbol("u", positive=True)
    field = VectorField([-y, sympy.log(u)], variables=[u, y])
    assert field.split("u", "y").variables == (u, y)


def test_a_loss_is_split_into_parts_of_its_gradient_flow():
    loss = Loss("x**2*y + y**2", "x y")
    parts = loss.split("x", "y").parts
    assert [part.components for part in parts] == [
        (loss.components[0], 0),
        (0, loss.components[1]),
    ]


def test_a_field_in_parts_is_equal_to_one_with_the_same_parts_only():
    split = PENDULUM.split("p", "q")
    assert split == PENDULUM.split("p", "q")
    assert hash(split) == hash(PENDULUM.split("p", "q"))
    assert split != PENDULUM
    assert split != PENDULUM
    assert split != PENDULUM.split("q", "p")


def test_a_term_that_cancels_in_the_sum_stays_in_the_parts():
    field = SplitField([VectorField(["sin(x)"], "x"), VectorField(["b*x - sin(x)"], "x")])
    assert [str(p) for p in field.parameters] == ["b"]
    equation = modeq.derive(field, 2, "lie-trotter")
    assert equation.certify()
    assert equation.counter_terms[0].has(sympy.cos)


def test_values_go_to_the_parts_that_have_the_parameter():
    field = SplitField([VectorField([a * x], [x]), VectorField([x**2], [x])])
    assert field.subs({"a": 2}).parts == (VectorField([2 * x], [x]), VectorField([x**2], [x]))


def test_rates_multiply_parts():
    scaled = PENDULUM.split("p", "q").scaled("alpha", 0.5)
    alpha, (p, q) = sympy.Symbol("alpha"), scaled.variables
    assert scaled.components == (-alpha * sympy.sin(q), p / 2)


def test_a_split_field_survives_pickling():
    field = PENDULUM.split("p", "q")
    assert pickle.loads(pickle.dumps(field)) == field


def test_the_text_shows_the_parts():
    equation = modeq.derive(PENDULUM.split("p", "q"), 1, "symplectic-euler")
    assert "f(p, q) = (-sin(q), 0) + (0, p)" in str(equation)


@pytest.mark.parametrize(
    "method",
    [
        "symplectic-euler",
        "rk4",
        modeq.AdditiveRungeKutta([[[0]], [[0.5]]], [[1], [1]]),
        modeq.Splitting([(1, 1), (0, 1)]),
    ],
    ids=["named", "one table", "table", "stages"],
)
def test_the_code_in_markdown_derives_it_again(method):
    from fractions import Fraction

    equation = modeq.derive(PENDULUM.split("p", "q"), 1, method)
    code = equation.to_markdown().split("```python")[1].split("```")[0]
    names = {"Fraction": Fraction}
    exec(code, names)
    assert names["eq"] == equation


def test_a_field_in_parts_is_not_written_as_json():
    for method in ("symplectic-euler", "euler"):
        equation = modeq.derive(PENDULUM.split("p", "q"), 1, method)
        with pytest.raises(InvalidData, match="a field in parts cannot be written"):
            equation.to_json()


@pytest.mark.parametrize(
    "method", ["symplectic-euler", "stoermer-verlet", "imex-midpoint", "strang"]
)
def test_trees_with_colors_give_the_same_field(method):
    parts = ([x * y + y**2, x - y], [x**2, 1 - x * y])
    equation = modeq.derive(SplitField(VectorField(part, [x, y]) for part in parts), 2, method)
    difference = equation.universal().field(equation.loss) - equation.field
    assert difference.expand() == sympy.zeros(2, 1)


def test_trees_without_colors_take_the_whole_field():
    equation = modeq.derive(PENDULUM.split("p", "q"), 2, "heun")
    assert (equation.universal().field(equation.loss) - equation.field).expand() == sympy.zeros(
        2, 1
    )


def test_trees_with_more_colors_than_parts_are_refused():
    series = modeq.modified_equation(modeq.AlternatingUpdates(3), 1)
    for field in (PENDULUM, PENDULUM.split("p", "q")):
        with pytest.raises(InvalidLoss, match="the series is for 3 fields"):
            series.field(field)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "0 groups"),
        (("p q",), "1 groups"),
        (("p", "q r"), "r in group 1 is not a variable; they are p q"),
        (("p", "p q"), "p is in the groups 0 and 1"),
        (("p", ""), "q is in no group"),
    ],
)
def test_groups_that_do_not_divide_the_variables_are_refused(groups, message):
    with pytest.raises(InvalidLoss, match=message):
        PENDULUM.split(*groups)


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([], InvalidLoss, "0 parts"),
        ([Loss("x**2")], InvalidLoss, "1 parts"),
        (["x**2", "y**2"], InvalidLoss, "part 1 has the variables y, but part 0 has x"),
        ([Loss("x*y", "x y"), Loss("x*y", "y x")], InvalidLoss, "in the same order"),
        ([PENDULUM.split("p", "q"), PENDULUM], InvalidLoss, "in parts itself"),
        ([x**2, sympy.Abs(x)], NotSmooth, "not smooth"),
        (["x**2", "x +"], ParseError, "column"),
        (
            [VectorField([a * x], [x]), VectorField([sympy.Symbol("a", real=True)], [x])],
            InvalidLoss,
            "two different symbols are called 'a'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, error, message):
    with pytest.raises(error, match=message):
        SplitField(parts)


def test_there_is_one_rate_for_each_part():
    with pytest.raises(InvalidLoss, match="3 rates are given for 2 parts"):
        PENDULUM.split("p", "q").scaled(1, 2, 3)


def test_a_start_outside_the_domain_of_a_part_is_refused():
    field = SplitField([VectorField(["log(x)"], "x"), VectorField(["1 - log(x)"], "x")])
    with pytest.raises(modeq.errors.InvalidPoint, match="domain"):
        modeq.iterate(field, [-1.0], h=0.1, steps=1, method="lie-trotter")
