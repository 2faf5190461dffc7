"""A formula with the functions in it that lose digits replaced by those that keep them.

Sums are read first: log(exp(u) + exp(v)), exp(u)/(exp(u) + exp(v)), and c F(u) less c times the
first terms of F's Taylor series, or less the limit of F. Then products: F(u)/uᵐ is a function
without a pole where F begins with uᵐ. What is found is equal to what was there, for all arguments
at which that has a value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import sympy
from sympy import Add, Expr, Mul, Pow, S, default_sort_key

from modeq.flows.stable_functions import (
    ENTIRE,
    LOG1P,
    ODD,
    TANH,
    LogCosh,
    LogSumExp,
    Rest,
    RestOver,
    SechSquared,
    Softmax,
    Tanh,
    Z,
    power_of,
    rest,
    softmax,
    taylor,
    taylor_head,
)
from modeq.losses.arithmetic import derivative
from modeq.losses.loss import Field, Loss

LONGEST_HEAD = 4
"""So many terms of a Taylor series are looked for in a sum."""


def stable_components(field: Field) -> tuple[Expr, ...]:
    """Return the components of a field, of a loss by the gradient of its stable form.

    >>> stable_components(Loss("log(1 + exp(x))"))
    (-Softmax(x, 0),)
    """
    if not isinstance(field, Loss):
        return tuple(map(stable, field.components))
    formula = stable(field.expression)
    if formula == field.expression:
        return tuple(map(stable, field.components))
    return tuple(stable(-derivative(formula, x)) for x in field.variables)


def stable_forces(field: Field) -> tuple[Expr, ...]:
    """Return what an optimizer takes for the components: those, unless there is a schedule.

    >>> stable_forces(Loss("log(1 + exp(x))"))
    (-Softmax(x, 0),)
    """
    if field.forces == field.components:
        return stable_components(field)
    return tuple(map(stable, field.forces))


def stable(expression: Expr) -> Expr:
    """Return a formula that keeps its digits, equal to one that may not.

    >>> from sympy.abc import x, y
    >>> stable(sympy.exp(x) / (1 + sympy.exp(x)) - 1)
    -Softmax(-x, 0)
    >>> stable(y * sympy.sqrt(1 + x) - y)
    y*Rest(Lambda(z, sqrt(z + 1)), 1, x)
    """
    known: dict[Expr, Expr] = {}
    for part in sympy.postorder_traversal(expression):
        if part not in known:
            known[part] = _replaced(part, [known[argument] for argument in part.args])
    return known[expression]


def _replaced(part: Expr, arguments: Sequence[Expr]) -> Expr:
    """Return the stable form of a formula whose arguments have been replaced."""
    if isinstance(part, sympy.Lambda):
        return part
    same = tuple(arguments) == part.args
    made = part if same else part.func(*arguments)
    if not isinstance(made, Expr) or made.is_number:
        return made
    if made.is_Add:
        return _sum(made)
    if made.is_Mul or (made.is_Pow and made.exp.is_number):
        return _product(made)
    if isinstance(made, sympy.tanh):
        return Tanh(*made.args)
    return _logarithm(made.args[0]) if isinstance(made, sympy.log) else made


# Sums of exponentials


def _exponents(total: Expr) -> tuple[Expr, ...] | None:
    """Return u, v, … where an expression is exp(u) + exp(v) + …, with positive factors in them."""
    if not total.is_Add or not total.has(sympy.exp):
        return None
    found = [_exponent(term) for term in total.args]
    return None if None in found else tuple(found)


def _exponent(term: Expr) -> Expr | None:
    factor, product = term.as_coeff_Mul()
    if not factor.is_positive:
        return None
    constant = sympy.log(factor)
    exponents = []
    for part in Mul.make_args(product):
        if part.is_number and part.is_positive:
            exponents.append(sympy.log(part))
        elif isinstance(part, sympy.exp):
            exponents.append(part.args[0])
        else:
            return None
    return Add(constant, *exponents)


def _logarithm(argument: Expr) -> Expr:
    """Return log of an argument."""
    logarithms = {factor: _log_of_factor(factor) for factor in Mul.make_args(argument)}
    known = [value for value in logarithms.values() if value is not None]
    unknown = Mul(*(factor for factor, value in logarithms.items() if value is None))
    if unknown.could_extract_minus_sign():
        known, unknown = [], argument
    number, u = unknown.as_coeff_Add()
    found = Rest(LOG1P, S.One, u) if number == 1 and u != 0 else sympy.log(unknown)
    return Add(*known, found)


def _log_of_factor(factor: Expr) -> Expr | None:
    """Return the logarithm of what is positive for all arguments, without overflow."""
    base, exponent = factor.as_base_exp()
    if isinstance(factor, sympy.exp):
        return factor.args[0]
    if factor.is_number and factor.is_positive:
        return sympy.log(factor)
    if isinstance(base, Softmax) and exponent.is_number:
        u, *others = base.args
        return -exponent * LogSumExp(S.Zero, *(v - u for v in others))
    if isinstance(base, sympy.cosh) and exponent.is_number:
        return exponent * LogCosh(*base.args)
    exponents = _exponents(base)
    return exponent * LogSumExp(*exponents) if exponents and exponent.is_number else None


# Products


def _product(product: Expr) -> Expr:
    """Return a product or power."""
    base, power = product.as_base_exp()
    exponents = _exponents(base) if power.is_number and power.is_negative else None
    if exponents and S.Zero in exponents:
        others = list(exponents)
        others.remove(S.Zero)
        return softmax(S.Zero, others) ** -power
    if exponents:
        return sympy.exp(power * LogSumExp(*exponents))
    product = _with_weights(_with_tanh(product))
    return _in_differences(product) or _over_powers(product)


def _with_tanh(product: Expr) -> Expr:
    """Return a product with sinh(u)/cosh(u) drawn together."""
    for factor, others in _each_factor(product):
        base, power = factor.as_base_exp()
        if isinstance(base, sympy.sinh) and power.is_Integer and power.is_positive:
            [u] = base.args
            below = -sympy.sympify(others.as_powers_dict()[sympy.cosh(u)])
            if below.is_Integer and below.is_positive:
                n = min(power, below)
                return product * sympy.cosh(u) ** n / base**n * Tanh(u) ** n
    return product


def _in_differences(product: Expr) -> Expr | None:
    """Return a product with a difference of exponentials and a weight made one of weights."""
    for difference, others in _each_factor(product):
        base, power = difference.as_base_exp()
        terms = _signed_exponentials(base) if power.is_Integer and power.is_positive else ()
        for weight in _inverse_sums(others) if terms else ():
            weighted = [_with_weights(term * weight) for term in terms]
            if any(term.has(sympy.exp) for term in weighted):
                continue
            found = _sum(Add(*weighted))
            if base.is_Add or not found.is_Add:
                return _product(product / base / weight * found)
    return None


def _signed_exponentials(base: Expr) -> tuple[Expr, ...]:
    """Return the terms of ±exp(u) ± exp(v) ± …, and of exp(u) - 1; none of anything else."""
    if isinstance(base, Rest) and base.args[:2] == (ENTIRE[0], S.One):
        return sympy.exp(base.args[2]), S.NegativeOne
    terms = base.args if base.is_Add and base.has(sympy.exp) else ()
    signed = (-t if t.could_extract_minus_sign() else t for t in terms)
    return terms if all(_exponent(term) is not None for term in signed) else ()


def _inverse_sums(product: Expr) -> Iterator[Expr]:
    """Yield the factors of a product that are 1/(exp(u) + exp(v) + …)."""
    for factor in Mul.make_args(product):
        base, power = factor.as_base_exp()
        if isinstance(base, Softmax) and power.is_Integer and power.is_positive:
            yield base
        elif isinstance(factor, sympy.exp):
            for total in factor.args[0].atoms(LogSumExp):
                yield sympy.exp(-total)


def _with_weights(product: Expr) -> Expr:
    """Return a product with exp(v - u) and the weight of u drawn together to the weight of v."""
    factors = Mul.make_args(product)
    exponent = Add(*(f.args[0] for f in factors if isinstance(f, sympy.exp)))
    if exponent == 0:
        return product
    rest_of_it = Mul(*(f for f in factors if not isinstance(f, sympy.exp)))
    for away, before, after in _weights(exponent, rest_of_it):
        if _terms(exponent - away) < _terms(exponent):
            return _with_weights(rest_of_it / before * after * sympy.exp(exponent - away))
    return rest_of_it * sympy.exp(exponent)


def _weights(exponent: Expr, product: Expr) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Yield (w, a, b) with exp(w) a = b for a factor a of a product, and b a power of a weight."""
    for factor in Mul.make_args(product):
        base, power = factor.as_base_exp()
        if isinstance(base, Softmax) and power.is_Integer and power.is_positive:
            u, *others = base.args
            for v, n in itertools.product(others, _copies(power)):
                remaining = [u, *others]
                remaining.remove(v)
                yield n * (v - u), base**n, softmax(v, remaining) ** n
        if isinstance(base, Rest) and base.args[:2] == (ENTIRE[0], S.One) and power.is_Integer:
            for n in _copies(-power):
                u = base.args[2]
                yield n * u, base**-n, (-rest(*base.args[:2], -u)) ** -n
    for term in Add.make_args(exponent):
        number, total = term.as_coeff_Mul()
        if isinstance(total, LogSumExp) and number.is_negative:
            for i, n in itertools.product(range(len(total.args)), _copies(-number)):
                weight = total.fdiff(i + 1) ** n
                yield n * (total.args[i] - total), S.One, weight


