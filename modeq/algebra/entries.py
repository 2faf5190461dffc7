"""The entries of tables that describe methods: exact, or refused.

An entry is a Fraction, a sum of square roots (``Surd``), or a sympy expression with symbols. This
layer does not import sympy: it knows an expression by its ``free_symbols``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from numbers import Rational
from typing import Any

from modeq.algebra.floats import is_float, measure
from modeq.algebra.number_text import MAX_RADICAND, read_number
from modeq.algebra.rationals import as_fraction
from modeq.algebra.surds import Surd, square_root
from modeq.algebra.zeros import is_expression, is_zero
from modeq.checks import shortened
from modeq.errors import InvalidMethod, InvalidValue, ModeqWarning, can_be_written

Entry = Any
"""A Fraction, a Surd, or a sympy expression."""


_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@contextmanager
def one_warning() -> Iterator[None]:
    """Say in one warning what the numbers of a table, that are read inside, are taken for.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     exact_row([1 / 6, 2 / 3, 1 / 6], "b")
    (Fraction(1, 6), Fraction(2, 3), Fraction(1, 6))
    >>> print(caught[0].message)
    b[0] = 0.16666666666666666 is read as 1/6, and 2 more likewise: give fractions, or texts such \
as '1/6' or 'sqrt(3)/6'
    """
    if _notes.get() is not None:
        yield
        return
    notes: list[str] = []
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)
    if notes:
        warn(_summary(notes))


def _summary(notes: Sequence[str]) -> str:
    others = f", and {len(notes) - 1} more likewise" if len(notes) > 1 else ""
    return f"{notes[0]}{others}: give fractions, or texts such as '1/6' or 'sqrt(3)/6'"


def warn(message: str) -> None:
    """Give a ModeqWarning that points at the line of a user."""
    warnings.warn(message, ModeqWarning, stacklevel=_outside())


def _outside() -> int:
    """Return how many frames above its caller the code of a user is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    return level


_INSIDE = ("modeq", "contextlib")


def note(text: str) -> None:
    """Add a sentence to the one warning of a table.

    >>> with one_warning():
    ...     pass
    """
    notes = _notes.get()
    if notes is not None:
        notes.append(text)


MAX_BITS = 10_000
"""The most bits of the numerator and the denominator of a table's entry."""


def _of_rational(entry: Fraction, where: str) -> Fraction:
    bits = max(entry.numerator.bit_length(), entry.denominator.bit_length())
    if bits > MAX_BITS:
        raise InvalidMethod(f"{where} has {bits:,} bits; it must have at most {MAX_BITS:,}")
    return entry


@one_warning()
def exact(entry: Any, where: str) -> Entry:
    """Return a table's entry as an exact number: integers and Fractions as they are, a text such as
    "sqrt(3)/6" as what it says, a float as the number that it stands for, and other sympy
    expressions as they are.

    >>> exact(0.1, "b[0]"), exact("1/6", "b[1]")
    (Fraction(1, 10), Fraction(1, 6))
    """
    if isinstance(entry, Surd):
        return entry
    if isinstance(entry, bool | str):
        return _of_text(entry, where)
    if is_float(entry):
        return _of_float(entry, where)
    if isinstance(entry, Rational):
        return _of_rational(as_fraction(entry), where)
    if is_expression(entry):
        return _exact_expression(entry, where)
    raise InvalidMethod(
        f"{where} is {shortened(entry)}; it must be an integer, a Fraction, a float or a sympy "
        f"expression"
    )


def _of_text(text: bool | str, where: str) -> Entry:
    number = read_number(text) if isinstance(text, str) else None
    if number is None:
        raise InvalidMethod(
            f"{where} is {shortened(text)}; it must be a number, such as Fraction(1, 2)"
        )
    return number


def _of_float(number: Any, where: str) -> Entry:
    """Return what a float stands for, with a note if that is not its decimal."""
    try:
        measured = measure(number, where)
    except InvalidValue as error:
        raise InvalidMethod(str(error)) from None
    found = measured.stands_for()
    if found != measured.decimal:
        note(f"{where} = {number} is read as {found}")
    return found


