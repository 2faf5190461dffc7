"""Losses and vector fields: what a person hands in, checked and exact.

Both are immutable values with variables, parameters (the symbols left over) and the components of
the field f that the optimizer follows: f = -∇L for a loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import sympy

from modeq import differentials
from modeq.errors import InvalidLoss, InvalidOrder, NotSmooth
from modeq.parse import parse_expression, parse_names

H = sympy.Symbol("h", positive=True)
"""The learning rate, as a symbol."""

NOT_SMOOTH = (
    sympy.Abs,
    sympy.Max,
    sympy.Min,
    sympy.sign,
    sympy.floor,
    sympy.ceiling,
    sympy.frac,
    sympy.Mod,
    sympy.Heaviside,
    sympy.DiracDelta,
    sympy.Piecewise,
    sympy.re,
    sympy.im,
    sympy.arg,
    sympy.conjugate,
)


class Field:
    """What losses and vector fields share: variables, parameters and the components of f."""

    variables: tuple[sympy.Symbol, ...]
    parameters: tuple[sympy.Symbol, ...]
    components: tuple[sympy.Expr, ...]
    expressions: tuple[sympy.Expr, ...]

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return len(self.variables)

    def subs(self, values: Mapping) -> Field:
        """Return the same object with parameters (symbols or names) replaced by exact values.

        >>> Loss("lam*x**2", variables="x").subs({"lam": 0.5})
        Loss('x**2/2', 'x')
        """
        replacement = exact_values(values, self.parameters)
        new = [expression.subs(replacement, simultaneous=True) for expression in self.expressions]
        return self._rebuilt(new)

    def elementary_sum(self, series: Mapping) -> sympy.ImmutableMatrix:
        """Return Σ h^{|τ|-1}/σ(τ) b(τ) F(τ), for the coefficients b of a B-series."""
        return differentials.elementary_sum(series, self.components, self.variables, H)

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Field)
            and isinstance(self, Loss) == isinstance(other, Loss)
            and self.expressions == other.expressions
            and self.variables == other.variables
        )

    def __hash__(self) -> int:
        return hash((self.expressions, self.variables))


class VectorField(Field):
    """A smooth vector field f(θ), the right-hand side of θ' = f(θ).

    Args:
        components: One text or sympy expression for each variable. Floats stand for their shortest
            decimal, so 0.1 is 1/10.
        variables: Symbols or names, in the order of the components; without them all symbols, in
            natural order (x2 before x10). Symbols left over are parameters.

    Raises:
        InvalidLoss: The number of components differs from that of the variables, or an entry is
            not a finite real expression.
        NotSmooth: A function such as abs occurs in an expression.
        ParseError: A text is not a formula of smooth functions.

    Example:
        >>> pendulum = VectorField(["p", "-sin(q)"], variables="q p")
        >>> pendulum.jacobian
        Matrix([
        [      0, 1],
        [-cos(q), 0]])
    """

    def __init__(self, components: Iterable, variables: Any = None):
        if isinstance(components, str | sympy.Basic):
            components = [components]
        given = None if variables is None else parse_names(variables)
        self.components = tuple(read_expression(component, given) for component in components)
        self.expressions = self.components
        self.variables, self.parameters = _split_symbols(self.components, given)
        if len(self.components) != len(self.variables):
            raise InvalidLoss(
                f"the field has {len(self.components)} components but {len(self.variables)} "
                f"variables ({_names(self.variables)}), and the symbols left over are "
                f"{_names(self.parameters) or 'none'}; give one component for each variable"
            )

    @cached_property
    def jacobian(self) -> sympy.ImmutableMatrix:
        """The matrix ∂fᵢ/∂θⱼ."""
        return sympy.ImmutableMatrix(self.components).jacobian(self.variables)

    def _rebuilt(self, expressions: list) -> VectorField:
        return VectorField(expressions, self.variables)

    def __repr__(self) -> str:
        return f"VectorField({list(map(str, self.components))}, {_names(self.variables)!r})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {sympy.latex(sympy.Matrix(self.components))}$"


class Loss(Field):
    """A smooth loss L(θ); gradient flow is θ' = -∇L(θ).

    Args:
        expression: A text (parsed by an allow-list, never evaluated) or a sympy expression. Floats
            stand for their shortest decimal, so 0.1 is 1/10.
        variables: Symbols or names; without them all symbols, in natural order (x2 before x10).
            Symbols left over are parameters.

    Raises:
        InvalidLoss: There is no variable, one is called h (the learning rate), or the expression
            is not finite and real.
        NotSmooth: A function such as abs occurs in an expression.
        ParseError: The text is not a formula of smooth functions.

    Example:
        >>> loss = Loss("(1 - x)**2/2 + lam*y**2/2", variables="x y")
        >>> loss.parameters, loss.gradient.T
        ((lam,), Matrix([[x - 1, lam*y]]))
    """

    def __init__(self, expression: Any, variables: Any = None):
        given = None if variables is None else parse_names(variables)
        self.expression = read_expression(expression, given)
        self.expressions = (self.expression,)
        self.variables, self.parameters = _split_symbols(self.expressions, given)

    @cached_property
    def gradient(self) -> sympy.ImmutableMatrix:
        """The column ∇L."""
        return sympy.ImmutableMatrix([self.expression.diff(x) for x in self.variables])

    @cached_property
    def components(self) -> tuple[sympy.Expr, ...]:
        """The components of f = -∇L."""
        return tuple(-entry for entry in self.gradient)

    @cached_property
    def hessian(self) -> sympy.ImmutableMatrix:
        """The matrix ∇²L."""
        return self.gradient.jacobian(self.variables)

    @cached_property
    def third_derivatives(self) -> sympy.ImmutableDenseNDimArray:
        """The array ∂ᵢ∂ⱼ∂ₖL of shape (d, d, d)."""
        return self.derivatives(3)

    def derivatives(self, order: int) -> sympy.ImmutableDenseNDimArray:
        """Return the array of all partial derivatives of that order, of shape (d,) * order.

        >>> Loss("x**3*y").derivatives(2)
        [[6*x*y, 3*x**2], [3*x**2, 0]]
        """
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise InvalidOrder(f"the order of the derivatives is {order!r}; it must be 1, 2, ...")
        entries = sympy.ImmutableDenseNDimArray(self.gradient).reshape(self.dimension)
        for _ in range(order - 1):
            entries = sympy.derive_by_array(entries, self.variables)
        return entries

    def _rebuilt(self, expressions: list) -> Loss:
        return Loss(*expressions, self.variables)

    def __repr__(self) -> str:
        return f"Loss({str(self.expression)!r}, {_names(self.variables)!r})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle L = {sympy.latex(self.expression)}$"


def as_field(thing: Any) -> Field:
    """Return a loss or vector field as it is, and read a text or expression as a loss.

    >>> as_field("x**2")
    Loss('x**2', 'x')
    """
    return thing if isinstance(thing, Field) else Loss(thing)


def read_expression(thing: Any, given: Sequence[sympy.Symbol] | None = None) -> sympy.Expr:
    """Return an exact, finite, smooth sympy expression from a text, a number or an expression."""
    if isinstance(thing, str):
        expression = parse_expression(thing, {x.name: x for x in given or ()})
    else:
        expression = _from_object(thing)
    _refuse_unsuitable(expression)
    return expression


def _from_object(thing: Any) -> sympy.Expr:
    try:
        expression = sympy.sympify(thing, strict=True)
    except (sympy.SympifyError, TypeError):
        expression = None
    if not isinstance(expression, sympy.Expr) or isinstance(expression, sympy.MatrixBase):
        raise InvalidLoss(
            f"a loss must be a text, a sympy expression or a number, not {thing!r} "
            f"of type {type(thing).__name__}"
        )
    _refuse_not_finite(expression)
    return expression.xreplace({x: _exact(x) for x in expression.atoms(sympy.Float)})


def _exact(number: sympy.Float) -> sympy.Rational:
    """Return the shortest decimal that rounds to a Float."""
    text = repr(float(number)) if number._prec == 53 else str(number)
    return sympy.Rational(text)


def _refuse_not_finite(expression: sympy.Expr) -> None:
    bad = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)
    found = [x for x in bad if expression.has(x)]
    if found:
        raise InvalidLoss(f"the expression contains {found[0]}; all its numbers must be finite")
    if expression.has(sympy.I):
        raise InvalidLoss(f"the expression {expression} is not real")


def _refuse_unsuitable(expression: sympy.Expr) -> None:
    _refuse_not_finite(expression)
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, NOT_SMOOTH) or _is_root_of_even_power(node):
            raise NotSmooth(
                f"{node} is not smooth, so it has no counter terms; use a smooth stand-in, such as "
                f"sqrt(u**2 + eps**2) for abs(u) or softplus(u) for max(u, 0)"
            )


def _is_root_of_even_power(node: sympy.Basic) -> bool:
    """Tell whether a node is an odd power of |u|, written as a root of an even power of u.

    >>> x, y = sympy.symbols("x y")
    >>> [_is_root_of_even_power(sympy.sqrt(u)) for u in (x**2 * y, x**6, x**4, (1 + x**2) ** 2)]
    [True, True, False, False]
    """
    if not node.is_Pow or not node.exp.is_Rational or node.exp.is_Integer:
        return False
    powers = [factor for factor in sympy.Mul.make_args(node.base) if factor.is_Pow]
    odd = [p for p in powers if p.exp.is_Integer and p.exp.is_even and (p.exp * node.exp).is_odd]
    return not all(_keeps_its_sign(power.base) for power in odd)


def _keeps_its_sign(u: sympy.Expr) -> bool:
    """Tell whether u is a number, or a polynomial that is seen to be positive or negative."""
    if u.is_number:
        return True
    real = u.xreplace({x: sympy.Dummy(real=True) for x in u.free_symbols})
    # Of other functions sympy may take minutes to find the sign.
    return bool(real.is_polynomial() and (real.is_positive or real.is_negative))


def natural_key(symbol: sympy.Symbol) -> list:
    """Return a sorting key that puts x2 before x10."""
    return [(0, int(s), s) if s.isdecimal() else (1, 0, s) for s in re.split(r"(\d+)", symbol.name)]


def _split_symbols(expressions: Iterable, given: tuple | None) -> tuple[tuple, tuple]:
    """Return (variables, parameters); the variables are all symbols unless given."""
    symbols = set().union(*(expression.free_symbols for expression in expressions))
    variables = tuple(sorted(symbols, key=natural_key)) if given is None else given
    if not variables:
        raise InvalidLoss("there is no variable: the expression is a constant")
    parameters = tuple(sorted(symbols - set(variables), key=natural_key))
    _refuse_name_clashes((*variables, *parameters))
    return variables, parameters


def _refuse_name_clashes(symbols: Sequence[sympy.Symbol]) -> None:
    names = [symbol.name for symbol in symbols]
    if "h" in names:
        raise InvalidLoss("the name h is the learning rate; give the variable or parameter another")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidLoss(f"two different symbols are called {twice[0]!r}; give each its own name")


def exact_values(values: Mapping, parameters: Sequence[sympy.Symbol]) -> dict:
    """Return {parameter: exact value} from a mapping whose keys are symbols or names.

    >>> exact_values({"lam": 0.1}, sympy.symbols("lam,"))
    {lam: 1/10}
    """
    known = {x.name: x for x in parameters}
    replacement = {}
    for key, value in values.items():
        name = key.name if isinstance(key, sympy.Symbol) else str(key)
        if name not in known:
            raise InvalidLoss(
                f"{name!r} is not a parameter; the parameters are: {_names(parameters) or 'none'}"
            )
        replacement[known[name]] = read_expression(value)
    return replacement


def _names(symbols: Iterable[sympy.Symbol]) -> str:
    return " ".join(symbol.name for symbol in symbols)
