"""Methods with memory as tables: printed coefficients, roots, and bad input."""

from fractions import Fraction

import pytest
import sympy

from modeq import HeavyBall, LinearMultistep, Nesterov
from modeq.algebra.surds import square_root
from modeq.errors import InvalidMethod
from modeq.methods.multistep_by_name import NAMED
from modeq.methods.named import as_method

F = Fraction
A, B = sympy.symbols("a b")

PRINTED = {
    # Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, III.1
    "adams-bashforth-1": ([-1, 1], [1, 0]),
    "adams-bashforth-2": ([0, -1, 1], [F(-1, 2), F(3, 2), 0]),
    "adams-bashforth-3": ([0, 0, -1, 1], [F(5, 12), F(-16, 12), F(23, 12), 0]),
    "adams-bashforth-4": ([0, 0, 0, -1, 1], [F(-9, 24), F(37, 24), F(-59, 24), F(55, 24), 0]),
    "adams-moulton-1": ([-1, 1], [F(1, 2), F(1, 2)]),
    "adams-moulton-2": ([0, -1, 1], [F(-1, 12), F(8, 12), F(5, 12)]),
    "adams-moulton-3": ([0, 0, -1, 1], [F(1, 24), F(-5, 24), F(19, 24), F(9, 24)]),
    "bdf-1": ([-1, 1], [0, 1]),
    "bdf-2": ([F(1, 2), -2, F(3, 2)], [0, 0, 1]),
    "bdf-3": ([F(-1, 3), F(3, 2), -3, F(11, 6)], [0, 0, 0, 1]),
    "bdf-4": ([F(1, 4), F(-4, 3), 3, -4, F(25, 12)], [0, 0, 0, 0, 1]),
    "leapfrog": ([-1, 0, 1], [0, 2, 0]),
}

