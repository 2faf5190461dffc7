"""Universal coefficients of every method, in both directions."""

from fractions import Fraction

import pytest
import sympy
import tree_oracle as oracle

from modeq import (
    AdditiveRungeKutta,
    BSeries,
    CustomMethod,
    HeavyBall,
    RungeKutta,
    Splitting,
    adjoint,
    exact_flow,
    method_series,
    modified_equation,
    modifying_integrator,
    order_of_accuracy,
    rooted_trees,
    tree_blocks,
    tree_table,
)
from modeq.algebra import counts, laws, rule_series, series
from modeq.algebra.series import identity
from modeq.errors import InvalidMethod, InvalidOrder
from modeq.methods.named import NAMED, NAMED_FOR_PARTS, as_method

ORDERS = {
    **dict.fromkeys(["gradient-descent", "euler", "implicit-euler", "proximal-point"], 1),
    **dict.fromkeys(["explicit-midpoint", "implicit-midpoint", "trapezoid", "heun"], 2),
    **dict.fromkeys(["ralston", "average-vector-field", "leapfrog"], 2),
    **dict.fromkeys(["kutta-3", "ssprk-33"], 3),
    **dict.fromkeys(["rk4", "kutta-three-eighths"], 4),
    "extragradient": 1,
    # s stages: Gauss 2s, Radau 2s - 1, Lobatto 2s - 2
    **{f"gauss-{stages}": 2 * stages for stages in (2, 3)},
    **{f"radau-{kind}-{stages}": 2 * stages - 1 for kind in ("ia", "iia") for stages in (2, 3)},
    **{f"lobatto-iii{kind}-{stages}": 2 * stages - 2 for kind in "abc" for stages in (2, 3)},
    # k steps: Adams-Bashforth k, Adams-Moulton k + 1, BDF k
    **{f"adams-bashforth-{steps}": steps for steps in range(1, 6)},
    **{f"adams-moulton-{steps}": steps + 1 for steps in range(1, 5)},
    **{f"bdf-{steps}": steps for steps in range(1, 7)},
    **dict.fromkeys(["symplectic-euler", "adjoint-symplectic-euler", "simultaneous"], 1),
    **dict.fromkeys(["alternating", "imex-euler", "lie-trotter"], 1),
    **dict.fromkeys(["stoermer-verlet", "position-stoermer-verlet", "strang"], 2),
    **dict.fromkeys(["imex-midpoint", "imex-ars-222"], 2),
}
EVERYTHING = {**NAMED, **NAMED_FOR_PARTS}
ONE_FIELD = [name for name in NAMED if not name.endswith(("-5", "-6", "-3"))]


def plain(tree):
    return oracle.from_levels(tree.level_sequence, tree.colors)


def euler(theta, f, h):
    return theta + h * f(theta)


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_flow_of_the_field_is_the_map(name):
    order = 3 if name in NAMED else 2
    b, a = modified_equation(name, order), method_series(name, order)
    assert (b.empty, a.empty) == (0, 1)
    assert is_same(laws.flow(b), a)


def is_same(left, right):
    # Only IMEX methods have coefficients with roots in them.
    difference = left - right
    return laws.first_nonzero(difference.array) is None and difference.empty == 0


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_named_method_has_the_order_of_the_textbooks(name):
    assert order_of_accuracy(name) == ORDERS[name]


def test_the_order_is_looked_for_up_to_a_limit():
    assert order_of_accuracy("rk4", limit=3) == 3
    assert order_of_accuracy("rk4", limit=5) == 4
    assert order_of_accuracy(exact_flow(2)) == 3
    assert order_of_accuracy(method_series("heun", 4)) == 2
    with pytest.raises(InvalidOrder, match="must be an integer >= 1"):
        order_of_accuracy("rk4", limit=0)


def test_momentum_follows_another_field_from_the_start():
    assert order_of_accuracy(HeavyBall(Fraction(9, 10))) == 0


@pytest.mark.parametrize("name", ["gauss-2", "gauss-3", "radau-iia-2", "lobatto-iiia-3"])
def test_tables_with_roots_that_are_conjugate_have_rational_coefficients(name):
    for found in (modified_equation(name, 4), method_series(name, 4)):
        assert found.is_rational
        assert all(type(value) is Fraction for value in found.values())


