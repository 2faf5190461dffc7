"""The principal flow and its corrections: exact on quadratics, and how good they are elsewhere."""

import math
from itertools import permutations

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import logm

import modeq
from modeq import principal_flow, problems
from modeq.errors import FlowError, InvalidPoint, InvalidValue
from modeq.principal.branches import logarithm
from modeq.principal.coefficients import on_circles
from modeq.principal.reduced_trees import reduced_trees
from modeq.principal.resummed import resummed_field

QUARTIC = "x**2/2 + x**4/4"
BOWL = "x**2 + y**2/100"


def one_step_error(loss, corrections, start, h):
    start = np.atleast_1d(start)
    flow = principal_flow(loss, corrections).solve(start, h=h, steps=1)
    return np.abs(flow.theta[-1] - modeq.iterate(loss, start, h=h, steps=1)[-1]).max()


@pytest.mark.parametrize("h", [0.2, 0.9, 1.0, 1.05, 1.6])
def test_the_iterates_on_a_quadratic_are_kept_even_when_they_diverge(h):
    iterates = modeq.iterate(BOWL, [-0.35, -0.2], h=h, steps=12)
    flow = principal_flow(BOWL).solve([-0.35, -0.2], h=h, steps=12)
    np.testing.assert_allclose(flow.theta, iterates, rtol=1e-10, atol=1e-10)
    assert np.any(flow.path.imag) == (h > 0.5)


def test_past_h_lambda_of_one_the_field_is_complex():
    slope = principal_flow("x**2/2").field([1.0], 1.5)  # log(-1/2) = -log 2 + iπ
    np.testing.assert_allclose(slope, [(-math.log(2) + 1j * math.pi) / 1.5], rtol=1e-14)


def test_at_h_lambda_of_one_the_eigenvalue_is_named():
    with pytest.raises(InvalidPoint, match="lambda = 2 "):
        principal_flow(BOWL).solve([-0.35, -0.2], h=0.5, steps=3)


def test_at_h_lambda_of_one_the_limit_is_taken_where_the_gradient_has_no_such_component():
    flow = principal_flow(BOWL).solve([0.0, -0.2], h=0.5, steps=3)
    np.testing.assert_allclose(flow.theta[:, 1], -0.2 * 0.99 ** np.arange(4), rtol=1e-12)


def test_a_negative_multiplier_has_the_same_logarithm_whichever_sign_its_zero_has():
    q = np.array([complex(-3, 0.0), complex(-3, -0.0)])
    np.testing.assert_array_equal(logarithm(q), [np.log(2) + 1j * np.pi] * 2)
    np.testing.assert_allclose(logarithm(np.array([1e-20])), [1e-20], rtol=1e-15)


@pytest.mark.parametrize(
    ("h", "corrections", "expected"),
    [(0.2, 0, 8.0e-4), (0.2, 1, 1.2e-6), (0.96 / 1.75, 0, 1.4e-2), (0.96 / 1.75, 1, 1.5e-3)],
)
def test_the_one_step_errors_are_those_of_the_theory(h, corrections, expected):
    assert one_step_error(QUARTIC, corrections, 0.5, h) == pytest.approx(expected, rel=0.05)


SLOPES = [
    (0, 3, 1.0, 0.08),
    (1, 5, 1.0, 0.08),
    (2, 5, 1.0, 0.08),
    (3, 7, 0.4, 0.16),
    (4, 7, 1.0, 0.14),
]


