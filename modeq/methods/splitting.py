"""Splitting methods: compositions of the exact flows of the parts of a field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from modeq.algebra.entries import (
    Entry,
    check_equal,
    exact,
    name_with_values,
    one_warning,
    symbols_of,
    values_of,
    with_values,
)
from modeq.checks import shortened, whole
from modeq.errors import InvalidMethod, visible
from modeq.methods.rules import Rule, parts_of
from modeq.show.shown import Shown


@dataclass(frozen=True)
class Splitting(Shown):
    """A composition of the exact flows of the parts of a field.

    The first stage is applied first: with stages (c₁, a₁), …, (c_s, a_s) the step is
    φ_{a_s h}^{c_s} ∘ … ∘ φ_{a_1 h}^{c_1}.

    Args:
        stages: Pairs of the color of a part and the fraction of the step that its flow takes. The
            fractions of each color sum to one; they may be negative.
        name: What to call the method in print.

    Raises:
        InvalidMethod: A stage is no such pair, a color below the largest one is missing, or the
            fractions of a color do not sum to one.

    Example:
        >>> Splitting([(0, Fraction(1, 2)), (1, 1), (0, Fraction(1, 2))]).colors
        2

    References:
        Hairer, Lubich, Wanner, Geometric Numerical Integration, II.5.
    """

    stages: tuple[tuple[int, Entry], ...]
    name: str = field(default="splitting", compare=False)

    @one_warning()
    def __post_init__(self):
        if isinstance(self.stages, str) or not hasattr(self.stages, "__iter__"):
            raise InvalidMethod(
                f"stages is {shortened(self.stages)}; it must be pairs (color, fraction)"
            )
        stages = tuple(_stage(stage, f"stages[{i}]") for i, stage in enumerate(self.stages))
        object.__setattr__(self, "stages", stages)
        if self.colors < 2:
            raise InvalidMethod("the stages name one part or none; a splitting has at least two")
        for color in range(self.colors):
            total = sum(fraction for c, fraction in stages if c == color)
            what = f"the fractions of part {color}"
            wrong = f"{what} sum to {total}; a consistent method has the sum 1"
            check_equal(total, 1, f"the sum of {what}", wrong)

    @property
    def colors(self) -> int:
        """The number of parts."""
        return max((color for color, _ in self.stages), default=-1) + 1

    @property
    def entries(self) -> Iterator[Entry]:
        """The fractions of all stages."""
        return (fraction for _, fraction in self.stages)

    @property
    def symbols(self) -> frozenset:
        """The symbols in the fractions."""
        return symbols_of(self.entries)

    @property
    def rule(self) -> Rule:
        """The update rule ``rule(theta, f, h)``, for an f whose ``parts`` have a ``flow``."""
        return self.rule_over(lambda fraction: fraction)

    def rule_over(self, number: Callable[[Entry], Any]) -> Rule:
        """Return the update rule with its fractions converted by ``number``, such as ``float``."""
        stages = [(color, number(fraction)) for color, fraction in self.stages]

        def rule(theta, f, h):
            parts = parts_of(f, self.colors)
            for color, fraction in stages:
                theta = parts[color].flow(theta, fraction * h)
            return theta

        return rule

    def subs(self, values: Mapping) -> Splitting:
        """Return the same method with symbols, or those of some names, replaced by values."""
        values = values_of(values, self.symbols)
        stages = [(color, with_values(a, values, "a fraction")) for color, a in self.stages]
        return Splitting(stages, name_with_values(self.name, values))

    def __str__(self) -> str:
        return visible(self.name)


def _stage(stage: Any, where: str) -> tuple[int, Entry]:
    if not isinstance(stage, Sequence) or isinstance(stage, str) or len(stage) != 2:
        raise InvalidMethod(f"{where} is {shortened(stage)}; it must be a pair (color, fraction)")
    color, fraction = stage
    return whole(color, f"the color of {where}", 0), exact(fraction, f"the fraction of {where}")


def LieTrotter() -> Splitting:
    """Return the Lie-Trotter splitting: the flow of part 0, then that of part 1.

    >>> LieTrotter().stages
    ((0, Fraction(1, 1)), (1, Fraction(1, 1)))
    """
    return Splitting([(0, 1), (1, 1)], "Lie-Trotter")


def Strang() -> Splitting:
    """Return the Strang splitting: half a step of part 0, one of part 1, the other half of part 0.

    >>> print(Strang())
    Strang
    """
    half = Fraction(1, 2)
    return Splitting([(0, half), (1, 1), (0, half)], "Strang")


NAMED: dict[str, Callable[[], Splitting]] = {"lie-trotter": LieTrotter, "strang": Strang}
