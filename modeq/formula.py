"""Expressions in modeq's own grammar, so that they can be read back, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import sympy
from sympy.printing.str import StrPrinter

from modeq.errors import ParseError
from modeq.parse import parse_expression
from modeq.parse import symbol as readable_symbol


class _FormulaPrinter(StrPrinter):
    """Prints in modeq's own grammar, with given names for the symbols."""

    def __init__(self, names: dict[sympy.Symbol, str]):
        super().__init__()
        self.names = names

    def _print_Symbol(self, expr):
        return self.names[expr]

    def _print_Exp1(self, expr):
        return "exp(1)"


def written_names(symbols: Sequence[sympy.Symbol]) -> dict[sympy.Symbol, str]:
    """Return a name for each symbol that modeq's grammar reads: its own where that is possible.

    >>> written_names(sympy.symbols("x lambda"))
    {x: 'x', lambda: 's1'}
    """
    taken = {x.name for x in symbols}
    names = {}
    for i, x in enumerate(symbols):
        replacement = f"s{i}"
        while replacement in taken:
            replacement += "_"
        names[x] = x.name if _is_readable(x.name) else replacement
    return names


def _is_readable(name: str) -> bool:
    try:
        return name != "pi" and bool(readable_symbol(name))
    except ParseError:
        return False


def formula(expression: sympy.Expr, names: dict[sympy.Symbol, str]) -> str:
    """Return an expression in modeq's grammar, without checking that the grammar has all of it.

    >>> x = sympy.Symbol("x")
    >>> formula(x * sympy.E - x**2, {x: "x"})
    '-x**2 + exp(1)*x'
    """
    return _FormulaPrinter(names).doprint(expression)


def reads_back(expression: sympy.Expr, names: dict[sympy.Symbol, str]) -> bool:
    """Tell whether the text of an expression is read as the same expression."""
    symbols = {name: x for x, name in names.items()}
    try:
        return parse_expression(formula(expression, names), symbols) == expression
    except ParseError:
        return False


def is_transcendental(node: sympy.Expr) -> bool:
    """Tell whether a node is a generator of its own in a polynomial ring, as exp(x) and 1/x are."""
    is_power = node.is_Pow and not (node.exp.is_Integer and node.exp > 0)
    return is_power or isinstance(node, sympy.Function)


def monomial_bound(expression: sympy.Expr, cap: int) -> int:
    """Return a bound on how many monomials an expression has when expanded, but at most ``cap``.

    >>> x, y = sympy.symbols("x y")
    >>> monomial_bound((x + y + 1) ** 2 * (x + y), 1000)
    12
    """
    if expression.is_Add:
        return min(cap, sum(monomial_bound(term, cap) for term in expression.args))
    if expression.is_Mul:
        product = 1
        for factor in expression.args:
            product = min(cap, product * monomial_bound(factor, cap))
        return product
    if is_transcendental(expression) or not expression.is_Pow:
        return 1
    inner, exponent = monomial_bound(expression.base, cap), int(expression.exp)
    # As many as there are monomials of this degree in ``inner`` letters.
    smaller, larger = sorted((inner - 1, exponent))
    return min(cap, comb(smaller + larger, min(smaller, 20)))
