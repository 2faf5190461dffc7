"""The command line with every kind of method that has a name."""

import numpy as np
import pytest

import modeq
from modeq.cli.main import main
from modeq.methods.named import NAMED


@pytest.fixture
def good(capsys):
    """Return a function that runs a command line that should work, and gives its output."""

    def good(*words):
        code = main(words)
        output, messages = capsys.readouterr()
        assert (code, messages) == (0, "")
        return output

    return good


@pytest.mark.parametrize("name", NAMED)
def test_derive_takes_every_named_method(good, name):
    output = good("derive", "x**3/3", "--order", "2", "--method", name)
    assert output == modeq.derive("x**3/3", 2, name).text() + "\n"


@pytest.mark.parametrize("name", ["bdf-2", "gauss-2", "average-vector-field", "leapfrog"])
@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_derive_prints_every_form(good, name, form):
    assert good("derive", "x**3/3", "--order", "2", "--method", name, "--format", form)


@pytest.mark.parametrize("name", ["bdf-2", "gauss-2", "average-vector-field"])
def test_json_and_python_of_a_method_agree_with_the_equation(good, name):
    words = ("derive", "x**3/3", "--order", "2", "--method", name, "--format")
    equation = modeq.derive("x**3/3", 2, name)
    assert modeq.from_json(good(*words, "json")) == equation
    namespace = {}
    exec(good(*words, "python"), namespace)
    found = namespace["modified_field"]([0.3], 0.1)
    assert np.allclose(found, equation.lambdify()([0.3], 0.1), rtol=1e-14)


@pytest.mark.parametrize("name", ["adams-bashforth-2", "bdf-2", "gauss-2", "average-vector-field"])
def test_check_measures_every_kind_of_method(good, name, tmp_path):
    picture = tmp_path / "check.svg"
    output = good(
        *("check", "x**2*y**2/2 + x**2/2 + y**4/4 + y", "--at", "0.3,0.2", "--lr", "0.1"),
        *("--order", "1", "--method", name, "--plot", str(picture)),
    )
    assert "passed" in output
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("name", ["bdf-2", "gauss-2", "average-vector-field", "lobatto-iiic-3"])
def test_trees_prints_the_coefficients_of_every_kind_of_method(good, name):
    lines = good("trees", "--method", name, "--order", "2").splitlines()
    assert len(lines) == 2 + 4


@pytest.mark.parametrize(
    ("name", "hint"), [("heavy-ball", "beta"), ("Nesterov", "beta"), ("bdf-9", "bdf-")]
)
def test_a_name_that_is_none_gets_one_line(capsys, name, hint):
    assert main(("derive", "x**2", "--order", "1", "--method", name)) == 2
    output, messages = capsys.readouterr()
    assert output == ""
    assert messages.startswith("modeq: error: ")
    assert messages.count("\n") == 1
    assert hint in messages


@pytest.fixture
def bad(capsys):
    """Return a function that runs a command line that should fail, and gives its message."""

    def bad(*words):
        code = main(words)
        output, messages = capsys.readouterr()
        assert (code, output) == (2, "")
        return messages

    return bad


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (("heavy-ball", "beta=9/10"), modeq.HeavyBall(0.9)),
        (("momentum", "beta=0.5"), modeq.HeavyBall(0.5)),
        (("nesterov", "beta=0.5", "sequence=parameters"), modeq.Nesterov(0.5, "parameters")),
    ],
)
def test_parameters_of_a_method_are_set_by_name(good, words, method):
    name, *settings = words
    options = [word for setting in settings for word in ("--set", setting)]
    output = good("derive", "x**3/3", "--order", "2", "--method", name, *options)
    assert output == modeq.derive("x**3/3", 2, method).text() + "\n"
    output = good("trees", "--order", "2", "--method", name, *options)
    assert str(modeq.modified_equation(method, 2)[modeq.RootedTree()]) in output


def test_a_parameter_that_counts_steps_is_set_by_name(good):
    output = good("derive", "x**3/3", "--order", "1", "--method", "lookahead", "--set", "steps=3")
    assert output == modeq.derive("x**3/3", 1, modeq.Lookahead(3)).text() + "\n"


def test_a_parameter_of_a_method_may_be_a_symbol(good):
    output = good("derive", "x**2/2", "--order", "0", "--method", "heavy-ball", "--set", "beta=b")
    assert "x' = -x/(1 - b)" in output


def test_what_the_method_has_not_is_set_in_the_loss(good):
    options = ("--order", "0", "--method", "heavy-ball", "--set", "beta=1/2", "--set", "lam=3")
    assert "x' = -6*x" in good("derive", "lam*x**2/2", *options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "heavy-ball"), "the method 'heavy-ball' needs a value for beta"),
        (("--method", "heavy-ball", "--set", "beta=1"), "beta is 1"),
        (("--method", "heavy-ball", "--set", "beta=__import__('os')"), "column"),
        (("--method", "adagrad"), "'adagrad' has no modified equation: its sum of squared"),
        (("--method", "adam", "--set", "beta1=2"), "beta1 of Adam is 2; it must be in [0, 1)"),
        (("--method", "adm"), "unknown method 'adm': did you mean 'adam'?"),
    ],
)
def test_bad_parameters_of_a_method_get_one_line(bad, words, message):
    text = bad("derive", "x**2/2", "--order", "1", *words)
    assert message in text
    assert text.count("\n") == 1


def test_an_optimizer_has_no_trees(bad):
    words = ("trees", "--method", "adam", "--order", "1")
    settings = [f"{name}=1/2" for name in ("beta1", "beta2", "epsilon")]
    options = [word for setting in settings for word in ("--set", setting)]
    assert "no coefficients over trees" in bad(*words, *options)
    assert "there is no loss" in bad("trees", "--method", "rk4", "--order", "1", "--set", "x=1")


def test_trees_are_written_as_tables_and_pictures(good, tmp_path):
    for name in ("trees.html", "trees.md", "trees.svg", "trees.png"):
        good("trees", "--method", "heun", "--order", "2", "-o", str(tmp_path / name))
        assert (tmp_path / name).stat().st_size > 200


def test_trees_are_drawn_beside_their_rows(good):
    output = good("trees", "--method", "heun", "--order", "2", "--draw")
    assert "└┬┘" in output
    assert all(f"  {tree}  " in output for tree in ("[•]", "[[•]]", "[•,•]"))


def test_structure_is_told_beside_the_trees(good):
    output = good("trees", "--method", "implicit-midpoint", "--order", "3", "--structure")
    assert "Hamiltonian        holds through h^3" in output
    assert "gradient           fails at h^2" in output
    assert "energy" not in good("trees", "--method", "strang", "--order", "2", "--structure")
