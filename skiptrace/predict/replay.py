"""The replay: when every call and every work of a recording happens, given what each waits for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from skiptrace.intervals import Bools, Ints

Wait: TypeAlias = tuple[int, tuple[tuple[int, int], ...], tuple[int, ...]]

NEVER = -(2**60)
"""A moment before all others: what a work without a launch of its own waits for."""


@dataclass(frozen=True, eq=False)
class Model:
    """What depends on what, and how long each thing takes: a recording as arrays.

    **Points** are the starts and returns of calls, by thread and time. A point comes `delta` after
    the one before it on its thread; one that waits comes `delta` after the later of that and what
    it waits for. **Works** lie on lanes (one a device and stream), in order. A work starts at the
    latest of: `gap` after the end of the work before it on its lane; `latency` after its launch's
    point; `after_ns` after the end of a work of another lane.
    """

    threads: tuple[tuple[int, int], ...]
    first_point: Ints
    """Where each thread's points begin, and their number."""
    begin: Ints
    """When each thread was first seen: its first point comes its `delta` after that."""
    time: Ints
    """When each point was recorded."""
    delta: Ints
    lanes: tuple[tuple[int, int], ...]
    first_work: Ints
    """Where each lane's works begin, and their number."""
    start: Ints
    """When each work was recorded to start."""
    dur: Ints
    gap: Ints
    point: Ints
    """Point of the work's launch; the number of points where there is none."""
    latency: Ints
    """From that point on; the recorded start where the launch is not in the recording; `NEVER` for
    what follows within a graph."""
    pinned: Bools
    """Whether that is as recorded, since what held the work is not in the recording."""
    after: Ints
    """The work of another lane that it waits for, or -1."""
    after_ns: int
    waits: tuple[Wait, ...]
    """Points that wait, by time: the point; the lanes and how many of their works have to have
    ended; the points of other threads that have to have come."""

    @cached_property
    def waiting(self) -> frozenset[int]:
        """The points that wait for something."""
        return frozenset(point for point, _, _ in self.waits)


@dataclass(frozen=True, eq=False)
class Times:
    """When each point comes and each work starts and ends, in ns on the file's axis."""

    point: Ints
    start: Ints
    end: Ints


def replay(model: Model) -> Times:
    """Run a model: the earliest time of everything, given what it waits for.

    Notes
    -----
    Max-plus recursions over arrays: with ``D`` the running sum of gaps and durations of a lane,
    ``end[w] - D[w] = max over v <= w of ready[v] + dur[v] - D[v]``, a running maximum. Points
    between two waits of a thread lie a fixed offset from the running sum of their `delta`. The loop
    is over waits and the dependencies between lanes.

    References
    ----------
    Baccelli, Cohen, Olsder, Quadrat, "Synchronization and Linearity", 1992: timed event graphs.
    """
    return _Run(model).times()


class _Run:
    """The state of a replay: how far each lane is, and where each thread's points lie."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.sum = np.append(np.cumsum(model.delta), 0)
        self.offset = np.zeros(len(model.delta) + 1, np.int64)
        length = model.gap + model.dur
        self.path = np.cumsum(length)  # over all lanes: only differences within one are used
        self.ready = np.where(model.latency == NEVER, NEVER, self.sum[model.point] + model.latency)
        self.end = np.empty(len(model.dur), np.int64)
        self.position = model.first_work[:-1].tolist()
        self.carry = [NEVER] * len(model.lanes)
        others = np.flatnonzero(model.after >= 0)
        self.lane_of = np.repeat(np.arange(len(model.lanes)), np.diff(model.first_work))
        self.others: list[list[int]] = [[] for _ in model.lanes]
        for work, lane in zip(others.tolist(), self.lane_of[others].tolist(), strict=True):
            self.others[lane].append(work)
        self.next_other = [0] * len(model.lanes)

    def times(self) -> Times:
        """Fill offsets from wait to wait, then run every lane to its end."""
        model, points = self.model, [point for point, _, _ in self.model.waits]
        known = dict(zip(points, self._until_next(points), strict=True))
        first = set(model.first_point.tolist())
        starts, stops = model.first_point[:-1], model.first_point[1:]
        for begin, low, high in zip(model.begin, starts, stops, strict=True):
            self.offset[low:high] = begin + model.delta[low] - self.sum[low]
        for point, works, others in model.waits:
            release = NEVER
            for lane, until in works:
                self.advance(lane, until)
                release = max(release, int(self.end[until - 1]))
            for other in others:
                release = max(release, int(self.sum[other] + self.offset[other]))
            offset, before = int(self.offset[point]), int(self.sum[point] - model.delta[point])
            # A thread that another one set going begins when it did.
            begun = others and point in first
            self.offset[point : known[point]] = (
                release - before if begun else max(offset, release - before)
            )
        for lane, until in enumerate(model.first_work[1:].tolist()):
            self.advance(lane, until)
        return Times((self.sum + self.offset)[:-1], self.end - model.dur, self.end)

    def _until_next(self, points: list[int]) -> list[int]:
        """For each waiting point: up to behind the next of its thread, or to the thread's end."""
        stops = np.sort(np.array(points, np.int64))
        after = np.append(stops, np.iinfo(np.int64).max - 1)
        following = after[np.searchsorted(stops, points, side="right")] + 1
        ends = self.model.first_point
        known = np.minimum(following, ends[np.searchsorted(ends, points, side="right")])
        return [int(until) for until in known]

    def advance(self, lane: int, until: int) -> None:
        """Run a lane up to, not including, the work `until`."""
        others = self.others[lane]
        while self.next_other[lane] < len(others) and others[self.next_other[lane]] < until:
            work = others[self.next_other[lane]]
            self.next_other[lane] += 1
            self._scan(lane, work)
            before = int(self.model.after[work])
            self.advance(int(self.lane_of[before]), before + 1)
            # Ready times count from the launch's offset.
            released = int(self.end[before]) + self.model.after_ns
            offset = int(self.offset[self.model.point[work]])
            self.ready[work] = max(int(self.ready[work]), released - offset)
        self._scan(lane, until)

    def _scan(self, lane: int, until: int) -> None:
        low = self.position[lane]
        if until <= low:
            return
        model, part = self.model, slice(low, until)
        path = self.path[part]
        ready = self.offset[model.point[part]] + self.ready[part]
        reach = np.maximum.accumulate(ready + model.dur[part] - path)
        np.maximum(reach, self.carry[lane], out=reach)
        self.end[part] = reach + path
        self.carry[lane], self.position[lane] = int(reach[-1]), until
