"""Documents as HTML: pages that need no network and no script, and fragments for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from modeq.errors import InvalidValue, visible
from modeq.show.document import (
    Block,
    Cell,
    Code,
    Document,
    Drawing,
    Fact,
    Finding,
    Formula,
    Math,
    Missing,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    Typed,
    parts_of_words,
)
from modeq.show.figures import inline_svg
from modeq.show.mathml import mathml
from modeq.show.style import FRAGMENT_STYLE, STYLE

_MARKS = {"good": "✓", "bad": "✗", "": ""}
_FRAGMENT = "modeq mathjax_ignore tex2jax_ignore"


def page(document: Document) -> str:
    """Return a document as a page that holds everything it needs.

    >>> html = page(Document("A & B", "", (), ()))
    >>> html.splitlines()[0], "<h1>A &amp; B</h1>" in html
    ('<!DOCTYPE html>', True)
    """
    body = "\n".join(map(_section, document.sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{_plain(document.title)}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>\n{STYLE}</style>\n</head>\n<body>\n'
        f"<header>\n<h1>{_plain(document.title)}</h1>\n"
        f'<p class="subtitle">{_words(document.subtitle)}</p>\n</header>\n'
        f"<main>\n{_summary(document.summary)}{_contents(document.sections)}{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def fragment(blocks: Iterable[Block]) -> str:
    """Return blocks as HTML for a notebook, with a style of their own.

    Formulas are MathML; the classes keep MathJax from reading dollars in words as formulas.

    >>> fragment([Text("x < y")])[-23:]
    '<p>x &lt; y</p>\\n</div>\\n'
    """
    style = f"<style>\n{FRAGMENT_STYLE}</style>"
    return f'<div class="{_FRAGMENT}">\n{style}\n{html_of(blocks)}\n</div>\n'


def html_of(blocks: Iterable[Block]) -> str:
    """Return blocks as HTML.

    >>> html_of([Missing("no start was given")])
    '<p class="missing">Not available: no start was given</p>'
    """
    return "\n".join(map(_block, blocks))


def _plain(text: str) -> str:
    return escape(visible(text))


def _words(words: Any) -> str:
    return "".join(map(_part, parts_of_words(words)))


def _part(part: str) -> str:
    if isinstance(part, Math):
        return _formula(part, display=False)
    return f"<code>{_plain(part)}</code>" if isinstance(part, Typed) else _plain(part)


def _formula(latex: str, *, display: bool) -> str:
    """Return a formula as MathML, or as its source where that cannot be had."""
    try:
        return mathml(latex, display=display)
    except InvalidValue:
        return f"<code>{_plain(latex)}</code>"


def _cell(cell: Cell) -> str:
    return cell.svg if isinstance(cell, Drawing) else _words(cell)


def _summary(facts: Sequence[Fact]) -> str:
    if not facts:
        return ""
    return f'<dl class="summary">\n{"".join(map(_fact, facts))}</dl>\n'


def _fact(fact: Fact) -> str:
    mark = f'<span class="mark {fact.state}">{_MARKS[fact.state]}</span> ' if fact.state else ""
    value = mark + _words(fact.value)
    label = _plain(fact.label)
    if fact.section:
        label = f'<a href="#{_plain(fact.section)}">{label}</a>'
    return f"<div><dt>{label}</dt><dd>{value}</dd></div>\n"


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < 2:
        return ""
    links = "".join(
        f'<li><a href="#{_plain(section.name)}">{_plain(section.title)}</a></li>'
        for section in sections
    )
    return f'<nav aria-label="contents"><ol>{links}</ol></nav>\n'


def _section(section: Section) -> str:
    title = _plain(section.title)
    return (
        f'<section id="{_plain(section.name)}">\n<h2>{title}</h2>\n'
        f"{html_of(section.blocks)}\n</section>"
    )


def _block(block: Block) -> str:
    match block:
        case Text(words):
            return f"<p>{_words(words)}</p>"
        case Formula(latex):
            return f'<div class="formula" tabindex="0">{_formula(latex, display=True)}</div>'
        case Table():
            return _table(block)
        case Picture():
            return f'<div class="pictures">{_picture(block)}</div>'
        case Pictures(pictures):
            return f'<div class="pictures">{"".join(map(_picture, pictures))}</div>'
        case Drawing(svg, _):
            return f'<p class="drawing">{svg}</p>'
        case Code(text, language):
            return f'<pre class="{_plain(language)}" tabindex="0"><code>{_lines(text)}</code></pre>'
        case Finding(passed, words):
            state = "good" if passed else "bad"
            mark = f'<span class="mark {state}">{_MARKS[state]}</span>'
            return f'<p class="finding {state}">{mark} {_words(words)}</p>'
        case Missing(reason):
            return f'<p class="missing">Not available: {_plain(reason)}</p>'


def _lines(text: str) -> str:
    return "\n".join(map(_plain, text.splitlines()))


def _picture(picture: Picture) -> str:
    description = visible(picture.description)
    svg = inline_svg(picture.draw(), description)
    return f"<figure>{svg}<figcaption>{escape(description)}</figcaption></figure>"


def _table(table: Table) -> str:
    kind = ' class="numeric"' if table.numeric else ""
    caption = f"<caption>{_words(table.caption)}</caption>" if table.caption else ""
    head = "".join(f'<th scope="col">{_words(cell)}</th>' for cell in table.head)
    head = f"<thead><tr>{head}</tr></thead>" if table.head else ""
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return (
        f'<div class="table" tabindex="0"><table{kind}>{caption}{head}\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )
