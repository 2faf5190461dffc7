"""What notebooks show of each kind of result: the blocks of a document, as HTML.

Notebooks ask an object for its ``_repr_html_``. Results have it from ``Shown``, to which it is
given here, because they stand above the presentation and do not know of it. Kinds of results are
told apart by the names of their classes, so that nothing is imported that nobody has asked for. A
result of a kind that is not in the list is shown as its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import sympy

from modeq.presentation.latex import expression_printer
from modeq.reports.document import (
    Block,
    Code,
    Finding,
    Formula,
    Math,
    Missing,
    Picture,
    Pictures,
    Table,
    Text,
    Words,
)
from modeq.reports.flow_displays import FLOW_DISPLAYS
from modeq.reports.page import fragment
from modeq.reports.report_formulas import column_formula, is_printable, sum_formula
from modeq.reports.report_pictures import (
    coordinates_figure,
    distances_figure,
    errors_figure,
    trajectories_figure,
)
from modeq.reports.result_blocks import number, order_blocks, regime_blocks
from modeq.shown import Shown

MAX_ROWS = 8
"""Rows of points that are listed, from the start and from the end."""


def html(result: Any) -> str:
    """Return what notebooks show of a result.

    >>> from modeq.algebra.structure import Verdict
    >>> "holds through h^3" in html(Verdict(holds=True, order=3))
    True
    """
    return fragment(blocks_of(result))


def blocks_of(result: Any) -> list[Block]:
    """Return the blocks that show a result."""
    for kind in type(result).__mro__:
        if show := DISPLAYS.get(kind.__name__):
            return show(result)
    return [Code(str(result), "text")]


def _rows(pairs: Iterable[tuple[Words, Any]]) -> Table:
    """Return a table of names and values."""
    return Table(("", ""), tuple((name, _value(value)) for name, value in pairs))


def _value(value: Any) -> Words:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return number(float(value), 4)
    if isinstance(value, sympy.Basic):
        return _math(value)
    return value if isinstance(value, tuple) else str(value)


def _math(expression: sympy.Expr) -> Words:
    if not is_printable(expression):
        return f"{sympy.count_ops(expression)} operations, too long to print"
    return Math(expression_printer(expression.free_symbols).doprint(expression))


def _formula(left: str, expression: sympy.Expr) -> Block:
    if not is_printable(expression):
        return Missing(f"it has {sympy.count_ops(expression)} operations, too many to print")
    return Formula(sum_formula(left, expression, expression.free_symbols))


def _certificate(found: Any) -> list[Block]:
    lines = str(found).splitlines()
    return [Finding(found.holds, lines[0].rstrip(":")), *_lines(lines[1:])]


def _lines(lines: Sequence[str]) -> list[Block]:
    return [Code("\n".join(lines), "text")] if lines else []


def _order_report(found: Any) -> list[Block]:
    pictures = tuple(
        Picture(
            kind,
            f"Error {where} against the learning rate",
            partial(errors_figure, [found], kind),
        )
        for kind, where in (("local", "after one step"), ("global", f"at t = {found.time:.4g}"))
    )
    return [Text(f"Order {found.order}, {found.method}"), *order_blocks(found), Pictures(pictures)]


def _trajectory(found: Any) -> list[Block]:
    picture = Picture(
        "path",
        f"{len(found.t) - 1} steps from t = 0 to {found.t[-1]:.6g}",
        partial(coordinates_figure, found.t, found.theta),
    )
    return [picture, _points(found.t, found.theta)]


def _points(t: np.ndarray, theta: np.ndarray) -> Table:
    """Return the first and the last points."""
    shown = list(range(len(t)))
    if len(shown) > MAX_ROWS:
        shown = [*shown[: MAX_ROWS // 2], *shown[-MAX_ROWS // 2 :]]
    rows = tuple((f"{t[i]:.6g}", ", ".join(f"{x:.6g}" for x in theta[i][:6])) for i in shown)
    return Table((Math("t"), Math(r"\theta")), rows)


def _comparison(found: Any) -> list[Block]:
    errors = {f"order {order}": error for order, error in found.errors.items()}
    pictures = Pictures(
        (
            Picture(
                "trajectories",
                "The iterates (dots) and the flows",
                partial(trajectories_figure, found, None),
            ),
            Picture(
                "distances",
                "Distance of each flow from the optimizer",
                partial(distances_figure, found.t, errors),
            ),
        )
    )
    rows = tuple(
        (name, number(e[1]), number(float(e.max())), number(e[-1])) for name, e in errors.items()
    )
    table = Table(("flow", "after one step", "largest", "at the end"), rows, numeric=True)
    return [pictures, table, *(Missing(f"order {n}: {why}") for n, why in found.failures.items())]


def _numeric_field(found: Any) -> list[Block]:
    size = f"a function of points with {found.dimension} coordinates and of h"
    return [Text(f"{size}, {found.form}, {found.cost} operations"), Code(found.source())]


def _discretization_error(found: Any) -> list[Block]:
    first, *lines = str(found).splitlines()
    slopes = ", ".join(f"{s:.2f}" for s in found.slopes)
    time_slopes = ", ".join(f"{s:.2f}" for s in found.time_slopes)
    words = f"Slopes after {len(found.measured) - 1} steps: {slopes}; at a fixed time: "
    return [Text(first), *_lines(lines), Text(f"{words}{time_slopes}")]


def _truncation(found: Any) -> list[Block]:
    rows = tuple((str(n), number(error)) for n, error in enumerate(found.errors))
    head = ("order", "error of one step, to leading order")
    return [Finding(found.is_reached, str(found)), Table(head, rows, numeric=True)]


def _flow_bound(found: Any) -> list[Block]:
    reason = [Text(f"Not certified because {found.reason}")] if found.reason else []
    table = _rows(
        [
            ("learning rates below", found.max_learning_rate),
            ("keep the error below", found.tolerance),
            ("until t =", found.time),
            ("smallest curvature along the flow", float(found.lambda_min.min())),
            ("growth of errors up to then", float(found.growth[-1])),
        ]
    )
    return [Finding(found.certified, str(found)), *reason, table]


def _step_refinement(found: Any) -> list[Block]:
    distances = {f"h/{r}": distance for r, distance in found.distances.items()}
    picture = Picture(
        "refinement",
        "Distance between steps of h and of h/r at equal times",
        partial(distances_figure, found.t, distances),
    )
    rows = tuple(
        (f"h/{r}", number(float(d.max())), number(d[-1]), number(found.estimates[r]))
        for r, d in found.distances.items()
    )
    head = ("steps", "largest distance", "final distance", "estimate for gradient flow")
    return [picture, Table(head, rows, numeric=True)]


def _invariance(found: Any) -> list[Block]:
    first, *rest = str(found).splitlines()
    return [Finding(found.holds, first), *_lines(rest)]


def _conserved(found: Any) -> list[Block]:
    blocks: list[Block] = [_formula("Q", found.expression)]
    if found.degree == 1:
        return [*blocks, Text("Gradient descent keeps it, too.")]
    if found.factor is not None:
        words = "One step of gradient descent multiplies it by"
        return [*blocks, Text(words), _formula("Q^+/Q", found.factor)]
    words = "One step of gradient descent changes it by"
    return [*blocks, Text(words), _formula("Q^+ - Q", found.gradient_descent)]


def _verdict(found: Any) -> list[Block]:
    blocks: list[Block] = [Finding(found.holds, str(found))]
    if found.witness:
        rows = tuple((tree,) for tree in found.witness)
        blocks.append(Table(("trees for which it fails",), rows))
    return blocks


def _diffusion(found: Any) -> list[Block]:
    return [Finding(found.holds, str(found))]


def _tree_table(found: Any) -> list[Block]:
    rows = tuple(
        (str(n), f"{found.count(n):,}", f"{found.coefficients(n)[1]:,}")
        for n in range(1, found.order + 2)
    )
    head = ("vertices", "trees", "common denominator")
    return [Text(f"{len(found):,} trees"), Table(head, rows, numeric=True)]


def _stochastic(found: Any) -> list[Block]:
    drift, covariance = list(found.drift), found.covariance
    symbols = found.drift.free_symbols | covariance.free_symbols
    printer = expression_printer(symbols)
    rows = r"\\".join(
        " & ".join(map(printer.doprint, covariance.row(i))) for i in range(covariance.rows)
    )
    matrix = rf"\left[\begin{{matrix}}{rows}\end{{matrix}}\right]"
    return [
        Formula(r"dX = b\,dt + D^{1/2}\,dW"),
        Formula(column_formula("b", drift, symbols)),
        Formula(f"D = {matrix}"),
    ]


def _generator(found: Any) -> list[Block]:
    return [*_stochastic(found)[1:], *_diffusion(found.is_diffusion)]


def _runge_kutta(found: Any) -> list[Block]:
    """Show a Butcher tableau."""
    printed = partial(sympy.latex)
    stages = len(found.b)
    lines = [
        " & ".join([printed(sympy.sympify(c)), *(printed(sympy.sympify(a)) for a in row)])
        for c, row in zip(found.c, found.A, strict=True)
    ]
    last = " & ".join(["", *(printed(sympy.sympify(b)) for b in found.b)])
    columns = f"r|{'r' * stages}"
    body = r" \\ ".join(lines) + r" \\ \hline " + last
    return [Text(str(found)), Formula(rf"\begin{{array}}{{{columns}}}{body}\end{{array}}")]


def _multistep(found: Any) -> list[Block]:
    """Show Σ αⱼ θ_{m+j} = h Σ β_l f(Σ c_{lj} θ_{m+j})."""
    left = _sum((a, _iterate(j)) for j, a in enumerate(found.alpha))
    slopes = []
    for weight, row in zip(found.beta, found.points, strict=True):
        point = _sum((c, _iterate(j)) for j, c in enumerate(row))
        slopes.append((weight, rf"f\left({point}\right)"))
    return [Text(str(found)), Formula(rf"{left} = h \left({_sum(slopes)}\right)")]


def _iterate(j: int) -> str:
    return rf"\theta_{{m+{j}}}" if j else r"\theta_{m}"


def _sum(terms: Iterable[tuple[Any, str]]) -> str:
    """Return Σ cᵢ tᵢ as LaTeX, the highest first."""
    parts = []
    for coefficient, name in reversed(list(terms)):
        value = sympy.sympify(coefficient)
        if value == 0:
            continue
        sign = "-" if value.could_extract_minus_sign() else "+"
        size = sympy.latex(-value if sign == "-" else value)
        size = rf"\left({size}\right)" if value.is_Add else size
        parts.append(f"{sign} {'' if size == '1' else size + ' '}{name}")
    return " ".join(parts).removeprefix("+ ") or "0"


def _optimizer(found: Any) -> list[Block]:
    pairs = [*found.parameters, *found.options, ("carries", ", ".join(found.memory) or "nothing")]
    return [Text(str(found)), _rows((name, _value(v)) for name, v in pairs)]


def _regimes(found: Any) -> list[Block]:
    return [Text(f"{found.method}, by its linear part"), *regime_blocks(found, None, "regimes")]


def _report(found: Any) -> list[Block]:
    facts = [(fact.label, fact.value) for fact in found.document.summary]
    sections = [block for section in found.document.sections for block in section.blocks]
    return [Table((found.document.title, ""), tuple(facts)), *sections]


DISPLAYS: dict[str, Callable[[Any], list[Block]]] = {
    "Certificate": _certificate,
    "TallCertificate": _certificate,
    "OrderReport": _order_report,
    "NumericField": _numeric_field,
    "Trajectory": _trajectory,
    "Comparison": _comparison,
    "DiscretizationError": _discretization_error,
    "Truncation": _truncation,
    "FlowBound": _flow_bound,
    "StepRefinement": _step_refinement,
    "Invariance": _invariance,
    "ConservedQuantity": _conserved,
    "Verdict": _verdict,
    "TreeTable": _tree_table,
    "StochasticEquation": _stochastic,
    "Generator": _generator,
    "DiffusionVerdict": _diffusion,
    "RungeKutta": _runge_kutta,
    "LinearMultistep": _multistep,
    "Optimizer": _optimizer,
    "StabilityRegimes": _regimes,
    "Report": _report,
    **FLOW_DISPLAYS,
}
"""How results are shown, by the name of their class or of one that it inherits from."""

Shown._repr_html_ = html
