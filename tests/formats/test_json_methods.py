"""Methods with symbols, roots and memory as JSON and as code, and hostile ones."""

import json
from fractions import Fraction

import pytest
import sympy

import modeq
from modeq import AverageVectorField, HeavyBall, LinearMultistep, Nesterov, RungeKutta, composed
from modeq.errors import InvalidData, ModeqError
from modeq.methods.named import NAMED, as_method

F = Fraction
ALPHA, BETA = sympy.symbols("alpha beta")
ODD = sympy.Symbol("Δ h%", positive=True)

METHODS = [
    *NAMED,
    HeavyBall(BETA),
    HeavyBall(F(9, 10)),
    HeavyBall(ODD),
    Nesterov(BETA),
    Nesterov(BETA, "parameters"),
    RungeKutta([[0, 0], [ALPHA, 0]], [1 - 1 / (2 * ALPHA), 1 / (2 * ALPHA)], "two stages"),
    RungeKutta([[sympy.pi]], [1]),
    composed(as_method("gauss-2"), as_method("radau-iia-3")),
    LinearMultistep([ALPHA - 1, -ALPHA, 1], [1, 1, 0], name="my method"),
    LinearMultistep([-1, 0, 1], [2], [[F(1, 3), F(1, 3), F(1, 3)]]),
    modeq.Adam(0.5, 0.75, epsilon=0.1, bias_correction=False),
    modeq.SGD(BETA, weight_decay=F(1, 10), nesterov=True),
    modeq.EMAMomentum(0.5, decoupled=True),
    modeq.RMSProp(0.5, epsilon=0.1),
    modeq.UnnormalizedSAM(rho_over_h=ALPHA),
    modeq.Lookahead(3, ALPHA),
    modeq.OptimisticGradient(),
]


def equation(method, loss="x**4/4 + lam*x**2"):
    return modeq.derive(loss, 1, method, variables="x")


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_what_is_read_equals_what_was_written(method):
    written = equation(method)
    read = modeq.from_json(written.to_json())
    assert read == written
    assert read.method == written.method
    assert str(read.method) == str(written.method)
    assert read.parameters == written.parameters
    assert read.certify()


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_code_in_markdown_derives_the_equation_again(method):
    written = equation(method)
    code = written.to_markdown().split("```python")[1].split("```")[0]
    namespace = {}
    exec(code, namespace)
    assert namespace["eq"] == written


def test_momentum_is_code_by_its_name():
    code = equation(HeavyBall(F(9, 10))).to_markdown()
    assert "method=modeq.HeavyBall(Fraction(9, 10))" in code
    assert "method=modeq.HeavyBall(sympy.Symbol('beta'))" in equation(HeavyBall(BETA)).to_markdown()


def test_a_symbol_may_belong_to_the_loss_and_to_the_method():
    written = modeq.derive(BETA * sympy.Symbol("x") ** 4, 1, HeavyBall(BETA), variables="x")
    assert modeq.from_json(written.to_json()) == written
    assert "symbols" not in json.loads(written.to_json())["method"]


