"""Everything in optax that makes an optimizer: its field is right, or it is refused with a reason.

The oracle is the optimizer itself: after a long run at tiny learning rates it is on its slow
manifold, wherever that is, and the field is log(1 + Δ) of its next weights.
"""

import inspect
import warnings

import numpy as np
import pytest

from modeq import networks
from modeq.algebra.logarithm import logarithm_weights
from modeq.errors import InvalidMethod, InvalidPoint, InvalidStep, ModeqError

REASON = "optax and jax are optional: pip install modeq[optax]"
jax = pytest.importorskip("jax", reason=REASON)
pytest.importorskip("optax", reason=REASON)
jnp = jax.numpy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it warns of when it is imported is its own
    import optax

pytestmark = [  # optax warns of its own names
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

START = np.array([0.7, 0.4])
MATRIX = np.array([[0.7, 0.4], [-0.3, 0.9]])
RATES = 2.0 ** -np.arange(13, 17)
FORGOTTEN = 128
"""Calls after which averages that keep at most 0.7 in a call have forgotten their start."""


def loss(w):
    x, y = w
    return x**4 / 4 + x**2 * y**2 + y**2 / 2 + x * y / 3 + x


def matrix_loss(w):
    return jnp.sum((jnp.array([[1.0, 0.5], [0.2, 2.0]]) @ w) ** 4) / 4 + 1.5 * jnp.sum(w**2)


class Rate:
    """A learning rate that can be changed in the state, without compiling anything anew."""

    def __init__(self):
        self.h = 1.0

    def times(self, optimizer):
        """Return an optimizer whose updates are multiplied by the rate."""
        inner = optax.with_extra_args_support(optimizer)

        def init(params):
            return inner.init(params), jnp.asarray(self.h)

        def update(gradient, state, params=None):
            change, following = inner.update(gradient, state[0], params)
            return jax.tree.map(lambda c: c * state[1].astype(c.dtype), change), (
                following,
                state[1],
            )

        return optax.GradientTransformation(init, update)


def momentum():
    return optax.sgd(1.0, momentum=0.5)


def slopes_of(make, order=1, calls=FORGOTTEN, rates=RATES, start=START, loss=loss, count=None):
    """Return the errors of the field at halved rates, and their slopes."""
    rate = Rate()
    optimizer = make(rate)
    step = networks.OptimizerStep(optimizer, loss, order, precision="float64", count=count)

    def call(_, now):
        params, state = now
        change, after = optimizer.update(jax.grad(loss)(params), state, params)
        after = jax.tree.map(lambda a, s: jnp.asarray(a, jnp.result_type(s)), after, state)
        return params + change, after

    run = jax.jit(lambda now, times: jax.lax.fori_loop(0, times, call, now))
    errors = []
    for h in rates.tolist():
        rate.h = step.h = h
        with networks.double_precision():
            params = jnp.asarray(start)
            period = step.period(params)
            now = run((params, optimizer.init(params)), calls * period)
            found = [now[0]]
            for _ in range(6):
                now = run(now, period)
                found.append(now[0])
            weights = map(float, logarithm_weights(5))
            exact = sum(w * np.asarray(p) for w, p in zip(weights, found, strict=True))
            errors.append(np.linalg.norm(step.field(found[0]) - exact / (h * period)))
    return np.array(errors), np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def assert_right(make, order=1, rates=RATES, **options):
    errors, slopes = slopes_of(make, order, rates=rates, **options)
    seen = slopes[errors[1:] > 50 * 2.0**-52 / rates[1:]]  # of those above rounding
    assert len(seen) or np.all(errors < 1e-8), errors
    assert not len(seen) or abs(seen[-1] - order - 1) < 0.15, (errors, slopes)


def schedule(count):
    return 1.0 + 0.0 * count


ARGUMENTS = {
    "learning_rate": 1.0,
    "clipping": 0.1,
    "eta": 0.1,
    "gamma": 0.5,
    "max_consecutive_errors": 3,
    "max_delta": 0.3,
    "threshold": 0.3,
    "max_norm": 0.3,
    "should_transform_fn": lambda step: step >= 0,
    "mask": True,
    "freeze_mask": False,
    "sync_period": 2,
    "slow_step_size": 0.5,
    "decay": 0.6,
    "measure": lambda *_: jnp.ones(()),
    "measures": {},
    "measure_name": "one",
    "param_labels": "all",
    "max_backtracking_steps": 5,
    "max_linesearch_steps": 5,
    "step_size": 1.0,
    "step_size_fn": schedule,
    "l2_norm_clip": 1.0,
    "noise_multiplier": 0.1,
    "seed": 0,
    "key": 0,
    "inner_factory": optax.sgd,
    "adv_optimizer": optax.chain(optax.contrib.normalize(), optax.sgd(0.1)),
    "b1": 0.5,
    "b2": 0.6,
    "b3": 0.7,
    "momentum": 0.5,
    "f": lambda g, p=None: jax.tree.map(lambda x: 2 * x, g),
}
"""What is given for each argument of this name that has no default."""

MEMORIES = ("b1", "b2", "b3", "momentum", "decay", "learning_rate")
"""Arguments that are given also where they have a default, so that memories are short."""

INNER = ("inner", "optimizer", "base_optimizer", "fast_optimizer", "tx")
"""Arguments that are an optimizer."""


def made(function, rate):
    """Return the optimizer that a function of optax makes of arguments that are known by name."""
    options, has_rate = {}, False
    for parameter in inspect.signature(function).parameters.values():
        name, is_needed = parameter.name, parameter.default is parameter.empty
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in INNER and is_needed:
            options[name], has_rate = rate.times(momentum()), True
        elif name == "transforms":
            options[name] = {"all": momentum()}
        elif is_needed or (name in MEMORIES and parameter.default is not None):
            options[name] = ARGUMENTS[name]
    if function.__name__ == "stateless_with_tree_map":
        options["f"] = lambda g, p: 2 * g
    if function.__name__ == "named_chain":
        return rate.times(function(("first", momentum())))
    if function.__name__ == "chain":
        return rate.times(function(momentum()))
    optimizer = function(**options)
    if function.__name__.startswith("inject"):
        optimizer = optimizer(learning_rate=1.0, momentum=0.5)
    return optimizer if has_rate else rate.times(optimizer)


def makers():
    """Return {name: function} for all functions of optax that make a gradient transformation."""
    found = {}
    for module in (optax, optax.contrib):
        for name, function in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(function):
                continue
            returns = inspect.signature(function).return_annotation
            if "GradientTransformation" in str(returns) or makes_one(function):
                found[f"{module.__name__.removeprefix('optax.')}.{name}"] = function
    return found


def makes_one(function):
    """Tell whether a function that does not say what it returns makes a transformation."""
    if inspect.signature(function).return_annotation is not inspect.Signature.empty:
        return False
    try:
        return hasattr(made(function, Rate()), "update")
    except (KeyError, TypeError):
        return False


STAYS = r"keeps what it was, with the eigenvalue 1, .* in the leaf {} of its state"
REASONS = {
    "optax.adabelief": "epsilon inside of roots",
    "optax.adadelta": "does not contract|gradients change too much",
    "optax.adafactor": "in the leaf .*v of its state|gradients change too much",
    "optax.adagrad": STAYS.format(r".*sum_of_squares"),
    "optax.add_noise": r"rng_key .* holds random numbers",
    "optax.amsgrad": STAYS.format(r".*nu_max"),
    "optax.lbfgs": "needs the arguments 'value', 'grad', and 'value_fn'",
    "optax.lookahead": "needs weights with an attribute 'fast'",
    "optax.measure_with_ema": r"has the shapes \[\(\)\]; weights of the shapes \[\(2,\)\]",
    "optax.noisy_sgd": r"rng_key .* holds random numbers",
    "optax.polyak_sgd": "needs the argument 'value'",
    "optax.scale_by_adadelta": "does not contract|gradients change too much",
    "optax.scale_by_amsgrad": STAYS.format(r".*nu_max"),
    "optax.scale_by_backtracking_linesearch": "needs the arguments 'value', 'grad', and 'value_fn'",
    "optax.scale_by_belief": "epsilon inside of roots",
    "optax.scale_by_distance_over_gradients": STAYS.format(r".*init_params"),
    "optax.scale_by_factored_rms": "epsilon inside of roots|does not contract",
    "optax.scale_by_lbfgs": STAYS.format(r".*memory"),
    "optax.scale_by_polyak": "needs the argument 'value'",
    "optax.scale_by_rss": STAYS.format(r".*sum_of_squares"),
    "optax.scale_by_stddev": "epsilon inside of roots",
    "optax.scale_by_yogi": STAYS.format(r".*nu"),
    "optax.scale_by_zoom_linesearch": "needs the arguments 'value', 'grad', and 'value_fn'",
    "optax.sm3": STAYS.format(r".*mu\[0\]"),
    "optax.yogi": STAYS.format(r".*nu"),
    "contrib.acprop": "epsilon inside of roots",
    "contrib.cocob": STAYS.format(r".*subgradients"),
    "contrib.dadapt_adamw": r"in the leaf .*estim_lr of its state",
    "contrib.differentially_private_aggregate": r"has the shapes \[\(\)\]",
    "contrib.dog": "in the leaf .*max_dist of its state",
    "contrib.dowg": STAYS.format(r".*weighted_sq_norm_grads"),
    "contrib.dpsgd": r"has the shapes \[\(\)\]",
    "contrib.hutchinson_estimator_diag_hessian": "obj_fn must be provided",
    "contrib.madgrad": STAYS.format(r".*\.s"),
    "contrib.mechanize": r"in the leaf .*\.s of its state",
    "contrib.momo": "needs the argument 'value'",
    "contrib.momo_adam": "needs the argument 'value'",
    "contrib.prodigy": STAYS.format(r".*params0"),
    "contrib.reduce_on_plateau": "needs the argument 'value'",
    "contrib.scale_by_acprop": "epsilon inside of roots",
    "contrib.scale_by_cocob": STAYS.format(r".*subgradients"),
    "contrib.scale_by_galore": "gradients change too much",
    "contrib.scale_by_madgrad": STAYS.format(r".*\.s"),
    "contrib.scale_by_muon": "must have shape",
    "contrib.schedule_free": STAYS.format(r".*\.z"),
    "contrib.schedule_free_adamw": STAYS.format(r".*\.z"),
    "contrib.schedule_free_sgd": STAYS.format(r".*\.z"),
    "contrib.sophia": "obj_fn must be provided",
}
"""Why those are refused that are."""

TINY = 2.0 ** -np.arange(18, 22)
OPTIONS = {
    "contrib.galore": {"rates": TINY, "calls": 36_000},
    "contrib.muon": {"rates": TINY, "calls": 36_000},
    "optax.rprop": {"rates": TINY},
    "optax.scale_by_rprop": {"rates": TINY},
}
"""Those with averages that keep 0.999 in a call, or steps that grow to 50, whatever is given."""

QUICK = {
    *("optax.adam", "optax.adan", "optax.apply_if_finite", "optax.clip", "optax.lion"),
    *("optax.radam", "optax.rmsprop", "optax.set_to_zero", "optax.inject_hyperparams"),
    *("contrib.adopt", "contrib.sam", "contrib.simplified_ademamix", "contrib.ademamix"),
    *("optax.amsgrad", "optax.adabelief", "optax.noisy_sgd", "optax.lbfgs", "optax.lookahead"),
    *("contrib.prodigy", "contrib.mechanize", "contrib.dadapt_adamw", "contrib.schedule_free_sgd"),
    *("contrib.dpsgd", "contrib.reduce_on_plateau", "contrib.dog", "optax.rprop"),
}
"""One or two of each kind; all are looked at where there is time."""

MAKERS = makers()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in sorted(MAKERS)
    ],
)
def test_what_optax_makes_has_the_field_that_it_follows_or_is_refused_with_a_reason(name):
    make = lambda rate: made(MAKERS[name], rate)  # noqa: E731
    if name in REASONS:
        with pytest.raises(ModeqError, match=REASONS[name]):
            slopes_of(make, rates=RATES[:1])
    else:
        assert_right(make, **OPTIONS.get(name, {}))


