"""The page of plots in a real browser, without a network: every chart has marks, nothing is complained of.

Where there is no Chromium the tests are skipped; with MLVC_TEST_BROWSER set, it has to be there.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.helpers import Result, plots, run, run_mlvc

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), "")
needs_browser = pytest.mark.skipif(
    not BROWSER and not os.environ.get("MLVC_TEST_BROWSER"), reason=f"none of {', '.join(NAMES)} is installed"
)
pytestmark = [needs_browser, pytest.mark.timeout(180)]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    # No name is found and no address is reached: there is no network.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:1"),
    *("--enable-logging=stderr", "--virtual-time-budget=20000"),
)


def visited(page: Path, *flags: str) -> Result:
    assert BROWSER, "MLVC_TEST_BROWSER is set, and there is no Chromium"
    # The name of a socket must be short, and names of pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="mlvc-", dir="/tmp") as short:
        given = [BROWSER, *FLAGS, f"--user-data-dir={short}/profile", *flags, page.as_uri()]
        return run(given, timeout=150, env={"TMPDIR": short})


def complaints(result: Result) -> list[str]:
    return [line for line in result.err.splitlines() if "CONSOLE" in line]


class Charts(HTMLParser):
    """The marks of each chart: what is drawn in groups of Vega for marks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.marks: dict[str, int] = {}
        self.title = ""
        self._chart = ""
        self._depth: list[bool] = []
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if (given.get("id") or "").startswith("plot-"):
            self._chart = str(given["id"])
            self.marks[self._chart] = 0
        self._in_title = tag == "title" and not self._chart
        if tag == "g":
            words = (given.get("class") or "").split()
            self._depth.append("role-mark" in words)
        elif tag in ("path", "text") and self._chart and self._depth and self._depth[-1]:
            self.marks[self._chart] += bool(given.get("d") or tag == "text")

    def handle_endtag(self, tag):
        if tag == "g" and self._depth:
            self._depth.pop()
        self._in_title = False

    def handle_data(self, data):
        if self._in_title:
            self.title = data


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = plots.project(tmp_path_factory.mktemp("browser") / "project")
    run_mlvc("plots", "diff", "v1", "-o", "page.html", cwd=root)
    return root / "page.html"


def test_every_chart_has_marks(page: Path) -> None:
    result = visited(page, "--dump-dom")
    assert complaints(result) == []
    found = Charts(result.out)
    assert f'data-drawn="{plots.CHARTS}"' in result.out
    assert len(found.marks) == plots.CHARTS
    assert min(found.marks.values()) >= 2, found.marks
    assert result.out.count("<img alt=") == 4
    assert found.title == "Plots of project"  # and no script of a cell or of an image has run
    assert 'class="wrong"' not in result.out


def test_a_page_that_is_broken_is_found(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace('"mark":"area"', '"mark":"arae"'), encoding="utf-8")
    result = visited(broken, "--dump-dom")
    assert len(complaints(result)) >= 1
    assert 'class="wrong"' in result.out
    assert 0 in Charts(result.out).marks.values()
    fetching = tmp_path / "fetching.html"
    fetching.write_text(text.replace("</main>", '<img src="https://example.org/x.png"></main>'), encoding="utf-8")
    assert "Content Security Policy" in "".join(complaints(visited(fetching, "--dump-dom")))


FRAMED = """<body style="margin:0"><iframe src="{page}" width="{width}" height="3000" style="border:0"></iframe>
<script>addEventListener("message", e => document.body.setAttribute("data-over", e.data))</script></body>"""
TOLD = """<script>setTimeout(() => parent.postMessage(
  Math.max(document.documentElement.scrollWidth - innerWidth, document.body.scrollWidth - innerWidth), "*"), 5000);
</script></body>"""


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(page: Path, tmp_path: Path, width: int) -> None:
    inner, outer = tmp_path / "inner.html", tmp_path / "outer.html"
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")
    inner.write_text(before + TOLD + after, encoding="utf-8")
    outer.write_text(FRAMED.format(page="inner.html", width=width), encoding="utf-8")
    result = visited(outer, "--dump-dom", "--window-size=1400,900")
    over = re.search(r'data-over="(-?\d+)"', result.out)
    assert over is not None, result.out
    assert int(over[1]) <= 0


def test_a_picture_of_it_is_no_empty_page(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    visited(page, f"--screenshot={picture}", "--window-size=1280,1600")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size > 60_000
