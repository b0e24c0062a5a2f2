"""Interval arithmetic on integer nanoseconds: the one place where intervals are merged or cut.

An interval set is a pair of int64 arrays ``(starts, ends)``: sorted, disjoint, not touching,
none empty, each interval half-open ``[start, end)``. Every function is exact and vectorised.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Intervals: TypeAlias = tuple[Ints, Ints]

EMPTY: Intervals = (np.empty(0, np.int64), np.empty(0, np.int64))


def union(starts: Ints, ends: Ints) -> Intervals:
    """Merge arbitrary intervals into an interval set; empty ones vanish."""
    keep = ends > starts
    if not keep.all():
        starts, ends = starts[keep], ends[keep]
    if not len(starts):
        return EMPTY
    if (starts[1:] < starts[:-1]).any():
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], ends[order]
    reach = np.maximum.accumulate(ends)
    first = np.flatnonzero(np.append(True, starts[1:] > reach[:-1]))
    last = np.append(first[1:], len(starts)) - 1
    return starts[first], reach[last]


def merge(*sets: Intervals) -> Intervals:
    """Union of several interval sets."""
    starts, ends = zip(EMPTY, *sets, strict=True)
    return union(np.concatenate(starts), np.concatenate(ends))


def total(intervals: Intervals) -> int:
    """Sum of the lengths."""
    return int((intervals[1] - intervals[0]).sum())


def clip(intervals: Intervals, low: int, high: int) -> Intervals:
    """The part of a set inside ``[low, high)``."""
    starts, ends = np.maximum(intervals[0], low), np.minimum(intervals[1], high)
    keep = ends > starts
    return starts[keep], ends[keep]


def complement(intervals: Intervals, low: int, high: int) -> Intervals:
    """The part of ``[low, high)`` outside a set."""
    starts, ends = clip(intervals, low, high)
    gap_starts = np.concatenate(([low], ends)).astype(np.int64)
    gap_ends = np.concatenate((starts, [high])).astype(np.int64)
    keep = gap_ends > gap_starts
    return gap_starts[keep], gap_ends[keep]


def subtract(a: Intervals, b: Intervals) -> Intervals:
    """The part of `a` outside `b`."""
    if not len(a[0]) or not len(b[0]):
        return a
    low, high = int(a[0][0]), int(a[1][-1])
    return intersect(a, complement(b, low, high))


def intersect(a: Intervals, b: Intervals) -> Intervals:
    """The part that both sets share. Cost: the smaller set times a search in the larger."""
    (starts, ends), (lows, highs) = (a, b) if len(a[0]) > len(b[0]) else (b, a)
    first = np.searchsorted(ends, lows, side="right")
    count = np.searchsorted(starts, highs, side="left") - first
    which = np.repeat(np.arange(len(lows)), count)
    other = np.arange(len(which)) + np.repeat(first - (np.cumsum(count) - count), count)
    return np.maximum(starts[other], lows[which]), np.minimum(ends[other], highs[which])


def gaps_between(starts: Ints, ends: Ints) -> tuple[Ints, Ints, Ints]:
    """The gaps in a sequence of intervals sorted by start.

    An interval of no length ends a gap like any other. Returns the gaps' starts and ends, and
    for each the index of the first interval that starts at its end.
    """
    reach = np.maximum.accumulate(ends)
    after = np.flatnonzero(starts[1:] > reach[:-1]) + 1
    return reach[after - 1], starts[after], after


def _begun(starts: Ints, times: Ints) -> Ints:
    """How many of the sorted `starts` are not after each time."""
    if 4 * len(starts) > len(times) or (times[1:] < times[:-1]).any():
        return np.searchsorted(starts, times, side="right")
    places = np.searchsorted(times, starts)  # so few searches are cheaper than one a time
    return np.repeat(np.arange(len(starts) + 1), np.diff(places, prepend=0, append=len(times)))


class Measure:
    """How much of a set lies before a moment: made once, asked in O(log n) a moment."""

    def __init__(self, intervals: Intervals) -> None:
        self._starts, ends = intervals
        # Of the first `i` intervals the end and the length.
        self._reach = np.concatenate((np.full(1, np.iinfo(np.int64).min), ends))
        self._done = np.concatenate((np.zeros(1, np.int64), np.cumsum(ends - self._starts)))

    def before(self, times: Ints) -> Ints:
        """Total length of the set before each of `times`."""
        index = _begun(self._starts, times)
        beyond: Ints = np.maximum(self._reach.take(index), times)
        beyond -= times
        return self._done.take(index) - beyond

    def before_outside(self, intervals: Intervals, times: Ints) -> Ints:
        """Of what lies before each of `times` the length outside of another set.

        Costs the size of the other set, not of this one.
        """
        starts, ends = intervals
        whole = self.before(times)
        if not len(starts):
            return whole
        low, high = self.before(starts), self.before(ends)
        done = np.concatenate((np.zeros(1, np.int64), np.cumsum(high - low)))
        index = np.searchsorted(starts, times, side="right")
        beyond = high[np.maximum(index - 1, 0)] - whole
        inside: Ints = done[index] - np.where(index > 0, np.maximum(beyond, 0), 0)
        return whole - inside


def overlap(intervals: Intervals, lows: Ints, highs: Ints) -> Ints:
    """How much of each ``[low, high)`` the set covers; 0 where ``high <= low``."""
    measure = Measure(intervals)
    return measure.before(np.maximum(lows, highs)) - measure.before(lows)


def contains(intervals: Intervals, times: Ints) -> Bools:
    """Whether each time lies in the set."""
    starts, ends = intervals
    if not len(starts):
        return np.zeros(len(times), np.bool_)
    index = _begun(starts, times) - 1
    return (index >= 0) & (ends[np.maximum(index, 0)] > times)


def overlay(lows: Ints, highs: Ints, bounds: Ints) -> tuple[Ints, Ints, Ints]:
    """Cut intervals at `bounds`.

    Returns, for each piece, the interval's index, the index of the segment it lies in (segment
    ``i`` is ``[bounds[i], bounds[i + 1])``, -1 before the first bound) and the piece's length.
    Cost: linear in the number of pieces.
    """
    if not len(bounds):
        which = np.flatnonzero(highs > lows)
        return which, np.full(len(which), -1), (highs - lows)[which]
    first = np.searchsorted(bounds, lows, side="right") - 1
    last = np.searchsorted(bounds, highs, side="left") - 1
    count = np.where(highs > lows, last - first + 1, 0)
    stop = np.cumsum(count)
    which = np.repeat(np.arange(len(lows)), count)
    segment = np.arange(len(which)) + np.repeat(first - (stop - count), count)
    length = bounds.take(segment + 1, mode="clip") - bounds.take(segment, mode="clip")
    # The first and the last piece of an interval need not be a whole segment.
    cut = np.flatnonzero(count)
    lows, highs, first, last, stop = lows[cut], highs[cut], first[cut], last[cut], stop[cut]
    after, before = bounds.take(first + 1, mode="clip"), bounds.take(last, mode="clip")
    after = np.where(first + 1 < len(bounds), np.minimum(after, highs), highs)
    before = np.where(last >= 0, np.maximum(before, lows), lows)
    length[stop - count[cut]] = after - lows
    length[stop - 1] = highs - before
    return which, segment, length


def distinct(values: Ints) -> Ints:
    """Sorted distinct values; sorting beats the hashing of `numpy.unique` here."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(ordered)]]


