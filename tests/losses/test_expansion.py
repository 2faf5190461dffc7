"""The length of a polynomial is bounded from how it is written, before anything is multiplied."""

import json
import time

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import modeq
from modeq.errors import ExceedsLimit, InvalidData, InvalidLoss
from modeq.losses.expansion import MAX_DEPTH, check_expansion, depth

x, y, z = sympy.symbols("x y z")

LEAVES = st.sampled_from([x, y, z, sympy.Integer(2), sympy.Rational(1, 3)])
POLYNOMIALS = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, inner).map(lambda t: t[0] + t[1])
        | st.tuples(inner, inner).map(lambda t: t[0] * t[1])
        | st.tuples(inner, st.integers(2, 4)).map(lambda t: t[0] ** t[1])
    ),
    max_leaves=6,
)


@given(POLYNOMIALS)
def test_the_bound_is_not_below_the_number_of_terms(u):
    terms = len(sympy.Add.make_args(sympy.expand(u)))
    with pytest.raises(ExceedsLimit):
        check_expansion([u], limit=terms - 1)


def test_the_bound_on_a_product_of_powers_of_sums_is_its_number_of_terms():
    u = ((1 + x) * (1 + y)) ** 30
    check_expansion([u], limit=2 * 31**2)  # coefficients up to 2**60
    with pytest.raises(ExceedsLimit):
        check_expansion([u], limit=31**2 - 1)


def _squares(count):
    text = "x"
    for _ in range(count):
        text = f"({text} - a)**2"
    return text


def _sines(count):
    u = x
    for _ in range(count):
        u = sympy.sin(u, evaluate=False)
    return u


@pytest.mark.parametrize(
    "loss",
    [
        "((1+x)*(1+y)*(1+z)*(1+w))**100",
        "exp(-((1+x)*(1+y)*(1+z)*(1+w))**100)",
        "1/((1+x)*(1+y)*(1+z)*(1+w))**100 + sqrt(((1+x)*(1+y)*(1+z)*(1+w))**99 + 1)",
        _squares(11),
        _sines(300),
        _sines(3_000),
    ],
    ids=["power", "inside exp", "quotient and root", "squares", "300 sines", "3000 sines"],
)
def test_what_is_too_long_or_too_deep_is_refused_at_once(loss):
    start = time.process_time()
    with pytest.raises((ExceedsLimit, InvalidLoss), match=r"multiplied out|inside each other"):
        modeq.derive(loss, 1)
    assert time.process_time() - start < 5


def test_what_is_as_deep_as_is_read_is_derived():
    u = _sines(MAX_DEPTH // 2)
    assert depth(u) == MAX_DEPTH // 2
    assert modeq.derive(u, 1).lambdify()([0.3], 0.1).shape == (1,)


def test_a_file_with_exponents_that_no_counter_term_has_is_refused():
    data = json.loads(modeq.derive("x**2*y + sin(x)", 2).to_json())
    assert modeq.from_json(json.dumps(data)).order == 2
    for j in (1, 2):
        wrong = json.loads(json.dumps(data))
        wrong["terms"][j][0][0][0] = 10**6
        with pytest.raises(InvalidData, match="exponent"):
            modeq.from_json(json.dumps(wrong))
