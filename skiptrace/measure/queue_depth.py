"""`queue_depth`: launches that wait or run on each stream, over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Ints, overlap, union
from skiptrace.lookup import rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.model.later import later
from skiptrace.model.schema.breakdowns import QUEUE_DEPTH, QUEUE_STREAMS
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace
from skiptrace.thresholds import QUEUE_LIMIT


@dataclass(frozen=True, eq=False)
class QueueDepth:
    """The result of `queue_depth`."""

    frame: pl.DataFrame
    """A row each time the depth of a stream's queue changes, by device, stream and time."""
    streams: pl.DataFrame
    """A row a stream: how long its queue was empty, full and blocking, and how deep it was."""

    def plot(self, *, width: int = 600) -> Any:  # noqa: ANN401  a chart of altair
        """A chart of it: `skiptrace.plot.queue_depth`."""
        return later("show.plots").queue_depth(self, width=width)


def queue_depth(trace: Trace, *, limit: int = QUEUE_LIMIT) -> QueueDepth:
    """How many launches are under way on each stream: launched, and not finished.

    Parameters
    ----------
    trace
        A trace or a window of one; of a window its own launches alone.
    limit
        So many launches fill a queue.

    Returns
    -------
    QueueDepth
        ``frame`` and ``streams``, columns as listed under "queue_depth" in the docs; times in ns.

    Raises
    ------
    UnknownKeyError
        `limit` is no count from 1 on.
    """
    given: object = limit  # whatever the caller really gave
    if not isinstance(given, int) or given < 1:
        raise UnknownKeyError.of("limit", limit, ["a count, 1 or more"])
    warn_of_doubts(trace, "queue_depth")
    spans = _spans(trace)
    frame = _steps_of(spans)
    return QueueDepth(conform(frame, QUEUE_DEPTH), _streams(trace, spans, frame, limit))


def _spans(trace: Trace) -> pl.DataFrame:
    """Each launch on each stream: from the start of its call to the end of its work there."""
    work, launches = trace.work, trace.launches
    row = rows_of(launches["id"], work["launch"])
    linked = np.flatnonzero(row >= 0)
    row = row[linked]
    frame = work[linked].select(
        "device", "stream", "launch", end=pl.col("start_ns") + pl.col("dur_ns")
    )
    frame = frame.with_columns(
        start=launches["start_ns"].gather(row),
        back=(launches["start_ns"] + launches["dur_ns"]).gather(row),
    )
    if launches["works"].max() not in (None, 1):  # a graph is one launch
        frame = frame.group_by("device", "stream", "launch", maintain_order=True).agg(
            pl.col("end").max(), pl.col("start", "back").first()
        )
    # Where clocks disagree, work may end before its call begins: then it waited for no time.
    return frame.with_columns(end=pl.max_horizontal("start", "end"))


def _steps_of(spans: pl.DataFrame) -> pl.DataFrame:
    """The depth from each change to the next, per stream."""
    device, stream = (np.tile(spans[c].to_numpy(), 2) for c in ("device", "stream"))
    times = np.concatenate((spans["start"].to_numpy(), spans["end"].to_numpy()))
    change = np.repeat((1, -1), len(spans))
    order = np.lexsort((times, stream, device))
    device, stream, times = device[order], stream[order], times[order]
    depth = np.cumsum(change[order])  # what a stream begins it also ends: no need to begin anew
    same = (device[1:] == device[:-1]) & (stream[1:] == stream[:-1])
    last = np.flatnonzero(np.append(~same | (times[1:] != times[:-1]), True)[: len(times)])
    depth, device, stream, times = depth[last], device[last], stream[last], times[last]
    follows = (device[1:] == device[:-1]) & (stream[1:] == stream[:-1])
    length = np.append(np.where(follows, times[1:] - times[:-1], 0), 0)[: len(times)]
    return pl.DataFrame(
        {"device": device, "stream": stream, "start_ns": times, "dur_ns": length, "depth": depth}
    )


def _streams(trace: Trace, spans: pl.DataFrame, frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    keys = ["device", "stream"]
    dur, depth = pl.col("dur_ns"), pl.col("depth")
    found = frame.group_by(keys).agg(
        span_ns=dur.sum(),
        empty_ns=dur.filter(depth == 0).sum(),
        full_ns=dur.filter(depth >= limit).sum(),
        waiting=(depth * dur).sum(),
        max_depth=depth.max(),
    )
    unlinked = trace.work.group_by(keys).agg(unlinked=pl.col("launch").is_null().sum())
    found = (
        unlinked.join(spans.group_by(keys).agg(launches=pl.len()), on=keys, how="left")
        .join(found, on=keys, how="left")
        .sort(keys)
    )
    blocked = [
        _blocked(spans.filter(device=device, stream=stream),
                 frame.filter((pl.col("device") == device) & (pl.col("stream") == stream)
                              & (depth >= limit)))
        for device, stream in found.select(keys).iter_rows()
    ]  # fmt: skip
    counts = ("launches", "span_ns", "empty_ns", "full_ns", "max_depth")
    found = found.with_columns(
        pl.col(counts).fill_null(0),
        blocked_ns=pl.Series(blocked, dtype=pl.Int64),
        mean_depth=pl.when(pl.col("span_ns") > 0).then(pl.col("waiting") / pl.col("span_ns")),
    )
    return conform(found, QUEUE_STREAMS)


def _blocked(spans: pl.DataFrame, full: pl.DataFrame) -> int:
    """Time in calls that launch onto the stream while its queue is full."""
    if full.is_empty():
        return 0
    start: Ints = full["start_ns"].to_numpy()
    when = union(start, start + full["dur_ns"].to_numpy())
    calls = union(spans["start"].to_numpy(), spans["back"].to_numpy())
    return int(overlap(when, *calls).sum())
