"""All trees at once: time, memory, growth with the number of trees, and other programs.

    python tests/benchmarks/bench_trees.py [--peers [PATH]] [--plot FILE] [--long | --quick]

Every measurement starts without what an earlier one has kept. Peers run in a virtual environment:
the one at PATH, or a new one with kauri, nodepy and pybs from PyPI.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import peers
from measure import Row
from run import show

from modeq import RootedTree, modified_equation, rooted_trees, tree_table
from modeq.algebra.counts import physical_memory, tree_counts

GIGABYTE = 1e9

LIMITS = {
    'tree_table("euler", order=12)': (0.05, None),
    'tree_table("euler", order=19)': (10, 1.5),
    'tree_table("rk4", order=16)': (3, None),
    'modifying_integrator("rk4", order=11)': (5, None),
    'modified_equation(HeavyBall(symbols("beta")), order=7)': (10, None),
}
LONG_LIMITS = {'tree_table("euler", order=21)': (100, 10)}
QUICK_LIMITS = {'tree_table("euler", order=6)': (None, None)}

ORDERS = {"euler": range(8, 20), "rk4": range(8, 17)}
QUICK_ORDERS = {"euler": range(4, 8)}

MEASURED_BEFORE = {
    ("BSeries.jl 0.1.71", "euler"): {9: 0.050, 10: 0.30, 11: 1.6, 12: 9.7, 13: 54},
    ("BSeries.jl 0.1.71", "rk4"): {9: 0.052, 10: 0.27, 11: 1.5, 12: 8.2, 13: 45},
    ("pybs", "euler"): {11: 65},
}
"""Seconds for all trees up to so many vertices, on two cores such as ours."""

TIMES_FASTER = 100
FROM_VERTICES = 11

FRESH = """
import json
from sympy import symbols
from bench_trees import best_cold, memory
from modeq.methods.named import HeavyBall
from modeq.methods.universal import modified_equation, modifying_integrator, tree_table
before = memory("VmRSS")
seconds = best_cold(lambda: {expression})
print(json.dumps([seconds, memory("VmHWM") - before]))
"""


def rows() -> Iterator[Row]:
    yield from limit_rows(LIMITS)
    yield from ratios_to_figures()


def limit_rows(limits: Mapping[str, tuple]) -> Iterator[Row]:
    """Yield the time and the memory of expressions, each in a fresh interpreter."""
    for expression, (seconds, gigabytes) in limits.items():
        best, peak = fresh(expression)
        yield Row(expression, best, seconds)
        if gigabytes:
            yield Row(f"{expression}, peak", peak, gigabytes, "GB")


def ratios_to_figures() -> Iterator[Row]:
    """Yield how much faster than figures measured before modeq is."""
    for (program, method), figures in MEASURED_BEFORE.items():
        for vertices, theirs in figures.items():
            yield ratio_to(f"{program} (measured before)", method, vertices, theirs)


def ratio_to(program: str, method: str, vertices: int, theirs: float) -> Row:
    """Return how much faster modeq finds the modified equation, as a mapping from trees."""
    ours = best_cold(lambda: modified_equation(method, vertices - 1))
    limit = TIMES_FASTER if vertices >= FROM_VERTICES else None
    name = f"{method}, {vertices} vertices: {program}, {theirs:.3g} s, over modeq, {ours:.3g} s"
    return Row(name, theirs / ours, limit, "times", at_least=True)


def peer_rows(folder: Path, seconds: float) -> Iterator[Row]:
    """Yield ratios to the peers in a virtual environment, and how many of their values are ours."""
    for method in ("euler", "rk4"):
        found = peers.results(folder, "kauri", method, seconds=seconds)
        for result in found:
            yield ratio_to("kauri", method, result["vertices"], result["seconds"])
        ours = modified_equation(method, max(0, len(found) - 1))
        yield equal(f"{method}: coefficients equal to kauri's", found, lambda t, b=ours: [b[t]])
    yield from _nodepy_rows(folder, seconds)
    why = peers.failure(folder, "pybs")
    yield Row(f"pybs: {why or 'can be imported, but is not compared'}", 0, None, "trees")


def _nodepy_rows(folder: Path, seconds: float) -> Iterator[Row]:
    found = peers.results(folder, "nodepy", seconds=seconds)
    for result in found[6:]:
        n, theirs = result["vertices"], result["seconds"]
        ours = best_cold(lambda n=n: rooted_trees(n))
        name = f"rooted trees with {n} vertices: nodepy, {theirs:.3g} s, over modeq, {ours:.3g} s"
        yield Row(name, theirs / ours, None, "times")
    different = {tree_of(entry) for result in found for entry in result["trees"]}
    all_trees = sum(tree_counts(len(found)))
    yield Row("different trees that nodepy lists", len(different), all_trees, "trees", True)
    yield equal("σ and γ equal to nodepy's", found, lambda t: [t.symmetry, t.density])


def equal(name: str, results: list[dict], values: Callable[[RootedTree], list]) -> Row:
    """Return for how many of a peer's trees its values are exactly ours."""
    entries = [entry for result in results for entry in result["trees"]]
    same = sum(values(tree_of(entry)) == [Fraction(v) for v in entry[1]] for entry in entries)
    return Row(name, same, len(entries), "trees", at_least=True)


