"""What all tests share: quick, deterministic property tests, and helpers beside the tests."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# pytest's importlib mode puts no folder on the path, and the tests share oracle.py.
sys.path.append(str(Path(__file__).parent))

settings.register_profile(
    "quick",
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("quick")
