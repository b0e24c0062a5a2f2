"""What there is to scan: paths, globs, folders and URLs as single traces, and what each holds."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from skiptrace.archive.remote import is_url, local_path, place_of
from skiptrace.errors import ArchiveError, ReadError, SkiptraceError
from skiptrace.errors.archives import ARCHIVE
from skiptrace.errors.files import MANIFEST
from skiptrace.model.load import load
from skiptrace.model.trace import Trace

Sources: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

_TRACES = re.compile(r"\.json(\.gz|\.zst)?$", re.IGNORECASE)
_BLOCK = 1 << 20


def find_sources(given: Sources) -> list[str]:
    """Every single trace, once, in order of its name.

    Raises
    ------
    ArchiveError
        None at all, a glob or folder without one, or something that is no path.
    ReadError
        A URL that cannot be listed.
    """
    several = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    found: set[str] = set()
    for one in several:
        if not isinstance(one, (str, os.PathLike)):
            raise ArchiveError.bad_source(one)
        name = os.fspath(one)
        traces = _remote(name) if is_url(name) else _local(local_path(name))
        before = len(found)
        found.update(traces)
        if len(found) == before and not found.intersection(traces):
            raise ArchiveError.nothing(name)
    if not found:
        raise ArchiveError.nothing(given)
    return sorted(found)


def _local(path: Path) -> list[str]:
    if path.is_dir():
        return list(_inside(path))
    if path.exists() or not glob.has_magic(str(path)):
        return [str(path)]  # what is not there fails as that trace alone
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  absolute ones too
    hits = map(Path, _outside_archives(found))
    return [name for hit in hits for name in (_inside(hit) if hit.is_dir() else [_file(hit)])]


def _file(hit: Path) -> str:
    """A trace, or the saved one that the file belongs to."""
    return str(hit.parent if hit.name == MANIFEST else hit)


def _outside_archives(files: list[str]) -> list[str]:
    """Without archives that lie between: their records are no traces, though they are JSON."""
    inside = tuple(f.removesuffix(ARCHIVE) for f in files if f.endswith(ARCHIVE))
    return [file for file in files if not file.startswith(inside)]


def _inside(folder: Path) -> Iterator[str]:
    """Traces and saved traces in a folder and those below it; nothing of an archive.

    What is hidden is not one yet: `Trace.save`, and `skiptrace.torch`, write beside and rename.
    """
    for place, below, files in os.walk(folder):
        if MANIFEST in files:
            yield place
        if MANIFEST in files or ARCHIVE in files:
            below.clear()
            continue
        below[:] = (name for name in below if not name.startswith("."))
        shown = (name for name in files if not name.startswith("."))
        yield from (str(Path(place, name)) for name in shown if _TRACES.search(name))


def _remote(url: str) -> list[str]:
    fs, path = place_of(url)
    web = url.startswith(("http://", "https://"))  # where ? and [ mean something else
    try:
        fs.invalidate_cache()  # of what this process has listed before
        if "*" in path if web else glob.has_magic(path):
            hits = fs.glob(path)
        elif web or not fs.isdir(path):
            return [url]
        else:
            hits = [hit for hit in fs.find(path) if _TRACES.search(hit)]
    except Exception as error:  # as in `content_of`
        raise _unreadable(url, error) from error
    return [str(fs.unstrip_protocol(hit)) for hit in _outside_archives(hits)]


class Content(NamedTuple):
    """What a source held when it was looked at."""

    size: int
    digest: str
    """SHA-256; of a saved trace that of its manifest, which has the checksums of its files."""
    stamp: tuple[int, ...] | None
    """Of a local file: other when it has changed."""
    data: bytes | None = None
    """What is behind a URL, if it is to be loaded: it is fetched once."""


def content_of(source: str, most: int | None, *, keep: bool = False) -> Content:
    """Size and digest of a source, read in blocks; of a URL, these are kept if they are wanted.

    Raises
    ------
    ReadError
        It cannot be read, or has more than `most` bytes, which are not read then.
    """
    try:
        size = size_of(source)
        _check_size(source, size, most)
        stamp = _stamp(source)
        digest = hashlib.sha256()
        kept = []
        fetched = 0
        with _opened(source) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if is_url(source):
                    fetched += len(block)
                    _check_size(source, fetched, most)  # servers need not tell before
                    if keep:
                        kept.append(block)
    except SkiptraceError:
        raise
    except Exception as error:  # clients of servers raise what they like
        raise _unreadable(source, error) from error
    return Content(fetched or size, digest.hexdigest(), stamp, b"".join(kept) if kept else None)


def _check_size(source: str, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise ReadError.too_large(source, size, most)


def size_of(source: str) -> int:
    """Bytes of a source, as it lies there; 0 where the server does not say."""
    if is_url(source):
        fs, path = place_of(source)
        return int(fs.size(path) or 0)
    place = local_path(source)
    return sum(file.stat().st_size for file in (place.iterdir() if place.is_dir() else [place]))


def load_source(source: str, content: Content, options: dict[str, Any]) -> Trace:
    """The trace, if it is still what was looked at.

    Raises
    ------
    ReadError
        It is not, or as `load`.
    """
    if is_url(source):
        return load(_Fetched(content.data or b"", source), **options)
    trace = load(local_path(source), **options)
    if has_changed(source, content):
        raise ReadError.changing(source)
    return trace


def has_changed(source: str, content: Content) -> bool:
    """Whether a local source is no longer what was looked at."""
    try:
        return _stamp(source) != content.stamp
    except OSError:
        return True


class _Fetched(io.BytesIO):
    """The bytes behind a URL, by its name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def _opened(source: str) -> BinaryIO:
    if is_url(source):
        fs, path = place_of(source)
        opened: BinaryIO = fs.open(path, "rb")
        return opened
    place = local_path(source)
    return (place / MANIFEST if place.is_dir() else place).open("rb")


def _stamp(source: str) -> tuple[int, ...] | None:
    if is_url(source):
        return None
    path = local_path(source)
    status = (path / MANIFEST if path.is_dir() else path).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _unreadable(source: str, error: Exception) -> ReadError:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ReadError.not_found(source, said)
