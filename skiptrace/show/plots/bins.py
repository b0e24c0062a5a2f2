"""Intervals in equal bins of time, exact to the nanosecond: what makes a chart's size its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, clip, merge, overlap, subtract, union


def edges_of(low: int, high: int, bins: int) -> Ints:
    """`bins` + 1 whole nanoseconds from `low` to `high`, as evenly as they come."""
    bins = max(1, min(bins, high - low))
    # In Python's integers: a year in nanoseconds times hundreds of bins is more than 64 bits.
    return np.array([low + (high - low) * i // bins for i in range(bins + 1)], np.int64)


def intervals_of(frame: pl.DataFrame) -> Intervals:
    """When any row of a frame runs."""
    start = frame["start_ns"].to_numpy()
    return union(start, start + frame["dur_ns"].to_numpy())


def disjoint(sets: Mapping[str, Intervals]) -> dict[str, Intervals]:
    """Each moment in the first set that has it."""
    taken, found = EMPTY, {}
    for name, moments in sets.items():
        found[name] = subtract(moments, taken)
        taken = merge(taken, moments)
    return found


class Lane(NamedTuple):
    """A row of a timeline: when what happened there; no moment is in two of its sets."""

    name: str
    sets: Mapping[str, Intervals]


def binned(lanes: Sequence[Lane], low: int, high: int, bins: int) -> pl.DataFrame:
    """How long each thing happened in each bin of each lane.

    Returns
    -------
    polars.DataFrame
        ``lane`` (its place), ``what``, ``start_ns``, ``end_ns`` (of the bin), ``ns``, and
        ``below``: the ns of what is stacked below it in its bin. A row where ``ns`` is not 0;
        ``ns`` of a lane and what sums to the length of that set in ``[low, high)``.
    """
    edges = edges_of(low, high, bins)
    parts = [pl.DataFrame(schema=_BINNED)]
    for place, lane in enumerate(lanes):
        below = np.zeros(len(edges) - 1, np.int64)
        for what, moments in lane.sets.items():
            ns = overlap(clip(moments, low, high), edges[:-1], edges[1:])
            frame = pl.DataFrame(
                {"start_ns": edges[:-1], "end_ns": edges[1:], "ns": ns, "below": below}
            ).filter(pl.col("ns") > 0)
            named = frame.with_columns(lane=pl.lit(place, pl.Int64), what=pl.lit(what))
            parts.append(named.select(*_BINNED))
            below = below + ns
    return pl.concat(parts)


_BINNED = {
    "lane": pl.Int64, "what": pl.String, "start_ns": pl.Int64, "end_ns": pl.Int64,
    "ns": pl.Int64, "below": pl.Int64,
}  # fmt: skip


def weighted(start: Ints, dur: Ints, value: Ints, edges: Ints) -> tuple[Ints, Ints]:
    """Of a value that changes in steps: its sum over time, and its maximum, in each bin.

    `start` ascends and each step lasts to the next at most; before, between and after, the value
    is 0. The sums add up to the sum of ``dur * value`` inside of the edges.
    """
    low, high = edges[:-1], edges[1:]
    total = np.concatenate((np.zeros(1, np.int64), np.cumsum(dur * value)))

    def before(times: Ints) -> Ints:
        index = np.searchsorted(start, times, side="right") - 1
        at = np.maximum(index, 0)
        into = np.minimum(times - start[at], dur[at]) * value[at]
        return np.where(index >= 0, total[at] + into, 0)

    if not len(start):
        return np.zeros(len(low), np.int64), np.zeros(len(low), np.int64)
    sums = before(high) - before(low)
    first = np.maximum(np.searchsorted(start, low, side="right") - 1, 0)
    last = np.searchsorted(start, high, side="left")
    most = np.zeros(len(low), np.int64)
    some = np.flatnonzero(last > first)
    if len(some):
        padded = np.append(value, 0)
        pairs = np.column_stack((first[some], last[some])).ravel()
        most[some] = np.maximum.reduceat(padded, pairs)[::2]
    return sums, most


def runs(count: int, most: int) -> Ints:
    """A group for each of `count` rows: neighbours together, in at most `most` groups."""
    return np.arange(count) // max(1, -(-count // most))
