"""Whether numbers keep their digits: default fields against 160 digits, where formulas cancel.

A loss is a tree of operations that is read in three ways which share nothing: as a text by modeq,
over dual numbers of floats (the gradient as it is written, which is what may be asked for), and
over dual numbers of mpmath, whose derivatives along a vector are differences. Counter terms of
gradient descent come from their first formulas (theory of B-series, order 3 at most).
"""

from __future__ import annotations

import operator
import random
import time
import warnings
from dataclasses import dataclass

import mpmath
import numpy as np

import modeq

ALLOWED = 1e3
"""How much larger than that of the gradient as written, or of the point, an error may be."""

EPSILON = np.finfo(float).eps
STEP = mpmath.mpf(10) ** -30
DIGITS = 160
SMALLEST, LARGEST = 1e-60, 1e30
"""Below, 160 digits are too few for saturated functions; above, the oracle is slow."""

POINTS = 20
"""Points of one loss."""

SHIFTS = (0, 0, 1, 3, 10, 1_000, 10**6)
SLOPES = ("1", "-1", "2", "1/2")

UNARY = {
    "exp": ("exp", lambda m, u: m.exp(u), lambda m, u, y: y),
    "log": ("log", lambda m, u: m.log(u), lambda m, u, y: 1 / u),
    "sin": ("sin", lambda m, u: m.sin(u), lambda m, u, y: m.cos(u)),
    "cos": ("cos", lambda m, u: m.cos(u), lambda m, u, y: -m.sin(u)),
    "tanh": ("tanh", lambda m, u: m.tanh(u), lambda m, u, y: 1 - y * y),
    "sqrt": ("sqrt", lambda m, u: m.sqrt(u), lambda m, u, y: 1 / (2 * y)),
    "cosh": ("cosh", lambda m, u: m.cosh(u), lambda m, u, y: m.sinh(u)),
    "atan": ("atan", lambda m, u: m.atan(u), lambda m, u, y: 1 / (1 + u * u)),
}


@dataclass(frozen=True)
class Dual:
    """A value and its derivative along one direction."""

    value: object
    slope: object

    def __add__(self, other):
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other):
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other):
        slope = self.slope * other.value + self.value * other.slope
        return Dual(self.value * other.value, slope)

    def __truediv__(self, other):
        value = self.value / other.value
        return Dual(value, (self.slope - value * other.slope) / other.value)

    def __pow__(self, exponent: int):
        return Dual(self.value**exponent, exponent * self.value ** (exponent - 1) * self.slope)


OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def text(tree) -> str:
    """Return a tree as a formula."""
    match tree:
        case str():
            return f"({tree})"
        case (name, inside) if name in UNARY:
            return f"{name}({text(inside)})"
        case ("power", base, exponent):
            return f"({text(base)})**{exponent}"
        case (sign, left, right):
            return f"({text(left)} {sign} {text(right)})"


def dual(tree, point: dict, along: str, arithmetic, number):
    """Return a tree as a dual number of an arithmetic."""
    match tree:
        case str() if tree in point:
            return Dual(point[tree], number("1" if tree == along else "0"))
        case str():
            return Dual(number(tree), number("0"))
        case (name, inside) if name in UNARY:
            u = dual(inside, point, along, arithmetic, number)
            _, value_of, slope_of = UNARY[name]
            value = value_of(arithmetic, u.value)
            return Dual(value, slope_of(arithmetic, u.value, value) * u.slope)
        case ("power", base, exponent):
            return dual(base, point, along, arithmetic, number) ** exponent
        case (sign, left, right):
            operands = (dual(t, point, along, arithmetic, number) for t in (left, right))
            return OPERATIONS[sign](*operands)


def fraction(text_of_it: str, one):
    """Return "p/q" as a number, with the arithmetic of ``one``."""
    p, _, q = text_of_it.partition("/")
    return one * int(p) / int(q or 1)


def field_as_written(tree, names, point):
    """Return -∇L in floats, operation by operation."""
    arithmetic, number = np, lambda t: fraction(t, np.float64(1))
    values = dict(zip(names, map(np.float64, point), strict=True))
    with np.errstate(all="ignore"):
        return np.array([-dual(tree, values, x, arithmetic, number).slope for x in names])


