"""Reports: everything that modeq knows about an optimizer on a loss, on one page.

Its summary has one line for each thing that a reader in a hurry wants to know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modeq.checks import as_points, check_step, check_steps, shortened
from modeq.equation import ModifiedEquation, derive
from modeq.errors import InvalidPoint, InvalidValue, ModeqError
from modeq.files import path_text, write_together
from modeq.flows.compare import label
from modeq.losses.expressions import exact_values
from modeq.report.exact_sections import (
    certificate_section,
    conserved_section,
    loss_section,
    potential_section,
    terms_section,
    universal_section,
)
from modeq.report.measured_sections import (
    check_section,
    code_section,
    stability_section,
    trajectories_section,
)
from modeq.report.parts import Parts
from modeq.show.document import Block, Document, Fact, Table, number, parts_of_words
from modeq.show.figures import abridged, rendered
from modeq.show.html import page
from modeq.show.latex import latex_of
from modeq.show.lines import power_of_h
from modeq.show.markdown import markdown_of
from modeq.show.shown import Shown


def summary(parts: Parts) -> Iterable[Fact]:
    """Yield one line for each thing that a reader in a hurry wants to know."""
    for name, section, line in (
        ("Modified loss", "modified-loss", _potential_fact),
        ("Certificate", "certificate", _certificate_fact),
        ("Order check", "order-check", _check_fact),
        ("Nearest flow", "trajectories", _nearest_fact),
        ("Stability", "stability", _stability_fact),
        ("Conserved", "conserved", _conserved_fact),
    ):
        try:
            value, state = line(parts)
        except ModeqError as error:
            value, state = f"not available: {error}", ""
        yield Fact(name, value, state, section)


def _potential_fact(parts: Parts) -> tuple:
    if not parts.is_loss:
        return "a vector field has none", ""
    _, order, error = parts.potential
    power = power_of_h(order)
    if error is None:
        return ("exists through ", power), "good"
    if order < 0:
        return "none", ""
    return ("through ", power, "; the term of ", power_of_h(order + 1), " is no gradient"), ""


def _certificate_fact(parts: Parts) -> tuple:
    found = parts.certificate
    power = power_of_h(parts.equation.order + 1)
    mark = "bad" if not found.holds else "good" if found.proved else ""
    return (f"{found.verdict.lower()} through ", power), mark


def _check_fact(parts: Parts) -> tuple:
    found = parts.check
    return (
        f"slopes {found.local_slopes[-1]:.2f} after one step and {found.global_slopes[-1]:.2f} at "
        f"t = {found.time:.4g}, expected {number(found.expected_local)} and "
        f"{number(found.expected_global)}"
    ), "good" if found.passed else "bad"


def _nearest_fact(parts: Parts) -> tuple:
    comparison = parts.comparison
    if not comparison.errors:
        why = "; ".join(f"{label(name)}: {why}" for name, why in comparison.failures.items())
        return f"none: {why}", "bad"
    largest = {name: float(np.nanmax(error)) for name, error in comparison.errors.items()}
    best, first = comparison.best, largest.get(0)
    compared = "" if first is None or best == 0 else f"; gradient flow {number(first)}"
    if not parts.is_loss:
        compared = compared.replace("gradient flow", "the flow of f")
    words = f"{label(best)}, at most {number(largest[best])} away in {parts.steps} steps{compared}"
    return words, ""


def _stability_fact(parts: Parts) -> tuple:
    parts.start()
    limit, rate = parts.regimes.limit, float(parts.h)
    if limit is None:
        return "no direction of positive curvature diverges at the start", "good"
    state = "good" if rate < limit else "bad"
    return f"at the start for h < {limit:.4g}; here h = {rate:.4g}", state


def _conserved_fact(parts: Parts) -> tuple:
    found = parts.conserved
    if not found:
        return "nothing of degree one or two", ""
    names = ", ".join(str(quantity.expression) for quantity in found)
    return f"{len(found)} by the flow of f: {names}" if len(names) < 90 else f"{len(found)}", ""


FORMATS = {".html": "html", ".htm": "html", ".md": "markdown", ".tex": "latex"}
MAX_TERMS = 12
STEPS = 20

_PICTURES = {"markdown": "svg", "latex": "pdf"}


class Report(Shown):
    """A report about a method on a loss; made by ``report``.

    Attributes:
        document: What it says, without a format.
        equation: The modified equation that it is about.

    >>> found = report("x**2/2", order=0)
    >>> found.to_markdown()[:18], found.to_html()[:15]
    ('# Gradient descent', '<!DOCTYPE html>')
    """

    def __init__(self, document: Document, equation: ModifiedEquation):
        self.document = document
        self.equation = equation

    @cached_property
    def _page(self) -> str:
        return page(self.document)

    def to_html(self) -> str:
        """Return one page that needs no network and no script."""
        return self._page

    def to_markdown(self) -> str:
        """Return Markdown with the pictures inside, as data addresses."""
        return markdown_of(self.document)

    def to_latex(self) -> str:
        """Return a LaTeX article; pictures are written beside it by ``save`` only."""
        return latex_of(self.document)

    def text(self, format: str = "html") -> str:
        """Return the report in a format: "html", "markdown" or "latex"."""
        writers = {"html": self.to_html, "markdown": self.to_markdown, "latex": self.to_latex}
        return writers[checked_format(format)]()

    def save(self, path: str | os.PathLike, format: str | None = None) -> None:
        """Write the report to a file, and for Markdown and LaTeX its pictures beside it.

        Nothing is written unless everything can be.

        Args:
            path: The file. Pictures of a.md are called a-trajectories.svg and so on.
            format: "html", "markdown" or "latex"; by the end of the path if not given.

        Raises:
            InvalidValue: The format, or the end of the path, is not known.
            CannotWrite: A file could not be written.
        """
        kind = report_format(path) if format is None else checked_format(format)
        if kind == "html":
            write_together({path: self.to_html()})
            return
        path = Path(path_text(path))
        names = {
            picture.name: f"{path.stem}-{picture.name}.{_PICTURES[kind]}"
            for picture in self.document.pictures()
        }
        contents: dict[Any, str | bytes] = {
            path.with_name(names[picture.name]): rendered(picture.draw(), _PICTURES[kind])
            for picture in self.document.pictures()
        }
        write = markdown_of if kind == "markdown" else latex_of
        write_together({**contents, path: write(self.document, names)})

    def show(self) -> list[Block]:
        """Return its facts and the blocks of its sections."""
        facts = tuple((fact.label, fact.value) for fact in self.document.summary)
        sections = [block for section in self.document.sections for block in section.blocks]
        return [Table((self.document.title, ""), facts), *sections]

    def __str__(self) -> str:
        lines = [self.document.title]
        for fact in self.document.summary:
            lines.append(f"  {fact.label}: {''.join(parts_of_words(fact.value))}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Report: {self.document.title}>"


def report_format(path: str | os.PathLike) -> str:
    """Return the format that the end of a path stands for.

    >>> report_format("rosenbrock.tex")
    'latex'

    Raises:
        InvalidValue: There is none.
    """
    suffix = os.path.splitext(path_text(path))[1].lower()
    if suffix not in FORMATS:
        raise InvalidValue(
            f"the suffix of {path_text(path)!r} is {shortened(suffix)}; a report is written as "
            f"{', '.join(FORMATS)}, or give its format"
        )
    return FORMATS[suffix]


def checked_format(format: str) -> str:
    """Return a format, if it is one.

    >>> checked_format("html")
    'html'
    """
    if format not in FORMATS.values():
        known = ", ".join(dict.fromkeys(FORMATS.values()))
        raise InvalidValue(f"format is {shortened(format)}; it must be one of {known}")
    return format


def report(
    loss: Any,
    order: int = 3,
    method: Any = None,
    *,
    theta0: Any = None,
    h: Any = None,
    steps: int = STEPS,
    parameters: Mapping | None = None,
    max_terms: int = MAX_TERMS,
    command: str | None = None,
    limit: int | None = None,
) -> Report:
    """Return a report: the counter terms, their proof, and how well the flows follow the method.

    Everything in it is computed; a part that cannot be had says why.

    Args:
        loss: A Loss, a VectorField, or a text or sympy expression for a loss.
        order: The highest power of h in the counter terms.
        method: The method; gradient descent if not given.
        theta0: The start; that of the problem if it has one. Without it there are no measurements.
        h: The learning rate; likewise.
        steps: How long the trajectories are.
        parameters: Values of parameters for the measurements.
        max_terms: How many monomials of each counter term are printed.
        command: The command line that asks for this report, to be quoted in it.
        limit: How much work the derivation may be, as for ``derive``.

    Raises:
        InvalidLoss, InvalidMethod, InvalidOrder: There is no equation to report on.
        InvalidPoint, InvalidStep, InvalidValue: The other arguments cannot be right.

    >>> found = report("x**4/4", order=1)
    >>> [section.name for section in found.document.sections][:4]
    ['loss', 'coordinates', 'universal', 'modified-loss']
    """
    equation = derive(loss, order, method, limit=limit)
    steps = check_steps(steps)
    _check_numbers(equation, theta0, h, parameters)
    parts = Parts(equation, theta0, h, steps, parameters, max_terms, command)
    sections = tuple(make(parts) for make in _SECTIONS)
    subject = "loss" if parts.is_loss else "vector field"
    document = Document(
        f"{_capital(str(parts.method))} on {abridged(parts.name, 60)}",
        (f"The differential equation that the method follows on this {subject}, up to ",
         power_of_h(equation.order), "."),
        tuple(summary(parts)),
        sections,
    )  # fmt: skip
    return Report(document, equation)


def _check_numbers(
    equation: ModifiedEquation, theta0: Any, h: Any, parameters: Mapping | None
) -> None:
    """Refuse what can be no start, learning rate or value, before anything is computed with it."""
    if theta0 is not None and as_points(theta0, equation.loss.dimension).ndim != 1:
        raise InvalidPoint(f"the start is {shortened(theta0)}; it must be one point")
    if h is not None:
        check_step(h)
    exact_values(parameters, equation.parameters)


_SECTIONS = (
    loss_section,
    terms_section,
    universal_section,
    potential_section,
    certificate_section,
    check_section,
    trajectories_section,
    stability_section,
    conserved_section,
    code_section,
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
