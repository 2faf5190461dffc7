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

from modeq import displays as displays
from modeq import errors, problems
from modeq.certify import Certificate
from modeq.comparison import Comparison, compare
from modeq.conditions import OrderCondition, order_conditions
from modeq.drawing import tree_latex, tree_svg, tree_text
from modeq.drift import dal, drift, run_dal, run_drift
from modeq.equation import ModifiedEquation, derive, from_json
from modeq.flow import Trajectory
from modeq.iterates import iterate
from modeq.laws import compose, inverse, power, scaled, substitute
from modeq.loss import Loss, SplitField, VectorField
from modeq.methods import (
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
from modeq.numeric import NumericField
from modeq.optimizer import Optimizer, State, optimizer
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
from modeq.order_report import OrderReport
from modeq.partitioned import AdditiveRungeKutta
from modeq.partitioned_tables import (
    AlternatingUpdates,
    ImexArs222,
    ImexEuler,
    ImexMidpoint,
    SimultaneousUpdates,
    StoermerVerlet,
    SymplecticEuler,
)
from modeq.schedules import scheduled
from modeq.series import BSeries, exact_flow
from modeq.splitting import LieTrotter, Splitting, Strang
from modeq.structure import Verdict
from modeq.tables import tree_blocks, tree_table
from modeq.tree_table import TreeTable
from modeq.trees import RootedTree, rooted_trees
from modeq.universal import (
    adjoint,
    method_series,
    modified_equation,
    modifying_integrator,
    order_of_accuracy,
)

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
    "bias_correction": ("adam_counter_term",),
    "blackbox": ("BlackboxField", "blackbox_field"),
    "bounds": ("gradient_flow_bound",),
    "central": ("CentralTrajectory", "central_flow"),
    "conservation": ("ConservedQuantity", "conserved"),
    "convergence": ("convergence_times",),
    "deep_networks": ("deep_network",),
    "diffusion": ("DiffusionVerdict", "Generator"),
    "discretization": ("discretization_error",),
    "end_to_end": ("end_to_end_flow",),
    "epochs": (
        "CyclicEpoch",
        "EpochWithReplacement",
        "PairedReversal",
        "SequentialUpdates",
        "ShuffledEpoch",
    ),
    "error_table": ("DiscretizationError",),
    "flow_bounds": ("FlowBound",),
    "flow_comparison": ("FlowComparison", "compare_flows"),
    "games": ("Game",),
    "homogeneous_networks": ("HomogeneousNetwork",),
    "invariance": ("Invariance", "scale_invariance", "translation_invariance"),
    "krylov": ("top_eigenpairs",),
    "learning_rates": ("max_learning_rate",),
    "linear_networks": ("LinearNetwork",),
    "matrix_free": ("PrincipalValue", "principal_value"),
    "minibatches": ("Minibatches",),
    "noisy_labels": ("LabelNoise", "label_noise"),
    "piecewise_flows": ("piecewise_flow",),
    "principal": ("PrincipalFlow", "principal_flow"),
    "rate_comparison": ("RateComparison", "compare_rates"),
    "refinement": ("StepRefinement", "step_refinement"),
    "regimes": ("StabilityRegimes", "stability_regimes"),
    "reports": ("Report", "report"),
    "roundoff": ("RoundOff",),
    "shuffling": ("shuffled_field",),
    "stability": ("StabilityReport", "stability_report"),
    "stochastic": ("StochasticEquation", "sgd_generator", "stochastic_equation"),
    "tall_part": ("certify_tall", "principal_part"),
    "tasks": ("TaskSteps", "joint_step", "sequential_steps"),
    "tree_plots": ("plot_trees", "series_table"),
    "truncation": ("Truncation", "optimal_truncation"),
}
"""The modules that are imported when one of their names is first asked for, so that importing modeq
takes no longer than people notice. None of the names may be that of its module.
"""


def __getattr__(name: str) -> object:
    """Return a name of a module that is imported only now."""
    for module, names in _LATER.items():
        if name == module or name in names:
            found = importlib.import_module(f"{__name__}.{module}")
            return found if name == module else getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all names, imported already or not."""
    return sorted({*globals(), *__all__, *_LATER})
