"""Columns of the frames that `sk.from_frames` takes: which it must have, and which it may."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from skiptrace.model.schema.column import INT, STR, Column
from skiptrace.model.schema.recorded import HOST, STEPS, WORK

_ID, _NAME, _START, _DUR, _PID, _TID = HOST
_DEVICE, _STREAM, _CORRELATION, _BYTES = (
    next(c for c in WORK if c.name == name) for name in ("device", "stream", "correlation", "bytes")
)
_EXTERNAL = Column("external_id", INT, "", "links a work without correlation to a call without one")


class Given(NamedTuple):
    """What a frame has."""

    required: tuple[Column, ...]
    optional: tuple[Column, ...] = (_ID,)
    """Null, and ids in the order of the rows, where they are missing."""


_TIMED = (_NAME, _START, _DUR, _PID, _TID)

GIVEN: dict[str, Given] = {
    "ops": Given(_TIMED),
    "calls": Given(_TIMED, (_ID, _CORRELATION, _EXTERNAL)),
    "work": Given(
        (_NAME, _START, _DUR, WORK[6], _DEVICE, _STREAM),
        (
            _ID, _PID, _TID, _CORRELATION, _EXTERNAL, _BYTES,
            Column("collective", pl.Boolean, "", "whether it is a collective; else its name tells"),
        ),
    ),
    "annotations": Given(_TIMED),
    "python": Given(_TIMED),
    "overhead": Given(_TIMED),
    "syncs": Given(
        (_START, _DEVICE, _STREAM, Column("sync_kind", STR, "", "what waits for what, in words")),
        (_ID, _CORRELATION),
    ),
    "steps": Given((_NAME, _START, _DUR), (_ID, STEPS[4])),
    "args": Given(
        (_ID, Column("value", STR, "", "the arguments of that event, a JSON object")), ()
    ),
}  # fmt: skip
"""Frame -> its columns. `trace.args()` has those of ``args``."""
