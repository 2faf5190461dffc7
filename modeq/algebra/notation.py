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

In a tree with colored vertices a vertex of color c stands for the field f_c, so that
F([τ₁, …, τₖ]) = f_c⁽ᵏ⁾(F(τ₁), …, F(τₖ)) for a root of color c (Hairer, Lubich, Wanner,
*Geometric Numerical Integration*, III.2.1). The fields are called f1, f2, … unless ``fields`` gives
their names; a number at the end of a name becomes a subscript in LaTeX. The last two notations have
one loss, and so one color.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from modeq.algebra.trees import RootedTree
from modeq.checks import shortened
from modeq.errors import InvalidValue

_LETTERS = "ijklmnpqrstuvw"
_TENSORS = {3: "T", 4: "Q"}


def field_names(colors: int) -> tuple[str, ...]:
    """Return what the fields of a series with this many colors are called.

    >>> field_names(1), field_names(2)
    (('f',), ('f1', 'f2'))
    """
    return ("f",) if colors == 1 else tuple(f"f{number}" for number in range(1, colors + 1))


def differential(
    tree: RootedTree, *, latex: bool = False, fields: Sequence[str] | None = None
) -> str:
    """Return the elementary differential F([τ₁, …, τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ)).

    Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.1, Table 1.1.

    >>> tree = RootedTree.from_level_sequence([1, 2, 3, 2])
    >>> differential(tree)
    "f''(f,f'f)"
    >>> print(differential(tree, latex=True))
    f''\\!\\left(f,f'f\\right)
    >>> two_fields = RootedTree.from_level_sequence([1, 2, 3, 2], colors=[0, 1, 0, 0])
    >>> differential(two_fields), differential(two_fields, fields=("f", "g"))
    ("f1''(f1,f2'f1)", "f''(f,g'f)")

    Args:
        tree: The tree.
        latex: Whether to write LaTeX.
        fields: The names of the fields, by color; `field_names` if not given. A tree in color 0
            alone does not know of other fields, so a series with several must give their names.

    Raises:
        InvalidValue: If there is not a name for each color of the tree.
    """
    names = _names(tree, latex, fields)

    def combine(color: int, children: list[str]) -> str:
        name = _derivative(names[color], len(children), latex)
        if len(children) < 2:
            return "".join([name, *children])
        arguments = ",".join(reversed(children))
        return rf"{name}\!\left({arguments}\right)" if latex else f"{name}({arguments})"

    return tree.fold_colored(combine)


def gradient(tree: RootedTree, *, latex: bool = False) -> tuple[int, str]:
    r"""Return the sign (-1)^|τ| and the contraction of derivatives of L, for f = -∇L.

    In text g = ∇L, H = ∇²L, T = ∇³L, Q = ∇⁴L, D5 = ∇⁵L, …; powers of H are collected.

    >>> gradient(RootedTree.from_level_sequence([1, 2, 3, 4, 4]))
    (-1, 'H^2 T[g, g]')
    >>> print(gradient(RootedTree.from_level_sequence([1, 2, 2]), latex=True)[1])
    \nabla^3 L\!\left[\nabla L,\nabla L\right]

    Raises:
        InvalidValue: If a vertex has a color other than 0.
    """
    _check_one_field(tree)

    def combine(children: list[tuple[int, str]]) -> tuple[int, str]:
        if len(children) == 1:
            [(power, core)] = children
            return power + 1, core
        arguments = [_hessians(*child, latex) for child in reversed(children)]
        return 0, _contraction(arguments, latex)

    return _sign(tree), _hessians(*tree.fold(combine), latex)


def index(tree: RootedTree, *, latex: bool = False, fields: Sequence[str] | None = None) -> str:
    """Return component i of F(τ), repeated indices summed, indices after a comma derivatives.

    F(τ)^i = f^i_{,j₁…jₖ} F(τ₁)^{j₁} ⋯ F(τₖ)^{jₖ}. A dummy index gets its letter when the factor
    that differentiates by it is written, so that letters come in the order of the alphabet
    (without o; after w come i1, i2, …).

    >>> index(RootedTree.from_level_sequence([1, 2, 3, 2]))
    'f^i_,jk f^j f^k_,l f^l'
    >>> index(RootedTree.from_level_sequence([1, 2, 2]), latex=True)
    'f^i_{,jk} f^j f^k'
    >>> index(RootedTree([RootedTree(color=1)]), fields=("f", "g"))
    'f^i_,j g^j'

    Args:
        tree: The tree.
        latex: Whether to write LaTeX.
        fields: The names of the fields, by color, as in `differential`.

    Raises:
        InvalidValue: If there is not a name for each color of the tree.
    """
    names = [_grouped(name, "^_", latex) for name in _names(tree, latex, fields)]

    def factor(color: int, letter: str, dummies: list[str]) -> str:
        upper = f"{names[color]}^{_braced(letter, latex)}"
        return upper + (f"_{_braced(',' + ''.join(dummies), latex)}" if dummies else "")

    return " ".join(factor(*letters) for letters in _indices(tree, latex))


