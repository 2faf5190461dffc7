"""The first pass over a formula: after it, the text is arithmetic in known names and numbers.

The scan checks characters, numbers, names, operators and parentheses, so that Python's tokenizer
never sees anything else. Most of it is what it says to a person who wrote something else.

The words of formulas: functions that are read, and what is said about words that are not.
"""

from __future__ import annotations

import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import sympy
from sympy import Symbol

from modeq.errors import ParseError

_NAME_LENGTH = 50

_SYMPY_NAMES = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("asin", "acos", "atan", "asinh", "acosh", "atanh", "erf"),
)
FUNCTIONS = {
    **{name: getattr(sympy, name) for name in _SYMPY_NAMES},
    "ln": sympy.log,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
}
_COMPOSED = {"sqrt": (1,), "cbrt": (1,), "sigmoid": (1,), "softplus": (1,), "pow": (2,)}
ARITIES = {**dict.fromkeys(FUNCTIONS, (1,)), **_COMPOSED, "log": (1, 2)}

_ABS = "write sqrt(u**2 + eps**2) with a small eps for |u|"
_RELU = "write softplus(u) for max(0, u)"
_STEP = "write sigmoid(u/eps) with a small eps for a step"
_ROUND = "there is no smooth substitute"
NOT_SMOOTH = {
    **dict.fromkeys(("abs", "Abs", "fabs", "norm"), _ABS),
    **dict.fromkeys(("max", "Max", "relu", "leaky_relu"), _RELU),
    **dict.fromkeys(("min", "Min"), "write u - softplus(u - v) for min(u, v)"),
    **dict.fromkeys(("sign",), "write tanh(u/eps) with a small eps for sign(u)"),
    **dict.fromkeys(("Heaviside", "heaviside", "Piecewise", "where"), _STEP),
    **dict.fromkeys(("floor", "ceil", "ceiling", "round", "mod"), _ROUND),
    "clip": "write tanh(u) for a function that saturates",
}

CONSTANTS = {
    "E": "write exp(1) for Euler's number",
    "I": "a real number is wanted, not an imaginary one",
    **dict.fromkeys(("oo", "zoo"), "a finite number is wanted"),
    **dict.fromkeys(("EulerGamma", "GoldenRatio", "Catalan"), "write its digits"),
}
"""Names of numbers in sympy. A formula that has one hardly means a variable of this name."""

_EQUATION = "a formula is wanted, not an equation or a comparison"
_BRACKETS = "only round parentheses are read"
_QUOTES = "quotes and texts are not part of a formula"
_HINTS = {
    **dict.fromkeys("=<>≤≥≠≈:;", _EQUATION),
    **dict.fromkeys("[]{}", _BRACKETS),
    **dict.fromkeys("\"'`′’‘“”", _QUOTES),
    **dict.fromkeys("·×∙⋅∗•", "write * for a product"),
    **dict.fromkeys("−–—‐‑", "write - for minus, not the longer dash"),
    **dict.fromkeys("÷∕⁄", "write / for a quotient"),
    "^": "write ** for powers, not ^",
    "|": f"the absolute value is not smooth: {_ABS}",
    "√": "write sqrt(u) for a root",
    "!": "factorials are not read",
    "%": "write 0.05 for 5%; remainders are not smooth",
    "@": "write * for a product; matrices are not read",
    ".": "attributes (a.b) are not part of a formula",
    "∞": "a finite number is wanted",
    "#": "comments are not part of a formula",
}


