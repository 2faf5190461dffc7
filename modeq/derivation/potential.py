"""The modified loss: a potential of the modified field, or of the map, where there is one.

f̃ = -∇L̃ asks that every counter term be a gradient. For gradient descent that is so through h: the
modified loss of order 1 is L + h/4 |∇L|² (Barrett and Dherin 2021). At h² it fails in general, and
the curl that does not vanish is the witness.

The modified Hamiltonian: an energy of the modified field, where there is one.

A field in pairs of variables is Hamiltonian if p' = -∂H/∂q and q' = ∂H/∂p. A symplectic method has
a modified Hamiltonian to every order (Hairer, Lubich, Wanner, Geometric Numerical Integration,
IX.3), which its modified field keeps, so that the method keeps H nearly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from random import Random
from typing import Any

import sympy

from modeq.derivation.antiderivative import antiderivative
from modeq.derivation.derive import ModifiedField, step_series
from modeq.derivation.lie import VectorElement, jacobian_rows
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidLoss, NotAGradient, NotHamiltonian
from modeq.losses.digits import to_digits
from modeq.losses.expressions import listed, names_of
from modeq.losses.loss import H
from modeq.losses.parse import parse_names
from modeq.losses.vanishing import Decisions

_MAX_OPERATIONS = 40
"""Integrands with more operations stay integrals, if the ring has no potential for them."""

_POINTS = 12
"""At how many random points a closed form is compared with what it should be the integral of."""


def modified_loss(modified: ModifiedField) -> sympy.Expr:
    """Return L̃ with f̃ = -∇L̃.

    Raises:
        NotAGradient: With the first power of h whose counter term is not a gradient, and a witness.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> modified_loss(derive_field(Loss("x**2*y/2"), 1, GradientDescent()))
    h*(x**4/16 + x**2*y**2/4) + x**2*y/2
    """
    return _series_potential(modified, modified.elements)


def map_loss(modified: ModifiedField) -> sympy.Expr:
    """Return L̃ for which one step is θ - h ∇L̃: gradient descent on another loss.

    With memory the step is that on the slow manifold. For heavy ball there is one to every order
    that was tried, though its field is a gradient only through h.

    Raises:
        NotAGradient: With the first power of h whose term is not a gradient, and a witness.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import HeavyBall
    >>> map_loss(derive_field(Loss("x**2/2"), 2, HeavyBall(0.5)))
    12*h**2*x**2 + 2*h*x**2 + x**2
    """
    steps = step_series(modified.loss, modified.order, modified.method, modified.ring)
    zero = (modified.ring.zero,) * len(modified.variables)
    return _series_potential(modified, [*steps, *[zero] * (modified.order + 1 - len(steps))])


def _series_potential(modified: ModifiedField, vectors: Sequence[VectorElement]) -> sympy.Expr:
    """Return Σ hʲ Pⱼ with ``vectors[j]`` = -∇Pⱼ."""
    decide = Decisions(modified.ring.vanishing)
    for power, elements in enumerate(vectors):
        witness = curl_witness(modified.ring, elements, decide)
        if witness is not None:
            raise NotAGradient(power, witness)
    terms = [_potential(modified, elements, decide) for elements in vectors]
    decide.warn("that the field is a gradient")
    return sympy.Add(*(H**power * term for power, term in enumerate(terms)))


def curl_witness(
    ring: DifferentialRing, vector: VectorElement, decide: Callable[[Element], bool]
) -> tuple | None:
    """Return (a, b, ∂f_a/∂b - ∂f_b/∂a) for a pair of variables where it is not zero, or None."""
    rows = jacobian_rows(ring, vector)
    for i, j in combinations(range(len(vector)), 2):
        curl = rows[i][j] - rows[j][i]
        if not decide(curl):
            return ring.variables[i], ring.variables[j], ring.to_sympy(ring.reduce(curl))
    return None


def _potential(
    modified: ModifiedField, vector: VectorElement, decide: Callable[[Element], bool]
) -> sympy.Expr:
    """Return P with ``vector`` = -∇P: a multiple of L or of |∇L|², as it often is, or another."""
    ring, loss = modified.ring, modified.loss
    f = tuple(ring.reduce(ring.convert(component)) for component in loss.components)
    if hasattr(loss, "expression"):
        factor = _factor(ring, vector, f, decide)
        if factor is not None:
            return ring.to_sympy(factor) * loss.expression
    square = sum((entry * entry for entry in f), ring.zero)
    slopes = tuple(ring.derivative(square, i) for i in range(len(ring.variables)))
    factor = _factor(ring, vector, slopes, decide)
    if factor is not None:
        return -ring.to_sympy(ring.reduce(factor * square))
    return potential(ring, vector)


def _factor(
    ring: DifferentialRing,
    vector: VectorElement,
    base: VectorElement,
    decide: Callable[[Element], bool],
) -> Element | None:
    """Return the constant c with ``vector`` = c ``base``, if there is one.

    >>> x, beta = sympy.symbols("x beta")
    >>> ring = DifferentialRing((x,), (beta,), [], depth=0)
    >>> _factor(ring, (ring.convert(beta * x),), (ring.convert(x),), ring.vanishes)
    g1
    """
    for entry, part in zip(vector, base, strict=True):
        if part != 0:
            factor = divmod(entry, part)[0]
            constant = all(ring.derivative(factor, i) == 0 for i in range(len(ring.variables)))
            pairs = zip(vector, base, strict=True)
            holds = constant and all(decide(e - factor * b) for e, b in pairs)
            return factor if holds else None
    return None


def potential(ring: DifferentialRing, vector: VectorElement) -> sympy.Expr:
    """Return P with ``vector`` = -∇P, for a vector without curl.

    >>> p, q = sympy.symbols("p q")
    >>> ring = DifferentialRing((p, q), (), [sympy.sin(q)], depth=2)
    >>> potential(ring, (ring.convert(-p), ring.convert(-sympy.sin(q))))
    p**2/2 - cos(q)
    """
    gradient = tuple(-entry for entry in vector)
    element = antiderivative(ring, gradient)
    return _integrated(ring, gradient) if element is None else ring.to_sympy(element)


def _integrated(ring: DifferentialRing, gradient: VectorElement) -> sympy.Expr:
    """Return the potential of a gradient, by sympy: it contains functions that the ring has not."""
    total = sympy.S.Zero
    for x, element in zip(ring.variables, gradient, strict=True):
        rest = _shortened(ring, ring.to_sympy(element) - total.diff(x))
        total += _real_integral(rest, x)
    return total


def _real_integral(integrand: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    """Return ∫ f dx in closed form, if there is one that is real where f is, or as it stands.

    >>> x, y = sympy.symbols("x y")
    >>> _real_integral(y / (1 + x**2 * y**2), x), _real_integral(1 / x, x)
    (atan(x*y), log(x**2)/2)
    """
    stands = sympy.Integral(integrand, x)
    # sympy looks for closed forms of long integrands without end.
    if sympy.count_ops(integrand) > _MAX_OPERATIONS:
        return stands
    real = {z: sympy.Dummy(z.name, real=True) for z in integrand.free_symbols | {x}}
    try:
        found = sympy.integrate(integrand.xreplace(real), real[x])
    except Exception:  # sympy's integrator fails with errors of all kinds
        return stands
    found = found.xreplace({dummy: z for z, dummy in real.items()})
    wide = found.replace(sympy.log, lambda u: sympy.log(u**2) / 2)
    return next((form for form in (found, wide) if _is_integral(form, integrand, x)), stands)


def _is_integral(form: sympy.Expr, integrand: sympy.Expr, x: sympy.Symbol) -> bool:
    """Tell whether a form is real at random points where the integrand is, with that as slope."""
    symbols = sorted(integrand.free_symbols | {x}, key=str)
    tried = 0
    for _ in range(_POINTS):
        point = {z: sympy.Rational(Random().randint(-(10**9), 10**9), 3 * 10**8) for z in symbols}
        wanted = _real_value(integrand.xreplace(point))
        if wanted is not None:
            tried += 1
            slope = _real_value(form.diff(x).xreplace(point))
            if slope is None or _real_value(form.xreplace(point)) is None:
                return False
            if abs(slope - wanted) > abs(wanted) * sympy.Float("1e-20"):
                return False
    return tried > 0


def _real_value(constant: sympy.Expr) -> sympy.Float | None:
    """Return the value of a constant, if it is a finite real number."""
    value = to_digits(constant, 30)
    return value if value.is_Rational or value.is_Float else None


def _shortened(ring: DifferentialRing, expression: sympy.Expr) -> sympy.Expr:
    """Return an expression reduced by the relations of a ring, if it lies in the ring.

    Without them, what should cancel, such as 1 - sin² - cos², would be integrated as it stands.
    """
    expression = sympy.expand(expression)
    try:
        element = ring.reduce(ring.convert(expression))
    except InvalidLoss:
        return expression
    return ring.to_sympy(element)


Pair = tuple[int, int]
"""The indices of a momentum p and its coordinate q."""


def modified_hamiltonian(modified: ModifiedField, pairs: Iterable | None = None) -> sympy.Expr:
    """Return H̃ with p' = -∂H̃/∂q and q' = ∂H̃/∂p for every pair (p, q).

    Args:
        modified: The modified field.
        pairs: Pairs (p, q) of names or symbols, which take in every variable. Without them, p is
            paired with q, p1 with q1, and so on.

    Raises:
        NotHamiltonian: With the first power of h at which there is none, and a witness.
        InvalidLoss: The pairs do not take in every variable once.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import VectorField
    >>> from modeq.methods.partitioned_by_name import SymplecticEuler
    >>> oscillator = VectorField(["-q", "p"], variables="p q").split("p", "q")
    >>> modified_hamiltonian(derive_field(oscillator, 1, SymplecticEuler()))
    -h*p*q/2 + p**2/2 + q**2/2
    """
    indices = _pairs(pairs, modified.variables)
    vectors = [_rotated(elements, indices) for elements in modified.elements]
    decide = Decisions(modified.ring.vanishing)
    for power, vector in enumerate(vectors):
        witness = curl_witness(modified.ring, vector, decide)
        if witness is not None:
            raise NotHamiltonian(power, witness)
    decide.warn("that the field is Hamiltonian")
    terms = (H**power * potential(modified.ring, v) for power, v in enumerate(vectors))
    return sympy.Add(*terms)


def _rotated(elements: VectorElement, pairs: Sequence[Pair]) -> VectorElement:
    """Return the vector that is -∇H if the field is that of the Hamiltonian H."""
    rotated = list(elements)
    for p, q in pairs:
        rotated[p], rotated[q] = -elements[q], elements[p]
    return tuple(rotated)


def _pairs(pairs: Any, variables: tuple[sympy.Symbol, ...]) -> list[Pair]:
    """Return the indices of the pairs, each variable in one of them."""
    index = {x.name: i for i, x in enumerate(variables)}
    if pairs is None:
        names = [(name, f"q{name[1:]}") for name in index if name.startswith("p")]
    else:
        names = [tuple(x.name for x in parse_names(pair)) for pair in listed(pairs, "the pairs")]
    used = [name for pair in names for name in pair]
    if any(len(pair) != 2 for pair in names) or sorted(used) != sorted(index):
        raise InvalidLoss(
            f"the variables {names_of(variables)} do not fall into the pairs {names}; give each of "
            f'them once, such as pairs=[("p", "q")]'
        )
    return [(index[p], index[q]) for p, q in names]
