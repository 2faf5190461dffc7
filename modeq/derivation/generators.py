"""Functions as generators of a ring: which ones a set of expressions needs, and their derivatives.

A family holds functions of one expression u that are polynomials in one or two generators, such as
all powers of exp(u), or sin(u) and cos(u). Its derivatives by the variables follow from the chain
rule and are polynomials in generators again, which may belong to further families.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import sympy

from modeq.derivation.canonical import exponent_of_e, primitive
from modeq.derivation.evaluate import needed_for_series
from modeq.errors import InvalidLoss, ModeqWarning
from modeq.losses.arithmetic import derivative

Ring = Any
"""The ring that elements are made in: a ``DifferentialRing``, whose module imports this one."""

_Element = Any


def collect_families(variables: Sequence, expressions: Iterable, depth: int) -> dict:
    """Return the families of functions that occur in ``expressions``, in their derivatives, and in
    what power series of them are made of.
    """
    collection = _Collection(variables)
    current = list(expressions)
    for _ in range(depth + 1):
        nodes, new = collection.enter(current)
        if not nodes:
            return collection.families
        steps = (step for node in nodes for step in needed_for_series(node, variables))
        current = [*(slope for family in new for slope in family.slopes), *steps]
    nodes, unknown = collection.enter(current)
    if unknown:
        for family in (*new, *unknown):
            family.is_frontier = True
        _warn_open({type(family.expression).__name__ for family in new})
    return collection.families


class _Collection:
    """The families of the functions that were met."""

    def __init__(self, variables: Sequence[sympy.Symbol]):
        self.families: dict = {}
        self._variables = variables
        self._seen: set[sympy.Expr] = set()

    def enter(self, expressions: Iterable[sympy.Expr]) -> tuple[list[sympy.Expr], list[_Family]]:
        """Return the functions in expressions, and in the arguments of these, that were not met
        before, and the families that they are the first of.
        """
        nodes, new = [], []
        queue = deque(_function_nodes(expressions))
        while queue:
            node = queue.popleft()
            if node in self._seen:
                continue
            self._seen.add(node)
            nodes.append(node)
            key = family_key(node)
            if key not in self.families:
                self.families[key] = key[0](node, self._variables)
                new.append(self.families[key])
            more = self.families[key].add(node)
            queue.extend(_function_nodes([*_arguments(node), *more]))
        return nodes, new


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


def family_key(node: sympy.Expr) -> tuple[type, Hashable]:
    """Return the family of functions that a node belongs to, and which of its kind it is.

    Functions of arguments that are equal when multiplied out are in one family, and so are those of
    rational multiples of one argument where they are multiples, powers or sums of each other.
    """
    if isinstance(node, sympy.Abs | sympy.sign):
        return _Signs, primitive(node.args[0])[1]
    if exponent_of_e(node) is not None:
        return _Exponentials, primitive(exponent_of_e(node))[1]
    if node.is_Pow and node.exp.is_Rational:
        root = _exact_root(node.base) if node.exp.q == 2 else None
        if root is not None:
            return _Signs, primitive(root)[1]
        return (_Roots, None) if node.base.is_Rational else (_Powers, primitive(node.base)[1])
    if isinstance(node, sympy.log):
        if node.args[0].is_Rational:
            return _Logarithms, None
        content, key = primitive(_log_of_base(node)[1])
        return _Logarithm, (content > 0, key)
    for function, family in ((sympy.sin | sympy.cos, _Circular), (_HYPERBOLIC, _Hyperbolic)):
        if isinstance(node, function):
            content, key = primitive(node.args[0])
            return family, (abs(content), key)
    content, key = primitive(node)
    return _Single, (abs(content), key)


_HYPERBOLIC = sympy.sinh | sympy.cosh


def _log_of_base(node: sympy.Expr) -> tuple[sympy.Rational, sympy.Expr]:
    """Return r and v with log(u) = r log(v), if u is a power: v is positive where u is.

    >>> x = sympy.Symbol("x")
    >>> [_log_of_base(sympy.log(u)) for u in (x**3, x**4, sympy.sqrt(x), 1 + x)]
    [(3, x), (2, x**2), (1/2, x), (1, x + 1)]
    """
    u = node.args[0]
    if not (u.is_Pow and u.exp.is_Rational):
        return sympy.S.One, u
    is_even = u.exp.q % 2 == 1 and u.exp.p % 2 == 0
    return (u.exp / 2, u.base**2) if is_even else (u.exp, u.base)


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


def _without_factor(argument: sympy.Expr) -> sympy.Expr:
    """Return u with ``argument`` = c·u, c rational, in a form without fractions and minus sign."""
    u = argument.primitive()[1] if argument.is_Add else argument.as_coeff_Mul(rational=True)[1]
    return -u if u.could_extract_minus_sign() else u


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

    def add(self, node: sympy.Expr) -> Iterable[sympy.Expr]:
        """Take note of a member that occurs; return what else its element is made of."""
        return ()

    def ratio(self, argument: sympy.Expr) -> sympy.Rational:
        """Return c with ``argument`` = c · the expression of the family."""
        return primitive(argument)[0] / primitive(self.expression)[0]

    def generators(self) -> tuple[sympy.Expr, ...]:
        """Return the generators that all members are polynomials in."""
        raise NotImplementedError

    def element(self, ring: Ring, node: sympy.Expr) -> _Element:
        """Return a member as a ring element."""
        raise NotImplementedError

    def relations(self, ring: Ring) -> list[_Element]:
        """Return polynomials in the generators that vanish."""
        return []

    def outer_derivatives(self, ring: Ring) -> dict[sympy.Expr, _Element]:
        """Return {generator: its derivative by the expression of the family}."""
        raise NotImplementedError

    def derivatives(self, ring: Ring) -> dict[sympy.Expr, list[_Element] | None]:
        """Return {generator: its partial derivatives}, by the chain rule."""
        if self.is_frontier:
            return dict.fromkeys(self.generators())
        slopes = [ring.convert(slope) for slope in self.slopes]
        return {
            g: [ring.reduce(outer * slope) for slope in slopes]
            for g, outer in self.outer_derivatives(ring).items()
        }


class _Powers(_Family):
    """u^{1/q} and u^{-1/q}, for the powers of u with rational exponents of denominator q.

    Members may be powers of c·u. A root of -u makes -u the expression of the family: u is negative.
    """

    is_divisor = True

    def __init__(self, node, variables):
        super().__init__(node.base, variables)
        self.exponents = set()

    def add(self, node):
        c = self.ratio(node.base)
        if c < 0 and not node.exp.is_Integer:
            if self.root > 1:
                raise InvalidLoss(
                    f"{node} and a root of {self.expression} occur in one formula, which is real "
                    f"nowhere: give roots of expressions that are positive together"
                )
            self.expression, self.slopes = node.base, [c * slope for slope in self.slopes]
            c = sympy.S.One
        self.exponents.add(node.exp)
        return (abs(c) ** node.exp,)

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
        generator = ring.generator(self.positive if node.exp > 0 else self.negative)
        return ring.convert(self.ratio(node.base) ** node.exp) * generator**power

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


class _Constants(_Family):
    """Functions of rational numbers that are made of those of their prime factors."""

    def __init__(self, node, variables):
        super().__init__(sympy.S.Zero, variables)

    def derivatives(self, ring):
        return {}


class _Roots(_Constants):
    """The roots of the prime factors of rational numbers."""

    def __init__(self, node, variables):
        super().__init__(node, variables)
        self._roots: dict[int, int] = {}

    def add(self, node):
        for prime, exponent in _factors(node.base).items():
            root = int((exponent * node.exp).q)
            self._roots[prime] = lcm(self._roots.get(prime, 1), root)
        return ()

    def _generator(self, prime: int) -> sympy.Expr:
        return sympy.Integer(prime) ** sympy.Rational(1, self._roots[prime])

    def generators(self):
        return tuple(self._generator(prime) for prime, root in self._roots.items() if root > 1)

    def element(self, ring, node):
        product = ring.one
        for prime, exponent in _factors(node.base).items():
            root = self._roots[prime]
            whole, power = divmod(int(exponent * node.exp * root), root)
            product = product * ring.constant(Fraction(prime) ** whole)
            if power:
                product = product * ring.generator(self._generator(prime)) ** power
        return product

    def relations(self, ring):
        roots = {p: q for p, q in self._roots.items() if q > 1}
        return [ring.generator(self._generator(p)) ** q - p for p, q in roots.items()]


class _Logarithms(_Constants):
    """The logarithms of the prime factors of rational numbers."""

    def __init__(self, node, variables):
        super().__init__(node, variables)
        self._primes: dict[int, None] = {}

    def add(self, node):
        self._primes |= dict.fromkeys(_factors(node.args[0]))
        return ()

    def generators(self):
        return tuple(map(sympy.log, self._primes))

    def element(self, ring, node):
        factors = _factors(node.args[0]).items()
        return sum((ring.generator(sympy.log(p)) * e for p, e in factors), ring.zero)


def _factors(number: sympy.Rational) -> dict[int, int]:
    """Return prime factors and their exponents; large factors may be left as they are.

    >>> _factors(sympy.Rational(12, 5))
    {2: 2, 3: 1, 5: -1}
    """
    return sympy.factorrat(number, limit=10_000)


class _Signs(_Family):
    """The sign s = u/√(u²) of a real u, which is constant where u is not 0: (u²)^{p/2} = s uᵖ."""

    is_divisor = True
    is_sign = True

    def __init__(self, node, variables):
        super().__init__(self._signed(node), variables)
        # Members may be u and 1/u times the sign.
        self.slopes = [1 / self.expression]

    @staticmethod
    def _signed(node: sympy.Expr) -> sympy.Expr:
        return _exact_root(node.base) if node.is_Pow else node.args[0]

    def generators(self):
        return (self.expression / sympy.sqrt(self.expression**2),)

    def element(self, ring, node):
        u = self._signed(node)
        power = 0 if isinstance(node, sympy.sign) else 1 if isinstance(node, sympy.Abs) else None
        power = int(2 * node.exp) if power is None else power
        sign = ring.generator(self.generators()[0]) * (1 if self.ratio(u) > 0 else -1)
        return sign * ring.convert(u**power)

    def relations(self, ring):
        return [ring.generator(self.generators()[0]) ** 2 - 1]

    def outer_derivatives(self, ring):
        return {}


class _Exponentials(_Family):
    """exp(c u) and exp(-c u), c the greatest common divisor of the multiples of u that occur."""

    def __init__(self, node, variables):
        super().__init__(_without_factor(exponent_of_e(node)), variables)
        self.multiples = set()

    def add(self, node):
        self.multiples.add(self.ratio(exponent_of_e(node)))
        return ()

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
        ratio = int(self.ratio(exponent_of_e(node)) / self.unit)
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

    odd, even = sympy.sin, sympy.cos
    square = -1
    """The second derivative of both, over themselves."""

    def __init__(self, node, variables):
        super().__init__(node.args[0], variables)

    def generators(self):
        return self.odd(self.expression), self.even(self.expression)

    def element(self, ring, node):
        odd, even = map(ring.generator, self.generators())
        return even if isinstance(node, self.even) else odd * int(self.ratio(node.args[0]))

    def relations(self, ring):
        odd, even = map(ring.generator, self.generators())
        return [even**2 - self.square * odd**2 - 1]

    def outer_derivatives(self, ring):
        odd, even = self.generators()
        return {odd: ring.generator(even), even: self.square * ring.generator(odd)}


class _Hyperbolic(_Circular):
    """sinh(u) and cosh(u)."""

    odd, even = sympy.sinh, sympy.cosh
    square = 1


class _Single(_Family):
    """Any other function, with the derivatives that sympy finds, and minus it."""

    def generators(self):
        return (self.expression,)

    def element(self, ring, node):
        return ring.generator(self.expression) * int(self.ratio(node))

    def derivatives(self, ring):
        if self.is_frontier:
            return {self.expression: None}
        return {self.expression: [ring.reduce(ring.convert(slope)) for slope in self.slopes]}


class _Logarithm(_Single):
    """log(u), from which log(c uʳ) differs by a factor and by the logarithm of a number."""

    def __init__(self, node, variables):
        self._argument = _log_of_base(node)[1]
        super().__init__(sympy.log(self._argument), variables)

    def ratio(self, argument):
        """Return c with ``argument`` = c · u."""
        return primitive(argument)[0] / primitive(self._argument)[0]

    def add(self, node):
        return (sympy.log(self.ratio(_log_of_base(node)[1])),)

    def element(self, ring, node):
        power, u = _log_of_base(node)
        number = ring.convert(sympy.log(self.ratio(u)))
        return (ring.generator(self.expression) + number) * ring.constant(power)

    def relations(self, ring):
        """Return log(u) - Σ n log(v) for u = Π vⁿ, if the logarithms of all v occur."""
        factors = [factor.as_base_exp() for factor in sympy.Mul.make_args(self._argument)]
        if factors == [(self._argument, 1)]:
            return []
        try:
            total = sum((ring.convert(n * sympy.log(v)) for v, n in factors), ring.zero)
        except InvalidLoss:
            return []
        return [ring.generator(self.expression) - total]
