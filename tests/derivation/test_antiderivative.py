"""Potentials inside a ring: what is differentiated comes back, up to a constant."""

import pytest
import sympy

from modeq.derivation.antiderivative import antiderivative
from modeq.derivation.lie import jacobian_rows
from modeq.derivation.ring import DifferentialRing

x, y, a = sympy.symbols("x y a")

POTENTIALS = [
    x**3 * y + a * y**2 - 5 * x,
    sympy.sin(x) ** 3 * sympy.cos(x) * y,
    sympy.sin(x * y) ** 2 + x * sympy.cos(x * y),
    sympy.exp(-x) * y**2 + sympy.exp(2 * x - y),
    1 / sympy.sqrt(x**2 + y**2) ** 3 + a * x,
    sympy.log(1 + x**2) ** 2 * y,
    sympy.tanh(x * y) ** 3 * x,
]


@pytest.mark.parametrize("potential", POTENTIALS, ids=str)
def test_the_potential_of_a_gradient_has_that_gradient(potential):
    ring = DifferentialRing((x, y), (a,), [potential], depth=6)
    (gradient,) = jacobian_rows(ring, (ring.convert(potential),))
    found = antiderivative(ring, gradient)
    assert jacobian_rows(ring, (found,)) == [gradient]


def test_a_potential_outside_the_ring_is_not_found():
    ring = DifferentialRing((x,), (), [sympy.sin(x) ** 2], depth=3)
    assert antiderivative(ring, (ring.convert(sympy.sin(x) ** 2),)) is None


def test_the_potential_of_nothing_is_nothing():
    ring = DifferentialRing((x,), (), [sympy.sin(x)], depth=3)
    assert antiderivative(ring, (ring.zero,)) == ring.zero
