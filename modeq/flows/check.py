"""Order checks: the flow against the optimizer itself, at halved learning rates.

With f̃ cut at hⁿ, one step of the flow misses the method by O(h^{n+2}), and at a fixed time the
error is O(h^{n+1}). Both are measured with as many digits as the errors need. Where counter terms
after hⁿ vanish the errors are smaller still; the expected slopes take that into account, from the
values of the next counter terms at the start, which come from running the method in power series
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from modeq.algebra.power_series import Vector
from modeq.checks import check_count, check_step, check_steps
from modeq.derivation.derive import ModifiedField
from modeq.derivation.start_shift import starts_at_rest
from modeq.errors import FlowError, InvalidMethod
from modeq.flows.experiment import AtRest, on_slow_manifold
from modeq.flows.fields import NumericField, gradient_field, part_fields, with_values
from modeq.flows.forms import is_short, numeric_field
from modeq.flows.integrate import check_start
from modeq.flows.next_terms import first_term, term_sizes
from modeq.flows.precise import (
    Number,
    PreciseField,
    Precision,
    digits_to_see,
    exact_number,
    exact_point,
    flow,
    is_finite,
    norm,
    precise_iterates,
)
from modeq.methods.multistep import LinearMultistep
from modeq.methods.named import Method
from modeq.methods.optimizer import Optimizer
from modeq.methods.tableaux_by_name import GradientDescent
from modeq.show.document import Block, Finding, Math, Picture, Pictures, Table, Text, number
from modeq.show.plots import Curve, draw_errors, panel
from modeq.show.shown import Plotted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLOPE_TOLERANCE = 0.1
"""How far a measured slope may be from the expected one."""

TOGETHER = "a method and a flow that start together"
SHIFTED = "a method that starts at rest, and a flow that starts where eq.start says"
UNSHIFTED = "a method that starts at rest, and a flow that starts at the same point"
"""How methods with memory and their flows start."""

FIXED_POINT = "the field vanishes at the start, where any counter terms pass; take another start"
"""Why a check sees nothing."""


@dataclass(frozen=True)
class OrderReport(Plotted):
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

    def draw(self, axes: Axes, kind: str = "global") -> None:
        """Draw the errors against h and the line of the expected slope.

        Args:
            axes: Where to draw.
            kind: "local" for the errors after one step, "global" for those at the fixed time.
        """
        draw_errors(axes, [self.curve(kind)])
        axes.set_ylabel("flow minus optimizer")

    def curve(self, kind: str) -> Curve:
        """Return the errors after one step, "local", or those at the fixed time, "global"."""
        errors = np.array(getattr(self, f"{kind}_errors"))
        return Curve(self.order, np.array(self.h), errors, getattr(self, f"expected_{kind}"))

    def show(self) -> list[Block]:
        """Return the verdict, a table, and the errors against h."""
        places = (("local", "after one step"), ("global", f"at t = {self.time:.4g}"))
        pictures = tuple(
            Picture(
                kind,
                f"Error {where} against the learning rate",
                partial(panel, partial(self.draw, kind=kind)),
            )
            for kind, where in places
        )
        words = Text(f"Order {self.order}, {self.method}")
        return [words, *self.findings(), Pictures(pictures)]

    def findings(self) -> list[Block]:
        """Return the verdict in words, and a table."""
        words = (
            f"{'Passed' if self.passed else 'Failed'}: expected slopes ",
            number(self.expected_local), " after one step and ", number(self.expected_global),
            f" at the fixed time t = {self.time:.4g}, measured ",
            _last(self.local_slopes), " and ", _last(self.global_slopes), ".",
            f" Nothing is seen: {self.unseen}." if self.unseen else "",
        )  # fmt: skip
        rows = tuple(
            (f"{h:.4g}", number(local), _cell(a), number(far), _cell(b))
            for h, local, a, far, b in zip(
                self.h,
                self.local_errors,
                (None, *self.local_slopes),
                self.global_errors,
                (None, *self.global_slopes),
                strict=True,
            )
        )
        far = f"error at t = {self.time:.4g}"
        head = (Math("h"), "error after one step", "slope", far, "slope")
        return [Finding(self.passed, words), Table(head, rows, numeric=True)]

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


def _last(slopes: tuple[float, ...]) -> str:
    return _cell(slopes[-1]) if slopes else "–"


def _cell(slope: float | None) -> str:
    return "" if slope is None else "–" if math.isnan(slope) else f"{slope:.3f}"


def _slope(slope: float | None) -> str:
    return f"{'' if slope is None else format(slope, '.3f'):>6}"


_MAX_HALVINGS = 12
_EXTRA_DIGITS = 12
FINE = 1e10
"""An error is seen that is this part of what is looked for where there should be none."""

REST_OF_MEMORY = 1e-3
"""What may be left of the memory at the fixed time, in parts of the error that is looked at."""


def check(
    modified: ModifiedField,
    theta0: Any,
    h: Any,
    steps: int = 4,
    parameters: Mapping | None = None,
    halvings: int = 3,
    shift: bool = True,
) -> OrderReport:
    """Measure the order of a flow against its method.

    The learning rate is halved at least ``halvings`` times, and then until the last three slopes
    are within 0.1 of the expected ones, at most twelve times. The fixed time is steps·h.

    One step is taken from where the flow belongs: a method with memory that needs k points starts
    with those of the flow at 0, h, …, (k-1)h, and its one step is the one after; an optimizer has
    the memory of its slow manifold. So it is at the fixed time, at least 2k·h, for methods whose
    start from rest has no exact series, such as Adam. Momentum starts at rest there, as people
    start it, and the flow where ``eq.start`` says, or at the same point with ``shift=False``, which
    makes the slope 1; the fixed time is at least what the memory needs to decay.

    Raises:
        InvalidPoint, InvalidStep, MissingParameter: The arguments cannot be right.
        FlowError: The flow or the method leaves the domain, or blows up.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.losses.loss import Loss
    >>> from modeq.methods.named import GradientDescent
    >>> report = check(derive_field(Loss("x**3/3"), 1, GradientDescent()), [0.5], h=0.125)
    >>> report.passed, round(report.local_slopes[-1]), round(report.global_slopes[-1])
    (True, 3, 2)
    """
    halvings, steps = check_count("halvings", halvings, 3), check_steps(steps)
    check_step(h)
    measurement = _Measurement(modified, theta0, exact_number(h), steps, parameters, shift)
    return measurement.report(halvings)


class _Measurement:
    """What stays the same while the learning rate is halved."""

    def __init__(
        self,
        modified: ModifiedField,
        theta0: Any,
        h: Fraction,
        steps: int,
        parameters: Mapping | None,
        shift: bool,
    ):
        self.modified = modified
        # A program is made from the method again, so it would hide an error in the counter terms.
        form = "expanded" if is_short(modified) else "program"
        self.field = numeric_field(modified, parameters, form)
        own, self.method = with_values(modified.loss, modified.method, parameters)
        self.parameters = own
        self.gradient = gradient_field(modified.loss, own)
        self.parts = part_fields(modified.loss, own)
        check_start(theta0, modified.loss, own)
        self.start, self.h = exact_point(theta0), h
        self.asked = self.steps = max(steps, 2 * _memory(self.method))
        found = first_term(modified.loss, [self.start], modified.order, own, self.method)
        if found:
            self.power, [self.size], [self.speed] = found.power, found.sizes, found.speeds
        else:
            self.power, self.size = math.inf, 0
            [self.speed] = term_sizes(modified.loss, self.start, 0, own, self.method)
        self.optimizer = None
        if isinstance(self.method, Optimizer):
            self.optimizer = on_slow_manifold(
                modified.loss, self.method, self.start, own, modified.order
            )
        self.shift = shift
        self.together = TOGETHER
        self.resting = self._at_rest(own)
        if self.resting:
            self.steps = max(self.asked, self._steps_to_decay())

    def _at_rest(self, parameters: Mapping) -> AtRest | None:
        """Return the method at rest if the start of its flow is known exactly."""
        if not starts_at_rest(self.method) or math.isinf(self.power):
            return None
        loss, order = self.modified.loss, self.modified.order
        try:
            return AtRest(loss, self.method, self.start, parameters, order, self.power)
        except InvalidMethod as error:
            reason = str(error).partition("; give")[0]
            self.together = f"{TOGETHER} on its slow manifold, because {reason}"
            return None

    def _steps_to_decay(self) -> int:
        """Return after how many steps nothing is left of the memory that is seen beside f_j."""
        if not self.resting.decay:
            # What forgets at once settles in a step for each power of h, in a few for each slot.
            return (self.power + 1) * len(self.method.memory)
        error = self.size / self.speed * self.size.context.mpf(float(self.h)) ** self.power
        return math.ceil(math.log(error * REST_OF_MEMORY) / math.log(self.resting.decay))

    def report(self, halvings: int) -> OrderReport:
        rows: list[tuple[Fraction, Number, Number]] = []
        rows.append(self._first_errors())
        for k in range(1, _MAX_HALVINGS + 1):
            rows.append(self._errors(self.h / 2**k, self.steps * 2**k))
            report = self._summary(rows)
            if k >= halvings and (report.passed or report.unseen):
                break
        return report

    def _first_errors(self) -> tuple:
        """Return the errors at h, or at the first of its halves at which momentum has a flow."""
        for _ in range(_MAX_HALVINGS):
            try:
                return self._errors(self.h, self.steps)
            except FlowError:
                # Momentum moves by h/(1-β): an h that suits the loss may be too large for it.
                if not self.resting:
                    raise
            self.h /= 2
            self.steps = max(self.asked, self._steps_to_decay())
        return self._errors(self.h, self.steps)

    def _digits(self, h: Fraction) -> int:
        """Return how many digits show the local error at h, and some more; where there should be
        none, how many show what another coefficient of hⁿ would change.
        """
        rate = self.speed.context.mpf(float(h))
        if math.isinf(self.power):
            seen = self.speed * rate * self._smallest(rate) / FINE
        else:
            seen = self.size * rate ** (self.power + 1)
        return digits_to_see(seen, self.start) + _EXTRA_DIGITS

    def _smallest(self, rate: Number) -> Number:
        """Return what another coefficient of hⁿ would change, as a part of the step: (h f'f/f)ⁿ."""
        speed, turn = term_sizes(
            self.modified.loss, self.start, 1, self.parameters, GradientDescent()
        )
        turned = 2 * turn / speed * rate if speed else 0
        return min(1, turned**self.modified.order) if turned else 1

    def _errors(self, h: Fraction, steps: int) -> tuple[Fraction, Number, Number, int]:
        digits = self._digits(h)
        with Precision(digits, *self._fields()) as precision:
            rate, start = precision.number(h), precision.vector(self.start)
            tolerance = precision.number(Fraction(1, 10 ** (digits - _EXTRA_DIGITS // 3)))
            rhs = precision.field(self.field, rate)
            one = _memory(self.method)
            iterates = self._iterates(precision, rhs, h, one if self.resting else steps, tolerance)
            errors = [norm(flow(rhs, start, rate * one, tolerance) - iterates[one])]
            if self.resting:
                iterates = self.resting.optimizer.iterates(precision, start, h, steps)
                start = self.resting.shifted(precision, start, h) if self.shift else start
            _refuse_infinite(iterates)
            errors.append(norm(flow(rhs, start, rate * steps, tolerance) - iterates[steps]))
            noise = tolerance * 100 * (1 + norm(start))
            local, far = (float(e) if e > noise else 0.0 for e in errors)
        return h, local, far, digits

    def _fields(self) -> list[NumericField]:
        optimizers = [self.optimizer, self.resting and self.resting.optimizer]
        steps = [optimizer.step for optimizer in optimizers if optimizer]
        return [self.field, self.gradient, *self.parts, *steps]

    def _iterates(
        self, precision: Precision, rhs: Callable, h: Fraction, steps: int, tolerance: Number
    ) -> list[Vector]:
        """Return the iterates of the method that starts where its flow is."""
        rate, first = precision.number(h), [precision.vector(self.start)]
        if self.optimizer is not None:
            return self.optimizer.iterates(precision, first[0], h, steps)
        while len(first) < _memory(self.method):
            first.append(flow(rhs, first[-1], rate, tolerance))
        f = PreciseField(precision, self.gradient, rate, self.parts)
        return precise_iterates(self.method, precision, f, first, rate, steps)

    def _summary(self, rows: Sequence[tuple]) -> OrderReport:
        h, local, far, digits = zip(*rows, strict=True)
        return OrderReport(
            order=self.modified.order,
            method=str(self.modified.method),
            h=tuple(map(float, h)),
            local_errors=local,
            global_errors=far,
            local_slopes=slopes_of(local),
            global_slopes=slopes_of(far),
            expected_local=self.power + 1,
            expected_global=min(self.power, self.resting.power) if self.resting else self.power,
            time=float(self.h * self.steps),
            digits=max(digits),
            start=(SHIFTED if self.shift else UNSHIFTED) if self.resting else self.together,
            unseen="" if self.speed else FIXED_POINT,
        )


def _memory(method: Method) -> int:
    """Return the number of points from which a method makes the next one."""
    return method.steps if isinstance(method, LinearMultistep) else 1


def _refuse_infinite(iterates: Sequence[Vector]) -> None:
    for step, theta in enumerate(iterates):
        if not is_finite(theta):
            raise FlowError(f"iterate {step} is not finite: the method diverges")
