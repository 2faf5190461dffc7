"""How much work a derivation is, told before it is begun."""

import pickle

import pytest
import sympy

import modeq
from modeq import Loss
from modeq.derivation.derive import derive_field, leading_field
from modeq.derivation.lie import lie_recursion
from modeq.derivation.workload import MAX_TERMS, check_terms, estimated_terms, most_terms
from modeq.errors import ExceedsLimit, InvalidOrder
from modeq.methods.named import as_method

ROSENBROCK = "(1 - x)**2 + 100*(y - x**2)**2"
NETWORK = "(v1*tanh(w1*x0 + b1) + v2*tanh(w2*x0 + b2) - y0)**2/2"
LOSSES = [
    ROSENBROCK,
    "x**2*y + exp(y)",
    "x**2*y*z + w**4*x + y**3*z**2",
    "log(1 + exp(x*y)) + sqrt(1 + x**2)",
    "sin(x*y) + cos(x + z)",
    "1/(1 + x**2 + y**2)",
    "x**4/4",
]


def counts(loss, order, method="gradient-descent"):
    """Return the numbers of terms, those that were estimated, and the bounds."""
    loss, method = Loss(loss), as_method(method)
    modified = derive_field(loss, order, method)
    field = leading_field(loss, method, modified.ring)
    found = [sum(map(len, elements)) for elements in modified.elements]
    estimated = estimated_terms(modified.ring, field, order, MAX_TERMS)
    return found, estimated, most_terms(modified.ring, field, order)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_estimate_is_right_within_a_factor_of_two(loss):
    found, estimated, _ = counts(loss, 6)
    assert found[:3] == estimated[:3]
    assert 0.5 < sum(estimated) / sum(found) < 2


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", ["gradient-descent", "rk4", "implicit-midpoint"])
def test_no_counter_term_has_more_terms_than_the_bound(loss, method):
    found, _, most = counts(loss, 4, method)
    assert all(f <= m for f, m in zip(found, most, strict=True))


def test_symbols_of_a_method_are_counted():
    beta = sympy.Symbol("beta")
    loss, method = Loss(ROSENBROCK), modeq.HeavyBall(beta)
    modified = derive_field(loss, 3, method)
    field = leading_field(loss, method, modified.ring)
    estimated = [(j + 1) * n for j, n in enumerate(estimated_terms(modified.ring, field, 3, 10**6))]
    found = sum(sum(map(len, elements)) for elements in modified.elements)
    assert 0.5 < sum(estimated) / found < 2


def test_a_network_of_order_nine_is_refused_before_it_is_derived(monkeypatch):
    derived = []
    monkeypatch.setattr("modeq.derivation.workload.lie_recursion",
        lambda ring, step, order: derived.append(order) or lie_recursion(ring, step, order),
    )  # fmt: skip
    with pytest.raises(ExceedsLimit, match=r"order=9 means about \d+,\d{3},\d{3} terms") as caught:
        modeq.derive(NETWORK, 9)
    assert max(derived) <= 2
    assert (caught.value.unit, caught.value.limit) == ("terms", MAX_TERMS)


def test_a_larger_limit_lets_the_work_go_on():
    with pytest.raises(ExceedsLimit, match="about 91 terms; 90 are allowed: take a lower order"):
        modeq.derive(ROSENBROCK, 3, limit=90)
    assert modeq.derive(ROSENBROCK, 3, limit=91) == modeq.derive(ROSENBROCK, 3)


@pytest.mark.parametrize("order", [2_000, 10**11])
def test_orders_of_which_no_memory_holds_the_work_are_refused_at_once(order):
    with pytest.raises(ExceedsLimit, match=f"order={order} means at least"):
        modeq.derive("x**2/2", order)


def test_values_are_put_into_what_was_derived_beyond_the_limit(monkeypatch):
    equation = modeq.derive("a*x**4 + x**2*y", 3, variables="x y")
    monkeypatch.setattr("modeq.derivation.workload.MAX_TERMS", 10)
    assert equation.subs({"a": 2}).loss == Loss("2*x**4 + x**2*y")


def test_what_cannot_be_many_terms_is_not_probed(monkeypatch):
    monkeypatch.setattr("modeq.derivation.workload.lie_recursion", None)
    assert modeq.derive("x**4/4", 5).order == 5


def test_even_the_first_counter_term_is_told_before_it_is_derived():
    loss = Loss("+".join(f"(x{i}*y{i} + z)**3" for i in range(8)))
    ring = derive_field(loss, 0, as_method("euler")).ring
    field = leading_field(loss, as_method("euler"), ring)
    first = sum(map(len, lie_recursion(ring, [field], 1)[1]))
    _, estimated = estimated_terms(ring, field, 1, 10)
    assert first <= estimated
    with pytest.raises(ExceedsLimit):
        check_terms(ring, field, 1, 0, 10)


@pytest.mark.parametrize(("loss", "method"), [(ROSENBROCK, "euler"), ("exp(x*y)", "leapfrog")])
def test_progress_counts_the_powers_of_h(loss, method):
    seen = []
    modeq.derive(loss, 3, method, progress=lambda done, total: seen.append((done, total)))
    assert seen[-4:] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_error_is_one_of_order_and_can_be_pickled():
    error = ExceedsLimit("order=3 means about", 1_234, "terms", 1_000)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, InvalidOrder)
    assert str(again) == str(error)
    assert again.reason == "order=3 means about 1,234 terms; 1,000 are allowed"


def nested_fraction(depth):
    text = "x"
    for _ in range(depth):
        text = f"1/(x + {text})"
    return text


def nested_square(depth):
    text = "x"
    for _ in range(depth):
        text = f"({text}**2 - a)"
    return f"{text}**2"


LARGE = {
    "a sum of 300 squares": " + ".join(f"x{i}**2" for i in range(300)),
    "a product of 40 exponentials": "*".join(f"exp(x{i})" for i in range(40)),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_loss_of_many_variables_is_certified_in_seconds(name):
    assert modeq.derive(LARGE[name], 1).certify().holds


@pytest.mark.parametrize(
    ("text", "variables"), [(nested_fraction(30), None), (nested_square(7), "x")]
)
def test_a_proof_that_would_fill_the_memory_is_refused(text, variables):
    equation = modeq.derive(modeq.Loss(text, variables=variables), 1)
    with pytest.raises(ExceedsLimit, match="the proof takes a product of about"):
        equation.certify()


def test_a_proof_obeys_the_limit_it_is_given():
    equation = modeq.derive("(x**2 + y**3 + 1)**4", 2)
    with pytest.raises(ExceedsLimit, match="100 are allowed"):
        equation.certify(limit=100)
    assert equation.certify(limit=10**6).holds
