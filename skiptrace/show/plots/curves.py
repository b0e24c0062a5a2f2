"""A sweep's curves: where each platform turns from CPU- to GPU-bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from skiptrace.errors import SweepError, UnknownKeyError
from skiptrace.model.duration import duration
from skiptrace.predict.sweep import Sweep
from skiptrace.predict.transition import Transition
from skiptrace.show.plots import palette
from skiptrace.show.plots.chart import (
    EDGE,
    WIDTH,
    Alt,
    Chart,
    altair,
    check_width,
    colours,
    data,
    nothing,
    plain,
    tips,
    title,
    unit_for,
)
from skiptrace.show.text import percent

ABREAST = 3
"""Platforms in a row."""
_AXIS = 64
"""Pixels of an axis with its numbers and name."""
_BETWEEN = 12


class _Value(NamedTuple):
    column: str
    name: str
    transition: str
    """The definition of the transition whose bracket is shown."""


VALUES = {
    "tklqt": _Value("tklqt_per_launch_ns", "TKLQT per launch", "tklqt"),
    "latency": _Value("il_ns", "latency of a step", "device"),
    "idle": _Value("gpu_idle_ns", "device idle in a step", "device"),
    "kernel": _Value("akd_ns", "mean kernel duration", "tklqt"),
    "busy": _Value("busy_share", "device busy", "device"),
    "device": _Value("device_share", "critical path on the device", "device"),
}
"""What a curve may show."""


def sweep(
    sweeps: Sweep | Mapping[str, Sweep], value: str = "tklqt", *, width: int = WIDTH
) -> Chart:
    """A figure over the parameter of a sweep, with the bracket in which it turns.

    Parameters
    ----------
    sweeps
        A sweep; or platform -> its sweep, for plots beside each other on one scale.
    value
        ``tklqt`` (TKLQT per launch, the paper's figure), ``latency``, ``idle`` and ``kernel`` (mean
        duration) in time, ``busy`` and ``device`` (the critical path's part) as shares.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.LayerChart or altair.VConcatChart
        A point is the median step of one trace, coloured by its verdict. The band is the bracket
        of the transition, from the last CPU-bound to the first GPU-bound parameter: the paper's
        definition for ``tklqt`` and ``kernel``, that of the critical path for the others.

    Raises
    ------
    UnknownKeyError
        `value` is none of those, or `width` is too small.
    SweepError
        Something among `sweeps` is no sweep.
    MissingDependencyError
        The extra ``plot`` is not installed.

    References
    ----------
    The figure of TKLQT over batch size: arXiv 2504.11750.
    """
    check_width(width)
    if value not in VALUES:
        raise UnknownKeyError.of("value", value, VALUES)
    named = {"": sweeps} if isinstance(sweeps, Sweep) else dict(sweeps)
    for name, given in named.items():
        if not isinstance(given, Sweep):
            raise SweepError.no_sweep(name, given)
    what = VALUES[value]
    frame = sweep_rows(named, what.column)
    if frame.is_empty():
        return nothing(what.name, "no trace of the sweep has a value", width)
    alt = altair()
    columns = min(len(named), ABREAST)
    each = (width - _AXIS - EDGE) // columns - _BETWEEN
    share = what.column.endswith("_share")
    unit = unit_for(frame["value"].median())  # type: ignore[arg-type]
    shown = [percent(v) if share else duration(round(v)) for v in frame["value"]]
    frame = frame.with_columns(
        y=pl.col("value") * 100 if share else unit.of("value"),
        shown=pl.Series(shown, dtype=pl.String),
    )
    label = next(iter(named.values())).name
    turns = {name: getattr(one.transition, what.transition) for name, one in named.items()}
    heading = title(alt, _answer(what, label, turns), _detail(what, label, named), width)
    axis = _scale_of(alt, frame, label)
    low, high = (float(v) for v in (frame["y"].min(), frame["y"].max()))  # type: ignore[arg-type]
    name = f"{what.name} ({'%' if share else unit.name})"
    plots = []
    for place, one in enumerate(named):
        y = _height(
            alt, name if place % columns == 0 else None, 0 if share else low, 100 if share else high
        )
        mine = frame.filter(pl.col("platform") == one).drop("platform")
        plots.append(_one(alt, mine, turns[one], axis, y, each))
    made: Chart = _abreast(alt, plots, list(named), columns).properties(title=heading)
    return made


def _abreast(alt: Alt, plots: list[Alt], names: list[str], columns: int) -> Alt:
    """Plots in rows, each under its name; one alone needs none."""
    if len(plots) == 1:
        return plots[0]
    titled = [p.properties(title=plain(n, 40)) for p, n in zip(plots, names, strict=True)]
    rows = [titled[i : i + columns] for i in range(0, len(titled), columns)]
    return alt.vconcat(*(alt.hconcat(*row, spacing=_BETWEEN) for row in rows))


def sweep_rows(named: Mapping[str, Sweep], column: str) -> pl.DataFrame:
    """``platform``, ``x``, ``value`` and ``colour`` (the verdict) of every point with a value.

    ``x`` is a number where every parameter of every sweep is a positive one, else text.
    """
    numbers = all(_positive(p) for one in named.values() for p in one.frame["parameter"])
    kind = pl.Float64() if numbers else pl.String()
    frames = [
        one.frame.select(
            pl.lit(name).alias("platform"),
            _places(one.frame["parameter"], kind).alias("x"),
            pl.col(column).cast(pl.Float64).alias("value"),
            pl.col("verdict").fill_null("balanced").alias("colour"),
        )
        for name, one in named.items()
    ]
    return pl.concat(frames).filter(pl.col("value").is_not_null()) if frames else pl.DataFrame()


def _places(parameters: pl.Series, kind: pl.DataType) -> pl.Series:
    """Parameters as numbers, or as names on an axis."""
    cast = parameters.cast(kind)
    return cast if kind.is_numeric() else pl.Series([plain(p) for p in cast], dtype=pl.String)


def _positive(parameter: object) -> bool:
    number = isinstance(parameter, (int, float)) and not isinstance(parameter, bool)
    return number and 0 < parameter < math.inf  # type: ignore[operator]


def _scale_of(alt: Alt, frame: pl.DataFrame, label: str) -> dict[str, Any]:
    """How the parameter is encoded: on a log scale where it can be."""
    points = frame["x"].unique(maintain_order=True).to_list()
    heading = plain(label.replace("_", " "), 60)
    if frame["x"].dtype == pl.String:
        return {"shorthand": "x:O", "sort": points, "title": heading}
    axis = alt.Axis(values=sorted(points), format="~r", labelOverlap=True, grid=False)
    scale = alt.Scale(type="log", base=2, domain=[min(points), max(points)], nice=False, padding=8)
    return {"shorthand": "x:Q", "title": heading, "axis": axis, "scale": scale}


def _height(alt: Alt, name: str | None, low: float, high: float) -> Alt:
    """The axis of values, on a log scale where they spread; its numbers are beside the first."""
    scale, axis = alt.Scale(domain=[low, high]), dict[str, Any]()
    if low > 0 and high > 4 * low:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [10.0**d * f for d in decades for f in ((1,) if len(decades) > 3 else (1, 2, 5))]
        scale = alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False)
        axis = {"values": ticks, "format": "~s" if high >= 1e4 else "~r"}
    elif low > 0:
        scale = alt.Scale(domain=[0, high])
    if name is None:
        axis |= {"labels": False, "ticks": False}
    return alt.Y("y:Q", title=name, scale=scale, axis=alt.Axis(**axis))


def _one(
    alt: Alt,
    frame: pl.DataFrame,
    turn: Transition,
    axis: dict[str, Any],
    y: Alt,
    width: int,
) -> Alt:
    """The plot of one platform."""
    base = alt.Chart(data(frame)).encode(x=alt.X(**axis), y=y)
    line = base.mark_line(color=palette.NEUTRAL, strokeWidth=1.5)
    shown = tips(alt, x=axis["title"], shown="value", colour="bound by")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        color=colours(alt, palette.SIDES, palette.SIDES, width, "bound by"),
        shape=alt.Shape("colour:N", legend=None, scale=alt.Scale(
            domain=list(palette.SIDES), range=["circle", "square", "triangle-up"])),
        tooltip=shown,
    )  # fmt: skip
    layers = [line, points]
    if turn.parameter is not None and turn.last_cpu_bound is not None:
        kind = pl.Float64() if axis["shorthand"] == "x:Q" else pl.String()
        turns = pl.Series([turn.last_cpu_bound, turn.parameter], strict=False)
        x, x2 = _places(turns, kind)
        ends = pl.DataFrame({"x": [x], "x2": [x2], "at": [turn.interpolated]}, strict=False)
        bracket = alt.Chart(data(ends))
        band = bracket.mark_rect(color=palette.BAND, opacity=0.25)
        layers.insert(0, band.encode(x=alt.X(**axis), x2=alt.X2(field="x2")))
        if kind.is_numeric() and turn.interpolated is not None:
            at = alt.X(**axis | {"shorthand": "at:Q"})
            layers.insert(1, bracket.mark_rule(strokeDash=[4, 3], color=palette.BAND).encode(x=at))
    return alt.layer(*layers).properties(width=width, height=min(260, max(180, width)))


def _answer(what: _Value, label: str, turns: Mapping[str, Transition]) -> str:
    by = "TKLQT per launch" if what.transition == "tklqt" else "By the critical path it"
    places = []
    for name, turn in turns.items():
        at = f"at no {label}" if turn.parameter is None else f"at {label} {turn.parameter}"
        places.append(f"{at} on {name}" if name else at)
    return f"{by} turns {', '.join(places)}"


def _detail(what: _Value, label: str, named: Mapping[str, Sweep]) -> str:
    other = "device" if what.transition == "tklqt" else "tklqt"
    by = {"device": "by the critical path", "tklqt": "by TKLQT per launch"}[other]
    places = [getattr(one.transition, other).parameter for one in named.values()]
    where = ", ".join("none" if p is None else f"{p}" for p in places)
    return (
        f"{what.name} of the median step; band: last CPU-bound to first GPU-bound {label}, dashed: "
        f"interpolated; {by} the turn is at: {where}"
    )
