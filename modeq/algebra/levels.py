"""Level sequences: the distance from the root, plus one, of each vertex in depth-first order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, cycle, islice
from math import prod
from operator import index
from typing import Any, TypeVar

from modeq.checks import as_integer, shortened
from modeq.errors import InvalidTree

Value = TypeVar("Value")
Colors = tuple[int, ...]


def level_sequences(order: int) -> Iterator[tuple[int, ...]]:
    """Yield the canonical level sequences in descending lexicographic order."""
    levels = list(range(1, order + 1))
    yield tuple(levels)
    while max(levels) > 2:
        _replace_by_successor(levels)
        yield tuple(levels)


def _replace_by_successor(levels: list[int]) -> None:
    """Turn the sequence into the next smaller canonical one.

    The last vertex deeper than level 2 moves up to the level of its parent. What follows repeats
    the branch at that parent, because a canonical sequence can end in nothing larger.
    """
    moved = len(levels) - 1
    while levels[moved] == 2:
        moved -= 1
    parent = moved - 1
    while levels[parent] >= levels[moved]:
        parent -= 1
    levels[moved:] = islice(cycle(levels[parent:moved]), len(levels) - moved)


def fold_levels(levels: Sequence[int], combine: Callable[[list[Value]], Value]) -> Value:
    """Return the value at the root; children reach ``combine`` in the order of the sequence."""
    pending: list[tuple[int, Value]] = []
    for level in reversed(levels):
        children = []
        while pending and pending[-1][0] > level:
            children.append(pending.pop()[1])
        pending.append((level, combine(children)))
    return pending[0][1]


def fold_colored_levels(
    levels: Sequence[int], colors: Sequence[int], combine: Callable[[int, list[Value]], Value]
) -> Value:
    """Return the value at the root, where ``combine`` gets the color of a vertex too."""
    # The vertices are combined in reverse order.
    remaining = reversed(colors)
    return fold_levels(levels, lambda children: combine(next(remaining), children))


def join_levels(children: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the canonical level sequence of a root with these canonical children."""
    descending = sorted(children, reverse=True)
    return (1, *(level + 1 for child in descending for level in child))


def join_colored_levels(
    color: int, children: Iterable[tuple[tuple[int, ...], Colors]]
) -> tuple[tuple[int, ...], Colors]:
    """Return the canonical levels and colors of a root with these canonical children."""
    descending = sorted(children, reverse=True)
    levels = (1, *(level + 1 for child, _ in descending for level in child))
    return levels, (color, *chain.from_iterable(colors for _, colors in descending))


def size_and_density(children: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the number of vertices and the density of a root with such children."""
    size = 1 + sum(size for size, _ in children)
    return size, size * prod(density for _, density in children)


def checked_levels(sequence: Any) -> list[int]:
    """Return a level sequence as a list, or raise InvalidTree unless it is one."""
    entries = list(sequence) if isinstance(sequence, Iterable) else []
    if not entries:
        raise InvalidTree(
            f"a level sequence must list at least one level, got {shortened(sequence)}"
        )
    for position, entry in enumerate(entries):
        if fault := _fault(entries, position):
            place = f"entry {position} is {shortened(entry)}, {fault}"
            raise InvalidTree(f"{shortened(entries)} is not a level sequence: {place}")
    return [index(entry) for entry in entries]


def _fault(entries: list, position: int) -> str | None:
    """Return what is wrong with one entry, given that those before it are right."""
    level = as_integer(entries[position])
    if level is None:
        return "not an integer"
    if position and level <= entries[0]:
        return f"but every entry after the first must be more than the first, {entries[0]}"
    if position and level > entries[position - 1] + 1:
        return f"more than one above the entry before it, {entries[position - 1]}"
    return None