def test_all_that_is_named_here_is_in_optax():
    assert set(MAKERS) >= QUICK | set(REASONS) | set(OPTIONS)
    assert len(MAKERS) > 100


def test_averages_of_a_thousand_calls_are_found():
    assert_right(lambda rate: rate.times(optax.adam(1.0)), rates=TINY, calls=36_000)


def test_memory_that_is_no_average_is_found():
    adadelta = lambda rate: rate.times(optax.adadelta(1.0, 0.6, eps=0.5))  # noqa: E731
    assert_right(adadelta, rates=TINY, calls=2_000)


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(
            optax.contrib.muon(1.0, beta=0.5, adam_b1=0.5, adam_b2=0.6), marks=pytest.mark.slow
        ),
        optax.chain(optax.contrib.scale_by_muon(beta=0.5), optax.scale(-1.0)),
    ],
)
def test_weights_may_be_matrices(optimizer):
    assert_right(
        lambda rate: rate.times(optimizer), start=MATRIX, loss=matrix_loss, rates=RATES / 8
    )


def test_what_is_made_of_gradients_now_and_then_is_refused():
    for gap, counts in ((200, (None, 1_001)), (777, (None,))):
        galore = optax.contrib.galore(
            1.0, rank=1, update_proj_gap=gap, base_optimizer=optax.scale_by_adam(0.5, 0.6)
        )
        for count in counts:
            step = networks.OptimizerStep(
                galore, matrix_loss, 1, h=1e-3, precision="float64", count=count
            )
            with pytest.raises(InvalidMethod, match=r"counter|keeps what it was"):
                step.field(MATRIX)


