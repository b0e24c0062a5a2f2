"""Packed bytes to UTF-8 text in blocks of bounded size, as far as they can be unpacked.

With a list to note faults in, a stream that is cut off or damaged gives what comes before the
fault; without one it is an error.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from skiptrace.errors import MissingDependencyError, ReadError
from skiptrace.read.archive import find_member
from skiptrace.read.faults import Fault, excerpt

_UNPACKED = 1 << 22
"""At most this much is unpacked at a time, however well it was packed."""
BOMB_BYTES = 1 << 28
BOMB_RATIO = 200
"""What unpacks to more than so many bytes and so many times its size is no trace."""
LAYERS = 4
"""A packed file may be packed again, this often."""

_SLICE = 1 << 16
"""Of bzip2 and xz at a time: what has to be read again, byte by byte, at a fault."""
_ZSTD_SLICE = 1 << 10  # can unpack to 32 MB at most: 128 kB for each four bytes
_MARK = codecs.BOM_UTF8
_WIDE = (
    (re.compile(rb"\xff\xfe\0\0"), "utf-32"),
    (re.compile(rb"\0\0\xfe\xff"), "utf-32"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "utf-16"),
    (re.compile(rb"(?:[ \t\r\n]\0\0\0)*[{\[]\0\0\0"), "utf-32-le"),
    (re.compile(rb"(?:\0\0\0[ \t\r\n])*\0\0\0[{\[]"), "utf-32-be"),
    (re.compile(rb"(?:[ \t\r\n]\0)*[{\[]\0"), "utf-16-le"),
    (re.compile(rb"(?:\0[ \t\r\n])*\0[{\[]"), "utf-16-be"),
)
ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""What reading and unpacking raise."""


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
    packed = _Packed(raw, name, faults)
    first, blocks = _peeked(iter(packed))
    for _ in range(LAYERS):
        undo = next((undo for mark, undo in _PACKED.items() if first.startswith(mark)), None)
        if undo is None:
            break
        first, blocks = _peeked(undo(_Packed(blocks, name, faults, packed)))
    return _utf8(first, blocks, name, faults)


def is_plain(first: bytes) -> bool:
    """Whether `unpack` passes on as they are bytes that begin so."""
    return not first.startswith((*_PACKED, _MARK)) and not any(m.match(first) for m, _ in _WIDE)


