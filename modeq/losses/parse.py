"""Text to sympy, by an allow-list: no text is ever evaluated.

A formula is read in three passes, and each one trusts only the one before it:

1. a ``Scan`` of our own checks characters, numbers, names, operators and parentheses, so that
   Python's tokenizer never sees anything but arithmetic;
2. ``ast.parse`` finds the structure, and only the node types listed here are read;
3. sympy objects are built from the leaves up. A ``Meter`` bounds whatever sympy does on its own
   (powers of numbers, exp(n*log(u)), ...) before it happens, and inspects its result.
"""

import ast
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sympy
from sympy import Expr, Rational, Symbol

from modeq.checks import shortened
from modeq.errors import InvalidLoss, InvalidValue, ParseError
from modeq.losses.arithmetic import added, applied, multiplied, raised, unsimplified
from modeq.losses.grammar import ARITIES, LIMITS, NOT_SMOOTH, Limits, Scan, fault_of_name
from modeq.losses.meter import Meter
from modeq.losses.objects import Indexed, MatrixElement, entry

_ONE_AT_A_TIME = threading.Lock()
"""In Python 3.11 threads that make syntax trees at once can get in each other's way."""


def parse_expression(
    text: str, symbols: Mapping[str, Symbol] | None = None, limits: Limits = LIMITS
) -> Expr:
    """Return the sympy expression that a text stands for, with exact numbers.

    Read are ``+ - * / **``, parentheses, numbers (0.1 is 1/10), names (symbols without assumptions;
    only ``pi`` is a constant) and calls of smooth functions: exp, log, ln, sqrt, cbrt, pow, sin,
    cos, tan and their inverses and hyperbolic relatives, erf, sigmoid, softplus.

    Args:
        text: The formula. It may come from anyone.
        symbols: Symbols for some of the names; the other names become ``sympy.Symbol(name)``.
        limits: How large the formula may be.

    Raises:
        ParseError: If the text is not such a formula, is too large, or is not finite and real.
        InvalidValue: If ``text`` is not a ``str``.

    >>> parse_expression("(1 - x)**2 + 0.1*beta/sqrt(x)")
    beta/(10*sqrt(x)) + (1 - x)**2
    >>> parse_expression("x^2")
    Traceback (most recent call last):
    modeq.errors.ParseError: write ** for powers, not ^ (column 2)
        x^2
         ^
    """
    if not isinstance(text, str):
        raise InvalidValue(
            f"a formula is a text, not {shortened(text)} of type {type(text).__name__}"
        )
    try:
        return _Builder(Scan(text, dict(symbols or {}), limits)).build()
    except (RecursionError, MemoryError):
        raise ParseError("the formula is nested too deeply", text, 0) from None


def symbol(name: str) -> Symbol:
    """Return the symbol of a name, the same one that ``parse_expression`` makes.

    Args:
        name: A letter, Latin or not, then letters, digits and underscores: at most 50.

    Raises:
        ParseError: If the name is something else, a reserved word, or a function.

    >>> symbol("theta_1") == Symbol("theta_1")
    True
    >>> symbol("lambda")
    Traceback (most recent call last):
    modeq.errors.ParseError: lambda is a reserved word of Python; write lam (column 1)
        lambda
        ^
    """
    if not isinstance(name, str):
        raise InvalidValue(f"a name is a text, not {shortened(name)} of type {type(name).__name__}")
    reason, offset = fault_of_name(name)
    if reason is None and (name in ARITIES or name in NOT_SMOOTH):
        reason = f"{name} is a function, not a variable; choose another name"
    if reason is not None:
        raise ParseError(reason, name, offset)
    return Symbol(name)