@pytest.mark.parametrize(("corrections", "expected", "start", "h"), SLOPES)
def test_the_local_slope_is_3_5_5_7_7(corrections, expected, start, h):
    """The error of a step is the integral of the difference between the field and the full one,
    here that of a high order, which is measured without the round-off of a trajectory.
    """
    loss = "log(1 + exp(x))"
    reference = modeq.derive(loss, 12).lambdify()
    flow = principal_flow(loss, corrections)
    errors = [
        rate * abs(flow.field([start], rate)[0] - reference([start], rate)[0])
        for rate in (h, h / 2)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(expected, abs=0.1)


def test_on_the_flank_of_a_pseudo_huber_loss_the_principal_flow_loses_to_order_1():
    """There T[g,g] has the sign opposite to H²g, and order 1 gains by leaving out both of them."""
    loss, start, h = "sqrt(1 + x**2)", [1.2], 0.5
    order_1 = modeq.derive(loss, 1).solve(start, h=h, steps=1).theta[-1]
    descent = modeq.iterate(loss, start, h=h, steps=1)[-1]
    assert one_step_error(loss, 0, start, h) > 5 * np.abs(order_1 - descent)[0]


def test_a_correction_may_lose_to_the_plain_flow():
    """On ½x²+¼x⁴ the second correction is worse than the first at hλ = 0.35."""
    assert one_step_error(QUARTIC, 2, 0.5, 0.2) > one_step_error(QUARTIC, 1, 0.5, 0.2)


def test_a_field_whose_jacobian_has_too_few_eigenvectors_is_followed():
    drift = modeq.VectorField(["p", "-p*0"], variables="q p")
    flow = principal_flow(drift).solve([1.0, 0.5], h=0.7, steps=2)
    np.testing.assert_allclose(flow.theta, [[1, 0.5], [1.35, 0.5], [1.7, 0.5]], rtol=1e-12)


def test_a_complex_symmetric_hessian_without_enough_eigenvectors_has_its_limit():
    """H = [[1, i], [i, -1]] is symmetric with H² = 0, so that log(1 - hH)/(hH) = -(1 + hH/2)."""
    hessian, gradient, h = np.array([[1, 1j], [1j, -1]]), np.array([0.3 + 0.1j, -0.2]), 0.7
    found = resummed_field([-gradient, -hessian], h, symmetric=True)
    np.testing.assert_allclose(found, -(gradient + h / 2 * hessian @ gradient), rtol=1e-12)


def test_complex_symmetric_hessians_are_not_taken_for_hermitian_ones():
    random = np.random.default_rng(3)
    half = random.normal(size=(3, 3)) + 1j * random.normal(size=(3, 3))
    hessian, gradient, h = (half + half.T) / 8, random.normal(size=3), 0.7
    found = resummed_field([-gradient, -hessian], h, symmetric=True)
    expected = logm(np.eye(3) - h * hessian) @ np.linalg.solve(h * hessian, gradient)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_a_rotation_is_followed_by_a_real_field():
    field = modeq.VectorField(["p", "-q"], variables="q p")
    flow = principal_flow(field).solve([1.0, 0.5], h=0.7, steps=5)
    iterates = modeq.iterate(field, [1.0, 0.5], h=0.7, steps=5)
    np.testing.assert_allclose(flow.theta, iterates, rtol=1e-10)
    assert not np.any(flow.path.imag)


@pytest.mark.parametrize("h", [0.05, 0.5, 3.2])
def test_heavy_ball_on_a_quadratic_satisfies_its_own_recurrence(h):
    """Real, complex and negative roots of r² - (3/2 - h) r + 1/2."""
    path = principal_flow("x**2/2", method=modeq.HeavyBall(0.5)).solve([0.5], h=h, steps=3).path
    defect = path[2:] - (1.5 - h) * path[1:-1] + 0.5 * path[:-2]
    assert np.abs(defect).max() < 1e-10 * np.abs(path).max()


@pytest.mark.parametrize("method", ["gradient-descent", modeq.HeavyBall(0.25)])
def test_more_corrections_agree_with_high_order_where_h_is_small(method):
    loss, start, h = problems.rosenbrock(b=1), [0.3, 0.2], 0.01
    reference = modeq.derive(loss, 8, method).lambdify()(start, h)
    flows = [principal_flow(loss, k, method).field(start, h) for k in range(3)]
    errors = [np.abs(flow - reference).max() for flow in flows]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 1e-5


def test_complex_eigenvalues_are_no_obstacle_to_corrections():
    pendulum = modeq.VectorField(["p", "-sin(q)"], variables="q p")
    reference = modeq.derive(pendulum, 9).lambdify()([1.0, 0.5], 0.1)
    errors = [
        np.abs(principal_flow(pendulum, k).field([1.0, 0.5], 0.1) - reference).max()
        for k in range(3)
    ]
    assert errors[2] < errors[1] / 5 < errors[0] / 25


@pytest.mark.parametrize("corrections", [-1, 1.0, True, "1", 7])
def test_corrections_must_be_an_integer_from_zero_to_six(corrections):
    with pytest.raises(InvalidValue, match="corrections"):
        principal_flow("x**2", corrections)


def test_arrays_that_cannot_be_right_are_refused():
    g, skew = np.ones(2), np.array([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(InvalidValue, match="symmetric"):
        resummed_field([g, skew], 0.1, symmetric=True)
    with pytest.raises(InvalidPoint, match="derivative 1"):
        resummed_field([g, np.full((2, 2), np.nan)], 0.1)
    with pytest.raises(InvalidValue, match="3 arrays"):
        resummed_field([g, np.eye(2)], 0.1, corrections=1)


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("force", [np.ones(2), np.zeros(2), np.ones(2) + 0.1j], ids=str)
@pytest.mark.parametrize(
    "jacobian", [-np.eye(2), np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([-15.0, 1.0])], ids=str
)
def test_higher_derivatives_that_are_not_finite_are_refused(entry, force, jacobian):
    for p in (2, 3):
        tensors = [force, jacobian, np.zeros((2,) * 3), np.zeros((2,) * 4)]
        tensors[p][(0,) * (p + 1)] = entry
        for is_symmetric in {False, bool(np.all(jacobian == jacobian.T))}:
            with pytest.raises(InvalidPoint, match=f"derivative {p} of the field is not finite"):
                resummed_field(tensors, 0.1, corrections=2, symmetric=is_symmetric)


def test_corrections_that_do_not_fit_into_memory_are_refused():
    f, jacobian, second, third = (np.ones((50,) * p) for p in (1, 2, 3, 4))
    with pytest.raises(InvalidValue, match=r"50\*\*5 coefficients"):
        resummed_field([f, jacobian, second, third[:, :, :, :1].repeat(50, -1)], 0.001, 2)


@pytest.mark.parametrize("h", [0.3, 1.6])
def test_the_first_correction_in_many_dimensions_is_the_general_sum(h):
    """Below hλ = 1 it is a mean over steps, past it the closed form; here next to circles."""
    d, random = 7, np.random.default_rng(1)
    matrix = random.normal(size=(d, d))
    hessian = matrix @ matrix.T
    hessian = hessian / np.linalg.eigvalsh(hessian)[-1]
    third = random.normal(size=(d, d, d))
    third = sum(third.transpose(p) for p in permutations(range(3)))
    gradient = random.normal(size=d)
    tensors = [-gradient, -hessian, -third]
    found = resummed_field(tensors, h, 1, symmetric=True) - resummed_field(tensors, h)
    eigenvalues, vectors = np.linalg.eigh(hessian)
    logs = logarithm(-h * eigenvalues)
    logs = logs if h > 1 else logs.real
    rotated = np.einsum("ijk,ia,jb,kc->abc", -third, *[vectors] * 3)
    force = -vectors.T @ gradient
    general = on_circles(reduced_trees(1)[0], logs, np.zeros((d, 0)))
    expected = h**2 / 2 * vectors @ np.einsum("ijk,ijk,j,k->i", general, rotated, force, force)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("h", [0.9, 1.0, 1.05])
def test_two_steps_composed_have_a_real_flow_past_h_lambda_of_one(h):
    flow = principal_flow(BOWL, composed=2).solve([-0.35, -0.2], h=h, steps=8)
    iterates = modeq.iterate(BOWL, [-0.35, -0.2], h=h, steps=8)
    np.testing.assert_allclose(flow.theta[::2], iterates[::2], rtol=1e-10, atol=1e-10)
    assert np.abs(flow.path.imag).max() < 1e-14
    assert np.abs(flow.theta[1] - iterates[1]).max() > 0.1


def test_three_steps_composed_meet_every_third_iterate():
    flow = principal_flow(BOWL, composed=3).solve([-0.35, -0.2], h=0.9, steps=6)
    iterates = modeq.iterate(BOWL, [-0.35, -0.2], h=0.9, steps=6)
    np.testing.assert_allclose(flow.path[::3], iterates[::3], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("composed", [0, True, 1.5])
def test_the_number_of_composed_steps_is_an_integer_of_at_least_one(composed):
    with pytest.raises(InvalidValue, match="composed"):
        principal_flow("x**2", composed=composed)


CURVED = "x**2/2 + y**2/5 + x**3/6 + x*y**2/7 + x**2*y/9 + x**4/11"


@pytest.mark.parametrize("composed", [2, 3])
@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_below_h_lambda_of_one_the_flow_of_several_steps_is_that_of_one(corrections, composed):
    point, h = [0.3, -0.2], 0.7
    one = principal_flow(CURVED, corrections).field(point, h)
    several = principal_flow(CURVED, corrections, composed=composed).field(point, h)
    np.testing.assert_allclose(several, one, rtol=1e-12)


@pytest.mark.parametrize("composed", [1, 2])
@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_past_h_lambda_of_one_a_flow_misses_degree_k_plus_2(corrections, composed):
    """The distance from the iterate two steps later falls like that power of the start. With two
    steps composed the flow is real.
    """
    h, flow = 1.3, principal_flow(CURVED, corrections, composed=composed)
    errors = []
    for size in (0.004, 0.002):
        start = [size, size / 2]
        path = flow.solve(start, h=h, steps=2).path
        assert np.any(path.imag) == (composed == 1)
        iterate = modeq.iterate(CURVED, start, h=h, steps=2)[-1]
        errors.append(np.linalg.norm(path[-1].real - iterate))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(corrections + 2, abs=0.1)


@pytest.mark.parametrize("composed", [1, 2, 3])
@pytest.mark.parametrize("h", [0.9, 1.3, 2.4])
def test_the_field_is_continuous_where_a_complex_path_crosses_the_real_points(h, composed):
    flow = principal_flow(CURVED, 1, composed=composed)
    point = np.array([0.3, -0.2])
    here = flow.field(point, h)
    for side in (1e-9j, -1e-9j):
        np.testing.assert_allclose(flow.field(point + side, h), here, atol=1e-7)


def test_a_jordan_block_with_h_lambda_of_one_has_no_flow():
    field = modeq.VectorField(["-x + y", "-y"], "x y")
    flow = principal_flow(field)
    expected = (
        logm(np.array([[0.5, 0.5], [0.0, 0.5]])) @ np.array([[-2, -2], [0, -2]]) @ [0.0, -1.0]
    )
    np.testing.assert_allclose(flow.field([1.0, 1.0], 0.5), expected, rtol=1e-9)
    with pytest.raises(InvalidPoint, match=r"h\*lambda = 1"):
        flow.field([1.0, 1.0], 1)


def test_a_path_that_would_cross_h_lambda_of_one_ends_there():
    """From 2 to its minimum at pi the cosine has h lambda from 0.6 to 1.5."""
    with pytest.raises(FlowError, match=r"singular where h\*lambda = 1"):
        principal_flow("cos(x)").solve([2.0], h=1.5, steps=3)


def test_two_steps_of_heavy_ball_are_real_where_its_roots_are_negative():
    """r² + 1.7 r + 1/2 has two roots below zero; both flows agree after an even number of steps."""
    one, two = (
        principal_flow("x**2/2", method=modeq.HeavyBall(0.5), composed=s).solve(
            [0.5], h=3.2, steps=4
        )
        for s in (1, 2)
    )
    assert np.any(one.path.imag)
    assert not np.any(two.path.imag)
    np.testing.assert_allclose(one.theta[::2], two.theta[::2], rtol=1e-10)


@pytest.mark.parametrize("composed", [1, 2, 3])
@pytest.mark.parametrize("h", [0.001, 0.05, 0.9, 2.4, 4.5])
@pytest.mark.parametrize("method", [modeq.HeavyBall(0.9), modeq.Nesterov(0.9)], ids=str)
def test_so_is_that_of_momentum_whether_its_two_roots_are_real_or_not(method, h, composed):
    flow = principal_flow(CURVED, 1, method, composed=composed)
    point = np.array([0.3, -0.2])
    here = flow.field(point, h)
    for side in (1e-9j, -1e-9j):
        for move in np.eye(2):
            np.testing.assert_allclose(flow.field(point + side * move, h), here, rtol=1e-6)


@pytest.mark.parametrize("corrections", [0, 1])
def test_complex_roots_of_momentum_leave_its_recurrence_by_degree_k_plus_2(corrections):
    """With hλ between (1 - √β)² and (1 + √β)² both roots have the modulus √β."""
    h, flow = 0.1, principal_flow(problems.two_layer(), corrections, modeq.HeavyBall(0.9))
    defects = []
    for size in (0.0016, 0.0008):
        path = flow.solve([1 + size, 1 - size / 2], h=h, steps=2).path
        x, y = path[1]
        force = (1 - x * y) * np.array([y, x])
        velocity = np.diff(path, axis=0)
        defects.append(np.linalg.norm(velocity[1] - 0.9 * velocity[0] - h * force))
        assert np.abs(path[-1].imag).max() > size / 10
    assert math.log2(defects[0] / defects[1]) == pytest.approx(corrections + 2, abs=0.1)


@pytest.mark.parametrize("h", [0.25, 0.9, 1.7])
def test_a_jacobian_far_from_normal_keeps_the_iterates_of_a_linear_field(h):
    field = modeq.VectorField(["-x + 1000*y", "-y"], "x y")
    flow = principal_flow(field).solve([1, 1], h=h, steps=1)
    iterates = modeq.iterate(field, [1, 1], h=h, steps=1)
    np.testing.assert_allclose(flow.theta, iterates, rtol=1e-9)


def logarithm_over_many_digits(jacobian, force, h):
    """h⁻¹ J⁻¹ log(I + hJ) f by 120 digits, the logarithms continued from that of the mean."""
    with mpmath.workdps(120):
        nu, vectors = mpmath.eig(mpmath.matrix(jacobian.tolist()))
        middle = mpmath.re(sum(nu)) / len(nu)
        ratios = [(1 + h * one) / (1 + h * middle) for one in nu]
        logs = [mpmath.log(1 + h * middle) + mpmath.log(ratio) for ratio in ratios]
        parts = mpmath.lu_solve(vectors, mpmath.matrix(force.tolist()))
        scaled = [p * log / (h * one) for p, log, one in zip(parts, logs, nu, strict=True)]
        return np.array([complex(x) for x in vectors * mpmath.matrix(scaled)])


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(2, 4),
    nu=st.integers(1, 30).map(lambda n: -n / 7),
    strength=st.floats(-2, 4),
    spread=st.sampled_from([0, 1e-12, 1e-8, 1e-5, 1e-3]),
    h=st.sampled_from([0.1, 0.25, 0.9, 1.3]),
    seed=st.integers(0, 10**6),
)
def test_nearly_dependent_eigenvectors_give_the_logarithm_or_are_refused(
    size, nu, strength, spread, h, seed
):
    assume(abs(1 + h * nu) > 1e-6)
    draw = np.random.default_rng(seed)
    triangle = np.triu(draw.normal(size=(size, size)), 1) * 10**strength
    basis = draw.normal(size=(size, size))
    diagonal = np.diag(nu + spread * draw.normal(size=size))
    jacobian = basis @ (diagonal + triangle) @ np.linalg.inv(basis)
    force = draw.normal(size=size)
    try:
        found = resummed_field([force, jacobian], h)
    except InvalidPoint as error:
        assert "nearly dependent" in str(error)  # noqa: PT017
        return
    expected = logarithm_over_many_digits(jacobian, force, h)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("method", [None, modeq.HeavyBall(0.5)])
def test_other_units_change_the_flow_by_the_units_alone(corrections, method):
    near, far = (
        modeq.VectorField([f"-x + {s}*y + {s}*x*y/3", f"-y + x**2/(5*{s})"], "x y")
        for s in (1, 10_000)
    )
    assert np.linalg.cond(np.linalg.eig([[-1, 1e4], [1e-9, -1]])[1]) > 1e4
    found, expected = (
        principal_flow(field, corrections, method).field([0.0, 0.01 / s], 0.3) * [1, s]
        for field, s in ((far, 10_000), (near, 1))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
