"""The words of formulas: functions that are read, and what is said about words that are not."""

from __future__ import annotations

import difflib
import keyword
import unicodedata

import sympy

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
