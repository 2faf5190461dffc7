"""One step of an optimizer with memory as expressions, and where its memory rests.

The state is (θ, M), and one step is

    θ⁺ = θ + h U(θ, M, h),        M⁺ = N(θ, M, h).

At h = 0 the memory must contract to one point M₀(θ), which N must be affine about: N(θ, M, 0) =
J M + c(θ). More generally the memory may be a cascade of blocks, each affine in itself, with c and
all else a smooth function of the blocks before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import cycle, product
from typing import Any

import numpy as np
import sympy

from modeq.derivation.evaluate import SeriesField, inverse_root
from modeq.derivation.ring import DifferentialRing
from modeq.errors import InvalidMethod, NotSmooth
from modeq.losses.expansion import from_leaves, rebuilt
from modeq.losses.loss import Field, H
from modeq.losses.objects import without_floats
from modeq.methods.optimizer import Optimizer, State, memory_slots

Components = tuple[sympy.Expr, ...]


class OptimizerMap:
    """One step of an optimizer on a field, as expressions in θ, the memory, and h.

    Attributes:
        variables: The symbols of θ.
        h: The symbol of the learning rate.
        memory: The symbols of the memory, slot by slot.
        theta: The components of θ⁺.
        following: The components of M⁺.
        fixed: M₀ as expressions in θ.
        jacobian: The matrix J. In a cascade its entries between blocks need not be constants.
        blocks: The blocks of the cascade: their indices in the memory, and (I - J)⁻¹ of each.

    Raises:
        InvalidMethod: The update rule is not of the form above, or its memory does not contract.
        NotSmooth: A root or a quotient in the rule has the base 0 wherever the memory rests.
    """

    def __init__(
        self, method: Optimizer, components: Sequence[sympy.Expr], variables: Sequence[sympy.Symbol]
    ):
        self.method = method
        self.h = H
        self.variables = tuple(variables)
        self._components = tuple(components)
        slots = [[sympy.Dummy(f"{slot}_{x}") for x in variables] for slot in method.memory]
        self.memory = tuple(symbol for slot in slots for symbol in slot)
        self.theta, self.following = self._run(slots)
        self._refuse_jumps()
        self.jacobian = self._jacobian()
        self.blocks = [self._block(indices) for indices in self._cascade()]
        self._rest: dict[sympy.Symbol, sympy.Expr] = {H: sympy.S.Zero}
        self._at_rest: dict[sympy.Basic, sympy.Basic] = {}
        self._vanishing: dict[sympy.Expr, bool] = {}
        self.fixed = self._fixed_point()
        for x, entry in zip(cycle(self.variables), (*self.theta, *self.following), strict=False):
            self._refuse_corners(entry, x)

    def _run(self, slots: Sequence) -> tuple[Components, Components]:
        """Return θ⁺ and M⁺ by running the rule over symbols."""
        names = self.method.memory
        memory = {name: _array(slot) for name, slot in zip(names, slots, strict=True)}
        state = State(theta=_array(self.variables), **memory)
        try:
            following = self.method.step(state, self._gradient, H, sympy.sympify)
            parts = [_entries(part, len(self.variables)) for part in memory_slots(following, names)]
        except (TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InvalidMethod):
                raise
            raise InvalidMethod(
                f"the rule of {self.method} cannot be run over symbols: {error}; it may use "
                f"arithmetic, grad, and the functions of modeq.methods.functions"
            ) from error
        theta, *memory = parts
        return tuple(theta), tuple(entry for part in memory for entry in part)

    def _gradient(self, point: Any) -> np.ndarray:
        values = dict(zip(self.variables, _entries(point, len(self.variables)), strict=True))
        return _array([-f.xreplace(values) for f in self._components])

    def at_rest(self, expression: sympy.Expr) -> sympy.Expr:
        """Return an expression at h = 0 and on the slow manifold there."""
        return rebuilt(expression, self._rested, self._at_rest)

    def _rested(self, part: sympy.Basic) -> sympy.Basic:
        if _is_root(part):
            return _factored(part.base) ** part.exp
        return self._rest.get(part, part)

    def _settle(self, values: Mapping[sympy.Symbol, sympy.Expr]) -> None:
        """Say what symbols are at rest; what was found with others there is forgotten."""
        self._rest |= values
        self._at_rest.clear()

    def _refuse_jumps(self) -> None:
        for x, entry in zip(self.variables, self.theta, strict=True):
            moved = _simplified(_without_h(entry) - x)
            if moved != 0:
                raise InvalidMethod(
                    f"at h = 0 the rule of {self.method} moves {x} by {moved}; it must be a "
                    f"multiple of h"
                )

    def _refuse_corners(self, entry: sympy.Expr, x: sympy.Symbol) -> None:
        """Raise NotSmooth if a root or a quotient has the base 0 on all of the slow manifold."""
        # From the inside to the outside, so that what is looked at is made of finite parts.
        for node in from_leaves(entry):
            if _is_root(node) and self._vanishes(self.at_rest(node.base)):
                raise NotSmooth(
                    f"the rule of {self.method} is not smooth for the coordinate {x}: it takes a "
                    f"root of, or divides by, what is 0 at h = 0 wherever the memory rests (as in "
                    f"the sign of 0, or the root of a variance with no epsilon inside); put a "
                    f"positive epsilon inside, or leave out variables that the loss does not "
                    f"depend on"
                )

    def _vanishes(self, base: sympy.Expr) -> bool:
        """Tell whether an expression in θ is 0 everywhere, as far as the ring of it can tell."""
        if base not in self._vanishing:
            symbols = sorted(base.free_symbols - {*self.variables}, key=sympy.default_sort_key)
            ring = DifferentialRing(self.variables, symbols, [base], depth=1)
            self._vanishing[base] = ring.vanishes(ring.convert(base))
        return self._vanishing[base]

    def _jacobian(self) -> sympy.Matrix:
        """Return the derivatives of N by M at h = 0."""
        memory = list(map(_without_h, self.following))
        size = len(memory)
        entries = [_simplified(entry.diff(y)) for entry in memory for y in self.memory]
        return sympy.Matrix(size, size, entries)

    def _varies(self, entry: sympy.Expr) -> bool:
        return not entry.free_symbols.isdisjoint({*self.variables, *self.memory})

    def _cascade(self) -> list[tuple[int, ...]]:
        """Return the indices of the memory in groups, each of which needs only those before: all
        in one group where J is a constant.
        """
        everything = tuple(range(len(self.memory)))
        if not any(map(self._varies, self.jacobian)):
            return [everything] if everything else []
        needs = {i: {i, *(j for j in everything if self.jacobian[i, j] != 0)} for i in everything}
        for k, i in product(everything, everything):
            if k in needs[i]:
                needs[i] |= needs[k]
        groups = {tuple(j for j in everything if needs[j] == needs[i]) for i in everything}
        return sorted(groups, key=lambda group: (len(needs[group[0]]), group))

    def _block(self, indices: tuple[int, ...]) -> tuple[tuple[int, ...], sympy.Matrix]:
        """Return a block of the memory with its (I - J)⁻¹, once it is known to contract."""
        matrix = self.jacobian.extract(indices, indices)
        for entry in filter(self._varies, matrix):
            raise InvalidMethod(
                f"the memory of {self.method} is not updated linearly: a derivative of "
                f"{self.memory[indices[0]].name} is {entry}; at h = 0 it must be a constant"
            )
        _refuse_unless_contracting(matrix, self.method)
        return indices, (sympy.eye(len(indices)) - matrix).inv()

    def _fixed_point(self) -> Components:
        for indices, inverse in self.blocks:
            symbols = [self.memory[i] for i in indices]
            following = [self.following[i] for i in indices]
            # A block is affine in itself, so that its roots are those of what rests already.
            self._settle(dict.fromkeys(symbols, sympy.S.Zero))
            for i, entry in zip(indices, following, strict=True):
                self._refuse_corners(entry, self.variables[i % len(self.variables)])
            constant = sympy.Matrix([self.at_rest(entry) for entry in following])
            self._settle(dict(zip(symbols, map(_factored, inverse * constant), strict=True)))
        return tuple(self._rest[symbol] for symbol in self.memory)

    @property
    def expressions(self) -> tuple[sympy.Expr, ...]:
        """What a ring must contain to hold the field: all functions as they are at h = 0."""
        nodes = {
            node
            for entry in (*self.theta, *self.following)
            for node in from_leaves(entry)
            if node.is_Pow or node.is_Function
        }
        # The powers of a series start from that of its first coefficient, and from a root of it.
        nodes |= {inverse_root(node)[0] for node in nodes if _is_root(node)}
        at_rest = sorted(map(self.at_rest, nodes), key=sympy.default_sort_key)
        return (*at_rest, *self.fixed, *(entry for _, inverse in self.blocks for entry in inverse))


_NOT_FINITE = {sympy.I, sympy.nan, sympy.zoo, sympy.oo, -sympy.oo}


def _without_h(expression: sympy.Expr) -> sympy.Expr:
    return rebuilt(expression, lambda part: sympy.S.Zero if part == H else part)


def _simplified(expression: sympy.Expr) -> sympy.Expr:
    return expression if expression.is_Rational else sympy.simplify(expression)


def _is_root(node: sympy.Basic) -> bool:
    """Tell whether a node is a power that no polynomial contains."""
    return node.is_Pow and not (node.exp.is_Integer and node.exp > 0)


@lru_cache(10_000)
def _factored(expression: sympy.Expr) -> sympy.Expr:
    """Return the factors of a polynomial in variables and functions, so that equal bases of roots
    look the same, whatever they were made from.
    """
    masks: dict[sympy.Expr, sympy.Dummy] = {}
    polynomial = _masked(expression, masks)
    return sympy.factor(polynomial).xreplace({mask: node for node, mask in masks.items()})


def _masked(node: sympy.Expr, masks: dict[sympy.Expr, sympy.Dummy]) -> sympy.Expr:
    """Return the polynomial with a symbol from ``masks`` for each function in it."""
    if node.is_Add or node.is_Mul:
        return node.func(*(_masked(part, masks) for part in node.args))
    if node.is_Pow and not _is_root(node):
        return _masked(node.base, masks) ** node.exp
    if node.is_Atom:
        return node
    return masks.setdefault(node, sympy.Dummy())


def _array(entries: Sequence) -> np.ndarray:
    array = np.empty(len(entries), object)
    array[:] = list(entries)
    return array


def _entries(part: Any, dimension: int) -> list[sympy.Expr]:
    """Return the entries of a slot as exact expressions."""
    array = np.asarray(part, object)
    if array.shape != (dimension,):
        raise InvalidMethod(
            f"a slot of the state has the shape {array.shape}; it must be ({dimension},), one "
            f"entry for each coordinate"
        )
    entries = [without_floats(sympy.sympify(entry, strict=True)) for entry in array.tolist()]
    for entry in entries:
        if not _NOT_FINITE.isdisjoint(from_leaves(entry)):
            raise InvalidMethod(f"a slot of the state has the entry {entry}, no finite real number")
    return entries


def _refuse_unless_contracting(jacobian: sympy.Matrix, method: Optimizer) -> None:
    """Raise InvalidMethod if an eigenvalue of J is known not to be inside the unit circle."""
    if not len(jacobian):
        return
    if jacobian.free_symbols:
        found = list(jacobian.diagonal()) if jacobian.is_diagonal() else list(jacobian.eigenvals())
        wrong = [value for value in found if value.is_number and abs(value) >= 1]
    else:
        values = np.linalg.eigvals(np.array(jacobian.tolist(), float))
        wrong = [value for value in values if abs(value) >= 1 - 1e-12]
    if wrong:
        raise InvalidMethod(
            f"the memory of {method} does not contract: its update has the eigenvalue "
            f"{_shown(wrong[0])}, which is not inside the unit circle"
        )


def _shown(value: Any) -> str:
    number = complex(value)
    return f"{number.real:.6g}" if number.imag == 0 else f"{number:.6g}"


def optimizer_map(method: Optimizer, field: Field | SeriesField) -> OptimizerMap:
    """Return one step of an optimizer on a field, made once."""
    return _optimizer_map(method, tuple(field.forces), tuple(field.variables))


_optimizer_map = lru_cache(maxsize=32)(OptimizerMap)
