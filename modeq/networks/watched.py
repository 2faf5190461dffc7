"""Training and sweeps with a progress bar, where a person waits at a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modeq.networks import runner, training
from modeq.networks.records import TrainingRecord
from modeq.networks.sweep_records import SweepRun
from modeq.progress import Callback, waiting


def train(
    loss_fn: Callable[[Any], Any],
    params: Any,
    *,
    steps: int,
    progress: Callback | None = None,
    **options: Any,
) -> TrainingRecord:
    """Run gradient descent, or an optimizer of optax, and flows along it, with a progress bar.

    Args:
        loss_fn: A function of a pytree that returns a scalar.
        params: The weights at the start.
        steps: How many steps.
        progress: Is called with the steps that are done and that of all, in place of the bar.
        options: ``rate``, ``optimizer``, ``flows``, ``predict``, ``directions``, ``drift``,
            ``every``, ``tolerance``, ``precision``, ``checkpoint``, ``checkpoint_every``: see
            ``modeq.networks.training.train``.

    >>> import numpy as np
    >>> record = train(lambda p: (p["x"] ** 2).sum() / 2, {"x": np.ones(1)}, steps=3, rate=0.5,
    ...     precision="float64")
    >>> record.columns["loss"].tolist()
    [0.5, 0.125, 0.03125, 0.0078125]
    """
    with waiting("training", "steps", progress=progress) as callback:
        return training.train(loss_fn, params, steps=steps, progress=callback, **options)


def sweep(
    function: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    folder: str | os.PathLike,
    *,
    progress: Callback | None = None,
    **options: Any,
) -> list[SweepRun]:
    """Run a function for each of many settings, record each run, and show a progress bar.

    Args:
        function: It is called as ``function(**settings)`` and returns what JSON can hold.
        settings: Mappings of names to what JSON can hold, no two alike.
        folder: Where the records are and go.
        progress: Is called with the runs that are recorded and that of all, in place of the bar.
        options: ``executor``, ``in_flight``, ``again``: see ``modeq.networks.runner.sweep``.
    """
    with waiting("sweep", "runs", progress=progress) as callback:
        return runner.sweep(function, settings, folder, progress=callback, **options)
