"""Losses and vector fields: exact, immutable, and clear about what they refuse."""

import contextlib
import time
from fractions import Fraction

import oracle
import pytest
import sympy
from hypothesis import given, settings

import modeq
from modeq import Loss, SplitField, VectorField
from modeq.errors import (
    InvalidLoss,
    InvalidOrder,
    InvalidValue,
    ModeqWarning,
    NotSmooth,
    ParseError,
)
from modeq.losses.loss import H, as_field, as_losses
from modeq.testing import losses

x, y, a = sympy.symbols("x y a")


def test_a_text_and_an_expression_are_the_same_loss():
    text = Loss("x**2*y + exp(y)")
    X, Y = text.variables
    assert text == Loss(X**2 * Y + sympy.exp(Y))
    assert hash(text) == hash(Loss(X**2 * Y + sympy.exp(Y)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x10 + x2 + x1", ["x1", "x2", "x10"]),
        ("b*a", ["a", "b"]),
        ("w2_10 + w2_9 + w10_1", ["w2_9", "w2_10", "w10_1"]),
        ("theta + x + a3", ["a3", "theta", "x"]),
    ],
)
def test_variables_come_in_natural_order(text, names):
    assert [v.name for v in Loss(text).variables] == names


@pytest.mark.parametrize("variables", ["x y", "x, y", ["x", "y"], (x, y), [x, "y"]])
def test_variables_may_be_given_in_any_way_and_order(variables):
    expression = x**2 + a * y
    loss = Loss(expression if isinstance(variables, tuple) else "x**2 + a*y", variables)
    assert [v.name for v in loss.variables] == ["x", "y"]
    assert [p.name for p in loss.parameters] == ["a"]
    swapped = Loss("x**2 + a*y", variables="y x")
    assert [v.name for v in swapped.variables] == ["y", "x"]


@pytest.mark.parametrize(
    ("given_", "exact"),
    [
        ("0.1*x", sympy.Rational(1, 10)),
        (0.1 * x, sympy.Rational(1, 10)),
        ("1e-3*x", sympy.Rational(1, 1000)),
        (sympy.Float("0.3") * x, sympy.Rational(3, 10)),
        (sympy.Float("0.1234567890123456789012", 22) * x, None),
    ],
)
def test_floats_are_read_as_their_shortest_decimal(given_, exact):
    loss = Loss(given_)
    slope = loss.expression.diff(loss.variables[0])
    assert slope.is_Rational
    assert exact is None or slope == exact
    if exact is None:
        assert abs(slope - sympy.Rational("0.1234567890123456789012")) < Fraction(1, 10**22)


@settings(max_examples=10)
@given(losses())
def test_derivatives_are_those_of_sympy(loss):
    assert oracle.same(loss.gradient, [loss.expression.diff(v) for v in loss.variables])
    assert oracle.same(loss.hessian, sympy.hessian(loss.expression, loss.variables))
    assert oracle.same(loss.hessian, loss.hessian.T)
    assert all(f == -g for f, g in zip(loss.components, loss.gradient, strict=True))
    d = loss.dimension
    assert loss.third_derivatives.shape == (d, d, d)
    assert loss.derivatives(1).shape == (d,)


@pytest.mark.parametrize("order", [0, -1, 1.0, True, "2", None])
def test_derivatives_have_an_order_of_at_least_one(order):
    with pytest.raises(InvalidOrder, match=repr(order)):
        Loss("x**2").derivatives(order)


def test_a_vector_field_has_its_jacobian():
    field = VectorField(["p", "-sin(q)"], "q p")
    q, _ = field.variables
    assert field.jacobian == sympy.Matrix([[0, 1], [-sympy.cos(q), 0]])


def test_a_scalar_field_needs_no_list():
    assert VectorField("y**2") == VectorField(["y**2"])


def test_a_loss_is_not_the_field_of_its_gradient():
    loss = Loss("x**2/2")
    field = VectorField(loss.components, loss.variables)
    assert loss.components == field.components
    assert loss != field


