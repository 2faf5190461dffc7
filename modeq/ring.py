"""The polynomial ring in which a field and its counter terms live, with its derivations.

Variables, parameters and constants are generators, and so is every function that occurs, such as
tanh(w*x + b): its partial derivatives are polynomials in the generators again. A ring element is a
``flint.fmpq_mpoly``, so sums and products cost what the arithmetic costs.

Relations between generators, such as sin² + cos² = 1 or u·(1/u) = 1, are used to keep elements
short. No identity relies on them: the derivations commute without any relation.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm

import mpmath
import sympy
from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx, fmpz_mpoly_ctx, fmpz_mpoly_vec

from modeq.errors import ModeqWarning, NotSmooth

Element = fmpq_mpoly

BASIS_LIMITS = (200, 200, 4_000)
"""Where the search for a Gröbner basis gives up: polynomials, terms in one, bits of a number."""


class DifferentialRing:
    """The ring ℚ[variables, parameters, functions] of some expressions, closed under ∂/∂θᵢ.

    Args:
        variables: The symbols θ₁, …, θ_d, which are differentiated by.
        parameters: Symbols that are constants.
        expressions: What the ring must contain.
        depth: How many derivatives may be taken one after another; it matters only for functions
            such as gamma whose derivatives need ever new functions.

    Example:
        >>> x = sympy.Symbol("x")
        >>> ring = DifferentialRing((x,), (), [sympy.tanh(x)], depth=1)
        >>> ring.to_sympy(ring.derivative(ring.convert(sympy.tanh(x)), 0))
        1 - tanh(x)**2
    """

    def __init__(
        self,
        variables: Sequence[sympy.Symbol],
        parameters: Sequence[sympy.Symbol],
        expressions: Iterable[sympy.Expr],
        depth: int,
    ):
        self.variables = tuple(variables)
        self.parameters = tuple(parameters)
        families = _collect(self.variables, expressions, depth)
        self.functions = tuple(g for family in families.values() for g in family.generators())
        self.generators = (*self.variables, *self.parameters, *self.functions)
        names = [f"g{i}" for i in range(len(self.generators))]
        self._context = fmpq_mpoly_ctx.get(names, "degrevlex")
        self._families = families
        self._symbols = dict(zip(self.generators, self._context.gens(), strict=True))
        self._converted: dict[sympy.Expr, Element] = {}
        self.zero = self._context.constant(0)
        self.one = self._context.constant(1)
        self._relations: list[Element] = []
        self._relations = self._basis([r for f in families.values() for r in f.relations(self)])
        self._slopes = self._derivatives_of_functions()

    def _derivatives_of_functions(self) -> dict[int, list[Element | None]]:
        """Return {generator index: its partial derivatives}; None where the depth ended."""
        index = {g: i for i, g in enumerate(self.generators)}
        rows = (
            item for family in self._families.values() for item in family.derivatives(self).items()
        )
        return {index[g]: row for g, row in rows if row is None or any(x != 0 for x in row)}

    def _basis(self, relations: list[Element]) -> list[Element]:
        """Return a Gröbner basis of the relations, which makes reduced elements unique, or the
        relations as they are where that would take long.
        """
        if len(relations) < 2:
            return relations
        context = fmpz_mpoly_ctx.get(self._context.names(), "degrevlex")
        whole = [context.from_dict(_without_denominators(r)) for r in relations]
        basis, finished = fmpz_mpoly_vec(whole, context).buchberger_naive(limits=BASIS_LIMITS)
        if not finished:
            return relations
        return [self._context.from_dict(r.to_dict()) for r in basis.autoreduction()]

    def generator(self, expression: sympy.Expr) -> Element:
        """Return the element of a variable, parameter or function generator."""
        return self._symbols[expression]

    def constant(self, value: int | Fraction | sympy.Rational) -> Element:
        """Return the constant element of an exact number."""
        return self._context.constant(fmpq(int(value.numerator), int(value.denominator)))

    def convert(self, expression: sympy.Expr) -> Element:
        """Return the element of an expression made of what the ring was built for."""
        if expression not in self._converted:
            self._converted[expression] = self._convert(expression)
        return self._converted[expression]

    def _convert(self, expression: sympy.Expr) -> Element:
        if expression.is_Rational:
            return self.constant(expression)
        if expression in self._symbols:
            return self._symbols[expression]
        if expression.is_Add:
            return sum(map(self.convert, expression.args), self.zero)
        if expression.is_Mul:
            product = self.one
            for factor in expression.args:
                product = product * self.convert(factor)
            return product
        if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
            return self.convert(expression.base) ** int(expression.exp)
        return self._families[_family_key(expression)].element(self, expression)

    def derivative(self, element: Element, i: int) -> Element:
        """Return ∂/∂θᵢ of an element."""
        result = element.derivative(i)
        for index, row in self._slopes.items():
            partial = element.derivative(index)
            if partial != 0:
                if row is None:
                    raise NotSmooth(f"{self.generators[index]} was not differentiated often enough")
                if row[i] != 0:
                    result = result + partial * row[i]
        return self.reduce(result)

    def reduce(self, element: Element) -> Element:
        """Return the element in shorter form, by the relations between the generators."""
        previous = None
        while self._relations and element != previous:
            previous = element
            for relation in self._relations:
                element = divmod(element, relation)[1]
        return element

    def vanishes(self, element: Element) -> bool:
        """Tell whether an element is zero as a function.

        Nonzero polynomials in functions are evaluated at a point, to 60 digits: a value other than
        zero proves that they do not vanish.
        """
        element = self.reduce(element)
        if element == 0 or not self.functions:
            return element == 0
        with mpmath.workdps(60):
            return all(self._vanishes_at(element, seed) for seed in (2, 3))

    def _vanishes_at(self, element: Element, seed: int) -> bool:
        symbols = (*self.variables, *self.parameters)
        point = {x: sympy.sqrt(sympy.prime(seed + i)) / 2 for i, x in enumerate(symbols)}
        values = [mpmath.mpmathify(sympy.N(g.subs(point), 60)) for g in self.generators]
        terms = [
            mpmath.mpf(c.numerator) / c.denominator * mpmath.fprod(map(mpmath.power, values, e))
            for e, c in self.terms(element)
        ]
        return abs(mpmath.fsum(terms)) < mpmath.mpf(10) ** -40 * mpmath.fsum(map(abs, terms))

    def to_sympy(self, element: Element, terms: int | None = None) -> sympy.Expr:
        """Return an element as a sum of sympy monomials (the first ``terms`` of them)."""
        return sympy.Add(*self.sympy_terms(element, terms))

    def sympy_terms(self, element: Element, terms: int | None = None) -> list[sympy.Expr]:
        """Return the monomials of an element as sympy expressions, highest degree first."""
        rows = zip(element.monoms()[:terms], element.coeffs()[:terms], strict=True)
        return [
            sympy.Mul(
                sympy.Rational(int(c.p), int(c.q)),
                *(g**e for g, e in zip(self.generators, map(int, exponents), strict=True) if e),
            )
            for exponents, c in rows
        ]

    def from_terms(self, terms: Iterable[tuple[Sequence[int], Fraction]]) -> Element:
        """Return the element with these exponents and coefficients."""
        return self._context.from_dict(
            {tuple(e): fmpq(c.numerator, c.denominator) for e, c in terms}
        )

    def terms(self, element: Element) -> list[tuple[tuple[int, ...], Fraction]]:
        """Return the exponents and coefficients of an element, highest degree first."""
        return [
            (tuple(map(int, e)), Fraction(int(c.p), int(c.q)))
            for e, c in zip(element.monoms(), element.coeffs(), strict=True)
        ]


def _without_denominators(element: Element) -> dict:
    """Return the terms of a multiple of an element whose coefficients are integers."""
    common = lcm(*(int(c.q) for c in element.coeffs()))
    return {e: int(c * common) for e, c in element.to_dict().items()}


def _collect(variables: Sequence, expressions: Iterable, depth: int) -> dict:
    """Return the families of functions that occur in ``expressions`` and in their derivatives."""
    families: dict = {}
    current = list(expressions)
    for _ in range(depth + 1):
        new, arguments = [], []
        for node in _function_nodes(current):
            key = _family_key(node)
            if key not in families:
                families[key] = key[0](key[1], variables)
                new.append(families[key])
                arguments += node.args
            families[key].add(node)
        if not new:
            return families
        # Arguments occur in no derivative of exp(erf(x)), but power series start from their values.
        current = [*arguments, *(slope for family in new for slope in family.slopes)]
    for family in new:
        family.is_frontier = True
    _warn_open({type(family.expression).__name__ for family in new})
    return families


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


def _family_key(node: sympy.Expr) -> tuple[type, sympy.Expr]:
    """Return the family of functions that a node belongs to, and what the family is built on."""
    if node.is_Pow and node.exp.is_Rational:
        return _Powers, node.base
    if isinstance(node, sympy.exp):
        return _Exponentials, _primitive(node.args[0])[1]
    if isinstance(node, sympy.sin | sympy.cos):
        return _Circular, node.args[0]
    if isinstance(node, sympy.sinh | sympy.cosh):
        return _Hyperbolic, node.args[0]
    return _Single, node


def _primitive(argument: sympy.Expr) -> tuple[sympy.Rational, sympy.Expr]:
    """Return (c, u) with ``argument`` = c·u, c rational and u the same for all its multiples."""
    if argument.is_Add:
        c, u = argument.primitive()
    else:
        c, u = argument.as_coeff_Mul(rational=True)
    return (-c, -u) if u.could_extract_minus_sign() else (c, u)


class _Family:
    """Generators that belong together: functions of one expression, and their derivatives."""

    is_frontier = False

    def __init__(self, expression: sympy.Expr, variables: Sequence[sympy.Symbol]):
        self.expression = expression
        self.slopes = [expression.diff(x) for x in variables]

    def add(self, node: sympy.Expr) -> None:
        """Take note of a member that occurs."""

    def generators(self) -> tuple[sympy.Expr, ...]:
        """Return the generators that all members are polynomials in."""
        raise NotImplementedError

    def element(self, ring: DifferentialRing, node: sympy.Expr) -> Element:
        """Return a member as a ring element."""
        return ring.generator(node)

    def relations(self, ring: DifferentialRing) -> list[Element]:
        """Return polynomials in the generators that vanish."""
        return []

    def outer_derivatives(self, ring: DifferentialRing) -> dict[sympy.Expr, Element]:
        """Return {generator: its derivative by the expression of the family}."""
        raise NotImplementedError

    def derivatives(self, ring: DifferentialRing) -> dict[sympy.Expr, list[Element] | None]:
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
