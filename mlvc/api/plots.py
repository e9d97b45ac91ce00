"""``plots show`` and ``plots diff``: data files and images, of one or several revisions, as charts."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlvc import codec, files
from mlvc.api import named, revisions
from mlvc.api.revisions import Problems, Revision
from mlvc.errors import FormatError, UsageError
from mlvc.pipeline import top
from mlvc.pipeline.top import Plot
from mlvc.plots import chart, data, templates
from mlvc.plots.chart import Chart, Data
from mlvc.repo import Repo

LARGEST, LARGEST_IMAGE = 200_000_000, 20_000_000
"""Bytes of a data file, of which few points may be left, and of an image, which goes onto the page as it is."""
MOST = 300
"""Plots at a time: a directory may have any number of files."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image at one revision. ``name``: what a page calls the revision."""

    rev: str
    name: str
    path: str
    bytes: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images at one path, of several revisions."""

    id: str
    images: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Plots:
    """Charts and images in the order of the pipeline files. ``revisions``: their names and commits.

    ``left``: how many more plots there are, which are not drawn.
    """

    revisions: tuple[tuple[str, str], ...]
    items: tuple[Chart | Pictures, ...]
    problems: Problems = field(default_factory=Problems)
    left: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the command line says of how to draw; it goes before what pipeline files say."""

    x: str = ""
    y: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def plots(repo: Repo, revs: Sequence[str], targets: Sequence[str] = (), shape: Shape | None = None) -> Plots:
    """The plots of these revisions, '' for the working tree, each with all of them.

    ``targets``: names of plots, or paths, also of data that no pipeline file names; without any, all plots. UsageError
    for one that there is not. A plot is as the last revision that has it describes it.
    """
    problems = Problems()
    opened = revisions.opened(repo, list(dict.fromkeys(revs)), problems)
    every = _chosen(repo, opened, targets)
    wanted = every[:MOST]
    if shape is not None:
        wanted = [_shaped(plot, shape) for plot in wanted]
    read = _Reader(opened, problems)
    items = [made for plot in wanted if (made := problems.tried(lambda plot=plot: _item(repo, plot, read)))]  # type: ignore[misc]
    names = tuple((one.name, one.commit) for one in opened)
    return Plots(names, tuple(items), problems, len(every) - len(wanted))


def compared(given: Sequence[str]) -> list[str]:
    """The revisions that ``plots diff`` compares: those given; one alone, or HEAD, with the working tree."""
    if len(given) > 1:
        return list(given)
    return [*(given or ["HEAD"]), ""]


# -- which plots -------------------------------------------------------------------------------


def _described(revision: Revision) -> dict[str, Plot]:
    """The plots of a revision by name. What stands at the top says more than what a Stage does."""
    described = revision.described
    found: dict[str, Plot] = {}
    for made in described.tops:
        for plot in made.plots:
            # The same name in two pipeline files is two plots.
            other = plot.id in found and found[plot.id].file != plot.file
            found[f"{plot.file}::{plot.id}" if other else plot.id] = plot
    for stage in described.stages:
        for out in stage.outs:
            if out.role == "plots":
                plot = top.of_output(out.path, stage.file, out.options)
                known = found.get(out.path)
                found[out.path] = plot if known is None else _merged(plot, known)
    return found


def _merged(plot: Plot, more: Plot) -> Plot:
    return replace(more, x=more.x or plot.x, y=more.y or plot.y, options={**plot.options, **more.options})


def _chosen(repo: Repo, opened: Sequence[Revision], targets: Sequence[str]) -> list[Plot]:
    """The plots that ``targets`` name, each directory as the files in it."""
    known: dict[str, Plot] = {}
    for revision in reversed(opened):
        for name, plot in _described(revision).items():
            known.setdefault(name, plot)
    found: dict[str, Plot] = {}
    parents = {plot.path for plot in known.values() if plot.path}
    for name, plot in known.items():
        for one in _unfolded(opened, name, plot):
            # A file in a directory is drawn by what is said of the nearest path around it.
            inside = one.path != plot.path and any(
                around in parents and around.startswith(plot.path + "/") for around in (one.path, *_around(one.path))
            )
            if not inside:
                found[one.id] = one
    if not targets:
        return list(found.values())
    return _unique(one for target in targets for one in _named(repo, opened, found, target))


def _around(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:at]) for at in range(1, len(parts))]


def _unique(plots: Iterable[Plot]) -> list[Plot]:
    return list({plot.id: plot for plot in plots}.values())


