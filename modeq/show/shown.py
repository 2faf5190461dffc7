"""Results that show themselves: in notebooks, in terminals, and in reports.

A result says once what it looks like, as a list of blocks:

    class Answer(Shown):
        def show(self) -> list[Block]:
            return [Text("The answer"), Formula("42")]

Notebooks print the blocks as HTML, and reports put them among their own. A result that has a
picture defines ``draw(axes)`` too, and gets ``plot(ax=None)``, which draws into the axes of the
caller, or into a figure of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeq.show.document import Block, Code
from modeq.show.html import fragment

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Shown:
    """A result; see above.

    >>> class Answer(Shown):
    ...     def __str__(self): return "42"
    >>> Answer().show()
    [Code(text='42', language='text')]
    >>> "42" in Answer()._repr_html_()
    True
    """

    __slots__ = ()

    def show(self) -> list[Block]:
        """Return what it looks like; its text, unless it knows better."""
        return [Code(str(self), "text")]

    def _repr_html_(self) -> str:
        return fragment(self.show())


class Plotted(Shown):
    """A result with a picture: ``draw`` says what is in it."""

    __slots__ = ()

    def draw(self, axes: Axes) -> None:
        """Draw into axes, which may have something in them already."""
        raise NotImplementedError

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result, and return the axes.

        Args:
            ax: Where to draw; a new figure of pyplot unless given, which notebooks show.

        >>> from matplotlib.figure import Figure
        >>> class Line(Plotted):
        ...     def draw(self, axes): axes.plot([0, 1], label="up")
        >>> Line().plot(Figure().subplots()).get_legend_handles_labels()[1]
        ['up']
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(layout="constrained")[1]
        self.draw(ax)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(frameon=False, fontsize="small")
        return ax
