"""The complex roots of polynomials with exact coefficients, with their multiplicities."""

from __future__ import annotations

from collections.abc import Sequence

from modeq.algebra.entries import Entry, vanishes

SWEEPS = 500


def roots_of(polynomial: Sequence[Entry]) -> list[complex]:
    """Return the roots of Σ aⱼ zʲ, each as often as its multiplicity.

    Multiple roots are split off by exact division, p/gcd(p, p') having each of them once: from
    floats alone a root of multiplicity k would come with one k-th of the digits.

    Args:
        polynomial: The coefficients, lowest first, without symbols. The last is not zero.

    >>> from fractions import Fraction
    >>> sorted(z.real for z in roots_of([Fraction(1, 4), Fraction(-1), Fraction(1)]))
    [0.5, 0.5]
    """
    roots: list[complex] = []
    while len(polynomial) > 1:
        multiple = _common([*polynomial], _derivative(polynomial))
        roots += _simple_roots(_divided(polynomial, multiple)[0])
        polynomial = multiple
    return roots


def _derivative(polynomial: Sequence[Entry]) -> list[Entry]:
    return [j * a for j, a in enumerate(polynomial)][1:]


def _divided(a: Sequence[Entry], b: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return quotient and remainder of two polynomials, the latter without zeros at its end."""
    rest, quotient = [*a], []
    while len(rest) >= len(b):
        factor = rest[-1] / b[-1]
        quotient.append(factor)
        shift = len(rest) - len(b)
        rest = [r - factor * b[i - shift] if i >= shift else r for i, r in enumerate(rest[:-1])]
    while rest and vanishes(rest[-1]):
        rest.pop()
    return quotient[::-1], rest


def _common(a: list[Entry], b: list[Entry]) -> list[Entry]:
    """Return the greatest common divisor of two polynomials."""
    while b:
        a, b = b, _divided(a, b)[1]
    return a


def _simple_roots(polynomial: Sequence[Entry]) -> list[complex]:
    """Return roots that are all different, all at once, by the iteration of Weierstrass."""
    monic = [complex(float(a / polynomial[-1])) for a in polynomial]
    size = 1 + max(map(abs, monic))
    roots = [size * (0.4 + 0.9j) ** k for k in range(len(monic) - 1)]
    for _ in range(SWEEPS):
        for i, z in enumerate(roots):
            value = sum(c * z**j for j, c in enumerate(monic))
            for k, other in enumerate(roots):
                value = value / (z - other) if k != i else value
            roots[i] = z - value
    return [complex(round(z.real, 12) + 0.0, round(z.imag, 12) + 0.0) for z in roots]
