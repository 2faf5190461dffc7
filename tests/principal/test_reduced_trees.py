"""Sums of chains: against rooted trees, with many digits, and at their limits."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy

import modeq
from modeq import RootedTree
from modeq.errors import InvalidMethod
from modeq.methods.named import as_method
from modeq.principal.coefficients import coefficients, on_circles
from modeq.principal.first_correction import fork_by_steps, fork_sum
from modeq.principal.multipliers import recurrence_of
from modeq.principal.reduced_trees import coefficient, reduced_trees, symbolic_coefficient

ORDER = 8
FORK = reduced_trees(1)[0]


def with_chains(tree, lengths):
    """Return the tree with so many vertices of one child put in above each of its vertices."""
    vertices = iter(reversed(lengths))

    def combine(children):
        grown = RootedTree(children)
        for _ in range(next(vertices)):
            grown = RootedTree([grown])
        return grown

    return tree.fold(combine)


def exact_power_series(tree, weights, method):
    """Return the coefficients of t⁰, t¹, … of C at hν_v = t w_v, from the coefficients of trees."""
    b = modeq.modified_equation(method, order=ORDER)
    room = ORDER + 1 - tree.order
    total = [0] * (room + 1)
    for lengths in itertools.product(range(room + 1), repeat=tree.order):
        if sum(lengths) <= room:
            product = b[with_chains(tree, lengths)]
            for w, n in zip(weights, lengths, strict=True):
                product *= sympy.Rational(w) ** n
            total[sum(lengths)] += product
    return total


def measured_power_series(tree, weights, method, count, radius=0.02, nodes=64):
    """Return the same from the closed form, by Cauchy's integrals with many digits."""
    recurrence = recurrence_of(as_method(method))
    with mpmath.workdps(60):
        turn = [mpmath.expjpi(mpmath.mpf(2 * k + 1) / nodes) for k in range(nodes)]
        values = []
        for z in turn:
            logs = [log_of_root(recurrence, radius * z * w) for w in weights]
            values.append(coefficient(tree, logs, recurrence, exp=mpmath.exp))
        return [
            complex(sum(v * z**-n for v, z in zip(values, turn, strict=True)) / nodes / radius**n)
            for n in range(count)
        ]


def log_of_root(recurrence, hnu):
    if recurrence.is_plain:
        return mpmath.log1p(hnu)
    beta = mpmath.mpf(1) / 2  # heavy ball: r² - (3/2 + hν) r + 1/2 = 0
    middle = 1 + beta + hnu
    return mpmath.log((middle + mpmath.sqrt(middle**2 - 4 * beta)) / 2)


TREES = [*reduced_trees(0), *reduced_trees(1), *reduced_trees(2), *reduced_trees(3)[-2:]]
# Different for every vertex, and far from what makes two bases equal.
WEIGHTS = ("1", "-3/5", "4/7", "9/11", "-5/13", "2/3", "-7/9")


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_the_series_in_h_of_a_coefficient_has_the_coefficients_of_trees_to_h8(tree):
    weights = WEIGHTS[: tree.order]
    expected = exact_power_series(tree, weights, "gradient-descent")
    weights = [mpmath.mpf(sympy.Rational(w).p) / sympy.Rational(w).q for w in weights]
    measured = measured_power_series(tree, weights, "gradient-descent", len(expected))
    np.testing.assert_allclose(measured, [complex(e) for e in expected], rtol=1e-10, atol=1e-12)


def test_heavy_ball_has_the_coefficients_of_its_own_trees():
    method = modeq.HeavyBall(0.5)
    for tree in TREES[:2]:
        weights = WEIGHTS[: tree.order]
        expected = exact_power_series(tree, weights, method)
        numbers = [mpmath.mpf(sympy.Rational(w).p) / sympy.Rational(w).q for w in weights]
        measured = measured_power_series(tree, numbers, method, len(expected))
        np.testing.assert_allclose(measured, [complex(e) for e in expected], rtol=1e-10, atol=1e-9)


def closed_form(i, j, k):
    """Return [E(μⱼμₖ) - E(μⱼ) - E(μₖ) + E(1)]/((μⱼ-1)(μₖ-1)) from logarithms that differ."""

    def E(log):
        return (log - i) / (mpmath.exp(log) - mpmath.exp(i))

    square = E(j + k) - E(j) - E(k) + E(mpmath.mpf(0))
    return square / ((mpmath.exp(j) - 1) * (mpmath.exp(k) - 1))


