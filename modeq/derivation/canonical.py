"""When two expressions are one function: polynomials in symbols and functions, multiplied out.

(x - y)² and (y - x)², 4u² + 4 and u² + 1 times 4, or sin(a(x - y)) and -sin(a y - a x) look
different to sympy. Here an expression becomes a table of monomials, in which functions count as
symbols and their arguments are treated in the same way, so that equal polynomials are equal tables.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from hashlib import blake2b
from math import gcd, lcm

import sympy

_MAX_PRODUCTS = 5_000
"""Polynomials that take more products of terms than this are compared as they are written."""

_ODD = (
    *(sympy.sin, sympy.tan, sympy.asin, sympy.atan, sympy.sinh, sympy.tanh),
    *(sympy.asinh, sympy.atanh, sympy.erf),
)
EVEN = (sympy.cos, sympy.cosh)

_Table = dict[tuple, sympy.Rational]
"""{monomial: coefficient}, a monomial being sorted pairs of a name and an exponent."""


class _TooLong(Exception):
    """A polynomial has too many terms to be multiplied out here."""


@lru_cache(10_000)
def primitive(expression: sympy.Expr) -> tuple[sympy.Rational, Hashable]:
    """Return (c, key) with ``expression`` = c·u: all rational multiples of u have the same key.

    >>> x, y = sympy.symbols("x y")
    >>> one, two = primitive(2 * (x - y) ** 3), primitive(x * (y - x) ** 2 - y * (x - y) ** 2)
    >>> one[1] == two[1], one[0] / two[0]
    (True, 2)
    """
    try:
        table = _table(expression)
    except _TooLong:
        return sympy.S.One, expression
    return _divided(table)


def exponent_of_e(node: sympy.Expr) -> sympy.Expr | None:
    """Return u for exp(u), and a·u for exp(u)^a, or None for anything else.

    >>> x, a = sympy.symbols("x a")
    >>> exponent_of_e(sympy.exp(x) ** a), exponent_of_e(sympy.sin(x))
    (a*x, None)
    """
    if isinstance(node, sympy.exp):
        return node.args[0]
    if node.is_Pow and isinstance(node.base, sympy.exp):
        return node.base.args[0] * node.exp
    return None


def _divided(table: _Table) -> tuple[sympy.Rational, Hashable]:
    """Return content, with the sign of the first coefficient, and what is left."""
    rows = sorted(table.items())
    if not rows:
        return sympy.S.One, ()
    numerators = gcd(*(int(c.p) for _, c in rows))
    content = sympy.Rational(numerators, lcm(*(int(c.q) for _, c in rows)))
    content = content if rows[0][1] > 0 else -content
    return content, tuple((monomial, c / content) for monomial, c in rows)


def _table(node: sympy.Expr) -> _Table:
    if node.is_Rational:
        return {(): node} if node != 0 else {}
    if node.is_Symbol:
        return _named(sympy.srepr(node))
    if node.is_Add:
        return _sum([_table(term) for term in node.args])
    if node.is_Mul:
        return _product([_table(factor) for factor in node.args])
    if node.is_Pow and node.exp.is_Integer and node.exp > 0:
        if node.exp > _MAX_PRODUCTS:
            raise _TooLong
        return _power(_table(node.base), int(node.exp))
    return _function(node)


def _named(name: str, power: int = 1) -> _Table:
    return {((name, power),): sympy.S.One}


def _sum(tables: list[_Table]) -> _Table:
    total: _Table = {}
    for table in tables:
        for monomial, c in table.items():
            total[monomial] = total.get(monomial, 0) + c
    return {monomial: c for monomial, c in total.items() if c != 0}


def _product(tables: list[_Table]) -> _Table:
    result: _Table = {(): sympy.S.One}
    for table in tables:
        if len(result) * len(table) > _MAX_PRODUCTS:
            raise _TooLong
        result = _sum([{_times(m, n): a * b for n, b in table.items()} for m, a in result.items()])
    return result


def _power(table: _Table, exponent: int) -> _Table:
    if len(table) == 1:
        ((monomial, c),) = table.items()
        return {tuple((name, e * exponent) for name, e in monomial): c**exponent}
    half = _power(table, exponent // 2) if exponent > 1 else {(): sympy.S.One}
    return _product([half, half, *([table] * (exponent % 2))])


def _times(m: tuple, n: tuple) -> tuple:
    exponents = dict(m)
    for name, e in n:
        exponents[name] = exponents.get(name, 0) + e
    return tuple(sorted(exponents.items()))


def _function(node: sympy.Expr) -> _Table:
    """Return a function as one name, times a number: what its argument has of signs and factors."""
    u = exponent_of_e(node)
    if u is not None:
        return _named(_name("exp", _table(u)))
    if node.is_Pow and node.exp.is_Rational and not node.base.is_Rational:
        return _root(node.base, node.exp)
    if isinstance(node, _ODD + EVEN):
        table = _table(node.args[0])
        sign = -1 if _divided(table)[0] < 0 else 1
        name = _named(_name(type(node).__name__, _scaled(table, sign)))
        return _scaled(name, sign) if isinstance(node, _ODD) else name
    if (node.is_Function or node.is_Pow) and all(isinstance(u, sympy.Expr) for u in node.args):
        return _named(_name(type(node).__name__, *map(_table, node.args)))
    return _named(sympy.srepr(node))


def _root(base: sympy.Expr, exponent: sympy.Rational) -> _Table:
    table = _table(base)
    content, _ = _divided(table)
    if content < 0 and not exponent.is_Integer:
        content = -content
    name = _name(f"root {exponent.q} {exponent > 0}", _scaled(table, 1 / content))
    return _product([_table(content**exponent), _named(name, abs(int(exponent.p)))])


def _scaled(table: _Table, factor: sympy.Rational) -> _Table:
    return {monomial: c * factor for monomial, c in table.items()}


def _name(function: str, *arguments: _Table) -> str:
    rows = [sorted(table.items()) for table in arguments]
    return f"{function} {blake2b(repr(rows).encode(), digest_size=20).hexdigest()}"
