"""The model of a recording: its points, works and latencies, as arrays for the replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.model.schema import KINDS
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import NEVER, Model
from skiptrace.predict.replay_waits import Queues, find_waits

SLACK_NS = 1_000
"""By this much the clocks of host and device may disagree."""
DEPENDENCY_NS = 10_000
"""A work waited for one of another lane if it started at most this long after that one's end."""
OUTLYING = 5
"""Gaps of more than this many medians are something else than the way from work to work."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording's model, and what it was made of."""

    model: Model
    calls: pl.DataFrame
    """The calls inside no other, by thread: the i-th starts at point 2 i and returns at 2 i + 1."""
    works: pl.DataFrame
    """The works in the model's order, with ``launch``."""
    kind: Ints
    """Per work the place of its launch's kind in `KINDS`; -1 where the launch is not recorded."""
    head: Bools
    """Per work whether it is the first of its launch on its lane."""
    latencies: Mapping[str, int]
    """From the return of a launch call, per kind, to the start of its work if nothing is in its way."""
    counts: Mapping[str, int]
    """How often something was inferred, and what could not be modelled."""


def record(whole: Whole) -> Recorded:
    """The model of a whole recording."""
    calls, places = _outermost(whole.calls)
    works = whole.work.sort("device", "stream", "start_ns", "id")
    found = _Works(whole, works, calls, places)
    threads = calls.select("pid", "tid").unique(maintain_order=True)
    thread = calls.select(pl.struct("pid", "tid").rle_id()).to_series().to_numpy()
    first_point = 2 * np.searchsorted(thread, np.arange(len(threads) + 1))
    time = np.empty(2 * len(calls), np.int64)
    time[0::2] = calls["start_ns"].to_numpy()
    time[1::2] = calls["end_ns"].to_numpy()
    delta = np.diff(time, prepend=0)
    delta[first_point[:-1][first_point[:-1] < len(delta)]] = 0
    queues = Queues(
        found.lanes,
        found.first_work,
        found.start,
        found.end,
        found.launched,
        found.call,
        found.lane_pids,
    )
    waits, own, counts = find_waits(whole, calls, queues, SLACK_NS)
    delta[[point for point, _, _ in waits]] = own
    model = Model(
        threads=tuple((int(p), int(t)) for p, t in threads.rows()),
        first_point=first_point,
        time=time,
        delta=delta,
        lanes=found.lanes,
        first_work=found.first_work,
        start=found.start,
        dur=found.dur,
        gap=found.gap,
        point=found.point,
        latency=found.latency,
        after=found.after,
        after_ns=found.after_ns,
        waits=waits,
    )
    return Recorded(
        model, calls, works, found.kind, found.head, found.latencies, counts | found.counts
    )


def rows_of(ids: Ints, wanted: Ints) -> Ints:
    """Where each wanted id stands in `ids`; -1 where it does not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    row = order[place]
    return np.where(ids[row] == wanted, row, -1)


def _outermost(calls: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Ints, Ints]]:
    """The calls that lie in no other, and for each call's id the row of the one it lies in."""
    every = calls.sort("pid", "tid", "start_ns", -pl.col("dur_ns"), "id").with_columns(
        end_ns=pl.col("start_ns") + pl.col("dur_ns")
    )
    reach = pl.col("end_ns").cum_max().shift(1).over("pid", "tid")
    top = every.select((pl.col("start_ns") >= reach).fill_null(value=True)).to_series()
    return every.filter(top), (every["id"].to_numpy(), np.cumsum(top.to_numpy()) - 1)


