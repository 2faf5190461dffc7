"""What modified equations keep, with counterexamples on given fields where they fail to keep it."""

from collections import Counter
from fractions import Fraction

import pytest
import sympy
import tree_oracle as oracle
from hypothesis import given

import modeq
from modeq import (
    BSeries,
    HeavyBall,
    RootedTree,
    RungeKutta,
    Verdict,
    compose,
    exact_flow,
    method_series,
    modified_equation,
    rooted_trees,
)
from modeq.algebra.catalog import catalog
from modeq.algebra.laws import adjoint, flow, modified_equation_of
from modeq.algebra.series import identity
from modeq.algebra.structure import first_nonzero
from modeq.errors import InvalidValue

LEAF = RootedTree()
TALL2 = RootedTree([LEAF])

# Generic polynomials, of a degree that no derivative in what follows exhausts: a loss, and two
# Hamiltonians of (p, q)
LOSS = {(4, 0): 1, (1, 3): 2, (2, 1): -1, (0, 2): 3, (1, 1): 1, (2, 2): 1, (0, 1): -1, (1, 0): 2}
ENERGY = {(3, 1): 1, (1, 2): -2, (4, 0): 1, (0, 4): 2, (2, 2): 1, (1, 1): 3, (0, 1): 1, (1, 0): -1}

METHODS = [
    "euler",
    "implicit-euler",
    "explicit-midpoint",
    "implicit-midpoint",
    "trapezoid",
    "heun",
    "ralston",
    "kutta-3",
    "gauss-2",
    "average-vector-field",
    "lobatto-iiib-2",
    "leapfrog",
    "adams-bashforth-2",
]


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def field_of(b, fields, vertices):
    """Return the coefficient of h^(vertices-1) of the field for given fields, as polynomials."""
    values = {plain(tree): value for tree, value in b.items()}
    return oracle.terms_of_order(values.__getitem__, fields, vertices)


def minus(p):
    return oracle.polynomial_times({(0, 0): -1}, p)


def gradient(p):
    return [oracle.derivative(p, 0), oracle.derivative(p, 1)]


def curl(field):
    first, second = field
    return oracle.polynomial_sum(oracle.derivative(second, 0), minus(oracle.derivative(first, 1)))


def divergence(field):
    first, second = field
    return oracle.polynomial_sum(oracle.derivative(first, 0), oracle.derivative(second, 1))


def hamiltonian_field(H):
    """Return (p', q') = (-∂H/∂q, ∂H/∂p)."""
    H_p, H_q = gradient(H)
    return [minus(H_q), H_p]


def order_kept(b, fields, residual):
    """Return the highest power of h through which a residual of the field vanishes."""
    kept = -1
    for n in range(1, b.order + 2):
        if residual(field_of(b, fields, n)):
            return kept
        kept = n - 1
    return kept


def energy_of(field):
    H_p, H_q = gradient(ENERGY)
    return oracle.polynomial_sum(
        oracle.polynomial_times(H_p, field[0]), oracle.polynomial_times(H_q, field[1])
    )


# each verdict, against a given field


@pytest.mark.parametrize("method", METHODS)
def test_a_field_is_a_gradient_as_long_as_that_of_a_given_loss_is(method):
    b = modified_equation(method, 3)
    verdict = b.is_gradient()
    assert verdict.order == order_kept(b, [gradient(LOSS)], curl)


@pytest.mark.parametrize("method", METHODS)
def test_a_field_is_hamiltonian_as_long_as_that_of_a_given_energy_is(method):
    b = modified_equation(method, 3)
    verdict = b.is_hamiltonian()
    assert verdict.order == order_kept(b, [hamiltonian_field(ENERGY)], divergence)
    assert method_series(method, 3).is_hamiltonian().order == verdict.order


@pytest.mark.parametrize("method", METHODS)
def test_a_field_keeps_the_energy_as_long_as_it_keeps_a_given_one(method):
    b = modified_equation(method, 3)
    verdict = b.is_energy_preserving()
    assert verdict.order == order_kept(b, [hamiltonian_field(ENERGY)], energy_of)


@pytest.mark.parametrize(
    "method",
    [
        "symplectic-euler",
        "stoermer-verlet",
        "position-stoermer-verlet",
        "simultaneous",
        "alternating",
        "imex-euler",
        "imex-midpoint",
        "lie-trotter",
        "strang",
    ],
)
def test_a_partitioned_field_is_hamiltonian_as_long_as_that_of_a_given_energy_is(method):
    b = modified_equation(method, 3)
    p_part, q_part = hamiltonian_field(ENERGY)
    kept = order_kept(b, [[p_part, {}], [{}, q_part]], divergence)
    assert b.is_hamiltonian(partitioned=True).order == kept
    assert method_series(method, 3).is_hamiltonian(partitioned=True).order == kept