def test_the_elementary_weights_of_gauss_are_exact():
    # R(z) = (1 + z/2 + z²/12)/(1 - z/2 + z²/12) = 1 + … + z⁵/144, and Σ b c⁴ = 7/36
    a = method_series("gauss-2", 4)
    tall, *_, bushy = rooted_trees(5)
    assert a[bushy] == Fraction(7, 36)
    assert a[tall] == Fraction(1, 144)
    assert a[rooted_trees(4)[0]] == Fraction(1, 24)


@pytest.mark.parametrize("name", ["implicit-midpoint", "kutta-3", "lobatto-iiic-3"])
def test_rational_tables_have_the_series_that_their_definition_says(name):
    method = as_method(name)
    a_of = oracle.runge_kutta_map([method.A], [method.b])
    a, b = method_series(name, 5), modified_equation(name, 5)
    assert all(a[tree] == a_of(plain(tree)) for tree in a)
    field = oracle.field_of(a_of)
    assert all(b[tree] == field(plain(tree)) for tree in b)


@pytest.mark.parametrize("name", ["stoermer-verlet", "imex-euler", "alternating"])
def test_tables_in_parts_have_the_series_that_their_definition_says(name):
    method = as_method(name)
    a_of = oracle.runge_kutta_map(method.A, method.b)
    a, b = method_series(name, 3), modified_equation(name, 3)
    assert all(a[tree] == a_of(plain(tree)) for tree in a)
    field = oracle.field_of(a_of)
    assert all(b[tree] == field(plain(tree)) for tree in b)


def test_the_average_vector_field_weighs_trees_by_integrals():
    # U = θ + s (θ⁺ - θ), so a([τ₁, …, τₖ]) = ∫ sᵏ ds Π a(τᵢ)
    a = method_series("average-vector-field", 6)
    for tree in a:
        expected = tree.fold(lambda children: Fraction(1, len(children) + 1) * _product(children))
        assert a[tree] == expected


def _product(children):
    return oracle.prod(children)


def test_lie_trotter_is_the_composition_of_two_flows():
    a = method_series("lie-trotter", 3)
    parts = [
        BSeries(
            {tree: value for tree, value in exact_flow(3, 2).items() if set(tree.colors) == {c}},
            order=3,
            empty=1,
            colors=2,
        )
        for c in (0, 1)
    ]
    assert a == laws.compose(*parts)
    assert laws.compose(a, laws.inverse(parts[1])) == parts[0]


def test_the_splitting_of_one_step_into_many_small_ones_is_close_to_the_flow():
    steps = 4
    share = Fraction(1, steps)
    lie = Splitting([(0, share), (1, share)] * steps)
    b, whole = modified_equation(lie, 1), modified_equation("lie-trotter", 1)
    for tree in b:
        assert b[tree] == (whole[tree] if tree.order == 1 else share * whole[tree])


@pytest.mark.parametrize("name", ONE_FIELD)
def test_the_modifying_integrator_makes_every_method_exact(name):
    b, a = modifying_integrator(name, 3), method_series(name, 3)
    assert laws.substitute(b, a) == exact_flow(3)
    # theory.md: field and modifying integrator are inverse to each other
    both = laws.substitute(b, modified_equation(name, 3))
    assert both == BSeries({next(iter(b)): 1}, order=3)


def test_the_modifying_integrator_of_euler_has_the_coefficients_of_the_flow():
    b = modifying_integrator("euler", 7)
    assert all(b[tree] == Fraction(1, tree.density) for tree in b)


def test_the_modifying_integrator_of_the_implicit_midpoint_is_the_one_in_the_paper():
    # Chartier, Hairer, Vilmart 2007, Section 3
    lines = str(modifying_integrator("implicit-midpoint", 2)).splitlines()
    assert lines[-1] == "h^3  -1/12 f'f'f + 1/24 f''(f,f)"


@pytest.mark.parametrize("name", ["symplectic-euler", "strang"])
def test_a_modifying_integrator_is_for_one_field(name):
    with pytest.raises(InvalidMethod, match="is for 2 fields; a modifying integrator is for one"):
        modifying_integrator(name, 2)


# whatever stands for a method


