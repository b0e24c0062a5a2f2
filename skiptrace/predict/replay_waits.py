"""Which calls wait, and for what: how many works of which lanes have to have ended."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.model import categories as cats
from skiptrace.model.trace import Whole
from skiptrace.predict.replay import NEVER, Wait
from skiptrace.predict.replay_lanes import SLACK_NS, Lanes

OF_STREAM = r"(?i)stream|queue"
OF_EVENT = r"(?i)event|fence"
"""What a wait is for, by its record or the name of its call; all others are for the device."""
IMPLICIT = r"^(?:cuda|hip)Free$|^(?:cu|hip)MemFree"
"""Waits for the device without saying so in its name."""
QUEUE = 1_000
"""A launch queue holds at least this many launches (CUDA: 1024, its own markers among them)."""
BLOCKED = 5
"""A launch call of this many medians, with a full queue before it, waited for room in the queue."""


def find_waits(
    whole: Whole, calls: pl.DataFrame, lanes: Lanes
) -> tuple[list[Wait], Ints, dict[str, int]]:
    """Every call that waits: what for; its own time once that has ended; what was inferred.

    Parameters
    ----------
    whole
        The recording.
    calls
        Its calls inside no other, by thread.
    lanes
        Its works by lane.
    """
    start, end = calls["start_ns"].to_numpy(), calls["end_ns"].to_numpy()
    until = np.zeros((len(calls), len(lanes.names)), np.int64)
    counts = _asked(whole, calls, lanes, until) if lanes.names else {}
    counts["blocking_copies"] = _blocking(whole, calls, lanes, until)
    counts["queue_full"] = _full(start, end, lanes, until)
    rows = np.flatnonzero((until > 0).any(axis=1))
    release = np.full(len(rows), NEVER)
    for lane, part in enumerate(lanes.parts):
        reach, here = lanes.reach[part], until[rows, lane]
        release = np.maximum(release, np.where(here > 0, reach[np.maximum(here - 1, 0)], NEVER))
    own = end[rows] - np.maximum(start[rows], np.minimum(release, end[rows]))
    base = lanes.first_work.tolist()
    waits: list[Wait] = [
        (2 * row + 1, tuple((lane, base[lane] + n) for lane, n in enumerate(targets) if n), ())
        for row, targets in zip(rows.tolist(), until[rows].tolist(), strict=True)
    ]
    return waits, own, counts


def _asked(whole: Whole, calls: pl.DataFrame, lanes: Lanes, until: Ints) -> dict[str, int]:
    """Calls that wait by what they are: for a stream, an event or the whole device."""
    name = pl.col("name")
    records = (
        whole.syncs.filter(pl.col("correlation").is_not_null())
        .unique("correlation", keep="first")
        .select("correlation", "sync_kind", "device", "stream")
    )
    asked = (
        calls.with_row_index("row")
        .filter(name.str.contains(cats.WAITS) | name.str.contains(IMPLICIT))
        .join(records, on="correlation", how="left", maintain_order="left")
        .with_columns(what=pl.coalesce("sync_kind", "name"))
    )
    row = asked["row"].to_numpy().astype(np.int64)
    start, end = asked["start_ns"].to_numpy(), asked["end_ns"].to_numpy()
    of_event = asked["what"].str.contains(OF_EVENT).to_numpy()
    of_stream = asked["what"].str.contains(OF_STREAM).to_numpy() & ~of_event
    pid = asked["pid"].to_numpy()
    shape = (len(row), len(lanes.names))
    ended, issued, count = np.full(shape, NEVER), np.full(shape, NEVER), np.zeros(shape, np.int64)
    complete, recorded = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for lane, (part, where) in enumerate(zip(lanes.parts, lanes.names, strict=True)):
        known = np.isin(pid, list(lanes.pids[lane])) | (-1 in lanes.pids[lane])
        reach = lanes.reach[part]
        given = np.where(known, np.searchsorted(lanes.launched[part], start, side="left"), 0)
        n = np.minimum(given, np.searchsorted(reach, end + SLACK_NS, side="right"))
        last = np.maximum(n - 1, 0)
        count[:, lane], complete[:, lane] = n, n == given
        ended[:, lane] = np.where(n > 0, reach[last], NEVER)
        issued[:, lane] = np.where(n > 0, lanes.launched[part][last], NEVER)
        of_lane = (pl.col("device") == where[0]) & (pl.col("stream") == where[1])
        recorded[:, lane] = asked.select(of_lane.fill_null(value=False)).to_series().to_numpy()
    # Of a stream: the one recorded, else of those that had nothing left the one that ended last,
    # or, where all had ended before, that last used. Of an event: the work that ended last.
    waited = ended > start[:, None]
    score = np.where(complete | of_event[:, None], np.where(waited, ended, issued), NEVER)
    best = np.argmax(np.where(recorded, np.iinfo(np.int64).max, score), axis=1)
    chosen = np.arange(shape[1]) == best[:, None]
    chosen &= ~of_event[:, None] | waited
    chosen |= ~(of_stream | of_event)[:, None]
    until[row] = np.where(chosen, count, 0)
    exact = int(asked["sync_kind"].count())
    return {"waits_recorded": exact, "waits_inferred": len(asked) - exact}


def _blocking(whole: Whole, calls: pl.DataFrame, lanes: Lanes, until: Ints) -> int:
    """Copies that returned only after their work had ended."""
    copies = calls.with_row_index("row").join(
        whole.launches.filter(pl.col("kind") == "memcpy").select("id"), on="id", how="semi"
    )
    is_copy = np.zeros(len(calls), np.bool_)
    is_copy[copies["row"].to_numpy().astype(np.int64)] = True
    end = calls["end_ns"].to_numpy()
    found = 0
    for lane, part in enumerate(lanes.parts):
        call = lanes.call[part]
        if not len(calls):
            break
        at = np.flatnonzero((call >= 0) & is_copy[call] & (end[call] >= lanes.end[part]))
        until[call[at], lane] = at + 1
        found += len(at)
    return found


def _full(start: Ints, end: Ints, lanes: Lanes, until: Ints) -> int:
    """Launches that found the queue full: they return when one work more has started."""
    found = 0
    for lane, part in enumerate(lanes.parts):
        call = lanes.call[part]
        heads = np.flatnonzero((call >= 0) & (np.diff(call, prepend=-1) != 0))
        row = call[heads]
        begun = np.sort(lanes.start[part][heads])
        depth = np.arange(len(heads)) - np.searchsorted(begun, start[row])
        if not len(heads) or depth.max() < QUEUE:
            continue
        took = end[row] - start[row]
        full = np.flatnonzero((depth >= QUEUE) & (took > BLOCKED * np.median(took)))
        # The work before the last one that had started by then: its end let that one start.
        place = np.searchsorted(begun, end[row[full]] + SLACK_NS, side="right") - 1
        until[row[full], lane] = np.maximum(heads[np.maximum(place, 0)], 1)
        found += len(full)
    return found
