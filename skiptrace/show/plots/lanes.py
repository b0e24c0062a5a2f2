"""The timeline: what every thread, stream and device did, and what the steps waited for."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from skiptrace.intervals import total
from skiptrace.measure.behaviour import host_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.idle_gaps import gap_causes
from skiptrace.model.duration import duration
from skiptrace.model.steps import check_window
from skiptrace.model.trace import Trace
from skiptrace.predict.critical_path import path_frame
from skiptrace.predict.replayed import steps_of
from skiptrace.show.plots import palette
from skiptrace.show.plots.bins import Lane, binned, disjoint, intervals_of
from skiptrace.show.plots.chart import (
    EDGE,
    WIDTH,
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

EXACT = 1_000
"""Up to so many events are drawn one by one; more are binned."""
ROWS = 3_000
"""Rows of data in all, about."""
BINS = (40, 300)
"""Fewest and most bins."""
THREADS, STREAMS, DEVICES = 5, 6, 4
"""Lanes of each kind, those with most events; the subtitle says how many are left out."""
DEPTH = 3
"""Levels of nested operators that are drawn one by one."""
_ORDER = ("sync", "alloc", "copy", "launch", "call", "operator")
"""What a thread's moment is, where several hold: the first."""
_LABEL = 112
_PITCH = 1.3
"""From lane to lane, of a lane's height."""


class _Row(NamedTuple):
    """A lane before it is drawn: its name, and events with ``what`` they are."""

    name: str
    events: pl.DataFrame


_EVENTS = {"start_ns": pl.Int64, "dur_ns": pl.Int64, "what": pl.String, "name": pl.String,
           "depth": pl.Int64}  # fmt: skip


