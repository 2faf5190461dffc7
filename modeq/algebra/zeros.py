"""Deciding that an entry, or what is made of entries, is zero.

Rational numbers and surds are zero if they are equal to it. A number made by + - * / and roots is
zero if it is smaller than every such number that is not: for E = U/L with algebraic integers U and
L, u and l bounds of all their conjugates and D the product of the indices of the roots,

    E = 0  or  |E| >= 1/(u^(D-1) l),

where u and l follow from those of the parts (Burnikel, Funke, Mehlhorn, Schirra, Schmitt, A
separation bound for real algebraic expressions, Algorithmica 55 (2009), theorem 1). No minimal
polynomial is needed, and no search. An expression with symbols is zero if all coefficients of its
numerator are. What remains is undecided where sixty digits of it vanish.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

_DIGITS = 60
_MAX_BITS = 100_000
"""No more bits are computed of a number to decide that it is zero."""

Bound = tuple[float, float]
"""Logarithms to base 2 of u and l."""


def is_expression(entry: Any) -> bool:
    """Tell whether an entry is a sympy expression.

    >>> is_expression(Fraction(1, 2))
    False
    """
    is_value = not isinstance(entry, type)  # a function without its argument is a class
    return is_value and hasattr(entry, "free_symbols") and hasattr(entry, "is_comparable")


def is_zero(entry: Any) -> bool | None:
    """Tell whether an entry is zero, for all values of its symbols; None if this is undecided.

    >>> is_zero(Fraction(0)), is_zero(Fraction(1, 10**99))
    (True, False)
    """
    if entry == 0 or not is_expression(entry):
        return bool(entry == 0)
    if not entry.free_symbols:
        return _is_zero_number(entry)
    if not all(x.is_Symbol for x in entry.free_symbols):  # entries of matrices
        return bool(entry.expand() == 0)
    return False if _differs_somewhere(entry) else _is_zero_formula(entry)


def _is_zero_number(number: Any) -> bool | None:
    if _is_surely_not_zero(number.evalf(_DIGITS)):
        return False
    roots: dict[Any, int] = {}
    bound = _bound(number, roots)
    if bound is None:
        return None
    degree = 1
    for index in roots.values():
        degree *= index
    bits = (degree - 1) * bound[0] + bound[1] + 10
    if bits > _MAX_BITS:
        return None
    digits = int(bits * 0.302) + _DIGITS
    value = number.evalf(digits, maxn=digits + _DIGITS).as_real_imag()[0]
    return bool(abs(value) < Fraction(1, 2 ** int(bits)))


def _is_surely_not_zero(value: Any) -> bool:
    """Tell whether a number that sympy computed has digits that are right."""
    real = value.as_real_imag()[0]
    return bool(real.is_Number and real.is_finite and real != 0 and getattr(real, "_prec", 2) > 1)


def _bound(entry: Any, roots: dict[Any, int]) -> Bound | None:
    """Return the logarithms of u and l of a number, or None if it is not made of roots.

    ``roots`` gets the index of each root that occurs.
    """
    if entry.is_Rational:
        return _log2(entry.p), _log2(entry.q)
    if entry.is_Pow and entry.exp.is_Rational:
        return _bound_of_power(entry, roots)
    parts = [_bound(part, roots) for part in entry.args] if entry.is_Add or entry.is_Mul else []
    if not parts or None in parts:
        return None
    over, under = parts[0]
    for u, low in parts[1:]:
        over = over + u if entry.is_Mul else max(over + low, under + u) + 1
        under += low
    return over, under


def _bound_of_power(entry: Any, roots: dict[Any, int]) -> Bound | None:
    """Return the bound of a power whose exponent is rational."""
    inside = _bound(entry.base, roots)
    if inside is None:
        return None
    (u, low), k, times = inside, int(entry.exp.q), int(entry.exp.p)
    if k > 1:
        is_rational = entry.base.is_Rational
        primes = _primes(abs(entry.base.p * entry.base.q)) if is_rational else [entry.base]
        roots.update({(prime, k): k for prime in primes})
        u, low = ((u + (k - 1) * low) / k, low) if u >= low else (u, ((k - 1) * u + low) / k)
    return (u * times, low * times) if times > 0 else (low * -times, u * -times)


def _primes(number: int) -> list[int]:
    """Return the different prime factors of an integer; small ones, and what is left.

    >>> _primes(360)
    [2, 3, 5]
    """
    found, number = [], int(number)
    for prime in range(2, 1_000):
        if number % prime == 0:
            found.append(prime)
            while number % prime == 0:
                number //= prime
    return found if number == 1 else [*found, number]


def _log2(number: int) -> float:
    """Return a bound of log₂ of an integer."""
    return float(abs(int(number)).bit_length())


def _differs_somewhere(entry: Any) -> bool:
    """Tell whether an expression is a number other than zero at a random point."""
    point = {x: (1 + 0 * x) * random.randint(1, 997) / (1009 + 0 * x) for x in entry.free_symbols}
    return _is_surely_not_zero(entry.subs(point, simultaneous=True).evalf(_DIGITS))


def _is_zero_formula(entry: Any) -> bool | None:
    """Tell whether all coefficients of the numerator of a rational function are zero."""
    symbols = sorted(entry.free_symbols, key=str)
    numerator = entry.together().as_numer_denom()[0].expand()
    polynomial = numerator.as_poly(*symbols) if numerator.free_symbols else None
    if polynomial is None:
        return _is_zero_number(numerator) if not numerator.free_symbols else None
    verdicts = [_is_zero_number(x) for x in polynomial.coeffs()]
    return None if None in verdicts else all(verdicts)