def _exact_expression(entry: Any, where: str) -> Entry:
    """Return a sympy expression without floats, as a Fraction or a Surd where it is one."""
    if not (entry.is_commutative and hasattr(entry, "as_coefficients_dict")):
        raise InvalidMethod(f"{where} is {entry}; it must be a sympy expression of real numbers")
    for symbol in entry.free_symbols:
        if not can_be_written(symbol.name):
            raise InvalidMethod(
                f"{where} has a symbol {shortened(symbol.name)}, which no file holds: it has "
                f"half a "
                "character (a lone surrogate); give another name"
            )
    is_known = entry.free_symbols or entry.is_comparable
    is_infinite = any(part.is_infinite for part in (entry, *entry.atoms()))
    if not is_known and not is_infinite and is_zero(entry):
        return Fraction(0)
    if is_infinite or not is_known or entry.is_real is False:
        raise InvalidMethod(f"{where} is {entry}; it must be a finite real number")
    floats = [atom for atom in entry.atoms() if atom.is_Float]
    # 0·x + q is q as a sympy number.
    entry = entry.xreplace({x: 0 * entry + _of_float(x, where) for x in floats})
    if entry.free_symbols:
        return entry
    surd = _as_surd(entry)
    return entry if surd is None else surd


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


@one_warning()
def exact_row(row: Sequence, where: str) -> tuple[Entry, ...]:
    """Return a row of a table with exact entries.

    >>> exact_row([1, 0.5], "b")
    (Fraction(1, 1), Fraction(1, 2))
    """
    if isinstance(row, str) or not hasattr(row, "__len__"):
        raise InvalidMethod(f"{where} is {shortened(row)}; it must be a sequence of numbers")
    if len(row) == 0:
        raise InvalidMethod(f"{where} is empty; it must have at least one entry")
    return tuple(exact(entry, f"{where}[{i}]") for i, entry in enumerate(row))


@one_warning()
def exact_matrix(A: Sequence[Sequence], where: str = "A") -> tuple[tuple[Entry, ...], ...]:
    """Return a matrix of a table with exact entries.

    >>> exact_matrix([[0.25]])
    ((Fraction(1, 4),),)
    """
    if isinstance(A, str) or not hasattr(A, "__len__"):
        raise InvalidMethod(f"{where} is {shortened(A)}; it must be a matrix of numbers")
    return tuple(exact_row(row, f"{where}[{i}]") for i, row in enumerate(A))


_NEARLY = 1e-10
"""What is smaller, and not zero, is said to be nearly zero."""


def is_nearly_zero(entry: Entry) -> bool:
    """Tell whether a number is so small that it may be zero but for rounding.

    >>> is_nearly_zero(Fraction(1, 10**12)), is_nearly_zero(Fraction(1, 9))
    (True, False)
    """
    return not symbols_of([entry]) and abs(float(entry)) < _NEARLY


def check_equal(value: Entry, wanted: Entry, what: str, wrong: str) -> None:
    """Refuse a number that is not what it must be, and warn of one that is but for rounding.

    >>> check_equal(Fraction(1, 2), 1, "the sum of b", "b sums to 1/2; it must sum to 1")
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: b sums to 1/2; it must sum to 1

    Raises:
        InvalidMethod: They differ by more than rounding.
    """
    difference = value - wanted
    if vanishes(difference):
        return
    if not is_nearly_zero(difference):
        raise InvalidMethod(wrong)
    warn(
        f"{what} is {wanted} but for {float(difference):.2g}, which is nearly zero: give exact "
        f"values, or atol= where something is decided"
    )


def vanishes(entry: Entry) -> bool:
    """Tell whether an entry is zero, for all values of its symbols; to sixty digits if there is no
    proof.

    >>> vanishes(square_root(2) * square_root(2) - 2)
    True
    """
    return is_zero(entry) is not False


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
                f"{shortened(name)} is no symbol of the method; its symbols are: "
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
