"""The pages hold together: links lead somewhere, every page is found, tables are tables, no page knows a machine."""

import re
import tomllib
from pathlib import Path

import pytest
from fsspec.registry import known_implementations  # noqa: TID251  (asked, not used)

from mlvc import config, errors, ignore
from mlvc.cli.main import BUG, INTERRUPTED
from mlvc.cli.report import CHANGES
from mlvc.pipeline import spec
from tests.helpers.pages import ROOT, name_of, pages, split

PAGES = {name_of(page): page for page in pages()}
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
MACHINE = re.compile(r"(?<![\w.~/])/(?:home|root|Users|tmp|work|mnt/data|private|var/folders)/|[A-Z]:\\")
WIDTH = 160  # most lines end at 120; a link or a list of conditions may stand out

each_page = pytest.mark.parametrize("name", PAGES)


def prose(path: Path) -> list[tuple[int, str]]:
    """The numbered lines outside of fenced blocks, without what stands between backticks."""
    return [(number, re.sub(r"`[^`]*`", "``", line)) for number, line in split(path.read_text(encoding="utf-8"))[0]]


def links(path: Path) -> list[tuple[int, str]]:
    return [(number, target) for number, line in prose(path) for target in LINK.findall(line)]


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    found: list[str] = []
    for _, line in split(path.read_text(encoding="utf-8"))[0]:
        match = re.match(r"#{1,6} (.+)", line)
        if match:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1])
            name = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.append(f"{name}-{found.count(name)}" if name in found else name)
    return set(found)


def goal(page: Path, target: str) -> tuple[Path, str]:
    """The file and the anchor that a relative link leads to."""
    path, _, anchor = target.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


def external(target: str) -> bool:
    return re.match(r"[a-z]+:", target) is not None


@each_page
def test_links_lead_somewhere(name):
    page = PAGES[name]
    for number, target in links(page):
        if external(target):
            assert target.startswith("https://"), f"{name}, line {number}: {target}"
            continue
        path, anchor = goal(page, target)
        assert path.exists(), f"{name}, line {number}: nothing is at {target}"
        assert path.is_relative_to(ROOT), f"{name}, line {number}: {target} is outside of the checkout"
        if anchor:
            assert anchor in anchors(path), f"{name}, line {number}: no heading for {target}"


@each_page
def test_no_page_knows_a_machine(name):
    for number, line in enumerate(PAGES[name].read_text(encoding="utf-8").splitlines(), 1):
        assert not MACHINE.search(line), f"{name}, line {number}: {line}"


@each_page
def test_lines_are_not_long(name):
    for number, line in split(PAGES[name].read_text(encoding="utf-8"))[0]:
        assert len(line) <= WIDTH or line.startswith("|"), f"{name}, line {number} has {len(line)} characters"
        assert line == line.rstrip(), f"{name}, line {number} ends with a space"


@each_page
def test_tables_have_the_same_columns_in_every_row(name):
    columns = 0
    for number, line in prose(PAGES[name]):
        if not line.startswith("|"):
            columns = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        assert line.endswith("|"), f"{name}, line {number}: a row of a table does not end"
        assert columns in (0, cells), f"{name}, line {number}: {cells} columns below {columns}"
        columns = cells


@each_page
def test_a_page_has_one_title_and_it_comes_first(name):
    lines = [line for _, line in split(PAGES[name].read_text(encoding="utf-8"))[0]]
    assert lines[0].startswith("# ")
    assert sum(line.startswith("# ") for line in lines) == 1


def test_every_page_is_reached_from_the_index():
    start = ROOT / "docs" / "README.md"
    seen, pending = {start}, [start]
    while pending:
        page = pending.pop()
        for path in {goal(page, target)[0] for _, target in links(page) if not external(target)}:
            if path.suffix == ".md" and path not in seen:
                seen.add(path)
                pending.append(path)
    lost = {name for name, page in PAGES.items() if name.startswith("docs/") and page not in seen}
    assert not lost, f"no way leads from docs/README.md to {', '.join(sorted(lost))}"


