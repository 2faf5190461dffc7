"""Documents as data: sections of words, formulas, tables, pictures and code, without a format.

A document is built once; ``html`` writes it as HTML, ``markdown`` as Markdown and
``latex`` as LaTeX. Formulas are LaTeX, whatever the format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Math(str):
    r"""A formula inside a line of words, as LaTeX without dollars.

    >>> words = ("up to ", Math("h^{2}"))
    """

    __slots__ = ()


class Typed(str):
    """Words that are typed into a computer, such as the name of a function."""

    __slots__ = ()


Words = str | Math | Typed | tuple["str | Math | Typed", ...]


@dataclass(frozen=True)
class Drawing:
    """A small drawing as an SVG element, in the color of the text; other formats have its text."""

    svg: str
    text: str


Cell = Words | Drawing


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: Words


@dataclass(frozen=True)
class Formula:
    """A formula that stands by itself."""

    latex: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: The words above the columns; none for a table without a head.
        rows: The cells of each row.
        caption: What it shows.
        numeric: Whether all columns but the first are numbers, which are set to the right.
    """

    head: tuple[Words, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: Words = ""
    numeric: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture, drawn when it is written.

    Attributes:
        name: A short name, which becomes a part of file names.
        description: What can be seen, for people who cannot see it.
        draw: Returns the figure.
    """

    name: str
    description: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Pictures:
    """Pictures that stand side by side where there is room."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Code:
    """Code.

    Attributes:
        text: The code.
        language: "python", "sh" or "text".
    """

    text: str
    language: str = "python"


@dataclass(frozen=True)
class Finding:
    """What came out of a test.

    Attributes:
        passed: Whether it held.
        words: The same in words.
    """

    passed: bool
    words: Words


@dataclass(frozen=True)
class Missing:
    """A part that cannot be had, and why."""

    reason: str


Block = Text | Formula | Table | Picture | Pictures | Drawing | Code | Finding | Missing


@dataclass(frozen=True)
class Section:
    """A part of a document.

    Attributes:
        name: A short name of letters and dashes, for links.
        title: Its title.
        blocks: What is in it.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Fact:
    """One line of a summary.

    Attributes:
        label: What it is about.
        value: What is known.
        state: "good", "bad", or "" where there is nothing to judge.
        section: The name of the section that says more, or "".
    """

    label: str
    value: Words
    state: str = ""
    section: str = ""


@dataclass(frozen=True)
class Document:
    """A whole document.

    Attributes:
        title: Its title.
        subtitle: A line beneath it.
        summary: What a reader in a hurry should know.
        sections: Its parts, in order.
    """

    title: str
    subtitle: Words
    summary: tuple[Fact, ...]
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """Return the section of a name."""
        return next(section for section in self.sections if section.name == name)

    def pictures(self) -> Iterator[Picture]:
        """Yield all pictures, in order."""
        for section in self.sections:
            yield from pictures_of(section.blocks)


def code_lines(lines: Sequence[str]) -> list[Block]:
    """Return lines of text as they are, or nothing if there is none."""
    return [Code("\n".join(lines), "text")] if lines else []


def missing(failures: Mapping[Any, str]) -> list[Block]:
    """Return what failed, and why."""
    return [Missing(f"{name}: {why}") for name, why in failures.items()]


def in_a_column(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks for formats without pictures side by side and drawings inside of the text.

    >>> list(in_a_column([Drawing("<svg/>", "a tree")]))
    [Code(text='a tree', language='text')]
    """
    for block in blocks:
        match block:
            case Pictures(pictures):
                yield from pictures
            case Drawing(_, text):
                yield Code(text, "text")
            case _:
                yield block


def pictures_of(blocks: Iterable[Block]) -> Iterator[Picture]:
    """Yield the pictures among blocks, in order."""
    return (block for block in in_a_column(blocks) if isinstance(block, Picture))


def parts_of_words(words: Any) -> tuple[str, ...]:
    """Return words as a tuple of strings, formulas and typed words.

    >>> parts_of_words("one"), parts_of_words(("L is ", Math("x")))
    (('one',), ('L is ', 'x'))
    """
    return (words,) if isinstance(words, str) else tuple(words)


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table.

    >>> number(0.00012345), number(float("inf")), number(0.25)
    ('1.23e-04', '∞', '0.25')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if math.isnan(value):
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits + 1}g}"
    return f"{value:.{digits - 1}e}"
