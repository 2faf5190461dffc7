"""The scripts of the gallery: in which order they are read, what they say, and how they run."""

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from equations import equation_of

from modeq.show.document import (
    Block,
    Code,
    Drawing,
    Finding,
    Formula,
    Missing,
    Section,
    Text,
    Typed,
)
from modeq.show.figures import adapted_svg

FOLDER = Path(__file__).parent.parent

READING_ORDER = (
    # the idea, on the classical test and in the classical example
    *("rosenbrock", "implicit_gradient_regularization", "quadratic_blowup", "equation_of_motion"),
    *("discretization_error", "learning_rate_bound"),
    # what training adds: momentum, adaptive rates, minibatches, tasks, players
    *("heavy_ball", "nesterov", "adam", "sam", "schedules"),
    *("random_shuffling", "stochastic_gradient", "continual_learning", "two_player_games"),
    # what a flow keeps, how near it is, and beyond the series
    *("conserved", "scale_invariant_layer", "translation_invariant_layer"),
    *("gradient_flow_bound", "deep_linear_network", "step_refinement"),
    *("principal_flow", "principal_flow_corrections", "edge_of_stability_toy", "dal"),
    # the same along the training of networks
    *("networks/flow_errors", "networks/invariant_layers", "networks/momentum_and_adam"),
    *("networks/step_refinement", "networks/edge_of_stability", "networks/drift_adjusted_rates"),
    # integrators, where all of this comes from
    *("lotka_volterra", "pendulum", "nonlinear_oscillator", "implicit_midpoint"),
    *("average_vector_field", "leapfrog"),
)
"""Scripts in the order in which a newcomer should read; those that are not named here follow."""

_ROW = re.compile(r"^\| \[(?P<path>[^\]]+\.py)\]\([^)]*\) \|(?P<claim>.*)\|(?P<source>[^|]*)\|\s*$")
_MAX_OUTPUT = 120


@dataclass(frozen=True)
class Script:
    """A derivation: its file, and what its docstring says."""

    path: Path

    @property
    def name(self) -> str:
        """The name without a suffix, below ``derivations``."""
        return self.path.relative_to(FOLDER).with_suffix("").as_posix()

    @property
    def documentation(self) -> str:
        """The docstring."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        return ast.get_docstring(tree) or ""

    @property
    def title(self) -> str:
        """The first line of the docstring."""
        return self.documentation.partition("\n")[0].rstrip(".")

    @property
    def claim(self) -> list[Block]:
        """The rest of the docstring: paragraphs, and indented formulas as they are typed."""
        rest = self.documentation.partition("\n")[2].strip("\n").splitlines()
        return [_paragraph(kind, list(lines)) for kind, lines in groupby(rest, _kind) if kind]

    @property
    def source(self) -> str:
        """Where the claim is from, as the table of the folder says, or an empty text."""
        return sources().get(self.name, "")

    def run(self, timeout: float, quick: bool = False) -> "Run":
        """Run the script, with a directory for its pictures."""
        # Only experiments with networks can be made smaller.
        options = ["--quick"] if quick and self.path.parent != FOLDER else []
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONIOENCODING": "utf-8"}
            try:
                done = subprocess.run(
                    [sys.executable, str(self.path), directory, *options],
                    capture_output=True, timeout=timeout, env=environment,
                )  # fmt: skip
                code, output = done.returncode, done.stdout
                errors = done.stderr.decode("utf-8", "replace")
            except subprocess.TimeoutExpired as error:
                code, output = 1, error.stdout or b""
                errors = f"stopped after {timeout:g} seconds"
            seconds = time.monotonic() - started
            pictures = tuple(
                (picture.stem.replace("_", " "), picture.read_text(encoding="utf-8"))
                for picture in sorted(Path(directory).glob("*.svg"))
            )
        return Run(self, code == 0, seconds, output.decode("utf-8", "replace"), errors, pictures)


def _kind(line: str) -> str:
    """Return what a line of a docstring is: empty, words, or a formula."""
    if not line.strip():
        return ""
    return "formula" if line.startswith("    ") else "words"


def _paragraph(kind: str, lines: Sequence[str]) -> Block:
    if kind == "words":
        return Text(" ".join(lines))
    return Code("\n".join(line[4:] for line in lines), "formulas")


@dataclass(frozen=True)
class Run:
    """A script that has run.

    Attributes:
        script: The script.
        passed: Whether all its assertions hold, and no library is missing.
        seconds: How long it took.
        output: What it printed.
        errors: What it complained about.
        pictures: Names and SVG texts.
    """

    script: Script
    passed: bool
    seconds: float
    output: str
    errors: str
    pictures: tuple[tuple[str, str], ...]

    @property
    def lacks(self) -> str:
        """What the script says that it cannot do without, or an empty text."""
        last = self.errors.strip().rpartition("\n")[2]
        kind, _, reason = last.partition(": ")
        missing = kind.endswith(("ImportError", "ModuleNotFoundError", "MissingDependency"))
        return reason if not self.passed and missing else ""

    def section(self, place: int) -> Section:
        """Return the section of the page about this script."""
        anchor = self.script.name.replace("/", "-").replace("_", "-")
        title = f"{place}. {self.script.title}"
        return Section(anchor, title, tuple(self._blocks()))

    def _blocks(self) -> Iterator[Block]:
        if self.lacks:
            yield Missing(f"the check was not run: {self.lacks}")
        else:
            verdict = "passed" if self.passed else "FAILED"
            yield Finding(self.passed, f"Check {verdict} in {self.seconds:.1f} s.")
        yield from self.script.claim
        if (latex := equation_of(self.script.name)) is not None:
            yield Text("The equation, as modeq derives it:")
            yield Formula(latex)
        for name, svg in self.pictures:
            yield Drawing(adapted_svg(svg, name), name)
        if self.script.source:
            yield Text(f"Source: {self.script.source}")
        yield Text(("Script: ", Typed(f"derivations/{self.script.name}.py"), ". It prints:"))
        yield Code(_cut(self.output if self.passed else f"{self.output}\n{self.errors}"), "output")


def _cut(output: str) -> str:
    lines = output.strip("\n").splitlines()
    if len(lines) <= _MAX_OUTPUT:
        return "\n".join(lines)
    return "\n".join([*lines[:_MAX_OUTPUT], f"... and {len(lines) - _MAX_OUTPUT} more lines"])


def known_scripts() -> list[Script]:
    """Return all scripts, those of the reading order first."""
    found = {script.name: script for script in map(Script, _paths())}
    first = [found.pop(name) for name in READING_ORDER if name in found]
    return [*first, *(found[name] for name in sorted(found))]


def _paths() -> list[Path]:
    return [*FOLDER.glob("*.py"), *(FOLDER / "networks").glob("*.py")]


def sources() -> dict[str, str]:
    """Return {name: source}, from the tables of the folders."""
    found = {}
    for folder in (FOLDER, FOLDER / "networks"):
        table = folder / "README.md"
        if table.exists():
            for line in table.read_text(encoding="utf-8").splitlines():
                if match := _ROW.match(line):
                    path = (folder / match["path"]).relative_to(FOLDER).with_suffix("")
                    found[path.as_posix()] = match["source"].replace("*", "").strip()
    return found
