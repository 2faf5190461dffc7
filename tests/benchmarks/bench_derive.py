"""Counter terms as ring elements, their conversion to sympy, and the obvious way in plain sympy."""

from collections.abc import Iterator
from math import factorial

import sympy
from measure import Row, best

from modeq import GradientDescent, problems
from modeq.derivation.derive import by_lie_recursion, by_series, derive_field, field_ring


def obvious_counter_terms(loss: sympy.Expr, variables: tuple, order: int) -> list[sympy.Matrix]:
    """Return f, f₁, …, fₙ by the Lie recursion on expanded sympy matrices."""
    f = -sympy.Matrix([loss.diff(x) for x in variables])
    powers = {(1, 0): f.expand()}
    for j in range(1, order + 1):
        total = sympy.zeros(len(variables), 1)
        for i in range(2, j + 2):
            left = j + 1 - i
            directions = (
                powers[i - 1, left - k].jacobian(variables) * powers[1, k] for k in range(left + 1)
            )
            powers[i, left] = sum(directions, sympy.zeros(len(variables), 1)).expand()
            total -= powers[i, left] / factorial(i)
        powers[1, j] = total.expand()
    return [powers[1, j] for j in range(order + 1)]


def rows() -> Iterator[Row]:
    method = GradientDescent()
    rosenbrock, network = problems.rosenbrock(), problems.tanh_network()
    limits = {4: None, 8: None, 10: 0.1, 12: None, 20: 2.0}
    for order, limit in limits.items():
        time = best(lambda n=order: derive_field(rosenbrock, n, method))
        yield Row(f"Rosenbrock, order {order}, ring elements", time, limit)
    for order, limit in {3: 1.0, 4: 10.0}.items():
        time = best(lambda n=order: derive_field(network, n, method), repeats=2)
        yield Row(f"tanh network, order {order}, ring elements", time, limit)
    yield from _both_derivations(method, (rosenbrock, 10), (rosenbrock, 20), (network, 3))
    yield Row("Rosenbrock, order 10, to sympy", _conversion(rosenbrock, 10), 1.0)
    yield _against_plain_sympy(rosenbrock, 4, 100)


def _both_derivations(method, *cases) -> Iterator[Row]:
    for loss, order in cases:
        ring = field_ring(loss, order, method)
        for by in (by_lie_recursion, by_series):
            time = best(lambda b=by, a=(loss, order, method, ring): b(*a), repeats=2)
            yield Row(f"{loss.name}, order {order}, {by.__name__}", time)


def _conversion(loss, order: int) -> float:
    """Return the time of counter_terms, which is kept once it is found, so it is run anew."""
    return best(lambda: derive_field(loss, order, GradientDescent()).counter_terms) - best(
        lambda: derive_field(loss, order, GradientDescent())
    )


def _against_plain_sympy(loss, order: int, limit: float) -> Row:
    plain = best(lambda: obvious_counter_terms(loss.expression, loss.variables, order), repeats=1)
    ours = best(lambda: derive_field(loss, order, GradientDescent()))
    name = f"{loss.name}, order {order}: plain sympy ({plain:.2f} s) over ring elements"
    return Row(name, plain / ours, limit, "times", at_least=True)