ORDERS = {
    **{f"adams-bashforth-{k}": k for k in range(1, 6)},
    **{f"adams-moulton-{k}": k + 1 for k in range(1, 5)},
    **{f"bdf-{k}": k for k in range(1, 7)},
    "leapfrog": 2,
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_derived_method_has_its_printed_coefficients(name):
    assert as_method(name) == LinearMultistep(*PRINTED[name])


@pytest.mark.parametrize("name", NAMED)
def test_a_named_method_is_exact_for_polynomials_of_its_order_and_no_more(name):
    """Σ αⱼ j^q = q Σ βⱼ j^{q-1} for q ≤ p (Hairer, Nørsett, Wanner, III.2, theorem 2.4)."""
    method, order = as_method(name), ORDERS[name]

    def defect(q):
        return sum(a * j**q for j, a in enumerate(method.alpha)) - q * sum(
            b * j ** (q - 1) for j, b in enumerate(method.beta)
        )

    assert all(defect(q) == 0 for q in range(1, order + 1))
    assert defect(order + 1) != 0
    assert method.is_consistent
    assert method.is_classical


@pytest.mark.parametrize("name", NAMED)
def test_the_first_characteristic_root_is_one_and_the_others_are_in_the_unit_disk(name):
    first, *others = as_method(name).characteristic_roots()
    assert first == 1
    assert all(abs(root) <= 1 + 1e-9 for root in others)


def test_characteristic_roots_are_the_roots_of_rho():
    method = LinearMultistep([F(1, 3), F(-13, 6), F(29, 6), -4, 1], [1, 0, 0, 0, 0])
    roots = method.characteristic_roots()
    assert len(roots) == method.steps == 4
    for z in roots:
        assert abs(sum(float(a) * z**j for j, a in enumerate(method.alpha))) < 1e-9


@pytest.mark.parametrize("beta", [F(9, 10), 0.9, sympy.Rational(9, 10)])
def test_heavy_ball_is_one_row_of_the_table(beta):
    method = HeavyBall(beta)
    assert method.alpha == (F(9, 10), F(-19, 10), 1)
    assert method.points == ((0, 1, 0),)
    assert method.slope == F(1, 10)
    assert method.is_explicit
    assert not method.is_consistent
    assert method.characteristic_roots() == pytest.approx((1, 0.9))
    assert str(method) == "heavy ball with beta = 9/10"


def test_without_momentum_heavy_ball_and_nesterov_follow_the_same_rule():
    assert HeavyBall(0).alpha == Nesterov(0).alpha == (0, -1, 1)
    assert HeavyBall(0).points == Nesterov(0).points


@pytest.mark.parametrize(
    "others",
    [
        [F(1, 2)] * 5,
        [0, 0, 0, F(-1, 3), F(-1, 3)],
        [square_root(2) / 2, -square_root(2) / 2, square_root(2) / 2],
        [F(1, 2), F(1, 2), F(1, 2), F(-1, 2), F(-1, 2), 2],
    ],
    ids=str,
)
def test_multiple_roots_lose_no_digits(others):
    rho = [F(1)]
    for root in (1, *others):
        rho = [b - root * a for a, b in zip([*rho, 0], [0, *rho], strict=True)]
    first, *found = LinearMultistep(rho, [*[0] * len(rho[1:]), 1]).characteristic_roots()
    assert first == 1
    assert sorted(z.real for z in found) == pytest.approx(sorted(map(float, others)), abs=2e-12)
    assert max(abs(z.imag) for z in found) < 2e-12


def torch_sgd(beta, gradient, y, h, steps):
    """PyTorch's SGD with nesterov=True, as its documentation writes it: b = β b + g, g + β b."""
    points, velocity = [y], 0
    for _ in range(steps):
        g = gradient(y)
        velocity = beta * velocity + g
        y = y - h * (g + beta * velocity)
        points.append(y)
    return points


def test_the_parameters_of_nesterov_are_those_of_pytorch():
    beta, h = F(9, 10), F(1, 7)
    y = torch_sgd(beta, lambda y: y**3, F(1), h, 4)
    method = Nesterov(beta, sequence="parameters")
    for m in range(3):
        window = y[m : m + 3]
        left = sum(a * p for a, p in zip(method.alpha, window, strict=True))
        right = h * sum(-b * p**3 for b, p in zip(method.beta, window, strict=True))
        assert left == right


def test_the_theta_sequence_of_nesterov_looks_ahead_to_the_parameters():
    beta, h = F(9, 10), F(1, 7)
    y = torch_sgd(beta, lambda y: y**3, F(1), h, 4)
    theta = [y[0], *(p - h * p**3 for p in y)]
    method = Nesterov(beta)
    for m in range(3):
        window = theta[m : m + 3]
        point = sum(c * t for c, t in zip(method.points[0], window, strict=True))
        assert point == y[m + 1]
        assert sum(a * t for a, t in zip(method.alpha, window, strict=True)) == -h * point**3


def test_symbols_stay_in_a_table_until_they_get_values():
    method = HeavyBall(B)
    assert method.symbols == {B}
    assert method.slope == 1 - B
    assert method.subs({B: F(1, 2)}) == HeavyBall(F(1, 2))
    with pytest.raises(InvalidMethod, match="give values first"):
        method.characteristic_roots()


@pytest.mark.parametrize("beta", [1, 1.0, F(1), sympy.Integer(1)])
def test_momentum_one_is_refused(beta):
    with pytest.raises(InvalidMethod, match="beta is 1"):
        HeavyBall(beta)
    with pytest.raises(InvalidMethod, match="double root"):
        HeavyBall(B).subs({B: beta})


@pytest.mark.parametrize("sequence", ["y", None, "Theta"])
def test_a_sequence_of_nesterov_has_a_name(sequence):
    with pytest.raises(InvalidMethod, match="sequence is"):
        Nesterov(B, sequence=sequence)


@pytest.mark.parametrize(
    ("alpha", "beta", "points", "message"),
    [
        ([1], [1], None, "alpha has one entry"),
        ([], [1], None, "alpha is empty"),
        ("ab", [1], None, "alpha is 'ab'"),
        ([-1, 2], [1, 0], None, "alpha sum to 1, so 1 is no root"),
        ([-A, B], [1, 0], None, "so 1 is no root"),
        ([1, -2, 1], [1, 0, 0], None, "1 is a double root"),
        ([A, -2 * A, A], [1, 0, 0], None, "1 is a double root"),
        ([-1, 1, 0], [1, 0, 0], None, "the last entry of alpha is 0"),
        ([-1, 1], [1], None, "each beta needs a point"),
        ([-1, 1], [1, 0, 0], None, "each beta needs a point"),
        ([-1, 1], [1], [[1, 0, 0]], "each beta needs a point"),
        ([-1, 1], [1], [[1, 1]], r"points\[0\] sums to 2; it must sum to 1"),
        ([-1, 1], [1], [[A, A]], r"points\[0\] sums to 2\*a"),
        ([-1, 1], [1, -1], None, "beta sum to 0"),
        ([-1, float("nan")], [1, 0], None, r"alpha\[1\] is nan"),
        ([-1, 1], [1, 0], 3, "points is 3"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(alpha, beta, points, message):
    with pytest.raises(InvalidMethod, match=message):
        LinearMultistep(alpha, beta, points)


def test_a_method_is_a_value():
    assert HeavyBall(B) == HeavyBall(B)
    assert hash(HeavyBall(B)) == hash(HeavyBall(B))
    assert LinearMultistep([-1, 1], [1, 0]) != as_method("bdf-1")
