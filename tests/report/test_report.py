"""Reports say everything that is computed, in three formats, and why a part is missing."""

import errno
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import modeq
from modeq import Report, files
from modeq.errors import CannotWrite, InvalidOrder, InvalidPoint, InvalidStep, InvalidValue
from modeq.show.document import (
    Document,
    Finding,
    Math,
    Missing,
    Picture,
    Section,
    Table,
    Text,
    Typed,
)
from modeq.show.html import html_of, page
from modeq.show.latex import latex_of
from modeq.show.markdown import markdown_of

SECTIONS = [
    *("loss", "coordinates", "universal", "modified-loss", "certificate", "order-check"),
    *("trajectories", "stability", "conserved", "code"),
]
HOSTILE = "<script>alert(1)</script>&\"'$\\evil{}%#_^~|`*[x](javascript:x)"


@pytest.fixture(scope="module")
def two_layer():
    return modeq.report(modeq.problems.two_layer(), order=2, steps=5)


@pytest.fixture(scope="module")
def saved(two_layer, tmp_path_factory):
    """A directory with the report as Markdown and as LaTeX, and their pictures."""
    directory = tmp_path_factory.mktemp("a b")
    two_layer.save(directory / "two.md")
    two_layer.save(directory / "two.tex")
    return directory


@pytest.fixture(scope="module")
def without_start():
    return modeq.report("x**2*y + exp(y)", order=1)


def missing(report, name):
    """Return the reasons in a section why parts cannot be had."""
    return [b.reason for b in report.document.section(name).blocks if isinstance(b, Missing)]


class Elements(HTMLParser):
    """The elements of a page, balanced."""

    void = frozenset({"meta", "link", "br", "img", "path", "use", "rect", "circle", "line"})

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


def test_a_report_has_every_section_and_none_is_empty(two_layer, without_start):
    for report in (two_layer, without_start):
        assert [section.name for section in report.document.sections] == SECTIONS
        assert all(section.blocks for section in report.document.sections)


def test_the_summary_comes_first_and_says_what_was_found(two_layer):
    facts = {fact.label: fact for fact in two_layer.document.summary}
    assert facts["Certificate"].state == facts["Order check"].state == "good"
    assert "x**2 - y**2" in facts["Conserved"].value
    assert two_layer.to_html().index('class="summary"') < two_layer.to_html().index("<h2>")


def test_the_formulas_are_those_of_the_equation(two_layer):
    equation = modeq.derive(modeq.problems.two_layer(), order=2)
    assert two_layer.equation == equation
    assert equation.latex(12) in two_layer.to_latex().replace("align*", "aligned")
    potential = equation.truncated(1).modified_loss()
    blocks = str(two_layer.document.section("modified-loss").blocks)
    assert sympy.latex(potential.coeff(equation.h, 0)) in blocks.replace(r"\\", "\\")
    assert "is not a gradient" in blocks


def test_the_counter_terms_without_coordinates_are_there_in_both_notations(two_layer):
    formulas = str(two_layer.document.section("universal").blocks)
    assert r"\\nabla^3 L" in formulas
    assert "f'f'f" in formulas


def test_what_a_start_is_needed_for_says_so_without_one(without_start):
    for name in ("order-check", "trajectories", "stability"):
        assert "no start was given: one number for each of x, y" in missing(without_start, name)[0]
    with_start = modeq.report("x**2", order=0, theta0=[1.0])
    assert "no learning rate was given" in missing(with_start, "trajectories")[0]


def test_a_parameter_without_a_value_is_named_where_numbers_are_needed():
    loss = modeq.Loss("lam*x**2/2", "x")
    found = modeq.report(loss, order=1, theta0=[1.0], h=0.1)
    assert "lam" in missing(found, "order-check")[0]
    valued = modeq.report(loss, order=1, theta0=[1.0], h=0.1, parameters={"lam": 2})
    assert not missing(valued, "order-check") + missing(valued, "stability")
    assert r"\mathrm{lam}" in valued.to_latex()


def test_an_optimizer_without_series_says_what_it_has_not():
    adam = modeq.Adam(0.9, 0.99, epsilon=1e-3)
    found = modeq.report("x**2/2 + x**4/4", 1, adam, theta0=[1.0], h=0.01, steps=3)
    assert "no sum of elementary differentials" in missing(found, "universal")[0]
    assert "not linear where f is" in missing(found, "stability")[0]
    assert found.document.section("certificate").blocks[0].passed


def test_a_vector_field_has_a_hamiltonian_or_a_reason_in_place_of_a_loss():
    pendulum = modeq.VectorField(["-sin(q)", "p"], variables="p q")
    found = modeq.report(pendulum, 2, "implicit-midpoint", theta0=[0.0, 1.0], h=0.1, steps=3)
    assert r"\\tilde H" in str(found.document.section("modified-loss").blocks)
    assert "vector field" in missing(found, "stability")[0]
    spiral = modeq.report(modeq.VectorField(["-y", "x"], "x y"), 1)
    assert "vector field" in str(missing(spiral, "modified-loss"))


