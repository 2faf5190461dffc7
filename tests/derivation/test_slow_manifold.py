"""The slow manifold: fields of optimizers with memory, against other derivations of the same."""

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import modeq
from modeq import optimizer
from modeq.errors import InvalidMethod, InvalidPoint, NotSmooth
from modeq.methods.functions import norm, power, sqrt

BETA, RHO, EPS = sympy.symbols("beta rho epsilon")
x, y = sympy.symbols("x y")
LOSS = "x**2*y/2 + x**4/4 + y**2"
h = sympy.Symbol("h", positive=True)


@optimizer(memory=["v"], beta=BETA)
def momentum(state, grad, h, p):
    v = p.beta * state.v + grad(state.theta)
    return state.replace(theta=state.theta - h * v, v=v)


@optimizer(memory=["v"], beta=BETA)
def nesterov(state, grad, h, p):
    v = p.beta * state.v + grad(state.theta - h * p.beta * state.v)
    return state.replace(theta=state.theta - h * v, v=v)


@optimizer(memory=["m", "v"], beta=..., rho=..., epsilon=...)
def adam(state, grad, h, p):
    g = grad(state.theta)
    m = p.beta * state.m + (1 - p.beta) * g
    v = p.rho * state.v + (1 - p.rho) * g * g
    return state.replace(theta=state.theta - h * m / sqrt(v + p.epsilon), m=m, v=v)


@optimizer()
def descent(state, grad, h, p):
    return state.replace(theta=state.theta - h * grad(state.theta))


@optimizer(memory=["last"])
def optimistic(state, grad, h, p):
    g = grad(state.theta)
    return state.replace(theta=state.theta - h * (2 * g - state.last), last=g)


@optimizer(memory=["slow", "fast"], beta=Fraction(1, 2))
def coupled(state, grad, h, p):
    fast = p.beta * state.fast + grad(state.theta)
    slow = p.beta * state.slow + fast
    return state.replace(theta=state.theta - h * slow, slow=slow, fast=fast)


def same(left, right):
    return all(sympy.cancel(sympy.together(a - b)) == 0 for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("rule", "table", "order"),
    [(momentum(), modeq.HeavyBall(BETA), 3), (nesterov(), modeq.Nesterov(BETA), 3)],
    ids=["heavy ball", "Nesterov"],
)
def test_momentum_as_a_rule_is_momentum_as_a_table(rule, table, order):
    by_rule, by_table = (modeq.derive(LOSS, order, method) for method in (rule, table))
    assert same(by_rule.field, by_table.field)


def test_a_rule_without_memory_is_a_one_step_method():
    assert modeq.derive(LOSS, 4, descent()).field == modeq.derive(LOSS, 4).field


def test_optimistic_gradient_is_a_table_too():
    table = modeq.LinearMultistep([0, -1, 1], [-1, 2, 0])
    assert same(modeq.derive(LOSS, 3, optimistic()).field, modeq.derive(LOSS, 3, table).field)


def test_slots_that_feed_each_other_are_solved_together():
    # On a quadratic loss the field is h⁻¹ log of the root of the characteristic equation near 1.
    field = modeq.derive("x**2/2", 3, coupled()).field[0] / x
    z = sympy.exp(sum(field.expand().coeff(h, k) * h ** (k + 1) for k in range(4)))
    residual = (z - 1) * (z - sympy.Rational(1, 2)) ** 2 + h * z**2
    assert sympy.series(residual, h, 0, 5).removeO().simplify() == 0


@pytest.mark.parametrize("order", [1, 2])
def test_the_field_of_adam_starts_as_the_lag_moment_rule_says(order):
    """bias_j = h/2 [(1+β)/(1-β) - (1+ρ)/(1-ρ) (1 - ε/(g²+ε))] ∂_j Σ √(g²+ε)."""
    beta, rho, eps = Fraction(9, 10), Fraction(99, 100), Fraction(1, 100)
    equation = modeq.derive(LOSS, order, adam(beta=beta, rho=rho, epsilon=eps))
    b, r, e = (sympy.Rational(q.numerator, q.denominator) for q in (beta, rho, eps))
    gradient = [equation.loss.expression.diff(z) for z in (x, y)]
    total = sum(sympy.sqrt(g**2 + e) for g in gradient)
    point = {x: sympy.Rational(3, 10), y: sympy.Rational(7, 10)}
    entries = zip((x, y), gradient, equation.counter_terms[0], equation.field, strict=True)
    for z, g, first, f in entries:
        lag = (1 + b) / (1 - b) - (1 + r) / (1 - r) * (1 - e / (g**2 + e))
        expected = -lag / 2 * total.diff(z) / sympy.sqrt(g**2 + e)
        assert sympy.N((first - expected).subs(point), 40, chop=1e-30) == 0
        gradient_flow = f.subs(h, 0) + g / sympy.sqrt(g**2 + e)
        assert sympy.N(gradient_flow.subs(point), 40, chop=1e-30) == 0


