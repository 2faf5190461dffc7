"""Where the norm of a scale-invariant block comes to rest: under gradient descent and its flows.

With a constant Ĝ = N·G one step of gradient descent takes N to qN + h²Ĝ/N. That is a one-step map
in one variable, so its modified equations come out of the Lie recursion, and their zeros are the
equilibria of the flows. At rest N is of the order √h, so that h²λĜ/N and h³Ĝ²/N³ count alike: order
2, which has only the first, is no better than order 1 there, and order 3 is (derived here).
"""

from __future__ import annotations

import sympy

from modeq.derivation.lie import lie_recursion
from modeq.derivation.ring import DifferentialRing
from modeq.losses.loss import H

ORDERS = (1, 2, 3)
SMALL = {"h": sympy.Rational(1, 1000), "decay": sympy.Rational(1, 10), "constant": 1}
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
    fields = norm_fields(step, norm, constant, decay, max(ORDERS))
    at_rest = {"gradient flow": _roots(fields[0], norm)[0]}
    exact = _roots(step - norm, norm)
    values = {H: SMALL["h"], decay: SMALL["decay"], constant: SMALL["constant"]}
    target = max(float(root.subs(values)) for root in exact)
    for order in ORDERS:
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