def fault_of_call(name: str) -> str | None:
    """Return why a name cannot be called, or None."""
    if name in ARITIES:
        return None
    if name in NOT_SMOOTH:
        return f"{name} is not smooth, so it has no counter terms; {NOT_SMOOTH[name]}"
    near = difflib.get_close_matches(name, ARITIES, n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else f"read are {', '.join(ARITIES)}."
    return f"the function {name} is unknown; {advice} For a product write {name}*(...)"


def fault_of_plain_name(name: str) -> str | None:
    """Return why a name cannot stand without arguments, or None."""
    if name in ARITIES or name in NOT_SMOOTH:
        return f"{name} is a function; write its argument in parentheses, {name}(u)"
    if name in CONSTANTS:
        return f"{name} is a number in sympy; {CONSTANTS[name]}, or give variables= with {name}"
    return "write pi for the number π" if name == "π" else None


def fault_of_name(name: str) -> tuple[str | None, int]:
    """Return what is wrong with a name, or None, and where in it."""
    for index, character in enumerate(name):
        is_raised = unicodedata.decomposition(character).startswith(("<super>", "<sub>"))
        if is_raised or not f"a{character}".isidentifier():
            return fault_of_character(character), index
    if not name.isidentifier():
        return "a name starts with a letter", 0
    if name.startswith("_"):
        return f"the name {short(name)} starts with an underscore; start it with a letter", 0
    if keyword.iskeyword(name):
        advice = "write lam" if name == "lambda" else "choose another name"
        return f"{name} is a reserved word of Python; {advice}", 0
    if name.lower() in ("nan", "inf", "infinity"):
        return f"a finite number is wanted, not {name}", 0
    if len(name) > _NAME_LENGTH:
        return f"the name {short(name)} has {len(name)} characters: at most {_NAME_LENGTH}", 0
    plain = unicodedata.normalize("NFKC", name)
    if plain != name:
        return f"the name {name} has letters in a special form; write {plain}", 0
    return None, 0


def fault_of_character(character: str) -> str:
    """Return what to write in place of a character that no formula has."""
    if character in _HINTS:
        return _HINTS[character]
    form = unicodedata.decomposition(character).partition(" ")[0]
    if form in ("<super>", "<sub>", "<fraction>") or character.isnumeric():
        power = unicodedata.normalize("NFKC", character)
        return f"write **{power} for a power" if form == "<super>" else "write digits 0 to 9 inline"
    shown = repr(character) if character.isprintable() else f"U+{ord(character):04X}"
    return f"the character {shown} is not part of a formula"


def short(name: str) -> str:
    """Return a name, cut if it is long."""
    return name if len(name) <= _NAME_LENGTH else f"{name[:20]}..."


@dataclass(frozen=True)
class Limits:
    """How large a formula may be, so that every text is read or refused at once.

    Attributes:
        characters: Length of the text.
        nodes: What is built, priced by the time it takes: a name or number 1, a sum or product
            about 6, a call 10, and 40 or more what sympy simplifies at length: roots and functions
            of numbers, roots of powers, products of powers of nested functions.
        nesting: Depth of parentheses, signs and powers. The length of a sum does not count.
        calls: Depth of function calls and roots.
        exponent: Numerator of a constant exponent.
        denominator: Denominator of a constant exponent.
        digits: Digits of one number in the text.
        value_digits: Digits of every exact number computed on the way.

    >>> from modeq.losses.parse import parse_expression
    >>> parse_expression("x**7", limits=Limits(exponent=6))
    Traceback (most recent call last):
    modeq.errors.ParseError: the exponent 7 is too large: at most 6 over 100 (column 4)
        x**7
           ^
    """

    characters: int = 20_000
    nodes: int = 5_000
    nesting: int = 100
    calls: int = 10
    exponent: int = 100
    denominator: int = 100
    digits: int = 100
    value_digits: int = 1_000


LIMITS = Limits()

_LITERAL_EXPONENT = 300
_PIECE = 2_000  # characters for ast.parse at a time: its trees are as deep as a sum is long

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n\f\v]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|//|[-+*/(),])"
)


class _Token(NamedTuple):
    """A number, a name, an operator or the end, and where it starts."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The index behind the token."""
        return self.start + len(self.text)


@dataclass
class _Group:
    """An open parenthesis, and how many signs and powers are pending inside it."""

    start: int
    is_call: bool
    chain: int = 0


