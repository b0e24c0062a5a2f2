"""Which interval of a thread encloses a moment: the nesting rule, for operators, frames, calls.

The rule: per thread intervals are ordered by start, the longer first, then by file order; an
interval encloses the moments of ``[start, end)``, so one of no length encloses nothing; of
several that enclose a moment the last in that order is the innermost. Parent of an interval is
the innermost before it that encloses its start. Well nested input gives the usual tree; one that
ends after its parent still has that parent, and is counted by health.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, last_above
from skiptrace.lookup import rows_of

Thread: TypeAlias = tuple[int, int]
"""A process and one of its threads."""


def thread_rows(pid: Ints, tid: Ints, start: Ints) -> dict[Thread, Ints]:
    """The rows of each thread, by start. Cheap where they stand in that order already."""
    if len(start) and (pid == pid[0]).all() and (tid == tid[0]).all():
        return {(int(pid[0]), int(tid[0])): np.argsort(start, kind="stable")}
    order = np.lexsort((start, tid, pid))
    pid, tid = pid[order], tid[order]
    cuts = np.flatnonzero((pid[1:] != pid[:-1]) | (tid[1:] != tid[:-1])) + 1
    firsts = [0, *cuts.tolist()] if len(order) else []
    return {
        (int(pid[first]), int(tid[first])): rows
        for first, rows in zip(firsts, np.split(order, cuts), strict=False)
    }


class Nest:
    """Intervals of many threads, ready to be asked what encloses a moment.

    Parameters
    ----------
    frame
        Columns ``id``, ``pid``, ``tid``, ``start_ns``, ``dur_ns``; and ``parent`` where the
        parents are known already.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        pid, tid, start, dur = (frame[c].to_numpy() for c in ("pid", "tid", "start_ns", "dur_ns"))
        rows = thread_rows(pid, tid, start)
        parts = list(rows.values())
        self.order: Ints = parts[0] if len(parts) == 1 else np.concatenate([start[:0], *parts])
        """Row of the frame at each place of the order."""
        self.starts: Ints = start[self.order]
        self.ends: Ints = self.starts + dur[self.order]
        self._counts = [len(part) for part in parts]
        bounds = pairwise(np.cumsum([0, *self._counts]).tolist())
        self._places = dict(zip(rows, bounds, strict=True))
        self._longer_first(frame["id"].to_numpy())
        self._known = frame.select("id", "parent") if "parent" in frame.columns else None

    def _longer_first(self, ids: Ints) -> None:
        """Put those of one start into order."""
        again = self.starts[1:] == self.starts[:-1]
        again[[low - 1 for low, _ in self._places.values() if low]] = False
        tied = np.flatnonzero(np.append(again, False) | np.append(False, again))
        run = np.cumsum(~np.append(False, again)[tied])
        keys = (ids[self.order[tied]], -self.ends[tied], run)
        ordered = tied[np.lexsort(keys)]
        self.order[tied], self.ends[tied] = self.order[ordered], self.ends[ordered]

    @cached_property
    def _parents(self) -> Ints:
        if self._known is None:
            upto = np.arange(len(self.ends)) - 1
            first = np.repeat([low for low, _ in self._places.values()], self._counts)
            return self._open(upto, self.starts, first)
        row = rows_of(self._known["id"], self._known["parent"])
        if (self.order[1:] > self.order[:-1]).all():  # each row is at its own place
            return row
        row = row[self.order]
        place = np.empty(len(row), np.int64)
        place[self.order] = np.arange(len(row))
        return np.where(row >= 0, place[row], -1)

    def _open(self, upto: Ints, times: Ints, first: Ints) -> Ints:
        place = last_above(self.ends, upto, times)
        return np.where(place >= first, place, -1)  # an earlier thread's is none of ours

    def parents(self) -> Ints:
        """Place of each interval's parent, by place in the order; -1 where none."""
        return self._parents

    def at(self, pid: Ints, tid: Ints, times: Ints) -> Ints:
        """Row of the frame that is innermost at each moment of a thread; -1 where none."""
        upto = np.full(len(times), -1, np.int64)
        first = np.zeros(len(times), np.int64)
        for thread, asked in thread_rows(pid, tid, times).items():
            low, high = self._places.get(thread, (0, 0))
            upto[asked] = np.searchsorted(self.starts[low:high], times[asked], side="right") - 1
            upto[asked] += low
            first[asked] = low
        place = self._open(np.where(upto >= first, upto, -1), times, first)
        return np.where(place >= 0, self.order[place], -1) if len(self.order) else place

    def threads(self) -> list[Thread]:
        """The threads that have intervals."""
        return list(self._places)

    def timeline(
        self, pid: int, tid: int, during: tuple[int, int] | None = None
    ) -> tuple[Ints, Ints]:
        """A thread's moments of change, and the row innermost from each to the next (-1: none).

        What was last to start is innermost, or the first above it that is still open. `during`
        has the moments between which it has to be right.
        """
        low, high = self._places.get((pid, tid), (0, 0))
        before: list[int] = []
        if during:
            first, until = np.searchsorted(self.starts[low:high], during, side="right").tolist()
            place = low + first - 1
            while place >= low:  # what was open then is among those above the last to start
                before.append(place)
                place = int(self._parents[place])
            low, high = low + first, low + until
        places = np.concatenate((np.array(before[::-1], np.int64), np.arange(low, high)))
        times = np.concatenate((self.starts[places], self.ends[places]))
        order = np.argsort(times, kind="stable")
        times, started = times.take(order), np.cumsum(order < len(places))
        last = np.flatnonzero(np.append(times[1:] != times[:-1], True)[: len(times)])
        bounds, place = times.take(last), places.take(started.take(last) - 1)
        ended = np.flatnonzero(self.ends[place] <= bounds)
        while len(ended):
            place[ended] = above = self._parents[place[ended]]
            ended = ended[(above >= 0) & (self.ends[above] <= bounds[ended])]
        return bounds, np.where(place >= 0, self.order[place], -1)


def ancestry(parent: Ints) -> tuple[Ints, Ints]:
    """Depth and root of each place from the parents' places, by doubling: O(n log depth)."""
    index = np.arange(len(parent))
    up = np.append(np.where(parent >= 0, parent, len(parent)), len(parent))
    depth = np.append((parent >= 0).astype(np.int64), 0)
    root = np.append(np.where(parent >= 0, parent, index), len(parent))
    while (up[:-1] < len(parent)).any():
        depth = depth + depth[up]
        above = root[up]
        root = np.where(above < len(parent), above, root)
        up = up[up]
    return depth[:-1], root[:-1]
