"""The principal flow from Hessian-vector products: against the dense one."""

import numpy as np
import pytest

from modeq import principal_value
from modeq.errors import DidNotConverge, InvalidPoint, InvalidStep, InvalidValue
from modeq.principal.resummed import resummed_field

D = 150


def problem(outer, seed=0):
    """Return a gradient and a Hessian with eigenvalues in [-0.4, 0.5] besides the outer ones."""
    random = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(random.normal(size=(D, D)))
    eigenvalues = np.concatenate([outer, random.uniform(-0.4, 0.5, D - len(outer))])
    return random.normal(size=D), vectors * eigenvalues @ vectors.T


@pytest.mark.parametrize("composed", [1, 2])
@pytest.mark.parametrize("outer", [[0.9, 0.8], [-3.0, 0.7], [2.6, 1.7, -1.5, 0.6]])
def test_the_field_is_the_dense_one_within_the_bound(outer, composed):
    gradient, hessian = problem(outer)
    dense = resummed_field([-gradient, -hessian], 1.0, symmetric=True, composed=composed)
    for tolerance in (1e-3, 1e-6, 1e-9):
        value = principal_value(
            gradient,
            lambda v: hessian @ v,
            h=1.0,
            count=len(outer),
            tolerance=tolerance,
            composed=composed,
        )
        error = np.linalg.norm(value.field - dense)
        assert error <= value.rest + 1e-10 <= tolerance * np.linalg.norm(gradient) + 1e-10
        assert np.iscomplexobj(value.field) == np.iscomplexobj(dense)


def test_the_bound_is_no_more_than_a_few_times_the_error_at_worst():
    """The gradient lies in the direction of the outermost of the other eigenvalues."""
    diagonal = np.array([0.9, 0.89] + [0.0] * 98)
    gradient = np.eye(100)[1]
    value = principal_value(gradient, lambda v: diagonal * v, h=1.0, count=1, tolerance=1e-4)
    error = abs(-value.field[1] + np.log1p(-0.89) / 0.89)
    assert value.rest / 10 < error < value.rest


def test_more_eigenpairs_take_fewer_products_for_the_series():
    gradient, hessian = problem([0.95, 0.9, 0.85])
    calls = [
        principal_value(gradient, lambda v: hessian @ v, h=1.0, count=k).products for k in (1, 3)
    ]
    assert calls[1] < calls[0]


def test_of_a_zero_hessian_the_flow_is_gradient_flow():
    gradient = np.ones(100)
    value = principal_value(gradient, lambda v: 0 * v, h=1.0, count=2)
    np.testing.assert_allclose(value.field, -gradient, rtol=1e-14)


def test_with_all_eigenpairs_nothing_is_left_to_the_series():
    gradient, hessian = problem([2.5, 1.5])
    value = principal_value(gradient, lambda v: hessian @ v, h=1.0, count=D)
    dense = resummed_field([-gradient, -hessian], 1.0, symmetric=True)
    assert value.rest == 0
    np.testing.assert_allclose(value.field, dense, atol=1e-11)


@pytest.mark.parametrize(
    ("outer", "count", "error", "message"),
    [
        ([1.5, 1.2], 1, InvalidStep, "more eigenpairs"),
        ([1.5, 0.99999], 2, InvalidStep, "400 products"),
        ([1.5], D + 1, InvalidValue, "151 eigenpairs"),
        ([1.0, 0.9], 2, InvalidPoint, r"h\*lambda = 1"),
    ],
)
def test_a_split_that_cannot_be_right_is_refused(outer, count, error, message):
    eigenvalues = np.concatenate([outer, np.full(D - len(outer), 0.1)])
    with pytest.raises(error, match=message):
        principal_value(np.ones(D), lambda v: eigenvalues * v, h=1.0, count=count)


def test_an_eigenvalue_that_the_lanczos_method_cannot_see_is_noticed():
    """It starts in a subspace without the largest one."""
    diagonal = np.concatenate([[0.9], np.linspace(-0.3, 0.3, D - 1)])
    start = np.ones(D)
    start[0] = 0
    with pytest.raises(DidNotConverge, match="missed"):
        principal_value(np.ones(D), lambda v: diagonal * v, h=1.0, count=2, start=start)


def test_what_is_not_finite_or_not_symmetric_is_refused():
    for gradient in (np.full(D, np.nan), np.ones((2, 2)), []):
        with pytest.raises(InvalidPoint, match="gradient"):
            principal_value(gradient, lambda v: v, h=0.1, count=1)
    with pytest.raises(InvalidPoint, match="finite"):
        principal_value(np.ones(D), lambda v: v * np.inf, h=0.1, count=1)
    skew = np.tri(D)
    with pytest.raises(InvalidValue, match="symmetric"):
        principal_value(np.ones(D), lambda v: skew @ v, h=0.1, count=1)
    with pytest.raises(InvalidValue, match="composed"):
        principal_value(np.ones(D), lambda v: v, h=0.1, count=1, composed=0)
