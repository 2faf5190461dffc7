"""Expressions that people hand in: read, made exact, and refused where they are not smooth."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sympy

from modeq.checks import shortened
from modeq.errors import InvalidLoss, ModeqError, NotSmooth, can_be_written
from modeq.losses.expansion import MAX_DEPTH, depth
from modeq.losses.grammar import short
from modeq.losses.objects import one_formula, refuse_unknown, written_out
from modeq.losses.parse import parse_expression, parse_names

_NOT_SMOOTH = (
    sympy.Abs,
    sympy.Max,
    sympy.Min,
    sympy.sign,
    sympy.floor,
    sympy.ceiling,
    sympy.frac,
    sympy.Mod,
    sympy.Heaviside,
    sympy.DiracDelta,
    sympy.SingularityFunction,
    sympy.KroneckerDelta,
    sympy.Piecewise,
    sympy.re,
    sympy.im,
    sympy.arg,
    sympy.conjugate,
)


def read_expression(thing: Any, given: Sequence[sympy.Symbol] | None = None) -> sympy.Expr:
    """Return an exact, finite, smooth sympy expression from a text, a number or an expression.

    Args:
        thing: A text (parsed by an allow-list, never evaluated), a number or a sympy expression.
            Floats stand for their shortest decimal.
        given: Symbols for some of the names in a text; other names become symbols without
            assumptions.

    Raises:
        InvalidLoss: It is something else, or not finite and real.
        NotSmooth: A function such as abs occurs in it.
        ParseError: The text is not a formula of smooth functions.

    >>> read_expression("x/4"), read_expression(0.1 * sympy.Symbol("x"))
    (x/4, x/10)
    """
    if isinstance(thing, str):
        expression = parse_expression(thing, {x.name: x for x in given or ()})
    else:
        expression = _from_object(thing, {})
    _refuse_unsuitable(expression, expression.free_symbols)
    return expression


def read_expressions(things: Sequence, variables: Any) -> tuple[tuple, tuple, tuple]:
    """Return (expressions, variables, parameters) of what a loss or a field consists of.

    A name stands for one symbol: in texts, and among the names of variables, for that of the
    expressions; and variables that are given as symbols take the place of others of their name.

    Args:
        things: What ``read_expression`` reads.
        variables: What ``parse_names`` reads, or None for all symbols.

    Raises:
        InvalidLoss, NotSmooth, ParseError: As ``read_expression`` and ``split_symbols``.

    >>> x = sympy.Symbol("x", real=True)
    >>> _, variables, _ = read_expressions([x**2, "3*x"], "x")
    >>> variables == (x,)
    True
    """
    owners: dict = {}
    read = [t if isinstance(t, str) else _from_object(t, owners) for t in things]
    own = {x.name: x for e in read if not isinstance(e, str) for x in e.free_symbols}
    given = None if variables is None else parse_names(variables, own)
    _refuse_integers(own.values() if given is None else [own.get(x.name, x) for x in given])
    known = own | {x.name: x for x in given or ()}
    renamed = {x: known[name] for name, x in own.items() if known[name] != x}
    expressions = tuple(
        parse_expression(e, known) if isinstance(e, str) else e.xreplace(renamed) for e in read
    )
    for expression in expressions:
        _refuse_unsuitable(expression, expression.free_symbols if given is None else given)
    return expressions, *split_symbols(expressions, given)


def _refuse_integers(variables: Iterable[sympy.Symbol]) -> None:
    for x in variables:
        if x.is_integer:
            raise InvalidLoss(
                f"the variable {x} is declared an integer, and sympy simplifies by that; variables "
                f"are real numbers: give Symbol({shortened(x.name)}, real=True)"
            )


def _from_object(thing: Any, owners: dict) -> sympy.Expr:
    kind = type(thing).__name__
    try:
        expression = one_formula(sympy.sympify(thing, strict=True))
        if expression is not None:
            return _written_out(expression, owners)
    except ModeqError:
        raise
    except Exception as error:  # of sympy, about an object that is not as it should be
        raise InvalidLoss(
            f"sympy cannot work with this {kind}: {type(error).__name__}; a formula is a text, a "
            f"sympy expression or a number"
        ) from None
    raise InvalidLoss(
        f"a formula must be a text, a sympy expression or a number, not {_shown(thing)} of type "
        f"{kind}"
    )


def _written_out(expression: sympy.Expr, owners: dict) -> sympy.Expr:
    _refuse_deep(expression)
    expression = written_out(expression, owners)
    _refuse_unsuitable(expression, ())
    return expression


def _refuse_deep(expression: sympy.Expr) -> None:
    found = depth(expression)
    if found > MAX_DEPTH:
        raise InvalidLoss(
            f"the expression has {found} functions, sums, products and powers inside each other; "
            f"at most {MAX_DEPTH} are read"
        )


def _shown(thing: Any) -> str:
    """Return how a thing is written, cut if it is long."""
    try:
        return short(repr(thing))
    except Exception:  # an object that cannot show itself
        return "what cannot be printed"


def _refuse_not_finite(expression: sympy.Expr) -> None:
    bad = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)
    found = [x for x in bad if expression.has(x)]
    if found:
        raise InvalidLoss(f"the expression contains {found[0]}; all its numbers must be finite")
    if expression.has(sympy.I):
        raise InvalidLoss(f"the expression {expression} is not real")


def _refuse_unsuitable(expression: sympy.Expr, varying: Collection[sympy.Symbol]) -> None:
    _refuse_deep(expression)
    _refuse_not_finite(expression)
    _refuse_not_smooth(expression)
    refuse_unknown(expression, varying)


def _refuse_not_smooth(expression: sympy.Expr) -> None:
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, _NOT_SMOOTH) or _is_root_of_even_power(node):
            raise NotSmooth(
                f"{node} is not smooth, so it has no counter terms; use a smooth stand-in, such as "
                f"sqrt(u**2 + eps**2) for abs(u) or softplus(u) for max(u, 0)"
            )


def _is_root_of_even_power(node: sympy.Basic) -> bool:
    """Tell whether a node is an odd power of |u|, written as a root of an even power of u.

    >>> x, y = sympy.symbols("x y")
    >>> [_is_root_of_even_power(sympy.sqrt(u)) for u in (x**2 * y, x**6, x**4, (1 + x**2) ** 2)]
    [True, True, False, False]
    """
    if not node.is_Pow or not node.exp.is_Rational or node.exp.is_Integer:
        return False
    powers = [factor for factor in sympy.Mul.make_args(node.base) if factor.is_Pow]
    odd = [p for p in powers if p.exp.is_Integer and p.exp.is_even and (p.exp * node.exp).is_odd]
    return not all(_keeps_its_sign(power.base) for power in odd)


def _keeps_its_sign(u: sympy.Expr) -> bool:
    """Tell whether u is a number, or a polynomial that is seen to be positive or negative."""
    if u.is_number:
        return True
    real = u.xreplace({x: sympy.Dummy(real=True) for x in u.free_symbols})
    # Of other functions sympy may take minutes to find the sign.
    return bool(real.is_polynomial() and (real.is_positive or real.is_negative))


def natural_key(symbol: sympy.Symbol) -> list:
    """Return a sorting key that puts x2 before x10."""
    return [(0, int(s), s) if s.isdecimal() else (1, 0, s) for s in re.split(r"(\d+)", symbol.name)]


def split_symbols(expressions: Iterable, given: tuple | None) -> tuple[tuple, tuple]:
    """Return (variables, parameters); the variables are all symbols unless given.

    Raises:
        InvalidLoss: There is no variable, one is called h, two symbols have one name, or a symbol
            does not stand for a real number.

    >>> x, lam = sympy.symbols("x lam")
    >>> split_symbols([lam * x**2], (x,))
    ((x,), (lam,))
    """
    symbols = set().union(*(expression.free_symbols for expression in expressions))
    variables = tuple(sorted(symbols, key=natural_key)) if given is None else given
    if not variables:
        raise InvalidLoss("there is no variable: the expression is a constant")
    parameters = tuple(sorted(symbols - set(variables), key=natural_key))
    _refuse_unsuitable_symbols((*variables, *parameters))
    return variables, parameters


def _refuse_unsuitable_symbols(symbols: Sequence[sympy.Symbol]) -> None:
    _refuse_unwritable_names(symbols)
    for symbol in symbols:
        if symbol.is_real is False or not symbol.is_commutative:
            raise InvalidLoss(f"the symbol {symbol} does not stand for a real number")
    names = [symbol.name for symbol in symbols]
    if "h" in names:
        raise InvalidLoss("the name h is the learning rate; give the variable or parameter another")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidLoss(f"two different symbols are called {twice[0]!r}; give each its own name")


def _refuse_unwritable_names(symbols: Iterable[sympy.Symbol]) -> None:
    for symbol in symbols:
        if not can_be_written(symbol.name):
            raise InvalidLoss(
                f"the name {shortened(symbol.name)} has half a character (a lone surrogate), "
                f"which no file "
                "holds; give another name"
            )


def constant(thing: Any, variables: Iterable[sympy.Symbol], name: str) -> sympy.Expr:
    """Return an expression, if it does not depend on some variables.

    Args:
        thing: What ``read_expression`` reads.
        variables: The variables; a symbol with the name of one counts as that.
        name: What to call the expression in the error.

    Raises:
        InvalidLoss: It depends on one of them.

    >>> constant("beta/2", sympy.symbols("x y"), "the rate")
    beta/2
    """
    value = read_expression(thing)
    _refuse_unwritable_names(value.free_symbols)
    taken = {x.name for x in variables}
    found = sorted({x for x in value.free_symbols if x.name in taken}, key=natural_key)
    if found:
        raise InvalidLoss(f"{name} is {value}, which depends on the variables {names_of(found)}")
    return value


def listed(things: Any, name: str) -> list:
    """Return several things as a list, but not a text as its letters.

    >>> listed(("x**2", "x**4"), "losses")
    ['x**2', 'x**4']

    Raises:
        InvalidLoss: It is a text, or nothing that holds several things.
    """
    if isinstance(things, str) or not isinstance(things, Iterable):
        raise InvalidLoss(f"{name} are {shortened(things)}; they must be a list")
    return list(things)


def exact_values(values: Mapping | None, parameters: Sequence[sympy.Symbol]) -> dict:
    """Return {parameter: exact value} from a mapping whose keys are symbols or names.

    Raises:
        InvalidLoss: A key is no parameter, or a value is not finite and real.

    >>> exact_values({"lam": 0.1}, sympy.symbols("lam,"))
    {lam: 1/10}
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InvalidLoss(
            f"the values are {shortened(values)}; they must be a mapping, such as {{'a': 1}}"
        )
    known = {x.name: x for x in parameters}
    replacement = {}
    for key, value in values.items():
        name = key.name if isinstance(key, sympy.Symbol) else str(key)
        if name not in known:
            raise InvalidLoss(
                f"{shortened(name)} is not a parameter; the parameters are: "
                f"{names_of(parameters) or 'none'}"
            )
        replacement[known[name]] = read_expression(value)
    return replacement


def names_of(symbols: Iterable[sympy.Symbol]) -> str:
    """Return the names of some symbols, for messages.

    >>> names_of(sympy.symbols("x2 x10"))
    'x2 x10'
    """
    return " ".join(symbol.name for symbol in symbols)
