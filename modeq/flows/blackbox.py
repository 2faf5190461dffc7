"""The modified field of any optimizer whose step can be called, and nothing else be known of.

Along the iterates θ₀, θ₁, … of ``step``

    h f̃(θ₀) = Σ_{s=0}^{n} v_s (θ_{s+1} - θ_s),        v = ``increment_weights(n)``,

is right up to and including hⁿ⁺¹: the order n takes n + 1 steps. Points may be numbers, NumPy
arrays, JAX arrays, PyTorch tensors, or lists, tuples and dicts of these, which are only added,
subtracted and multiplied by floats; ``modeq.networks.blackbox_field`` takes modules as well.
Differences of successive iterates are taken first, which rounds less than a weighted sum of
iterates does.

What rounding does to a field that is made from steps, and the order at which it wins.

With the slopes s_k = (θ_{k+1} - θ_k)/h along the iterates, the field of order n is

    f̃ = Σ_{k=0}^{n} (-1)^k/(k+1) Δᵏ s₀ = Σ_k v_k s_k.

What it misses is about the next term, |Δⁿ⁺¹ s₀|/(n + 2), which falls like hⁿ⁺¹. What rounding adds
grows with the weights: errors of size σ in the slopes, independent of each other, give

    σ (Σ_k v_k²)^½ = σ · (1, 1.6, 2.2, 3.0, 4.4, 6.5, 10, 17, 28)    for n = 0, …, 8.

Where the two meet is the best order. σ is measured: from starts that are close the same steps are
rounded differently, and the second difference

    E_k = s_k(θ(1 + δ)) - 2 s_k(θ) + s_k(θ(1 - δ))

keeps nothing but rounding, with a variance of 6 σ², if δ² is well below the ε of the arithmetic.
But δ must be well above ε, or what is rounded has the same last digits: δ = ε^⅔ (derived here; the
idea of measuring noise by differences is Hamming's, and that of Moré and Wild, Estimating
computational noise, 2011). The arithmetic may be coarser than the type of the weights, as products
in bfloat16 are; the ε of it is then told by the differences along the iterates: those of smooth
slopes fall with k, while rounding gives Δᵏ s₀ the variance C(2k, k) σ².
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from modeq.algebra.logarithm import increment_weights
from modeq.checks import check_order, check_step
from modeq.errors import FlowError, InvalidMethod, InvalidPoint, RoundOffWarning
from modeq.show.shown import Shown

COARSEST = 2.0**-7
"""The largest ε that is looked for: that of bfloat16."""

FALLING = 0.3
"""How much smaller, in σ, a difference is than the one before, where slopes are smooth: for z = hλ
it is about z/2, and for noise 1.
"""


@dataclass(frozen=True)
class RoundOff(Shown):
    """What the fields of orders 0, 1, … at a point miss, and what rounding adds.

    Attributes:
        truncation: The Euclidean norm of the first term that is left out, of shape (orders,).
        round_off: That of the rounding error, of shape (orders,).

    Example:
        >>> found = RoundOff(np.array([1e-2, 1e-5, 1e-8]), np.array([1e-7, 2e-7, 4e-7]))
        >>> found.best_order
        2
        >>> print(found)
        order   left out   rounding
            0    1.0e-02    1.0e-07
            1    1.0e-05    2.0e-07
            2    1.0e-08    4.0e-07   best
    """

    truncation: np.ndarray
    round_off: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The sum of both, of shape (orders,)."""
        return self.truncation + self.round_off

    @property
    def best_order(self) -> int:
        """The order with the smallest sum of both."""
        return int(np.argmin(self.total))

    def __str__(self) -> str:
        rows = [
            f"{order:5}   {missed:8.1e}   {added:8.1e}{'   best' * (order == self.best_order)}"
            for order, (missed, added) in enumerate(
                zip(self.truncation, self.round_off, strict=True)
            )
        ]
        return "\n".join(["order   left out   rounding", *rows])


def perturbation(epsilon: float) -> float:
    """Return δ, the relative distance of the starts from which rounding is measured.

    >>> round(perturbation(2.0**-52), 13)
    3.67e-11
    """
    return epsilon ** (2 / 3)


def left_out(slopes: np.ndarray) -> np.ndarray:
    """Return |Δⁿ⁺¹ s₀|/(n + 2) for n = 0, 1, …, from slopes of shape (steps, entries).

    >>> left_out(np.array([[1.0], [0.5], [0.25]]))  # 1/2 · 1/2, 1/3 · 1/4
    array([0.25      , 0.08333333])
    """
    sizes = []
    row = slopes
    while len(row) > 1:
        row = np.diff(row, axis=0)
        sizes.append(np.linalg.norm(row[0]) / (len(sizes) + 2))
    return np.array(sizes)


