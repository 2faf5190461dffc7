"""LaTeX: structure, names, line breaks, and a real TeX."""

import re
import shutil
import subprocess

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import modeq
from modeq import GradientDescent, Loss, VectorField, problems
from modeq.derivation.derive import derive_field
from modeq.errors import InvalidValue
from modeq.formats.latex import document, latex, repr_latex
from modeq.losses.formula_latex import symbol_latex
from modeq.methods.named import as_method
from modeq.show.latex import escaped
from modeq.show.lines import printed_width

FIRST, SECOND = (f"v1*tanh({data}*w1 + b1) + v2*tanh({data}*w2 + b2)" for data in (1, 2))
NET = f"({FIRST} - 1)**2/2 + ({SECOND})**2/2"

LOSSES = {
    "Rosenbrock": Loss("(1 - x)**2 + 100*(y - x**2)**2"),
    "tanh network": Loss(NET),
    "logarithm": Loss("log(1 + exp(-theta_1*x10)) + sqrt(alpha**2 + 1) + lam*alpha**4"),
    "inverse functions": Loss("asin(x/2)*atan(y) + erf(x) + x**y + cbrt(2 + x) + pi*y", "x y"),
    "parameters": Loss("exp(-x**2/(2*sigma_x**2)) + mu_max*x**2 + 1/x", "x"),
}

ODD_NAMES = [
    *("a_b_c", "x'", "x''", "50%", "\\input{x}", "é", "θ", "θ_1", "αβ", "x_", "_x", "x__2", "$x$"),
    *(
        "a&b",
        "a#b",
        "{",
        "}",
        "^",
        "~",
        "x y",
        "x\ny",
        "变量",
        "xdot",
        "xprime",
        "x^2",
        "a_1_",
        '"',
    ),
    *(
        "\\end{align*}",
        "\\",
        "Ω",
        "Alpha",
        "ϕ",
        "ü1",
        "\x00",
        "🙂",
        "%",
        "1",
        "<b>",
        "a,b",
    ),
]

PDFLATEX = shutil.which("pdflatex")
needs_tex = pytest.mark.skipif(
    PDFLATEX is None, reason="pdflatex is not installed (Debian: texlive-latex-base)"
)


def compile_tex(source, folder):
    """Return the log of a real TeX, which must succeed without touching a shell."""
    (folder / "a.tex").write_text(source, encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    run = subprocess.run(
        [PDFLATEX, *options, "a.tex"], cwd=folder, capture_output=True, timeout=300, check=False
    )
    log = run.stdout.decode("utf-8", "replace")
    assert run.returncode == 0, log[-3000:]
    return log


def derived(loss, order, method=None):
    return derive_field(loss, order, method or GradientDescent())


@needs_tex
@pytest.mark.filterwarnings("ignore::modeq.errors.ModeqWarning")
def test_a_document_with_all_problems_at_orders_0_to_4_compiles(tmp_path):
    own = {name: loss for name, loss in LOSSES.items() if name != "tanh network"}
    losses = {
        **own,
        "pendulum": VectorField(["p", "-sin(q)"], "q p"),
        **{name: make() for name, make in problems.ALL.items()},
    }
    sections = [
        (f"{name}, order {order}", latex(derived(loss, order), max_terms=15, environment="align*"))
        for name, loss in losses.items()
        for order in range(5)
    ]
    compile_tex(document(sections), tmp_path)


@needs_tex
def test_lines_fit_the_page(tmp_path):
    sections = [
        (name, latex(derived(loss, 2), environment="align*")) for name, loss in LOSSES.items()
    ]
    assert "Overfull" not in compile_tex(document(sections), tmp_path)


@needs_tex
def test_aligned_bodies_and_odd_names_and_titles_compile(tmp_path):
    sections = [("pendulum", latex(derived(VectorField(["p", "-sin(q)"], "q p"), 2)))]
    for name in ODD_NAMES:
        x = sympy.Symbol(name)
        body = latex(derived(Loss(x**4 + sympy.exp(x)), 1))
        sections.append((name, body))
    log = compile_tex(document(sections), tmp_path)
    assert "Missing character" not in log


@pytest.mark.parametrize("name", [*ODD_NAMES, "\ud800"])
def test_no_name_brings_a_command_of_its_own_or_unbalanced_braces(name):
    printed = symbol_latex(name)
    assert printed.isascii()
    assert "\n" not in printed
    assert not re.search(r"\\(input|end|begin)", printed)
    bare = printed.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[%$#&~]", bare)


def test_different_odd_names_look_different():
    assert len({symbol_latex(name) for name in ODD_NAMES}) >= len(ODD_NAMES) - 1


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("x", "x"),
        ("theta_1", r"\theta_{1}"),
        ("x10", "x_{10}"),
        ("w11", "w_{11}"),
        ("alpha", r"\alpha"),
        ("lam", r"\mathrm{lam}"),
        ("lambda", r"\lambda"),
        ("λ", r"\lambda"),
        ("θ_1", r"\theta_{1}"),
        ("mu_max", r"\mu_{\mathrm{max}}"),
        ("a_b_c", "a_{b c}"),
    ],
)
def test_symbols_keep_their_names(name, printed):
    assert symbol_latex(name) == printed


