"""What setup.cfg promises is what is tested."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def floors(text):
    """Return {name: lowest version} of requirements such as "numpy>=1.25"."""
    return dict(re.findall(r"^([a-z0-9_-]+)>=([0-9.]+)", text, re.MULTILINE))


def pins():
    text = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9_-]+)==([0-9.]+)", text, re.MULTILINE))


def test_the_oldest_versions_that_are_tested_are_the_oldest_that_are_allowed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    allowed = floors(config["options"]["install_requires"])
    tested = pins()
    assert allowed.keys() <= tested.keys()
    for name, version in allowed.items():
        assert (tested[name] + ".").startswith(version + "."), name
