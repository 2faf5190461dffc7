"""The pages of the guide: their examples run, and their instructions are followed to the letter."""

import doctest
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "modeq" / "guide").glob("*.md"))
BLOCK = re.compile(r"(?P<lead>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
PLACE = re.compile(r"(?:At the end of|In) `(?P<file>[^`]+)`(?:, below the line `(?P<line>.+)`)?:$")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page):
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page):
    examples = "\n".join(b["text"] for b in blocks(page) if b["text"].startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.stem, str(page), 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0


def insert(file, text, below):
    """Put a text at the end of a file, or below the only line that holds ``below``."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if below is None:
        place = len(lines)
    else:
        [place] = [i + 1 for i, line in enumerate(lines) if below in line]
    lines.insert(place, text)
    file.write_text("".join(lines), encoding="utf-8")


@pytest.mark.parametrize("name", ["add_a_method", "add_an_optimizer"])
def test_the_instructions_of_a_page_lead_where_it_says(name, tmp_path):
    for part in ("modeq", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "benchmarks", "fuzz")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    edits, output = 0, None
    for block in blocks(ROOT / "modeq" / "guide" / f"{name}.md"):
        if place := PLACE.match(block["lead"]):
            insert(tmp_path / place["file"], block["text"], place["line"])
            edits += 1
        elif block["kind"] == "sh":
            for line in block["text"].splitlines():
                output = run(line, tmp_path)
        elif block["kind"] == "text":
            assert block["text"].strip() in output
    assert edits >= 3
    assert output


def run(line, folder):
    """Run a line of a page with this Python, and return what it prints."""
    assert line.startswith("python -m ")
    command = line.replace("python", f'"{sys.executable}"', 1)
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no tests ran" not in done.stdout
    return done.stdout
