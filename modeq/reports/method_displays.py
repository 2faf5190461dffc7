"""What notebooks show of methods: Butcher tableaux, multistep equations, parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sympy

from modeq.losses.formula_latex import expression_latex
from modeq.show.document import Block, Formula, Math, Table, Text


def _printed(number: Any) -> str:
    """Return a number or an expression as LaTeX."""
    return expression_latex(sympy.sympify(number))


def _runge_kutta(found: Any) -> list[Block]:
    """Show a Butcher tableau."""
    lines = [" & ".join(map(_printed, (c, *row))) for c, row in zip(found.c, found.A, strict=True)]
    last = " & ".join(["", *map(_printed, found.b)])
    columns = f"r|{'r' * len(found.b)}"
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
        size = _printed(-value if sign == "-" else value)
        size = rf"\left({size}\right)" if value.is_Add else size
        parts.append(f"{sign} {'' if size == '1' else size + ' '}{name}")
    return " ".join(parts).removeprefix("+ ") or "0"


def _optimizer(found: Any) -> list[Block]:
    rows = [(name, Math(_printed(value))) for name, value in found.parameters]
    rows += [(name, _option(value)) for name, value in found.options]
    carried = ", ".join(found.memory) or "nothing"
    return [Text(str(found)), Table(("", ""), (*rows, ("carries", carried)))]


def _option(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


METHOD_DISPLAYS: dict[str, Callable[[Any], list[Block]]] = {
    "RungeKutta": _runge_kutta,
    "LinearMultistep": _multistep,
    "Optimizer": _optimizer,
}
"""How methods are shown, by the name of their class."""
