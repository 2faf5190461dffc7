"""The command line in processes of their own, where streams, terminals and disks misbehave."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

import modeq

MODEQ = [sys.executable, "-m", "modeq"]
DERIVE = ["derive", "x**2*y + exp(y)", "--order", "2"]
LONG = ["derive", "log(x**2 + exp(y*z) + sin(x*y*z)*cosh(x))", "--order", "12", "--force"]
"""Words that take minutes."""

DRIVER = "import sys; sys.argv[0] = 'modeq'; import modeq.cli.main; from modeq import *; "
DRIVER += "from modeq.cli import check, derive, trees; print('ready', flush=True); "
DRIVER += "sys.exit(modeq.cli.main.main())"
STARTED = [sys.executable, "-c", DRIVER]
"""The same program, which says when all is imported."""


def run(*words, before=(), **options):
    environment = {**os.environ, **options.pop("env", {})}
    command = [*before, *MODEQ, *words]
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=False, env=environment, **options
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def assert_one_line(done, part):
    code, output, messages = done
    assert (code, output) == (2, "")
    assert messages.startswith("modeq: error: ")
    assert messages.count("\n") == 1
    assert part in messages


# output that cannot be written


@pytest.fixture
def plain_user():
    """Return the words that take from the superuser the right to write everywhere."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("the superuser may write everywhere, and setpriv is not there to change that")
    return ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"]


def test_a_folder_that_cannot_be_written_to_gets_one_line_and_no_file(tmp_path, plain_user):
    tmp_path.chmod(0o500)
    done = run(*DERIVE, "-o", str(tmp_path / "a"), before=plain_user)
    assert_one_line(done, "there is no permission")
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_writing_gets_one_line():
    assert_one_line(run(*DERIVE, "-o", "/proc/modeq.txt"), "cannot write '/proc/modeq.txt'")


@pytest.mark.parametrize("place", [".", "new/"])
def test_a_path_that_is_a_directory_gets_one_line(tmp_path, place):
    done = run(*DERIVE, "-o", place, cwd=tmp_path)
    assert_one_line(done, "it is a directory; give the name of a file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        [*DERIVE, "-o"],
        ["trees", "--order", "2", "-o"],
        ["report", "x**2", "--order", "1", "-o"],
        ["check", "rosenbrock", "--order", "1", "--plot"],
    ],
    ids=["derive", "trees", "report", "check"],
)
def test_a_file_without_a_name_gets_one_line(words):
    assert_one_line(run(*words, ""), "cannot write '': it has no name; give the name of a file")