def changed(method, path, value):
    data = json.loads(equation(method).to_json())
    *place, last = ["method", *path]
    target = data
    for key in place:
        target = target[key]
    target[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["kind"], "Adam", "method.kind is 'Adam'; it must be one of"),
        (["kind"], ["Runge-Kutta"], "method.kind is list"),
        (["kind"], "Runge-Kutta", "method has no key 'A'"),
        (["kind"], "average vector field", "method has the unknown key"),
        (["starts_at_rest"], 1, "method.starts_at_rest is 1; it must be a boolean"),
        (["alpha", 0], "beta + ", r"method.alpha\[0\]: "),
        (["alpha", 0], "gamma", r"method.alpha\[0\] is 'gamma'; it has a symbol that is not"),
        (["alpha", 0], "__import__('os')", r"method.alpha\[0\]: "),
        (["alpha", 0], "sin(beta)", "it must be a number, or made by"),
        (["alpha", 0], "beta**beta", "it must be a number, or made by"),
        (["alpha", 0], "beta**21", "it must be a number, or made by"),
        (["alpha", 0], "0.5", "it must be a number, or made by"),
        (["alpha", 0], "(1 + sqrt(2) + sqrt(3))**5", "it must be a number, or made by"),
        (
            ["alpha", 0],
            f"(beta + {' + '.join(f'sqrt({k})' for k in (2, 3, 5, 7, 11, 13, 17))})**6",
            "too large",
        ),
        (
            ["alpha", 0],
            " + ".join(f"beta**{k % 7}/({k + 2} + beta)" for k in range(90)),
            "too large",
        ),
        (["alpha", 0], None, r"method.alpha\[0\] is None"),
        (["alpha", 0], "2*beta", "no root of the polynomial rho"),
        (["alpha"], [], "method: alpha is empty|method.alpha|method.points"),
        (["beta", 0], "beta", "terms|generators"),
        (["points"], [["1", "0"]], r"method.points\[0\] has 2 entries; it must have 3"),
        (["points", 0, 1], "2", "sums to 2"),
        (["symbols"], [], "it has a symbol that is not listed"),
        (["symbols", 0, "name"], "x", "it has a symbol that is not listed"),
        (["symbols", 0, "assumptions"], {"zero": True}, "leave no real number"),
        (["name"], "\x1b[2J", "method.name"),
    ],
)
def test_a_method_that_cannot_be_right_is_refused(path, value, message):
    with pytest.raises(ModeqError, match=message) as raised:
        modeq.from_json(changed(HeavyBall(BETA), path, value))
    assert isinstance(raised.value, InvalidData)


def test_a_number_that_is_written_otherwise_is_refused():
    assert json.loads(equation("gauss-2").to_json())["method"]["A"][0][0] == "1/4"
    with pytest.raises(InvalidData, match="weights b sum to"):
        modeq.from_json(changed("gauss-2", ["b", 0], "sqrt(3)/6"))


def test_a_function_in_a_table_cannot_be_written():
    method = RungeKutta([[sympy.sin(1)]], [1])
    with pytest.raises(InvalidData, match="made by"):
        equation(method).to_json()


def test_the_average_vector_field_is_read_back_by_its_kind():
    data = json.loads(equation("average-vector-field").to_json())["method"]
    assert data == {"kind": "average vector field", "name": "average vector field"}
    assert modeq.from_json(equation(AverageVectorField()).to_json()).method == AverageVectorField()


def written_optimizer():
    return json.loads(equation(modeq.Lookahead(3)).to_json())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adagrad"}, "method.optimizer is 'adagrad'; it must be one of sgd"),
        ({"optimizer": ["sgd"]}, "it must be one of"),
        ({"parameters": {"alpha": "x"}}, "the symbol x of lookahead has the name of a variable"),
        ({"parameters": {"alpha": "q"}}, "method.parameters.alpha is 'q'"),
        ({"parameters": {"alpha": "2"}}, "alpha of lookahead is"),
        ({"parameters": {"beta": "1/2"}}, "the unknown key 'beta'"),
        ({"parameters": {"alpha": "__import__('os')"}}, "method.parameters.alpha"),
        ({"options": {"steps": 10**9}}, "method.options.steps is 1000000000"),
        ({"options": {"steps": "3"}}, "method.options.steps is '3'"),
        ({"options": {"alpha": 1}}, "method.options.alpha is 1"),
        ({"options": []}, "method.options is"),
    ],
)
def test_an_optimizer_that_is_none_is_refused(change, message):
    data = written_optimizer()
    data["method"] |= change
    with pytest.raises(InvalidData, match=message):
        modeq.from_json(json.dumps(data))


def test_another_optimizer_than_the_one_of_the_terms_is_refused():
    data = written_optimizer()
    data["method"]["parameters"] = {"alpha": "1/3"}
    with pytest.raises(InvalidData, match=r"terms\[0\] is not the field"):
        modeq.from_json(json.dumps(data))


def test_a_rule_of_ones_own_is_refused_by_what_it_is():
    @modeq.optimizer()
    def own(state, grad, h, parameters):
        return state.replace(theta=state.theta - h * grad(state.theta))

    with pytest.raises(InvalidData, match="its update rule is code"):
        equation(own()).to_json()
    assert "rule = ..." in equation(own()).to_markdown()
