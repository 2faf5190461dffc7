"""Functions as generators of a ring: which ones a set of expressions needs, and their derivatives.

A family holds functions of one expression u that are polynomials in one or two generators, such as
all powers of exp(u), or sin(u) and cos(u). Its derivatives by the variables follow from the chain
rule and are polynomials in generators again, which may belong to further families.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from math import gcd, lcm
from typing import Any

import sympy

from modeq.derivation.arithmetic import derivative
from modeq.errors import ModeqWarning

Ring = Any
"""The ring that elements are made in: a ``DifferentialRing``, whose module imports this one."""

Element = Any


def collect_families(variables: Sequence, expressions: Iterable, depth: int) -> dict:
    """Return the families of functions that occur in ``expressions`` and in their derivatives."""
    families: dict = {}
    current = list(expressions)
    for _ in range(depth + 1):
        new, arguments = [], []
        for node in _function_nodes(current):
            key = family_key(node)
            if key not in families:
                families[key] = key[0](key[1], variables)
                new.append(families[key])
                arguments += _arguments(node)
            families[key].add(node)
        if not new:
            return families
        # Arguments occur in no derivative of exp(erf(x)), but power series start from their values.
        current = [*arguments, *(slope for family in new for slope in family.slopes)]
    left = _function_nodes(current)
    if all(family_key(node) in families for node in left):
        for node in left:
            families[family_key(node)].add(node)
        return families
    for family in new:
        family.is_frontier = True
    _warn_open({type(family.expression).__name__ for family in new})
    return families


def _arguments(node: sympy.Expr) -> list[sympy.Expr]:
    """Return the arguments of a function, but nothing under a sum or an integral sign."""
    parts = [part for part in node.args if isinstance(part, sympy.Expr)]
    return [part for part in parts if part.free_symbols <= node.free_symbols]


def _warn_open(names: set[str]) -> None:
    warnings.warn(
        f"{', '.join(sorted(names))}: derivatives of ever new functions are taken by sympy, one "
        f"after another; this is right, but slower than for functions such as exp or tanh",
        ModeqWarning,
        stacklevel=2,
    )


def _function_nodes(expressions: Iterable[sympy.Expr]) -> list[sympy.Expr]:
    """Return the outermost nodes that are no sums, products, or whole powers, without repeats."""
    found: dict[sympy.Expr, None] = {}
    seen = set()
    stack = list(expressions)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.is_Add or node.is_Mul:
            stack.extend(node.args)
        elif node.is_Pow and node.exp.is_Rational:
            stack.append(node.base)
            if not (node.exp.is_Integer and node.exp > 0):
                found[node] = None
        elif not (node.is_Symbol or node.is_Rational):
            found[node] = None
    return list(found)


def family_key(node: sympy.Expr) -> tuple[type, sympy.Expr]:
    """Return the family of functions that a node belongs to, and what the family is built on."""
    if isinstance(node, sympy.Abs | sympy.sign):
        return _Signs, node.args[0]
    if node.is_Pow and node.exp.is_Rational:
        root = _exact_root(node.base) if node.exp.q == 2 else None
        return (_Powers, node.base) if root is None else (_Signs, root)
    if isinstance(node, sympy.exp):
        return _Exponentials, _primitive(node.args[0])[1]
    if isinstance(node, sympy.sin | sympy.cos):
        return _Circular, node.args[0]
    if isinstance(node, sympy.sinh | sympy.cosh):
        return _Hyperbolic, node.args[0]
    return _Single, node


def _exact_root(square: sympy.Expr) -> sympy.Expr | None:
    """Return u for an expression that is u² as it stands, or None.

    >>> x, y = sympy.symbols("x y")
    >>> _exact_root(x**2 * (x + y) ** 4), _exact_root(x**2 + 2 * x + 1)
    (x*(x + y)**2, None)
    """
    factors = [factor.as_base_exp() for factor in sympy.Mul.make_args(square)]
    if all(exponent.is_Integer and exponent % 2 == 0 for _, exponent in factors):
        return sympy.Mul(*(base ** (exponent / 2) for base, exponent in factors))
    return None


def _primitive(argument: sympy.Expr) -> tuple[sympy.Rational, sympy.Expr]:
    """Return (c, u) with ``argument`` = c·u, c rational and u the same for all its multiples."""
    if argument.is_Add:
        c, u = argument.primitive()
    else:
        c, u = argument.as_coeff_Mul(rational=True)
    return (-c, -u) if u.could_extract_minus_sign() else (c, u)


def _slope(expression: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    """Return ∂/∂x, with the derivative of (uⁿ)^a as a (uⁿ)^{a-1} (uⁿ)': sympy makes it a quotient
    of (uⁿ)^a and u, and 1/u would be one more generator.
    """
    nested = [p for p in expression.atoms(sympy.Pow) if p.base.is_Pow and p.exp.is_Rational]
    outer = [p for p in nested if not any(p is not q and q.has(p) for q in nested)]
    masks = {p: sympy.Dummy() for p in outer}
    masked = expression.xreplace(masks)
    total = derivative(masked, x)
    for p, mask in masks.items():
        total += derivative(masked, mask) * p.exp * p.base ** (p.exp - 1) * _slope(p.base, x)
    return total.xreplace({mask: p for p, mask in masks.items()})


class _Family:
    """Generators that belong together: functions of one expression, and their derivatives."""

    is_frontier = False
    is_divisor = False
    """Whether the expression must not be zero everywhere."""
    is_sign = False

    def __init__(self, expression: sympy.Expr, variables: Sequence[sympy.Symbol]):
        self.expression = expression
        self.slopes = [_slope(expression, x) for x in variables]

    def add(self, node: sympy.Expr) -> None:
        """Take note of a member that occurs."""

    def generators(self) -> tuple[sympy.Expr, ...]:
        """Return the generators that all members are polynomials in."""
        raise NotImplementedError

    def element(self, ring: Ring, node: sympy.Expr) -> Element:
        """Return a member as a ring element."""
        return ring.generator(node)

    def relations(self, ring: Ring) -> list[Element]:
        """Return polynomials in the generators that vanish."""
        return []

    def outer_derivatives(self, ring: Ring) -> dict[sympy.Expr, Element]:
        """Return {generator: its derivative by the expression of the family}."""
        raise NotImplementedError

    def derivatives(self, ring: Ring) -> dict[sympy.Expr, list[Element] | None]:
        """Return {generator: its partial derivatives}, by the chain rule."""
        if self.is_frontier:
            return dict.fromkeys(self.generators())
        slopes = [ring.convert(slope) for slope in self.slopes]
        return {
            g: [ring.reduce(outer * slope) for slope in slopes]
            for g, outer in self.outer_derivatives(ring).items()
        }


class _Powers(_Family):
    """u^{1/q} and u^{-1/q}, for the powers of u with rational exponents of denominator q."""

    is_divisor = True

    def __init__(self, expression, variables):
        super().__init__(expression, variables)
        self.exponents = set()

    def add(self, node):
        self.exponents.add(node.exp)

    @property
    def root(self) -> int:
        return lcm(*(int(e.q) for e in self.exponents))

    @property
    def positive(self) -> sympy.Expr:
        return self.expression ** sympy.Rational(1, self.root)

    @property
    def negative(self) -> sympy.Expr:
        return self.expression ** sympy.Rational(-1, self.root)

    def generators(self):
        has_roots = any(e > 0 for e in self.exponents)
        has_inverse = any(e < 0 for e in self.exponents) or any(self.slopes)
        return (self.positive,) * has_roots + (self.negative,) * has_inverse

    def element(self, ring, node):
        power = int(abs(node.exp) * self.root)
        return ring.generator(self.positive if node.exp > 0 else self.negative) ** power

    def relations(self, ring):
        u = ring.convert(self.expression)
        present = [ring.generator(g) for g in self.generators()]
        whole = [g**self.root for g in present]
        if len(present) == 2:
            return [present[0] * present[1] - 1, whole[0] - u, u * whole[1] - 1]
        return [whole[0] - u if self.positive in self.generators() else u * whole[0] - 1]

    def outer_derivatives(self, ring):
        if not any(self.slopes):
            return {}
        inverse = ring.generator(self.negative)
        slope = inverse**self.root * ring.constant(sympy.Rational(1, self.root))
        rows = {self.negative: -inverse * slope}
        if self.positive in self.generators():
            rows[self.positive] = ring.generator(self.positive) * slope
        return rows


class _Signs(_Family):
    """The sign s = u/√(u²) of a real u, which is constant where u is not 0: (u²)^{p/2} = s uᵖ."""

    is_divisor = True
    is_sign = True

    def __init__(self, expression, variables):
        super().__init__(expression, variables)
        # Members may be u and 1/u times the sign.
        self.slopes = [1 / expression]

    def generators(self):
        return (self.expression / sympy.sqrt(self.expression**2),)

    def element(self, ring, node):
        power = 0 if isinstance(node, sympy.sign) else 1 if isinstance(node, sympy.Abs) else None
        power = int(2 * node.exp) if power is None else power
        return ring.generator(self.generators()[0]) * ring.convert(self.expression**power)

    def relations(self, ring):
        return [ring.generator(self.generators()[0]) ** 2 - 1]

    def outer_derivatives(self, ring):
        return {}


class _Exponentials(_Family):
    """exp(c u) and exp(-c u), c the greatest common divisor of the multiples of u that occur."""

    def __init__(self, expression, variables):
        super().__init__(expression, variables)
        self.multiples = set()

    def add(self, node):
        self.multiples.add(_primitive(node.args[0])[0])

    @property
    def unit(self) -> sympy.Rational:
        denominator = lcm(*(int(c.q) for c in self.multiples))
        return sympy.Rational(gcd(*(int(c * denominator) for c in self.multiples)), denominator)

    def _exponential(self, sign: int) -> sympy.Expr:
        return sympy.exp(sign * self.unit * self.expression)

    def generators(self):
        signs = sorted({1 if c > 0 else -1 for c in self.multiples}, reverse=True)
        return tuple(self._exponential(sign) for sign in signs)

    def element(self, ring, node):
        ratio = int(_primitive(node.args[0])[0] / self.unit)
        return ring.generator(self._exponential(1 if ratio > 0 else -1)) ** abs(ratio)

    def relations(self, ring):
        present = [ring.generator(g) for g in self.generators()]
        return [present[0] * present[1] - 1] if len(present) == 2 else []

    def outer_derivatives(self, ring):
        unit = ring.constant(self.unit)
        return {
            g: ring.generator(g) * (unit if g == self._exponential(1) else -unit)
            for g in self.generators()
        }


class _Circular(_Family):
    """sin(u) and cos(u)."""

    def generators(self):
        return sympy.sin(self.expression), sympy.cos(self.expression)

    def relations(self, ring):
        sine, cosine = map(ring.generator, self.generators())
        return [sine**2 + cosine**2 - 1]

    def outer_derivatives(self, ring):
        sine, cosine = self.generators()
        return {sine: ring.generator(cosine), cosine: -ring.generator(sine)}


class _Hyperbolic(_Family):
    """sinh(u) and cosh(u)."""

    def generators(self):
        return sympy.sinh(self.expression), sympy.cosh(self.expression)

    def relations(self, ring):
        sine, cosine = map(ring.generator, self.generators())
        return [cosine**2 - sine**2 - 1]

    def outer_derivatives(self, ring):
        sine, cosine = self.generators()
        return {sine: ring.generator(cosine), cosine: ring.generator(sine)}


class _Single(_Family):
    """Any other function, with the derivatives that sympy finds."""

    def generators(self):
        return (self.expression,)

    def derivatives(self, ring):
        if self.is_frontier:
            return {self.expression: None}
        return {self.expression: [ring.reduce(ring.convert(slope)) for slope in self.slopes]}
