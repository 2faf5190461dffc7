"""Figures as SVG elements inside a page, which take their colors from the page around them."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import TYPE_CHECKING

from modeq.show.figures import COLORS, rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("blue", "orange", "green", "pink", "amber", "sky")
"""What the colors of the panels are called in style sheets: --blue, --orange, …"""

_VARIABLES = {
    color.lower(): f"var(--{name}, {color.lower()})"
    for color, name in zip(COLORS, NAMES, strict=True)
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
