"""Whatever a trace comes in, the same frames; whatever is wrong with it, a named error."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from helpers import Event, annotation, call, event, health, kernel, op, python, step

import skiptrace as sk
from skiptrace.errors import ReadError, SkiptraceError

EVENTS = [
    step(1, 0, 50),
    op("aten::add", 1, 10),
    call("cudaLaunchKernel", 2, 3, 9),
    kernel(8, 4, 9, name="größe"),
    annotation("label", 0, 20),
    python("train.py(3): main", 0, 40),
]
DOCUMENT = {"schemaVersion": 1, "traceEvents": EVENTS}
TEXT = orjson.dumps(DOCUMENT)
FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps", "health")


class AnyPath(os.PathLike[str]):
    """A path that is no pathlib.Path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def assert_same(trace: sk.Trace, expected: sk.Trace) -> None:
    for name in FRAMES:
        assert getattr(trace, name).equals(getattr(expected, name)), name


def saved(folder: Path, data: bytes = TEXT, name: str = "trace.json") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "source",
    [str, Path, AnyPath, Path.read_bytes, lambda p: bytearray(p.read_bytes()),
     lambda p: memoryview(p.read_bytes()), lambda p: io.BytesIO(p.read_bytes()),
     lambda p: orjson.loads(p.read_bytes()), lambda p: orjson.loads(p.read_bytes())["traceEvents"]],
    ids=["str", "Path", "PathLike", "bytes", "bytearray", "memoryview", "file", "dict", "list"],
)  # fmt: skip
def test_every_source_gives_the_same_frames(tmp_path: Path, source: Callable[[Path], Any]) -> None:
    trace = sk.load(source(saved(tmp_path)))
    assert_same(trace, sk.load(TEXT))
    assert trace.launches["name"].to_list() == ["cudaLaunchKernel"]
    assert trace.work["name"].to_list() == ["größe"]
    assert [len(getattr(trace, name)) for name in FRAMES[:7]] == [1, 1, 1, 1, 2, 1, 1]


def test_an_open_file_is_read_and_left_open(tmp_path: Path) -> None:
    with saved(tmp_path).open("rb") as file:
        assert_same(sk.load(file), sk.load(TEXT))
        assert not file.closed


def test_loading_changes_no_decoded_source() -> None:
    document = orjson.loads(TEXT)
    sk.load(document)
    assert document == DOCUMENT


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd without a size": zstandard.ZstdCompressor(write_content_size=False).compress,
    "zstd frames": lambda data: (
        zstandard.compress(data[:100]) + zstandard.ZstdCompressor().compress(data[100:])
    ),
}


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.zst", "t"])
@pytest.mark.parametrize("pack", PACKERS)
def test_compression_is_told_by_content_not_by_name(tmp_path: Path, name: str, pack: str) -> None:
    packed = PACKERS[pack](TEXT)
    assert_same(sk.load(saved(tmp_path, packed, name)), sk.load(TEXT))
    assert_same(sk.load(packed), sk.load(TEXT))


@pytest.mark.parametrize(
    "text",
    [
        orjson.dumps(EVENTS),
        orjson.dumps({"traceEvents": EVENTS, "schemaVersion": 1}),
        orjson.dumps(DOCUMENT, option=orjson.OPT_INDENT_2),
        b" \n" + TEXT + b"\n\n",
    ],
    ids=["array", "header last", "indented", "blank around"],
)
def test_every_form_gives_the_same_frames(text: bytes) -> None:
    assert_same(sk.load(text), sk.load(TEXT))


def test_header_fields_after_the_events_are_read_from_minified_text() -> None:
    text = (
        b'{"traceEvents":[],"distributedInfo":{"backend":"nccl","rank":0,"world_size":4},'
        b'"baseTimeNanoseconds":1700000000000000000}'
    )
    meta = sk.load(text).meta
    assert (meta.rank, meta.world_size, meta.base_time_ns) == (0, 4, 1_700_000_000_000_000_000)


