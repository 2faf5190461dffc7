"""B-series: their coefficients, the laws between them, their structure, and order conditions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "modeq",
    submod_attrs={
        "algebra.series": ["BSeries", "exact_flow"],
        "algebra.laws": ["compose", "inverse", "power", "scaled", "substitute"],
        "algebra.structure": ["Verdict"],
        "algebra.conditions": ["OrderCondition", "order_conditions"],
        "formats.tree_figures": ["series_table"],
        "methods.universal": [
            "adjoint",
            "method_series",
            "modified_equation",
            "modifying_integrator",
            "order_of_accuracy",
        ],
    },
)
