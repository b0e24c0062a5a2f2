"""What each launching thread does at each moment: the activities of DESIGN's idle rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, intersect, merge, overlap, subtract, union
from skiptrace.measure.behaviour import copying_calls, launching_threads, of_thread, waiting_calls
from skiptrace.model import categories as cats
from skiptrace.model.trace import Trace

HOST = ("profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator")
"""Host activities by priority; what is in none of them is ``python``."""


@dataclass(frozen=True)
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
    own: dict[tuple[int, int], dict[str, Intervals]] = {}
    inside: dict[tuple[int, int], Intervals] = {}
    waits: dict[tuple[int, int], Intervals] = {}
    for thread in launching_threads(trace):
        calls = of_thread(whole.calls, *thread)
        inside[thread] = merge(calls, of_thread(whole.ops, *thread))
        sets = {name: of_thread(frame, *thread) for name, frame in rows.items()}
        sets["profiler"] = _disturbing(whole.overhead, calls)
        sets["operator"] = inside[thread]
        waits[thread] = sets["sync"]
        own[thread] = _exclusive(sets)
    return {
        thread: ThreadActivity(_with_others(thread, own, inside), waits[thread]) for thread in own
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


def _with_others(
    thread: tuple[int, int],
    own: dict[tuple[int, int], dict[str, Intervals]],
    inside: dict[tuple[int, int], Intervals],
) -> dict[str, Intervals]:
    others = [other for other in own if other[0] == thread[0] and other != thread]
    if not others:
        return own[thread]
    elsewhere = _exclusive({
        name: merge(*(intersect(own[other][name], inside[other]) for other in others))
        for name in HOST})  # fmt: skip
    mine = merge(*own[thread].values())
    return {name: merge(own[thread][name], subtract(elsewhere[name], mine)) for name in HOST}
