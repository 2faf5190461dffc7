"""The counter terms ξ₀, …, ξ₄ of gradient descent, in coordinates and in trees.

Claim (Miyagawa 2022, Toward Equation of Motion for Deep Neural Networks): gradient descent follows
θ' = -g - h Σ h^α ξ_α with Ξ₀ = g, Ξ_α = ξ_{α-1}, D_k = Ξ_k·∇ and

    ξ_α = Σ_{i=2}^{α+2} (-1)^i/i! Σ_{k₁+…+kᵢ = α+2-i} D_{k₁} … D_{k_{i-1}} Ξ_{kᵢ},

so that ξ₀ = ½ H g, ξ₁ = ⅓ H² g + 1/12 T[g, g], ξ₂ = ¼ H³ g + 1/12 T[g, H g] + 1/12 H T[g, g].

Here the recursion is written out with plain derivatives, for several losses, and compared with what
modeq derives (ξ_α = -f_{α+1}) and with the sum over rooted trees. The tree forms of ξ₃ and ξ₄ are
printed as well (derived here).
"""

from functools import cache
from math import factorial

import sympy

import modeq

LAST = 4
LOSSES = ("x**2*y + exp(y)", "(1 - x)**2 + 10*(y - x**2)**2", "x**3/3 - x*y**2")


def counter_terms_by_recursion(loss: modeq.Loss, last: int) -> list[sympy.Matrix]:
    """Return ξ₀, …, ξ_last by the recursion of the paper, its inner sums done once."""
    xi = [sympy.Matrix(loss.gradient).expand()]

    @cache
    def nested(i: int, total: int) -> sympy.Matrix:
        """Return Σ_{k₁+…+kᵢ = total} D_{k₁} … D_{k_{i-1}} Ξ_{kᵢ}."""
        if i == 1:
            return xi[total]
        terms = (
            nested(i - 1, total - k).jacobian(loss.variables) * xi[k] for k in range(total + 1)
        )
        return sum(terms, sympy.zeros(loss.dimension, 1)).expand()

    for alpha in range(last + 1):
        parts = (
            nested(i, alpha + 2 - i) * sympy.Rational((-1) ** i, factorial(i))
            for i in range(2, alpha + 3)
        )
        xi.append(sum(parts, sympy.zeros(loss.dimension, 1)).expand())
    return xi[1:]


def first_three(loss: modeq.Loss) -> list[sympy.Matrix]:
    """Return ξ₀, ξ₁, ξ₂ by the contractions that the paper prints."""
    g, H = sympy.Matrix(loss.gradient), loss.hessian

    def T(u: sympy.Matrix, v: sympy.Matrix) -> sympy.Matrix:
        d = range(loss.dimension)
        third = loss.third_derivatives
        return sympy.Matrix([sum(third[i, j, k] * u[j] * v[k] for j in d for k in d) for i in d])

    return [
        H * g / 2,
        H**2 * g / 3 + T(g, g) / 12,
        H**3 * g / 4 + T(g, H * g) / 12 + H * T(g, g) / 12,
    ]


def is_zero(column: sympy.Matrix) -> bool:
    """Tell whether a column vanishes identically."""
    return all(entry.expand() == 0 for entry in column)


def counter_terms_by_trees(loss: modeq.Loss, last: int) -> list[sympy.Matrix]:
    """Return ξ₀, …, ξ_last as sums of elementary differentials over rooted trees."""
    field = modeq.modified_equation("gradient-descent", order=last + 1).field(loss)
    h = sympy.Symbol("h", positive=True)
    return [-field.applyfunc(lambda e, p=p: e.coeff(h, p)) for p in range(1, last + 2)]


def compare(text: str) -> None:
    """Find the counter terms of a loss in three ways, and print them if they agree."""
    loss = modeq.Loss(text)
    derived = [-term for term in modeq.derive(loss, order=LAST + 1).counter_terms]
    recursive, by_trees = counter_terms_by_recursion(loss, LAST), counter_terms_by_trees(loss, LAST)
    print(f"\nL = {text}")
    for alpha, xi in enumerate(derived):
        assert is_zero(xi - recursive[alpha]), f"the recursion differs at xi_{alpha} for {text}"
        assert is_zero(xi - by_trees[alpha]), f"the trees differ at xi_{alpha} for {text}"
        shown = str(list(xi)) if alpha < 2 else f"{len(str(list(xi)))} characters"
        print(f"  xi_{alpha} agrees three ways: {shown}")
    assert all(is_zero(a - b) for a, b in zip(derived, first_three(loss), strict=False))


def main() -> None:
    """Print the counter terms without coordinates, and compare three ways to find them."""
    print("h f~ of gradient descent over rooted trees (g, H, T: derivatives of the loss):\n")
    print(modeq.modified_equation("gradient-descent", order=LAST + 1).text("gradient"))
    for text in LOSSES:
        compare(text)
    print("\nThe printed forms of xi_0, xi_1, xi_2 hold for every loss above.")


if __name__ == "__main__":
    main()
