"""Over which learning rates a method is stable: against formulas, and against its iterates."""

import numpy as np
import pytest
import sympy

import modeq
from modeq import stability_regimes
from modeq.errors import InvalidLoss, InvalidMethod, InvalidStep, MissingParameter
from modeq.principal.multipliers import multipliers_of

BOWL = "x**2 - y**2/10"  # eigenvalues 2 and -1/5


def ends(method, loss="x**2", **options):
    """Return {name: upper end} of the first direction at 0."""
    theta = [0.0] * modeq.Loss(loss).dimension
    found = stability_regimes(loss, theta, method=method, **options)
    return {band.name: band.high for band in found.bands[0]}


def test_gradient_descent_oscillates_from_one_over_lambda_and_diverges_from_two_over_lambda():
    found = ends("gradient-descent")
    assert found["attracted"] == pytest.approx(1 / 2, rel=1e-11)
    assert found["oscillating"] == pytest.approx(1, rel=1e-11)
    assert list(found) == ["attracted", "oscillating", "divergent"]


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9, 0.99])
def test_heavy_ball_has_the_boundaries_of_its_quadratic_equation(beta):
    found = ends(modeq.HeavyBall(beta))
    root = np.sqrt(beta)
    assert found["attracted"] == pytest.approx((1 - root) ** 2 / 2, rel=1e-6)
    assert found["spiraling"] == pytest.approx((1 + root) ** 2 / 2, rel=1e-6)
    assert found["oscillating"] == pytest.approx(2 * (1 + beta) / 2, rel=1e-11)


def test_an_optimizer_as_a_rule_has_the_regimes_of_its_table():
    as_rule, as_table = ends(modeq.SGD(0.9)), ends(modeq.HeavyBall(0.9))
    assert list(as_rule) == list(as_table)
    assert as_rule["oscillating"] == pytest.approx(as_table["oscillating"], rel=1e-9)


def test_runge_kutta_methods_diverge_at_the_ends_of_their_real_stability_intervals():
    z = sympy.Symbol("z")
    polynomial = 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24
    end = max(float(r) for r in sympy.Poly(polynomial - 1).nroots() if r.is_real)
    assert ends("rk4")["attracted"] == pytest.approx(end / 2, rel=1e-9)


def test_the_implicit_midpoint_rule_never_diverges():
    found = ends("implicit-midpoint", largest=1e3)
    assert list(found) == ["attracted", "oscillating"]
    assert found["attracted"] == pytest.approx(1, rel=1e-9)


def test_directions_of_negative_curvature_are_repelled():
    found = stability_regimes(BOWL, [0.0, 0.0])
    assert found.at(0.3) == ("attracted", "repelled")
    assert found.limit == pytest.approx(1)


@pytest.mark.parametrize("method", ["gradient-descent", "rk4", modeq.HeavyBall(0.6), "heun"])
@pytest.mark.parametrize(("share", "grows"), [(0.97, False), (1.03, True)])
def test_iterates_grow_on_one_side_of_the_limit_only(method, share, grows):
    limit = stability_regimes("x**2", [0.0], method=method).limit
    path = modeq.iterate("x**2", [1.0], h=share * limit, steps=300, method=method)
    assert (np.abs(path[-1, 0]) > np.abs(path[1, 0])) == grows


def test_oscillating_iterates_change_their_sign_at_each_step():
    regimes = stability_regimes("x**2", [0.0])
    path = modeq.iterate("x**2", [1.0], h=0.8, steps=8)[:, 0]
    assert regimes.at(0.8) == ("oscillating",)
    assert np.all(path[1:] * path[:-1] < 0)


def test_narrow_regimes_between_two_points_of_the_grid_are_found():
    names = list(ends(modeq.HeavyBall(0.99)))
    assert names == ["attracted", "spiraling", "oscillating", "divergent"]


def test_no_direction_is_called_neutral_because_its_curvature_is_small():
    found = stability_regimes("x**2 + y**2/1000000", [0.0, 0.0])
    assert [band.name for band in found.bands[1]] == ["attracted"]


def test_parameters_get_their_values():
    found = stability_regimes(
        modeq.Loss("lam*x**2/2", "x"), [0.0], parameters={"lam": 4}, largest=1
    )
    assert found.eigenvalues.tolist() == [4]


def test_what_cannot_be_had_is_refused_with_a_reason():
    with pytest.raises(InvalidMethod, match="not linear where f is"):
        stability_regimes("x**2", [0.0], method=modeq.Adam(0.9, 0.99))
    with pytest.raises(InvalidMethod, match="parts of a field"):
        stability_regimes("x**2", [0.0], method="strang")
    with pytest.raises(InvalidMethod, match="not linear"):
        multipliers_of(lambda theta, f, h: theta + h * f(theta) * f(theta))
    with pytest.raises(InvalidLoss, match="vector field"):
        stability_regimes(modeq.VectorField(["-x"]), [0.0])
    with pytest.raises(MissingParameter, match="beta"):
        stability_regimes("x**2", [0.0], method=modeq.HeavyBall(sympy.Symbol("beta")))
    with pytest.raises(InvalidStep):
        stability_regimes("x**2", [0.0], largest=-1)


def test_beyond_the_learning_rates_that_were_looked_at_nothing_is_said():
    regimes = stability_regimes("x**2/2", [0.0], largest=1.5)
    assert regimes.at(1.5) == ("oscillating",)
    with pytest.raises(InvalidStep, match=r"known up to 1\.5"):
        regimes.at(2.5)  # where gradient descent diverges
