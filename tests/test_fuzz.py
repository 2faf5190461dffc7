"""Hostile texts that the fuzzer made, replayed: a value or an error of modeq, quickly, in little
memory.
"""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


targets, mutate = load("targets"), load("mutate")

INPUTS = sorted(path for path in (FUZZ / "corpus").rglob("*") if path.is_file())


@pytest.mark.filterwarnings("ignore::modeq.errors.ModeqWarning")
@pytest.mark.parametrize("target", targets.TARGETS)
def test_every_kept_input_is_read_or_refused_at_once(target):
    inputs = [path for path in INPUTS if path.parent.name == target]
    slow, read = {}, 0
    for path in inputs:
        start = time.process_time()
        read += targets.TARGETS[target](path.read_bytes())
        taken = time.process_time() - start
        if taken > targets.MAX_SECONDS / 2:
            slow[path.name] = taken
    assert not slow
    assert 0 < read < len(inputs)


LIMITED = """
import resource, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import targets
bytes_allowed = targets.MAX_MEGABYTES * 2**20
resource.setrlimit(resource.RLIMIT_AS, (bytes_allowed, bytes_allowed))
for target, read in targets.TARGETS.items():
    inputs = sorted((targets.CORPUS / target).iterdir(), key=lambda path: path.stat().st_size)
    for path in inputs[-30:]:
        read(path.read_bytes())
# Not ru_maxrss, which a process has from the one that started it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited only on Linux")
def test_the_longest_inputs_fit_in_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(FUZZ)], capture_output=True, check=False, timeout=300
    )
    assert not done.returncode, done.stderr.decode()[-2000:]
    assert int(done.stdout) < 1_000


def test_changed_json_is_json_or_left_to_the_mutator_of_bytes():
    valid = next(path for path in INPUTS if path.name == "equation-00").read_bytes()
    tree = json.loads(valid)
    found = [mutate.mutated_json(valid, 10**6, seed, lambda data, size: data) for seed in range(99)]
    changed = [json.loads(data) for data in found]
    assert sum(data != tree for data in changed) > 50
    assert mutate.mutated_json(b"{", 9, 0, lambda data, size: b"left") == b"left"


def test_the_dictionaries_hold_what_the_grammar_has():
    from modeq.losses.grammar import ARITIES

    words = (FUZZ / "formula.dict").read_text(encoding="utf-8").splitlines()
    assert {f'"{name}("' for name in ARITIES} <= set(words)
