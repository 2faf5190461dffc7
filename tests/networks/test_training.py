"""Training with its flows: what is recorded is what the parts say on their own."""

import json

import numpy as np
import pytest
import scipy.linalg

pytest.importorskip("jax", reason="jax is optional: pip install modeq[jax]")

import jax.numpy as jnp
from network_cases import DOUBLE, descent, quadratic, tanh_network

from modeq import networks
from modeq.errors import (
    FlowError,
    InvalidCheckpoint,
    InvalidPoint,
    InvalidStep,
    InvalidValue,
    ModeqWarning,
)
from modeq.networks import (
    DriftAdjusted,
    FieldFlow,
    SeriesFlow,
    TopPrincipalFlow,
    TrainingRecord,
    dal,
    double_precision,
    network_stability,
    solve_flow,
    step_drift,
    train,
)
from modeq.networks.flat_loss import FlatLoss

STEPS, H = 5, 0.1
LOSS, PARAMS, PREDICT = tanh_network(hidden=2)
FLAT = FlatLoss(LOSS, PARAMS, precision=DOUBLE)


@pytest.fixture(scope="module")
def record():
    return train(
        LOSS,
        PARAMS,
        steps=STEPS,
        rate=H,
        flows=(0, 2, TopPrincipalFlow(1, composed=2)),
        predict=PREDICT,
        directions=2,
        drift=True,
        every=2,
        precision=DOUBLE,
    )


def test_the_optimizer_is_gradient_descent(record):
    iterates = descent(LOSS, PARAMS, H, STEPS)
    np.testing.assert_allclose(record.theta, iterates[-1], atol=1e-13)
    losses = [FLAT.value(theta) for theta in iterates]
    sizes = [np.linalg.norm(FLAT.gradient(theta)) for theta in iterates]
    np.testing.assert_allclose(record.columns["loss"], losses, rtol=1e-12)
    np.testing.assert_allclose(record.columns["gradient_norm"], sizes, rtol=1e-12)
    np.testing.assert_allclose(record.columns["time"], H * np.arange(STEPS + 1))
    assert record.steps == STEPS


@pytest.mark.parametrize("order", [0, 2])
def test_distances_of_flows_are_those_of_the_flow_alone(record, order):
    path = solve_flow(LOSS, PARAMS, order, h=H, steps=STEPS, precision=DOUBLE)
    iterates = descent(LOSS, PARAMS, H, STEPS)
    distance = np.linalg.norm(path.theta - iterates, axis=1)
    np.testing.assert_allclose(record.columns[f"order {order}/weights"], distance, atol=1e-13)
    losses = [FLAT.value(theta) for theta in path.theta]
    np.testing.assert_allclose(record.columns[f"order {order}/loss"], losses, rtol=1e-10)
    with double_precision():
        apart = PREDICT(path.params(STEPS)) - PREDICT(FLAT.unravel(iterates[-1]))
    rms = np.sqrt(np.mean(np.asarray(apart) ** 2))
    assert record.columns[f"order {order}/function"][-1] == pytest.approx(rms, rel=1e-9)


def test_two_steps_taken_as_one_are_compared_with_every_other_iterate(record):
    values = record.columns["principal(1) of 2 steps/weights"]
    assert np.isnan(values).tolist() == [False, True] * 3
    assert record.columns["order 2/weights"][-1] < record.columns["order 0/weights"][-1]


def test_directions_and_drift_are_recorded_every_so_many_steps(record):
    iterates = descent(LOSS, PARAMS, H, STEPS)
    for step in range(STEPS + 1):
        values = record.columns["eigenvalues"][step]
        if step % 2:
            assert np.all(np.isnan(values))
            assert np.isnan(record.columns["drift_measured"][step])
            continue
        params = FLAT.unravel(iterates[step])
        expected = network_stability(LOSS, params, h=H, count=2, precision=DOUBLE)
        np.testing.assert_allclose(values, expected.eigenvalues, rtol=1e-9)
        np.testing.assert_allclose(
            record.columns["coefficients"][step], expected.coefficients, rtol=1e-7
        )
        drift = step_drift(LOSS, params, h=H, precision=DOUBLE)
        assert record.columns["drift_measured"][step] == pytest.approx(drift.measured, rel=1e-2)
        assert record.columns["drift_predicted"][step] == pytest.approx(drift.predicted)
    np.testing.assert_array_equal(record.sharpness, record.columns["eigenvalues"][:, 0])


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_records_come_back_as_they_were_saved(record, tmp_path, ending):
    path = tmp_path / f"record{ending}"
    record.save(path)
    found = TrainingRecord.load(path)
    assert found.columns.keys() == record.columns.keys()
    for name, values in record.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
    np.testing.assert_array_equal(found.theta, record.theta)
    assert json.loads(json.dumps(record.settings)) == found.settings
    assert (found.failures, found.complex_from) == (record.failures, record.complex_from)
    assert found.flows == ("order 0", "order 2", "principal(1) of 2 steps")
    assert list(tmp_path.iterdir()) == [path]


