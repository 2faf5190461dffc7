"""Fields of methods with memory: closed forms, printed values, proofs, and one-step methods."""

from fractions import Fraction

import mpmath
import oracle
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import modeq
import modeq.methods.named
from modeq import HeavyBall, LinearMultistep, Loss, Nesterov, RungeKutta, VectorField
from modeq.derivation.certify import certify
from modeq.derivation.derive import derive_field
from modeq.errors import InvalidMethod
from modeq.losses.loss import H
from modeq.methods import named
from modeq.methods.multistep_by_name import NAMED, adams_bashforth, bdf
from modeq.methods.named import as_method
from modeq.testing import vector_fields

F = Fraction
BETA, X = sympy.symbols("beta x")
ORDER = 6


def growth(method, order=ORDER):
    """Return the field of y' = y as a polynomial in h times y."""
    return modeq.derive(VectorField(["y"]), order, method).field[0] / sympy.Symbol("y")


def principal_root(method, h):
    """Return the root of ρ(z) = h Σ β_l c_l(z) that is nearest to 1, to 60 digits."""
    with mpmath.workdps(60):
        number = lambda q: mpmath.mpf(q.numerator) / q.denominator  # noqa: E731
        rows = list(zip(method.beta, method.points, strict=True))
        coefficients = [
            number(a) - h * sum(number(b * row[j]) for b, row in rows)
            for j, a in enumerate(method.alpha)
        ]
        roots = mpmath.polyroots(coefficients[::-1], maxsteps=500, extraprec=400)
        return min(roots, key=lambda z: abs(z - 1))


LINEAR = [*NAMED, HeavyBall(F(1, 2)), Nesterov(F(1, 3)), Nesterov(F(1, 3), "parameters")]


@pytest.mark.parametrize("method", LINEAR, ids=str)
def test_on_a_linear_field_the_modified_field_is_the_logarithm_of_the_principal_root(method):
    method, rate = as_method(method), sympy.Rational(1, 10**6)
    with mpmath.workdps(60):
        h = mpmath.mpf(1) / 10**6
        field = mpmath.mpf(str(sympy.N(growth(method).subs(H, rate), 60)))
        exact = mpmath.log(principal_root(method, h).real) / h
        assert abs(field - exact) < h ** (ORDER + 1) * 10**8


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("adams-bashforth-2", 1 / 2 + 3 * H / 4 + sympy.sqrt(9 * H**2 / 4 + H + 1) / 2),
        ("bdf-2", (2 + sympy.sqrt(1 + 2 * H)) / (3 - 2 * H)),
        ("leapfrog", H + sympy.sqrt(1 + H**2)),
    ],
)
def test_the_field_of_a_two_step_method_on_a_linear_field_has_its_closed_form(name, root):
    exact = sympy.series(sympy.log(sympy.nsimplify(root)) / H, H, 0, 5).removeO()
    assert sympy.expand(growth(as_method(name), 4) - exact) == 0


PRINTED = {
    # theory.md, section 2: b/σ of heavy ball by elementary differential, derived there by trees.
    ((),): -(1 + BETA) / (2 * (1 - BETA) ** 3),
    ((), ()): (1 + 10 * BETA + BETA**2) / (12 * (1 - BETA) ** 5),
    (((),),): (1 + 4 * BETA + BETA**2) / (3 * (1 - BETA) ** 5),
    ((), (), ()): -BETA * (1 + BETA) / (2 * (1 - BETA) ** 7),
    ((((),),),): -(1 + BETA) * (1 + 8 * BETA + BETA**2) / (4 * (1 - BETA) ** 7),
}


def test_heavy_ball_has_its_printed_field():
    field = VectorField(["y - x**2", "x*y - 1"], "x y")
    equation = modeq.derive(field, 2, HeavyBall(BETA))
    F_ = {t: oracle.elementary_differential(t, field.components, field.variables) for t in PRINTED}
    for c in range(2):
        first = field.components[c] / (1 - BETA)
        assert sympy.simplify(equation.field[c].subs(H, 0) - first) == 0
        assert sympy.simplify(equation.counter_terms[0][c] - PRINTED[((),)] * F_[((),)][c]) == 0
        second = sum(PRINTED[t] * F_[t][c] for t in (((), ()), (((),),)))
        assert sympy.simplify(equation.counter_terms[1][c] - second) == 0


@pytest.mark.parametrize("tree", [((), (), ()), ((((),),),)])
def test_heavy_ball_has_its_printed_coefficients_at_h_cubed(tree):
    """Each field leaves one tree of four vertices: bushy for y' = x³, x' = 1; tall for a shift."""
    if tree == ((), (), ()):
        field = VectorField(["1", "x**3"], "x y")
    else:
        field = VectorField(["1", "x", "y", "z"], "x y z w")
    term = modeq.derive(field, 3, HeavyBall(BETA)).counter_terms[2]
    differential = oracle.elementary_differential(tree, field.components, field.variables)
    assert any(differential)
    for c in range(field.dimension):
        assert sympy.simplify(term[c] - PRINTED[tree] * differential[c]) == 0


