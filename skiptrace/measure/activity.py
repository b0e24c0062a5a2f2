"""What each launching thread does at each moment: the activities of DESIGN's idle rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, intersect, merge, overlap, subtract, union
from skiptrace.measure.behaviour import (
    copying_calls,
    launching_threads,
    thread_intervals,
    waiting_calls,
)
from skiptrace.model import categories as cats
from skiptrace.model.trace import Trace

HOST = ("profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator")
"""Host activities by priority; what is in none of them is ``python``."""


@dataclass(frozen=True, eq=False)
class ThreadActivity:
    """A launching thread's moments by activity: interval sets that do not overlap."""

    sets: dict[str, Intervals]
    waits: Intervals
    """When it is in a call that waits for the device."""

    def amounts(self, lows: Ints, highs: Ints) -> dict[str, Ints]:
        """Nanoseconds of each activity in each ``[low, high)``; they sum to its length."""
        found = {name: overlap(self.sets[name], lows, highs) for name in HOST}
        length = np.maximum(highs - lows, 0)
        found["python"] = length - np.sum(list(found.values()), axis=0, dtype=np.int64)
        return found


def thread_activities(trace: Trace) -> dict[tuple[int, int], ThreadActivity]:
    """Activities of every launching thread of the recording.

    A thread that is outside every operator and call takes, for that time, the activity of
    another launching thread of its process that is inside one; of several the first in order.
    """
    whole = trace.whole
    rows = {
        "sync": waiting_calls(trace),
        "alloc": whole.calls.filter(pl.col("name").str.contains(cats.ALLOCATES)),
        "copy": copying_calls(trace),
        "launch": whole.launches,
        "dataloader": pl.concat([
            frame.filter(pl.col("name").str.contains(cats.DATALOADER)).select(
                "pid", "tid", "start_ns", "dur_ns")
            for frame in (whole.annotations, whole.ops)]),
    }  # fmt: skip
    threads = launching_threads(trace)
    calls, ops = (thread_intervals(frame, threads) for frame in (whole.calls, whole.ops))
    parts = {name: thread_intervals(frame, threads) for name, frame in rows.items()}
    own: dict[tuple[int, int], dict[str, Intervals]] = {}
    inside: dict[tuple[int, int], Intervals] = {}
    for thread in threads:
        inside[thread] = merge(calls[thread], ops[thread])
        sets = {name: part[thread] for name, part in parts.items()}
        sets["profiler"] = _disturbing(whole.overhead, calls[thread])
        sets["operator"] = inside[thread]
        own[thread] = _exclusive(sets)
    shared = _by_process(own, inside)
    return {
        thread: ThreadActivity(_with_others(sets, shared.get(thread[0])), parts["sync"][thread])
        for thread, sets in own.items()
    }


def _disturbing(overhead: pl.DataFrame, calls: Intervals) -> Intervals:
    """Overhead events that overlap a call of the thread."""
    start = overhead["start_ns"].to_numpy()
    end = start + overhead["dur_ns"].to_numpy()
    touches = overlap(calls, start, end) > 0
    return union(start[touches], end[touches])


def _exclusive(sets: dict[str, Intervals]) -> dict[str, Intervals]:
    """Give each moment to the first activity that holds."""
    taken: Intervals = EMPTY
    result = {}
    for name in HOST:
        result[name] = subtract(sets[name], taken)
        taken = merge(taken, sets[name])
    return result


def _by_process(
    own: dict[tuple[int, int], dict[str, Intervals]], inside: dict[tuple[int, int], Intervals]
) -> dict[int, dict[str, Intervals]]:
    """What any thread of a process does inside operators and calls, where it has several."""
    members: dict[int, list[tuple[int, int]]] = {}
    for thread in own:
        members.setdefault(thread[0], []).append(thread)
    return {
        pid: _exclusive({
            name: merge(*(intersect(own[one][name], inside[one]) for one in threads))
            for name in HOST})
        for pid, threads in members.items()
        if len(threads) > 1
    }  # fmt: skip


def _with_others(
    own: dict[str, Intervals], shared: dict[str, Intervals] | None
) -> dict[str, Intervals]:
    """Fill the thread's own pauses with what its process does (itself included: not then)."""
    if shared is None:
        return own
    mine = merge(*own.values())
    return {name: merge(own[name], subtract(shared[name], mine)) for name in HOST}
