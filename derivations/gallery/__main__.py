"""Build one page of all derivations: claim, source, equation, picture, and whether it holds.

    python derivations/gallery -o gallery              all scripts, into gallery/index.html
    python derivations/gallery -o gallery rosenbrock   some of them

Every script runs in a process of its own. The page needs no network and no script. The exit code is
1 if a check failed; the page says which.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from papers import paper_sections
from scripts import Run, Script, known_scripts

from modeq.errors import ModeqError
from modeq.files import require_writable, write_atomically
from modeq.show.document import Document, Fact, Section
from modeq.show.html import page


def main(words: Sequence[str] | None = None) -> int:
    """Build the page that the words ask for."""
    given = _parser().parse_args(words)
    scripts = known_scripts()
    if unknown := set(given.names) - {script.name for script in scripts}:
        known = ", ".join(script.name for script in scripts)
        print(f"gallery: error: no script {min(unknown)!r}; known are {known}", file=sys.stderr)
        return 2
    chosen = [script for script in scripts if not given.names or script.name in given.names]
    path = Path(given.output) / "index.html"
    try:
        os.makedirs(given.output, exist_ok=True)
        require_writable(path)
        runs = _run_all(chosen, given.jobs, given.timeout, given.quick)
        write_atomically(path, page(document(runs)))
    except (OSError, ModeqError) as error:
        print(f"gallery: error: {error}", file=sys.stderr)
        return 2
    failed = [run.script.name for run in runs if not (run.passed or run.lacks)]
    print(f"{path}: {len(runs)} derivations, {len(failed)} failed{': ' * bool(failed)}"
          f"{', '.join(failed)}", file=sys.stderr)  # fmt: skip
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gallery", description="Build one page of all derivations."
    )
    parser.add_argument("-o", "--output", required=True, help="the directory to write to")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scripts at a time")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each script")
    parser.add_argument("--quick", action="store_true", help="train smaller networks")
    parser.add_argument("names", nargs="*", help="scripts; all if none is named")
    return parser


def _run_all(scripts: Sequence[Script], jobs: int, timeout: float, quick: bool) -> list[Run]:
    """Run scripts, several at a time, and say on standard error how they go."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        pending = [pool.submit(script.run, timeout, quick) for script in scripts]
        runs = []
        for future in pending:
            runs.append(future.result())
            state = "lacking" if runs[-1].lacks else "passed" if runs[-1].passed else "FAILED"
            name, seconds = runs[-1].script.name, runs[-1].seconds
            print(f"{state:7}  {seconds:5.1f} s  {name}", file=sys.stderr)
    return runs


def document(runs: Sequence[Run]) -> Document:
    """Return the page as a document: the scripts in reading order, and the papers."""
    passed, lacking = sum(run.passed for run in runs), sum(bool(run.lacks) for run in runs)
    left_out = f"; {lacking} lack a library" if lacking else ""
    facts = (
        Fact("Derivations", f"{len(runs)}, each a script that ends in assertions"),
        Fact(
            "Checks",
            f"{passed} of {len(runs)} passed when this page was built{left_out}",
            "good" if passed + lacking == len(runs) else "bad",
        ),
        Fact("Papers", "which of their claims are reproduced, extended or out of scope", "",
             "papers"),
    )  # fmt: skip
    sections: list[Section] = [run.section(place) for place, run in enumerate(runs, 1)]
    return Document(
        "Derivations with modeq",
        "Claims of the literature and new ones, derived by exact algebra and checked against the "
        "optimizers themselves. Read from the top.",
        facts,
        (*sections, *paper_sections()),
    )


if __name__ == "__main__":
    sys.exit(main())
