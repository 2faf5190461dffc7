"""Tasks learned together or one after the other, and the terms in which that differs.

With losses L₁, …, L_m, g_k = ∇L_k and H_k = ∇²L_k,

    one joint step       -∇(ΣL_k + h/4 Σ|g_k|² + h/2 Σ_{i<j} g_i·g_j) + O(h²),
    sequential steps     -∇(ΣL_k + h/4 Σ|g_k|²) + h/2 Σ_{i<j} (H_j g_i - H_i g_j) + O(h²):

a joint step also lowers the products of the gradients, and so brings tasks into conflict; in their
place, sequential steps have the Lie brackets of the gradient fields, which are no gradient in
general (Dherin 2023; both are derived here).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import sympy

from modeq.errors import InvalidLoss
from modeq.losses.loss import H, Loss, SplitField, as_losses
from modeq.methods.epochs import CyclicEpoch
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.partitioned_by_name import SimultaneousUpdates


class TaskSteps(SplitField):
    """Steps on several losses, whose field has terms with names at the first order.

    Made by ``joint_step`` and ``sequential_steps``. It is a field in parts that comes with its
    method, so ``derive(steps, order)`` derives its field to any order. As a field, it is equal to
    any other with the same parts.

    Args:
        losses: The losses of the tasks.
        method: How the steps are taken.

    Attributes:
        losses: The losses of the tasks.
        method: How the steps are taken: simultaneously, or one after the other.

    Example:
        >>> steps = sequential_steps("x**2*y", "x*y", variables="x y")
        >>> steps.bracket_term.T
        Matrix([[-x**2/2 - y**2, 0]])
    """

    def __init__(self, losses: Iterable[Loss], method: AdditiveRungeKutta):
        self.losses = tuple(losses)
        self.method = method
        super().__init__(self.losses)

    @property
    def is_joint(self) -> bool:
        """Whether all tasks are learned in one step."""
        return self.method == SimultaneousUpdates(len(self.losses))

    @property
    def own_term(self) -> sympy.Expr:
        """1/4 Σ|g_k|²: what each task by itself adds to the modified loss, without the h."""
        return sum(loss.gradient.dot(loss.gradient) for loss in self.losses) / 4

    @property
    def conflict_term(self) -> sympy.Expr:
        """1/2 Σ_{i<j} g_i·g_j: what pairs of tasks add to it in a joint step; 0 in others."""
        if not self.is_joint:
            return sympy.S.Zero
        pairs = combinations(self.losses, 2)
        return sum(first.gradient.dot(second.gradient) for first, second in pairs) / 2

    @property
    def bracket_term(self) -> sympy.ImmutableMatrix:
        """1/2 Σ_{i<j} (H_j g_i - H_i g_j): the term of the field, without the h, that sequential
        steps have in the place of the conflict; 0 in a joint step.
        """
        if self.is_joint:
            return sympy.ImmutableMatrix.zeros(self.dimension, 1)
        pairs = combinations(self.losses, 2)
        brackets = (b.hessian * a.gradient - a.hessian * b.gradient for a, b in pairs)
        zero = sympy.zeros(self.dimension, 1)
        return sympy.ImmutableMatrix(sum(brackets, zero) / 2)

    @property
    def first_order(self) -> sympy.ImmutableMatrix:
        """The field with these terms, -∇(ΣL_k + h own + h conflict) + h bracket."""
        total = sum(loss.expression for loss in self.losses)
        total += H * (self.own_term + self.conflict_term)
        slope = sympy.Matrix([-total.diff(x) for x in self.variables])
        return sympy.ImmutableMatrix(slope + H * self.bracket_term)

    def subs(self, values: Mapping) -> TaskSteps:
        """Return the same steps with parameters (symbols or names) replaced by exact values."""
        return TaskSteps(self._with_values(self.losses, values), self.method)

    def __repr__(self) -> str:
        return f"TaskSteps([{', '.join(map(repr, self.losses))}], {str(self.method)!r})"


def joint_step(*losses: Any, variables: Any = None) -> TaskSteps:
    """Return one step of gradient descent on the sum of the losses of all tasks.

    Raises:
        InvalidLoss: There are fewer than two losses, or their variables differ.

    >>> steps = joint_step("(x - 1)**2/2", "(x + 1)**2/2")
    >>> sympy.expand(steps.conflict_term), steps.bracket_term
    (x**2/2 - 1/2, Matrix([[0]]))
    """
    found = _losses(losses, variables)
    return TaskSteps(found, SimultaneousUpdates(len(found)))


def sequential_steps(*losses: Any, variables: Any = None) -> TaskSteps:
    """Return a step on the loss of each task, in the order of the tasks.

    Raises:
        InvalidLoss: There are fewer than two losses, or their variables differ.

    >>> steps = sequential_steps("(x - 1)**2/2", "(x + 1)**2/2")
    >>> steps.conflict_term, steps.bracket_term  # pulls towards what was learned last
    (0, Matrix([[-1]]))
    """
    found = _losses(losses, variables)
    return TaskSteps(found, CyclicEpoch(len(found)))


def _losses(losses: Iterable, variables: Any) -> tuple[Loss, ...]:
    found = as_losses(losses, variables)
    if len(found) < 2:
        raise InvalidLoss(f"{len(found)} losses are given; tasks are at least two")
    return found
