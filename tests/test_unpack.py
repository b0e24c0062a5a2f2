"""Packed files that are cut off or damaged give what comes before; bombs and wide text."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard
from helpers import fixture_path, op

import skiptrace as sk
from skiptrace.read import unpack as module
from skiptrace.read.faults import FAULTS, Fault
from skiptrace.read.source import Source
from skiptrace.read.unpack import unpack

TEXT = gzip.decompress(fixture_path("encoder").read_bytes())


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.json", data)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zip": zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstandard": zstandard.ZstdCompressor(write_checksum=True).compress,
}
SINGLE = ("zip",)
"""Of an archive the first file is the trace."""


def unpacked(data: bytes, block: int = 1 << 23) -> tuple[bytes, list[Fault]]:
    faults: list[Fault] = []
    text = b"".join(Source.of(data).blocks(block, faults=faults))
    assert {fault.kind for fault in faults} <= set(FAULTS)
    return text, faults


@pytest.mark.parametrize("block", [64, 1 << 23])
@pytest.mark.parametrize("how", PACKERS)
def test_a_sound_file_is_unpacked_without_a_fault(how: str, block: int) -> None:
    packed = PACKERS[how](TEXT)
    if how == "zip":
        block = max(block, 128)  # its header is read at once
    assert unpacked(packed, block) == (TEXT, [])
    assert Source.of(packed).read() == TEXT


@pytest.mark.parametrize("how", [how for how in PACKERS if how not in SINGLE])
def test_several_members_are_one_text(how: str) -> None:
    pack = PACKERS[how]
    assert unpacked(pack(TEXT[:1000]) + pack(TEXT[1000:])) == (TEXT, [])


@pytest.mark.parametrize("how", PACKERS)
def test_what_comes_before_a_cut_is_kept_or_it_is_an_error(how: str) -> None:
    whole = TEXT * (3_000_000 // len(TEXT))  # bzip2 unpacks whole blocks of up to 900 kB
    packed = PACKERS[how](whole)
    cut = packed[: len(packed) * 3 // 4]
    text, (fault,) = unpacked(cut)
    assert fault.kind == "truncated_stream"
    assert fault.offset == len(text)
    assert whole.startswith(text)
    assert text
    with pytest.raises(sk.errors.ReadError, match=rf"the {how} stream is cut off"):
        Source.of(cut).read()


def test_a_cut_second_member_keeps_the_first() -> None:
    packed = gzip.compress(TEXT) + gzip.compress(TEXT)[:-2000]
    text, (fault,) = unpacked(packed)
    assert text.startswith(TEXT)
    assert fault.kind == "truncated_stream"


@pytest.mark.parametrize("block", [100, 1 << 23])
def test_damage_inside_a_gzip_file_keeps_what_comes_before(block: int) -> None:
    packer, half = zlib.compressobj(wbits=31), len(TEXT) // 2
    packed = packer.compress(TEXT[:half]) + packer.flush(zlib.Z_FULL_FLUSH)
    no_block = b"\x07"
    text, (fault,) = unpacked(packed + no_block + TEXT[half:], block)
    assert (text, fault.kind) == (TEXT[:half], "damaged_stream")
    text, (fault,) = unpacked(gzip.compress(TEXT) + b"no member", block)
    assert (text, fault.kind) == (TEXT, "damaged_stream")


@pytest.mark.parametrize("how", ["bzip2", "xz"])
@pytest.mark.parametrize("block", [100, 1 << 23])
def test_what_stands_before_a_fault_is_kept_where_it_comes_in_one_read(
    how: str, block: int
) -> None:
    packed = PACKERS[how](TEXT)
    text, (fault,) = unpacked(packed + b"no member", block)
    assert (text, fault.kind, fault.offset) == (TEXT, "damaged_stream", len(TEXT))
    last = 9 if how == "bzip2" else 90
    bad = packed + packed[:-last] + bytes(b ^ 0xFF for b in packed[-last:])
    text, (fault,) = unpacked(bad, block)
    assert text.startswith(TEXT)
    assert fault.offset == len(text)


def test_of_noise_in_bzip2_all_blocks_before_it_are_kept() -> None:
    whole = TEXT * (3_000_000 // len(TEXT))
    packed = bytearray(bz2.compress(whole, 1))
    packed[len(packed) // 2] ^= 0xFF
    text, (fault,) = unpacked(bytes(packed))
    intact = next(i for i, (a, b) in enumerate(zip(text, whole, strict=False)) if a != b)
    assert intact > len(whole) // 2 - 200_000  # blocks of 100 kB
    assert len(text) - intact <= 100_000  # a block's checksum is behind it
    assert fault.offset == len(text)


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_what_is_packed_twice_is_unpacked_twice(outer: str, inner: str) -> None:
    assert unpacked(PACKERS[outer](PACKERS[inner](TEXT))) == (TEXT, [])


def test_a_bomb_in_a_bomb_is_measured_against_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOMB_BYTES", 1 << 22)
    packed = gzip.compress(gzip.compress(bytes(1 << 24)))
    with pytest.raises(sk.errors.ReadError, match="which no trace does"):
        unpacked(packed)


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


@pytest.mark.parametrize("method", METHODS)
def test_of_an_archive_the_first_trace_is_read_and_others_are_told(method: int) -> None:
    files = {"runs/": b"", "README": b"read me", "runs/a.json": TEXT}
    text, faults = unpacked(archive(files, method))
    assert (text, faults) == (TEXT, [])
    text, (fault,) = unpacked(archive(files | {"b.json": b"[]", "c.json.gz": b""}, method))
    assert text == TEXT
    assert (fault.kind, fault.count, fault.excerpt) == ("other_files", 2, "b.json, c.json.gz")
    with pytest.raises(sk.errors.ReadError, match=r"other_files at byte 0: 'b\.json'"):
        Source.of(archive(files | {"b.json": b"[]"}, method)).read()


def archive(files: dict[str, bytes], method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return file.getvalue()


def test_an_archive_with_a_wrong_checksum_is_read_whole() -> None:
    packed = bytearray(archive({"a.json": TEXT}, zipfile.ZIP_STORED))
    at = packed.index(TEXT)
    packed[at] ^= 1
    text, (fault,) = unpacked(bytes(packed))
    assert (text[1:], fault.kind) == (TEXT[1:], "bad_checksum")


def test_an_archive_that_cannot_be_read_says_why() -> None:
    packed = archive({"a.json": TEXT}, zipfile.ZIP_LZMA)
    with pytest.raises(sk.errors.ReadError, match="packed by method 14"):
        unpacked(packed)


def test_a_file_object_that_fails_is_a_named_error() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(sk.errors.ReadError, match="<file>: cannot be read: the disk is gone"):
        sk.load(Broken())
    cut: Any = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(TEXT)[:-9]))
    with pytest.raises(sk.errors.ReadError, match="cannot be read: Compressed file ended"):
        sk.load(cut)


def test_bytes_behind_a_mark_are_where_health_says() -> None:
    data = b"\xef\xbb\xbf" + json.dumps([op("a", 1, 1), op("b", 2, 1)]).encode()
    data = data.replace(b'"b"', b"NaN")
    byte = sk.load(data).health.filter(kind="not_a_number")["byte"].item()
    assert data[byte : byte + 3] == b"NaN"


@pytest.mark.parametrize("at", [-8, -1], ids=["checksum", "length"])
def test_a_wrong_checksum_keeps_the_whole_text(at: int) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[at] ^= 0xFF
    text, (fault,) = unpacked(bytes(packed))
    assert (text, fault.kind) == (TEXT, "bad_checksum")
    with pytest.raises(sk.errors.ReadError, match="damaged"):
        Source.of(bytes(packed)).read()


def test_nothing_to_unpack_is_an_error_that_says_so() -> None:
    with pytest.raises(sk.errors.ReadError, match="gzip stream is cut off"):
        unpacked(b"\x1f\x8b\x08")
    with pytest.raises(sk.errors.ReadError, match="empty"):
        unpacked(b"")


def gzip_bomb(size: int) -> Iterator[bytes]:
    """A gzip file of zeros in blocks: about `size` / 1000 bytes."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb") as packed:
        for _ in range(size >> 20):
            packed.write(b"\0" * (1 << 20))
    yield file.getvalue()


