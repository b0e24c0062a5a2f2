"""Queue depth over time, and who waits for whom among ranks."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.errors import NoTraceError, UnknownKeyError
from skiptrace.measure.collectives import collectives
from skiptrace.measure.queue_depth import QueueDepth
from skiptrace.measure.queue_depth import queue_depth as measure_depth
from skiptrace.measure.ranks import Ranks
from skiptrace.measure.summary import summary
from skiptrace.model.duration import duration
from skiptrace.model.trace import Trace
from skiptrace.show.plots import palette
from skiptrace.show.plots.bins import edges_of, runs, weighted
from skiptrace.show.plots.chart import (
    EDGE,
    WIDTH,
    Chart,
    altair,
    check_width,
    data,
    nothing,
    plain,
    tips,
    title,
    unit_for,
)
from skiptrace.show.text import percent

BINS = 250
"""Bins of time."""
STREAMS = 6
"""Streams beside each other: those with most launches."""
CELLS = 60
"""Columns of a heat map: of more, neighbours are taken together."""
RANKS = 64
"""Rows of a heat map."""


def queue_depth(found: QueueDepth | Trace, *, width: int = WIDTH) -> Chart:
    """How many launches wait or run on each stream, over time.

    Parameters
    ----------
    found
        The result of `queue_depth`, or a trace, whose depth is then measured.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        In 250 bins of time the mean depth (area) and the largest (line), for the six streams with
        most launches.

    Raises
    ------
    UnknownKeyError
        `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    queue = measure_depth(found) if isinstance(found, Trace) else found
    streams = queue.streams.filter(pl.col("launches") > 0)
    if streams.is_empty() or not int(streams["span_ns"].sum()):
        return nothing("Queue depth", "no launch has work on a stream", width)
    alt = altair()
    chosen = streams.sort(-pl.col("launches"), "device", "stream").head(STREAMS)
    frame = depth_bins(queue.frame, chosen, BINS)
    unit = unit_for(int(frame["end_ns"].max()))  # type: ignore[arg-type]
    frame = frame.with_columns(
        t=unit.of("start_ns").round(6), t2=unit.of("end_ns").round(6), mean=pl.col("mean").round(2)
    )
    busiest = chosen.row(0, named=True)
    empty = busiest["empty_ns"] / max(busiest["span_ns"], 1)
    answer = (
        f"The queue of stream {busiest['stream']} is empty {percent(empty)} of the time, "
        f"and at most {busiest['max_depth']:,} deep"
    )
    more = len(streams) - len(chosen)
    detail = (
        f"launches under way, in {frame['bin'].n_unique()} bins of time: dark the mean, "
        f"light the largest" + (f"; {more} streams with fewer launches left out" if more else "")
    )
    base = alt.Chart().encode(
        x=alt.X("t:Q", title=f"time ({unit.name})", scale=alt.Scale(nice=False))
    )
    shown = tips(alt, t=f"from ({unit.name})", t2=f"to ({unit.name})", mean="mean", max="largest")
    behind = base.mark_area(interpolate="step-after", opacity=0.3, color=palette.TIME["launch"])
    behind = behind.encode(y=alt.Y("max:Q", title="launches"), tooltip=shown)
    before = base.mark_area(interpolate="step-after", color=palette.TIME["queue"]).encode(
        y=alt.Y("mean:Q", title="launches"), tooltip=shown
    )
    heading = title(alt, answer, detail, width)
    high = 180 if len(chosen) == 1 else 70
    layers = alt.layer(behind, before, data=data(frame)).properties(
        width=width - 3 * EDGE, height=high
    )
    row = alt.Row("lane:N", title=None, sort=frame["lane"].unique(maintain_order=True).to_list(),
                  header=alt.Header(labelOrient="top", labelAnchor="start"))  # fmt: skip
    made: Chart = layers.facet(row=row, title=heading, spacing=4)
    return made


def depth_bins(frame: pl.DataFrame, streams: pl.DataFrame, bins: int) -> pl.DataFrame:
    """The depth of some streams in bins of time; times from the first launch on.

    ``lane``, ``bin``, ``start_ns``, ``end_ns``, ``launch_ns`` (the sum of depth over time, which
    over all bins is that of the frame), ``mean`` and ``max``.
    """
    parts = []
    kept = frame.join(streams.select("device", "stream"), on=["device", "stream"], how="semi")
    low = int(kept["start_ns"].min())  # type: ignore[arg-type]
    high = int((kept["start_ns"] + kept["dur_ns"]).max())  # type: ignore[arg-type]
    edges = edges_of(low, high, bins)
    for device, stream in streams.select("device", "stream").iter_rows():
        rows = kept.filter((pl.col("device") == device) & (pl.col("stream") == stream))
        start, dur, depth = (rows[c].to_numpy() for c in ("start_ns", "dur_ns", "depth"))
        sums, most = weighted(start, dur, depth, edges)
        parts.append(
            pl.DataFrame(
                {
                    "bin": np.arange(len(sums)),
                    "start_ns": edges[:-1] - low,
                    "end_ns": edges[1:] - low,
                    "launch_ns": sums,
                    "mean": sums / np.maximum(edges[1:] - edges[:-1], 1),
                    "max": most,
                }
            ).with_columns(lane=pl.lit(f"device {device}, stream {stream}"))
        )
    return pl.concat(parts)


_BY = ("step", "collective")
_VALUES = ("wait", "latency")


def ranks(ranks: Ranks, by: str = "step", value: str = "wait", *, width: int = WIDTH) -> Chart:
    """A heat map of ranks: how long each waits for the others, by step or by collective.

    Parameters
    ----------
    ranks
        From `load_ranks`.
    by
        ``step`` or ``collective``, along the chart; of more than 60, neighbours are added up.
    value
        ``wait``: the time from a rank's arrival at collectives to that of the last rank; or, by
        step, ``latency``: IL.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        A row of cells a rank. Who waits is bright; who makes the others wait stays dark.

    Raises
    ------
    UnknownKeyError
        `by` or `value` is none of those, or `width` is too small.
    NoTraceError
        Something else than `Ranks`.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    if not isinstance(ranks, Ranks):
        raise NoTraceError.of("plot.ranks", ranks, "Ranks")
    if by not in _BY:
        raise UnknownKeyError.of("by", by, _BY)
    if value not in (_VALUES if by == "step" else _VALUES[:1]):
        raise UnknownKeyError.of(f"value by {by}", value, _VALUES if by == "step" else _VALUES[:1])
    if value == "wait":
        rows = collectives(ranks, by="rank").select("rank", "step", "collective", ns="wait_ns")
        key, why = by, "no collective is matched between these ranks: see value='latency'"
    else:
        rows = summary(ranks).select("rank", "step", ns="il_ns").drop_nulls()
        key, why = "step", "no step has a latency"
    what = "Waiting at collectives" if value == "wait" else "Latency of steps"
    if rows.is_empty():
        return nothing(what, why, width)
    alt = altair()
    frame = cells(rows, key)
    unit = unit_for(float(frame["ns"].max() or 0))  # type: ignore[arg-type]
    frame = frame.with_columns(
        shade=unit.of("ns"), time=pl.Series([duration(ns) for ns in frame["ns"]])
    )
    left_out = len(ranks) - frame["rank"].n_unique()
    detail = "bright: long" + ("; neighbours added up" if int(frame["joined"].max()) > 1 else "")  # type: ignore[arg-type]
    detail += f"; {left_out} ranks left out" if left_out > 0 else ""
    y, few = alt.Y("rank:O", title="rank"), frame["name"].n_unique() <= 4
    x = alt.X(
        "name:N", sort=frame["name"].unique(maintain_order=True).to_list(), title=key,
        axis=alt.Axis(labelLimit=110, labelOverlap=True, labelAngle=0 if few else -40),
    )  # fmt: skip
    heading = f"{'wait' if value == 'wait' else 'latency'} ({unit.name})"
    colour = alt.Color("shade:Q", title=heading, scale=alt.Scale(scheme=palette.SEQUENTIAL),
                       legend=alt.Legend(orient="bottom", gradientLength=200))  # fmt: skip
    shown = tips(alt, rank="rank", name=key, time=value, joined=f"{key}s")
    answer = _who(rows, value)
    chart = alt.Chart(data(frame), title=title(alt, answer, detail, width)).mark_rect()
    chart = chart.encode(x=x, y=y, color=colour, tooltip=shown)
    height = max(60, min(420, 28 * frame["rank"].n_unique()))
    made: Chart = chart.properties(width=width - 3 * EDGE, height=height)
    return made


def _who(rows: pl.DataFrame, value: str) -> str:
    sums = rows.group_by("rank").agg(pl.col("ns").sum()).sort("ns", "rank")
    least, most = sums.row(0), sums.row(-1)
    if value != "wait":
        return f"Steps take longest on rank {most[0]}: {duration(most[1])} in all"
    if not most[1]:
        return "No rank waits for another"
    return (
        f"Rank {most[0]} waits most: {duration(most[1])} in all; rank {least[0]} least: "
        f"{duration(least[1])}"
    )


def cells(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """``rank``, ``name`` (of the step or collective), ``joined`` (how many) and ``ns``, summed."""
    groups = rows.select(key).unique(maintain_order=True)
    if key == "collective":
        groups = groups.sort(key)
    number = runs(len(groups), CELLS)
    names = [plain(str(n) if n is not None else None, 40, "(in no step)") for n in groups[key]]
    first = np.searchsorted(number, number)  # of each group
    last = np.searchsorted(number, number, side="right") - 1
    labels = [
        names[a] if a == b else f"{names[a]} to {names[b]}"
        for a, b in zip(first, last, strict=True)
    ]
    groups = groups.with_columns(
        name=pl.Series(labels, dtype=pl.String),
        joined=pl.Series(last - first + 1, dtype=pl.Int64),
        place=pl.Series(number, dtype=pl.Int64),
    )
    kept = rows["rank"].unique().sort().head(RANKS)
    return (
        rows.filter(pl.col("rank").is_in(kept.implode()))
        .join(groups, on=key, nulls_equal=True)
        .group_by("rank", "place", "name", "joined")
        .agg(pl.col("ns").sum())
        .sort("place", "rank")
    )
