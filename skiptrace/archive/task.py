"""What is done for one trace, in whatever process or machine: load, measure, write, record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, NamedTuple

import polars as pl

from skiptrace.archive.measures import RESULTS, Wanted
from skiptrace.archive.processes import in_child
from skiptrace.archive.record import (
    UNREAD,
    Failure,
    Labels,
    Record,
    Table,
    digest,
    read_record,
)
from skiptrace.archive.sources import Content, content_of, has_changed, load_source
from skiptrace.archive.store import Store, store_at
from skiptrace.errors import ArchiveError, ReadError, SkiptraceError, WorkerError
from skiptrace.measure.ranks import rank_of
from skiptrace.model.schema.archived import COMMON
from skiptrace.model.trace import Trace

_HOSTS = ("host_name", "hostname")


@dataclass(frozen=True)
class Job:
    """One trace to be measured."""

    source: str
    out: str
    measures: tuple[Wanted, ...]
    labels: Labels
    load: dict[str, Any]
    max_bytes: int | None
    retry: bool

    @property
    def basis(self) -> str:
        """What all tables of the trace rest on beside its content."""
        return digest(RESULTS, list(self.labels.items()), self.load)

    @property
    def identity(self) -> str:
        """All that is wanted of it."""
        return digest(sorted(wanted.identity for wanted in self.measures))


class Outcome(NamedTuple):
    """What became of a trace."""

    source: str
    state: str
    """``measured``, ``kept`` (nothing was to be done), ``failed`` or ``unwritten``."""
    bytes: int = 0
    """Of the source, where it was measured."""
    message: str = ""
    """Why it is not written."""
    grade: str | None = None
    """Of the trace as it was measured, now or before."""


def measure_trace(job: Job) -> Outcome:
    """Measure a trace, and write what came of it; what fails is in its record, and never raised."""
    try:
        return _measured(job, store_at(job.out))
    except Exception as error:  # noqa: BLE001  whatever a file system raises: a full disk, say
        return Outcome(job.source, "unwritten", 0, _message(error))


def give_up(job: Job, error: SkiptraceError, seconds: float | None = None) -> Outcome:
    """Record that the process which measured a trace did not come to an end.

    What it was given may be what cannot be read to an end: it may take so many seconds again.
    """
    try:
        store = store_at(job.out)
        before = read_record(store, job.source)
        looked_at = (job.source, job.max_bytes)
        try:
            if seconds is None:
                content = content_of(*looked_at)
            else:
                content = in_child(content_of, seconds, *looked_at)
        except (ReadError, WorkerError) as unread:
            return _unread(job, store, before, unread)
        record = _record(job, before, content)
        lacking = _lacking(job, record)
        if lacking:  # else it ended too late to say that it was done
            record = _without(record, lacking)
            record.failures.append(_failure(None, job.identity, error))
        return _commit(job, record, before, store)
    except Exception as unwritten:  # noqa: BLE001  as above
        return Outcome(job.source, "unwritten", 0, _message(unwritten))


def _measured(job: Job, store: Store) -> Outcome:
    before = read_record(store, job.source)
    try:
        content = content_of(job.source, job.max_bytes, keep=True)
    except SkiptraceError as error:
        return _unread(job, store, before, error)
    record = _record(job, before, content)
    wanted = _missing(job, record)
    if not wanted and not any(f.identity == UNREAD for f in record.failures):
        return Outcome(job.source, _state(job, record, "kept"), grade=record.grade)
    record = _without(record, wanted)
    if not wanted:
        _commit(job, record, before, store)
        return Outcome(job.source, _state(job, record, "kept"), grade=record.grade)
    record = _with_tables(job, store, record, content, wanted)
    return _commit(job, record, before, store)


def _record(job: Job, before: Record | None, content: Content) -> Record:
    """What there is already of the same content, labels and options; else a new one."""
    if before is not None and (before.content_hash, before.basis) == (content.digest, job.basis):
        return before
    return Record(job.source, content.digest, job.basis, job.labels, job.load, content.size)


def _without(record: Record, tried: Iterable[Wanted]) -> Record:
    """What stays where measures are tried again: they give a table anew, or fail anew."""
    names = {wanted.name for wanted in tried}
    return replace(
        record,
        tables={name: table for name, table in record.tables.items() if name not in names},
        failures=[f for f in record.failures if f.measure is not None and f.measure not in names],
    )


def _lacking(job: Job, record: Record) -> list[Wanted]:
    """What there is no table of, or one of another function."""
    has = {(name, table.identity) for name, table in record.tables.items()}
    return [wanted for wanted in job.measures if (wanted.name, wanted.identity) not in has]


def _missing(job: Job, record: Record) -> list[Wanted]:
    """What there is no table of, and no failure that would only come again."""
    lacking = _lacking(job, record)
    if job.retry:
        return lacking
    failed = {(f.measure, f.identity) for f in record.failures}
    if failed & {(None, "load"), (None, job.identity)}:
        return []
    return [wanted for wanted in lacking if (wanted.name, wanted.identity) not in failed]


def _state(job: Job, record: Record, good: str) -> str:
    unread = any(f.identity == UNREAD for f in record.failures)
    return "failed" if unread or _lacking(job, record) else good


def _with_tables(
    job: Job, store: Store, record: Record, content: Content, wanted: Iterable[Wanted]
) -> Record:
    """The record with a table or a failure for everything wanted."""
    try:
        trace = load_source(job.source, content, job.load)
        record = replace(record, **_said_of(trace))
    except _ANY as error:
        identity = UNREAD if has_changed(job.source, content) else "load"
        return replace(record, failures=[_failure(None, identity, error)])
    made: dict[Wanted, tuple[bytes, list[list[str]]]] = {}
    for one in wanted:
        try:
            made[one] = _packed(_framed(one, trace, record))
        except _ANY as error:
            record.failures.append(_failure(one.name, one.identity, error))
    del trace
    for one, (data, columns) in made.items():
        key = digest(record.source, record.content_hash, record.basis, one.identity)
        file = f"{one.name}/{key}.parquet"
        store.write(file, data)
        record.tables[one.name] = Table(file, one.identity, columns)
    return record


_ANY = (Exception, pl.exceptions.PanicException)
"""What may come out of reading and measuring anything at all."""


def _said_of(trace: Trace) -> dict[str, Any]:
    """What a trace says of where it comes from."""
    header = trace.meta.header
    host = next((header[key] for key in _HOSTS if isinstance(header.get(key), str)), None)
    used = trace.work["device"].unique().drop_nulls().to_list()
    names = {trace.meta.devices.get(device) for device in used} - {None, ""}
    return {
        "rank": rank_of(trace),
        "host": host,
        "gpu": "; ".join(sorted(map(str, names))) or None,
        "events": trace.meta.events,
        "grade": trace.grade,
    }


def _framed(wanted: Wanted, trace: Trace, record: Record) -> pl.DataFrame:
    """The table with the columns that say which trace its rows are of."""
    found: object = wanted.frame(trace)
    if not isinstance(found, pl.DataFrame):
        reason = f"it returned a {type(found).__name__}, and a table is made of a DataFrame alone"
        raise ArchiveError.measures(wanted.name, reason)
    common = common_columns(record)
    if taken := sorted({*common} & {*found.columns}):
        reason = f"it returned a column {taken[0]!r}, which every table of the archive has"
        raise ArchiveError.measures(wanted.name, reason)
    return found.with_columns(**common).select(*common, *found.columns)


def common_columns(record: Record) -> dict[str, pl.Expr]:
    """What every table has of a trace: source, content, rank, host, GPU and labels."""
    columns = {c.name: pl.lit(getattr(record, c.name), dtype=c.dtype) for c in COMMON}
    return columns | {
        name: pl.lit(value, dtype=pl.Int64 if isinstance(value, int) else pl.String)
        for name, value in record.labels.items()
    }


def _packed(frame: pl.DataFrame) -> tuple[bytes, list[list[str]]]:
    buffer = BytesIO()
    # One chunk and one row group, so that the bytes follow from the rows alone.
    frame.rechunk().write_parquet(
        buffer, compression="zstd", statistics=False, row_group_size=len(frame) + 1
    )
    return buffer.getvalue(), [[name, str(dtype)] for name, dtype in frame.schema.items()]


def _failure(measure: str | None, identity: str, error: BaseException) -> Failure:
    return Failure(measure, identity, type(error).__name__, _message(error))


def _message(error: BaseException) -> str:
    text = str(error).encode(errors="replace").decode()  # of a file's name, say
    return " ".join(text.split()) or type(error).__name__


def _unread(job: Job, store: Store, before: Record | None, error: SkiptraceError) -> Outcome:
    """Nothing is known of the source now: what was measured of it stays."""
    failure = _failure(None, UNREAD, error)
    if before is None:
        record = Record(job.source, None, job.basis, job.labels, job.load, failures=[failure])
    else:
        left = [f for f in before.failures if f.measure is not None]
        record = replace(before, failures=[*left, failure])
    return _commit(job, record, before, store)


def _commit(job: Job, record: Record, before: Record | None, store: Store) -> Outcome:
    """Make the record hold, then take away what it no longer names."""
    record = _with_others(record, before, read_record(store, record.source))
    if record != before:
        record.write(store)
    files = {table.file for table in record.tables.values()}
    for table in before.tables.values() if before is not None else ():
        if table.file not in files:
            store.remove(table.file)
    state = _state(job, record, "measured")
    return Outcome(record.source, state, record.size or 0, grade=record.grade)


def _with_others(record: Record, before: Record | None, now: Record | None) -> Record:
    """With what another scan has made of the same trace since."""
    if now is None or (now.content_hash, now.basis) != (record.content_hash, record.basis):
        return record
    known = before.tables if before is not None else {}
    made = {name: table for name, table in now.tables.items() if table != known.get(name)}
    return replace(record, tables=made | record.tables)