def amplification(order: int) -> float:
    """Return (Σ v_k²)^½, by which independent errors of the slopes grow.

    >>> round(amplification(1), 3)
    1.581
    """
    return float(sum(v * v for v in increment_weights(order))) ** 0.5


def measured(
    slopes: np.ndarray, above: np.ndarray, below: np.ndarray, scale: float = 1.0
) -> RoundOff:
    """Return what is left out and what rounding adds, from slopes along three starts.

    Args:
        slopes: From θ, of shape (n + 2, entries) for orders up to n.
        above: From θ(1 + δ).
        below: From θ(1 - δ).
        scale: What norms are multiplied by, where only a sample of the entries is given.
    """
    noise = above - 2 * slopes + below
    added = [
        np.linalg.norm(np.array(increment_weights(order), float) @ noise[: order + 1]) / np.sqrt(6)
        for order in range(len(slopes) - 1)
    ]
    return RoundOff(scale * left_out(slopes), scale * np.array(added))


def shift_for(slopes: np.ndarray, epsilon: float) -> float:
    """Return δ for slopes along the iterates: that of ε, or of what the differences show instead.

    >>> shift_for(np.exp(-0.01 * np.arange(4.0))[:, None], 2.0**-52) == perturbation(2.0**-52)
    True
    >>> shift_for(np.array([[1.0], [1.001], [1.0], [1.001]]), 2.0**-52) > 1e-3
    True
    """
    if _falls(slopes):
        return perturbation(epsilon)
    size = float(np.linalg.norm(slopes[0]))
    found = _spread(slopes, len(slopes) - 1)
    coarse = found / size if found and size else COARSEST
    return perturbation(max(epsilon, min(coarse, COARSEST)))


def better_order(
    slopes: np.ndarray, epsilon: float, measured_noise: Callable[[float], float]
) -> int | None:
    """Return a lower order that is as good, if the last term of an order is mostly noise.

    It is if C(2n, n) σ² is more than half of the square of Δⁿ s₀. There is one slope more than the
    order takes, so that Δⁿ⁺¹ s₀ tells whether to measure σ: what is smooth falls.

    Args:
        slopes: s₀, …, s_{n+1}, of shape (n + 2, entries).
        epsilon: The ε of the weights.
        measured_noise: A function of δ that returns σ from the slopes at θ(1 + δ), θ and θ(1 - δ).

    >>> slopes = np.exp(-0.01 * np.arange(10.0))[:, None]
    >>> rounded = slopes + 1e-8 * np.random.default_rng(0).normal(size=(10, 1))
    >>> better_order(slopes[:6], 2.0**-52, lambda delta: 1e-17)
    >>> better_order(rounded, 2.0**-26, lambda delta: 1e-8)
    3
    """
    order = len(slopes) - 2
    if order == 0 or not np.all(np.isfinite(slopes)) or not np.any(slopes[0]) or _falls(slopes):
        return None
    sigma = measured_noise(shift_for(slopes, epsilon))
    if not 2 * sigma**2 > _spread(slopes, order) ** 2:
        return None
    added = sigma * np.array([amplification(n) for n in range(order)])
    return int(np.argmin(left_out(slopes)[:order] + added))


def _falls(slopes: np.ndarray) -> bool:
    last, before = (_spread(slopes, len(slopes) - k) for k in (1, 2))
    return last < FALLING * before


def _spread(slopes: np.ndarray, k: int) -> float:
    """Return |Δᵏ s₀| C(2k, k)^-½: the σ of slopes that are nothing but noise."""
    return float(np.linalg.norm(np.diff(slopes, k, axis=0)[0])) / math.comb(2 * k, k) ** 0.5


def second_difference(middle: np.ndarray, above: np.ndarray, below: np.ndarray) -> float:
    """Return σ from slopes at θ, θ(1 + δ) and θ(1 - δ).

    >>> second_difference(np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([0.0, 1.0]))
    0.0
    """
    return float(np.linalg.norm(above - 2 * middle + below)) / 6**0.5


Point = TypeVar("Point")
_Step = Callable[[Point], Point]

MOST_ROUNDINGS = 100.0
"""How many times larger than one rounding two answers of the same step may differ by."""

_SAMPLE = 1_024
"""About how many entries of the steps are kept for estimates of round-off."""


