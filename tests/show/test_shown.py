"""What notebooks show of results: every public kind, and in a notebook that is executed."""

import inspect
import json
import sys
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy
from matplotlib.figure import Figure

import modeq
from modeq.losses import formula_latex
from modeq.methods.named import as_method
from modeq.show import html, latex, markdown
from modeq.show.document import Document, Formula, Picture, Section, Text
from modeq.show.plots import panel
from modeq.show.shown import Plotted, Shown

BETA = sympy.Symbol("beta")
REPRESENTATIONS = ("_repr_html_", "_repr_latex_", "_repr_svg_", "_repr_mimebundle_")

NO_RESULTS = {"State"}
"""Public classes that people build states of optimizers from, and that nothing returns to them."""

EXAMPLES = {
    "Loss": lambda: modeq.Loss("x**2"),
    "VectorField": lambda: modeq.VectorField(["-x"]),
    "SplitField": lambda: modeq.VectorField(["-y", "x"], "x y").split("x", "y"),
    "ModifiedEquation": lambda: modeq.derive("x**2", 1),
    "Certificate": lambda: modeq.derive("x**2", 1).certify(),
    "OrderReport": lambda: modeq.derive("x**4", 0).check([1.0], h=0.01),
    "NumericField": lambda: modeq.derive("x**2", 1).lambdify(),
    "Trajectory": lambda: modeq.derive("x**2", 1).solve([1.0], h=0.1, steps=12),
    "Comparison": lambda: modeq.compare("x**2 + y**2", [1.0, 2.0], h=0.1, steps=3, orders=(0, 1)),
    "DiscretizationError": lambda: modeq.discretization_error("x**2", [1.0], h=0.1, steps=2),
    "Truncation": lambda: modeq.optimal_truncation("x**3/3", [-1.0], h=0.2, max_order=4),
    "FlowBound": lambda: modeq.gradient_flow_bound(
        "x**2/2", [1.0], time=1, tolerance=0.1, certify=False
    ),
    "StepRefinement": lambda: modeq.step_refinement("x**4", [1.0], h=0.01, steps=3, factors=(2,)),
    "Invariance": lambda: modeq.scale_invariance("x/sqrt(x**2 + y**2)"),
    "ConservedQuantity": lambda: modeq.conserved("(x*y - 1)**2/2")[0],
    "PrincipalFlow": lambda: modeq.principal_flow("x**4"),
    "StabilityReport": lambda: modeq.stability_report("x**2", [1.0], h=0.1),
    "StabilityRegimes": lambda: modeq.stability_regimes("x**2", [1.0]),
    "RootedTree": lambda: modeq.rooted_trees(3)[0],
    "BSeries": lambda: modeq.exact_flow(2),
    "OrderCondition": lambda: modeq.order_conditions(2)[0],
    "Verdict": lambda: modeq.modified_equation("euler", 2).is_gradient(),
    "TreeTable": lambda: modeq.tree_table("euler", 4),
    "RungeKutta": lambda: as_method("rk4"),
    "CustomMethod": lambda: modeq.CustomMethod(lambda theta, f, h: theta + h * f(theta)),
    "AverageVectorField": lambda: modeq.AverageVectorField(),
    "LinearMultistep": lambda: modeq.HeavyBall(BETA),
    "Optimizer": lambda: modeq.Adam(0.9, 0.99),
    "AdditiveRungeKutta": lambda: modeq.SymplecticEuler(),
    "Splitting": lambda: modeq.Strang(),
    "Minibatches": lambda: modeq.Minibatches(["x**2", "(x - 1)**2"]),
    "TaskSteps": lambda: modeq.joint_step("x**2", "(x - 1)**2"),
    "Game": lambda: modeq.Game([["-y"], ["x"]], ["x", "y"]),
    "StochasticEquation": lambda: modeq.stochastic_equation(["x**2", "(x - 1)**2"], weak_order=1),
    "Generator": lambda: modeq.sgd_generator(["x**2", "(x - 1)**2"], order=1),
    "DiffusionVerdict": lambda: modeq.sgd_generator(["x**2", "(x - 1)**2"], order=1).is_diffusion,
    "LabelNoise": lambda: modeq.label_noise(["x*y"], [1], 1),
    "HomogeneousNetwork": lambda: modeq.HomogeneousNetwork([1, 1, 1], [[1]], [2]),
    "Report": lambda: modeq.report("x**2", order=0),
}
CLASSES = sorted(
    name
    for name in modeq.__all__
    if inspect.isclass(getattr(modeq, name)) and name not in NO_RESULTS
)


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_kind_of_result_has_a_rich_representation(name):
    assert any(hasattr(getattr(modeq, name), wanted) for wanted in REPRESENTATIONS)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_representation_of_a_result_is_well_formed(name):
    result = EXAMPLES[name]()
    shown = {
        wanted: getattr(result, wanted)() for wanted in REPRESENTATIONS if hasattr(result, wanted)
    }
    assert any(shown.values())
    if "_repr_html_" in shown:
        ElementTree.fromstring(f"<div>{shown['_repr_html_'].replace('&nbsp;', ' ')}</div>")
        assert "<script" not in shown["_repr_html_"]
    if "_repr_latex_" in shown:
        assert shown["_repr_latex_"].startswith("$")


def test_a_kind_that_does_not_say_how_is_shown_as_its_text():
    class Answer(Shown):
        def __str__(self):
            return "1 < 2"

    assert "1 &lt; 2" in Answer()._repr_html_()


def test_a_kind_is_shown_as_the_one_that_it_inherits_from():
    run = modeq.run_dal("x**2", [1.0], steps=3)
    assert [type(b) for b in run.show()] == [type(b) for b in EXAMPLES["Trajectory"]().show()]