def test_a_json_record_is_strict_json(record, tmp_path):
    record.save(tmp_path / "record.json")
    json.loads((tmp_path / "record.json").read_text(), parse_constant=pytest.fail)


def test_other_files_are_no_records(record, tmp_path):
    for name, content in (
        ("a.json", b"[]"),
        ("b.json", b"{"),
        ("c.npz", b"x"),
        ("d.json", b"\xff"),
        ("e.json", b'{"columns": []}'),
        ("f.json", b'{"columns": {}, "theta": []}'),
        ("g.json", b"[" * 100_000),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidCheckpoint, match=name[0]):
            TrainingRecord.load(tmp_path / name)
    with pytest.raises(InvalidValue, match=r"must end in \.npz or \.json"):
        record.save(tmp_path / "record.txt")


def test_the_table_of_a_record_names_each_flow(record):
    text = str(record)
    assert "5 steps to t = 0.5" in text
    assert all(name in text for name in record.flows)


def test_drift_adjusted_rates_are_those_at_the_iterates():
    record = train(LOSS, PARAMS, steps=2, rate=DriftAdjusted(p=0.5), flows=(0,), precision=DOUBLE)
    first = dal(LOSS, PARAMS, 0.5, precision=DOUBLE)
    assert record.columns["rate"][0] == pytest.approx(first)
    moved = FLAT.start - first * FLAT.gradient(FLAT.start)
    assert record.columns["rate"][1] == pytest.approx(
        dal(LOSS, FLAT.unravel(moved), 0.5, precision=DOUBLE)
    )
    np.testing.assert_allclose(record.columns["time"][1:], np.cumsum(record.columns["rate"][:2]))


def test_an_optimizer_of_optax_is_compared_with_the_flow_of_any_field():
    optax = pytest.importorskip("optax", reason="optax is optional: pip install modeq[optax]")
    loss, params, matrix = quadratic([1.0, 0.4])
    decay = FieldFlow("decay", lambda p, h: {k: -0.5 * v for k, v in p.items()})
    record = train(
        loss,
        params,
        steps=3,
        rate=0.2,
        optimizer=optax.sgd(0.2, momentum=0.5),
        flows=(decay,),
        precision=DOUBLE,
    )
    start = np.concatenate([params["a"], params["b"]])
    theta, velocity = start, np.zeros(2)
    for step in range(1, 4):
        velocity = 0.5 * velocity + matrix @ theta
        theta = theta - 0.2 * velocity
        distance = np.linalg.norm(np.exp(-0.1 * step) * start - theta)
        assert record.columns["decay/weights"][step] == pytest.approx(distance, rel=1e-7)
    np.testing.assert_allclose(record.theta, theta, rtol=1e-12)


def test_a_complex_flow_says_from_which_step_on():
    loss, params, _ = quadratic([1.8, 0.4])
    record = train(loss, params, steps=2, rate=0.9, flows=(TopPrincipalFlow(2),), precision=DOUBLE)
    assert record.complex_from == {"principal(2)": 1}
    assert record.columns["principal(2)/weights"].max() < 1e-7
    assert "principal(2) is complex from step 1 on" in str(record)


