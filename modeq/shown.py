"""Results that notebooks show with tables, formulas and pictures."""

from __future__ import annotations

import importlib


class Shown:
    """A result that notebooks show as more than its text.

    How each is shown is for the presentation to say, which stands far below: it is imported when
    the first result is shown.

    >>> class Answer(Shown):
    ...     def __str__(self): return "42"
    >>> "42" in Answer()._repr_html_()
    True
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        return importlib.import_module("modeq.reports.displays").html(self)
