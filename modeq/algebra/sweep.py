"""One coefficient for each of all trees: the recurrence of a method swept over the catalog.

The rows g(τ) = g(rest) U(child) are products of whole ranges of rows. Only rows that are parts of
larger trees are kept: U of a tree that can be a child, g of one that can be a rest (few, because a
rest has no child beyond the largest). Of trees with as many vertices as there are, or one fewer,
coefficients are linear in U(child), and are found by matrix products without making any rows.

Exact numerators of all coefficients at once, in the cheapest arithmetic that is proved exact.

A sweep in 64-bit integers that wrap around gives the numerators modulo 2⁶⁴. How large they can be
is known beforehand (`recurrences.field_bounds`). If 64 bits are not enough, the same sweep modulo
one or more primes gives what is above, by the Chinese remainder theorem; if very many primes would
be needed, Python's integers take over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isqrt
from typing import NamedTuple

import numpy as np

from modeq.algebra.catalog import Catalog, Range
from modeq.algebra.recurrences import (
    EXACT,
    WRAPPED,
    Recurrence,
    RungeKuttaRows,
    RungeKuttaTable,
    modulo,
)

ROWS_AT_ONCE = 1 << 12
COEFFICIENTS_AT_ONCE = 1 << 18


class _Block(NamedTuple):
    """Coefficients of consecutive trees; ``part`` is None for those with one vertex."""

    vertices: int
    part: Range | None
    values: np.ndarray


class _Forms(NamedTuple):
    """Linear forms of rows, one for each color of the root.

    Attributes:
        values: The forms, of shape (colors, stages, points).
        used: The stages that any of them reads.
    """

    values: np.ndarray
    used: Sequence[int]

    @classmethod
    def of(cls, values: np.ndarray) -> _Forms:
        return cls(values, [s for s in range(values.shape[1]) if np.any(values[:, s] != 0)])


def sweep(catalog: Catalog, recurrence: Recurrence) -> Iterator[_Block]:
    """Yield the coefficients that the recurrence reads off, in the order of the catalog."""
    return _Sweep(catalog, recurrence).run()


class _Sweep:
    """The rows that are kept: by number of vertices, of shape (stages, trees, points)."""

    def __init__(self, catalog: Catalog, recurrence: Recurrence):
        self.catalog = catalog
        self.recurrence = recurrence
        arithmetic = recurrence.arithmetic
        self.dtype, self.reduce = arithmetic.dtype, arithmetic.reduce
        self.one = arithmetic.convert(1)
        shape = (recurrence.stages, catalog.colors, recurrence.points)
        self.g = {1: np.full(shape, self.one, self.dtype)}
        self.color = {1: np.arange(catalog.colors)}
        self.U = {1: self.advance(self.g[1], self.color[1])}
        # What the trees [τ] with all vertices are for the τ with one vertex fewer, whose rows
        # are not made: one column for each color of the root.
        self.single: np.ndarray | None = None

    def run(self) -> Iterator[_Block]:
        yield _Block(1, None, self.apply(self.forms(1), self.g[1], self.color[1]))
        for n in range(2, self.catalog.vertices + 1):
            if n <= self.catalog.vertices - 2:
                yield from self.with_rows(n)
            else:
                yield from self.without_rows(n)

    def with_rows(self, n: int) -> Iterator[_Block]:
        """Make and keep the rows of the trees with n vertices."""
        stages, points = self.recurrence.stages, self.recurrence.points
        self.U[n] = np.empty((stages, self.catalog.counts[n], points), self.dtype)
        self.g[n] = np.empty((stages, self.catalog.prefix(n), points), self.dtype)
        self.color[n] = np.empty(self.catalog.counts[n], self.catalog.color_type)
        forms = self.forms(n)
        for part in self.catalog.ranges(n, ROWS_AT_ONCE):
            rows, color = self.rows(part)
            self.keep(part, rows)
            place = slice(part.start, part.start + len(part))
            self.color[n][place] = color
            self.U[n][:, place] = self.advance(rows, color)
            yield _Block(n, part, self.apply(forms, rows, color))

    def keep(self, part: Range, rows: np.ndarray) -> None:
        """Keep the rows of a range, or of the first trees in it, that are rests."""
        kept = self.g[part.vertices]
        count = max(0, min(len(part), kept.shape[1] - part.start))
        kept[:, part.start : part.start + count] = rows[:, :count]

    def without_rows(self, n: int) -> Iterator[_Block]:
        """Find coefficients as linear forms of the rows of the children."""
        top = self.catalog.vertices
        forms = [self.forms(n)]
        if n < top:
            self.keep_bushy(n)
            colors = range(self.catalog.colors)
            forms += [self.through_child(self.forms(top).values[color]) for color in colors]
            self.single = np.empty((self.catalog.counts[n], self.catalog.colors), self.dtype)
        for part in self.catalog.ranges(n, COEFFICIENTS_AT_ONCE):
            if part.child_order not in self.U:
                yield _Block(n, part, self.single[part.children.start : part.children.stop].ravel())
                continue
            values = [self.contract(part, form) for form in forms]
            if n < top:
                self.single[part.start : part.start + len(part)] = np.stack(values[1:], axis=1)
            yield _Block(n, part, values[0])

    def keep_bushy(self, n: int) -> None:
        """Keep the rows of rests with one vertex fewer than all: those whose children are single.

        These are the first trees; their last vertex is the only place left for one more.
        """
        stages, points = self.recurrence.stages, self.recurrence.points
        self.g[n] = np.empty((stages, self.catalog.prefix(n), points), self.dtype)
        self.color[n] = np.empty(self.catalog.prefix(n), self.catalog.color_type)
        for part in self.catalog.ranges(n, ROWS_AT_ONCE):
            if part.child_order > 1:
                return
            rows, self.color[n][part.start : part.start + len(part)] = self.rows(part)
            self.keep(part, rows)

    def forms(self, n: int) -> _Forms:
        """Return the linear forms of the coefficients, by the color of the root."""
        colors = range(self.catalog.colors)
        return _Forms.of(np.stack([self.recurrence.readout(n, color) for color in colors]))

    def through_child(self, form: np.ndarray) -> _Forms:
        """Return the forms of g(τ) that give ``form`` of g([τ]) = U(τ), by the color of τ."""
        stages, points = form.shape
        zero = self.one - self.one
        units = np.full((stages, stages * points, points), zero, self.dtype)
        for i in range(stages * points):
            units[i // points, i, i % points] = self.one
        images = [self.recurrence.advance(units, color) for color in range(self.catalog.colors)]
        whole = range(stages)
        totals = [self.reduce(self.total(image, form, whole)) for image in images]
        return _Forms.of(np.stack([total.reshape(stages, points) for total in totals]))

    def rows(self, part: Range) -> tuple[np.ndarray, np.ndarray]:
        """Return g(rest) U(child) for each tree of a range, and the colors of the roots."""
        rests, children = self.g[part.rest_order], self.U[part.child_order]
        chosen = slice(part.children.start, part.children.stop)
        color = self.color[part.rest_order]
        if isinstance(part.lengths, int):
            products = children[:, chosen, None, :] * rests[:, None, : part.lengths]
            shape = (rests.shape[0], len(part), rests.shape[2])
            return self.reduce(products.reshape(shape)), np.tile(
                color[: part.lengths], len(part.children)
            )
        result = np.empty((rests.shape[0], len(part), rests.shape[2]), self.dtype)
        colors = np.empty(len(part), self.catalog.color_type)
        start = 0
        for child, length in zip(part.children, part.lengths.tolist(), strict=True):
            place = slice(start, start + length)
            np.multiply(rests[:, :length], children[:, child, None], out=result[:, place])
            colors[place] = color[:length]
            start += length
        return self.reduce(result), colors

    def contract(self, part: Range, forms: _Forms) -> np.ndarray:
        """Return the forms of the rows of a range, without making them."""
        count = part.lengths if isinstance(part.lengths, int) else int(part.lengths.max())
        rests = self.g[part.rest_order][:, :count]
        color = self.color[part.rest_order][:count]
        weighted = self.reduce(rests * forms.values[color].transpose(1, 0, 2))
        children = self.U[part.child_order]
        result = np.full(len(part), self.one - self.one, self.dtype)
        if isinstance(part.lengths, int):
            chosen = slice(part.children.start, part.children.stop)
            for s in forms.used:
                result += (children[s, chosen] @ weighted[s].T).ravel()
            return self.reduce(result)
        start = 0
        for child, length in zip(part.children, part.lengths.tolist(), strict=True):
            for s in forms.used:
                result[start : start + length] += weighted[s, :length] @ children[s, child]
            start += length
        return self.reduce(result)

    def advance(self, rows: np.ndarray, color: np.ndarray) -> np.ndarray:
        """Return U for rows g of trees with these colors."""
        if self.catalog.colors == 1:
            return self.recurrence.advance(rows, 0)
        result = np.empty_like(rows)
        for c in range(self.catalog.colors):
            result[:, color == c] = self.recurrence.advance(rows[:, color == c], c)
        return result

    def apply(self, forms: _Forms, rows: np.ndarray, color: np.ndarray) -> np.ndarray:
        """Return the coefficients of trees with these rows and colors."""
        if self.catalog.colors == 1:
            return self.reduce(self.total(rows, forms.values[0], forms.used))
        result = np.empty(rows.shape[1], self.dtype)
        for c in range(self.catalog.colors):
            result[color == c] = self.total(rows[:, color == c], forms.values[c], forms.used)
        return self.reduce(result)

    def total(self, rows: np.ndarray, form: np.ndarray, used: Sequence[int]) -> np.ndarray:
        """Return Σ over stages and points of form times rows."""
        if not used:
            return np.full(rows.shape[1], self.one - self.one, self.dtype)
        return sum(rows[s] @ form[s] for s in used)


MAX_PRIMES = 12
"""With more primes than these, sweeps in Python's integers take less time."""

