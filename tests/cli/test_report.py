"""The command that writes reports."""

import os
import subprocess
import sys

import pytest

from modeq.cli.main import main
from modeq.report.report import FORMATS

QUICK = ["x**2*y + y**2", "--order", "1"]


def report(capsys, *words):
    """Run the command, and return its exit code and what it printed."""
    code = main(["report", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_without_a_file_the_page_is_printed(capsys):
    code, out, err = report(capsys, *QUICK)
    assert (code, err) == (0, "")
    assert out.startswith("<!DOCTYPE html>")
    assert out.endswith("</html>\n")


@pytest.mark.parametrize(
    ("form", "start"),
    [("html", "<!DOCTYPE"), ("markdown", "# Gradient"), ("latex", "\\documentclass")],
)
def test_a_format_is_chosen_by_name(capsys, form, start):
    assert report(capsys, *QUICK, "--format", form)[1].startswith(start)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_format_is_chosen_by_the_end_of_the_file(capsys, tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    assert report(capsys, *QUICK, "-o", str(path)) == (0, "", "")
    assert (
        report(capsys, *QUICK, "--format", FORMATS[suffix])[1].splitlines()[:3]
        == (path.read_text(encoding="utf-8").splitlines()[:3])
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_report_without_an_order_is_of_order_three(capsys):
    assert "\\dot{x}" in report(capsys, "x**2", "--format", "markdown")[1]
    assert "up to $h^{3}$" in report(capsys, "x**2", "--format", "markdown")[1]


def test_settings_start_and_rate_reach_the_report(capsys, tmp_path):
    words = ["lam*x**2/2", "--set", "lam=2", "--at", "1", "--lr", "1/10", "--steps", "3"]
    words += ["--method", "heavy-ball", "--set", "beta=1/2", "--order", "1", "--format", "latex"]
    code, out, _ = report(capsys, *words)
    assert code == 0
    assert "Learning rate: 0.1" in out
    assert "in 3 steps" in out
    assert "heavy ball" in out


def test_the_report_quotes_the_command_that_makes_it(capsys):
    code, out, _ = report(capsys, "--order", "1", "--format", "markdown", "--", "-x**2 + y**4")
    assert code == 0
    assert "modeq report --order 1 --format markdown -- '-x**2 + y**4'" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["x**2", "-o", "report.doc"], "the suffix of 'report.doc' is '.doc'"),
        (["x**2", "-o", "no/report.html"], "the directory 'no' does not exist"),
        (["x**2", "-o", "directory.html"], "it is a directory"),
        (["x**2", "-o", "protected.html"], "there is no permission"),
        (["x**2", "--at", "1,2"], "--at has 2 numbers; it must have one for each of x"),
        (["x**2", "--lr", "0"], "it must be positive"),
        (["x**2", "--steps", "0"], "must be an integer >= 1"),
        (["abs(x)"], "abs"),
        (["x**2", "--format", "pdf"], "'pdf' is not one of"),
        (["rosenbrok"], "did you mean 'rosenbrock'?"),
    ],
)
def test_bad_input_gets_one_line_and_no_file(capsys, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.html").mkdir()
    (tmp_path / "protected.html").write_text("old")
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "protected" not in str(path) and allowed(path, mode)
    )
    code, out, err = report(capsys, *words, "--order", "1")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["directory.html", "protected.html"]
    assert (tmp_path / "protected.html").read_text() == "old"


def test_a_file_that_cannot_be_written_is_refused_before_the_work(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "modeq.cli.report.reports.report", lambda *_, **__: pytest.fail("the work was done")
    )
    assert report(capsys, *QUICK, "-o", str(tmp_path / "no" / "report.html"))[0] == 2


def test_an_interruption_leaves_no_file_and_exits_with_130(capsys, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("modeq.files.os.replace", interrupted)
    assert report(capsys, *QUICK, "-o", str(tmp_path / "report.html"))[0] == 130
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error():
    command = [sys.executable, "-m", "modeq", "report", *QUICK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 0
    assert errors == b""


def test_a_full_device_is_reported_in_one_line():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full on this machine")
    command = [
        sys.executable,
        "-m",
        "modeq",
        "report",
        *QUICK,
        "--format",
        "html",
        "-o",
        "/dev/full",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "modeq: error: cannot write '/dev/full': the disk is full\n"


def test_a_report_is_printed_to_a_terminal_that_knows_ascii_only():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "TERM": "dumb", "COLUMNS": "0"}
    command = [sys.executable, "-m", "modeq", "report", *QUICK, "--format", "markdown"]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
