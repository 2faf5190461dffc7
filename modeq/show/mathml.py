r"""LaTeX formulas of modeq as MathML, which browsers show without a script.

The translation is that of the library latex2mathml. What it cannot do is done before it (aligned
lines, numbers inside of \text) or after it: names of several letters are put together, and nothing
but the elements and attributes of a short list is let through.
"""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from modeq.checks import shortened
from modeq.errors import InvalidValue

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_ELEMENTS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle"),
    *("msub", "msup", "msubsup", "mover", "munder", "munderover", "mtable", "mtr", "mtd"),
    *("mpadded", "mphantom", "menclose"),
}
_ATTRIBUTES = {
    *("display", "width", "stretchy", "fence", "form", "minsize", "maxsize", "mathvariant"),
    *("displaystyle", "scriptlevel", "columnalign", "accent", "separator", "movablelimits"),
    *(
        "lspace",
        "rspace",
        "columnspacing",
        "rowspacing",
        "columnlines",
        "linethickness",
        "notation",
    ),
}
_SPACES = {"negativethinmathspace": "-0.167em"}
_ENVIRONMENT = re.compile(r"\\(begin|end)\{(?:aligned|align\*)\}")
_COUNT = re.compile(r"\$([0-9]+(?:\{,\}[0-9]+)*)\$")
_COMMAND = re.compile(r"\\[A-Za-z]")
_OPENING, _SIGNS, _PRIMES = {"=", ",", "(", "["}, {"−", "+"}, {"′", "″", "‴"}
_FUNCTIONS = {
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "log",
    "exp",
    "arcsin",
    "arccos",
    "arctan",
}
_ALIGNMENT = {"right": "text-align: right", "left": "text-align: left"}


def mathml(formula: str, *, display: bool = False) -> str:
    r"""Return a LaTeX formula as a MathML element.

    Args:
        formula: LaTeX without dollars, of the kind that modeq writes.
        display: Whether the formula stands by itself.

    Raises:
        InvalidValue: The formula has a command that cannot be translated.

    >>> print(mathml("x^{2}"))
    <math xmlns="http://www.w3.org/1998/Math/MathML"><msup><mi>x</mi><mn>2</mn></msup></math>
    """
    from latex2mathml import exceptions
    from latex2mathml.converter import convert

    faults = tuple(vars(exceptions)[name] for name in dir(exceptions) if name.endswith("Error"))
    try:
        text = convert(_prepared(formula), display="block" if display else "inline")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, *faults) as error:
        raise _untranslatable(formula, f"{type(error).__name__} {error}") from None
    _check(root, formula)
    _clean(root)
    if not display:
        root.attrib.pop("display", None)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _untranslatable(formula: str, reason: str) -> InvalidValue:
    return InvalidValue(f"the formula {formula[:80]!r} cannot be written as MathML: {reason}")


def _prepared(formula: str) -> str:
    r"""Return a formula in terms that the library knows.

    >>> _prepared(r"\text{ and $11{,}875$ more}")
    '\\text{ and 11,875 more}'
    """
    formula = _ENVIRONMENT.sub(r"\\\1{align*}", formula)
    return _COUNT.sub(lambda match: match[1].replace("{,}", ","), formula)


def _check(root: ElementTree.Element, formula: str) -> None:
    """Refuse what is no plain MathML, and commands that were passed on as text."""
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name not in _ELEMENTS:
            raise _untranslatable(formula, f"there is an element {shortened(name)} in it")
        if _COMMAND.match(element.text or ""):
            raise _untranslatable(formula, f"{element.text} is not known")


def _clean(element: ElementTree.Element) -> None:
    """Keep known attributes, put names together, and take away rows of one."""
    element.tag = element.tag.rpartition("}")[2]
    if element.tag == "math":
        element.set("xmlns", _NAMESPACE)
    _clean_attributes(element)
    _join_names(element)
    _mark_signs(element)
    _lower_primes(element)
    _space_functions(element)
    for place, child in enumerate(list(element)):
        _clean(child)
        if child.tag == "mrow" and len(child) == 1 and not child.attrib:
            element[place] = child[0]


def _clean_attributes(element: ElementTree.Element) -> None:
    for name in list(element.attrib):
        if name not in _ATTRIBUTES and name != "xmlns":
            del element.attrib[name]
    if element.get("width") in _SPACES:
        element.set("width", _SPACES[element.get("width")])
    # Browsers take the alignment of cells from style sheets only.
    if style := _ALIGNMENT.get(element.get("columnalign", "")):
        element.set("style", style)


def _mark_signs(element: ElementTree.Element) -> None:
    """Set signs that follow an opening parenthesis or an equals sign close to what they are of."""
    for left, right in pairwise(element):
        opens = left.get("form") == "prefix" or (left.text or "") in _OPENING
        if left.tag.endswith("mo") and opens and (right.text or "") in _SIGNS:
            right.set("form", "prefix")


def _lower_primes(element: ElementTree.Element) -> None:
    """Set primes on the line: fonts have them raised, and twice would be too far."""
    if element.tag not in ("msup", "msubsup") or (element[-1].text or "") not in _PRIMES:
        return
    prime = ElementTree.Element("mo", {"lspace": "0", "rspace": "0"})
    prime.text = element[-1].text
    children = list(element)[:-1]
    if element.tag == "msubsup":
        base = ElementTree.Element("msub")
        base.extend(children)
        children = [base]
    element.tag = "mrow"
    element[:] = [*children, prime]


def _space_functions(element: ElementTree.Element) -> None:
    """Put a thin space between a factor and a function after it."""
    if not (element.tag == "mrow" or element.tag.endswith(("math", "mtd", "msqrt"))):
        return
    for place, (left, right) in reversed(list(enumerate(pairwise(list(element))))):
        name = next(right.iter()) if not len(right) else right[0]
        is_function = name.tag.endswith("mi") and (name.text or "") in _FUNCTIONS
        if is_function and not left.tag.endswith(("mo", "mspace")):
            element.insert(place + 1, ElementTree.Element("mspace", {"width": "0.167em"}))


def _is_upright_letter(element: ElementTree.Element) -> bool:
    upright = element.get("mathvariant") == "normal"
    return element.tag.endswith("mi") and upright and (element.text or "").isalpha()


def _join_names(element: ElementTree.Element) -> None:
    r"""Put the letters of \mathrm{lam} into one element."""
    for left, right in reversed(list(pairwise(list(element)))):
        if _is_upright_letter(left) and _is_upright_letter(right):
            left.text += right.text
            element.remove(right)