def _peeked(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, as many as tell what they are, and all blocks."""
    first = b""
    for block in blocks:
        first += block
        if len(first) >= 64:
            break
    return first, chain([first], blocks)


class _Packed:
    """Packed blocks, how much came in and out, and where a fault is noted."""

    def __init__(
        self,
        blocks: Iterator[bytes],
        name: str,
        faults: list[Fault] | None,
        file: _Packed | None = None,
    ) -> None:
        self._blocks, self.name, self.faults = blocks, name, faults
        self._file = file or self
        self.read = self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.read += len(block)
            yield block

    def give(self, block: bytes) -> bytes:
        """Count what was unpacked, in proportion to the file."""
        self.given += len(block)
        if self.given > max(BOMB_BYTES, BOMB_RATIO * self._file.read):
            raise ReadError.bomb(self.name, self.given, self._file.read)
        return block

    def fault(self, kind: str, how: str, reason: object = "") -> None:
        if self.faults is None:
            raise ReadError.truncated(self.name, how)
        self.faults.append(Fault(kind, self.given, f"{how}: {reason or 'the end is missing'}"[:80]))

    def failed(self, how: str, error: Exception) -> None:
        is_sum = str(error).endswith(("data check", "length check")) or "checksum" in str(error)
        self.fault("bad_checksum" if is_sum else "damaged_stream", how, error)


def _gzip(packed: _Packed) -> Iterator[bytes]:
    return _deflated(packed, iter(packed), "gzip", zlib.MAX_WBITS | 16)


def _deflated(packed: _Packed, blocks: Iterator[bytes], how: str, bits: int) -> Iterator[bytes]:
    """Members one after the other, and padding; of an archive the one."""
    member = zlib.decompressobj(bits)
    for block in blocks:
        data = block
        while data:
            saved = member.copy()
            try:
                yield packed.give(member.decompress(data, _UNPACKED))
            except ERRORS as error:
                yield from map(packed.give, _before_fault(saved, data))
                packed.failed(how, error)
                return
            data = member.unconsumed_tail
            if member.eof:  # the next member, or padding
                data = member.unused_data.lstrip(b"\0")
                if how == "zip":
                    return
                member = zlib.decompressobj(bits) if data else member
    if not member.eof:
        packed.fault("truncated_stream", how)


def _before_fault(member: Any, data: bytes) -> Iterator[bytes]:  # noqa: ANN401
    """What a stream gives up to the byte at which it fails: a failing call gives nothing."""
    size = len(data)
    while size > 1:
        size = max(size // 64, 1)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            saved = member.copy()
            try:
                unpacked = [member.decompress(piece, _UNPACKED)]
                while member.unconsumed_tail:
                    unpacked.append(member.decompress(member.unconsumed_tail, _UNPACKED))
            except ERRORS:
                member, data = saved, piece
                break
            yield b"".join(unpacked)
        else:
            return


def _bzip2(packed: _Packed) -> Iterator[bytes]:
    return _gathered(_members(packed, iter(packed), bz2.BZ2Decompressor, "bzip2"))


def _xz(packed: _Packed) -> Iterator[bytes]:
    return _gathered(_members(packed, iter(packed), lzma.LZMADecompressor, "xz"))


def _members(
    packed: _Packed, blocks: Iterator[bytes], new: Callable[[], Any], how: str
) -> Iterator[bytes]:
    """Members one after the other, and padding, of a packing whose state cannot be copied.

    What a member was read from is kept until it ends: a failing call gives nothing, so at a fault
    it is unpacked again, the last slice byte by byte.
    """
    member, used, given = new(), [], 0
    for block in blocks:
        for start in range(0, len(block), _SLICE):
            data = block[start : start + _SLICE]
            while data or not (member.eof or member.needs_input):
                used += [data] if data else []
                try:
                    got = member.decompress(data, _UNPACKED)
                except ERRORS as error:
                    yield from map(packed.give, _again(new(), used, given))
                    packed.failed(how, error)
                    return
                given += len(got)
                yield packed.give(got)
                data = member.unused_data.lstrip(b"\0") if member.eof else b""
                if data:
                    member, used, given = new(), [], 0
    if not member.eof:
        packed.fault("truncated_stream", how)


def _again(member: Any, used: list[bytes], given: int) -> Iterator[bytes]:  # noqa: ANN401
    """What slices unpack to up to the byte at which they fail, behind what was given already."""
    last = used.pop()
    for data in (*used, *(last[at : at + 1] for at in range(len(last)))):
        more = data
        while more or not (member.eof or member.needs_input):
            try:
                got = member.decompress(more, _UNPACKED)
            except ERRORS:
                return
            more = b""
            yield got[given:]
            given = max(given - len(got), 0)


def _unzip(packed: _Packed) -> Iterator[bytes]:
    """The first trace of an archive."""
    member = find_member(b"".join(packed))
    if member is None:
        packed.fault("truncated_stream", "zip")
        return
    if member.others and packed.faults is None:
        raise ReadError.fault(packed.name, "other_files", 0, member.others)
    if member.others and packed.faults is not None:
        packed.faults.append(Fault("other_files", 0, member.others[:80], member.count))
    data, crc = member.data, 0
    blocks: Iterator[bytes] = (data[at : at + _UNPACKED] for at in range(0, len(data), _UNPACKED))
    if member.packing == "bzip2":
        blocks = _gathered(_members(packed, blocks, bz2.BZ2Decompressor, "zip"))
    elif member.packing == "deflate":
        blocks = _deflated(packed, blocks, "zip", -zlib.MAX_WBITS)
    else:
        blocks = map(packed.give, blocks)
    for block in blocks:
        crc = zlib.crc32(block, crc)
        yield block
    if member.size == packed.given and member.crc != crc:
        packed.fault("bad_checksum", "zip", "its checksum is another")


def _unzstd(packed: _Packed) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError.needs(
            f"{packed.name} is zstandard: reading it", "zstandard", "zstd"
        ) from error
    return _gathered(_frames(packed, zstandard))


def _frames(packed: _Packed, zstandard: Any) -> Iterator[bytes]:  # noqa: ANN401
    member = zstandard.ZstdDecompressor().decompressobj()
    for block in packed:
        for start in range(0, len(block), _ZSTD_SLICE):
            data = block[start : start + _ZSTD_SLICE]
            while data:  # a file may hold several frames
                if member.eof:
                    member = zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield packed.give(member.decompress(data))
                except zstandard.ZstdError as error:
                    packed.failed("zstandard", error)
                    return
                data = member.unused_data if member.eof else b""
    if not member.eof:
        packed.fault("truncated_stream", "zstandard")


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces as blocks."""
    waiting, size = [], 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _UNPACKED:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


_PACKED: dict[bytes, Callable[[_Packed], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"PK\x03\x04": _unzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
"""First bytes -> what undoes that packing."""


def _utf8(
    first: bytes, blocks: Iterator[bytes], name: str, faults: list[Fault] | None
) -> Iterator[bytes]:
    wide = next((encoding for begins, encoding in _WIDE if begins.match(first)), None)
    kind = "utf16_or_utf32" if wide else "byte_order_mark" if first.startswith(_MARK) else None
    if kind is not None:
        fault = Fault(kind, 0, excerpt(first, 0))
        if faults is None:
            raise ReadError.fault(name, fault.kind, fault.offset, fault.excerpt)
        faults.append(fault)
    if wide:
        decoder = codecs.getincrementaldecoder(wide)("replace")
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "replace")
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")
    elif kind:
        next(blocks)
        yield b" " * len(_MARK) + first.removeprefix(_MARK)  # bytes keep their places
    yield from blocks
