"""Plots as SVG in the page: no script draws them, so they print, and they follow light and dark."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from skiptrace.show.page.markup import Markup, element

NEEDS = ("altair", "vl_convert")
"""Packages that plots need; `skiptrace[plot]` installs them."""
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#|\bhref="#)')
_BACKGROUND = re.compile(r'^(<svg[^>]*>)<rect [^>]*fill="white"/>')


def missing() -> Markup | None:
    """Why there are no plots, where what draws them is not installed."""
    absent = [name for name in NEEDS if find_spec(name) is None]
    if not absent:
        return None
    return element(
        "p",
        "The plots are left out: ", " and ".join(absent).replace("_", "-"), " would draw them. "
        "Install them, ", element("code", "pip install 'skiptrace[plot]'"), ", and write the "
        "report again.",
        class_="missing",
    )  # fmt: skip


def plot(key: str, caption: str, chart: Callable[[], Any]) -> Markup | None:
    """The chart under its caption; None where it cannot be drawn here."""
    if missing() is not None:
        return None
    return element(
        "figure",
        element("figcaption", caption),
        element("div", _svg(chart(), key), class_="scroll", tabindex="0", role="region",
                aria_label=caption),
        class_="plot",
    )  # fmt: skip


def _svg(chart: Any, key: str) -> Markup:  # noqa: ANN401  altair's own
    import vl_convert

    spec = json.loads(chart.to_json())
    svg: str = vl_convert.vegalite_to_svg(spec)
    # Ids of clips and gradients are counted from 0 in each plot: here they share a page.
    svg = _ID.sub(rf"\g<1>{key}-", svg)
    return Markup(_BACKGROUND.sub(r"\1", svg))
