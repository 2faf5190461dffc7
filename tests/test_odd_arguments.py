"""What no argument should be: every public callable takes it, or refuses it with one clear error.

A table holds one call of each public name that works. Each of its arguments is replaced, one at a
time, by values that nobody means: what comes is an answer or an error of `modeq.errors`, or a
TypeError of Python where the call itself is wrong.
"""

import itertools
import warnings

import numpy as np
import pytest
import sympy

import modeq
from modeq.errors import ModeqError

x, y = sympy.symbols("x y")
LOSS = modeq.Loss("x**2/2 + x**4/4")
PLANE = modeq.Loss("x**2 + x*y + y**2")
EULER = modeq.GradientDescent()
SERIES = modeq.exact_flow(3)
MAP = modeq.method_series(EULER, 3)
TREE = modeq.RootedTree.from_level_sequence([0, 1, 1])
POINT = [0.5]
ODD = (
    None,
    "",
    "a b",
    "x",
    float("nan"),
    float("inf"),
    -1,
    0,
    0.5,
    10**30,
    -(10**400),
    10**5000,
    [10**5000],
    1e308,
    True,
    1j,
    b"x",
    (),
    [],
    {},
    ["x", "y"],
    [[1, 2], [3]],
    [None],
    [float("nan")],
    np.array([1.0, None], dtype=object),
    np.array(["x"], dtype=object),
    np.zeros((0,)),
    np.ones((2, 3)),
    np.array(["x"]),
    sympy.nan,
    sympy.zoo,
    sympy.oo,
    sympy.I,
    sympy.true,
    sympy.Symbol("x"),
    sympy.Matrix(2, 2, [1, 2, 3, 4]),
    sympy.Eq(x, y),
    sympy.Interval(0, 1),
    object(),
)


def call(function, *arguments, **options):
    """Return a function and its arguments, by position and by name."""
    return function, arguments, options


def step(theta):
    return theta - 0.1 * theta


def product(vector):
    return 2 * vector


