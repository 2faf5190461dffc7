"""Small networks: their gradients against NumPy, their invariances, and what they refuse."""

import warnings

import numpy as np
import pytest

from modeq.errors import InvalidValue
from modeq.networks.models import FullyConnected

pytest.importorskip("jax", reason="JAX is optional: pip install modeq[jax]")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it warns of when it is imported is its own
    import jax
    from jax.flatten_util import ravel_pytree

from modeq.networks import models
from modeq.networks.flat_loss import FlatLoss

RNG = np.random.default_rng(4)
INPUTS = RNG.normal(size=(30, 6))
LABELS = RNG.integers(0, 4, 30)
WIDTHS = (6, 5, 5, 4)


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def gradient(loss):
    return jax.jit(jax.grad(loss))


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky-relu"])
def test_without_biases_loss_and_gradient_are_those_of_numpy(activation):
    oracle = FullyConnected(WIDTHS, INPUTS, LABELS, activation)
    network = models.mlp(WIDTHS, activation, bias=False)
    loss = models.cross_entropy(network, INPUTS, LABELS)
    params = network.init(seed=3)
    theta = oracle.start(seed=3)
    np.testing.assert_array_equal(flat(params), theta)
    assert float(jax.jit(loss)(params)) == pytest.approx(oracle.value(theta), rel=1e-13)
    np.testing.assert_allclose(flat(gradient(loss)(params)), oracle.gradient(theta), atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("build", [models.mlp, models.weight_normalized])
def test_outputs_are_those_of_a_loop_over_units(build, activation):
    function = {
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "softplus": lambda x: np.log(1 + np.exp(x)),
    }[activation]
    network = build(WIDTHS, activation)
    params = network.init(seed=0)
    for point, output in zip(
        INPUTS[:3], np.asarray(jax.jit(network.apply)(params, INPUTS[:3])), strict=True
    ):
        units = point
        for number, layer in enumerate(params):
            rows = layer["w"] if "w" in layer else layer["v"]
            sums = []
            for k, row in enumerate(np.asarray(rows)):
                if "g" in layer:
                    row = float(layer["g"][k]) * row / np.sqrt(row @ row)
                sums.append(row @ units + float(layer["b"][k]))
            units = np.array(sums)
            if number < len(params) - 1:
                units = function(units)
        np.testing.assert_allclose(output, units, rtol=1e-12)


def test_normalised_networks_start_as_the_function_of_plain_ones():
    plain, normalised = models.mlp(WIDTHS), models.weight_normalized(WIDTHS)
    np.testing.assert_allclose(
        plain.apply(plain.init(seed=5), INPUTS),
        normalised.apply(normalised.init(seed=5), INPUTS),
        rtol=1e-13,
    )


def test_the_loss_of_minibatches_averages_to_that_of_all_points():
    network = models.mlp(WIDTHS, "softplus")
    params = network.init(seed=2)
    on_batch = jax.jit(models.batch_cross_entropy(network))
    parts = [float(on_batch(params, INPUTS[k::3], LABELS[k::3])) for k in range(3)]
    whole = jax.jit(models.cross_entropy(network, INPUTS, LABELS))(params)
    assert float(whole) == pytest.approx(np.mean(parts), rel=1e-13)


@pytest.mark.parametrize(
    ("build", "activation"),
    [
        (models.mlp, "sigmoid"),
        (models.mlp, "softplus"),
        (models.weight_normalized, "linear"),
        (models.weight_normalized, "tanh"),
    ],
)
def test_smooth_losses_are_analytic_so_that_they_have_flows_at_complex_weights(build, activation):
    network = build((6, 3, 4), activation)
    parts = (
        models.cross_entropy(network, INPUTS, LABELS),
        models.square(network, INPUTS, np.eye(4)[LABELS]),
    )
    loss = FlatLoss(lambda params: sum(part(params) for part in parts), network.init(seed=0))
    loss.check_analytic(loss.start)


@pytest.mark.parametrize("x", [-800.0, -40.0, -1e-3, 0.0, 1e-3, 40.0, 800.0])
def test_softplus_and_its_slope_are_right_at_both_ends(x):
    value, slope = jax.value_and_grad(models.ACTIVATIONS["softplus"])(x)
    assert float(value) == pytest.approx(np.logaddexp(0, x), rel=1e-14)
    assert float(slope) == pytest.approx(np.exp(-np.logaddexp(0, -x)), rel=1e-14)


def test_gradients_of_normalised_rows_are_orthogonal_to_them_and_shrink_with_their_length():
    network = models.weight_normalized(WIDTHS)
    loss = models.cross_entropy(network, INPUTS, LABELS)
    params = network.init(seed=1)
    longer = tuple({**layer, "v": 3 * layer["v"]} for layer in params)
    both = jax.jit(jax.value_and_grad(loss))
    (value, slope), (other_value, other) = both(params), both(longer)
    assert float(other_value) == pytest.approx(float(value), rel=1e-13)
    for layer, g, small in zip(params, slope, other, strict=True):
        assert np.abs(g["v"]).max() > 1e-4
        np.testing.assert_allclose(np.sum(layer["v"] * g["v"], axis=1), 0, atol=1e-15)
        np.testing.assert_allclose(small["v"], g["v"] / 3, atol=1e-15)


def test_the_gradients_of_weights_into_a_softmax_sum_to_zero():
    network = models.mlp(WIDTHS)
    params = network.init(seed=1)
    *_, last = gradient(models.cross_entropy(network, INPUTS, LABELS))(params)
    assert np.abs(last["w"]).max() > 1e-3
    np.testing.assert_allclose(np.sum(last["w"], axis=0), 0, atol=1e-15)
    assert float(np.sum(last["b"])) == pytest.approx(0, abs=1e-15)


def test_the_square_loss_is_half_the_mean_squared_distance():
    network = models.mlp(WIDTHS, "sigmoid")
    params = network.init(seed=2)
    targets = RNG.normal(size=(30, 4))
    outputs = np.asarray(jax.jit(network.apply)(params, INPUTS))
    expected = np.mean([np.sum((z - y) ** 2) / 2 for z, y in zip(outputs, targets, strict=True)])
    assert float(models.square(network, INPUTS, targets)(params)) == pytest.approx(expected)


def test_weight_decay_adds_its_rate_times_the_weights_to_the_gradient():
    network = models.weight_normalized(WIDTHS)
    loss = models.cross_entropy(network, INPUTS, LABELS)
    params = network.init(seed=2)
    expected = flat(gradient(loss)(params)) + 0.3 * flat(params)
    np.testing.assert_allclose(
        flat(gradient(models.decayed(loss, 0.3))(params)), expected, atol=1e-14
    )


def test_seeds_decide_the_weights():
    init = models.mlp(WIDTHS).init
    np.testing.assert_array_equal(flat(init(seed=7)), flat(init(seed=7)))
    assert not np.allclose(flat(init(seed=7)), flat(init(seed=8)))


def test_single_precision_stays_single():
    network = models.mlp(WIDTHS)
    params = network.init(seed=0, dtype="float32")
    loss = models.cross_entropy(network, INPUTS, LABELS)
    assert loss(params).dtype == np.float32
    assert {leaf.dtype.name for leaf in jax.tree.leaves(gradient(loss)(params))} == {"float32"}
    jax.config.update("jax_enable_x64", False)
    assert network.init(seed=0)[0]["w"].dtype == np.float32
    with pytest.raises(InvalidValue, match="jax_enable_x64"):
        network.init(seed=0, dtype="float64")


def test_a_network_learns_its_labels():
    network = models.mlp((6, 20, 4), "relu")
    loss = models.cross_entropy(network, INPUTS, LABELS)
    params = network.init(seed=0)
    before = models.accuracy(network, params, INPUTS, LABELS)
    slope = gradient(loss)
    for _ in range(300):
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, slope(params))
    assert before < 0.6 < 0.9 < models.accuracy(network, params, INPUTS, LABELS)


