"""Elementary differentials of a given field, by repeated differentiation.

    F(•) = f,        F([τ₁…τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ))

(Hairer, Lubich, Wanner, Geometric Numerical Integration, III.1, Definition 1.2.) With several
fields, the color of the root says which of them f is (III.2.1). This is the definition, written for
clarity: it shares nothing with the ring in which counter terms are found.
"""

from collections.abc import Mapping, Sequence

import sympy

_Components = tuple[sympy.Expr, ...]


def elementary_differential(tree, f: _Components, variables: Sequence[sympy.Symbol]) -> _Components:
    """Return the components of F(``tree``), expanded.

    >>> from modeq.algebra.trees import RootedTree
    >>> y = sympy.Symbol("y")
    >>> elementary_differential(RootedTree([RootedTree()]), (y**2,), (y,))
    (2*y**3,)
    """
    return _Differentials((f,), variables)[tree]


def elementary_sum(
    series: Mapping, fields: Sequence[_Components], variables: Sequence, h: sympy.Symbol
):
    """Return the column Σ_τ h^{|τ|-1} b(τ)/σ(τ) F(τ) over the trees of ``series``, for the fields
    of all colors.
    """
    differentials = _Differentials(fields, variables)
    columns = (
        sympy.Matrix(differentials[tree])
        * (sympy.sympify(b) / tree.symmetry * h ** (tree.order - 1))
        for tree, b in series.items()
        if b != 0
    )
    total = sum(columns, sympy.zeros(len(variables), 1))
    return sympy.ImmutableMatrix(total.applyfunc(lambda entry: _expanded(entry, variables)))


def _expanded(expression: sympy.Expr, variables: Sequence[sympy.Symbol]) -> sympy.Expr:
    """Return a sum of products, without expanding powers of denominators, which takes long."""
    whole = expression.is_polynomial(*variables)
    return sympy.expand(expression) if whole else sympy.expand_mul(expression)


class _Differentials(dict):
    """Elementary differentials of some fields, each computed when it is first asked for."""

    def __init__(self, fields: Sequence[_Components], variables: Sequence[sympy.Symbol]):
        super().__init__()
        self.fields = fields
        self.variables = variables

    def __missing__(self, tree) -> _Components:
        value = self.fields[tree.color]
        arguments = [self[child] for child in tree.children]
        placeholders = [[sympy.Dummy() for _ in self.variables] for _ in arguments]
        for direction in placeholders:
            value = [
                sum(d * component.diff(x) for d, x in zip(direction, self.variables, strict=True))
                for component in value
            ]
        # The directions are constants while f is differentiated, and only then take their values.
        values = {
            dummy: entry
            for dummies, argument in zip(placeholders, arguments, strict=True)
            for dummy, entry in zip(dummies, argument, strict=True)
        }
        self[tree] = tuple(
            _expanded(sympy.sympify(c).xreplace(values), self.variables) for c in value
        )
        return self[tree]
