"""Raw columns to one frame a role: operators, calls, work and the rest, each with what it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.model import categories as cats
from skiptrace.read.columns import RawEvents

HOST = ("name", "start_ns", "dur_ns", "pid", "tid")
_CALL = (*HOST, "correlation", "external_id")


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


def split_by_role(raw: RawEvents) -> Events:
    """Take the columns apart. They are used up: a trace holds its events once."""
    rows = _rows_by_role(raw)
    host = {role: raw.frame(HOST, rows[role]) for role in cats.ON_HOST}
    unknown = rows["not understood"]
    names = raw.frame(["cat"], unknown)["cat"].fill_null("no category").value_counts(sort=True)
    work = raw.frame((*_CALL, "device", "stream", "bytes"), rows["work"]).with_columns(
        _kinds(raw, rows["work"]),
        device=pl.coalesce("device", "pid"),
        stream=pl.coalesce("stream", "tid"),
    )
    collective = raw.codes.get("collective")
    is_collective = rows["work"][:0] if collective is None else collective[rows["work"]] >= 0
    start, dur = raw.numbers["start_ns"], raw.numbers["dur_ns"]
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
        not_understood=(
            len(unknown),
            _first(raw.ids[unknown]),
            [f"{name}: {count:,}" for name, count in names.head(8).iter_rows()],
        ),
    )
    for columns in (raw.numbers, raw.null, raw.codes):
        columns.clear()
    raw.ids = np.zeros(0, np.int64)
    return events


def _rows_by_role(raw: RawEvents) -> dict[str, Ints]:
    """Role of `ROLES` -> the rows of it."""
    table = raw.texts.to_frame("cat").select(
        role=cats.role().fill_null(cats.ROLES[0]).cast(pl.Enum(cats.ROLES)).to_physical(),
        may_be_step=cats.may_be_step(),
        is_step=pl.col("cat").str.contains(cats.STEP_NAME),
    )
    # A code of -1, no text, finds the last row.
    none = np.full(len(raw.ids), -1, np.int32)
    cat, name = raw.codes.get("cat", none), raw.codes.get("name", none)
    role = np.append(table["role"].to_numpy(), 0)[cat]
    steps = np.append(table["is_step"].to_numpy(), False)[name]
    if steps.any():
        steps &= np.append(table["may_be_step"].to_numpy(), True)[cat]
        role[steps] = cats.ROLES.index("step")
    return {name: np.flatnonzero(role == i) for i, name in enumerate(cats.ROLES)}


def _kinds(raw: RawEvents, rows: Ints) -> pl.Series:
    """Kind of each work."""
    kinds = raw.texts.replace_strict(cats.WORK_KINDS, default=None, return_dtype=pl.String)
    codes = raw.codes["cat"][rows] if len(rows) else rows
    return kinds.gather(codes).alias("kind")


def _duplicates(raw: RawEvents) -> tuple[int, int | None]:
    # First by one number a row, since hashing every column of every event costs most.
    mixed = np.zeros(len(raw.ids), np.uint64)
    for column in ("start_ns", "dur_ns", "tid"):
        mixed = (mixed ^ raw.numbers[column].view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    content = [*raw.numbers, *raw.codes]
    alike = raw.frame(content, np.flatnonzero(np.isin(mixed, twice, kind="sort")))
    again = alike.filter(~alike.select(pl.struct(content).is_first_distinct()).to_series())
    return len(again), _first(again["id"].to_numpy())


def _first(ids: Ints) -> int | None:
    return int(ids[0]) if len(ids) else None