def test_a_flow_that_blows_up_is_named_and_the_rest_is_there():
    found = modeq.report("x**4", 2, "heun", theta0=[1.0], h=0.4, steps=2)
    assert any("blows up" in reason for reason in missing(found, "trajectories"))
    assert not missing(found, "certificate")


def test_a_refuted_check_is_marked_in_every_format():
    document = Document("t", "", (), (Section("s", "S", (Finding(False, "no"),)),))
    assert 'class="finding bad"' in page(document)
    assert "✗ no" in markdown_of(document)
    assert r"$\times$ no" in latex_of(document)


def test_the_page_needs_no_network_and_no_script(two_layer):
    elements = Elements(two_layer.to_html())
    assert not elements.open
    names = [tag for tag, _ in elements.seen]
    assert "script" not in names
    assert names.count("math") > 20
    assert names.count("svg") >= 6
    for tag, attributes in elements.seen:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("href", "src"):
                assert value.startswith(("#", "data:")), (tag, value)
    assert not re.search(r"url\((?!#)|@import", two_layer.to_html())


def test_identifiers_are_unique_over_all_pictures(two_layer):
    identifiers = [a["id"] for _, a in Elements(two_layer.to_html()).seen if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_two_reports_on_the_same_loss_are_the_same_text(without_start):
    again = modeq.report("x**2*y + exp(y)", order=1)
    assert again.to_html() == without_start.to_html()


BLOCKS = (
    Text((HOSTILE, Typed(HOSTILE), Math("x"))),
    Table((HOSTILE, "b"), ((HOSTILE, HOSTILE),), HOSTILE),
    Missing(HOSTILE),
    Finding(True, HOSTILE),
    modeq.show.document.Code(HOSTILE, "text"),
)


def test_hostile_words_stay_words_in_html():
    written = page(Document(HOSTILE, HOSTILE, (), (Section("s", HOSTILE, BLOCKS),)))
    elements = Elements(written)
    assert "script" not in [tag for tag, _ in elements.seen]
    assert not any("javascript" in str(a) for _, a in elements.seen)
    assert written.count("&lt;script&gt;") > 8


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_opens_an_element(words):
    blocks = (Text((words, Typed(words))), Table((words,), ((words,),), words), Missing(words))
    found = Elements(html_of((*blocks, Finding(True, words))))
    assert not found.open
    allowed = {"p", "code", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
    assert {tag for tag, _ in found.seen} <= allowed


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_leaves_its_cell_or_its_line_in_markdown(words):
    written = markdown_of(
        Document("t", "", (), (Section("s", "S", (Table(("a", "b"), ((words, words),)),)),))
    )
    (row,) = written.splitlines()[-1:]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3


def test_hostile_words_stay_words_in_markdown():
    written = markdown_of(Document(HOSTILE, HOSTILE, (), (Section("s", HOSTILE, BLOCKS[:4]),)))
    outside_code = re.sub(r"(`+).*?\1(?!`)", "", written, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<script", outside_code)
    assert not re.search(r"(?<!\\)\]\(javascript", outside_code)


def test_a_hostile_loss_is_reported_without_becoming_part_of_the_page():
    name = sympy.Symbol('<img src=x onerror="alert(1)">', real=True)
    found = modeq.report(modeq.Loss(name**2 + name, [name]), order=1)
    written = found.to_html()
    assert "img" not in [tag for tag, _ in Elements(written).seen]
    assert found.to_markdown()


class TestLatex:
    @pytest.fixture(autouse=True)
    def needs_tex(self):
        if shutil.which("pdflatex") is None:
            pytest.skip("there is no pdflatex on this machine")

    def compiled(self, path):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name],
            cwd=path.parent, capture_output=True, timeout=60,
        )  # fmt: skip
        log = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, log[-2000:]
        return log

    def test_a_saved_article_compiles_with_its_pictures(self, saved):
        log = self.compiled(saved / "two.tex")
        assert (saved / "two.pdf").stat().st_size > 50_000
        assert "undefined" not in log
        widths = [float(w) for w in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
        assert max(widths, default=0) < 60

    def test_hostile_words_compile(self, tmp_path):
        path = tmp_path / "hostile.tex"
        path.write_text(latex_of(Document(HOSTILE, HOSTILE, (), (Section("s", HOSTILE, BLOCKS),))))
        self.compiled(path)

    def test_an_article_without_pictures_says_where_they_would_stand(self, without_start, tmp_path):
        path = tmp_path / "x.tex"
        path.write_text(without_start.to_latex(), encoding="utf-8")
        self.compiled(path)
        assert "includegraphics" not in without_start.to_latex()


def test_saving_writes_the_pictures_beside_markdown_and_nothing_else(two_layer, saved):
    text = (saved / "two.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(<(.*?)>\)", text))
    assert {p.name for p in saved.iterdir() if p.suffix in (".md", ".svg")} == {*linked, "two.md"}
    assert len(linked) == len(list(two_layer.document.pictures())) >= 6


def test_tables_of_markdown_have_as_many_cells_in_each_row(saved):
    lines = (saved / "two.md").read_text(encoding="utf-8").splitlines()
    for above, below in pairwise(lines):
        if above.startswith("| ") and below.startswith("| "):
            cells = [len(re.findall(r"(?<!\\)\|", line)) for line in (above, below)]
            assert cells[0] == cells[1], (above, below)


@pytest.fixture
def small():
    """A report with one empty picture."""
    picture = Picture("one", "nothing", lambda: Figure(figsize=(1, 1)))
    return Report(Document("t", "", (), (Section("s", "S", (picture,)),)), None)


def test_markdown_that_is_not_saved_has_its_pictures_inside(small):
    assert "![nothing](data:image/svg+xml;base64," in small.to_markdown()


def test_nothing_is_written_where_one_file_cannot_be(small, tmp_path):
    (tmp_path / "two-one.svg").mkdir()
    with pytest.raises(CannotWrite, match="it is a directory"):
        small.save(tmp_path / "two.md")
    assert [p.name for p in tmp_path.iterdir()] == ["two-one.svg"]
    with pytest.raises(CannotWrite, match="does not exist"):
        small.save(tmp_path / "no" / "two.html")


@pytest.mark.parametrize("name", ["r.html", "r.md", "r.tex"])
def test_a_full_disk_leaves_the_old_report_and_its_old_pictures(small, tmp_path, monkeypatch, name):
    small.save(tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(temporary, content):
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room.pop()
        Path(temporary).write_bytes(content)

    room = [None] * (len(before) - 1)
    monkeypatch.setattr(files, "_store", full)
    changed = Report(replace(small.document, title="new"), None)
    with pytest.raises(CannotWrite, match="the disk is full"):
        changed.save(tmp_path / name)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_formats_and_arguments_that_are_none_are_refused(small, tmp_path):
    with pytest.raises(InvalidValue, match=r"suffix of '.*two.doc' is '.doc'"):
        small.save(tmp_path / "two.doc")
    with pytest.raises(InvalidValue, match="must be one of html, markdown, latex"):
        small.save(tmp_path / "two.doc", format="word")
    with pytest.raises(InvalidStep, match="steps"):
        modeq.report("x**2", 1, steps=0)
    with pytest.raises(InvalidOrder):
        modeq.report("x**2", -1)
    for start in ("no", [1.0, 2.0], [[1.0]], ["a"]):
        with pytest.raises(InvalidPoint):
            modeq.report("x**2", 1, theta0=start, h=0.1)
    with pytest.raises(InvalidStep):
        modeq.report("x**2", 1, theta0=[1.0], h=-0.1)
    with pytest.raises(InvalidValue, match="lam"):
        modeq.report("x**2", 1, theta0=[1.0], h=0.1, parameters={"lam": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_format_may_be_given_for_any_suffix(without_start, tmp_path):
    without_start.save(tmp_path / "report", format="html")
    assert (tmp_path / "report").read_text(encoding="utf-8") == without_start.to_html()


def test_the_code_of_a_report_reproduces_it(two_layer, capsys):
    code = two_layer.document.section("code").blocks[0].text
    exec(compile(code, "report", "exec"), {})
    printed = capsys.readouterr().out
    assert "proved by exact algebra" in printed
    assert "passed" in printed
    assert "x**2 - y**2" in printed


def test_a_long_formula_is_counted_and_not_printed():
    long = sum(sympy.Symbol("x") ** k * sympy.Symbol("y") ** (40 - k) for k in range(40))
    found = modeq.report(modeq.Loss(long), order=0)
    assert html_of(found.document.section("loss").blocks)
    assert len(found.to_html()) < 400_000


@pytest.mark.parametrize("format", ["html", "markdown", "latex"])
def test_where_every_flow_blows_up_the_report_says_so_and_has_no_empty_table(format):
    field = modeq.VectorField(["x**2"], "x")
    found = modeq.report(field, 0, modeq.HeavyBall(0.25), theta0=[1.0], h=0.5, steps=5)
    [nearest] = [fact for fact in found.document.summary if fact.label == "Nearest flow"]
    assert nearest.state == "bad"
    assert str(nearest.value).startswith("none: order 0: ")
    assert "Not available" in found.text(format)
    tables = [b for s in found.document.sections for b in s.blocks if isinstance(b, Table)]
    assert all(table.rows for table in tables)
