"""What an order check found: errors at halved learning rates, and their slopes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modeq.shown import Shown

SLOPE_TOLERANCE = 0.1
"""How far a measured slope may be from the expected one."""

TOGETHER = "a method and a flow that start together"
SHIFTED = "a method that starts at rest, and a flow that starts where eq.start says"
UNSHIFTED = "a method that starts at rest, and a flow that starts at the same point"
"""How methods with memory and their flows start."""

FIXED_POINT = "the field vanishes at the start, where any counter terms pass; take another start"
"""Why a check sees nothing."""


@dataclass(frozen=True)
class OrderReport(Shown):
    """Errors of a flow at halved learning rates, and the slopes that they follow.

    Attributes:
        order: The order n of the flow.
        method: The name of the method.
        h: Learning rates, each half of the one before.
        local_errors: Largest coordinate of flow minus method after one step, for each h.
        global_errors: The same at the fixed time ``time``.
        local_slopes: log₂ of the ratio of successive local errors.
        global_slopes: log₂ of the ratio of successive global errors.
        expected_local: The slope that the local errors should have, or inf if they should vanish.
        expected_global: The slope that the global errors should have.
        time: The fixed time.
        digits: Decimal digits of the arithmetic.
        start: How the method and the flow start where the global errors are measured.
        unseen: Why the check could not see a difference, or an empty text.
    """

    order: int
    method: str
    h: tuple[float, ...]
    local_errors: tuple[float, ...]
    global_errors: tuple[float, ...]
    local_slopes: tuple[float, ...]
    global_slopes: tuple[float, ...]
    expected_local: float
    expected_global: float
    time: float
    digits: int
    start: str = TOGETHER
    unseen: str = ""

    @property
    def passed(self) -> bool:
        """Whether the last three slopes are within 0.1 of the expected ones, local and global, and
        other counter terms would not pass as well.
        """
        pairs = (
            (self.local_slopes, self.local_errors, self.expected_local),
            (self.global_slopes, self.global_errors, self.expected_global),
        )
        return not self.unseen and all(self._settled(*pair) for pair in pairs)

    def _settled(self, slopes: Sequence[float], errors: Sequence[float], expected: float) -> bool:
        if math.isinf(expected):
            return all(error == 0 for error in errors)
        last = slopes[-3:]
        return len(last) == 3 and all(abs(slope - expected) <= SLOPE_TOLERANCE for slope in last)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        head = (
            f"order {self.order} against {self.method}: {'passed' if self.passed else 'FAILED'}\n"
            f"         h   one-step error    slope   error at t = {self.time:<8.4g} slope"
        )
        rows = [
            f"{h:10.3e}   {local:14.3e}   {_slope(ls)}   {far:18.3e}   {_slope(gs)}"
            for h, local, ls, far, gs in zip(
                self.h,
                self.local_errors,
                (None, *self.local_slopes),
                self.global_errors,
                (None, *self.global_slopes),
                strict=True,
            )
        ]
        local, far = _slope(self.expected_local), _slope(self.expected_global)
        foot = [f"{'expected':>27}   {local}{'':24}{far}"]
        if self.start != TOGETHER:
            foot.append(f"errors at t = {self.time:.4g} are those of {self.start}")
        if self.unseen:
            foot.append(f"nothing is seen: {self.unseen}")
        return "\n".join([head, *rows, *foot])


def slopes_of(errors: Iterable[float]) -> tuple[float, ...]:
    """Return log₂ of the ratios of successive errors; nan where one of them is 0.

    >>> slopes_of([4.0, 1.0, 0.0])
    (2.0, nan)
    """
    return tuple(math.log2(a / b) if a > 0 and b > 0 else math.nan for a, b in pairwise(errors))


def _slope(slope: float | None) -> str:
    return f"{'' if slope is None else format(slope, '.3f'):>6}"
