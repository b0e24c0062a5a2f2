"""The record of a trace in an archive: what was measured of which content, and where that lies."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import orjson

from skiptrace.archive.store import RECORDS, Store

Labels: TypeAlias = dict[str, int | str]

_FILE = re.compile(r"[\w\-]+/[0-9a-f]{32}\.parquet\Z", re.ASCII)
UNREAD = ""
"""Identity of a failure to read the source, or to end with it: tried again in every scan."""


class Table(NamedTuple):
    """A measure that was made."""

    file: str
    identity: str
    columns: list[list[str]]
    """Name and dtype of each."""


class Failure(NamedTuple):
    """A measure that was not."""

    measure: str | None
    """None: the trace itself."""
    identity: str
    """What would fail again in the same way."""
    error: str
    message: str


@dataclass(frozen=True)
class Record:
    """One trace of an archive; every file of it that is not named here is void."""

    source: str
    content_hash: str | None
    basis: str
    """Other than before where labels or options of the load are."""
    labels: Labels
    load: dict[str, Any]
    size: int | None = None
    """Bytes of the source as it lies there."""
    rank: int | None = None
    host: str | None = None
    gpu: str | None = None
    events: int | None = None
    grade: str | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def write(self, store: Store) -> None:
        """Make it hold."""
        ordered = replace(  # whatever was measured first
            self,
            load=dict(sorted(self.load.items())),
            tables=dict(sorted(self.tables.items())),
            failures=sorted(self.failures, key=lambda failure: failure.measure or ""),
        )
        store.write(record_name(self.source), orjson.dumps(ordered, default=list))

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read what `write` wrote.

        Raises
        ------
        ValueError
            It is something else.
        """
        try:
            said = orjson.loads(data)
            said["tables"] = {name: Table(*table) for name, table in said["tables"].items()}
            said["failures"] = [Failure(*failure) for failure in said["failures"]]
            if not all(_FILE.match(table.file) for table in said["tables"].values()):
                raise ValueError("a file that no scan names so")  # it may be removed, so be sure
            return cls(**said)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error


def record_name(source: str) -> str:
    """The file of a source's record."""
    return f"{RECORDS}/{digest(source)}.json"


def read_record(store: Store, source: str) -> Record | None:
    """The record of a source; None where there is none that can be read."""
    data = store.read(record_name(source))
    try:
        return None if data is None else Record.parse(data)
    except ValueError:
        return None


def read_records(store: Store) -> list[Record]:
    """All of an archive's, by source."""
    names = [f"{RECORDS}/{name}" for name in store.names(RECORDS)]
    found = []
    for data in store.read_all(names).values():
        try:
            found.append(Record.parse(data))
        except ValueError:  # as good as none: the next scan measures it again
            continue
    return sorted(found, key=lambda record: record.source)


def digest(*said: object) -> str:
    """A name for what was said."""
    data = orjson.dumps(said, option=orjson.OPT_SORT_KEYS, default=repr)
    return hashlib.sha256(data).hexdigest()[:32]
