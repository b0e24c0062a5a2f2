"""Plots as SVG in the page: no script draws them, so they print, and they follow light and dark."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from skiptrace.show.page.markup import Markup, element
from skiptrace.show.plots.chart import Chart

NEEDS = {"altair": "altair", "vl_convert": "vl-convert-python"}
"""Modules that plots need, and the packages that have them; the extra ``plot`` installs both."""
SIZES = {"wide": 900, "narrow": 360}
"""Pixels of a plot, and of the same for a narrow window."""
ONE = {"only": SIZES["wide"]}
"""Of a plot that is large: a narrow window scrolls it."""
_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r'(\bid="|="url\(#|href="#)')
_PAPER = re.compile(r'^(<svg[^>]*>)<rect [^>]*fill="white"/>')


def missing() -> Markup | None:
    """Why there are no plots, where what draws them is not installed."""
    absent = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if not absent:
        return None
    return element(
        "p",
        f"The plots are left out, since {' and '.join(absent)} cannot be found. To have them: ",
        element("code", "pip install 'skiptrace[plot]'"),
        ", and write the report again.",
        class_="missing",
    )


def plot(
    key: str, caption: str, draw: Callable[[int], Chart], *, sizes: Mapping[str, int] = SIZES
) -> Markup | None:
    """What `draw` draws in so many pixels, for each size; None where nothing can be drawn."""
    if missing() is not None:
        return None
    drawn = [
        element("div", _svg(draw(width), f"{key}-{size}"), class_=f"scroll {size}")
        for size, width in sizes.items()
    ]
    return element("figure", element("figcaption", caption), *drawn, class_="plot", id=key)


def _svg(chart: Chart, key: str) -> Markup:
    import vl_convert

    # What altair checks of a chart of ours is the same in every report: tests see to that.
    spec = chart.to_dict(validate=False)
    for layer in _layers(spec):
        _describe(layer)
    svg: str = vl_convert.vegalite_to_svg(spec)
    # Ids of clips and gradients are counted from 0 in each plot: here they share a page.
    svg = _TAG.sub(lambda tag: _ID.sub(rf"\g<1>{key}-", tag[0]), svg)
    return Markup(_PAPER.sub(r"\1", svg))


def _layers(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  JSON
    """Every part of a chart that draws marks."""
    if isinstance(part, dict):
        if "mark" in part:
            yield part
        for key in ("spec", "layer", "hconcat", "vconcat", "concat"):
            yield from _layers(part.get(key))
    elif isinstance(part, list):
        for one in part:
            yield from _layers(one)


def _describe(layer: dict[str, Any]) -> None:
    """Give each mark its tooltip as its label, which the page shows at the pointer.

    Without a tooltip it gets no label: it is text, or an ornament.
    """
    encoding = layer.get("encoding", {})
    told = encoding.pop("tooltip", None)
    mark = layer["mark"] if isinstance(layer["mark"], dict) else {"type": layer["mark"]}
    if not isinstance(told, list):
        layer["mark"] = {**mark, "aria": False}
        return
    words = [f"{json.dumps(one.get('title', one['field']) + ': ')} + {_value(one)}" for one in told]
    encoding["description"] = {"value": {"expr": ' + "; " + '.join(words)}}


def _value(told: dict[str, Any]) -> str:
    """The Vega expression of a field as its tooltip would have it."""
    value = f"datum[{json.dumps(told['field'])}]"
    if told.get("type") == "quantitative":
        return f"format({value}, {json.dumps(told.get('format', ''))})"
    return value
