"""Decoded events to one typed frame, one row an event that has a duration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.read.decode import no_gc
from skiptrace.read.pairs import match_pairs
from skiptrace.read.times import to_ns

_FIELDS = ("correlation", "external_id", "device", "stream", "sync_kind", "collective")
INT64 = (-(2**63), 2**63 - 1)
_PHASES = {
    "X",
    "B",
    "E",
    "M",
    "i",
    "I",
    "n",
    "s",
    "t",
    "f",
    "C",
    "b",
    "e",
    "N",
    "O",
    "D",
    "R",
    "c",
    "S",
    "T",
    "F",
    "p",
    "P",
    "v",
    "V",
    "(",
    ")",
    "a",
    "A",
}


@dataclass
class RawEvents:
    """What was read: the frame, and a count of all that did not become a row of it."""

    frame: pl.DataFrame
    """``id`` (index in the file), ``cat``, ``name``, ``pid``, ``tid``, ``start_ns``, ``dur_ns``,
    ``correlation``, ``external_id``, ``device``, ``stream``, ``sync_kind``, ``collective``."""
    metadata: list[dict[str, Any]]
    """The ``M`` events."""
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


def read_events(events: list[Any]) -> RawEvents:
    """Typed columns of the events that span time: complete ones and matched begin/end pairs."""
    with no_gc():
        phases = [e.get("ph") if type(e) is dict else None for e in events]
        rows = [i for i, ph in enumerate(phases) if ph == "X" or ph == "B" or ph == "E"]  # noqa: PLR1714
        picked = [events[i] for i in rows]
        raw = RawEvents(
            pl.DataFrame(), [events[i] for i, ph in enumerate(phases) if ph == "M"], len(events)
        )
        raw.not_rows = Counter(
            ph if isinstance(ph, str) else "none" for ph in phases if ph not in ("X", "B", "E")
        )
        _note(
            raw,
            "unknown_phase",
            [i for i, ph in enumerate(phases) if not isinstance(ph, str) or ph not in _PHASES],
        )
        raw.frame = _columns(raw, picked, rows)
    if raw.frame["ph"].is_in(["B", "E"]).any():
        raw.frame = _pair(raw)
    raw.frame = raw.frame.drop("ph")
    return raw


def _columns(raw: RawEvents, picked: list[dict[str, Any]], rows: list[int]) -> pl.DataFrame:
    ids = np.array(rows, np.int64)
    start, placed = to_ns([e.get("ts") for e in picked])
    _note(raw, "unparsed_time", ids[~placed])
    dur, timed = to_ns([e.get("dur") for e in picked])
    args = [a if type(a := e.get("args")) is dict else {} for e in picked]
    frame = pl.DataFrame(
        {
            "id": ids,
            "ph": _text([e["ph"] for e in picked]),
            "cat": _text([e.get("cat") for e in picked]),
            "name": _text([e.get("name") for e in picked]),
            "pid": _ids(raw, "pid", [e.get("pid") for e in picked], ids),
            "tid": _ids(raw, "tid", [e.get("tid") for e in picked], ids),
            "start_ns": start,
            "dur_ns": dur,
            "correlation": _ints(_arg(args, "correlation")),
            "external_id": _ints(_arg(args, "External id", "external id")),
            "device": _ints(_arg(args, "device")),
            "stream": _ints(_arg(args, "stream")),
            "sync_kind": _text(_arg(args, "cuda_sync_kind")),
            "collective": _text(_arg(args, "Collective name")),
        }
    )
    complete = (frame["ph"] == "X").to_numpy()
    _note(raw, "missing_duration", ids[complete & ~timed & placed])
    _note(raw, "negative_duration", ids[complete & (dur < 0) & placed])
    # An end beyond int64 has no place on the axis.
    fits = start <= INT64[1] - np.maximum(dur, 0)
    _note(raw, "unparsed_time", ids[placed & ~fits])
    return frame.with_columns(pl.Series("dur_ns", np.where(timed, np.maximum(dur, 0), 0))).filter(
        pl.Series(placed & fits)
    )


def _arg(args: list[dict[str, Any]], key: str, other: str | None = None) -> list[Any]:
    if other is None:
        return [a.get(key) for a in args]
    return [a.get(key) if key in a else a.get(other) for a in args]


def _text(values: list[Any]) -> pl.Series:
    try:
        return pl.Series(values, dtype=pl.String, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _ints(values: list[Any], convert: Callable[[Any], int | None] | None = None) -> pl.Series:
    try:
        return pl.Series(values, dtype=pl.Int64, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series([(convert or as_int)(v) for v in values], dtype=pl.Int64)


def as_int(value: object) -> int | None:
    """An integer that fits 64 bits, from a number or its text; else None."""
    if type(value) is str:
        text = value.strip()
        # The legacy writer names a device's thread "stream 7".
        text = text.removeprefix("stream ").strip()
        value = int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and INT64[0] <= value <= INT64[1]:
        return value
    return None


def _ids(raw: RawEvents, what: str, values: list[Any], ids: Ints) -> pl.Series:
    """Process or thread ids as integers; a name ("Spans") gets a negative number of its own."""
    column = _ints(values)
    if not column.null_count():
        return column
    named = column.is_null().to_numpy()
    numbers: dict[Any, int] = {}
    low = int(column.min() or 0)  # type: ignore[arg-type]
    below = max(min(low, 0), INT64[0] + len(values)) - 1
    filled = column.to_list()
    odd = []
    for i in np.flatnonzero(named):
        key = values[i] if isinstance(values[i], (str, int, float)) else repr(values[i])
        filled[i] = numbers.setdefault(key, below - len(numbers))
        if key not in ("", "Spans", "Traces", "PyTorch Profiler"):
            odd.append(ids[i])
    _note(raw, f"named_{what}", odd)
    return pl.Series(filled, dtype=pl.Int64)


def _pair(raw: RawEvents) -> pl.DataFrame:
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
    closing = half[np.maximum(end, 0)].select(_FIELDS)
    closed = pl.Series(end >= 0)
    pairs = pairs.with_columns(
        pl.coalesce(c, pl.when(closed).then(closing[c])).alias(c) for c in _FIELDS
    )
    return pl.concat([frame.filter(pl.col("ph") == "X"), pairs]).sort("id")


def _note(raw: RawEvents, kind: str, where: Ints | list[int]) -> None:
    if len(where):
        known = raw.found.get(kind)
        example = int(min(where))
        raw.found[kind] = (
            Found(known.count + len(where), min(example, known.example or example))
            if known
            else Found(len(where), example)
        )