ODD: dict[str, Any] = {
    "empty": {},
    "no object": 7,
    "null": None,
    "text": "event",
    "no phase": {"name": "x", "ts": 1, "dur": 1},
    "odd phase": {"ph": 3, "name": "x", "ts": 1, "dur": 1},
    "unknown phase": {"ph": "?", "name": "x", "ts": 1, "dur": 1},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", [0, 3])
def test_an_event_that_is_none_is_counted_and_changes_nothing_else(odd: Any, place: int) -> None:
    events = [*EVENTS[:place], odd, *EVENTS[place:]]
    trace, plain = sk.load(orjson.dumps(events)), sk.load(TEXT)
    assert health(trace) == health(plain) | {"unknown_phase": 1, "events": len(EVENTS) + 1}
    for name in FRAMES[:7]:
        frames = [getattr(t, name).select("name", "start_ns", "dur_ns") for t in (trace, plain)]
        assert frames[0].equals(frames[1])
    assert trace.work["id"].to_list() == [4]  # its place in the file
    assert trace.meta.events == len(EVENTS) + 1


@pytest.mark.parametrize("phase", ["i", "I", "M", "s", "t", "f", "C", "b", "e", "n", "N", "R", "c"])
def test_phases_that_span_no_time_are_known_and_no_rows(phase: str) -> None:
    odd: Event = {"ph": phase, "name": "x", "cat": "cpu_op", "ts": 1, "pid": 1, "tid": 1, "id": 4}
    trace, plain = sk.load([*EVENTS, odd]), sk.load(TEXT)
    for name in set(FRAMES) - {"health"}:
        assert getattr(trace, name).equals(getattr(plain, name)), name
    assert health(trace) == health(plain) | {"events": len(EVENTS) + 1}


def test_an_empty_trace_loads_and_health_says_why() -> None:
    sources: list[Any] = [[], {"traceEvents": []}, b"[]", b'{"traceEvents":[]}']
    for source in sources:
        trace = sk.load(source)
        assert [len(getattr(trace, name)) for name in FRAMES[:6]] == [0] * 6
        assert trace.steps["name"].to_list() == ["all"]
        assert health(trace) == {"no_device_work": 1, "no_operators": 1, "floor_none": 1}


def test_a_field_that_is_missing_leaves_null_or_a_thread_of_its_own() -> None:
    bare = {"ph": "X", "cat": "cpu_op", "ts": 1, "dur": 2}
    trace = sk.load([bare, {"ph": "X"}, {"ph": "X", "ts": 1, "cat": "kernel", "args": None}])
    assert trace.ops.select("id", "name", "start_ns", "dur_ns").rows() == [(0, None, 1000, 2000)]
    assert trace.work.select("id", "dur_ns", "launch").rows() == [(2, 0, None)]


@pytest.mark.parametrize(
    ("tid", "expected"),
    [(7, 7), (-5, -5), (0, 0), ("25738", 25738), (" 3 ", 3), (2**62, 2**62), (4.0, 4)],
)
def test_thread_ids_are_integers_however_written(tid: Any, expected: int) -> None:
    trace = sk.load([op("a", 0, 9, tid=tid), call("c", 1, 1, tid=tid), op("b", 2, 1, tid=99)])
    assert trace.ops["tid"].to_list() == [expected, 99]
    assert trace.calls["op"].to_list() == [0]


@pytest.mark.parametrize("odd", ["main", "", 2**70, 1.5, None, [1]])
def test_a_thread_with_a_name_is_one_thread_and_no_other(odd: Any) -> None:
    other = "worker" if odd != "worker" else "main"
    events = [op("a", 0, 9, tid=odd), call("c", 1, 1, tid=odd), call("d", 2, 1, tid=other)]
    trace = sk.load([*events, op("b", 0, 9, tid=-3)])
    assert trace.calls["op"].to_list() == [0, None]
    assert len({*trace.calls["tid"].to_list(), -3}) == 3
    assert (trace.calls["tid"] < -3).all()


def test_the_2021_writers_stream_thread_and_stream_0_are_streams() -> None:
    old = event("Kernel", "k", 5, 1, 0, "stream 7", correlation=1)
    new = kernel(9, 1, 2, stream=0)
    trace = sk.load([old, new, event("Runtime", "cudaLaunchKernel", 1, 1, correlation=1)])
    assert trace.work.select("device", "stream").rows() == [(0, 7), (0, 0)]
    assert trace.work["launch"].to_list() == [2, None]


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), b" \n "], ids=["none", "gz", "blank"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ReadError, match=r"trace\.json: the file is empty"):
        sk.load(saved(tmp_path, data))


