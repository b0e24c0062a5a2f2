"""`open_archive`: the tables of a scan as lazy frames, one a measure, over all its traces."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from types import MappingProxyType
from typing import Any

import polars as pl

from skiptrace.archive.record import Record, read_records
from skiptrace.archive.store import Folder, Store, check, store_at
from skiptrace.errors import ArchiveError
from skiptrace.errors.archives import ARCHIVE
from skiptrace.model.schema.archived import COMMON, FAILURES, TRACES
from skiptrace.model.schema.column import Column

_AT_ONCE = 256
"""Files fetched together from a URL."""


@dataclass(frozen=True, eq=False, repr=False)
class Archive:
    """The results of `scan`, as they were when it was opened."""

    out: str
    """Folder or URL."""
    records: tuple[Record, ...]
    """What was measured of each trace, by source."""

    def __repr__(self) -> str:
        failed = sum(bool(record.failures) for record in self.records)
        names = ", ".join(self.tables) or "no tables"
        return f"<Archive {self.out}: {len(self.records)} traces, {failed} with failures; {names}>"

    def __getitem__(self, name: str) -> pl.LazyFrame:
        """The table of a measure.

        Raises
        ------
        ArchiveError
            There is none of that name; says which there are.
        """
        if name not in self.tables:
            raise ArchiveError.no_table(name, self.tables)
        return self.tables[name]

    @cached_property
    def tables(self) -> Mapping[str, pl.LazyFrame]:
        """Measure -> its rows of all traces; nothing is read until one is collected."""
        names = sorted({name for record in self.records for name in record.tables})
        return MappingProxyType({name: self._table(name) for name in names})

    @cached_property
    def traces(self) -> pl.LazyFrame:
        """A row a trace: where it is from, its labels, how good it is, how much of it failed."""
        rows = [(record, {"failures": len(record.failures)}) for record in self.records]
        return self._frame(rows, TRACES)

    @cached_property
    def failures(self) -> pl.LazyFrame:
        """A row a trace or measure that failed, and why."""
        rows = [
            (record, {"measure": f.measure, "error": f.error, "message": f.message})
            for record in self.records
            for f in record.failures
        ]
        return self._frame(rows, FAILURES)

    @property
    def labels(self) -> list[str]:
        """Names of the columns that come from paths."""
        return list(dict.fromkeys(name for record in self.records for name in record.labels))

    def _frame(
        self, rows: list[tuple[Record, dict[str, Any]]], columns: tuple[Column, ...]
    ) -> pl.LazyFrame:
        """Rows of records, with labels behind the columns that every table has."""
        made = {
            c.name: pl.Series(
                c.name, [own.get(c.name, getattr(r, c.name, None)) for r, own in rows], c.dtype
            )
            for c in columns
        }
        labels = {}
        for name in self.labels:
            values = [record.labels.get(name) for record, _ in rows]
            text = any(isinstance(record.labels.get(name), str) for record in self.records)
            if text:
                values = [None if value is None else str(value) for value in values]
            labels[name] = pl.Series(name, values, pl.String if text else pl.Int64)
        order = [c.name for c in COMMON] + list(labels)
        order += [name for name in made if name not in order]
        return pl.DataFrame({name: (made | labels)[name] for name in order}).lazy()

    def _table(self, name: str) -> pl.LazyFrame:
        """All files of a measure; those of other columns, of callables, put together by name."""
        alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
        for record in self.records:
            if name in record.tables:
                columns = tuple(map(tuple, record.tables[name].columns))
                alike.setdefault(columns, []).append(record.tables[name].file)
        store = store_at(self.out)
        parts = [_scanned(store, files) for files in alike.values()]
        return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal_relaxed")


def open_archive(out: str | os.PathLike[str]) -> Archive:
    """Open what `scan` wrote, or is writing.

    Parameters
    ----------
    out
        The folder or URL that was the scan's.

    Returns
    -------
    Archive
        ``.tables``, a LazyFrame a measure (``archive["summary"]`` is one), ``.traces`` and
        ``.failures``. All of them are of the moment of this call.

    Raises
    ------
    ArchiveError
        There is no archive, or one of another format.
    MissingDependencyError
        A URL, and fsspec or the package of its file system is not installed.
    """
    url = os.fspath(out)
    store = store_at(url)
    check(url, store.read(ARCHIVE))
    return Archive(url, tuple(read_records(store)))


def _scanned(store: Store, files: list[str]) -> pl.LazyFrame:
    if isinstance(store, Folder):
        return pl.scan_parquet([store.path / file for file in files], glob=False)
    from polars.io.plugins import register_io_source

    def read(
        columns: list[str] | None, wanted: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = rows
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            found = store.read_all(some)
            for file in some:
                frame = pl.read_parquet(BytesIO(found[file]), columns=columns)
                frame = frame if left is None else frame.head(left)
                left = None if left is None else left - len(frame)
                yield frame if wanted is None else frame.filter(wanted)
                if left == 0:
                    return

    first = store.read(files[0]) or b""
    return register_io_source(read, schema=pl.read_parquet_schema(BytesIO(first)))
