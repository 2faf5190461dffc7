"""Run the benchmarks and print one table.

    python tests/benchmarks/run.py [derive fields imports principal trees ...]

Each benchmark is a module beside this file with a function ``rows()`` that yields ``Row``s. A limit
is what the project promises on two cores; nothing fails here, a row that misses it is marked.
Ratios compare two measurements of the same run.
"""

import importlib
import sys
from collections.abc import Iterable

from measure import Row
from rich.console import Console
from rich.table import Table

BENCHMARKS = ("derive", "fields", "imports", "network_flows", "networks", "principal", "trees")


def main(names: list[str]) -> None:
    for name in names or BENCHMARKS:
        try:
            benchmark = importlib.import_module(f"bench_{name}")
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        else:
            show(name, benchmark.rows())


def show(title: str, rows: Iterable[Row]) -> None:
    """Print rows as a table."""
    table = Table("what", "measured", "limit", "", title=title)
    for row in rows:
        table.add_row(row.name, row.shown(row.value), row.shown(row.limit), row.verdict)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
