r"""Documents as LaTeX articles, which pdflatex, lualatex and xelatex compile."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from modeq.errors import visible
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
    Section,
    Table,
    Text,
    Typed,
    in_a_column,
    parts_of_words,
)
from modeq.show.lines import in_lines

_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,margin=2.2cm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage{booktabs,longtable,array}
\usepackage{graphicx}
\usepackage[hidelinks]{hyperref}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6em}
\emergencystretch=3em
"""

_CODE_WIDTH = 92
_WIDE_CELL = 30
_LONE_LETTERS = {"✓": r"$\checkmark$", "✗": r"$\times$", "–": "--", "…": r"\ldots{}", "’": "'"}


def latex_of(document: Document, files: Mapping[str, str] | None = None) -> str:
    r"""Return a document as a LaTeX article.

    Args:
        document: The document.
        files: The names of the files that hold its pictures, by the names of the pictures. Without
            them there is a note in place of each picture.

    >>> print(latex_of(Document("A & B", "", (), ())).splitlines()[-6])
    \title{A \& B}
    """
    return "".join(
        [
            _PREAMBLE,
            f"\\title{{{_escaped(document.title)}}}\n\\author{{}}\n",
            f"\\date{{{_words(document.subtitle)}}}\n\\begin{{document}}\n\\maketitle\n",
            _summary(document.summary),
            *(_section(section, files) for section in document.sections),
            "\\end{document}\n",
        ]
    )


def _escaped(text: str) -> str:
    """Return words as LaTeX text, printable signs of our own included."""
    return "".join(_LONE_LETTERS.get(c) or escaped(c) for c in visible(text))


def _words(words: Any) -> str:
    return "".join(map(_part, parts_of_words(words)))


def _part(part: str) -> str:
    if isinstance(part, Math):
        return f"${part}$"
    return rf"\texttt{{{_escaped(part)}}}" if isinstance(part, Typed) else _escaped(part)


def _summary(facts: Sequence[Fact]) -> str:
    if not facts:
        return ""
    marks = {"good": r"$\checkmark$ ", "bad": r"$\times$ ", "": ""}
    rows = "".join(
        f"\\textbf{{{_escaped(fact.label)}}} & {marks[fact.state]}{_words(fact.value)} \\\\\n"
        for fact in facts
    )
    columns = (
        r"@{}>{\raggedright}p{0.24\textwidth}>{\raggedright\arraybackslash}p{0.72\textwidth}@{}"
    )
    return f"\\begin{{longtable}}{{{columns}}}\n\\toprule\n{rows}\\bottomrule\n\\end{{longtable}}\n"


def _section(section: Section, files: Mapping[str, str] | None) -> str:
    blocks = "\n\n".join(_block(block, files) for block in in_a_column(section.blocks))
    return f"\n\\section*{{{_escaped(section.title)}}}\n{blocks}\n"


def _block(block: Block, files: Mapping[str, str] | None) -> str:
    match block:
        case Text(words):
            return _words(words)
        case Formula(latex):
            return _displayed(latex)
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, files)
        case Code(text, _):
            return _verbatim(text)
        case Finding(passed, words):
            return f"{_LONE_LETTERS['✓' if passed else '✗']} {_words(words)}"
        case Missing(reason):
            return f"\\emph{{Not available:}} {_escaped(reason)}"


def _displayed(latex: str) -> str:
    """Return a displayed formula; aligned lines stand by themselves, so that pages may break."""
    opening, closing = "\\begin{aligned}", "\\end{aligned}"
    if latex.startswith(opening) and latex.endswith(closing):
        return f"\\begin{{align*}}{latex[len(opening) : -len(closing)]}\\end{{align*}}"
    return f"\\[\n{latex}\n\\]"


def _verbatim(text: str) -> str:
    """Return lines as they are, in ASCII, broken where they are too long."""
    lines = [line for long in text.splitlines() for line in _broken(visible(long))]
    body = "\n".join(line.encode("ascii", "backslashreplace").decode() for line in lines)
    body = body.replace("\\end{verbatim}", "\\end {verbatim}")
    return f"\\begin{{small}}\n\\begin{{verbatim}}\n{body}\n\\end{{verbatim}}\n\\end{{small}}"


def _broken(line: str) -> list[str]:
    if len(line) <= _CODE_WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    first, *rest = in_lines(line.split(" "), _CODE_WIDTH)
    return [first, *(f"{indent}    {part}" for part in rest)]


