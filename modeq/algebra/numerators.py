"""Exact numerators of all coefficients at once, in the cheapest arithmetic that is proved exact.

A sweep in 64-bit integers that wrap around gives the numerators modulo 2⁶⁴. How large they can be
is known beforehand (`rows.field_bounds`). If 64 bits are not enough, the same sweep modulo one or
more primes gives what is above, by the Chinese remainder theorem; if very many primes would be
needed, Python's integers take over.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isqrt

import numpy as np

from modeq.algebra.rows import EXACT, WRAPPED, RungeKuttaRows, RungeKuttaTable, modulo
from modeq.algebra.sweep import Block, sweep
from modeq.algebra.table import Catalog

MAX_PRIMES = 12
"""With more primes than these, sweeps in Python's integers take less time."""

BITS_OF_A_PRIME = 21.99
"""What each of the largest primes below 2²² adds to 64 bits, at least."""


def field_numerators(catalog: Catalog, table: RungeKuttaTable) -> Iterator[Block]:
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
