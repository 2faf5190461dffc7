"""The summary of a report: one line for each thing that a reader in a hurry wants to know."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from modeq.errors import ModeqError
from modeq.reports.document import Fact
from modeq.reports.report_formulas import power_of_h
from modeq.reports.report_numbers import distances
from modeq.reports.report_parts import Parts
from modeq.reports.result_blocks import number


def summary(parts: Parts) -> Iterable[Fact]:
    """Yield one line for each thing that a reader in a hurry wants to know."""
    for label, section, line in (
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
        yield Fact(label, value, state, section)


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
    errors, failures = distances(parts)
    if not errors:
        return f"none: {'; '.join(f'{name}: {reason}' for name, reason in failures.items())}", "bad"
    largest = {name: float(np.nanmax(error)) for name, error in errors.items()}
    best = min(largest, key=largest.get)
    first = largest.get("order 0")
    compared = "" if first is None or best == "order 0" else f"; gradient flow {number(first)}"
    if not parts.is_loss:
        compared = compared.replace("gradient flow", "the flow of f")
    return f"{best}, at most {number(largest[best])} away in {parts.steps} steps{compared}", ""


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