# Counters


def settled(optimizer, gradient, calls=20_000):
    """Return the update of an optimizer of one weight that has seen one gradient only."""

    def call(_, now):
        return optimizer.update(gradient, now[1], 0 * gradient)

    with networks.double_precision():
        gradient = jnp.asarray(gradient)
        now = (gradient, optimizer.init(gradient))
        return np.asarray(jax.lax.fori_loop(0, calls, call, now)[0])


def field_of(optimizer, params, order=0, h=1e-9, **options):
    half_squares = lambda w: jnp.sum(w**2) / 2  # noqa: E731
    step = networks.OptimizerStep(
        optimizer, half_squares, order, h=h, precision="float64", **options
    )
    return np.asarray(step.field(np.asarray(params)))


def with_clock(kind):
    """Return a transformation whose counter has a name and a type of its own."""

    def init(params):
        return {"calls so far": jnp.zeros((), kind)}

    def update(gradient, state, params=None):
        calls = state["calls so far"] + 1
        return jax.tree.map(lambda g: g / (1 - 0.5 ** calls.astype(g.dtype)), gradient), {
            "calls so far": calls
        }

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adan(1e-9),
        optax.contrib.simplified_ademamix(1e-9),
        optax.contrib.adopt(1e-9),
        optax.radam(1e-9),
        optax.chain(with_clock("int32"), optax.trace(0.5), optax.scale(-1e-9)),
        optax.chain(with_clock("float64"), optax.trace(0.5), optax.scale(-1e-9)),
    ],
)
def test_counters_are_told_by_what_they_do_and_not_by_their_names(optimizer):
    expected = settled(optimizer, np.array([2.0, -0.3])) / 1e-9
    with networks.double_precision():
        np.testing.assert_allclose(field_of(optimizer, [2.0, -0.3]), expected, rtol=1e-5)


