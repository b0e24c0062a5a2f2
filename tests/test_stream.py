"""The fast reader gives the general reader's very frames, whatever the layout, or steps aside."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from helpers import assembled, fixture_paths, kernel, op, trace_paths

import skiptrace as sk
from skiptrace.read import columns, stream
from skiptrace.read.chunks import from_blocks, from_parts
from skiptrace.read.columns import RawEvents
from skiptrace.read.decode import events_and_header, loads
from skiptrace.read.digits import MARGIN
from skiptrace.read.layout import find_layout
from skiptrace.read.rows import NUMBERS, TEXTS, from_decoded
from skiptrace.read.source import Parts, Source

SMALL = 20_000
"""Bytes a block: even a fixture makes several."""


def general(data: bytes) -> tuple[RawEvents, dict[str, Any]]:
    events, header = events_and_header(loads(data), "data")
    return assembled(from_decoded(events)), header


def whole(raw: RawEvents) -> pl.DataFrame:
    return raw.frame([*NUMBERS, *TEXTS[:4]])


def agree(data: bytes, *, least: int = 2, block: int = SMALL) -> None:
    slow, same = general(data)
    for source in (data, gzip.compress(data, 1)):  # read at any place, and from the start only
        read = stream.read_parts(Source.of(source), block=block, repair=False)
        assert read.events.count >= least
        fast = read.events.assembled()
        assert read.header == same
        assert whole(fast).equals(whole(slow))
        assert (fast.events, fast.found, fast.not_rows, fast.threads) == (
            slow.events,
            slow.found,
            slow.not_rows,
            slow.threads,
        )


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(
    "path", [*fixture_paths(), *trace_paths()], ids=lambda p: f"{p.parent.name}-{p.name}"
)
def test_every_trace_reads_alike(path: Path) -> None:
    if path.stat().st_size > 400_000:
        pytest.skip("large: the smaller traces have every writer")
    data = unpacked(path)
    agree(data, least=2 if len(data) > 5 * SMALL else 1, block=max(SMALL, len(data) // 5))


LAYOUTS: dict[str, Callable[[Any], bytes]] = {
    "minified": orjson.dumps,
    "json.dump": lambda t: json.dumps(t).encode(),
    "indent 2": lambda t: orjson.dumps(t, option=orjson.OPT_INDENT_2),
    "indent 4, CRLF": lambda t: json.dumps(t, indent=4).replace("\n", "\r\n").encode(),
    "tabs": lambda t: json.dumps(t, indent="\t").encode(),
    "sorted keys": lambda t: orjson.dumps(t, option=orjson.OPT_SORT_KEYS),
    "bare array": lambda t: orjson.dumps(t["traceEvents"]),
    "header last": lambda t: json.dumps(dict(reversed(t.items())), indent=1).encode(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name)
def test_every_layout_reads_alike(path: Path, layout: str) -> None:
    data = LAYOUTS[layout](json.loads(unpacked(path)))
    agree(data, least=1)


def events(count: int = 400) -> list[dict[str, Any]]:
    return [e for i in range(count) for e in (op(f"op{i}", 10 * i, 5), kernel(10 * i, 5, i + 1))]


ODD: dict[str, dict[str, Any]] = {
    "a process by name": {"pid": "Spans"},
    "a thread by name, and one beyond 64 bits": {"tid": 2**70},
    "a time as text": {"ts": "12.5"},
    "a time that is no number": {"ts": "N/A"},
    "no duration": {"dur": None},
    "a negative duration": {"dur": -3},
    "a name that is a list": {"name": [1, 2]},
    "a name with escapes": {"name": 'a\\"b\né\u2028}, {"'},
    "arguments that are text": {"args": "text"},
    "a correlation as text": {"args": {"correlation": "17"}},
    "an argument beyond 64 bits": {"args": {"Comms Id": 2**64 + 5, "correlation": 3}},
    "objects in the arguments": {"args": {"list": [{"a": 1}, {"b": 2}], "correlation": 4}},
    "an unknown phase": {"ph": "Q"},
    "no phase": {"ph": None},
    "a thread's name": {"ph": "M", "name": "thread_name", "args": {"name": "main"}},
    "a stream by name": {"tid": "stream 7", "args": {}},
    "microseconds from 1970, with decimals": {"ts": 1712195495505324.765},
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_odd_event_among_regular_ones_reads_alike(what: str, indent: int | None) -> None:
    traced = events()
    traced[300] = {**traced[300], **ODD[what]}
    data = json.dumps({"traceEvents": traced, "rank": 0}, indent=indent).encode()
    agree(data, block=8_000)


def test_digits_beyond_doubles_survive_in_every_block() -> None:
    text = ",\n".join(
        f'{{"ph": "X", "cat": "cpu_op", "name": "o", "pid": 1, "tid": 1, '
        f'"ts": 17121954955{i:05d}.{i % 1000:03d}, "dur": 0.001}}'
        for i in range(3000)
    )
    data = ('{"traceEvents": [' + text + "]}").encode()
    agree(data)
    starts = sk.load(data).ops["start_ns"].to_list()
    assert starts == [17121954955_00000_000 + i * 1000 + i % 1000 for i in range(3000)]


def test_what_is_not_laid_out_regularly_is_left_to_the_general_reader() -> None:
    mixed = json.dumps(events(1)[0]) + "\n,  " + ",".join(json.dumps(e) for e in events())
    agree(f'{{"traceEvents": [{mixed}]}}'.encode())


@pytest.mark.parametrize("cut", [5_000, 30_000, -3])
def test_of_a_text_that_is_cut_off_all_that_came_before_is_kept(cut: int) -> None:
    data = json.dumps({"traceEvents": events()}, indent=1).encode()[:cut]
    with pytest.raises(sk.errors.ReadError, match=r"truncated_json|lost_event"):
        sk.load(data, repair=False)
    trace = sk.load(data)
    whole = sk.load(json.dumps({"traceEvents": events()}).encode())
    assert trace.health.filter(kind="truncated_json")["byte"].item() <= len(data)
    # Of the event that is cut the last value is none.
    for cut_off, same in ((trace.ops, whole.ops), (trace.work, whole.work)):
        assert cut_off[:-1].equals(same.head(len(cut_off) - 1))
    assert 0 <= data.count(b'"ph"') - trace.meta.events <= 1


def test_packed_files_of_several_members_and_padding_are_read_whole(tmp_path: Path) -> None:
    data = json.dumps({"traceEvents": events()}).encode()
    half = len(data) // 2
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0" * 512)
    assert sk.load(path).ops.equals(sk.load(data).ops)


def test_the_same_zstandard_frames(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is an extra")
    data = json.dumps({"traceEvents": events()}).encode()
    packed = b"".join(zstandard.compress(part) for part in (data[:999], data[999:]))
    assert sk.load(packed).ops.equals(sk.load(data).ops)
    with pytest.raises(sk.errors.ReadError, match="cut off"):
        sk.load(packed[:-9], repair=False)


@pytest.mark.parametrize("raw", ["\n", "\t", "\x00", "\x01"])
def test_a_raw_control_character_inside_a_name_is_kept_and_counted(
    raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"traceEvents": events()}, indent=1)
    data = text.replace('"op300"', f'"op{raw}300"').encode()
    assert data != text.encode()
    with pytest.raises(sk.errors.ReadError, match="control_character at byte"):
        sk.load(data, repair=False)
    monkeypatch.setattr(stream, "BLOCK", 8_000)
    trace = sk.load(data)
    found = trace.health.filter(kind="control_character")
    assert found["count"].item() == 1
    assert data[found["byte"].item() :].startswith(raw.encode())
    assert f"op{raw}300" in trace.ops["name"].to_list()
    assert len(trace.ops) == len(trace.work) == len(events()) // 2


WIDE = " " * 200
"""More than the margin behind a text."""


def test_more_may_stand_between_events_than_is_looked_at_first() -> None:
    between = "," + " " * 40_000
    data = f"[{between.join(json.dumps(e) for e in events(8))}]".encode()
    for block, least in ((1_000, 1), (60_000, 2), (100_000, 2)):
        agree(data, block=block, least=least)


@pytest.mark.parametrize("layout", ['{"{}', "{" + WIDE + '"{}'], ids=["narrow", "wide"])
@pytest.mark.parametrize("colon", [":", ":" + WIDE], ids=["narrow", "wide"])
def test_spaces_wider_than_the_margin_are_not_read_beyond_it(layout: str, colon: str) -> None:
    opening = layout.removesuffix('"{}')
    texts = [json.dumps(e, separators=(",", colon)) for e in events(80)[1::2]]
    data = "[" + ",".join(opening + text[1:] for text in texts) + ',{"a"' + colon + "{}}]"
    agree(data.encode(), least=1)


def test_a_colon_unlike_the_others_moves_no_value() -> None:
    text = json.dumps({"traceEvents": events()})
    for old, new in (('"pid": 1', '"pid":21'), ('"ts": 2000', '"ts":2000'), ("7}", "7 }")):
        data = text.replace(old, new, 1)
        assert data != text
        agree(data.encode(), least=1)


def test_pieces_of_one_event_that_are_as_many_as_the_events_of_another_are_not_mixed_up() -> None:
    first, *rest = (json.dumps(e, separators=(",", ":")) for e in events(40))
    nested = first[:-1] + ',"args":{"l":[' + ",".join(rest[:20:2]) + "]}}"
    pair = rest[0] + " , " + rest[2]
    agree(f"[{','.join([nested, pair, *rest[::2], *rest[::2]])}]".encode(), block=4_000)


@pytest.mark.parametrize("odd", [{"name": ["a"]}, {"name": [1, 2]}, {"dur": [5]}, {"cat": ["k"]}])
def test_a_list_for_a_value_in_every_event_reads_alike(odd: dict[str, Any]) -> None:
    agree(json.dumps([{**e, **odd} for e in events(40)]).encode(), block=2_000)


def test_long_durations_keep_their_nanoseconds_in_both_readers() -> None:
    traced = json.dumps(events(40)).replace('"dur": 5', '"dur": 1712195495505324.765')
    agree(traced.encode(), least=1)


def test_objects_inside_flat_events_are_not_taken_for_damage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced = [{**e, "args": {"l": [{"a": i} for i in range(30)]}} for e in events(20)]
    monkeypatch.setattr(stream, "BLOCK", 700)
    data = json.dumps(traced, indent=0).encode()
    assert sk.load(data).ops.equals(sk.load(traced).ops)
    assert sk.load(data).meta.events == len(traced)


@pytest.mark.parametrize("moves", [True, False], ids=["in place", "copied"])
def test_columns_grow(monkeypatch: pytest.MonkeyPatch, *, moves: bool) -> None:
    monkeypatch.setattr(columns, "_CAN_MOVE", moves and columns._CAN_MOVE)
    size, with_correlation = 50_000, 2  # all parts together are beyond a column's first megabyte
    made = []
    for part in range(4):
        args = [{"correlation": n} if part == with_correlation else {} for n in range(size)]
        events = [
            {"ph": "X", "ts": n, "dur": 1, "pid": 1, "tid": 1, "name": f"n{part}", "args": arg}
            for n, arg in enumerate(args, part * size)
        ]
        made.append(from_decoded(events))
    frame = assembled(*made).frame(["start_ns", "correlation", "name"])
    ids = list(range(4 * size))
    assert frame["id"].to_list() == ids
    assert frame["start_ns"].to_list() == [1000 * n for n in ids]
    assert frame["name"].to_list() == [f"n{n // size}" for n in ids]
    none = [None] * size
    assert frame["correlation"].to_list() == [*none, *none, *range(size), *none]


def test_what_is_fixed_in_a_template_may_be_longer_than_a_block() -> None:
    def flagged(number: int, flags: list[bool]) -> dict[str, Any]:
        return op("n", number, 1, flags=flags)

    events = [flagged(n, [True] * 800) for n in range(60)] + [flagged(n, []) for n in range(60, 74)]
    data = json.dumps({"traceEvents": events}).encode()
    for block in range(len(data) - 2_400, len(data), 100):
        agree(data, least=1, block=block)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("size", [1, 300, 40_000])
def test_chunks_are_the_text_cut_at_borders_of_events(size: int, packed: bool) -> None:
    long = "x" * 50_000  # looked for in pieces, the first of them 16 kB
    traced = [op(long if i % 7 == 3 else f"n{i}", i, 1) for i in range(30)]
    data = json.dumps(traced, indent=1).encode()
    first = data.index(b"{")
    layout = find_layout(data, first)
    assert layout is not None
    told: list[float] = []
    with ThreadPoolExecutor(1) as reader:
        if packed:
            borders = [0, *range(first + 1, len(data), size), len(data)]
            blocks = (data[a:b] for a, b in pairwise(borders))
            opening, chunks_of = from_blocks(blocks, reader)
        else:
            parts = Parts(len(data), lambda at, size: data[at : at + size])
            opening, chunks_of = from_parts(
                parts, size, lambda _, share: told.append(share), reader
            )
        chunks = list(chunks_of(next(opening), first, layout))
    assert layout.between.join(chunk.events for chunk in chunks) == data[first:]
    assert [chunk.at for chunk in chunks] == [data.index(chunk.events) for chunk in chunks]
    assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(len(chunk.text) >= chunk.size + MARGIN for chunk in chunks)
    assert all(loads(b"[" + chunk.events + b"]") for chunk in chunks[:-1])
    assert told == sorted(told)


def test_a_file_that_shrinks_while_it_is_read_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(json.dumps(events(), indent=1).encode())
    source = Source.of(path)
    with source.opened() as parts:
        assert parts is not None
        path.write_bytes(path.read_bytes()[:5_000])
        assert len(parts.read(0, 5_000)) == 5_000
        with pytest.raises(sk.errors.ReadError, match="cannot be read: it became shorter"):
            parts.read(0, 5_001)


def test_what_cannot_be_read_at_any_place_is_read_from_its_start(tmp_path: Path) -> None:
    data = json.dumps({"traceEvents": events()}, indent=1).encode()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert sk.load(pipe).ops.equals(sk.load(data).ops)
    writer.join()
    for recoded in (data.decode().encode("utf-16"), b"\xef\xbb\xbf" + data):
        assert sk.load(recoded).ops.equals(sk.load(data).ops)
