"""Expressions in modeq's own grammar, so that they can be read back, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import sympy
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from modeq.errors import ParseError
from modeq.losses.grammar import CONSTANTS
from modeq.losses.parse import parse_expression
from modeq.losses.parse import symbol as readable_symbol


class _FormulaPrinter(StrPrinter):
    """Prints in modeq's own grammar, with given names for the symbols."""

    def __init__(self, names: dict[sympy.Symbol, str]):
        super().__init__()
        self.names = names

    def _print_Symbol(self, expr):
        return self.names[expr]

    def _print_Exp1(self, expr):
        return "exp(1)"

    def _print_Mul(self, expr):
        # Each divisor gets a slash of its own: 3*(a + b) in parentheses would be multiplied out,
        # and so would the sign of -(a + b)/c.
        coefficient, rest = expr.as_coeff_Mul(rational=True)
        factors = rest.as_ordered_factors()
        below = [factor for factor in factors if _is_divisor(factor)]
        above = [factor for factor in factors if factor not in below and factor != 1]
        numbers = [str(abs(coefficient.p))] if abs(coefficient.p) != 1 or not above else []
        divisors = [str(coefficient.q)] if coefficient.q != 1 else []
        product = "*".join([*numbers, *map(self._factor, above)])
        quotient = "/".join([product, *divisors, *(self._factor(1 / divisor) for divisor in below)])
        if coefficient.p > 0:
            return quotient
        return f"-1*{quotient}" if quotient.startswith("(") else f"-{quotient}"

    def _factor(self, factor: sympy.Expr) -> str:
        return self.parenthesize(factor, PRECEDENCE["Mul"], strict=True)


def _is_divisor(factor: sympy.Expr) -> bool:
    return factor.is_Pow and factor.exp.is_Rational and factor.exp < 0


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
        return name not in ("pi", "e", *CONSTANTS) and bool(readable_symbol(name))
    except ParseError:
        return False


def formula(expression: sympy.Expr, names: dict[sympy.Symbol, str]) -> str:
    """Return an expression in modeq's grammar, without checking that the grammar has all of it.

    >>> x = sympy.Symbol("x")
    >>> formula(x * sympy.E - x**2, {x: "x"})
    '-x**2 + exp(1)*x'
    """
    return _FormulaPrinter(names).doprint(expression)


def fault(expression: sympy.Expr, names: dict[sympy.Symbol, str]) -> str | None:
    """Return why the text of an expression does not stand for the same expression, or None.

    >>> x, y = sympy.symbols("x y")
    >>> fault(-(x + y) / sympy.sqrt(x * y + 1), {x: "x", y: "y"}) is None
    True
    >>> fault(sympy.factor(2 * x + 2), {x: "x"})
    'its text is read as 2*x + 2, which sympy tells from it'
    """
    symbols = {name: x for x, name in names.items()}
    try:
        found = parse_expression(formula(expression, names), symbols)
    except ParseError as error:
        return error.reason
    return (
        None if found == expression else f"its text is read as {found}, which sympy tells from it"
    )


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
