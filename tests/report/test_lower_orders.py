"""The picture of a check."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

import modeq
from modeq import problems
from modeq.errors import CannotWrite, FlowError, InvalidValue
from modeq.report import lower_orders
from modeq.show import plots
from modeq.show.figures import save


def picture(loss, orders, theta0=None, h=None, method="gradient-descent", steps=20):
    reports = [modeq.derive(loss, n, method).check(theta0, h=h) for n in orders]
    comparison = modeq.compare(loss, theta0, h=h, steps=steps, orders=orders, method=method)
    return lower_orders.check_figure(comparison, reports)


@pytest.fixture(scope="module")
def plane():
    return picture(problems.two_layer(), (0, 1))


@pytest.fixture(scope="module")
def again():
    with matplotlib.rc_context({"lines.linewidth": 30, "font.size": 30, "text.usetex": True}):
        return picture(problems.two_layer(), (0, 1))


def labels(figure):
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def with_marker(axes):
    return [line for line in axes.lines if line.get_marker() != "None"]


def with_dashes(axes):
    return [line for line in axes.lines if line.get_marker() == "None"]


def test_the_legend_names_the_optimizer_each_flow_and_what_the_lines_mean(plane):
    assert labels(plane) == [
        *("optimizer", "gradient flow (order 0)", "flow of order 1"),
        *("measured error", "expected slope"),
    ]


def test_the_title_names_the_loss_the_method_and_the_learning_rate(plane):
    assert plane.get_suptitle() == "two-layer: gradient descent and its flows, h = 0.1"


def test_two_variables_are_drawn_in_the_plane_over_contour_lines(plane):
    paths = plane.axes[0]
    assert (paths.get_xlabel(), paths.get_ylabel()) == ("x", "y")
    [contours] = paths.collections
    assert len(contours.get_paths()) > 5


def test_the_dots_are_the_iterates_and_the_lines_pass_through_the_flows(plane):
    comparison = modeq.compare(problems.two_layer(), orders=(0, 1))
    *flows, dots = plane.axes[0].lines
    assert np.array_equal(dots.get_xydata(), comparison.iterates)
    for line, theta in zip(flows, comparison.flows.values(), strict=True):
        assert np.allclose(line.get_xydata()[:: plots._FINE], theta, rtol=1e-13)


@pytest.mark.parametrize(("panel", "slopes"), [(1, [2, 3]), (2, [1, 2])])
def test_measured_errors_lie_on_lines_of_the_expected_slopes(plane, panel, slopes):
    axes = plane.axes[panel]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    for points, line, slope in zip(with_marker(axes), with_dashes(axes), slopes, strict=True):
        (h0, e0), (h1, e1) = line.get_xydata()
        assert np.log(e1 / e0) / np.log(h1 / h0) == pytest.approx(slope)
        h, error = points.get_xydata()[-1]
        assert error == pytest.approx(e0 * (h / h0) ** slope)
    assert [text.get_text() for text in axes.texts] == [f"$h^{{{slope}}}$" for slope in slopes]


def test_one_variable_is_drawn_against_time():
    figure = picture(modeq.Loss("x**4/4"), (0, 1), [1], 0.1)
    paths = figure.axes[0]
    assert (paths.get_xlabel(), paths.get_ylabel()) == ("t = steps × h", "x")
    assert paths.lines[-1].get_xydata()[:2].tolist() == [[0, 1], [0.1, 0.9]]


def test_of_many_variables_the_first_are_drawn_and_the_label_says_so():
    loss = modeq.Loss("+".join(f"{k + 1}*x{k}**2" for k in range(5)))
    figure = picture(loss, (0,), [1, 2, 3, 4, 5], 0.01)
    assert figure.axes[0].get_ylabel() == "the first 3 of 5 coordinates"
    assert [text.get_text() for text in figure.axes[0].texts] == ["x0", "x1", "x2"]


def test_names_of_coordinates_that_end_together_are_set_apart():
    figure = picture(modeq.Loss("x**2 + y**2 + z**2"), (0,), [1, 1, 1], 0.1)
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert min(np.diff(heights)) > 0.05


def test_a_flow_that_blows_up_is_named_in_the_legend_and_the_others_are_drawn():
    report = modeq.derive("x**3/3", 1).check([-0.5], h=0.1)
    comparison = modeq.compare("x**3/3", [-0.5], h=0.1, steps=22, orders=(0, 1))
    figure = lower_orders.check_figure(comparison, report)
    assert "flow of order 0: blows up" in labels(figure)
    assert "flow of order 1" in labels(figure)


def test_of_a_lower_order_that_blows_up_there_are_no_errors(monkeypatch):
    def blown_up(*arguments, **options):
        raise FlowError("the flow blows up")

    equation = modeq.derive("x**3/3", 1)
    report = equation.check([-0.5], h=0.1)
    monkeypatch.setattr(modeq.ModifiedEquation, "check", blown_up)
    figure = lower_orders.figure_with_lower_orders(equation, report, [-0.5], h=0.1, steps=22)
    assert "flow of order 0: blows up" in labels(figure)
    assert [text.get_text() for text in figure.axes[1].texts] == ["$h^{3}$"]


def test_flows_without_error_are_said_to_have_none(tmp_path):
    figure = picture(modeq.Loss("2*x + y"), (0, 1), [1, 2], 0.1)
    notes = [text.get_text() for text in figure.axes[1].texts]
    assert notes == ["order 1: no error at all", "order 0: no error at all"]
    save(figure, tmp_path / "a.png")


def test_a_vector_field_has_no_contour_lines():
    pendulum = modeq.VectorField(["p", "-sin(q)"], "q p")
    figure = picture(pendulum, (0,), [1, 0], 0.1, "euler")
    assert not figure.axes[0].collections
    assert figure.get_suptitle() == "f = p, -sin(q): euler and its flows, h = 0.1"


def test_contour_lines_leave_out_where_the_loss_is_undefined(tmp_path):
    figure = picture(modeq.Loss("x - log(x) + y**2"), (0,), [0.2, 1], 0.01)
    save(figure, tmp_path / "a.png")
    assert figure.axes[0].collections


def test_a_start_at_rest_can_be_drawn(tmp_path):
    figure = picture(modeq.Loss("x**2 + y**2"), (0,), [0, 0], 0.1)
    save(figure, tmp_path / "a.svg")


def test_names_with_dollars_braces_and_letters_without_a_glyph_are_text(tmp_path):
    loss = modeq.Loss("theta_1**2 + 漢**2 + xhat**4")
    save(picture(loss, (0,), [1, 1, 1], 0.01), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("suffix", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_two_figures_of_the_same_data_are_the_same_bytes(plane, again, tmp_path, suffix, head):
    for name, figure in {"a": plane, "b": again}.items():
        save(figure, tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(head)
    assert b"Date" not in first


def test_an_unknown_suffix_is_refused_with_the_known_ones(plane, tmp_path):
    message = r"the suffix of '.*out.jpg' is '.jpg'; a picture is written as .png, .svg, .pdf"
    with pytest.raises(InvalidValue, match=message):
        save(plane, tmp_path / "out.jpg")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_an_error_of_modeq(plane, tmp_path):
    with pytest.raises(CannotWrite, match="does not exist"):
        save(plane, tmp_path / "missing" / "out.png")


def test_settings_of_the_user_neither_matter_nor_change(plane, tmp_path):
    save(plane, tmp_path / "a.svg")
    with matplotlib.rc_context({"svg.fonttype": "none", "savefig.dpi": 30}):
        save(plane, tmp_path / "b.svg")
        assert matplotlib.rcParams["svg.fonttype"] == "none"
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_modeq_imports_matplotlib_only_for_a_picture_and_pyplot_never(tmp_path):
    code = (
        "import sys, modeq.cli.main, modeq.report.lower_orders;"
        "assert 'matplotlib' not in sys.modules;"
        "modeq.cli.main.main(['check', 'x**2/2', '--at', '1', '--lr', '0.1', '--order', '0',"
        f" '--plot', {str(tmp_path / 'a.png')!r}]);"
        "assert 'matplotlib' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_picture_needs_an_order_check():
    comparison = modeq.compare("x**2", [1.0], h=0.1, steps=2, orders=(0,))
    with pytest.raises(InvalidValue, match="reports is empty"):
        lower_orders.check_figure(comparison, [])
