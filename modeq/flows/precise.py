"""Many digits: iterates and flows beyond double precision.

gmpy2 does the arithmetic, and mpmath does it for losses with functions that gmpy2 has not. Both
keep their precision to themselves: nothing outside the ``with`` block changes.

The iterates of a method that has no memory, or a table of one, in many digits.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from numbers import Rational
from typing import Any

import gmpy2
import mpmath
import sympy
from sympy.printing.codeprinter import PrintMethodNotImplementedError

from modeq.algebra.power_series import Vector
from modeq.algebra.surds import Surd
from modeq.errors import DidNotConverge, FlowError
from modeq.flows.fields import NumericField
from modeq.losses.digits import to_digits
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method

Number = Any

_GUARD_DIGITS = 5
UNKNOWN = 18
"""Digits where it is not known how small a difference is."""

ROUNDED_BITS = 8
"""How many bits rounding may cost where nothing cancels."""

MAX_GUARDED = 16
"""No program is run with more times the digits that are asked for."""

MAX_COLUMNS = 20
_PATIENCE = 4
"""Over how many columns the change must fall a hundredfold; else the step is halved at once."""

MIN_STEP_FRACTION = Fraction(1, 10_000)


class Precision:
    """Numbers with a given number of digits, and numeric fields over them.

    Args:
        digits: Decimal digits of the arithmetic.
        fields: The fields that will be needed; they decide between gmpy2 and mpmath.

    Example:
        >>> with Precision(30) as precision:
        ...     print(f"{precision.number(Fraction(1, 3)):.30f}")
        0.333333333333333333333333333333
    """

    def __init__(self, digits: int, *fields: NumericField):
        self.digits = digits
        self._stack = contextlib.ExitStack()
        self.bits = int(digits * 3.33) + 8
        self._mpmath = None if all(map(_in_gmpy2, fields)) else mpmath.MPContext()

    def __enter__(self) -> Precision:
        self._stack.enter_context(self.working(self.bits))
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def working(self, bits: int) -> contextlib.AbstractContextManager:
        """Return a ``with`` block in which the arithmetic has so many bits."""
        if self._mpmath is None:
            return gmpy2.context(gmpy2.get_context(), precision=bits)
        return self._mpmath.workprec(bits)

    def number(self, value: Fraction | float | int | Surd | sympy.Expr) -> Number:
        """Return an exact number or a float, rounded to this precision."""
        if isinstance(value, Surd):
            return value.over(self.number, lambda d: self._root(self.number(d)))
        if isinstance(value, sympy.Expr):
            text = str(to_digits(value, self.digits + _GUARD_DIGITS))
            return gmpy2.mpfr(text) if self._mpmath is None else self._mpmath.mpf(text)
        fraction = Fraction(value)
        if self._mpmath is None:
            return gmpy2.mpfr(gmpy2.mpq(fraction.numerator, fraction.denominator))
        return self._mpmath.mpf(fraction.numerator) / fraction.denominator

    def _root(self, number: Number) -> Number:
        return gmpy2.sqrt(number) if self._mpmath is None else self._mpmath.sqrt(number)

    def vector(self, point: Sequence) -> Vector:
        """Return a point as a vector of numbers."""
        return Vector(map(self.number, point))

    def field(self, field: NumericField, h: Number) -> Callable[[Vector], Vector]:
        """Return a numeric field at a fixed h, as a function of points that has all the digits."""
        return _GuardedField(self, self._program(field), h)

    def _program(self, field: NumericField) -> Callable[..., Sequence[Number]]:
        if self._mpmath is None:
            return field.compile("gmpy2", {"gmpy2": gmpy2, "mpq": gmpy2.mpq})
        context = self._mpmath
        names = {"mp": context, "mpq": lambda p, q: context.mpf(p) / q}
        program = field.compile("mpmath", names)

        def real(*arguments: Number) -> Sequence[Number]:
            """Return nan where mpmath goes on with complex numbers, or raises an error."""
            values = [context.nan]
            if is_finite(arguments):
                with contextlib.suppress(ArithmeticError, ValueError):
                    values = program(*arguments)
            return values if is_finite(values) else [context.nan] * (len(arguments) - 1)

        return real


class _GuardedField:
    """A program that is run with more bits than asked for, as many as cancel at the first point."""

    def __init__(self, precision: Precision, program: Callable, h: Number):
        self._precision, self._program, self._h = precision, program, h
        self._bits = 0

    def __call__(self, theta: Vector) -> Vector:
        self._bits = self._bits or self._enough(theta)
        return self._at(theta, self._bits)

    def _at(self, theta: Vector, bits: int) -> Vector:
        with self._precision.working(bits):
            return Vector(self._program(*theta, self._h))

    def _enough(self, theta: Vector) -> int:
        """Return with how many bits the value has those asked for."""
        wanted = bits = self._precision.bits
        # The powers of a number with few digits, such as 1000.5, are exact, those of others not.
        theta = theta * (1 + self._precision.number(Fraction(1, 3 * 2**40)))
        while bits <= MAX_GUARDED * wanted:
            few, many = self._at(theta, bits), self._at(theta, 2 * bits)
            if is_finite(few) and is_finite(many):
                error = norm(few - many) * 2 ** (wanted - ROUNDED_BITS)
                if error <= norm(many):
                    return bits
            bits *= 2
        return wanted


def _in_gmpy2(field: NumericField) -> bool:
    try:
        program = field.compile("gmpy2", {"gmpy2": gmpy2, "mpq": gmpy2.mpq})
        program(*(gmpy2.mpfr(1),) * (field.dimension + 1))
    except (PrintMethodNotImplementedError, AttributeError):
        return False
    except ArithmeticError:
        return True
    return True


def exact_point(point: Sequence) -> list[Fraction]:
    """Return the entries of a point as Fractions; rational ones as they are, the rest as floats.

    >>> exact_point([Fraction(1, 3), 0.5, 2])
    [Fraction(1, 3), Fraction(1, 2), Fraction(2, 1)]
    """
    return [exact_number(x) for x in point]


def exact_number(x: Any) -> Fraction:
    """Return a number as a Fraction: a rational one as it is, others as the float that they are.

    >>> exact_number(0.5), exact_number(sympy.Rational(1, 10))
    (Fraction(1, 2), Fraction(1, 10))
    """
    if isinstance(x, Rational):
        # The integers of NumPy are rational too, and would overflow.
        return Fraction(int(x.numerator), int(x.denominator))
    return Fraction(float(x))


def digits_to_see(size: Number, start: Sequence) -> int:
    """Return how many digits show a difference of a size beside a start, at least eight.

    >>> digits_to_see(mpmath.mpf("1e-30"), [0.5]), digits_to_see(0, [0.5])
    (31, 18)
    """
    scale = 1 + max(abs(float(x)) for x in start)
    return max(8, math.ceil(mpmath.log10(scale / size))) if size else UNKNOWN


def is_finite(vector: Sequence[Number]) -> bool:
    """Tell whether all entries are finite real numbers.

    >>> is_finite([mpmath.mpf(1)]), is_finite([mpmath.nan]), is_finite([mpmath.mpc(1, 1)])
    (True, False, False)
    """
    return all(x.imag == 0 and abs(x) < 10**300 for x in vector)


def norm(vector: Vector) -> Number:
    """Return the largest absolute value of the entries."""
    return max(map(abs, vector))


def flow(rhs: Callable[[Vector], Vector], start: Vector, time: Number, tolerance: Number) -> Vector:
    """Return the solution of θ' = rhs(θ) at ``time``, by extrapolating the midpoint rule.

    Each step is Gragg's rule with 2, 4, 6, … substeps, extrapolated in the square of their size
    until two columns agree to ``tolerance``; steps that do not get there are halved (Hairer,
    Nørsett, Wanner, Solving Ordinary Differential Equations I, II.9).

    Raises:
        FlowError: The solution leaves the domain of the field, or blows up.

    >>> with Precision(30) as p:
    ...     y = flow(lambda y: -1 * y, p.vector([1]), p.number(1), p.number(1e-25))
    ...     print(f"{y[0]:.24f}")  # exp(-1)
    0.367879441171442321595524
    """
    done = 0 * time
    step = time
    state = start
    while done < time:
        step = min(step, time - done)
        following, columns = _extrapolated_step(rhs, state, step, tolerance)
        if following is None:
            step = step / 2
            if step < time * MIN_STEP_FRACTION.numerator / MIN_STEP_FRACTION.denominator:
                raise FlowError(
                    f"the flow cannot be followed beyond t = {float(done):.6g}, at "
                    f"{[float(entry) for entry in state]}: it blows up or leaves the domain"
                )
            continue
        state, done = following, done + step
        if columns < MAX_COLUMNS // 2:
            step = 2 * step
    return state


def _extrapolated_step(rhs, state, step, tolerance) -> tuple[Vector | None, int]:
    """Return the state after a step, or None if the columns do not settle, and their number."""
    row: list[Vector] = []
    changes: list[Number] = []
    for j, value in enumerate(_midpoint_values(rhs, state, step), 1):
        if not is_finite(value):
            return None, j
        new = [value]
        for k, previous in enumerate(row, 1):
            ratio = Fraction(j, j - k) ** 2 - 1
            gain = new[-1] - previous
            new.append(new[-1] + (gain * ratio.denominator) * _inverse(ratio.numerator, step))
        if row:
            changes.append(norm(new[-1] - row[-1]))
            if changes[-1] <= tolerance * (1 + norm(new[-1])):
                return new[-1], j
            if len(changes) > _PATIENCE and changes[-1] > changes[-_PATIENCE] / 100:
                return None, j
        row = new
    return None, MAX_COLUMNS


def _inverse(whole: int, like: Number) -> Number:
    """Return 1/``whole`` in the arithmetic of ``like``."""
    return (like * 0 + 1) / whole


def _midpoint_values(rhs, state, step) -> Iterator[Vector]:
    """Yield the results of Gragg's midpoint rule with 2, 4, 6, … substeps."""
    slope = rhs(state)
    for j in range(1, MAX_COLUMNS + 1):
        substep = step / (2 * j)
        before, now = state, state + substep * slope
        for _ in range(2 * j - 1):
            before, now = now, before + (2 * substep) * rhs(now)
        yield now