def _picture(picture: Picture, files: Mapping[str, str] | None) -> str:
    description = _escaped(picture.description)
    if files is None:
        return f"\\emph{{A picture stands here when the article is saved to a file: {description}}}"
    return (
        "\\begin{center}\n"
        f"\\includegraphics[width=0.62\\textwidth]{{\\detokenize{{{files[picture.name]}}}}}\\\\\n"
        f"\\small {description}\n\\end{{center}}"
    )


def _table(table: Table) -> str:
    """Return a table that pages may break; columns of long words get a width."""
    widths = [max(map(_length, column)) for column in zip(*table.rows, strict=True)]
    columns = "".join(_column(i, width, widths, table.numeric) for i, width in enumerate(widths))
    head = f"{_line(map(_words, table.head))}\\midrule\n\\endhead\n" if table.head else ""
    rows = "".join(_line(map(_cell, row)) for row in table.rows)
    caption = f"{_words(table.caption)}\n\n" if table.caption else ""
    return (
        f"{caption}\\begin{{longtable}}{{@{{}}{columns}@{{}}}}\n\\toprule\n{head}{rows}"
        f"\\bottomrule\n\\end{{longtable}}"
    )


def _column(place: int, width: int, widths: Sequence[int], numeric: bool) -> str:
    if width > _WIDE_CELL:
        share = 0.84 * width / sum(widths)
        return rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\textwidth}}"
    return "r" if numeric and place else "l"


def _length(cell: Cell) -> int:
    parts = ["tree"] if isinstance(cell, Drawing) else parts_of_words(cell)
    return sum(len(part) for part in parts if not isinstance(part, Math)) + 10 * any(
        isinstance(part, Math) for part in parts
    )


def _line(cells: Any) -> str:
    return f"{' & '.join(cells)} \\\\\n"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Drawing):
        return f"${cell.text.replace('•', chr(92) + 'bullet ')}$"
    return _words(cell)


_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma "
    "tau upsilon phi chi psi omega"
)
_ESCAPES = {
    "\\": r"\backslash ",
    "~": r"{\sim}",
    "^": r"{\wedge}",
    "'": r"{}^{\prime}",
    '"': r"{}^{\prime\prime}",
    " ": r"\ ",
    **{c: f"\\{c}" for c in "{}$#%_"},
    "&": r"{\&}",
    **{c: f"{{{c}}}" for c in "<>[]()`*!"},
}
"""What TeX, HTML and Markdown could take for a command, a tag, an entity, a link or code."""
_ACCENTS = {
    "GRAVE ACCENT": "grave",
    "ACUTE ACCENT": "acute",
    "CIRCUMFLEX ACCENT": "hat",
    "TILDE": "tilde",
    "MACRON": "bar",
    "DIAERESIS": "ddot",
    "DOT ABOVE": "dot",
    "CARON": "check",
    "BREVE": "breve",
}
_LATIN_CAPITALS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))
"""Capital letters of the Greeks that TeX has no command for."""
_TEXT_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{c: f"\\{c}" for c in "{}$&#%_"},
}


def character_latex(character: str) -> str:
    """Return one character as upright mathematics, whatever it means to TeX."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if letter := _greek(character):
        return f"{letter} "
    if character.isascii() and character.isprintable():
        return character
    base, *marks = unicodedata.normalize("NFD", character)
    accents = [_ACCENTS.get(unicodedata.name(m, "").removeprefix("COMBINING ")) for m in marks]
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0]:
        return rf"\{accents[0]}{{{base}}}"
    return f"[U+{ord(character):04X}]"


def _greek(character: str) -> str:
    """Return a Greek letter as mathematics, or nothing if it is none."""
    if character in _LATIN_CAPITALS:
        return rf"\mathrm{{{_LATIN_CAPITALS[character]}}}"
    kind, _, name = unicodedata.name(character, "").partition(" LETTER ")
    name = name.replace("LAMDA", "LAMBDA").lower()
    if kind not in ("GREEK SMALL", "GREEK CAPITAL") or name not in _GREEK.split():
        return ""
    return "o" if name == "omicron" else rf"\{name if kind == 'GREEK SMALL' else name.capitalize()}"


def escaped(words: str) -> str:
    r"""Return words as LaTeX text.

    >>> print(escaped("50% of x_1"))
    50\% of x\_1
    """
    return "".join(
        _TEXT_ESCAPES.get(c, c if " " <= c <= "~" else f"${character_latex(c)}$") for c in words
    )
