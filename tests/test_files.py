"""Files that are there as a whole, or not at all."""

import builtins
import errno
import os
import pickle
import signal
import stat
import subprocess
import sys

import pytest

import modeq
from modeq import files
from modeq.errors import CannotWrite, InvalidValue, ModeqError
from modeq.files import write_atomically


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    return path


@pytest.fixture
def full_disk(monkeypatch):
    """Let every file take three characters, and then be full."""

    def opened(*arguments):
        file = builtins.open(*arguments)  # noqa: SIM115

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *exception):
                file.close()

            def write(self, content):
                file.write(content[:3])
                file.flush()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return Full()

    monkeypatch.setattr(files, "open", opened, raising=False)


def test_a_text_is_written_in_utf_8_with_its_newlines(tmp_path):
    write_atomically(tmp_path / "a", "θ' = -θ\n")
    assert (tmp_path / "a").read_bytes() == "θ' = -θ\n".encode()


def test_bytes_are_written_as_they_are(tmp_path):
    write_atomically(str(tmp_path / "a"), b"\x00\r\n\xff")
    assert (tmp_path / "a").read_bytes() == b"\x00\r\n\xff"


def test_an_old_file_is_replaced_and_keeps_its_permissions(old):
    old.chmod(0o640)
    write_atomically(old, "new")
    assert old.read_text() == "new"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert os.listdir(old.parent) == ["out.txt"]


def test_a_new_file_has_the_permissions_that_open_would_give(tmp_path):
    write_atomically(tmp_path / "a", "")
    (tmp_path / "b").write_text("")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_link_is_followed_and_stays_a_link(old, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(old)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert old.read_text() == "new"


def test_a_device_is_written_to_and_stays_a_device(tmp_path):
    write_atomically(os.devnull, "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(old, full_disk):
    with pytest.raises(CannotWrite, match=r"cannot write '.*out.txt': the disk is full") as caught:
        write_atomically(old, "new text")
    assert old.read_text() == "old"
    assert os.listdir(old.parent) == ["out.txt"]
    assert caught.value.reason == "the disk is full"


def test_an_interruption_leaves_the_old_file_and_nothing_else(old, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(old, "new")
    assert old.read_text() == "old"
    assert os.listdir(old.parent) == ["out.txt"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing/out.txt", "the directory '.*missing' does not exist"),
        ("out.txt/more.txt", "'.*out.txt' is not a directory"),
        (".", "it is a directory; give the name of a file"),
        ("new/", "it is a directory; give the name of a file"),
        ("a\0b", "null"),
        ("n" * 300, "file name too long"),
    ],
)
def test_the_error_names_the_path_and_the_reason(old, path, reason):
    with pytest.raises(CannotWrite, match=reason) as caught:
        write_atomically(f"{old.parent}/{path}", "new")
    assert caught.value.path == f"{old.parent}/{path}"
    assert os.listdir(old.parent) == ["out.txt"]


def test_a_directory_without_permission_is_refused(old, monkeypatch):
    def refused(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "open", refused, raising=False)
    with pytest.raises(CannotWrite, match="there is no permission"):
        write_atomically(old, "new")


def test_a_protected_file_is_not_replaced(old, monkeypatch):
    monkeypatch.setattr(files.os, "access", lambda *arguments: False)  # the tests may run as root
    with pytest.raises(CannotWrite, match="there is no permission"):
        write_atomically(old, "new")
    assert old.read_text() == "old"


def test_the_error_is_one_of_modeq_and_an_operating_system_error_and_can_be_pickled():
    error = CannotWrite("a", "the disk is full")
    assert isinstance(error, ModeqError)
    assert isinstance(error, OSError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.reason) == (str(error), "a", "the disk is full")


SLOW_DISK = """
import time
from modeq import files
files.os.fsync = lambda file: (print("at work", flush=True), time.sleep(60))
files.write_together({"a": "new", "b": "new"})
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_ended_leaves_the_old_file_and_nothing_else(number, tmp_path):
    (tmp_path / "a").write_text("old")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_DISK], cwd=tmp_path, stdout=subprocess.PIPE
    ) as running:
        running.stdout.readline()
        assert len(os.listdir(tmp_path)) == 2
        running.send_signal(number)
        assert running.wait(timeout=60) == -number
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_handlers_of_signals_stay_those_of_the_user(tmp_path):
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    write_atomically(tmp_path / "a", "")
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_the_disk_has_the_content_before_the_name_and_the_name_in_the_end(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def renamed(*names):
        done.append("name")
        replace(*names)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", renamed)
    write_atomically(tmp_path / "a", "new")
    assert done == ["content", "name", "folder"]


@pytest.mark.parametrize("path", [None, 3, ["a"]])
def test_what_is_no_path_is_refused(path):
    for write in (lambda path: write_atomically(path, "new"), modeq.report("x**2", 0).save):
        with pytest.raises(InvalidValue, match="it must be a text or a path"):
            write(path)


def test_a_file_needs_a_name():
    with pytest.raises(CannotWrite, match="cannot write '': it has no name"):
        write_atomically("", "new")


def test_halves_of_characters_in_a_path_are_refused_and_in_a_text_are_escaped(tmp_path):
    with pytest.raises(CannotWrite):
        write_atomically(tmp_path / "\ud800", "new")
    write_atomically(tmp_path / "a", "\ud800")
    assert (tmp_path / "a").read_text() == r"\ud800"
