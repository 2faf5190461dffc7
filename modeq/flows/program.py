"""Straight-line programs: arithmetic is recorded once and written out as Python source.

A ``Tape`` records what is done to its nodes. Equal operations are recorded once, operations on
numbers are done on the spot and exactly, so what comes out is the program with shared
subexpressions that the same arithmetic amounts to. ``source`` writes it for NumPy, for Python's
floats, or for mpmath. The names in it are made here; no text of a user's gets into it, but for
symbols whose names are checked when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational

import sympy

from modeq.errors import InvalidLoss, MissingParameter
from modeq.flows.dialects import DIALECTS, Dialect, has_values

MAX_NESTING = 12
CALL_COST = 8
"""What a call such as tanh costs, in multiplications."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value that a program computes."""

    tape: Tape
    index: int

    def __add__(self, other) -> Node:
        return self.tape.add(self, self.tape.node(other))

    __radd__ = __add__

    def __neg__(self) -> Node:
        return self * -1

    def __sub__(self, other) -> Node:
        return self + self.tape.node(other) * -1

    def __mul__(self, other) -> Node:
        if not isinstance(other, Node | Rational | float):
            return NotImplemented  # a series or a vector knows how to multiply its coefficients
        return self.tape.multiply(self, self.tape.node(other))

    __rmul__ = __mul__

    def __truediv__(self, number: int) -> Node:
        return self * Fraction(1, number)


