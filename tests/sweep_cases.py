"""Functions that processes of a sweep can find."""

import os
import signal
import time
from pathlib import Path


def square(x):
    return {"square": x * x}


def dies_for(x, bad, folder):
    """Kill the own process for the bad ones, and note each attempt."""
    with open(Path(folder) / f"attempts-{x}", "a", encoding="utf-8") as file:
        file.write(".")
    if x in bad:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return x * x


def dies_once(x, folder):
    """Kill the own process at the first attempt of 1."""
    mark = Path(folder) / f"died-{x}"
    if x == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x + 100


def fails_for_odd(x):
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


def adds(x, y=0):
    return x + y


def bad_result(x):
    return object()
