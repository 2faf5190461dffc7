"""Formulas of modeq as MathML."""

import contextlib
from xml.etree import ElementTree

import pytest
import sympy

import modeq
from modeq.errors import InvalidValue
from modeq.losses.formula_latex import symbol_latex
from modeq.show.mathml import mathml

HOSTILE = [
    "<script>",
    "a&b",
    '"onload="x',
    "x'",
    "\\evil",
    "a{b",
    "50%",
    "naïve",
    "ж",
    "$x$",
    "#_^~",
]


def parsed(latex):
    return ElementTree.fromstring(mathml(latex, display=True))


def tags(element):
    return {child.tag.rpartition("}")[2] for child in element.iter()}


def text(element):
    return "".join(element.itertext())


@pytest.mark.parametrize("name", list(modeq.problems.ALL))
def test_the_equation_of_every_problem_is_an_aligned_table(name):
    element = parsed(modeq.derive(modeq.problems.named(name), 1).latex(max_terms=4))
    assert {"mtable", "mtr", "mtd"} <= tags(element)
    assert "\\" not in text(element)
    assert "&" not in text(element)


@pytest.mark.parametrize("notation", ["differentials", "gradient", "index", "loss index"])
def test_series_are_translated_in_every_notation(notation):
    element = parsed(modeq.modified_equation("euler", 5).latex(notation))
    assert "\\" not in text(element)
    assert "mfrac" in tags(element)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_a_symbol_becomes_an_element_or_an_attribute(name):
    written = mathml(symbol_latex(name))
    element = ElementTree.fromstring(written)
    assert not {"script", "maction", "semantics", "annotation-xml"} & tags(element)
    assert not any("on" in key or "href" in key for e in element.iter() for key in e.attrib)
    assert "<script" not in written


def test_names_of_several_letters_are_one_element():
    names = [e.text for e in parsed(r"\mathrm{lam} x").iter() if e.tag.endswith("mi")]
    assert names == ["lam", "x"]


def test_counts_of_terms_left_out_are_read_as_text():
    words = text(parsed(r"x + \cdots \text{ and $11{,}875$ more terms}"))
    assert "and 11,875 more terms" in words.replace("\xa0", " ")


def test_alignment_is_given_as_a_style_because_browsers_read_no_other():
    written = mathml("\\begin{aligned}\nx &= 1\n\\end{aligned}", display=True)
    assert "text-align: right" in written


def test_a_sign_after_an_opening_parenthesis_is_a_prefix():
    signs = [e for e in parsed(r"h \left(-x - y\right)").iter() if e.text == "−"]
    assert [sign.get("form") for sign in signs] == ["prefix", None]


def test_links_and_unknown_commands_are_refused():
    for latex in (r"\unknown x", r"\text{a} \badcommand"):
        with pytest.raises(InvalidValue, match="cannot be written as MathML"):
            mathml(latex)
    assert "href" not in mathml(r"\href{javascript:alert(1)}{x}")


@pytest.mark.parametrize(
    "latex",
    ["", r"\frac{1", "x^{2", "x_1_2", r"\left( x", "\\", "^", "&", "{", "}", r"\begin{aligned} x"],
)
def test_broken_formulas_are_well_formed_or_refused(latex):
    with contextlib.suppress(InvalidValue):
        ElementTree.fromstring(mathml(latex))


def test_matrices_and_functions_are_translated():
    x = sympy.Symbol("x")
    element = parsed(sympy.latex(sympy.Matrix([sympy.tanh(x), sympy.sqrt(x), sympy.exp(-x)])))
    assert {"mtable", "msqrt", "msup"} <= tags(element)
