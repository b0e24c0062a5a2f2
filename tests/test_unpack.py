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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("block", [101, 1 << 23])
def test_text_in_other_encodings_is_read_as_utf8(encoding: str, block: int) -> None:
    trace = json.dumps([op("é\U0001f600", 1, 1)], ensure_ascii=False)
    text, (fault,) = unpacked(trace.encode(encoding), block)
    assert text.decode() == trace
    assert fault.kind == ("byte_order_mark" if encoding == "utf-8-sig" else "utf16_or_utf32")
    with pytest.raises(sk.errors.ReadError, match="repair=True"):
        Source.of(trace.encode(encoding)).read()
