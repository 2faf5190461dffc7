"""Text to sympy, by an allow-list: no text is ever evaluated.

A formula is read in three passes, and each one trusts only the one before it:

1. a scan of our own checks characters, numbers, names, operators and parentheses, so that
   Python's tokenizer never sees anything but arithmetic;
2. ``ast.parse`` finds the structure, and only the node types listed here are read;
3. sympy objects are built from the leaves up. Whatever sympy does on its own (powers of numbers,
   exp(n*log(u)), ...) is bounded before it happens, and its result is inspected.
"""

import ast
import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import mpmath
import sympy
from sympy import Add, Expr, Mul, Pow, Rational, Symbol

from modeq.errors import InvalidLoss, InvalidValue, ParseError

__all__ = ["LIMITS", "Limits", "parse_expression", "parse_names", "symbol"]


@dataclass(frozen=True)
class Limits:
    """How large a formula may be, so that every text is read or refused at once.

    Attributes:
        characters: Length of the text.
        nodes: What is built, priced by the time it takes: a name or number 1, a sum or product
            about 6, a call 10, a root or function of numbers, which sympy simplifies, 40 or more.
        nesting: Depth of parentheses, signs and powers. The length of a sum does not count.
        calls: Depth of function calls and roots.
        exponent: Numerator of a constant exponent.
        denominator: Denominator of a constant exponent.
        digits: Digits of one number in the text.
        value_digits: Digits of every exact number computed on the way.

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
_ROOT_DIGITS = 30  # sympy factors the integer under a root
_PIECE = 2_000  # characters for ast.parse at a time: its trees are as deep as a sum is long
_NAME_LENGTH = 50

_SYMPY_NAMES = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("asin", "acos", "atan", "asinh", "acosh", "atanh", "erf"),
)
_UNARY = {
    **{name: getattr(sympy, name) for name in _SYMPY_NAMES},
    "ln": sympy.log,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
}
_COMPOSED = {"sqrt": (1,), "cbrt": (1,), "sigmoid": (1,), "softplus": (1,), "pow": (2,)}
_ARITIES = {**dict.fromkeys(_UNARY, (1,)), **_COMPOSED, "log": (1, 2)}

_ABS = "write sqrt(u**2 + eps**2) with a small eps for |u|"
_RELU = "write softplus(u) for max(0, u)"
_STEP = "write sigmoid(u/eps) with a small eps for a step"
_ROUND = "there is no smooth substitute"
_NOT_SMOOTH = {
    **dict.fromkeys(("abs", "Abs", "fabs", "norm"), _ABS),
    **dict.fromkeys(("max", "Max", "relu", "leaky_relu"), _RELU),
    **dict.fromkeys(("min", "Min"), "write u - softplus(u - v) for min(u, v)"),
    **dict.fromkeys(("sign",), "write tanh(u/eps) with a small eps for sign(u)"),
    **dict.fromkeys(("Heaviside", "heaviside", "Piecewise", "where"), _STEP),
    **dict.fromkeys(("floor", "ceil", "ceiling", "round", "mod"), _ROUND),
    "clip": "write tanh(u) for a function that saturates",
}

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

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n\f\v]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|//|[-+*/(),])"
)


def parse_expression(
    text: str, symbols: Mapping[str, Symbol] | None = None, limits: Limits = LIMITS
) -> Expr:
    """Return the sympy expression that a text stands for, with exact numbers.

    Read are ``+ - * / **``, parentheses, numbers (0.1 is 1/10), names (plain symbols; only ``pi`` is
    a constant) and calls of smooth functions: exp, log, ln, sqrt, cbrt, pow, sin, cos, tan and
    their inverses and hyperbolic relatives, erf, sigmoid, softplus.

    Args:
        text: The formula. It may come from anyone.
        symbols: Symbols for some of the names; the other names become ``sympy.Symbol(name)``.
        limits: How large the formula may be.

    Raises:
        ParseError: If the text is not such a formula, is too large, or is not finite and real.
        InvalidValue: If ``text`` is not a ``str``.

    >>> parse_expression("(1 - x)**2 + 0.1*beta/sqrt(x)")
    beta/(10*sqrt(x)) + (1 - x)**2
    >>> parse_expression("x^2")
    Traceback (most recent call last):
    modeq.errors.ParseError: write ** for powers, not ^ (column 2)
        x^2
         ^
    """
    if not isinstance(text, str):
        raise InvalidValue(f"a formula is a text, not {text!r} of type {type(text).__name__}")
    try:
        return _Builder(_Scan(text, dict(symbols or {}), limits)).build()
    except (RecursionError, MemoryError):
        raise ParseError("the formula is nested too deeply", text, 0) from None


def symbol(name: str) -> Symbol:
    """Return the symbol of a name, the same one that ``parse_expression`` makes.

    Args:
        name: A letter, Latin or not, then letters, digits and underscores: at most 50.

    Raises:
        ParseError: If the name is something else, a reserved word, or a function.

    >>> symbol("theta_1") == Symbol("theta_1")
    True
    >>> symbol("lambda")
    Traceback (most recent call last):
    modeq.errors.ParseError: lambda is a reserved word of Python; write lam (column 1)
        lambda
        ^
    """
    if not isinstance(name, str):
        raise InvalidValue(f"a name is a text, not {name!r} of type {type(name).__name__}")
    reason, offset = _fault_of_name(name)
    if reason is None and (name in _ARITIES or name in _NOT_SMOOTH):
        reason = f"{name} is a function, not a variable; choose another name"
    if reason is not None:
        raise ParseError(reason, name, offset)
    return Symbol(name)


def parse_names(names: str | Symbol | Iterable[str | Symbol]) -> tuple[Symbol, ...]:
    """Return the symbols of a list of names, in the same order.

    Args:
        names: A text such as ``"x y"`` or ``"x, y"``, or a sequence of names and sympy symbols,
            which are kept as they are.

    Raises:
        ParseError: If a name is not valid.
        InvalidLoss: If a name occurs twice.
        InvalidValue: If an entry is neither a text nor a symbol.

    >>> parse_names("x, y")
    (x, y)
    """
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    elif isinstance(names, Symbol):
        names = (names,)
    elif not isinstance(names, Iterable):
        raise InvalidValue(f"names are a text or a sequence, not {names!r}")
    found = tuple(name if isinstance(name, Symbol) else symbol(name) for name in names)
    written = [name.name for name in found]
    for index, name in enumerate(written):
        if name in written[:index]:
            raise InvalidLoss(f"the name {name} is given twice; every variable is named once")
    return found


def _fault_of_name(name: str) -> tuple[str | None, int]:
    """Return what is wrong with a name, or None, and where in it."""
    for index, character in enumerate(name):
        is_raised = unicodedata.decomposition(character).startswith(("<super>", "<sub>"))
        if is_raised or not f"a{character}".isidentifier():
            return _fault_of_character(character), index
    if not name.isidentifier():
        return "a name starts with a letter", 0
    if name.startswith("_"):
        return f"the name {_short(name)} starts with an underscore; start it with a letter", 0
    if keyword.iskeyword(name):
        advice = "write lam" if name == "lambda" else "choose another name"
        return f"{name} is a reserved word of Python; {advice}", 0
    if name.lower() in ("nan", "inf", "infinity"):
        return f"a finite number is wanted, not {name}", 0
    if len(name) > _NAME_LENGTH:
        return f"the name {_short(name)} has {len(name)} characters: at most {_NAME_LENGTH}", 0
    plain = unicodedata.normalize("NFKC", name)
    if plain != name:
        return f"the name {name} has letters in a special form; write {plain}", 0
    return None, 0


def _fault_of_character(character: str) -> str:
    """Return what to write in place of a character that no formula has."""
    if character in _HINTS:
        return _HINTS[character]
    form = unicodedata.decomposition(character).partition(" ")[0]
    if form in ("<super>", "<sub>", "<fraction>") or character.isnumeric():
        power = unicodedata.normalize("NFKC", character)
        return f"write **{power} for a power" if form == "<super>" else "write digits 0 to 9 inline"
    shown = repr(character) if character.isprintable() else f"U+{ord(character):04X}"
    return f"the character {shown} is not part of a formula"


def _short(name: str) -> str:
    """Return a name, cut if it is long."""
    return name if len(name) <= _NAME_LENGTH else f"{name[:20]}..."


class _Token(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass
class _Group:
    """An open parenthesis, and how many signs and powers are pending inside it."""

    start: int
    is_call: bool
    chain: int = 0


@dataclass
class _Scan:
    """The first pass: after it, the text is arithmetic in names, numbers and known functions."""

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
        raise ParseError(reason, self.text, position)

    def _tokens(self) -> Iterable[_Token]:
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(_fault_of_character(self.text[position]), position)
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
        if token.text == "(" and previous.kind == "name" and previous.text in _ARITIES:
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
        product = f"{_short(previous.text)}*{_short(token.text)}"
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
        reason, offset = _fault_of_name(name)
        if reason is None:
            reason = _fault_of_call(name) if called else _fault_of_plain_name(name)
        if reason is not None:
            self.fail(reason, token.start + offset)
        return False


def _fault_of_call(name: str) -> str | None:
    """Return why a name cannot be called, or None."""
    if name in _ARITIES:
        return None
    if name in _NOT_SMOOTH:
        return f"{name} is not smooth, so it has no counter terms; {_NOT_SMOOTH[name]}"
    near = difflib.get_close_matches(name, _ARITIES, n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else f"read are {', '.join(_ARITIES)}"
    return f"the function {name} is unknown; {advice} For a product write {name}*(...)"


def _fault_of_plain_name(name: str) -> str | None:
    """Return why a name cannot stand without arguments, or None."""
    if name in _ARITIES or name in _NOT_SMOOTH:
        return f"{name} is a function; write its argument in parentheses, {name}(u)"
    return "write pi for the number π" if name == "π" else None


def _digits(number: Rational) -> int:
    """Return about how many decimal digits an exact number has."""
    return int(max(abs(number.p), number.q).bit_length() * 0.30103) + 1


def _literal(text: str) -> Rational:
    """Return the exact value of a number's text.

    >>> _literal("2.50e-1")
    1/4
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent or 0) - len(decimals)
    return Rational(int(whole + decimals) * 10 ** max(power, 0), 10 ** max(-power, 0))