def blackbox_field(step: _Step, order: int, *, h: float = 1.0, check: bool = True) -> BlackboxField:
    """Return the modified field of a one-step method, from n + 1 of its steps.

        f̃(θ₀) = 1/h Σ_{s=0}^{n} v_s (θ_{s+1} - θ_s)

    Args:
        step: θ after one step of the learning rate h, as a new object.
        order: The highest power n of h that is right.
        h: The learning rate, which is the unit of time; without it, time counts steps.
        check: Whether steps that are not finite, and orders whose last term is mostly noise, are
            complained of. That takes one step more, and waits for the result of each step.

    Raises:
        InvalidOrder, InvalidStep: The order or the learning rate is none.

    Returns:
        ``field(theta)``, of the shape and the kind of θ.

    Example:
        >>> field = blackbox_field(lambda theta: theta - 0.125 * theta, order=1, h=0.125)
        >>> field(np.array([1.0, 2.0]))  # -x - h x/2
        array([-1.0625, -2.125 ])

    References:
        Derived here; see ``modeq.algebra.logarithm``.
    """
    return BlackboxField(step, order, h=h, check=check)


class BlackboxField(Shown):
    """A function ``field(theta)`` that calls a step n + 1 times; see above.

    Attributes:
        step: The step.
        order: The highest power n of h that is right.
        h: The learning rate.
    """

    def __init__(self, step: _Step, order: int, *, h: float = 1.0, check: bool = True):
        self.step = step
        self.order = check_order(order)
        self.h = check_step(h)
        self._check = check
        self._is_repeatable = False
        self._weights = [float(v) / self.h for v in increment_weights(self.order)]

    def __call__(self, theta: Point) -> Point:
        """Return the field at a point.

        Raises:
            InvalidPoint: The point is not finite.
            FlowError: A step is not finite.
            InvalidMethod: The step returns nothing, or the same object, changed; or it answers
                differently when it is called again at the same point.
        """
        is_checked = self._check and not any(map(_is_traced, _leaves(theta)))
        if is_checked:
            _check_start(theta)
        total, samples, state = None, [_sample(theta)] if is_checked else [], theta
        for number, weight in enumerate(self._weights, 1):
            following = self._next(state, number, len(self._weights), is_checked)
            total = _map(_adder(weight), following, state, *(() if total is None else (total,)))
            state = following
            if is_checked:
                samples.append(_sample(state))
        if is_checked:
            self._check_repeatable(theta, samples[1])
            self._warn_of_round_off(theta, state, samples)
        return total

    def round_off(self, theta: Point, max_order: int = 12) -> RoundOff:
        """Return what the fields of orders 0, …, ``max_order`` leave out, and what rounding adds.

        It takes three runs of ``max_order`` + 2 steps, from points that are close.

        >>> def step(theta):
        ...     return theta - np.float32(0.01) * np.sin(theta)
        >>> found = blackbox_field(step, 2, h=0.01).round_off(np.linspace(1, 2, 99, dtype="f"))
        >>> found.best_order in (1, 2)
        True
        """
        steps = check_order(max_order) + 2
        run = self._slopes(theta, steps)
        shift = shift_for(run, _epsilon(theta))
        above, below = (self._slopes(_scaled(theta, s), steps) for s in (1 + shift, 1 - shift))
        size = sum(math.prod(np.shape(leaf)) for leaf in _leaves(theta))
        return measured(run, above, below, scale=(size / run.shape[1]) ** 0.5)

    def _slopes(self, theta: Point, steps: int) -> np.ndarray:
        _check_start(theta)
        samples = [_sample(theta)]
        for number in range(1, steps + 1):
            theta = self._next(theta, number, steps, True)
            samples.append(_sample(theta))
        return np.diff(samples, axis=0) / self.h

    def _next(self, state: Point, number: int, steps: int, is_checked: bool) -> Point:
        given = _map(_copied, state)
        following = self.step(given)
        if following is None or following is given:
            raise InvalidMethod(
                f"step returned {'None' if following is None else 'the point it was given'}; it "
                f"must return the next point as a new object and leave its argument as it is"
            )
        # A step may return views of arrays that it changes at its next call.
        following = _map(_copied, following)
        if not is_checked:
            return following
        shapes = [[np.shape(leaf) for leaf in _leaves(point)] for point in (state, following)]
        if shapes[0] != shapes[1]:
            raise InvalidMethod(
                f"step takes arrays of the shapes {shapes[0]} to arrays of the shapes {shapes[1]}; "
                f"they must stay the same"
            )
        if not all(map(_is_finite, _leaves(following))):
            raise FlowError(
                f"step {number} of the {steps} that order {steps - 1} takes is not finite; take a "
                f"smaller learning rate or a lower order"
            )
        return following

    def _check_repeatable(self, theta: Point, first: np.ndarray) -> None:
        """Refuse a step that has a state of its own, by a second call at the start."""
        if self._is_repeatable:
            return
        again = _sample(self._next(theta, 1, len(self._weights), True))
        allowed = MOST_ROUNDINGS * _epsilon(theta) * np.abs(first)
        if not np.all(np.abs(again - first) <= allowed):
            raise InvalidMethod(
                f"step answers differently when it is called again at the same point: by "
                f"{np.max(np.abs(again - first)):.3g}; it has a state of its own, such as a "
                f"momentum, a counter or random numbers, which must be a part of the point, or be "
                f"set anew at each call"
            )
        self._is_repeatable = True

    def _warn_of_round_off(self, theta: Point, last: Point, samples: list[np.ndarray]) -> None:
        if self.order == 0:
            return
        try:
            following = _sample(self.step(_map(_copied, last)))
        except Exception:  # This step only tells noise; it may leave the domain of the method.
            return
        slopes = np.diff([*samples, following], axis=0) / self.h

        def measured_noise(shift: float) -> float:
            starts = [_scaled(theta, 1 + s) for s in (0.0, shift, -shift)]
            try:
                return second_difference(*(self._slopes(start, 1)[0] for start in starts))
            except Exception:  # Likewise.
                return 0.0

        better = better_order(slopes, _epsilon(theta), measured_noise)
        if better is not None:
            warnings.warn(
                f"order {self.order} is too high: its last term is mostly noise, and rounding adds "
                f"more to it than order {better} leaves out; take order={better}",
                RoundOffWarning,
                stacklevel=3,
            )