def test_constants_are_losses_once_a_variable_is_named():
    assert Loss("3", "x").gradient == sympy.Matrix([0])
    assert Loss(3, "x").components == (0,)


def test_a_loss_prints_what_makes_it_again():
    loss = Loss("lam*x**2 + y", "x y")
    assert repr(loss) == "Loss('lam*x**2 + y', 'x y')"
    assert eval(repr(loss)) == loss
    field = VectorField(["p", "-sin(q)"], "q p")
    assert eval(repr(field)) == field
    assert loss._repr_latex_().startswith("$")
    assert field._repr_latex_().startswith("$")


def test_as_field_leaves_fields_alone():
    field = VectorField("y**2")
    assert as_field(field) is field
    assert as_field("x**2") == Loss("x**2")


def test_substitution_replaces_parameters_only():
    loss = Loss("lam*x**2", "x").subs({"lam": 0.5})
    assert loss == Loss("x**2/2", "x")
    with pytest.raises(InvalidLoss, match="'x' is not a parameter"):
        Loss("lam*x**2", "x").subs({"x": 1})


def test_substitution_happens_at_once():
    loss = Loss("a*x + b*x**2", "x")
    p, q = loss.parameters
    assert loss.subs({"a": "b", "b": "a"}).expression.coeff(loss.variables[0]) == q
    assert p != q


@pytest.mark.parametrize(
    "function",
    [
        *(sympy.Abs(x), sympy.Max(x, 0), sympy.Min(x, y), sympy.sign(x), sympy.floor(x)),
        *(sympy.ceiling(x), sympy.Heaviside(x), sympy.Mod(x, 2), sympy.frac(x)),
        *(sympy.Piecewise((x, x > 0), (0, True)), abs(x) ** 3, sympy.sqrt(x**2), sympy.arg(x)),
        *(sympy.SingularityFunction(x, 0, 1), sympy.KroneckerDelta(x, 1)),
    ],
)
def test_functions_that_are_not_smooth_are_named(function):
    with pytest.raises(NotSmooth) as raised:
        Loss(x**2 + function, variables=(x, y))
    assert "not smooth" in str(raised.value)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("text", ["abs(x)", "max(x, 0)", "floor(x)", "relu(x)", "sign(x)"])
def test_functions_that_are_not_smooth_are_refused_in_texts(text):
    with pytest.raises(ParseError, match=f"{text.partition('(')[0]} is not smooth"):
        Loss(text)


@pytest.mark.parametrize(
    "thing",
    [
        None,
        [1, 2],
        {"x": 1},
        object(),
        sympy.Matrix([x, x]),
        x > 0,
        sympy.Eq(x, 1),
        sympy.true,
        b"x",
    ],
)
def test_what_is_no_expression_is_refused(thing):
    with pytest.raises(InvalidLoss):
        Loss(thing)


@pytest.mark.parametrize(
    "number", [sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, float("nan")], ids=str
)
def test_numbers_must_be_finite(number):
    with pytest.raises(InvalidLoss, match="finite"):
        Loss(sympy.Add(x, number, evaluate=False), variables=[x])


def test_a_loss_must_be_real():
    with pytest.raises(InvalidLoss, match="real"):
        Loss(sympy.I * x)


@pytest.mark.parametrize("thing", ["h*x**2", sympy.Symbol("h") * x, sympy.Symbol("h")])
def test_no_variable_may_be_called_h(thing):
    with pytest.raises(InvalidLoss, match="learning rate"):
        Loss(thing)


def test_the_learning_rate_itself_is_refused_in_a_loss():
    with pytest.raises(InvalidLoss, match="learning rate"):
        Loss(H * x**2, variables=[x])


def test_two_symbols_of_one_name_are_refused():
    with pytest.raises(InvalidLoss, match="'x'"):
        Loss(x + sympy.Symbol("x", positive=True))