def test_symbols_of_the_rule_are_parameters():
    equation = modeq.derive("x**2/2", 1, momentum())
    assert equation.parameters == (BETA,)
    expected = -x / (1 - BETA) - h * x * (1 + BETA) / (2 * (1 - BETA) ** 3)
    assert sympy.cancel(equation.field[0] - expected) == 0


def test_a_vector_field_need_not_be_a_gradient():
    field = modeq.VectorField([y, -sympy.sin(x)], variables=(x, y))
    half = Fraction(1, 2)
    by_rule = modeq.derive(field, 2, momentum(beta=half))
    assert same(by_rule.field, modeq.derive(field, 2, modeq.HeavyBall(half)).field)


@pytest.mark.parametrize(
    ("beta", "shown"), [(1, "1,"), (Fraction(-3, 2), "-1.5"), (2, "2,")], ids=str
)
def test_memory_that_does_not_contract_is_refused_by_its_eigenvalue(beta, shown):
    with pytest.raises(InvalidMethod, match=f"has the eigenvalue {shown}"):
        modeq.derive(LOSS, 1, momentum(beta=beta))


def test_an_eigenvalue_of_coupled_slots_is_named_though_each_slot_alone_decays():
    @optimizer(memory=["a", "b"])
    def swap(state, grad, h, p):
        return state.replace(
            theta=state.theta - h * grad(state.theta), a=2 * state.b, b=2 * state.a
        )

    with pytest.raises(InvalidMethod, match=r"eigenvalue -?2"):
        modeq.derive(LOSS, 1, swap())


def test_memory_must_be_updated_linearly():
    @optimizer(memory=["v"])
    def squared(state, grad, h, p):
        v = state.v * state.v / 2 + grad(state.theta)
        return state.replace(theta=state.theta - h * v, v=v)

    with pytest.raises(InvalidMethod, match="is not updated linearly"):
        modeq.derive(LOSS, 1, squared())


def test_a_rule_that_jumps_at_h_0_is_refused():
    @optimizer()
    def jump(state, grad, h, p):
        return state.replace(theta=2 * state.theta - h * grad(state.theta))

    with pytest.raises(InvalidMethod, match="moves x by x; it must be a multiple of h"):
        modeq.derive("x**2/2", 1, jump())


def test_a_rule_that_no_symbol_survives_is_refused():
    @optimizer()
    def rounded(state, grad, h, p):
        return state.replace(theta=state.theta - h * round(float(state.theta[0])))

    with pytest.raises(InvalidMethod, match="cannot be run over symbols"):
        modeq.derive("x**2/2", 1, rounded())


def test_a_slot_of_another_shape_is_refused():
    @optimizer(memory=["v"])
    def scalar(state, grad, h, p):
        return state.replace(theta=state.theta - h * grad(state.theta), v=norm(state.v) / 2)

    with pytest.raises(InvalidMethod, match=r"has the shape \(\); it must be \(2,\)"):
        modeq.derive(LOSS, 1, scalar())


def test_floats_in_a_rule_stand_for_their_shortest_decimal():
    @optimizer(memory=["v"])
    def written(state, grad, h, p):
        v = 0.9 * state.v + 0.1 * grad(state.theta)
        return state.replace(theta=state.theta - h * v, v=v)

    [first] = modeq.derive("x**2/2", 1, written()).counter_terms
    # Heavy ball with β = 9/10 and the step h/10.
    assert first[0] == -sympy.Rational(19, 2) * x


def test_the_numeric_field_is_the_formula():
    equation = modeq.derive(LOSS, 2, momentum(beta=Fraction(1, 2)))
    point = {x: 0.3, y: -0.4, h: 0.05}
    expected = [float(entry.subs(point)) for entry in equation.field]
    for form in ("expanded", "program"):
        found = equation.lambdify(form=form)([0.3, -0.4], 0.05)
        assert found.tolist() == pytest.approx(expected, rel=1e-12)


ADAM = adam(beta=Fraction(1, 2), rho=Fraction(3, 4), epsilon=Fraction(1, 10))
HALF = momentum(beta=Fraction(1, 2))


@pytest.mark.parametrize(
    "method", [HALF, ADAM, optimistic()], ids=["momentum", "adam", "optimistic"]
)
def test_the_slow_manifold_is_proved_to_be_invariant(method):
    equation = modeq.derive(LOSS, 2, method)
    certificate = equation.certify()
    assert certificate.holds
    assert certificate.satisfies_through == 3