def parse_names(
    names: str | Symbol | Iterable[str | Symbol | Indexed],
    symbols: Mapping[str, Symbol] | None = None,
) -> tuple[Symbol, ...]:
    """Return the symbols of a list of names, in the same order.

    Args:
        names: A text such as ``"x y"`` or ``"x, y"``, or a sequence of names, of sympy symbols,
            which are kept as they are, and of entries such as w[1].
        symbols: Symbols for some of the names; the other names become ``sympy.Symbol(name)``.

    Raises:
        ParseError: If a name is not valid.
        InvalidLoss: If a name occurs twice.
        InvalidValue: If an entry is neither a text nor a symbol.

    >>> parse_names("x, y")
    (x, y)
    """
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    elif isinstance(names, Symbol | Indexed | MatrixElement):
        names = (names,)
    elif not isinstance(names, Iterable):
        raise InvalidValue(f"names are a text or a sequence, not {shortened(names)}")
    found = tuple(_symbol_of(name, symbols or {}) for name in names)
    written = [name.name for name in found]
    for index, name in enumerate(written):
        if name in written[:index]:
            raise InvalidLoss(f"the name {name} is given twice; every variable is named once")
    return found


def _symbol_of(name: Any, symbols: Mapping[str, Symbol]) -> Symbol:
    if isinstance(name, Symbol):
        return name
    if isinstance(name, Indexed | MatrixElement):
        return entry(name)
    return symbols[name] if isinstance(name, str) and name in symbols else symbol(name)