def test_a_constant_without_variables_is_refused():
    with pytest.raises(InvalidLoss, match="no variable"):
        Loss("3 + 4")


@pytest.mark.parametrize(
    ("components", "variables"),
    [(["x", "y"], "x"), (["x"], "x y"), (["x*y"], None), ([], "x"), (["1", "x"], None)],
)
def test_a_field_needs_a_component_for_each_variable(components, variables):
    with pytest.raises(InvalidLoss, match="component"):
        VectorField(components, variables)


@pytest.mark.parametrize("text", ["x +", "x..y", "__import__('os')", "x.real", "", "lambda: 0"])
def test_a_text_that_is_no_formula_is_a_parse_error(text):
    with pytest.raises(ParseError):
        Loss(text)


@pytest.mark.parametrize("variables", ["", [], "x x", "1x", "x y!", 3, [None]])
def test_variables_must_be_names(variables):
    with pytest.raises(InvalidValue):
        Loss("x**2", variables)


@pytest.mark.parametrize("method", ["gradient-descent", "implicit-midpoint"])
def test_a_variable_that_does_not_occur_stands_still(method):
    equation = modeq.derive(Loss("x**2", "x y"), 2, method)
    assert equation.field[1] == 0


def test_a_root_of_the_square_of_a_positive_polynomial_is_smooth():
    assert Loss(sympy.sqrt((1 + x**2) ** 2 * (y**2 + 3))).variables == (x, y)
    with pytest.raises(NotSmooth, match="sqrt"):
        Loss(sympy.sqrt((x**2 - 1) ** 2))


def test_the_gradient_of_a_short_text_takes_no_time():
    start = time.process_time()
    gradient = Loss("(v1*tanh(b1**100 - w12 - w2))**2/2 + (v1*tanh(b1) - 1)**2/2").gradient
    assert time.process_time() - start < 2
    assert len(gradient) == 4


@pytest.mark.parametrize("assumptions", [{"commutative": False}, {"imaginary": True}])
def test_symbols_stand_for_real_numbers(assumptions):
    strange = sympy.Symbol("u", **assumptions)
    with pytest.raises(InvalidLoss, match="the symbol u does not stand for a real number"):
        Loss(x**2 + strange**2, x)


@pytest.mark.parametrize("make", [VectorField, SplitField, as_losses])
def test_what_holds_nothing_is_no_list(make):
    with pytest.raises(InvalidLoss, match="are 3; they must be a list"):
        make(3)


@pytest.mark.parametrize("make", [SplitField, as_losses])
def test_a_text_is_not_a_list_of_its_letters(make):
    with pytest.raises(InvalidLoss, match="are 'xy'; they must be a list"):
        make("xy")


def test_rates_do_not_depend_on_variables():
    game = VectorField(["-y", "x"], variables="x y").split("x", "y")
    with pytest.raises(InvalidLoss, match=r"a rate is 2\*x, which depends on the variables x"):
        game.scaled("2*x", 1)


def test_values_are_a_mapping():
    with pytest.raises(InvalidLoss, match="they must be a mapping"):
        Loss("a*x", "x").subs([("a", 1)])


# Objects of sympy

w, W, f = sympy.IndexedBase("w"), sympy.MatrixSymbol("W", 2, 2), sympy.Function("f")
i, j = sympy.symbols("i j")


