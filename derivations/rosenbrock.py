"""Gradient descent on the Rosenbrock loss: counter terms, LaTeX, and a table that proves them.

Claim: gradient descent with learning rate h follows the flow θ' = f + h f₁ + h² f₂ + h³ f₃ up to an
error of O(h⁵) in one step and O(h⁴) at a fixed time. Gradient flow, which is the f alone, has O(h²)
and O(h). Source: the backward error analysis of explicit Euler, Hairer, Lubich and Wanner,
Geometric Numerical Integration, chapter IX; for gradient descent, Barrett and Dherin 2021 (order 1)
and Miyagawa 2022 (all orders).
"""

import modeq

ORDERS = (0, 1, 2, 3)


def main() -> None:
    """Derive, print and check the modified equation."""
    loss = modeq.problems.rosenbrock()
    equation = modeq.derive(loss, order=ORDERS[-1])
    print(equation)
    print("\nWithout coordinates, for any loss (g the gradient, H the Hessian, T the third one):\n")
    print(equation.universal().text("gradient"))
    print("\nLaTeX:\n")
    print(equation.latex())
    print("\nExact proof:", equation.certify())
    print(f"\nAgainst gradient descent itself, from {loss.start}:\n")
    reports = [modeq.derive(loss, order).check(loss.start, h=loss.h) for order in ORDERS]
    print("\n\n".join(map(str, reports)))
    print(f"\n100 steps of size {loss.h}, distance from the iterates:\n")
    print(modeq.compare(loss, steps=100, orders=ORDERS))
    assert equation.certify()
    assert all(reports)


if __name__ == "__main__":
    main()