def timeline(trace: Trace, window: tuple[int, int] | None = None, *, width: int = WIDTH) -> Chart:
    """Host threads, streams and idle gaps over time, the critical path on top.

    Parameters
    ----------
    trace
        A trace or a window of one, such as ``trace.step(3)``.
    window
        Start and end in ns on the axis of ``start_ns``; by default what the steps and their work
        last, or the whole of a trace without steps.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.LayerChart
        Up to 1,000 events are drawn one by one, with their names. Of more, each lane is cut into
        bins of time, and what fills a bin is stacked in it to scale: the title's second line says
        so. The five threads with most events, six streams and four devices are shown.

    Raises
    ------
    UnknownKeyError
        `width` is too small.
    StepError
        `window` is not of integers, or ends before it begins.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    warn_of_doubts(trace, "plot.timeline")
    shown = trace if trace.window or window else trace.in_steps()
    low, high = window or _extent(shown)
    if window:
        check_window(low, high)
    if high <= low:
        return nothing("Timeline", "the trace has no operator, call or work", width)
    rows, left_out = _rows(shown, low, high)
    if not rows:
        return nothing("Timeline", "nothing runs in this window", width)
    count = sum(len(row.events) for row in rows)
    is_binned = count > EXACT
    frame = stacked(rows, low, high) if is_binned else one_by_one(rows, low, high)
    unit = unit_for(high - low)
    frame = _placed(frame, unit.ns, low, is_binned=is_binned)
    answer = _answer(shown, low, high)
    how = (
        f"{count:,} events in {_bins(rows)} bins, stacked to scale" if is_binned else "every event"
    )
    detail = f"{how}; 0 is {low} ns of the file" + (f"; {left_out}" if left_out else "")
    names, axis = [row.name for row in rows], (unit.name, (high - low) / unit.ns)
    return _drawn(frame, names, axis, (answer, detail, width), is_binned=is_binned)


def _extent(trace: Trace) -> tuple[int, int]:
    frames = [f for f in (trace.ops, trace.calls, trace.work) if len(f)]
    low = min((int(f["start_ns"].min()) for f in frames), default=0)  # type: ignore[arg-type]
    ends = (int((f["start_ns"] + f["dur_ns"]).max()) for f in frames)  # type: ignore[arg-type]
    return low, max(ends, default=0)


def _rows(trace: Trace, low: int, high: int) -> tuple[list[_Row], str]:
    """The lanes with anything in the window, and a word on those left out."""
    threads, streams, gaps = _threads(trace), _streams(trace), _gaps(trace)
    groups = [
        ("threads", threads, ("pid", "tid"), THREADS, "thread {1}", "thread {1} of {0}"),
        ("streams", streams, ("device", "stream"), STREAMS, "stream {1}", "stream {1}, GPU {0}"),
        ("devices", gaps, ("device",), DEVICES, "idle gaps", "idle gaps, GPU {0}"),
    ]
    rows = [_Row("critical path", _inside(_path(trace, low, high), low, high).select(*_EVENTS))]
    left_out = []
    for what, events, keys, most, alone, among in groups:
        frame = _inside(events, low, high)
        counted = frame.group_by(keys).len().sort(-pl.col("len").cast(pl.Int64), *keys)
        chosen = counted.head(most).sort(keys)
        form = among if counted[keys[0]].n_unique() > 1 else alone
        for key in chosen.select(keys).iter_rows():
            mine = frame.filter(*(pl.col(k) == v for k, v in zip(keys, key, strict=True)))
            rows.append(_Row(form.format(*key), mine.select(*_EVENTS)))
        if len(counted) > most:
            left_out.append(f"{what} left out: {len(counted) - most:,}")
    return [row for row in rows if len(row.events)], "; ".join(left_out)


def _inside(frame: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    end = pl.col("start_ns") + pl.col("dur_ns")
    return frame.filter(pl.col("start_ns") < high, end > low)


def _path(trace: Trace, low: int, high: int) -> pl.DataFrame:
    steps = steps_of(trace)
    places = [
        i for i, (start, il) in enumerate(zip(steps.start.tolist(), steps.il.tolist(), strict=True))
        if start < high and start + il > low
    ]  # fmt: skip
    if not places:
        return pl.DataFrame(schema=_EVENTS)
    return path_frame(trace, steps, places).select(
        "start_ns", "dur_ns", what=pl.col("kind").replace(palette.ALIKE),
        name=pl.coalesce("kernel", "op", "kind"), depth=pl.lit(0, pl.Int64),
    )  # fmt: skip


def _threads(trace: Trace) -> pl.DataFrame:
    """Operators and calls; what a call is, by what it does."""
    host, calls = host_of(trace), trace.calls
    what = pl.lit("call")
    for name, ids in (
        ("launch", trace.launches["id"]),
        ("copy", host.copies["id"]),
        ("alloc", host.allocations["id"]),
        ("sync", host.waits["id"]),
    ):
        what = pl.when(pl.col("id").is_in(ids.implode())).then(pl.lit(name)).otherwise(what)
    columns = ["pid", "tid", "start_ns", "dur_ns", "what", "name", "depth"]
    return pl.concat(
        [
            trace.ops.with_columns(what=pl.lit("operator")).select(columns),
            calls.with_columns(what=what, depth=pl.lit(DEPTH, pl.Int64)).select(columns),
        ]
    )


def _streams(trace: Trace) -> pl.DataFrame:
    kernel = pl.col("kind") == "kernel"
    return trace.work.select(
        "device", "stream", "start_ns", "dur_ns", "name",
        what=pl.when(kernel).then(pl.lit("device")).otherwise(pl.lit("copy")),
        depth=pl.lit(0, pl.Int64),
    )  # fmt: skip


def _gaps(trace: Trace) -> pl.DataFrame:
    return gap_causes(trace).select(
        "device", "start_ns", "dur_ns", what="cause", name=pl.format("idle: {}", "cause"),
        depth=pl.lit(0, pl.Int64),
    )  # fmt: skip


def one_by_one(rows: list[_Row], low: int, high: int) -> pl.DataFrame:
    """Every event, cut to the window, with the part of its lane's height that it takes."""
    end = pl.min_horizontal(pl.col("start_ns") + pl.col("dur_ns"), pl.lit(high))
    frames = [
        row.events.select(
            "what", "name", "depth", lane=pl.lit(place, pl.Int64),
            start_ns=pl.max_horizontal("start_ns", pl.lit(low)), end_ns=end,
        )
        for place, row in enumerate(rows)
    ]  # fmt: skip
    frame = pl.concat(frames).filter(
        (pl.col("what") != "operator") | (pl.col("depth") < DEPTH) | (pl.col("lane") == 0)
    )
    step = pl.col("depth").clip(0, DEPTH) / (DEPTH + 1)
    return frame.sort("lane", "depth", "start_ns").with_columns(bottom=pl.lit(0.0), top=1 - step)


def stacked(rows: list[_Row], low: int, high: int) -> pl.DataFrame:
    """Bins of every lane, with the part of its height that each thing takes: of the bin's time."""
    return binned([lane_of(row) for row in rows], low, high, _bins(rows)).with_columns(
        bottom=pl.col("below") / (pl.col("end_ns") - pl.col("start_ns")),
        top=(pl.col("below") + pl.col("ns")) / (pl.col("end_ns") - pl.col("start_ns")),
    )


