"""The polynomial ring in which a field and its counter terms live, with its derivations.

Variables, parameters and constants are generators, and so is every function that occurs, such as
tanh(w*x + b): its partial derivatives are polynomials in the generators again. A ring element is a
``flint.fmpq_mpoly``, so sums and products cost what the arithmetic costs.

Relations between generators, such as sin² + cos² = 1 or u·(1/u) = 1, are used to keep elements
short. No identity relies on them: the derivations commute without any relation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from math import lcm

import sympy
from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx, fmpz_mpoly_ctx, fmpz_mpoly_vec

from modeq.derivation.generators import collect_families, family_key
from modeq.errors import InvalidLoss, NotSmooth, Undecided
from modeq.losses.expansion import MAX_WORDS, check_expansion
from modeq.losses.vanishing import Ball, Values, Vanishing, refuse_zeros, vanishing_at_points

Element = fmpq_mpoly

BASIS_LIMITS = (25, 200, 4_000)
"""Where the search for a Gröbner basis gives up: polynomials, terms in one, bits of a number."""


class DifferentialRing:
    """The ring ℚ[variables, parameters, functions] of some expressions, closed under ∂/∂θᵢ.

    Args:
        variables: The symbols θ₁, …, θ_d, which are differentiated by.
        parameters: Symbols that are constants.
        expressions: What the ring must contain.
        depth: How many derivatives may be taken one after another; it matters only for functions
            such as gamma whose derivatives need ever new functions.
        limit: How long the expressions may be when they are multiplied out.

    Raises:
        ExceedsLimit: They would be longer.

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
        limit: int = MAX_WORDS,
    ):
        self.variables = tuple(variables)
        self.parameters = tuple(parameters)
        self._expressions = tuple(expressions)
        self._depth = depth
        self._limit = limit
        check_expansion(self._expressions, limit)
        families = collect_families(self.variables, self._expressions, depth)
        refuse_zeros(f.expression for f in families.values() if f.is_divisor)
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

    def __reduce__(self):
        return DifferentialRing, (
            self.variables,
            self.parameters,
            self._expressions,
            self._depth,
            self._limit,
        )

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

    @cached_property
    def slope_degree(self) -> int:
        """The largest degree of a derivative of a generator; 0 if there are only variables."""
        slopes = (slope for row in self._slopes.values() if row for slope in row)
        return max((int(s.total_degree()) for s in slopes if s != 0), default=0)

    def generator(self, expression: sympy.Expr) -> Element:
        """Return the element of a variable, parameter or function generator."""
        found = self._symbols.get(expression)
        if found is None:
            raise InvalidLoss(f"{expression} is not in the ring of {self.generators}")
        return found

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
        family = self._families.get(family_key(expression))
        if family is None:
            raise InvalidLoss(f"{expression} is not in the ring of {self.generators}")
        return family.element(self, expression)

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

    def vanishing(self, element: Element) -> Vanishing:
        """Return whether an element is zero as a function, and how that is known.

        It is proved where the normal form is zero, and refuted where that is another polynomial in
        variables alone. Polynomials in functions are evaluated at random points: if all values
        contain zero, there is a relation between the functions that the ring does not know.

        Raises:
            Undecided: No point was found where the functions have values, or it vanishes with one
                sign of a part, and not with the other.
        """
        element = self.reduce(element)
        if element == 0:
            return Vanishing.PROVED
        if not self._has_functions(element):
            return Vanishing.REFUTED
        found = self._vanishing_at_points(element, {})
        if found is Vanishing.CHECKED:
            self._refuse_one_sided(element)
        return found

    def _vanishing_at_points(self, element: Element, signs: dict[int, int]) -> Vanishing:
        symbols = (*self.variables, *self.parameters)
        return vanishing_at_points(symbols, lambda value: self._values(element, value, signs))

    def _refuse_one_sided(self, element: Element) -> None:
        """Refuse what vanishes with one sign of a part u only: points may all lie on that side."""
        for i, degree in enumerate(element.degrees()):
            for sign in (1, -1) if degree and self.generators[i] in self._signs else ():
                if self._vanishing_at_points(element, {i: sign}) is Vanishing.REFUTED:
                    raise Undecided(
                        f"whether an expression is zero is not decided: it was at all random "
                        f"points, but it is not where {self.generators[i]} is {sign}"
                    )

    @cached_property
    def _signs(self) -> frozenset[sympy.Expr]:
        found = (f.generators() for f in self._families.values() if f.is_sign)
        return frozenset(g for row in found for g in row)

    def vanishes(self, element: Element) -> bool:
        """Tell whether an element is zero as a function, as far as that is known."""
        return self.vanishing(element) is not Vanishing.REFUTED

    def _has_functions(self, element: Element) -> bool:
        return any(element.degrees()[len(self.generators) - len(self.functions) :])

    def _values(self, element: Element, value: Values, signs: dict[int, int]) -> Iterator[Ball]:
        """Yield the values of the terms of an element, with some signs given."""
        powers = {(i, 1): value.rational(Fraction(sign)) for i, sign in signs.items()}
        for exponents, c in zip(element.monoms(), element.coeffs(), strict=True):
            term = value.rational(c)
            for i, e in enumerate(exponents):
                if e:
                    if (i, e) not in powers:
                        powers[i, e] = value(self.generators[i]) ** int(e)
                    term = term * powers[i, e]
            yield term

    def to_sympy(self, element: Element, terms: int | None = None) -> sympy.Expr:
        """Return an element as a sum of sympy monomials (the first ``terms`` of them)."""
        if terms is None and self.has_fractions:
            return sympy.Add(*self.collected_terms(element))
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

    @cached_property
    def has_fractions(self) -> bool:
        """Whether a function of parameters alone is a generator, such as 1/(1 - β)."""
        return any(self._is_constant(g) and g.free_symbols for g in self.functions)

    def _is_constant(self, generator: sympy.Expr) -> bool:
        return generator.free_symbols.isdisjoint(self.variables)

    def collected_terms(self, element: Element) -> list[sympy.Expr]:
        """Return an element as monomials in variables and their functions, lowest degree first,
        each with one coefficient in lowest terms.

        >>> x, b = sympy.symbols("x beta")
        >>> ring = DifferentialRing((x,), (b,), [x, 1 / (1 - b)], depth=1)
        >>> ring.collected_terms(ring.convert(x / (1 - b) ** 2) - ring.convert(2 * x / (1 - b)))
        [x*(2*beta - 1)/(1 - beta)**2]
        """
        constant = [self._is_constant(g) for g in self.generators]
        groups: dict[tuple, list[tuple[tuple[int, ...], Fraction]]] = {}
        for exponents, c in self.terms(element):
            inner = tuple(e * k for e, k in zip(exponents, constant, strict=True))
            outer = tuple(e - i for e, i in zip(exponents, inner, strict=True))
            groups.setdefault(outer, []).append((inner, c))
        ordered = sorted(groups.items(), key=lambda row: (sum(row[0]), [-e for e in row[0]]))
        # One product: of two factors sympy would multiply a minus sign into the sum.
        return [sympy.Mul(*self._fraction(i), self._monomial(o)) for o, i in ordered]

    def _fraction(self, terms: list[tuple[tuple[int, ...], Fraction]]) -> tuple[sympy.Expr, ...]:
        """Return sign, numerator, and 1/denominators whose product is a polynomial in constants."""
        reciprocals = [bool(g.is_Pow and g.exp.is_negative) for g in self.generators]
        largest = [max(column) for column in zip(*(e for e, _ in terms), strict=True)]
        below = tuple(e * r for e, r in zip(largest, reciprocals, strict=True))
        numerator = sympy.Add(
            *(
                sympy.Rational(c.numerator, c.denominator)
                * self._monomial(tuple(e - k for e, k in zip(exponents, below, strict=True)))
                for exponents, c in terms
            )
        )
        sign = -1 if numerator.could_extract_minus_sign() else 1
        return sympy.Integer(sign), sympy.factor(sign * numerator), self._monomial(below)

    def _monomial(self, exponents: tuple[int, ...]) -> sympy.Expr:
        return sympy.Mul(*(g**e for g, e in zip(self.generators, exponents, strict=True) if e))

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
