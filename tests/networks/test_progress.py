"""Where a person waits at a terminal for training or a sweep there is a progress bar."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sweep_cases import square

pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")

from modeq.networks import sweep, train


class Terminal(io.StringIO):
    def isatty(self):
        return True


def to_terminal(monkeypatch):
    """Let a terminal be standard error; in the test itself, as pytest sets it before that."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def trained(**options):
    return train(lambda p: (p**2).sum() / 2, np.ones(1), steps=2, rate=0.5, flows=(), **options)


def test_training_shows_a_bar_on_a_terminal(monkeypatch):
    terminal = to_terminal(monkeypatch)
    assert trained().columns["loss"].tolist() == [0.5, 0.125, 0.03125]
    assert "training" in terminal.getvalue()
    assert "steps" in terminal.getvalue()


def test_a_callback_takes_the_place_of_the_bar(monkeypatch):
    terminal, seen = to_terminal(monkeypatch), []
    trained(progress=lambda *given: seen.append(given))
    assert seen == [(1, 2), (2, 2)]
    assert terminal.getvalue() == ""


def test_elsewhere_there_is_no_bar(capsys):
    trained()
    assert capsys.readouterr() == ("", "")


def test_a_sweep_shows_a_bar(monkeypatch, tmp_path):
    terminal = to_terminal(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        (run,) = sweep(square, [{"x": 3}], tmp_path, executor=pool)
    assert run.result == {"square": 9}
    assert "runs" in terminal.getvalue()
