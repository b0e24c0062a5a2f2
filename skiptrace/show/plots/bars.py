"""Bars: idle time by what caused it, and TKLQT as launching and queueing."""

from __future__ import annotations

from pathlib import PurePath

import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.idle_sums import idle_by
from skiptrace.measure.tklqt import tklqt
from skiptrace.model.duration import duration
from skiptrace.model.schema.column import ACTIVITIES
from skiptrace.model.trace import Trace
from skiptrace.show.plots import palette
from skiptrace.show.plots.bins import runs
from skiptrace.show.plots.chart import (
    EDGE,
    WIDTH,
    Chart,
    altair,
    amounts,
    beside,
    check_width,
    colours,
    data,
    name_axis,
    nothing,
    plain,
    tips,
    title,
    unit_for,
)
from skiptrace.show.text import percent

BARS = 15
"""Bars of a chart; the rest is one more."""
STEPS = 40
"""Bars of steps: of more steps, neighbours are taken together."""
_SPLITS = ("step", "root_op")


def top(frame: pl.DataFrame, key: str, amounts: list[str], most: int = BARS) -> pl.DataFrame:
    """The first rows of a frame as ``name`` and amounts; all others as one more row.

    The amounts add up to those of the frame.
    """
    names = _apart([plain(name, 60) for name in frame[key].head(most)])
    first = frame.head(most).select(amounts).with_columns(name=pl.Series(names, dtype=pl.String))
    rest = frame.slice(most)
    if rest.is_empty():
        return first.select("name", *amounts)
    other = rest.select(pl.col(amounts).sum(), name=pl.lit(f"({len(rest):,} others)"))
    return pl.concat([first, other]).select("name", *amounts)


def _apart(names: list[str]) -> list[str]:
    """Names may be cut to the same, and a name is a place on the axis: such ones are numbered."""
    return [f"{n} ({names[:i].count(n) + 1})" if n in names[:i] else n for i, n in enumerate(names)]