BITS_OF_A_PRIME = 21.99
"""What each of the largest primes below 2²² adds to 64 bits, at least."""


def field_numerators(catalog: Catalog, table: RungeKuttaTable) -> Iterator[_Block]:
    """Yield the numerators of the modified field's coefficients, in the order of the catalog.

    The denominators are ``table.field_denominator(n)`` for trees with n vertices. Arrays are of
    64-bit integers wherever all their numbers fit, else of Python integers.

    >>> euler = RungeKuttaTable([[[0]]], [[1]])
    >>> [block.values.tolist() for block in field_numerators(Catalog(3), euler)]
    [[1], [-1], [1], [2]]
    """
    count = primes_needed(table, catalog.vertices)
    if count > MAX_PRIMES:
        yield from sweep(catalog, RungeKuttaRows(table, catalog.vertices, EXACT))
        return
    primes = largest_primes(count)
    arithmetics = [WRAPPED, *map(modulo, primes)]
    sweeps = [
        sweep(catalog, RungeKuttaRows(table, catalog.vertices, arithmetic))
        for arithmetic in arithmetics
    ]
    for blocks in zip(*sweeps, strict=True):
        first, *others = blocks
        values = combined(first.values, [block.values for block in others], primes)
        yield first._replace(values=values)


def primes_needed(table: RungeKuttaTable, vertices: int) -> int:
    """Return how many primes beside 2⁶⁴ it takes to hold every numerator; 0 if 64 bits do.

    >>> primes_needed(RungeKuttaTable([[[0]]], [[1]]), 22)
    0
    """
    bits = table.bits(vertices) + 1
    return max(0, ceil(min((bits - 63) / BITS_OF_A_PRIME, MAX_PRIMES + 1)))


