"""For each paper, which of its claims are reproduced here, extended, or out of scope."""

from pathlib import Path
from typing import NamedTuple

from modeq.show.document import Cell, Section, Table, Text, Typed

ROOT = Path(__file__).parent.parent.parent

REPRODUCED, EXTENDED, PARTLY, OUT = "reproduced", "extended", "in part", "out of scope"
STATES = (REPRODUCED, EXTENDED, PARTLY, OUT)


class Claim(NamedTuple):
    """A claim of a paper.

    Attributes:
        text: The claim, in our words.
        state: One of ``STATES``: "extended" is reproduced, and more is derived here.
        where: The scripts, modules and tests that show it; none if it is out of scope.
        remark: What goes beyond, or why it is out of scope.
    """

    text: str
    state: str
    where: tuple[str, ...]
    remark: str


PAPERS: dict[str, tuple[Claim, ...]] = {
    "Barrett, Dherin 2021, Implicit gradient regularization": (
        Claim(
            "Gradient descent follows gradient flow on L + h/4 |∇L|², up to h",
            EXTENDED,
            ("derivations/implicit_gradient_regularization.py", "modeq/derivation/potential.py"),
            "to any order, with a proof; from h² on there is no modified loss, shown by a witness",
        ),
        Claim(
            "On a linear model with two parameters, the modified flow is nearer to the iterates",
            REPRODUCED,
            ("derivations/implicit_gradient_regularization.py",),
            "",
        ),
        Claim(
            "Larger learning rates lead to flatter minima",
            PARTLY,
            ("derivations/implicit_gradient_regularization.py",),
            "on the linear model; not on the networks of the paper",
        ),
        Claim(
            "Larger learning rates, or the penalty itself, raise the test accuracy of networks",
            OUT,
            (),
            "accuracy on test data is nothing that the equation says",
        ),
    ),
    "Smith, Dherin, Barrett, De 2021, On the origin of implicit regularization in SGD": (
        Claim(
            "The mean of an epoch in random order follows L̄ + ε/(4m) Σ |∇L_k|², up to ε",
            REPRODUCED,
            ("derivations/random_shuffling.py", "tests/sampling/test_minibatches.py"),
            "",
        ),
        Claim(
            "A fixed order of the minibatches adds terms that are no gradient",
            EXTENDED,
            ("derivations/random_shuffling.py", "modeq/sampling/shuffling.py"),
            "all orders, reversed epochs, and the mean over orders at ε², which is no gradient",
        ),
        Claim(
            "Adding the regularizer explicitly improves test accuracy",
            OUT,
            (),
            "an experiment about generalization",
        ),
    ),
    "Miyagawa 2022, Toward equation of motion for deep neural networks": (
        Claim(
            "The counter terms ξ₀, ξ₁, ξ₂, … by recursion",
            EXTENDED,
            ("derivations/equation_of_motion.py", "modeq/methods/universal.py"),
            "the tree forms of ξ₃ and ξ₄, and of any order by the table of all trees",
        ),
        Claim(
            "The leading order of the discretization error, and a learning rate for a given error",
            EXTENDED,
            ("derivations/discretization_error.py", "derivations/learning_rate_bound.py"),
            "for the flow of every order, at fixed steps and at a fixed time, for any method",
        ),
        Claim(
            "The decay of the norm of scale-invariant layers under weight decay",
            EXTENDED,
            ("derivations/scale_invariant_layer.py", "modeq/invariants/invariance.py"),
            "to all orders, with the exact law of gradient descent beside",
        ),
        Claim(
            "The decay of the sum of translation-invariant layers",
            EXTENDED,
            ("derivations/translation_invariant_layer.py", "modeq/invariants/invariance.py"),
            "to all orders",
        ),
        Claim(
            "Errors of the flows along the training of networks",
            PARTLY,
            ("derivations/networks/flow_errors.py", "derivations/networks/invariant_layers.py"),
            "on small networks and small data; not with the architectures of the paper",
        ),
    ),
    "Rosca, Wu, Dherin, Barrett 2021, Discretization drift in two-player games": (
        Claim(
            "Drift terms of simultaneous updates",
            EXTENDED,
            ("derivations/two_player_games.py", "modeq/sampling/games.py"),
            "one joint field of both players to any order; with different rates the field with a "
            "clock for each player is of one order less",
        ),
        Claim(
            "Drift terms of alternating updates",
            EXTENDED,
            ("derivations/two_player_games.py", "modeq/sampling/games.py"),
            "as above; on the bilinear game a modified Hamiltonian to all orders of the series",
        ),
        Claim(
            "Regularizers against the drift stabilize the training of adversarial networks",
            OUT,
            (),
            "an experiment with networks that generate pictures",
        ),
    ),
    "Rosca, Wu, Qin, Dherin 2023, On a continuous time model of gradient descent": (
        Claim(
            "The principal flow, exact on quadratics past hλ = 1 and hλ = 2",
            EXTENDED,
            ("derivations/principal_flow.py", "derivations/principal_flow_corrections.py"),
            "corrections with all trees in which chains are summed, and other methods",
        ),
        Claim(
            "Stability coefficients, and the growth of the loss and of the largest eigenvalue",
            REPRODUCED,
            ("derivations/edge_of_stability_toy.py", "derivations/networks/edge_of_stability.py"),
            "on losses given by a formula, and on a small network",
        ),
        Claim(
            "The drift of a step, and drift-adjusted learning rates (DAL)",
            REPRODUCED,
            ("derivations/dal.py", "derivations/networks/drift_adjusted_rates.py"),
            "on losses given by a formula and on small networks; DAL-1/2 diverges on some",
        ),
        Claim("Training of large image networks with DAL", OUT, (), "an experiment at scale"),
    ),
    "Elkabetz, Cohen 2021, Continuous vs. discrete optimization of deep neural networks": (
        Claim(
            "A learning rate below which gradient descent stays within ε of gradient flow",
            EXTENDED,
            ("derivations/gradient_flow_bound.py", "modeq/bounds/bounds.py"),
            "certified by interval arithmetic, and for the flow of any order",
        ),
        Claim(
            "The special cases: convex, strongly convex, and a saddle",
            REPRODUCED,
            ("derivations/gradient_flow_bound.py",),
            "",
        ),
        Claim(
            "The curvature of deep linear networks from below, and their end-to-end dynamics",
            REPRODUCED,
            ("derivations/deep_linear_network.py", "modeq/small_networks/linear.py"),
            "",
        ),
        Claim(
            "Balance is kept by gradient flow",
            EXTENDED,
            ("derivations/conserved.py", "modeq/invariants/conservation.py"),
            "all conserved quadratic forms are found, and how fast gradient descent loses them",
        ),
        Claim(
            "Global convergence of gradient descent from random nearly balanced starts",
            OUT,
            (),
            "a theorem about probabilities; only its ingredients are here",
        ),
        Claim(
            "Gradient descent at h against h/r on linear and ReLU networks",
            PARTLY,
            ("derivations/step_refinement.py", "derivations/networks/step_refinement.py"),
            "on the digits of scikit-learn instead of MNIST",
        ),
    ),
    "Dherin 2023, Implicit biases in multitask and continual learning": (
        Claim(
            "Tasks together: the conflict term h/2 g₁·g₂",
            REPRODUCED,
            ("derivations/continual_learning.py", "modeq/sampling/tasks.py"),
            "",
        ),
        Claim(
            "Tasks in turn: the Lie bracket of the gradients",
            EXTENDED,
            ("derivations/continual_learning.py", "modeq/sampling/tasks.py"),
            "on quadratics it turns, and there is no modified loss unless the Hessians commute",
        ),
    ),
    "Cattaneo, Klusowski, Shigida 2024, On the implicit bias of Adam": (
        Claim(
            "The term of h of Adam and RMSProp, with the perturbed 1-norm of the gradient",
            EXTENDED,
            ("derivations/adam.py", "derivations/networks/momentum_and_adam.py"),
            "to higher orders, with the orders checked against Adam itself",
        ),
        Claim(
            "Where ε stands, inside the root or outside",
            REPRODUCED,
            ("modeq/methods/adaptive.py", "tests/methods/test_optimizers.py"),
            "both forms",
        ),
        Claim(
            "Sharpness and test accuracy of networks trained with Adam", OUT, (), "an experiment"
        ),
    ),
    "Li, Tai, E 2017 and 2019, Stochastic modified equations": (
        Claim(
            "The equations of weak order one and two of SGD",
            EXTENDED,
            ("derivations/stochastic_gradient.py", "modeq/sampling/stochastic.py"),
            "the generator to any order, and the power of h at which it is no diffusion",
        ),
        Claim(
            "The proof of weak convergence, with the regularity that it needs",
            OUT,
            (),
            "moments are compared exactly instead, on losses where they close",
        ),
        Claim(
            "Optimal control of learning rates and momentum", OUT, (), "another use of the equation"
        ),
    ),
    "Chartier, Hairer, Vilmart 2007, Numerical integrators based on modified equations": (
        Claim(
            "The modifying integrator, and its series by the substitution law",
            REPRODUCED,
            (
                "derivations/implicit_midpoint.py",
                "modeq/algebra/laws.py",
                "modeq/methods/universal.py",
            ),
            "for every method with a table, to any order",
        ),
        Claim(
            "Integrators of high order for the rigid body",
            PARTLY,
            ("derivations/implicit_midpoint.py",),
            "orders 4 and 6 are measured; no implementation that is tuned for speed",
        ),
    ),
    "Cohen, Damian, Talwalkar, Kolter, Lee 2024, Central flows": (
        Claim(
            "The central flow of gradient descent with one eigenvalue at the edge of stability",
            PARTLY,
            ("derivations/edge_of_stability_toy.py", "modeq/principal/central.py"),
            "with one eigenvalue at the edge; several at once are out of scope",
        ),
        Claim(
            "Central flows of RMSProp, and of large networks",
            OUT,
            (),
            "they take the place of the series, which ends at hλ = 1",
        ),
    ),
    "Hairer, Lubich, Wanner, Geometric Numerical Integration": (
        Claim(
            "Chapter III: trees, B-series, their composition, series in several colors",
            REPRODUCED,
            (
                "modeq/algebra/trees.py",
                "modeq/algebra/series.py",
                "modeq/algebra/laws.py",
                "tests/algebra/test_laws.py",
            ),
            "the tables of the book are in the tests",
        ),
        Claim(
            "VI.7: which series are symplectic, and which fields Hamiltonian",
            EXTENDED,
            ("modeq/algebra/structure.py", "tests/algebra/test_structure.py"),
            "gradient fields, and energy preservation (Celledoni et al. 2010)",
        ),
        Claim(
            "IX.1: modified equations, y' = y² and Lotka-Volterra",
            EXTENDED,
            ("derivations/quadratic_blowup.py", "derivations/lotka_volterra.py"),
            "twenty coefficients and their growth; why orbits spiral",
        ),
        Claim(
            "IX.3 and IX.4: modified Hamiltonians, of symplectic Euler and Störmer-Verlet",
            REPRODUCED,
            ("derivations/pendulum.py", "derivations/nonlinear_oscillator.py"),
            "",
        ),
        Claim(
            "IX.7 and IX.8: exponentially small bounds, and energy over very long times",
            PARTLY,
            ("derivations/pendulum.py", "modeq/flows/next_terms.py"),
            "measured along trajectories; the estimates with constants are not proved here",
        ),
        Claim(
            "IX.9: the modified equation by trees",
            EXTENDED,
            ("modeq/methods/universal.py", "modeq/algebra/tree_table.py"),
            "all trees with up to 20 vertices at once, exactly",
        ),
        Claim(
            "Chapter XV: multistep methods, their underlying one-step method and parasitic roots",
            PARTLY,
            ("derivations/leapfrog.py", "modeq/methods/multistep.py"),
            "the principal root to any order; parasitic roots are shown, not expanded",
        ),
        Claim(
            "Chapters X to XIV: perturbation theory, oscillatory and highly oscillatory equations",
            OUT,
            (),
            "other methods than power series in the step",
        ),
    ),
}
"""The claims of each paper, in our words."""


def paper_sections() -> list[Section]:
    """Return the section of the papers, with one table for each."""
    counts = {state: sum(claim.state == state for claims in PAPERS.values() for claim in claims)
              for state in STATES}  # fmt: skip
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    blocks = [
        Text(
            f"Of {sum(counts.values())} claims: {total}. Extended means reproduced, with more "
            f"derived here. The claims are in our words."
        )
    ]
    tables = [Table(("claim", "state", "where", "remark"), _rows(claims), title)
              for title, claims in PAPERS.items()]  # fmt: skip
    return [Section("papers", "The papers, claim by claim", (*blocks, *tables))]


def _rows(claims: tuple[Claim, ...]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (claim.text, claim.state, _paths(claim.where), claim.remark or "–") for claim in claims
    )


def _paths(where: tuple[str, ...]) -> Cell:
    """Return the paths that there are, each typed."""
    words: list[str] = []
    for path in where:
        if (ROOT / path).exists():
            words += [", "] * bool(words) + [Typed(path)]
    return tuple(words) or "–"
