"""Wrong fields, made at random, that no certificate may hold for.

The counter terms of random losses are changed by what is not zero: a factor, a monomial, a product
that vanishes at points that somebody might test at, something tiny. What still has a certificate
is printed, and ends the run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import modeq
from modeq.errors import ModeqError

INNER = ("x", "y", "x*y", "x - y", "x**2", "2*x + 1", "x**2 + y**2 + 1")
OUTER = (
    *("exp({})", "sin({})", "cos({})", "tanh({})", "log(1 + exp({}))", "sqrt(3 + ({})**2)"),
    *("1/(2 + ({})**2)", "({})**3", "atan({})", "log(2 + ({})**2)", "erf({})", "exp(-({})**2)"),
)
GUESSES = ("3/4", "5/4", "1/2", "1", "2", "3", "1/4", "7/4")
CHANGES_EACH = 40


def main(seconds: float, seed: int | None = None) -> int:
    """Attack certificates for a time; return 1 if one holds that must not."""
    draw, end, count = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        loss, order = random_loss(draw), draw.randrange(3)
        equation = modeq.derive(loss, order)
        if not equation.certify().holds:
            print(f"the field of {loss} of order {order} has no certificate")
            return 1
        for wrong, change in wrong_fields(equation, draw):
            count += 1
            if wrong.certify().holds:
                print(f"a wrong field of {loss} of order {order} has a certificate: {change}")
                return 1
    print(f"{count} wrong fields, none with a certificate")
    return 0


def random_loss(draw: random.Random) -> str:
    """Return a loss in x and y."""
    terms = ["x**2/3 + y**2"]
    for _ in range(draw.randrange(1, 3)):
        terms.append(draw.choice(OUTER).format(draw.choice(INNER)))
    return " + ".join(terms)


def wrong_fields(equation, draw: random.Random) -> Iterator[tuple]:
    """Yield equations with a wrong counter term, and what was changed."""
    ring = equation.ring
    for _ in range(CHANGES_EACH):
        k, i = draw.randrange(equation.order + 1), draw.randrange(len(ring.variables))
        try:
            change = random_change(ring, equation.elements[k][i], draw)
        except ModeqError:
            continue
        if change == 0:
            continue
        rows = [list(vector) for vector in equation.elements]
        rows[k][i] = rows[k][i] + change
        elements = tuple(map(tuple, rows))
        yield replace(equation, elements=elements), f"f{k}[{i}] + {ring.to_sympy(change)}"


def random_change(ring, entry, draw: random.Random):
    """Return an element that is not zero as a function."""
    generator = ring.generator(draw.choice(ring.generators))
    small = ring.constant(Fraction(draw.choice((-1, 1)), 10 ** draw.randrange(40)))
    kind = draw.randrange(4)
    if kind == 0:
        return small * entry
    if kind == 1:
        return small * generator ** draw.randrange(4)
    product = small
    for _ in range(draw.randrange(1, 5)):
        x = ring.generator(draw.choice(ring.variables))
        product = product * (x * x - ring.constant(Fraction(draw.choice(GUESSES))))
    return product * generator if kind == 2 else product**2