def _copies(power: Expr) -> range:
    return range(int(power), 0, -1)


def _terms(exponent: Expr) -> int:
    return 0 if exponent == 0 else len(Add.make_args(exponent))


def _over_powers(product: Expr) -> Expr:
    """Return a product with F(u)/uᵐ drawn together where F begins with a power of u."""
    for factor, others in _each_factor(product):
        base, count = factor.as_base_exp()
        found = _beginning(base)
        if not found or not count.is_Integer:
            continue
        function, k, u = found
        others, is_below = _in_powers_of(u, others), bool(count < 0)
        kept = {m: others * u ** (m * count) for m in range(1, int(k) + 1)}
        m = min(kept, key=lambda m: (_poles(kept[m]), -m if is_below else m))
        if _poles(kept[m]) < _poles(others) + int(is_below):
            return _over_powers(kept[m]) * RestOver(function, k, S(m), S.Zero, u) ** count
    return product


def _in_powers_of(u: Expr, product: Expr) -> Expr:
    """Return a product in which a factor that is a multiple of u is written as that."""
    return Mul(*(_in_power_of(u, *f.as_base_exp()) for f in Mul.make_args(product)))


def _in_power_of(u: Expr, base: Expr, power: Expr) -> Expr:
    if base.is_Add and u.is_Add and len(base.args) == len(u.args):
        ratio = sympy.cancel(base / u)
        if ratio.is_number:
            return ratio**power * u**power
    return base**power