_MAX_SWEEPS = 2_000


def precise_iterates(
    method: Method,
    precision: Precision,
    f: PreciseField,
    first: Sequence[Vector],
    h: Number,
    steps: int,
) -> list[Vector]:
    """Return the iterates of the method from its first points on, with many digits.

    Args:
        method: A method that is no optimizer with a rule, without symbols.
        precision: The digits.
        f: The field.
        first: The points that the method starts from.
        h: The learning rate.
        steps: How many steps.

    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> from modeq.flows.fields import gradient_field
    >>> gradient = gradient_field(Loss("x**2/2"))
    >>> with Precision(30, gradient) as p:
    ...     h = p.number(Fraction(1, 10))
    ...     f = PreciseField(p, gradient, h)
    ...     theta = precise_iterates(GradientDescent(), p, f, [p.vector([1])], h, 2)
    >>> print(f"{theta[2][0]:.20f}")
    0.81000000000000000000
    """
    theta = list(first)
    if isinstance(method, LinearMultistep):
        recurrence = method.recurrence_over(precision.number)
        step = lambda: recurrence(theta[-method.steps :], f, h)  # noqa: E731
    else:
        rule = method.rule_over(precision.number)
        step = lambda: rule(theta[-1], f, h)  # noqa: E731
    while len(theta) <= steps:
        theta.append(step())
    return theta