def test_a_bomb_is_unpacked_in_bounded_memory_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOMB_BYTES", 1 << 25)
    tracemalloc.start()
    blocks = unpack(gzip_bomb(1 << 26), "bomb", [])
    with pytest.raises(sk.errors.ReadError, match="which no trace does"):
        assert max(map(len, blocks)) <= 1 << 23
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("space", ["", "\r\n \t"])
def test_wide_text_without_a_mark_is_known_by_its_zeros(encoding: str, space: str) -> None:
    trace = space + json.dumps({"traceEvents": [op("é", 1, 1)]}, ensure_ascii=False)
    text, (fault,) = unpacked(trace.encode(encoding))
    assert (text.decode(), fault.kind) == (trace, "utf16_or_utf32")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("block", [101, 1 << 23])
def test_text_in_other_encodings_is_read_as_utf8(encoding: str, block: int) -> None:
    trace = json.dumps([op("é\U0001f600", 1, 1)], ensure_ascii=False)
    text, (fault,) = unpacked(trace.encode(encoding), block)
    assert text.decode() == (" " * 3 if encoding == "utf-8-sig" else "") + trace
    assert fault.kind == ("byte_order_mark" if encoding == "utf-8-sig" else "utf16_or_utf32")
    with pytest.raises(sk.errors.ReadError, match="repair=True"):
        Source.of(trace.encode(encoding)).read()
