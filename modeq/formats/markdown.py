"""Modified fields as Markdown, with code that derives them again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import sympy

from modeq.derivation.derive import ModifiedField
from modeq.errors import visible
from modeq.formats.formula import fault, formula, written_names
from modeq.formats.latex import latex
from modeq.formats.text import MAX_TERMS
from modeq.losses.formula_latex import expression_latex, symbol_latex
from modeq.losses.loss import Field, Loss
from modeq.methods.multistep import HeavyBall, LinearMultistep, Nesterov
from modeq.methods.named import NAMED, NAMED_FOR_PARTS, NAMED_OPTIMIZERS, Method, name_of
from modeq.methods.optimizer import Optimizer
from modeq.methods.partitioned import AdditiveRungeKutta
from modeq.methods.splitting import Splitting
from modeq.methods.tableaux import RungeKutta
from modeq.methods.universal import modified_equation
from modeq.show.markdown import escaped

MAX_UNIVERSAL_ORDER = 5
"""Up to which order the counter terms are printed without coordinates."""


def markdown(modified: ModifiedField, *, max_terms: int = MAX_TERMS) -> str:
    """Return a modified field as Markdown: the loss, the method, the field, and code for it.

    Args:
        modified: The field.
        max_terms: How many monomials of each component and power of h are printed.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> print(markdown(derive_field(Loss("x**2/2"), 1, GradientDescent())).splitlines()[0])
    # Modified equation of gradient descent
    """
    body = latex(modified, max_terms=max_terms)
    paragraphs = [
        f"# Modified equation of {escaped(str(modified.method))}",
        f"{_subject(modified.loss)}\n\n$$\n{_loss_latex(modified.loss)}\n$$",
        f"the method follows, up to $h^{{{modified.order}}}$,\n\n$$\n{body}\n$$",
        *([] if isinstance(modified.method, Optimizer) else [_without_coordinates(modified)]),
        f"To derive it again:\n\n```python\n{snippet(modified)}\n```",
    ]
    return "\n\n".join(paragraphs) + "\n"


def snippet(modified: ModifiedField) -> str:
    """Return Python code that derives a modified field again.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> print(snippet(derive_field(Loss("x**4"), 1, GradientDescent())))
    import modeq
    <BLANKLINE>
    loss = modeq.Loss('x**4', variables='x')
    eq = modeq.derive(loss, order=1, method='gradient-descent')
    """
    loss, method = _loss_code(modified.loss), _method_code(modified.method)
    imports = ["import modeq"]
    if "sympy." in loss + method:
        imports.insert(0, "import sympy\n")
    if "Fraction(" in method:
        imports.insert(0, "from fractions import Fraction\n")
    lines = [*imports, "", f"loss = {loss}"]
    if method == "rule":
        lines += [f"rule = ...  # the update rule of {visible(str(modified.method))}"]
    return "\n".join([*lines, f"eq = modeq.derive(loss, order={modified.order}, method={method})"])


def _loss_code(loss: Field) -> str:
    if loss.parts:
        return f"modeq.SplitField([{', '.join(map(_loss_code, loss.parts))}])"
    names = written_names((*loss.variables, *loss.parameters))
    as_text = all(x.name == name for x, name in names.items()) and all(
        fault(expression, names) is None for expression in loss.expressions
    )
    if as_text:
        parts = [repr(formula(expression, names)) for expression in loss.expressions]
        variables = repr(" ".join(x.name for x in loss.variables))
    else:
        parts = [_constructor(expression) for expression in loss.expressions]
        variables = f"[{', '.join(map(_constructor, loss.variables))}]"
    if isinstance(loss, Loss):
        return f"modeq.Loss({parts[0]}, variables={variables})"
    return f"modeq.VectorField([{', '.join(parts)}], variables={variables})"


def _constructor(expression: sympy.Expr) -> str:
    """Return Python code that builds an expression whose names no grammar has."""
    return f"sympy.S({sympy.srepr(expression)!r})"


def _method_code(method: Method) -> str:
    for name, make in (NAMED | NAMED_FOR_PARTS).items():
        if make() == method:
            return repr(name)
    match method:
        case RungeKutta():
            return f"modeq.RungeKutta({_matrix_code(method.A)}, {_row_code(method.b)})"
        case AdditiveRungeKutta():
            A = ", ".join(map(_matrix_code, method.A))
            return f"modeq.AdditiveRungeKutta([{A}], {_matrix_code(method.b)})"
        case Splitting():
            return f"modeq.Splitting({_matrix_code(method.stages)})"
        case LinearMultistep():
            return _multistep_code(method)
        case Optimizer():
            return _optimizer_code(method)
    return "rule"


def _optimizer_code(method: Optimizer) -> str:
    """Return the code of a ready optimizer, by its name."""
    if (name := name_of(method)) is None:
        return "rule"
    arguments = [f"{key}={_entry_code(value)}" for key, value in method.parameters]
    arguments += [f"{key}={value}" for key, value in method.options]
    return f"modeq.{NAMED_OPTIMIZERS[name].__name__}({', '.join(arguments)})"


def _multistep_code(method: LinearMultistep) -> str:
    """Return the code of a method with memory: momentum by its name, others by their table."""
    beta = method.alpha[0]
    if method.starts_at_rest and method.alpha == (beta, -1 - beta, 1):
        for make, code in _MOMENTUM:
            if make(beta) == method:
                return code.format(_entry_code(beta))
    arguments = [_row_code(method.alpha), _row_code(method.beta)]
    arguments += [] if method.is_classical else [f"points={_matrix_code(method.points)}"]
    arguments += ["starts_at_rest=True"] if method.starts_at_rest else []
    return f"modeq.LinearMultistep({', '.join(arguments)})"


_MOMENTUM = (
    (HeavyBall, "modeq.HeavyBall({})"),
    (Nesterov, "modeq.Nesterov({})"),
    (partial(Nesterov, sequence="parameters"), "modeq.Nesterov({}, sequence='parameters')"),
)


def _matrix_code(matrix: Sequence[Sequence]) -> str:
    return f"[{', '.join(map(_row_code, matrix))}]"


def _row_code(row: Sequence) -> str:
    return f"[{', '.join(map(_entry_code, row))}]"


def _entry_code(entry: Any) -> str:
    if isinstance(entry, int | Fraction):
        return str(entry) if entry.denominator == 1 else repr(entry)
    expression = sympy.sympify(entry)
    if expression.is_Symbol:
        return f"sympy.{sympy.srepr(expression)}"
    return _constructor(expression)


def _subject(loss: Field) -> str:
    return "For the loss" if isinstance(loss, Loss) else "For the vector field"


def _loss_latex(loss: Field) -> str:
    parts = list(map(expression_latex, loss.expressions))
    if isinstance(loss, Loss):
        return f"L = {parts[0]}"
    rows = (
        f"{symbol_latex(x.name, chr(92) + 'dot')} &= {part}"
        for x, part in zip(loss.variables, parts, strict=True)
    )
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _without_coordinates(modified: ModifiedField) -> str:
    """Return the B-series of the field in the notation that fits, up to a printable order."""
    order = min(modified.order, MAX_UNIVERSAL_ORDER)
    of_loss = isinstance(modified.loss, Loss)
    notation, subject = ("gradient", "loss") if of_loss else ("differentials", "field")
    series = modified_equation(modified.method, order).latex(notation)
    more = r" + \cdots" if order < modified.order else ""
    formula = rf"h \dot{{\theta}} = {series}{more}"
    return f"Without coordinates, for any {subject},\n\n$$\n{formula}\n$$"
