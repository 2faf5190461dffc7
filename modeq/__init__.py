"""modeq derives the differential equation that an optimizer really follows.

Gradient descent is not gradient flow: expand its step in the learning rate h, and counter terms
appear that make the flow pass through the iterates. modeq derives these terms for a given loss, to
any order, exactly; prints them; turns them into numeric fields; and checks them against the
optimizer itself.

    >>> import modeq
    >>> equation = modeq.derive("x**2/2", order=2)
    >>> equation.field
    Matrix([[-h**2*x/3 - h*x/2 - x]])
    >>> equation.certify().holds
    True
"""

import importlib

from modeq import errors, problems
from modeq.algebra.conditions import OrderCondition, order_conditions
from modeq.algebra.drawing import tree_latex, tree_svg, tree_text
from modeq.algebra.laws import compose, inverse, power, scaled, substitute
from modeq.algebra.series import BSeries, exact_flow
from modeq.algebra.structure import Verdict
from modeq.algebra.tree_table import TreeTable
from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.derivation.certify import Certificate
from modeq.derivation.loss import Loss, SplitField, VectorField
from modeq.derivation.schedules import scheduled
from modeq.derivation.universal import (
    adjoint,
    method_series,
    modified_equation,
    modifying_integrator,
    order_of_accuracy,
)
from modeq.equation import ModifiedEquation, derive, from_json
from modeq.flows.comparison import Comparison, compare
from modeq.flows.flow import Trajectory
from modeq.flows.iterates import iterate
from modeq.flows.numeric import NumericField
from modeq.flows.order_report import OrderReport
from modeq.methods.named import (
    AverageVectorField,
    CustomMethod,
    GradientDescent,
    HeavyBall,
    LinearMultistep,
    Nesterov,
    RungeKutta,
    composed,
    repeated,
)
from modeq.methods.optimizer import Optimizer, State, optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.partitioned_tables import (
    AlternatingUpdates,
    ImexArs222,
    ImexEuler,
    ImexMidpoint,
    SimultaneousUpdates,
    StoermerVerlet,
    SymplecticEuler,
)
from modeq.methods.splitting import LieTrotter, Splitting, Strang
from modeq.optimizers import (
    SAM,
    SGD,
    Adam,
    AdamW,
    EMAMomentum,
    Extragradient,
    Lion,
    Lookahead,
    NormalizedGradientDescent,
    OptimisticGradient,
    QHMomentum,
    RMSProp,
    StochasticCoordinateDescent,
    UnnormalizedSAM,
)
from modeq.presentation.tables import tree_blocks, tree_table
from modeq.principal.drift import dal, drift, run_dal, run_drift
from modeq.reports import displays as displays

__version__ = "0.1.0"

__all__ = [
    # a loss
    "Loss",
    "VectorField",
    "SplitField",
    "problems",
    # derive
    "derive",
    "ModifiedEquation",
    "from_json",
    "Certificate",
    "OrderReport",
    "NumericField",
    # the optimizer and its flows
    "iterate",
    "compare",
    "Trajectory",
    "Comparison",
    # steps that nobody knows the inside of
    "blackbox_field",
    "BlackboxField",
    "RoundOff",
    # how far a flow is from the optimizer
    "discretization_error",
    "DiscretizationError",
    "max_learning_rate",
    "optimal_truncation",
    "Truncation",
    "gradient_flow_bound",
    "FlowBound",
    "step_refinement",
    "StepRefinement",
    # what a flow keeps
    "scale_invariance",
    "translation_invariance",
    "Invariance",
    "conserved",
    "ConservedQuantity",
    # networks in formulas
    "deep_network",
    "LinearNetwork",
    "HomogeneousNetwork",
    "piecewise_flow",
    "end_to_end_flow",
    "convergence_times",
    # beyond series: chains summed, stability, learning rates
    "principal_flow",
    "PrincipalFlow",
    "principal_part",
    "certify_tall",
    "compare_flows",
    "FlowComparison",
    "stability_report",
    "stability_regimes",
    "StabilityRegimes",
    "StabilityReport",
    "central_flow",
    "CentralTrajectory",
    "principal_value",
    "PrincipalValue",
    "top_eigenpairs",
    "drift",
    "run_drift",
    "dal",
    "run_dal",
    "compare_rates",
    "RateComparison",
    # universal coefficients
    "RootedTree",
    "rooted_trees",
    "BSeries",
    "modified_equation",
    "modifying_integrator",
    "method_series",
    "exact_flow",
    "compose",
    "substitute",
    "inverse",
    "adjoint",
    "power",
    "scaled",
    "order_of_accuracy",
    "order_conditions",
    "OrderCondition",
    "Verdict",
    "tree_table",
    "tree_blocks",
    "TreeTable",
    # pictures of trees
    "tree_text",
    "tree_latex",
    "tree_svg",
    "plot_trees",
    "series_table",
    # methods
    "GradientDescent",
    "RungeKutta",
    "CustomMethod",
    "AverageVectorField",
    "LinearMultistep",
    "HeavyBall",
    "Nesterov",
    "composed",
    "repeated",
    # optimizers
    "optimizer",
    "Optimizer",
    "State",
    "SGD",
    "EMAMomentum",
    "QHMomentum",
    "Adam",
    "AdamW",
    "RMSProp",
    "Lion",
    "NormalizedGradientDescent",
    "OptimisticGradient",
    "Extragradient",
    "Lookahead",
    "SAM",
    "UnnormalizedSAM",
    "StochasticCoordinateDescent",
    "scheduled",
    "adam_counter_term",
    # methods for fields in parts
    "AdditiveRungeKutta",
    "SymplecticEuler",
    "StoermerVerlet",
    "SimultaneousUpdates",
    "AlternatingUpdates",
    "ImexEuler",
    "ImexMidpoint",
    "ImexArs222",
    "Splitting",
    "LieTrotter",
    "Strang",
    # losses, tasks and players that take turns
    "Minibatches",
    "shuffled_field",
    "SequentialUpdates",
    "CyclicEpoch",
    "ShuffledEpoch",
    "PairedReversal",
    "EpochWithReplacement",
    "joint_step",
    "sequential_steps",
    "TaskSteps",
    "Game",
    # losses drawn at random
    "stochastic_equation",
    "StochasticEquation",
    "label_noise",
    "LabelNoise",
    "sgd_generator",
    "Generator",
    "DiffusionVerdict",
    # all of it on one page
    "report",
    "Report",
    # errors
    "errors",
]

