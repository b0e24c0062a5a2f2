"""The model of a recording: its points, works and latencies, as arrays for the replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.model.schema.column import KINDS
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import NEVER, Model
from skiptrace.predict.replay_handoffs import find_handoffs
from skiptrace.predict.replay_lanes import (
    GRAPH_GAP_NS,
    NEAR_NS,
    SLACK_NS,
    Lanes,
    found_late,
    told_to_wait,
)
from skiptrace.predict.replay_waits import find_waits

WORK_KINDS = ("kernel", "memcpy", "memset")
OUTLYING = 5
"""Gaps of more than this many medians are something else than the way from work to work."""
USUAL_NS = 2_000
"""From the return of a launch to its kernel where a trace does not tell: 1.9 us for an empty
kernel on an H100."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording's model, and what it was made of."""

    model: Model
    calls: pl.DataFrame
    """The calls inside no other, by thread: the i-th starts at point 2 i, returns at 2 i + 1."""
    lanes: Lanes
    """The works in the model's order."""
    latencies: Mapping[str, int]
    """From the return of a launch call, by kind, to its work's start if nothing is in its way."""
    counts: Mapping[str, int]
    """How often something was inferred, and what could not be modelled."""


def record(whole: Whole) -> Recorded:
    """The model of a whole recording."""
    calls, places = _outermost(whole.calls)
    lanes = Lanes(whole, calls, places)
    after, recorded = told_to_wait(whole, calls, lanes)
    ways = _Ways(lanes, after)
    due = np.maximum(ways.expected, lanes.before + ways.gap)
    told = (after >= 0) & (lanes.start - lanes.end[after] <= NEAR_NS)
    late = np.flatnonzero((lanes.start > due + 2 * SLACK_NS) & ~told & ways.modelled)
    found_late(lanes, after, late)
    late = late[(after[late] < 0) | (lanes.start - lanes.end[after] > NEAR_NS)[late]]
    ways.hold(lanes, late)
    waited = (after >= 0) & (lanes.start > due + SLACK_NS)
    way = (lanes.start - lanes.end[after])[waited]
    way = way[(way >= 0) & (way <= NEAR_NS)]
    threads = calls.select("pid", "tid").unique(maintain_order=True)
    thread = calls.select(pl.struct("pid", "tid").rle_id()).to_series().to_numpy()
    first_point = 2 * np.searchsorted(thread, np.arange(len(threads) + 1))
    time = calls.select(pl.concat_list("start_ns", "end_ns").explode()).to_series().to_numpy()
    delta = np.diff(time, prepend=0)
    ops = whole.ops.group_by("pid", "tid").agg(pl.col("start_ns").min())
    begin = threads.join(ops, on=["pid", "tid"], how="left", maintain_order="left")["start_ns"]
    first_call = time[first_point[:-1]]
    began = np.minimum(begin.fill_null(2**62).to_numpy(), first_call)
    delta[first_point[:-1]] = first_call - began
    names = [(int(p), int(t)) for p, t in threads.rows()]
    waits, own, counts = find_waits(whole, calls, lanes)
    handoffs, between = find_handoffs(whole, time, names, first_point)
    delta[[point for point, _, _ in waits]] = own
    delta[[point for point, _, _ in handoffs]] = between
    counts["handoffs"] = len(handoffs)
    # A wait is known once all before its call's start are.
    waits = sorted([*waits, *handoffs], key=lambda wait: (time[wait[0] & ~1], wait[0]))
    model = Model(
        threads=tuple(names),
        first_point=first_point,
        begin=began,
        time=time,
        delta=delta,
        lanes=lanes.names,
        first_work=lanes.first_work,
        start=lanes.start,
        dur=lanes.dur,
        gap=ways.gap,
        point=ways.point,
        latency=ways.latency,
        pinned=ways.pinned,
        after=after,
        after_ns=round(float(np.median(way))) if len(way) else 0,
        waits=tuple(waits),
    )
    counts |= ways.counts | {
        "dependencies_recorded": recorded,
        "dependencies_inferred": int((after >= 0).sum()) - recorded,
        "late_unexplained": len(late),
    }
    return Recorded(model, calls, lanes, ways.latencies, counts)


def _outermost(calls: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Ints, Ints]]:
    """The calls that lie in no other, and for each call's id the row of the one it lies in."""
    every = calls.sort("pid", "tid", "start_ns", -pl.col("dur_ns"), "id").with_columns(
        end_ns=pl.col("start_ns") + pl.col("dur_ns")
    )
    reach = pl.col("end_ns").cum_max().shift(1).over("pid", "tid")
    top = every.select((pl.col("start_ns") >= reach).fill_null(value=True)).to_series()
    return every.filter(top), (every["id"].to_numpy(), np.cumsum(top.to_numpy()) - 1)


