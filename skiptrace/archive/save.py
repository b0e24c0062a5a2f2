"""`Trace.save`: a trace as a folder of packed columns that `sk.load` reads back, equal."""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from skiptrace.errors import SaveError
from skiptrace.errors.files import MANIFEST
from skiptrace.model.arguments import Rows, find_arguments
from skiptrace.model.packing import pack
from skiptrace.model.saved import (
    COLLECTIVES,
    FORMAT,
    TRACE_FRAMES,
    VERSION,
    WHOLE_FRAMES,
    WINDOW,
    read_manifest,
)
from skiptrace.model.trace import Trace

_MOST_TABLES = 64
"""Sets of arguments that get a table of their own; events with rarer sets share one."""


@dataclass
class _Files:
    """The files of a folder to be, packed, and what the manifest says of each."""

    content: dict[str, bytes] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, frame: pl.DataFrame, *, deflate: bool = False) -> None:
        data, recipes = pack(frame, deflate=deflate)
        self.content[f"{name}.packed"] = data
        self.listed[f"{name}.packed"] = {
            "bytes": len(data),
            "crc32": zlib.crc32(data),
            "rows": len(frame),
            "columns": recipes,
        }


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """What `Trace.save` does."""
    target = Path(path).resolve()  # of a link the folder it leads to is replaced
    _check_free(target)
    files = _Files()
    for name in WHOLE_FRAMES:
        files.add(name, getattr(trace.whole, name))
    for name in TRACE_FRAMES:
        frame = getattr(trace, name)
        if name not in WHOLE_FRAMES:
            files.add(name, frame)
        elif frame is not getattr(trace.whole, name):
            files.add(WINDOW + name, frame)
    files.add(COLLECTIVES, pl.DataFrame({"id": trace.whole.collectives}))
    parts = _add_arguments(files, find_arguments(trace.whole.source, trace.own_ids(), None))
    meta = trace.meta
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "skiptrace": version("skiptrace"),
        "source": meta.source,
        "window": trace.window,
        "meta": {
            "events": meta.events,
            "header": dict(meta.header),
            "threads": [[pid, tid, name] for (pid, tid), name in meta.threads.items()],
        },
        "floors": trace.whole.floors._asdict(),
        "mentioned": sorted(trace.whole.mentioned),
        "files": files.listed,
        "arguments": parts,
    }
    files.content[MANIFEST] = _dumps(manifest, "the header of the trace").encode()
    try:
        _write(target, files.content)
    except OSError as error:
        raise SaveError.cannot_write(str(target), error.strerror or str(error)) from error


def _add_arguments(files: _Files, rows: Rows) -> list[dict[str, Any]]:
    """A table for each set of arguments that events have, in the order they have them."""
    by_keys: defaultdict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        by_keys[tuple(row[1])].append(row)
    parts: list[dict[str, Any]] = []
    unlike: Rows = []
    for keys in sorted(by_keys, key=lambda keys: -len(by_keys[keys])):
        alike = by_keys.pop(keys)
        if len(parts) == _MOST_TABLES or not all(isinstance(key, str) for key in keys):
            unlike += alike
            continue
        part: dict[str, Any] = {"name": f"args-{len(parts)}", "keys": keys, "json": []}
        columns = [pl.Series("id", [i for i, _ in alike], dtype=pl.Int64)]
        for place, key in enumerate(keys):
            values = [args[key] for _, args in alike]
            column = _typed(str(place), values)
            if column is None:
                part["json"].append(place)
                column = _json_column(str(place), values, f"argument {key!r}")
            columns.append(column)
        files.add(part["name"], pl.DataFrame(columns), deflate=True)
        parts.append(part)
    if unlike:
        unlike.sort(key=lambda row: row[0])
        part = {"name": "args-unlike", "keys": None, "json": [0]}
        ids = pl.Series("id", [i for i, _ in unlike], dtype=pl.Int64)
        texts = _json_column("0", [args for _, args in unlike], "an event's arguments")
        files.add(part["name"], pl.DataFrame([ids, texts]), deflate=True)
        parts.append(part)
    return parts


def _typed(name: str, values: list[Any]) -> pl.Series | None:
    """A column that gives back the very same values, or None."""
    kinds = set(map(type, values)) - {type(None)}
    dtypes = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean, str: pl.String}
    if len(kinds) != 1 or (kind := kinds.pop()) not in dtypes:
        return None
    try:
        return pl.Series(name, values, dtype=dtypes[kind], strict=True)
    except (OverflowError, TypeError, UnicodeError, pl.exceptions.PolarsError):
        return None  # integers beyond 64 bits, and halves of surrogate pairs


def _json_column(name: str, values: list[Any], what: str) -> pl.Series:
    return pl.Series(name, [_dumps(value, what) for value in values], dtype=pl.String)


def _dumps(value: object, what: str) -> str:
    try:
        text = orjson.dumps(value).decode()
        if "null" not in text:
            return text
    except TypeError:
        pass
    # orjson refuses integers beyond 64 bits, and makes null of NaN.
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise SaveError.not_json(what, str(error)) from error


def _check_free(target: Path) -> None:
    """Raise where saving would destroy what no `save` wrote."""
    if not target.is_dir():
        if target.exists():
            raise SaveError.occupied(str(target), "a file")
        return
    manifest = read_manifest(target)
    own = {MANIFEST, *manifest.get("files", ())} if manifest else set()
    if other := sorted({p.name for p in target.iterdir()} - own):
        raise SaveError.occupied(str(target), ", ".join(other[:4]))


def _write(target: Path, content: dict[str, bytes]) -> None:
    """All files in a folder beside the target, which then takes its place."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    old = partial.with_name(f"{partial.name}.old")
    try:
        partial.mkdir(parents=True)
        for name, data in content.items():
            (partial / name).write_bytes(data)
        if target.is_dir():
            target.rename(old)
        partial.rename(target)
    except BaseException:  # an interrupt as well: the trace of before is put back
        if old.is_dir() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
