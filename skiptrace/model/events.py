"""Raw columns to one frame a role: operators, calls, work and the rest, each with what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import link_to_row, occurring, shared
from skiptrace.model import categories as cats
from skiptrace.read.columns import RawEvents
from skiptrace.read.rows import Codes

HOST = ("name", "start_ns", "dur_ns", "pid", "tid")
_CALL = (*HOST, "correlation", "external_id")
_NO_CODES = np.zeros(0, np.int32)


class NameCodes(NamedTuple):
    """Names as a reader numbered them, a code a row: to compare and sort codes is cheaper."""

    texts: pl.Series
    """What the codes are places in; -1 is null."""
    ops: Codes
    calls: Codes
    work: Codes


@dataclass
class Events:
    """The events of a recording by role, each frame in file order."""

    ops: pl.DataFrame
    annotations: pl.DataFrame
    python: pl.DataFrame
    named_steps: pl.DataFrame
    """Host events with the name of a step that are no annotations."""
    overhead: pl.DataFrame
    calls: pl.DataFrame
    """And ``correlation``, ``external_id``."""
    work: pl.DataFrame
    """And those, ``kind``, ``device``, ``stream``."""
    syncs: pl.DataFrame
    collectives: pl.Series
    """Ids of work that is a collective by its arguments."""
    span: tuple[int, int]
    """Start of the first event and end of the last; 0 where there is none."""
    duplicates: tuple[int, int | None]
    """Events equal to an earlier one in all columns: how many, and the first."""
    not_understood: tuple[int, int | None, list[str]]
    """Events of unknown categories: how many, the first, and the most frequent of them."""
    names: NameCodes | None = None
    """The names of operators, calls and work again, where they were numbered."""


def split_by_role(raw: RawEvents) -> Events:
    """Take the columns apart. They are used up: a trace holds its events once."""
    categories = _categories(raw)
    rows = _rows_by_role(raw, categories)
    host = {role: raw.frame(HOST, rows[role]) for role in cats.ON_HOST}
    work = raw.frame((*_CALL, "device", "stream", "bytes"), rows["work"]).with_columns(
        _kinds(raw, rows["work"], categories),
        device=pl.coalesce("device", "pid"),
        stream=pl.coalesce("stream", "tid"),
    )
    collective = raw.codes.get("collective")
    is_collective = rows["work"][:0] if collective is None else collective[rows["work"]] >= 0
    start, dur = raw.numbers["start_ns"], raw.numbers["dur_ns"]
    name = raw.codes.get("name")
    events = Events(
        ops=host["op"],
        annotations=host["annotation"],
        python=host["python"],
        named_steps=host["step"],
        overhead=host["overhead"],
        calls=raw.frame(_CALL, rows["call"]),
        work=work,
        syncs=raw.frame(("start_ns", "device", "stream", "correlation", "sync_kind"), rows["sync"]),
        collectives=work["id"].gather(np.flatnonzero(is_collective)),
        span=(int(start.min()), int((start + dur).max())) if len(start) else (0, 0),
        duplicates=_duplicates(raw),
        not_understood=_not_understood(raw, rows["not understood"]),
        names=None
        if name is None
        else NameCodes(raw.texts, *(name[rows[role]] for role in ("op", "call", "work"))),
    )
    for columns in (raw.numbers, raw.null, raw.codes):
        columns.clear()
    raw.ids = np.zeros(0, np.int64)
    return events


def _categories(raw: RawEvents) -> dict[int, str]:
    """The categories that occur, by their codes."""
    codes = occurring(raw.codes.get("cat", _NO_CODES), len(raw.texts))
    return {code: raw.texts[code] for code in codes.tolist()}


def _rows_by_role(raw: RawEvents, categories: dict[int, str]) -> dict[str, Ints]:
    """Role of `ROLES` -> the rows of it."""
    role_of = np.full(len(raw.texts) + 1, cats.ROLES.index("not understood"), np.uint8)
    may_be_step = np.ones(len(raw.texts) + 1, np.bool_)
    for code, category in categories.items():
        role_of[code] = cats.ROLES.index(cats.role(category))
        may_be_step[code] = cats.may_be_step(category)
    none = np.full(len(raw.ids), -1, np.int32)
    cat, name = raw.codes.get("cat", none), raw.codes.get("name", none)
    role = role_of[cat]
    is_step = np.append(raw.texts.str.contains(cats.STEP_NAME).to_numpy(), False)
    if is_step.any():
        role[is_step[name] & may_be_step[cat]] = cats.ROLES.index("step")
    return {name: np.flatnonzero(role == i) for i, name in enumerate(cats.ROLES)}


def _kinds(raw: RawEvents, rows: Ints, categories: dict[int, str]) -> pl.Series:
    """Kind of each work."""
    kinds = list(dict.fromkeys(cats.WORK_KINDS.values()))
    kind_of = np.full(len(raw.texts), -1)
    for code, category in categories.items():
        if category in cats.WORK_KINDS:
            kind_of[code] = kinds.index(cats.WORK_KINDS[category])
    kind = kind_of[raw.codes.get("cat", _NO_CODES)[rows]]
    return link_to_row(pl.Series("kind", kinds), kind)


def _not_understood(raw: RawEvents, rows: Ints) -> tuple[int, int | None, list[str]]:
    if not len(rows):
        return 0, None, []
    names = raw.frame(["cat"], rows)["cat"].fill_null("no category").value_counts(sort=True)
    frequent = [f"{name}: {count:,}" for name, count in names.head(8).iter_rows()]
    return len(rows), int(raw.ids[rows[0]]), frequent


def _duplicates(raw: RawEvents) -> tuple[int, int | None]:
    # Events stand nearly in the order of their starts: those are cheap to sort, and few are shared.
    rows = shared(raw.numbers["start_ns"])
    # Then by one number a row, since hashing every column of every event costs most.
    mixed = np.zeros(len(rows), np.uint64)
    for column in ("start_ns", "dur_ns", "tid"):
        mixed = (mixed ^ raw.numbers[column][rows].view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    rows = rows[shared(mixed)]
    if not len(rows):
        return 0, None
    content = [*raw.numbers, *raw.codes]
    alike = raw.frame(content, rows)
    again = alike.filter(~alike.select(pl.struct(content).is_first_distinct()).to_series())
    return len(again), again["id"][0] if len(again) else None