def test_adan_follows_the_sign_of_the_gradient():
    np.testing.assert_allclose(field_of(optax.adan(1e-9), [2.0, -0.3]), [-1, 1], rtol=1e-5)


# Clocks of schedules


@pytest.mark.parametrize(
    "schedule",
    [
        optax.exponential_decay(1.0, 1_000, 0.5),
        optax.cosine_decay_schedule(1.0, 10_000),
        optax.cosine_decay_schedule(1.0, 10_000, 0.1),
        optax.warmup_cosine_decay_schedule(0.0, 1.0, 100, 20_000, 1e-2),
        lambda count: 1 / (1 + count / 1e4),
    ],
)
@pytest.mark.parametrize("make", [optax.sgd, optax.adam, lambda eta: optax.sgd(eta, 0.9)])
def test_a_schedule_needs_its_count(make, schedule):
    with pytest.raises(InvalidMethod, match=r"counter \[1\].*count of its state.* give count="):
        field_of(make(schedule), [2.0, -0.3])


def test_a_schedule_has_the_rate_of_its_count():
    decay = optax.exponential_decay(0.01, 1_000, 0.5)
    for count in (1, 1_000, 5_000):
        found = field_of(optax.sgd(decay), [1.0], h=0.01, count=count)
        np.testing.assert_allclose(found, -decay(count) / 0.01, rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda eta: optax.sgd(eta, 0.5),
        pytest.param(lambda eta: optax.adam(eta, 0.5, 0.6), marks=pytest.mark.slow),
    ],
)
def test_a_schedule_in_the_time_of_the_flow_is_followed_to_the_next_power_of_h(make):
    errors = []
    for halving in range(4):
        h, calls = 2.0 ** -(10 + halving), 2 ** (7 + halving)
        optimizer = make(lambda count, h=h: h / (1 + h * count) ** 2)
        step = networks.OptimizerStep(optimizer, loss, 1, h=h, precision="float64", count=calls)
        with networks.double_precision():
            points = np.array(step.run(START, calls + 6))[calls:]
            weights = np.array([float(w) for w in logarithm_weights(5)])
            errors.append(np.linalg.norm(step.field(points[0]) - weights @ points / h))
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(slopes[-1], 2, atol=0.15)


