"""JSON and back: equal, exact, and safe."""

import contextlib
import json
import time
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from modeq import CustomMethod, GradientDescent, Loss, RungeKutta, VectorField, problems
from modeq.derivation.derive import ModifiedField, derive_field
from modeq.errors import InvalidData
from modeq.formats.formula import fault, formula, monomial_bound, written_names
from modeq.formats.json import from_json, to_json
from modeq.losses.parse import parse_expression
from modeq.methods.named import as_method

LOSSES = [
    "(1 - x)**2 + 100*(y - x**2)**2",
    "x**2*y + exp(y) + exp(-2*y)*exp(1)",
    "log(1 + exp(-theta_1*x10)) + sqrt(alpha**2 + 1) + 1/(3 + x10**2)",
    "sin(u)*cos(u)*pi + (2 + u)**(2/3) + tanh(u)**2 + sinh(u) + cosh(u)/(2 + cos(u))",
    "asin(x/2) + acos(x/2) + atan(x) + asinh(x) + atanh(x/3) + acosh(3 + x) + erf(x) + tan(x)",
    "x**y + 2**x + (1 + x**2)**(-3/2) + cbrt(x + 3) + sigmoid(x) + softplus(y)",
    "tanh(w*tanh(v) + b)**2*sqrt(2)/7",
]


def assert_same(read, written):
    assert (read.loss, read.method, read.order) == (written.loss, written.method, written.order)
    assert read.method.name == written.method.name
    assert read.parameters == written.parameters
    assert read.ring.generators == written.ring.generators
    assert read.elements == written.elements
    assert read.field == written.field


def assert_round_trip(modified):
    text = to_json(modified)
    assert_same(from_json(text), modified)
    assert to_json(from_json(text)) == text


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", ["gradient-descent", "heun", "implicit-midpoint"])
def test_what_is_read_equals_what_was_written(loss, method):
    assert_round_trip(derive_field(Loss(loss), 2, as_method(method)))


@pytest.mark.parametrize("name", problems.ALL)
def test_every_problem_comes_back(name):
    problem = problems.named(name)
    loss = Loss(problem.expression, problem.variables)
    written = derive_field(problem, 2, GradientDescent())
    read = from_json(to_json(written))
    assert read.loss == loss
    assert read.elements == written.elements


def test_parameters_vector_fields_and_fractions_are_kept():
    assert_round_trip(
        derive_field(Loss("lam*x**4/3 + exp(a*x)*c**(1/2)", "x"), 3, as_method("rk4"))
    )
    assert_round_trip(derive_field(VectorField(["p", "-sin(q)"], "q p"), 3, as_method("rk4")))
    method = RungeKutta([[0, 0], [Fraction(2, 3), 0]], [Fraction(1, 4), Fraction(3, 4)], 'r"é')
    assert_round_trip(derive_field(VectorField(["0", "1/7"], "x y"), 1, method))


