"""Figures that neither read nor change anything global, and are the same bytes each time.

Matplotlib is imported when a figure is made, not before, and never through pyplot.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWING = threading.RLock()
"""Only one thread draws at a time: the style and the warnings are those of the whole process."""


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Return an empty figure of a size in inches.

    >>> new_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def fix_layout(figure: Figure) -> None:
    """Do the layout once, for it moves a little each time, and pictures would differ."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Draw without the user's settings, and without a warning for each letter no font has."""
    import matplotlib.style

    with _DRAWING, matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
