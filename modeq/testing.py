"""Property tests of one's own derivations: random losses, and whether a flow follows a map.

    >>> from hypothesis import given, settings
    >>> import modeq
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(losses(variables="x y"))
    ... def test_my_first_counter_term_is_right(loss):
    ...     h = modeq.losses.loss.H
    ...     mine = -loss.gradient - h / 2 * loss.hessian * loss.gradient
    ...     x, y = loss.variables
    ...     step = [x - h * loss.gradient[0], y - h * loss.gradient[1]]
    ...     assert_follows(mine, step, order=1, variables=(x, y))
    >>> test_my_first_counter_term_is_right()

The strategies need Hypothesis, which is an optional dependency: ``pip install modeq[test]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from modeq.algebra import trees
from modeq.flows.follows import assert_follows
from modeq.losses.loss import Field, Loss, VectorField
from modeq.losses.parse import parse_names
from modeq.methods.tableaux import RungeKutta

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("modeq.testing needs Hypothesis: pip install modeq[test]") from error

__all__ = ["assert_follows", "losses", "rooted_trees", "starts", "tableaux", "vector_fields"]

SMOOTH_FUNCTIONS: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "exp": sympy.exp,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tanh": sympy.tanh,
    "sqrt": lambda u: sympy.sqrt(1 + u**2),
    "log": lambda u: sympy.log(1 + u**2),
    "reciprocal": lambda u: 1 / (1 + u**2),
    "softplus": lambda u: sympy.log(1 + sympy.exp(u)),
}
"""Functions that are smooth on the whole line."""

_COEFFICIENTS = st.sampled_from(
    [sympy.Rational(sign * p, q) for p, q in ((1, 1), (1, 2), (1, 3), (2, 3)) for sign in (1, -1)]
)
_COORDINATES = st.integers(-8, 8).map(lambda k: Fraction(k, 8))


def losses(
    variables: Any = None, *, max_degree: int = 4, functions: bool = True
) -> st.SearchStrategy[Loss]:
    """Return a strategy for losses with small exact coefficients.

    A loss is a sum of at most three monomials and, where ``functions`` are wanted, at most one
    function such as tanh(x/2 - y) from ``SMOOTH_FUNCTIONS``. On the cube [-1, 1]^d its values and
    first derivatives are at most a few hundred. Its gradient is never identically zero.

    Args:
        variables: Symbols or names; without them one, two or three of x, y, z.
        max_degree: The highest degree of a monomial, at least 1.
        functions: Whether functions other than polynomials may occur.

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(losses(max_degree=3, functions=False))
    ... def test_the_degree_is_at_most_three(loss):
    ...     assert sympy.Poly(loss.expression, *loss.variables).total_degree() <= 3
    >>> test_the_degree_is_at_most_three()
    """
    return _variables(variables).flatmap(
        lambda x: (
            _expressions(x, max_degree, functions)
            .map(lambda expression: Loss(expression, x))
            .filter(_is_moving)
        )
    )


def vector_fields(
    variables: Any = None, *, max_degree: int = 3, functions: bool = True
) -> st.SearchStrategy[VectorField]:
    """Return a strategy for vector fields, whose components are as the losses of ``losses``.

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(vector_fields(variables="q p"))
    ... def test_there_is_a_component_for_each_variable(field):
    ...     assert len(field.components) == 2
    >>> test_there_is_a_component_for_each_variable()
    """
    return _variables(variables).flatmap(
        lambda x: (
            st.tuples(*[_expressions(x, max_degree, functions)] * len(x))
            .map(lambda components: VectorField(components, x))
            .filter(_is_moving)
        )
    )


def rooted_trees(*, max_order: int = 5) -> st.SearchStrategy[trees.RootedTree]:
    """Return a strategy for rooted trees with at most ``max_order`` vertices.

    >>> from math import factorial
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(rooted_trees(max_order=4))
    ... def test_the_symmetry_divides_a_factorial(tree):
    ...     assert factorial(tree.order - 1) % tree.symmetry == 0
    >>> test_the_symmetry_divides_a_factorial()
    """
    return st.integers(1, max_order).flatmap(lambda n: st.sampled_from(trees.rooted_trees(n)))


def starts(field: Field) -> st.SearchStrategy[tuple[Fraction, ...]]:
    """Return a strategy for points of the cube [-1, 1]^d at which a field is not nearly at rest.

    The coordinates are multiples of 1/8, and so exact as floats too.

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(starts(Loss("x**2 + y**4")))
    ... def test_the_origin_is_never_drawn(start):
    ...     assert any(start)
    >>> test_the_origin_is_never_drawn()
    """
    return st.tuples(*[_COORDINATES] * field.dimension).filter(
        lambda point: _largest_component(field, point) > Fraction(1, 100)
    )


def tableaux(*, max_stages: int = 3, explicit: bool | None = None) -> st.SearchStrategy[RungeKutta]:
    """Return a strategy for Runge-Kutta methods with small rational tableaux.

    Args:
        max_stages: The largest number of stages.
        explicit: True or False for explicit or implicit tableaux only; None for both.

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(tableaux())
    ... def test_the_weights_sum_to_one(method):
    ...     assert sum(method.b) == 1
    >>> test_the_weights_sum_to_one()
    """
    kinds = st.booleans() if explicit is None else st.just(explicit)
    return st.tuples(st.integers(1, max_stages), kinds).flatmap(lambda kind: _tableaux(*kind))


def _variables(given: Any) -> st.SearchStrategy[tuple[sympy.Symbol, ...]]:
    if given is not None:
        return st.just(parse_names(given))
    x = sympy.symbols("x y z")
    return st.integers(1, 3).map(lambda count: x[:count])


@st.composite
def _expressions(draw: Callable, x: Sequence[sympy.Symbol], max_degree: int, functions: bool):
    """Draw a sum of monomials and, sometimes, a multiple of a function of a linear form."""
    kinds = draw(st.lists(st.booleans() if functions else st.just(False), min_size=1, max_size=3))
    terms = [_monomial(draw, x, max_degree) for _ in kinds]
    if any(kinds):
        function = SMOOTH_FUNCTIONS[draw(st.sampled_from(sorted(SMOOTH_FUNCTIONS)))]
        terms[0] = draw(_COEFFICIENTS) * function(_linear_form(draw, x))
    return sympy.Add(*terms)


def _monomial(draw: Callable, x: Sequence[sympy.Symbol], max_degree: int) -> sympy.Expr:
    factors = draw(st.lists(st.sampled_from(x), min_size=1, max_size=max_degree))
    return draw(_COEFFICIENTS) * sympy.Mul(*factors)


def _linear_form(draw: Callable, x: Sequence[sympy.Symbol]) -> sympy.Expr:
    """Draw c + Σ cᵢ xᵢ with at least one variable in it."""
    chosen = draw(st.lists(st.sampled_from(x), min_size=1, max_size=len(x), unique=True))
    constant = draw(st.sampled_from([sympy.S.Zero, sympy.S.Half, -sympy.S.One]))
    return constant + sympy.Add(*(draw(_COEFFICIENTS) * xi for xi in chosen))


def _is_moving(field: Field) -> bool:
    return any(component != 0 for component in field.components)


def _largest_component(field: Field, point: Sequence[Fraction]) -> sympy.Expr:
    values = dict(zip(field.variables, map(sympy.Rational, point), strict=True))
    values |= dict.fromkeys(field.parameters, sympy.S.One)
    return max(abs(component.xreplace(values).evalf()) for component in field.components)


def _tableaux(stages: int, explicit: bool) -> st.SearchStrategy[RungeKutta]:
    entries = st.tuples(st.integers(-2, 2), st.integers(1, 3)).map(lambda pq: Fraction(*pq))
    rows = [
        st.tuples(*(st.just(Fraction(0)) if explicit and j >= i else entries for j in columns))
        for columns in [range(stages)]
        for i in columns
    ]
    weights = st.tuples(*[entries] * (stages - 1)).map(lambda b: (*b, 1 - sum(b)))
    return st.builds(RungeKutta, st.tuples(*rows), weights)
