"""Events as columns, one part of a file at a time, whichever reader made them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import Bytes
from skiptrace.read.times import to_ns

INT64 = (-(2**63), 2**63 - 1)

NUMBERS = (
    "pid",  # null where it is no number
    "tid",
    "start_ns",  # null where there is no usable time
    "dur_ns",  # null where there is none
    "correlation",
    "external_id",
    "device",
    "stream",
    "bytes",
)
"""Columns of integers."""
TEXTS = (
    "cat",
    "name",
    "sync_kind",
    "collective",
    "correlation_id",  # another writer's, as it is written
    "pid_name",  # what stands where a number should
    "tid_name",
)
"""Columns of text."""

FIELDS = (
    "correlation",
    "external_id",
    "device",
    "stream",
    "bytes",
    "sync_kind",
    "collective",
    "correlation_id",
)
"""Those that come from an event's arguments."""

ASKED_FOR = frozenset(("Input Dims", "Module Hierarchy", "[memory]", "grid"))
"""Arguments, and a name of events, for which a source may be read again."""

TIMED = ("X", "B", "E")
"""Phases that become rows: complete, begin, end."""

PHASES = frozenset("XBEMiInstfCbeNODRcSTFpPvV()aA")
"""Every phase of the Chrome trace format."""


Codes: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]
"""Places in a list of texts."""


@dataclass
class Part:
    """Some consecutive events of a file: those that span time as rows, the others counted."""

    events: int
    """How many events there are, of every kind."""
    ids: Ints
    """Per row the index of the event in the part, in order."""
    phase: Bytes
    """Per row its phase, one of `TIMED`, as a byte."""
    numbers: dict[str, tuple[Ints, Bools]] = field(default_factory=dict)
    """Column of `NUMBERS` -> values, and which rows have one; a column without any is left out."""
    codes: dict[str, Codes] = field(default_factory=dict)
    """Column of `TEXTS` -> places in `texts`, -1 where null; a column without any is left out."""
    texts: list[str] = field(default_factory=list)
    """Texts of the rows, few of them twice."""
    phases: Counter[str] = field(default_factory=Counter)
    """How many events are no rows, by phase."""
    unknown: tuple[int, int | None] = (0, None)
    """How many of a phase that is unknown or no text, and the index of the first."""
    threads: dict[tuple[int | str, int | str], str] = field(default_factory=dict)
    """(pid, tid) -> name, from metadata events."""
    processes: dict[int | str, str] = field(default_factory=dict)
    """pid -> name, from metadata events."""
    left_out: int = 0
    """How many events the caller did not want."""
    mentions: set[str] = field(default_factory=set)
    """Those of `ASKED_FOR` that its events have; maybe more, never less."""

    def keep(self, rows: Bools) -> None:
        """Drop all other rows."""
        self.ids, self.phase = self.ids[rows], self.phase[rows]
        self.numbers = {c: (v[rows], valid[rows]) for c, (v, valid) in self.numbers.items()}
        self.codes = {column: codes[rows] for column, codes in self.codes.items()}

    def among(self, kept: Ints, events: int) -> Part:
        """The part as one of `events` events, of which it has those that are kept."""
        self.ids = kept[self.ids]
        self.left_out += events - self.events
        self.events = events
        count, first = self.unknown
        self.unknown = count, None if first is None else int(kept[first])
        return self

    def put_text(self, column: str, codes: Ints, texts: Iterable[str]) -> None:
        """Add a column whose codes are places in `texts`."""
        self.codes[column] = np.where(codes >= 0, codes + len(self.texts), -1).astype(np.int32)
        self.texts.extend(texts)


def from_decoded(events: list[Any]) -> Part:
    """A part from decoded events, of any types: what is no object or number is counted."""
    phases = [e.get("ph") if type(e) is dict else None for e in events]
    rows = [i for i, ph in enumerate(phases) if ph in TIMED]
    strange = [i for i, ph in enumerate(phases) if not isinstance(ph, str) or ph not in PHASES]
    part = _rows([events[i] for i in rows], rows, len(events))
    part.phases = Counter(ph if isinstance(ph, str) else "none" for ph in phases if ph not in TIMED)
    part.unknown = (len(strange), strange[0] if strange else None)
    part.mentions = mentioned_by(events)
    for i, ph in enumerate(phases):
        args = events[i].get("args") if ph == "M" else None
        if isinstance(args, dict) and isinstance(args.get("name"), str):
            _name(part, events[i], args["name"])
    return part


def _name(part: Part, event: dict[str, Any], name: str) -> None:
    """Take up the name that a metadata event gives a thread or process."""
    what, pid, tid = (event.get(key) for key in ("name", "pid", "tid"))
    if what == "thread_name" and isinstance(pid, (int, str)) and isinstance(tid, (int, str)):
        part.threads[pid, tid] = name
    elif what == "process_name" and isinstance(pid, (int, str)):
        part.processes[pid] = name


