"""A step's latency, every nanosecond of it, given to the work that ran or that came next."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import overlap, overlay, union
from skiptrace.measure.summary import own_work
from skiptrace.model.nesting import Nest
from skiptrace.model.trace import Trace


def split_latency(trace: Trace, start: int, il: int) -> pl.DataFrame:
    """The own works of a trace that is one step, each with its part of the IL.

    A moment in which own work runs is `busy` time of the work that started last among those that
    run. Any other belongs to the own work that starts next: `behind_ns` while work of others runs
    on the step's devices, else `idle_ns`. The three sum to the IL, to the nanosecond.

    Returns
    -------
    polars.DataFrame
        The works, in order of start, with ``busy_ns``, ``behind_ns`` and ``idle_ns``.
    """
    work = own_work(trace).filter(pl.col("step").is_not_null()).sort("start_ns", "id")
    nest = Nest(work.with_columns(pid=pl.lit(0), tid=pl.lit(0)))
    bounds, ran = nest.timeline(0, 0)
    low, high = np.array([start]), np.array([start + il])
    _, segment, length = overlay(low, high, bounds)
    at = np.where(segment < 0, start, np.maximum(bounds[np.maximum(segment, 0)], start))
    owner = np.where(segment < 0, -1, ran[segment])
    running = owner >= 0
    starts = work["start_ns"].to_numpy()
    # What does not run ends where the next one starts.
    owner = np.where(running, owner, np.searchsorted(starts, at + length, side="left"))
    others = trace.whole.work.filter(
        pl.col("device").is_in(work["device"].unique().implode())
        & ~pl.col("id").is_in(work["id"].implode())
    )
    theirs = union(
        others["start_ns"].to_numpy(), (others["start_ns"] + others["dur_ns"]).to_numpy()
    )
    behind = np.where(running, 0, overlap(theirs, at, at + length))
    amounts = {
        "busy_ns": np.where(running, length, 0),
        "behind_ns": behind,
        "idle_ns": np.where(running, 0, length - behind),
    }
    summed = {name: np.zeros(len(work), np.int64) for name in amounts}
    for name, amount in amounts.items():
        np.add.at(summed[name], owner, amount)
    return work.with_columns(pl.Series(name, values) for name, values in summed.items())