polynomials = st.lists(
    st.tuples(st.fractions(-9, 9, max_denominator=30), st.integers(0, 4), st.integers(0, 3)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(polynomials, st.integers(0, 3))
def test_every_polynomial_loss_comes_back(terms, order):
    x, y = sympy.symbols("x y")
    loss = sum(sympy.Rational(c.numerator, c.denominator) * x**i * y**j for c, i, j in terms)
    assert_round_trip(derive_field(Loss(loss, (x, y)), order, GradientDescent()))


inner = st.sampled_from(["x", "x*y/3", "(x - 2*lam*y)", "(x**2 + y**2 + 1/2)", "(pi*x)"])
FUNCTIONS = [
    *(
        "exp(({}))",
        "log(2 + ({})**2)",
        "sin(({}))",
        "sqrt(1 + ({})**2)",
        "tanh(({}))",
        "1/(2 + ({})**2)",
    ),
    *("(3 + ({})**2)**(-5/3)", "({})**3", "erf(({}))", "cosh(({}))", "atan(({}))"),
]
compositions = st.builds(
    str.format, st.sampled_from(FUNCTIONS), st.builds(str.format, st.sampled_from(FUNCTIONS), inner)
)


@settings(max_examples=30, deadline=None)
@given(compositions)
def test_every_composition_of_functions_comes_back(text):
    assert_round_trip(derive_field(Loss(text, "x y"), 1, GradientDescent()))


@given(compositions)
def test_printing_fault_equal(text):
    expression = parse_expression(text)
    names = {x: x.name for x in expression.free_symbols}
    assert fault(expression, names) is None
    symbols = {x.name: x for x in names}
    assert parse_expression(formula(expression, names), symbols) == expression


@pytest.mark.parametrize(
    "assumptions",
    [{}, {"real": True}, {"positive": True}, {"integer": True, "nonzero": True}, {"complex": True}],
)
def test_symbols_come_back_with_their_assumptions(assumptions):
    a = sympy.Symbol("a", **assumptions)
    x = sympy.Symbol("x", **{k: v for k, v in assumptions.items() if k != "integer"})
    assert_round_trip(derive_field(Loss(a * x**2 + x**3, x), 1, GradientDescent()))


@pytest.mark.parametrize(
    "name", ["lambda", "pi", "exp", "E", "x'", "50%", "\\theta", "θ", "s0", "变"]
)
def test_symbols_that_no_formula_can_name_come_back(name):
    x, s0 = sympy.Symbol(name), sympy.Symbol("s1")
    assert_round_trip(
        derive_field(Loss(x**3 * s0 + sympy.pi * sympy.exp(x), x), 1, GradientDescent())
    )


def test_invented_names_avoid_the_names_that_are_taken():
    symbols = sympy.symbols(["pi", "s0", "s2"])
    assert len(set(written_names(symbols).values())) == 3


def test_json_holds_no_floats_and_the_format():
    data = json.loads(to_json(derive_field(Loss("0.1*x**2"), 1, GradientDescent())))
    assert (data["format"], data["version"]) == ("modeq modified equation", 1)
    assert data["terms"] == [[[[1, "-1/5"]]], [[[1, "-1/50"]]]]


def test_reading_makes_the_class_that_is_asked_for():
    class Facade(ModifiedField):
        pass

    written = derive_field(Loss("x**2"), 1, GradientDescent())
    assert type(from_json(to_json(written), build=Facade)) is Facade


def test_a_rule_of_ones_own_cannot_be_written():
    method = CustomMethod(GradientDescent().rule, "mine")
    with pytest.raises(InvalidData, match="the method mine cannot be written"):
        to_json(derive_field(Loss("x**2"), 1, method))


@pytest.mark.parametrize(
    "expression",
    [
        sympy.Symbol("x") * sympy.EulerGamma,
        sympy.LambertW(sympy.Symbol("x")),
        sympy.Dummy("x") ** 2,
    ],
)
@pytest.mark.filterwarnings("ignore::modeq.errors.ModeqWarning")
def test_a_loss_outside_the_grammar_cannot_be_written(expression):
    with pytest.raises(InvalidData, match="cannot be written"):
        to_json(derive_field(Loss(expression), 0, GradientDescent()))


# Hostile texts


def valid():
    return json.loads(
        to_json(derive_field(Loss("lam*x**2 + exp(y)", "x y"), 1, as_method("extragradient")))
    )


def refused(text):
    """Return the one sentence with which a text is refused, at once."""
    start = time.process_time()
    with pytest.raises(InvalidData) as caught:
        from_json(text)
    assert time.process_time() - start < 5
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def changed(path, value):
    """Return a valid text with one value replaced, or deleted if the value is ``...``."""
    data = valid()
    *parents, last = path
    place = data
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


WRONG_TYPES = [None, True, 7, -1, "", "x", [], {}, [[]], [None], {"a": 1}, 10**50]
KEYS = sorted(valid())


def test_the_text_that_the_hostile_ones_are_made_from_is_read():
    assert from_json(json.dumps(valid())).order == 1


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(key):
    assert refused(changed([key], ...)) == f"the text has no key '{key}'"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(key, value):
    named = {"terms": "terms", "order": "order|terms"}.get(key, key)
    message = refused(changed([key], value))
    assert any(part in message for part in (*named.split("|"), "variables", "expressions"))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["version"], 2, "version"),
        (["version"], True, "version"),
        (["order"], 10**9, "order"),
        (["order"], True, "order"),
        (["method", "kind"], "Nesterov", "method.kind"),
        (["method", "A"], [["0"]], "method.A"),
        (["method", "A", 0, 0], "1/0", "method.A[0][0] is '1/0'; it divides by zero"),
        (["method", "A", 0, 0], "0.5", "method.A[0][0]"),
        (["method", "b", 0], "9" * 5000, "method.b[0]"),
        (["method", "b", 0], "1/3", "weights b sum to"),
        (["method", "name"], "\x1b[2J", "method.name"),
        (["expressions", 0], "__import__('os')", "expressions[0]"),
        (["expressions", 0], "x**x**x**9", "expressions[0]"),
        (["expressions", 0], "(" * 10**6, "expressions[0]"),
        (["expressions", 0], "(x + y + 1)**100*(x + lam)**100", "expressions: the loss is too"),
        (["expressions", 0], "x**2 + exp(y)", "parameters"),
        (["expressions", 0], "lam*x**2 + exp(y) + h", "expressions"),
        (["expressions", 0], "lam*x**2 + 2*exp(y)", "terms[0] is not the field"),
        (["expressions"], ["x", "y"], "expressions has 2 entries"),
        (["kind"], "field", "expressions has 1 entries; it must have 2"),
        (["variables", 0, "name"], "y", "variables has a symbol twice"),
        (["variables", 0, "name"], "lam", "name is given to two symbols"),
        (["variables", 0, "name"], "x\n", "variables[0].name"),
        (["variables", 0, "name"], "\ud800", "variables[0].name"),
        (["variables", 0, "written"], "y", "given to two symbols"),
        (["variables", 0, "assumptions"], {"real": 1}, "variables[0].assumptions.real"),
        (["variables", 0, "assumptions"], {"__class__": True}, "unknown key '__class__'"),
        (["variables", 0, "assumptions"], {"real": True, "complex": False}, "contradict"),
        (["variables", 0, "assumptions"], {"zero": True}, "no real number"),
        (["variables", 0, "assumptions"], {"imaginary": True}, "no real number"),
        (["generators", 0], "z", "generators"),
        (["terms", 0, 0, 0, 0], -1, "an exponent in terms[0][0] is -1"),
        (["terms", 0, 0, 0, 0], 10**9, "an exponent in terms[0][0]"),
        (["terms", 0, 0, 0, 0], True, "an exponent in terms[0][0]"),
        (["terms", 1, 1, 0], [1, "1"], "a monomial of terms[1][1] has 2 entries"),
        (["terms", 1, 1, 0, -1], "1/0", "divides by zero"),
        (["terms", 1, 1, 0, -1], "0", "coefficient 0"),
        (["terms", 1, 1, 0, -1], "١", "a coefficient in terms[1][1]"),
        (["terms", 1, 1, 0, -1], 2, "a coefficient in terms[1][1]"),
        (["terms", 1, 1], [[0, 0, 0, 1, "1"]] * 2, "has a monomial twice"),
        (["terms", 0, 0, 0, -1], "3", "terms[0] is not the field"),
        (["terms", 1], [], "terms[1] has 0 entries"),
        (["terms"], [], "terms has 0 entries; it must have 2"),
    ],
)
def test_each_wrong_entry_is_named(path, value, sentence):
    assert sentence in refused(changed(path, value))