def test_without_momentum_heavy_ball_is_gradient_descent():
    equation = modeq.derive("x**2*y + exp(y)", 3, HeavyBall(0))
    assert equation.field == modeq.derive("x**2*y + exp(y)", 3).field


def test_the_two_sequences_of_nesterov_have_one_field_through_h_and_differ_at_h_squared():
    theta = modeq.derive("x**4", 2, Nesterov(BETA)).counter_terms
    parameters = modeq.derive("x**4", 2, Nesterov(BETA, "parameters")).counter_terms
    assert theta[0] == parameters[0]
    assert theta[1] != parameters[1]


@pytest.mark.parametrize(
    ("name", "order"),
    [("adams-bashforth-3", 3), ("adams-moulton-2", 3), ("bdf-4", 4), ("leapfrog", 2)],
)
def test_a_method_of_order_p_has_no_counter_terms_below_h_to_the_p(name, order):
    terms = modeq.derive(Loss("x**2*y + y**3"), order, name).counter_terms
    assert all(term == sympy.zeros(2, 1) for term in terms[: order - 1])
    assert terms[order - 1] != sympy.zeros(2, 1)


def test_the_field_of_a_symmetric_method_has_even_powers_only():
    terms = modeq.derive(Loss("x**2*y + y**3"), 5, "leapfrog").counter_terms
    assert all(term == sympy.zeros(2, 1) for term in terms[0::2])
    assert all(term != sympy.zeros(2, 1) for term in terms[1::2])


@pytest.mark.parametrize(
    ("linear", "one_step"),
    [
        ("adams-bashforth-1", "euler"),
        ("bdf-1", "implicit-euler"),
        ("adams-moulton-1", "trapezoid"),
        (LinearMultistep([-1, 1], [1], [[F(1, 2), F(1, 2)]]), "implicit-midpoint"),
        (LinearMultistep([-2, 2], [2, 0]), "euler"),
    ],
)
@settings(max_examples=8)
@given(field=vector_fields(variables="x y", max_degree=2))
def test_a_linear_form_of_one_step_is_the_one_step_method(linear, one_step, field):
    left, right = (derive_field(field, 3, as_method(m)) for m in (linear, one_step))
    assert left.elements == right.elements


@settings(max_examples=6)
@given(
    field=vector_fields(variables="x y", max_degree=2, functions=False),
    c=st.fractions(-2, 2, max_denominator=5),
    b=st.fractions(-2, 2, max_denominator=5),
)
def test_the_field_of_a_random_linear_form_is_proved(field, c, b):
    assume(b != 1)
    method = LinearMultistep([b, -1 - b, 1], [1, F(1, 3)], [[c, 1 - c, 0], [0, c, 1 - c]])
    certificate = modeq.derive(field, 2, method).certify()
    assert certificate.satisfies_through == 3
    assert certificate


@pytest.mark.parametrize("method", [HeavyBall(BETA), Nesterov(BETA), "adams-bashforth-3", "bdf-2"])
@pytest.mark.parametrize("loss", ["x**2*y + exp(y)", "lam*x**4 + tanh(x*y)"])
def test_the_field_of_a_method_with_memory_is_proved(method, loss):
    certificate = modeq.derive(loss, 2, method).certify()
    assert certificate.satisfies_through == 3
    assert certificate.commutes_through is certificate.reaches_through is None
    assert str(certificate).startswith("proved by exact algebra, through h^3")


@pytest.mark.parametrize("power", [0, 1, 2])
def test_a_wrong_field_is_refuted_at_its_power(power):
    right = derive_field(Loss("x**4/4"), 2, HeavyBall(F(1, 2)))
    elements = [list(vector) for vector in right.elements]
    elements[power][0] = elements[power][0] + right.ring.one
    wrong = type(right)(right.loss, right.method, 2, right.ring, tuple(map(tuple, elements)))
    certificate = certify(wrong)
    assert not certificate
    assert certificate.satisfies_through == power


def test_values_of_symbols_may_be_given_before_or_after():
    general = modeq.derive("x**4 + x**2", 3, HeavyBall(BETA))
    assert general.parameters == (BETA,)
    direct = modeq.derive("x**4 + x**2", 3, HeavyBall(F(1, 3)))
    assert oracle.same(general.field.subs(BETA, sympy.Rational(1, 3)), direct.field)


ALPHA = sympy.Symbol("alpha")
TWO_STAGES = RungeKutta([[0, 0], [ALPHA, 0]], [1 - 1 / (2 * ALPHA), 1 / (2 * ALPHA)])