@pytest.mark.parametrize(
    ("thing", "meant"),
    [
        (sympy.Sum(w[i] ** 2, (i, 1, 3)), "w_1**2 + w_2**2 + w_3**2"),
        (sympy.Product(x + i, (i, 1, 3)), "(x + 1)*(x + 2)*(x + 3)"),
        (sympy.Sum(x**i / (j + 1), (i, 0, j), (j, 0, 2)), "1 + (1 + x)/2 + (1 + x + x**2)/3"),
        (x**2 + sympy.Sum(x, (i, 1, 0)), "x**2"),
        (x * sympy.Sum(sympy.Product(x, (j, 1, i)), (i, 1, 2)), "x*(x + x**2)"),
        (w[0] * w[1, 2] + W[0, 1] ** 2, "w_0*w_1_2 + W_0_1**2"),
        (sympy.Derivative(x**3, x), "3*x**2"),
        (sympy.Subs(x**2, x, y), "y**2"),
        (sympy.UnevaluatedExpr(x**2) * 2, "2*x**2"),
        (sympy.Matrix([[x**2]]), "x**2"),
        (sympy.ImmutableMatrix([x]).T * sympy.ImmutableMatrix([x]), "x**2"),
        (sympy.Array([x**2]), "x**2"),
        (x ** (1 / 3), "cbrt(x)"),
        (x ** (1 / 6) * y**-0.7, "x**(1/6)/y**(7/10)"),
        (0.1 * x, "x/10"),
        (sympy.E * x**2, "exp(1)*x**2"),
        (abs(x) ** 2 + sympy.Matrix([x, y]).norm() ** 2, "2*x**2 + y**2"),
        (x * sympy.conjugate(x) + sympy.re(y), "x**2 + y"),
    ],
)
def test_what_sympy_can_write_out_is_the_loss_that_it_means(thing, meant):
    assert sympy.expand(Loss(thing).expression - Loss(meant).expression) == 0
    assert {s.name for s in Loss(thing).variables} == {s.name for s in Loss(meant).variables}


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (sympy.Lambda(x, x**2) + x, "Lambda.* is a function, not its value: call it"),
        (sympy.Sum(x**i, (i, 0, sympy.oo)), r"not a finite sum .*\.doit\(\)"),
        (sympy.Sum(x**i, (i, 0, y)), r"not a finite sum .*\.doit\(\)"),
        (sympy.Product(x + i, (i, 1, 10**9)), "1000000000 terms; at most"),
        (sympy.Integral(x**2, x), r"integral without limits.*\.doit\(\)"),
        (w[i] ** 2, "entry without a number"),
        (w[1] * sympy.Symbol("w_1"), "two different symbols are called 'w_1'"),
        (w[1, 2] * sympy.IndexedBase("w_1")[2], "two different symbols are called 'w_1_2'"),
        (sympy.Limit(x * y, y, 0), r"Limit .*not understood.*\.doit\(\)"),
        (x + sympy.O(x**2), "Order O"),
        (sympy.AccumBounds(0, 1) * x, "AccumulationBounds"),
        (sympy.Trace(W) + x, "Trace"),
        (sympy.Wild("x") ** 2, "Wild"),
        (sympy.Idx("i") * x, "Idx"),
        (w.args[0] * sympy.totient(x), "totient"),
        (sympy.LeviCivita(x, y, 1), "LeviCivita"),
        (sympy.exp_polar(x), "exp_polar"),
        (sympy.fibonacci(x), "fibonacci"),
        (sympy.hyper([x], [1], y), "hyper"),
        (x ** sympy.Rational(1, 10**7 + 1), "root too high"),
        (sympy.Interval(0, 1), "must be a text, a sympy expression or a number"),
        (sympy.I * x, "not real"),
        (sympy.oo * x**2, "finite"),
    ],
)
def test_what_sympy_has_beyond_formulas_is_refused_by_name(thing, reason):
    with pytest.raises(InvalidLoss, match=reason):
        Loss(thing)
    with pytest.raises(InvalidLoss, match=reason):
        VectorField([thing, x], (x, y))


def sympy_classes():
    """Return all classes of expressions that sympy makes of x, or of nothing else."""
    found = set()
    for name in dir(sympy):
        cls = getattr(sympy, name)
        if isinstance(cls, type) and issubclass(cls, sympy.Basic):
            found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", sympy_classes(), ids=lambda cls: cls.__name__)
