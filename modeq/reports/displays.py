"""What notebooks show of each kind of result: the blocks of a document, as HTML.

Notebooks ask an object for its ``_repr_html_``. Results have it from ``Shown``, which finds
``html`` here when the first of them is shown. Kinds of results are told apart by the names of their
classes, so that nothing is imported that nobody has asked for. A result of a kind that is not in
the list is shown as its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from modeq.algebra.drawing import tree_drawing
from modeq.report.formulas import matrix_formula
from modeq.reports.flow_displays import FLOW_DISPLAYS
from modeq.reports.method_displays import METHOD_DISPLAYS
from modeq.reports.report_pictures import (
    coordinates_figure,
    distances_figure,
    errors_figure,
    trajectories_figure,
)
from modeq.reports.result_blocks import (
    distance_table,
    number,
    order_blocks,
    quantity_blocks,
    regime_blocks,
)
from modeq.show.document import (
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
)
from modeq.show.html import fragment

MAX_ROWS = 8
"""Rows of points that are listed, from the start and from the end."""

MAX_NUMBERS = 6
"""Coordinates of each of them."""


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
    more = ", …" * (theta.shape[1] > MAX_NUMBERS)
    rows = tuple(
        (f"{t[i]:.6g}", ", ".join(f"{x:.6g}" for x in theta[i, :MAX_NUMBERS]) + more) for i in shown
    )
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
    table = [distance_table(errors)] if errors else []
    return [pictures, *table, *(Missing(f"order {n}: {why}") for n, why in found.failures.items())]


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
    rows = (
        ("learning rates below", found.max_learning_rate),
        ("keep the error below", found.tolerance),
        ("until t =", found.time),
        ("smallest curvature along the flow", float(found.lambda_min.min())),
        ("growth of errors up to then", float(found.growth[-1])),
    )
    table = Table(("", ""), tuple((name, number(float(value), 4)) for name, value in rows))
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


def _verdict(found: Any) -> list[Block]:
    blocks: list[Block] = [Finding(found.holds, str(found))]
    if found.witness:
        rows = tuple((tree_drawing(tree),) for tree in found.witness)
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
    return [
        Formula(r"dX = b\,dt + D^{1/2}\,dW"),
        Formula(matrix_formula("b", found.drift)),
        Formula(matrix_formula("D", found.covariance)),
    ]


def _generator(found: Any) -> list[Block]:
    return [*_stochastic(found)[1:], *_diffusion(found.is_diffusion)]


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
    "ConservedQuantity": quantity_blocks,
    "Verdict": _verdict,
    "TreeTable": _tree_table,
    "StochasticEquation": _stochastic,
    "Generator": _generator,
    "DiffusionVerdict": _diffusion,
    "StabilityRegimes": _regimes,
    "Report": _report,
    **FLOW_DISPLAYS,
    **METHOD_DISPLAYS,
}
"""How results are shown, by the name of their class or of one that it inherits from."""