def test_a_count_where_the_rate_jumps_is_refused():
    stairs = optax.piecewise_constant_schedule(0.1, {1_000: 0.1})
    for count in (10, 2_000):
        field_of(optax.sgd(stairs), [1.0], order=1, h=0.1, count=count)
    with pytest.raises(InvalidMethod, match=r"changes by 90\.0% within 2 steps after count=999"):
        field_of(optax.sgd(stairs), [1.0], order=1, h=0.1, count=999)


def test_a_count_that_changes_how_memory_forgets_is_refused():
    with pytest.raises(InvalidMethod, match="how fast its memory forgets"):
        field_of(optax.adafactor(1e-3), [1.0], h=1e-3, count=100)


def test_a_count_is_at_most_what_counts_as_settled():
    with pytest.raises(InvalidStep, match="count is 2000000000"):
        field_of(optax.sgd(0.1), [1.0], count=2 * 10**9)


# Periods


PERIODS = {
    "accumulated": (3, lambda rate: multi(rate.times(momentum()), 3)),
    "accumulated, Adam": (4, lambda rate: multi(rate.times(optax.adam(1.0, 0.5, 0.6)), 4)),
    "applied": (3, lambda rate: rate.times(optax.chain(optax.sgd(1.0), optax.apply_every(3)))),
    "both": (6, lambda rate: multi(rate.times(optax.chain(momentum(), optax.apply_every(3))), 2)),
    "sharpness": (4, lambda rate: optax.contrib.sam(rate.times(momentum()), UPHILL, 4)),
}
UPHILL = ARGUMENTS["adv_optimizer"]


def multi(optimizer, calls):
    return optax.MultiSteps(optimizer, calls, accumulator_dtype="float64")


@pytest.mark.parametrize("name", PERIODS)
def test_a_period_of_calls_is_one_step(name):
    period, make = PERIODS[name]
    with networks.double_precision():
        step = networks.OptimizerStep(make(Rate()), loss, 1, precision="float64")
        assert step.period(START) == period
        assert_right(make, rates=RATES / 2)


def test_time_goes_by_calls():
    h = 1e-9
    with networks.double_precision():
        np.testing.assert_allclose(field_of(multi(optax.sgd(h), 3), [3.0]), [-1], rtol=1e-6)
    applied = optax.chain(optax.sgd(h), optax.apply_every(2))
    np.testing.assert_allclose(field_of(applied, [3.0]), [-3], rtol=1e-6)


