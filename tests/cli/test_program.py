"""The command line, from the words to what comes out."""

import io
import json
import os
import signal
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from matplotlib.figure import Figure

import modeq
from modeq import problems
from modeq.cli.arguments import read_number
from modeq.cli.main import main
from modeq.cli.program import COMMANDS, program
from modeq.errors import InvalidValue
from modeq.report import lower_orders

DERIVE = ("derive", "x**2", "--order", "1")
CHECK = ("check", "x**3/3", "--order", "0", "--at", "1/2", "--lr", "0.1")


@pytest.fixture
def run(capsys):
    """Return a function that runs a command line and gives (code, output, messages)."""

    def run(*words):
        code = main(words)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def good(run):
    """Return a function that runs a command line that should work, and gives its output."""

    def good(*words, code=0):
        found, output, messages = run(*words)
        assert (found, messages) == (code, "")
        return output

    return good


# derive


def test_derive_prints_the_equation_as_text(good):
    equation = modeq.derive("x**2*y + exp(y)", 3)
    assert good("derive", "x**2*y + exp(y)", "--order", "3") == equation.text() + "\n"


def test_derive_prints_latex(good):
    assert r"\begin{aligned}" in good("derive", "x**4", "--order", "2", "--format", "latex")


def test_json_reads_back_as_the_same_equation(good):
    output = good("derive", "rosenbrock", "--order", "2", "--format", "json")
    assert modeq.from_json(output) == modeq.derive(problems.rosenbrock(), 2)


def test_printed_python_runs_and_agrees(good):
    namespace = {}
    exec(good("derive", "two-layer", "--order", "2", "--format", "python"), namespace)
    points = np.array([[1.5, 0.2], [0.3, -0.7]])
    expected = modeq.derive(problems.two_layer(), 2).lambdify()(points, 0.1)
    assert np.allclose(namespace["modified_field"](points, 0.1), expected, rtol=1e-13)


def test_derive_prints_markdown(good):
    output = good("derive", "x**4", "--order", "1", "--format", "markdown")
    assert output == modeq.derive("x**4", 1).to_markdown().rstrip("\n") + "\n"


def test_derive_takes_a_method(good):
    output = good("derive", "x**2", "--order", "2", "--method", "implicit-midpoint")
    assert output == modeq.derive("x**2", 2, "implicit-midpoint").text() + "\n"


def test_the_name_of_a_problem_wins_over_a_formula(good):
    assert "L(x, y) = (x*y - 1)**2/2" in good("derive", "Two_Layer", "--order", "0")


def test_a_single_name_that_is_far_from_a_problem_is_a_linear_loss(good):
    assert "x' = -1" in good("derive", "x", "--order", "1")


def test_what_is_set_is_a_parameter_with_an_exact_value(good):
    output = good("derive", "lam*x**2 + mu*y", "--order", "1", "--set", "lam=0.1", "--set", "mu=2")
    assert output == modeq.derive("x**2/10 + 2*y", 1).text() + "\n"


def test_names_that_are_not_variables_are_parameters(good):
    output = good("derive", "lam*x**2", "--order", "1", "--variables", "x")
    assert output == modeq.derive("lam*x**2", 1, variables="x").text() + "\n"


def test_a_parameter_may_be_set_beside_named_variables(good):
    words = ("derive", "lam*x**2 + mu*y", "--order", "0", "--variables", "x, y")
    assert "parameters mu" in good(*words, "--set", "lam=3")


def test_a_problem_takes_names_of_variables_and_values(good):
    output = good("derive", "two-layer", "--order", "0", "--variables", "x", "--set", "y=3")
    assert "L(x) = (3*x - 1)**2/2" in output


def test_a_dash_reads_the_formula_from_standard_input(good, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("x**2 +\n y**2\n"))
    assert "L(x, y) = x**2 + y**2" in good("derive", "-", "--order", "0")


def test_a_formula_that_starts_with_a_minus_goes_after_two_dashes(good):
    assert "L(x) = -x**2" in good("derive", "--order", "0", "--", "-x**2")


def test_few_terms_are_printed_if_few_are_wanted(good):
    output = good("derive", "rosenbrock", "--order", "1", "--max-terms", "2")
    assert "... and 2 more terms" in output


def test_the_equation_goes_to_a_file(good, tmp_path):
    path = tmp_path / "field.tex"
    words = ("derive", "x**2", "--order", "1", "--format", "latex")
    printed = good(*words)
    assert good(*words, "-o", str(path)) == ""
    assert path.read_text() == printed
    assert os.listdir(tmp_path) == ["field.tex"]


