"""From a Plot and its data, of one or several revisions, to a chart: one Vega-Lite specification with its data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlvc import codec
from mlvc.errors import FormatError
from mlvc.pipeline.top import Plot
from mlvc.plots import templates
from mlvc.plots.data import Record, all_numbers, every, is_number, thinned
from mlvc.plots.templates import COUNT, PANEL, PART, SHARE, escaped

STEP = "step"
"""The axis of a plot that names none: the number of the record."""
REV, FILENAME, FIELD = "rev", "filename", "field"
MIXED_X, MIXED_Y = "dvc_inferred_x_value", "dvc_inferred_y_value"
"""Columns for values that come from columns of different names. Templates made for DVC may name them."""
MOST = 5_000
"""Points in one chart. A browser makes an element of each; more of them make the page slow."""
MOST_OF_A_USER = 20_000
"""The same with a template of which nobody knows what it does with the points."""
MOST_BARS, MOST_LABELS = 100, 50
WIDTH, HEIGHT = 400, 300
_BAR, _LEAST_HEIGHT = 24, 60
COLORS = ("#3b6fd4", "#e0652f", "#2b9c77", "#a353c9", "#c99700", "#d0406f", "#0f9bb5", "#8a7565")
_DASHES = ([1, 0], [8, 4], [2, 2], [8, 2, 2, 2], [4, 2], [12, 4])
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")


@dataclass(frozen=True, slots=True)
class Data:
    """The records of one revision, by path. ``rev``: what the chart calls it."""

    rev: str
    files: Mapping[str, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn. ``revisions``: those that there are data of. ``notes``: sentences on what is not in it."""

    id: str
    title: str
    revisions: tuple[str, ...]
    spec: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Points:
    """All points, of all revisions and series, and the columns that have their values."""

    x: str
    y: str
    groups: Mapping[tuple[str, str, str], list[Record]]
    """By revision, file and column."""

    @property
    def all(self) -> list[Record]:
        return [point for group in self.groups.values() for point in group]


def files_of(plot: Plot) -> list[str]:
    """The paths of the data that a Plot needs."""
    named = [file or plot.path for file, _ in (*plot.y, *plot.x)]
    return list(dict.fromkeys(path for path in (*named, plot.path) if path))


def draw(plot: Plot, name: str, template: Mapping[str, Any], data: Sequence[Data]) -> Chart:
    """The chart of ``plot`` with the template of this ``name``; FormatError where its columns are not there."""
    built_in = template is templates.BUILT_IN.get(name)
    points = _points(plot, data, whole=not built_in)
    revisions = tuple(dict.fromkeys(rev for rev, _, _ in points.groups))
    notes: list[str] = []
    if built_in and name in templates.MATRICES:
        values, extra = _matrix(points, notes)
    elif built_in and name in templates.BARS:
        values, extra = _bars(points, notes, largest=name.endswith("_sorted"))
    else:
        values, extra = _thinned(points, notes, is_line=name in templates.LINES if built_in else None)
        if built_in and name in templates.LINES and not all_numbers(one.get(points.y) for one in values):
            notes.append(f"of '{points.y}' only numbers are drawn, and it has others")
    anchors = _anchors(plot, points, revisions) | _looks(points, revisions, built_in=built_in) | extra
    spec = templates.fill(template, {**anchors, "DATA": values})
    return Chart(plot.id, anchors["TITLE"], revisions, spec, tuple(notes))


# -- points ------------------------------------------------------------------------------------


def _points(plot: Plot, data: Sequence[Data], *, whole: bool) -> _Points:
    """``whole``: with all columns of the records, and not just those that are drawn."""
    ys, xs = _columns(plot, data)
    x_names, y_names = {column for _, column in xs}, {column for _, column in ys}
    x = STEP if not xs else xs[0][1] if len(x_names) == 1 else MIXED_X
    y = ys[0][1] if len(y_names) == 1 else MIXED_Y
    prefix = _common([file for file, _ in ys])
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for one in data:
        for at, (file, column) in enumerate(ys):
            records = one.files.get(file)
            if not records:
                continue
            values = _values(plot, records, file, column)
            places = _places(plot, one, xs[min(at, len(xs) - 1)] if xs else None, file, len(records))
            told = {REV: one.rev}
            if whole or len(ys) > 1:
                told |= {FILENAME: file[prefix:], FIELD: column}
            if len(ys) > 1:
                told[f"{FILENAME}::{FIELD}"] = f"{file[prefix:]}::{column}"
            groups[one.rev, file, column] = [
                {**(record if whole else {}), x: place, y: value, **told}
                for record, place, value in zip(records, places, values, strict=True)
            ]
    return _Points(x, y, groups)


