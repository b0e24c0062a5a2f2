"""Where a trace comes from: paths, bytes, files and decoded objects, decompressed by content."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from skiptrace.errors import MissingDependencyError, ReadError

TraceSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | dict[str, Any] | list[Any]
)
Progress: TypeAlias = Callable[[str, float], None]
"""Called with a stage ("read", "decode", "link") and the share of the load that is done."""

_CHUNK = 1 << 24


@dataclass(frozen=True)
class Source:
    """A trace's origin, which can be opened again while it has not changed."""

    name: str
    """Path or a description such as ``<bytes>``."""
    origin: object
    """Path, bytes or decoded object."""
    stamp: tuple[int, int] | None = None
    """Size and modification time of a path when it was first read."""

    @classmethod
    def of(cls, given: TraceSource) -> Source:
        """Wrap whatever `load` was given; files are read to their end."""
        if isinstance(given, (dict, list)):
            return cls("<decoded>", given)
        if isinstance(given, (bytes, bytearray, memoryview)):
            return cls("<bytes>", bytes(given))
        if isinstance(given, (str, os.PathLike)):
            path = Path(given)
            return cls(str(path), path, _stamp(path))
        if hasattr(given, "read"):
            data = given.read()
            if not isinstance(data, bytes):
                raise ReadError.unsupported("text file (open it in binary mode, 'rb')")
            return cls(str(getattr(given, "name", "<file>")), data)
        raise ReadError.unsupported(type(given).__name__)

    @property
    def is_decoded(self) -> bool:
        """Whether the origin is a dict or list, not bytes."""
        return isinstance(self.origin, (dict, list))

    def read(self, progress: Progress | None = None) -> bytes:
        """The decompressed bytes; an error names a path that has changed since `of`."""
        if isinstance(self.origin, Path):
            now = _stamp(self.origin)
            if now != self.stamp:
                raise ReadError.source_changed(self.name, "the file has changed")
            raw = _read_path(self.origin, now[0], progress)
        else:
            raw = cast("bytes", self.origin)
        if not raw:
            raise ReadError.empty(self.name)
        return decompress(raw, self.name)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ReadError.not_found(str(path), error.strerror or str(error)) from error
    if path.is_dir():
        raise ReadError.not_found(str(path), "it is a folder")
    return status.st_size, status.st_mtime_ns


def _read_path(path: Path, size: int, progress: Progress | None) -> bytes:
    try:
        if progress is None:
            return path.read_bytes()
        data = bytearray()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                data += chunk
                progress("read", 0.1 * min(1.0, len(data) / max(size, 1)))
        return bytes(data)
    except OSError as error:
        raise ReadError.not_found(str(path), error.strerror or str(error)) from error


def decompress(raw: bytes, name: str) -> bytes:
    """Undo gzip or zstandard, recognised by their first bytes; other bytes pass through."""
    if raw[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(raw)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ReadError.truncated(name, "gzip") from error
    elif raw[:4] == b"\x28\xb5\x2f\xfd":
        data = _unzstd(raw, name)
    else:
        return raw
    if not data:
        raise ReadError.empty(name)
    return data


def _unzstd(raw: bytes, name: str) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError.needs(
            f"{name} is zstandard: reading it", "zstandard", "zstd"
        ) from error
    try:
        # A frame need not say its size, and a file may hold several frames.
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as reader:
            data = reader.readall()
    except zstandard.ZstdError as error:
        raise ReadError.truncated(name, "zstandard") from error
    if not data:
        raise ReadError.truncated(name, "zstandard")
    return data
