"""Nesterov's accelerated gradient: two sequences, and two equations from h² on.

Claim (derived here; through h Kovachki and Stuart, JMLR 22, 2021): of

    y_m = θ_m + β (θ_m - θ_{m-1}),        θ_{m+1} = y_m + h f(y_m),

the θ_m and the y_m, which PyTorch calls the parameters, follow fields that agree through h and
differ in f''(f,f) at h²: y_m = θ_m + h β f̃(θ_m) + … is not on the trajectory of the θ_m. Unlike
that of heavy ball, one step is no gradient descent on another loss beyond h.
"""

from collections.abc import Callable
from fractions import Fraction

import sympy

import modeq
from modeq.errors import NotAGradient

BETA = sympy.Symbol("beta")
LOSS = modeq.Loss("x**2*y/2 + x**4/4 + y**2")


def show_sequences() -> None:
    """Print both equations, and where they differ."""
    of_theta, of_parameters = (
        modeq.modified_equation(modeq.Nesterov(BETA, sequence), order=2)
        for sequence in ("theta", "parameters")
    )
    print(f"theta sequence:\n{of_theta}\n\nparameters:\n{of_parameters}\n")
    differing = [
        tree for tree in of_theta if sympy.cancel(of_theta[tree] - of_parameters[tree]) != 0
    ]
    leaf = modeq.RootedTree()
    assert differing == [modeq.RootedTree([leaf, leaf])]


def show_relation() -> None:
    """Check that y = θ + β (θ - θ₋) takes the flow of one field to that of the other."""
    beta, rate = 0.5, 0.01
    theta = modeq.iterate(LOSS, [0.5, 0.3], h=rate, steps=30, method=modeq.Nesterov(beta))
    first = (1 + beta) * theta[1] - beta * theta[0]
    found = modeq.iterate(
        LOSS, first, h=rate, steps=1, method=modeq.Nesterov(beta, "parameters"),
        start=[first, (1 + beta) * theta[2] - beta * theta[1]],
    )  # fmt: skip
    assert abs(found[1] - (1 + beta) * theta[2] + beta * theta[1]).max() < 1e-14
    print("the parameters are the points where the theta sequence takes its gradients")


def exists(loss: Callable[[], sympy.Expr]) -> bool:
    """Tell whether there is a loss of which a field or a map is the gradient."""
    try:
        loss()
    except NotAGradient:
        return False
    return True


def show_losses() -> None:
    """Show that one step has a loss through h only, for both sequences."""
    for sequence in ("theta", "parameters"):
        method = modeq.Nesterov(Fraction(1, 2), sequence)
        loss = modeq.derive(LOSS, 1, method).map_loss()
        assert loss.coeff(sympy.Symbol("h", positive=True)) != 0
        assert not exists(modeq.derive(LOSS, 2, method).map_loss)
        print(f"{sequence}: one step descends on a loss through h, and on none through h^2")


def main() -> None:
    """Print the equations of both sequences, and what their steps descend on."""
    show_sequences()
    show_relation()
    show_losses()


if __name__ == "__main__":
    main()
