"""Sums, products, powers and functions in sympy's own form, but without its questions.

Whenever sympy makes a product or a sum, it makes every power in it again, and asks whether its base
is finite, real or positive. For nested functions of symbols without assumptions the answer takes
seconds, and is always that this is unknown. The functions here apply the rules that hold without an
answer, and leave to sympy only what it knows at once.
"""

from collections.abc import Iterable, Mapping
from functools import cmp_to_key

import sympy
from sympy import Add, Expr, Mul, Pow, Rational, Symbol

from modeq.losses.grammar import FUNCTIONS

_ODD = {"sin", "tan", "asin", "atan", "arcsin", "arctan", "sinh", "tanh", "asinh", "atanh", "erf"}
_EVEN = {"cos", "cosh"}
_ORDER = cmp_to_key(sympy.Basic.compare)  # of the arguments of sums and products


def added(coefficients: Mapping[Expr, Rational]) -> Expr:
    """Return the sum of terms with coefficients; sympy would make all powers in it again.

    >>> x, y = sympy.symbols("x y")
    >>> added({y: Rational(-1), x**2: Rational(3), sympy.S.One: Rational(1, 2)})
    3*x**2 - y + 1/2
    """
    terms = [_term(c, rest) for rest, c in coefficients.items() if rest != 1 and c != 0]
    ordered = sorted(terms, key=_ORDER)
    number = coefficients.get(sympy.S.One, sympy.S.Zero)
    if number != 0 or not ordered:
        ordered.insert(0, number)
    return Add(*ordered, evaluate=False) if len(ordered) > 1 else ordered[0]


def _term(coefficient: Rational, rest: Expr) -> Expr:
    if rest.is_Add and coefficient != 1:
        return Mul(coefficient, rest, evaluate=False)
    return multiplied([coefficient, rest])


def multiplied(factors: Iterable[Expr]) -> Expr:
    """Return a product; sympy would make all powers in it again and ask whether they are finite.

    >>> x, y = sympy.symbols("x y")
    >>> multiplied([x + y, sympy.Integer(3), 1 / x, y, x + y])
    3*y*(x + y)**2/x
    """
    parts = [part for factor in factors for part in Mul.make_args(factor)]
    constants = [part for part in parts if part.as_base_exp()[0].is_Rational]
    others = [part for part in parts if not part.as_base_exp()[0].is_Rational]
    collected = _collected(others)
    if len(collected) < len(others):
        return multiplied([*constants, *collected])
    constant = Mul(*constants)
    if len(others) == 1 and others[0].is_Add and constant.is_Rational:
        terms = [term.as_coeff_Mul() for term in others[0].args]
        return added({rest: constant * number for number, rest in terms})
    number, rest = constant.as_coeff_Mul()
    ordered = sorted([part for part in (*Mul.make_args(rest), *others) if part != 1], key=_ORDER)
    if number == 0:
        return number
    if number != 1 or not ordered:
        ordered.insert(0, number)
    return Mul(*ordered, evaluate=False) if len(ordered) > 1 else ordered[0]


def _collected(parts: list[Expr]) -> list[Expr]:
    """Return the factors of a product with equal bases drawn together, as far as sympy does."""
    exponents: dict[tuple[Expr, Expr], Rational] = {}
    for part in parts:
        base, exponent = part.as_base_exp()
        number, rest = exponent.as_coeff_Mul()
        exponents[base, rest] = exponents.get((base, rest), 0) + number
    if len(exponents) == len(parts):
        return parts
    return [raised(base, number * rest) for (base, rest), number in exponents.items()]