# what is known


def test_the_field_of_euler_is_a_gradient_only_through_h():
    verdict = modified_equation("euler", 6).is_gradient()
    assert not verdict
    assert (verdict.holds, verdict.order) == (False, 1)
    assert set(verdict.witness) == set(rooted_trees(3))
    assert verdict.reason == "b([•,•]) = 1/6 and b([[•]]) = 1/3"
    assert str(verdict) == "fails at h^2: b([•,•]) = 1/6 and b([[•]]) = 1/3"


@pytest.mark.parametrize("method", ["implicit-midpoint", "gauss-2", "gauss-3", "lobatto-iiib-2"])
def test_gauss_methods_are_symplectic_and_symmetric(method):
    b, a = modified_equation(method, 6), method_series(method, 6)
    for series in (a, b):
        assert series.is_hamiltonian()
        assert series.is_symmetric()
    assert not b.is_energy_preserving()


def test_the_average_vector_field_keeps_energy_and_is_symmetric_but_not_symplectic():
    b = modified_equation("average-vector-field", 6)
    assert b.is_energy_preserving()
    assert b.is_symmetric()
    assert b.is_hamiltonian().order == 1


def test_rk4_keeps_each_structure_as_far_as_its_order_goes():
    b = modified_equation("rk4", 5)
    verdicts = [b.is_gradient(), b.is_hamiltonian(), b.is_energy_preserving()]
    assert [verdict.order for verdict in verdicts] == [3, 3, 3]
    assert b.is_symmetric().order == 4


@pytest.mark.parametrize("method", ["trapezoid", "lobatto-iiia-3", "strang", "leapfrog"])
def test_symmetric_methods_have_even_powers_of_h_only(method):
    b = modified_equation(method, 4)
    assert b.is_symmetric()
    assert method_series(method, 4).is_symmetric()
    assert all(value == 0 for tree, value in b.items() if tree.order % 2 == 0)


@pytest.mark.parametrize("method", ["symplectic-euler", "adjoint-symplectic-euler"])
def test_symplectic_euler_is_symplectic_for_one_energy_not_for_each_part(method):
    b = modified_equation(method, 4)
    assert b.is_hamiltonian(partitioned=True)
    assert method_series(method, 4).is_hamiltonian(partitioned=True)
    assert b.is_hamiltonian().order == 0
    assert b.is_symmetric().order == 0


@pytest.mark.parametrize("method", ["lie-trotter", "strang"])
def test_splittings_of_hamiltonian_parts_are_symplectic(method):
    assert modified_equation(method, 4).is_hamiltonian()
    assert method_series(method, 4).is_hamiltonian()
    # The parts -∂H/∂q and ∂H/∂p of one energy have flows that are not symplectic.
    assert not modified_equation(method, 4).is_hamiltonian(partitioned=True)


def test_players_who_alternate_explicitly_are_not_symplectic_for_every_energy():
    verdict = modified_equation("alternating", 3).is_hamiltonian(partitioned=True)
    assert verdict.order == 0
    assert {tree.color for tree in verdict.witness} == {0, 1}


def test_the_exact_flow_has_every_structure():
    b, a = BSeries({LEAF: 1}, order=5), exact_flow(5)
    verdicts = [b.is_gradient(), b.is_hamiltonian(), b.is_energy_preserving(), b.is_symmetric()]
    verdicts += [a.is_hamiltonian(), a.is_symmetric()]
    assert all(verdicts)
    assert {str(verdict) for verdict in verdicts} == {"holds through h^5"}
    assert {(verdict.witness, verdict.reason) for verdict in verdicts} == {((), "")}


def test_a_field_that_does_not_keep_its_own_direction_fails_at_the_start():
    b = BSeries({LEAF: 1}, order=1, colors=2)
    verdict = b.is_hamiltonian(partitioned=True)
    assert (verdict.order, str(verdict)) == (-1, "fails at h^0: b(∘) = 0 and b(•) = 1")


# what follows from the definitions


@pytest.mark.parametrize("method", METHODS)
def test_a_witness_is_a_pair_of_grafts_with_the_values_in_the_reason(method):
    b = modified_equation(method, 4)
    for verdict in (b.is_gradient(), b.is_hamiltonian()):
        if not verdict:
            first, second = verdict.witness
            assert first.order == second.order == verdict.order + 2
            assert verdict.reason == f"b({first}) = {b[first]} and b({second}) = {b[second]}"
            pairs = {
                (u.butcher_product(v), v.butcher_product(u))
                for n in range(1, first.order)
                for u in rooted_trees(n)
                for v in rooted_trees(first.order - n)
            }
            assert (first, second) in pairs
    verdict = b.is_symmetric()
    if not verdict:
        [tree] = verdict.witness
        assert tree.order % 2 == 0
        assert verdict.reason == f"b({tree}) = {b[tree]} is not 0"


