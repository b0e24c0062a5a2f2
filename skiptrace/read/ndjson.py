"""The fast reader: a writer's regular layout, one event a line, parsed in parallel by polars.

A raw newline cannot stand inside a JSON string, nor an unescaped quote. So the bytes between two
events, from the brace that closes one to the first quote of the next, occur nowhere else but
between such objects; a text cut at them that still parses, piece by piece, was cut at events. Any
piece that does not parse, or has a value of another type than these columns, is left to the
general reader.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import polars as pl

from skiptrace.read.rows import PHASES, ROWS, TIMED, Part, nullable
from skiptrace.read.times import floats_to_ns, keep_digits, text_to_ns

_ARGS: dict[str, pl.DataType | type[pl.DataType]] = {
    "correlation": pl.Int64,
    "External id": pl.Int64,
    "external id": pl.Int64,
    "device": pl.Int64,
    "stream": pl.Int64,
    "cuda_sync_kind": pl.String,
    "Collective name": pl.String,
    "name": pl.String,
}
_EVENT: dict[str, pl.DataType | type[pl.DataType]] = {
    "ph": pl.String,
    "cat": pl.String,
    "name": pl.String,
    "pid": pl.Int64,
    "tid": pl.Int64,
    "ts": pl.Float64,
    "dur": pl.Float64,
    "args": pl.Struct(_ARGS),
}
_BETWEEN = re.compile(rb"\s*,\s*\{\s*\"")
EXACT_US = 2.0**53
"""Integers up to here are exact as doubles."""


class UnfitError(Exception):
    """The bytes are not laid out so; the general reader takes them."""


def find_separator(data: bytes, start: int) -> bytes | None:
    """The bytes between two events, where the first one starts at `start`."""
    text = data[start : start + 262_144].decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    at = start + len(text[:end].encode())
    between = _BETWEEN.match(data, at)
    return b"}" + between.group() if between else None


def from_lines(chunk: bytes, separator: bytes) -> Part:
    """A part from the bytes of whole events, joined by the separator.

    Raises
    ------
    UnfitError
        Not parseable so, or a value of another type.
    """
    # Half of a surrogate pair is no text; polars would put other characters in its place.
    if b"\x00" in chunk or b"\\ud" in chunk or b"\\uD" in chunk:
        raise UnfitError
    quoted = keep_digits(chunk)
    schema = _EVENT if quoted is chunk else {**_EVENT, "ts": pl.String}
    # A raw newline inside a string stays an error: a tab is one there too, and space outside.
    lines = quoted.replace(separator, b'}\x00{"').replace(b"\n", b"\t").replace(b"\x00", b"\n")
    try:
        frame = pl.read_ndjson(lines, schema=schema)
    except pl.exceptions.PolarsError as error:
        raise UnfitError from error
    return _part(frame)


def _part(frame: pl.DataFrame) -> Part:
    ph = pl.col("ph")
    frame = frame.with_row_index("id")
    rest = frame.filter(~ph.is_in(TIMED) | ph.is_null())
    strange = rest.filter(ph.is_null() | ~ph.is_in(list(PHASES)))["id"]
    named = (
        rest.filter((ph == "M") & (pl.col("name") == "thread_name"))
        .select("pid", "tid", pl.col("args").struct.field("name"))
        .drop_nulls()
    )
    part = Part(_rows(frame.filter(ph.is_in(TIMED))), len(frame))
    part.phases = Counter(dict(rest["ph"].fill_null("none").value_counts().rows()))
    part.unknown = (len(strange), int(strange[0]) if len(strange) else None)
    part.threads = {(pid, tid): name for pid, tid, name in named.rows()}
    return part


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    args = pl.col("args").struct.field
    return frame.select(
        pl.col("id").cast(pl.Int64),
        "ph",
        "cat",
        "name",
        "pid",
        "tid",
        pl.lit(None, pl.String).alias("pid_name"),
        pl.lit(None, pl.String).alias("tid_name"),
        _to_ns(frame["ts"]).alias("start_ns"),
        _to_ns(frame["dur"]).alias("dur_ns"),
        args("correlation"),
        pl.coalesce(args("External id"), args("external id")).alias("external_id"),
        args("device"),
        args("stream"),
        args("cuda_sync_kind").alias("sync_kind"),
        args("Collective name").alias("collective"),
    ).select(list(ROWS))


def _to_ns(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return nullable(*text_to_ns(values))
    number = values.to_numpy()  # null becomes NaN
    if values.null_count() < len(values) and float(np.nanmax(np.abs(number))) >= EXACT_US:
        raise UnfitError
    return nullable(*floats_to_ns(number))
