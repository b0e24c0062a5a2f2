"""Where a trace comes from: paths, bytes, files and decoded objects, decompressed by content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

from skiptrace.errors import ReadError
from skiptrace.read.faults import Fault
from skiptrace.read.unpack import ERRORS, is_plain, unpack
from skiptrace.read.wrapped import unwrapped

TraceSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | dict[str, Any] | list[Any]
)
Progress: TypeAlias = Callable[[str, float], None]
"""Called with a stage ("read", "link") and the share of the load that is done."""

READING = 0.7
"""Share of a load that is reading."""
_BLOCK = 1 << 23
_HEAD = 1 << 12
"""Bytes that tell whether a source is packed."""


class Parts(NamedTuple):
    """A source that can be read at any place, by any thread."""

    size: int
    read: Callable[[int, int], bytes]
    """So many bytes from a place on: fewer at the end."""


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
            return cls("<decoded>", unwrapped(given))
        if isinstance(given, (bytes, bytearray, memoryview)):
            return cls("<bytes>", bytes(given))
        if isinstance(given, (str, os.PathLike)):
            path = Path(given)
            return cls(str(path), path, _stamp(path))
        if hasattr(given, "read"):
            name = str(getattr(given, "name", "<file>"))
            try:
                data = given.read()
            except ERRORS as error:
                raise ReadError.not_found(name, str(error) or type(error).__name__) from error
            if not isinstance(data, bytes):
                raise ReadError.unsupported("text file (open it in binary mode, 'rb')")
            return cls(name, data)
        raise ReadError.unsupported(type(given).__name__)

    @property
    def is_decoded(self) -> bool:
        """Whether the origin is a dict or list, not bytes."""
        return isinstance(self.origin, (dict, list))

    def lies_at(self, path: Path) -> bool:
        """Whether the source is the file at this path, however that is written."""
        try:
            return isinstance(self.origin, Path) and self.origin.samefile(path)
        except OSError:  # one of them is not there
            return False

    @contextmanager
    def opened(self) -> Iterator[Parts | None]:
        """The source to read at any place; None where it is packed, recoded or no plain file.

        Raises
        ------
        ReadError
            A path that cannot be read, or has changed since `of`; of `Parts.read`, that became
            shorter since.
        """
        if not isinstance(self.origin, Path):
            data = cast("bytes", self.origin)
            parts = Parts(len(data), lambda at, size: data[at : at + size])
            yield parts if is_plain(data[:_HEAD]) else None
            return
        if not hasattr(os, "pread") or not self.origin.is_file():
            yield None
            return
        self._check()
        try:
            file = self.origin.open("rb", buffering=0)
        except OSError as error:
            raise self._unread(error) from error
        with file:
            size = os.fstat(file.fileno()).st_size
            parts = Parts(size, partial(self._part, file.fileno(), size))
            yield parts if is_plain(parts.read(0, _HEAD)) else None

    def _part(self, file: int, end: int, at: int, size: int) -> bytes:
        data, size = b"", min(size, max(end - at, 0))
        try:
            while len(data) < size:  # at once the system reads 2 GB at most
                more = os.pread(file, size - len(data), at + len(data))
                if not more:
                    raise ReadError.not_found(self.name, "it became shorter meanwhile")
                data = data + more if data else more
        except OSError as error:
            raise self._unread(error) from error
        return data

    def _unread(self, error: OSError) -> ReadError:
        return ReadError.not_found(self.name, error.strerror or str(error))

    def _check(self) -> None:
        if isinstance(self.origin, Path) and _stamp(self.origin) != self.stamp:
            raise ReadError.source_changed(self.name, "the file has changed")

    def read(self, faults: list[Fault] | None = None) -> bytes:
        """All of the decompressed bytes."""
        return b"".join(self.blocks(faults=faults))

    def blocks(
        self,
        size: int = _BLOCK,
        progress: Progress | None = None,
        faults: list[Fault] | None = None,
    ) -> Iterator[bytes]:
        """The decompressed bytes in blocks of about `size`, as UTF-8.

        With `faults`, what can be unpacked of a damaged stream is given and the fault added;
        without, it raises.

        Raises
        ------
        ReadError
            Empty, a bomb, a path that cannot be read or has changed since `of`; without
            `faults` also cut off, damaged, or with a byte order mark.
        MissingDependencyError
            Zstandard, and the package that reads it is not installed.
        """
        some = False
        for block in unpack(self._raw(size, progress), self.name, faults):
            some = some or bool(block)
            yield block
        if not some:
            if faults:
                raise ReadError.truncated(self.name, faults[0].excerpt.partition(":")[0])
            raise ReadError.empty(self.name)

    def _raw(self, size: int, progress: Progress | None) -> Iterator[bytes]:
        if not isinstance(self.origin, Path):
            data = cast("bytes", self.origin)
            for start in range(0, len(data), size):
                yield data[start : start + size]
            return
        self._check()
        try:
            with self.origin.open("rb") as file:
                done = 0
                while chunk := file.read(size):
                    yield chunk
                    done += len(chunk)
                    if progress and self.stamp:
                        progress("read", READING * done / max(self.stamp[0], 1))
        except OSError as error:
            raise self._unread(error) from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ReadError.not_found(str(path), error.strerror or str(error)) from error
    if path.is_dir():
        raise ReadError.not_found(str(path), "it is a folder")
    return status.st_size, status.st_mtime_ns