@pytest.mark.parametrize("value", [F(2, 3), F(1), F(-1, 2)])
def test_a_symbolic_tableau_has_the_field_of_its_values(value):
    general = modeq.derive("x**2*y + y**3", 3, TWO_STAGES)
    direct = modeq.derive("x**2*y + y**3", 3, TWO_STAGES.subs({ALPHA: value}))
    assert oracle.same(general.field.subs(ALPHA, oracle.rational(value)), direct.field)
    assert general.certify()


@pytest.mark.parametrize("name", ["gauss-2", "gauss-3", "radau-iia-3"])
def test_irrational_tableaus_have_rational_fields(name):
    equation = modeq.derive(VectorField(["y - x**2", "x*y"], "x y"), 6, name)
    assert all(power.exp.is_Integer for power in equation.field.atoms(sympy.Pow))
    assert equation.certify()


def test_gauss_on_a_linear_field_is_the_logarithm_of_a_pade_approximation():
    pade = (1 + H / 2 + H**2 / 12) / (1 - H / 2 + H**2 / 12)
    exact = sympy.series(sympy.log(pade) / H, H, 0, 7).removeO()
    assert sympy.expand(growth("gauss-2") - exact) == 0


def test_the_average_vector_field_keeps_the_energy_at_every_order():
    """H(q, p) = p²/2 + q⁴/4 + q³/3: dH along the modified field vanishes."""
    q, p = sympy.symbols("q p")
    energy = p**2 / 2 + q**4 / 4 + q**3 / 3
    field = VectorField([p, -energy.diff(q)], (q, p))
    terms = modeq.derive(field, 5, "average-vector-field").counter_terms
    for term in terms:
        assert sympy.expand(energy.diff(q) * term[0] + energy.diff(p) * term[1]) == 0
    assert terms[1] != sympy.zeros(2, 1)


@pytest.mark.parametrize("symbol", ["x", "lam", "h"])
def test_a_symbol_of_a_method_must_not_be_taken_for_another(symbol):
    method = HeavyBall(sympy.Symbol(symbol, negative=True))
    with pytest.raises(InvalidMethod, match="give it another name"):
        modeq.derive("lam*x**4", 1, method, variables="x")


def test_loss_and_method_may_share_a_parameter():
    equation = modeq.derive(BETA * X**2, 1, HeavyBall(BETA), variables=[X])
    assert equation.parameters == (BETA,)
    assert sympy.simplify(equation.field.subs(H, 0)[0] + 2 * BETA * X / (1 - BETA)) == 0


@pytest.mark.parametrize("make", [adams_bashforth, bdf])
def test_high_orders_are_quick(make):
    equation = modeq.derive("(1 - x)**2 + 100*(y - x**2)**2", 5, make(3))
    assert equation.order == 5


AGREEING = [
    *(name for name in named.NAMED if name != "gradient-descent"),
    *(HeavyBall(F(1, 3)), Nesterov(F(-1, 2)), Nesterov(F(2), "parameters")),
    LinearMultistep([F(1, 5), F(-6, 5), 1], [1, F(1, 3)], [[F(-1, 2), F(3, 2), 0], [0, 2, -1]]),
]


@pytest.mark.parametrize("method", AGREEING, ids=str)
def test_the_field_of_a_method_is_its_universal_series_put_into_the_field(method):
    field = VectorField(["y - x**2", "x*y"], "x y")
    universal = modeq.modified_equation(method, 3).field(field)
    assert oracle.same(universal, modeq.derive(field, 3, method).field)


@pytest.mark.parametrize("method", [HeavyBall(BETA), Nesterov(BETA, "parameters"), TWO_STAGES])
def test_with_symbols_too_the_field_is_the_universal_series_put_into_the_field(method):
    loss = Loss("x**4 + x**3")
    universal = modeq.modified_equation(method, 3).field(loss)
    assert oracle.same(universal, modeq.derive(loss, 3, method).field)


@st.composite
def linear_forms(draw):
    """Draw a method with memory of two or three points and one or two values of f."""
    steps, count = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    numbers = st.fractions(-1, 1, max_denominator=3)
    rows = st.lists(numbers, min_size=steps, max_size=steps)
    alpha = draw(rows)
    beta = draw(st.lists(numbers, min_size=count, max_size=count))
    points = [[1 - sum(row), *row] for row in (draw(rows) for _ in range(count))]
    assume(alpha[-1] != 0)
    assume(sum(beta) != 0)
    assume(sum(j * a for j, a in enumerate(alpha, 1)) != 0)
    return LinearMultistep([-sum(alpha), *alpha], beta, points)


@settings(max_examples=15)
@given(linear_forms())
def test_random_methods_with_memory_agree_with_their_universal_series(method):
    field = VectorField(["y - x**2", "x*y"], "x y")
    universal = modeq.modified_equation(method, 2).field(field)
    assert oracle.same(universal, modeq.derive(field, 2, method).field)
