"""How long a polynomial is when it is multiplied out, told from how it is written.

With n terms in u, uᵏ has at most C(n + k - 1, k); whatever is multiplied, there are no more
monomials than the degrees allow, in each generator alone and in all together. Sizes of coefficients
follow from the sum of their absolute values, which a product multiplies.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from math import comb, log2, prod
from typing import NamedTuple

import sympy

from modeq.errors import ExceedsLimit

MAX_WORDS = 1_000_000
"""How many terms an expression may have when multiplied out; one with a coefficient of more than 64
bits counts as several.
"""

MAX_DEPTH = 120
"""How many functions, sums, products and powers may be inside each other."""

_MANY = 10**18


class Size(NamedTuple):
    """A bound on an expanded polynomial.

    Attributes:
        terms: The number of its terms.
        degrees: Its degree in each generator.
        bits: The binary logarithm of the sum of the absolute values of its coefficients, and of
            their common denominator.
    """

    terms: int
    degrees: dict[sympy.Expr, int]
    bits: float

    @property
    def words(self) -> int:
        """The terms, each as often as its coefficient has words of 64 bits."""
        return min(_MANY, self.terms * (1 + int(self.bits) // 64))


def check_expansion(expressions: Iterable[sympy.Expr], limit: int = MAX_WORDS) -> None:
    """Refuse expressions that would be too long if they were multiplied out.

    Args:
        expressions: Expressions, whose functions are generators with arguments of the same kind.
        limit: How many words there may be; see ``Size.words``.

    Raises:
        ExceedsLimit: One of them may have more.

    >>> x, y = sympy.symbols("x y")
    >>> check_expansion([sympy.exp(((1 + x) * (1 + y)) ** 2000)])
    Traceback (most recent call last):
    modeq.errors.ExceedsLimit: the formula, multiplied out, means up to 252,252,063 terms; \
1,000,000 are allowed: take a lower order, or give a larger limit
    """
    sizes: dict[sympy.Basic, Size] = {}
    for node in (node for expression in expressions for node in from_leaves(expression)):
        if isinstance(node, sympy.Expr) and node not in sizes:
            size = _size(node, [sizes[part] for part in node.args if part in sizes])
            if size.words > limit:
                raise ExceedsLimit(
                    "the formula, multiplied out, means up to", size.words, "terms", limit
                )
            sizes[node] = size


def from_leaves(
    expression: sympy.Basic, known: Container[sympy.Basic] = ()
) -> Iterator[sympy.Basic]:
    """Yield the parts of an expression, each once and after its own parts, without those known.

    >>> x = sympy.Symbol("x")
    >>> list(from_leaves(sympy.sin(x) + sympy.cos(x)))[0], list(from_leaves(x + 1))
    (x, [x, 1, x + 1])
    """
    done, stack = set(), [expression]
    while stack:
        part = stack[-1]
        missing = [inner for inner in part.args if inner not in done and inner not in known]
        stack += missing
        if not missing:
            if part not in done and part not in known:
                done.add(part)
                yield part
            stack.pop()


def rebuilt(
    expression: sympy.Basic,
    change: Callable[[sympy.Basic], sympy.Basic],
    known: dict[sympy.Basic, sympy.Basic] | None = None,
) -> sympy.Basic:
    """Return an expression with each part, made from parts that are changed already, changed.

    Parts that occur often are changed once, which those of an update rule do.

    Args:
        expression: The expression.
        change: Gives what stands for a part.
        known: What is found already, to which all that is found now is added.

    >>> x, y = sympy.symbols("x y")
    >>> rebuilt(sympy.sin(x + 1) + x, lambda part: y if part == x else part)
    y + sin(y + 1)
    """
    known = {} if known is None else known
    for part in from_leaves(expression, known):
        inner = [known[argument] for argument in part.args]
        same = all(new is old for new, old in zip(inner, part.args, strict=True))
        known[part] = change(part if same else part.func(*inner))
    return known[expression]


def depth(expression: sympy.Basic) -> int:
    """Return how many functions, sums, products and powers are inside each other.

    >>> depth(sympy.sin(sympy.Symbol("x") ** 2))
    2
    """
    depths: dict[sympy.Basic, int] = {}
    for part in from_leaves(expression):
        depths[part] = max((1 + depths[inner] for inner in part.args), default=0)
    return depths[expression]


def _size(node: sympy.Expr, below: list[Size]) -> Size:
    if node.is_Rational:
        return Size(1, {}, log2(max(abs(node.p), 1)) + log2(node.q))
    if node.is_Add and len(below) == len(node.args):
        terms = min(_MANY, sum(size.terms for size in below))
        return _bounded(terms, _largest(below), max(size.bits for size in below) + log2(len(below)))
    if node.is_Mul and len(below) == len(node.args):
        terms = min(_MANY, prod(size.terms for size in below))
        return _bounded(terms, _total(below), sum(size.bits for size in below))
    if node.is_Pow and node.exp.is_Integer and node.exp > 0:
        base, n = below[0], int(node.exp)
        few, many = sorted((base.terms - 1, n))
        terms = min(_MANY, comb(few + many, few)) if few < 10_000 else _MANY
        return _bounded(terms, {g: n * e for g, e in base.degrees.items()}, n * base.bits)
    return Size(1, {node: 1}, 0.0)


def _bounded(terms: int, degrees: dict[sympy.Expr, int], bits: float) -> Size:
    box = _MANY
    if len(degrees) < 100:
        k, total = len(degrees), sum(degrees.values())
        box = min(_MANY, prod(e + 1 for e in degrees.values()))
        box = min(box, comb(total + k, k)) if k < 30 else box
    return Size(min(terms, box), degrees, bits)


def _largest(sizes: list[Size]) -> dict[sympy.Expr, int]:
    found: dict[sympy.Expr, int] = {}
    for size in sizes:
        for g, e in size.degrees.items():
            found[g] = max(e, found.get(g, 0))
    return found


def _total(sizes: list[Size]) -> dict[sympy.Expr, int]:
    found: dict[sympy.Expr, int] = {}
    for size in sizes:
        for g, e in size.degrees.items():
            found[g] = e + found.get(g, 0)
    return found
