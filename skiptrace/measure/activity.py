"""What each launching thread does at each moment: the activities of DESIGN's idle rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from skiptrace.intervals import (
    EMPTY,
    Intervals,
    Ints,
    Measure,
    intersect,
    merge,
    overlap,
    subtract,
    union,
)
from skiptrace.measure.behaviour import host_of, thread_intervals
from skiptrace.measure.keys import numbered, op_names
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Thread
from skiptrace.model.once import once
from skiptrace.model.trace import Trace, Whole

HOST = ("profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator")
"""Host activities by priority; what is in none of them is ``python``."""


@dataclass(frozen=True, eq=False)
class ThreadActivity:
    """A launching thread's moments by activity.

    Of each of `HOST` the moments in which it or one before it holds; a set that adds none is the
    very same object as the one before.
    """

    own: list[Intervals]
    """By what the thread itself is in."""
    others: list[tuple[Intervals, Measure]]
    """By what threads of its process are in, which counts where `own` has nothing; or empty."""
    waits: Intervals
    """When it is in a call that waits for the device."""

    def amounts(self, lows: Ints, highs: Ints) -> dict[str, Ints]:
        """Nanoseconds of each activity in each ``[low, high)``; they sum to its length.

        Costs the size of the thread's own sets, however many other threads there are.
        """
        highs = np.maximum(lows, highs)
        found = {name: np.zeros(len(lows), np.int64) for name in HOST}
        mine = theirs = np.zeros(len(lows), np.int64)
        taken = EMPTY
        for name, moments in zip(HOST, self.own, strict=True):
            if moments is not taken:
                covered = overlap(moments, lows, highs)
                found[name] += covered - mine
                taken, mine = moments, covered
        last = EMPTY
        for name, (moments, measure) in zip(HOST, self.others, strict=False):
            if moments is not last:
                covered = measure.before_outside(taken, highs) - measure.before_outside(taken, lows)
                found[name] += covered - theirs
                last, theirs = moments, covered
        found["python"] = highs - lows - mine - theirs
        return found

    @cached_property
    def sets(self) -> dict[str, Intervals]:
        """Activity -> its moments, each moment in the first that holds."""
        parts: dict[str, list[Intervals]] = {name: [] for name in HOST}
        taken = EMPTY
        for name, moments in zip(HOST, self.own, strict=True):
            if moments is not taken:
                parts[name].append(subtract(moments, taken) if taken is not EMPTY else moments)
                taken = moments
        last = EMPTY
        for name, (moments, _) in zip(HOST, self.others, strict=False):
            if moments is not last:
                parts[name].append(subtract(subtract(moments, last), taken))
                last = moments
        return {
            name: moments[0] if len(moments) == 1 else merge(*moments)
            for name, moments in parts.items()
        }

    @property
    def any(self) -> Intervals:
        """The moments of all activities together."""
        others = [moments for moments, _ in self.others[-1:]]
        return merge(self.own[-1], *others) if others else self.own[-1]


def thread_activities(trace: Trace) -> dict[Thread, ThreadActivity]:
    """Activities of every launching thread of the recording.

    A thread that is outside every operator and call takes, for that time, the activity of
    another launching thread of its process that is inside one; of several the first in order.
    """
    return _activities(trace.whole)


@once
def _activities(whole: Whole) -> dict[Thread, ThreadActivity]:
    host = host_of(whole)
    rows = {
        "sync": host.waits,
        "alloc": host.allocations,
        "copy": host.copies,
        "launch": whole.launches,
        "dataloader": pl.concat([
            frame["pid", "tid", "start_ns", "dur_ns"][np.flatnonzero(names.fit(cats.DATALOADER))]
            for frame, names in ((whole.annotations, numbered(whole.annotations["name"])),
                                 (whole.ops, op_names(whole)))]),
    }  # fmt: skip
    parts = {name: thread_intervals(frame, host.threads) for name, frame in rows.items()}
    disturbing = _Disturbing(whole.overhead)
    own: dict[Thread, list[Intervals]] = {}
    for thread in host.threads:
        sets = {name: part[thread] for name, part in parts.items()}
        sets["profiler"] = disturbing.during(host.calls[thread])
        sets["operator"] = host.inside[thread]
        own[thread] = _cumulative([sets[name] for name in HOST])
    # The pauses of a thread are filled with what its process does (itself not: it pauses).
    others = _by_process(own, host.inside)
    return {
        thread: ThreadActivity(levels, others[thread[0]], parts["sync"][thread])
        for thread, levels in own.items()
    }


class _Disturbing:
    """Overhead events, in the order of their starts, to be looked up by when they touch a call."""

    def __init__(self, overhead: pl.DataFrame) -> None:
        start, dur = (overhead[c].to_numpy() for c in ("start_ns", "dur_ns"))
        order = np.argsort(start, kind="stable")
        self._start, self._end = start[order], (start + dur)[order]
        self._reach = np.maximum.accumulate(self._end)

    def during(self, calls: Intervals) -> Intervals:
        """The moments of those that overlap a call, whole."""
        if not len(self._start):
            return EMPTY
        first = np.searchsorted(self._reach, calls[0], side="right")
        until = np.searchsorted(self._start, calls[1], side="left")
        ranges = zip(*(places.tolist() for places in union(first, until)), strict=True)
        near = np.concatenate([np.empty(0, np.int64), *(np.arange(a, b) for a, b in ranges)])
        start, end = self._start[near], self._end[near]
        touches = overlap(calls, start, end) > 0
        return union(start[touches], end[touches])


def _cumulative(sets: list[Intervals]) -> list[Intervals]:
    """Each set with all before it; the very same object where it adds none."""
    taken, levels = EMPTY, []
    for moments in sets:
        taken = merge(taken, moments) if len(moments[0]) else taken
        levels.append(taken)
    return levels


def _by_process(
    own: dict[Thread, list[Intervals]], inside: dict[Thread, Intervals]
) -> dict[int, list[tuple[Intervals, Measure]]]:
    """What any thread of a process does inside operators and calls, where it has several."""
    members: dict[int, list[Thread]] = {}
    for thread in own:
        members.setdefault(thread[0], []).append(thread)
    found: dict[int, list[tuple[Intervals, Measure]]] = {pid: [] for pid in members}
    for pid, threads in members.items():
        if len(threads) < 2:
            continue
        last: tuple[Intervals, Measure] = EMPTY, Measure(EMPTY)
        for level in range(len(HOST)):
            # Sets hold those before them: what adds nothing to its thread's adds nothing here.
            more = [
                intersect(own[one][level], inside[one])
                for one in threads
                if own[one][level] is not (own[one][level - 1] if level else EMPTY)
            ]
            if more:
                moments = merge(last[0], *more)
                last = moments, Measure(moments)
            found[pid].append(last)
    return found
