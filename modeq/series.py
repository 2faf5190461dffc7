"""B-series: one-step methods and modified fields with the vector field left abstract.

Normalization, here and everywhere in modeq (Hairer, Lubich, Wanner, *Geometric Numerical
Integration*, III.1.2, Definition 1.8):

    B(a, hf, y) = a(∅) y + Σ_τ h^|τ|/σ(τ) a(τ) F(τ)(y),
    F(•) = f,    F([τ₁, …, τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ)).

A map has a(∅) = 1, a field has b(∅) = 0. The coefficients of a modified field f̃ are those of
h f̃, so b(•) = 1 for a consistent method. A series of ``order`` n keeps the counter terms of f̃ up
to hⁿ, and so all trees with up to n + 1 vertices.

An update rule runs over B-series as it runs over numbers, because they can be added, multiplied by
scalars, and put into f, which acts on coefficients as B₊: a ↦ (τ = [τ₁, …, τₖ] ↦ Π a(τᵢ)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from modeq.errors import InvalidLoss, InvalidMethod, InvalidTree, InvalidValue
from modeq.logarithm import logarithm
from modeq.notation import linear_combination, signed_formula
from modeq.trees import RootedTree, check_order, rooted_trees

_POWERS_IN_REPR = 5


@dataclass(frozen=True, slots=True, init=False, repr=False)
class BSeries(Mapping[RootedTree, Any]):
    """Coefficients a(∅) and a(τ) of B(a, hf, y), for all trees with up to order + 1 vertices.

    A mapping from trees to coefficients, without the factor 1/σ(τ), in the order of
    `rooted_trees`. Trees that are not given have coefficient zero. Coefficients may be from any
    ring; integers become Fractions. See the docstring of the module for the normalization.

    >>> leaf = RootedTree()
    >>> euler_step = BSeries({leaf: 1}, order=2, empty=1)
    >>> euler_step[RootedTree([leaf])]
    Fraction(0, 1)
    >>> print(euler_step - euler_step.b_plus())
    1    y
    h    0
    h^2  -f'f
    h^3  -1/2 f''(f,f)

    Attributes:
        order: The highest power of h in the field f̃; one less than the largest tree has vertices.
        empty: The coefficient of the empty tree: 1 for a map, 0 for a field.

    Raises:
        InvalidOrder: If ``order`` is not an integer of at least zero.
        InvalidTree: If a key is not a tree with at most order + 1 vertices.
    """

    order: int
    empty: Any
    _values: tuple

    # Without this a NumPy number on the left would take the mapping for an array.
    __array_ufunc__ = None

    def __init__(self, coefficients: Mapping[RootedTree, Any], *, order: int, empty: Any = 0):
        order = check_order(order)
        catalog = _catalog(order + 1)
        values = [Fraction(0)] * len(catalog.trees)
        for tree, coefficient in coefficients.items():
            if tree not in catalog.positions:
                raise InvalidTree(f"{tree!r} is not a rooted tree of at most {order + 1} vertices")
            values[catalog.positions[tree]] = _exact(coefficient)
        self._set(order, _exact(empty), tuple(values))

    def _set(self, order: int, empty: Any, values: tuple) -> BSeries:
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "empty", empty)
        object.__setattr__(self, "_values", values)
        return self

    def _map(self, function: Callable, *others: BSeries) -> BSeries:
        """Return the series of function(coefficient, …), cut at the lowest of the orders."""
        series = (self, *others)
        order = min(one.order for one in series)
        empty = function(*(one.empty for one in series))
        values = tuple(map(function, *(one._values for one in series)))
        return object.__new__(BSeries)._set(order, empty, values)

    def __getitem__(self, tree: RootedTree) -> Any:
        return self._values[_catalog(self.order + 1).positions[tree]]

    def __iter__(self) -> Iterator[RootedTree]:
        return iter(_catalog(self.order + 1).trees)

    def __len__(self) -> int:
        return len(self._values)

    def __add__(self, other: Any) -> BSeries:
        if isinstance(other, BSeries):
            return self._map(lambda a, b: a + b, other)
        # The built-in sum starts from the number zero.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> BSeries:
        return self._map(lambda a: -a)

    def __sub__(self, other: BSeries) -> BSeries:
        return self + (-other) if isinstance(other, BSeries) else NotImplemented

    def __mul__(self, scalar: Any) -> BSeries:
        if isinstance(scalar, BSeries):
            return NotImplemented
        factor = _exact(scalar)
        return self._map(lambda a: a * factor)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> BSeries:
        if isinstance(scalar, BSeries):
            return NotImplemented
        divisor = _exact(scalar)
        return self._map(lambda a: a / divisor)

    def b_plus(self) -> BSeries:
        """Return h f(B(a, hf, y)): the coefficients τ = [τ₁, …, τₖ] ↦ a(τ₁) ⋯ a(τₖ).

        Hairer, Lubich, Wanner, III.1, Lemma 1.9. This is the f that an update rule gets.

        >>> identity = BSeries({}, order=2, empty=1)
        >>> identity.b_plus() == BSeries({RootedTree(): 1}, order=2)
        True

        Raises:
            InvalidMethod: If a(∅) is not 1, for then f would not be evaluated near y.
        """
        if self.empty != 1:
            raise InvalidMethod(
                f"f takes theta plus multiples of h f(...), got {self.empty} theta + ..."
            )
        products = [self.empty]
        for rest, child in _catalog(self.order + 1).splits:
            products.append(products[rest] * self._values[child])
        return object.__new__(BSeries)._set(self.order, 0 * self.empty, tuple(products))

    def field(self, loss_or_field: Any) -> Any:
        """Return f̃ = Σ_τ h^(|τ|-1)/σ(τ) b(τ) F(τ) for a given loss or vector field.

        The argument does the work in its ``elementary_sum(series)``, because this layer does not
        know what an expression is. From a Loss or VectorField comes a sympy column vector.

        >>> class Growth:  # y' = y at y = 1, where F is 1 for tall trees and 0 for all others
        ...     def elementary_sum(self, series):
        ...         return sum(series[tree] for tree in series if tree.is_tall)
        >>> modified_equation(lambda y, f, h: y + h * f(y), order=2).field(Growth())
        Fraction(5, 6)

        Raises:
            InvalidValue: If the series is that of a map.
            InvalidLoss: If the argument is neither a Loss nor a VectorField.
        """
        if self.empty != 0:
            raise InvalidValue(f"a field has coefficient 0 at the empty tree, not {self.empty}")
        if not hasattr(loss_or_field, "elementary_sum"):
            raise InvalidLoss(f"expected a Loss or a VectorField, got {loss_or_field!r}")
        return loss_or_field.elementary_sum(self)

    def text(self, notation: str = "differentials") -> str:
        """Return a table with one line for each power of h, in a notation of `modeq.notation`.

        >>> print(modified_equation(lambda y, f, h: y + h * f(y), order=2).text("gradient"))
        h    -g
        h^2  -1/2 H g
        h^3  -1/3 H^2 g - 1/12 T[g, g]
        """
        return "\n".join(self._rows(notation, self.order + 1))

    def latex(self, notation: str = "differentials") -> str:
        r"""Return the whole series as one formula, in a notation of `modeq.notation`.

        >>> print(modified_equation(lambda y, f, h: y + h * f(y), order=1).latex())
        h f - \tfrac{1}{2} h^{2} f'f
        """
        return self._formula(notation, self.order + 1)

    def _formula(self, notation: str, powers: int) -> str:
        """Return the LaTeX of the series up to a power of h."""
        groups = [(self.empty, "y")]
        for power in range(1, powers + 1):
            label = "h" if power == 1 else f"h^{{{power}}}"
            terms = [term for term in self._terms(power, notation, latex=True) if term[0] != 0]
            if len(terms) > 1:
                inner = linear_combination(terms, latex=True)
                terms = [(1, rf"\left({inner}\right)")]
            groups.extend((coefficient, f"{label} {formula}") for coefficient, formula in terms)
        return linear_combination(groups, latex=True)

    def _terms(self, power: int, notation: str, latex: bool) -> list[tuple[Any, str]]:
        """Return b/σ, with the sign of the notation, and the formula of each tree of one order."""
        terms = []
        for tree in rooted_trees(power):
            sign, formula = signed_formula(tree, notation=notation, latex=latex)
            terms.append((sign * self[tree] / tree.symmetry, formula))
        return terms

    def _rows(self, notation: str, powers: int) -> list[str]:
        width = len(f"h^{self.order + 1}")
        rows = [("1", [(self.empty, "y")])] if self.empty != 0 else []
        for power in range(1, powers + 1):
            label = "h" if power == 1 else f"h^{power}"
            rows.append((label, self._terms(power, notation, latex=False)))
        return [f"{label:{width}}  {linear_combination(terms)}" for label, terms in rows]

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        shown = min(self.order + 1, _POWERS_IN_REPR)
        rows = [f"<BSeries of order {self.order}", *self._rows("differentials", shown)]
        if shown <= self.order:
            rows.append(f"...  {len(self)} trees up to h^{self.order + 1}, all in .text()")
        return "\n".join(rows) + ">"

    def _repr_latex_(self) -> str:
        shown = min(self.order + 1, _POWERS_IN_REPR)
        rest = r" + \cdots" if shown <= self.order else ""
        return rf"$\displaystyle {self._formula('differentials', shown)}{rest}$"


def exact_flow(order: int) -> BSeries:
    """Return the series of the exact flow over one step, e(∅) = 1, e(τ) = 1/γ(τ).

    See Hairer, Lubich, Wanner, III.1.2.

    >>> print(exact_flow(2))
    1    y
    h    f
    h^2  1/2 f'f
    h^3  1/6 f'f'f + 1/6 f''(f,f)
    """
    trees = _catalog(check_order(order) + 1).trees
    return BSeries({tree: Fraction(1, tree.density) for tree in trees}, order=order, empty=1)


def modified_equation(method: Any, order: int) -> BSeries:
    """Return the series b of h f̃, where the flow of f̃ passes through the iterates of the method.

    The rule ``theta -> rule(theta, f, h)`` runs over B-series, and of the iterates the logarithm
    h f̃ = Σ_k (-1)^{k+1}/k Δᵏθ₀ is taken. It is the b of Hairer, Lubich, Wanner, IX.9.1, where it
    comes from a recursion over trees.

    >>> b = modified_equation(lambda theta, f, h: theta + h * f(theta), order=2)
    >>> print(b)
    h    f
    h^2  -1/2 f'f
    h^3  1/3 f'f'f + 1/12 f''(f,f)
    >>> b[RootedTree([RootedTree(), RootedTree()])]  # without 1/σ: the Bernoulli number B₂
    Fraction(1, 6)

    Args:
        method: An update rule, or an object with an update rule as its attribute ``rule``.
        order: The highest power of h in f̃.

    Raises:
        InvalidMethod: If there is no rule, or it does not return theta plus multiples of f(...).
        InvalidOrder: If ``order`` is not an integer of at least zero.
    """
    rule = getattr(method, "rule", method)
    if not callable(rule):
        raise InvalidMethod(f"method is {method!r}; it must be a rule (theta, f, h) -> theta")
    identity = BSeries({}, order=order, empty=1)
    return logarithm(lambda theta: _step(rule, theta), identity, identity.order)


def _step(rule: Callable, theta: BSeries) -> BSeries:
    """Return the next iterate, once it is known to be one."""
    # The power of h is in the tree, so h is 1 here; a Fraction, to keep h / 2 in a rule exact.
    following = rule(theta, BSeries.b_plus, Fraction(1))
    if isinstance(following, BSeries) and following.empty == 1:
        return following
    got = f"{following.empty} theta + ..." if isinstance(following, BSeries) else repr(following)
    raise InvalidMethod(f"a rule must return theta plus multiples of h f(...), got {got}")


class _Catalog(NamedTuple):
    """All trees up to some number of vertices, and how each is put together.

    ``splits[i]`` are the numbers of two smaller trees: tree number i + 1 without its first child,
    and that child. So Π a(children) takes one multiplication: P(τ) = P(rest) a(child).
    """

    trees: tuple[RootedTree, ...]
    positions: dict[RootedTree, int]
    splits: tuple[tuple[int, int], ...]


@lru_cache(maxsize=16)
def _catalog(vertices: int) -> _Catalog:
    trees = tuple(tree for order in range(1, vertices + 1) for tree in rooted_trees(order))
    positions = {tree: position for position, tree in enumerate(trees)}
    children = (tree.children for tree in trees[1:])
    splits = tuple((positions[RootedTree(rest)], positions[child]) for child, *rest in children)
    return _Catalog(trees, positions, splits)


def _exact(coefficient: Any) -> Any:
    """Return an integer as a Fraction, and a float as that of its shortest decimal."""
    if isinstance(coefficient, float):
        return Fraction(repr(float(coefficient)))
    return Fraction(coefficient) if isinstance(coefficient, int) else coefficient