@given(oracle.tables(most=2))
def test_a_map_is_symplectic_if_its_field_is_hamiltonian(drawn):
    A, b = drawn
    a = _map_of(A[0], b[0], 3)
    field = modified_equation_of(a)
    assert a.is_hamiltonian().order == field.is_hamiltonian().order
    assert a.is_symmetric().order == field.is_symmetric().order
    # b_i a_ij + b_j a_ji = b_i b_j (Hairer, Lubich, Wanner, VI.4.2)
    stages = range(len(b[0]))
    if all(
        b[0][i] * A[0][i][j] + b[0][j] * A[0][j][i] == b[0][i] * b[0][j]
        for i in stages
        for j in stages
    ):
        assert a.is_hamiltonian()


def _map_of(A, b, order):
    function = oracle.runge_kutta_map([A], [b])
    trees = [tree for n in range(1, order + 2) for tree in rooted_trees(n)]
    return BSeries({tree: function(plain(tree)) for tree in trees}, order=order, empty=1)


@given(oracle.rationals(17))
def test_a_map_after_its_adjoint_is_symmetric(numbers):
    trees = [tree for n in range(1, 6) for tree in rooted_trees(n)]
    a = BSeries(dict(zip(trees, numbers, strict=True)), order=4, empty=1)
    assert compose(a, adjoint(a)).is_symmetric()


@given(oracle.rationals(17))
def test_fields_with_odd_orders_alone_have_symmetric_flows(numbers):
    trees = [tree for n in range(1, 6) for tree in rooted_trees(n)]
    odd = {t: x for t, x in zip(trees, numbers, strict=True) if t.order % 2 == 1}
    b = BSeries(odd, order=4)
    assert b.is_symmetric()
    assert flow(b).is_symmetric()


@pytest.mark.parametrize("vertices", range(1, 7))
def test_fields_constant_on_free_trees_are_gradients(vertices):
    # Trees are rootings of one free tree if grafts connect them; the count is OEIS A000055.
    trees = rooted_trees(vertices)
    classes = {tree: {tree} for tree in trees}
    for n in range(1, vertices):
        for u in rooted_trees(n):
            for v in rooted_trees(vertices - n):
                joined = classes[u.butcher_product(v)] | classes[v.butcher_product(u)]
                classes.update(dict.fromkeys(joined, joined))
    distinct = {frozenset(members) for members in classes.values()}
    assert len(distinct) == [1, 1, 1, 2, 3, 6][vertices - 1]
    for number, members in enumerate(distinct, 2):
        b = BSeries(dict.fromkeys(members, number), order=vertices - 1)
        assert b.is_gradient()
        if len(members) > 1:
            assert not (b + BSeries({min(members): 1}, order=vertices - 1)).is_gradient()


def seen_from_leaves(tree):
    """Return (-1)^d and the rest of the free tree [τ] for each of its leaves, by the oracle."""
    parents, _ = oracle.flat((0, (plain(tree),)))
    neighbors = [set() for _ in parents]
    for vertex, parent in enumerate(parents[1:], 1):
        neighbors[vertex].add(parent)
        neighbors[parent].add(vertex)

    def rooted(vertex, above):
        below = neighbors[vertex] - {above}
        return 0, tuple(sorted(rooted(other, vertex) for other in below))

    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    leaves = [vertex for vertex, around in enumerate(neighbors) if len(around) == 1]
    return [((-1) ** depths[v], rooted(*neighbors[v], v)) for v in leaves]


@pytest.mark.parametrize("tree", [t for n in range(1, 7) for t in rooted_trees(n)], ids=str)
def test_energy_is_kept_where_the_signs_of_all_leaves_cancel(tree):
    b = BSeries({tree: 3}, order=5)
    signs = [sign for sign, other in seen_from_leaves(tree) if other == plain(tree)]
    verdict = b.is_energy_preserving()
    assert bool(verdict) == (sum(signs) == 0)
    assert verdict.order == (5 if verdict else tree.order - 2)
    assert bool(verdict.witness) == (tree in verdict.witness)