@dataclass
class Scan:
    """A text that is arithmetic in names, numbers and known functions.

    Attributes:
        cuts: Where the text may be cut in pieces: before signs at the top level.

    Raises:
        ParseError: If the text is not that.

    >>> Scan("x + 2*sin(y)", {}, LIMITS).cuts
    [-1]
    """

    text: str
    symbols: dict[str, Symbol]
    limits: Limits
    tokens: list[_Token] = field(default_factory=list)
    cuts: list[int] = field(default_factory=lambda: [-1])
    groups: list[_Group] = field(default_factory=lambda: [_Group(0, False)])
    depth: int = 0

    def __post_init__(self):
        if len(self.text) > self.limits.characters:
            size = f"{len(self.text)} characters: at most {self.limits.characters}"
            self.fail(f"the formula is too long, {size}", self.limits.characters)
        self.tokens = [*self._tokens(), _Token("end", "", len(self.text))]
        if len(self.tokens) == 1:
            self.fail("the formula is empty", 0)
        self._walk()

    def fail(self, reason: str, position: int) -> NoReturn:
        """Refuse the text because of what stands at a position."""
        raise ParseError(reason, self.text, position)

    def _tokens(self) -> Iterable[_Token]:
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(fault_of_character(self.text[position]), position)
            position = match.end()
            if match.lastgroup != "blank":
                yield _Token(match.lastgroup, match.group(), match.start())

    def _walk(self) -> None:
        wants_operand, previous = True, None
        for token, following in zip(self.tokens, [*self.tokens[1:], None], strict=True):
            if wants_operand:
                wants_operand = self._operand(token, following)
            else:
                wants_operand = self._after_operand(token, previous)
            previous = token

    def _operand(self, token: _Token, following: _Token | None) -> bool:
        """Check a token where an operand should start; return whether one is still missing."""
        if token.kind == "number":
            self._check_number(token)
            return False
        if token.kind == "name":
            return self._check_name(token, following)
        if token.text == "(":
            self._open(token, is_call=False)
        elif token.text in ("+", "-"):
            self.groups[-1].chain += 1
            self._deepen(token)
        else:
            self._missing_operand(token)
        return True

    def _missing_operand(self, token: _Token) -> NoReturn:
        if token.kind == "end":
            self.fail("the formula stops where a number, a name or ( is missing", token.start)
        if token.text == ")" and len(self.groups) == 1:
            self.fail("this ) closes no parenthesis", token.start)
        self.fail(f"a number, a name or ( is missing before {token.text}", token.start)

    def _after_operand(self, token: _Token, previous: _Token) -> bool:
        """Check a token after an operand; return whether another operand must follow."""
        if token.text == "(" and previous.kind == "name" and previous.text in ARITIES:
            self._open(token, is_call=True)
        elif token.kind in ("number", "name") or token.text == "(":
            self.fail(self._missing_operator(token, previous), token.start)
        elif token.kind == "end":
            return self._close_all()
        elif token.text == ")":
            return self._close(token)
        else:
            self._operator(token)
        return True

    def _missing_operator(self, token: _Token, previous: _Token) -> str:
        touching = previous.end == token.start
        if previous.kind == "number" and touching and token.text.startswith("_"):
            return "numbers are written without underscores"
        if previous.kind == "number" and touching and token.text in ("j", "J"):
            return "a real number is wanted, not an imaginary one; write * for a product"
        if previous.text == "0" and touching and token.text[0] in "xXoObB":
            return "numbers are decimal, neither hexadecimal nor octal nor binary"
        product = f"{short(previous.text)}*{short(token.text)}"
        return f"an operator is missing; for a product write *, as in {product}"

    def _operator(self, token: _Token) -> None:
        if token.text == "//":
            self.fail("floor division is not smooth; write / for a quotient", token.start)
        if token.text == "**":
            self.groups[-1].chain += 1
            self._deepen(token)
            return
        group = self.groups[-1]
        if token.text == "," and not group.is_call:
            self.fail("a comma stands only between the arguments of a function", token.start)
        self.depth -= group.chain
        group.chain = 0
        if token.text in "+-" and len(self.groups) == 1 and token.start > self.cuts[-1] + _PIECE:
            self.cuts.append(token.start)

    def _deepen(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > self.limits.nesting:
            self.fail(f"the formula is nested deeper than {self.limits.nesting}", token.start)

    def _open(self, token: _Token, is_call: bool) -> None:
        self.groups.append(_Group(token.start, is_call))
        self._deepen(token)
        if sum(group.is_call for group in self.groups) > self.limits.calls:
            self.fail(f"functions are nested deeper than {self.limits.calls}", token.start)

    def _close(self, token: _Token) -> bool:
        if len(self.groups) == 1:
            self.fail("this ) closes no parenthesis", token.start)
        self.depth -= self.groups.pop().chain + 1
        return False

    def _close_all(self) -> bool:
        if len(self.groups) > 1:
            self.fail("this ( is never closed", self.groups[-1].start)
        return False

    def _check_number(self, token: _Token) -> None:
        mantissa, _, exponent = token.text.lower().partition("e")
        if len(mantissa.replace(".", "")) > self.limits.digits:
            self.fail(f"a number has at most {self.limits.digits} digits", token.start)
        power = exponent.lstrip("+-").lstrip("0")
        if len(power) > 3 or int(power or 0) > _LITERAL_EXPONENT:
            wanted = f"a finite number is wanted, with an exponent up to {_LITERAL_EXPONENT}"
            self.fail(wanted, token.start)
        if mantissa.isdigit() and mantissa != "0" and mantissa.startswith("0"):
            self.fail("an integer does not start with 0", token.start)

    def _check_name(self, token: _Token, following: _Token | None) -> bool:
        name, called = token.text, following.text == "("
        if name in self.symbols and not keyword.iskeyword(name) and not called:
            return False
        reason, offset = fault_of_name(name)
        if reason is None:
            reason = fault_of_call(name) if called else fault_of_plain_name(name)
        if reason is not None:
            self.fail(reason, token.start + offset)
        return False
