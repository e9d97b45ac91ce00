"""``plots``: data files and images of one or several revisions, as one page or as Vega-Lite specifications."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from mlvc import files
from mlvc.api import plots as api
from mlvc.api.plots import Pictures, Plots, Shape
from mlvc.cli import show as shown
from mlvc.cli.opening import opened
from mlvc.cli.values import end, problems_json
from mlvc.cli.words import Group, argument, option
from mlvc.errors import UsageError, WouldOverwriteError
from mlvc.plots.chart import Chart
from mlvc.plots.templates import PANEL

if TYPE_CHECKING:
    from mlvc.cli import shapes
    from mlvc.repo import Repo

Targets = Annotated[
    list[str] | None,
    option("--targets", metavar="PATH", help="Only this plot: a path of data, or its name; may be given again."),
]
Template = Annotated[
    str, option("-t", "--template", metavar="NAME", help="The template: linear, simple, smooth, scatter or another.")
]
XAxis = Annotated[str, option("-x", metavar="COLUMN", help="The column for the x axis.")]
YAxis = Annotated[str, option("-y", metavar="COLUMN", help="The column for the y axis.")]
NoHeader = Annotated[bool, option("--no-header", help="Tables have no line with names: columns are 0, 1 and so on.")]
Title = Annotated[str, option("--title", metavar="TEXT", help="The title.")]
XLabel = Annotated[str, option("--x-label", metavar="TEXT", help="What stands at the x axis.")]
YLabel = Annotated[str, option("--y-label", metavar="TEXT", help="What stands at the y axis.")]
Out = Annotated[
    str,
    option("-o", "--out", metavar="PATH", help="The page, or a directory for it; without it, mlvc_plots."),
]
Open = Annotated[bool, option("--open", help="Open the page in the browser.")]
Json = Annotated[bool, option("--json", help="Print Vega-Lite specifications as JSON, and make no page.")]
FOLDER = "mlvc_plots"
_PAGE = "index.html"
_SUFFIXES = (".html", ".htm")


def plots_show(
    targets: Annotated[
        list[str] | None,
        argument("[PATH]...", help="Paths of data, or plots of mlvc.yaml by name; without any, all plots."),
    ] = None,
    rev: Annotated[str, option("--rev", metavar="REV", help="The revision; without it, the working tree.")] = "",
    template: Template = "",
    x: XAxis = "",
    y: YAxis = "",
    no_header: NoHeader = False,
    title: Title = "",
    x_label: XLabel = "",
    y_label: YLabel = "",
    out: Out = "",
    open_it: Open = False,
    as_json: Json = False,
) -> None:
    """Draw plots on one page.

    Those that stages name below plots, those at the top of mlvc.yaml, or data files that are named here. The page is a
    file that needs no network. Its path is printed.

    Example: mlvc plots show loss.csv -x step -y loss --open
    """
    _check_page(out, open_it=open_it, as_json=as_json)
    shape = _shape(template, x, y, title, x_label, y_label, header=not no_header)
    with opened() as repo:
        with shown.working("reading plots"):
            found = api.plots(repo, [rev], targets or (), shape)
        _tell(repo, found, out, open_it=open_it, as_json=as_json)
    end(found.problems)


def plots_diff(
    revisions: Annotated[
        list[str] | None,
        argument("[REV]...", help="Revisions; one is compared with the working tree, and without any HEAD is."),
    ] = None,
    targets: Targets = None,
    template: Template = "",
    x: XAxis = "",
    y: YAxis = "",
    no_header: NoHeader = False,
    title: Title = "",
    x_label: XLabel = "",
    y_label: YLabel = "",
    out: Out = "",
    open_it: Open = False,
    as_json: Json = False,
) -> None:
    """Draw plots of several revisions on one page.

    Each chart has all revisions, told apart by colour; images stand side by side.

    Example: mlvc plots diff v1 v2 --targets loss.csv
    """
    _check_page(out, open_it=open_it, as_json=as_json)
    shape = _shape(template, x, y, title, x_label, y_label, header=not no_header)
    with opened() as repo:
        with shown.working("reading plots"):
            found = api.plots(repo, api.compared(revisions or ()), targets or (), shape)
        _tell(repo, found, out, open_it=open_it, as_json=as_json)
    end(found.problems)


def _check_page(out: str, *, open_it: bool, as_json: bool) -> None:
    if as_json and (out or open_it):
        raise UsageError(
            f"--json makes no page, and {'--out' if out else '--open'} is for one",
            hint="leave one of them out; `--json > FILE` writes the JSON to a file",
        )


def _shape(template: str, x: str, y: str, title: str, x_label: str, y_label: str, *, header: bool) -> Shape:
    given: dict[str, object] = {"template": template, "title": title, "x_label": x_label, "y_label": y_label}
    options = {key: value for key, value in given.items() if value}
    return Shape(x, y, options if header else {**options, "header": False})


def _tell(repo: Repo, found: Plots, out: str, *, open_it: bool, as_json: bool) -> None:
    if as_json:
        shown.json_out(_json(found))
        return
    for item in found.items:
        for note in item.notes if isinstance(item, Chart) else ():
            shown.err(shown.clean(f"note: {item.id}: {note}"))
    if not found.items:
        if not found.problems.error():
            shown.err("no plots: name them in mlvc.yaml, below a stage or at the top, or name a data file")
        return
    if found.left:
        shown.err(f"note: {_left(found)}")
    path = _place(out)
    _write(path, _page(repo, found), ours=not out)
    shown.out(path)
    if open_it:
        import webbrowser  # noqa: PLC0415
        from pathlib import Path  # noqa: PLC0415

        if not webbrowser.open(Path(path).absolute().as_uri()):
            shown.err("note: no browser could be opened")


def _left(found: Plots) -> str:
    return f"{shown.number(found.left, 'more plot')} not drawn; name those that you want"


def _place(out: str) -> str:
    """The file for the page; UsageError for a name that is of another kind of file."""
    if os.path.isfile(out) and not out.lower().endswith(_SUFFIXES):
        raise UsageError(f"{out} is a file, and no page", hint="name a directory, or a file that ends with .html")
    return out if out.lower().endswith(_SUFFIXES) else os.path.join(out or FOLDER, _PAGE)


def _write(path: str, text: str, *, ours: bool) -> None:
    """Write the page. A file that is none is left alone; the directory that mlvc chose itself is hidden from Git."""
    from mlvc.plots.page import MARK  # noqa: PLC0415

    there = files.read_or_none(path)
    if there is not None and not there.startswith(MARK.encode()):
        raise WouldOverwriteError(
            f"{path} is there already, and is no page of plots", hint="choose another name with --out"
        )
    folder = os.path.dirname(path)
    if folder:
        is_new = not os.path.exists(folder)
        files.make_dirs(os.path.abspath(folder))
        if ours and is_new:
            files.replace(os.path.join(folder, ".gitignore"), b"*\n")
    files.replace(os.path.abspath(path), text.encode(errors="replace"))


def _page(repo: Repo, found: Plots) -> str:
    from mlvc.plots.page import Drawing, Gallery, page  # noqa: PLC0415

    items: list[Drawing | Gallery] = []
    for item in found.items:
        if isinstance(item, Chart):
            spec, is_wide = fitted(item.spec, item.title)
            items.append(Drawing(item.title, spec, item.notes, is_wide))
        else:
            items.append(Gallery(item.id, [(image.name, image.path, image.bytes) for image in item.images]))
    return page(f"Plots of {os.path.basename(repo.root)}", found.revisions, items, _left(found) if found.left else "")


def fitted(spec: Mapping[str, Any], title: str) -> tuple[dict[str, Any], bool]:
    """A specification as the page has it: as wide as its place, without the title that the page shows.

    And whether it has several drawings side by side, which have a width of their own.
    """
    made = dict(spec)
    if made.get("title") in (title, {"text": title, "anchor": "middle"}):
        del made["title"]
    several = any(key in made for key in ("facet", "hconcat", "vconcat", "concat", "repeat"))
    several = several or any(key in made.get("encoding", {}) for key in ("row", "column", "facet"))
    if several:
        return made, _across(made) > _NARROW
    return {**made, "width": "container"}, False


_NARROW = 8


def _across(spec: Mapping[str, Any]) -> int:
    """How many cells stand side by side in drawings of cells; of other drawings, more than fit beside others."""
    inner = spec.get("spec", {}).get("encoding", {}) if isinstance(spec.get("spec"), dict) else {}
    cells = inner.get("x", {}).get("sort") if isinstance(inner.get("x"), dict) else None
    panels = {record.get(PANEL) for record in spec["data"]["values"]}
    return len(cells) * min(2, len(panels)) if isinstance(cells, list) else _NARROW + 1


def _json(found: Plots) -> shapes.Plots:
    lost, unreadable = problems_json(found.problems)
    items = [_item_json(item) for item in found.items]
    return {"plots": items, "left": found.left, "lost": lost, "unreadable": unreadable}


def _item_json(item: Chart | Pictures) -> shapes.Plot:
    if isinstance(item, Chart):
        return {
            "id": item.id,
            "revisions": list(item.revisions),
            "spec": dict(item.spec),
            "notes": list(item.notes),
        }
    images: Sequence[shapes.Image] = [
        {"rev": image.rev or None, "path": image.path, "size": len(image.bytes)} for image in item.images
    ]
    return {"id": item.id, "revisions": [image.name for image in item.images], "images": list(images), "notes": []}


COMMANDS = {
    "plots": Group("Draw data files and images.", {"show": plots_show, "diff": plots_diff}, example="mlvc plots show")
}
