"""A saved trace read back: its manifest at once, each frame and the arguments when asked for."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from io import BufferedReader
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from skiptrace.errors import ReadError
from skiptrace.errors.files import MANIFEST
from skiptrace.model.arguments import Rows
from skiptrace.model.launches import Floors
from skiptrace.model.meta import build_meta
from skiptrace.model.packing import unpack
from skiptrace.model.schema import FRAMES as SCHEMA
from skiptrace.model.trace import Trace, Whole

FORMAT = "skiptrace trace"
VERSION = 3
"""Raised whenever folders of before would be read wrongly, or hold figures since corrected."""

WHOLE_FRAMES = tuple(f.name for f in fields(Whole) if f.type == "pl.DataFrame")
TRACE_FRAMES = tuple(f.name for f in fields(Trace) if f.type == "pl.DataFrame")
WINDOW = "window-"
"""Begins the name of a frame of a window that is not the whole recording's."""
COLLECTIVES = "collectives"


@dataclass(frozen=True)
class Folder:
    """The folder of a saved trace, and what its manifest says of it."""

    path: Path
    manifest: dict[str, Any]

    def has(self, name: str) -> bool:
        """Whether there is a frame of that name."""
        return f"{name}.packed" in self.manifest["files"]

    def frame(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """A frame, or its first column and some others.

        Raises
        ------
        ReadError
            The file is gone, or is not the one that was saved.
        """
        file = f"{name}.packed"
        saved = self.manifest["files"][file]
        try:
            with (self.path / file).open("rb") as opened:
                summed = _Summed(opened)
                try:
                    return unpack(summed, saved["rows"], saved["columns"], columns)
                finally:  # whatever other bytes lead to
                    summed.read_on()
                    if (summed.bytes, summed.crc32) != (saved["bytes"], saved["crc32"]):
                        reason = "is not the file that was saved"
                        raise ReadError.damaged(str(self.path), file, reason)
        except OSError as error:
            raise ReadError.damaged(str(self.path), file, "cannot be read") from error

    def arguments(self, own: pl.Series, key: str | None) -> Rows:
        """As `skiptrace.model.arguments.find_arguments`."""
        rows: Rows = []
        for part in self.manifest["arguments"]:
            if part["keys"] is None:
                rows += self._unlike(part, own, key)
            elif key is None:
                ids, columns = self._columns(part, own, part["keys"])
                dicts = (dict(zip(part["keys"], row, strict=True)) for row in _rows(columns, ids))
                rows += zip(ids, dicts, strict=True)
            elif key in part["keys"]:
                ids, columns = self._columns(part, own, [key])
                rows += zip(ids, columns[0], strict=True)
        return sorted(rows, key=itemgetter(0))

    def _columns(
        self, part: dict[str, Any], own: pl.Series, keys: list[str]
    ) -> tuple[list[int], list[list[Any]]]:
        """Ids and values of events that have the same arguments."""
        places = [part["keys"].index(key) for key in keys]
        frame = self.frame(part["name"], list(map(str, places)))
        frame = frame.filter(pl.col("id").is_in(own.implode()))
        columns = [frame[str(i)] for i in places]
        return frame["id"].to_list(), [
            _decoded(column) if i in part["json"] else column.to_list()
            for i, column in zip(places, columns, strict=True)
        ]

    def _unlike(self, part: dict[str, Any], own: pl.Series, key: str | None) -> Rows:
        """From events each of which has its own set of arguments."""
        frame = self.frame(part["name"]).filter(pl.col("id").is_in(own.implode()))
        rows = zip(frame["id"].to_list(), _decoded(frame["0"]), strict=True)
        return [
            (i, args if key is None else args[key])
            for i, args in rows
            if key is None or key in args
        ]


def _rows(columns: list[list[Any]], ids: list[int]) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else (() for _ in ids)


def _decoded(texts: pl.Series) -> list[Any]:
    # Not orjson: a trace that came decoded may hold integers beyond 64 bits, and NaN.
    known = {text: json.loads(text) for text in texts.unique()}
    return [known[text] for text in texts]


class _Summed:
    """A file as it is read, with the sum over it."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.bytes = self.crc32 = 0

    def readinto(self, room: memoryview) -> int:
        size = self._file.readinto(room)
        self.bytes += size
        self.crc32 = zlib.crc32(room[:size], self.crc32)
        return size

    def read_on(self) -> None:
        """Read what is left."""
        room = memoryview(bytearray(1 << 16))
        while self.readinto(room):
            pass


class _SavedWhole(Whole):
    """Reads each frame when it is first asked for, to be pickled for example, and keeps it."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as many types as attributes
        folder = self.__dict__.get("source")
        if folder is None or name not in (*WHOLE_FRAMES, COLLECTIVES):
            raise AttributeError(name)
        frame = folder.frame(name)
        # Of threads that read it at once, all get the frame of the first.
        return self.__dict__.setdefault(name, frame["id"] if name == COLLECTIVES else frame)


class _SavedTrace(Trace):
    """The same for the frames of a trace, which are those of its whole, or a window's own."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        whole = self.__dict__.get("whole")
        if whole is None or name not in TRACE_FRAMES:
            raise AttributeError(name)
        own = name if name == "health" else WINDOW + name
        folder = whole.source
        frame = folder.frame(own) if folder.has(own) else getattr(whole, name)
        return self.__dict__.setdefault(name, frame)


def load_saved(path: Path) -> Trace:
    """The trace that `Trace.save` wrote to a folder.

    Raises
    ------
    ReadError
        Not such a folder, of another format, or not all of what was saved.
    """
    manifest = read_manifest(path)
    if manifest is None:
        raise ReadError.not_saved(str(path))
    if manifest.get("version") != VERSION:
        raise ReadError.other_format(str(path), manifest.get("version"), VERSION)
    try:
        return _build(Folder(path.absolute(), manifest))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReadError.damaged(str(path), MANIFEST, "is not as it was written") from error


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a folder, None where there is none of skiptrace's."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    return manifest if known else None


def _build(folder: Folder) -> Trace:
    manifest, meta = folder.manifest, folder.manifest["meta"]
    _check_files(folder)
    whole = object.__new__(_SavedWhole)
    whole.__dict__.update(
        source=folder,
        floors=Floors(**manifest["floors"]),
        mentioned=frozenset(manifest["mentioned"]),
    )
    trace = object.__new__(_SavedTrace)
    threads = {(pid, tid): name for pid, tid, name in meta["threads"]}
    window = manifest["window"]
    trace.__dict__.update(
        whole=whole,
        window=None if window is None else (window[0], window[1]),
        meta=build_meta(manifest["source"], meta["events"], meta["header"], threads),
    )
    return trace


def _check_files(folder: Folder) -> None:
    files = folder.manifest["files"]
    for file, saved in files.items():
        try:
            size = (folder.path / file).stat().st_size
        except OSError:
            raise ReadError.damaged(str(folder.path), file, "is missing") from None
        if size != saved["bytes"]:
            reason = f"has {size} bytes, not {saved['bytes']}"
            raise ReadError.damaged(str(folder.path), file, reason)
    for name in {*WHOLE_FRAMES, *TRACE_FRAMES} & set(SCHEMA):
        columns = files[f"{name}.packed"]["columns"]
        declared = {c.name: str(c.dtype) for c in SCHEMA[name]}
        if {c: r["dtype"] for c, r in columns.items()} != declared:
            raise ReadError.other_format(
                str(folder.path), f"{VERSION} of skiptrace {folder.manifest['skiptrace']}", VERSION
            )
