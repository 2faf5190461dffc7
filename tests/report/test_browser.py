"""Reports in a real browser: nothing is cut off, nothing is invisible, nothing complains."""

import contextlib
import shutil

import pytest

import modeq

WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)

SIZES = """
return [...document.querySelectorAll(arguments[0])].map(e => {
  const box = e.getBoundingClientRect(); return [box.width, box.height]; });
"""
SPILLED = """
const wide = document.documentElement.clientWidth + 1;
const boxed = e => e && (getComputedStyle(e).overflowX !== 'visible' || boxed(e.parentElement));
return [...document.querySelectorAll('body *')].filter(e =>
  !(e instanceof SVGElement) && e.getBoundingClientRect().right > wide && !boxed(e.parentElement))
  .map(e => e.outerHTML.slice(0, 80));
"""
COLORS = """
const color = (e, name) => getComputedStyle(e)[name];
return [color(document.documentElement, 'backgroundColor'),
  ...arguments[0].map(([selector, name]) => color(document.querySelector(selector), name))];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is missing: pip install modeq[test]"
    )
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are missing: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    with contextlib.suppress(Exception):
        opened.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    modeq.report(modeq.problems.rosenbrock(), order=3, steps=5).save(path)
    return path.as_uri()


@pytest.fixture(params=[(w, s) for w in WIDTHS for s in SCHEMES], ids=lambda p: f"{p[0]}-{p[1]}")
def shown(browser, address, request):
    """The page at a width and with a color scheme."""
    width, scheme = request.param
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get(address)
    return browser


def luminance(color):
    """Return the relative luminance of a color such as "rgb(1, 2, 3)" (WCAG 2, 1.4.3)."""
    levels = [float(part) / 255 for part in color.partition("(")[2].strip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in levels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_complains_about_nothing(shown):
    assert shown.get_log("browser") == []


def test_every_formula_and_every_picture_has_a_size(shown):
    formulas = shown.execute_script(SIZES, "math")
    displayed = shown.execute_script(SIZES, ".formula math")
    pictures = shown.execute_script(SIZES, "figure svg")
    drawings = shown.execute_script(SIZES, "td svg")
    assert len(formulas) == shown.page_source.count("<math ") > 30
    assert len(displayed) >= 7
    assert len(pictures) >= 5
    assert len(drawings) == 8
    assert all(width > 3 and height > 5 for width, height in formulas)
    assert all(width > 250 and height > 100 for width, height in pictures)
    assert all(width > 5 and height > 5 for width, height in drawings)


def test_formulas_are_set_in_two_dimensions_and_not_in_a_line(shown):
    tallest = max(height for _, height in shown.execute_script(SIZES, ".formula math"))
    fractions = shown.execute_script(SIZES, ".formula mfrac")
    assert tallest > 300
    assert all(height > 18 for _, height in fractions)


def test_nothing_is_wider_than_the_page_but_in_a_box_that_scrolls(shown):
    page, window = shown.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert page <= window
    assert shown.execute_script(SPILLED) == []


def test_long_formulas_scroll_inside_their_box_on_a_narrow_page(browser, address):
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    scrolled = browser.execute_script(
        "const boxes = [...document.querySelectorAll('.formula')];"
        "const long = boxes.filter(b => b.scrollWidth > b.clientWidth);"
        "long.forEach(b => b.scrollLeft = 1e6);"
        "return long.map(b => [b.scrollLeft, b.scrollWidth - b.clientWidth]);"
    )
    assert scrolled
    assert all(abs(reached - hidden) < 2 for reached, hidden in scrolled)


def test_words_and_the_ink_of_pictures_stand_out_in_light_and_in_dark(shown):
    pairs = [
        *([name, "color"] for name in ("p", "h1", "math", "a", ".subtitle", "figcaption")),
        *([f".mark.{state}", "color"] for state in ("good",)),
        *(["figure svg", "color"], ["td svg", "color"]),
    ]
    paper, *inks = shown.execute_script(COLORS, pairs)
    for (selector, _), ink in zip(pairs, inks, strict=True):
        assert contrast(paper, ink) >= 4.5, (selector, paper, ink)


def test_the_lines_of_pictures_stand_out_in_light_and_in_dark(shown):
    strokes = shown.execute_script(
        "return [...new Set([...document.querySelectorAll('figure svg path[style*=\"var(\"]')]"
        ".flatMap(e => [getComputedStyle(e).stroke, getComputedStyle(e).fill])"
        ".filter(c => c.startsWith('rgb(')))]"
    )
    paper, *_ = shown.execute_script(COLORS, [])
    assert len(strokes) >= 4
    assert all(contrast(paper, stroke) >= 2.5 for stroke in strokes)


def test_words_in_pictures_can_be_read_at_any_width(shown):
    heights = shown.execute_script(
        "return [...document.querySelectorAll('figure svg [id*=\"text_\"]')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) > 20
    assert min(heights) > 4.5


def test_links_of_the_contents_lead_to_sections(shown):
    assert shown.execute_script(
        "return [...document.querySelectorAll('nav a, dt a')]"
        ".every(a => document.querySelector(a.getAttribute('href')).tagName === 'SECTION')"
    )
