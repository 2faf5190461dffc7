"""Changes of JSON that keep it JSON, so that the fuzzer gets beyond the brackets."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

WRONG = [None, True, 0, 1, 2, -1, 10**30, "", "0", "1", "-1/2", "1/0", "x", "é\x00", [], {}, [[]]]


def mutated_json(data: bytes, size: int, seed: int, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """Return JSON with one value in it changed, exchanged or left out.

    Args:
        data: The JSON text; other bytes are left to ``mutate``.
        size: The largest number of bytes to return.
        seed: Decides what is changed.
        mutate: The mutator for bytes (bytes, largest size) -> bytes, which also changes the texts.

    >>> mutated_json(b'{"order": 1}', 100, 7, lambda data, size: data)
    b'{"order": 0}'
    """
    draw = random.Random(seed)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate(data, size)
    places = list(_places(tree))
    if not places or draw.random() < 0.2:
        return mutate(data, size)
    parent, key = draw.choice(places)
    _change(parent, key, draw, places, mutate)
    return json.dumps(tree).encode()[:size]


def _places(tree: Any) -> Any:
    """Yield each list or object with each of its keys."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list):
            for key in node if isinstance(node, dict) else range(len(node)):
                yield node, key
                stack.append(node[key])


def _change(parent: Any, key: Any, draw: random.Random, places: list, mutate: Callable) -> None:
    choice = draw.randrange(4)
    if isinstance(parent[key], str) and choice:
        text = mutate(parent[key].encode("utf-8", "replace"), 200)
        parent[key] = text.decode("utf-8", "replace")
    elif choice == 1:
        del parent[key]
    elif choice == 2:
        other, index = draw.choice(places)
        parent[key] = json.loads(json.dumps(other[index]))
    elif isinstance(parent[key], int) and draw.random() < 0.5:
        parent[key] += draw.choice((-1, 1))
    else:
        parent[key] = draw.choice(WRONG)