def tree_of(entry: list) -> RootedTree:
    """Return the tree that a peer gives values for."""
    return RootedTree.from_level_sequence(entry[0])


def growth(orders: Mapping[str, range]) -> dict[str, tuple[list[int], list[float]]]:
    """Return for each method numbers of trees, and the seconds that their coefficients take."""
    return {
        method: (
            [sum(tree_counts(order + 1)) for order in range_],
            [best_cold(lambda m=method, n=order: tree_table(m, n)) for order in range_],
        )
        for method, range_ in orders.items()
    }


def growth_rows(measured: Mapping[str, tuple[list[int], list[float]]]) -> Iterator[Row]:
    """Yield the exponent p in time ~ treesᵖ, over all the orders and over the larger half."""
    for method, (trees, times) in measured.items():
        for part, first in (("all orders", 0), ("the larger half", len(trees) // 2)):
            name = f"{method}: exponent of time in {trees[first]:,} to {trees[-1]:,} trees, {part}"
            yield Row(name, slope(trees[first:], times[first:]), None, "")


def slope(x: list, y: list) -> float:
    """Return the slope of the line that fits log y over log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def plot(measured: Mapping[str, tuple[list[int], list[float]]], file: str) -> None:
    """Draw time over the number of trees, beside a line for time in proportion."""
    from matplotlib.figure import Figure  # slow, and only for this

    axes = (figure := Figure()).add_subplot()
    for method, (trees, times) in measured.items():
        half = len(trees) // 2
        label = f"{method}, exponent {slope(trees[half:], times[half:]):.2f} in the larger half"
        axes.loglog(trees, times, "o-", label=label)
    line = np.array([trees[0], trees[-1]], float)
    axes.loglog(line, times[-1] * line / line[-1], "k:", label="in proportion")
    axes.set(xlabel="trees", ylabel="seconds", title="tree_table: time over the number of trees")
    axes.legend()
    figure.savefig(file)


def fresh(expression: str) -> tuple[float, float]:
    """Return the best time and the peak memory beyond the imports, in a fresh interpreter."""
    command = [sys.executable, "-c", FRESH.format(expression=expression)]
    return tuple(json.loads(subprocess.check_output(command, cwd=Path(__file__).parent)))


def best_cold(action: Callable[[], object], seconds: float = 0.3) -> float:
    """Return the shortest time of the runs that fit in so many seconds, at least one.

    Each run starts without what is kept.
    """
    times: list[float] = []
    while sum(times) < seconds:
        forget()
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def forget() -> None:
    """Clear every cache of modeq."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "modeq"]
    for module in modules:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def memory(name: str) -> float:
    """Return VmRSS, the memory in use, or VmHWM, the most there was, in GB; NaN outside Linux.

    The peak that getrusage knows of includes that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    [line] = [line for line in status.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024 / GIGABYTE


def long_rows() -> Iterator[Row]:
    """Yield what takes a minute, on a machine with the memory for it."""
    [(_, gigabytes)] = LONG_LIMITS.values()
    have = physical_memory() / GIGABYTE
    if have < 1.2 * gigabytes:
        yield Row("memory of this machine, for order=21", have, 1.2 * gigabytes, "GB", True)
        return
    yield from limit_rows(LONG_LIMITS)


def chosen_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield what the command line asks for."""
    yield from limit_rows(QUICK_LIMITS) if options.quick else rows()
    if options.long:
        yield from long_rows()
    if options.plot:
        measured = growth(QUICK_ORDERS if options.quick else ORDERS)
        yield from growth_rows(measured)
        plot(measured, options.plot)
    if options.peers == "":
        with tempfile.TemporaryDirectory() as folder:
            yield from peer_rows(peers.install(Path(folder)), options.seconds)
    elif options.peers:
        yield from peer_rows(Path(options.peers), options.seconds)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="low orders only")
    parser.add_argument("--long", action="store_true", help="order 21 too: a minute, 10 GB")
    parser.add_argument("--plot", metavar="FILE", help="draw time over the number of trees")
    parser.add_argument("--peers", nargs="?", const="", metavar="PATH", help="compare with peers")
    parser.add_argument("--seconds", type=float, default=60, help="time for each peer and method")
    return parser.parse_args()


if __name__ == "__main__":
    show("trees", chosen_rows(arguments()))
