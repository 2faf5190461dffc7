"""Every script in ``derivations/`` runs, and its assertions hold."""

import inspect
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "derivations"
SCRIPTS = sorted(FOLDER.glob("*.py"))
SLOW = ("equation_of_motion", "learning_rate_bound", "principal_flow")


@pytest.mark.parametrize(
    "script",
    [pytest.param(p, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in SCRIPTS],
    ids=lambda path: path.stem,
)
def test_the_claim_of_each_derivation_holds(script, tmp_path, capsys):
    main = runpy.run_path(str(script))["main"]
    main(*[tmp_path] * len(inspect.signature(main).parameters))
    assert capsys.readouterr().out
    for picture in tmp_path.iterdir():
        assert picture.stat().st_size > 1000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_each_derivation_states_claim_and_source_and_stands_in_the_table(script):
    text = script.read_text(encoding="utf-8")
    assert "Claim" in text.split('"""')[1]
    assert f"[{script.name}]" in (FOLDER / "README.md").read_text(encoding="utf-8")
