"""Update rules over B-series: the modified equation of any rule, term by term.

An update rule runs over B-series as it runs over numbers, because they can be added, multiplied by
scalars, and put into f, which acts on coefficients as B₊: a ↦ (τ = [τ₁, …, τₖ] ↦ Π a(τᵢ)).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from modeq.algebra.logarithm import logarithm
from modeq.algebra.series import BSeries, identity
from modeq.checks import shortened
from modeq.errors import InvalidMethod

_ROUNDING = Fraction(1, 10**9)


def modified_equation(method: Any, order: int) -> BSeries:
    """Return the series b of h f̃, where the flow of f̃ passes through the iterates of the method.

    The rule ``theta -> rule(theta, f, h)`` runs over B-series, and of the iterates the logarithm
    h f̃ = Σ_k (-1)^{k+1}/k Δᵏθ₀ is taken. It is the b of Hairer, Lubich, Wanner, IX.9.1, where it
    comes from a recursion over trees.

    >>> from modeq.algebra.trees import RootedTree
    >>> b = modified_equation(lambda theta, f, h: theta + h * f(theta), order=2)
    >>> print(b)
    h    f
    h^2  -1/2 f'f
    h^3  1/3 f'f'f + 1/12 f''(f,f)
    >>> leaf = RootedTree()
    >>> b[RootedTree([leaf, leaf])]  # without 1/σ: the Bernoulli number B₂
    Fraction(1, 6)

    Args:
        method: An update rule, or an object with an update rule as its attribute ``rule``.
        order: The highest power of h in f̃.

    Raises:
        InvalidMethod: If there is no rule, it does not return theta plus multiples of f(...), or
            h enters it otherwise than in products h f(...).
        InvalidOrder: If ``order`` is not an integer of at least zero.
    """
    rule = getattr(method, "rule", method)
    if not callable(rule):
        raise InvalidMethod(
            f"method is {shortened(method)}; it must be a rule (theta, f, h) -> theta"
        )
    colors = getattr(method, "colors", 1)
    step_series(rule, order, colors)
    start, f = identity(order, colors), AbstractField(colors)
    return logarithm(lambda theta: run(rule, theta, f), start, start.order)


def step_series(rule: Callable, order: int, colors: int = 1) -> BSeries:
    """Return the series of one step of an update rule, once it is known to have one.

    The tree of each coefficient tells its power of h, so the rule must take the same step with
    2 h for h and f/2 for f. (Only rational numbers are compared, and not beyond the digits of a
    float: a rule may have rounded its factors.)

    >>> print(step_series(lambda theta, f, h: theta + h * f(theta + h / 2 * f(theta)), order=1))
    1    y
    h    f
    h^2  1/2 f'f

    Raises:
        InvalidMethod: If the rule does not return theta plus multiples of f(...), or h enters it
            otherwise than in products h f(...).
    """
    start = identity(order, colors)
    step = run(rule, start, AbstractField(colors))
    again = run(rule, start, AbstractField(colors, factor=Fraction(1, 2)), Fraction(2))
    if step.is_rational and again.is_rational:
        for tree, value in step.items():
            if abs(value - again[tree]) > _ROUNDING * max(1, abs(value)):
                raise InvalidMethod(
                    "h enters the rule otherwise than in products h f(...): its step is not the "
                    f"same with 2 h and f/2, at {tree}; it has no coefficients over trees, but an "
                    "equation for each loss"
                )
    return step


class AbstractField:
    """The fields that an update rule is run with over B-series.

    ``f(a)`` is h f(B(a)) for the sum f of all fields, times a factor, and ``f.parts[c]`` is that
    of one.

    >>> f = AbstractField(colors=2)
    >>> f(identity(2, colors=2)) == f.parts[0](identity(2, 2)) + f.parts[1](identity(2, 2))
    True
    """

    def __init__(self, colors: int = 1, factor: Fraction = Fraction(1)):
        self.factor = factor
        self.parts = tuple(partial(self._part, color) for color in range(colors))

    def __call__(self, theta: BSeries) -> BSeries:
        """Return h f(B(theta)) for the sum f of all fields."""
        return self._part(None, theta)

    def _part(self, color: int | None, theta: BSeries) -> BSeries:
        return self.factor * theta.b_plus(color)


def run(rule: Callable, theta: BSeries, f: Callable, h: Fraction = Fraction(1)) -> BSeries:
    """Return the next iterate of a rule, once it is known to be one."""
    # The power of h is in the tree, so h is 1; a Fraction, to keep h / 2 in a rule exact.
    following = rule(theta, f, h)
    if isinstance(following, BSeries) and following.empty == 1:
        return following
    got = f"{following.empty} theta + ..." if isinstance(following, BSeries) else repr(following)
    raise InvalidMethod(f"a rule must return theta plus multiples of h f(...), got {got}")
