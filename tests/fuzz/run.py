"""Coverage-guided fuzzing of what reads hostile texts, for a time: python tests/fuzz/run.py json

Atheris (pip install atheris) changes the inputs of tests/fuzz/corpus so that they reach ever more
of modeq. An input that makes anything but a value or a ModeqError, or that takes long or much
memory, ends the run with its bytes in tests/fuzz/found; it then goes into the corpus, which
tests/test_fuzz.py replays without Atheris. Targets in LOOPS need no Atheris: they
make losses, errors and points at random.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MAX_LENGTH = {"formula": 2_000, "json": 6_000}
LOOPS = ("certificates", "digits")
WORKER = "--worker"


def main() -> int:
    """Fuzz in a process of its own, whose inputs beyond the corpus are kept only with --grow."""
    options = _options()
    if options.target in LOOPS:
        return importlib.import_module(options.target).main(options.seconds, options.seed)
    seeds = HERE / "corpus" / options.target
    with tempfile.TemporaryDirectory() as fresh:
        found = HERE / "found"
        found.mkdir(exist_ok=True)
        limits = _limits(options.target, found)
        code = _worker(options.target, *limits, f"-max_total_time={options.seconds}", fresh, seeds)
        if options.grow and code == 0:
            code = _worker(options.target, *limits, "-merge=1", seeds, fresh)
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=[*MAX_LENGTH, *LOOPS])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, help="where the losses at random begin; else anywhere")
    parser.add_argument("--grow", action="store_true", help="keep inputs that reach new code")
    return parser.parse_args()


def _limits(target: str, found: Path) -> list[str]:
    # targets.py imports modeq, which must not happen in this process: it is not instrumented.
    return [
        f"-dict={HERE / target}.dict",
        f"-max_len={MAX_LENGTH[target]}",
        f"-artifact_prefix={found}/{target}-",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]


def _worker(target: str, *words: object) -> int:
    command = [sys.executable, __file__, WORKER, target, *map(str, words)]
    return subprocess.run(command, check=False).returncode


def work(target: str, words: list[str]) -> None:
    """Hand this process over to Atheris, with all of modeq instrumented."""
    import atheris

    with atheris.instrument_imports(include=["modeq"]):
        import targets
    from mutate import mutated_json

    def mutator(data: bytes, size: int, seed: int) -> bytes:
        return mutated_json(data, size, seed, atheris.Mutate)

    options = {"custom_mutator": mutator} if target == "json" else {}
    # For a merge the fuzzer starts itself again, by the text of its first word.
    itself = f"{sys.executable} {__file__} {WORKER} {target}"
    atheris.Setup([itself, *words], targets.TARGETS[target], **options)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        work(sys.argv[2], sys.argv[3:])
    sys.exit(main())
