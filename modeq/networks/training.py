"""Training with the flows along it: every step, all are where the learning rate takes them.

One step of the optimizer is compared with each flow over the time h, from the same start. The flows
are never put back to the iterates; how far one step alone goes astray is the drift. A run stores
checkpoints, and goes on from them to the same numbers, bit by bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from modeq.checks import check_count, check_step, check_steps, shortened
from modeq.errors import InvalidValue
from modeq.networks.adjusted_rates import DriftAdjusted
from modeq.networks.flat_loss import flattened
from modeq.networks.flows import Flow, as_flow
from modeq.networks.records import TrainingRecord
from modeq.networks.training_run import TrainingRun
from modeq.progress import Callback, waiting

DEFAULT_RATE = 0.1


def train(
    loss_fn: Callable[..., Any],
    params: Any,
    *,
    steps: int,
    args: tuple = (),
    rate: float | DriftAdjusted | None = None,
    optimizer: Any = None,
    flows: Sequence[Any] = (0, 1),
    predict: Callable[[Any], Any] | None = None,
    directions: int = 0,
    drift: bool = False,
    every: int = 1,
    tolerance: float | None = None,
    precision: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 100,
    progress: Callback | None = None,
) -> TrainingRecord:
    """Run gradient descent, or an optimizer of optax, and flows along it.

    Args:
        loss_fn: ``loss_fn(params, *args)`` returns a scalar; ``params`` is a pytree.
        params: The weights at the start.
        steps: How many steps.
        args: More arguments of the loss, such as its data.
        rate: The learning rate h, or ``DriftAdjusted()``; 0.1 unless given. With an optimizer: the
            time of a step, which is read from the optimizer where its first step is a multiple of
            the gradient.
        optimizer: A gradient transformation of optax, with its own learning rate in it.
        flows: Orders n and ``TopPrincipalFlow``, which are flows of gradient descent, and
            ``FieldFlow``. A warning says so beside an optimizer whose steps are not h times the
            gradient: its own flow is ``FieldFlow("name", OptimizerStep(...))``.
        predict: A function of params, for distances between functions.
        directions: For how many of the sharpest directions eigenvalues and stability coefficients
            are recorded.
        drift: Whether the drift of single steps is recorded, measured and predicted.
        every: At each so many steps directions and drift are looked at.
        tolerance: Relative, of each step of the solver; 1e-9 in double precision, else 1e-5.
        precision: "float64" or "float32"; that of the weights unless given.
        checkpoint: The file to store the state in. If there is one of the same run already, it
            goes on from there; it may then take more steps. Of the same run are the same programs
            of the loss and of the optimizer, with the same numbers in them, the same settings, and
            the same versions of JAX, NumPy and optax; functions of Python that JAX calls back are
            told apart by their names and by a few values.
        checkpoint_every: After how many steps.
        progress: Is called with the steps that are done and that of all, in place of the bar on
            standard error.

    Raises:
        FlowError: The weights, the loss or the gradient are not finite; the step and the leaf are
            named. The last checkpoint is kept. A flow that ends is noted in ``failures`` instead.
        InvalidCheckpoint: The checkpoint is damaged, or of another run; it is left as it is.
        InvalidLoss, InvalidPoint, InvalidStep, InvalidValue: The arguments cannot be right.

    >>> import numpy as np
    >>> record = train(lambda p: (p["x"] ** 2).sum() / 2, {"x": np.ones(1)}, steps=10, rate=0.1,
    ...     flows=(0, 1, 2), precision="float64")
    >>> [float(f"{record.columns[f'order {n}/weights'][-1]:.1e}") for n in (0, 1, 2)]
    [0.019, 0.0013, 9.5e-05]
    """
    if predict is not None and not callable(predict):
        raise InvalidValue(f"predict is {shortened(predict)}; it must be a function of params")
    run = TrainingRun(
        *flattened(loss_fn, params, precision, args),
        rate=_checked_rate(rate, optimizer),
        optimizer=optimizer,
        flows=_checked_flows(flows),
        predict=predict,
        directions=check_count("directions", directions, least=0),
        drift=bool(drift),
        every=check_count("every", every),
        tolerance=tolerance,
    )
    steps, stride = check_steps(steps), check_count("checkpoint_every", checkpoint_every)
    with waiting("training", "steps", progress=progress) as show:
        state = run.resumed(checkpoint, steps)
        while state.step < steps:
            run.advance(state)
            if checkpoint is not None and (state.step % stride == 0 or state.step == steps):
                run.store(checkpoint, state)
            show(state.step, steps)
        return run.record(state)


def _checked_rate(rate: Any, optimizer: Any) -> float | DriftAdjusted | None:
    if rate is None:
        return None if optimizer is not None else DEFAULT_RATE
    if not isinstance(rate, DriftAdjusted):
        return check_step(rate)
    if optimizer is not None:
        raise InvalidValue(
            "the rate is drift-adjusted and there is an optimizer, which has its own; give the "
            "time of a step as rate"
        )
    return rate


def _checked_flows(flows: Any) -> dict[str, Flow]:
    if isinstance(flows, str) or not isinstance(flows, Iterable):
        raise InvalidValue(
            f"flows is {shortened(flows)}; it must be a list of flows, such as (0, 1)"
        )
    chosen = [as_flow(flow) for flow in flows]
    found = {flow.name: flow for flow in chosen}
    if len(found) < len(chosen):
        raise InvalidValue(f"two flows have the same name: {[flow.name for flow in chosen]}")
    return found