def lane_of(row: _Row) -> Lane:
    """The moments of each thing in a lane, none of them twice."""
    used = row.events["what"].unique().to_list()
    order = [w for w in _ORDER if w in used] + sorted(set(used) - set(_ORDER))
    sets = {w: intervals_of(row.events.filter(pl.col("what") == w)) for w in order}
    return Lane(row.name, disjoint(sets))


def _bins(rows: list[_Row]) -> int:
    things = sum(row.events["what"].n_unique() for row in rows)
    return max(BINS[0], min(BINS[1], ROWS // max(things, 1)))


def _placed(frame: pl.DataFrame, ns: int, low: int, *, is_binned: bool) -> pl.DataFrame:
    """Coordinates, and what a tooltip says."""
    name = pl.col("what")
    if is_binned:
        length = frame["end_ns"] - frame["start_ns"]
        time = [f"{duration(a)} of {duration(b)}" for a, b in zip(frame["ns"], length, strict=True)]
    else:
        time = [duration(v) for v in frame["end_ns"] - frame["start_ns"]]
        texts = {n: plain(n, 100) for n in frame["name"].unique()}
        name = pl.Series([texts[n] for n in frame["name"]], dtype=pl.String)  # type: ignore[assignment]
    return frame.select(
        name=name,
        colour="what",
        time=pl.Series(time, dtype=pl.String),
        x=((pl.col("start_ns") - low) / ns).round(6),
        x2=((pl.col("end_ns") - low) / ns).round(6),
        y=(pl.col("lane") * _PITCH + 1 - pl.col("top")).round(3),
        y2=(pl.col("lane") * _PITCH + 1 - pl.col("bottom")).round(3),
    )


def _answer(trace: Trace, low: int, high: int) -> str:
    """How much of the time each device idled, and why mostly."""
    work = _inside(trace.work, low, high)
    if work.is_empty():
        return f"No device works in these {duration(high - low)}"
    devices = work["device"].unique()
    busy = sum(
        total(intervals_of(_clipped(work.filter(pl.col("device") == d), low, high)))
        for d in devices
    )
    idle = 1 - busy / ((high - low) * len(devices))
    gaps = _clipped(_inside(gap_causes(trace), low, high), low, high)
    causes = gaps.group_by("cause").agg(pl.col("dur_ns").sum()).sort(-pl.col("dur_ns"), "cause")
    mostly = f", mostly: {causes['cause'][0]}" if len(causes) and idle > 0.01 else ""
    return f"Device idle {percent(idle)} of {duration(high - low)}{mostly}"


def _clipped(frame: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    start = pl.max_horizontal("start_ns", pl.lit(low))
    end = pl.min_horizontal(pl.col("start_ns") + pl.col("dur_ns"), pl.lit(high))
    return frame.with_columns(start_ns=start, dur_ns=end - start)


def _drawn(
    frame: pl.DataFrame,
    names: list[str],
    axis: tuple[str, float],
    heading: tuple[str, str, int],
    *,
    is_binned: bool,
) -> Chart:
    alt, (unit, length) = altair(), axis
    width = heading[2]
    bottom = len(names) * _PITCH
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[bottom, -0.1], nice=False, zero=False))
    x = alt.X("x:Q", title=f"time ({unit})", axis=alt.Axis(grid=False),
              scale=alt.Scale(domain=[0, length], nice=False))  # fmt: skip
    lanes = pl.DataFrame(
        {
            "name": [plain(n, 40) for n in names],
            "y": [i * _PITCH for i in range(len(names))],
            "middle": [i * _PITCH + 0.5 for i in range(len(names))],
        }
    ).with_columns(y2=pl.col("y") + 1)
    beside = alt.Chart(data(lanes))
    ground = beside.mark_rect(color=palette.NEUTRAL, opacity=0.13).encode(
        y=y, y2="y2:Q", x=alt.value(0), x2=alt.value("width")
    )
    labels = beside.mark_text(
        color=palette.NOTES, align="right", dx=-5, fontSize=11, limit=_LABEL - 6
    ).encode(y=alt.Y("middle:Q", axis=None), x=alt.value(0), text="name:N")
    shown = tips(alt, name="what", time="time", x=f"from ({unit})")
    line = {} if is_binned else {"stroke": "white", "strokeWidth": 0.4}
    events = alt.Chart(data(frame)).mark_rect(clip=True, **line).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=colours(alt, frame["colour"], palette.TIME, width),
        tooltip=shown,
    )  # fmt: skip
    made: Chart = alt.layer(ground, events, labels, title=title(alt, *heading)).properties(
        width=width - _LABEL - EDGE, height=34 * len(names)
    )
    return made