def _scaled(theta: Point, factor: float) -> Point:
    return _map(lambda leaf: leaf * factor, theta)


def _adder(weight: float) -> Callable:
    """Return a function that adds ``weight`` (following - state) to a total, if there is one."""

    def add(following: Any, state: Any, *total: Any) -> Any:
        term = weight * (following - state)
        return total[0] + term if total else term

    return add


def _map(function: Callable, first: Any, *others: Any) -> Any:
    """Return the function of the leaves of lists, tuples and dicts of the same structure."""
    if isinstance(first, Mapping):
        return {key: _map(function, first[key], *(o[key] for o in others)) for key in first}
    if isinstance(first, list | tuple):
        parts = [_map(function, *leaves) for leaves in zip(first, *others, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return function(first, *others)


def _leaves(point: Any) -> list[Any]:
    if isinstance(point, Mapping):
        point = [point[key] for key in sorted(point, key=str)]
    if isinstance(point, list | tuple):
        return [leaf for part in point for leaf in _leaves(part)]
    return [point]


def _copied(leaf: Any) -> Any:
    """Return a leaf that no other array shares its memory with."""
    if hasattr(leaf, "detach"):
        return leaf.detach().clone()
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _array(leaf: Any) -> np.ndarray:
    """Return a leaf as a NumPy array; PyTorch has types and graphs that NumPy does not know."""
    if hasattr(leaf, "detach"):
        leaf = leaf.detach().cpu()
        leaf = leaf if leaf.is_complex() else leaf.double()
    array = np.asarray(leaf)
    return array.astype(complex if np.iscomplexobj(array) else float)


def _sample(point: Any) -> np.ndarray:
    """Return about ``_SAMPLE`` entries of a point as doubles, or all if there are fewer; complex
    numbers are two.
    """
    leaves = [leaf.reshape(-1) if hasattr(leaf, "reshape") else [leaf] for leaf in _leaves(point)]
    stride = -(-sum(map(len, leaves)) // _SAMPLE)
    entries = [_array(leaf[::stride]) for leaf in leaves]
    return np.concatenate([e.view(e.real.dtype) if np.iscomplexobj(e) else e for e in entries])


def _is_traced(leaf: Any) -> bool:
    """Tell whether JAX does not know the value yet; JAX itself need not be there to ask."""
    return any(base.__name__ == "Tracer" for base in type(leaf).__mro__)


def _is_finite(leaf: Any) -> bool:
    with np.errstate(invalid="ignore"):
        difference = leaf - leaf
    total = difference.sum() if hasattr(difference, "sum") else difference
    return bool(total == 0)


def _check_start(theta: Any) -> None:
    for leaf in _leaves(theta):
        if not (isinstance(leaf, numbers.Number) or hasattr(leaf, "dtype")):
            raise InvalidPoint(
                f"the point has a part of type {type(leaf).__name__}; its parts must be numbers or "
                f"arrays, in lists, tuples and dicts (for modules of Equinox and Flax, call "
                f"modeq.networks.blackbox_field)"
            )
    if not any(map(np.size, _leaves(theta))):
        raise InvalidPoint("the point has no entries; there must be at least one")
    if not all(map(_is_finite, _leaves(theta))):
        raise InvalidPoint("the point has entries that are not finite; all of them must be")


def _epsilon(theta: Any) -> float:
    """Return the distance from 1 to the next number, in the least precise leaf; 0 if exact."""
    return max(_leaf_epsilon(leaf) for leaf in _leaves(theta))


def _leaf_epsilon(leaf: Any) -> float:
    one = 0 * (leaf.reshape(-1)[:1] if hasattr(leaf, "reshape") else leaf) + 1
    size = 1.0
    while size and bool(_array(one + size / 2 != one).all()):
        size /= 2
    return size