# check


def test_check_prints_the_table_and_passes(good):
    report = modeq.derive("x**3/3", 0).check([Fraction(1, 2)], h=Fraction(1, 10))
    assert good(*CHECK) == f"{report}\n"


@pytest.fixture(scope="module")
def saddle():
    """Return the check that all words for the same start and learning rate print."""
    return modeq.derive("(x**2 - y**2)/2", 0).check([-0.5, 1], h=Fraction(1, 100))


@pytest.mark.parametrize("at", [("--at", "-1/2, 1"), ("--at=-0.5,1",)])
def test_a_start_may_begin_with_a_dash_and_hold_fractions_and_blanks(good, saddle, at):
    assert good("check", "saddle", *at, "--lr", "1/100", "--order", "0") == f"{saddle}\n"


def test_a_problem_has_a_start_and_a_learning_rate(good):
    report = modeq.derive("(x**2 - 1)**2/4", 0).check([0.4], h=Fraction(1, 10))
    assert good("check", "double-well", "--order", "0") == f"{report}\n"


def test_steps_set_the_fixed_time(good):
    output = good(*CHECK, "--steps", "7")
    assert "error at t = 0.7" in output


def test_check_takes_a_method_parameters_and_variables(good):
    words = ("check", "lam*x**4 + y**2", "--at", "1,1", "--lr", "0.01", "--order", "1")
    output = good(*words, "--method", "rk4", "--set", "lam=0.1", "--variables", "x y")
    assert (
        output == f"{modeq.derive('x**4/10 + y**2', 1, 'rk4').check([1, 1], h=Fraction(1, 100))}\n"
    )


def test_a_check_that_fails_exits_with_one_and_prints_the_table(good, monkeypatch):
    monkeypatch.setattr("modeq.flows.check.SLOPE_TOLERANCE", 0.0)
    monkeypatch.setattr("modeq.flows.check._MAX_HALVINGS", 4)
    output = good(*CHECK, code=1)
    assert "FAILED" in output


def test_the_picture_is_written_beside_the_table_and_twice_the_same(good, tmp_path):
    pictures = [tmp_path / f"{name}.svg" for name in "ab"]
    outputs = {good(*CHECK, "--plot", str(path), "--steps", "5") for path in pictures}
    assert outputs == {good(*CHECK, "--steps", "5")}
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.svg", "b.svg"]


