"""Optimizers as update rules with memory: a function of the state, the gradient and h.

A rule gets the state (``state.theta`` and the memory, such as ``state.velocity``), the gradient as
a function of a point, the learning rate, and the parameters. It returns ``state.replace(…)``. All
slots are arrays with one entry for each coordinate, so a rule is written as it would be with NumPy,
with the functions of `modeq.methods.functions` where NumPy has its own:

    @optimizer(memory=["velocity"], beta=Fraction(9, 10))
    def momentum(state, grad, h, parameters):
        velocity = parameters.beta * state.velocity + grad(state.theta)
        return state.replace(theta=state.theta - h * velocity, velocity=velocity)

    momentum(beta=0.5)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import wraps
from types import SimpleNamespace
from typing import Any

from modeq.algebra.entries import (
    Entry,
    exact,
    one_warning,
    symbols_of,
    values_of,
    with_values,
)
from modeq.checks import flag, refuse_unknown, several, shortened
from modeq.errors import InvalidMethod, visible
from modeq.losses.formula_latex import number_latex
from modeq.show.document import Block, Math, Table, Text
from modeq.show.shown import Shown

UpdateRule = Callable[["State", Callable, Any, SimpleNamespace], "State"]

REQUIRED = ...
"""The default of a parameter that has none."""


class State:
    """The point and the memory of an optimizer.

    >>> state = State(theta=1.0, velocity=0.0)
    >>> state.replace(velocity=2.0).velocity
    2.0
    """

    def __init__(self, **slots: Any):
        self.__dict__.update(slots)

    def replace(self, **changes: Any) -> State:
        """Return the state with new values in some slots.

        Raises:
            InvalidMethod: A name is not that of a slot.
        """
        for name in changes:
            if name not in self.__dict__:
                raise InvalidMethod(
                    f"the state has no {shortened(name)}; it has {', '.join(self.__dict__)}"
                )
        return State(**{**self.__dict__, **changes})


@dataclass(frozen=True)
class Interval:
    """Where the values of a parameter must lie: from ``low`` to ``high``, ends out unless closed.

    >>> print(Interval(0, 1, closed_low=True))
    in [0, 1)
    >>> 1 in Interval(0, 1)
    False
    """

    low: float
    high: float = float("inf")
    closed_low: bool = False
    closed_high: bool = False

    def __contains__(self, value: Any) -> bool:
        # Roots, and sympy's numbers, are compared as floats.
        number = value if isinstance(value, Fraction | int) else float(value)
        above = number >= self.low if self.closed_low else number > self.low
        return above and (number <= self.high if self.closed_high else number < self.high)

    def __str__(self) -> str:
        if self.high == float("inf"):
            return f"{'>=' if self.closed_low else '>'} {self.low}"
        left, right = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"in {left}{self.low}, {self.high}{right}"


FRACTION_OF_ONE = Interval(0, 1, closed_low=True)
POSITIVE = Interval(0)
NOT_NEGATIVE = Interval(0, closed_low=True)


@dataclass(frozen=True)
class Optimizer(Shown):
    """An update rule with memory and values for its parameters; made by ``optimizer``.

    Attributes:
        rule: The update rule (state, grad, h, parameters) -> state.
        memory: The names of the slots beside theta.
        parameters: Pairs of a name and a value: exact numbers, or sympy expressions.
        name: What to call the optimizer in print.
        options: Pairs of a name and a value that is no number, such as a choice between two forms.
            The rule finds them among the parameters.
        ranges: Pairs of a name and where the value of that parameter must lie. Symbols are taken to
            lie there.

    Raises:
        InvalidMethod: A value is no number or out of its range, or a slot cannot have its name.
    """

    rule: UpdateRule
    memory: tuple[str, ...]
    parameters: tuple[tuple[str, Entry], ...] = ()
    name: str = field(default="optimizer", compare=False)
    options: tuple[tuple[str, Any], ...] = ()
    ranges: tuple[tuple[str, Interval], ...] = field(default=(), compare=False, repr=False)

    @one_warning()
    def __post_init__(self):
        for i, slot in enumerate(self.memory):
            if not _is_slot(slot) or slot in self.memory[:i]:
                raise InvalidMethod(
                    f"a slot of the memory of {self.name} is {shortened(slot)}; slots are "
                    f"different names "
                    f"other than theta and replace"
                )
        ranges = dict(self.ranges)
        parameters = tuple(
            (key, _checked(value, key, ranges.get(key), self.name))
            for key, value in self.parameters
        )
        object.__setattr__(self, "parameters", parameters)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The values of the parameters."""
        return tuple(value for _, value in self.parameters)

    @property
    def symbols(self) -> frozenset:
        """The symbols in the parameters."""
        return symbols_of(self.entries)

    def subs(self, values: Mapping) -> Optimizer:
        """Return the same optimizer with symbols, or those of some names, replaced by values.

        Raises:
            InvalidMethod: A key is no symbol of the optimizer, or a value is out of its range.
        """
        values = values_of(values, self.symbols)
        parameters = tuple((name, with_values(v, values, name)) for name, v in self.parameters)
        return replace(self, parameters=parameters)

    def step(self, state: State, grad: Callable, h: Any, number: Callable) -> State:
        """Return the next state, with the parameters converted by ``number``.

        Raises:
            InvalidMethod: The rule returns something else than the next state.

        >>> descent = optimizer()(lambda state, grad, h, p: state.replace(
        ...     theta=state.theta - h * grad(state.theta)))()
        >>> descent.step(State(theta=1.0), lambda theta: theta, 0.5, float).theta
        0.5
        """
        numbers = {name: number(value) for name, value in self.parameters}
        values = SimpleNamespace(**numbers, **dict(self.options))
        following = self.rule(state, grad, h, values)
        if not isinstance(following, State):
            raise InvalidMethod(
                f"the rule of {self.name} returned {shortened(following)}; it must return "
                f"state.replace(theta=..., ...)"
            )
        return following

    def show(self) -> list[Block]:
        """Return the parameters, the options, and what it carries from step to step."""
        rows = [(name, Math(number_latex(value))) for name, value in self.parameters]
        for name, value in self.options:
            said = ("no", "yes")[value] if isinstance(value, bool) else str(value)
            rows.append((name, said))
        carried = ", ".join(self.memory) or "nothing"
        return [Text(str(self)), Table(("", ""), (*rows, ("carries", carried)))]

    def __str__(self) -> str:
        return visible(self.name)


