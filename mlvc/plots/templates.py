"""Templates: Vega-Lite with anchors, which stand for what differs from chart to chart.

The anchors are those of DVC, so that a template made for it can be used. A value that is an anchor is replaced by what
it stands for; in a longer text an anchor is replaced if it stands for text. docs/reference/pipeline.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlvc import codec
from mlvc.errors import FormatError, PipelineError

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_ANCHOR = re.compile(r"<(?:DVC_METRIC|MLVC)_([A-Z_]+)>")
X, Y, DATA = "<DVC_METRIC_X>", "<DVC_METRIC_Y>", "<DVC_METRIC_DATA>"
_COLOR, _DASH, _TOOLTIP = "<DVC_METRIC_COLOR>", "<DVC_METRIC_STROKE_DASH>", "<DVC_METRIC_TOOLTIP>"
PANEL, COUNT, SHARE, PART = "cell_panel", "cell_count", "cell_share", "cell_part"
"""Columns of a cell of a matrix: where it is drawn, how many records it stands for, of its row, of the fullest cell."""
_ZOOM = {"params": ["<DVC_METRIC_ZOOM_AND_PAN>"]}
_X: Mapping[str, Any] = {
    "field": X,
    "type": "<MLVC_X_TYPE>",
    "sort": "<MLVC_X_SORT>",
    "title": "<DVC_METRIC_X_LABEL>",
}
_Y: Mapping[str, Any] = {
    "field": Y,
    "type": "quantitative",
    "title": "<DVC_METRIC_Y_LABEL>",
    "scale": {"zero": False},
}
_HEAD: Mapping[str, Any] = {
    "$schema": SCHEMA,
    "title": {"text": "<DVC_METRIC_TITLE>", "anchor": "middle"},
    "data": {"values": DATA},
}
_SIZED = {**_HEAD, "width": "<DVC_METRIC_PLOT_WIDTH>", "height": "<DVC_METRIC_PLOT_HEIGHT>"}
_SERIES = {"color": _COLOR, "strokeDash": _DASH}

_SIMPLE = {**_SIZED, **_ZOOM, "mark": "line", "encoding": {"x": _X, "y": _Y, **_SERIES, "tooltip": _TOOLTIP}}
_LINEAR = {
    **_SIZED,
    "encoding": {"x": _X, "y": _Y, **_SERIES},
    "layer": [
        {**_ZOOM, "mark": {"type": "line", "strokeWidth": 2}},
        {
            "params": [
                {
                    "name": "near",
                    "select": {"type": "point", "on": "pointermove", "clear": "pointerout", "nearest": True},
                }
            ],
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {
                "opacity": {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0},
                "tooltip": _TOOLTIP,
            },
        },
    ],
}
_SMOOTH = {
    **_SIZED,
    "params": [
        {
            "name": "smoothing",
            "value": 0.3,
            "bind": {"input": "range", "min": 0.05, "max": 1, "step": 0.05, "name": "smoothing "},
        }
    ],
    "encoding": {"x": {**_X, "type": "quantitative"}, "y": _Y, **_SERIES},
    "layer": [
        {
            "transform": [
                {
                    "loess": Y,
                    "on": X,
                    "groupby": "<DVC_METRIC_GROUP_BY>",
                    "bandwidth": {"signal": "smoothing"},
                }
            ],
            "mark": {"type": "line", "strokeWidth": 2},
        },
        # The legend looks like the first layer.
        {**_ZOOM, "mark": {"type": "line", "opacity": 0.25}, "encoding": {"tooltip": _TOOLTIP}},
    ],
}
_SCATTER = {
    **_SIZED,
    **_ZOOM,
    "mark": {"type": "point", "filled": True, "opacity": 0.7},
    "encoding": {
        "x": {**_X, "scale": {"zero": False}},
        "y": {**_Y, "type": "<MLVC_Y_TYPE>"},
        "color": _COLOR,
        "shape": "<DVC_METRIC_SHAPE>",
        "tooltip": _TOOLTIP,
    },
}
_JITTER = {
    **_SIZED,
    "transform": [{"calculate": "random()", "as": "jitter_x"}, {"calculate": "random()", "as": "jitter_y"}],
    "mark": {"type": "point", "filled": True, "opacity": 0.7},
    "encoding": {
        "x": {**_X, "type": "nominal"},
        "y": {"field": Y, "type": "nominal", "title": "<DVC_METRIC_Y_LABEL>"},
        "xOffset": {"field": "jitter_x", "type": "quantitative"},
        "yOffset": {"field": "jitter_y", "type": "quantitative"},
        "color": _COLOR,
        "shape": "<DVC_METRIC_SHAPE>",
        "tooltip": _TOOLTIP,
    },
}


def _bars(sort: object) -> dict[str, Any]:
    return {
        **_HEAD,
        "width": "<DVC_METRIC_PLOT_WIDTH>",
        "height": "<MLVC_BARS_HEIGHT>",
        "mark": "bar",
        "encoding": {
            "x": {"field": X, "type": "quantitative", "title": "<DVC_METRIC_X_LABEL>"},
            "y": {"field": Y, "type": "nominal", "title": "<DVC_METRIC_Y_LABEL>", "sort": sort},
            "yOffset": "<MLVC_OFFSET>",
            "color": _COLOR,
            "tooltip": _TOOLTIP,
        },
    }


def _matrix(value: str, shown: str) -> dict[str, Any]:
    """A table of cells; ``value`` from 0 to 1 is how dark each is."""
    return {
        **_HEAD,
        "facet": {"field": PANEL, "type": "nominal", "sort": [], "title": None},
        "columns": 2,
        "spec": {
            "width": {"step": 44},
            "height": {"step": 44},
            "encoding": {
                "x": {"field": X, "type": "nominal", "sort": "<MLVC_X_SORT>", "title": "<DVC_METRIC_X_LABEL>"},
                "y": {"field": Y, "type": "nominal", "sort": "<MLVC_Y_SORT>", "title": "<DVC_METRIC_Y_LABEL>"},
                "tooltip": [
                    {"field": "rev", "title": "revision"},
                    {"field": X},
                    {"field": Y},
                    {"field": COUNT, "title": "count"},
                    {"field": SHARE, "format": ".1%", "title": "share of the row"},
                ],
            },
            "layer": [
                {
                    "mark": "rect",
                    "encoding": {
                        "color": {
                            "field": value,
                            "type": "quantitative",
                            "scale": {"scheme": "blues", "domain": [0, 1]},
                            "legend": None,
                        }
                    },
                },
                {
                    "mark": {"type": "text", "fontSize": 12},
                    "encoding": {
                        "text": {"field": shown, "type": "quantitative", "format": ".2f" if shown == SHARE else "d"},
                        "color": {"condition": {"test": f"datum.{value} > 0.55", "value": "white"}, "value": "#1b1b1b"},
                    },
                },
            ],
        },
    }


LINES = ("linear", "simple", "smooth")
MATRICES = ("confusion", "confusion_normalized")
BARS = ("bar_horizontal", "bar_horizontal_sorted")
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "linear": _LINEAR,
    "simple": _SIMPLE,
    "smooth": _SMOOTH,
    "scatter": _SCATTER,
    "scatter_jitter": _JITTER,
    "confusion": _matrix(PART, COUNT),
    "confusion_normalized": _matrix(SHARE, SHARE),
    "bar_horizontal": _bars([]),
    "bar_horizontal_sorted": _bars("-x"),
}


def find(name: str, read: Callable[[str], bytes | None], near: str) -> Mapping[str, Any]:
    """The template ``name``: a file beside the pipeline file, or in the directories for templates; or a built-in one.

    ``read`` gives the bytes at a path of the repository, ``near`` is the directory of the pipeline file. PipelineError
    where there is none, with the nearest; FormatError for one that is no JSON object.
    """
    for folder in (".mlvc/plots/", ".dvc/plots/", f"{near}/" if near else "", ""):
        for path in dict.fromkeys((folder + name, folder + name.removesuffix(".json") + ".json")):
            data = read(path) if not path.startswith("/") and ".." not in path.split("/") else None
            if data is not None:
                return _loaded(data, path)
    if name in BUILT_IN:
        return BUILT_IN[name]
    meant = codec.nearest(name, BUILT_IN)
    told = f"did you mean '{meant}'?" if meant else f"there are {', '.join(BUILT_IN)}, and files in .mlvc/plots"
    raise PipelineError(f"there is no template '{name}'", hint=told)


def _loaded(data: bytes, path: str) -> Mapping[str, Any]:
    try:
        value = codec.load_json(data.decode("utf-8-sig"), path)
        codec.compact_json(value)
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8 text") from None
    except ValueError:
        raise FormatError(f"{path} has a number that JSON does not have", hint="write no NaN and no Infinity") from None
    if not isinstance(value, dict):
        raise FormatError(f"{path} is no template: it must be a JSON object")
    if not has_anchor(value, "DATA"):
        raise FormatError(f"{path} is no template: it has no {DATA}", hint=f'write "data": {{"values": "{DATA}"}}')
    return value


def has_anchor(value: Any, name: str) -> bool:
    """Whether the anchor ``name`` stands anywhere in a template."""
    if isinstance(value, Mapping):
        return any(has_anchor(item, name) for item in value.values())
    if isinstance(value, list):
        return any(has_anchor(item, name) for item in value)
    return isinstance(value, str) and name in _ANCHOR.findall(value)


def fill(value: Any, anchors: Mapping[str, Any]) -> Any:
    """``value`` with all anchors replaced, once: what stands in place of one is not looked into.

    What is nothing but an anchor for nothing, ``{}`` or one that ``anchors`` does not have, is left out.
    """
    if isinstance(value, Mapping):
        return {key: fill(item, anchors) for key, item in value.items() if not _is_nothing(item, anchors)}
    if isinstance(value, list):
        return [fill(item, anchors) for item in value if not _is_nothing(item, anchors)]
    if not isinstance(value, str):
        return value
    whole = _ANCHOR.fullmatch(value)
    if whole:
        return anchors.get(whole[1], {})

    def text(found: re.Match[str]) -> str:
        put = anchors.get(found[1])
        return put if isinstance(put, str) else found[0]

    return _ANCHOR.sub(text, value)


def _is_nothing(item: object, anchors: Mapping[str, Any]) -> bool:
    """Whether it is an anchor for nothing: an empty parameter would be an error, an empty channel a warning."""
    found = _ANCHOR.fullmatch(item) if isinstance(item, str) else None
    return found is not None and anchors.get(found[1], {}) == {}


def escaped(field: str) -> str:
    """The name of a column as Vega-Lite takes it: there, dots and brackets lead into a value."""
    return re.sub(r"([.\[\]\\'\"])", r"\\\1", field)
