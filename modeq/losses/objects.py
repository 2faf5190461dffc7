"""sympy's objects as formulas: understood, written out, or refused by name.

A formula consists of numbers, symbols, sums, products, powers and smooth functions. Finite sums and
products, derivatives and substitutions are written out; w[1] and W[1, 2] become the symbols w_1 and
W_1_2; floats become the numbers that they stand for. Whatever else sympy can put into an
expression, modeq would have to guess what it means, and refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache

import sympy
from sympy.core.function import AppliedUndef
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.indexed import Indexed

from modeq.algebra.floats import read_float
from modeq.checks import shortened
from modeq.errors import InvalidLoss
from modeq.losses.expansion import rebuilt
from modeq.losses.grammar import FUNCTIONS

_MAX_TERMS = 10_000
"""The number of terms or factors that are written out."""

MAX_ROOT = 100_000
"""The largest denominator of an exponent."""

_COMPLEX = (sympy.Abs, sympy.sign, sympy.re, sympy.im, sympy.arg, sympy.conjugate)


def one_formula(thing: sympy.Basic) -> sympy.Expr | None:
    """Return an expression, or the only entry of a matrix or an array; None for anything else.

    >>> x = sympy.Symbol("x")
    >>> one_formula(sympy.Matrix([[x**2]])), one_formula(sympy.Matrix([x, x])), one_formula(x > 0)
    (x**2, None, None)
    """
    if isinstance(thing, sympy.MatrixExpr) and thing.shape == (1, 1):
        thing = thing.as_explicit()
    if isinstance(thing, sympy.MatrixBase | sympy.NDimArray):
        if len(entries := sympy.flatten(thing)) != 1:
            return None
        [thing] = entries
    is_formula = isinstance(thing, sympy.Expr) and not isinstance(thing, sympy.MatrixExpr)
    return thing if is_formula else None


def written_out(expression: sympy.Expr, owners: dict[str, sympy.Expr] | None = None) -> sympy.Expr:
    """Return an expression with its finite sums, its derivatives and its entries written out.

    Args:
        expression: What sympy has.
        owners: What each name stands for, in this expression and in others beside it; it grows.

    >>> w, i, x = sympy.IndexedBase("w"), *sympy.symbols("i x")
    >>> written_out(sympy.Sum(w[i] ** 2, (i, 1, 2)) + sympy.Derivative(x**3, x))
    w_1**2 + w_2**2 + 3*x**2
    >>> written_out(sympy.Sum(x**i, (i, 0, sympy.oo)))
    Traceback (most recent call last):
    modeq.errors.InvalidLoss: Sum(x**i, (i, 0, oo)) is not a finite sum ...

    Raises:
        InvalidLoss: A sum has no numbers as limits or too many terms, an entry has no number as
            index, or two things have one name.
    """
    owners = {} if owners is None else owners
    for x in expression.free_symbols:
        if isinstance(x, sympy.Symbol):
            _own(owners, x.name, x)
    while replacement := {node: _WRITTEN[type(node)](node) for node in _outermost(expression)}:
        for node, made in replacement.items():
            if isinstance(node, Indexed | MatrixElement):
                _own(owners, made.name, node)
        expression = expression.xreplace(replacement)
    return _of_real_symbols(_without_floats(expression))


def _own(owners: dict[str, sympy.Expr], name: str, owner: sympy.Expr) -> None:
    other = owners.setdefault(name, owner)
    if other != owner:
        raise InvalidLoss(
            f"two different symbols are called {shortened(name)}, {other} and {owner}; give each "
            f"its own "
            f"name, and each symbol the same assumptions"
        )


def _outermost(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Yield what is to be written out, but not what stands inside of it."""
    walk = sympy.preorder_traversal(expression)
    for node in walk:
        if type(node) in _WRITTEN and not _is_open(node):
            yield node
            walk.skip()


def _is_open(node: sympy.Expr) -> bool:
    """Tell whether a node is the derivative of a function that is not known."""
    is_derivative = isinstance(node, sympy.Derivative | sympy.Subs)
    return is_derivative and node.doit(deep=False).has(sympy.Derivative)


def _sum(node: sympy.Sum) -> sympy.Expr:
    return sympy.Add(*_terms(node, "sum"))


def _product(node: sympy.Product) -> sympy.Expr:
    return sympy.Mul(*_terms(node, "product"))


def _terms(node: sympy.Expr, kind: str) -> list[sympy.Expr]:
    """Return the terms of a sum, or the factors of a product, over its outermost index."""
    inner, (index, first, last) = node.limits[:-1], node.limits[-1]
    if not (first.is_Integer and last.is_Integer) or last < first - 1:
        raise InvalidLoss(
            f"{node} is not a finite {kind} from one number to another; give integers as limits, "
            f"or use .doit()"
        )
    if last - first >= _MAX_TERMS:
        raise InvalidLoss(f"{node} is a {kind} of {last - first + 1} terms; at most {_MAX_TERMS}")
    body = node.func(node.function, *inner) if inner else node.function
    return [body.subs(index, k) for k in range(int(first), int(last) + 1)]


def entry(node: Indexed | MatrixElement) -> sympy.Symbol:
    """Return the symbol of an entry with numbers as indices.

    >>> entry(sympy.IndexedBase("w")[3]), entry(sympy.MatrixSymbol("W", 2, 2)[0, 1])
    (w_3, W_0_1)

    Raises:
        InvalidLoss: An index is not a number at least zero.
    """
    base, *indices = node.args
    if not all(index.is_Integer and index >= 0 for index in indices) or len(base.args) == 0:
        raise InvalidLoss(
            f"{node} is an entry without a number; write Sum(..., (i, 1, 3)) with numbers as "
            f"limits, or w[1]"
        )
    return sympy.Symbol("_".join(map(str, [base.args[0], *indices])))


