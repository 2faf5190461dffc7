"""Games: players who move variables of their own, at rates of their own.

With φ⁺ = φ + αh f(φ, θ) and θ⁺ = θ + λh g(φ, θ), both players follow one joint field in the time h,

    φ' = αf - h/2 (α² f_φ f + αλ f_θ g) + O(h²),
    θ' = λg - h/2 (αλ g_φ f + λ² g_θ g) + O(h²)        if they move at the same time,
    θ' = λg - h/2 (-αλ g_φ f + λ² g_θ g) + O(h²)       if φ moves first.

(Derived here.) Rosca, Wu, Dherin, Barrett 2021 give each player a clock: φ moves for the time αh,
θ for the time λh. For α = λ theirs is the joint field. For α ≠ λ it matches one step, if each
player is read at the time of its own clock and both start again from the iterates; but the clocks
run apart, so it is no field that passes through all iterates. Put into one joint field, its
one-step error is O(h²) in place of O(h³), and its error at a fixed time O(h) in place of O(h²).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import sympy

from modeq.checks import as_integer, one_of, shortened
from modeq.errors import InvalidLoss, InvalidMethod
from modeq.losses.expressions import (
    constant,
    exact_values,
    listed,
    names_of,
    read_expression,
)
from modeq.losses.loss import H, Loss, SplitField, VectorField
from modeq.losses.parse import parse_names
from modeq.methods.epochs import SequentialUpdates
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.partitioned_by_name import SimultaneousUpdates

UPDATES = ("simultaneous", "alternating")


class Game(SplitField):
    """Players with variables, aims and rates of their own, as a field in parts.

    It comes with its ``method``, so ``derive(game, order)`` derives the joint field, and everything
    that is done to an equation can be done to it. As a field, it is equal to any other with the
    same parts.

    Args:
        aims: For each player the loss that it descends in its own variables, as a Loss, a text or
            an expression; or, in a list, the components of the field that its variables follow.
        players: For each player the names of its variables, such as "x" or "y1 y2".
        rates: For each player a number, text or expression that h is multiplied by; 1 if not given.
        updates: "simultaneous", all from the same point, or "alternating", one after the other in
            the order in which they stand.
        inner: How many steps a player takes before the next one moves, one number for all or one
            for each, each step of 1/inner of its rate; for alternating updates.

    Raises:
        InvalidLoss: The numbers of aims, players and rates differ, or those of the components, or
            a rate depends on a variable.
        InvalidMethod: The updates are unknown, or there are inner steps of simultaneous ones.

    Example:
        >>> game = Game(["x*y", "-x*y"], players=["x", "y"], rates=["alpha", "lam"])
        >>> game.components
        (-alpha*y, lam*x)
        >>> from modeq.derivation.derive import derive_field
        >>> derive_field(game, 1, game.method).counter_terms[0].T  # away from the equilibrium
        Matrix([[alpha*lam*x/2, alpha*lam*y/2]])

    Attributes:
        players: For each player its variables.
        moves: For each player the components that its variables follow, without the rate.
        rates: The rates.
    """

    def __init__(
        self,
        aims: Sequence,
        players: Sequence,
        rates: Sequence | None = None,
        updates: str = "simultaneous",
        inner: int | Sequence[int] = 1,
    ):
        aims, players = listed(aims, "aims"), listed(players, "players")
        rates = [1] * len(players) if rates is None else listed(rates, "rates")
        for name, values in (("aims", aims), ("rates", rates)):
            if len(values) != len(players):
                raise InvalidLoss(f"{len(values)} {name} are given for {len(players)} players")
        self.players = tuple(parse_names(names) for names in players)
        self.moves = tuple(map(_moves, aims, self.players))
        variables = [x for own in self.players for x in own]
        self.rates = tuple(constant(rate, variables, "a rate") for rate in rates)
        self.updates = one_of(updates, UPDATES, "updates")
        self.inner = _checked_inner(inner, len(players), updates)
        super().__init__(
            VectorField(
                [
                    rate * f if other is own else 0
                    for other, mine in zip(self.players, self.moves, strict=True)
                    for f in mine
                ],
                variables,
            )
            for own, rate in zip(self.players, self.rates, strict=True)
        )

    @cached_property
    def method(self) -> AdditiveRungeKutta:
        """The method by which the players move."""
        if self.updates == "simultaneous":
            return SimultaneousUpdates(len(self.players))
        turns = [c for c, steps in enumerate(self.inner) for _ in range(steps)]
        return SequentialUpdates(turns, "alternating updates")

    def clock_per_player(self) -> sympy.ImmutableMatrix:
        """Return the fields of Rosca, Wu, Dherin and Barrett (2021), which have a clock per player.

            φ' = f - αh/2 (f_φ f/m + f_θ g),      θ' = g - λh/2 (g_φ f + g_θ g/k),

        where m and k are the numbers of inner steps, and for alternating updates g_φ f has the
        factor 1 - 2α/λ. In one step φ moves for the time αh, and θ for λh. For α ≠ λ this is not
        the joint field in other units; see the docstring of the module.

        Raises:
            InvalidMethod: There are not two players.

        >>> game = Game(["x*y", "-x*y"], players=["x", "y"], rates=["alpha", "lam"])
        >>> game.clock_per_player().T
        Matrix([[alpha*h*x/2 - y, h*lam*y/2 + x]])
        """
        if len(self.players) != 2:
            raise InvalidMethod(f"a clock per player is for two players, not {len(self.players)}")
        (first, second), (alpha, lam), (m, k) = self.players, self.rates, self.inner
        f, g = map(sympy.Matrix, self.moves)
        factor = lam - 2 * alpha if self.updates == "alternating" else lam
        own, other = f.jacobian(first) * f / m, f.jacobian(second) * g
        phi = f - alpha * H / 2 * (own + other)
        own, other = g.jacobian(second) * g / k, g.jacobian(first) * f
        theta = g - H / 2 * (factor * other + lam * own)
        return sympy.ImmutableMatrix([*phi, *theta]).expand()

    def subs(self, values: Mapping) -> Game:
        """Return the same game with parameters (symbols or names) replaced by exact values."""
        new = exact_values(values, self.parameters)
        moves = [[f.subs(new, simultaneous=True) for f in own] for own in self.moves]
        rates = [rate.subs(new, simultaneous=True) for rate in self.rates]
        inner = self.inner if self.updates == "alternating" else 1
        return Game(moves, self.players, rates, self.updates, inner)


def _moves(aim: Any, own: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
    """Return the components that the variables of a player follow."""
    if isinstance(aim, Sequence) and not isinstance(aim, str):
        if len(aim) != len(own):
            raise InvalidLoss(
                f"the player of {names_of(own)} has {len(aim)} components; give one for each "
                f"variable"
            )
        return tuple(read_expression(f, own) for f in aim)
    loss = aim.expression if isinstance(aim, Loss) else read_expression(aim, own)
    return tuple(-loss.diff(x) for x in own)


def _checked_inner(inner: Any, players: int, updates: str) -> tuple[int, ...]:
    given = inner if isinstance(inner, Iterable) else [inner] * players
    steps = [as_integer(k) or 0 for k in given]
    if min(steps, default=0) < 1 or len(steps) != players:
        raise InvalidMethod(
            f"inner is {shortened(inner)}; it must be an integer >= 1, or one for each of "
            f"{players} players"
        )
    if updates == "simultaneous" and set(steps) != {1}:
        raise InvalidMethod(
            f"inner is {shortened(inner)}; only alternating updates have inner steps"
        )
    return tuple(steps)