def raised(base: Expr, exponent: Expr) -> Expr:
    """Return a power; sympy would ask much, even where it has no other form of it.

    >>> x, y = sympy.symbols("x y")
    >>> raised(x + y, Rational(1, 2)), raised(x**3, Rational(2)), raised(x, 1 / sympy.log(x))
    (sqrt(x + y), x**6, E)
    """
    if base is sympy.E:
        return applied("exp", exponent)
    if base.is_number or exponent in (0, 1):
        return Pow(base, exponent)
    if exponent.is_Integer and base.is_Mul:
        return multiplied([raised(factor, exponent) for factor in base.args])
    if exponent.is_Integer and base.is_Pow:
        return raised(base.args[0], multiplied([exponent, base.args[1]]))
    if exponent.is_Integer and isinstance(base, sympy.exp):
        return applied("exp", multiplied([exponent, base.args[0]]))
    is_whole = isinstance(base, Add | Symbol | sympy.Function) and not isinstance(base, sympy.exp)
    return Pow(base, exponent, evaluate=not is_whole or exponent.has(sympy.log))


def applied(name: str, u: Expr) -> Expr:
    """Return name(u), without sympy where it would find nothing to simplify.

    >>> x, y = sympy.symbols("x y")
    >>> applied("sin", -x - y), applied("sin", x + sympy.pi), applied("exp", 2 * sympy.log(x))
    (-sin(x + y), -sin(x), x**2)
    """
    if name == "exp":
        return sympy.exp(u, evaluate=u.is_number or u.has(sympy.log))
    has_pi = any(sympy.pi in Mul.make_args(term) for term in Add.make_args(u))
    if u.is_number or has_pi or not u.is_Add:
        return FUNCTIONS[name](u)
    return _signed(name, u, u.could_extract_minus_sign())


def unsimplified(name: str, u: Expr) -> Expr:
    """Return name(u), with a minus sign drawn out if most terms of u have one.

    >>> x = sympy.Symbol("x")
    >>> unsimplified("cosh", -x), unsimplified("tanh", -x), unsimplified("sin", sympy.asin(x))
    (cosh(x), -tanh(x), sin(asin(x)))
    """
    coefficients = [term.as_coeff_Mul()[0] for term in Add.make_args(u)]
    negative = [number for number in coefficients if number < 0]
    return _signed(name, u, 2 * len(negative) > len(coefficients))


def _signed(name: str, u: Expr, has_minus: bool) -> Expr:
    """Return name(u), with the minus sign of u drawn out if the function is odd or even."""
    function = FUNCTIONS[name]
    if not has_minus or name not in _ODD | _EVEN:
        return function(u, evaluate=False)
    value = function(multiplied([sympy.S.NegativeOne, u]), evaluate=False)
    return multiplied([sympy.S.NegativeOne, value]) if name in _ODD else value


def derivative(expression: Expr, x: Symbol) -> Expr:
    """Return ∂/∂x in sympy's form; sympy itself multiplies every factor that is constant by zero,
    and asks for that whether the other factors are finite.

    >>> x, y = sympy.symbols("x y")
    >>> derivative(y * sympy.tanh(x**2 - y) ** 2 / 2, x)
    2*x*y*(1 - tanh(x**2 - y)**2)*tanh(x**2 - y)
    """
    if not expression.has_free(x):
        return sympy.S.Zero
    if expression.is_Add:
        return Add(*(derivative(term, x) for term in expression.args))
    if expression.is_Mul:
        return Add(*_leibniz(expression.args, x))
    if expression.is_Pow and not expression.exp.has_free(x):
        return expression * (derivative(expression.base, x) * expression.exp / expression.base)
    if type(expression).__name__ in FUNCTIONS:
        varying = [i for i, u in enumerate(expression.args) if u.has_free(x)]
        slopes = (expression.fdiff(i + 1) * derivative(expression.args[i], x) for i in varying)
        return Add(*slopes)
    return expression.diff(x)


def _leibniz(factors: tuple[Expr, ...], x: Symbol) -> list[Expr]:
    """Return the terms of the derivative of a product."""
    varying = [i for i, factor in enumerate(factors) if factor.has_free(x)]
    return [Mul(*factors[:i], derivative(factors[i], x), *factors[i + 1 :]) for i in varying]