def test_the_picture_shows_all_orders_up_to_that_of_the_check(good, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(lower_orders, "check_figure", lambda *a, **k: drawn.append((*a, k)))
    monkeypatch.setattr("modeq.cli.check.save", lambda figure, path: None)
    good("check", "cosine", "--order", "2", "--plot", str(tmp_path / "a.png"))
    [(comparison, reports, _)] = drawn
    assert list(comparison.flows) == [0, 1, 2]
    assert [report.order for report in reports] == [0, 1, 2]
    assert len(comparison.t) == 21
    assert comparison.loss.name == "cosine"


# trees and problems


def test_trees_prints_one_row_for_each_tree_with_its_coefficient(good):
    heading, columns, *rows = good("trees", "--method", "euler", "--order", "5").splitlines()
    series = modeq.modified_equation("euler", 5)
    assert heading.startswith("euler: h f~ = sum")
    assert columns.split() == ["vertices", "sigma", "b", "coefficient", "F(tree)", "tree"]
    assert len(rows) == len(series) == 37
    for row, (tree, b) in zip(rows, series.items(), strict=True):
        assert row.split()[:4] == [
            str(tree.order),
            str(tree.symmetry),
            str(b),
            str(b / tree.symmetry),
        ]
        assert row.endswith(str(tree))


@pytest.mark.parametrize(
    ("notation", "row"),
    [
        ("differentials", ["3", "2", "1/6", "1/12", "f''(f,f)", "[•,•]"]),
        ("gradient", ["3", "2", "1/6", "-1/12", "T[g,", "g]", "[•,•]"]),
        ("index", ["3", "2", "1/6", "1/12", "f^i_,jk", "f^j", "f^k", "[•,•]"]),
    ],
)
def test_trees_knows_three_notations(good, notation, row):
    output = good("trees", "--order", "2", "--notation", notation)
    assert output.splitlines()[-1].split() == row


def test_trees_prints_a_latex_array(good):
    lines = good("trees", "--order", "2", "--latex").splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{array}{rrrrl}", r"\end{array}")
    assert r"3 & 2 & 1/6 & 1/12 & f''\!\left(f,f\right) \\" in lines


def test_problems_lists_each_with_formula_start_rate_and_sentence(good):
    output = good("problems")
    for make in problems.ALL.values():
        problem = make()
        assert problem.description in output
        assert f"= {problem.expression}\n" in output
    assert "    --at -1,1 --lr 0.0005\n" in output


def test_a_listed_start_and_rate_are_read_back(good):
    lines = good("problems").splitlines()
    words = next(line for line in lines if line.strip() == "--at 0.4 --lr 0.1").split()
    assert good("check", "double-well", *words, "--order", "0") == good(
        "check", "double-well", "--order", "0"
    )


# help


def test_the_version_is_printed(good):
    assert good("--version") == f"modeq {modeq.__version__}\n"


@pytest.mark.parametrize("words", [(), ("derive",), ("check",), ("trees",), ("problems",)])
def test_each_help_text_has_an_example_and_no_line_is_long(good, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    output = good(*words, "--help")
    assert "Example" in output
    assert f"  {' '.join(('modeq', *words))} " in output or words == ("problems",)
    assert 60 < max(map(len, output.splitlines())) <= 92


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_first_sentence_of_each_help_text_says(good, name):
    assert program.get_command(None, name).help.startswith(f"{COMMANDS[name]}\n")
    assert f"  {name} " in good("--help")


def test_without_a_command_there_is_the_help_text(good):
    assert good() == good("--help") == good("-h")


# bad input


BAD = {
    "no command of that name": (("derivee",), "No such command 'derivee'"),
    "no loss": (("derive", "--order", "1"), "Missing argument 'LOSS'; see 'modeq derive --help'"),
    "no order": (("derive", "x**2"), "Missing option '--order'"),
    "unknown name": (("derive", "rosenbrok", "--order", "1"), "did you mean 'rosenbrock'?"),
    "unknown name with a dash": (("derive", "two-layers", "--order", "1"), "'two-layer'"),
    "unbalanced": (("derive", "(x**2", "--order", "1"), "never closed (column 1) in '(x**2'"),
    "empty": (("derive", "", "--order", "1"), "the formula is empty"),
    "not smooth": (("derive", "abs(x)", "--order", "1"), "sqrt(u**2 + eps**2)"),
    "constant": (("derive", "3", "--order", "1"), "there is no variable"),
    "power tower": (("derive", "x**x**x**9", "--order", "1"), "power tower"),
    "hostile": (("derive", "__import__('os')", "--order", "1"), "column"),
    "the name h": (("derive", "h**2", "--order", "1"), "learning rate"),
    "negative order": (("derive", "x", "--order", "-1"), "--order is '-1'; it must be an integer"),
    "broken order": (("derive", "x", "--order", "1.5"), "--order is '1.5'"),
    "wordy order": (("derive", "x", "--order", "x"), "--order is 'x'"),
    "endless order": (("derive", "x", "--order", "9" * 5000), "--order is '999"),
    "order without value": (("derive", "x", "--order"), "requires an argument"),
    "unknown method": ((*DERIVE, "--method", "eulr"), "did you mean 'euler'?"),
    "unknown format": ((*DERIVE, "--format", "pdf"), "'pdf' is not one of 'text', 'latex'"),
    "unknown option": ((*DERIVE, "--ordre", "1"), "--order"),
    "leading minus": (("derive", "-x**2", "--order", "1"), "after two dashes, --"),
    "two losses": (("derive", "x", "y", "--order", "1"), "unexpected extra argument"),
    "no terms": ((*DERIVE, "--max-terms", "0"), "--max-terms is '0'"),
    "unknown parameter": ((*DERIVE, "--set", "lam=1"), "'lam' is not a parameter"),
    "setting a variable": ((*DERIVE, "--variables", "x", "--set", "x=1"), "'x' is not a"),
    "setting all": ((*DERIVE, "--set", "x=1"), "there is no variable"),
    "setting nothing": ((*DERIVE, "--set", "lam"), "--set is 'lam'; it must be NAME=VALUE"),
    "setting no value": ((*DERIVE, "--set", "lam="), "must be NAME=VALUE"),
    "setting twice": ((*DERIVE, "--set", "a=1", "--set", "a=2"), "'a' twice"),
    "setting nonsense": ((*DERIVE, "--set", "x=1+", "--variables", "y"), "column 3"),
    "bad variables": ((*DERIVE, "--variables", "x 2"), "a name starts with a letter"),
    "variables twice": ((*DERIVE, "--variables", "x x"), "given twice"),
    "python without a value": (
        ("derive", "a*x", "--order", "1", "--variables", "x", "--format", "python"),
        "the parameter a has no value; give --set a=VALUE",
    ),
    "no trees": (("trees", "--order", "-2"), "--order is '-2'"),
    "unknown notation": (("trees", "--order", "1", "--notation", "words"), "'gradient'"),
    "method of trees": (("trees", "--order", "1", "--method", "\x1b[2J"), r"'\x1b[2J'"),
    "words for problems": (("problems", "x"), "unexpected extra argument"),
    "missing start": (("check", "x*y", "--order", "1", "--lr", "1"), "number for each of x, y"),
    "missing rate": (("check", "x*y", "--order", "1", "--at", "1,1"), "--lr is missing"),
    "start too long": ((*CHECK, "--at", "1,2,3"), "--at has 3 numbers; it must have one for each"),
    "start too short": (("check", "saddle", "--order", "1", "--at", "1"), "--at has 1 number;"),
    "start of words": ((*CHECK, "--at", "one"), "a number in --at is 'one'"),
    "start with a gap": ((*CHECK, "--at", "1,,2"), "a number in --at is ''"),
    "start at infinity": ((*CHECK, "--at", "inf"), "it must be a finite number"),
    "start divided by zero": ((*CHECK, "--at", "1/0"), "a number in --at is '1/0'"),
    "start too far": ((*CHECK, "--at", "1e999999999"), "it must be a finite number"),
    "start too fine": ((*CHECK, "--at", "1e-999999999"), "it must be a finite number"),
    "start without value": ((*CHECK, "--at"), "requires an argument"),
    "outside the domain": (
        ("check", "log(x)", "--order", "1", "--at", "-1", "--lr", "0.1"),
        "outside the domain",
    ),
    "rate zero": ((*CHECK, "--lr", "0"), "--lr is '0'; it must be positive"),
    "rate negative": ((*CHECK, "--lr", "-1"), "--lr is '-1'; it must be positive"),
    "rate nan": ((*CHECK, "--lr", "nan"), "--lr is 'nan'; it must be a finite number"),
    "rate infinite": ((*CHECK, "--lr", "inf"), "--lr is 'inf'; it must be a finite number"),
    "rate of words": ((*CHECK, "--lr", "fast"), "--lr is 'fast'; it must be a finite number"),
    "no steps": ((*CHECK, "--steps", "0"), "--steps is '0'; it must be an integer >= 1"),
    "check without a value": (
        ("check", "a*x", "--order", "1", "--variables", "x", "--at", "1", "--lr", "1"),
        "give --set a=VALUE",
    ),
    "blow up": (
        ("check", "x**4/4", "--order", "0", "--at", "100", "--lr", "1", "--steps", "50"),
        "blows up",
    ),
    "unknown suffix": ((*CHECK, "--plot", "FOLDER/a.jpg"), ".png, .svg, .pdf"),
    "no suffix": ((*CHECK, "--plot", "FOLDER/a"), ".png, .svg, .pdf"),
    "picture in no folder": ((*CHECK, "--plot", "FOLDER/no/a.png"), "does not exist"),
    "output in no folder": ((*DERIVE, "-o", "FOLDER/no/a"), "does not exist"),
    "output is a folder": ((*DERIVE, "-o", "FOLDER"), "it is a directory"),
    "output without value": ((*DERIVE, "-o"), "requires an argument"),
}


@pytest.mark.parametrize(("words", "part"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_no_output_and_no_file(run, tmp_path, monkeypatch, words, part):
    monkeypatch.setattr(lower_orders, "check_figure", lambda *arguments, **options: Figure())
    words = [word.replace("FOLDER", str(tmp_path)) for word in words]
    code, output, messages = run(*words)
    assert (code, output) == (2, "")
    assert messages.startswith("modeq: error: ")
    assert messages.count("\n") == 1
    assert messages.endswith("\n")
    assert part in messages
    assert not list(tmp_path.iterdir())


def test_control_characters_are_printed_escaped(run):
    for words in [
        ("derive", "x\x1b[2Jy\n\r", "--order", "1"),
        ("\x1b]0;x\x07",),
        (*CHECK, "--at", "\n"),
    ]:
        code, output, messages = run(*words)
        assert (code, output) == (2, "")
        assert messages[:-1].isprintable()


def test_of_a_long_formula_the_part_around_the_fault_is_shown(run):
    text = "+".join(["x"] * 500) + "+$+" + "+".join(["y"] * 500)
    _, _, messages = run("derive", text, "--order", "1")
    assert "$" in messages
    assert len(messages) < 250


def test_a_formula_on_standard_input_that_is_no_text_is_refused(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), "utf-8"))
    code, _, messages = run("derive", "-", "--order", "1")
    assert (code, messages.count("\n")) == (2, 1)


def test_a_fault_of_modeq_itself_is_one_line_too(run, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("no\nreason")

    monkeypatch.setattr(modeq, "derive", broken)
    code, _, messages = run(*DERIVE)
    assert code == 2
    assert messages == (
        "modeq: error: a fault of modeq itself, please report it: ZeroDivisionError: no\\nreason\n"
    )


def test_a_file_that_cannot_be_replaced_stays(run, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr("modeq.files.os.access", lambda *arguments: False)
    code, output, _ = run(*DERIVE, "-o", str(path))
    assert (code, output, path.read_text()) == (2, "", "old")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_warning_of_modeq_is_one_line_and_other_warnings_are_none(run, monkeypatch):
    def warn(*arguments, **options):
        import warnings

        warnings.warn("of another package", RuntimeWarning, stacklevel=1)
        warnings.warn("the series\nis long", modeq.errors.ModeqWarning, stacklevel=1)
        raise modeq.errors.InvalidValue("wrong")

    monkeypatch.setattr(modeq, "derive", warn)
    _, _, messages = run(*DERIVE)
    assert messages == "modeq: warning: the series\\nis long\nmodeq: error: wrong\n"


def test_without_a_standard_error_there_are_no_messages_and_the_exit_code_is_the_same(
    capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(DERIVE) == 0
    printed = capsys.readouterr().out
    assert main(("derive", "x", "--order", "y")) == 2
    assert (printed[:8], capsys.readouterr().out) == ("modified", "")


def test_a_terminal_is_told_that_something_is_going_on(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    code, output, _ = run(*DERIVE)
    assert (code, output) == (0, modeq.derive("x**2", 1).text() + "\n")
    assert "deriving" in terminal.getvalue()


def test_an_interruption_exits_with_130(run, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(modeq, "derive", interrupted)
    code, output, messages = run(*DERIVE)
    assert (code, output, messages.strip()) == (130, "", "")


# numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-.5", Fraction(-1, 2)), ("1e-3", Fraction(1, 1000)), ("+2/3", Fraction(2, 3)),
        ("0.1", Fraction(1, 10)), ("0", 0), ("1e300", 10**300),
    ],
)  # fmt: skip
def test_numbers_are_read_exactly(text, value):
    assert read_number(text, "--lr") == value


@pytest.mark.parametrize(
    "text", ["", "a", "1e301", "1e5/3", "0x10", "1j", "-inf", "1" * 101, "1/-2"]
)
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(InvalidValue, match="--lr is"):
        read_number(text, "--lr")


# streams and processes


def test_output_does_not_depend_on_width_color_or_encoding(run, monkeypatch):
    for name, value in {"COLUMNS": "20", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, "ascii", newline="\n"))
    assert run("trees", "--order", "1") == (0, "", "")
    last = data.getvalue().splitlines()[-1]
    assert last == rb"2         1      -1/2  -1/2         f'f      [\u2022]"


def test_a_closed_pipe_is_no_error(run, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("trees", "--order", "1") == (0, "", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_a_full_disk_behind_standard_output_is_one_line(run, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, messages = run(*DERIVE)
    assert code == 2
    assert messages == ("modeq: error: cannot write 'standard output': no space left on device\n")


def test_json_on_standard_output_is_json_alone(good, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("x**2/2\n"))
    assert json.loads(good("derive", "-", "--order", "1", "--format", "json"))


def test_a_program_that_gets_bad_input_exits_with_two():
    words = [sys.executable, "-m", "modeq", "derive", "x**2", "--order", "-1"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


SLOW_READER = """
import sys, time, modeq.cli.main
class Reader:
    def read(self, count):
        print("ready", flush=True)
        time.sleep(60)
sys.stdin = Reader()
sys.exit(modeq.cli.main.main(["derive", "-", "--order", "1"]))
"""


def test_control_c_ends_a_program_quietly():
    words = [sys.executable, "-c", SLOW_READER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        output, messages = running.communicate(timeout=60)
    assert (running.returncode, output, messages.strip()) == (130, b"", b"")
