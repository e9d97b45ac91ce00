"""One HTML page with plots and images that needs nothing but itself: what draws them is in it, and it loads nothing.

The same plots make the same bytes. What comes from data files cannot end the script that it stands in, and is never
taken for HTML.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from mlvc.plots.data import IMAGES, kind_of

MARK = "<!doctype html>\n<!-- plots of mlvc:"
"""How every such page begins."""
BUNDLES = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
"""Nothing is loaded from anywhere, whatever a template says. Vega makes functions of its expressions: hence eval."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot on the page. ``is_wide``: it has several drawings side by side."""

    title: str
    spec: Mapping[str, Any]
    notes: Sequence[str] = ()
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images on the page: for each revision its name, and path and bytes of the image."""

    title: str
    images: Sequence[tuple[str, str, bytes]]


def page(title: str, revisions: Sequence[tuple[str, str]], items: Sequence[Drawing | Gallery], note: str = "") -> str:
    """The text of the page. ``revisions``: name and commit of each, no commit for the working tree."""
    cards, specs = [], []
    for number, item in enumerate(items):
        if isinstance(item, Drawing):
            specs.append([f"plot-{number}", item.spec])
            cards.append(_drawing(f"plot-{number}", item))
        else:
            cards.append(_gallery(item))
    told = ", ".join(_revision(name, commit) for name, commit in revisions)
    told += f'</p><p class="note">{html.escape(note)}' if note else ""
    body = "\n".join(cards) or '<p class="none">There are no plots.</p>'
    return _PAGE.format(
        mark=MARK,
        policy=html.escape(_POLICY),
        title=html.escape(title),
        style=_STYLE,
        revisions=told,
        cards=body,
        licences=_vendored("LICENSES.txt").replace("--", "- -"),
        scripts="\n".join(f"<script>{_bundle(name)}</script>" for name in BUNDLES) if specs else "",
        specs=_in_script(specs),
        drawing=_DRAWING if specs else "",
    )


def _revision(name: str, commit: str) -> str:
    short = f" <code>{html.escape(commit[:7])}</code>" if commit and not commit.startswith(name) else ""
    return f"<b>{html.escape(name)}</b>{short}"


def _drawing(id_: str, item: Drawing) -> str:
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in item.notes)
    wide = " wide" if item.is_wide else ""
    return (
        f'<section class="card{wide}"><h2>{html.escape(item.title)}</h2>'
        f'<div class="drawing" id="{id_}"></div>{notes}</section>'
    )


def _gallery(item: Gallery) -> str:
    images = "".join(_figure(*image) for image in item.images)
    wide = " wide" if len(item.images) > 1 else ""
    return f'<section class="card{wide}"><h2>{html.escape(item.title)}</h2><div class="images">{images}</div></section>'


def _figure(name: str, path: str, data: bytes) -> str:
    source = f"data:{IMAGES[kind_of(path)]};base64,{base64.b64encode(data).decode()}"
    told = html.escape(name)
    return f'<figure><img alt="{html.escape(path)}, {told}" src="{source}"><figcaption>{told}</figcaption></figure>'


def _in_script(value: object) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _bundle(name: str) -> str:
    text = _vendored(name)
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL="))


def _vendored(name: str) -> str:
    return resources.files("mlvc.plots").joinpath("vendor", name).read_text(encoding="utf-8")


_STYLE = """\
:root { color-scheme: light dark; --page: #f5f6f8; --card: #ffffff; --line: #dfe3e8; --text: #1d2430; --soft: #5d6877; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171c; --card: #1d2229; --line: #323a45; --text: #e7eaef; --soft: #a0abba; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; }
header, main, footer { max-width: 1320px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 24px; padding-bottom: 12px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 10px; overflow-wrap: anywhere; }
header p, footer, .note, figcaption { color: var(--soft); margin: 0; overflow-wrap: anywhere; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 520px), 1fr)); gap: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; min-width: 0; }
.wide { grid-column: 1 / -1; }
.drawing { width: 100%; overflow-x: auto; }
.drawing.vega-embed { display: block; padding-right: 0; }
.drawing.vega-embed.has-actions { padding-right: 0; }
.vega-bindings { color: var(--soft); font-size: 0.85rem; margin-top: 6px; }
.note { font-size: 0.85rem; margin-top: 8px; }
.wrong { color: #c22f2f; font-size: 0.9rem; white-space: pre-wrap; }
.images { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; min-width: 0; max-width: min(100%, 620px); }
img { max-width: 100%; height: auto; display: block; border: 1px solid var(--line); border-radius: 6px;
  background: #fff; }
figcaption { font-size: 0.9rem; margin-top: 4px; }
footer { font-size: 0.8rem; padding-top: 16px; padding-bottom: 24px; }
@media (max-width: 560px) {
  header, main, footer { padding-left: 10px; padding-right: 10px; }
  .card { padding: 12px; }
  h1 { font-size: 1.3rem; }
}
"""

_DRAWING = """\
<script>
(function () {
  "use strict";
  var plots = JSON.parse(document.getElementById("plots").textContent);
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function look() {
    var text = dark.matches ? "#e7eaef" : "#1d2430", soft = dark.matches ? "#a0abba" : "#5d6877";
    var line = dark.matches ? "#323a45" : "#e4e7ec";
    var font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif";
    return {
      background: "transparent", font: font, view: { stroke: line },
      title: { color: text, fontSize: 14 },
      header: { labelColor: text, labelFontSize: 13, labelFontWeight: 600 },
      axis: { labelColor: soft, titleColor: text, labelFontSize: 12, titleFontSize: 13, titleFontWeight: 500,
        gridColor: line, domainColor: soft, tickColor: soft, labelLimit: 160 },
      legend: { labelColor: text, titleColor: soft, labelFontSize: 12, titleFontSize: 12, orient: "bottom",
        columns: 2, labelLimit: 240 },
      line: { strokeWidth: 2 }
    };
  }
  function draw() {
    return Promise.all(plots.map(function (plot) {
      var place = document.getElementById(plot[0]);
      return vegaEmbed(place, plot[1], {
        renderer: "svg", config: look(), tooltip: { theme: dark.matches ? "dark" : "light" },
        actions: { export: true, source: false, compiled: false, editor: false }
      }).catch(function (error) {
        console.error(String(error));
        place.className = "wrong";
        place.textContent = "This plot cannot be drawn: " + error;
      });
    })).then(function () { document.documentElement.setAttribute("data-drawn", plots.length); });
  }
  draw();
  dark.addEventListener("change", draw);
}());
</script>"""

_PAGE = """\
{mark} made by `mlvc plots`, which may write over this file -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{revisions}</p>
</header>
<main>
{cards}
</main>
<footer>Made by mlvc; drawn by Vega, Vega-Lite and Vega-Embed, whose licences are in the source of this page.</footer>
<script type="application/json" id="plots">{specs}</script>
{scripts}
{drawing}
<!--
{licences}-->
</body>
</html>
"""