def test_a_wrong_field_is_refuted():
    equation = modeq.derive(LOSS, 2, HALF)
    first, second = equation.elements[:2]
    wrong = replace(equation, elements=(first, tuple(2 * e for e in second), equation.elements[2]))
    assert wrong.certify().satisfies_through == 1


@pytest.mark.parametrize(
    "method", [HALF, ADAM, optimistic()], ids=["momentum", "adam", "optimistic"]
)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_orders_against_the_optimizer_itself_are_as_expected(method, order):
    report = modeq.derive(LOSS, order, method).check([0.5, 0.3], h=0.01)
    assert report.passed
    assert report.expected_local == order + 2
    assert report.expected_global == order + 1


@pytest.mark.parametrize("method", [HALF, ADAM], ids=["momentum", "adam"])
def test_a_comparison_starts_on_the_slow_manifold(method):
    comparison = modeq.compare(LOSS, [0.5, 0.3], h=0.002, steps=20, method=method, orders=(0, 1, 2))
    errors = [error.max() for error in comparison.errors.values()]
    assert errors[1] < errors[0] / 20
    assert errors[2] < errors[1] / 20


def test_iterates_start_at_rest_unless_their_memory_is_given():
    at_rest = modeq.iterate("x**2/2", [1.0], h=0.1, steps=2, method=HALF)
    assert at_rest.ravel().tolist() == pytest.approx([1, 0.9, 0.76])
    moving = modeq.iterate("x**2/2", [1.0], h=0.1, steps=1, method=HALF, start={"v": [2.0]})
    assert moving.ravel().tolist() == pytest.approx([1, 0.8])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([1.0], "must be a mapping with the memory of momentum: v"),
        ({"w": [1.0]}, "must be a mapping with the memory of momentum: v"),
        ({"v": [[1.0]]}, r"v of the start has the shape \(1, 1\); it must be \(1,\)"),
    ],
)
def test_a_memory_that_does_not_fit_is_refused(start, message):
    with pytest.raises(InvalidPoint, match=message):
        modeq.iterate("x**2/2", [1.0], h=0.1, steps=1, method=HALF, start=start)


VANISHING = {
    "a variance": lambda g, m: (g - m) * (g - m),
    "a difference of squares": lambda g, m: m * m - g * g,
    "a relation of roots": lambda g, m: sqrt(m * m + 1) - sqrt(g * g + 1),
    "a relation of the averages": lambda g, m: (m + g) * (m + g) - 4 * m * g,
}


@settings(max_examples=12, deadline=None)
@given(
    base=st.sampled_from(sorted(VANISHING)),
    exponent=st.sampled_from([Fraction(1, 2), Fraction(1, 3), -1, Fraction(-1, 2)]),
    beta=st.fractions(min_value=0, max_value=Fraction(9, 10), max_denominator=10),
    in_memory=st.booleans(),
    loss=st.sampled_from(["x**2/2 + x**4/4", "exp(x) + x**2", "sin(x)**2 + x"]),
)
def test_a_root_of_what_vanishes_wherever_the_memory_rests_is_refused(
    base, exponent, beta, in_memory, loss
):
    """However the base is written: it is decided by algebra, not by how it looks."""

    @optimizer(memory=["m", "k"])
    def rule(state, grad, h, p):
        g = grad(state.theta)
        m = beta * state.m + (1 - beta) * g
        old = state.m if in_memory else m
        root = power(VANISHING[base](g, old), exponent)
        k = state.k / 2 + root if in_memory else 0 * state.k
        step = state.k if in_memory else root
        return state.replace(theta=state.theta - h * g * (1 + step), m=m, k=k)

    assume(beta != 0 or in_memory)
    with pytest.raises(NotSmooth, match="is not smooth for the coordinate x: it takes a root of"):
        modeq.derive(loss, 1, rule())


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_root_of_what_vanishes_and_a_positive_number_is_smooth(order):
    """AdaBelief with epsilon inside the root: what is averaged is O(h²) on the slow manifold."""

    @optimizer(memory=["m", "s"], beta=Fraction(1, 2), rho=Fraction(3, 4), epsilon=1)
    def belief(state, grad, h, p):
        g = grad(state.theta)
        m = p.beta * state.m + (1 - p.beta) * g
        s = p.rho * state.s + (1 - p.rho) * (g - m) ** 2
        return state.replace(theta=state.theta - h * m / sqrt(s + p.epsilon), m=m, s=s)

    assert modeq.derive("x**2/2 + x**4/4", order, belief()).check([0.75], h=0.02).passed
