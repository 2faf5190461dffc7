"""The laws of N = |θ_A|², or s = Σθ_A, of an invariant block: all derived for the loss at hand.

With weight decay, L = ℓ + λ|θ|²/2, a step of gradient descent and the flows of all orders change N
by multiples of N, of G = |∇_Aℓ|², and of further invariants from h² on. The multiples are found in
the differential ring of the loss, by dividing what a step, or a counter term, does to N. From them
come rates of decay, the angle by which a step turns θ_A, and the N at which decay and growth
balance.

Where the norm of a scale-invariant block comes to rest: under gradient descent and its flows.

With a constant Ĝ = N·G one step of gradient descent takes N to qN + h²Ĝ/N. That is a one-step map
in one variable, so its modified equations come out of the Lie recursion, and their zeros are the
equilibria of the flows. At rest N is of the order √h, so that h²λĜ/N and h³Ĝ²/N³ count alike: order
2, which has only the first, is no better than order 1 there, and order 3 is (derived here).

Ring elements as polynomials in a parameter, and as multiples of one another.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy

from modeq.checks import check_order, shortened
from modeq.derivation.derive import ModifiedField, derive_field
from modeq.derivation.lie import lie_recursion
from modeq.derivation.ring import DifferentialRing, Element
from modeq.errors import InvalidLoss, InvalidValue
from modeq.invariants.flow_laws import CONSTANT, FORCE, NORM, SUM, FlowLaw, quantity_derivatives
from modeq.losses.loss import H, Loss
from modeq.losses.vanishing import random_points
from modeq.methods.tableaux_by_name import GradientDescent

LARGEST_DENOMINATOR = 10**6
_DIGITS = 30


def by_power(ring: DifferentialRing, element: Element, symbol: sympy.Symbol) -> dict[int, Element]:
    """Return {k: the coefficient of symbol**k}, in rising powers of a parameter.

    >>> x, c = sympy.symbols("x c")
    >>> ring = DifferentialRing((x,), (c,), [x], depth=1)
    >>> parts = by_power(ring, ring.convert(x + 2 * c * x + c), c)
    >>> {k: ring.to_sympy(part) for k, part in parts.items()}
    {0: x, 1: 2*x + 1}
    """
    i = ring.generators.index(symbol)
    parts: dict[int, list] = {}
    for e, c in ring.terms(element):
        parts.setdefault(e[i], []).append(((*e[:i], 0, *e[i + 1 :]), c))
    return {power: ring.from_terms(parts[power]) for power in sorted(parts)}


def multiple(ring: DifferentialRing, element: Element, unit: Element) -> sympy.Rational | None:
    """Return the number c with element = c·unit, or None if there is none.

    Where the two are no multiples as polynomials, but may be as functions, c is read off their
    values and the difference is put to the test of ``ring.vanishes``.

    >>> x = sympy.Symbol("x")
    >>> ring = DifferentialRing((x,), (), [sympy.exp(x)], depth=1)
    >>> one, other = ring.convert(2 * x * sympy.exp(x)), ring.convert(3 * x * sympy.exp(x))
    >>> multiple(ring, one, other), multiple(ring, one, ring.convert(x))
    (2/3, None)
    """
    terms = dict(ring.terms(element))
    exponents, unit_coefficient = next(iter(ring.terms(unit)), (None, Fraction(1)))
    ratio = terms.get(exponents, Fraction(0)) / unit_coefficient
    if element != ring.constant(ratio) * unit:
        ratio = _ratio_of_values(ring, element, unit) if ring.functions else None
    return None if ratio is None else sympy.Rational(ratio.numerator, ratio.denominator)


def _ratio_of_values(ring: DifferentialRing, element: Element, unit: Element) -> Fraction | None:
    parts = [ring.to_sympy(e) for e in (element, unit)]
    for point in random_points((*ring.variables, *ring.parameters)):
        over, under = (part.subs(point).n(_DIGITS) for part in parts)
        if over.is_Float and under.is_Float and under != 0:
            break
    else:
        return None
    value = Fraction(str(over / under))
    ratio = value.limit_denominator(LARGEST_DENOMINATOR)
    if abs(ratio - value) > Fraction(1, LARGEST_DENOMINATOR**3):
        return None
    return ratio if ring.vanishes(element - ring.constant(ratio) * unit) else None


_ORDERS = (1, 2, 3)
_SMALL = {"h": sympy.Rational(1, 1000), "decay": sympy.Rational(1, 10), "constant": 1}
"""Values at which all equilibria are near that of gradient descent."""


def balance(
    step: sympy.Expr, norm: sympy.Symbol, constant: sympy.Symbol, decay: sympy.Symbol
) -> dict[str, sympy.Expr]:
    """Return the equilibria of gradient flow, of orders 1, 2, 3, and of gradient descent.

    Args:
        step: N after one step, in N, Ĝ, λ and h.
        norm: The symbol of N.
        constant: The symbol of Ĝ.
        decay: The symbol of λ.

    >>> n, g, lam = sympy.symbols("N Ghat lam")
    >>> found = balance((1 - H * lam) ** 2 * n + H**2 * g / n, n, g, lam)
    >>> found["gradient descent"]
    sqrt(h)*sqrt(-Ghat/(lam*(h*lam - 2)))
    """
    fields = norm_fields(step, norm, constant, decay, max(_ORDERS))
    at_rest = {"gradient flow": _roots(fields[0], norm)[0]}
    exact = _roots(step - norm, norm)
    values = {H: _SMALL["h"], decay: _SMALL["decay"], constant: _SMALL["constant"]}
    target = max(float(root.subs(values)) for root in exact)
    for order in _ORDERS:
        total = sum(H**j * f for j, f in enumerate(fields[: order + 1]))
        at_rest[f"order {order}"] = _nearest(_roots(total, norm), target, values)
    return at_rest | {"gradient descent": _nearest(exact, target, values)}


def norm_fields(
    step: sympy.Expr, norm: sympy.Symbol, constant: sympy.Symbol, decay: sympy.Symbol, order: int
) -> list[sympy.Expr]:
    """Return the coefficients of 1, h, …, hⁿ in N' under the flow of order n.

    >>> n, g, lam = sympy.symbols("N Ghat lam")
    >>> norm_fields((1 - H * lam) ** 2 * n + H**2 * g / n, n, g, lam, 1)
    [-2*N*lam, Ghat/N - N*lam**2]
    """
    ring = DifferentialRing((norm,), (constant, decay), [norm, 1 / norm], depth=order + 2)
    change = sympy.expand(step - norm)
    steps = [(ring.convert(change.coeff(H, j + 1)),) for j in range(order + 1)]
    return [ring.to_sympy(f[0]) for f in lie_recursion(ring, steps, order)]


def _roots(change: sympy.Expr, norm: sympy.Symbol) -> list[sympy.Expr]:
    """Return the N ≥ 0 at which a change vanishes, which is odd in N."""
    square = sympy.Dummy("M")
    numerator = sympy.fraction(sympy.together(sympy.expand(change * norm)))[0]
    polynomial = sympy.expand(numerator).subs(norm, sympy.sqrt(square))
    return [sympy.sqrt(sympy.factor(m)) for m in sympy.solve(polynomial, square)]


def _nearest(roots: list[sympy.Expr], target: float, values: dict) -> sympy.Expr:
    return min(roots, key=lambda root: abs(complex(root.subs(values)) - target))


class Laws:
    """The laws of N = |θ_A|², or s = Σθ_A, of an invariant block with weight decay λ.

    Attributes:
        kind: "scale" or "translation".
        loss: The loss ℓ without decay.
        block: The variables A.
        decay: The symbol λ of weight decay.
        decayed: The loss ℓ + λ|θ|²/2.
        quantity: The symbol N or s.
    """

    def __init__(self, kind: str, loss: Loss, block: tuple[sympy.Symbol, ...]):
        self.kind, self.loss, self.block = kind, loss, block
        taken = {x.name for x in (*loss.variables, *loss.parameters)}
        names = itertools.chain(("lam", "decay"), (f"decay{i}" for i in itertools.count()))
        self.decay = sympy.Symbol(next(name for name in names if name not in taken))
        squares = sum(x**2 for x in loss.variables)
        self.decayed = Loss(loss.expression + self.decay * squares / 2, loss.variables)
        self.quantity = NORM if kind == "scale" else SUM
        self._flows: dict[int, FlowLaw] = {}

    @property
    def conserved(self) -> sympy.Expr:
        """What gradient flow without decay keeps: |θ_A|² or Σθ_A."""
        return sympy.Add(*(x**2 if self.kind == "scale" else x for x in self.block))

    @property
    def squared_gradient(self) -> sympy.Expr:
        """G = |∇_Aℓ|², in the variables."""
        return sympy.Add(*(self.loss.expression.diff(x) ** 2 for x in self.block))

    @property
    def gradient_flow(self) -> sympy.Expr:
        """N' or s' under gradient flow of the loss with decay: -2λN or -λs."""
        return self.flow(0).derivative

    @cached_property
    def gradient_descent(self) -> sympy.Expr:
        """N or s after one step of gradient descent: (1 - hλ)²N + h²G or (1 - hλ)s, exactly."""
        moved = {x: x + H * self.decayed.components[i] for i, x in self._indices}
        return self._in_symbols(self.conserved.subs(moved, simultaneous=True))

    @cached_property
    def overlap(self) -> sympy.Expr:
        """θ_A⁺·θ_A of one step of gradient descent: (1 - hλ)N, exactly."""
        self._for_scale()
        return self._in_symbols(
            sympy.Add(*(x * (x + H * self.decayed.components[i]) for i, x in self._indices))
        )

    @property
    def _indices(self) -> list[tuple[int, sympy.Symbol]]:
        return [(self.loss.variables.index(x), x) for x in self.block]

    @cached_property
    def _ring(self) -> DifferentialRing:
        """A ring with the loss, λ and h."""
        constants = (*self.loss.parameters, self.decay, H)
        return DifferentialRing(
            self.loss.variables, constants, [self.loss.expression, *self.decayed.components], 2
        )

    def _in_symbols(self, expression: sympy.Expr) -> sympy.Expr:
        """Return an expression in the variables as a polynomial in λ, h, and N or s, and G.

        Raises:
            InvalidLoss: It is none.
        """
        ring = self._ring
        units = {self.quantity: ring.reduce(ring.convert(self.conserved))}
        if self.kind == "scale":
            units[FORCE] = ring.reduce(ring.convert(self.squared_gradient))
        total = sympy.Integer(0)
        element = ring.reduce(ring.convert(expression))
        for i, part in by_power(ring, element, H).items():
            for j, piece in by_power(ring, part, self.decay).items():
                found = ((unit, multiple(ring, piece, e)) for unit, e in units.items())
                unit, factor = next(((u, c) for u, c in found if c is not None), (None, None))
                if unit is None:
                    raise InvalidLoss(
                        f"{shortened(self.loss)} does not follow the law of its invariance"
                    )
                total += factor * H**i * self.decay**j * unit
        return sum(sympy.factor(total.coeff(unit)) * unit for unit in units)

    def flow(self, order: int) -> FlowLaw:
        """Return the law under the flow of order n, derived from the counter terms of the loss.

        The coefficient of λ^{j+1} in that of hʲ is a multiple of N or s, since it is that of ℓ = 0;
        it makes the rate. Coefficients that are multiples of G make the gain.
        """
        order = check_order(order)
        if order not in self._flows:
            self._flows[order] = self._flow(order)
        return self._flows[order]

    def _flow(self, order: int) -> FlowLaw:
        modified = derive_field(self.decayed, order, GradientDescent())
        ring = modified.ring
        whole = ring.reduce(ring.convert(self.conserved))
        force = self._force(modified)
        rate, gain, rest = [], [], []
        for j, change in enumerate(quantity_derivatives(modified, self.conserved)):
            for power, part in by_power(ring, change, self.decay).items():
                weight = H**j * self.decay**power
                factor = multiple(ring, part, whole) if power == j + 1 else None
                if factor is not None:
                    rate.append(weight * factor)
                    continue
                factor = multiple(ring, part, force) if self.kind == "scale" else None
                if factor is None:
                    rest.append(weight * ring.to_sympy(part))
                else:
                    gain.append(weight * factor)
        return FlowLaw(order, *(sympy.Add(*terms) for terms in (rate, gain, rest)), self.quantity)

    def _force(self, modified: ModifiedField) -> Element:
        """Return G = |∇_Aℓ|² as an element: of f = -∇ℓ - λθ, the squares of the part without λ."""
        ring, total = modified.ring, modified.ring.zero
        for x, f in zip(modified.variables, modified.elements[0], strict=True):
            if x in self.block:
                total = total + by_power(ring, f, self.decay).get(0, ring.zero) ** 2
        return ring.reduce(total)

    @cached_property
    def shrinkage(self) -> sympy.Expr:
        """By what one step of gradient descent multiplies N or s, apart from what G adds."""
        return sympy.factor(self.gradient_descent.coeff(self.quantity))

    @property
    def all_orders(self) -> sympy.Expr:
        """The rate summed over all orders, the logarithm of the factor of one step over h: (2/h)
        log(1 - hλ) for N, h⁻¹ log(1 - hλ) for s.
        """
        base, power = _signed(*self.shrinkage.as_base_exp())
        return power * sympy.log(base) / H

    def decay_rates(self, orders: Sequence[int] = (0, 1, 2, 3)) -> dict[str, sympy.Expr]:
        """Return the rates of decay of N or s, of the flows, of all orders, and of one step.

        >>> from modeq.invariants.invariance import translation_invariance
        >>> for name, rate in translation_invariance("(x - y)**2").laws.decay_rates().items():
        ...     print(f"{name:17} {rate}")
        gradient flow     -lam
        order 1           -h*lam**2/2 - lam
        order 2           -h**2*lam**3/3 - h*lam**2/2 - lam
        order 3           -h**3*lam**4/4 - h**2*lam**3/3 - h*lam**2/2 - lam
        all orders        log(-h*lam + 1)/h
        gradient descent  log(-h*lam + 1)/h
        """
        orders = tuple(map(check_order, orders))
        full = self.flow(max(orders, default=0)).rate
        rates = {
            f"order {n}" if n else "gradient flow": sympy.Add(
                *(full.coeff(H, j) * H**j for j in range(n + 1))
            )
            for n in orders
        }
        return rates | {"all orders": self.all_orders, "gradient descent": self.all_orders}

    @cached_property
    def degree(self) -> sympy.Rational:
        """The k with ∇_Aℓ(cθ_A) = cᵏ ∇_Aℓ(θ_A), found from θ_A·∇_A(∂ℓ) = k ∂ℓ: it is -1."""
        self._for_scale()
        ring = self._ring
        slopes = [ring.convert(self.loss.expression.diff(x)) for x in self.block]
        for slope in filter(lambda e: e != 0, map(ring.reduce, slopes)):
            turned = (ring.derivative(slope, i) * ring.convert(x) for i, x in self._indices)
            k = multiple(ring, ring.reduce(sum(turned, ring.zero)), slope)
            if k is not None:
                return k
        raise InvalidLoss(f"{shortened(self.loss)} does not depend on the block {self.block}")

    @property
    def effective_learning_rate(self) -> sympy.Expr:
        """h/N: the learning rate that the direction u = θ_A/|θ_A| sees, which moves by
        -h ∇_Aℓ(θ_A)/|θ_A| = -h N^{(k-1)/2} ∇_Aℓ(u), with k the degree.
        """
        return H * NORM ** ((self.degree - 1) / 2)

    @property
    def angular_update(self) -> sympy.Expr:
        """The angle by which one step turns θ_A: tan Δ = h √G / ((1 - hλ) √N).

        It comes from |θ_A⁺|² and θ_A⁺·θ_A: tan² Δ is |θ_A|²|θ_A⁺|²/(θ_A⁺·θ_A)² - 1.
        """
        positive = {NORM: sympy.Dummy(positive=True), FORCE: sympy.Dummy(positive=True)}
        after, overlap = (e.subs(positive) for e in (self.gradient_descent, self.overlap))
        across = sympy.factor(positive[NORM] * after - overlap**2)
        angle = sympy.atan(sympy.sqrt(across) / sympy.factor(overlap))
        return angle.subs({symbol: name for name, symbol in positive.items()})

    @cached_property
    def equilibria(self) -> dict[str, sympy.Expr]:
        """The N at which decay and growth balance, for a constant Ĝ = N·G, and the angle there.

        One step takes N to qN + h²Ĝ/N then, which has modified equations of its own; those of the
        flows of order 1, 2 and 3 have the equilibria given.
        """
        self._for_scale()
        step = self.gradient_descent.subs(FORCE, CONSTANT / NORM)
        angle = sympy.acos(sympy.expand(self.overlap / NORM))
        return balance(step, NORM, CONSTANT, self.decay) | {"angle": angle}

    def _for_scale(self) -> None:
        if self.kind != "scale":
            raise InvalidValue(
                "the loss is translation-invariant; lengths and angles belong to "
                "scale-invariant blocks"
            )

    def table(self) -> dict[str, Mapping[str, Any] | sympy.Expr]:
        """Return rates of decay and, for a scale-invariant block, all that follows from the laws.

        >>> from modeq.invariants.invariance import scale_invariance
        >>> print(*scale_invariance("x*y/(x**2 + y**2)").laws.table())
        decay rates effective learning rate angular update equilibria
        """
        rows: dict[str, Any] = {"decay rates": self.decay_rates()}
        if self.kind == "scale":
            rows["effective learning rate"] = self.effective_learning_rate
            rows["angular update"] = self.angular_update
            rows["equilibria"] = self.equilibria
        return rows

    def __str__(self) -> str:
        lines = [f"{self.quantity} = {self.conserved}, weight decay {self.decay}"]
        lines.append(f"gradient flow: {self.quantity}' = {self.gradient_flow}")
        lines.append(f"gradient descent: {self.quantity} becomes {self.gradient_descent}")
        for name, row in self.table().items():
            if isinstance(row, Mapping):
                lines += [f"{name}, {key}: {value}" for key, value in row.items()]
            else:
                lines.append(f"{name}: {row}")
        return "\n".join(lines)


def _signed(base: sympy.Expr, power: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Return an even power with the base that is 1 at h = 0."""
    return (-base, power) if base.subs(H, 0) == -1 and power.is_even else (base, power)