@pytest.mark.parametrize(
    "method", ["euler", "Gradient Descent", RungeKutta([[0]], [1]), CustomMethod(euler), euler]
)
def test_a_method_may_be_a_name_a_table_or_a_rule(method):
    assert modified_equation(method, 5) == rule_series.modified_equation(euler, 5)
    assert method_series(method, 5) == identity(5) + identity(5).b_plus()
    assert modifying_integrator(method, 3) == modifying_integrator("euler", 3)


@pytest.mark.parametrize("compute", [modified_equation, method_series, modifying_integrator])
def test_an_unknown_name_is_an_error_that_helps(compute):
    with pytest.raises(InvalidMethod, match="unknown method 'rk5': did you mean 'rk4'"):
        compute("rk5", 2)


@pytest.mark.parametrize("order", [-1, 1.5, True, "2", None])
@pytest.mark.parametrize(
    "compute",
    [modified_equation, method_series, modifying_integrator, tree_table, tree_blocks],
)
@pytest.mark.parametrize("method", ["euler", "gauss-2", "strang", "leapfrog", euler])
def test_the_order_is_a_natural_number(compute, order, method):
    if compute in (tree_table, tree_blocks) and method != "euler":
        return
    with pytest.raises(
        (InvalidOrder, InvalidMethod), match=r"order is .* an integer >= 0|2 fields"
    ):
        compute(method, order)


@pytest.mark.parametrize("method", ["euler", "gauss-2", "rk4", "leapfrog", "strang", euler])
@pytest.mark.parametrize("compute", [modified_equation, method_series])
def test_a_series_that_would_not_fit_in_memory_is_refused_at_once(compute, method):
    with pytest.raises(InvalidOrder, match=r"order=60 means [\d,]+ trees, which take about [\d,]+"):
        compute(method, 60)


@pytest.mark.parametrize("compute", [tree_table, lambda *a, **k: next(tree_blocks(*a, **k))])
def test_a_table_that_would_not_fit_in_memory_is_refused_at_once(compute):
    with pytest.raises(InvalidOrder, match=r"order=60 means [\d,]+ trees, which take about [\d,]+"):
        compute("euler", 60)
    with pytest.raises(InvalidOrder, match=r"order=9 means 1,205 trees.*; 100 are allowed"):
        compute("euler", 9, limit=100)


@pytest.mark.parametrize("name", ["gauss-2", "leapfrog", "strang", "imex-ars-222"])
@pytest.mark.parametrize("compute", [tree_table, tree_blocks])
def test_only_rational_tables_have_tree_tables(compute, name):
    with pytest.raises(InvalidMethod, match="has no table of rational numbers; modified_equation"):
        compute(name, 2)


@pytest.mark.parametrize("name", ["rk4", "stoermer-verlet", "average-vector-field"])
def test_the_tree_table_of_a_method_is_its_modified_equation(name):
    table, b = tree_table(name, 4), modified_equation(name, 4)
    assert table.series() == b
    calls = []
    total = sum(map(len, tree_blocks(name, 4, progress=lambda *call: calls.append(call))))
    assert calls[-1] == (total, total) == (len(b), len(b))


def test_the_adjoint_of_a_method_has_the_adjoint_series():
    for name in ("rk4", "heun", "gauss-2", "radau-iia-2"):
        assert is_same(method_series(adjoint(name), 4), adjoint(method_series(name, 4)))
    with pytest.raises(InvalidMethod, match="has no tableau"):
        adjoint("leapfrog")


def test_weights_of_zero_do_no_harm():
    lazy = AdditiveRungeKutta([[[0, 0], [0, 0]], [[0, 0], [0, 0]]], [[1, 0], [0, 1]])
    assert modified_equation(lazy, 4) == modified_equation("simultaneous", 4)


def test_roots_in_a_multistep_table_are_exact():
    beta = sympy.sqrt(2) / 2
    found = modified_equation(HeavyBall(beta), 2)
    symbol = sympy.Symbol("beta")
    for tree, value in modified_equation(HeavyBall(symbol), 2).items():
        assert sympy.radsimp(sympy.expand(found[tree] - value.subs(symbol, beta))) == 0


def test_a_composition_that_does_not_fit_in_memory_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(counts, "physical_memory", lambda: 5 * 10**6)
    small = series.identity(7)
    assert laws.compose(small, small) == small
    large = series.identity(11)
    with pytest.raises(InvalidOrder, match=r"order=11 means 7,813 trees, which take about"):
        laws.compose(large, large)
