"""Invariances of a loss, and the laws of what they conserve.

A loss ℓ is *scale-invariant* in a block A of its variables if ℓ(cθ_A) = ℓ(θ_A), which is
θ_A·∇_Aℓ = 0, and *translation-invariant* if ℓ(θ_A + c) = ℓ(θ_A), which is Σ_A ∂ℓ = 0. Gradient flow
then keeps N = |θ_A|², or s = Σθ_A. With weight decay, L = ℓ + λ|θ|²/2, and G = |∇_Aℓ|²,

    gradient descent:  N⁺ = (1 - hλ)² N + h² G,        s⁺ = (1 - hλ) s,

and the flow of order n has N' = rate·N + forcing, whose rate and forcing are derived here, for the
loss at hand, from its counter terms (theory.md, section 3).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import sympy

from modeq.checks import shortened
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidValue
from modeq.invariants.laws import Laws
from modeq.losses.digits import to_digits
from modeq.losses.expressions import names_of
from modeq.losses.loss import Field, Loss, as_loss
from modeq.losses.parse import parse_names
from modeq.losses.vanishing import Vanishing
from modeq.show.document import Block, Finding, code_lines
from modeq.show.shown import Shown

WITNESS_POINTS = 200
_SIZES = (1, 10, 100, 1_000, sympy.Rational(1, 10), 10_000)
"""How large the entries of points are that are tried as witnesses."""
SEEN = 1e-15
"""How far from zero a slope must be for its point to be a witness."""


@dataclass(frozen=True)
class Witness:
    """A point at which a loss is not invariant.

    Attributes:
        point: {symbol: rational number}.
        slope: θ_A·∇_Aℓ, or Σ_A ∂ℓ, there; it is not 0.
    """

    point: dict[sympy.Symbol, sympy.Rational]
    slope: sympy.Expr

    def __str__(self) -> str:
        where = ", ".join(f"{x} = {value}" for x, value in self.point.items())
        rate = to_digits(self.slope, 6)
        return f"at {where} the loss changes along the symmetry at the rate {rate}, not 0"


@dataclass(frozen=True)
class Invariance(Shown):
    """Whether a loss is invariant, with a proof or a witness.

    Attributes:
        kind: "scale" or "translation".
        loss: The loss ℓ.
        block: The variables of the block A.
        holds: Whether the loss is invariant.
        is_proved: Whether that is proved; if not, the derivative vanishes to 60 digits at random
            points, but no identity for it was found.
        witness: A point where it is not invariant, or None.
        laws: The laws of N or s, or None.
    """

    kind: str
    loss: Loss
    block: tuple[sympy.Symbol, ...]
    holds: bool
    is_proved: bool
    witness: Witness | None
    laws: Laws | None

    def show(self) -> list[Block]:
        """Return the verdict, and the laws that follow."""
        first, *rest = str(self).splitlines()
        return [Finding(self.holds, first), *code_lines(rest)]

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        name = f"{self.kind} invariance in {names_of(self.block)}"
        if not self.holds:
            unseen = f"though by less than {SEEN:.0e} at the points that were tried"
            return f"{name}: refuted, {self.witness or unseen}"
        how = "proved" if self.is_proved else "checked at random points, not proved"
        return f"{name}: {how}\n{self.laws}"


def scale_invariance(loss: Any, block: Any = None) -> Invariance:
    """Prove or refute ℓ(cθ_A) = ℓ(θ_A) for c > 0, and give the laws of N = |θ_A|².

    Args:
        loss: The loss ℓ, without weight decay; the laws are those with weight decay λ added.
        block: The variables A, as a text "u v" or a sequence of names or symbols; all without it.

    Raises:
        InvalidValue: The block is empty, or names what is no variable.
        InvalidLoss: It is not a loss.

    >>> result = scale_invariance("(x - y)**2/(x**2 + y**2)")
    >>> result.holds, result.laws.decay_rates(orders=(0, 1))["order 1"]
    (True, -h*lam**2 - 2*lam)
    >>> print(scale_invariance("x**2 + y", block="x"))
    scale invariance in x: refuted, at x = 1/2, y = 2/3 the loss changes along the symmetry at the
    rate 0.500000, not 0
    """
    return _invariance("scale", loss, block)


def translation_invariance(loss: Any, block: Any = None) -> Invariance:
    """Prove or refute ℓ(θ_A + c·1) = ℓ(θ_A), and give the laws of s = Σθ_A.

    Args:
        loss: The loss ℓ, without weight decay; the laws are those with weight decay λ added.
        block: The variables A, as a text "u v" or a sequence of names or symbols; all without it.

    Raises:
        InvalidValue: The block is empty, or names what is no variable.
        InvalidLoss: It is not a loss.

    >>> result = translation_invariance("log(exp(a) + exp(b)) - a", block="a b")
    >>> result.holds, result.laws.gradient_descent
    (True, s*(-h*lam + 1))
    """
    return _invariance("translation", loss, block)


def _invariance(kind: str, loss: Any, block: Any) -> Invariance:
    loss = as_loss(loss, "invariance is a property of a loss")
    block = check_block(loss, block)
    weights = block if kind == "scale" else [sympy.Integer(1)] * len(block)
    slope = sum(w * loss.expression.diff(x) for w, x in zip(weights, block, strict=True))
    ring = DifferentialRing(loss.variables, loss.parameters, [loss.expression, slope], depth=3)
    element = ring.reduce(ring.convert(slope))
    found = ring.vanishing(element)
    if found is Vanishing.REFUTED:
        return Invariance(kind, loss, block, False, True, _witness(slope, loss), None)
    laws = Laws(kind, loss, block)
    return Invariance(kind, loss, block, True, found is Vanishing.PROVED, None, laws)


def check_block(loss: Field, block: Any) -> tuple[sympy.Symbol, ...]:
    """Return a block as variables of a loss; all of them for None.

    >>> check_block(Loss("x + y + z"), "z x")
    (z, x)
    """
    if block is None:
        return loss.variables
    known = {x.name: x for x in loss.variables}
    names = [symbol.name for symbol in parse_names(block)]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InvalidValue(
            f"the block contains {wrong[0]!r}, which is no variable of the loss; they are "
            f"{names_of(loss.variables)}"
        )
    if not names or len(set(names)) < len(names):
        raise InvalidValue(
            f"the block is {shortened(block)}; it must name at least one variable, each once"
        )
    return tuple(known[name] for name in names)


def _witness(slope: sympy.Expr, loss: Loss) -> Witness | None:
    """Return a rational point in the domain where a slope is not zero; None if none is found."""
    symbols = (*loss.variables, *loss.parameters)
    for size, shift in itertools.product(_SIZES, range(WITNESS_POINTS // len(_SIZES))):
        point = {x: size * _entry(i, shift) for i, x in enumerate(symbols)}
        value, inside = slope.subs(point), loss.expression.subs(point)
        real = all(e.is_finite and e.is_real for e in (value, inside))
        if real and abs(to_digits(value, 30)) > SEEN:
            return Witness(point, value)
    return None


def _entry(i: int, shift: int) -> sympy.Rational:
    return sympy.Rational((-1) ** (shift * i) * (i + 1 + shift), i + 2 + shift * i % 5)
