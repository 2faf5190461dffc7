"""Methods with memory, as tables: multistep methods, and momentum as one of them.

The general linear form, with forward step number m, is

    Σⱼ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_{lj} θ_{m+j}),        j = 0, …, k.

Where f is evaluated at the iterates themselves (c the unit matrix) this is a linear multistep
method; its polynomials are ρ(z) = Σ αⱼ zʲ and σ(z) = Σ βⱼ zʲ. The root 1 of ρ is the one whose
solution is a flow.

The complex roots of polynomials with exact coefficients, with their multiplicities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

from modeq.algebra.entries import (
    Entry,
    exact,
    exact_matrix,
    exact_row,
    is_nearly_zero,
    name_with_values,
    one_warning,
    symbols_of,
    values_of,
    vanishes,
    with_values,
)
from modeq.algebra.zeros import is_expression
from modeq.checks import one_of
from modeq.errors import InvalidMethod, visible
from modeq.losses.formula_latex import sum_latex
from modeq.methods.rules import MemoryRule, linear_multistep
from modeq.show.document import Block, Formula, Text
from modeq.show.shown import Shown

SWEEPS = 500


def roots_of(polynomial: Sequence[Entry]) -> list[complex]:
    """Return the roots of Σ aⱼ zʲ, each as often as its multiplicity.

    Multiple roots are split off by exact division, p/gcd(p, p') having each of them once: from
    floats alone a root of multiplicity k would come with one k-th of the digits.

    Args:
        polynomial: The coefficients, lowest first, without symbols. The last is not zero.

    >>> from fractions import Fraction
    >>> sorted(z.real for z in roots_of([Fraction(1, 4), Fraction(-1), Fraction(1)]))
    [0.5, 0.5]
    """
    roots: list[complex] = []
    while len(polynomial) > 1:
        multiple = _common([*polynomial], _derivative(polynomial))
        roots += _simple_roots(_divided(polynomial, multiple)[0])
        polynomial = multiple
    return roots


def _derivative(polynomial: Sequence[Entry]) -> list[Entry]:
    return [j * a for j, a in enumerate(polynomial)][1:]


def _divided(a: Sequence[Entry], b: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return quotient and remainder of two polynomials, the latter without zeros at its end."""
    rest, quotient = [*a], []
    while len(rest) >= len(b):
        factor = rest[-1] / b[-1]
        quotient.append(factor)
        shift = len(rest) - len(b)
        rest = [r - factor * b[i - shift] if i >= shift else r for i, r in enumerate(rest[:-1])]
    while rest and vanishes(rest[-1]):
        rest.pop()
    return quotient[::-1], rest


def _common(a: list[Entry], b: list[Entry]) -> list[Entry]:
    """Return the greatest common divisor of two polynomials."""
    while b:
        a, b = b, _divided(a, b)[1]
    return a


def _simple_roots(polynomial: Sequence[Entry]) -> list[complex]:
    """Return roots that are all different, all at once, by the iteration of Weierstrass."""
    monic = [complex(float(a / polynomial[-1])) for a in polynomial]
    size = 1 + max(map(abs, monic))
    roots = [size * (0.4 + 0.9j) ** k for k in range(len(monic) - 1)]
    for _ in range(SWEEPS):
        for i, z in enumerate(roots):
            value = sum(c * z**j for j, c in enumerate(monic))
            for k, other in enumerate(roots):
                value = value / (z - other) if k != i else value
            roots[i] = z - value
    return [complex(round(z.real, 12) + 0.0, round(z.imag, 12) + 0.0) for z in roots]


@dataclass(frozen=True)
class LinearMultistep(Shown):
    """A method with memory in the general linear form.

        Σⱼ αⱼ θ_{m+j} = h Σ_l β_l f(Σⱼ c_{lj} θ_{m+j}),        j = 0, …, k

    Args:
        alpha: α₀, …, α_k: integers, Fractions, texts such as "1/3", floats, or sympy expressions,
            which may contain symbols. They sum to zero.
        beta: The weights β of the values of f.
        points: The matrix c, with a row for each value of f that sums to one. Without it f is
            evaluated at θ_m, …, θ_{m+k}, as in a linear multistep method.
        name: What to call the method in print.
        starts_at_rest: Whether iterates start from one point, with no velocity, as momentum does.
            Otherwise the first k points are those of an accurate one-step method.

    Raises:
        InvalidMethod: ρ has not the root 1, or has it twice; the last coefficient α_k or the sum
            of β vanishes; a row of ``points`` does not sum to one; the shapes do not fit.

    Example:
        >>> leapfrog = LinearMultistep([-1, 0, 1], [0, 2, 0])
        >>> leapfrog.steps, leapfrog.is_explicit, leapfrog.is_consistent
        (2, True, True)

    References:
        Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, III.2, equation 2.1;
        Hairer, Lubich, Wanner, Geometric Numerical Integration, XV.1.
    """

    alpha: Sequence[Any]
    beta: Sequence[Any]
    points: Sequence[Sequence[Any]] | None = None
    name: str = field(default="linear multistep", compare=False)
    starts_at_rest: bool = False

    @one_warning()
    def __post_init__(self):
        object.__setattr__(self, "alpha", exact_row(self.alpha, "alpha"))
        object.__setattr__(self, "beta", exact_row(self.beta, "beta"))
        points = _unit_matrix(len(self.alpha)) if self.points is None else self.points
        object.__setattr__(self, "points", exact_matrix(points, "points"))
        self._check_shapes()
        self._check_roots()
        self._check_points()

    def _check_shapes(self) -> None:
        columns = len(self.alpha)
        if columns < 2:
            raise InvalidMethod("alpha has one entry; a method has at least two, of θ_m and θ_m+1")
        lengths = [len(row) for row in self.points]
        if lengths != [columns] * len(self.beta):
            raise InvalidMethod(
                f"there are {columns} coefficients alpha, {len(self.beta)} coefficients beta and "
                f"{len(lengths)} points with {lengths} weights; each beta needs a point with "
                f"{columns} weights, and without points there are as many beta as alpha"
            )

    def _check_roots(self) -> None:
        if not vanishes(sum(self.alpha)):
            raise InvalidMethod(
                f"the coefficients alpha sum to {sum(self.alpha)}, so 1 is no root of the "
                f"polynomial rho; their sum must be 0{_exactly(sum(self.alpha))}"
            )
        if vanishes(self.slope):
            raise InvalidMethod(
                "1 is a double root of the polynomial rho: the sum of j*alpha[j] is 0; it must be "
                "another number for the method to follow a differential equation"
            )
        if vanishes(self.alpha[-1]):
            raise InvalidMethod("the last entry of alpha is 0; it belongs to the new iterate")

    def _check_points(self) -> None:
        for i, row in enumerate(self.points):
            if not vanishes(sum(row) - 1):
                exactly = _exactly(sum(row) - 1)
                raise InvalidMethod(f"points[{i}] sums to {sum(row)}; it must sum to 1{exactly}")
        if vanishes(sum(self.beta)):
            raise InvalidMethod("the coefficients beta sum to 0, so the method does not move")

    @property
    def steps(self) -> int:
        """The number k of iterates from which the next one is made."""
        return len(self.alpha) - 1

    @property
    def slope(self) -> Entry:
        """The number ρ'(1) = Σ j αⱼ."""
        return sum(j * alpha for j, alpha in enumerate(self.alpha))

    @property
    def is_explicit(self) -> bool:
        """Whether f is evaluated at known iterates only."""
        return all(
            row[-1] == 0 or weight == 0 for row, weight in zip(self.points, self.beta, strict=True)
        )

    @property
    def is_consistent(self) -> bool:
        """Whether σ(1) = ρ'(1), so that the flow of f itself is followed to first order.

        Momentum is not consistent in this sense: with β it follows f/(1-β).
        """
        return vanishes(sum(self.beta) - self.slope)

    @property
    def is_classical(self) -> bool:
        """Whether f is evaluated at the iterates themselves, so that σ has the coefficients β."""
        return self.points == _unit_matrix(len(self.alpha))

    @property
    def entries(self) -> Iterator[Entry]:
        """All numbers of the table."""
        return chain(self.alpha, self.beta, *self.points)

    @property
    def symbols(self) -> frozenset:
        """The symbols in the table."""
        return symbols_of(self.entries)

    def recurrence_over(self, number: Callable[[Entry], Any]) -> MemoryRule:
        """Return the rule ``rule(history, f, h)`` that makes the next state from the last k, the
        oldest first, with the entries of the table converted by ``number``, such as ``float``.

        >>> HeavyBall(0.5).recurrence_over(float)([1.0, 0.75], lambda x: -x, 0.25)
        0.4375
        """
        return self._recurrence(number, self.beta)

    def _recurrence(self, number: Callable, beta: Sequence[Entry]) -> MemoryRule:
        points = [[number(entry) for entry in row] for row in self.points]
        return linear_multistep(list(map(number, self.alpha)), list(map(number, beta)), points)

    def started_at_rest(self, theta: Any, f: Callable, h: Any, number: Callable) -> list:
        """Return the first k states of a start from ``theta`` with no velocity: before it all
        states were the same, and no force f was acting.

        >>> Nesterov(0.5, "parameters").started_at_rest(1.0, lambda x: -x, 0.1, float)
        [1.0, 0.85]
        """
        states = [theta] * self.steps
        for m in range(1 - self.steps, 0):
            last = (max(j for j, entry in enumerate(row) if entry != 0) for row in self.points)
            beta = [b if m + j >= 0 else Fraction(0) for b, j in zip(self.beta, last, strict=True)]
            states.append(self._recurrence(number, beta)(states[-self.steps :], f, h))
        return states[-self.steps :]

    def characteristic_roots(self) -> tuple[complex, ...]:
        """Return the roots of ρ, the root 1 first, then the others from the largest on.

        >>> LinearMultistep([-1, 0, 1], [0, 2, 0]).characteristic_roots()
        ((1+0j), (-1+0j))

        Raises:
            InvalidMethod: The table contains symbols.
        """
        if symbols_of(self.alpha):
            raise InvalidMethod(
                f"the roots depend on {', '.join(sorted(map(str, symbols_of(self.alpha))))}; "
                f"give values first, method.subs({{symbol: value}})"
            )
        # Without the root 1: the coefficients of ρ(z)/(z - 1) are sums of those of ρ.
        quotient = [sum(self.alpha[j + 1 :]) for j in range(self.steps)]
        return (1 + 0j, *sorted(roots_of(quotient), key=lambda z: (-abs(z), z.real, z.imag)))

    def subs(self, values: Mapping) -> LinearMultistep:
        """Return the same method with symbols, or those of some names, replaced by values."""
        values = values_of(values, self.symbols)

        def row(entries, where):
            return [with_values(x, values, f"{where}[{i}]") for i, x in enumerate(entries)]

        points = [row(weights, f"points[{i}]") for i, weights in enumerate(self.points)]
        return LinearMultistep(
            row(self.alpha, "alpha"),
            row(self.beta, "beta"),
            points,
            name_with_values(self.name, values),
            self.starts_at_rest,
        )

    def show(self) -> list[Block]:
        """Return Σ αⱼ θ_{m+j} = h Σ β_l f(Σ c_{lj} θ_{m+j})."""
        left = sum_latex((a, _iterate(j)) for j, a in enumerate(self.alpha))
        slopes = []
        for weight, row in zip(self.beta, self.points, strict=True):
            point = sum_latex((c, _iterate(j)) for j, c in enumerate(row))
            slopes.append((weight, rf"f\left({point}\right)"))
        return [Text(str(self)), Formula(rf"{left} = h \left({sum_latex(slopes)}\right)")]

    def __str__(self) -> str:
        return visible(self.name)


def _exactly(difference: Entry) -> str:
    """Return what to say of a sum that is right but for rounding, which would leave no flow."""
    if not is_nearly_zero(difference):
        return ""
    return (
        f" exactly, and is off by {float(difference):.2g}: give fractions, or texts such as '1/3'"
    )


def _unit_matrix(size: int) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(Fraction(i == j) for j in range(size)) for i in range(size))