def test_energy_is_kept_by_differences_of_what_two_leaves_leave():
    trees = {plain(tree): tree for n in range(1, 6) for tree in rooted_trees(n)}
    for tree in trees:
        counts = Counter()
        for sign, other in seen_from_leaves(trees[tree]):
            counts[other] += sign
        for other in counts.keys() - {tree}:
            # The sum over all leaves has the one and the other this often.
            pair = {trees[tree]: counts[other], trees[other]: -counts[tree]}
            assert BSeries(pair, order=4).is_energy_preserving()
            if counts[tree] != 0:
                spoiled = {trees[tree]: counts[other], trees[other]: counts[tree]}
                assert not BSeries(spoiled, order=4).is_energy_preserving()


def test_a_field_that_loses_energy_says_at_which_trees():
    fork, chain = map(RootedTree.from_level_sequence, [(1, 2, 3, 3), (1, 2, 3, 2)])
    b = BSeries({fork: 4, chain: Fraction(-1, 3)}, order=4)
    verdict = b.is_energy_preserving()
    assert (verdict.holds, verdict.order, verdict.witness) == (False, 2, (chain, fork))
    assert verdict.reason == "b/sigma([[•],•]) - b/sigma([[•,•]]) = -7/3 is not 0"
    verdict = modified_equation("euler", 2).is_energy_preserving()
    assert (verdict.holds, verdict.order, verdict.witness) == (False, 0, (TALL2,))
    assert verdict.reason == "b/sigma([•]) = -1/2 is not 0"


def test_a_method_that_is_not_symmetric_says_at_which_tree():
    euler = modified_equation("euler", 3).is_symmetric()
    assert euler == Verdict(False, 0, (TALL2,), "b([•]) = -1/2 is not 0")
    # θ - h f(θ), and then h f at that place: -h² f'f
    step = method_series("euler", 3).is_symmetric()
    assert step == Verdict(
        False, 0, (TALL2,), "a(h) after a(-h) has at [•] the coefficient -1 instead of 0"
    )


# coefficients with symbols in them


def test_verdicts_see_through_expressions():
    t = sympy.Symbol("t")
    # The implicit midpoint rule with the steps t h and (1-t) h
    method = RungeKutta([[t / 2, 0], [t, (1 - t) / 2]], [t, 1 - t])
    b, a = modified_equation(method, 3), method_series(method, 3)
    assert b.is_hamiltonian()
    assert a.is_hamiltonian()
    assert b.is_symmetric().order == a.is_symmetric().order == 2
    at_half = method.subs({t: Fraction(1, 2)})
    assert method_series(at_half, 3).is_symmetric()


def test_the_map_of_the_heavy_ball_is_a_gradient_step_and_its_field_is_no_gradient():
    # theory.md: "The heavy-ball map is GD on a modified loss to all orders checked"
    method = HeavyBall(sympy.Symbol("beta"))
    a = method_series(method, 3)
    step = BSeries(dict(a), order=3)
    assert step.is_gradient()
    assert modified_equation(method, 3).is_gradient().order == 1


def test_what_does_not_vanish_is_found_by_its_value():
    x = sympy.Symbol("x")
    values = [0, Fraction(0), (x + 1) ** 2 - x**2 - 2 * x - 1, x, 1]
    assert first_nonzero(catalog_array(values)) == 3
    assert first_nonzero(catalog_array(values[:3])) is None


def catalog_array(values):
    return BSeries({catalog(4).tree(i): value for i, value in enumerate(values)}, order=3).array


# errors


@pytest.mark.parametrize("question", ["is_gradient", "is_energy_preserving"])
def test_questions_about_fields_are_not_for_maps(question):
    with pytest.raises(InvalidValue, match="a field has coefficient 0 at the empty tree, not 1"):
        getattr(identity(2), question)()


def test_partitioned_means_two_fields():
    for colors in (1, 3):
        with pytest.raises(InvalidValue, match=f"the series has {colors}"):
            exact_flow(1, colors=colors).is_hamiltonian(partitioned=True)


def test_energy_is_that_of_one_field():
    with pytest.raises(InvalidValue, match="energy is that of one field"):
        BSeries({}, order=1, colors=2).is_energy_preserving()


def test_a_verdict_is_true_or_false():
    assert Verdict(True, 3)
    assert not Verdict(False, 0, (TALL2,), "it fails")
    assert str(Verdict(False, 0, (TALL2,), "it fails")) == "fails at h^1: it fails"
    assert str(Verdict(True, 3)) == "holds through h^3"


def test_every_property_that_series_are_tested_for_is_in_their_structure():
    series = modeq.modified_equation("implicit-midpoint", order=2)
    tested = {name for name in dir(modeq.BSeries) if name.startswith("is_")} - {"is_rational"}
    found = series.structure()
    assert {f"is_{name.lower().replace('-', '_')}" for name in found} == tested
    assert {name: bool(verdict) for name, verdict in found.items()} == {
        name: bool(getattr(series, f"is_{name.lower().replace('-', '_')}")()) for name in found
    }
