"""The equations of the gallery, which modeq derives when the page is built."""

from collections.abc import Callable
from functools import partial

import sympy

import modeq
from modeq import scheduled
from modeq.losses.formula_latex import expression_latex, sum_formula
from modeq.report.formulas import series_formula

BETA = sympy.Symbol("beta")


def equation_of(name: str) -> str | None:
    """Return the equation that a script is about as LaTeX, or None where its docstring says it."""
    return EQUATIONS[name]() if name in EQUATIONS else None


def _series(method: object, order: int, notation: str = "differentials") -> str:
    return series_formula(modeq.modified_equation(method, order), notation)


def _derived(loss: object, order: int, method: object = None) -> str:
    return modeq.derive(loss, order, method).latex()


def _vector_field(components: list[str], variables: str, order: int, method: object = None) -> str:
    return _derived(modeq.VectorField(components, variables), order, method)


def _hamiltonian(components: list[str], method: str, order: int) -> str:
    field = modeq.VectorField(components, "p q")
    parts = field if method == "implicit-midpoint" else field.split("p", "q")
    energy = modeq.derive(parts, order, method).modified_hamiltonian()
    return sum_formula(r"\tilde H", energy)


def _game() -> str:
    game = modeq.Game([["-y"], ["x"]], ["x", "y"])
    return modeq.derive(game, 2).latex()


def _conserved() -> str:
    (quantity,) = modeq.conserved("(x*y - 1)**2/2")
    return sum_formula(r"\frac{Q^+}{Q}", quantity.factor)


def _drift() -> str:
    losses = ["(x - 1)**2/2", "(x + 1)**2/2 + x**4/4"]
    drift = modeq.stochastic_equation(losses, weak_order=2).drift[0]
    printed = expression_latex(sympy.expand(drift))
    return rf"b = {printed}"


EQUATIONS: dict[str, Callable[[], str]] = {
    "rosenbrock": lambda: _derived(modeq.problems.rosenbrock(), 1),
    "quadratic_blowup": partial(_vector_field, ["y**2"], "y", 5, "euler"),
    "equation_of_motion": partial(_series, "euler", 4, "gradient"),
    "discretization_error": partial(_series, "euler", 2),
    "heavy_ball": lambda: _series(modeq.HeavyBall(BETA), 2),
    "nesterov": lambda: _series(modeq.Nesterov(BETA), 2),
    "adam": lambda: _derived("x**2/2 + y**4/4", 0, modeq.Adam(0.9, 0.99, epsilon=1e-3)),
    "sam": lambda: _derived("x**4/4", 1, modeq.UnnormalizedSAM(sympy.Symbol("r"))),
    "schedules": lambda: _derived(scheduled("x**2/2", "1/(1 + t)"), 1),
    "two_player_games": _game,
    "conserved": _conserved,
    "stochastic_gradient": _drift,
    "principal_flow": lambda: modeq.principal_flow("x**4", corrections=1).latex(),
    "lotka_volterra": partial(_vector_field, ["q*(p - 1)", "p*(2 - q)"], "q p", 1, "euler"),
    "pendulum": partial(_hamiltonian, ["-sin(q)", "p"], "symplectic-euler", 2),
    "nonlinear_oscillator": partial(_hamiltonian, ["-q - q**3", "p"], "symplectic-euler", 2),
    "implicit_midpoint": partial(_series, "implicit-midpoint", 4),
    "average_vector_field": partial(_series, "average-vector-field", 2),
    "leapfrog": partial(_series, "leapfrog", 4),
}
"""What derives the equation of a script, by its name."""
