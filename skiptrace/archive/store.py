"""Where an archive lies: a folder, or a URL; every file is there as a whole or not at all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from skiptrace.archive.remote import is_url, local_path, place_of
from skiptrace.errors import ArchiveError, SkiptraceError
from skiptrace.errors.archives import ARCHIVE

FORMAT = "skiptrace archive"
VERSION = 1
"""Raised whenever archives of before would be read wrongly."""

RECORDS = "traces"
"""The folder of the records: one a trace, written last, which says what of it is valid."""

_PARTIAL = ".partial"
_STALE = 86_400
"""Seconds after which a file that was not finished is nobody's."""
_WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"}
"""Kinds of URL whose files appear when they are whole."""


class Store(Protocol):
    """Files by name, each replaced as a whole."""

    @property
    def url(self) -> str:
        """Where it is."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""

    def read_all(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """Those of several, without the ones that are gone."""

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place, instead of one of that name."""

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""

    def names(self, folder: str = "") -> list[str]:
        """Names of the files in a folder, in order; of no folder: what there is at the top."""


@dataclass(frozen=True)
class Folder:
    """A store in a local folder."""

    url: str

    @property
    def path(self) -> Path:
        """The folder."""
        return local_path(self.url)

    def read(self, name: str) -> bytes | None:
        """As `Store`."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """As `Store`."""
        return {name: data for name in names if (data := self.read(name)) is not None}

    def write(self, name: str, data: bytes) -> None:
        """As `Store`: written beside, then renamed."""
        target = self.path / name
        partial = self.path / _PARTIAL / uuid.uuid4().hex
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """As `Store`."""
        (self.path / name).unlink(missing_ok=True)

    def names(self, folder: str = "") -> list[str]:
        """As `Store`."""
        place = self.path / folder
        found = (entry.name for entry in place.iterdir()) if place.is_dir() else ()
        return sorted(name for name in found if name != _PARTIAL)

    def tidy(self) -> None:
        """Remove what a driver or worker killed long ago had begun to write."""
        partial = self.path / _PARTIAL
        for path in partial.iterdir() if partial.is_dir() else ():
            with suppress(OSError):  # another driver finished or removed it, or owns it
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()


@dataclass(frozen=True)
class Remote:
    """A store behind a URL."""

    url: str

    def _at(self, name: str) -> tuple[Any, str]:
        fs, path = place_of(self.url)
        return fs, f"{path.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """As `Store`."""
        fs, path = self._at(name)
        try:
            data: bytes = fs.cat_file(path)
        except FileNotFoundError:
            return None
        return data

    def read_all(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """As `Store`: many at once."""
        paths = {self._at(name)[1]: name for name in names}
        if not paths:
            return {}
        found = place_of(self.url).fs.cat(list(paths), on_error="omit")
        return {paths[path]: data for path, data in found.items()}

    def write(self, name: str, data: bytes) -> None:
        """As `Store`: in one request, or where parts of a file would show, beside and moved."""
        fs, path = self._at(name)
        if self.url.split(":", 1)[0] in _WHOLE_PUTS:
            fs.pipe_file(path, data)
            return
        partial = self._at(f"{_PARTIAL}/{uuid.uuid4().hex}")[1]
        for file in (path, partial):
            fs.makedirs(file.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(partial, data)
        fs.mv(partial, path)

    def remove(self, name: str) -> None:
        """As `Store`."""
        fs, path = self._at(name)
        with suppress(FileNotFoundError):
            fs.rm_file(path)

    def names(self, folder: str = "") -> list[str]:
        """As `Store`: as they are now, whatever was listed before."""
        fs, path = self._at(folder)
        path = path.rstrip("/")
        fs.invalidate_cache()
        try:
            listed = fs.ls(path, detail=False)
        except FileNotFoundError:
            return []
        found = (str(entry).rstrip("/").rpartition("/")[2] for entry in listed)
        return sorted(name for name in found if name and name != _PARTIAL)


def store_at(out: str) -> Store:
    """The store of a path or URL; nothing is looked at yet."""
    return Remote(out) if is_url(out) else Folder(out)


def begin(out: str) -> Store:
    """The store of an archive, begun where there is none yet.

    Raises
    ------
    ArchiveError
        Something else is there, or an archive of another format, or it cannot be written.
    """
    store = store_at(out)
    try:
        found = store.names()  # before the manifest is looked for, which every driver writes first
        manifest = store.read(ARCHIVE)
        if manifest is None and not found:
            store.write(ARCHIVE, orjson.dumps({"format": FORMAT, "version": VERSION}))
    except SkiptraceError:
        raise
    except Exception as error:  # clients of servers raise what they like
        reason = getattr(error, "strerror", None) or str(error)
        raise ArchiveError.unwritable(out, reason) from error
    if manifest is not None:
        check(out, manifest)
    elif found:
        raise ArchiveError.occupied(out, ", ".join(found[:4]))
    if isinstance(store, Folder):
        store.tidy()
    return store


def check(out: str, manifest: bytes | None) -> None:
    """Raise where that is not the manifest of an archive that this version reads.

    Raises
    ------
    ArchiveError
        It is not.
    """
    try:
        said = orjson.loads(manifest or b"")
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise ArchiveError.none_here(out)
    if said.get("version") != VERSION:
        raise ArchiveError.other_format(out, said.get("version"), VERSION)
