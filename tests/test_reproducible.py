"""The same question has the same answer: in every process, hash seed and thread."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mpmath
import pytest
import sympy

import modeq
from modeq.losses.digits import to_digits
from modeq.show.figures import rendered

LOSSES = [
    ("(1 - x)**2 + 100*(y - x**2)**2", 3, "gradient-descent"),
    ("x**2*y + exp(y) + exp(-2*y)*z + sin(u)*cos(u*x)", 2, "heun"),
    ("log(1 + exp(-theta_1*x10)) + sqrt(alpha**2 + 1) + 1/(3 + x10**2)", 1, "rk4"),
    ("tanh(w*tanh(v) + b)**2*sqrt(2)/7 + erf(v)", 1, "implicit-midpoint"),
    ("a*x**2/2 + b*y**4 + c*x*y", 1, "heavy-ball"),
]

PROGRAM = """
import modeq
for loss, order, method in {losses!r}:
    if method == "heavy-ball":
        method = modeq.HeavyBall(0.9)
    equation = modeq.derive(loss, order, method)
    print(equation.text(), equation.latex(), equation.to_json(), equation.to_python(), sep="\\n")
    print(equation.to_markdown(), equation.certify(), sep="\\n")
problem = modeq.problems.two_layer()
print(modeq.derive(problem, 2).check())
print(modeq.derive("x**4/4 + x*y", 1, modeq.Adam(0.9, 0.99, epsilon=0.01)).text())
b = modeq.modified_equation("gauss2", 4)
print(b.latex(), b.is_gradient(), b.is_hamiltonian(), modeq.series_table(b, "markdown"), sep="\\n")
print(modeq.order_conditions(4))
print(*modeq.conserved(modeq.Loss("(a*b - 1)**2 + (c*d - 1)**2")))
"""


def outcome(seed, threads):
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(losses=LOSSES)],
        capture_output=True, check=False, timeout=300, env=environment,
    )  # fmt: skip
    assert not done.returncode, done.stderr.decode()
    return done.stdout


@pytest.mark.slow
def test_hash_seeds_and_numbers_of_threads_change_no_byte():
    expected = outcome("0", "1")
    assert len(expected) > 10_000
    for seed, threads in [("1", "2"), ("4294967295", "4")]:
        found = outcome(seed, threads)
        assert found.splitlines() == expected.splitlines()
        assert hashlib.sha256(found).digest() == hashlib.sha256(expected).digest()


# threads


def work(task):
    loss, order, method = task
    method = modeq.HeavyBall(sympy.Symbol("beta")) if method == "heavy-ball" else method
    equation = modeq.derive(loss, order, method)
    again = modeq.from_json(equation.to_json())
    return equation.text(), equation.latex(), again.to_python(), str(equation.certify())


def check(name):
    return str(modeq.derive(modeq.problems.named(name), 1).check())


def values(digits):
    x = sympy.Rational(digits, 7)
    return str(to_digits(sympy.erf(x) * sympy.tanh(x) - sympy.sinh(x) + sympy.exp(x), digits))


def together(function, tasks, threads=8):
    """Return what many threads find that all start at once."""
    start = threading.Barrier(threads)

    def one(task):
        start.wait(timeout=60)
        return function(task)

    sympy.core.cache.clear_cache()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, tasks))


@pytest.fixture
def often_interrupted():
    """Let threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(
    ("function", "tasks"),
    [
        (work, [*LOSSES[:4], *LOSSES[:4]]),
        (check, ["two-layer", "softplus", "tanh-network", "cosine"] * 2),
    ],
)
def test_many_threads_find_what_one_finds(function, tasks, often_interrupted):
    expected = [function(task) for task in tasks]
    assert together(function, tasks) == expected


def test_many_threads_get_all_their_digits_and_leave_the_shared_precision(often_interrupted):
    digits = [*range(15, 95, 5)] * 2
    before = mpmath.mp.prec
    assert together(values, digits) == [values(count) for count in digits]
    assert mpmath.mp.prec == before


def test_many_threads_add_up_trees_as_one_does(often_interrupted):
    methods = ["euler", "rk4", "implicit-midpoint", "adams-bashforth-2"] * 2

    def coefficients(method):
        return str(modeq.modified_equation(method, 6).array.tolist())

    assert together(coefficients, methods) == [coefficients(method) for method in methods]


def picture(order):
    return rendered(modeq.plot_trees(modeq.exact_flow(order)), "svg")


def test_many_threads_draw_what_one_draws(often_interrupted):
    orders = [1, 2, 3, 1, 2, 3]
    expected = [picture(order) for order in orders]
    assert together(picture, orders, threads=len(orders)) == expected


def test_the_arithmetic_of_others_is_left_alone():
    before = mpmath.mp.prec
    values(60)
    work(LOSSES[3])
    assert mpmath.mp.prec == before


def test_another_precision_of_mpmath_changes_nothing():
    expected = check("softplus"), values(40), work(LOSSES[3])
    sympy.core.cache.clear_cache()
    with mpmath.workdps(3):
        assert (check("softplus"), values(40), work(LOSSES[3])) == expected
