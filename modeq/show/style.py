"""The style sheets of pages and of what notebooks show: calm, in light and in dark."""

_LIGHT = """\
  --ink: #1d2127; --paper: #fdfdfb; --panel: #f4f4f0; --faint: #6a7078; --line: #dcdcd5;
  --accent: #1f5f8b; --good: #1c7a4f; --bad: #b3261e;
  --blue: #0072b2; --orange: #d55e00; --green: #009e73; --pink: #b85f93; --amber: #c98a00;
  --sky: #2f93cc;"""

_DARK = """\
  --ink: #e4e6e9; --paper: #15181c; --panel: #1e2227; --faint: #a0a7b0; --line: #363c44;
  --accent: #7fbce6; --good: #5fcf9a; --bad: #ff8a7d;
  --blue: #4da6e0; --orange: #ff8a3d; --green: #33c99d; --pink: #dd93bf; --amber: #f0b63a;
  --sky: #82c9f2;"""

_BLOCKS = """\
.formula, .table, pre { overflow-x: auto; max-width: 100%; }
.formula { padding: .5em 0; }
.table { margin: 1em 0; }
math { font-size: 1.08em; }
math[display="block"] { width: max-content; margin: 0 auto; }
mtd[columnalign] { padding: .28em 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  min-width: min(100%, 24rem); }
caption { text-align: left; font-weight: 600; padding: .4em 0; }
th, td { padding: .3em .9em .3em 0; text-align: left; vertical-align: middle; }
th { font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
table.numeric :is(th, td):not(:first-child) { text-align: right; }
table.numeric td:not(:first-child) { white-space: nowrap; }
td svg { display: block; }
pre { background: var(--panel); border-radius: 6px; padding: .8em 1em; line-height: 1.45; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre, code { font-size: .88em; }
pre code { font-size: 1em; }
pre.output { max-height: 24em; overflow-y: auto; }
pre.formulas { background: none; padding: 0 0 0 1.2em; }
.drawing svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.pictures { display: grid; gap: 1.2em 1.6em;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto; margin: 0 auto; }
figcaption { color: var(--faint); font-size: .88em; margin-top: .3em; }
.mark { font-weight: 700; }
.mark.good { color: var(--good); }
.mark.bad { color: var(--bad); }
.missing { color: var(--faint); border-left: 3px solid var(--line); padding-left: .8em; }
.finding { font-weight: 500; }
"""

STYLE = f"""\
:root {{ color-scheme: light dark;
{_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{
{_DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ background: var(--paper); color: var(--ink); }}
body {{ margin: 0 auto; max-width: 62rem; padding: 2.4rem 1.2rem 4rem; line-height: 1.6;
  font-family: "Source Serif 4", Charter, "Bitstream Charter", Cambria, Georgia, serif;
  font-size: 1.06rem; overflow-wrap: break-word; }}
h1, h2, h3, nav, table, .summary, figcaption {{
  font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.85rem; line-height: 1.25; font-weight: 650; margin: 0; }}
h2 {{ font-size: 1.25rem; font-weight: 650; margin: 0 0 .6em; }}
h3 {{ font-size: 1.05rem; font-weight: 650; margin: 1.6em 0 .4em; }}
table, .summary, nav, figcaption {{ font-size: .92rem; }}
.subtitle {{ color: var(--faint); margin: .3em 0 1.6em; }}
section {{ margin-top: 2.6rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }}
a {{ color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }}
.summary {{ margin: 0 0 1.6rem; padding: .4rem 1.1rem; background: var(--panel);
  border-radius: 8px; }}
.summary > div {{ display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); gap: 0 1rem;
  padding: .45rem 0; }}
.summary > div + div {{ border-top: 1px solid var(--line); }}
.summary dt {{ color: var(--faint); }}
.summary dt a {{ color: inherit; }}
.summary dd {{ margin: 0; overflow-x: auto; }}
nav ol {{ display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: 0;
  list-style: none; }}
@media (max-width: 40rem) {{
  body {{ padding: 1.4rem .9rem 3rem; font-size: 1rem; }}
  h1 {{ font-size: 1.45rem; }}
  .summary > div {{ grid-template-columns: minmax(0, 1fr); }}
}}
@media print {{ nav {{ display: none; }} section {{ break-inside: avoid; }} }}
{_BLOCKS}"""


def _within(rules: str, scope: str) -> str:
    """Return rules that hold inside of a scope only, by nesting."""
    return f"{scope} {{\n{rules}}}\n"


FRAGMENT_STYLE = _within(
    # Notebooks have a light or dark look of their own, whatever the system prefers.
    "  --ink: currentColor; --panel: color-mix(in srgb, currentColor 6%, transparent);\n"
    "  --faint: color-mix(in srgb, currentColor 65%, transparent);\n"
    "  --line: color-mix(in srgb, currentColor 20%, transparent);\n"
    "  --good: #1c9a62; --bad: #d84a3d;\n" + _BLOCKS,
    ".modeq",
)