def _unfolded(opened: Sequence[Revision], name: str, plot: Plot) -> list[Plot]:
    """The plot itself, or one for each file of its directory at any of the revisions."""
    if not plot.path or data.kind_of(plot.path) in {*data.TABLES, *data.TREES, *data.IMAGES}:
        return [replace(plot, id=name)]
    inside = sorted({path for revision in opened for path in revision.below(plot.path)})
    if not inside or inside == [plot.path]:
        return [replace(plot, id=name)]
    return [replace(plot, id=path, path=path) for path in inside]


def _named(repo: Repo, opened: Sequence[Revision], known: Mapping[str, Plot], target: str) -> list[Plot]:
    if target in known:
        return [known[target]]
    path = repo.path(target)
    hits = [plot for plot in known.values() if path and (plot.path == path or plot.path.startswith(path + "/"))]
    if hits:
        return hits
    inside = sorted({name for revision in opened for name in revision.below(path)})
    if not inside:
        near = codec.nearest(target, known)
        hint = f"did you mean '{near}'?" if near else named.slip(target, repo.root, repo.cwd)
        raise UsageError(f"there is no plot '{target}', and no such file", hint=hint)
    return [Plot(name, "", name) for name in inside]


def _shaped(plot: Plot, shape: Shape) -> Plot:
    x = (("", shape.x),) if shape.x else plot.x
    y = (("", shape.y),) if shape.y else plot.y
    if shape.y and not plot.path:
        y = tuple((file, shape.y) for file, _ in plot.y)
    return replace(plot, x=x, y=y, options={**plot.options, **shape.options})


# -- their data --------------------------------------------------------------------------------


class _Reader:
    """Reads data files at all revisions, each version of a file once."""

    def __init__(self, opened: Sequence[Revision], problems: Problems) -> None:
        self.opened = opened
        self.problems = problems
        self._known: dict[tuple[str, bytes, bool], list[data.Record]] = {}

    def bytes(self, revision: Revision, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of these files at a revision; those that are too large to be drawn are told."""
        found = revision.read(paths)
        for path, text in found.items():
            most = LARGEST_IMAGE if data.is_image(path) else LARGEST
            if len(text) > most:
                raise FormatError(
                    f"{revision.told(path)} is too large to be drawn: more than {most // 1_000_000} MB",
                    hint="write a smaller file for the plot",
                )
        return found

    def records(self, revision: Revision, paths: Iterable[str], *, header: bool) -> dict[str, list[data.Record]]:
        """Their records, without files that are not there; what cannot be read is among the problems."""
        found = {}
        for path, text in self.bytes(revision, paths).items():
            key = (path, text, header)
            if key not in self._known:
                made = self.problems.tried(
                    lambda path=path, text=text: data.records(text, path, revision.told(path), header=header)  # type: ignore[misc]
                )
                self._known[key] = made or []
            if self._known[key]:
                found[path] = self._known[key]
        return found


def _item(repo: Repo, plot: Plot, read: _Reader) -> Chart | Pictures | None:
    if plot.path and data.is_image(plot.path):
        images = [
            Picture(one.rev, one.name, plot.path, text)
            for one in read.opened
            for text in read.bytes(one, [plot.path]).values()
        ]
        if images:
            return Pictures(plot.id, tuple(images))
        _none(plot, read)
        return None
    header = bool(plot.options.get("header", True))
    paths = chart.files_of(plot)
    found = [Data(one.name, read.records(one, paths, header=header)) for one in read.opened]
    drawn = [one for one in found if any(path in one.files for path in paths)]
    if not drawn:
        _none(plot, read)
        return None
    name = str(plot.options.get("template") or "linear")
    folder = posixpath.dirname(plot.file)
    template = templates.find(name, lambda path: files.read_or_none(f"{repo.root}/{path}"), folder)
    return chart.draw(plot, name, template, drawn)


def _none(plot: Plot, read: _Reader) -> None:
    """FormatError for a plot without any data, unless the reason is told already."""
    paths = chart.files_of(plot)
    if any(map(read.problems.told, paths)):
        return
    empty = [path for path in paths if any(read.bytes(one, [path]) for one in read.opened)]
    if empty:
        raise FormatError(
            f"the plot '{plot.id}' has no data: {empty[0]} has nothing below its first line, which names the columns",
            hint="let the stage write values there; `header: false` says that the first line has values",
        )
    raise FormatError(f"the plot '{plot.id}' has no data: {paths[0]} is not there", hint="`mlvc repro` makes outputs")
