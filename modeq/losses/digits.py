"""Many digits of exact expressions, the same in every thread.

sympy evaluates functions such as tanh or erf after setting the precision of mpmath, which all
threads share: another thread may set it in between. Here such functions are evaluated in an
arithmetic of their own, and sympy does the rest, for which it needs no shared precision.
"""

from __future__ import annotations

import mpmath
import sympy
from sympy.core.evalf import evalf_table
from sympy.utilities.lambdify import MPMATH_TRANSLATIONS

_GUARD_DIGITS = 100
"""Digits beyond those asked for, which sums may lose where their terms cancel."""

CACHED_DIGITS = 600


def to_digits(expression: sympy.Expr, digits: int) -> sympy.Expr:
    """Return a constant to some digits, as ``sympy.N`` does.

    What has a function that mpmath does not know, or that is not real, is left to sympy.

    >>> to_digits(1 + sympy.erf(1), 30)
    1.84270079294971486934122063508
    """
    functions = _outermost(expression)
    if not functions:
        return sympy.N(expression, digits)
    found = {node: _function(node, digits + _GUARD_DIGITS) for node in functions}
    return sympy.N(expression.xreplace(found), digits)


def real_context(digits: int) -> mpmath.MPContext:
    """Return a new arithmetic of mpmath with some digits, that nobody else uses.

    >>> real_context(20).mpf(1) / 3
    mpf('0.33333333333333333333347')
    """
    context = mpmath.MPContext()
    context.dps = digits
    return context


def _fill_caches() -> None:
    """Let mpmath compute its constants once, to more digits than are asked for.

    It keeps them with their precision in two variables, and a thread that reads one of them while
    another thread computes more digits would get a wrong number.
    """
    context = real_context(CACHED_DIGITS)
    for name in ("pi", "e", "ln2", "ln10", "euler", "phi", "degree", "catalan"):
        +getattr(context, name)


_fill_caches()


def _outermost(expression: sympy.Expr) -> list[sympy.Function]:
    """Return the functions for which sympy would change mpmath's precision, without those inside
    others.
    """
    found = {}
    walk = sympy.preorder_traversal(expression)
    for node in walk:
        if isinstance(node, sympy.Function) and node.func not in evalf_table:
            found[node] = None
            walk.skip()
    return list(found)


def _function(node: sympy.Function, digits: int) -> sympy.Expr:
    """Return the value of a function of constants, or the function itself, to be left to sympy."""
    context = real_context(digits)
    name = type(node).__name__
    function = getattr(context, MPMATH_TRANSLATIONS.get(name, name), None)
    arguments = [to_digits(argument, digits) for argument in node.args]
    if function is None or not all(x.is_Float or x.is_Rational for x in arguments):
        return node
    try:
        found = function(*(context.mpmathify(x) for x in arguments))
    except (ArithmeticError, ValueError, NotImplementedError):
        return node
    is_real = isinstance(found, context.mpf) and context.isfinite(found)
    return sympy.Float(str(found), digits) if is_real else node