CALLS = [
    call(modeq.gradient_flow_bound, LOSS, POINT, time=0.5, tolerance=0.1, order=0),
    call(modeq.discretization_error, LOSS, POINT, h=0.1, steps=2, order=0),
    call(modeq.max_learning_rate, LOSS, POINT, steps=2, tolerance=0.1, order=0),
    call(modeq.step_refinement, LOSS, POINT, h=0.1, steps=2, factors=(2,)),
    call(modeq.optimal_truncation, LOSS, POINT, h=0.1, max_order=2),
    call(modeq.order_conditions, 2),
    call(modeq.tree_latex, TREE, "forest"),
    call(modeq.tree_svg, TREE, 24),
    call(modeq.tree_text, TREE),
    call(modeq.compose, MAP, MAP),
    call(modeq.inverse, MAP),
    call(modeq.power, MAP, 2),
    call(modeq.scaled, MAP, 2),
    call(modeq.substitute, modeq.modified_equation(EULER, 3), MAP),
    call(modeq.BSeries, {TREE: 1}, order=3, empty=0, colors=1),
    call(modeq.exact_flow, 2, 1),
    call(modeq.RootedTree, (TREE,), 0),
    call(modeq.RootedTree.from_level_sequence, [0, 1]),
    call(modeq.rooted_trees, 3, 1),
    call(modeq.adam_counter_term, LOSS, 1, "9/10", "99/100", epsilon="1/100"),
    call(modeq.Loss, "x**2", "x"),
    call(modeq.SplitField, [LOSS, LOSS]),
    call(modeq.VectorField, ["-x"], "x"),
    call(modeq.scheduled, LOSS, "1 - t", "t"),
    call(modeq.adjoint, EULER),
    call(modeq.method_series, EULER, 2),
    call(modeq.modified_equation, EULER, 2, limit=10**6, atol=0),
    call(modeq.modifying_integrator, EULER, 2, atol=0),
    call(modeq.order_of_accuracy, EULER, 3, atol=0),
    call(modeq.derive, LOSS, 1, EULER, variables="x", limit=1000),
    call(modeq.from_json, modeq.derive(LOSS, 1).to_json()),
    call(modeq.blackbox_field, step, 1, h=0.1),
    call(modeq.compare, LOSS, POINT, h=0.1, steps=2, orders=(0, 1), method=EULER),
    call(modeq.iterate, LOSS, POINT, h=0.1, steps=2, method=EULER, parameters={}, start=None),
    call(modeq.conserved, PLANE),
    call(modeq.scale_invariance, PLANE, "x"),
    call(modeq.translation_invariance, PLANE, "x"),
    call(modeq.CyclicEpoch, 2, (0, 1)),
    call(modeq.EpochWithReplacement, 2),
    call(modeq.PairedReversal, 2),
    call(modeq.SequentialUpdates, (0, 1), "two"),
    call(modeq.ShuffledEpoch, 2),
    call(modeq.HeavyBall, "1/2"),
    call(modeq.Nesterov, "1/2", "theta"),
    call(modeq.LinearMultistep, (-1, 1), (1, 0)),
    call(modeq.RungeKutta, ((0,),), (1,), (0,)),
    call(modeq.composed, EULER, EULER, fractions=("1/2", "1/2")),
    call(modeq.repeated, EULER, 2),
    call(modeq.AdditiveRungeKutta, (((0,),), ((0,),)), ((1,), (1,))),
    call(modeq.AlternatingUpdates, 2, 1),
    call(modeq.SimultaneousUpdates, 2),
    call(modeq.StoermerVerlet, 0),
    call(modeq.SymplecticEuler, 0),
    call(modeq.Splitting, ((0, 1), (1, 1))),
    call(modeq.Adam, "1/2", "1/2", epsilon="1/100", epsilon_inside=True, weight_decay=0),
    call(modeq.AdamW, "1/2", "1/2", epsilon="1/100", weight_decay="1/10"),
    call(modeq.EMAMomentum, "1/2", 0),
    call(modeq.Lion, "1/2", "1/2", weight_decay=0),
    call(modeq.Lookahead, 2, "1/2", modeq.SGD()),
    call(modeq.OptimisticGradient, 1, 1),
    call(modeq.QHMomentum, "1/2", "1/2", 0),
    call(modeq.RMSProp, "1/2", epsilon="1/100", momentum=0, weight_decay=0),
    call(modeq.SAM, "1/10"),
    call(modeq.SAM, rho_over_h="1/10"),
    call(modeq.SGD, "1/2", 0, 0, False),
    call(modeq.UnnormalizedSAM, "1/10"),
    call(modeq.optimizer, ("v",), name="mine", ranges={}),
    call(modeq.CustomMethod, lambda theta, f, h: theta + h * f(theta), "mine"),
    call(modeq.tree_blocks, EULER, 2, limit=10**6),
    call(modeq.tree_table, EULER, 2, limit=10**6),
    call(modeq.series_table, SERIES, "html", fields=("order",)),
    call(modeq.central_flow, PLANE, [1.0, 2.0], h=0.1, steps=1),
    call(modeq.dal, LOSS, POINT, 1, 5),
    call(modeq.drift, LOSS, POINT, h=0.1),
    call(modeq.run_dal, LOSS, POINT, steps=1, p=1, cap=5),
    call(modeq.run_drift, LOSS, POINT, h=0.1, steps=1),
    call(modeq.compare, LOSS, POINT, h=0.1, steps=1, flows=[0, modeq.principal_flow(LOSS)]),
    call(modeq.top_eigenpairs, product, 3, 1, tolerance=1e-6, which="magnitude", restarts=3),
    call(modeq.principal_value, [1.0, 2.0, 3.0], product, h=0.1, count=1),
    call(modeq.principal_flow, LOSS, 1, EULER, composed=1),
    call(modeq.compare_rates, LOSS, POINT, steps=1, rates=(0.1,), powers=(1,), cap=5),
    call(modeq.stability_report, LOSS, POINT, h=0.1),
    call(modeq.certify_tall, EULER, 2),
    call(modeq.principal_part, modeq.derive(LOSS, 1)),
    call(modeq.stability_regimes, LOSS, POINT, method=EULER, largest=3.0),
    call(modeq.Game, [PLANE, PLANE], ["x", "y"], [1, 1], "simultaneous", 1),
    call(modeq.Minibatches, [LOSS, LOSS], "cyclic", "epoch", variables="x"),
    call(modeq.label_noise, ["x*y"], [1], 1, variables="x y"),
    call(modeq.shuffled_field, [LOSS, LOSS], 1),
    call(modeq.sgd_generator, LOSS, 1, covariance=[[1]], gaussian=True),
    call(modeq.stochastic_equation, LOSS, covariance=[[1]], weak_order=1),
    call(modeq.joint_step, LOSS, LOSS, variables="x"),
    call(modeq.sequential_steps, LOSS, LOSS, variables="x"),
    call(modeq.convergence_times, LOSS, POINT, h=0.1, target=0.1),
    call(modeq.deep_network, (1, 1), [[1]], [[1]]),
    call(modeq.HomogeneousNetwork, (1, 1, 1), [[1]], [[1]], "relu", "square"),
    call(modeq.LinearNetwork, (1, 1), [[1]], [[1]], "square"),
    call(modeq.end_to_end_flow, 2, 1.0, 0.5, h=0.1, steps=1),
]


def altered(arguments, options):
    """Yield the arguments of a call with one of them replaced by what nobody means.

    Immense times are left out: solvers try hard before they say that they cannot, for seconds.
    """
    for place, odd in itertools.product(range(len(arguments)), ODD):
        yield (*arguments[:place], odd, *arguments[place + 1 :]), options
    for name, odd in itertools.product(options, ODD):
        if name not in ("h", "time") or not isinstance(odd, int | float) or not 1 < odd < np.inf:
            yield arguments, options | {name: odd}


@pytest.mark.parametrize(
    ("function", "arguments", "options"),
    CALLS,
    ids=[f"{function.__name__}-{place}" for place, (function, _, _) in enumerate(CALLS)],
)
def test_arguments_that_nobody_means_are_refused_with_an_error_of_modeq(
    function, arguments, options
):
    for odd_arguments, odd_options in altered(arguments, options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", modeq.errors.ModeqWarning)
            try:
                function(*odd_arguments, **odd_options)
            except ModeqError:
                continue
