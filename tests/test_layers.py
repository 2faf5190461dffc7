"""Imports run one way: each room knows only what stands above it in the table below."""

import ast
import subprocess
import sys
from pathlib import Path

import modeq

PACKAGE = Path(modeq.__file__).parent

ROWS = {
    "errors": [("errors", "checks", "progress", "files"), ("show",)],
    "algebra": [("algebra",)],
    "losses": [("losses",)],
    "methods": [("methods",)],
    "derivation": [("derivation",), ("sampling",), ("invariants",)],
    "flows": [("flows",), ("principal",), ("bounds",), ("small_networks",), ("formats",)],
    "equation": [("networks",), ("equation",), ("testing",), ("report",)],
    "cli": [("cli", "__init__", "__main__", "series", "trees")],
}
"""The rows of the design, from above, and in each row the folders and files of the package. Those
that know each other stand together; apart from them each knows only what stands before it.
"""

ALLOWED_FROM = {
    "sympy": "losses",
    "mpmath": "losses",
    "flint": "losses",
    "numpy": "errors",
    "scipy": "errors",
    "sklearn": "flows",
    "gmpy2": "algebra",
    "jax": "equation",
    "optax": "equation",
    "ml_dtypes": "equation",
    "matplotlib": "errors",
    "latex2mathml": "errors",
    "rich": "errors",
    "click": "cli",
    "hypothesis": "equation",
    "lazy_loader": "errors",
}
"""The first row that may import a library from elsewhere."""

ROW_OF = {name: row for row, groups in ROWS.items() for group in groups for name in group}
GROUPS = [group for groups in ROWS.values() for group in groups]
RANK = {name: rank for rank, group in enumerate(GROUPS) for name in group}
ROW_RANK = {row: rank for rank, row in enumerate(ROWS)}
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)


def place(module):
    """Return the folder of a module, or its file if it is in none."""
    return module.split(".")[0]


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


def test_every_folder_and_file_has_one_place():
    assert {place(module) for module in MODULES} == {*ROW_OF}
    assert len(ROW_OF) == sum(map(len, GROUPS))


def test_each_module_imports_only_from_its_own_room_and_those_above():
    below = [
        (module, other)
        for module, needs in GRAPH.items()
        for other in needs
        if RANK[place(other)] > RANK[place(module)]
    ]
    assert not below


def test_nothing_imports_in_a_circle():
    left = {module: set(needs) for module, needs in GRAPH.items()}
    while ready := {module for module, needs in left.items() if not needs & left.keys()}:
        left = {module: needs for module, needs in left.items() if module not in ready}
    assert not left


def test_no_function_imports_a_module_of_modeq():
    late = [
        (module, node.name if hasattr(node, "name") else "lambda")
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        and own_imports(node)
    ]
    assert not late


def test_each_library_enters_at_its_row():
    early = [
        (module, library)
        for module in MODULES
        for library in outside_imports(module)
        if library not in ALLOWED_FROM
        or ROW_RANK[ALLOWED_FROM[library]] > ROW_RANK[ROW_OF[place(module)]]
    ]
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
