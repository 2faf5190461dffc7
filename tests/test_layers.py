"""Imports run one way: each module knows only what stands above it in the table below."""

import ast
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import modeq

PACKAGE = Path(modeq.__file__).parent

ROWS = {
    "errors": ["errors"],
    "algebra": [
        *(
            "levels",
            "trees",
            "notation",
            "power_series",
            "logarithm",
            "table",
            "rows",
            "multistep_rows",
        ),
        *("sweep", "numerators", "coproduct", "structure", "series_text", "series"),
        *("rule_series", "tree_table", "laws"),
        *("drawing", "conditions", "surds", "entries"),
    ],
    "methods": [
        *("rules", "tableaux", "collocation", "named_tableaux"),
        *("multistep", "named_multistep", "orbit"),
        *("partitioned", "partitioned_tables", "splitting", "functions", "optimizer", "methods"),
        "epochs",
        *("optimizers.momentum", "optimizers.adaptive", "optimizers.one_step"),
        *("optimizers.named", "optimizers.__init__"),
    ],
    "derivation": [
        *(
            "scan",
            "arithmetic",
            "magnitude",
            "parse",
            "expressions",
            "loss",
            "differentials",
            "generators",
            "ring",
            "evaluate",
            "lie",
            "optimizer_map",
            "slow_manifold",
            "derive",
        ),
        *(
            "certify",
            "antiderivative",
            "potential",
            "hamiltonian",
            "symbolic",
            "universal",
            "start_shift",
        ),
        *("schedules", "bias_correction"),
        *("minibatches", "shuffling", "tasks", "games"),
        *("operators", "diffusion", "gradient_noise", "stochastic", "noisy_labels"),
    ],
    "flows": [
        *(
            "program",
            "dialects",
            "numeric",
            "precise",
            "started",
            "problems",
            "values",
            "flow",
            "iterates",
        ),
        *("comparison", "order_report", "slopes", "following"),
        *("resummation", "tensors", "principal", "stability", "drift", "tall_part"),
        *("flow_comparison",),
        *("precise_iterates", "tolerances", "next_terms", "followed", "error_table"),
        *("discretization", "learning_rates", "truncation"),
        *("flow_laws", "multiples", "norm_balance", "invariance_laws", "invariance"),
        *("invariant_losses", "conservation"),
        *("balls", "closed_fields", "path_differentials", "ball_fields", "enclosure"),
        *("flow_bounds", "sampled_bounds", "certified_bounds", "bounds", "corollaries"),
        *("layers", "linear_networks", "kinks", "homogeneous_networks", "deep_networks"),
        *("piecewise_flows", "end_to_end", "convergence", "refinement", "fully_connected"),
    ],
    "networks": [],
    "presentation": [
        *("formula", "text", "latex", "markdown", "jsondata", "symboldata", "methoddata"),
        *("serialize", "source", "files"),
        *("stability_plots",),
        *("plots", "equation", "testing", "arguments", "panels", "cli", "__init__", "__main__"),
        *("tree_plots", "tables", "bound_plots"),
    ],
}

ALLOWED_FROM = {
    "sympy": "derivation",
    "mpmath": "derivation",
    "flint": "derivation",
    "numpy": "algebra",
    "scipy": "flows",
    "sklearn": "flows",
    "gmpy2": "algebra",
    "jax": "networks",
    "matplotlib": "presentation",
    "rich": "presentation",
    "click": "presentation",
    "hypothesis": "presentation",
}
"""The first row that may import a library from elsewhere."""

RANK = {row: rank for rank, row in enumerate(ROWS)}
ROW_OF = {module: row for row, modules in ROWS.items() for module in modules}
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)


def imports(node):
    """Return the dotted names that the import statements inside a node may bind."""
    found = []
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            found += [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            found += [f"{child.module}.{alias.name}" for alias in child.names]
    return found


def tree_of(module):
    return ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))


def own_imports(node):
    """Return the modules of modeq that a node imports; names of the package are its own."""
    parts = [name.split(".") for name in imports(node) if name.split(".")[0] == "modeq"]
    return {room_of(".".join(p[1:])) for p in parts}


def room_of(name):
    """Return the module that a dotted name below modeq is in."""
    while name not in MODULES and f"{name}.__init__" not in MODULES and name:
        name = name.rpartition(".")[0]
    return name if name in MODULES else f"{name}.__init__" if name else "__init__"


def outside_imports(module):
    first = {name.split(".")[0] for name in imports(tree_of(module))}
    return first - set(sys.stdlib_module_names) - {"modeq"}


GRAPH = {module: own_imports(tree_of(module)) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_one_row(module):
    assert list(chain.from_iterable(ROWS.values())).count(module) == 1


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_row_and_those_above(module):
    below = {other for other in GRAPH[module] if RANK[ROW_OF[other]] > RANK[ROW_OF[module]]}
    assert not below


def test_nothing_imports_in_a_circle():
    left = {module: set(needs) for module, needs in GRAPH.items()}
    while ready := {module for module, needs in left.items() if not needs & left.keys()}:
        left = {module: needs for module, needs in left.items() if module not in ready}
    assert not left


@pytest.mark.parametrize("module", MODULES)
def test_no_function_imports_a_module_of_modeq(module):
    functions = (
        node
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    assert not set().union(*map(own_imports, functions))


@pytest.mark.parametrize("module", MODULES)
def test_a_library_enters_at_its_row(module):
    outside = outside_imports(module)
    assert outside <= ALLOWED_FROM.keys()
    early = {name for name in outside if RANK[ALLOWED_FROM[name]] > RANK[ROW_OF[module]]}
    assert not early


def modules_after(statement):
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_modeq_does_not_import_what_only_some_people_need():
    heavy = {
        "matplotlib",
        "scipy.integrate",
        "scipy.optimize",
        "hypothesis",
        "rich",
        "click",
        "jax",
    }
    assert not heavy & modules_after("import modeq")


def test_modeq_testing_says_how_to_get_hypothesis():
    program = "import sys; sys.modules['hypothesis'] = None; import modeq.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: modeq.testing needs Hypothesis: pip install modeq[test]" in done.stderr