def test_epochs_and_periods_fit_together():
    batches = [(1.0,), (2.0,), (6.0,)]
    weighted = lambda w, data: data * jnp.sum(w**2) / 2  # noqa: E731
    with networks.double_precision():
        for calls, epochs in ((2, 2), (3, 1), (6, 2)):
            step = networks.OptimizerStep(
                multi(optax.sgd(1e-9), calls),
                weighted,
                0,
                h=1e-9,
                batches=batches,
                precision="float64",
            )
            assert step.period(np.ones(1)) == epochs
            np.testing.assert_allclose(step.field(np.ones(1)), [-9 / calls], rtol=1e-6)


@pytest.mark.parametrize("calls", [300, 5_000])
def test_a_long_period_is_refused(calls):
    applied = optax.chain(optax.sgd(0.1), optax.apply_every(calls))
    for optimizer in (applied, optax.MultiSteps(optax.sgd(0.1), calls)):
        with pytest.raises(InvalidMethod, match=r"period|keeps what it was|counter"):
            field_of(optimizer, [1.0])


def test_a_period_in_the_age_is_refused():
    def update(gradient, count, params=None):
        return jax.tree.map(lambda g: g * (1 + (count % 7 == 0)), gradient), count + 1

    every_seventh = optax.GradientTransformation(lambda p: jnp.zeros((), "int32"), update)
    with pytest.raises(InvalidMethod, match="depends on the counter"):
        field_of(every_seventh, [1.0])


# What is not in the gradient


def test_keys_of_random_numbers_matter_only_where_they_are_used():
    def split(used):
        def update(gradient, key, params=None):
            one, following = jax.random.split(key)
            noise = lambda g: g + used * jax.random.normal(one, g.shape, g.dtype)  # noqa: E731
            return jax.tree.map(noise, gradient), following

        return optax.GradientTransformation(lambda p: jax.random.key(0), update)

    np.testing.assert_allclose(field_of(split(0.0), [1.0], h=1.0), [1.0])
    with pytest.raises(InvalidMethod, match="holds random numbers; there is no field"):
        field_of(split(0.1), [1.0], h=1.0)


def test_an_update_that_reads_more_than_its_state_is_refused():
    numbers = iter(np.random.default_rng(0).random(1_000).tolist())
    noisy = optax.stateless(lambda g, p: jax.tree.map(lambda x: x * next(numbers), g))
    with pytest.raises(InvalidMethod, match="another one each time"):
        field_of(noisy, [1.0])


def test_an_update_that_fails_is_an_error_of_modeq():
    def wrong(error):
        def update(gradient, state, params=None):
            raise error

        return optax.GradientTransformation(lambda params: (), update)

    for error in (TypeError("no"), ValueError(""), np.linalg.LinAlgError("singular"), KeyError(1)):
        with pytest.raises(InvalidMethod, match=f"fails at these .*{type(error).__name__}"):
            field_of(wrong(error), [1.0])


@pytest.mark.parametrize(
    ("state", "update", "match"),
    [
        ((), lambda g, s, p=None: None, "returns None; it must be a pair"),
        ((), lambda g, s, p=None: (g,), "it must be a pair"),
        (jnp.zeros(1), lambda g, s, p=None: (g, jnp.concatenate([s, s])), "another structure"),
        ((), lambda g, s, p=None: (g * 1j, s), "need as many floats"),
        ("text", lambda g, s, p=None: (g, s), "fails at these weights"),
        (0, lambda g, s, p=None: (g if s > 3 else 2 * g, s + 1), "fails at these weights"),
    ],
)
def test_what_is_no_transformation_is_refused(state, update, match):
    with pytest.raises(InvalidMethod, match=match):
        field_of(optax.GradientTransformation(lambda params: state, update), [1.0])


def test_weights_that_have_no_gradient_rest():
    for optimizer in (optax.adam(1e-9), optax.rmsprop(1e-9, momentum=0.5), optax.lamb(1e-9)):
        found = field_of(optimizer, [1.0, 0.0], order=1)
        assert found[0] < -0.5
        assert found[1] == 0
        assert field_of(optimizer, [0.0], order=1).tolist() == [0]


def test_a_step_needs_the_numbers_of_its_arguments():
    step = networks.OptimizerStep(optax.sgd(0.1), lambda w: jnp.sum(w**2), 1)
    with pytest.raises(InvalidPoint, match=r"inside of jax\.jit"):
        jax.jit(step.field)(jnp.ones(2))