FILL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command for which every disk is full after 16 bytes."""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = run(*DERIVE, "-o", str(path), before=[sys.executable, "-c", FILL])
    assert_one_line(done, f"cannot write '{path}': ")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("words", [DERIVE, ["derive", "--help"]])
def test_a_full_disk_behind_standard_output_gets_one_line(words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*MODEQ, *words], stdout=full, stderr=subprocess.PIPE, timeout=120, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"modeq: error: cannot write 'standard output': no space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_a_full_device_as_a_file_gets_one_line():
    assert_one_line(run(*DERIVE, "-o", "/dev/full"), "cannot write '/dev/full': the disk is full")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_the_exit_code_tells_of_bad_input_where_messages_cannot_be_written():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*MODEQ, "derive", "x^2", "--order", "1"],
            stdout=subprocess.PIPE, stderr=full, timeout=120, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")


# pipes


@pytest.mark.parametrize("words", [["trees", "--order", "9"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(words):
    with subprocess.Popen(
        [*MODEQ, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        messages = running.stderr.read()
        assert (running.wait(timeout=120), messages) == (0, b"")


def test_the_first_line_of_a_long_table_is_enough_for_head():
    command = f"{sys.executable} -m modeq trees --order 9 | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120, check=False)
    assert done.stdout.startswith(b"gradient descent: h f~")
    assert done.stderr == b""


@pytest.mark.parametrize(("stream", "code"), [(0, 2), (1, 2), (2, 0)])
def test_closed_standard_streams_make_no_traceback(stream, code):
    words = ["derive", "-" if stream == 0 else "x**2", "--order", "1"]
    command = [*MODEQ, *words]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {stream}>&-', "sh", *command],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == (code == 2)


def test_closed_standard_output_is_no_matter_where_a_file_is_written(tmp_path):
    words = [*MODEQ, *DERIVE, "-o", str(tmp_path / "a")]
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], timeout=120, check=False)
    assert done.returncode == 0
    assert (tmp_path / "a").read_text().startswith("modified equation")


# terminals


def on_terminal(words, rows=24, columns=80, **environment):
    """Return the exit code, and what a terminal is sent on standard error."""
    import fcntl
    import struct
    import termios

    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        [*MODEQ, *words],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**kept, **environment},
    ) as running:
        os.close(terminal)
        output = running.stdout.read()
        seen = b""
        while select.select([controller], [], [], 0.2)[0]:
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
        code = running.wait(timeout=120)
    os.close(controller)
    return code, output, seen


@pytest.fixture(scope="module")
def expected():
    return run(*DERIVE)[1].encode()


def test_a_terminal_sees_a_bar_that_goes_away(expected):
    code, output, seen = on_terminal(DERIVE, TERM="xterm-256color")
    assert (code, output) == (0, expected)
    assert b"deriving" in seen
    assert b"powers of h" in seen
    assert seen.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h"))


def test_a_terminal_without_cursor_sees_nothing(expected):
    assert on_terminal(DERIVE, TERM="dumb") == (0, expected, b"")


@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "0"}, {"COLUMNS": "1"}])
def test_a_terminal_of_strange_width_gets_the_same_output(environment, expected):
    code, output, seen = on_terminal(DERIVE, rows=0, columns=0, TERM="xterm", **environment)
    assert (code, output) == (0, expected)
    assert b"Traceback" not in seen


def test_no_color_means_no_color(expected):
    code, output, seen = on_terminal(DERIVE, TERM="xterm-256color", NO_COLOR="1")
    assert (code, output) == (0, expected)
    assert b"\x1b[3" not in seen.replace(b"\x1b[3A", b"")


def test_errors_on_a_terminal_are_one_line():
    code, output, seen = on_terminal(["derive", "x^2", "--order", "1"], TERM="xterm")
    assert (code, output) == (2, b"")
    assert seen.count(b"\n") == 1


# Control-C


@contextlib.contextmanager
def started(*words):
    """Run a program, and go on when it is at work."""
    with subprocess.Popen(
        [*STARTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.readline()
        yield running


@pytest.mark.parametrize(
    "words",
    [
        [*LONG, "-o", "out.txt"],
        ["check", *LONG[1:], "--at", "1,1,1", "--lr", "0.01", "--plot", "out.png"],
        ["report", *LONG[1:], "-o", "out.html"],
        ["trees", "--order", "13", "-o", "out.html"],
    ],
    ids=["derive", "check", "report", "trees"],
)
def test_control_c_ends_at_once_with_130_and_leaves_nothing(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with started(*words) as running:
        time.sleep(0.7)
        running.send_signal(signal.SIGINT)
        since = time.monotonic()
        output, messages = running.communicate(timeout=60)
    assert (running.returncode, output, messages.strip()) == (130, b"", b"")
    assert time.monotonic() - since < 5  # on a machine at rest half a second
    assert not list(tmp_path.iterdir())


INSTALLED = """
import signal, sys
from modeq.cli.main import main
class Watch:
    def find_spec(self, name, *rest):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Watch())
sys.exit(main(sys.argv[2:]))
"""
"""The installed program, with Control-C as soon as it imports what its first word names."""


@pytest.mark.parametrize("library", ["click", "numpy", "sympy"])
def test_control_c_while_the_program_is_imported_makes_no_traceback(library):
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED, library, *DERIVE],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, b"", b"")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["derivee"]])
def test_what_needs_no_mathematics_imports_none(words):
    ask = f"import sys; from modeq.cli.main import main; main({words}); "
    ask += "print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, timeout=120, check=True)
    imported = done.stdout.decode().rpartition("modules")[2].split()
    assert "modeq.cli.program" in imported
    assert not {"sympy", "numpy", "flint", "scipy", "modeq.equation"} & {*imported}


# limits


def test_work_beyond_the_limit_is_told_before_it_is_begun():
    start = time.monotonic()
    net = "(v1*tanh(w1*x0 + b1) + v2*tanh(w2*x0 + b2) - y0)**2/2"
    code, output, messages = run("derive", net, "--order", "9")
    assert (code, output) == (2, "")
    assert "order=9 means about " in messages
    assert messages.endswith("terms; 1,000,000 are allowed: take a lower order, or go on with "
                             "--force\n")  # fmt: skip
    assert time.monotonic() - start < 60


def test_more_trees_than_anybody_reads_are_told_before_they_are_added_up():
    assert_one_line(
        run("trees", "--order", "14"),
        "order=14 means 141,083 trees; 100,000 are allowed: take a lower order, or go on with "
        "--force",
    )


def test_bytes_beyond_the_memory_are_told_in_the_same_way(monkeypatch, capsys):
    from modeq.cli.main import main

    monkeypatch.setattr("modeq.algebra.counts.physical_memory", lambda: 10)
    assert main(["trees", "--order", "3"]) == 2
    assert "bytes; 10 are allowed: take a lower order, or go on with --force" in (
        capsys.readouterr().err
    )
    assert main(["trees", "--order", "3", "--force"]) == 0


def test_with_force_the_work_is_done(monkeypatch, capsys):
    from modeq.cli.main import main

    monkeypatch.setattr("modeq.derivation.workload.MAX_TERMS", 80)
    words = ["derive", "(1 - x)**2 + 100*(y - x**2)**2", "--order", "3"]
    assert main(words) == 2
    assert "order=3 means about 91 terms; 80 are allowed" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    assert capsys.readouterr().out == f"{modeq.derive(words[1], 3, limit=91).text()}\n"
