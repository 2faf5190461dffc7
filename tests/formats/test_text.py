"""Plain text and Markdown."""

import re

import pytest
import sympy

from modeq import CustomMethod, GradientDescent, Loss, RungeKutta, VectorField
from modeq.derivation.derive import derive_field
from modeq.errors import InvalidValue
from modeq.formats.markdown import markdown, snippet
from modeq.formats.text import WIDTH, text
from modeq.losses.parse import parse_expression
from modeq.methods.named import as_method
from modeq.show.markdown import escaped

FIRST, SECOND = (f"v1*tanh({data}*w1 + b1) + v2*tanh({data}*w2 + b2)" for data in (1, 2))
NET = f"({FIRST} - 1)**2/2 + ({SECOND})**2/2"

LOSSES = [
    Loss("(1 - x)**2 + 100*(y - x**2)**2"),
    Loss("x**2*y + exp(y) + lam*x**4", "x y"),
    Loss("log(1 + exp(-theta_1*x10)) + sqrt(alpha**2 + 1)"),
    Loss("1/(1 + u**2) + sin(u)*pi"),
    VectorField(["p", "-sin(q)"], "q p"),
    VectorField(["0", "x"], "x y"),
]


def blocks(printed):
    """Return the right-hand sides by the names of the variables."""
    _, *parts = re.split(r"^(\S+)' = ", printed, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_text_pasted_back_is_the_field(loss, order):
    modified = derive_field(loss, order, GradientDescent())
    printed = blocks(text(modified, max_terms=1000))
    assert list(printed) == [x.name for x in loss.variables]
    symbols = {x.name: x for x in (*loss.variables, *loss.parameters, modified.h)}
    for right_hand_side, component in zip(printed.values(), modified.field, strict=True):
        assert sympy.expand(parse_expression(right_hand_side, symbols) - component) == 0


def test_monomials_left_out_are_counted():
    modified = derive_field(Loss(NET), 2, GradientDescent())
    printed = blocks(text(modified, max_terms=7))
    for i, block in enumerate(printed.values()):
        counts = [int(n.replace(",", "")) for n in re.findall(r"and ([\d,]+) more term", block)]
        assert counts == [len(vector[i]) - 7 for vector in modified.elements if len(vector[i]) > 7]
    assert f"... and {len(modified.elements[2][0]) - 7:,} more terms" in printed["b1"]


def test_one_monomial_left_out_is_one_term():
    modified = derive_field(Loss("x**2/2 + x**3"), 0, GradientDescent())
    assert text(modified, max_terms=1).endswith("x' = -x + ... and 1 more term")


@pytest.mark.parametrize("loss", [*LOSSES, Loss(NET)], ids=str)
def test_lines_fit_the_width(loss):
    printed = text(derive_field(loss, 2, GradientDescent()))
    assert max(map(len, printed.splitlines())) <= WIDTH


@pytest.mark.parametrize("count", [0, -1, 2.5, True, None])
def test_at_least_one_monomial_is_printed(count):
    with pytest.raises(InvalidValue, match="max_terms is"):
        text(derive_field(Loss("x**2"), 1, GradientDescent()), max_terms=count)


def test_text_is_the_same_every_time():
    first, second = (text(derive_field(Loss(NET), 1, GradientDescent())) for _ in range(2))
    assert first == second


def test_a_field_that_vanishes_is_zero():
    assert "x' = 0\n" in text(derive_field(VectorField(["0", "x"], "x y"), 1, GradientDescent()))


def test_a_term_that_starts_with_a_counter_term_keeps_its_sign():
    printed = text(derive_field(VectorField(["0", "1", "y"], "x y z"), 1, GradientDescent()))
    assert "z' = y\n   - h/2" in printed
    field = VectorField(["0", "x**2"], "x y")
    midpoint = as_method("explicit-midpoint")
    assert text(derive_field(field, 1, midpoint)).endswith("y' = x**2")


def test_names_cannot_write_escape_sequences_to_the_terminal():
    x = sympy.Symbol("x\x1b[2J\n")
    printed = text(derive_field(Loss(x**2), 1, CustomMethod(GradientDescent().rule, "a\x1bb")))
    assert "\x1b" not in printed
    assert "a\\x1bb" in printed


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_markdown_shows_the_field_with_and_without_coordinates(loss):
    printed = markdown(derive_field(loss, 2, GradientDescent()))
    assert printed.count("$$\n") == 6
    universal = r"\nabla^3 L" if isinstance(loss, Loss) else r"f''\!\left(f,f\right)"
    assert universal in printed
    assert r"\begin{aligned}" in printed


def test_markdown_of_high_order_says_that_the_coordinate_free_form_goes_on():
    printed = markdown(derive_field(Loss("x**2/2"), 6, GradientDescent()))
    assert r" + \cdots" in printed


METHODS = [
    GradientDescent(),
    as_method("rk4"),
    RungeKutta([[0, 0], [sympy.Rational(2, 3), 0]], [sympy.Rational(1, 4), sympy.Rational(3, 4)]),
]


def run_snippet(modified, **names):
    """Run a snippet against a stand-in for the package, and return loss, order and method."""
    calls = {}

    class Modeq:
        Loss, VectorField, RungeKutta = Loss, VectorField, RungeKutta

        @staticmethod
        def derive(loss, order, method):
            calls.update(loss=loss, order=order, method=as_method(method))

    code = snippet(modified).replace("import modeq\n", "")
    exec(code, {"modeq": Modeq, **names})
    return calls


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_the_snippet_rebuilds_loss_and_method(loss, method):
    modified = derive_field(loss, 1, method)
    assert run_snippet(modified) == {"loss": loss, "order": 1, "method": method}


def test_the_snippet_rebuilds_symbols_that_no_text_can_name():
    x, p = (sympy.Symbol(name) for name in ("lambda", "x'); import os; ("))
    loss = Loss(x**2 * p, variables=x)
    assert run_snippet(derive_field(loss, 1, GradientDescent()))["loss"] == loss


def test_the_snippet_leaves_a_rule_of_ones_own_to_be_filled_in():
    method = CustomMethod(GradientDescent().rule, "mine\nimport os")
    code = snippet(derive_field(Loss("x**2"), 1, method))
    assert r"rule = ...  # the update rule of mine\nimport os" in code.splitlines()


def test_names_of_methods_mean_nothing_to_markdown():
    method = CustomMethod(GradientDescent().rule, "<script> *a* [b](c)")
    printed = markdown(derive_field(Loss("x**2"), 1, method))
    assert printed.startswith(r"# Modified equation of \<script\> \*a\* \[b\]\(c\)")
    assert escaped("a\n# b") == r"a\\n\# b"
