"""Hostile JSON, value by value: each function returns what was asked for or raises InvalidData.

The sentence of the error names the place in the text, what was found, and what would be right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from fractions import Fraction
from typing import Any

from modeq.checks import shortened
from modeq.errors import InvalidData

_MAX_CHARACTERS = 200_000_000
MAX_DIGITS = 4_000
MAX_NAME = 200

_RATIONAL = re.compile(r"(-?[0-9]+)(?:/([0-9]+))?", re.ASCII)


def load(text: Any) -> Any:
    """Return the value of a JSON text without floats, NaN and duplicate keys.

    >>> load('{"a": [1, "1/2"]}')
    {'a': [1, '1/2']}
    """
    if not isinstance(text, str):
        raise InvalidData(f"JSON is a text, not {short(text)} of type {type(text).__name__}")
    if len(text) > _MAX_CHARACTERS:
        raise InvalidData(
            f"the text has {len(text)} characters; at most {_MAX_CHARACTERS} are read"
        )
    try:
        return json.loads(
            text,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidData(f"the text is not JSON: {error.msg} ({where})") from None
    except RecursionError:
        raise InvalidData("the text is not a modified equation: it is nested too deeply") from None


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidData(f"the number {short(digits)} has more than {MAX_DIGITS} digits")
    return int(digits)


def _no_float(literal: str) -> Any:
    raise InvalidData(f"the number {short(literal)} is not exact; numbers are integers or texts")


def _object(pairs: list[tuple[str, Any]]) -> dict:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise InvalidData(f"the key {short(twice)} is given twice")
    return result


def short(value: Any, length: int = 60) -> str:
    """Return the beginning of a value's text, for messages.

    >>> short("x" * 100, 10)
    "'xxxxxx..."
    """
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)} entries"
    if isinstance(value, str):
        value = value[: 2 * length]
    shown = ascii(value) if isinstance(value, str) else shortened(value, length)
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."


def keys(data: Any, where: str, wanted: Collection, optional: Collection = ()) -> dict:
    """Return an object that has all the wanted keys and at most the optional ones besides.

    >>> keys({"a": 1}, "the text", ["a", "b"])
    Traceback (most recent call last):
    modeq.errors.InvalidData: the text has no key 'b'
    """
    if not isinstance(data, dict):
        raise InvalidData(f"{where} is {short(data)}; it must be an object")
    for key in wanted:
        if key not in data:
            raise InvalidData(f"{where} has no key {shortened(key)}")
    for key in data:
        if key not in wanted and key not in optional:
            raise InvalidData(f"{where} has the unknown key {short(key)}")
    return data


def items(data: Any, where: str, length: int | None = None, at_most: int | None = None) -> list:
    """Return a list, with as many entries as there should be."""
    if not isinstance(data, list):
        raise InvalidData(f"{where} is {short(data)}; it must be a list")
    if length is not None and len(data) != length:
        raise InvalidData(f"{where} has {len(data)} entries; it must have {length}")
    if at_most is not None and len(data) > at_most:
        raise InvalidData(f"{where} has {len(data)} entries; at most {at_most} are read")
    return data


def whole(data: Any, where: str, largest: int) -> int:
    """Return an integer from 0 to ``largest``.

    >>> whole(-1, "order", 9)
    Traceback (most recent call last):
    modeq.errors.InvalidData: order is -1; it must be an integer from 0 to 9
    """
    if type(data) is not int or not 0 <= data <= largest:
        raise InvalidData(f"{where} is {short(data)}; it must be an integer from 0 to {largest}")
    return data


def rational(data: Any, where: str) -> Fraction:
    """Return the exact number of a text such as "-3" or "1/2".

    >>> rational("-1/2", "b")
    Fraction(-1, 2)
    """
    match = _RATIONAL.fullmatch(data) if isinstance(data, str) and len(data) < MAX_DIGITS else None
    if match is None:
        raise InvalidData(
            f"{where} is {short(data)}; it must be a text such as '-1/2', "
            f"of less than {MAX_DIGITS} characters"
        )
    numerator, denominator = int(match[1]), int(match[2] or 1)
    if denominator == 0:
        raise InvalidData(f"{where} is {short(data)}; it divides by zero")
    return Fraction(numerator, denominator)


def name(data: Any, where: str) -> str:
    """Return a text that can be a name: not empty, printable, and not too long."""
    if not isinstance(data, str) or not data.isprintable() or not 0 < len(data) <= MAX_NAME:
        raise InvalidData(
            f"{where} is {short(data)}; it must be a printable text of 1 to {MAX_NAME} characters"
        )
    return data
