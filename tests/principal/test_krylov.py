"""Outermost eigenpairs from products: against dense algebra, and on what cannot be right."""

import numpy as np
import pytest

from modeq import top_eigenpairs
from modeq.errors import DidNotConverge, InvalidPoint, InvalidValue


def symmetric(dimension, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(dimension, dimension))
    return (matrix + matrix.T) / 2


ORDERED = {
    "magnitude": lambda values: values[np.argsort(-np.abs(values))],
    "largest": lambda values: values[::-1],
    "smallest": lambda values: values,
}


@pytest.mark.parametrize("dimension", [5, 200])
@pytest.mark.parametrize("which", ORDERED)
def test_the_eigenpairs_are_those_of_the_dense_matrix(dimension, which):
    matrix = symmetric(dimension)
    values, vectors = top_eigenpairs(lambda v: matrix @ v, dimension, 4, which=which)
    expected = ORDERED[which](np.linalg.eigvalsh(matrix))[:4]
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-7)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-10)


def test_all_eigenpairs_of_a_matrix_may_be_asked_for():
    matrix = symmetric(90)
    values, _ = top_eigenpairs(lambda v: matrix @ v, 90, 90, which="largest")
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-10)


def test_the_answer_is_the_same_every_time_even_where_the_matrix_has_low_rank():
    diagonal = np.zeros(500)
    diagonal[:2] = 3, -5
    found = [top_eigenpairs(lambda v: diagonal * v, 500, 4) for _ in range(2)]
    np.testing.assert_allclose(found[0][0], [-5, 3, 0, 0], atol=1e-12)
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dimension", [3, 300])
def test_of_the_zero_matrix_all_eigenvalues_are_zero(dimension):
    values, vectors = top_eigenpairs(lambda v: 0 * v, dimension, 2)
    np.testing.assert_array_equal(values, [0, 0])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(2))


def test_a_start_in_an_eigenvector_is_no_obstacle_to_finding_the_others():
    diagonal = np.arange(1.0, 301)
    values, _ = top_eigenpairs(lambda v: diagonal * v, 300, 2, start=np.eye(300)[0])
    np.testing.assert_allclose(values, [300, 299], rtol=1e-9)


def test_products_in_single_precision_are_used_as_they_are():
    matrix = symmetric(200).astype(np.float32)
    values, _ = top_eigenpairs(
        lambda v: matrix @ v.astype(np.float32), 200, 2, tolerance=1e-4, which="largest"
    )
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[:-3:-1], rtol=1e-4)


@pytest.mark.parametrize("dimension", [4, 100])
@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (0, {}, "count is 0"),
        (True, {}, "count is True"),
        (2.0, {}, "count is 2.0"),
        (101, {}, "101 eigenpairs"),
        (1, {"which": "middle"}, "which is 'middle'"),
        (1, {"tolerance": -1}, "tolerance is -1"),
        (1, {"restarts": 0}, "restarts is 0"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(dimension, count, options, message):
    with pytest.raises(InvalidValue, match=message):
        top_eigenpairs(lambda v: v, dimension, count, **options)


@pytest.mark.parametrize("start", [np.zeros(100), np.ones(99), np.full(100, np.nan)])
def test_a_start_that_cannot_be_right_is_refused(start):
    with pytest.raises(InvalidValue, match="start"):
        top_eigenpairs(lambda v: v, 100, 1, start=start)


@pytest.mark.parametrize("dimension", [4, 100])
def test_a_matrix_that_is_not_symmetric_is_refused(dimension):
    skew = np.tri(dimension)
    with pytest.raises(InvalidValue, match="not symmetric"):
        top_eigenpairs(lambda v: skew @ v, dimension, 1)


@pytest.mark.parametrize("dimension", [4, 100])
def test_products_that_are_not_finite_or_of_another_shape_are_refused(dimension):
    with pytest.raises(InvalidPoint, match="not finite"):
        top_eigenpairs(lambda v: v * np.nan, dimension, 1)
    with pytest.raises(InvalidValue, match="shape"):
        top_eigenpairs(lambda v: v[1:], dimension, 1)


def test_eigenvalues_that_are_not_found_in_time_are_an_error():
    matrix = symmetric(400)
    with pytest.raises(DidNotConverge, match="restarts"):
        top_eigenpairs(lambda v: matrix @ v, 400, 5, restarts=1)
