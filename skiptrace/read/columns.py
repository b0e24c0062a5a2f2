"""Parts of a file put together: columns of all events that have a duration, oddities counted."""

from __future__ import annotations

import mmap
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import link_to_row, nothing, where
from skiptrace.read.digits import Bytes
from skiptrace.read.pairs import match_pairs
from skiptrace.read.rows import FIELDS, INT64, NUMBERS, TIMED, Codes, Part

_USUAL_NAMES = ("", "Spans", "Traces", "PyTorch Profiler", "Trace PyTorch Profiler")
"""Names that Kineto itself puts where a number stands: not worth a note."""
_CAN_MOVE = sys.platform == "linux"
"""Whether memory can grow in place."""
_X, _B, _E = (ord(phase) for phase in TIMED)


@dataclass
class Found:
    """How often an oddity occurred and where first."""

    count: int
    example: int | None


@dataclass
class RawEvents:
    """What was read: a row an event with a duration, and a count of all that did not become one."""

    events: int
    """Events in the file, of whatever kind."""
    ids: Ints
    """Per row the index of the event in the file, in order."""
    numbers: dict[str, Ints]
    """Column of `NUMBERS` -> values; a column without any is left out."""
    null: dict[str, Bools]
    """Column of `NUMBERS` -> which rows have none; a column that every row has is left out."""
    codes: dict[str, Codes]
    """Column of `TEXTS` -> places in `texts`, -1 where null; a column without any is left out."""
    texts: pl.Series
    """The distinct texts."""
    threads: dict[tuple[int | str, int | str], str] = field(default_factory=dict)
    """(pid, tid) -> name, from metadata events."""
    processes: dict[int | str, str] = field(default_factory=dict)
    """pid -> name, from metadata events."""
    found: dict[str, Found] = field(default_factory=dict)
    """Oddities by health kind."""
    left_out: int = 0
    """Events that the caller did not want."""
    mentions: set[str] = field(default_factory=set)
    """Those of `ASKED_FOR` that the events have; maybe more, never less."""
    not_rows: Counter[str] = field(default_factory=Counter)
    """Events that have no duration, by phase."""

    def frame(self, columns: Iterable[str], rows: Ints | None = None) -> pl.DataFrame:
        """Some columns of some rows, ``id`` first."""
        every = slice(None) if rows is None else rows
        ids = self.ids[every]
        made = {"id": pl.Series(ids)}
        for column in columns:
            if column in NUMBERS:
                values = self.numbers.get(column)
                series = None if values is None else pl.Series(values[every])
                null = self.null.get(column)
                if series is not None and null is not None:
                    series = where(~null[every], series)
            else:
                codes = self.codes.get(column)
                series = None if codes is None else link_to_row(self.texts, codes[every])
            if series is None:
                dtype = pl.Int64() if column in NUMBERS else pl.String()
                series = nothing(len(ids), dtype)
            made[column] = series
        return pl.DataFrame(made)

    def note(self, kind: str, rows: Bools) -> None:
        """Count an oddity of some rows."""
        if rows.any():
            self.found[kind] = Found(int(rows.sum()), int(self.ids[rows].min()))

    def keep(self, rows: Bools | Ints) -> None:
        """Drop all other rows."""
        self.ids = self.ids[rows]
        for held in (self.numbers, self.null, self.codes):
            for column in held:
                held[column] = held[column][rows]  # type: ignore[assignment]


class Columns:
    """Parts as they come, in their order, put together at once: of each column only one copy."""

    def __init__(self) -> None:
        self.count = 0
        """How many parts there were."""
        self._raw = RawEvents(0, np.zeros(0, np.int64), {}, {}, {}, pl.Series(dtype=pl.String))
        self._rows = 0
        self._places: dict[str, int] = {}
        self._ids, self._phase = _Growing(np.int64), _Growing(np.uint8)
        self._numbers: dict[str, _Growing] = {}
        self._null: dict[str, _Growing] = {}
        self._codes: dict[str, _Growing] = {}

    def append(self, part: Part) -> None:
        """Take up the next part."""
        raw, rows = self._raw, slice(self._rows, self._rows + len(part.ids))
        self._ids.upto(rows.stop)[rows] = part.ids + raw.events
        self._phase.upto(rows.stop)[rows] = part.phase
        for column in dict.fromkeys((*self._numbers, *part.numbers)):
            values, valid = part.numbers.get(column, (None, np.zeros(len(part.ids), np.bool_)))
            if column not in self._numbers:
                self._numbers[column] = _Growing(np.int64)
                self._null[column] = _Growing(np.bool_)
                self._null[column].upto(rows.stop)[: rows.start] = True
            if values is not None:
                self._numbers[column].upto(rows.stop)[rows] = values
            if not valid.all():  # fresh memory is zero, and takes no room until it is written to
                self._null[column].upto(rows.stop)[rows] = ~valid
        # Of a text that stands nowhere the code is -1, which finds the last.
        places = [self._places.setdefault(text, len(self._places)) for text in part.texts]
        table = np.array([*places, -1], np.int32)
        for column in dict.fromkeys((*self._codes, *part.codes)):
            if column not in self._codes:
                self._codes[column] = _Growing(np.int32)
                self._codes[column].upto(rows.stop)[: rows.start] = -1
            codes = part.codes.get(column)
            self._codes[column].upto(rows.stop)[rows] = -1 if codes is None else table[codes]
        self._note(part)
        raw.events += part.events
        self._rows = rows.stop
        self.count += 1

    def _note(self, part: Part) -> None:
        raw = self._raw
        raw.threads |= part.threads
        raw.processes |= part.processes
        raw.not_rows += part.phases
        raw.left_out += part.left_out
        raw.mentions |= part.mentions
        count, first = part.unknown
        if first is not None:
            known = raw.found.setdefault("unknown_phase", Found(0, raw.events + first))
            known.count += count

    def assembled(self) -> RawEvents:
        """All events as columns, with all oddities counted; the parts are used up."""
        raw, count = self._raw, self._rows
        raw.texts = pl.Series(list(self._places), dtype=pl.String)
        raw.ids, phase = self._ids.upto(count)[:count], self._phase.upto(count)[:count]
        raw.numbers = {c: held.upto(count)[:count] for c, held in self._numbers.items()}
        null = {c: held.upto(count)[:count] for c, held in self._null.items()}
        raw.null = {column: rows for column, rows in null.items() if rows.any()}
        raw.codes = {c: held.upto(count)[:count] for c, held in self._codes.items()}
        for held in (self._numbers, self._null, self._codes):
            held.clear()
        del self._ids, self._phase
        for what in ("pid", "tid"):
            _number(raw, what)
        _time(raw, phase)
        return raw


