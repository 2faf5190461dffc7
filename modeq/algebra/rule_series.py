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
from modeq.errors import InvalidMethod


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
        InvalidMethod: If there is no rule, or it does not return theta plus multiples of f(...).
        InvalidOrder: If ``order`` is not an integer of at least zero.
    """
    rule = getattr(method, "rule", method)
    if not callable(rule):
        raise InvalidMethod(f"method is {method!r}; it must be a rule (theta, f, h) -> theta")
    start = identity(order, getattr(method, "colors", 1))
    f = AbstractField(start.colors)
    return logarithm(lambda theta: run(rule, theta, f), start, start.order)


class AbstractField:
    """The fields that an update rule is run with over B-series.

    ``f(a)`` is h f(B(a)) for the sum f of all fields, and ``f.parts[c]`` is that of one.

    >>> f = AbstractField(colors=2)
    >>> f(identity(2, colors=2)) == f.parts[0](identity(2, 2)) + f.parts[1](identity(2, 2))
    True
    """

    def __init__(self, colors: int = 1):
        self.parts = tuple(partial(BSeries.b_plus, color=color) for color in range(colors))

    def __call__(self, theta: BSeries) -> BSeries:
        """Return h f(B(theta)) for the sum f of all fields."""
        return theta.b_plus()


def run(rule: Callable, theta: BSeries, f: Callable) -> BSeries:
    """Return the next iterate of a rule, once it is known to be one."""
    # The power of h is in the tree, so h is 1 here; a Fraction, to keep h / 2 in a rule exact.
    following = rule(theta, f, Fraction(1))
    if isinstance(following, BSeries) and following.empty == 1:
        return following
    got = f"{following.empty} theta + ..." if isinstance(following, BSeries) else repr(following)
    raise InvalidMethod(f"a rule must return theta plus multiples of h f(...), got {got}")