def loss_index(tree: RootedTree, *, latex: bool = False) -> tuple[int, str]:
    """Return the sign (-1)^|τ| and component i of F(τ) for f = -∇L, repeated indices summed.

    All indices are lower and mean partial derivatives, as in Miyagawa, *Toward Equation of
    Motion for Deep Neural Networks* (NeurIPS 2022).

    >>> loss_index(RootedTree.from_level_sequence([1, 2, 3, 2]))
    (1, 'L_ijk L_j L_kl L_l')

    Raises:
        InvalidValue: If a vertex has a color other than 0.
    """
    _check_one_field(tree)

    def factor(color: int, letter: str, dummies: list[str]) -> str:
        return f"L_{_braced(letter + ''.join(dummies), latex)}"

    return _sign(tree), " ".join(factor(*letters) for letters in _indices(tree, latex))


_UNSIGNED: dict[str, Callable[..., str]] = {"differentials": differential, "index": index}
_SIGNED: dict[str, Callable[..., tuple[int, str]]] = {
    "gradient": gradient,
    "loss index": loss_index,
}


def signed_formula(
    tree: RootedTree,
    *,
    notation: str = "differentials",
    latex: bool = False,
    fields: Sequence[str] | None = None,
) -> tuple[int, str]:
    """Return a sign and a formula whose product is F(τ), in one of the four notations.

    >>> signed_formula(RootedTree(), notation="gradient")
    (-1, 'g')
    >>> signed_formula(RootedTree(color=1), fields=("f", "g"))
    (1, 'g')

    Args:
        tree: The tree.
        notation: One of those in the table of this module.
        latex: Whether to write LaTeX.
        fields: The names of the fields, by color, in the two notations for fields.

    Raises:
        InvalidValue: If the notation is not one of those in the table of this module, there is not
            a name for each color of the tree, or the notation is for one loss and the tree has
            other colors than 0 or fields with names.
    """
    if notation in _UNSIGNED:
        return 1, _UNSIGNED[notation](tree, latex=latex, fields=fields)
    if notation not in _SIGNED:
        known = ", ".join(sorted(_UNSIGNED | _SIGNED))
        raise InvalidValue(f"notation must be one of {known}, got {shortened(notation)}")
    if fields is not None:
        raise InvalidValue(
            f"{shortened(notation)} is a notation for one loss L, got fields {shortened(fields)}"
        )
    return _SIGNED[notation](tree, latex=latex)


def _names(tree: RootedTree, latex: bool, fields: Sequence[str] | None) -> Sequence[str]:
    """Return the names of at least as many fields as the tree has colors."""
    colors = 1 + max(tree.colors)
    if fields is None:
        names: Sequence[str] = field_names(colors)
    elif len(_checked_names(fields)) < colors:
        raise InvalidValue(f"{tree} has colors up to {colors - 1}, got fields {shortened(fields)}")
    else:
        names = fields
    return (
        [re.sub(r"(?<=[^\W\d_])[0-9]+$", r"_{\g<0>}", name) for name in names] if latex else names
    )


def _checked_names(fields: Any) -> Sequence[str]:
    sequence = isinstance(fields, Sequence) and not isinstance(fields, str)
    if not sequence or not all(isinstance(name, str) and name for name in fields):
        raise InvalidValue(f"fields must list the names of the fields, got {shortened(fields)}")
    return fields


def _check_one_field(tree: RootedTree) -> None:
    if any(tree.colors):
        raise InvalidValue(f"formulas of a loss L are for trees in color 0 alone, got {tree}")


def _derivative(name: str, times: int, latex: bool) -> str:
    """Return the name of a derivative, with primes up to the third."""
    if times == 0:
        return name
    name = _grouped(name, "^'", latex)
    if times <= 3:
        return name + "'" * times
    return f"{name}^{{({times})}}" if latex else f"{name}^({times})"


def _grouped(name: str, marks: str, latex: bool) -> str:
    """Return the name in braces if LaTeX would not put these marks on it a second time."""
    return f"{{{name}}}" if latex and any(mark in name for mark in marks) else name


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


def _indices(tree: RootedTree, latex: bool) -> Iterator[tuple[int, str, list[str]]]:
    """Yield for each vertex, as written, its color, its letter and those of its children."""
    letters = _alphabet(latex)
    pending = [(next(letters), tree)]
    while pending:
        letter, subtree = pending.pop()
        children = subtree.children[::-1]
        dummies = list(islice(letters, len(children)))
        yield subtree.color, letter, dummies
        pending.extend(reversed(list(zip(dummies, children, strict=True))))


def _alphabet(latex: bool) -> Iterator[str]:
    """Yield i, j, k, …, and when the letters are used up i1, i2, …"""
    yield from _LETTERS
    number = 0
    while number := number + 1:
        yield f"i_{{{number}}}" if latex else f"i{number}"


def _braced(text: str, latex: bool) -> str:
    return f"{{{text}}}" if latex and len(text) > 1 else text