def _columns(plot: Plot, data: Sequence[Data]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """File and column of each y, and of each x: none, one for all, or one for each y."""
    ys = [(file or plot.path, column) for file, column in plot.y]
    if not ys:
        records = next(records for one in data if (records := one.files.get(plot.path)))
        taken = {column for _, column in plot.x}
        names = [name for name in records[0] if name not in taken] or list(records[0])
        ys = [(plot.path, names[-1])]
    if len(plot.x) == 1 and not plot.x[0][0]:
        return ys, [(file, plot.x[0][1]) for file, _ in ys]
    xs = [(file or plot.path, column) for file, column in plot.x]
    if len(xs) > 1 and len(xs) != len(ys):
        raise FormatError(
            f"{plot.file}: the plot '{plot.id}' has {len(xs)} columns for x and {len(ys)} for y",
            hint="give one x for all, or one for each y",
        )
    return ys, xs


def _values(plot: Plot, records: Sequence[Record], file: str, column: str) -> list[Any]:
    if column not in records[0]:
        near = codec.nearest(column, records[0])
        raise FormatError(
            f"plot '{plot.id}': {file} has no column '{column}'",
            hint=f"did you mean '{near}'?" if near else f"it has {', '.join(list(records[0])[:20])}",
        )
    return [record.get(column) for record in records]


def _places(plot: Plot, data: Data, x: tuple[str, str] | None, file: str, count: int) -> Sequence[Any]:
    if x is None:
        return range(count)
    records = data.files.get(x[0], ())
    if len(records) != count:
        raise FormatError(
            f"plot '{plot.id}': x in {x[0]} has {len(records)} records, and {file} has {count}",
            hint="x and y must be of the same length",
        )
    return _values(plot, records, *x)


def _common(files: Sequence[str]) -> int:
    """How much of the paths is the same directory, which a legend need not tell."""
    if len(set(files)) < 2:
        return 0
    folders = [file.rpartition("/")[0] + "/" for file in files]
    common = 0
    for parts in zip(*(folder.split("/")[:-1] for folder in folders), strict=False):
        if len(set(parts)) > 1:
            break
        common += len(parts[0]) + 1
    return common if all("/" in file for file in files) else 0


# -- few enough of them ------------------------------------------------------------------------


def _thinned(points: _Points, notes: list[str], *, is_line: bool | None) -> tuple[list[Record], dict[str, Any]]:
    """``is_line``: None where nobody knows."""
    most = (MOST_OF_A_USER if is_line is None else MOST) // max(1, len(points.groups))
    found = [
        one
        for group in points.groups.values()
        for one in (thinned(group, most, points.y) if is_line else every(group, most))
    ]
    total = sum(map(len, points.groups.values()))
    if len(found) < total:
        how = "of each stretch the lowest and the highest" if is_line else "evenly chosen"
        notes.append(f"{len(found):,} of {total:,} points are drawn, {how}")
    return found, {}


def _bars(points: _Points, notes: list[str], *, largest: bool) -> tuple[list[Record], dict[str, Any]]:
    everything = points.all
    labels = list(dict.fromkeys(str(one.get(points.y)) for one in everything))
    if len(labels) > MOST_BARS:
        notes.append(f"{MOST_BARS} of {len(labels):,} bars are drawn, {'the largest' if largest else 'the first'}")
        if largest:
            sums: Counter[str] = Counter()
            for one in everything:
                sums[str(one.get(points.y))] += one[points.x] if is_number(one[points.x]) else 0
            labels = [label for label, _ in sums.most_common(MOST_BARS)]
        kept = set(labels[:MOST_BARS])
        everything = [one for one in everything if str(one.get(points.y)) in kept]
    return everything, {"BARS_HEIGHT": max(_LEAST_HEIGHT, _BAR * min(len(labels), MOST_BARS))}


def _matrix(points: _Points, notes: list[str]) -> tuple[list[Record], dict[str, Any]]:
    """The cells of a matrix for each group: how often each pair of values comes."""
    everything = points.all
    columns = _labels(everything, points.x)
    rows = _labels(everything, points.y)
    if set(columns) & set(rows):
        columns = rows = _sorted({**dict.fromkeys(columns), **dict.fromkeys(rows)})
    if max(len(columns), len(rows)) > MOST_LABELS:
        often = Counter(_label(one[axis]) for one in everything for axis in (points.x, points.y))
        notes.append(f"the {MOST_LABELS} values that come most often are drawn, of {max(len(columns), len(rows)):,}")
        kept = {label for label, _ in often.most_common(MOST_LABELS)}
        columns, rows = ([label for label in labels if label in kept] for labels in (columns, rows))
    several = len({group[1:] for group in points.groups}) > 1
    found: list[Record] = []
    for (rev, file, column), group in points.groups.items():
        panel = f"{rev} · {file}::{column}" if several else rev
        counts = Counter((_label(one[points.y]), _label(one[points.x])) for one in group)
        fullest = max(counts.values(), default=1)
        for row in rows:
            total = sum(count for (of, _), count in counts.items() if of == row)
            for cell in columns:
                count = counts[row, cell]
                numbers = {COUNT: count, SHARE: _ratio(count, total), PART: _ratio(count, fullest)}
                found.append({points.x: cell, points.y: row, REV: rev, PANEL: panel, **numbers})
    return found, {"X_SORT": columns, "Y_SORT": rows}


def _label(value: Any) -> str:
    return str(value) if not isinstance(value, bool) and value is not None else codec.compact_json(value)


def _labels(records: Sequence[Record], column: str) -> list[str]:
    return _sorted(dict.fromkeys(_label(record.get(column)) for record in records))


def _sorted(labels: Mapping[str, Any]) -> list[str]:
    try:
        return sorted(labels, key=float)
    except ValueError:
        return sorted(labels)


def _ratio(count: int, total: int) -> float:
    return round(count / total, 6) if total else 0.0


# -- what stands in place of anchors -----------------------------------------------------------


def _anchors(plot: Plot, points: _Points, revisions: Sequence[str]) -> dict[str, Any]:
    """What is the same for all templates."""
    labels = {axis: plot.options.get(f"{axis}_label") for axis in ("x", "y")}
    group_by = [REV, *([_varied(points)] if _varied(points) else [])]
    path = [f"datum['{name}']" for name in group_by]
    return {
        "TITLE": str(plot.options.get("title") or plot.id),
        "X": escaped(points.x),
        "Y": escaped(points.y),
        "X_LABEL": labels["x"] or ("x" if points.x == MIXED_X else points.x),
        "Y_LABEL": labels["y"] or ("y" if points.y == MIXED_Y else points.y),
        "PLOT_WIDTH": WIDTH,
        "PLOT_HEIGHT": HEIGHT,
        "GROUP_BY": group_by,
        "GROUP_BY_X": [*group_by, escaped(points.x)],
        "GROUP_BY_Y": [*group_by, escaped(points.y)],
        "PIVOT_FIELD": " + '::' + ".join(path),
        "TOOLTIP": [
            *([{"field": REV, "title": "revision"}] if len(revisions) > 1 else []),
            *([{"field": _varied(points)}] if _varied(points) else []),
            {"field": escaped(points.x), "title": labels["x"] or points.x},
            {"field": escaped(points.y), "title": labels["y"] or points.y},
        ],
    }


def _varied(points: _Points) -> str:
    """The column that tells series apart; '' where there is one only."""
    files = {file for _, file, _ in points.groups}
    columns = {column for _, _, column in points.groups}
    if len(files) > 1 and len(columns) > 1:
        return f"{FILENAME}::{FIELD}"
    return FILENAME if len(files) > 1 else FIELD if len(columns) > 1 else ""


def _looks(points: _Points, revisions: Sequence[str], *, built_in: bool) -> dict[str, Any]:
    """Colours, dashes and shapes; revisions have colours, series too where there is one revision only."""
    varied = _varied(points)
    series = list(dict.fromkeys(one[varied] for group in points.groups.values() for one in group[:1])) if varied else []
    by_series = built_in and varied and len(revisions) < 2
    color = _scale(varied, series, COLORS) if by_series else _scale(REV, revisions, COLORS)
    if built_in and not by_series and len(revisions) < 2:
        color["legend"] = None
    dash, shape = (
        {**_scale(varied, series, choices), "legend": {"symbolFillColor": "transparent", "symbolStrokeColor": "grey"}}
        if varied and not by_series
        else {}
        for choices in (_DASHES, _SHAPES)
    )
    facet = {"field": varied, "sort": []} if varied else {}
    types = {axis: _type([one.get(axis) for one in points.all]) for axis in (points.x, points.y)}
    is_continuous = not built_in or types[points.x] != "nominal"
    zoom = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    return {
        "COLOR": color,
        "STROKE_DASH": dash,
        "SHAPE": shape,
        "ROW": facet,
        "COLUMN": facet,
        "ZOOM_AND_PAN": {"name": "grid", "select": zoom, "bind": "scales"} if is_continuous else {},
        "X_TYPE": types[points.x],
        "Y_TYPE": types[points.y],
        "X_SORT": None if types[points.x] == "nominal" else {},
        "OFFSET": {"field": REV, "sort": list(revisions)} if len(revisions) > 1 else {},
    }


def _scale(field: str, domain: Sequence[str], choices: Sequence[Any]) -> dict[str, Any]:
    chosen = [choices[at % len(choices)] for at in range(len(domain))]
    return {"field": field, "title": None, "scale": {"domain": list(domain), "range": chosen}}


def _type(values: Sequence[Any]) -> str:
    if all_numbers(values):
        return "quantitative"
    dates = all(value is None or (isinstance(value, str) and _DATE.fullmatch(value)) for value in values)
    return "temporal" if dates else "nominal"