def HeavyBall(beta: Any) -> LinearMultistep:
    """Return Polyak's heavy ball, θ_{m+1} = θ_m + β (θ_m - θ_{m-1}) + h f(θ_m).

    This is PyTorch's SGD with ``momentum=β``. It follows f/(1-β).

    Raises:
        InvalidMethod: β is 1, or no number.

    >>> HeavyBall(0.9).slope
    Fraction(1, 10)
    """
    beta = _momentum(beta)
    return LinearMultistep(
        (beta, -1 - beta, 1), (1,), ((0, 1, 0),), _name("heavy ball", beta), True
    )


SEQUENCES = ("theta", "parameters")
"""The two sequences of Nesterov's method."""


def Nesterov(beta: Any, sequence: str = "theta") -> LinearMultistep:
    """Return Nesterov's accelerated gradient method, for one of its two sequences.

    Args:
        beta: The momentum β.
        sequence: "theta" for the iterates θ_m, "parameters" for the points y_m at which PyTorch
            (SGD with ``nesterov=True``) holds the parameters and takes gradients:

            y_m = θ_m + β (θ_m - θ_{m-1}),        θ_{m+1} = y_m + h f(y_m),
            y_{m+1} = y_m + β (y_m - y_{m-1}) + h ((1+β) f(y_m) - β f(y_{m-1})).

    Raises:
        InvalidMethod: ``sequence`` is neither, or β is 1 or no number.

    >>> Nesterov(0.9).points
    ((Fraction(-9, 10), Fraction(19, 10), Fraction(0, 1)),)
    >>> Nesterov(0.9, sequence="parameters").beta
    (Fraction(-9, 10), Fraction(19, 10), Fraction(0, 1))
    """
    beta = _momentum(beta)
    alpha = (beta, -1 - beta, 1)
    if one_of(sequence, SEQUENCES, "sequence") == "theta":
        name = _name("Nesterov's method", beta)
        return LinearMultistep(alpha, (1,), ((-beta, 1 + beta, 0),), name, True)
    name = _name("Nesterov's method for the parameters", beta)
    return LinearMultistep(alpha, (-beta, 1 + beta, 0), None, name, True)


def _name(name: str, beta: Entry) -> str:
    return name if str(beta) == "beta" else name_with_values(name, {"beta": beta})


def _momentum(beta: Any) -> Entry:
    beta = exact(beta, "beta")
    if not is_expression(beta) and beta == 1:
        raise InvalidMethod("beta is 1; it must be another number, or the method never settles")
    return beta


def _iterate(j: int) -> str:
    return rf"\theta_{{m+{j}}}" if j else r"\theta_{m}"