def test_a_trajectory_is_drawn_and_its_ends_are_listed():
    shown = EXAMPLES["Trajectory"]()._repr_html_()
    assert "<svg" in shown
    assert "<td>0</td><td>1</td>" in shown
    assert "1.2</td>" in shown


def test_the_tableau_of_heun_and_the_recurrence_of_heavy_ball_are_formulas():
    assert r"1 & 1 & 0" in as_method("heun").show()[1].latex
    formula = modeq.HeavyBall(BETA).show()[1].latex
    assert r"\theta_{m+2} - \left(\beta + 1\right) \theta_{m+1} + \beta \theta_{m}" in formula


def test_what_is_shown_of_a_hostile_message_is_escaped():
    found = EXAMPLES["Comparison"]()
    hostile = replace(found, failures={2: "<script>alert(1)</script>"})
    assert "<script>" not in hostile._repr_html_()


NOTEBOOK = (
    "import modeq",
    "modeq.derive('x**2*y', 2)",
    "modeq.derive('x**2*y', 1).certify()",
    "modeq.derive('x**4', 1).check([1.0], h=0.01)",
    "modeq.derive('x**4', 1).solve([1.0], h=0.01, steps=5)",
    "modeq.rooted_trees(4)[2]",
    "modeq.modified_equation('rk4', 4)",
    "modeq.modified_equation('euler', 2).is_gradient()",
    "modeq.compare('x**4', [1.0], h=0.01, steps=3)",
    "modeq.stability_regimes('x**2', [1.0])",
    "modeq.conserved('(x*y - 1)**2/2')[0]",
    "modeq.report('x**2', order=1)",
)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The name of a kernel that runs this Python, whatever others there are."""
    folder = tmp_path / "kernels" / "modeq-test"
    folder.mkdir(parents=True)
    words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": words, "display_name": "modeq", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return "modeq-test"


def test_a_notebook_is_executed_and_shows_all_results(kernel):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is missing: modeq[test]")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is missing: modeq[test]")
    pytest.importorskip("ipykernel", reason="ipykernel is missing: modeq[test]")
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name=kernel).execute()
    for cell in notebook.cells[1:]:
        (output,) = cell.outputs
        kinds = set(output.data) - {"text/plain"}
        assert kinds & {"text/html", "text/latex", "image/svg+xml"}, cell.source
    assert "<svg" in notebook.cells[5].outputs[0].data["image/svg+xml"]
    assert "aligned" in notebook.cells[1].outputs[0].data["text/latex"]


def test_symbols_and_numbers_of_an_optimizer_are_formulas():
    found = modeq.Adam(BETA, 0.99)._repr_html_()
    assert "<mi>β</mi>" in found
    assert "\\beta" not in found
    assert "<mfrac><mn>99</mn><mn>100</mn></mfrac>" in found
    assert "<td>bias_correction</td><td>yes</td>" in found


def test_a_quantity_too_long_to_print_says_how_long_it_is(monkeypatch):
    monkeypatch.setattr(formula_latex, "MAX_OPERATIONS", 1)
    assert "operations is too long to print" in modeq.conserved("(x*y - 1)**2/2")[0]._repr_html_()


def test_coordinates_that_are_not_listed_are_announced():
    field = modeq.VectorField([f"-x{i}" for i in range(7)])
    path = modeq.derive(field, 0).solve(np.ones(7), h=0.1, steps=1)
    assert path.show()[1].rows[0] == ("0", "1, 1, 1, 1, 1, 1, …")


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("exp(x + y) + x + y", "keeps it, too, exactly"),
        ("(x*y - 1)**2/2", "multiplies it by"),
        ("(a*x + b*y - 1)**2/2 + (c*x + d*y)**2/2", "changes it by"),
    ],
)
def test_what_a_step_does_to_a_conserved_quantity_is_said(loss, words):
    shown = [quantity._repr_html_() for quantity in modeq.conserved(loss)]
    assert any(words in text for text in shown)


class Answer(Plotted):
    """A result written from the docstring of ``modeq.show.shown`` alone."""

    def show(self):
        picture = Picture("line", "A line", partial(panel, self.draw))
        return [Text("The answer is <42>"), Formula(r"x^{2} = 42"), picture]

    def draw(self, axes):
        axes.plot([0, 1], [0, 42], label="up")


def test_a_result_of_ones_own_stands_in_notebooks_figures_and_documents_of_every_format():
    answer = Answer()
    shown = answer._repr_html_()
    assert "The answer is &lt;42&gt;" in shown
    assert "<math" in shown
    assert "<svg" in shown
    axes = answer.plot(Figure().subplots())
    assert axes.get_legend_handles_labels()[1] == ["up"]
    section = Section("answer", "Answer", tuple(answer.show()))
    document = Document("Answers", "", (), (section,))
    assert "The answer is &lt;42&gt;" in html.page(document)
    assert r"x^{2} = 42" in latex.latex_of(document, {"line": "line.pdf"})
    assert r"The answer is \<42\>" in markdown.markdown_of(document, {"line": "line.svg"})


def test_axes_are_made_by_pyplot_unless_they_are_given(monkeypatch):
    axes = Figure().subplots()
    monkeypatch.setattr("matplotlib.pyplot.subplots", lambda **options: (axes.figure, axes))
    assert Answer().plot() is axes


PICTURED = [
    name
    for name in sorted(EXAMPLES)
    if isinstance(getattr(modeq, name), type) and issubclass(getattr(modeq, name), Plotted)
]


@pytest.mark.parametrize("name", PICTURED)
def test_every_result_with_a_picture_draws_into_axes_of_the_caller(name):
    axes = Figure().subplots()
    assert EXAMPLES[name]().plot(axes) is axes
    assert axes.has_data()
