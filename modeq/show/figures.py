"""Figures that neither read nor change anything global, and are the same bytes each time.

Matplotlib is imported when a figure is made, not before, and never through pyplot.

As SVG elements inside a page they take their colors from the page around them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from modeq.checks import shortened
from modeq.errors import InvalidValue
from modeq.files import path_text, write_atomically

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


# Okabe and Ito, https://jfly.uni-koeln.de/color: told apart with every kind of color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


MARKERS = "os^Dv<>P"


DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))


def abridged(text: str, length: int) -> str:
    """Return a text that is not longer than that, with dots where its end was.

    >>> abridged("x**2 + y**2", 9)
    'x**2 +...'
    """
    return text if len(text) <= length else f"{text[: length - 3]}..."


FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}


_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a picture as png, svg or pdf, by the suffix of the path.

    Two runs write the same bytes: there are no dates in them, and no versions.

    Raises:
        InvalidValue: The suffix is not known.
        CannotWrite: The file could not be written.
    """
    write_atomically(path, rendered(figure, picture_format(path)))


def rendered(figure: Figure, kind: str) -> bytes:
    """Return a picture as the content of a file: png, svg or pdf, the same bytes each time."""
    import matplotlib

    data = io.BytesIO()
    with own_style(), matplotlib.rc_context({"svg.hashsalt": "modeq"}):
        figure.savefig(data, format=kind, metadata=_METADATA[kind])
    return data.getvalue()


def picture_format(path: str | os.PathLike) -> str:
    """Return the format that the suffix of a path stands for.

    >>> picture_format("out.PNG")
    'png'
    """
    suffix = os.path.splitext(path_text(path))[1]
    if suffix.lower() not in FORMATS:
        raise InvalidValue(
            f"the suffix of {path_text(path)!r} is {shortened(suffix)}; "
            f"a picture is written as {', '.join(FORMATS)}"
        )
    return FORMATS[suffix.lower()]


_NAMES = ("blue", "orange", "green", "pink", "amber", "sky")
"""What the colors of the panels are called in style sheets: --blue, --orange, …"""

_VARIABLES = {
    color.lower(): f"var(--{name}, {color.lower()})"
    for color, name in zip(COLORS, _NAMES, strict=True)
}
_PAINT = re.compile(r"(fill|stroke): (#[0-9a-f]{6})")
_NAME = re.compile(r'(\bid="|href="#|url\(#)([^")]+)')
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'<svg\b[^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)


def inline_svg(figure: Figure, description: str) -> str:
    """Return a figure as an SVG element without a background.

    Black becomes the color of the text around it, grays become shades of that, and the colors of
    the panels become variables of the style sheet, with themselves to fall back on. So the picture
    is as legible on a dark page as on a light one.

    Args:
        figure: The figure.
        description: What can be seen, for people who cannot see it.

    >>> from matplotlib.figure import Figure
    >>> svg = inline_svg(Figure(figsize=(2, 1)), "nothing at all")
    >>> svg.startswith('<svg viewBox="0 0 144 72" width="144pt" role="img" fill="currentColor"')
    True
    """
    return adapted_svg(rendered(figure, "svg").decode("utf-8"), description)


def adapted_svg(source: str, description: str) -> str:
    """Return an SVG text of Matplotlib as `inline_svg` returns a figure.

    >>> adapted_svg('<svg viewBox="0 0 1 1"><g style="fill: #000000"/></svg>', "a dot")[-57:]
    '<g style="fill: currentColor; fill-opacity: 1.00"/></svg>'
    """
    box = _SIZE.search(source)
    body = source[box.end() :].partition("<metadata>")
    rest = body[2].partition("</metadata>")[2] if body[1] else body[0]
    rest = _STYLE.sub("", rest)
    prefix = hashlib.sha256(source.encode()).hexdigest()[:10]
    rest = _NAME.sub(lambda match: f"{match[1]}m{prefix}-{match[2]}", rest)
    rest = _PAINT.sub(_painted, rest).replace("xlink:href", "href")
    title = f"<title>{escape(description)}</title>"
    look = 'role="img" fill="currentColor" stroke-linejoin="round"'
    width = f'width="{box[1].split()[2]}pt"'
    return f'<svg viewBox="{box[1]}" {width} {look}>{title}{rest.strip()}'


def _painted(match: re.Match) -> str:
    """Return a fill or stroke in terms of the page."""
    kind, color = match.groups()
    if color in _VARIABLES:
        return f"{kind}: {_VARIABLES[color]}"
    levels = {color[i : i + 2] for i in (1, 3, 5)}
    if len(levels) > 1:
        return match[0]
    ink = 1 - int(levels.pop(), 16) / 255
    return f"{kind}: currentColor; {kind}-opacity: {ink:.2f}"
