"""Events as columns, one part of a file at a time, whichever reader made them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from skiptrace.read.times import to_ns

INT64 = (-(2**63), 2**63 - 1)

ROWS: dict[str, type[pl.DataType]] = {
    "id": pl.Int64,  # index of the event in its part
    "ph": pl.String,
    "cat": pl.String,
    "name": pl.String,
    "pid": pl.Int64,  # null where it is no number
    "tid": pl.Int64,
    "pid_name": pl.String,  # what stands there instead
    "tid_name": pl.String,
    "start_ns": pl.Int64,  # null where there is no usable time
    "dur_ns": pl.Int64,  # null where there is none
    "correlation": pl.Int64,
    "external_id": pl.Int64,
    "device": pl.Int64,
    "stream": pl.Int64,
    "sync_kind": pl.String,
    "collective": pl.String,
}
"""Columns of a part's frame."""

FIELDS = ("correlation", "external_id", "device", "stream", "sync_kind", "collective")
"""Those that come from an event's arguments."""

TIMED = ("X", "B", "E")
"""Phases that become rows: complete, begin, end."""

PHASES = frozenset("XBEMiInstfCbeNODRcSTFpPvV()aA")
"""Every phase of the Chrome trace format."""


@dataclass
class Part:
    """Some consecutive events of a file."""

    frame: pl.DataFrame
    """Those that span time; columns `ROWS`."""
    events: int
    """How many events there are, of every kind."""
    phases: Counter[str] = field(default_factory=Counter)
    """How many of the others, by phase."""
    unknown: tuple[int, int | None] = (0, None)
    """How many of a phase that is unknown or no text, and the index of the first."""
    threads: dict[tuple[int | str, int | str], str] = field(default_factory=dict)
    """(pid, tid) -> name, from metadata events."""


def from_decoded(events: list[Any]) -> Part:
    """A part from decoded events, of any types: what is no object or number is counted."""
    phases = [e.get("ph") if type(e) is dict else None for e in events]
    rows = [i for i, ph in enumerate(phases) if ph in TIMED]
    strange = [i for i, ph in enumerate(phases) if not isinstance(ph, str) or ph not in PHASES]
    part = Part(_frame([events[i] for i in rows], rows), len(events))
    part.phases = Counter(ph if isinstance(ph, str) else "none" for ph in phases if ph not in TIMED)
    part.unknown = (len(strange), strange[0] if strange else None)
    for i, ph in enumerate(phases):
        args = events[i].get("args") if ph == "M" else None
        if isinstance(args, dict) and events[i].get("name") == "thread_name":
            pid, tid = events[i].get("pid"), events[i].get("tid")
            known = isinstance(pid, (int, str)) and isinstance(tid, (int, str))
            if known and isinstance(args.get("name"), str):
                part.threads[pid, tid] = args["name"]
    return part


def _frame(picked: list[dict[str, Any]], rows: list[int]) -> pl.DataFrame:
    args = [a if type(a := e.get("args")) is dict else {} for e in picked]
    pid, pid_name = _numbers_and_names([e.get("pid") for e in picked])
    tid, tid_name = _numbers_and_names([e.get("tid") for e in picked])
    columns = {
        "id": np.array(rows, np.int64),
        "ph": _text([e["ph"] for e in picked]),
        "cat": _text([e.get("cat") for e in picked]),
        "name": _text([e.get("name") for e in picked]),
        "pid": pid,
        "tid": tid,
        "pid_name": pid_name,
        "tid_name": tid_name,
        "start_ns": _times([e.get("ts") for e in picked]),
        "dur_ns": _times([e.get("dur") for e in picked]),
        "correlation": _ints([a.get("correlation") for a in args]),
        "external_id": _ints(
            [v if (v := a.get("External id")) is not None else a.get("external id") for a in args]
        ),
        "device": _ints([a.get("device") for a in args]),
        "stream": _ints([a.get("stream") for a in args]),
        "sync_kind": _text([a.get("cuda_sync_kind") for a in args]),
        "collective": _text([a.get("Collective name") for a in args]),
    }
    return pl.DataFrame(columns, schema=ROWS)


def _times(values: list[Any]) -> pl.Series:
    return nullable(*to_ns(values))


def nullable(values: np.ndarray[Any, Any], valid: np.ndarray[Any, Any]) -> pl.Series:
    """A series that is null where not valid."""
    return pl.select(pl.when(pl.Series(valid)).then(pl.Series(values))).to_series()


def _text(values: list[Any]) -> pl.Series:
    try:
        return pl.Series(values, dtype=pl.String, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series([_as_text(v) for v in values], dtype=pl.String)


def _as_text(value: object) -> str | None:
    """What stands where a text should, as JSON, the way the fast reader writes it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (RecursionError, TypeError, ValueError):  # nested too deeply, or no JSON
            value = f"<{type(value).__name__}>"
    # Half of a surrogate pair is no text.
    return value and value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _ints(values: list[Any]) -> pl.Series:
    try:
        return pl.Series(values, dtype=pl.Int64, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series([as_int(v) for v in values], dtype=pl.Int64)


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


def _numbers_and_names(values: list[Any]) -> tuple[pl.Series, pl.Series]:
    numbers = _ints(values)
    if not numbers.null_count():
        return numbers, pl.repeat(None, len(values), dtype=pl.String, eager=True)
    names = [
        None if n is not None else (_as_text(v) or "" if isinstance(v, str) else shown(v))
        for n, v in zip(numbers.to_list(), values, strict=True)
    ]
    return numbers, pl.Series(names, dtype=pl.String)


def shown(value: object) -> str:
    """A value of any kind as text, however deeply it is nested."""
    try:
        return value if isinstance(value, str) else repr(value)
    except (RecursionError, ValueError):
        return f"<{type(value).__name__}>"