class _Seen(NamedTuple):
    """What the inspection found: the nodes of an expression, its layers, its value if constant."""

    size: int
    layers: int
    value: mpmath.mpf | None


_REALS = mpmath.MPContext()
_REALS.dps = 50
_TINY = _REALS.mpf(10) ** -40
_NO_NUMBER = frozenset((sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I))
_PRICES = {"Mul": 5, "Add": 6, "Pow": 3}  # of what sympy makes, in units of about 30 microseconds
_RATE = 10**6  # sympy takes exp(n*u) for a polynomial of degree n in exp(u)
_LAYERS = 6  # functions and powers of constants in each other; sympy evaluates these over and over
_ODD = {"sin", "tan", "asin", "atan", "arcsin", "arctan", "sinh", "tanh", "asinh", "atanh", "erf"}
_EVEN = {"cos", "cosh"}
_NOT_FINITE = "the formula is not a finite real number here"


class _Builder:
    """The second and third pass: ``ast`` nodes to sympy, each result inspected.

    Everything sympy might compute with big numbers is estimated first.
    """

    def __init__(self, scan: _Scan):
        self.scan = scan
        self.limits = scan.limits
        self.fail = scan.fail
        self.seen: dict[Expr, _Seen] = {}
        self.spent = 0
        self.built = 0
        self.columns: list[int] = []

    def build(self) -> Expr:
        """Return the expression of the whole text, read piece by piece at its top-level signs."""
        cuts = self.scan.cuts
        terms = []
        for start, end in zip(cuts, [*cuts[1:], len(self.scan.text)], strict=True):
            minus = start >= 0 and self.scan.text[start] == "-"
            terms += self._terms(self._tree(start + 1, end), minus)
        return self._sum(terms, 0)

    def _tree(self, start: int, end: int) -> ast.expr:
        source = "(" + re.sub(r"\s", " ", self.scan.text[start:end]) + ")"
        self.columns = [start - 1 + i for i, c in enumerate(source) for _ in c.encode()]
        try:
            return ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.fail("the formula is too long in one place; write it in smaller parts", start)

    def _at(self, node: ast.expr) -> int:
        """Return the index of a node in the text; ``ast`` counts the bytes of a piece."""
        return self.columns[node.col_offset]

    def _spend(self, price: int, at: int) -> None:
        self.spent += price
        if self.spent > self.limits.nodes:
            self.fail(f"the formula is too long: at most {self.limits.nodes} nodes", at)

    def _expr(self, node: ast.expr) -> Expr:
        """Return the expression of one node; no other node type is read."""
        at = self._at(node)
        self._spend(1, at)
        match node:
            case ast.Constant():
                end = self.columns[node.end_col_offset - 1] + 1
                return self._checked(_literal(self.scan.text[at:end]), at)
            case ast.Name():
                return self._name(node.id)
            case ast.UnaryOp(op=ast.USub()):
                return self._product([sympy.S.NegativeOne, self._expr(node.operand)], at)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._expr(node.operand)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._sum(self._terms(node), at)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._product(self._factors(node), at)
            case ast.BinOp(op=ast.Pow()):
                power = self._expr(node.right)
                return self._power(self._expr(node.left), power, at, self._at(node.right))
            case ast.Call(func=ast.Name(), keywords=[]):
                return self._call(node.func.id, node.args, at)
            case _:
                raise ParseError("this is not part of a formula", self.scan.text, at)

    def _name(self, name: str) -> Expr:
        if name in self.scan.symbols:
            return self.scan.symbols[name]
        return sympy.pi if name == "pi" else symbol(name)

    def _terms(self, node: ast.expr, minus: bool = False) -> list[Expr]:
        """Return the terms of a sum, without recursion along it; ``minus`` negates the first."""
        terms = []
        for is_minus, operand in _chain(node, ast.Add, ast.Sub):
            term = self._expr(operand)
            terms.append(Mul(-1, term) if is_minus != (minus and not terms) else term)
        return terms

    def _factors(self, node: ast.expr) -> list[Expr]:
        factors = []
        for is_divisor, operand in _chain(node, ast.Mult, ast.Div):
            factor, at = self._expr(operand), self._at(operand)
            if is_divisor:
                factor = self._power(factor, sympy.S.NegativeOne, at, at)
            factors.append(factor)
        return factors

    def _sum(self, terms: list[Expr], at: int) -> Expr:
        self._check_sum(terms, at)
        return self._checked(Add(*terms), at)

    def _check_sum(self, terms: list[Expr], at: int) -> None:
        """Add the coefficients as sympy will, but stop at the first that is too long."""
        totals: dict[Expr, Rational] = {}
        for term in terms:
            for part in Add.make_args(term):
                number, rest = part.as_coeff_Mul()
                totals[rest] = totals.get(rest, 0) + number
                self._check_digits(_digits(totals[rest]), at)

    def _product(self, factors: list[Expr], at: int) -> Expr:
        """Multiply; sympy adds the exponents of equal bases, and those of all exp(u)."""
        exponents: dict[Expr, list[Expr]] = {}
        digits = 0
        for factor in factors:
            for part in Mul.make_args(factor):
                base, exponent = part.as_base_exp()
                digits += _digits(part) if part.is_Rational else 0
                exponents.setdefault(base, []).append(exponent)
        self._check_digits(digits, at)
        for group in exponents.values():
            if len(group) > 1:
                self._check_sum(group, at)
        return self._checked(Mul(*factors), at)

    def _check_digits(self, digits: int, at: int) -> None:
        if digits > self.limits.value_digits:
            self.fail(f"a number has more than {self.limits.value_digits} digits here", at)

    def _power(self, base: Expr, exponent: Expr, at: int, at_exponent: int) -> Expr:
        if exponent.is_Rational:
            self._check_constant_exponent(base, exponent, at, at_exponent)
        else:
            self._check_varying_exponent(base, exponent, at, at_exponent)
        return self._checked(Pow(base, exponent), at)

    def _check_constant_exponent(self, base: Expr, exponent: Rational, at: int, at_exponent: int):
        if base == 0 and exponent < 0:
            self.fail("this divides by zero", at)
        self._check_exponent(exponent, at_exponent)
        digits = [_digits(b) * max(1, abs(e)) for b, e in _numbers(base)]
        self._check_digits(int(sum(digits) * abs(exponent)), at_exponent)
        if not exponent.is_Integer:
            self._spend(10, at)
            for number, _ in _numbers(base):
                self._check_root(number, at)

    def _check_exponent(self, exponent: Rational, at: int) -> None:
        largest, finest = self.limits.exponent, self.limits.denominator
        if abs(exponent.p) > largest or exponent.q > finest:
            shown = exponent if _digits(exponent) < 20 else "here"
            self.fail(f"the exponent {shown} is too large: at most {largest} over {finest}", at)

    def _check_root(self, number: Rational, at: int) -> None:
        self._spend(20 + 3 * _digits(number), at)
        if _digits(number) > _ROOT_DIGITS:
            self.fail(f"a root is taken only of numbers with up to {_ROOT_DIGITS} digits", at)

    def _check_varying_exponent(self, base: Expr, exponent: Expr, at: int, at_exponent: int):
        self._spend(10, at)
        if base.is_Rational and not base > 0:
            self.fail(f"{_NOT_FINITE}: the base of a varying power is positive", at)
        if any(_is_tower(part) for part in sympy.preorder_traversal(exponent)):
            self.fail("a power tower: an exponent has no varying powers inside", at_exponent)
        for term in Add.make_args(exponent):
            self._check_exponent(Rational(int(abs(term.as_coeff_Mul()[0])), 1), at_exponent)

    def _call(self, name: str, nodes: list[ast.expr], at: int) -> Expr:
        if len(nodes) not in _ARITIES[name]:
            wanted = " or ".join(map(str, _ARITIES[name]))
            self.fail(f"{name} takes {wanted} argument(s), not {len(nodes)}", at)
        args = [self._expr(node) for node in nodes]
        self._spend(40 if args[0].is_number else 10, at)
        match name:
            case "pow":
                return self._power(*args, at, self._at(nodes[1]))
            case "sqrt" | "cbrt":
                return self._power(args[0], Rational(1, 2 if name == "sqrt" else 3), at, at)
            case "sigmoid":
                return self._power(self._one_plus_exp(-args[0], at), sympy.S.NegativeOne, at, at)
            case "softplus":
                return self._function("log", self._one_plus_exp(args[0], at), at)
            case "log" if len(args) == 2:
                return self._logarithm(*args, at, self._at(nodes[1]))
        return self._function(name, args[0], at)

    def _one_plus_exp(self, u: Expr, at: int) -> Expr:
        return self._sum([sympy.S.One, self._function("exp", u, at)], at)

    def _logarithm(self, u: Expr, base: Expr, at: int, at_base: int) -> Expr:
        """Return log(u)/log(base), which is a fraction for powers of the same number."""
        if u.is_Rational and base.is_Rational and u > 0 and base > 0 and base != 1:
            self._check_root(u, at)
            self._check_root(base, at_base)
            return self._checked(sympy.log(u, base), at)
        below = self._power(self._function("log", base, at_base), sympy.S.NegativeOne, at_base, at)
        return self._product([self._function("log", u, at), below], at)

    def _function(self, name: str, u: Expr, at: int) -> Expr:
        if name == "exp" and not u.is_Rational:
            self._check_rates(u, at)
            if not u.has(sympy.log):  # nothing to simplify, but sympy would search at length
                return self._checked(sympy.exp(u, evaluate=False), at)
            self._check_logs(u, at)
        seen = self.seen.get(u)
        if u.is_Add and seen and seen.value is None and not u.has(sympy.pi):
            return self._checked(_of_varying_sum(name, u), at)
        return self._checked(_UNARY[name](u), at)

    def _check_rates(self, u: Expr, at: int) -> None:
        for term in Add.make_args(u):
            if abs(term.as_coeff_Mul()[0]) > _RATE:
                self.fail(f"a number in the argument of exp is larger than {_RATE}", at)

    def _check_logs(self, u: Expr, at: int) -> None:
        """Bound exp(n*log(v)), which sympy turns into v**n."""
        digits = 0
        for term in Add.make_args(u):
            number, rest = term.as_coeff_Mul()
            logs = [part for part in Mul.make_args(rest) if isinstance(part, sympy.log)]
            for log in logs:
                self._check_exponent(number, at)
                digits += abs(number) * sum(_digits(b) for b, _ in _numbers(log.args[0]))
        self._check_digits(int(digits), at)

    def _checked(self, expr: Expr, at: int) -> Expr:
        """Inspect every part of a result that was not there before, from the leaves up."""
        stack = [expr]
        while stack:
            part = stack.pop()
            if part in self.seen:
                continue
            missing = [arg for arg in part.args if arg not in self.seen]
            if missing:
                stack += [part, *missing]
            else:
                self.seen[part] = self._inspect(part, at)
        return expr

    def _inspect(self, part: Expr, at: int) -> _Seen:
        self.built += _PRICES.get(type(part).__name__, 1) + len(part.args) // 8
        if self.built > self.limits.nodes:
            self.fail(f"the formula is too long: at most {self.limits.nodes} nodes", at)
        if part in _NO_NUMBER:
            self.fail(_NOT_FINITE, at)
        if part.is_Rational:
            self._check_digits(_digits(part), at)
            return _Seen(1, 0, _REALS.mpf(part.p) / part.q)
        if part.is_Pow and part.exp.is_Rational:
            self._check_exponent(part.exp, at)
        return self._composed(part, [self.seen[arg] for arg in part.args], at)

    def _composed(self, part: Expr, below: list[_Seen], at: int) -> _Seen:
        size = 1 + sum(seen.size for seen in below)
        if size > 10 * self.limits.nodes:
            self.fail("sympy's form of the formula is too long here", at)
        if part.is_Symbol or any(seen.value is None for seen in below):
            return _Seen(size, 0, None)
        is_layer = part.is_Function or part.is_Pow
        layers = max((seen.layers for seen in below), default=0) + is_layer
        if layers > _LAYERS:
            self.fail(f"functions of constants are nested deeper than {_LAYERS}", at)
        return _Seen(size, layers, self._value(part, [seen.value for seen in below], at))

    def _value(self, part: Expr, values: list[mpmath.mpf], at: int) -> mpmath.mpf:
        """Return the value of a constant, so that neither it nor sympy leaves the real numbers."""
        try:
            value = _evaluate(part, values)
        except (ArithmeticError, ValueError):
            self.fail(_NOT_FINITE, at)
        if not isinstance(value, _REALS.mpf) or not _REALS.isfinite(value):
            self.fail(_NOT_FINITE, at)
        size = abs(value)
        largest = max([size, *map(abs, values)]) if part.is_Add else size
        if size <= largest * _TINY:
            self.fail("a constant cannot be told from zero here; simplify it", at)
        if abs(_REALS.log10(size)) > self.limits.value_digits:
            self.fail(f"{_NOT_FINITE}: a constant is too large or too small", at)
        return value


