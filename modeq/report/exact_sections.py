"""The exact sections of a report: the loss, its counter terms, their proof, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from modeq.algebra.drawing import tree_drawing
from modeq.algebra.notation import signed_formula
from modeq.algebra.series import BSeries
from modeq.errors import InvalidValue, NotAGradient, NotHamiltonian
from modeq.formats.markdown import MAX_UNIVERSAL_ORDER
from modeq.losses.formula_latex import (
    expression_latex,
    formula_blocks,
    is_printable,
    matrix_formula,
    sum_formula,
    symbol_latex,
)
from modeq.methods.multistep import LinearMultistep
from modeq.methods.optimizer import Optimizer
from modeq.report.formulas import series_formula
from modeq.report.parts import Parts, attempted
from modeq.show.document import (
    Block,
    Finding,
    Formula,
    Math,
    Missing,
    Section,
    Table,
    Text,
    Words,
)
from modeq.show.lines import power_of_h

_MAX_TREES = 20
"""How many trees are listed one by one."""

TOO_LONG = "it has too many terms to print; the code below gives it"


def loss_section(parts: Parts) -> Section:
    """Return the section that says what the equation is about."""
    loss = parts.loss
    blocks: list[Block] = []
    if description := getattr(loss, "description", ""):
        blocks.append(Text(description))
    if parts.is_loss:
        names = ", ".join(symbol_latex(x.name) for x in loss.variables)
        blocks.append(Formula(sum_formula(f"L({names})", loss.expression)))
    blocks += _column(r"f = -\nabla L" if parts.is_loss else "f", loss.components)
    blocks.append(Text(_givens(parts)))
    return Section("loss", "The loss" if parts.is_loss else "The vector field", tuple(blocks))


def _column(left: str, entries: Sequence[sympy.Expr]) -> list[Block]:
    if not all(map(is_printable, entries)):
        return [Missing(f"of the field f {TOO_LONG}")]
    return [Formula(matrix_formula(left, sympy.Matrix(entries)))]


def _givens(parts: Parts) -> Words:
    """Return in words the method, the start, the learning rate and the parameters."""
    words: list = [f"Method: {parts.method}."]
    if parts.theta0 is not None:
        start = ", ".join(f"{float(x):.6g}" for x in parts.theta0)
        words.append(f" Start: ({start}).")
    if parts.h is not None:
        words.append(f" Learning rate: {float(parts.h):.6g}.")
    if parts.loss.parameters:
        names = ", ".join(x.name for x in parts.loss.parameters)
        words.append(f" Parameters, which stay symbols in the formulas: {names}.")
    return tuple(words)


def terms_section(parts: Parts) -> Section:
    """Return the section of the counter terms in coordinates."""
    equation = parts.equation
    powers = power_of_h(equation.order)
    blocks: list[Block] = [
        Text(("The iterates lie on solutions of this equation, up to and including ", powers, ":")),
        Formula(equation.latex(parts.max_terms)),
        Text(
            (
                "The series is asymptotic: at a given ",
                Math("h"),
                " there is an order beyond which further terms make it worse.",
            )
        ),
    ]
    return Section("coordinates", "Counter terms in coordinates", tuple(blocks))


def universal_section(parts: Parts) -> Section:
    """Return the section of the counter terms without coordinates."""
    blocks = attempted(lambda: _universal(parts))
    return Section("universal", "Counter terms without coordinates", tuple(blocks))


def _universal(parts: Parts) -> list[Block]:
    if isinstance(parts.method, Optimizer):
        return [
            Missing(
                f"{parts.method} does more with gradients than add them up and multiply them by "
                f"numbers, so its equation is no sum of elementary differentials alone"
            )
        ]
    series = parts.universal
    shown = series
    blocks: list[Block] = []
    if series.order > MAX_UNIVERSAL_ORDER:
        shown = parts.equation.truncated(MAX_UNIVERSAL_ORDER).universal()
        more = f"Up to h^{MAX_UNIVERSAL_ORDER} of {series.order}, for any field f:"
    else:
        more = "For any field f, with its derivatives as multilinear maps:"
    blocks += [Text(more), Formula(series_formula(shown, "differentials"))]
    if parts.is_loss and series.colors == 1:
        words = ("The same in vector form, with ", Math(r"f = -\nabla L"), ":")
        blocks += [Text(words), Formula(series_formula(shown, "gradient"))]
    return [*blocks, _tree_table(shown), *_structure(series)]


def _tree_table(series: BSeries) -> Table:
    """Return the trees, their differentials and coefficients."""
    rows = []
    order = max(n for n in range(series.order + 1) if n == 0 or _trees_to(series, n) <= _MAX_TREES)
    fields = [f"f{c + 1}" for c in range(series.colors)] if series.colors > 1 else None
    for tree in series:
        if tree.order <= order + 1:
            formula = signed_formula(tree, latex=True, fields=fields)[1]
            weight = series[tree] / tree.symmetry
            rows.append(
                (
                    tree_drawing(tree),
                    Math(formula),
                    str(tree.symmetry),
                    str(series[tree]),
                    str(weight),
                )
            )
    head = ("tree", Math("F(\\tau)"), Math("\\sigma"), Math("b"), Math("b/\\sigma"))
    caption = ("One coefficient for each rooted tree, through ", power_of_h(order))
    return Table(head, tuple(rows), caption)


def _trees_to(series: BSeries, order: int) -> int:
    """Return how many trees belong to powers of h up to one."""
    return sum(tree.order <= order + 1 for tree in series)


def _structure(series: BSeries) -> list[Block]:
    """Return what the field of the method keeps, whatever the loss."""
    rows = tuple((name, str(verdict)) for name, verdict in series.structure().items())
    return [Table(("the field is", "verdict"), rows)]


def potential_section(parts: Parts) -> Section:
    """Return the section of the modified loss, or the reason why there is none."""
    if not parts.is_loss:
        blocks = attempted(lambda: _hamiltonian(parts))
        return Section("modified-loss", "Modified Hamiltonian", tuple(blocks))
    blocks = attempted(lambda: _potential(parts))
    if isinstance(parts.method, LinearMultistep):
        blocks += [
            Text(("One step, on the slow manifold, descends on the loss of the map:",)),
            *attempted(lambda: _map_loss(parts)),
        ]
    return Section("modified-loss", "Modified loss", tuple(blocks))


def _potential(parts: Parts) -> list[Block]:
    potential, order, error = parts.potential
    blocks: list[Block] = []
    if error is not None:
        blocks += _no_potential(error)
    if potential is None:
        return blocks
    field = Math(r"\dot\theta = -\nabla \tilde L")
    known = ("The equation is ", field, ", up to and including ", power_of_h(order), ", with")
    return [*blocks, Text(known), *formula_blocks(r"\tilde L", potential)]


def _no_potential(error: NotAGradient) -> list[Block]:
    """Return the reason why there is no modified loss of some order, with the witness."""
    first, second, curl = error.witness
    a, b = symbol_latex(first.name), symbol_latex(second.name)
    order = error.order
    words = (
        "From ", power_of_h(order), " on there is no modified loss: the counter term ",
        Math(f"f_{{{order}}}"), " is not a gradient, because its curl does not vanish.",
    )  # fmt: skip
    left = rf"\frac{{\partial f_{{{order},{a}}}}}{{\partial {b}}}"
    left += rf" - \frac{{\partial f_{{{order},{b}}}}}{{\partial {a}}}"
    if not is_printable(curl):
        return [Text(words), Text(("Of the curl ", TOO_LONG, "."))]
    return [Text(words), Formula(rf"{left} = {expression_latex(curl)} \neq 0")]


def _map_loss(parts: Parts) -> list[Block]:
    try:
        return formula_blocks(r"\tilde L_{\mathrm{map}}", parts.equation.map_loss())
    except NotAGradient as error:
        return _no_potential(error)


def _hamiltonian(parts: Parts) -> list[Block]:
    try:
        return formula_blocks(r"\tilde H", parts.equation.modified_hamiltonian())
    except (NotHamiltonian, InvalidValue) as error:
        return [Missing(f"{error}; there is no modified loss either, for f is a vector field")]


def certificate_section(parts: Parts) -> Section:
    """Return the section of the exact proof."""
    return Section("certificate", "Certificate", tuple(attempted(lambda: _certificate(parts))))


def _certificate(parts: Parts) -> list[Block]:
    found, n = parts.certificate, parts.equation.order
    words = (
        f"{found.verdict.capitalize()}, without solving any equation, through ",
        power_of_h(n + 1), ".",
    )  # fmt: skip
    identities = (
        (r"\tilde f(\varphi(\theta)) = \varphi'(\theta)\,\tilde f(\theta)",
         "the field commutes with the step", found.commutes_through),
        (r"\sum_i \tfrac{h^i}{i!} D_{\tilde f}^{\,i-1} \tilde f = \varphi(\theta) - \theta",
         "the flow for time h is the step", found.reaches_through),
        (r"\theta(0), \theta(h), \theta(2h)",
         "points on the flow satisfy the equation of the method", found.satisfies_through),
    )  # fmt: skip
    rows = tuple(
        (sentence, Math(formula), power_of_h(power))
        for formula, sentence, power in identities
        if power is not None
    )
    return [Finding(found.holds, words), Table(("identity", "formula", "holds through"), rows)]


def conserved_section(parts: Parts) -> Section:
    """Return the section of the conserved quantities."""
    blocks = attempted(lambda: _conserved(parts))
    return Section("conserved", "Conserved quantities", tuple(blocks))


def _conserved(parts: Parts) -> list[Block]:
    subject = "gradient flow" if parts.is_loss else "the flow of f"
    found = parts.conserved
    if not found:
        words = "There is none of degree one or two in the variables: linear algebra over the "
        return [Text(f"{words}rationals finds no such polynomial that {subject} keeps.")]
    blocks: list[Block] = [
        Text(f"All polynomials of degree one and two that {subject} keeps, up to combinations:")
    ]
    for quantity in found:
        blocks += quantity.show()
    return blocks
