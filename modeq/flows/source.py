"""Straight-line programs: what a tape has recorded, written out as Python source.

It is written for NumPy, for Python's floats, or for the many digits of gmpy2 or mpmath. The names
in it are made here; no text of a user's gets into it, but for symbols whose names are checked when
they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf

import sympy

from modeq.flows.dialects import DIALECTS, Dialect
from modeq.flows.tape import Node, Tape

_MAX_NESTING = 12
"""Expressions that are nested deeper get statements of their own."""


def program_source(tape: Tape, outputs: Sequence[Node], dialect: str) -> str:
    """Return the source of a function of a tape's inputs that returns a tuple of the outputs.

    Args:
        tape: The tape.
        outputs: The nodes to return.
        dialect: "numpy", "math" (Python's floats), or many digits by "gmpy2" or "mpmath" (a
            context called ``mp``); the last two need ``mpq(p, q)`` for p/q.

    >>> x = sympy.Symbol("x")
    >>> tape = Tape([x])
    >>> square = tape.convert(x**2)
    >>> print(program_source(tape, [square + square * 3], "numpy"))
    def program(x0):
        return (4.0*(x0*x0),)
    """
    return _Writer(tape, outputs, DIALECTS[dialect]).write("program")


def compiled_program(
    tape: Tape, outputs: Sequence[Node], dialect: str, namespace: Mapping
) -> Callable:
    """Return the function whose text is ``program_source``.

    Args:
        tape: The tape.
        outputs: The nodes to return.
        dialect: As there.
        namespace: The modules that it uses, by name.

    >>> x = sympy.Symbol("x")
    >>> tape = Tape([x])
    >>> compiled_program(tape, [tape.convert(x**2)], "math", {})(3.0)
    (9.0,)
    """
    scope = dict(namespace)
    source = program_source(tape, outputs, dialect)
    exec(compile(source, f"<modeq {dialect} program>", "exec"), scope)
    return scope["program"]


class _Writer:
    """Writes the reachable part of a tape as source; a name is used again once it is free."""

    def __init__(self, tape: Tape, outputs: Sequence[Node], dialect: Dialect):
        self.tape = tape
        self.outputs = outputs
        self.dialect = dialect
        self.order = tape.reachable(outputs)
        self.named = self._choose_named()
        self.last_use = self._last_uses()
        self.names: dict[int, str] = {}
        self.free: list[str] = []

    def _choose_named(self) -> set[int]:
        """Return the nodes that get a statement of their own: those used twice, or deep ones."""
        uses = dict.fromkeys((node.index for node in self.order), 0)
        for node in self.outputs:
            uses[node.index] += 1
        depth: dict[int, int] = {}
        named = set()
        for node in self.order:
            arguments = self.tape.arguments(node)
            for argument in arguments:
                uses[argument.index] += 1
            depth[node.index] = 1 + max((depth[a.index] for a in arguments), default=0)
            if depth[node.index] > _MAX_NESTING:
                named.add(node.index)
                depth[node.index] = 1
        for node in self.order:
            kind = self.tape.operation(node)[0]
            if uses[node.index] > 1 and kind not in ("number", "atom", "input"):
                named.add(node.index)
        return named

    def _leaves(self, node: Node) -> set[int]:
        """Return the named nodes that the statement of ``node`` reads."""
        found, stack = set(), self.tape.arguments(node)
        while stack:
            argument = stack.pop()
            if argument.index in self.named:
                found.add(argument.index)
            else:
                stack.extend(self.tape.arguments(argument))
        return found

    def _last_uses(self) -> dict[int, float]:
        """Return {named node: the last named node that reads it}; outputs are read at the end."""
        last = {}
        for node in self.order:
            if node.index in self.named:
                for leaf in self._leaves(node):
                    last[leaf] = node.index
        for node in self.outputs:
            for leaf in self._leaves(node) | {node.index}:
                last[leaf] = inf
        return last

    def write(self, name: str) -> str:
        arguments = ", ".join(f"x{i}" for i in range(len(self.tape.inputs)))
        lines = [f"def {name}({arguments}):"]
        for node in self.order:
            if node.index in self.named:
                text = self._operation(node)
                self._release(node)
                lines.append(f"    {self._assign(node)} = {_stripped(text)}")
        results = "".join(f"{_stripped(self._text(node))}, " for node in self.outputs)
        lines.append(
            f"    return ({results.rstrip(' ') if len(self.outputs) == 1 else results[:-2]})"
        )
        return "\n".join(lines)

    def _release(self, node: Node) -> None:
        self.free.extend(
            self.names[leaf] for leaf in self._leaves(node) if self.last_use[leaf] == node.index
        )

    def _assign(self, node: Node) -> str:
        name = self.free.pop() if self.free else f"v{len(self.names)}"
        self.names[node.index] = name
        return name

    def _text(self, node: Node) -> str:
        return self.names[node.index] if node.index in self.names else self._operation(node)

    def _operation(self, node: Node) -> str:
        kind, *parts = self.tape.operation(node)
        return getattr(self, f"_write_{kind}")(*parts)

    def _write_input(self, index: int) -> str:
        return f"x{index}"

    def _write_number(self, number: Fraction) -> str:
        text = self.dialect.number(number)
        return f"({text})" if number < 0 else text

    def _write_atom(self, expression: sympy.Expr) -> str:
        return self.dialect.constant(expression)

    def _write_scale(self, factor: Fraction, node: Node) -> str:
        if factor == -1:
            return f"(-{self._text(node)})"
        return f"({self.dialect.number(factor)}*{self._text(node)})"

    def _write_add(self, left: Node, right: Node) -> str:
        for one, other in ((right, left), (left, right)):
            kind, *parts = self.tape.operation(one)
            if kind == "scale" and parts[0] == -1 and one.index not in self.names:
                return f"({_stripped(self._text(other))} - {self._text(parts[1])})"
        return f"({_stripped(self._text(left))} + {self._text(right)})"

    def _write_multiply(self, left: Node, right: Node) -> str:
        return f"({self._text(left)}*{self._text(right)})"

    def _write_reciprocal(self, node: Node) -> str:
        return f"(1/{self._text(node)})"

    def _write_power(self, base: Node, exponent: Node) -> str:
        return self.dialect.power.format(self._text(base), self._text(exponent))

    def _write_select(self, region: float | str, u: Node, inside: Node, outside: Node) -> str:
        return self.dialect.select(region, *map(self._text, (u, inside, outside)))

    def _write_call(self, function: Callable, *arguments: Node) -> str:
        template = self.dialect.template(function, len(arguments))
        return template.format(*(self._text(argument) for argument in arguments))


def _stripped(text: str) -> str:
    """Return a text without the parentheses around the whole of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for character in text[:-1]:
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text
    return text[1:-1]
