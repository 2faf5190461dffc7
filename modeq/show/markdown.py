"""Documents as Markdown, with formulas between dollars."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from modeq.errors import visible
from modeq.show.document import (
    Block,
    Cell,
    Code,
    Document,
    Drawing,
    Finding,
    Formula,
    Math,
    Missing,
    Picture,
    Table,
    Text,
    Typed,
    in_a_column,
    parts_of_words,
)
from modeq.show.figures import rendered


def markdown_of(document: Document, files: Mapping[str, str] | None = None) -> str:
    """Return a document as Markdown.

    Args:
        document: The document.
        files: The names of the files that hold its pictures, by the names of the pictures. Without
            them the pictures are put into the text itself, as data addresses.

    >>> print(markdown_of(Document("A * B", "", (), ())))
    # A \\* B
    <BLANKLINE>
    """
    parts = [f"# {escaped(document.title)}"]
    if document.subtitle:
        parts.append(_words(document.subtitle))
    if document.summary:
        rows = tuple((fact.label, (_verdict(fact.state), *parts_of_words(fact.value)))
                     for fact in document.summary)  # fmt: skip
        parts.append(_table(Table(("", "summary"), rows)))
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_block(block, files) for block in in_a_column(section.blocks)]
    return "\n\n".join(parts) + "\n"


def _verdict(state: str) -> str:
    return {"good": "✓ ", "bad": "✗ ", "": ""}[state]


def _words(words: Any) -> str:
    return "".join(map(_part, parts_of_words(words)))


def _part(part: str) -> str:
    if isinstance(part, Math):
        return f"${' '.join(part.split())}$"
    return _typed(part) if isinstance(part, Typed) else escaped(part)


def _typed(text: str) -> str:
    """Return typed words between as many backticks as they need."""
    marks = "`"
    while marks in text:
        marks += "`"
    pad = " " * ("`" in text)
    return f"{marks}{pad}{visible(text)}{pad}{marks}"


def _block(block: Block, files: Mapping[str, str] | None) -> str:
    match block:
        case Text(words):
            return _words(words)
        case Formula(latex):
            return f"$$\n{latex}\n$$"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, files)
        case Code(text, language):
            return _fenced(text, language)
        case Finding(passed, words):
            return f"{'✓' if passed else '✗'} {_words(words)}"
        case Missing(reason):
            return f"*Not available:* {escaped(reason)}"


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    lines = "\n".join(map(visible, text.splitlines()))
    return f"{fence}{language}\n{lines}\n{fence}"


def _picture(picture: Picture, files: Mapping[str, str] | None) -> str:
    description = escaped(picture.description)
    if files is not None:
        return f"![{description}](<{files[picture.name]}>)"
    data = base64.b64encode(rendered(picture.draw(), "svg")).decode("ascii")
    return f"![{description}](data:image/svg+xml;base64,{data})"


def _table(table: Table) -> str:
    head = table.head or ("",) * len(table.rows[0])
    line = "---:" if table.numeric else "---"
    rows = [_row(map(_words, head)), _row(["---", *[line] * (len(head) - 1)])]
    rows += [_row(map(_cell, row)) for row in table.rows]
    caption = f"{_words(table.caption)}\n\n" if table.caption else ""
    return caption + "\n".join(rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Drawing):
        return escaped(str(cell))
    return "".join(map(_part, map(_without_bars, parts_of_words(cell))))


def _without_bars(part: str) -> str:
    """Return a part of a cell whose formula does not end the cell."""
    return Math(part.replace("|", r"\vert ")) if isinstance(part, Math) else part


def escaped(line: str) -> str:
    r"""Return a line of text without meaning to Markdown.

    >>> print(escaped("my_*method*"))
    my\_\*method\*
    """
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$&-])", r"\\\1", visible(line))
