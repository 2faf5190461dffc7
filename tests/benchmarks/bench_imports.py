"""What importing modeq costs beyond importing sympy, each in a fresh interpreter."""

import subprocess
import sys
from collections.abc import Iterator

from measure import Row

CODE = """
import time
begin = time.perf_counter()
import sympy
middle = time.perf_counter()
import modeq
print(time.perf_counter() - middle)
"""


def rows() -> Iterator[Row]:
    times = [
        float(subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    yield Row("import modeq, above import sympy", min(times), 0.3)
