"""From iterates to the field: the weights, and maps whose field is known."""

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from modeq.algebra.logarithm import increment_weights, logarithm, logarithm_weights

ORDERS = range(8)


def differences(order):
    """Return the weights of Σ (-1)^{k+1}/k Δᵏ, from Δᵏθ₀ = Σ_s (-1)^{k-s} C(k, s) θ_s."""
    weights = [Fraction(0)] * (order + 2)
    for k in range(1, order + 2):
        for s in range(k + 1):
            weights[s] += Fraction((-1) ** (k + 1) * (-1) ** (k - s) * comb(k, s), k)
    return weights


@pytest.mark.parametrize("order", ORDERS)
def test_the_weights_are_those_of_the_series_of_differences(order):
    assert list(logarithm_weights(order)) == differences(order)


@pytest.mark.parametrize("order", ORDERS)
def test_the_weights_differentiate_polynomials_exactly(order):
    """d/dm mʲ at m = 0 is 1 for j = 1 and 0 for the others up to the degree n + 1."""
    weights = logarithm_weights(order)
    moments = [sum(w * s**j for s, w in enumerate(weights)) for j in range(order + 2)]
    assert moments == [0, 1, *[0] * order]


@pytest.mark.parametrize("order", ORDERS)
def test_of_one_plus_x_comes_the_series_of_the_logarithm(order):
    x = Fraction(1, 3)
    result = logarithm(lambda theta: theta + x * theta, Fraction(1), order)
    assert result == sum((-1) ** (k + 1) * x**k / k for k in range(1, order + 2))


def test_a_translation_moves_at_its_own_speed():
    assert logarithm(lambda theta: theta + 5, Fraction(2), 4) == 5


def test_arrays_will_do():
    A = np.array([[0, 1], [0, 0]], dtype=object)  # nilpotent: log(1 + A) = A
    result = logarithm(lambda theta: theta + A @ theta, np.array([1, 2], dtype=object), 4)
    assert result.tolist() == [2, 0]


def test_the_map_is_applied_once_for_each_order_and_once_more():
    calls = []
    logarithm(lambda theta: calls.append(theta) or theta, Fraction(1), 6)
    assert len(calls) == 7


@pytest.mark.parametrize("order", ORDERS)
def test_weights_of_increments_sum_up_to_the_same_logarithm(order):
    theta = [Fraction(k**3 + 2, 2**k + 1) for k in range(order + 2)]
    increments = [b - a for a, b in itertools.pairwise(theta)]
    by_increments = sum(v * d for v, d in zip(increment_weights(order), increments, strict=True))
    by_iterates = sum(w * t for w, t in zip(logarithm_weights(order), theta, strict=True))
    assert by_increments == by_iterates
