"""Runge-Kutta methods as tableaus, and what can be done to tableaus: compose, repeat, reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
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
    vanishes,
    with_values,
)
from modeq.checks import MAX_PARTS, shortened, whole
from modeq.errors import InvalidMethod, visible
from modeq.losses.formula_latex import number_latex
from modeq.methods.rules import Rule, is_explicit, runge_kutta
from modeq.show.document import Block, Formula, Text
from modeq.show.shown import Shown


@dataclass(frozen=True)
class RungeKutta(Shown):
    """A Runge-Kutta method, explicit or implicit.

        kᵢ = f(θ + h Σⱼ aᵢⱼ kⱼ),        θ⁺ = θ + h Σᵢ bᵢ kᵢ

    Args:
        A: Square matrix of stage weights: integers, Fractions, texts such as "1/6" or "sqrt(3)/6",
            floats (read as the simple number that they are near, with a warning, or else as
            decimals), or sympy expressions, which may contain symbols.
        b: Weights of the stages, which sum to one.
        c: The nodes, if they are to be checked: they are the sums of the rows of A. A name may
            stand in their place.
        name: What to call the method in print.

    Raises:
        InvalidMethod: The tableau is not square, an entry is not a finite number, the weights do
            not sum to one, or the nodes are not those of A.

    Example:
        >>> RungeKutta([["0", 0], ["2/3", 0]], [0.25, 0.75], [0, "2/3"]).c
        (Fraction(0, 1), Fraction(2, 3))
        >>> RungeKutta([[0, 0], [Fraction(2, 3), 0]], [Fraction(1, 4), Fraction(3, 4)]).is_explicit
        True

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.1.
    """

    A: Sequence[Sequence[Any]]
    b: Sequence[Any]
    c: Sequence[Any] = field(default=(), compare=False, repr=False)
    name: str = field(default="Runge-Kutta", compare=False)

    @one_warning()
    def __post_init__(self):
        if isinstance(self.c, str):
            object.__setattr__(self, "name", self.c)
            object.__setattr__(self, "c", ())
        object.__setattr__(self, "A", exact_matrix(self.A))
        object.__setattr__(self, "b", exact_row(self.b, "b"))
        self._check_shape()
        total = sum(self.b)
        wrong = f"the weights b sum to {total}; a consistent method has the sum 1"
        check_equal(total, 1, "the sum of the weights b", wrong)
        given, nodes = self.c, tuple(map(sum, self.A))
        object.__setattr__(self, "c", nodes)
        if given is not None and not (isinstance(given, tuple) and given == ()):
            self._check_nodes(exact_row(given, "c"))

    def _check_shape(self) -> None:
        stages = len(self.b)
        if len(self.A) != stages or any(len(row) != stages for row in self.A):
            raise InvalidMethod(
                f"the tableau A has rows of lengths {[len(row) for row in self.A]}; "
                f"with {stages} weights b it must be {stages} by {stages}"
            )

    def _check_nodes(self, given: tuple[Entry, ...]) -> None:
        if len(given) != len(self.c):
            raise InvalidMethod(
                f"there are {len(given)} nodes c; with these weights there must be {len(self.c)}"
            )
        for i, (node, wanted) in enumerate(zip(given, self.c, strict=True)):
            wrong = f"the node c[{i}] is {node}; it must be the sum of A[{i}], which is {wanted}"
            check_equal(node, wanted, f"the node c[{i}]", wrong)

    @property
    def entries(self) -> Iterator[Entry]:
        """All numbers of the tableau."""
        return chain(*self.A, self.b)

    @property
    def symbols(self) -> frozenset:
        """The symbols in the tableau."""
        return symbols_of(self.entries)

    @property
    def is_explicit(self) -> bool:
        """Whether every stage uses earlier stages only."""
        return is_explicit(self.A)

    @property
    def is_euler(self) -> bool:
        """Whether this is explicit Euler, that is, gradient descent."""
        return self.A == ((0,),)

    @property
    def rule(self) -> Rule:
        """The update rule ``rule(theta, f, h)`` with exact weights."""
        return self.rule_over(lambda weight: weight)

    def rule_over(self, number: Callable[[Entry], Any]) -> Rule:
        """Return the update rule with its weights converted by ``number``, such as ``float``."""
        A = [[number(entry) for entry in row] for row in self.A]
        return runge_kutta(A, [number(weight) for weight in self.b])

    def tableau(self, order: int) -> RungeKutta:
        """Return the tableau that has the counter terms of the method up to hⁿ: this one."""
        return self

    def subs(self, values: Mapping) -> RungeKutta:
        """Return the same method with symbols, or those of some names, replaced by values."""
        values = values_of(values, self.symbols)
        A = [
            [with_values(x, values, f"A[{i}][{j}]") for j, x in enumerate(row)]
            for i, row in enumerate(self.A)
        ]
        b = [with_values(x, values, f"b[{i}]") for i, x in enumerate(self.b)]
        return RungeKutta(A, b, name=name_with_values(self.name, values))

    def show(self) -> list[Block]:
        """Return the Butcher tableau."""
        rows = zip(self.c, self.A, strict=True)
        lines = [" & ".join(map(number_latex, (c, *row))) for c, row in rows]
        last = " & ".join(["", *map(number_latex, self.b)])
        body = r" \\ ".join(lines) + r" \\ \hline " + last
        columns = f"r|{'r' * len(self.b)}"
        return [Text(str(self)), Formula(rf"\begin{{array}}{{{columns}}}{body}\end{{array}}")]

    def __str__(self) -> str:
        return visible(self.name)


def composed(*methods: RungeKutta, fractions: Sequence | None = None) -> RungeKutta:
    """Return the composition of Runge-Kutta methods, the first one applied first, as one tableau.

    Args:
        methods: The methods.
        fractions: The part of the step that each method takes; they sum to one, and may be
            negative. Without them all are equal.

    Raises:
        InvalidMethod: There is no method, one has no tableau, or the fractions are not as many or
            do not sum to one.

    >>> euler, implicit = RungeKutta([[0]], [1]), RungeKutta([[1]], [1])
    >>> [list(map(str, row)) for row in composed(euler, implicit).A]  # the trapezoidal rule
    [['0', '0'], ['1/2', '1/2']]

    References:
        Hairer, Lubich, Wanner, Geometric Numerical Integration, II.4 and III.1.3.
    """
    if not methods or not all(isinstance(method, RungeKutta) for method in methods):
        raise InvalidMethod(f"cannot compose {shortened(methods)}; give Runge-Kutta methods")
    shares = _shares(len(methods), fractions)
    b: list[Entry] = []
    A: list[list[Entry]] = []
    stages = sum(len(method.b) for method in methods)
    for share, method in zip(shares, methods, strict=True):
        for row in method.A:
            inner = [*b, *(share * entry for entry in row)]
            A.append([*inner, *[Fraction(0)] * (stages - len(inner))])
        b.extend(share * weight for weight in method.b)
    return RungeKutta(A, b, name=", then ".join(map(str, methods)))


def _shares(count: int, fractions: Sequence | None) -> tuple[Entry, ...]:
    if fractions is None:
        return (Fraction(1, count),) * count
    shares = exact_row(fractions, "fractions")
    if len(shares) != count or not vanishes(sum(shares) - 1):
        raise InvalidMethod(
            f"fractions are {', '.join(map(shortened, shares))}; for {count} methods there must be "
            f"{count} that sum to 1"
        )
    return shares


def repeated(method: RungeKutta, times: int) -> RungeKutta:
    """Return the tableau of a method applied several times, each time with its part of the step.

    >>> print(*map(str, repeated(RungeKutta([[0]], [1]), 3).c))
    0 1/3 2/3

    Raises:
        InvalidMethod: ``times`` is not an integer >= 1, or the method has no tableau.
    """
    times = whole(times, "times", most=MAX_PARTS)
    chain_of = composed(*[method] * times)
    return RungeKutta(chain_of.A, chain_of.b, name=f"{method}, {times} times")


def adjoint(method: RungeKutta) -> RungeKutta:
    """Return the adjoint method Φ*_h, the inverse of the step with -h.

        a*ᵢⱼ = b_{s+1-j} - a_{s+1-i, s+1-j},        b*ⱼ = b_{s+1-j}

    Raises:
        InvalidMethod: The method has no tableau.

    >>> adjoint(RungeKutta([[0]], [1])) == RungeKutta([[1]], [1])  # explicit and implicit Euler
    True

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.8, theorem 8.3.
    """
    if not isinstance(method, RungeKutta):
        raise InvalidMethod(f"{method} has no tableau; give a Runge-Kutta method")
    b = method.b[::-1]
    A = [[weight - entry for weight, entry in zip(b, row[::-1], strict=True)] for row in method.A]
    return RungeKutta(A[::-1], b, name=f"adjoint of {method}")
