"""What a column is, the words that several frames share, and making a frame fit its columns."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

ACTIVITIES = (
    "profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator", "python",
    "device", "dependency", "unknown",
)  # fmt: skip
"""What happened during an idle gap, in the order that settles ties."""

KINDS = ("kernel", "graph", "memcpy", "memset")
"""Kinds of launch."""

PATH_KINDS = {
    "python": "host", "operator": "host", "launch": "host", "alloc": "host", "dataloader": "host",
    "profiler": "host", "sync": "host", "latency": "latency", "device": "device", "copy": "device",
    "stream gap": "device", "dependency": "device", "earlier step": "device",
}  # fmt: skip
"""Kinds of piece of a critical path, and the side that each is on."""


class Column(NamedTuple):
    """One column of a frame."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str


INT, FLOAT, STR = pl.Int64, pl.Float64, pl.String
"""Dtypes of nearly all columns."""


STEP = Column("step", STR, "", "name of the step it belongs to, or null")
SPLIT = (
    Column("tklqt_ns", INT, "ns", "sum of begin-to-begin times t_l over kernel launches"),
    Column("launch_ns", INT, "ns", "the part of it that launching took"),
    Column("queue_ns", INT, "ns", "the part of it spent behind earlier work of the stream"),
)


def conform(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """The columns of a schema, in its order, in its dtypes."""
    kept = frame[[c.name for c in columns]]
    other = [pl.col(c.name).cast(c.dtype) for c in columns if kept[c.name].dtype != c.dtype]
    return kept.with_columns(other) if other else kept


def empty(columns: tuple[Column, ...]) -> pl.DataFrame:
    """A frame of no rows."""
    return pl.DataFrame(schema={c.name: c.dtype for c in columns})