class _Ways:
    """How long after its launch, and after the work before it, each work starts."""

    def __init__(self, lanes: Lanes, after: Ints) -> None:
        self.counts: dict[str, int] = {}
        self._pin(lanes)
        self._set_latencies(lanes, after)
        self._set_gaps(lanes, after < 0)

    def _pin(self, lanes: Lanes) -> None:
        """Which works have no model: their start is taken as recorded, and they are counted."""
        gap = lanes.start - lanes.before
        inside = lanes.linked & ~lanes.head
        graph = lanes.kind == KINDS.index("graph")
        again = np.zeros(len(gap), np.bool_)
        heads = np.flatnonzero(lanes.head & graph)
        # A launch whose works lie apart, with others between or long pauses: its id came again.
        order = heads[np.lexsort((heads, lanes.call[heads], lanes.lane[heads]))]
        same = (np.diff(lanes.call[order]) == 0) & (np.diff(lanes.lane[order]) == 0)
        again[order[1:][same]] = True
        again |= inside & (gap > GRAPH_GAP_NS)
        self.modelled: Bools = lanes.linked & ~again
        self.again = again
        self.pinned: Bools = ~self.modelled
        self.counts["unlinked"] = int((~lanes.linked).sum())
        self.counts["pinned"] = int(again.sum())

    def _set_latencies(self, lanes: Lanes, after: Ints) -> None:
        """The way from each launch's point to its work, by the usual way of its kind.

        A work starts a nearly fixed time after its launch call's return. Where it starts before
        that (a graph, a copy that blocks, a call that was interrupted behind its doorbell), the
        call's start is the point that is known.
        """
        after_return, after_start = lanes.start - lanes.returned, lanes.start - lanes.began
        heads, free = lanes.head & self.modelled, after < 0
        idle = lanes.found_idle & free
        apart = free & ~lanes.is_first & (lanes.before <= lanes.began)
        codes = range(len(KINDS))
        usual = [_usual(after_return, heads & (lanes.kind == c), idle, apart) for c in codes]
        of_kind = [usual[0] or 0 if way is None else way for way in usual]
        from_return = np.array([*of_kind, 0])[lanes.kind]
        # What had ended by the return cannot have waited for it, however near it lies.
        has_ended = lanes.end <= lanes.returned
        early = heads & (has_ended | (after_return < from_return - SLACK_NS))
        early_ways = [
            _usual(after_start, early & (lanes.kind == c), idle, apart) or 0 for c in codes
        ]
        latency = np.where(early, np.array([*early_ways, 0])[lanes.kind], from_return)
        self.point = np.where(early, 2 * lanes.call, 2 * lanes.call + 1)
        self.expected = np.where(early, lanes.began, lanes.returned) + latency
        inside = self.modelled & ~lanes.head
        self.expected[inside] = NEVER
        self.expected[~self.modelled] = lanes.start[~self.modelled]
        self.latency = np.where(inside, NEVER, latency)
        self.latency[self.again] = (lanes.start - lanes.returned)[self.again]
        self.latency[~lanes.linked] = lanes.start[~lanes.linked]
        self.point[~lanes.linked] = -1
        self.latencies = dict(zip(KINDS, of_kind, strict=True))
        self.counts["launched_early"] = int(early.sum())

    def hold(self, lanes: Lanes, late: Ints) -> None:
        """Pin the first works of lanes: what kept those for long ran before the recording."""
        held = late[lanes.is_first[late] & lanes.head[late]]
        launched = np.where(self.point % 2 == 0, lanes.began, lanes.returned)
        self.latency[held] = (lanes.start - launched)[held]
        self.pinned[held] = True
        self.counts["pinned"] += len(held)

    def _set_gaps(self, lanes: Lanes, free: Bools) -> None:
        """The way from each work to the next: the mean of their kinds, inside a graph or not."""
        gap = np.where(lanes.is_first, 0, lanes.start - lanes.before)
        queued = ~lanes.is_first & (lanes.before > self.expected + SLACK_NS) & free
        kinds = {kind: i for i, kind in enumerate(WORK_KINDS)}
        kind = lanes.works["kind"].replace_strict(kinds, return_dtype=pl.Int64).to_numpy()
        group = 9 * lanes.head + 3 * np.roll(kind, 1) + kind
        self.gap = np.zeros(len(gap), np.int64)
        for code in range(18):
            here = (group == code) & self.modelled
            found = gap[here & queued & (gap >= 0)]
            if len(found):
                usual = found[found <= OUTLYING * np.median(found) + SLACK_NS]
                self.gap[here] = round(float(usual.mean()))
        overlaps = ~lanes.is_first & (gap < 0)
        self.gap[overlaps] = gap[overlaps]
        self.gap = np.where(self.modelled, self.gap, np.minimum(self.gap, gap))
        self.gap[lanes.is_first] = 0
        self.counts["overlapping"] = int(overlaps.sum())


def _usual(way: Ints, here: Bools, idle: Bools, apart: Bools) -> int | None:
    """The median way onto an idle device.

    Where no launch found the device idle, the shortest onto an idle lane; where every launch
    queued, no way was seen at all, and it is at most `USUAL_NS`.
    """
    for which, of in ((here & idle, np.median), (here & apart, np.min)):
        found = way[which & (way > 0)]
        if len(found):
            return round(float(of(found)))
    found = way[here & (way > 0)]
    return min(int(found.min()), USUAL_NS) if len(found) else None
