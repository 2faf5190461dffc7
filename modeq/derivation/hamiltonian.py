"""The modified Hamiltonian: an energy of the modified field, where there is one.

A field in pairs of variables is Hamiltonian if p' = -∂H/∂q and q' = ∂H/∂p. A symplectic method has
a modified Hamiltonian to every order (Hairer, Lubich, Wanner, Geometric Numerical Integration,
IX.3), which its modified field keeps, so that the method keeps H nearly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from modeq.derivation.lie import VectorElement
from modeq.derivation.modified_field import ModifiedField
from modeq.derivation.potential import curl_witness, potential
from modeq.errors import InvalidLoss, NotHamiltonian
from modeq.losses.expressions import listed, names_of
from modeq.losses.loss import H
from modeq.losses.parse import parse_names
from modeq.losses.vanishing import Decisions

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