def test_the_pages_that_the_code_names_are_there():
    for path in sorted((ROOT / "mlvc").rglob("*.py")):
        for named in re.findall(r"docs/[\w/.-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / named).exists(), f"{name_of(path)} names {named}, which is not there"


def test_the_architecture_has_a_line_for_each_module():
    text = (ROOT / "docs/design/architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    code = re.compile(r"^(?:def|class|from) ", re.MULTILINE)
    modules = [path for path in (ROOT / "mlvc").rglob("*.py") if code.search(path.read_text(encoding="utf-8"))]
    there = {path.relative_to(ROOT / "mlvc").with_suffix("").as_posix().removesuffix("/__init__") for path in modules}
    there = {name for name in there if not name.startswith("demo/") and name not in ("__init__", "__main__")}
    assert told == there


def test_the_layers_are_those_that_the_linter_holds():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    held = [re.findall(r"\w+", line) for line in tools["importlinter"]["contracts"][0]["layers"]]
    there = {path.stem for path in (ROOT / "mlvc").iterdir()} - {"__main__", "demo"}
    text = (ROOT / "docs/design/architecture.md").read_text(encoding="utf-8")
    block = next(block for block in split(text.partition("## Layers")[2])[1])
    told = [re.findall(r"\w+", re.split(r" {3,}", line)[0]) for line in block.lines]
    assert told == [names for line in held if (names := [name for name in line if name in there])]


def test_exit_codes_are_those_of_the_errors():
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE))
    assert errors.__doc__ is not None
    assert told == dict(re.findall(r"^(\d+) +(.+)$", errors.__doc__.replace("``", "`"), re.MULTILINE))
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MlvcError)]
    assert {str(kind.exit_code) for kind in classes} <= told.keys()
    assert {str(BUG), str(INTERRUPTED), str(CHANGES)} <= told.keys()


def test_settings_are_those_that_mlvc_knows():
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([\w.]+)` \| (.*) \| (?:`(.*)` )?\|$", page, re.MULTILINE)
    assert told == [(key.name, key.meaning, shown(key.default)) for key in config.KEYS.values()]


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_decisions_are_numbered_without_a_gap():
    names = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    for name in names:
        headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "adr" / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Options measured", "Choice", "Consequence"], name


def keys_of(page: str, name: str) -> list[str]:
    """The first column of the table below ``<!-- keys: NAME -->``."""
    text = (ROOT / page).read_text(encoding="utf-8")
    table = text.partition(f"<!-- keys: {name} -->\n")[2].partition("\n\n")[0]
    return [key for line in table.splitlines() for key in re.findall(r"`(\w+)`", line.split("|")[1])]


PIPELINE = "docs/reference/pipeline.md"


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ("file", spec.TOP_KEYS),
        ("stage", spec.STAGE_KEYS),
        ("out", spec.OUT_FLAGS),
        ("plot", spec.PLOT_FLAGS.keys() - spec.OUT_FLAGS.keys()),
    ],
)
def test_the_keys_of_mlvc_yaml_are_those_that_the_code_knows(table, known):
    told = keys_of(PIPELINE, table)
    assert len(told) == len(set(told))
    assert set(told) == set(known)


def test_the_defaults_of_an_output_are_those_of_the_code():
    text = (ROOT / PIPELINE).read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(cache|persist|push)` \| .* \| `(\w+)` \|$", text, re.MULTILINE))
    assert told == {key: shown(getattr(spec.Out("x"), key)) for key in ("cache", "persist", "push")}


HOWTO = "docs/howto/tracking.md"


def test_the_names_that_are_told_to_be_never_tracked_are_not():
    text = (ROOT / HOWTO).read_text(encoding="utf-8")
    told = re.findall(r"^- `(.+?)`:", text.partition("<!-- never tracked -->")[2].partition("\n\n")[0], re.MULTILINE)
    assert len(told) == 3
    assert set(told) <= ignore.ALWAYS


def test_the_packages_that_remotes_need_are_those_that_fsspec_asks_for():
    text = (ROOT / HOWTO).read_text(encoding="utf-8")
    table = text.partition("<!-- places -->\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`\w+://.*?) \| .*? \| (?:`pip install (\w+)` )?\|$", table, re.MULTILINE)
    assert len(rows) == 7
    for urls, package in rows:
        for protocol in re.findall(r"`(\w+)://", urls):
            asked = known_implementations[protocol].get("err", "")
            assert package in asked if package else not asked
