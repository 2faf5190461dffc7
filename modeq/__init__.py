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
from typing import Any

__version__ = "0.1.0"

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
    "algebra.conditions": (
        "OrderCondition",
        "order_conditions",
    ),
    "algebra.drawing": (
        "tree_latex",
        "tree_svg",
        "tree_text",
    ),
    "algebra.laws": (
        "compose",
        "inverse",
        "power",
        "scaled",
        "substitute",
    ),
    "algebra.series": (
        "BSeries",
        "exact_flow",
    ),
    "algebra.structure": ("Verdict",),
    "algebra.tree_table": ("TreeTable",),
    "algebra.trees": (
        "RootedTree",
        "rooted_trees",
    ),
    "derivation.bias_correction": ("adam_counter_term",),
    "derivation.certify": ("Certificate",),
    "derivation.loss": (
        "Loss",
        "SplitField",
        "VectorField",
    ),
    "derivation.schedules": ("scheduled",),
    "derivation.universal": (
        "adjoint",
        "method_series",
        "modified_equation",
        "modifying_integrator",
        "order_of_accuracy",
    ),
    "equation": (
        "ModifiedEquation",
        "derive",
        "from_json",
    ),
    "flows.blackbox": (
        "BlackboxField",
        "blackbox_field",
    ),
    "flows.comparison": (
        "Comparison",
        "compare",
    ),
    "flows.error_table": ("DiscretizationError",),
    "flows.flow": ("Trajectory",),
    "flows.iterates": ("iterate",),
    "flows.numeric": ("NumericField",),
    "flows.order_report": ("OrderReport",),
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
    "methods.named": (
        "AverageVectorField",
        "CustomMethod",
        "GradientDescent",
        "HeavyBall",
        "LinearMultistep",
        "Nesterov",
        "RungeKutta",
        "composed",
        "repeated",
    ),
    "methods.optimizer": (
        "Optimizer",
        "State",
        "optimizer",
    ),
    "methods.partitioned": ("AdditiveRungeKutta",),
    "methods.partitioned_tables": (
        "AlternatingUpdates",
        "ImexArs222",
        "ImexEuler",
        "ImexMidpoint",
        "SimultaneousUpdates",
        "StoermerVerlet",
        "SymplecticEuler",
    ),
    "methods.splitting": (
        "LieTrotter",
        "Splitting",
        "Strang",
    ),
    "optimizers": (
        "Adam",
        "AdamW",
        "EMAMomentum",
        "Extragradient",
        "Lion",
        "Lookahead",
        "NormalizedGradientDescent",
        "OptimisticGradient",
        "QHMomentum",
        "RMSProp",
        "SAM",
        "SGD",
        "StochasticCoordinateDescent",
        "UnnormalizedSAM",
    ),
    "presentation.tables": (
        "tree_blocks",
        "tree_table",
    ),
    "presentation.tree_plots": (
        "plot_trees",
        "series_table",
    ),
    "principal.central": (
        "CentralTrajectory",
        "central_flow",
    ),
    "principal.drift": (
        "dal",
        "drift",
        "run_dal",
        "run_drift",
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
"""Where each name is. A module is imported when one of its names is first asked for, so that the
command line can answer, or be interrupted, at once, and nobody waits for what they do not use.
"""

_MODULES = ("errors", "problems")
"""The modules that are public as a whole."""

_ROOMS = ("networks", "testing", *dict.fromkeys(module.partition(".")[0] for module in _LATER))
"""What is reached by its name without an import of its own; asking for one imports one."""

__all__ = [*_MODULES, *(name for names in _LATER.values() for name in names)]


def __getattr__(name: str) -> Any:
    """Return a name of a module that is imported only now, a public module, or a room."""
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    if name in _MODULES or name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all names, imported already or not."""
    return sorted({*globals(), *__all__})