GARBAGE = {
    "nothing": "",
    "no JSON": "derive x**2",
    "lists": "[" * 10**7,
    "objects": '{"a":' * 10**6,
    "letters": "x" * 10**7,
    "digits": "1" * 10**7,
    "NaN": '{"order": NaN}',
    "Infinity": "[-Infinity]",
    "float": '{"order": 1e400}',
    "zeros": "[" + "0," * 10**6 + "0]",
    "surrogate": '{"\\ud800": 1}',
    "list": "[]",
    "null byte": "\x00",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_in_one_sentence(name):
    refused(GARBAGE[name])


def test_duplicate_keys_are_refused():
    text = json.dumps(valid())
    assert refused('{"order":1,' + text[1:]) == "the key 'order' is given twice"


@pytest.mark.parametrize("text", [None, b"{}", 7, {"order": 1}])
def test_what_is_not_a_text_is_refused(text):
    assert refused(text).startswith("JSON is a text")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), anything)
def test_any_value_in_any_place_is_read_or_refused(data, value):
    tree = valid()
    place, keys = tree, None
    while isinstance(place, list | dict) and place:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        parent, key = place, data.draw(st.sampled_from(keys))
        place = place[key]
        if data.draw(st.booleans()):
            break
    parent[key] = value
    with contextlib.suppress(InvalidData):
        from_json(json.dumps(tree))


def test_the_bound_on_monomials_holds():
    x, y, z = sympy.symbols("x y z")
    for expression in [
        (x + y + z + 1) ** 6,
        (x + 1) ** 3 * (y + z) ** 2,
        (x * (y + z) + 1) ** 3 + x,
    ]:
        exact = len(sympy.expand(expression).as_ordered_terms())
        assert exact <= monomial_bound(expression, 10**6) <= 2 * exact
    assert monomial_bound((x + y + z + 1) ** 100, 1000) == 1000