_LOOKS = 3
"""Places looked at one by one before the tree is climbed."""


def last_above(values: Ints, upto: Ints, thresholds: Ints) -> Ints:
    """For each query, the largest ``j <= upto`` with ``values[j] > threshold``, else -1.

    With `values` the ends of intervals sorted by start and `upto` the last one started, this is
    the innermost interval still open. A tree of maxima is climbed and descended for all queries
    at once: O((n + q) log n) worst case, usually settled at the first looks.
    """
    found = np.full(len(upto), -1, np.int64)
    node = upto.astype(np.int64)
    if not len(values):
        return found
    # Where nothing before reaches so far, as for every interval within no other, that is all.
    reach = np.maximum.accumulate(values)
    active = np.flatnonzero((node >= 0) & (reach.take(node, mode="clip") > thresholds))
    for _ in range(_LOOKS):
        at = node[active]
        hit = values[at] > thresholds[active]
        found[active[hit]] = at[hit]
        active = active[~hit]
        node[active] -= 1
        active = active[node[active] >= 0]
    if not len(active):
        return found
    levels = [values]
    while len(levels[-1]) > 1:
        below = levels[-1]
        if len(below) % 2:
            below = np.append(below, np.iinfo(np.int64).min)
        levels.append(np.maximum(below[0::2], below[1::2]))
    found_at: list[Ints] = []
    for tree in levels:
        at = node[active]
        # A left child is looked at alone; a right child and its left sibling are one parent.
        left = at % 2 == 0
        hit = left & (tree[at] > thresholds[active])
        found_at.append(active[hit])
        found[active[hit]] = at[hit]
        active = active[~hit]
        at = at[~hit]
        node[active] = np.where(at % 2 == 0, at // 2 - 1, at // 2)
        active = active[node[active] >= 0]
        if not len(active):
            break
    descending = np.empty(0, np.int64)
    for level in range(len(found_at) - 1, 0, -1):
        descending = np.concatenate((descending, found_at[level]))
        right = found[descending] * 2 + 1
        tree = levels[level - 1]
        inside = right < len(tree)
        take = inside & (tree[np.minimum(right, len(tree) - 1)] > thresholds[descending])
        found[descending] = np.where(take, right, right - 1)
    return found