class Tape:
    """A recording of arithmetic on named inputs.

    Args:
        inputs: The symbols that are arguments of the program.
        values: Values of other symbols.

    Example:
        >>> x = sympy.Symbol("x")
        >>> tape = Tape([x])
        >>> square = tape.convert(x**2)
        >>> print(tape.source([square + square * 3], "numpy"))
        def program(x0):
            return (4.0*(x0*x0),)
    """

    def __init__(self, inputs: Sequence[sympy.Symbol], values: Mapping | None = None):
        self._operations: list[tuple] = []
        self._index: dict[tuple, Node] = {}
        self._converted: dict[sympy.Expr, Node] = {}
        self._values = dict(values or {})
        self.inputs = tuple(self._record(("input", i)) for i in range(len(inputs)))
        self._converted.update(zip(inputs, self.inputs, strict=True))

    def _record(self, operation: tuple) -> Node:
        if operation not in self._index:
            self._index[operation] = Node(self, len(self._operations))
            self._operations.append(operation)
        return self._index[operation]

    def node(self, value: Node | int | Fraction) -> Node:
        """Return a node for a number; nodes stay as they are."""
        if isinstance(value, Node):
            return value
        if isinstance(value, float):
            value = Fraction(repr(float(value)))
        return self._record(("number", Fraction(value)))

    def _number(self, node: Node) -> Fraction | None:
        operation = self._operations[node.index]
        return operation[1] if operation[0] == "number" else None

    def _scaled(self, node: Node) -> tuple[Fraction, Node]:
        """Return (c, x) with node = c·x and x no multiple of another node."""
        operation = self._operations[node.index]
        return operation[1:] if operation[0] == "scale" else (Fraction(1), node)

    def scale(self, factor: Fraction, node: Node) -> Node:
        """Record a multiple of a node by a number."""
        number = self._number(node)
        if number is not None:
            return self.node(factor * number)
        previous, base = self._scaled(node)
        factor = factor * previous
        if factor == 0:
            return self.node(0)
        return base if factor == 1 else self._record(("scale", factor, base))

    def add(self, left: Node, right: Node) -> Node:
        """Record a sum."""
        a, b = self._number(left), self._number(right)
        if a is not None and b is not None:
            return self.node(a + b)
        if a == 0:
            return right
        if b == 0:
            return left
        (c, x), (d, y) = self._scaled(left), self._scaled(right)
        if x is y:
            return self.scale(c + d, x)
        return self._record(("add", *sorted((left, right), key=lambda node: node.index)))

    def multiply(self, left: Node, right: Node) -> Node:
        """Record a product; of the factors in it only signs are taken out, because sums of products
        can share a multiple of a node, but not a multiple of each product.
        """
        for number, other in ((self._number(left), right), (self._number(right), left)):
            if number is not None:
                return self.scale(number, other)
        (c, x), (d, y) = self._without_sign(left), self._without_sign(right)
        product = self._record(("multiply", *sorted((x, y), key=lambda node: node.index)))
        return self.scale(c * d, product)

    def _without_sign(self, node: Node) -> tuple[Fraction, Node]:
        factor, base = self._scaled(node)
        return (factor, base) if factor == -1 else (Fraction(1), node)

    def power(self, base: Node, exponent: int) -> Node:
        """Record a whole power of a node, by repeated squaring."""
        if exponent == 0:
            return self.node(1)
        half = self.power(base, exponent // 2)
        square = half * half
        return square * base if exponent % 2 else square

    def convert(self, expression: sympy.Expr) -> Node:
        """Record the evaluation of an expression.

        Raises:
            MissingParameter: It contains a symbol without a value.
            InvalidLoss: It contains a function without numeric values.
        """
        if expression not in self._converted:
            self._converted[expression] = self._convert(expression)
        return self._converted[expression]

    def _convert(self, expression: sympy.Expr) -> Node:
        if expression.is_Rational:
            return self.node(Fraction(int(expression.p), int(expression.q)))
        if expression.is_Symbol:
            return self._parameter(expression)
        if expression.is_Add:
            terms = [self.convert(term) for term in expression.args]
            return sum(terms[1:], terms[0])
        if expression.is_Mul:
            product = self.node(1)
            for factor in expression.args:
                product = product * self.convert(factor)
            return product
        if expression.is_Pow:
            return self._convert_power(expression)
        if not expression.args:
            return self._record(("atom", expression))
        if not isinstance(expression, sympy.Function) or not has_values(expression.func):
            raise InvalidLoss(f"{expression} has no numeric value that modeq can compute")
        return self._call(expression.func, *map(self.convert, expression.args))

    def _parameter(self, symbol: sympy.Symbol) -> Node:
        if symbol not in self._values:
            raise MissingParameter(
                f"the parameter {symbol} has no value; give parameters={{{symbol.name!r}: ...}}, "
                f"or name {symbol} among the variables"
            )
        return self.convert(self._values[symbol])

    def _convert_power(self, expression: sympy.Expr) -> Node:
        base, exponent = expression.base, expression.exp
        if exponent.is_Integer and exponent > 0:
            return self.power(self.convert(base), int(exponent))
        if exponent.is_Integer:
            inverse = self._record(("reciprocal", self.convert(base)))
            return self.power(inverse, -int(exponent))
        if exponent == sympy.Rational(1, 2):
            return self._call(sympy.sqrt, self.convert(base))
        if exponent == -sympy.Rational(1, 2):
            return self._record(("reciprocal", self.convert(sympy.sqrt(base))))
        return self._record(("power", self.convert(base), self.convert(exponent)))

    def _call(self, function: Callable, *arguments: Node) -> Node:
        return self._record(("call", function, *arguments))

    def cost(self, outputs: Iterable[Node]) -> int:
        """Return the cost of computing some nodes, in multiplications of arrays."""
        weights = {"call": CALL_COST, "power": CALL_COST, "number": 0, "input": 0, "atom": 0}
        return sum(
            weights.get(self._operations[node.index][0], 1) for node in self._reachable(outputs)
        )

    def _reachable(self, outputs: Iterable[Node]) -> list[Node]:
        """Return the nodes that some outputs depend on, each after all it depends on."""
        needed, stack = {}, list(outputs)
        while stack:
            node = stack.pop()
            if node.index not in needed:
                needed[node.index] = node
                stack.extend(self._arguments(node))
        return [needed[index] for index in sorted(needed)]

    def _arguments(self, node: Node) -> list[Node]:
        return [part for part in self._operations[node.index] if isinstance(part, Node)]

    def source(self, outputs: Sequence[Node], dialect: str, name: str = "program") -> str:
        """Return the source of a function of the inputs that returns a tuple of the outputs.

        Args:
            outputs: The nodes to return.
            dialect: "numpy", "math" (Python's floats), or many digits by "gmpy2" or "mpmath" (a
                context called ``mp``); the last two need ``mpq(p, q)`` for p/q.
            name: The name of the function.
        """
        return _Writer(self, outputs, DIALECTS[dialect]).write(name)

    def compile(self, outputs: Sequence[Node], dialect: str, namespace: Mapping) -> Callable:
        """Return the function whose text is ``source``; ``namespace`` holds the modules it uses."""
        scope = dict(namespace)
        exec(compile(self.source(outputs, dialect), f"<modeq {dialect} program>", "exec"), scope)
        return scope["program"]


class _Writer:
    """Writes the reachable part of a tape as source; a name is used again once it is free."""

    def __init__(self, tape: Tape, outputs: Sequence[Node], dialect: Dialect):
        self.tape = tape
        self.outputs = outputs
        self.dialect = dialect
        self.order = tape._reachable(outputs)
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
            arguments = self.tape._arguments(node)
            for argument in arguments:
                uses[argument.index] += 1
            depth[node.index] = 1 + max((depth[a.index] for a in arguments), default=0)
            if depth[node.index] > MAX_NESTING:
                named.add(node.index)
                depth[node.index] = 1
        for node in self.order:
            kind = self.tape._operations[node.index][0]
            if uses[node.index] > 1 and kind not in ("number", "atom", "input"):
                named.add(node.index)
        return named

    def _leaves(self, node: Node) -> set[int]:
        """Return the named nodes that the statement of ``node`` reads."""
        found, stack = set(), self.tape._arguments(node)
        while stack:
            argument = stack.pop()
            if argument.index in self.named:
                found.add(argument.index)
            else:
                stack.extend(self.tape._arguments(argument))
        return found

    def _last_uses(self) -> dict[int, int]:
        """Return {named node: the last named node that reads it}; outputs are read at the end."""
        last = {}
        for node in self.order:
            if node.index in self.named:
                for leaf in self._leaves(node):
                    last[leaf] = node.index
        for node in self.outputs:
            for leaf in self._leaves(node) | {node.index}:
                last[leaf] = len(self.tape._operations)
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
        kind, *parts = self.tape._operations[node.index]
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
            kind, *parts = self.tape._operations[one.index]
            if kind == "scale" and parts[0] == -1 and one.index not in self.names:
                return f"({_stripped(self._text(other))} - {self._text(parts[1])})"
        return f"({_stripped(self._text(left))} + {self._text(right)})"

    def _write_multiply(self, left: Node, right: Node) -> str:
        return f"({self._text(left)}*{self._text(right)})"

    def _write_reciprocal(self, node: Node) -> str:
        return f"(1/{self._text(node)})"

    def _write_power(self, base: Node, exponent: Node) -> str:
        return self.dialect.power.format(self._text(base), self._text(exponent))

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