class PreciseField:
    """The field of a loss over many digits: the ``f`` that an update rule is run with."""

    def __init__(
        self,
        precision: Precision,
        gradient: NumericField,
        h: Number,
        parts: Sequence[NumericField] = (),
    ):
        self.parts = tuple(PreciseField(precision, part, h) for part in parts)
        self._f = precision.field(gradient, h)
        self._tolerance = precision.number(Fraction(1, 10 ** (precision.digits - 3)))

    def __call__(self, theta: Vector) -> Vector:
        """Return f at a point."""
        return self._f(theta)

    def flow(self, theta: Vector, time: Number) -> Vector:
        """Return the exact flow of the field for a time that may be negative."""
        tolerance = 10 * self._tolerance
        if time < 0:
            return flow(lambda point: -self._f(point), theta, -time, tolerance)
        return flow(self._f, theta, time, tolerance)

    def fixed_point(self, sweep, start: tuple[Vector, ...]) -> tuple[Vector, ...]:
        """Repeat ``sweep`` until the stages settle; this converges for small h."""
        for _ in range(_MAX_SWEEPS):
            following = sweep(start)
            change = max(norm(a - b) for a, b in zip(following, start, strict=True))
            if change <= self._tolerance * (1 + max(map(norm, following))):
                return following
            start = following
        raise DidNotConverge("the implicit stages were not found; take a smaller h")
