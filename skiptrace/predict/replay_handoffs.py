"""Threads that wait for another thread: where one is quiet until another has done something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skiptrace.intervals import Ints, distinct
from skiptrace.model.nesting import Thread, thread_rows
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import Wait

QUIET_NS = 100_000
"""A thread in which nothing starts or ends for so long, while others call, waits for them."""


def find_handoffs(
    whole: Whole, time: Ints, threads: list[Thread], first_point: Ints
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
    start, end = (whole.ops[c].to_numpy() for c in ("start_ns", "dur_ns"))
    end = start + end
    ops = thread_rows(*(whole.ops[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    of_process = _by_process(time, threads, first_point)
    for number, thread in enumerate(threads):
        process = of_process[thread[0]]
        if len(process.firsts) < 2:
            continue
        low, high = int(first_point[number]), int(first_point[number + 1])
        mine = ops.get(thread, np.empty(0, np.int64))
        edges: Ints = distinct(np.concatenate((time[low:high], start[mine], end[mine])))
        begin = process.begin_without(number) - 1
        if begin < edges[0]:  # it is new: quiet from the first call of another on
            edges = np.concatenate(([begin], edges))
        long = np.flatnonzero(np.diff(edges) >= QUIET_NS)
        since, until = edges[long], edges[long + 1]
        point = low + np.searchsorted(time[low:high], until, side="left")
        # Even points are starts of calls: what is quiet inside a call is that call's own wait.
        keep = (point < high) & ((point - low) % 2 == 0)
        since, point = since[keep], point[keep]
        other = process.last_of_others(number, until[keep])
        other[(other < 0) | (time[other] <= since)] = -1
        # Of several quiet times before one call the last counts.
        for here, there in dict(zip(point.tolist(), other.tolist(), strict=True)).items():
            if there >= 0:
                waits.append((here, (), (there,)))
                own.append(int(time[here] - time[there]))
    return waits, np.array(own, np.int64)


@dataclass(frozen=True, eq=False)
class _Process:
    """The points of all threads of a process, in order."""

    firsts: list[tuple[int, int]]
    """When each thread's first point is, and the thread, the earliest two first."""
    time: Ints
    point: Ints
    """By time; of equal times the first thread's last, so that it counts."""
    thread: Ints
    before: Ints
    """Place of the last point before that is another thread's; -1 where none."""

    def begin_without(self, thread: int) -> int:
        """When the first of the other threads begins."""
        return next(first for first, one in self.firsts if one != thread)

    def last_of_others(self, thread: int, times: Ints) -> Ints:
        """The other threads' last point up to each time; -1 where none."""
        place = np.searchsorted(self.time, times, side="right") - 1
        own = (place >= 0) & (self.thread[place] == thread)
        place = np.where(own, self.before[place], place)
        return np.where(place >= 0, self.point[place], -1)


def _by_process(time: Ints, threads: list[Thread], first_point: Ints) -> dict[int, _Process]:
    number = np.repeat(np.arange(len(threads)), np.diff(first_point))
    pid = np.array([pid for pid, _ in threads], np.int64)[number]
    order = np.lexsort((np.arange(len(number)), -number, time[: len(number)], pid))
    found = {}
    for part in np.split(order, np.flatnonzero(np.diff(pid[order])) + 1):
        if not len(part):
            continue
        thread = number[part]
        change = np.append(False, thread[1:] != thread[:-1])
        # Where its run of one thread begins, the place before that is another's.
        before = np.maximum.accumulate(np.where(change, np.arange(len(part)), 0)) - 1
        _, first = np.unique(thread, return_index=True)
        firsts = sorted(zip(time[part[first]].tolist(), thread[first].tolist(), strict=True))
        found[int(pid[part[0]])] = _Process(firsts, time[part], part, thread, before)
    return found
