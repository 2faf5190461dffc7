"""Modified Hamiltonians, against the Baker-Campbell-Hausdorff formula in Poisson brackets."""

import pickle
from fractions import Fraction

import oracle
import pytest
import sympy

import modeq
from modeq import VectorField
from modeq.errors import InvalidLoss, NotHamiltonian

p, q, k = sympy.symbols("p q k")
HALF = Fraction(1, 2)
STAGES = {
    "symplectic-euler": [(0, 1), (1, 1)],
    "adjoint-symplectic-euler": [(1, 1), (0, 1)],
    "stoermer-verlet": [(0, HALF), (1, 1), (0, HALF)],
    "position-stoermer-verlet": [(1, HALF), (0, 1), (1, HALF)],
}
"""The same methods as flows of V(q), part 0, and T(p), part 1."""


def field_of(energy, momenta=(p,), places=(q,)):
    slopes = [-energy.diff(x) for x in places] + [energy.diff(x) for x in momenta]
    return VectorField(slopes, [*momenta, *places]).split(momenta, places)


def coefficients(hamiltonian, h, order):
    return [hamiltonian.expand().coeff(h, j) for j in range(order + 1)]


def is_constant(expression, symbols=(p, q)):
    return oracle.vanishes([sympy.diff(expression, x) for x in symbols])


@pytest.mark.parametrize("method", STAGES)
@pytest.mark.parametrize("potential", [-sympy.cos(q), q**2 / 2 + q**4, sympy.exp(-q) + q])
def test_the_modified_hamiltonian_is_the_logarithm_of_the_flows_of_both_energies(method, potential):
    order, energies = 4, (potential, p**2 / 2 + p**3)
    equation = modeq.derive(field_of(sum(energies)), order, method)
    derived = coefficients(equation.modified_hamiltonian(), equation.h, order)
    expected = oracle.modified_hamiltonian(energies, STAGES[method], [p], [q], order)
    assert all(is_constant(d - e) for d, e in zip(derived, expected, strict=True))


def test_the_first_terms_of_both_symplectic_eulers_differ_in_the_sign_of_odd_powers():
    energy = p**2 / 2 - sympy.cos(q)
    Hp, Hq = energy.diff(p), energy.diff(q)
    second = (Hp.diff(p) * Hq**2 + Hq.diff(q) * Hp**2) / 12
    for method, sign in (("symplectic-euler", -1), ("adjoint-symplectic-euler", 1)):
        equation = modeq.derive(field_of(energy), 2, method)
        found = coefficients(equation.modified_hamiltonian(), equation.h, 2)
        expected = (energy, sign * Hp * Hq / 2, second)
        assert all(is_constant(f - e) for f, e in zip(found, expected, strict=True))


def test_the_printed_terms_of_symplectic_euler_hold_where_energies_do_not_separate():
    # Hairer, Lubich, Wanner, IX.3: H̃ = H - h/2 H_p H_q + h²/12 (H_pp H_q² + H_qq H_p² + 4 H_pq …).
    energy = p**2 * q / 2 + q**3 + p * q
    Hp, Hq = energy.diff(p), energy.diff(q)
    second = Hp.diff(p) * Hq**2 + Hq.diff(q) * Hp**2 + 4 * Hp.diff(q) * Hp * Hq
    equation = modeq.derive(field_of(energy), 2, "symplectic-euler")
    found = coefficients(equation.modified_hamiltonian(), equation.h, 2)
    assert all(map(is_constant, (found[1] + Hp * Hq / 2, found[2] - second / 12)))


@pytest.mark.parametrize("method", ["stoermer-verlet", "position-stoermer-verlet", "strang"])
def test_stoermer_verlet_has_even_powers_only(method):
    equation = modeq.derive(field_of(p**2 / 2 - sympy.cos(q)), 5, method)
    terms = coefficients(equation.modified_hamiltonian(), equation.h, 5)
    assert [term == 0 for term in terms] == [False, True, False, True, False, True]


def test_the_gradient_of_the_modified_hamiltonian_is_the_modified_field():
    px, py, x, y = sympy.symbols("px py x y")
    energy = (px**2 + py**2) / 2 - 1 / sympy.sqrt(x**2 + y**2)
    equation = modeq.derive(field_of(energy, (px, py), (x, y)), 4, "symplectic-euler")
    found = equation.modified_hamiltonian([("px", "x"), (py, y)])
    assert not found.has(sympy.Integral)
    slopes = [-found.diff(x), -found.diff(y), found.diff(px), found.diff(py)]
    assert oracle.same(equation.field, slopes)


def test_symplectic_runge_kutta_methods_have_one_without_parts():
    field = VectorField(field_of(p**2 / 2 + q**4).components, [p, q])
    hamiltonian = modeq.derive(field, 4, "implicit-midpoint").modified_hamiltonian()
    assert hamiltonian.coeff(sympy.Symbol("h", positive=True), 2) != 0


def test_variables_are_paired_by_their_names():
    energy = sympy.sympify("p1**2/2 + p2**2/2 + q1**2*q2")
    p1, p2, q1, q2 = sympy.symbols("p1 p2 q1 q2")
    field = field_of(energy, (p1, p2), (q1, q2))
    assert modeq.derive(field, 0).modified_hamiltonian() == energy


def test_parameters_are_constants():
    equation = modeq.derive(field_of(p**2 / 2 + k * q**2 / 2), 1, "symplectic-euler")
    assert sympy.expand(equation.modified_hamiltonian()) == sympy.expand(
        p**2 / 2 + k * q**2 / 2 - equation.h * k * p * q / 2
    )


def test_a_method_that_is_not_symplectic_has_none_and_says_where():
    equation = modeq.derive(field_of(p**2 / 2 - sympy.cos(q)), 3, "simultaneous")
    with pytest.raises(NotHamiltonian, match=r"order 1.*ask for order 0") as caught:
        equation.modified_hamiltonian()
    error = caught.value
    assert (error.order, error.witness) == (1, (p, q, -sympy.cos(q)))
    assert pickle.loads(pickle.dumps(error)).witness == error.witness


def test_a_field_with_friction_has_none_from_the_start():
    friction = VectorField([-q - p, p], [p, q])
    with pytest.raises(NotHamiltonian) as caught:
        modeq.derive(friction, 1, "implicit-midpoint").modified_hamiltonian()
    assert caught.value.order == 0
    assert "ask for" not in str(caught.value)


@pytest.mark.parametrize("pairs", [None, [("x", "v")], [("x", "y"), ("x", "y")], [("x",)], []])
def test_pairs_that_leave_out_a_variable_are_refused(pairs):
    field = VectorField(["y", "x"], variables="x y")
    with pytest.raises(InvalidLoss, match="do not fall into the pairs"):
        modeq.derive(field, 1).modified_hamiltonian(pairs)
    with pytest.raises(InvalidLoss, match="the pairs are 3; they must be a list"):
        modeq.derive(field, 1).modified_hamiltonian(3)
