"""Zip archives: which of their files is the trace, and where its packed bytes are."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass

from skiptrace.errors import ReadError

_PACKINGS = {zipfile.ZIP_STORED: "", zipfile.ZIP_DEFLATED: "deflate", zipfile.ZIP_BZIP2: "bzip2"}
_ENCRYPTED = 1


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    data: bytes
    """As packed; with what follows it where the archive does not say where it ends."""
    packing: str
    """``deflate``, ``bzip2`` or nothing."""
    crc: int = 0
    size: int = -1
    """Of the file, unpacked; -1 where the archive does not say."""
    others: str = ""
    """Names of other files that may be traces."""
    count: int = 0
    """How many those are."""


def find_member(archive: bytes) -> Member | None:
    """The first JSON file, or else the first file; None where not even that is whole enough.

    A list of the files stands at the end of an archive. Of one that is cut off, the first file
    is found by the header in front of it.

    Raises
    ------
    ReadError
        It is encrypted, or packed in a way that is not read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = [info for info in opened.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OSError):
        files = []
    traces = [info for info in files if ".json" in info.filename.lower()] or files
    at = traces[0].header_offset if traces else 0
    if len(archive) < at + 30:
        return None
    flags, method = struct.unpack_from("<HH", archive, at + 6)
    name, extra = struct.unpack_from("<HH", archive, at + 26)
    if flags & _ENCRYPTED or method not in _PACKINGS:
        how = "that is encrypted" if flags & _ENCRYPTED else f"packed by method {method}"
        raise ReadError.unsupported(f"zip archive {how} (unpack it first)")
    start = at + 30 + name + extra
    if not traces:
        return Member(archive[start:], _PACKINGS[method])
    chosen, *others = traces
    return Member(
        archive[start : start + chosen.compress_size],
        _PACKINGS[method],
        chosen.CRC,
        chosen.file_size,
        ", ".join(info.filename for info in others),
        len(others),
    )
