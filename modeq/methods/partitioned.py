"""Methods that treat the parts of a field differently, as tables.

They run on a field in parts (``SplitField``, ``field.split(...)``), one part for each color. A
partitioned method, with groups of variables, is an additive one whose part c moves group c only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from modeq.algebra.entries import (
    Entry,
    check_equal,
    exact_matrix,
    exact_row,
    name_with_values,
    one_warning,
    symbols_of,
    values_of,
    with_values,
)
from modeq.checks import shortened
from modeq.errors import InvalidMethod, visible
from modeq.methods.rules import Rule, advance, fixed_point, parts_of
from modeq.show.shown import Shown

_Table = tuple[tuple[Entry, ...], ...]
Slope = tuple[int, int]
"""(c, j): the slope of part c at stage j."""

_Block = Sequence[Slope]


@dataclass(frozen=True)
class AdditiveRungeKutta(Shown):
    """A Runge-Kutta method with a tableau for each part of the field.

        Uᵢ = θ + h Σ_c Σⱼ a^c_{ij} k^c_j,      k^c_j = f_c(Uⱼ),      θ⁺ = θ + h Σ_c Σⱼ b^c_j k^c_j.

    Slopes whose weights are all zero are not computed, and only those that depend on themselves
    are solved for.

    Args:
        A: For each part c the square matrix of stage weights, all of one size.
        b: For each part c the weights of the stages, which sum to one.
        name: What to call the method in print.

    Raises:
        InvalidMethod: The tableaus differ in size or are not square, an entry is not a finite
            number, or the weights of a part do not sum to one.

    Example:
        >>> imex = AdditiveRungeKutta([[[1]], [[0]]], [[1], [1]])
        >>> imex.colors, imex.is_explicit
        (2, False)

    References:
        Hairer, Lubich, Wanner, Geometric Numerical Integration, II.2 (partitioned methods).
    """

    A: Sequence[Sequence[Sequence[Any]]]
    b: Sequence[Sequence[Any]]
    name: str = field(default="additive Runge-Kutta", compare=False)

    @one_warning()
    def __post_init__(self):
        A, b = (_for_each_part(getattr(self, which), which) for which in ("A", "b"))
        A = tuple(exact_matrix(table, f"A[{c}]") for c, table in enumerate(A))
        b = tuple(exact_row(row, f"b[{c}]") for c, row in enumerate(b))
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "b", b)
        self._refuse_sizes()
        for c, row in enumerate(self.b):
            wrong = f"the weights b[{c}] sum to {sum(row)}; a consistent method has the sum 1"
            check_equal(sum(row), 1, f"the sum of the weights b[{c}]", wrong)

    def _refuse_sizes(self) -> None:
        if len(self.A) != len(self.b) or len(self.b) < 2:
            raise InvalidMethod(
                f"there are {len(self.A)} matrices A and {len(self.b)} rows of weights b; give one "
                f"of each for every part, for at least two parts"
            )
        stages = len(self.b[0])
        for c, (A, row) in enumerate(zip(self.A, self.b, strict=True)):
            if len(row) != stages or len(A) != stages or any(len(r) != stages for r in A):
                raise InvalidMethod(
                    f"the tableau of part {c} has rows of lengths {[len(r) for r in A]} and "
                    f"{len(row)} weights; with {stages} weights b[0] it must be {stages} by "
                    f"{stages}, with {stages} weights"
                )

    @property
    def colors(self) -> int:
        """The number of parts."""
        return len(self.b)

    @property
    def entries(self) -> Iterator[Entry]:
        """All numbers of the tables."""
        return chain(*chain(*self.A), *self.b)

    @property
    def symbols(self) -> frozenset:
        """The symbols in the tables."""
        return symbols_of(self.entries)

    @property
    def is_explicit(self) -> bool:
        """Whether the slopes can be computed one after another."""
        return not any(solved for _, solved in _blocks(self.A, self.b))

    @property
    def rule(self) -> Rule:
        """The update rule ``rule(theta, f, h)`` with exact weights, for an f that has ``parts``."""
        return self.rule_over(lambda weight: weight)

    def rule_over(self, number: Callable[[Entry], Any]) -> Rule:
        """Return the update rule with its weights converted by ``number``, such as ``float``."""
        A = [[[number(entry) for entry in row] for row in matrix] for matrix in self.A]
        return additive_runge_kutta(A, [[number(weight) for weight in row] for row in self.b])

    def subs(self, values: Mapping) -> AdditiveRungeKutta:
        """Return the same method with symbols, or those of some names, replaced by values."""
        values = values_of(values, self.symbols)
        A = [_with_values(table, values, f"A[{c}]") for c, table in enumerate(self.A)]
        b = _with_values(self.b, values, "b")
        return AdditiveRungeKutta(A, b, name_with_values(self.name, values))

    def __str__(self) -> str:
        return visible(self.name)


def _with_values(table: _Table, values: Mapping, where: str) -> list[list[Entry]]:
    return [[with_values(x, values, where) for x in row] for row in table]


def _for_each_part(tables: Any, which: str) -> Sequence:
    if isinstance(tables, str) or not hasattr(tables, "__len__"):
        raise InvalidMethod(f"{which} is {shortened(tables)}; it must hold one table for each part")
    return tables


def additive_runge_kutta(A: Sequence[Sequence[Sequence]], b: Sequence[Sequence]) -> Rule:
    """Return the rule of a Runge-Kutta method with a tableau for each part of the field.

    >>> class Oscillator:
    ...     parts = (lambda z: -z.imag, lambda z: 1j * z.real)
    >>> symplectic_euler = additive_runge_kutta([[[1]], [[0]]], [[1], [1]])
    >>> symplectic_euler(1 + 1j, Oscillator, 0.5)
    (0.5+1.25j)
    """
    blocks = list(_blocks(A, b))

    def place(theta, h, rows: Sequence[Sequence], slopes: dict[Slope, Any]):
        return advance(theta, h, [rows[c][j] for c, j in slopes], list(slopes.values()))

    def rule(theta, f, h):
        parts = parts_of(f, len(b))
        slopes: dict[Slope, Any] = {}

        def evaluate(block: _Block, unknown: Sequence = ()) -> tuple:
            known = slopes | dict(zip(block, unknown, strict=False))
            return tuple(parts[c](place(theta, h, [T[i] for T in A], known)) for c, i in block)

        for block, is_loop in blocks:
            if is_loop:
                solve = getattr(f, "fixed_point", fixed_point)
                start = tuple(parts[c](theta) for c, _ in block)
                values = solve(partial(evaluate, block), start)
            else:
                values = evaluate(block)
            slopes.update(zip(block, values, strict=True))
        return place(theta, h, b, slopes)

    return rule


def _blocks(A: Sequence, b: Sequence) -> Iterator[tuple[_Block, bool]]:
    """Yield the slopes that the weights b need, in groups that depend on each other, each after
    all that it needs, and whether it is a loop that has to be solved.
    """
    slopes = [(c, i) for c in range(len(b)) for i in range(len(b[0]))]
    needs = {(c, i): {(d, j) for d, j in slopes if A[d][i][j] != 0} for c, i in slopes}
    reach = {slope: _reachable(needs, slope) for slope in slopes}
    used = [(c, i) for c, i in slopes if b[c][i] != 0]
    left = sorted(set(used).union(*(reach[slope] for slope in used)))
    while left:
        # What a slope needs reaches less, unless both are in one loop.
        first = min(left, key=lambda slope: len(reach[slope] | {slope}))
        block = [s for s in left if s == first or (s in reach[first] and first in reach[s])]
        yield block, first in reach[first]
        left = [slope for slope in left if slope not in block]


def _reachable(needs: dict[Slope, set[Slope]], slope: Slope) -> set[Slope]:
    found: set[Slope] = set()
    stack = [slope]
    while stack:
        new = needs[stack.pop()] - found
        found |= new
        stack.extend(new)
    return found