class _Works:
    """The works by lane: which point each comes after, and how long after."""

    def __init__(
        self, whole: Whole, works: pl.DataFrame, calls: pl.DataFrame, places: tuple[Ints, Ints]
    ) -> None:
        lanes = works.select("device", "stream").unique(maintain_order=True)
        self.lanes = tuple((int(d), int(s)) for d, s in lanes.rows())
        lane = works.select(pl.struct("device", "stream").rle_id()).to_series().to_numpy()
        self.first_work = np.searchsorted(lane, np.arange(len(lanes) + 1))
        self.start, self.dur = works["start_ns"].to_numpy(), works["dur_ns"].to_numpy()
        self.end = self.start + self.dur
        launch = works["launch"].fill_null(-1).to_numpy()
        row = rows_of(places[0], launch)
        self.call: Ints = np.where(row >= 0, places[1][row], -1) if len(row) else row
        self.linked: Bools = self.call >= 0
        ids = whole.launches["id"].to_numpy()
        codes = whole.launches["kind"].replace_strict(
            {kind: i for i, kind in enumerate(KINDS)}, return_dtype=pl.Int64
        )
        at = rows_of(ids, launch)
        self.kind: Ints = np.where(self.linked, codes.to_numpy()[at], -1) if len(ids) else at
        is_first = np.ones(len(lane), np.bool_)
        is_first[1:] = lane[1:] != lane[:-1]
        self.head: Bools = is_first.copy()
        self.head[1:] |= launch[1:] != launch[:-1]
        self.head |= ~self.linked
        self.before = np.where(is_first, NEVER, np.roll(self.end, 1)) if len(lane) else self.end
        if len(calls):
            self.began, self.returned = (
                np.where(self.linked, calls[c].to_numpy()[self.call], NEVER)
                for c in ("start_ns", "end_ns")
            )
        else:
            self.began = self.returned = np.full(len(lane), NEVER)
        self.launched = self.began.copy()  # when all up to each work of a lane had been launched
        for low, high in zip(self.first_work[:-1], self.first_work[1:], strict=True):
            np.maximum.accumulate(self.launched[low:high], out=self.launched[low:high])
        pids = works.join(
            whole.launches.select("pid", launch="id"), on="launch", how="left", suffix="_launch",
            maintain_order="left",
        )["pid_launch"].fill_null(-1).to_numpy()  # fmt: skip
        self.lane_pids = [
            set(np.unique(pids[low:high]).tolist())
            for low, high in zip(self.first_work[:-1], self.first_work[1:], strict=True)
        ]
        self.counts: dict[str, int] = {"unlinked": int((~self.linked).sum())}
        self._set_latencies()
        self._set_gaps(works["kind"].eq("kernel").to_numpy(), is_first)
        self._set_dependencies(lane)

    def _set_latencies(self) -> None:
        """The way from each launch's point to its work, by the median way of its kind.

        A work starts a nearly fixed time after its launch call's return. Where it starts before
        that (a graph, a copy that blocks, a call that was interrupted behind its doorbell), the
        call's start is the point that is known.
        """
        way_end, way_start = self.start - self.returned, self.start - self.began
        heads = self.head & self.linked
        free = heads & (self.before <= self.began)
        usual = {}
        for code, kind in enumerate(KINDS):
            usual[kind] = _usual(way_end, heads & (self.kind == code), free)
        fallback = usual["kernel"] or 0
        self.latencies = {k: fallback if v is None else v for k, v in usual.items()}
        from_end = np.array([*self.latencies.values(), 0])[self.kind]
        early = heads & (way_end < from_end - SLACK_NS)
        late = np.array([_late(way_start, early & (self.kind == c), free) for c in range(5)])
        self.point = np.where(early, 2 * self.call, 2 * self.call + 1)
        self.latency = np.where(early, late[self.kind], from_end)
        self.expected = np.where(early, self.began, self.returned) + self.latency
        inside = self.linked & ~self.head
        self.latency[inside] = self.expected[inside] = NEVER
        self.counts["launched_early"] = int(early.sum())

    def _set_gaps(self, is_kernel: Bools, is_first: Bools) -> None:
        """The way from each work to the next of its lane, by the mean way of its class."""
        gap = np.where(is_first, 0, self.start - self.before)
        queued = ~is_first & (self.before > self.expected + SLACK_NS)
        both = is_kernel & np.roll(is_kernel, 1)
        group = 2 * self.head + both
        self.gap = np.zeros(len(gap), np.int64)
        for code in range(4):
            here = (group == code) & self.linked
            found = gap[here & queued & (gap >= 0)]
            if len(found):
                usual = found[found <= OUTLYING * np.median(found) + SLACK_NS]
                self.gap[here] = round(float(usual.mean()))
        overlaps = ~is_first & (gap < 0)
        self.gap = np.where(overlaps, gap, self.gap)
        self.gap[is_first] = 0
        # What was launched outside the recording started when it did.
        free = ~self.linked
        self.gap = np.where(free, np.minimum(self.gap, gap), self.gap)
        self.latency = np.where(free, self.start, self.latency)
        self.expected = np.where(free, self.start, self.expected)
        self.counts["overlapping"] = int(overlaps.sum())

    def _set_dependencies(self, lane: Ints) -> None:
        """Works that started late, right after the end of a work of another lane."""
        due = np.maximum(self.expected, self.before + self.gap)
        late = np.flatnonzero((self.start > due + 2 * SLACK_NS) & self.linked)
        self.after = np.full(len(self.start), -1, np.int64)
        latest = np.full(len(late), NEVER)
        pairs = zip(self.first_work[:-1], self.first_work[1:], strict=True)
        for other, (low, high) in enumerate(pairs):
            if len(self.lanes) == 1 or not len(late):
                break
            reach = np.maximum.accumulate(self.end[low:high])
            place = np.searchsorted(reach, self.start[late] + SLACK_NS, side="right") - 1
            at = low + np.maximum(place, 0)
            near = (self.start[late] - self.end[at]) <= DEPENDENCY_NS
            fits = (place >= 0) & near & (lane[late] != other)
            fits &= (self.launched[at] < self.began[late]) & (self.end[at] > latest)
            self.after[late[fits]] = at[fits]
            latest[fits] = self.end[at][fits]
        found = self.after >= 0
        self.after_ns = round(float(np.median((self.start - self.end[self.after])[found]))) if found.any() else 0
        self.counts["dependencies_inferred"] = int(found.sum())
        self.counts["late_unexplained"] = len(late) - int(found.sum())


def _usual(way: Ints, here: Bools, free: Bools) -> int | None:
    """The median way from the return of a launch to its work, with nothing in between."""
    found = way[here & free & (way > 0)]
    if len(found):
        return round(float(np.median(found)))
    found = way[here & (way > 0)]
    return int(found.min()) if len(found) else None


def _late(way: Ints, here: Bools, free: Bools) -> int:
    """The same from the start of the launch, for works that start before it returns."""
    found = way[here & free] if (here & free).any() else way[here]
    return round(float(np.median(found))) if len(found) else 0
