"""Where networks with ReLU units are not smooth: units at zero, and paths that change pieces."""

from __future__ import annotations

from dataclasses import dataclass

Pattern = tuple[tuple[tuple[bool, ...], ...], ...]
"""For each hidden layer and data point, whether each unit is on."""


@dataclass(frozen=True)
class Kink:
    """A unit whose input is zero.

    Attributes:
        layer: The layer, 1 for the first hidden one.
        unit: The unit in it, from 1.
        point: The data point, from 1.
        value: Its input.
    """

    layer: int
    unit: int
    point: int
    value: float

    def __str__(self) -> str:
        unit = f"unit {self.unit} of layer {self.layer}"
        return f"{unit} has the input {self.value:.3g} at point {self.point}"


@dataclass(frozen=True)
class Crossing:
    """Where a path leaves the piece of its point before.

    Attributes:
        step: The index of the first point on the other side.
        units: Triples (layer, unit, data point), from 1, of the units that changed sides.
    """

    step: int
    units: tuple[tuple[int, int, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"unit {u} of layer {j} at point {i}" for j, u, i in self.units[:4])
        more = f" and {len(self.units) - 4} more" if len(self.units) > 4 else ""
        return f"at step {self.step}: {shown}{more} changed sides"