def _literal(text: str) -> Rational:
    """Return the exact value of a number's text.

    >>> _literal("2.50e-1")
    1/4
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent or 0) - len(decimals)
    return Rational(int(whole + decimals) * 10 ** max(power, 0), 10 ** max(-power, 0))


class _Builder:
    """The other passes: builds a scanned text from the leaves up, and meters every step."""

    def __init__(self, scan: Scan):
        self.scan = scan
        self.meter = Meter(scan.text, scan.limits)
        self.columns: list[int] = []

    def build(self) -> Expr:
        """Return the expression of the whole text, read piece by piece at its top-level signs."""
        cuts = self.scan.cuts
        terms = []
        for start, end in zip(cuts, [*cuts[1:], len(self.scan.text)], strict=True):
            minus = start >= 0 and self.scan.text[start] == "-"
            terms += self._terms(self._tree(start + 1, end), minus)
        return self._sum(terms, 0)

    def _tree(self, start: int, end: int) -> ast.expr:
        source = "(" + re.sub(r"\s", " ", self.scan.text[start:end]) + ")"
        self.columns = [start - 1 + i for i, c in enumerate(source) for _ in c.encode()]
        try:
            with _ONE_AT_A_TIME:
                return ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            reason = "the formula is too long in one place; write it in smaller parts"
            self.scan.fail(reason, start)

    def _at(self, node: ast.expr) -> int:
        """Return the index of a node in the text; ``ast`` counts the bytes of a piece."""
        return self.columns[node.col_offset]

    def _expr(self, node: ast.expr) -> Expr:
        """Return the expression of one node; no other node type is read."""
        at = self._at(node)
        self.meter.spend(1, at)
        match node:
            case ast.Constant():
                end = self.columns[node.end_col_offset - 1] + 1
                return self.meter.checked(_literal(self.scan.text[at:end]), at)
            case ast.Name():
                return self.meter.checked(self._name(node.id), at)
            case ast.UnaryOp(op=ast.USub()):
                return self._product([sympy.S.NegativeOne, self._expr(node.operand)], at)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._expr(node.operand)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._sum(self._terms(node), at)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._product(self._factors(node), at)
            case ast.BinOp(op=ast.Pow()):
                power = self._expr(node.right)
                self._refuse_e(node.left, power, at)
                return self._power(self._expr(node.left), power, at, self._at(node.right))
            case ast.Call(func=ast.Name(), keywords=[]):
                return self._call(node.func.id, node.args, at)
            case _:
                raise ParseError("this is not part of a formula", self.scan.text, at)

    def _name(self, name: str) -> Expr:
        if name in self.scan.symbols:
            return self.scan.symbols[name]
        return sympy.pi if name == "pi" else symbol(name)

    def _refuse_e(self, base: ast.expr, power: Expr, at: int) -> None:
        is_e = isinstance(base, ast.Name) and base.id == "e" and "e" not in self.scan.symbols
        if is_e and not power.is_number:
            self.scan.fail("write exp(u) for e**u; a variable e is named by variables=", at)

    def _terms(self, node: ast.expr, minus: bool = False) -> list[Expr]:
        """Return the terms of a sum, without recursion along it; ``minus`` negates the first."""
        terms = []
        for is_minus, operand in _chain(node, ast.Add, ast.Sub):
            term = self._expr(operand)
            if is_minus != (minus and not terms):
                term = self._product([sympy.S.NegativeOne, term], self._at(operand))
            terms.append(term)
        return terms

    def _factors(self, node: ast.expr) -> list[Expr]:
        factors = []
        for is_divisor, operand in _chain(node, ast.Mult, ast.Div):
            factor, at = self._expr(operand), self._at(operand)
            if is_divisor:
                factor = self._power(factor, sympy.S.NegativeOne, at, at)
            factors.append(factor)
        return factors

    def _sum(self, terms: list[Expr], at: int) -> Expr:
        return self._made(at, added, self.meter.check_sum(terms, at))

    def _product(self, factors: list[Expr], at: int) -> Expr:
        self.meter.check_product(factors, at)
        return self._made(at, multiplied, factors)

    def _power(self, base: Expr, exponent: Expr, at: int, at_exponent: int) -> Expr:
        self.meter.check_power(base, exponent, at, at_exponent)
        return self._made(at, raised, base, exponent)

    def _made(self, at: int, make: Callable[..., Expr], *args) -> Expr:
        """Return what sympy makes, inspected; its own errors come from numbers of huge powers."""
        try:
            made = make(*args)
        except (ArithmeticError, AttributeError, TypeError):
            self.scan.fail("sympy cannot work out this formula; simplify the numbers here", at)
        return self.meter.checked(made, at)

    def _call(self, name: str, nodes: list[ast.expr], at: int) -> Expr:
        if len(nodes) not in ARITIES[name]:
            wanted = " or ".join(map(str, ARITIES[name]))
            self.scan.fail(f"{name} takes {wanted} argument(s), not {len(nodes)}", at)
        args = [self._expr(node) for node in nodes]
        self.meter.spend_function(args[0], at)
        match name:
            case "pow":
                return self._power(*args, at, self._at(nodes[1]))
            case "sqrt" | "cbrt":
                return self._power(args[0], Rational(1, 2 if name == "sqrt" else 3), at, at)
            case "sigmoid":
                below = self._one_plus_exp(self._product([sympy.S.NegativeOne, *args], at), at)
                return self._power(below, sympy.S.NegativeOne, at, at)
            case "softplus":
                return self._function("log", self._one_plus_exp(args[0], at), at)
            case "log" if len(args) == 2:
                return self._logarithm(*args, at, self._at(nodes[1]))
        return self._function(name, args[0], at)

    def _one_plus_exp(self, u: Expr, at: int) -> Expr:
        return self._sum([sympy.S.One, self._function("exp", u, at)], at)

    def _logarithm(self, u: Expr, base: Expr, at: int, at_base: int) -> Expr:
        """Return log(u)/log(base), which is a fraction for powers of the same number."""
        if u.is_Rational and base.is_Rational and u > 0 and base > 0 and base != 1:
            self.meter.check_root(u, at)
            self.meter.check_root(base, at_base)
            return self._made(at, sympy.log, u, base)
        below = self._power(self._function("log", base, at_base), sympy.S.NegativeOne, at_base, at)
        return self._product([self._function("log", u, at), below], at)

    def _function(self, name: str, u: Expr, at: int) -> Expr:
        if name == "exp" and not u.is_Rational:
            self.meter.check_exp(u, at)
        if not self.meter.is_simple(u):
            return self.meter.checked(unsimplified(name, u), at)
        self.meter.ask(u, at)
        return self._made(at, applied, name, u)


def _chain(node: ast.expr, first: type, second: type) -> list[tuple[bool, ast.expr]]:
    """Return the operands of a chain of two operators, each with whether ``second`` precedes it."""
    operands = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, first | second):
        operands.append((isinstance(node.op, second), node.right))
        node = node.left
    return [(False, node), *reversed(operands)]
