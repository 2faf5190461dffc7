"""The benchmarks run; what they measure is for people to read."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.mark.slow
def test_the_runner_prints_a_table_for_each_benchmark():
    command = [sys.executable, str(FOLDER / "run.py"), "imports", "fields"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "import modeq" in output
    assert "rosenbrock" in output


def test_every_benchmark_file_is_run_by_the_runner():
    named = (FOLDER / "run.py").read_text(encoding="utf-8")
    for path in FOLDER.glob("bench_*.py"):
        assert f'"{path.stem.removeprefix("bench_")}"' in named