def mentioned_by(events: Iterable[Any]) -> set[str]:
    """Those of `ASKED_FOR` that decoded events have as an argument or a name."""
    found: set[str] = set()
    for event in events:
        if type(event) is dict:
            args, name = event.get("args"), event.get("name")
            if type(args) is dict and not ASKED_FOR.isdisjoint(args):
                found |= ASKED_FOR.intersection(args)
            if type(name) is str and name in ASKED_FOR:
                found.add(name)
    return found


def _rows(picked: list[dict[str, Any]], rows: list[int], events: int) -> Part:
    args = [a if type(a := e.get("args")) is dict else {} for e in picked]
    phase = np.array([ord(e["ph"]) for e in picked], np.uint8)
    part = Part(events, np.array(rows, np.int64), phase)
    for what in ("pid", "tid"):
        _put_number_or_name(part, what, [e.get(what) for e in picked])
    for column, key in (("start_ns", "ts"), ("dur_ns", "dur")):
        part.numbers[column] = to_ns([e.get(key) for e in picked])
    _put_ints(part, "correlation", [a.get("correlation") for a in args])
    _put_ints(
        part,
        "external_id",
        [v if (v := a.get("External id")) is not None else a.get("external id") for a in args],
    )
    for key in ("device", "stream", "bytes"):
        _put_ints(part, key, [a.get(key) for a in args])
    for key in ("cat", "name"):
        _put_texts(part, key, [e.get(key) for e in picked])
    _put_texts(part, "sync_kind", [a.get("cuda_sync_kind") for a in args])
    _put_texts(part, "collective", [a.get("Collective name") for a in args])
    _put_texts(part, "correlation_id", [a.get("correlation_id") for a in args])
    return part


def _put_texts(part: Part, column: str, values: list[Any]) -> None:
    number: dict[str, int] = {}
    texts = [v if type(v) is str else _as_text(v) for v in values]
    codes = [-1 if text is None else number.setdefault(text, len(number)) for text in texts]
    if number:
        part.put_text(column, np.array(codes, np.int64), [_as_text(t) or "" for t in number])


def _as_text(value: object) -> str | None:
    """What stands where a text should, as JSON."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (RecursionError, TypeError, ValueError):  # nested too deeply, or no JSON
            value = f"<{type(value).__name__}>"
    # Half of a surrogate pair is no text.
    return (
        value
        if not value or value.isascii()
        else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _put_ints(part: Part, column: str, values: list[Any]) -> list[int | None]:
    numbers = [v if type(v) is int and INT64[0] <= v <= INT64[1] else as_int(v) for v in values]
    valid = np.array([n is not None for n in numbers], np.bool_)
    if valid.any():
        filled = np.array([0 if n is None else n for n in numbers], np.int64)
        part.numbers[column] = filled, valid
    return numbers


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


def _put_number_or_name(part: Part, what: str, values: list[Any]) -> None:
    numbers = _put_ints(part, what, values)
    names = [None if n is not None else shown(v) for n, v in zip(numbers, values, strict=True)]
    _put_texts(part, f"{what}_name", names)


def merged(part: Part, other: Part, places: Ints) -> Part:
    """A part with others of its events, that are no rows of it yet.

    Parameters
    ----------
    part, other
        The part, and those other events.
    places
        Which of the part's events each of them is.
    """
    ids = np.concatenate((part.ids, places[other.ids]))
    order = np.argsort(ids, kind="stable")
    phase = np.concatenate((part.phase, other.phase))[order]
    result = Part(part.events, ids[order], phase, texts=part.texts + other.texts)
    for column in part.numbers | other.numbers:
        pairs = [p.numbers.get(column, _nothing(len(p.ids))) for p in (part, other)]
        values, valid = (np.concatenate(both)[order] for both in zip(*pairs, strict=True))
        result.numbers[column] = values, valid
    for column in part.codes | other.codes:
        mine, theirs = (
            p.codes.get(column, np.full(len(p.ids), -1, np.int32)) for p in (part, other)
        )
        theirs = np.where(theirs >= 0, theirs + len(part.texts), -1)
        result.codes[column] = np.concatenate((mine, theirs))[order]
    result.phases = part.phases + other.phases
    count, first = other.unknown
    result.unknown = count, None if first is None else int(places[first])
    result.threads = part.threads | other.threads
    result.mentions = part.mentions | other.mentions
    result.processes = part.processes | other.processes
    return result


def _nothing(count: int) -> tuple[Ints, Bools]:
    return np.zeros(count, np.int64), np.zeros(count, np.bool_)


def shown(value: object) -> str:
    """A value of any kind as text, however deeply it is nested."""
    try:
        return value if isinstance(value, str) else repr(value)
    except (RecursionError, ValueError):
        return f"<{type(value).__name__}>"
