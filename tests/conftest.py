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


def pytest_make_parametrize_id(val):
    """Name functions and plain objects without their address, which differs between processes."""
    return getattr(val, "__name__", type(val).__name__) if " at 0x" in repr(val) else None