def _each_factor(product: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Yield each factor of a product with the product of the others."""
    factors = Mul.make_args(product)
    for i, factor in enumerate(factors):
        yield factor, Mul(*factors[:i], *factors[i + 1 :])


def _poles(product: Expr) -> Expr:
    """Return the sum of the powers in the denominator of a product."""
    powers = (factor.as_base_exp() for factor in Mul.make_args(product))
    return Add(*(-e for base, e in powers if e.is_number and e.is_negative and not base.is_number))


def _beginning(base: Expr) -> tuple[sympy.Lambda, Expr, Expr] | None:
    """Return F, k and u of a function F(u) that begins with uᵏ at u = 0."""
    if isinstance(base, Rest):
        return base.args
    if isinstance(base, Tanh):
        return TANH, S.One, base.args[0]
    if isinstance(base, sympy.log):
        return LOG1P, S.One, base.args[0] - 1
    for function in ODD:
        if isinstance(base, function.expr.func):
            return function, S.One, base.args[0]
    return None


# Sums


def _sum(total: Expr) -> Expr:
    """Return a sum with c F(u) less c times the beginning, or the limit, of F drawn together."""
    there = total.as_coefficients_dict()
    for term in total.args:
        for factor, c in _each_factor(term):
            number = -there.get(S.One, S.Zero) / c
            for away, instead in _replacements(factor, number):
                taken = [t for part in Add.make_args(away) for t in Add.make_args(c * part)]
                if all(_is_there(there, part) for part in taken):
                    left, found = total - term + Add(*taken), c * instead
                    found = _product(found) if found.is_Mul else found
                    return (_sum(left) if left.is_Add else left) + found
    return total


def _is_there(there: Mapping[Expr, Expr], term: Expr) -> bool:
    """Tell whether -term is in a sum, a number as a part of the number there."""
    number, key = term.as_coeff_Mul()
    found = -there.get(key, S.Zero)
    return found == number or (key == 1 and found / number > 1)


def _replacements(factor: Expr, number: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Yield (a, b) with factor - a = b where b keeps digits that factor - a loses."""
    if isinstance(factor, Softmax):
        if len(factor.args) == 2:
            u = factor.args[0] - factor.args[1]
            yield Softmax(-u, S.Zero), Tanh(u / 2)
        yield S.One, -Add(*(factor.weight(i) for i in range(1, len(factor.args))))
        if len(factor.args) == 2:
            yield S.Half, Tanh(u / 2) / 2
    elif isinstance(factor, LogSumExp):
        for u in factor.args:
            if u != 0:
                yield u, LogSumExp(*sorted((v - u for v in factor.args), key=default_sort_key))
    elif isinstance(factor, Tanh):
        yield S.One, -2 * Softmax(-2 * factor.args[0], S.Zero)
        yield S.NegativeOne, 2 * Softmax(2 * factor.args[0], S.Zero)
    elif isinstance(factor, sympy.erf):
        yield S.One, -sympy.erfc(*factor.args)
        yield S.NegativeOne, sympy.erfc(-factor.args[0])
    elif factor.is_Pow and isinstance(factor.base, Tanh) and factor.exp == 2:
        yield S.One, -SechSquared(*factor.base.args)
    for function, scale, u in _functions(factor, number):
        for k in _heads(function):
            head = taylor_head(function.expr, k).xreplace({Z: u})
            yield scale * head, scale * rest(function, S(k), u)


@cache
def _heads(function: sympy.Lambda) -> tuple[int, ...]:
    """Return after how many terms the Taylor series goes on with one that is not zero.

    >>> _heads(ENTIRE[2])  # cosine
    (4, 2)
    """
    coefficients = taylor(function.expr, LONGEST_HEAD + 1)
    return tuple(k for k in range(LONGEST_HEAD, 0, -1) if coefficients[k] and any(coefficients[:k]))


def _functions(factor: Expr, number: Expr) -> Iterator[tuple[sympy.Lambda, Expr, Expr]]:
    """Yield F, c, u with factor = c F(u), of powers with c = ``number`` if that can be."""
    for function in ENTIRE:
        if isinstance(factor, function.expr.func):
            yield function, S.One, factor.args[0]
    if isinstance(factor, Rest) and factor.args[1] == 1 and factor.args[0] == LOG1P:
        yield LOG1P, S.One, factor.args[2]
    if isinstance(factor, Pow) and factor.exp.is_Rational and not factor.exp.is_Integer:
        base, exponent = factor.args
        root = number ** (1 / exponent) if number.is_Rational and number > 0 else S.Zero
        start = root if root.is_Rational and root > 0 else base.as_coeff_Add()[0]
        if start.is_positive and base != start:
            yield power_of(exponent), start**exponent, sympy.expand_mul(base / start - 1)
