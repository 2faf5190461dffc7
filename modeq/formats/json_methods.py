"""Methods as JSON, with exact numbers, and back.

Numbers are texts such as "-1/2"; roots and expressions with symbols are formulas of modeq's own
grammar, and small, because sympy is asked whether sums of them vanish.

Symbols have their assumptions with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import signature
from typing import Any

import sympy

from modeq.algebra.entries import Entry, exact
from modeq.checks import shortened
from modeq.derivation.derive import ModifiedField
from modeq.errors import InvalidData, ModeqError, ParseError
from modeq.formats.formula import formula, monomial_bound
from modeq.formats.json_values import items, keys, name, rational, short
from modeq.losses.parse import parse_expression
from modeq.methods.collocation import AverageVectorField
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import NAMED_OPTIMIZERS, Method, name_of
from modeq.methods.optimizer import Optimizer
from modeq.methods.tableaux import RungeKutta

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
            f"the symbol {shortened(symbol)} cannot be written; use a sympy.Symbol with a "
            f"printable name"
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


_MAX_ENTRIES = 100
"""How many entries a row or column of a table may have."""

_MAX_OPERATIONS = 200
"""How many operations all formulas with symbols in a method may have together."""

MAX_OPTION = 20
"""The largest number that is an option of an optimizer, such as its inner steps."""

MAX_MONOMIALS = 1_000
MAX_EXPONENT = 6

Names = dict[sympy.Symbol, str]

_RATIONAL = re.compile(r"-?[0-9]+(/[0-9]+)?", re.ASCII)
_KINDS = {
    "Runge-Kutta": ("A", "b"),
    "linear multistep": ("alpha", "beta", "points", "starts_at_rest"),
    "average vector field": (),
    "optimizer": ("optimizer", "parameters", "options"),
}


def method_data(modified: ModifiedField, names: Names) -> dict:
    """Return the method of a modified field as what JSON can hold.

    Raises:
        InvalidData: The method has no table, or a number in it cannot be written.
    """
    method = modified.method
    data = {"kind": _kind(method), "name": method.name}
    if isinstance(method, Optimizer):
        data |= _optimizer_data(method, names)
    else:
        data |= {key: _written(getattr(method, key), names) for key in _KINDS[data["kind"]]}
    new = modified.parameters[len(modified.loss.parameters) :]
    if new:
        data["symbols"] = [symbol_data(symbol, names) for symbol in new]
    found, _ = read_method(data, {x: text for x, text in names.items() if x not in new})
    if found != method:
        raise InvalidData(
            f"a number of the method {method} cannot be written: it is read as another"
        )
    return data


def _kind(method: Method) -> str:
    match method:
        case RungeKutta():
            return "Runge-Kutta"
        case LinearMultistep():
            return "linear multistep"
        case AverageVectorField():
            return "average vector field"
        case Optimizer():
            return "optimizer"
    raise InvalidData(
        f"the method {method} cannot be written: only Runge-Kutta and multistep methods have a "
        f"table that the format holds"
    )


def _optimizer_data(method: Optimizer, names: Names) -> dict:
    """Return a ready optimizer by its name, with the values of its parameters and options."""
    if (written := name_of(method)) is not None:
        parameters = {key: _written(value, names) for key, value in method.parameters}
        return {"optimizer": written, "parameters": parameters, "options": dict(method.options)}
    raise InvalidData(
        f"the method {method} cannot be written: its update rule is code, and none of the "
        f"optimizers of modeq"
    )


def _written(part: Any, names: Names) -> Any:
    """Return a table, a row, a number or a truth value."""
    if isinstance(part, bool):
        return part
    if isinstance(part, tuple):
        return [_written(entry, names) for entry in part]
    return formula(sympy.sympify(part), names)


def read_method(data: Any, names: Names) -> tuple[Method, Names]:
    """Return a method, and the names that formulas have for the symbols of loss and method.

    Args:
        data: What ``method_data`` returned. It may come from anyone.
        names: The names of the symbols of the loss.

    Raises:
        InvalidData: It is no method.
    """
    kind = keys(data, "method", ("kind",), optional=data if isinstance(data, dict) else ())["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(map(repr, _KINDS))
        raise InvalidData(f"method.kind is {short(kind)}; it must be one of {known}")
    keys(data, "method", ("kind", "name", *_KINDS[kind]), optional=("symbols",))
    names = names | read_symbols(data.get("symbols", []), "method.symbols")
    symbols = {written: x for x, written in names.items()}
    if len(symbols) != len(names):
        raise InvalidData("method.symbols: a name is given to two symbols")
    reader = _Reader(symbols)
    try:
        return reader.method(kind, data), names
    except InvalidData:
        raise
    except ModeqError as error:
        raise InvalidData(f"method: {error}") from None


class _Reader:
    """Reads tables, and counts the operations of the formulas in them."""

    def __init__(self, symbols: Mapping[str, sympy.Symbol]):
        self._symbols = symbols
        self._left = _MAX_OPERATIONS

    def method(self, kind: str, data: dict) -> Method:
        called = name(data["name"], "method.name")
        if kind == "Runge-Kutta":
            b = self.row(data["b"], "method.b")
            return RungeKutta(self.matrix(data["A"], "method.A", len(b), len(b)), b, name=called)
        if kind == "average vector field":
            return AverageVectorField(called)
        if kind == "optimizer":
            return self.optimizer(data)
        alpha, beta = (self.row(data[key], f"method.{key}") for key in ("alpha", "beta"))
        points = self.matrix(data["points"], "method.points", len(beta), len(alpha))
        rest = data["starts_at_rest"]
        if not isinstance(rest, bool):
            raise InvalidData(f"method.starts_at_rest is {short(rest)}; it must be a boolean")
        return LinearMultistep(alpha, beta, points, called, rest)

    def optimizer(self, data: dict) -> Optimizer:
        written = data["optimizer"]
        if not isinstance(written, str) or written not in NAMED_OPTIMIZERS:
            known = ", ".join(NAMED_OPTIMIZERS)
            raise InvalidData(f"method.optimizer is {short(written)}; it must be one of {known}")
        make = NAMED_OPTIMIZERS[written]
        taken = signature(make).parameters
        parameters = keys(data["parameters"], "method.parameters", (), optional=taken)
        options = keys(data["options"], "method.options", (), optional=taken)
        for key, value in options.items():
            if key in parameters or not isinstance(value, int) or not 0 <= value <= MAX_OPTION:
                raise InvalidData(f"method.options.{key} is {short(value)}; it cannot be that")
        values = {k: self.entry(v, f"method.parameters.{k}") for k, v in parameters.items()}
        return make(**values, **options)

    def matrix(self, data: Any, where: str, rows: int, columns: int) -> list[list[Entry]]:
        table = items(data, where, length=rows)
        return [self.row(row, f"{where}[{i}]", columns) for i, row in enumerate(table)]

    def row(self, data: Any, where: str, length: int | None = None) -> list[Entry]:
        entries = items(data, where, length, at_most=_MAX_ENTRIES)
        return [self.entry(entry, f"{where}[{i}]") for i, entry in enumerate(entries)]

    def entry(self, data: Any, where: str) -> Entry:
        if not isinstance(data, str) or _RATIONAL.fullmatch(data):
            return rational(data, where)
        try:
            expression = parse_expression(data, self._symbols)
        except ParseError as error:
            raise InvalidData(f"{where}: {error.reason} (column {error.position + 1})") from None
        self._left -= sympy.count_ops(expression) + 1 if expression.free_symbols else 0
        if self._left < 0 or monomial_bound(expression, MAX_MONOMIALS) == MAX_MONOMIALS:
            raise InvalidData(f"{where}: the formulas of the method are too large for a file")
        if not expression.free_symbols <= {*self._symbols.values()}:
            raise InvalidData(f"{where} is {short(data)}; it has a symbol that is not listed")
        if expression.is_Rational or not all(map(_is_simple, sympy.preorder_traversal(expression))):
            raise InvalidData(f"{where} is {short(data)}; it must be a number, or made by + - * /")
        return exact(expression, where)


def _is_simple(node: sympy.Basic) -> bool:
    """Tell whether a node is a sum, a product, a small power, a root of an integer, or a leaf."""
    if node.is_Pow:
        is_root = node.base.is_Integer and node.exp.is_Rational
        is_small = node.exp.is_Integer and abs(node.exp) <= MAX_EXPONENT
        return bool(is_root or (is_small and (node.base.is_Atom or node.base.free_symbols)))
    is_leaf = node.is_Symbol or node.is_Rational or node is sympy.pi
    return bool(node.is_Add or node.is_Mul or is_leaf)
