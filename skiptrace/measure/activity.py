"""What each launching thread does at each moment: the activities of DESIGN's idle rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, intersect, merge, overlap, subtract, union
from skiptrace.measure.behaviour import Host, named, thread_intervals
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Thread
from skiptrace.model.trace import Trace

HOST = ("profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator")
"""Host activities by priority; what is in none of them is ``python``."""


@dataclass(frozen=True, eq=False)
class ThreadActivity:
    """A launching thread's moments by activity."""

    levels: list[tuple[str, Intervals]]
    """Activities in the order in which they hold, each with the moments of it and all before."""
    waits: Intervals
    """When it is in a call that waits for the device."""

    def amounts(self, lows: Ints, highs: Ints) -> dict[str, Ints]:
        """Nanoseconds of each activity in each ``[low, high)``; they sum to its length."""
        highs = np.maximum(lows, highs)
        found = {name: np.zeros(len(lows), np.int64) for name in HOST}
        before = np.zeros(len(lows), np.int64)
        taken = EMPTY
        for name, moments in self.levels:
            if moments is not taken:
                covered = overlap(moments, lows, highs)
                found[name] += covered - before
                taken, before = moments, covered
        found["python"] = highs - lows - before
        return found

    @cached_property
    def sets(self) -> dict[str, Intervals]:
        """Activity -> its moments, each moment in the first that holds."""
        parts: dict[str, list[Intervals]] = {name: [] for name in HOST}
        taken = EMPTY
        for name, moments in self.levels:
            if moments is not taken:
                parts[name].append(subtract(moments, taken))
                taken = moments
        return {name: merge(*moments) for name, moments in parts.items()}


def thread_activities(trace: Trace, host: Host) -> dict[Thread, ThreadActivity]:
    """Activities of every launching thread of the recording.

    A thread that is outside every operator and call takes, for that time, the activity of
    another launching thread of its process that is inside one; of several the first in order.
    """
    whole = trace.whole
    rows = {
        "sync": host.waits,
        "alloc": host.allocations,
        "copy": host.copies,
        "launch": whole.launches,
        "dataloader": pl.concat([
            frame.filter(named(frame["name"], cats.DATALOADER)).select(
                "pid", "tid", "start_ns", "dur_ns")
            for frame in (whole.annotations, whole.ops)]),
    }  # fmt: skip
    parts = {name: thread_intervals(frame, host.threads) for name, frame in rows.items()}
    own: dict[Thread, list[Intervals]] = {}
    for thread in host.threads:
        sets = {name: part[thread] for name, part in parts.items()}
        sets["profiler"] = _disturbing(whole.overhead, host.calls[thread])
        sets["operator"] = host.inside[thread]
        own[thread] = _cumulative(EMPTY, [sets[name] for name in HOST])
    shared = _by_process(own, host.inside)
    return {
        thread: ThreadActivity(
            # The pauses of a thread are filled with what its process does (itself not: it pauses).
            list(zip(HOST, levels, strict=True))
            + list(zip(HOST, _cumulative(levels[-1], shared[thread[0]]), strict=False)),
            parts["sync"][thread],
        )
        for thread, levels in own.items()
    }


def _disturbing(overhead: pl.DataFrame, calls: Intervals) -> Intervals:
    """Overhead events that overlap a call of the thread."""
    start = overhead["start_ns"].to_numpy()
    end = start + overhead["dur_ns"].to_numpy()
    touches = overlap(calls, start, end) > 0
    return union(start[touches], end[touches])


def _cumulative(taken: Intervals, sets: list[Intervals]) -> list[Intervals]:
    """Each set with all before it; the very same object where it adds none."""
    levels = []
    for moments in sets:
        taken = merge(taken, moments) if len(moments[0]) else taken
        levels.append(taken)
    return levels


def _by_process(
    own: dict[Thread, list[Intervals]], inside: dict[Thread, Intervals]
) -> dict[int, list[Intervals]]:
    """What any thread of a process does inside operators and calls, where it has several."""
    members: dict[int, list[Thread]] = {}
    for thread in own:
        members.setdefault(thread[0], []).append(thread)
    return {
        pid: [merge(*(intersect(own[one][level], inside[one]) for one in threads))
              for level in range(len(HOST))] if len(threads) > 1 else []
        for pid, threads in members.items()
    }  # fmt: skip
