"""Sharpness-aware minimization: the loss that it descends on, with and without the norm.

Claim (through h derived here; compare Compagnoni et al., An SDE for modeling SAM, 2023): with the
radius ρ = r h, SAM θ⁺ = θ - h ∇L(θ + ρ g/|g|) and its unnormalized form θ⁺ = θ - h ∇L(θ + ρ g)
follow, through h, gradient flow on

    L + h/4 |g|² + ρ |g|        and        L + (h/4 + ρ/2) |g|².

The first pulls to flat places with a force that does not fade where the gradient does: it is no
smooth method at a critical point.
"""

from fractions import Fraction

import sympy

import modeq
from modeq import SAM, UnnormalizedSAM

x, y = sympy.symbols("x y")
h = sympy.Symbol("h", positive=True)
LOSS = modeq.Loss(x**2 * y / 2 + x**4 / 4 + y**2)
RATIO = Fraction(1, 2)
METHODS = {"SAM": SAM(rho_over_h=RATIO), "unnormalized SAM": UnnormalizedSAM(rho_over_h=RATIO)}
POINT = {x: sympy.Rational(1, 3), y: sympy.Rational(2, 5)}


def printed() -> dict[str, sympy.Expr]:
    """Return the losses of the claim."""
    squared = sum(LOSS.expression.diff(v) ** 2 for v in (x, y))
    ratio = sympy.Rational(RATIO.numerator, RATIO.denominator)
    return {
        "SAM": LOSS.expression + h / 4 * squared + ratio * h * sympy.sqrt(squared),
        "unnormalized SAM": LOSS.expression + (h / 4 + ratio * h / 2) * squared,
    }


def show_losses() -> None:
    """Compare the derived fields with the gradients of the printed losses."""
    for name, loss in printed().items():
        equation = modeq.derive(LOSS, 1, METHODS[name])
        for v, entry in zip((x, y), equation.field, strict=True):
            defect = sympy.expand(entry + loss.diff(v))
            assert all(sympy.simplify(defect.coeff(h, k).subs(POINT)) == 0 for k in (0, 1))
        print(f"{name}: gradient flow through h on {loss}\n")
        assert equation.certify()


def show_orders() -> None:
    """Print the measured orders against both methods."""
    for name, method in METHODS.items():
        report = modeq.derive(LOSS, 1, method).check((0.6, 0.4), h=0.02)
        print(f"{name}: {report}\n")
        assert report.passed


def main() -> None:
    """Print the losses that both forms of SAM descend on, and the orders."""
    show_losses()
    show_orders()


if __name__ == "__main__":
    main()