def exact_field(tree, names, point):
    """Return -∇L in many digits."""
    number = lambda t: fraction(t, mpmath.mpf(1))  # noqa: E731
    values = dict(zip(names, point, strict=True))
    return mpmath.matrix([-dual(tree, values, x, mpmath, number).slope for x in names])


def exact_modified(tree, names, point, order: int, h):
    """Return f + h f₁ + … of gradient descent in many digits.

    f₁ = -f'f/2, f₂ = f'f'f/3 + f''(f,f)/12, f₃ = -f'f'f'f/4 - f''(f,f'f)/12 - f'f''(f,f)/12.
    """
    f = lambda theta: exact_field(tree, names, theta)  # noqa: E731
    theta = mpmath.matrix(point)
    f0 = f(theta)

    def scale(*vectors):
        return STEP / (1 + max(max(map(abs, v)) for v in vectors))

    def first(u):
        t = scale(u)
        return (f(theta + t * u) - f(theta - t * u)) / (2 * t)

    def second(u):
        t = scale(u)
        return (f(theta + t * u) - 2 * f0 + f(theta - t * u)) / t**2

    total = f0
    if order >= 1:
        f1 = first(f0)
        total = total - h / 2 * f1
    if order >= 2:
        curved, f2 = second(f0), first(f1)
        total = total + h**2 * (f2 / 3 + curved / 12)
    if order >= 3:
        mixed = (second(f0 + f1) - second(f0 - f1)) / 4
        total = total - h**3 * (first(f2) / 4 + mixed / 12 + first(curved) / 12)
    return total


# Losses and points


def random_argument(rng: random.Random, names):
    """Return a·(x - s), or a·(x - s) + b·y, and where x makes it δ."""
    x = rng.choice(names)
    shift, slope = rng.choice(SHIFTS), rng.choice(SLOPES)
    inside = ("-", x, str(shift)) if shift else x
    tree = inside if slope == "1" else ("*", slope, inside)
    return tree, x, shift, float(fraction(slope, 1.0))


def random_part(rng: random.Random, u, v):
    """Return a formula of an argument that is met in losses."""
    one = "1"
    growth = ("+", one, ("exp", u))
    sigmoid = ("/", one, ("+", one, ("exp", ("*", "-1", u))))
    square = ("power", u, 2)
    return rng.choice(
        [
            lambda: ("log", growth),
            lambda: ("log", ("+", ("exp", u), ("exp", v))),
            lambda: ("-", ("log", ("+", ("exp", u), ("exp", v))), u),
            lambda: sigmoid,
            lambda: ("power", ("-", sigmoid, one), 2),
            lambda: ("/", ("exp", u), growth),
            lambda: ("/", ("-", ("exp", u), one), u),
            lambda: ("power", ("-", ("exp", u), one), 2),
            lambda: ("/", ("sin", u), u),
            lambda: ("/", ("-", one, ("cos", u)), square),
            lambda: ("-", ("sqrt", ("+", one, square)), one),
            lambda: ("/", ("-", ("sqrt", ("+", one, u)), one), u),
            lambda: ("power", ("tanh", u), 2),
            lambda: ("power", ("-", ("tanh", u), one), 2),
            lambda: ("/", ("tanh", u), u),
            lambda: ("log", ("cosh", u)),
            lambda: ("/", ("log", ("+", one, u)), u),
            lambda: ("power", ("log", ("+", one, square)), 2),
            lambda: ("log", u),
            lambda: ("/", one, u),
            lambda: ("/", one, square),
            lambda: ("power", u, rng.choice((2, 3, 4, 8))),
            lambda: ("power", ("-", square, one), 2),
            lambda: ("exp", ("*", "-1", square)),
            lambda: ("cos", u),
            lambda: ("atan", u),
            lambda: ("*", u, ("log", u)),
            lambda: ("power", ("-", u, ("power", v, 2)), 2),
        ]
    )()


def random_loss(rng: random.Random):
    """Return a tree, the names of its variables, and where they are chosen around."""
    names = ["x", "y"][: rng.choice((1, 1, 2))]
    arguments = [random_argument(rng, names) for _ in range(2)]
    parts = [random_part(rng, arguments[0][0], arguments[1][0])]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        parts.append(random_part(rng, *(random_argument(rng, names)[0] for _ in range(2))))
    tree = parts[0]
    for part in parts[1:]:
        tree = (rng.choice("++*-"), tree, part)
    for name in names:
        if f"({name})" not in text(tree):
            tree = ("+", tree, ("power", name, 2))
    return tree, names, arguments


