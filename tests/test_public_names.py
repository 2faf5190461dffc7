"""The public surface is one list, and each name on it is explained by an example."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import modeq
from modeq import errors, networks, problems
from modeq.derivation.certify import certify
from modeq.flows.check import check
from modeq.flows.forms import numeric_field
from modeq.flows.integrate import solve

ROOT = Path(__file__).parents[1]

OBJECTS = [name for name in modeq.__all__ if not isinstance(getattr(modeq, name), ModuleType)]

PROMISED = [
    *("Loss", "VectorField", "problems", "derive", "from_json", "iterate", "compare"),
    *("RootedTree", "rooted_trees", "modified_equation", "exact_flow", "GradientDescent"),
    *("RungeKutta", "Trajectory", "OrderReport", "BSeries", "errors", "modifying_integrator"),
    *("compose", "substitute", "tree_table", "HeavyBall", "Nesterov", "LinearMultistep"),
]
"""The names that people's scripts rely on."""

VERBS = [
    *("counter_terms", "field", "h", "variables", "order", "method", "loss", "parameters"),
    *("modified_loss", "latex", "_repr_latex_", "to_python", "to_json", "lambdify", "solve"),
    *("certify", "check", "subs", "universal", "text", "to_markdown", "start", "map_loss"),
    *("modified_hamiltonian",),
]


def test_every_public_name_exists_and_is_documented():
    assert not [name for name in modeq.__all__ if not inspect.getdoc(getattr(modeq, name))]


def test_every_public_name_has_an_example():
    assert not [name for name in OBJECTS if not any(">>>" in text for text in examples_of(name))]


def examples_of(name):
    thing = getattr(modeq, name)
    # What only comes out of a function is shown by the example of that function.
    producers = PRODUCERS.get(name, ()) if inspect.isclass(thing) else ()
    return [inspect.getdoc(one) or "" for one in (thing, *producers)]


PRODUCERS = {
    "Certificate": [certify],
    "OrderReport": [check],
    "NumericField": [numeric_field],
    "Trajectory": [solve],
    "Optimizer": [modeq.optimizer],
    "Comparison": [modeq.compare],
    "PrincipalFlow": [modeq.principal_flow],
    "StabilityReport": [modeq.stability_report],
    "DiscretizationError": [modeq.discretization_error],
    "Truncation": [modeq.optimal_truncation],
    "Invariance": [modeq.scale_invariance],
    "ConservedQuantity": [modeq.conserved],
    "FlowBound": [modeq.gradient_flow_bound],
    "StepRefinement": [modeq.step_refinement],
    "BlackboxField": [modeq.blackbox_field],
    "CentralTrajectory": [modeq.central_flow],
    "PrincipalValue": [modeq.principal_value],
    "RateComparison": [modeq.compare_rates],
    "LabelNoise": [modeq.label_noise],
}


def test_no_name_is_listed_twice():
    assert len(set(modeq.__all__)) == len(modeq.__all__)


def test_the_names_of_the_design_exist():
    assert not {*PROMISED} - {*modeq.__all__}
    assert all(map(callable, (problems.rosenbrock, problems.quadratic, problems.double_well)))


def test_a_modified_equation_has_every_verb_of_the_design():
    equation = modeq.derive("x**4*y", 1)
    assert not [verb for verb in VERBS if not hasattr(equation, verb)]


BAD_VALUES = [
    *("InvalidValue", "ParseError", "InvalidLoss", "NotSmooth", "InvalidTree", "InvalidMethod"),
    *("InvalidOrder", "InvalidStep", "InvalidPoint", "MissingParameter", "InvalidData"),
]


def test_errors_about_bad_values_are_value_errors():
    assert all(issubclass(getattr(errors, name), ValueError) for name in BAD_VALUES)


def test_every_error_is_a_child_of_one():
    found = [thing for thing in vars(errors).values() if inspect.isclass(thing)]
    assert all(issubclass(e, errors.ModeqError | errors.ModeqWarning) for e in found)
    assert all(inspect.getdoc(e) for e in found)


def test_type_checkers_see_the_names_that_are_imported_late():
    for namespace in (modeq, networks):
        stub = ast.parse(Path(namespace.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
        listed = {
            name.name: node.module
            for node in stub.body
            if isinstance(node, ast.ImportFrom)
            for name in node.names
            if name.asname == name.name
        }
        assert {*listed} <= {*namespace.__all__} <= {*dir(namespace)}
        for name, module in listed.items():
            place = importlib.import_module(f"{namespace.__name__}.{module or name}")
            assert getattr(namespace, name) is (getattr(place, name) if module else place)


NAMESPACES = (
    *("methods", "trees", "series", "flows", "principal", "bounds", "invariants", "sampling"),
    "small_networks",
)


def test_namespaces_have_the_names_of_their_subject_and_no_others():
    found = {}
    for space in NAMESPACES:
        namespace = getattr(modeq, space)
        assert {*namespace.__all__} <= {*dir(namespace)}
        for name in namespace.__all__:
            assert getattr(namespace, name) is getattr(modeq, name)
            found[name] = space
    rest = {name for name in OBJECTS if name not in found}
    assert len(rest) < 20
    assert {"Loss", "derive", "VectorField", "ModifiedEquation"} <= rest


def test_scripts_and_tests_import_public_names_from_where_people_do():
    inside = [
        (path.name, node.module, name.name)
        for path in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("derivations/**/*.py")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        if (node.module or "").startswith("modeq.") and node.module != "modeq.networks"
        for name in node.names
        if is_public(name.name, node.module)
    ]
    assert not inside


def is_public(name, module):
    """Tell whether a name of a module is what modeq, or modeq.networks, has under the same name."""
    found = getattr(importlib.import_module(module), name)
    return any(
        name in namespace.__all__ and getattr(namespace, name) is found
        for namespace in (modeq, networks)
    )


def test_a_name_that_is_none_is_an_error():
    with pytest.raises(AttributeError, match="gradient_descend"):
        _ = modeq.gradient_descend


def test_only_rooms_and_whole_modules_are_modules():
    modules = {name for name in modeq.__all__ if isinstance(getattr(modeq, name), ModuleType)}
    assert modules == {"errors", "problems", "equation", "testing", "series", "trees"} | {
        path.parent.name for path in ROOT.glob("modeq/*/__init__.py")
    } - {"cli", "formats", "losses", "presentation", "report", "show"}
