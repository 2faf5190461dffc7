"""Symbols as JSON, with their assumptions, and back."""

from __future__ import annotations

from typing import Any

import sympy

from modeq.errors import InvalidData
from modeq.presentation.jsondata import items, keys, name, short

MAX_SYMBOLS = 1_000

ASSUMPTIONS = (
    *("real", "positive", "negative", "nonnegative", "nonpositive", "nonzero", "zero"),
    *("integer", "rational", "irrational", "algebraic", "transcendental", "noninteger"),
    *("even", "odd", "prime", "composite", "complex", "finite", "infinite", "imaginary"),
    *("hermitian", "antihermitian", "extended_real", "extended_positive", "extended_negative"),
    *("extended_nonnegative", "extended_nonpositive", "extended_nonzero"),
)
"""What a file may say of a symbol, the most telling first."""


def symbol_data(symbol: sympy.Symbol, names: dict) -> dict:
    """Return name and assumptions of a symbol, and how formulas call it if not by its name."""
    if type(symbol) is not sympy.Symbol or not symbol.name.isprintable():
        raise InvalidData(
            f"the symbol {symbol!r} cannot be written; use a sympy.Symbol with a printable name"
        )
    data: dict[str, Any] = {"name": symbol.name, "assumptions": _assumptions(symbol)}
    if names[symbol] != symbol.name:
        data["written"] = names[symbol]
    return data


def _assumptions(symbol: sympy.Symbol) -> dict[str, bool]:
    """Return the fewest assumptions from which sympy makes an equal symbol.

    >>> _assumptions(sympy.Symbol("h", positive=True))
    {'positive': True}
    """
    known = {key: symbol.assumptions0[key] for key in ASSUMPTIONS if key in symbol.assumptions0}
    for key in reversed(ASSUMPTIONS):
        fewer = {k: value for k, value in known.items() if k != key}
        if sympy.Symbol(symbol.name, **fewer) == symbol:
            known = fewer
    if sympy.Symbol(symbol.name, **known) != symbol:
        raise InvalidData(f"the assumptions on the symbol {symbol} cannot be written")
    return known


def read_symbols(data: Any, where: str) -> dict[sympy.Symbol, str]:
    """Return the symbols of a list, and what formulas call them."""
    entries = items(data, where, at_most=MAX_SYMBOLS)
    names = dict(_read_symbol(entry, f"{where}[{i}]") for i, entry in enumerate(entries))
    if len(names) != len(entries):
        raise InvalidData(f"{where} has a symbol twice")
    return names


def _read_symbol(data: Any, where: str) -> tuple[sympy.Symbol, str]:
    data = keys(data, where, ("name", "assumptions"), optional=("written",))
    own_name = name(data["name"], f"{where}.name")
    assumptions = keys(data["assumptions"], f"{where}.assumptions", (), optional=ASSUMPTIONS)
    for key, value in assumptions.items():
        if not isinstance(value, bool):
            raise InvalidData(f"{where}.assumptions.{key} is {short(value)}; it must be a boolean")
    try:
        symbol = sympy.Symbol(own_name, **assumptions)
    except ValueError:
        raise InvalidData(f"{where}.assumptions contradict each other") from None
    if symbol.is_zero or symbol.is_real is False or symbol.is_finite is False:
        raise InvalidData(f"{where}.assumptions leave no real number but zero")
    return symbol, name(data.get("written", own_name), f"{where}.written")
