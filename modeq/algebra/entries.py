"""The entries of tables that describe methods: exact, or refused.

An entry is a Fraction, a sum of square roots (``Surd``), or a sympy expression with symbols. This
layer does not import sympy: it knows an expression by its ``free_symbols``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from numbers import Rational
from typing import Any

from modeq.algebra.rationals import RealNumber, as_fraction
from modeq.algebra.surds import Surd, square_root
from modeq.errors import InvalidMethod

MAX_RADICAND = 10_000
"""Roots of larger integers stay sympy's, because surds factor what is under the root."""

Entry = Any
"""A Fraction, a Surd, or a sympy expression."""


def exact(entry: Any, where: str) -> Entry:
    """Return a table's entry as an exact number: integers and Fractions as they are, a float as
    the shortest decimal that rounds to it, and other sympy expressions as they are.

    >>> exact(0.1, "b[0]")
    Fraction(1, 10)
    """
    if isinstance(entry, bool | str):
        raise InvalidMethod(f"{where} is {entry!r}; it must be a number, such as Fraction(1, 2)")
    if isinstance(entry, Surd):
        return entry
    if isinstance(entry, RealNumber):
        if not isinstance(entry, Rational) and not math.isfinite(entry):
            raise InvalidMethod(f"{where} is {entry!r}; it must be finite")
        return as_fraction(entry)
    if is_expression(entry):
        return _exact_expression(entry, where)
    raise InvalidMethod(
        f"{where} is {entry!r}; it must be an integer, a Fraction, a float or a sympy expression"
    )


def is_expression(entry: Any) -> bool:
    """Tell whether an entry is a sympy expression.

    >>> is_expression(Fraction(1, 2))
    False
    """
    is_value = not isinstance(entry, type)  # a function without its argument is a class
    return is_value and hasattr(entry, "free_symbols") and hasattr(entry, "is_comparable")


def _exact_expression(entry: Any, where: str) -> Entry:
    """Return a sympy expression without floats, as a Fraction or a Surd where it is one."""
    if not (entry.is_commutative and hasattr(entry, "as_coefficients_dict")):
        raise InvalidMethod(f"{where} is {entry}; it must be a sympy expression of real numbers")
    is_known = entry.free_symbols or entry.is_comparable
    is_infinite = any(part.is_infinite for part in (entry, *entry.atoms()))
    if is_infinite or not is_known or entry.is_real is False:
        raise InvalidMethod(f"{where} is {entry}; it must be a finite real number")
    floats = [atom for atom in entry.atoms() if atom.is_Float]
    # 0·x + q is q as a sympy number.
    entry = entry.xreplace({x: 0 * entry + _decimal(x) for x in floats})
    if entry.free_symbols:
        return entry
    surd = _as_surd(entry)
    return entry if surd is None else surd


def _decimal(number: Any) -> Fraction:
    """Return the decimal that a sympy float stands for: all its digits if it is no double."""
    return Fraction(repr(float(number)) if number == float(number) else str(number))


def _as_surd(number: Any) -> Fraction | Surd | None:
    """Return a sympy number as a sum of square roots, or None if it is something else."""
    total: Fraction | Surd = Fraction(0)
    for root, factor in number.expand().as_coefficients_dict().items():
        square = root**2
        is_root = root.is_positive and square.is_Integer and square <= MAX_RADICAND
        if not (factor.is_Rational and is_root):
            return None
        total = total + Fraction(int(factor.p), int(factor.q)) * square_root(int(square))
    return total


def exact_row(row: Sequence, where: str) -> tuple[Entry, ...]:
    """Return a row of a table with exact entries.

    >>> exact_row([1, 0.5], "b")
    (Fraction(1, 1), Fraction(1, 2))
    """
    if isinstance(row, str) or not hasattr(row, "__len__"):
        raise InvalidMethod(f"{where} is {row!r}; it must be a sequence of numbers")
    if len(row) == 0:
        raise InvalidMethod(f"{where} is empty; it must have at least one entry")
    return tuple(exact(entry, f"{where}[{i}]") for i, entry in enumerate(row))


def exact_matrix(A: Sequence[Sequence], where: str = "A") -> tuple[tuple[Entry, ...], ...]:
    """Return a matrix of a table with exact entries.

    >>> exact_matrix([[0.25]])
    ((Fraction(1, 4),),)
    """
    if isinstance(A, str) or not hasattr(A, "__len__"):
        raise InvalidMethod(f"{where} is {A!r}; it must be a matrix of numbers")
    return tuple(exact_row(row, f"{where}[{i}]") for i, row in enumerate(A))


def vanishes(entry: Entry) -> bool:
    """Tell whether an entry is zero, for all values of its symbols.

    >>> vanishes(square_root(2) * square_root(2) - 2)
    True
    """
    if entry == 0:
        return True
    return bool(is_expression(entry) and entry.equals(0))


def symbols_of(entries: Iterable[Entry]) -> frozenset:
    """Return the symbols that occur in some entries."""
    return frozenset().union(*(getattr(entry, "free_symbols", ()) for entry in entries))


def values_of(values: Mapping, symbols: Iterable) -> dict:
    """Return {symbol: exact value} from a mapping whose keys are symbols or names.

    Raises:
        InvalidMethod: A key is no symbol of the method.
    """
    known = {symbol.name: symbol for symbol in symbols}
    result = {}
    for key, value in values.items():
        name = getattr(key, "name", key)
        if name not in known:
            raise InvalidMethod(
                f"{name!r} is no symbol of the method; its symbols are: "
                f"{' '.join(sorted(known)) or 'none'}"
            )
        result[known[name]] = exact(value, name)
    return result


def with_values(entry: Entry, values: Mapping, where: str) -> Entry:
    """Return an entry with its symbols replaced by exact values."""
    if not is_expression(entry):
        return entry
    return exact(entry.subs(values, simultaneous=True), where)


def name_with_values(name: str, values: Mapping) -> str:
    """Return the name of a method whose symbols got values.

    >>> name_with_values("heavy ball", {"beta": Fraction(1, 2)})
    'heavy ball with beta = 1/2'
    """
    pairs = sorted(f"{symbol} = {value}" for symbol, value in values.items())
    return f"{name} with {', '.join(pairs)}" if pairs else name
