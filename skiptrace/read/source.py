"""Where a trace comes from: paths, bytes, files and decoded objects, decompressed by content."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from skiptrace.errors import MissingDependencyError, ReadError

TraceSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | dict[str, Any] | list[Any]
)
Progress: TypeAlias = Callable[[str, float], None]
"""Called with a stage ("read", "link") and the share of the load that is done."""

_BLOCK = 1 << 23
_UNPACKED = 1 << 23
"""At most this much is unpacked at a time, however well it was packed."""


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

    def read(self) -> bytes:
        """All of the decompressed bytes."""
        return b"".join(self.blocks())

    def blocks(self, size: int = _BLOCK, progress: Progress | None = None) -> Iterator[bytes]:
        """The decompressed bytes in blocks of about `size`.

        Raises
        ------
        ReadError
            Empty, cut off, or a path that cannot be read or has changed since `of`.
        MissingDependencyError
            Zstandard, and the package that reads it is not installed.
        """
        some = False
        for block in decompress(self._raw(size, progress), self.name):
            some = some or bool(block)
            yield block
        if not some:
            raise ReadError.empty(self.name)

    def _raw(self, size: int, progress: Progress | None) -> Iterator[bytes]:
        if not isinstance(self.origin, Path):
            data = cast("bytes", self.origin)
            for start in range(0, len(data), size):
                yield data[start : start + size]
            return
        if _stamp(self.origin) != self.stamp:
            raise ReadError.source_changed(self.name, "the file has changed")
        try:
            with self.origin.open("rb") as file:
                done = 0
                while chunk := file.read(size):
                    yield chunk
                    done += len(chunk)
                    if progress and self.stamp:
                        progress("read", 0.7 * done / max(self.stamp[0], 1))
        except OSError as error:
            raise ReadError.not_found(self.name, error.strerror or str(error)) from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ReadError.not_found(str(path), error.strerror or str(error)) from error
    if path.is_dir():
        raise ReadError.not_found(str(path), "it is a folder")
    return status.st_size, status.st_mtime_ns


def decompress(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Undo gzip or zstandard, recognised by their first bytes; other bytes pass through."""
    first = next(raw, b"")
    blocks = chain([first], raw)
    if first[:2] == b"\x1f\x8b":
        return _gunzip(blocks, name)
    if first[:4] == b"\x28\xb5\x2f\xfd":
        return _unzstd(blocks, name)
    return blocks


def _gunzip(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for block in raw:
            data = block
            while data:
                yield member.decompress(data, _UNPACKED)
                data = member.unconsumed_tail
                if member.eof:  # the next member, or padding
                    data = member.unused_data.lstrip(b"\0")
                    member = zlib.decompressobj(zlib.MAX_WBITS | 16) if data else member
    except zlib.error as error:
        raise ReadError.truncated(name, "gzip") from error
    if not member.eof:
        raise ReadError.truncated(name, "gzip")


def _unzstd(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError.needs(
            f"{name} is zstandard: reading it", "zstandard", "zstd"
        ) from error
    member = zstandard.ZstdDecompressor().decompressobj()
    try:
        for block in raw:
            data = block
            while data:  # a file may hold several frames
                if member.eof:
                    member = zstandard.ZstdDecompressor().decompressobj()
                yield member.decompress(data)
                data = member.unused_data if member.eof else b""
    except zstandard.ZstdError as error:
        raise ReadError.truncated(name, "zstandard") from error
    if not member.eof:
        raise ReadError.truncated(name, "zstandard")