CASES = {
    "generic": [-0.3, -1.1, -2.5],
    "small": [1e-9, -1e-3, 0.0],
    "product equals a multiplier": [-0.4, -0.9, -1.3],
    "large": [-20.0, 3.0, -0.5],
    "near the bound between small and large": [0.24, -0.26, 0.2, -2.3, 1e-7],
    "complex": [-0.3 + 0.4j, 0.1 - 0.2j, -1 + 0.1j],
    "oscillating": [-0.3 + np.pi * 1j, -0.7, 0.0],
}


@pytest.mark.parametrize("way", [coefficients, on_circles], ids=["closed form", "general sum"])
@pytest.mark.parametrize("logs", CASES.values(), ids=CASES)
def test_one_third_derivative_has_its_closed_form_and_its_limits_to_rounding(logs, way):
    found = way(FORK, np.array(logs), np.zeros((len(logs), 0)))
    with mpmath.workdps(130):
        shifts = [mpmath.mpf(10) ** -25 * c for c in (1, 3, 7)]
        for index in np.ndindex(found.shape):
            chosen = [mpmath.mpmathify(logs[a]) + s for a, s in zip(index, shifts, strict=True)]
            expected = complex(closed_form(*chosen))
            assert abs(found[index] - expected) <= 1e-13 * abs(expected), (index, expected)


@pytest.mark.parametrize("logs", [c for n, c in CASES.items() if n not in ("large", "oscillating")])
def test_the_mean_over_complex_steps_is_the_sum_over_all_eigendirections(logs):
    logs, random = np.array(logs), np.random.default_rng(0)
    d, h = len(logs), 0.1
    second, force, vectors = random.normal(size=(d, d, d)), *random.normal(size=(2, d, d))
    second, force = second + second.swapaxes(1, 2), force[0]
    inverse = np.linalg.inv(vectors)
    rotated = np.einsum("ai,ijk,jb,kc->abc", inverse, second, vectors, vectors)
    coefficient = coefficients(FORK, logs, np.zeros((d, 0)))
    expected = h**2 / 2 * np.einsum("ijk,ijk,j,k->i", coefficient, rotated, force, force)
    found = fork_by_steps(second, force, logs, vectors, inverse, h)
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize(
    "outer",
    [[-0.3 + np.pi * 1j], [0.4 + np.pi * 1j, -1.0 + np.pi * 1j], [-12.0, 3.0], [0.3 + 0.9j]],
    ids=["oscillating", "divergent", "large", "complex"],
)
@pytest.mark.parametrize("is_real", [True, False])
def test_a_few_directions_that_have_no_mean_are_summed_by_themselves(outer, is_real):
    random = np.random.default_rng(0)
    logs = np.array([*np.linspace(-2.2, 0.1, 10), 0.0, *outer])
    d, h = len(logs), 0.1
    second, force, vectors = random.normal(size=(d, d, d)), *random.normal(size=(2, d, d))
    second, force = second + second.swapaxes(1, 2), force[0]
    if not is_real:
        vectors = vectors + 0.3j * random.normal(size=(d, d))
    inverse = np.linalg.inv(vectors)
    rotated = np.einsum("ai,ijk,jb,kc->abc", inverse, second, vectors, vectors)
    coefficient = on_circles(FORK, logs, np.zeros((d, 0)))
    expected = h**2 / 2 * np.einsum("ijk,ijk,j,k->i", coefficient, rotated, force, force)
    found = fork_sum(second, force, logs, vectors, inverse, h)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_a_mean_over_complex_steps_is_not_tried_where_it_does_not_exist():
    for logs in CASES["large"], CASES["oscillating"]:
        d = len(logs)
        arrays = np.ones((d, d, d)), np.ones(d), np.array(logs), np.eye(d), np.eye(d)
        assert fork_by_steps(*arrays, 0.1) is None


def test_there_are_as_many_reduced_trees_as_series_reduced_ones_with_so_many_leaves():
    assert [len(reduced_trees(e)) for e in range(6)] == [1, 1, 2, 5, 12, 33]


def test_the_principal_coefficient_is_the_published_one():
    formula, (mu,) = symbolic_coefficient(RootedTree())
    z = sympy.Symbol("z")
    assert sympy.simplify(formula.subs(mu, 1 - z) + sympy.log(1 - z) / z) == 0


def test_a_method_whose_chains_are_not_summed_is_refused():
    with pytest.raises(InvalidMethod, match="rk4"):
        modeq.principal_flow("x**2", method="rk4")
