"""The page: nothing from data files gets out of its place, and what draws is what was published."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from mlvc.plots import page as pages
from mlvc.plots.page import BUNDLES, Drawing, Gallery, page

EVIL = "</script><script>document.title='owned'</script><!--<img src=x onerror=alert(1)>&\u2028"
VENDOR = Path(pages.__file__).with_name("vendor")


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def made(**changed: object) -> str:
    spec = {"data": {"values": [{"x": changed.get("cell", 1)}]}, "mark": "point", "encoding": {}}
    items = [
        Drawing(str(changed.get("title", "T")), spec, [str(changed.get("note", "n"))]),
        Gallery(str(changed.get("image", "i")), [(str(changed.get("rev", "v1")), "a.svg", b"<svg onload='x'/>")]),
    ]
    return page(str(changed.get("name", "p")), [(str(changed.get("rev", "v1")), "c0ffee" * 6)], items)


def test_nothing_gets_out_of_its_place():
    plain = [(tag, sorted(attrs)) for tag, attrs in Elements(made()).found]
    for key in ("cell", "title", "note", "image", "rev", "name"):
        text = made(**{key: EVIL})
        assert [(tag, sorted(attrs)) for tag, attrs in Elements(text).found] == plain, key
        assert "<script>document" not in text
    found = re.search(r'id="plots">(.*?)</script>', made(cell=EVIL), re.DOTALL)
    assert json.loads(found[1])[0][1]["data"]["values"] == [{"x": EVIL}]


def test_it_needs_nothing_but_itself():
    elements = Elements(made()).found
    assert [attrs["src"][:10] for tag, attrs in elements if "src" in attrs] == ["data:image"]
    assert not [attrs for _, attrs in elements if "href" in attrs]
    policy = next(attrs["content"] for tag, attrs in elements if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_the_same_plots_make_the_same_bytes():
    assert made() == made()


def test_without_plots_there_is_no_script():
    text = page("p", [], [])
    assert "There are no plots" in text
    assert len(text) < 50_000


def test_the_bundles_are_those_that_were_published():
    told = (VENDOR / "VENDORED.txt").read_text()
    found = dict(re.findall(r"^(\S+\.js)\n(?:  .*\n)*?  sha256 +(\w+)$", told, re.MULTILINE))
    assert found.keys() == set(BUNDLES) == {path.name for path in VENDOR.glob("*.js")}
    for name, digest in found.items():
        data = (VENDOR / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert b"</script" not in data.lower()
        assert b"<!--" not in data
        assert "sourceMappingURL" not in made()
