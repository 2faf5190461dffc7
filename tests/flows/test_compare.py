"""One comparison for flows of every kind, one's own among them."""

import pickle

import numpy as np
import pytest
from matplotlib.figure import Figure

import modeq
from modeq import principal_flow
from modeq.errors import FlowError, InvalidValue
from modeq.flows.flow import Flow
from modeq.principal.central import CentralFlow

BOWL = "x**2 + y**2/100"
START = [1.0, 1.0]


class Decay:
    """The flow of x' = -x, y' = -y, whatever the loss is: written from the docstring of Flow."""

    name = "decay"

    def solve(self, theta0, *, h, steps, parameters=None):
        t = h * np.arange(steps + 1)
        return modeq.Trajectory(t, np.exp(-t)[:, None] * np.asarray(theta0))


class Lost(Decay):
    name = "lost"

    def solve(self, theta0, *, h, steps, parameters=None):
        raise FlowError("it is lost")


def test_a_flow_of_ones_own_is_compared_drawn_and_shown():
    assert isinstance(Decay(), Flow)
    found = modeq.compare(BOWL, START, h=0.1, steps=4, flows=[0, Decay(), Lost()])
    assert list(found.flows) == [0, "decay"]
    assert found.failures == {"lost": "it is lost"}
    expected = np.linalg.norm(found.flows["decay"] - found.iterates, axis=1)
    np.testing.assert_array_equal(found.errors["decay"], expected)
    assert found.best == 0
    assert "decay" in str(found)
    assert "it is lost" in found._repr_html_()
    names = found.plot(Figure().subplots()).get_legend_handles_labels()[1]
    assert {"gradient flow (order 0)", "decay", "optimizer", "flow of lost: blows up"} <= {*names}


def test_flows_of_all_kinds_stand_in_one_comparison_as_each_does_alone():
    kinds = [1, principal_flow(BOWL), principal_flow(BOWL, composed=2)]
    together = modeq.compare(BOWL, START, h=0.6, steps=6, flows=kinds)
    for kind in kinds:
        alone = modeq.compare(BOWL, START, h=0.6, steps=6, flows=[kind])
        ((name, path),) = alone.flows.items()
        np.testing.assert_array_equal(together.flows[name], path)
        np.testing.assert_array_equal(together.errors[name], alone.errors[name])
    assert np.isnan(together.errors["2 steps"][1::2]).all()
    assert together.errors["principal"].max() < 1e-10


def test_the_central_flow_is_compared_with_averages():
    loss, h = "y*log(cosh(x)) + (y - 4)**2/200", 0.8
    found = modeq.compare(loss, [0.1, 2.4], h=h, steps=30, flows=[0, CentralFlow(loss)])
    points = modeq.iterate(loss, [0.1, 2.4], h=h, steps=31)
    inner = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    np.testing.assert_allclose(found.averages[1:], inner[:30], rtol=1e-13)
    expected = np.linalg.norm(found.flows["central"] - found.averages, axis=1)
    np.testing.assert_array_equal(found.errors["central"], expected)


@pytest.mark.parametrize(
    ("flows", "message"),
    [
        ("01", "flows is '01'; it must be a sequence"),
        ([0, 0], "two flows are called 0"),
        ([Decay(), Decay()], "two flows are called 'decay'"),
        ([principal_flow("x**4 + y**4")], "the flow 'principal' is of the loss"),
        ([principal_flow(BOWL, 0, modeq.HeavyBall(0.5))], "the flow 'principal' is of the method"),
        ([object()], "must be an integer >= 0"),
    ],
)
def test_what_is_no_flow_of_this_loss_and_method_is_refused(flows, message):
    with pytest.raises(InvalidValue, match=message):
        modeq.compare(BOWL, START, h=0.1, steps=2, flows=flows)


def test_a_comparison_comes_through_a_pickle_with_its_picture():
    loss = modeq.Loss("a*x**2 + y**4", "x y")
    found = modeq.compare(loss, START, h=0.1, steps=3, parameters={"a": 2})
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.iterates, found.iterates)
    assert again.plot(Figure().subplots()).collections
