"""Arithmetic that is recorded, to be written out as a program.

A ``Tape`` records what is done to its nodes. Equal operations are recorded once, operations on
numbers are done on the spot and exactly, so what comes out is the program with shared
subexpressions that the same arithmetic amounts to; ``modeq.flows.source`` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational

import sympy

from modeq.checks import shortened
from modeq.errors import InvalidLoss, MissingParameter
from modeq.flows.dialects import has_values

CALL_COST = 8
"""What a call such as tanh costs, in multiplications."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value that a program computes."""

    tape: Tape
    index: int

    def __repr__(self) -> str:
        return f"Node({self.index})"

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
        >>> tape.operation(square + square * 3)  # 4 x²
        ('scale', Fraction(4, 1), Node(2))
    """

    def __init__(self, inputs: Sequence[sympy.Symbol], values: Mapping | None = None):
        self._operations: list[tuple] = []
        self._index: dict[tuple, Node] = {}
        self._converted: dict[sympy.Expr, Node] = {}
        self._values = dict(values or {})
        self.inputs = tuple(self._record(("input", i)) for i in range(len(inputs)))
        self._converted.update(zip(inputs, self.inputs, strict=True))

    def operation(self, node: Node) -> tuple:
        """Return the name of the operation that makes a node, and what it is done to."""
        return self._operations[node.index]

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
        operation = self.operation(node)
        return operation[1] if operation[0] == "number" else None

    def scaled(self, node: Node) -> tuple[Fraction, Node]:
        """Return (c, x) with node = c·x and x no multiple of another node."""
        operation = self.operation(node)
        return operation[1:] if operation[0] == "scale" else (Fraction(1), node)

    def scale(self, factor: Fraction, node: Node) -> Node:
        """Record a multiple of a node by a number."""
        number = self._number(node)
        if number is not None:
            return self.node(factor * number)
        previous, base = self.scaled(node)
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
        (c, x), (d, y) = self.scaled(left), self.scaled(right)
        if x is y:
            return self.scale(c + d, x)
        if c == d != 1:
            return self.scale(c, self.add(x, y))
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
        factor, base = self.scaled(node)
        return (factor, base) if factor == -1 else (Fraction(1), node)

    def power(self, base: Node, exponent: int) -> Node:
        """Record a whole power of a node, by repeated squaring."""
        if exponent == 0:
            return self.node(1)
        half = self.power(base, exponent // 2)
        square = half * half
        return square * base if exponent % 2 else square

    def polynomial(self, x: sympy.Expr, coefficients: Sequence[Node | int | Fraction]) -> Node:
        """Record c₀ + x (c₁ + x (c₂ + …))."""
        total = self.node(0)
        for coefficient in reversed(coefficients):
            total = total * self.convert(x) + self.node(coefficient)
        return total

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
        if hasattr(expression, "record"):
            return expression.record(self)
        if not isinstance(expression, sympy.Function) or not has_values(expression.func):
            raise InvalidLoss(f"{expression} has no numeric value that modeq can compute")
        return self.call(expression.func, *map(self.convert, expression.args))

    def _parameter(self, symbol: sympy.Symbol) -> Node:
        if symbol not in self._values:
            raise MissingParameter(
                f"the parameter {symbol} has no value; give "
                f"parameters={{{shortened(symbol.name)}: ...}}, "
                f"or name {symbol} among the variables"
            )
        return self.convert(self._values[symbol])

    def _convert_power(self, expression: sympy.Expr) -> Node:
        base, exponent = expression.base, expression.exp
        if exponent.is_Integer and exponent > 0:
            return self.power(self.convert(base), int(exponent))
        if exponent.is_Integer:
            return self.power(self.reciprocal(self.convert(base)), -int(exponent))
        if exponent == sympy.Rational(1, 2):
            return self.call(sympy.sqrt, self.convert(base))
        if exponent == -sympy.Rational(1, 2):
            return self.reciprocal(self.convert(sympy.sqrt(base)))
        return self._record(("power", self.convert(base), self.convert(exponent)))

    def reciprocal(self, node: Node) -> Node:
        """Record 1/node."""
        return self._record(("reciprocal", node))

    def call(self, function: Callable, *arguments: Node) -> Node:
        """Record the value of a function that all dialects have."""
        return self._record(("call", function, *arguments))

    def select(self, region: float | str, u: Node, inside: Node, outside: Node) -> Node:
        """Record one node where |u| < ``region``, or where the real part of u is "negative", and
        another elsewhere. Where both are the same in exact arithmetic the value is analytic in u.
        """
        return self._record(("select", region, u, inside, outside))

    def cost(self, outputs: Iterable[Node]) -> int:
        """Return the cost of computing some nodes, in multiplications of arrays."""
        weights = {"call": CALL_COST, "power": CALL_COST, "number": 0, "input": 0, "atom": 0}
        return sum(weights.get(self.operation(node)[0], 1) for node in self.reachable(outputs))

    def reachable(self, outputs: Iterable[Node]) -> list[Node]:
        """Return the nodes that some outputs depend on, each after all it depends on."""
        needed, stack = {}, list(outputs)
        while stack:
            node = stack.pop()
            if node.index not in needed:
                needed[node.index] = node
                stack.extend(self.arguments(node))
        return [needed[index] for index in sorted(needed)]

    def arguments(self, node: Node) -> list[Node]:
        """Return the nodes that a node is made from."""
        return [part for part in self.operation(node) if isinstance(part, Node)]
