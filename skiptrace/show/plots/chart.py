"""What all charts share: altair where it is used, titles, units, and names that are only text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import polars as pl

from skiptrace.errors import MissingDependencyError, UnknownKeyError
from skiptrace.show.plots.palette import NEUTRAL, NOTES
from skiptrace.show.text import shorten

if TYPE_CHECKING:
    from altair.typing import ChartType

    Chart: TypeAlias = ChartType
    """Any chart of altair; at run time anything, since altair need not be there."""
else:
    Chart = Any
Alt: TypeAlias = Any
"""altair, or a part of a chart: its own types would say little, and need it there."""

WIDTH = 600
"""Pixels of a chart from edge to edge, labels and all."""
LEAST = 240
"""Below this nothing can be read."""
_PART = 3
"""Names beside bars take at most this part of the width: a third."""
_LETTER = 6
"""Pixels of a letter of an axis, about."""
EDGE = 30
"""Pixels for what stands over the edge of a plot: half a tick label, a margin."""


def altair() -> Alt:
    """The package that draws."""
    try:
        import altair as alt
    except ImportError as error:
        raise MissingDependencyError.needs("plots", "altair", "plot") from error
    return alt


def check_width(width: object) -> int:
    """The width, if a chart can be that wide."""
    if isinstance(width, bool) or not isinstance(width, int) or width < LEAST:
        raise UnknownKeyError.of("width", width, [f"pixels, {LEAST} or more"])
    return width


class Unit(NamedTuple):
    """What an axis of times counts in."""

    ns: int
    name: str

    def of(self, column: str) -> pl.Expr:
        """A column of nanoseconds in the unit."""
        return pl.col(column) / self.ns


def unit_for(ns: float | None) -> Unit:
    """The unit in which a time is a number that people read."""
    for size, name in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        if abs(ns or 0) >= 2 * size:
            return Unit(size, name)
    return Unit(1, "ns")


_OPENS, _JOINED = re.compile(r"<(?=[/!])"), "<\N{WORD JOINER}"


def plain(text: str | None, width: int = 200, otherwise: str = "(none)") -> str:
    """A name from a trace as text that stays text wherever the chart is embedded.

    A chart becomes JSON inside of a ``script`` element, which ends at the first ``</script``
    in it, whatever that is part of. An invisible joiner behind such a ``<`` keeps it text.
    """
    return otherwise if text is None else _OPENS.sub(_JOINED, shorten(text, width))


def beside(names: Iterable[str], width: int) -> int:
    """Pixels that names take beside a plot."""
    return min(width // _PART, max(map(len, names), default=0) * _LETTER + 14)


def name_axis(alt: Alt, frame: pl.DataFrame, width: int) -> Alt:
    """The axis of the column ``name``, in the order of the frame."""
    return alt.Y(
        "name:N",
        sort=frame["name"].to_list(),
        title=None,
        axis=alt.Axis(labelLimit=width // _PART - 10),
    )


def amounts(alt: Alt, column: str, name: str, **more: Alt) -> Alt:
    """The axis of a bar's length."""
    return alt.X(column, title=name, axis=alt.Axis(tickCount=6), **more)


def tips(alt: Alt, **shown: str) -> list[Alt]:
    """What a tooltip shows: column -> what to call it."""
    return [alt.Tooltip(f"{column}:N", title=name) for column, name in shown.items()]


def data(frame: pl.DataFrame) -> dict[str, Alt]:
    """A frame as the chart's own data.

    It goes through no transformer of the caller's session: none that counts rows, and none that
    writes files.
    """
    return {"values": frame.to_dicts()}


def title(alt: Alt, answer: str, detail: str, width: int) -> Alt:
    """The answer in bold, and how to read the chart below it, in lines that fit."""
    return alt.Title(
        text=_lines(answer, width / 7),
        subtitle=_lines(detail, width / 5.5),
        anchor="start",
        frame="bounds",
        fontSize=13,
        subtitleFontSize=11,
        subtitleColor=NOTES,
        offset=8,
    )


def _lines(text: str, letters: float) -> list[str]:
    return textwrap.wrap(_OPENS.sub(_JOINED, text), int(letters)) or [""]


def colours(
    alt: Alt, used: Iterable[str], known: Mapping[str, str], width: int, name: str = ""
) -> Alt:
    """A colour for each of what is used, in the order of the palette, with a legend below."""
    used = set(used)
    domain = [key for key in known if key in used]
    return alt.Color(
        "colour:N",
        title=name or None,
        scale=alt.Scale(domain=domain, range=[known[key] for key in domain]),
        legend=alt.Legend(
            orient="bottom",
            columns=max(3, (width - 100) // 80),
            labelLimit=110,
            symbolType="square",
        ),
    )


def nothing(what: str, why: str, width: int) -> Chart:
    """A chart that says that there is nothing to show, and why."""
    alt = altair()
    frame = pl.DataFrame({"text": ["nothing to show"]})
    heading = title(alt, f"{what}: nothing to show", why, width)
    made: Chart = (
        alt.Chart(data(frame), title=heading)
        .mark_text(fontSize=13, color=NEUTRAL)
        .encode(text="text:N")
        .properties(width=width - EDGE, height=60)
    )
    return made