def test_a_flow_that_ends_is_noted_and_the_rest_goes_on():
    def loss(p):
        return -jnp.sum(p**3) / 3

    record = train(loss, np.array([3.0]), steps=4, rate=0.1, flows=(0, 1), precision=DOUBLE)
    assert record.failures["order 0"].startswith("order 0 ends in step 4")
    assert np.isnan(record.columns["order 0/weights"]).tolist() == [False] * 4 + [True]
    assert np.isfinite(record.columns["loss"]).all()
    assert record.failures["order 0"] in str(record)


def test_a_gradient_that_is_not_finite_names_the_step_and_the_leaf():
    def loss(p):
        return jnp.sum(jnp.sqrt(p["w"])) + jnp.sum(p["v"] ** 2)

    start = {"v": np.ones(2), "w": np.array([4.0, 0.12])}
    with pytest.raises(FlowError, match=r"gradient is not finite in the leaf \['w'\] at step 1"):
        train(loss, start, steps=5, rate=0.1, flows=(), precision=DOUBLE)


def test_a_loss_that_grows_without_bound_names_the_step():
    with pytest.raises(FlowError, match=r"not finite.* at step \d+; take a smaller"):
        train(lambda p: jnp.sum(p**4), np.array([9.0]), steps=50, rate=1.0, flows=())


def test_single_precision_is_kept(tmp_path):
    loss, params, _ = tanh_network(hidden=2)
    record = train(loss, params, steps=2, rate=H, flows=(0,), precision="float32")
    assert record.theta.dtype == np.float32
    record.save(tmp_path / "record.json")
    assert TrainingRecord.load(tmp_path / "record.json").theta.dtype == np.float32
    iterates = descent(*tanh_network(hidden=2)[:2], H, 2)
    np.testing.assert_allclose(record.theta, iterates[-1], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rate": 0.0}, InvalidStep, "learning rate"),
        ({"steps": 0}, InvalidStep, "steps"),
        ({"flows": (0, 0)}, InvalidValue, "same name"),
        ({"flows": ("adam",)}, InvalidValue, "a flow is 'adam'"),
        ({"directions": 99}, InvalidValue, "directions is 99"),
        ({"directions": -1}, InvalidValue, "directions is -1"),
        ({"every": 0}, InvalidValue, "every is 0"),
        ({"checkpoint_every": True}, InvalidValue, "checkpoint_every"),
        ({"optimizer": "adam"}, InvalidValue, "gradient transformation"),
        ({"rate": DriftAdjusted(), "optimizer": "adam"}, InvalidValue, "drift-adjusted"),
        ({"tolerance": 0}, InvalidValue, "tolerance is 0"),
    ],
)
def test_bad_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        train(LOSS, PARAMS, **{"steps": 1, "precision": DOUBLE, **options})


def test_bad_weights_are_refused():
    with pytest.raises(InvalidPoint, match="int64"):
        train(lambda p: p["n"].sum(), {"n": np.arange(2)}, steps=1)
    with pytest.raises(InvalidValue, match="cap is 0"):
        DriftAdjusted(cap=0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rate", [1.0, DriftAdjusted(0.3, cap=1e5)])
def test_a_run_that_diverges_ends_in_one_error_and_no_warning(precision, rate):
    with pytest.raises(FlowError, match="not finite"):
        train(
            lambda p: (p**2).sum() / 2 + (p**4).sum() / 4,
            np.full(3, 5.0),
            steps=50,
            rate=rate,
            flows=(),
            directions=1,
            precision=precision,
        )


def test_weights_that_are_not_finite_are_named_even_where_the_loss_is():
    # The loss is flat far away, so that only the weights themselves overflow.
    options = {"rate": 1e39, "flows": (), "precision": "float32"}
    with pytest.raises(FlowError, match="the weights are not finite at step 1"):
        train(lambda p: jnp.tanh(p).sum(), np.zeros(1), steps=3, **options)


def test_the_size_of_a_gradient_in_single_precision_does_not_overflow():
    record = train(
        lambda p: 1e25 * p.sum(), np.ones(4), steps=1, rate=1e-25, flows=(), precision="float32"
    )
    assert record.columns["gradient_norm"][0] == pytest.approx(2e25)


def test_a_run_with_whole_numbers_of_numpy_can_be_stored(tmp_path):
    path = tmp_path / "run.npz"
    options = {
        "flows": [SeriesFlow(np.int64(1)), TopPrincipalFlow(1, order=np.int64(0))],
        "rate": DriftAdjusted(np.float32(1), np.int64(5)),
        "directions": np.int64(1),
        "every": np.int64(1),
        "precision": DOUBLE,
    }
    first = train(*quadratic([1.0, 2.0])[:2], steps=1, checkpoint=path, **options)
    again = train(*quadratic([1.0, 2.0])[:2], steps=1, checkpoint=path, **options)
    assert first.theta.tobytes() == again.theta.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flows", 1),
        ("flows", None),
        ("flows", "01"),
        ("optimizer", [1]),
        ("optimizer", "adam"),
        ("predict", 3),
        ("directions", True),
        ("every", 1.5),
    ],
)
def test_options_that_cannot_be_right_are_named(name, value):
    with pytest.raises(InvalidValue, match=name):
        train(*quadratic([1.0, 2.0])[:2], steps=1, **{name: value})


