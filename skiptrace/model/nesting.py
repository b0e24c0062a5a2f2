"""Which interval of a thread encloses a moment: the nesting rule, for operators, frames, calls.

The rule: per thread intervals are ordered by start, the longer first, then by file order; an
interval encloses the moments of ``[start, end)``, so one of no length encloses nothing; of
several that enclose a moment the last in that order is the innermost. Parent of an interval is
the innermost before it that encloses its start. Well nested input gives the usual tree; one that
ends after its parent still has that parent, and is counted by health.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints, distinct, last_above


class Nest:
    """Intervals of many threads, ready to be asked what encloses a moment.

    Parameters
    ----------
    frame
        Columns ``id``, ``pid``, ``tid``, ``start_ns``, ``dur_ns``.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        pid, tid, start, dur, ids = (
            frame[c].to_numpy() for c in ("pid", "tid", "start_ns", "dur_ns", "id")
        )
        self._pids, self._tids = np.unique(pid), np.unique(tid)
        self._times = distinct(start)
        code, _ = self._code(pid, tid)
        self.order: Ints = _order(code, start, dur, ids)
        """Row of the frame at each place of the order."""
        self.starts: Ints = start[self.order]
        self.ends: Ints = (start + dur)[self.order]
        self.codes: Ints = code[self.order]
        self._first = np.searchsorted(self.codes, self.codes, side="left")
        self._key = self._keys(self.codes, self.starts)

    def _code(self, pid: Ints, tid: Ints) -> tuple[Ints, Bools]:
        """A number per (process, thread), and whether the nest knows that thread at all."""
        p, t = np.searchsorted(self._pids, pid), np.searchsorted(self._tids, tid)
        known = (p < len(self._pids)) & (t < len(self._tids))
        if len(self._pids):
            known &= self._pids[np.minimum(p, len(self._pids) - 1)] == pid
            known &= self._tids[np.minimum(t, len(self._tids) - 1)] == tid
        return (p * (len(self._tids) + 1) + t).astype(np.int64), known

    def _keys(self, code: Ints, times: Ints) -> Ints:
        """One integer that orders by (thread, time); times by rank, so nothing overflows."""
        rank = np.searchsorted(self._times, times, side="right")
        return (code * (len(self._times) + 1) + rank).astype(np.int64)

    def _open(self, upto: Ints, times: Ints, first: Ints) -> Ints:
        place = last_above(self.ends, upto, times)
        return np.where(place >= first, place, -1)  # an earlier thread's is none of ours

    def parents(self) -> Ints:
        """Place of each interval's parent, by place in the order; -1 where none."""
        return self._open(np.arange(len(self.ends)) - 1, self.starts, self._first)

    def at(self, pid: Ints, tid: Ints, times: Ints) -> Ints:
        """Row of the frame that is innermost at each moment of a thread; -1 where none."""
        if not len(self.order):
            return np.full(len(times), -1, np.int64)
        code, known = self._code(pid, tid)
        upto = np.searchsorted(self._key, self._keys(code, times), side="right") - 1
        first = np.searchsorted(self.codes, code, side="left")
        place = self._open(np.where(known, upto, -1), times, first)
        return np.where(place >= 0, self.order[np.maximum(place, 0)], -1)

    def timeline(self, pid: int, tid: int) -> tuple[Ints, Ints]:
        """A thread's moments of change, and the row innermost from each to the next (-1: none)."""
        code, known = self._code(np.array([pid]), np.array([tid]))
        low = np.searchsorted(self.codes, code[0], side="left")
        high = np.searchsorted(self.codes, code[0], side="right") if known[0] else low
        bounds = distinct(np.concatenate((self.starts[low:high], self.ends[low:high])))
        count = len(bounds)
        return bounds, self.at(np.full(count, pid), np.full(count, tid), bounds)


def _order(code: Ints, start: Ints, dur: Ints, ids: Ints) -> Ints:
    """By thread, start, the longer first, then file order."""
    order = np.lexsort((start, code))  # cheap where, as in most files, little is out of place
    same = (np.diff(code[order]) == 0) & (np.diff(start[order]) == 0)
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    among = order[tied]
    order[tied] = among[np.lexsort((ids[among], -dur[among], start[among], code[among]))]
    return order.astype(np.int64)


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


def link_to_row(ids: pl.Series, row: Ints) -> pl.Series:
    """Ids at the given rows, null where the row is -1."""
    found = ids.gather(np.maximum(row, 0)) if len(ids) else pl.Series(np.zeros(len(row), np.int64))
    return pl.select(pl.when(pl.Series(row >= 0)).then(found)).to_series()
