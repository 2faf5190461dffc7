"""Named methods for fields in parts, as tables."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate

from modeq.algebra.surds import square_root
from modeq.checks import MAX_PARTS, as_integer, shortened, whole
from modeq.errors import InvalidMethod
from modeq.methods.partitioned import AdditiveRungeKutta

_HALF = Fraction(1, 2)


def SymplecticEuler(implicit: int = 0) -> AdditiveRungeKutta:
    """Return symplectic Euler, explicit in one part and implicit in the other.

    With the field split by groups (p, q) and ``implicit=0``,

        p⁺ = p + h f_p(p⁺, q),        q⁺ = q + h f_q(p⁺, q),

    and with ``implicit=1`` the same with q⁺ in place of p⁺: each is the adjoint of the other
    (Hairer, Lubich, Wanner, Geometric Numerical Integration, VI.3, equation 3.1).

    Raises:
        InvalidMethod: ``implicit`` is neither 0 nor 1.

    >>> print(SymplecticEuler(implicit=1))
    adjoint symplectic Euler
    """
    tables = [[[1]], [[0]]]
    if as_integer(implicit) not in (0, 1):
        raise InvalidMethod(
            f"implicit is {shortened(implicit)}; it must be 0 or 1, the implicit part"
        )
    if implicit == 0:
        return AdditiveRungeKutta(tables, [[1], [1]], "symplectic Euler")
    return AdditiveRungeKutta(tables[::-1], [[1], [1]], "adjoint symplectic Euler")


def StoermerVerlet(first: int = 0) -> AdditiveRungeKutta:
    """Return the Störmer-Verlet method, the pair of Lobatto IIIA and IIIB with two stages.

    With the field split by groups (p, q) and ``first=0``, p moves by half a step, q by a whole one
    and p by the other half; with ``first=1``, q begins (Hairer, Lubich, Wanner, Geometric Numerical
    Integration, II.2).

    Raises:
        InvalidMethod: ``first`` is neither 0 nor 1.

    >>> print(StoermerVerlet())
    Stoermer-Verlet
    """
    begins, follows = [[_HALF, 0], [_HALF, 0]], [[0, 0], [_HALF, _HALF]]
    b = [[_HALF, _HALF]] * 2
    if as_integer(first) not in (0, 1):
        raise InvalidMethod(
            f"first is {shortened(first)}; it must be 0 or 1, the part that moves first"
        )
    if first == 0:
        return AdditiveRungeKutta([begins, follows], b, "Stoermer-Verlet")
    return AdditiveRungeKutta([follows, begins], b, "position Stoermer-Verlet")


def SimultaneousUpdates(players: int = 2) -> AdditiveRungeKutta:
    """Return explicit Euler for all parts at once: each player moves from the same point.

    Raises:
        InvalidMethod: ``players`` is not an integer >= 2.

    >>> SimultaneousUpdates(3).colors
    3
    """
    players = whole(players, "players", 2, most=MAX_PARTS)
    return AdditiveRungeKutta([[[0]]] * players, [[1]] * players, "simultaneous updates")


def AlternatingUpdates(players: int = 2, inner: int = 1) -> AdditiveRungeKutta:
    """Return explicit Euler for one part after the other: each player sees the moves before it.

    Part 0 moves first, in ``inner`` steps of size h/inner. Learning rates of their own are factors
    of the parts: ``field.scaled(alpha, lam)``; ``inner`` steps at the whole rate are
    ``field.scaled(inner, 1)``.

    Raises:
        InvalidMethod: ``players`` is not an integer >= 2, or ``inner`` not one >= 1.

    >>> AlternatingUpdates(inner=2).b
    ((Fraction(1, 2), Fraction(1, 2), Fraction(0, 1)), (Fraction(0, 1), Fraction(0, 1), ...
    """
    players = whole(players, "players", 2, most=MAX_PARTS)
    inner = whole(inner, "inner", most=MAX_PARTS)
    moves = [inner] + [1] * (players - 1)
    ends = list(accumulate(moves))
    stages = range(ends[-1])
    mine = [
        [Fraction(end - moved <= j < end, moved) for j in stages]
        for moved, end in zip(moves, ends, strict=True)
    ]
    A = [[[weight if j < i else 0 for j, weight in enumerate(row)] for i in stages] for row in mine]
    return AdditiveRungeKutta(A, mine, "alternating updates")


def ImexEuler() -> AdditiveRungeKutta:
    """Return Euler's method, implicit in part 0 and explicit in part 1.

        θ⁺ = θ + h f₀(θ⁺) + h f₁(θ).

    >>> print(ImexEuler())
    IMEX Euler
    """
    A = [[[0, 0], [0, 1]], [[0, 0], [1, 0]]]
    return AdditiveRungeKutta(A, [[0, 1], [1, 0]], "IMEX Euler")


def ImexMidpoint() -> AdditiveRungeKutta:
    """Return the midpoint rule, implicit in part 0 and explicit in part 1.

        θ½ = θ + h/2 f₀(θ½) + h/2 f₁(θ),        θ⁺ = θ + h f₀(θ½) + h f₁(θ½).

    >>> ImexMidpoint().is_explicit
    False
    """
    A = [[[0, 0], [0, _HALF]], [[0, 0], [_HALF, 0]]]
    return AdditiveRungeKutta(A, [[0, 1], [0, 1]], "IMEX midpoint")


def ImexArs222() -> AdditiveRungeKutta:
    """Return ARS(2,2,2) of order two: diagonally implicit in part 0, explicit in part 1.

    (Ascher, Ruuth, Spiteri 1997, Implicit-explicit Runge-Kutta methods, section 2.6, with
    γ = 1 - 1/√2 and δ = 1 - 1/(2γ).)

    >>> ImexArs222().is_explicit
    False
    """
    gamma = 1 - square_root(2) / 2
    delta = 1 - 1 / (2 * gamma)
    implicit = [[0, 0, 0], [0, gamma, 0], [0, 1 - gamma, gamma]]
    explicit = [[0, 0, 0], [gamma, 0, 0], [delta, 1 - delta, 0]]
    return AdditiveRungeKutta([implicit, explicit], [implicit[-1], explicit[-1]], "ARS(2,2,2)")


NAMED: dict[str, Callable[[], AdditiveRungeKutta]] = {
    "symplectic-euler": SymplecticEuler,
    "adjoint-symplectic-euler": lambda: SymplecticEuler(implicit=1),
    "stoermer-verlet": StoermerVerlet,
    "position-stoermer-verlet": lambda: StoermerVerlet(first=1),
    "simultaneous": SimultaneousUpdates,
    "alternating": AlternatingUpdates,
    "imex-euler": ImexEuler,
    "imex-midpoint": ImexMidpoint,
    "imex-ars-222": ImexArs222,
}