@pytest.mark.parametrize("pack", ["gzip", "zstd", "zstd without a size"])
def test_a_compressed_file_cut_anywhere_is_said_to_be_cut(pack: str) -> None:
    packed = PACKERS[pack](TEXT)
    for size in range(6, len(packed)):
        with pytest.raises(ReadError, match="cut off or damaged"):
            sk.load(packed[:size], repair=False)


def test_a_compressed_file_with_flipped_bytes_is_said_to_be_damaged() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(ReadError, match="cut off or damaged"):
        sk.load(packed, repair=False)


def test_json_cut_anywhere_is_a_read_error_that_names_a_byte() -> None:
    for size in range(1, len(TEXT)):
        with pytest.raises(ReadError, match="at byte") as caught:
            sk.load(TEXT[:size], repair=False)
        assert byte_of(caught.value) <= size


@pytest.mark.parametrize(
    "before",
    [
        b'{"traceEvents": [{"name": "ascii"}, ',
        '{"traceEvents": [{"name": "größe 日本 🙂"}, '.encode(),
        b'{"traceEvents": [{"ts": 1712195495502094.512}, {"ts": 1712195495502095.512}, ',
    ],
    ids=["ascii", "wide characters", "digits that are kept"],
)
def test_the_byte_at_which_json_breaks_is_exact(before: bytes) -> None:
    with pytest.raises(ReadError) as caught:
        sk.load(before + b"@ ]}", repair=False)
    assert byte_of(caught.value) == len(before)


def test_bytes_that_are_not_utf8_are_named_by_their_place() -> None:
    before = b'{"traceEvents": [{"name": "'
    with pytest.raises(ReadError) as caught:
        sk.load(before + b"\xff\xfe" + b'"}]}', repair=False)
    assert byte_of(caught.value) == len(before)


def byte_of(error: Exception) -> int:
    return int(str(error).split("at byte ")[1].split(":")[0])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"{}", r"\(none\)"),
        (b'{"planes": [], "hosts": []}', "'planes', 'hosts'"),
        (b'{"traceEvents": {}}', "no list"),
        (b'{"traceEvents": null}', "no list"),
        (b"7", "a int"),
        (b"null", "NoneType"),
        (b'"text"', "a str"),
    ],
)
def test_json_without_events_says_what_was_found(data: bytes, found: str) -> None:
    with pytest.raises(ReadError, match=f"without trace events.*{found}"):
        sk.load(data)


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="does not take a int"):
        sk.load(7)  # type: ignore[arg-type]
    with saved(tmp_path).open() as text, pytest.raises(ReadError, match="binary mode"):
        sk.load(text)  # type: ignore[arg-type]


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SkiptraceError, match=tmp_path.name):
        sk.load(tmp_path)
    with pytest.raises(ReadError, match=r"none\.json: cannot be read: No such file"):
        sk.load(tmp_path / "none.json")


def test_progress_rises_from_reading_to_linked(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    sk.load(saved(tmp_path), progress=lambda stage, share: seen.append((stage, share)))
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert list(dict(seen)) == ["read", "link"]
    assert seen[-1] == ("link", 1.0)


def test_progress_is_told_in_the_thread_that_loads(tmp_path: Path) -> None:
    threads = set()
    sk.load(saved(tmp_path), progress=lambda *_: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("name", ["t.json", "t.json.gz"])
def test_a_trace_is_loaded_when_the_interpreter_exits_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = orjson.dumps([op(f"n{i}", i, 1) for i in range(3000)], option=orjson.OPT_INDENT_2)
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    program = (
        "import atexit, sys, skiptrace as sk\n"
        "from skiptrace.read import stream\n"
        "stream.BLOCK = 20_000\n"
        "atexit.register(lambda: print(len(sk.load(sys.argv[1]).ops)))\n"
    )
    run = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "3000"