def optimizer(
    memory: Iterable[str] = (),
    *,
    name: str | None = None,
    ranges: Mapping[str, Interval] | None = None,
    **defaults: Any,
) -> Callable[[UpdateRule], Callable[..., Optimizer]]:
    """Make a function of the parameters, which returns an Optimizer, from an update rule.

    Args:
        memory: The names of the slots of the state beside theta. They start from zero.
        name: What to call the optimizer in print; without it the name of the rule.
        ranges: Where the values of parameters must lie. Symbols are taken to lie there.
        defaults: The parameters, with their defaults; ``...`` for those that must be given.

    Example:
        >>> @optimizer(memory=["velocity"], ranges={"beta": FRACTION_OF_ONE}, beta=...)
        ... def momentum(state, grad, h, parameters):
        ...     velocity = parameters.beta * state.velocity + grad(state.theta)
        ...     return state.replace(theta=state.theta - h * velocity, velocity=velocity)
        >>> momentum(beta=0.5).entries
        (Fraction(1, 2),)

    Raises (the function that is returned):
        InvalidMethod: A parameter is unknown, missing, no number, or out of range.
    """
    slots = (memory,) if isinstance(memory, str) else several(memory, "memory", InvalidMethod)

    def decorate(rule: UpdateRule) -> Callable[..., Optimizer]:
        shown = name or getattr(rule, "__name__", "optimizer").replace("_", " ")

        def make(**given: Any) -> Optimizer:
            refuse_unknown(given, defaults, shown)
            values = {**defaults, **given}
            for key, value in values.items():
                if value is REQUIRED:
                    raise InvalidMethod(f"{shown} needs a value for {key}")
            return with_parameters(rule, slots, shown, ranges or {}, **values)

        make.__name__ = getattr(rule, "__name__", "optimizer")
        make.__doc__ = rule.__doc__
        return make

    return decorate


def _is_slot(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and name not in ("theta", "replace")


def _checked(value: Any, name: str, interval: Interval | None, owner: str) -> Entry:
    """Return a parameter as an exact number, if it is one in its range."""
    entry = exact(value, f"{name} of {owner}")
    if interval is not None and not symbols_of([entry]) and entry not in interval:
        raise InvalidMethod(f"{name} of {owner} is {value}; it must be {interval}")
    return entry


def checks_names(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of named parameters refuse unknown names with the nearest that it knows.

    >>> @checks_names
    ... def Momentum(beta=0.9): ...
    >>> Momentum(betta=0.9)
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: Momentum has no parameter 'betta': did you mean 'beta'? it has beta
    """
    known = inspect.signature(make).parameters

    @wraps(make)
    def checking(*given: Any, **named: Any) -> Any:
        refuse_unknown(named, known, make.__name__)
        return make(*given, **named)

    return checking


def with_parameters(
    rule: UpdateRule,
    memory: Iterable[str],
    name: str,
    ranges: Mapping[str, Interval],
    options: Mapping[str, bool] | None = None,
    **values: Any,
) -> Optimizer:
    """Return the optimizer of a rule with these values of its parameters, once they are checked.

    Raises:
        InvalidMethod: A value is no number or out of its range, or an option is neither True nor
            False.

    >>> with_parameters(lambda *_: None, [], "descent", {"rate": POSITIVE}, rate=-1)
    Traceback (most recent call last):
    modeq.errors.InvalidMethod: rate of descent is -1; it must be > 0
    """
    for key, value in (options or {}).items():
        flag(value, f"{key} of {name}")
    return Optimizer(
        rule,
        tuple(memory),
        tuple(values.items()),
        name,
        tuple((options or {}).items()),
        tuple(ranges.items()),
    )


def memory_slots(state: State, names: Sequence[str]) -> list[Any]:
    """Return theta and the memory, in order.

    >>> memory_slots(State(v=2, theta=1), ["v"])
    [1, 2]
    """
    return [getattr(state, slot) for slot in ("theta", *names)]