def test_long_sums_break_between_monomials_inside_fixed_parentheses():
    printed = latex(derived(LOSSES["Rosenbrock"], 2))
    rows = printed.splitlines()
    assert rows[1].startswith(r"\dot{x} &= 2 - 2 x + 400 x y")
    assert printed.count(r"\Bigl(") == printed.count(r"\Bigr)") == 3
    for row in rows[1:-1]:
        assert row.count(r"\left") == row.count(r"\right")
        assert row.count("&") == 1


@pytest.mark.parametrize("width", [30, 60, 90])
def test_lines_are_not_wider_than_asked(width):
    printed = latex(derived(LOSSES["Rosenbrock"], 2), width=width)
    longest = max(printed_width(row.replace("&", "")) for row in printed.splitlines()[1:-1])
    assert longest <= width + printed_width(r"\frac{17648000000}{3} x^3 y")


def test_counter_terms_of_one_monomial_have_no_parentheses():
    printed = latex(derived(Loss("x**2/2"), 2))
    assert printed.splitlines()[1:-1] == [
        r"\dot{x} &= -x \\",
        r"&\quad - \frac{h x}{2} \\",
        r"&\quad - \frac{h^{2} x}{3}",
    ]


def test_a_field_that_vanishes_is_zero_in_latex():
    printed = latex(derived(VectorField(["0", "x"], "x y"), 1))
    assert r"\dot{x} &= 0 \\" in printed


def test_monomials_left_out_are_counted_in_latex():
    modified = derived(LOSSES["tanh network"], 2)
    printed = latex(modified, max_terms=5)
    count = f"{len(modified.elements[2][0]) - 5:,}".replace(",", "{,}")
    assert rf"\cdots \text{{ and ${count}$ more terms}}" in printed


def test_notebooks_get_the_same_formula():
    modified = derived(LOSSES["Rosenbrock"], 1, as_method("heun"))
    assert repr_latex(modified) == rf"$\displaystyle {latex(modified)}$"


def test_an_unknown_environment_is_refused():
    with pytest.raises(InvalidValue, match="environment is 'equation'; it must be"):
        latex(derived(Loss("x**2"), 0), environment="equation")


def test_width_counts_what_is_printed():
    assert printed_width(r"\alpha") == printed_width("x")
    assert printed_width(r"\frac{x}{1000}") == 4
    assert printed_width(r"\sin{\left(x \right)}") == printed_width("sin(x)")
    assert printed_width(r"\frac{") == printed_width("^") == 0


def test_titles_are_text():
    assert escaped("a_b & {c} \\x") == r"a\_b \& \{c\} \textbackslash{}x"


def results_with(name):
    """Return results of several kinds in which a symbol of that name occurs."""
    x, y = map(sympy.Symbol, (name, "y_1"))
    loss = Loss(x**2 * y / 2 + y**4, [x, y])
    field = VectorField([-x + y, sympy.sin(x)], [x, y])
    yield from (loss, field, field.split([x], [y]), modeq.label_noise([x * y], [1], 1))
    yield modeq.derive(loss, 1)
    yield modeq.modified_equation(modeq.HeavyBall(x), 1)


NAMES = st.one_of(
    st.text("<>/a&;$`[](!\\{}%#\n :=", min_size=1, max_size=6),
    st.sampled_from(
        ["<svg/onload=alert(1)>", "&lt;b&gt;", "a$$b", "[a](javascript:b)", "`", "<!--"]
    ),
)


@settings(max_examples=15, deadline=None)
@given(NAMES)
def test_no_name_becomes_a_tag_or_a_link_in_the_latex_and_markdown_of_any_result(name):
    for result in results_with(name):
        printed = [result._repr_latex_().removeprefix("$").removesuffix("$")]
        if isinstance(result, modeq.ModifiedEquation):
            printed += re.findall(r"\$\$\n(.*?)\n\$\$", result.to_markdown(), re.DOTALL)
            assert len(printed) == 4
        for formula in printed:
            assert not re.search(r"<[A-Za-z/!?]|&[A-Za-z#]|\]\(|\$\$|`[^}]", formula)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_half_a_character_in_a_name_is_refused(name):
    x = sympy.Symbol(name)
    for make in (Loss, modeq.HeavyBall, lambda x: modeq.derive("x**2", 1, modeq.Adam(beta1=x))):
        with pytest.raises(InvalidValue, match=r"half a character"):
            make(x)
    with pytest.raises(InvalidValue, match=r"half a character"):
        modeq.label_noise(["x*y"], [1], x)
    method = modeq.RungeKutta([[0]], [1], name=name)
    assert str(method).encode() == name.encode("ascii", "backslashreplace")
    for text in (name, f"{name}*x"):
        with pytest.raises(InvalidValue):
            Loss(text)