def test_records_show_themselves_in_notebooks(record):
    assert "largest distance" in record._repr_html_()
    assert "lambda" in network_stability(LOSS, PARAMS, h=H, count=1, precision=DOUBLE)._repr_html_()


def test_the_rate_is_read_from_an_optimizer_that_is_gradient_descent():
    optax = pytest.importorskip("optax", reason="optax is optional: pip install modeq[optax]")
    for precision in ("float32", DOUBLE):
        loss, params, matrix = quadratic([1.0, 0.4])
        record = train(
            loss, params, steps=5, optimizer=optax.sgd(0.01), flows=(0, 1), precision=precision
        )
        assert record.columns["rate"][0] == 0.01
    start = np.concatenate([params["a"], params["b"]])
    error = np.linalg.norm(scipy.linalg.expm(-0.05 * matrix) @ start - record.theta)
    assert record.columns["order 0/weights"][-1] == pytest.approx(error, rel=1e-6)
    assert record.columns["order 1/weights"][-1] < error / 50


@pytest.mark.parametrize("drift", [False, True])
def test_flows_of_gradient_descent_are_said_to_be_that_beside_other_optimizers(drift):
    optax = pytest.importorskip("optax", reason="optax is optional: pip install modeq[optax]")
    loss, params, _ = quadratic([1.0, 0.4])
    halved = optax.sgd(optax.piecewise_constant_schedule(0.1, {2: 0.5}))
    decayed = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1))
    momentum = optax.sgd(0.1, momentum=0.5)
    flows = () if drift else (0, 1)
    for optimizer in (optax.adam(0.1), momentum, optax.sgd(0.01), decayed, halved):
        options = {"rate": 0.1, "optimizer": optimizer, "flows": flows, "drift": drift}
        with pytest.warns(ModeqWarning, match=r"belong to gradient descent with the rate 0\.1"):
            train(loss, params, steps=5, precision=DOUBLE, **options)
    with pytest.raises(InvalidValue, match=r"rate is missing.*give rate="):
        train(loss, params, steps=2, optimizer=optax.adam(0.1), precision=DOUBLE)


def test_data_are_arguments_of_the_loss_in_training_flows_and_drift():
    data = np.arange(6.0).reshape(2, 3)

    def loss(w, points):
        return jnp.mean(jnp.tanh(points @ w) ** 2)

    start, options = np.ones(3), {"precision": DOUBLE}
    closed = lambda w: loss(w, data)  # noqa: E731
    one = networks.train(loss, start, steps=3, args=(data,), **options)
    other = networks.train(closed, start, steps=3, **options)
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-13)
    np.testing.assert_allclose(
        one.columns["order 1/weights"], other.columns["order 1/weights"], rtol=1e-6
    )
    assert (
        one.settings["loss"]
        != networks.train(loss, start, steps=3, args=(data + 1e-9,), **options).settings["loss"]
    )
    rate = {"h": 0.1, **options}
    path = networks.solve_flow(loss, start, 1, steps=2, args=(data,), **rate)
    np.testing.assert_allclose(
        path.theta, networks.solve_flow(closed, start, 1, steps=2, **rate).theta, rtol=1e-12
    )
    drift = networks.step_drift(loss, start, args=(data,), **rate)
    assert drift.measured == pytest.approx(networks.step_drift(closed, start, **rate).measured)