class _Growing:
    """An array that grows in memory of its own, which goes back to the system with it."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._memory = _fresh(1 << 20)
        self._values = np.frombuffer(self._memory, self._dtype)

    def upto(self, count: int) -> np.ndarray[Any, Any]:
        """The array with room for so many values; keep it no longer than until the next call."""
        if count > len(self._values):
            size = max(count * self._dtype.itemsize, 2 * len(self._memory))
            if _CAN_MOVE:
                del self._values
                self._memory.resize(size)
                self._values = np.frombuffer(self._memory, self._dtype)
            else:
                memory = _fresh(size)
                values = np.frombuffer(memory, self._dtype)
                values[: len(self._values)] = self._values
                self._memory, self._values = memory, values
        return self._values


def _fresh(size: int) -> mmap.mmap:
    # Shared memory, which is the default, cannot grow.
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def _take(raw: RawEvents, column: str) -> tuple[Ints, Bools]:
    """A column's values, put there if missing, and which rows have none."""
    count = len(raw.ids)
    if column not in raw.numbers:
        raw.numbers[column] = np.zeros(count, np.int64)
        return raw.numbers[column], np.ones(count, np.bool_)
    return raw.numbers[column], raw.null.pop(column, np.zeros(count, np.bool_))


def _number(raw: RawEvents, what: str) -> None:
    """Give each name that stands for a process or thread id a negative number of its own."""
    names = raw.codes.pop(f"{what}_name", None)
    values, null = _take(raw, what)
    rows = np.flatnonzero(null)
    if not len(rows):
        return
    labels = np.full(len(rows), -1) if names is None else names[rows]
    distinct, first, code = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(distinct), np.int64)
    rank[np.argsort(first)] = np.arange(len(distinct))  # numbered as they occur
    low = min(int(values[~null].min(initial=0)), 0)
    values[rows] = max(low, INT64[0] + len(distinct)) - 1 - rank[code]
    usual = [label >= 0 and raw.texts[label] in _USUAL_NAMES for label in distinct.tolist()]
    null[rows] = ~np.array(usual)[code]
    raw.note(f"named_{what}", null)


def _time(raw: RawEvents, phase: Bytes) -> None:
    """Rows with a place on the axis; durations 0 where missing or negative; pairs made one."""
    start, no_start = _take(raw, "start_ns")
    dur, no_dur = _take(raw, "dur_ns")
    complete = (phase == _X) & ~no_start
    raw.note("missing_duration", complete & no_dur)
    raw.note("negative_duration", complete & ~no_dur & (dur < 0))
    dur[no_dur | (dur < 0)] = 0
    # An end beyond int64 has no place on the axis either.
    fits = ~no_start & (start <= INT64[1] - dur)
    raw.note("unparsed_time", ~fits)
    if not fits.all():
        raw.keep(fits)
        phase = phase[fits]
    if (phase != _X).any():
        _pair(raw, phase)


def _pair(raw: RawEvents, phase: Bytes) -> None:
    """Replace begin and end events by one row a pair: the begin's, with the duration."""
    half = np.flatnonzero(phase != _X)
    start, dur = raw.numbers["start_ns"], raw.numbers["dur_ns"]
    threads = np.stack((raw.numbers["pid"][half], raw.numbers["tid"][half]))
    _, thread = np.unique(threads, axis=1, return_inverse=True)
    begin, end, stray = match_pairs(thread.reshape(-1), start[half], phase[half] == _B)
    closed = end >= 0
    begins, ends = half[begin], half[np.maximum(end, 0)]
    # Its end is unknown but later than all that was recorded: it is still open there.
    last = int((start + dur).max())
    dur[begins] = np.where(closed, start[ends], last) - start[begins]
    odd = np.zeros(len(raw.ids), np.bool_)
    odd[begins[~closed]] = True
    raw.note("unclosed_begin", odd)
    if stray:
        odd = phase == _E
        odd[ends[closed]] = False
        raw.note("stray_end", odd)
    _complete(raw, begins[closed], ends[closed])
    raw.keep(phase != _E)


def _complete(raw: RawEvents, begins: Ints, ends: Ints) -> None:
    """Give begins the fields that only their ends have."""
    for column in FIELDS:
        if (null := raw.null.get(column)) is not None:
            lacking = null[begins]
            values = raw.numbers[column]
            values[begins[lacking]] = values[ends[lacking]]
            null[begins[lacking]] = null[ends[lacking]]
        if (codes := raw.codes.get(column)) is not None:
            codes[begins] = np.where(codes[begins] < 0, codes[ends], codes[begins])
