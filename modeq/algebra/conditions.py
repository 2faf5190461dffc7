"""Order conditions: what the table of a Runge-Kutta method must satisfy, one for each tree.

A method has order p if and only if its elementary weights Φ(τ) are 1/γ(τ) for all |τ| <= p, where

    Φ(τ) = Σ_i b_i g_i(τ),    g_i([τ₁, …, τₖ]) = Π_l Σ_j a_ij g_j(τ_l),

and Σ_j a_ij is written c_i (Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.1.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.checks import check_order

_LETTERS = "ijklmnpqrstuvw"


@dataclass(frozen=True)
class OrderCondition:
    """One order condition Φ(τ) = 1/γ(τ).

    Attributes:
        tree: The tree.
        value: The right-hand side 1/γ(τ).

    >>> print(OrderCondition(RootedTree([RootedTree()]), Fraction(1, 2)))
    sum_i b_i c_i = 1/2
    """

    tree: RootedTree
    value: Fraction

    def __str__(self) -> str:
        factors, letters = _weight(self.tree, "{}_{}", "{}^{}", " ")
        return f"sum_{letters} {factors} = {self.value}"

    def latex(self) -> str:
        r"""Return the condition as LaTeX.

        >>> print(order_conditions(3)[-1].latex())
        \sum_{i} b_{i} c_{i}^{2} = \tfrac{1}{3}
        """
        factors, letters = _weight(self.tree, "{}_{{{}}}", "{}^{{{}}}", " ")
        denominator = self.value.denominator
        value = "1" if denominator == 1 else rf"\tfrac{{1}}{{{denominator}}}"
        return rf"\sum_{{{letters}}} {factors} = {value}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


def order_conditions(order: int) -> tuple[OrderCondition, ...]:
    """Return the conditions for a Runge-Kutta method of some order, one for each tree.

    >>> for condition in order_conditions(4): print(condition)
    sum_i b_i = 1
    sum_i b_i c_i = 1/2
    sum_ij b_i a_ij c_j = 1/6
    sum_i b_i c_i^2 = 1/3
    sum_ijk b_i a_ij a_jk c_k = 1/24
    sum_ij b_i a_ij c_j^2 = 1/12
    sum_ij b_i c_i a_ij c_j = 1/8
    sum_i b_i c_i^3 = 1/4

    Raises:
        InvalidOrder: ``order`` is not an integer of at least one.
    """
    # The largest come first, so that too many are refused before any are made.
    largest_first = [rooted_trees(n) for n in range(check_order(order, lowest=1), 0, -1)]
    return tuple(
        OrderCondition(tree, Fraction(1, tree.density))
        for trees in reversed(largest_first)
        for tree in trees
    )


def _weight(tree: RootedTree, indexed: str, power: str, space: str) -> tuple[str, str]:
    """Return the factors of Φ(τ), and the letters that are summed over."""
    names = _names()
    root = next(names)
    letters = [root]
    factors = [indexed.format("b", root)]

    def add(children: tuple[RootedTree, ...], letter: str) -> None:
        leaves = sum(child.order == 1 for child in children)
        if leaves:
            c = indexed.format("c", letter)
            factors.append(power.format(c, leaves) if leaves > 1 else c)
        for child in children:
            if child.order > 1:
                below = next(names)
                letters.append(below)
                factors.append(indexed.format("a", letter + below))
                add(child.children, below)

    add(tree.children, root)
    return space.join(factors), "".join(letters)


def _names() -> Iterator[str]:
    yield from _LETTERS
    number = 1
    while True:
        yield f"i{number}"
        number += 1
