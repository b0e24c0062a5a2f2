"""Threads that wait for another thread: where one is quiet until another has done something."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, distinct
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import Wait

QUIET_NS = 100_000
"""A thread in which nothing starts or ends for so long, while others call, waits for them."""


def find_handoffs(
    whole: Whole, time: Ints, threads: list[tuple[int, int]], first_point: Ints
) -> tuple[list[Wait], Ints]:
    """Calls whose thread was quiet before, each with the last point of another thread in that time.

    Such are the main thread during the backward pass, the autograd thread before it, and any
    thread that another one holds up by a lock.

    Parameters
    ----------
    whole
        The recording.
    time
        When each point was recorded.
    threads, first_point
        The threads, and where their points begin.

    Returns
    -------
    waits, own
        And the host time from that other point to the call.
    """
    waits: list[Wait] = []
    own: list[int] = []
    bounds = list(zip(first_point[:-1].tolist(), first_point[1:].tolist(), strict=True))
    ops = whole.ops.select("pid", "tid", "start_ns", end_ns=pl.col("start_ns") + pl.col("dur_ns"))
    for thread, (low, high) in zip(threads, bounds, strict=True):
        others = [
            part
            for other, part in zip(threads, bounds, strict=True)
            if other != thread and other[0] == thread[0]
        ]
        if not others:
            continue
        mine = ops.filter((pl.col("pid") == thread[0]) & (pl.col("tid") == thread[1]))
        changed = (time[low:high], mine["start_ns"].to_numpy(), mine["end_ns"].to_numpy())
        edges: Ints = distinct(np.concatenate(changed))
        begin = min(int(time[first]) for first, _ in others) - 1
        if begin < edges[0]:  # it is new: quiet from the first call of another on
            edges = np.concatenate(([begin], edges))
        long = np.flatnonzero(np.diff(edges) >= QUIET_NS)
        start, end = edges[long], edges[long + 1]
        point = low + np.searchsorted(time[low:high], end, side="left")
        # Even points are starts of calls: what is quiet inside a call is that call's own wait.
        keep = (point < high) & ((point - low) % 2 == 0)
        start, end, point = start[keep], end[keep], point[keep]
        best = np.full(len(point), -1)
        for first, last in others:
            at = first + np.searchsorted(time[first:last], end, side="right") - 1
            known = (at >= first) & (time[np.maximum(at, 0)] > start)
            later = (best < 0) | (time[np.maximum(at, 0)] > time[np.maximum(best, 0)])
            best = np.where(known & later, at, best)
        for here, other in dict(zip(point.tolist(), best.tolist(), strict=True)).items():
            if other >= 0:
                waits.append((here, (), (other,)))
                own.append(int(time[here] - time[other]))
    return waits, np.array(own, np.int64)
