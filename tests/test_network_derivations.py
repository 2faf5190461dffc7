"""Every script in ``derivations/networks/`` runs in its quick form, and its assertions hold."""

import runpy
import warnings
from pathlib import Path

import pytest

REASON = "networks need optional libraries: pip install modeq[jax,optax,data]"

FOLDER = Path(__file__).parent.parent / "derivations" / "networks"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture
def libraries():
    for name in ("jax", "optax", "sklearn"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of when they are imported is their own
            pytest.importorskip(name, reason=REASON)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("libraries")
def test_the_claim_of_each_experiment_holds(script, tmp_path, capsys):
    import jax

    before = jax.numpy.ones(1).dtype
    runpy.run_path(str(script))["main"](tmp_path, quick=True)
    assert jax.numpy.ones(1).dtype == before
    assert capsys.readouterr().out
    [picture] = tmp_path.iterdir()
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_each_experiment_states_claim_and_source_and_stands_in_the_table(script):
    text = script.read_text(encoding="utf-8")
    assert "Claim" in text.split('"""')[1]
    assert f"[{script.name}]" in (FOLDER / "README.md").read_text(encoding="utf-8")