def _chain(node: ast.expr, first: type, second: type) -> list[tuple[bool, ast.expr]]:
    """Return the operands of a chain of two operators, each with whether ``second`` precedes it."""
    operands = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, first | second):
        operands.append((isinstance(node.op, second), node.right))
        node = node.left
    return [(False, node), *reversed(operands)]


def _of_varying_sum(name: str, u: Expr) -> Expr:
    """Return what sympy's own evaluation gives for a sum without multiples of pi, but at once."""
    function = _UNARY[name]
    if name in _ODD | _EVEN and u.could_extract_minus_sign():
        sign = -1 if name in _ODD else 1
        return sign * function(-u, evaluate=False)
    return function(u, evaluate=False)


def _numbers(expr: Expr) -> list[tuple[Rational, Rational]]:
    """Return base and exponent of the rational numbers, and roots of them, in a product."""
    pairs = [part.as_base_exp() for part in Mul.make_args(expr)]
    return [
        (base, exponent) for base, exponent in pairs if base.is_Rational and exponent.is_Rational
    ]


def _is_tower(part: Expr) -> bool:
    """Return whether a part of an exponent is itself a varying power."""
    return isinstance(part, sympy.exp) or (part.is_Pow and not part.exp.is_Rational)


def _evaluate(part: Expr, values: list[mpmath.mpf]) -> mpmath.mpf | mpmath.mpc:
    """Return the value of a constant from the values of its arguments, to 50 digits."""
    match part:
        case sympy.Add():
            return _REALS.fsum(values)
        case sympy.Mul():
            return _REALS.fprod(values)
        case sympy.Pow():
            return _REALS.power(*values)
    name = {"Pi": "pi", "Exp1": "e", "Abs": "fabs"}.get(part.func.__name__, part.func.__name__)
    function = getattr(_REALS, name)
    return function(*values) if values else +function