def _done(node: sympy.Expr) -> sympy.Expr:
    return node.doit(deep=False)


_WRITTEN: dict[type, Callable[..., sympy.Expr]] = {
    sympy.Sum: _sum,
    sympy.Product: _product,
    sympy.Derivative: _done,
    sympy.Subs: _done,
    sympy.UnevaluatedExpr: lambda node: node.args[0],
    Indexed: entry,
    MatrixElement: entry,
}


def _without_floats(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression with exact numbers in place of floats."""
    exponents = {p: p.base ** _meant(p.exp) for p in expression.atoms(sympy.Pow) if p.exp.is_Float}
    if exponents:
        return _without_floats(expression.xreplace(exponents))
    return without_floats(expression)


def _meant(exponent: sympy.Float) -> sympy.Expr:
    """Return the number that a float stands for as an exponent.

    >>> _meant(sympy.Float(1 / 3)), _meant(sympy.Float(0.1))
    (1/3, 1/10)
    """
    return sympy.sympify(read_float(exponent))


def without_floats(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression with each Float as the shortest decimal that rounds to it.

    >>> without_floats(0.1 * sympy.Symbol("x"))
    x/10
    """
    return rebuilt(expression, lambda part: _shortest_decimal(part) if part.is_Float else part)


def _shortest_decimal(number: sympy.Float) -> sympy.Rational:
    text = repr(float(number)) if number._prec == 53 else str(number)
    return sympy.Rational(text)


def _of_real_symbols(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression as sympy has it for real symbols, where that makes a difference.

    >>> x, y = sympy.symbols("x y")
    >>> _of_real_symbols(abs(x) ** 2 + y * sympy.conjugate(y) + abs(x))
    x**2 + y**2 + Abs(x)
    """
    if not expression.has(*_COMPLEX, sympy.adjoint, sympy.transpose):
        return expression
    real = {x: sympy.Dummy(real=True) for x in expression.free_symbols if x.is_real is None}
    return expression.xreplace(real).xreplace({dummy: x for x, dummy in real.items()})


def refuse_unknown(expression: sympy.Expr, varying: Collection[sympy.Symbol]) -> None:
    """Refuse what is no number, symbol, sum, product, power or function that is smooth in some
    symbols.

    Raises:
        InvalidLoss: Something else occurs; it is named.

    >>> x = sympy.Symbol("x")
    >>> refuse_unknown(sympy.Lambda(x, x**2) + x, [x])
    Traceback (most recent call last):
    modeq.errors.InvalidLoss: the Lambda Lambda(x, x**2) is a function, not its value: ...
    """
    seen: set[sympy.Basic] = set()
    walk = sympy.preorder_traversal(expression)
    for node in walk:
        if node in seen:
            walk.skip()
        elif isinstance(node, sympy.Integral):
            _refuse_without_limits(node, varying)
            walk.skip()
        elif _is_open(node):
            walk.skip()
        elif not _is_known(node, varying):
            raise InvalidLoss(f"the {type(node).__name__} {node} {_advice(node)}")
        seen.add(node)


def _is_known(node: sympy.Basic, varying: Collection[sympy.Symbol]) -> bool:
    if isinstance(node, sympy.Pow) and node.exp.is_Rational:
        return node.exp.q <= MAX_ROOT
    if isinstance(node, sympy.Wild) or type(node) is sympy.Idx:
        return False
    if isinstance(node, sympy.Function):
        return isinstance(node, AppliedUndef) or _is_smooth(node, varying)
    known = (sympy.Symbol, sympy.Add, sympy.Mul, sympy.Pow, sympy.Rational, sympy.NumberSymbol)
    return isinstance(node, known)


def _is_smooth(node: sympy.Function, varying: Collection[sympy.Symbol]) -> bool:
    """Tell whether sympy knows the derivatives of a function by the arguments that vary."""
    if node.func.__name__ in FUNCTIONS:
        return True
    for i, argument in enumerate(node.args):
        if not isinstance(argument, sympy.Expr):
            return False
        if not argument.free_symbols.isdisjoint(varying) and not _has_slope(
            node.func, node.args[:i], node.args[i + 1 :]
        ):
            return False
    return True


_ARGUMENT = sympy.Dummy()


@lru_cache(1_000)
def _has_slope(function: type[sympy.Function], before: tuple, after: tuple) -> bool:
    """Tell whether sympy has a formula for a partial derivative."""
    try:
        slope = function(*before, _ARGUMENT, *after).diff(_ARGUMENT)
    except Exception:  # sympy ends in errors of all kinds where it has no derivative
        return False
    return not slope.has(sympy.Derivative)


def _refuse_without_limits(node: sympy.Integral, varying: Collection[sympy.Symbol]) -> None:
    if any(len(limits) == 1 for limits in node.limits):
        raise InvalidLoss(
            f"{node} is an integral without limits, which any constant may be added to; use "
            f".doit(), or give limits"
        )
    refuse_unknown(node.function, varying)


def _advice(node: sympy.Basic) -> str:
    if isinstance(node, sympy.Lambda):
        return "is a function, not its value: call it, as in Lambda(x, x**2)(x)"
    if isinstance(node, sympy.Pow):
        return f"is a root too high to be taken: the exponent has a denominator over {MAX_ROOT}"
    return (
        "is not understood in a formula of numbers, symbols and smooth functions; if sympy can "
        "work it out, use .doit() or .as_explicit()"
    )
