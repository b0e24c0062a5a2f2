"""Packed bytes to UTF-8 text in blocks of bounded size, as far as they can be unpacked.

With a list to note faults in, a stream that is cut off or damaged gives what comes before the
fault; without one it is an error.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from skiptrace.errors import MissingDependencyError, ReadError
from skiptrace.read.faults import Fault, excerpt

_UNPACKED = 1 << 22
"""At most this much is unpacked at a time, however well it was packed."""
BOMB_BYTES = 1 << 28
BOMB_RATIO = 500
"""What unpacks to more than so many bytes and so many times its size is no trace."""

_ZSTD_SLICE = 1 << 10  # can unpack to 32 MB at most: 128 kB for each four bytes
_MARK = codecs.BOM_UTF8
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"{\0", "utf-16-le"),
    (b"[\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
    (b"\0[", "utf-16-be"),
)
_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def wide_encoding(first: bytes) -> str | None:
    """The encoding of text in UTF-16 or UTF-32, by its first bytes; None for any other."""
    return next((name for mark, name in _WIDE if first.startswith(mark)), None)


def unpack(raw: Iterator[bytes], name: str, faults: list[Fault] | None = None) -> Iterator[bytes]:
    """Undo gzip, zip, bzip2, xz or Zstandard, known by their first bytes, and wide encodings.

    Raises
    ------
    ReadError
        A bomb; without `faults` also a stream that is cut off or damaged, or text that does not
        begin as UTF-8 JSON does.
    MissingDependencyError
        Zstandard, and the package that reads it is not installed.
    """
    first = next((block for block in raw if block), b"")
    counter = _Counter(chain([first], raw), name, faults)
    if first[:2] == b"\x1f\x8b":
        packed = _members(counter, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), "gzip")
    elif first[:4] == b"PK\x03\x04":
        packed = _unzip(counter)
    elif first[:3] == b"BZh":
        packed = _members(counter, bz2.BZ2Decompressor, "bzip2")
    elif first[:6] == b"\xfd7zXZ\0":
        packed = _members(counter, lzma.LZMADecompressor, "xz")
    elif first[:4] == b"\x28\xb5\x2f\xfd":
        packed = _unzstd(counter)
    else:
        return _utf8(chain([first], raw), name, faults)
    return _utf8(counter.checked(packed), name, faults)


class _Counter:
    """The packed blocks, how much came in and out, and where a fault is noted."""

    def __init__(self, raw: Iterator[bytes], name: str, faults: list[Fault] | None) -> None:
        self.raw, self.name, self.faults = raw, name, faults
        self.read = self.given = 0

    def blocks(self) -> Iterator[bytes]:
        for block in self.raw:
            self.read += len(block)
            yield block

    def checked(self, unpacked: Iterator[bytes]) -> Iterator[bytes]:
        for block in unpacked:
            self.given += len(block)
            if self.given > max(BOMB_BYTES, BOMB_RATIO * self.read):
                raise ReadError.bomb(self.name, self.given, self.read)
            yield block

    def fault(self, kind: str, how: str, reason: object = "") -> None:
        if self.faults is None:
            raise ReadError.truncated(self.name, how)
        self.faults.append(Fault(kind, self.given, f"{how}: {reason or 'the end is missing'}"[:80]))


def _members(counter: _Counter, new: Callable[[], Any], how: str) -> Iterator[bytes]:
    """Streams one after the other, and padding."""
    member = new()
    for block in counter.blocks():
        data = block
        while data or not (member.eof or getattr(member, "needs_input", True)):
            saved = member.copy() if hasattr(member, "copy") else None
            try:
                yield member.decompress(data, _UNPACKED)
            except _ERRORS as error:
                yield from _before_fault(saved, data)
                is_sum = str(error).endswith(("data check", "length check"))
                counter.fault("bad_checksum" if is_sum else "damaged_stream", how, error)
                return
            data = getattr(member, "unconsumed_tail", b"")
            if member.eof:  # the next member, or padding
                data = member.unused_data.lstrip(b"\0")
                if how == "zip":
                    return
                member = new() if data else member
    if not member.eof:
        counter.fault("truncated_stream", how)


def _before_fault(member: Any, data: bytes) -> Iterator[bytes]:  # noqa: ANN401
    """What a stream gives up to the byte at which it fails: a failing call gives nothing."""
    size = len(data)
    while member is not None and size > 1:
        size = max(size // 64, 1)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            saved = member.copy()
            try:
                unpacked = [member.decompress(piece, _UNPACKED)]
                while member.unconsumed_tail:
                    unpacked.append(member.decompress(member.unconsumed_tail, _UNPACKED))
            except _ERRORS:
                member, data = saved, piece
                break
            yield b"".join(unpacked)
        else:
            return


def _unzip(counter: _Counter) -> Iterator[bytes]:
    """The first file of an archive, which a cut has not harmed: its header is in front."""
    blocks = counter.blocks()
    first = next(blocks)
    if len(first) < 30:
        counter.fault("truncated_stream", "zip")
        return
    flags, method = struct.unpack_from("<HH", first, 6)
    name, extra = struct.unpack_from("<HH", first, 26)
    if flags & 1 or method != 8:
        raise ReadError.unsupported("zip archive that is encrypted or not packed by deflate")
    counter.raw = chain([first[30 + name + extra :]], blocks)
    yield from _members(counter, lambda: zlib.decompressobj(-zlib.MAX_WBITS), "zip")


def _unzstd(counter: _Counter) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError.needs(
            f"{counter.name} is zstandard: reading it", "zstandard", "zstd"
        ) from error
    member = zstandard.ZstdDecompressor().decompressobj()
    for block in counter.blocks():
        got: list[bytes] = []
        for start in range(0, len(block), _ZSTD_SLICE):
            data = block[start : start + _ZSTD_SLICE]
            while data:  # a file may hold several frames
                if member.eof:
                    member = zstandard.ZstdDecompressor().decompressobj()
                try:
                    got.append(member.decompress(data))
                except zstandard.ZstdError as error:
                    yield b"".join(got)
                    kind = "bad_checksum" if "checksum" in str(error) else "damaged_stream"
                    counter.fault(kind, "zstandard", error)
                    return
                data = member.unused_data if member.eof else b""
            if sum(map(len, got)) >= _UNPACKED:
                yield b"".join(got)
                got = []
        yield b"".join(got)
    if not member.eof:
        counter.fault("truncated_stream", "zstandard")


def _utf8(blocks: Iterator[bytes], name: str, faults: list[Fault] | None) -> Iterator[bytes]:
    first = next((block for block in blocks if block), b"")
    wide = wide_encoding(first)
    kind = "utf16_or_utf32" if wide else "byte_order_mark" if first.startswith(_MARK) else None
    if kind is not None:
        fault = Fault(kind, 0, excerpt(first, 0))
        if faults is None:
            raise ReadError.fault(name, fault.kind, fault.offset, fault.excerpt)
        faults.append(fault)
    if wide:
        decoder = codecs.getincrementaldecoder(wide)("replace")
        for block in chain([first], blocks):
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    else:
        yield first.removeprefix(_MARK)
        yield from blocks