@pytest.mark.parametrize("widths", [(), (3,), (3, 0), (3, 2.5), (True, 2)])
@pytest.mark.parametrize("build", [models.mlp, models.weight_normalized])
def test_widths_that_cannot_be_right_are_refused(build, widths):
    with pytest.raises(InvalidValue, match="widths"):
        build(widths)


def test_other_arguments_that_cannot_be_right_are_refused():
    network = models.mlp((6, 4))
    params = network.init(seed=0)
    with pytest.raises(InvalidValue, match="activation is 'tan'"):
        models.mlp((6, 4), "tan")
    with pytest.raises(InvalidValue, match="must be floats"):
        network.init(seed=0, dtype=int)
    with pytest.raises(InvalidValue, match="inputs have the shape"):
        models.cross_entropy(network, INPUTS[0], LABELS)
    with pytest.raises(InvalidValue, match=r"not \(points, 6\)"):
        network.apply(params, INPUTS[:, :5])
    for labels in (LABELS[:5], LABELS - 1, LABELS / 2):
        with pytest.raises(InvalidValue, match="labels have"):
            models.cross_entropy(network, INPUTS, labels)
    with pytest.raises(InvalidValue, match="a label is 9, but there are 4 outputs"):
        models.cross_entropy(network, INPUTS, np.full(30, 9))(params)
    with pytest.raises(InvalidValue, match="targets have"):
        models.square(network, INPUTS, np.zeros((30, 1)))(params)


@pytest.mark.parametrize(
    "labels", [[[0], [0]], [0], [[1, 0], [0, 1]], [0.0, 1.0], [0, -1]], ids=str
)
def test_the_accuracy_of_labels_that_do_not_fit_is_refused(labels):
    network = models.mlp((2, 2), bias=False)
    params = ({"w": jax.numpy.eye(2)},)
    with pytest.raises(InvalidValue, match="labels have the shape"):
        models.accuracy(network, params, np.eye(2), labels)


@pytest.mark.parametrize("arguments", [(3,), ((2, 2.5),), ((2, 2), ["tanh"]), ((2, 2), None)])
def test_widths_and_activations_of_other_types_are_refused(arguments):
    with pytest.raises(InvalidValue):
        models.mlp(*arguments)
