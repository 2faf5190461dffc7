"""Property tests of one's own derivations: random losses, and whether a flow follows a map.

    >>> from hypothesis import given, settings
    >>> import modeq
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(losses(variables="x y"))
    ... def test_my_first_counter_term_is_right(loss):
    ...     h = modeq.loss.H
    ...     mine = -loss.gradient - h / 2 * loss.hessian * loss.gradient
    ...     x, y = loss.variables
    ...     step = [x - h * loss.gradient[0], y - h * loss.gradient[1]]
    ...     assert_follows(mine, step, order=1, variables=(x, y))
    >>> test_my_first_counter_term_is_right()

The strategies need Hypothesis, which is an optional dependency: ``pip install modeq[test]``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from scipy.integrate import solve_ivp

from modeq import trees
from modeq.derive import ModifiedField
from modeq.errors import FlowError, InvalidLoss, InvalidPoint, InvalidStep
from modeq.loss import Field, H, Loss, VectorField
from modeq.methods import RungeKutta
from modeq.numeric import check_step
from modeq.parse import parse_names
from modeq.trees import check_order

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("modeq.testing needs Hypothesis: pip install modeq[test]") from error

__all__ = ["assert_follows", "losses", "rooted_trees", "starts", "tableaux", "vector_fields"]

SLOPE_TOLERANCE = 0.1
"""How far a measured slope may be from the expected one."""

SLOPES = 3
"""How many successive slopes must be right."""

MAX_HALVINGS = 12

ROUND_OFF = 5e-14
"""Errors below this, relative to 1 + |θ|, are too noisy for a slope to be measured."""

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

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None, database=None)
    ... @given(rooted_trees(max_order=4))
    ... def test_the_symmetry_divides_a_factorial(tree):
    ...     assert math.factorial(tree.order - 1) % tree.symmetry == 0
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


def assert_follows(
    field: Any,
    step: Any,
    order: int,
    *,
    variables: Any = None,
    theta0: Any = None,
    h: Any = None,
) -> None:
    """Assert that the flow of a field follows a one-step map to a given order.

    With counter terms up to hⁿ, n = ``order``, the flow for time h misses the map by O(h^{n+2}).

    *Formulas.* If ``field`` is a column of sympy expressions (or a modified equation) and ``step``
    is the column of θ⁺ in terms of θ and h, this is proved, by comparing the truncated Lie series
    θ + Σ hⁱ/i! (D_f̃)^{i-1} f̃ with the map, through h^{n+1}. An h in the formulas is the learning
    rate.

    >>> import modeq
    >>> x, h = sympy.symbols("x h")
    >>> assert_follows([-x - h * x / 2], [x - h * x], order=1, variables=[x])
    >>> assert_follows(modeq.derive("x**4/4", order=2), [x - h * x**3], order=2)
    >>> assert_follows([-x - h * x / 3], [x - h * x], order=1, variables=[x])
    Traceback (most recent call last):
    AssertionError: the flow does not follow the map to order 1: expected a one-step error of order
    h^3, but it is of order h^2
      power   flow minus map
        h^1   0
        h^2   x/6

    *Functions.* If both are functions of an array of shape (d,) and h that return such an array,
    the one-step error is measured from ``theta0`` at ``h`` and its halves, in double precision,
    until three successive slopes are within 0.1 of n + 2.

    >>> assert_follows(
    ...     lambda x, h: -(x**3) - 1.5 * h * x**5, lambda x, h: x - h * x**3, 1, theta0=[1], h=0.05
    ... )
    >>> assert_follows(lambda x, h: -(x**3), lambda x, h: x - h * x**3, 1, theta0=[1], h=0.05)
    Traceback (most recent call last):
    AssertionError: the flow does not follow the map to order 1: expected slopes 3, measured 2.000,
    2.000, 2.000
      ...

    Raises:
        AssertionError: The flow does not follow the map; the message holds the table.
        InvalidStep: The errors sink into round-off before three slopes are measured.
        InvalidLoss, InvalidOrder, InvalidPoint: The arguments cannot be right.
        FlowError: The flow or the map is not finite.
    """
    order = check_order(order)
    if callable(field) and callable(step):
        _assert_slopes(_Steps(field, step, theta0, h), order)
    else:
        _assert_identity(*_formulas(field, step, variables), order)


Column = sympy.ImmutableMatrix
Proof = tuple[Column, Column, tuple[sympy.Symbol, ...]]


def _formulas(field: Any, step: Any, variables: Any) -> Proof:
    """Return the field, the map and the variables, with one symbol h for the learning rate."""
    if isinstance(field, ModifiedField):
        field, variables = field.field, field.variables if variables is None else variables
    if variables is None:
        raise InvalidLoss("the variables are missing: give variables=(x, y, ...)")
    x = parse_names(variables)
    return _column(field, x, "field"), _column(step, x, "step"), x


def _column(thing: Any, x: Sequence[sympy.Symbol], name: str) -> Column:
    try:
        column = sympy.ImmutableMatrix(list(map(sympy.sympify, thing)))
    except (TypeError, sympy.SympifyError):
        raise InvalidLoss(
            f"the {name} is {thing!r}; it must be a column of sympy expressions, or both the field "
            f"and the step must be functions of theta and h"
        ) from None
    if len(column) != len(x):
        raise InvalidLoss(
            f"the {name} has {len(column)} components but there are {len(x)} variables {x}"
        )
    # Symbols of one name may differ in their assumptions: those that modeq parses are real.
    known = {symbol.name: symbol for symbol in (*x, H)}
    return column.xreplace({s: known.get(s.name, s) for s in column.free_symbols})


def _assert_identity(field: Column, step: Column, x: tuple[sympy.Symbol, ...], order: int) -> None:
    rows = []
    moved = _taylor(step - sympy.ImmutableMatrix(x), order + 1)
    for power, (reached, goal) in enumerate(zip(_flow(field, x, order), moved, strict=True)):
        difference = [sympy.factor_terms(a - b) for a, b in zip(reached, goal, strict=True)]
        vanishes = all(map(_is_zero, difference))
        rows.append(f"    h^{power}   {0 if vanishes else ', '.join(map(str, difference))}")
        if not vanishes:
            # The coefficient of h⁰ is that of θ⁺ - θ alone, and only shown where it is wrong.
            shown = "\n".join(rows[min(power, 1) :])
            raise AssertionError(
                f"the flow does not follow the map to order {order}: expected a one-step error of "
                f"order h^{order + 2}, but it is of order h^{power}\n"
                f"  power   flow minus map\n{shown}"
            )


def _flow(field: Column, x: tuple[sympy.Symbol, ...], order: int) -> list[Column]:
    """Return the coefficients of h⁰, …, h^{n+1} in Σ hⁱ/i! (D_f̃)^{i-1} f̃, i ≥ 1."""
    zero = sympy.zeros(len(x), 1)
    fields = _taylor(field, order)
    total = [zero, *fields]
    terms = fields
    for i in range(2, order + 2):
        terms = [
            sum((terms[j - k].jacobian(x) * fields[k] for k in range(j + 1)), zero)
            for j in range(order + 2 - i)
        ]
        for j, term in enumerate(terms):
            total[j + i] += term / math.factorial(i)
    return total


def _taylor(column: Column, order: int) -> list[Column]:
    """Return the Taylor coefficients in h."""
    derivatives = [column]
    for _ in range(order):
        derivatives.append(derivatives[-1].diff(H))
    return [d.subs(H, 0) / math.factorial(k) for k, d in enumerate(derivatives)]


def _is_zero(expression: sympy.Expr) -> bool:
    """Tell whether an expression vanishes identically."""
    symbols = sorted(expression.free_symbols, key=str)
    point = {s: sympy.sqrt(sympy.prime(i + 3)) / 3 for i, s in enumerate(symbols)}
    # A value that is clearly not zero is a proof, and quicker than any simplification.
    if abs(sympy.N(expression.subs(point), 30, maxn=60)) > sympy.Rational(1, 10**20):
        return False
    # Denominators stay in factors, where expanding them would take long.
    numerator = sympy.expand(sympy.fraction(sympy.together(expression))[0])
    return numerator == 0 or sympy.simplify(numerator.rewrite(sympy.exp)) == 0


class _Steps:
    """One step of a map and of a flow, from the same start."""

    def __init__(self, field: Callable, step: Callable, theta0: Any, h: Any):
        if theta0 is None:
            raise InvalidPoint("the start is missing: give theta0=...")
        self.field = field
        self.step = step
        self.start = np.asarray(theta0, dtype=float)
        self.h = check_step(h)
        if self.start.ndim != 1 or not np.all(np.isfinite(self.start)):
            raise InvalidPoint(
                f"the start is {theta0!r}; it must be one point of finite numbers, of shape (d,)"
            )

    @property
    def noise(self) -> float:
        return ROUND_OFF * (1 + np.max(np.abs(self.start)))

    def error(self, h: float) -> float:
        """Return the largest coordinate of flow minus map after one step."""
        with np.errstate(all="ignore"):
            flow = solve_ivp(
                lambda _, theta: np.asarray(self.field(theta, h), dtype=float),
                (0.0, h),
                self.start,
                method="DOP853",
                rtol=3e-14,
                atol=1e-17,
                first_step=h / 4,
            )
            error = float(np.max(np.abs(flow.y[:, -1] - self.step(self.start, h))))
        if not (flow.success and math.isfinite(error)):
            raise FlowError(f"the flow or the map is not finite at h = {h:.6g}")
        return error


def _assert_slopes(steps: _Steps, order: int) -> None:
    expected = order + 2
    rates = [steps.h / 2**k for k in range(MAX_HALVINGS + 1)]
    errors: list[float] = []
    for h in rates:
        errors.append(steps.error(h))
        if errors[-1] < steps.noise:
            errors.pop()
            break
        last = _slopes(errors)[-SLOPES:]
        if len(last) == SLOPES and all(abs(s - expected) <= SLOPE_TOLERANCE for s in last):
            return
    if len(errors) <= SLOPES:
        raise InvalidStep(
            f"only {len(errors)} of the one-step errors at h = {steps.h:.6g} and its halves are "
            f"above the round-off of {steps.noise:.1e}, and {SLOPES + 1} are needed for "
            f"{SLOPES} slopes: take a larger h"
        )
    raise AssertionError(_slope_message(order, rates, errors))


def _slopes(errors: Sequence[float]) -> list[float]:
    return [math.log2(a / b) for a, b in itertools.pairwise(errors)]


def _slope_message(order: int, rates: Sequence[float], errors: Sequence[float]) -> str:
    slopes = [f"{slope:.3f}" for slope in _slopes(errors)]
    rows = zip(rates, errors, ["", *slopes], strict=False)
    table = "\n".join(f"  {h:9.3e}   {error:14.3e}   {slope:>6}" for h, error, slope in rows)
    return (
        f"the flow does not follow the map to order {order}: expected slopes {order + 2}, "
        f"measured {', '.join(slopes[-SLOPES:])}\n"
        f"          h   one-step error    slope\n{table}"
    )
