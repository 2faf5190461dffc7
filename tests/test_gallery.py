"""The gallery: one page of all derivations, and what became of the claims of the papers."""

import ast
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

DERIVATIONS = Path(__file__).parent.parent / "derivations"
GALLERY = DERIVATIONS / "gallery"
SCRIPTS = sorted([*DERIVATIONS.glob("*.py"), *(DERIVATIONS / "networks").glob("*.py")])

pytestmark = pytest.mark.skipif(not GALLERY.is_dir(), reason="the derivations are not here")


@pytest.fixture
def modules(monkeypatch):
    """The modules of the gallery, which stand in a folder that is run and not imported."""
    monkeypatch.syspath_prepend(str(GALLERY))
    import papers
    import scripts

    yield scripts, papers
    for name in ("equations", "papers", "scripts"):
        sys.modules.pop(name, None)


def build(folder, *words):
    command = [sys.executable, str(folder), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def small(tmp_path):
    """A gallery of its own, with one derivation that holds and one that does not."""
    folder = tmp_path / "derivations"
    shutil.copytree(GALLERY, folder / "gallery", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "right.py").write_text(
        '"""Adding <two> numbers.\n\nClaim: a sum has\n\n    1 + 1 = 2.\n"""\n'
        "import sys\nfrom pathlib import Path\n\n"
        "from matplotlib.figure import Figure\n\n"
        "print('1 + 1 =', 1 + 1)\nassert 1 + 1 == 2\n"
        "figure = Figure(figsize=(2, 1))\nfigure.subplots().plot([1, 2])\n"
        "figure.savefig(Path(sys.argv[1]) / 'right.svg')\n"
    )
    (folder / "wrong.py").write_text('"""Wrong.\n\nClaim: none.\n"""\nassert 1 + 1 == 3, "no"\n')
    (folder / "README.md").write_text("| [right.py](right.py) | sums | *Peano*, 1889 |\n")
    return folder / "gallery"


class Words(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_has_claim_source_equation_picture_and_whether_the_check_passed(small, tmp_path):
    done = build(small, "-o", tmp_path / "out", "right")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    found = Words(page)
    words = " ".join(found.words)
    for wanted in ("1. Adding <two> numbers", "Claim: a sum has", "1 + 1 = 2.", "Peano, 1889",
                   "1 + 1 = 2\n", "Check passed", "derivations/right.py"):  # fmt: skip
        assert wanted.strip() in words
    assert found.tags.count("svg") == 1
    assert "script" not in found.tags
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["index.html"]


def test_a_check_that_fails_is_marked_and_decides_the_exit_code(small, tmp_path):
    done = build(small, "-o", tmp_path / "out", "--jobs", "1")
    assert done.returncode == 1
    assert "1 failed: wrong" in done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Check FAILED" in page
    assert "AssertionError: no" in page
    assert "1 of 2 passed" in page


def test_a_script_that_lacks_a_library_is_named_and_has_not_failed(small, tmp_path):
    (small.parent / "right.py").write_text('"""Needs.\n\nClaim: x"""\nimport no_such_library')
    done = build(small, "-o", tmp_path / "out", "right")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "the check was not run: No module named" in page
    assert "0 of 1 passed when this page was built; 1 lack a library" in page


def test_a_script_that_takes_too_long_is_stopped_and_has_failed(small, tmp_path):
    (small.parent / "right.py").write_text('"""Slow.\n\nClaim: x"""\nimport time; time.sleep(60)')
    done = build(small, "-o", tmp_path / "out", "--timeout", "0.5", "right")
    assert done.returncode == 1
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "stopped after 0.5 seconds" in page


def test_an_unknown_script_or_an_output_that_cannot_be_written_gets_one_line(small, tmp_path):
    (tmp_path / "file").write_text("")
    for words in (["-o", tmp_path / "out", "nothing"], ["-o", tmp_path / "file", "right"]):
        done = build(small, *words)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("gallery: error: ")
        assert "Traceback" not in done.stderr


def test_two_real_derivations_are_built_with_their_equations(tmp_path):
    done = build(GALLERY, "-o", tmp_path / "out", "rosenbrock", "average_vector_field")
    assert done.returncode == 0, done.stderr
    found = Words((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert found.tags.count("math") >= 2
    assert "The papers, claim by claim" in found.words


def test_every_derivation_is_on_the_page_once_and_the_order_names_no_other(modules):
    scripts, _ = modules
    known = scripts.known_scripts()
    assert sorted(script.path for script in known) == SCRIPTS
    names = {script.name for script in known}
    assert set(scripts.READING_ORDER) <= names
    assert len(set(scripts.READING_ORDER)) == len(scripts.READING_ORDER)


def test_every_derivation_has_a_title_and_a_claim(modules):
    scripts, _ = modules
    for script in scripts.known_scripts():
        assert 0 < len(script.title) < 120, script.name
        assert script.claim, script.name


def test_every_equation_is_that_of_a_derivation_and_is_derived(modules):
    from equations import EQUATIONS, equation_of

    from modeq.show.mathml import mathml

    scripts, _ = modules
    names = {script.name for script in scripts.known_scripts()}
    assert set(EQUATIONS) <= names
    for name in EQUATIONS:
        assert "<math" in mathml(equation_of(name), display=True)


def test_every_claim_that_is_reproduced_says_where_and_all_others_say_why(modules):
    _, papers = modules
    root = DERIVATIONS.parent
    assert len(papers.PAPERS) >= 11
    for claims in papers.PAPERS.values():
        for claim in claims:
            assert claim.state in papers.STATES
            assert claim.state == papers.REPRODUCED or claim.remark, claim.text
            if claim.state == papers.OUT:
                assert not claim.where
            else:
                assert claim.where, claim.text
                assert all((root / path).exists() for path in claim.where), claim.where


def test_every_script_that_reproduces_a_claim_ends_in_assertions(modules):
    _, papers = modules
    cited = {path for claims in papers.PAPERS.values() for c in claims for path in c.where}
    for path in sorted(p for p in cited if p.startswith("derivations/")):
        tree = ast.parse((DERIVATIONS.parent / path).read_text(encoding="utf-8"))
        assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path