def idle(trace: Trace, by: str = "cause", *, width: int = WIDTH) -> Chart:
    """Idle time of the devices between their works, as a bar for each cause.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        As in `idle_causes`: ``cause``, ``activity``, ``op``, ``python`` or ``step``.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        The bars add up to the total of `idle_gaps`; of more than 15, the last is all others.

    Raises
    ------
    UnknownKeyError
        `by` is none of those, or `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    sums = idle_by(trace, by)
    total = int(sums["idle_ns"].sum())
    if not total:
        return nothing("Idle time", "no device idles between two works", width)
    alt, unit = altair(), unit_for(int(sums["idle_ns"].max()))  # type: ignore[arg-type]
    frame = top(sums, by, ["gaps", "idle_ns"])
    frame = frame.with_columns(
        x=unit.of("idle_ns"),
        shown=pl.Series([f"{percent(ns / total)}" for ns in frame["idle_ns"]]),
        time=pl.Series([duration(ns) for ns in frame["idle_ns"]]),
        colour=pl.col("name") if by in ("cause", "activity") else pl.lit("device"),
    )
    first = frame.row(0, named=True)
    what = {"cause": "caused by", "activity": "in", "op": "in", "python": "in"}.get(by, "before")
    answer = f"Device idle {duration(total)} between works: {first['shown']} {what} {first['name']}"
    base = alt.Chart(data(frame)).encode(y=name_axis(alt, frame, width))
    shades = {n: palette.TIME[n] for n in ACTIVITIES} if by in ("cause", "activity") else {
        "device": palette.NEUTRAL}  # fmt: skip
    scale = alt.Scale(domain=list(shades), range=list(shades.values()))
    bars = base.mark_bar().encode(
        x=amounts(alt, "x:Q", f"idle time ({unit.name})"),
        color=alt.Color("colour:N", scale=scale, legend=None),
        tooltip=tips(alt, name=by, time="idle", shown="of all idle time", gaps="gaps"),
    )
    text = base.mark_text(color=palette.NOTES, align="left", dx=3).encode(x="x:Q", text="shown:N")
    made: Chart = alt.layer(bars, text, title=title(alt, answer, _whose(trace), width)).properties(
        width=width - beside(frame["name"], width) - 2 * EDGE
    )
    return made


def _whose(trace: Trace) -> str:
    return plain(PurePath(trace.meta.source).name, 110)


def split(trace: Trace, by: str = "step", *, width: int = WIDTH) -> Chart:
    """TKLQT as launching and queueing, stacked: what launching cost, and what waited behind work.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``step``: the sum of each step, in time order; of more than 40 steps, neighbours are taken
        together and their mean is shown. ``root_op``: by outermost operator, the largest first.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        ``launch_ns`` and ``queue_ns`` of `tklqt`.

    Raises
    ------
    UnknownKeyError
        `by` is neither of these, or `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    if by not in _SPLITS:
        raise UnknownKeyError.of("by", by, _SPLITS)
    sums = tklqt(trace, by=by)
    if not int(sums["launches"].sum()):
        return nothing("Launching and queueing", "no launch has a kernel", width)
    alt = altair()
    frame = split_steps(sums) if by == "step" else top(
        sums, by, ["launches", "launch_ns", "queue_ns"]
    ).with_columns(steps=pl.lit(1))  # fmt: skip
    total = pl.col("launch_ns") + pl.col("queue_ns")
    unit = unit_for(frame.select((total / pl.col("steps")).max()).item())
    launch, queue = (int(sums[f"{part}_ns"].sum()) for part in ("launch", "queue"))
    share = queue / max(launch + queue, 1)
    mostly = f"{percent(share)} queueing" if share > 0.5 else f"{percent(1 - share)} launching"
    answer = f"TKLQT {duration(launch + queue)}: {mostly}"
    if by == "root_op":
        answer += f", most under {frame['name'][0]}"
    grouped = int(frame["steps"].max()) > 1 if by == "step" else False  # type: ignore[arg-type]
    detail = f"mean of neighbouring steps, {len(sums):,} in all; " if grouped else ""
    tall = frame.unpivot(
        ["launch_ns", "queue_ns"], index=["name", "launches", "steps"], value_name="ns"
    ).with_columns(
        colour=pl.col("variable").str.strip_suffix("_ns"), x=unit.of("ns") / pl.col("steps")
    )
    tall = tall.with_columns(
        time=pl.Series([duration(round(ns / n)) for ns, n in tall.select("ns", "steps").rows()])
    )
    value = f"TKLQT {'of a step ' if by == 'step' else ''}({unit.name})"
    base = alt.Chart(
        data(tall.drop("variable", "ns")),
        title=title(alt, answer, detail + _whose(trace), width),
    ).mark_bar()
    shared = {
        "color": colours(alt, ("launch", "queue"), palette.TIME, width),
        "order": alt.Order("colour:N"),
        "tooltip": tips(alt, name=by, colour="part", time="time", launches="launches"),
    }
    if by == "step" and len(frame) > 8:
        axis = alt.Axis(labelLimit=90, labelOverlap=True, labelAngle=-40)
        x = alt.X("name:N", sort=frame["name"].to_list(), title="step", axis=axis)
        chart = base.encode(x=x, y=alt.Y("x:Q", title=value), **shared)
        made: Chart = chart.properties(width=width - 3 * EDGE, height=220)
    else:
        chart = base.encode(y=name_axis(alt, frame, width), x=amounts(alt, "x:Q", value), **shared)
        made = chart.properties(width=width - beside(frame["name"], width) - EDGE)
    return made


def split_steps(sums: pl.DataFrame) -> pl.DataFrame:
    """Sums of launch and queue time of each step, or of each group of neighbours.

    ``name`` is the step's, or the first's and the last's of a group; ``steps`` counts them.
    """
    names = sums["step"].to_list()
    frame = (
        sums.with_columns(
            group=pl.Series(runs(len(sums), STEPS), dtype=pl.Int64), row=pl.int_range(pl.len())
        )
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("launches", "launch_ns", "queue_ns").sum(),
            steps=pl.len().cast(pl.Int64),
            first=pl.col("row").first(),
            last=pl.col("row").last(),
        )
    )
    labels = [
        plain(names[a], 40, "(in no step)")
        if a == b
        else f"{plain(names[a], 24)} to {plain(names[b], 24, '(in no step)')}"
        for a, b in frame.select("first", "last").rows()
    ]
    return frame.select(
        "launches", "launch_ns", "queue_ns", "steps", name=pl.Series(labels, dtype=pl.String)
    )