_LATER = {
    "accuracy.bounds": ("gradient_flow_bound",),
    "accuracy.discretization": ("discretization_error",),
    "accuracy.flow_bounds": ("FlowBound",),
    "accuracy.learning_rates": ("max_learning_rate",),
    "accuracy.refinement": (
        "StepRefinement",
        "step_refinement",
    ),
    "accuracy.truncation": (
        "Truncation",
        "optimal_truncation",
    ),
    "derivation.bias_correction": ("adam_counter_term",),
    "flows.blackbox": (
        "BlackboxField",
        "blackbox_field",
    ),
    "flows.error_table": ("DiscretizationError",),
    "flows.roundoff": ("RoundOff",),
    "invariants.conservation": (
        "ConservedQuantity",
        "conserved",
    ),
    "invariants.invariance": (
        "Invariance",
        "scale_invariance",
        "translation_invariance",
    ),
    "methods.epochs": (
        "CyclicEpoch",
        "EpochWithReplacement",
        "PairedReversal",
        "SequentialUpdates",
        "ShuffledEpoch",
    ),
    "presentation.tree_plots": (
        "plot_trees",
        "series_table",
    ),
    "principal.central": (
        "CentralTrajectory",
        "central_flow",
    ),
    "principal.flow_comparison": (
        "FlowComparison",
        "compare_flows",
    ),
    "principal.krylov": ("top_eigenpairs",),
    "principal.matrix_free": (
        "PrincipalValue",
        "principal_value",
    ),
    "principal.principal": (
        "PrincipalFlow",
        "principal_flow",
    ),
    "principal.rate_comparison": (
        "RateComparison",
        "compare_rates",
    ),
    "principal.stability": (
        "StabilityReport",
        "stability_report",
    ),
    "principal.tall_part": (
        "certify_tall",
        "principal_part",
    ),
    "reports.regimes": (
        "StabilityRegimes",
        "stability_regimes",
    ),
    "reports.report": (
        "Report",
        "report",
    ),
    "sampling.diffusion": (
        "DiffusionVerdict",
        "Generator",
    ),
    "sampling.games": ("Game",),
    "sampling.minibatches": ("Minibatches",),
    "sampling.noisy_labels": (
        "LabelNoise",
        "label_noise",
    ),
    "sampling.shuffling": ("shuffled_field",),
    "sampling.stochastic": (
        "StochasticEquation",
        "sgd_generator",
        "stochastic_equation",
    ),
    "sampling.tasks": (
        "TaskSteps",
        "joint_step",
        "sequential_steps",
    ),
    "small_networks.convergence": ("convergence_times",),
    "small_networks.deep_networks": ("deep_network",),
    "small_networks.end_to_end": ("end_to_end_flow",),
    "small_networks.homogeneous_networks": ("HomogeneousNetwork",),
    "small_networks.linear_networks": ("LinearNetwork",),
    "small_networks.piecewise_flows": ("piecewise_flow",),
}
"""The modules that are imported when one of their names is first asked for, so that importing modeq
takes no longer than people notice.
"""


def __getattr__(name: str) -> object:
    """Return a name of a module that is imported only now."""
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all names, imported already or not."""
    return sorted({*globals(), *__all__})
