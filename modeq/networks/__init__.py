"""Modified fields along the training of networks, from gradient calls alone.

JAX does the work, and is optional: ``pip install modeq[jax]``. It is imported when one of the names
below is first asked for, not before.

    >>> import numpy as np
    >>> from modeq import networks
    >>> field = networks.modified_field(lambda w: (w["x"] ** 2).sum() / 2, order=1)
    >>> field({"x": np.float32([1.0, 2.0])}, 0.125)["x"].tolist()  # -x - h x/2
    [-1.0625, -2.125]
"""

import importlib

__all__ = [
    # the modified field, from gradients and from steps
    "modified_field",
    "NetworkField",
    "counter_terms",
    "blackbox_field",
    "BlackboxField",
    "RoundOff",
    "OptimizerStep",
    "double_precision",
    # networks and their data
    "models",
    "data",
    # flows along training
    "train",
    "TrainingRecord",
    "DriftAdjusted",
    "SeriesFlow",
    "FieldFlow",
    "TopPrincipalFlow",
    "solve_flow",
    "NetworkTrajectory",
    "step_drift",
    # the sharpest directions
    "hessian_eigenpairs",
    "network_stability",
    "NetworkStability",
    "dal",
    # past one machine
    "sweep",
    "load_sweep",
    "SweepRun",
    "device_mesh",
    "shard_batch",
    "replicate",
    "sharded_gradient",
    "sharded_field",
]

_LATER = {
    "modeq.flows.blackbox": ("BlackboxField", "blackbox_field"),
    "modeq.flows.roundoff": ("RoundOff",),
    "modeq.networks.adjusted_rates": ("DriftAdjusted", "dal"),
    "modeq.networks.data": (),
    "modeq.networks.fields": ("NetworkField", "modified_field"),
    "modeq.networks.flows": ("FieldFlow", "SeriesFlow"),
    "modeq.networks.jets": ("counter_terms",),
    "modeq.networks.models": (),
    "modeq.networks.precision": ("double_precision",),
    "modeq.networks.principal": ("TopPrincipalFlow",),
    "modeq.networks.records": ("TrainingRecord",),
    "modeq.networks.sharding": (
        "device_mesh",
        "replicate",
        "shard_batch",
        "sharded_field",
        "sharded_gradient",
    ),
    "modeq.networks.spectrum": (
        "NetworkStability",
        "hessian_eigenpairs",
        "network_stability",
    ),
    "modeq.networks.steps": ("OptimizerStep",),
    "modeq.networks.sweep_records": ("SweepRun", "load_sweep"),
    "modeq.networks.trajectories": ("NetworkTrajectory", "solve_flow", "step_drift"),
    "modeq.networks.watched": ("sweep", "train"),
}
"""The modules of the names. None of the names may be that of its module."""


def __getattr__(name: str) -> object:
    """Return a name of a module that is imported only now."""
    for module, names in _LATER.items():
        own = module.removeprefix(f"{__name__}.")
        if name == own or name in names:
            found = _imported(module)
            return found if name == own else getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _imported(module: str) -> object:
    """Return a module, or say what to install where JAX is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("jax", "jaxlib"):
            raise
        raise ImportError("modeq.networks needs JAX: pip install modeq[jax]") from error


def __dir__() -> list[str]:
    """Return all names, imported already or not."""
    return sorted({*globals(), *__all__})
