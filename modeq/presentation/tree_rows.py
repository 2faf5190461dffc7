"""Trees and their coefficients as rows of a table, for a terminal and for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from modeq.algebra.notation import field_names, signed_formula
from modeq.algebra.series import BSeries
from modeq.algebra.trees import RootedTree


def tree_row(tree: RootedTree, series: BSeries, notation: str, latex: bool) -> list[str]:
    """Return the order, σ, b, b/σ with the sign of the notation, F, and as text the tree.

    >>> from modeq.algebra.series import exact_flow
    >>> tree_row(RootedTree([RootedTree()]), exact_flow(1), "gradient", latex=False)
    ['2', '1', '1/2', '1/2', 'H g', '[•]']
    """
    fields = field_names(series.colors) if series.colors > 1 else None
    sign, formula = signed_formula(tree, notation=notation, latex=latex, fields=fields)
    b = series[tree]
    cells = [str(tree.order), str(tree.symmetry), str(b), str(sign * b / tree.symmetry), formula]
    return cells if latex else [*cells, str(tree)]


def structure_lines(series: BSeries) -> list[str]:
    """Return a line for each property that a modified field may have."""
    verdicts = {
        "gradient": series.is_gradient(),
        "Hamiltonian": series.is_hamiltonian(),
        "symmetric": series.is_symmetric(),
    }
    if series.colors == 1:
        verdicts["energy-preserving"] = series.is_energy_preserving()
    return ["", *(f"{name:18} {verdict}" for name, verdict in verdicts.items())]


def with_drawings(head: list[str], rows: list[list[str]], drawings: list[str]) -> str:
    """Return a table with a drawing of several lines beside each row that has one."""
    first, *lines = columns([head, *rows]).splitlines()
    width = max(map(len, lines)) + 4
    drawn = [first]
    for line, drawing in zip(lines, drawings, strict=True):
        parts = drawing.splitlines()[::-1]
        drawn.append(f"{line:{width}}{parts[0]}" if parts else line)
        drawn[-1:] = [*(" " * width + part for part in reversed(parts[1:])), drawn[-1]]
    return "\n".join(drawn)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns.

    >>> print(columns([["b", "tree"], ["-1/2", "[•]"]]))
    b     tree
    -1/2  [•]
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def latex_array(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a LaTeX array; the last column is set to the left."""
    lines = [" & ".join(row) + r" \\" for row in rows]
    columns = "r" * (len(rows[0]) - 1) + "l"
    return "\n".join([rf"\begin{{array}}{{{columns}}}", *lines, r"\end{array}"])