@pytest.mark.filterwarnings("ignore")
def test_every_class_of_sympy_is_differentiated_or_refused(cls):
    """Where a loss is made of one, its slope is that which sympy finds by differences."""
    made = []
    for args in ((), (x,), (1, x), (x, 1), (1, 2, x), (x, (x, 1, 2)), ((x, 1), (1, 2), x)):
        with contextlib.suppress(Exception):
            made.append(cls(*args))
    for thing in made:
        try:
            loss = Loss(thing, x)
        except InvalidLoss:
            continue
        point, step = sympy.Rational(37, 100), sympy.Rational(1, 10**8)
        above, below = (loss.expression.subs(x, point + s) for s in (step, -step))
        slope = sympy.N(loss.gradient[0].subs(x, point), 30)
        measured = sympy.N((above - below) / (2 * step), 30)
        if slope.is_Float and measured.is_Float:
            assert abs(slope - measured) < 1e-9 * (1 + abs(slope)), thing


@pytest.mark.parametrize("assumptions", [{"real": True}, {"positive": True}, {"finite": True}])
def test_a_name_stands_for_the_symbol_of_that_name(assumptions):
    own = sympy.Symbol("x", **assumptions)
    assert Loss(own**2, "x").variables == (own,)
    assert Loss(own**2, x).expression == x**2
    field = VectorField([own**2 - y, "-x*y"], "x y")
    assert (field.variables, field.parameters) == ((own, y), ())
    assert field.components[1] == -own * y
    with pytest.raises(InvalidLoss, match="two different symbols are called 'x'"):
        VectorField([own + y, x], "x y")


@pytest.mark.parametrize("variables", [None, "n", sympy.Symbol("n"), sympy.Symbol("n", even=True)])
def test_variables_are_no_integers(variables):
    """sympy has made 1 of cos(2*pi*n) already."""
    n = sympy.Symbol("n", integer=True)
    with pytest.raises(InvalidLoss, match=r"n is declared an integer.*Symbol\('n', real=True\)"):
        Loss(n**2 + sympy.cos(2 * sympy.pi * n), variables)
    assert Loss(x**n, x).parameters == (n,)


def test_entries_are_named_as_variables():
    assert Loss(w[1] ** 2 * y, w[1]).variables == Loss("w_1**2*y", "w_1").variables
    assert Loss(w[1] ** 2 + w[2], [w[2], w[1]]).variables == sympy.symbols("w_2 w_1")


# The time


def test_a_field_that_depends_on_the_time_gets_a_clock():
    field = VectorField(["-x + sin(t)"], "x", time="t")
    assert field == VectorField(["-x + sin(t)", "1"], "x t")
    assert VectorField(["-x + sin(s)"], time=sympy.Symbol("s")).variables == sympy.symbols("x s")
    t = sympy.Symbol("t", real=True)
    assert VectorField([t - x], "x", time="t").variables == (x, t)


def test_a_free_t_is_said_to_be_constant():
    for make in (lambda: VectorField(["-x + sin(t)"], "x"), lambda: Loss("t*x**2", "x")):
        with pytest.warns(ModeqWarning, match='t is no variable.*constant.*time="t"'):
            make()


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((["-x"], "x", "x"), "among the variables"),
        ((["-x"], "x", "t s"), "one name"),
        ((["-x", "t"], "x", "t"), "2 components but 1 variables"),
    ],
)
def test_a_time_that_cannot_be_one_is_refused(args, reason):
    with pytest.raises(InvalidLoss, match=reason):
        VectorField(*args)


@pytest.mark.parametrize(
    "function", [sympy.besselj, sympy.hermite, sympy.laguerre, sympy.polygamma, sympy.bessely]
)
def test_an_order_may_be_a_parameter_but_no_variable(function):
    n = sympy.Symbol("n")
    assert Loss(function(n, x), x).parameters == (n,)
    with pytest.raises(InvalidLoss, match=function.__name__):
        Loss(function(n, x))
