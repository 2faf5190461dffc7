r"""Rooted trees as formulas, in plain text and in LaTeX.

The elementary differential F(•) = f, F([τ₁, …, τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ)) of one tree reads

| notation | for | text | LaTeX |
| --- | --- | --- | --- |
| differentials | a field f | f''(f,f'f) | `f''\!\left(f,f'f\right)` |
| index | a field f | f^i_,jk f^j f^k_,l f^l | `f^i_{,jk} f^j f^k_{,l} f^l` |
| gradient | f = -∇L | T[g, H g] | `\nabla^3 L\!\left[\nabla L,\nabla^2 L\,\nabla L\right]` |
| loss index | f = -∇L | L_ijk L_j L_kl L_l | `L_{ijk} L_j L_{kl} L_l` |

The last two leave out the sign (-1)^|τ|, one minus for each f, and return it beside the formula.
Arguments are written from the simple to the complicated: in ascending order of level sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from numbers import Rational
from typing import Any

from modeq.errors import InvalidValue
from modeq.trees import RootedTree

_LETTERS = "ijklmnpqrstuvw"
_TENSORS = {3: "T", 4: "Q"}


def differential(tree: RootedTree, *, latex: bool = False) -> str:
    """Return the elementary differential F([τ₁, …, τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ)).

    Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.1, Table 1.1.

    >>> tree = RootedTree.from_level_sequence([1, 2, 3, 2])
    >>> differential(tree)
    "f''(f,f'f)"
    >>> print(differential(tree, latex=True))
    f''\\!\\left(f,f'f\\right)
    """

    def combine(children: list[str]) -> str:
        name = _derivative(len(children), latex)
        if len(children) < 2:
            return name + "".join(children)
        arguments = ",".join(reversed(children))
        return rf"{name}\!\left({arguments}\right)" if latex else f"{name}({arguments})"

    return tree.fold(combine)


def gradient(tree: RootedTree, *, latex: bool = False) -> tuple[int, str]:
    r"""Return the sign (-1)^|τ| and the contraction of derivatives of L, for f = -∇L.

    In text g = ∇L, H = ∇²L, T = ∇³L, Q = ∇⁴L, D5 = ∇⁵L, …; powers of H are collected.

    >>> gradient(RootedTree.from_level_sequence([1, 2, 3, 4, 4]))
    (-1, 'H^2 T[g, g]')
    >>> print(gradient(RootedTree.from_level_sequence([1, 2, 2]), latex=True)[1])
    \nabla^3 L\!\left[\nabla L,\nabla L\right]
    """

    def combine(children: list[tuple[int, str]]) -> tuple[int, str]:
        if len(children) == 1:
            [(power, core)] = children
            return power + 1, core
        arguments = [_hessians(*child, latex) for child in reversed(children)]
        return 0, _contraction(arguments, latex)

    return _sign(tree), _hessians(*tree.fold(combine), latex)


def index(tree: RootedTree, *, latex: bool = False) -> str:
    """Return component i of F(τ), repeated indices summed, indices after a comma derivatives.

    F(τ)^i = f^i_{,j₁…jₖ} F(τ₁)^{j₁} ⋯ F(τₖ)^{jₖ}. A dummy index gets its letter when the factor
    that differentiates by it is written, so that letters come in the order of the alphabet
    (without o; after w come i1, i2, …).

    >>> index(RootedTree.from_level_sequence([1, 2, 3, 2]))
    'f^i_,jk f^j f^k_,l f^l'
    >>> index(RootedTree.from_level_sequence([1, 2, 2]), latex=True)
    'f^i_{,jk} f^j f^k'
    """

    def factor(letter: str, dummies: list[str]) -> str:
        upper = f"f^{_braced(letter, latex)}"
        return upper + (f"_{_braced(',' + ''.join(dummies), latex)}" if dummies else "")

    return " ".join(factor(*letters) for letters in _indices(tree, latex))


def loss_index(tree: RootedTree, *, latex: bool = False) -> tuple[int, str]:
    """Return the sign (-1)^|τ| and component i of F(τ) for f = -∇L, repeated indices summed.

    All indices are lower and mean partial derivatives, as in Miyagawa, *Toward Equation of
    Motion for Deep Neural Networks* (NeurIPS 2022).

    >>> loss_index(RootedTree.from_level_sequence([1, 2, 3, 2]))
    (1, 'L_ijk L_j L_kl L_l')
    """

    def factor(letter: str, dummies: list[str]) -> str:
        return f"L_{_braced(letter + ''.join(dummies), latex)}"

    return _sign(tree), " ".join(factor(*letters) for letters in _indices(tree, latex))


_NOTATIONS: dict[str, Callable[..., tuple[int, str]]] = {
    "differentials": lambda tree, latex: (1, differential(tree, latex=latex)),
    "gradient": lambda tree, latex: gradient(tree, latex=latex),
    "index": lambda tree, latex: (1, index(tree, latex=latex)),
    "loss index": lambda tree, latex: loss_index(tree, latex=latex),
}


def signed_formula(
    tree: RootedTree, *, notation: str = "differentials", latex: bool = False
) -> tuple[int, str]:
    """Return a sign and a formula whose product is F(τ), in one of the four notations.

    >>> signed_formula(RootedTree(), notation="gradient")
    (-1, 'g')

    Raises:
        InvalidValue: If the notation is not one of those in the table of this module.
    """
    if notation not in _NOTATIONS:
        raise InvalidValue(f"notation must be one of {', '.join(_NOTATIONS)}, got {notation!r}")
    return _NOTATIONS[notation](tree, latex)


def linear_combination(terms: Iterable[tuple[Any, str]], *, latex: bool = False) -> str:
    """Return the sum Σ cᵢ tᵢ of pairs (cᵢ, tᵢ) of a coefficient and a formula.

    Coefficients 0 and 1 are not written. A rational one shows its sign and, in LaTeX, its
    fraction. Any other is written as it writes itself, in parentheses: by `str`, or in LaTeX by
    `_repr_latex_`, which sympy's expressions have.

    >>> linear_combination([(Fraction(1, 3), "f'f'f"), (Fraction(-1, 12), "f''(f,f)")])
    "1/3 f'f'f - 1/12 f''(f,f)"
    >>> linear_combination([(-1, "f"), (Fraction(1, 2), "f'f")], latex=True)
    "-f + \\\\tfrac{1}{2} f'f"
    >>> linear_combination([])
    '0'
    """
    signed = [_signed_term(*term, latex) for term in terms if term[0] != 0]
    if not signed:
        return "0"
    (first_sign, first), *others = signed
    lead = "-" if first_sign == "-" else ""
    return lead + first + "".join(f" {sign} {text}" for sign, text in others)


def _signed_term(coefficient: Any, formula: str, latex: bool) -> tuple[str, str]:
    """Return the sign of a term, and the term without it."""
    if not isinstance(coefficient, Rational):
        return "+", f"{_in_parentheses(coefficient, latex)} {formula}"
    sign = "-" if coefficient < 0 else "+"
    size = abs(Fraction(int(coefficient.numerator), int(coefficient.denominator)))
    if size == 1:
        return sign, formula
    if latex and size.denominator > 1:
        return sign, rf"\tfrac{{{size.numerator}}}{{{size.denominator}}} {formula}"
    return sign, f"{size} {formula}"


def _in_parentheses(coefficient: Any, latex: bool) -> str:
    if not latex:
        return f"({coefficient})"
    text = getattr(coefficient, "_repr_latex_", coefficient.__str__)()
    formula = text.strip("$").removeprefix(r"\displaystyle").strip()
    return rf"\left({formula}\right)"


def _derivative(times: int, latex: bool) -> str:
    """Return the name of the derivative of f, with primes up to the third."""
    if times <= 3:
        return "f" + "'" * times
    return f"f^{{({times})}}" if latex else f"f^({times})"


def _hessians(power: int, core: str, latex: bool) -> str:
    """Return H^power applied to a vector."""
    if power == 0:
        return core
    if latex:
        return rf"\nabla^2 L\,{core}" if power == 1 else rf"(\nabla^2 L)^{{{power}}}\,{core}"
    return f"H {core}" if power == 1 else f"H^{power} {core}"


def _contraction(arguments: list[str], latex: bool) -> str:
    """Return the derivative of L with one free index more than there are arguments."""
    times = len(arguments) + 1
    if times == 1:
        return r"\nabla L" if latex else "g"
    if latex:
        return rf"\nabla^{_braced(str(times), latex)} L\!\left[{','.join(arguments)}\right]"
    return f"{_TENSORS.get(times, f'D{times}')}[{', '.join(arguments)}]"


def _sign(tree: RootedTree) -> int:
    return -1 if tree.order % 2 else 1


def _indices(tree: RootedTree, latex: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield for each vertex, in the order of writing, its letter and those of its children."""
    letters = _alphabet(latex)
    pending = [(next(letters), tree)]
    while pending:
        letter, subtree = pending.pop()
        children = subtree.children[::-1]
        dummies = list(islice(letters, len(children)))
        yield letter, dummies
        pending.extend(reversed(list(zip(dummies, children, strict=True))))


def _alphabet(latex: bool) -> Iterator[str]:
    """Yield i, j, k, …, and when the letters are used up i1, i2, …"""
    yield from _LETTERS
    number = 0
    while number := number + 1:
        yield f"i_{{{number}}}" if latex else f"i{number}"


def _braced(text: str, latex: bool) -> str:
    return f"{{{text}}}" if latex and len(text) > 1 else text
