"""Which calls wait, allocate, copy and block, and which threads launch."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from skiptrace.intervals import EMPTY, Intervals, union
from skiptrace.model import categories as cats
from skiptrace.model.trace import Trace


def launching_threads(trace: Trace) -> list[tuple[int, int]]:
    """(pid, tid) of every thread that launches anywhere in the recording."""
    return trace.whole.launches.select("pid", "tid").unique().sort("pid", "tid").rows()


def waiting_calls(trace: Trace) -> pl.DataFrame:
    """Calls that return only when work on the device has ended."""
    return trace.whole.calls.filter(pl.col("name").str.contains(cats.WAITS))


def copying_calls(trace: Trace) -> pl.DataFrame:
    """Copies that block: by name, or because they returned only after their work had ended."""
    ended = (
        trace.whole.work.filter(pl.col("launch").is_not_null())
        .group_by("launch")
        .agg(
            copied=(pl.col("start_ns") + pl.col("dur_ns")).max(),
            copies=(pl.col("kind") == "memcpy").all(),
        )
        .filter("copies")
        .drop("copies")
    )
    calls = trace.whole.calls.join(
        ended, left_on="id", right_on="launch", how="left", maintain_order="left"
    )
    by_name = pl.col("name").str.contains(cats.COPIES) & ~pl.col("name").str.contains(
        cats.COPIES_ASYNC
    )
    by_time = pl.col("start_ns") + pl.col("dur_ns") >= pl.col("copied")
    return calls.filter(by_name | by_time.fill_null(value=False)).drop("copied")


def blocking_calls(trace: Trace) -> pl.DataFrame:
    """Calls in which the host waits for the device: waits and copies that block."""
    return pl.concat([waiting_calls(trace), copying_calls(trace)])


def thread_intervals(
    frame: pl.DataFrame, threads: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Intervals]:
    """The moments in which each thread is inside any row of a frame."""
    rows = frame.select("pid", "tid", "start_ns", "dur_ns").partition_by(
        "pid", "tid", as_dict=True, include_key=False
    )
    found = {}
    for thread in threads:
        if (part := rows.get(thread)) is not None:
            start = part["start_ns"].to_numpy()
            found[thread] = union(start, start + part["dur_ns"].to_numpy())
        else:
            found[thread] = EMPTY
    return found
