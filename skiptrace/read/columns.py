"""Parts of a file put together: one typed frame, one row an event that has a duration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.read.pairs import match_pairs
from skiptrace.read.rows import FIELDS, INT64, Part

_USUAL_NAMES = ("", "Spans", "Traces", "PyTorch Profiler", "Trace PyTorch Profiler")
"""Names that Kineto itself puts where a number stands: not worth a note."""


@dataclass
class RawEvents:
    """What was read: the frame, and a count of all that did not become a row of it."""

    frame: pl.DataFrame
    """``id`` (index in the file), ``cat``, ``name``, ``pid``, ``tid``, ``start_ns``, ``dur_ns``,
    ``correlation``, ``external_id``, ``device``, ``stream``, ``sync_kind``, ``collective``."""
    threads: dict[tuple[int | str, int | str], str]
    """(pid, tid) -> name, from metadata events."""
    events: int
    """Events in the file, of whatever kind."""
    found: dict[str, Found] = field(default_factory=dict)
    """Oddities by health kind."""
    not_rows: Counter[str] = field(default_factory=Counter)
    """Events that have no duration, by phase."""


@dataclass
class Found:
    """How often an oddity occurred and where first."""

    count: int
    example: int | None


def assemble(parts: Sequence[Part]) -> RawEvents:
    """One frame of the parts' events, with all oddities counted."""
    raw = RawEvents(pl.DataFrame(), {}, 0)
    frames = []
    for part in parts:
        frames.append(part.frame.with_columns(pl.col("id") + raw.events))
        raw.threads |= part.threads
        raw.not_rows += part.phases
        count, first = part.unknown
        if first is not None:
            known = raw.found.setdefault("unknown_phase", Found(0, raw.events + first))
            known.count += count
        raw.events += part.events
    frame = pl.concat(frames)
    frame = _numbered(raw, _numbered(raw, frame, "pid"), "tid")
    raw.frame = _timed(raw, frame)
    if raw.frame["ph"].is_in(["B", "E"]).any():
        raw.frame = _paired(raw)
    raw.frame = raw.frame.drop("ph")
    return raw


def _numbered(raw: RawEvents, frame: pl.DataFrame, what: str) -> pl.DataFrame:
    """Give each name that stands for a process or thread id a negative number of its own."""
    named = frame.filter(pl.col(what).is_null())
    if named.is_empty():
        return frame.drop(f"{what}_name")
    label = pl.col(f"{what}_name").fill_null("None")
    names = named.select(label).to_series().unique(maintain_order=True)
    low = min(int(frame[what].min() or 0), 0)  # type: ignore[arg-type]
    below = max(low, INT64[0] + len(names)) - 1
    numbers = {name: below - i for i, name in enumerate(names)}
    odd = named.filter(~label.is_in(_USUAL_NAMES))
    _note(raw, f"named_{what}", odd["id"].to_numpy())
    number = pl.when(pl.col(what).is_null()).then(
        label.replace_strict(numbers, default=None, return_dtype=pl.Int64)
    )
    return frame.with_columns(number.otherwise(what).alias(what)).drop(f"{what}_name")


def _timed(raw: RawEvents, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with a place on the axis; durations 0 where missing or negative."""
    start, dur = pl.col("start_ns"), pl.col("dur_ns")
    complete = (pl.col("ph") == "X") & start.is_not_null()
    # An end beyond int64 has no place on the axis either.
    fits = (start <= INT64[1] - pl.max_horizontal(dur.fill_null(0), 0)).fill_null(value=False)
    for kind, where in (
        ("unparsed_time", ~fits),
        ("missing_duration", complete & dur.is_null()),
        ("negative_duration", complete & (dur < 0)),
    ):
        _note(raw, kind, frame.filter(where)["id"].to_numpy())
    return frame.filter(fits).with_columns(dur_ns=pl.max_horizontal(dur.fill_null(0), 0))


def _paired(raw: RawEvents) -> pl.DataFrame:
    """Replace begin/end events by one row a pair: the begin's, with the duration."""
    frame = raw.frame
    half = frame.filter(pl.col("ph") != "X")
    thread = half.select(pl.struct("pid", "tid").rank("dense")).to_series().to_numpy()
    times = half["start_ns"].to_numpy()
    begin, end, stray = match_pairs(thread.astype(np.int64), times, (half["ph"] == "B").to_numpy())
    ids = half["id"].to_numpy()
    # Its end is unknown but later than all that was recorded: it is still open there.
    last = int((frame["start_ns"] + frame["dur_ns"]).max())  # type: ignore[arg-type]
    until = np.where(end >= 0, times[end], last)
    _note(raw, "unclosed_begin", ids[begin[end < 0]])
    if stray:
        ended = np.setdiff1d(np.flatnonzero((half["ph"] == "E").to_numpy()), end[end >= 0])
        _note(raw, "stray_end", ids[ended])
    pairs = half[begin].with_columns(pl.Series("dur_ns", until - times[begin]))
    # A begin's fields, and those that only its end has.
    closing = half[np.maximum(end, 0)].select(FIELDS)
    closed = pl.Series(end >= 0)
    pairs = pairs.with_columns(
        pl.coalesce(c, pl.when(closed).then(closing[c])).alias(c) for c in FIELDS
    )
    return pl.concat([frame.filter(pl.col("ph") == "X"), pairs]).sort("id")


def _note(raw: RawEvents, kind: str, ids: Ints) -> None:
    if len(ids):
        raw.found[kind] = Found(len(ids), int(ids.min()))
