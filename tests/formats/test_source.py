"""Python source of a NumPy function."""

import numpy as np
import pytest
import sympy

from modeq import CustomMethod, GradientDescent, Loss, VectorField
from modeq.derivation.derive import derive_field
from modeq.errors import InvalidValue, MissingParameter
from modeq.flows.forms import numeric_field
from modeq.formats.source import to_python
from modeq.methods.named import as_method

LOSSES = [
    Loss("(1 - x)**2 + 100*(y - x**2)**2"),
    Loss("log(1 + exp(-theta_1*x10)) + sqrt(alpha**2 + 1)"),
    Loss("1/(1 + u**2) + sin(u)*pi + (2 + u)**(1/3) + tanh(u)**2"),
    Loss("erf(x)*y**2"),
    VectorField(["p", "-sin(q)"], "q p"),
    VectorField(["1", "x"], "x y"),
]


def function_of(modified, name="modified_field", **options):
    namespace = {}
    exec(to_python(modified, name, **options), namespace)
    return namespace[name]


@pytest.mark.parametrize("form", ["expanded", "program", None])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("order", [0, 2])
def test_the_source_computes_what_lambdify_computes(loss, order, form):
    modified = derive_field(loss, order, as_method("heun"))
    theta = np.random.default_rng(1).uniform(0.2, 1, (3, 4, loss.dimension))
    expected = numeric_field(modified)(theta, 0.05)
    result = function_of(modified, form=form)(theta, 0.05)
    assert result.shape == theta.shape
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-11)


def test_one_point_and_many_learning_rates():
    modified = derive_field(LOSSES[0], 2, GradientDescent())
    function = function_of(modified)
    rates = np.array([1e-4, 1e-3])
    expected = numeric_field(modified)([1, 2], rates)
    np.testing.assert_allclose(function([1, 2], rates), expected, rtol=1e-12)
    np.testing.assert_allclose(function([1, 2], 1e-3), expected[1], rtol=1e-12)


def test_outside_the_domain_the_source_gives_nan_without_a_warning():
    function = function_of(derive_field(Loss("x*log(x)"), 1, GradientDescent()))
    assert np.isnan(function([-1.0], 0.1)).all()


def test_a_wrong_shape_is_refused_by_the_source():
    function = function_of(derive_field(LOSSES[0], 1, GradientDescent()))
    with pytest.raises(ValueError, match="last axis must be 2"):
        function([1.0, 2.0, 3.0], 0.1)


def test_parameters_need_values():
    modified = derive_field(Loss("lam*x**2", "x"), 1, GradientDescent())
    with pytest.raises(MissingParameter, match="lam has no value"):
        to_python(modified)
    function = function_of(modified, parameters={"lam": 0.5})
    np.testing.assert_allclose(function([1.0], 0.1), [-1.05])
    assert "lam = 1/2" in function.__doc__


NASTY = ['x"""\nimport os\n"""', "x\\", '""" + 1/0 + """', "\\N{DASH}", "{h}", "\r", "é"]


@pytest.mark.parametrize("name", NASTY)
def test_names_stay_inside_the_docstring(name):
    x = sympy.Symbol(name)
    method = CustomMethod(GradientDescent().rule, name)
    function = function_of(derive_field(Loss(x**2 / 2), 1, method))
    np.testing.assert_allclose(function([1.0], 0.1), [-1.05])
    assert name in function.__doc__


@pytest.mark.parametrize(
    "name", ["", "1x", "class", "numpy", "a b", "f(x): pass\ndef g", "h", None]
)
def test_a_name_that_no_function_can_have_is_refused(name):
    with pytest.raises(InvalidValue, match="must be a Python name"):
        to_python(derive_field(Loss("x**2"), 0, GradientDescent()), name)


def test_the_source_imports_scipy_only_where_needed():
    assert "scipy" not in to_python(derive_field(LOSSES[1], 1, GradientDescent()))
    assert "import scipy.special\n" in to_python(derive_field(LOSSES[3], 1, GradientDescent()))
