"""The laws of B-series: composition, inverse, adjoint, substitution, and both directions of
backward error analysis.

In the normalization of `modeq.algebra.series`, for a tree τ with prunings into a subtree s and cut
trees v,

    composition    (b·a)(τ) = a(∅) b(τ) + Σ_s a(s) Π_v b(v),    b is applied first, b(∅) = 1,
    substitution   (b★a)(τ) = Σ a(skeleton) Π b(pieces),        the field b goes into a, b(∅) = 0,

where the second sum is over all ways to contract τ (`modeq.algebra.contractions`). Hairer, Lubich,
Wanner, *Geometric Numerical Integration*, III.1.4 and IX.9; Chartier, Hairer, Vilmart, Found.
Comput. Math. 10 (2010).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gmpy2
import numpy as np

from modeq.algebra.catalog import Catalog
from modeq.algebra.contractions import substitution
from modeq.algebra.entries import warn
from modeq.algebra.logarithm import logarithm
from modeq.algebra.prunings import composition, counts_of, prunings
from modeq.algebra.rationals import exact, plain
from modeq.algebra.residuals import Residuals, nearly
from modeq.algebra.rule_series import run, step_series
from modeq.algebra.series import BSeries, aligned, check_series, exact_flow, identity
from modeq.algebra.structure import first_nonzero
from modeq.checks import check_order
from modeq.errors import InvalidMethod, InvalidValue


def compose(b: BSeries, a: BSeries) -> BSeries:
    """Return the series of B(a, hf, B(b, hf, y)): the map b is applied first.

    If a is the series of a field, the result is that field at the image of b.

    >>> half = scaled(exact_flow(3), 0.5)
    >>> compose(half, half) == exact_flow(3)
    True

    Raises:
        InvalidValue: If b(∅) is not 1, or the series have different numbers of fields.
    """
    b, a = aligned(b, a)
    _check_map(b, "b")
    values = composition(b.catalog, b.array, a.array, a.empty)
    return BSeries.of_array(b.catalog, values, a.empty)


def scaled(a: BSeries, factor: Any) -> BSeries:
    """Return the series with h replaced by ``factor`` h: a(τ) times factor^|τ|.

    >>> print(scaled(exact_flow(1), -1))
    1    y
    h    -f
    h^2  1/2 f'f

    Raises:
        InvalidValue: If the factor is not finite, or no number.
    """
    check_series(a, "a")
    factor = exact(factor)
    if not (a.is_rational and isinstance(factor, gmpy2.mpq)):
        a, factor = a.general(), plain(factor)
    array = a.array.copy()
    scale = factor
    for n in range(1, a.order + 2):
        array[a.catalog.starts[n] : a.catalog.starts[n + 1]] *= scale
        scale = scale * factor
    return BSeries.of_array(a.catalog, array, a.empty)


def inverse(a: BSeries) -> BSeries:
    """Return the series of the inverse map.

    >>> a = exact_flow(4)
    >>> inverse(a) == scaled(a, -1)
    True

    Raises:
        InvalidValue: If a(∅) is not 1.
    """
    _check_map(a, "a")
    return _solved(lambda x: compose(a, x), identity(a.order, a.colors), 1, start=1)


def adjoint(a: BSeries) -> BSeries:
    """Return the series of the adjoint method, Φ*_h = Φ_{-h}^{-1}.

    Hairer, Lubich, Wanner, II.3, Definition 3.1.

    >>> adjoint(exact_flow(4)) == exact_flow(4)
    True

    Raises:
        InvalidValue: If a(∅) is not 1.
    """
    return inverse(scaled(a, -1))


def power(a: BSeries, k: int) -> BSeries:
    """Return the series of k steps of the map a, each with the same h.

    >>> power(exact_flow(2), 3) == scaled(exact_flow(2), 3)
    True

    Raises:
        InvalidOrder: If k is not an integer of at least zero.
        InvalidValue: If a(∅) is not 1.
    """
    _check_map(a, "a")
    result = identity(a.order, a.colors)
    for _ in range(check_order(k)):
        result = compose(result, a)
    return result


def substitute(b: BSeries, a: BSeries) -> BSeries:
    """Return the series b★a: the series a with the field B(b, hf, .) in place of h f.

    >>> b = BSeries({tree: 1 for tree in exact_flow(2)}, order=2)
    >>> substitute(b, exact_flow(2)) == flow(b)
    True

    Raises:
        InvalidValue: If b(∅) is not 0, or there are several fields.
    """
    b, a = aligned(b, a)
    _check_field(b)
    if b.colors > 1:
        raise InvalidValue(
            f"the series have {b.colors} fields; one field can be substituted, several cannot"
        )
    return BSeries.of_array(b.catalog, substitution(b.catalog, b.array, a.array), a.empty)


def flow(b: BSeries) -> BSeries:
    """Return the series of the flow of the field B(b, hf, .)/h for time h, b★e.

    It is 1 + Σ_j D^{j-1} b / j! with the derivative D along the field; D b is what composing with
    the map y + ε b changes, so it is linear in b and costs as much as a composition.

    >>> flow(identity(3).b_plus()) == exact_flow(3)  # the field f itself
    True
    """
    _check_field(b)
    result = identity(b.order, b.colors) + b
    term = b
    for j in range(2, b.order + 2):
        term = derivative(b, term) / j
        result = result + term
    return result


def derivative(b: BSeries, a: BSeries) -> BSeries:
    """Return the series of the derivative of B(a, hf, .) along the field B(b, hf, .).

    (Hairer, Lubich, Wanner, IX.9.1, Lemma 9.1.) Only prunings that cut off one tree count.

    >>> f, flow_of_f = identity(3).b_plus(), exact_flow(3)
    >>> derivative(f, flow_of_f) == flow_of_f.b_plus()  # φ'(y) f(y) = f(φ(y))
    True

    Raises:
        InvalidValue: If the series have different numbers of fields.
    """
    b, a = aligned(b, a)
    trees = b.catalog
    values = a.empty * b.array
    # One cut tree v is the forest [v], a tree with a single child.
    single = (trees.rest >= 0) & (trees.rest < trees.colors)
    for n, order in enumerate(prunings(trees.vertices, trees.colors), 1):
        chosen = np.flatnonzero(single[order.forest])
        cut = trees.child[order.forest[chosen]]
        terms = order.multiplicity[chosen].astype(object) * b.array[cut]
        terms *= a.array[order.subtree[chosen]]
        tree = np.repeat(np.arange(len(order.starts)), counts_of(order))[chosen]
        np.add.at(values, trees.starts[n] + tree, terms)
    return BSeries.of_array(trees, values)


def modified_equation_of(a: BSeries) -> BSeries:
    """Return the field b whose flow is the map a: b★e = a.

    It is the logarithm Σ_k (-1)^{k+1}/k Δᵏ of the map, with compositions for steps.

    >>> print(modified_equation_of(identity(1) + exact_flow(1).b_plus()))  # θ + h f(φ_h(θ))
    h    f
    h^2  1/2 f'f

    Raises:
        InvalidValue: If a(∅) is not 1.
    """
    _check_map(a, "a")
    return logarithm(lambda theta: compose(theta, a), identity(a.order, a.colors), a.order)


def field_with(image: Callable[[BSeries], BSeries], target: BSeries, leading: Any = 1) -> BSeries:
    """Return the field b with image(b) = target: the one solver of backward error analysis.

    With the flow of b as its image, b is the modified equation of the map ``target``; with a
    method applied to b, it is the modifying integrator of the method for that flow.

    Args:
        image: A function whose value at a tree is ``leading`` b(τ), plus what smaller trees give.
        target: The series to reach.
        leading: The coefficient of the image at •, for b = •.

    >>> a = identity(3) + identity(3).b_plus()  # Euler
    >>> field_with(flow, a) == modified_equation_of(a)
    True
    """
    return _solved(image, target, leading, start=0)


def _solved(image: Callable, target: BSeries, leading: Any, start: int) -> BSeries:
    """Return x with image(x) = target and x(∅) = start, one order after another."""
    x = BSeries({}, order=target.order, empty=start, colors=target.colors)
    for order in range(target.order + 1):
        missing = target.cut(order) - image(x.cut(order))
        x = x + _last_order(missing, target.catalog) / leading
    return x


def _last_order(a: BSeries, trees: Catalog) -> BSeries:
    """Return the series of the largest trees alone, with zeros for all others of a catalog."""
    array = np.full(len(trees), a.zero, object)
    array[a.catalog.starts[-2] : len(a)] = a.of_order(a.order + 1)
    return BSeries.of_array(trees, array)


def modifying_integrator_of(a: BSeries) -> BSeries:
    """Return the field b for which the map a gives the exact flow of f: b★a = e.

    Chartier, Hairer, Vilmart, Math. Comp. 76 (2007).

    >>> euler = identity(3) + identity(3).b_plus()
    >>> modifying_integrator_of(euler) == exact_flow(3) - identity(3)  # 1/γ(τ)
    True

    Raises:
        InvalidValue: If a(∅) is not 1.
        InvalidMethod: If a(•) is zero.
    """
    _check_map(a, "a")
    leading = a.array[0]
    if leading == 0:
        raise InvalidMethod("the series has coefficient 0 at •, so the method does not move")
    return field_with(lambda b: substitute(b, a), exact_flow(a.order), leading)


def modifying_integrator_of_rule(rule: Callable, order: int) -> BSeries:
    """Return the field b for which an update rule gives the exact flow of f.

    The rule runs with f replaced by B(b, hf, .)/h, so that a substitution is never needed.

    >>> euler = modifying_integrator_of_rule(lambda theta, f, h: theta + h * f(theta), 3)
    >>> euler == exact_flow(3) - identity(3)  # 1/γ(τ)
    True

    Raises:
        InvalidMethod: If the rule does not return theta plus multiples of f(...), or h enters it
            otherwise than in products h f(...).
    """
    step_series(rule, order)

    def image(b: BSeries) -> BSeries:
        return run(rule, identity(b.order), lambda theta: compose(theta, b))

    return field_with(image, exact_flow(order))


def order_of_accuracy(a: BSeries, *, atol: float = 0) -> int:
    """Return the largest p, at most order + 1, with a(τ) = 1/γ(τ) for all trees with |τ| <= p.

    Residuals up to ``atol`` count as zero. A warning says if the order ends at one that is nearly
    zero, or if some are only known to be zero to sixty digits.

    >>> order_of_accuracy(identity(5) + identity(5).b_plus())
    1

    Raises:
        InvalidValue: If a(∅) is not 1, or ``atol`` is no finite number of at least zero.
    """
    _check_map(a, "a")
    missing = (a - exact_flow(a.order, a.colors)).array
    residuals = Residuals(atol)
    wrong = first_nonzero(missing, residuals)
    if not residuals.is_decided:
        warn(f"the order is decided by residuals that are {residuals.reason}")
    if wrong is None:
        return a.order + 1
    tree = a.catalog.tree(wrong)
    if near := nearly(missing[wrong], tree):
        warn(f"the order is {tree.order - 1} because a({tree}) - 1/gamma is not zero{near}")
    return tree.order - 1


def _check_map(a: BSeries, name: str) -> None:
    check_series(a, name)
    if a.empty != 1:
        raise InvalidValue(f"{name}(∅) is {a.empty}; the series of a map has {name}(∅) = 1")


def _check_field(b: BSeries) -> None:
    check_series(b, "b")
    if b.empty != 0:
        raise InvalidValue(f"b(∅) is {b.empty}; the series of a field has b(∅) = 0")