def largest_primes(count: int, below: int = 1 << 22) -> list[int]:
    """Return the largest primes below a bound.

    >>> largest_primes(2)
    [4194301, 4194287]
    """
    primes: list[int] = []
    candidate = below - 1
    while len(primes) < count:
        if all(candidate % divisor for divisor in range(2, isqrt(candidate) + 1)):
            primes.append(candidate)
        candidate -= 1
    return primes


def combined(wrapped: np.ndarray, residues: list[np.ndarray], primes: list[int]) -> np.ndarray:
    """Return the numbers with these remainders modulo 2⁶⁴ and the primes that are nearest zero.

    In mixed radix, x = x₀ + 2⁶⁴ (k₁ + p₁ (k₂ + …)), with all digits symmetric about zero.

    >>> combined(np.array([-3]), [np.array([5.0 - 3])], [7])  # 2⁶⁴ = 2 modulo 7
    array([-18446744073709551619], dtype=object)
    """
    digits: list[np.ndarray] = []
    for prime, residue in zip(primes, residues, strict=True):
        value = (residue.astype(np.int64) - wrapped % prime) * pow(2**64, -1, prime) % prime
        for digit, radix in zip(digits, primes, strict=False):
            value = (value - digit) * pow(radix, -1, prime) % prime
        digits.append((value + prime // 2) % prime - prime // 2)
    if not any(digit.any() for digit in digits):
        return wrapped
    above: np.ndarray | int = 0
    for digit, radix in zip(reversed(digits), reversed(primes), strict=True):
        above = above * radix + digit.astype(object)
    return above * 2**64 + wrapped
