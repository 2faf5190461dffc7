"""How the benchmarks measure and report."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement, with a limit that it should stay below (or above, for a ratio to beat)."""

    name: str
    value: float
    limit: float | None = None
    unit: str = "s"
    at_least: bool = False

    def shown(self, number: float | None) -> str:
        if number is None:
            return ""
        sign = "" if number is self.value else (">= " if self.at_least else "<= ")
        return f"{sign}{number:.3g} {self.unit}"

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "met" if met else "MISSED"


def best(action: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)
