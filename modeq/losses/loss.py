"""Losses and vector fields: what a person hands in, checked and exact.

All are immutable values with variables, parameters (the symbols left over) and the components of
the field f that the optimizer follows: f = -∇L for a loss. A field may be made of parts, for
methods that treat them differently.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import sympy

from modeq.checks import shortened, whole
from modeq.errors import InvalidLoss, InvalidOrder, ModeqWarning
from modeq.losses import differentials
from modeq.losses.arithmetic import derivative
from modeq.losses.expressions import (
    constant,
    exact_values,
    listed,
    names_of,
    read_expressions,
    split_symbols,
)
from modeq.losses.formula_latex import expression_latex
from modeq.losses.parse import parse_names
from modeq.losses.vanishing import divisors_of, refuse_zeros

H = sympy.Symbol("h", positive=True)
"""The learning rate, as a symbol."""


class Field:
    """What losses and vector fields share: variables, parameters and the components of f."""

    variables: tuple[sympy.Symbol, ...]
    parameters: tuple[sympy.Symbol, ...]
    components: tuple[sympy.Expr, ...]
    expressions: tuple[sympy.Expr, ...]
    parts: tuple[Field, ...] = ()
    """The fields that this one is the sum of; none where it is in one piece."""
    method: Any = None
    """The method that the field comes with, if there is one."""

    @property
    def forces(self) -> tuple[sympy.Expr, ...]:
        """What an optimizer takes minus of for the gradient: the components, unless the field has
        a schedule, which multiplies the update and not the gradient.
        """
        return self.components

    def method_for(self, method: Any) -> Any:
        """Return the method that a given one means on this field."""
        return method

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
        try:
            new = [e.subs(replacement, simultaneous=True) for e in self.expressions]
        except ValueError as error:  # as of hermite(n, x) for n = 1/2
            raise InvalidLoss(f"with the values {replacement} sympy says: {error}") from None
        return self._rebuilt(new)

    def split(self, *groups: Any) -> SplitField:
        """Return the same field in parts, of which part c moves the variables of group c only.

        Args:
            groups: Texts such as "p" or "p1 p2", or sequences of names and symbols. Every variable
                belongs to one of them.

        Raises:
            InvalidLoss: A group names what is no variable, or a variable is in no group or in two.

        >>> VectorField(["-sin(q)", "p"], variables="p q").split("p", "q").parts
        (VectorField(['-sin(q)', '0'], 'p q'), VectorField(['0', 'p'], 'p q'))
        """
        owner = _owners(groups, self.variables)
        return SplitField(
            VectorField(
                [
                    f if owner[x] == c else 0
                    for x, f in zip(self.variables, self.components, strict=True)
                ],
                self.variables,
            )
            for c in range(len(groups))
        )

    def elementary_sum(self, series: Mapping) -> sympy.ImmutableMatrix:
        """Return Σ h^{|τ|-1}/σ(τ) b(τ) F(τ), for the coefficients b of a B-series.

        Raises:
            InvalidLoss: The series is for several fields, and this is not as many parts.
        """
        colors = getattr(series, "colors", 1)
        fields = [part.components for part in self.parts] if colors > 1 else [self.components]
        if len(fields) != colors:
            raise InvalidLoss(
                f"the series is for {colors} fields, but the field is in {max(len(fields), 1)} "
                f'part(s); split it by its variables, field.split("p", "q"), or give SplitField'
            )
        return differentials.elementary_sum(series, fields, self.variables, H)

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Field)
            and isinstance(self, Loss) == isinstance(other, Loss)
            and self.expressions == other.expressions
            and self.variables == other.variables
            and self.parts == other.parts
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
        time: The name of the time, if the field depends on it: it becomes the last variable, with
            the component 1. Otherwise a symbol t that is left over is taken as constant, and a
            warning says so.

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

    def __init__(self, components: Iterable, variables: Any = None, time: Any = None):
        if isinstance(components, str | sympy.Expr):
            components = [components]
        components = listed(components, "the components of the field")
        self.components, self.variables, self.parameters = read_expressions(components, variables)
        self.expressions = self.components
        refuse_zeros(d for expression in self.expressions for d in divisors_of(expression))
        if time is not None:
            clock = _clock(time, self, variables)
            self.variables = tuple(x for x in self.variables if x != clock)
            self.parameters = tuple(x for x in self.parameters if x != clock)
        if len(self.components) != len(self.variables):
            raise InvalidLoss(
                f"the field has {len(self.components)} components but {len(self.variables)} "
                f"variables ({names_of(self.variables)}), and the symbols left over are "
                f"{names_of(self.parameters) or 'none'}; give one component for each variable"
            )
        if time is not None:
            self.components = self.expressions = (*self.components, sympy.S.One)
            self.variables = (*self.variables, clock)
        _warn_of_constant_time(self.parameters)

    @cached_property
    def jacobian(self) -> sympy.ImmutableMatrix:
        """The matrix ∂fᵢ/∂θⱼ."""
        return sympy.ImmutableMatrix(self.components).jacobian(self.variables)

    def _rebuilt(self, expressions: list) -> VectorField:
        return VectorField(expressions, self.variables)

    def __repr__(self) -> str:
        return f"VectorField({list(map(str, self.components))}, {names_of(self.variables)!r})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {expression_latex(sympy.Matrix(self.components))}$"


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
        self.expressions, self.variables, self.parameters = read_expressions(
            [expression], variables
        )
        [self.expression] = self.expressions
        refuse_zeros(divisors_of(self.expression))
        _warn_of_constant_time(self.parameters)

    @cached_property
    def gradient(self) -> sympy.ImmutableMatrix:
        """The column ∇L."""
        return sympy.ImmutableMatrix([derivative(self.expression, x) for x in self.variables])

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
        order = whole(order, "the order of the derivatives", error=InvalidOrder)
        entries = sympy.ImmutableDenseNDimArray(self.gradient).reshape(self.dimension)
        for _ in range(order - 1):
            entries = sympy.derive_by_array(entries, self.variables)
        return entries

    def _rebuilt(self, expressions: list) -> Loss:
        return Loss(*expressions, self.variables)

    def __repr__(self) -> str:
        return f"Loss({str(self.expression)!r}, {names_of(self.variables)!r})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle L = {expression_latex(self.expression)}$"


class SplitField(Field):
    """The field f₀ + f₁ + … of an equation θ' = f₀(θ) + f₁(θ) + …, kept in its parts.

    Methods with one table for each part, and compositions of the flows of the parts, need to know
    them: see ``AdditiveRungeKutta`` and ``Splitting``. A field whose variables fall into groups is
    split by ``field.split("p", "q")``, and so is a loss for alternating minimization.

    Args:
        parts: A list of losses or vector fields in the same variables, at least two. A text or an
            expression in it is a loss.

    Raises:
        InvalidLoss: It is no list, there are fewer than two parts, or their variables differ.

    Example:
        >>> x, lam = sympy.symbols("x lam")
        >>> stiff = SplitField([VectorField([-lam * x], [x]), VectorField([sympy.cos(x)], [x])])
        >>> stiff.components, stiff.parameters
        ((-lam*x + cos(x),), (lam,))
    """

    def __init__(self, parts: Iterable):
        self.parts = tuple(_as_part(part) for part in listed(parts, "the parts of the field"))
        if len(self.parts) < 2:
            raise InvalidLoss(f"the field has {len(self.parts)} parts; it must have at least two")
        self.variables = self.parts[0].variables
        for c, part in enumerate(self.parts):
            if part.variables != self.variables:
                raise InvalidLoss(
                    f"part {c} has the variables {names_of(part.variables)}, but part 0 has "
                    f"{names_of(self.variables)}; all parts must have the same variables, in the "
                    f"same order: give variables=... to each"
                )
        columns = zip(*(part.components for part in self.parts), strict=True)
        self.components = tuple(sympy.Add(*column) for column in columns)
        self.expressions = self.components
        everything = [f for part in self.parts for f in part.components]
        self.parameters = split_symbols(everything, self.variables)[1]

    def subs(self, values: Mapping) -> SplitField:
        """Return the same parts with parameters (symbols or names) replaced by exact values."""
        return SplitField(self._with_values(self.parts, values))

    def _with_values(self, fields: Iterable[Field], values: Mapping) -> list:
        """Return fields, each with the values of those parameters that it has."""
        new = exact_values(values, self.parameters)
        return [
            field.subs({x: value for x, value in new.items() if x in field.parameters})
            for field in fields
        ]

    def scaled(self, *rates: Any) -> SplitField:
        """Return the field with part c multiplied by rate c: players with rates of their own.

        Args:
            rates: One number, text or expression for each part; symbols in it are parameters.

        Raises:
            InvalidLoss: There are not as many rates as parts, or one depends on a variable.

        >>> game = VectorField(["-y", "x"], variables="x y").split("x", "y")
        >>> game.scaled("alpha", 2).components
        (-alpha*y, 2*x)
        """
        if len(rates) != len(self.parts):
            raise InvalidLoss(f"{len(rates)} rates are given for {len(self.parts)} parts")
        factors = [constant(rate, self.variables, "a rate") for rate in rates]
        return SplitField(
            VectorField([factor * f for f in part.components], self.variables)
            for factor, part in zip(factors, self.parts, strict=True)
        )

    def __repr__(self) -> str:
        return f"SplitField([{', '.join(map(repr, self.parts))}])"

    def _repr_latex_(self) -> str:
        columns = (expression_latex(sympy.Matrix(part.components)) for part in self.parts)
        return f"$\\displaystyle {' + '.join(columns)}$"


def _clock(time: Any, field: Field, variables: Any) -> sympy.Symbol:
    """Return the symbol of the time, which no given variable may be."""
    own = {x.name: x for x in (*field.variables, *field.parameters)}
    names = parse_names(time, own)
    if len(names) != 1:
        raise InvalidLoss(f"time is {shortened(time)}; it must be one name, such as 't'")
    if variables is not None and names[0] in field.variables:
        raise InvalidLoss(f"the time {names[0]} is among the variables too; leave it out there")
    return names[0]


def _warn_of_constant_time(parameters: Iterable[sympy.Symbol]) -> None:
    for x in parameters:
        if x.name == "t":
            warnings.warn(
                "t is no variable and is taken as constant; if it is the time, give "
                'VectorField(..., time="t")',
                ModeqWarning,
                stacklevel=3,
            )


def _as_part(part: Any) -> Field:
    part = as_field(part)
    if part.parts:
        raise InvalidLoss(
            f"the part {shortened(part)} is in parts itself; list them all on one level"
        )
    return part


def _owners(groups: Sequence, variables: tuple) -> dict[sympy.Symbol, int]:
    """Return {variable: the group that it is in}."""
    if len(groups) < 2:
        raise InvalidLoss(f"{len(groups)} groups of variables are given; give at least two")
    known, owner = {x.name: x for x in variables}, {}
    for c, group in enumerate(groups):
        for symbol in parse_names(group):
            x = known.get(symbol.name)
            if x is None:
                raise InvalidLoss(
                    f"{symbol} in group {c} is not a variable; they are {names_of(variables)}"
                )
            if x in owner:
                raise InvalidLoss(f"{x} is in the groups {owner[x]} and {c}; it belongs to one")
            owner[x] = c
    missing = [x for x in variables if x not in owner]
    if missing:
        raise InvalidLoss(f"{names_of(missing)} is in no group; every variable belongs to one")
    return owner


def as_field(thing: Any) -> Field:
    """Return a loss or vector field as it is, and read a text or expression as a loss.

    >>> as_field("x**2")
    Loss('x**2', 'x')
    """
    return thing if isinstance(thing, Field) else Loss(thing)


def as_loss(thing: Any, reason: str) -> Loss:
    """Return a loss as it is, and read a text or expression as one; refuse vector fields.

    Args:
        thing: What stands for a loss.
        reason: Why it must be a loss, for the error.

    >>> as_loss("x**2", "the Hessian is that of a loss")
    Loss('x**2', 'x')
    """
    field = as_field(thing)
    if not isinstance(field, Loss):
        raise InvalidLoss(f"{shortened(field)} is a vector field; {reason}")
    return field


def as_losses(things: Any, variables: Any = None) -> tuple[Loss, ...]:
    """Return losses as they are, and read texts and expressions as losses.

    Args:
        things: A list of losses, texts or expressions.
        variables: The variables of those that are texts or expressions.

    Raises:
        InvalidLoss: It is no list, or an entry is no loss.

    >>> as_losses(["x**2", Loss("y**2")], variables="x y")
    (Loss('x**2', 'x y'), Loss('y**2', 'y'))
    """
    losses = [
        thing if isinstance(thing, Field) else Loss(thing, variables)
        for thing in listed(things, "the losses")
    ]
    for loss in losses:
        if not isinstance(loss, Loss):
            raise InvalidLoss(
                f"{shortened(loss)} is no loss; a field in parts is given as SplitField"
            )
    return tuple(losses)