def random_point(rng: random.Random, names, arguments):
    """Return a point near the root, in the middle, or in the saturation of the arguments."""
    point = {name: rng.uniform(-2, 2) for name in names}
    for _, x, shift, slope in reversed(arguments):
        low, high = rng.choice([(-9, 0), (-3, 0), (0, 1.5), (1.5, 2.9)])
        point[x] = shift + rng.choice((-1, 1)) * 10 ** rng.uniform(low, high) / slope
    return [point[name] for name in names]


# What is asked for


def excess(tree, names, rhs, point, order: int, h: float) -> float:
    """Return the error of a field over that which is allowed once; 0 where there are no floats.

    Allowed are, in parts of the value, the error of the gradient as written, and rounding of the
    value; and what rounding of the point changes.
    """
    with mpmath.workdps(DIGITS):
        try:
            if not _is_real(tree, names, point):
                return 0.0
            # Steps along counter terms that are large are small, and take more digits to see.
            largest = max(map(abs, exact_field(tree, names, point)))
            if not largest < LARGEST:
                return 0.0
            mpmath.mp.dps += 8 * max(0, int(mpmath.log10(1 + largest)))
            exact = exact_modified(tree, names, point, order, h)
            gradient = exact_field(tree, names, point)
            moved = [_moved(point, i) for i in range(len(names))]
            changes = [exact_modified(tree, names, p, order, h) - exact for p in moved]
        except (ZeroDivisionError, ValueError, OverflowError, TypeError):
            return 0.0
        written = field_as_written(tree, names, point)
        found = rhs(point, h)
        worst = 0.0
        for i in range(len(names)):
            sizes = [abs(v) for v in (exact[i], gradient[i])]
            if not all(SMALLEST < v < LARGEST for v in sizes):
                continue
            lost = 1.0 if not np.isfinite(written[i]) else abs(written[i] / gradient[i] - 1)
            rounded = sum(abs(change[i]) for change in changes)
            allowed = sizes[0] * (EPSILON + lost) + rounded
            error = abs(found[i] - exact[i]) if np.isfinite(found[i]) else mpmath.inf
            worst = max(worst, float(error / allowed))
    return worst


def _is_real(tree, names, point) -> bool:
    """Tell whether a point is in the domain, where mpmath goes on with complex numbers."""
    values = dict(zip(names, map(mpmath.mpf, point), strict=True))
    found = dual(tree, values, names[0], mpmath, lambda t: fraction(t, mpmath.mpf(1)))
    return isinstance(found.value, mpmath.mpf) and isinstance(found.slope, mpmath.mpf)


def _moved(point, i: int):
    return [mpmath.mpf(p) * (1 + EPSILON * (i == j)) for j, p in enumerate(point)]


def worst_of(seed: int, points: int) -> tuple[float, str]:
    """Return the largest excess at random points of a random loss, and where it is."""
    rng = random.Random(seed)
    tree, names, arguments = random_loss(rng)
    order, h = rng.choice((0, 1, 2, 3)), rng.choice((1e-3, 0.01, 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            rhs = modeq.derive(modeq.Loss(text(tree), names), order).lambdify()
        except modeq.errors.ModeqError:
            return 0.0, ""
        worst = (0.0, "")
        for _ in range(points):
            point = random_point(rng, names, arguments)
            found = excess(tree, names, rhs, point, order, h)
            worst = max(worst, (found, f"{text(tree)} order {order} at {point}, h = {h}"))
    return worst


def main(seconds: float, seed: int | None = None) -> int:
    """Look for lost digits for a time; return 1 if there are more than are allowed."""
    seed = random.SystemRandom().randrange(10**9) if seed is None else seed
    end, count, lost, worst = time.monotonic() + seconds, 0, 0, (0.0, "")
    print(f"from seed {seed} on", flush=True)
    while time.monotonic() < end:
        found = worst_of(seed + count // POINTS, POINTS)
        if found[0] > ALLOWED:
            lost += 1
            where = f"seed {seed + count // POINTS}"
            print(f"{where}: {found[0]:.3g} times what is allowed once: {found[1]}", flush=True)
        worst, count = max(worst, found), count + POINTS
    print(f"{count} points, {lost} losses over {ALLOWED:g}; the worst {worst[0]:.3g}: {worst[1]}")
    return int(lost > 0)
