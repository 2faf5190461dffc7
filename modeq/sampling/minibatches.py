"""Minibatches: losses that take turns, and the field that they follow together.

With losses L₁, …, L_m, g_k = ∇L_k and H_k = ∇²L_k, an epoch of the sum follows, in the time h,

    fixed order         -∇(ΣL_k + h/4 Σ|g_k|²) + h/2 Σ_{i before j} (H_j g_i - H_i g_j) + O(h²),
    mean over orders    -∇(ΣL_k + h/4 Σ|g_k|²) + O(h²),
    paired reversal     -∇(ΣL_k + h/8 Σ|g_k|²) + O(h²), with steps of size h/2,
    with replacement    -∇(ΣL_k + h/4 |Σg_k|²) + O(h²), in the mean of one step.

(Smith, Dherin, Barrett, De 2021 for the second; all are derived here.)

A *clock* says what the time counts. With ``clock="epoch"`` the learning rate passes in an epoch,
and the field is that of the sum. With ``clock="step"`` it passes in each step, and the field is
that of the mean: an epoch takes m learning rates, and the noise term of the second line is
(learning rate)/(4m) Σ|g_k|².
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy

from modeq.checks import one_of
from modeq.losses.loss import H, Loss, SplitField, as_losses
from modeq.methods.epochs import (
    CyclicEpoch,
    EpochWithReplacement,
    PairedReversal,
    ShuffledEpoch,
    all_draws,
    all_orders,
)
from modeq.methods.optimizer import FRACTION_OF_ONE, Optimizer, State, with_parameters
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.partitioned_by_name import SimultaneousUpdates

SAMPLINGS: dict[str, Callable[[int], AdditiveRungeKutta]] = {
    "cyclic": CyclicEpoch,
    "shuffled": ShuffledEpoch,
    "paired reversal": PairedReversal,
    "with replacement": SimultaneousUpdates,
    "epoch with replacement": EpochWithReplacement,
}
"""The method for each way of choosing the batches."""

_ORDERS: dict[str, Callable[[int], Sequence[Sequence[int]]]] = {
    "cyclic": lambda batches: [range(batches)],
    "shuffled": all_orders,
    "paired reversal": lambda batches: [[*range(batches), *reversed(range(batches))]],
    "with replacement": lambda batches: [[batch] for batch in range(batches)],
    "epoch with replacement": all_draws,
}
"""The orders that batches may come in, all equally likely."""

CLOCKS = ("epoch", "step")


class Minibatches(SplitField):
    """Losses over the same variables that an optimizer takes in turns, as a field in parts.

    It comes with its ``method``, so ``derive(batches, order)`` derives, and everything that is done
    to an equation can be done to it. The equation's h is the time that one application of the
    method takes; ``in_learning_rate`` writes a formula with the learning rate for h instead. As a
    field, it is equal to any other with the same parts.

    Args:
        losses: Losses, texts or expressions, at least two.
        sampling: How batches are chosen.
            "cyclic" is an epoch in the order of the losses, over and over again;
            "shuffled" the mean of the epoch over all orders, for at most five losses (see
            ``shuffled_field`` for more);
            "paired reversal" an epoch followed by one in the reversed order;
            "with replacement" the mean of one step with a loss drawn at random;
            "epoch with replacement" the mean of m such steps, for at most four losses.
        clock: "epoch", in which the learning rate passes once an epoch and the field is that of the
            sum, or "step", in which it passes with each step and the field is that of the mean.
        momentum: The β of a heavy ball, v ← βv + g_k, θ ← θ - (learning rate) v, that goes through
            the batches. Its velocity is kept from one to the next, and from epoch to epoch. In a
            mean over orders, that of θ and v is taken.
        variables: The variables of losses that are given as texts or expressions.

    Raises:
        InvalidLoss: The losses have different variables, or there are fewer than two.
        InvalidMethod: The sampling or the clock is unknown, or there is no method for it.

    Example:
        >>> from modeq.derivation.derive import derive_field
        >>> batches = Minibatches(["(x - 1)**2/2", "(x + 1)**2"], "shuffled", clock="step")
        >>> equation = derive_field(batches, 1, batches.method)
        >>> batches.in_learning_rate(equation.field)  # -∇(L̄ + h/8 Σ|g|²)
        Matrix([[-5*h*x/4 - 3*h/4 - 3*x/2 - 1/2]])

    Attributes:
        losses: The losses as they were given; the parts are these, or 1/m of these.
    """

    def __init__(
        self,
        losses: Iterable,
        sampling: str = "cyclic",
        clock: str = "epoch",
        *,
        momentum: Any = None,
        variables: Any = None,
    ):
        self.losses = as_losses(losses, variables)
        self.sampling = one_of(sampling, SAMPLINGS, "sampling")
        self.clock = one_of(clock, CLOCKS, "clock")
        self.momentum = momentum
        count = len(self.losses) if clock == "step" else 1
        super().__init__(Loss(loss.expression / count, loss.variables) for loss in self.losses)

    @cached_property
    def method(self) -> AdditiveRungeKutta | Optimizer:
        """The method that goes through the batches.

        Raises:
            InvalidMethod: There are too many losses for a mean over all orders, or the momentum is
                not in [0, 1).
        """
        batches = len(self.losses)
        if self.momentum is None:
            return SAMPLINGS[self.sampling](batches)
        return _momentum_epoch(self, _ORDERS[self.sampling](batches), self.momentum)

    @property
    def learning_rate(self) -> sympy.Expr:
        """The learning rate of each step, in terms of the h of the equation."""
        batches = len(self.losses)
        factor = {"paired reversal": sympy.Rational(1, 2), "with replacement": batches}
        rate = factor.get(self.sampling, sympy.S.One) * H
        return rate / batches if self.clock == "step" else rate

    def in_learning_rate(self, formula: Any) -> Any:
        """Return an expression or a column with h for the learning rate.

        >>> batches = Minibatches(["x**2", "x**4"], clock="step")
        >>> batches.learning_rate, batches.in_learning_rate(batches.learning_rate)
        (h/2, h)
        """
        return formula.subs(H, H**2 / self.learning_rate).expand()

    def subs(self, values: Any) -> Minibatches:
        """Return the same batches with parameters (symbols or names) replaced by exact values."""
        losses = self._with_values(self.losses, values)
        return Minibatches(losses, self.sampling, self.clock, momentum=self.momentum)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.losses))
        return f"Minibatches([{shown}], {self.sampling!r}, clock={self.clock!r})"


def _momentum_epoch(batches: Minibatches, orders: Sequence, beta: Any) -> Optimizer:
    """Return an optimizer one step of which is a heavy ball through the batches, or its mean."""
    gradients = [_PointwiseGradient(part, batches.parameters) for part in batches.parts]
    # The losses are in the rule, so what they have not got values for are parameters of it.
    own = {f"{x} of the losses": x for x in batches.parameters}

    def epoch(state: State, grad: Callable, h: Any, parameters: SimpleNamespace) -> State:
        values = [vars(parameters)[name] for name in own]
        ends = []
        for order in orders:
            theta, velocity = state.theta, state.velocity
            for batch in order:
                velocity = parameters.beta * velocity + gradients[batch](theta, values)
                theta = theta - h * parameters.share * velocity
            ends.append((theta, velocity))
        theta, velocity = (sum(values) / len(ends) for values in zip(*ends, strict=True))
        return state.replace(theta=theta, velocity=velocity)

    name = f"heavy ball, {batches.sampling}"
    share = Fraction(len(gradients), len(orders[0]))
    ranges = {"beta": FRACTION_OF_ONE}
    return with_parameters(epoch, ["velocity"], name, ranges, beta=beta, share=share, **own)


class _PointwiseGradient:
    """The gradient of a loss at an array of numbers, or of symbols, with values of parameters."""

    def __init__(self, loss: Loss, parameters: Sequence[sympy.Symbol]):
        self._symbols = (*loss.variables, *parameters)
        self._gradient = list(loss.gradient)
        self._function = sympy.lambdify(self._symbols, self._gradient, "math")

    def __call__(self, theta: Any, values: Sequence) -> np.ndarray:
        entries = [*np.asarray(theta).tolist(), *values]
        if any(isinstance(entry, sympy.Basic) for entry in entries):
            replacement = dict(zip(self._symbols, entries, strict=True))
            return np.array([g.xreplace(replacement) for g in self._gradient], object)
        return np.array(self._function(*entries))
