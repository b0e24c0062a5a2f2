"""The works of a recording by lane (a device's stream), and what other lanes they waited for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import rows_of
from skiptrace.model import categories as cats
from skiptrace.model.schema.column import KINDS
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import NEVER

SLACK_NS = 1_000
"""By this much the clocks of host and device may disagree."""
NEAR_NS = 10_000
"""A late work waited for one of another lane that ended at most this long before."""
GRAPH_GAP_NS = 1_000_000
"""Works of one launch further apart than this are no graph: the launch's id was used again."""


class Lanes:
    """What was recorded of each work, in the order of device, stream and start."""

    def __init__(self, whole: Whole, calls: pl.DataFrame, places: tuple[Ints, Ints]) -> None:
        works = whole.work.sort("device", "stream", "start_ns", "id")
        self.works = works
        of_work = works.select(pl.struct("device", "stream").rle_id()).to_series().to_numpy()
        self.lane: Ints = of_work.astype(np.int64)
        names = works.select("device", "stream").unique(maintain_order=True)
        self.names = tuple((int(d), int(s)) for d, s in names.rows())
        self.first_work: Ints = np.searchsorted(self.lane, np.arange(len(names) + 1))
        bounds = self.first_work.tolist()
        self.parts = [slice(a, b) for a, b in pairwise(bounds)]
        self.start: Ints = works["start_ns"].to_numpy()
        self.dur: Ints = works["dur_ns"].to_numpy()
        self.end: Ints = self.start + self.dur
        self.is_first = np.diff(self.lane, prepend=-1) != 0
        self.before: Ints = np.where(self.is_first, NEVER, np.roll(self.end, 1))
        self._set_launches(whole, works, calls, places)
        self.reach, self.launched = self.end.copy(), self.began.copy()
        for part in self.parts:
            np.maximum.accumulate(self.reach[part], out=self.reach[part])
            np.maximum.accumulate(self.launched[part], out=self.launched[part])

    def _set_launches(
        self, whole: Whole, works: pl.DataFrame, calls: pl.DataFrame, places: tuple[Ints, Ints]
    ) -> None:
        launch = works["launch"].fill_null(-1).to_numpy()
        row = rows_of(pl.Series(places[0]), works["launch"])
        self.call: Ints = np.where(row >= 0, places[1][row], -1) if len(places[1]) else row
        """Row of the call that launched it, -1 where that is not recorded."""
        self.linked: Bools = self.call >= 0
        changed = np.diff(launch, prepend=-2) != 0
        self.head: Bools = self.is_first | changed | ~self.linked
        """Whether it is the first of its launch, in a row of works of the same launch."""
        at = rows_of(whole.launches["id"], works["launch"])
        facts = whole.launches.select(
            pl.col("kind").replace_strict(
                dict(zip(KINDS, range(4), strict=True)), return_dtype=pl.Int64
            ),
            "pid",
            pl.col("found_idle").fill_null(value=False),
        )
        none = np.full(len(launch), -1)
        linked = at >= 0
        self.kind: Ints = np.where(linked, facts["kind"].to_numpy()[at], -1) if len(facts) else none
        self.found_idle: Bools = (
            linked & facts["found_idle"].to_numpy()[at] if len(facts) else linked
        )
        pids = np.where(linked, facts["pid"].to_numpy()[at], -1) if len(facts) else none
        self.pids = [set(np.unique(pids[part]).tolist()) for part in self.parts]
        """Processes that launched each lane's works; -1 where that is not recorded."""
        never = np.full(len(launch), NEVER)
        times = [calls[c].to_numpy() for c in ("start_ns", "end_ns")]
        self.began, self.returned = (
            np.where(self.linked, t[self.call], NEVER) if len(t) else never for t in times
        )


def told_to_wait(whole: Whole, calls: pl.DataFrame, lanes: Lanes) -> tuple[Ints, int]:
    """The work of another lane that each was told to wait for, or -1; and how many are recorded.

    A call that tells a stream to wait is for the next work that its thread launches, or where a
    record of it names the stream, for the next of that stream. Which event it waits for is not
    known; taken is, of the last works launched before the call on each other lane, that which
    ended last.
    """
    after = np.full(len(lanes.start), -1, np.int64)
    told = calls.with_row_index("row").filter(pl.col("name").str.contains(cats.STREAM_WAITS))
    if told.is_empty() or len(lanes.names) < 2:
        return after, 0
    records = whole.syncs.filter(
        pl.col("correlation").is_not_null()
        & pl.col("sync_kind").str.contains(cats.STREAM_WAIT_RECORD)
    ).unique("correlation", keep="first")
    told = told.join(
        records.select("correlation", "device", "stream", recorded="id"),
        on="correlation", how="left", maintain_order="left",
    )  # fmt: skip
    row, when = told["row"].to_numpy().astype(np.int64), told["start_ns"].to_numpy()
    heads = np.flatnonzero(lanes.head & lanes.linked)
    heads = heads[np.argsort(lanes.call[heads], kind="stable")]
    next_head = np.searchsorted(lanes.call[heads], row)
    work = np.append(heads, -1)[next_head]
    thread = calls.select(pl.struct("pid", "tid").rle_id()).to_series().to_numpy()
    work = np.where(thread[lanes.call[work]] == thread[row], work, -1)
    for part, name in zip(lanes.parts, lanes.names, strict=True):
        here = told.select((pl.col("device") == name[0]) & (pl.col("stream") == name[1]))
        mine = here.to_series().fill_null(value=False).to_numpy()
        place = part.start + np.searchsorted(lanes.launched[part], when, side="right")
        work = np.where(mine, np.where(place < part.stop, place, -1), work)
    fits = work >= 0
    _last_before(lanes, after, work[fits], when[fits])
    return after, int(told["recorded"].count())


def found_late(lanes: Lanes, after: Ints, late: Ints) -> None:
    """Set what late works waited for, where a work of another lane had ended just before."""
    _last_before(lanes, after, late, lanes.began[late], near=NEAR_NS)


def _last_before(
    lanes: Lanes, after: Ints, work: Ints, when: Ints, near: int | None = None
) -> None:
    """Set `after` of works to the latest work of another lane launched by then and ended before."""
    latest = np.full(len(work), NEVER)
    best = np.full(len(work), -1, np.int64)
    for lane, part in enumerate(lanes.parts):
        launched = np.searchsorted(lanes.launched[part], when, side="left")
        ended = np.searchsorted(lanes.reach[part], lanes.start[work] + SLACK_NS, side="right")
        count = np.minimum(launched, ended)
        at = part.start + np.maximum(count - 1, 0)
        fits = (count > 0) & (lanes.lane[work] != lane) & (lanes.end[at] > latest)
        if near is not None:
            fits &= lanes.start[work] - lanes.end[at] <= near
        best, latest = np.where(fits, at, best), np.where(fits, lanes.end[at], latest)
    keep = best >= 0
    # Of several waits before one work: the one that ended last.
    order = np.argsort(latest[keep], kind="stable")
    after[work[keep][order]] = best[keep][order]
