"""`annotate`: nothing of the file is lost, and the tracks say what the verbs say."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import Event, call, fixture_path, fixture_paths, kernel, op, step
from hypothesis import given, settings
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import ReadError, SaveError
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.model.schema.column import ACTIVITIES
from skiptrace.read.source import Source
from skiptrace.read.splice import find_ending, with_more
from skiptrace.show.tracks import CAUSE_COLOURS, TRACKS

FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps")


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def added(path: Path, before: int) -> list[Event]:
    """The events behind the first ones."""
    document = json.loads(unpacked(path), parse_float=str)
    events = document if isinstance(document, list) else document["traceEvents"]
    return list(events[before:])


def same(mine: sk.Trace, theirs: sk.Trace) -> None:
    for name in FRAMES:
        assert getattr(mine, name).equals(getattr(theirs, name)), name
    assert mine.meta.header == theirs.meta.header
    assert mine.meta.threads == theirs.meta.threads
    assert sk.summary(mine).equals(sk.summary(theirs))


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.partition(".")[0])
def test_nothing_is_lost(path: Path, tmp_path: Path) -> None:
    trace = sk.load(path)
    again = sk.load(sk.annotate(trace, tmp_path / "a.json"))
    same(again, trace)
    assert again.args().equals(trace.args())
    original, text = unpacked(path), unpacked(tmp_path / "a.json")
    cut = original.rstrip().rfind(b"]")
    assert text.startswith(original[:cut])
    assert text.endswith(original[cut:])


def events() -> list[Event]:
    """Two steps; the second launches a graph."""
    return [
        step(1, 0, 50), op("aten::mm", 1, 8), call("cudaLaunchKernel", 2, 2, 1), kernel(10, 5, 1),
        op("aten::mm", 20, 8), call("cudaLaunchKernel", 21, 2, 2), kernel(30, 5, 2, 'a "b" \\'),
        step(2, 60, 50), call("cudaGraphLaunch", 62, 2, 3),
        *(kernel(70 + 5 * i, 3, 3, f"g{i}") for i in range(3)),
    ]  # fmt: skip


SOURCES: dict[str, Any] = {
    "bytes": lambda: json.dumps({"traceEvents": events(), "schemaVersion": 1}).encode(),
    "a list": events,
    "bytes of a list": lambda: json.dumps(events(), indent=1).encode(),
    "decoded": lambda: {"schemaVersion": 1, "traceEvents": events()},
    "empty": lambda: {"traceEvents": []},
    "an empty list": lambda: b" [ \n ] ",
    "UTF-16": lambda: json.dumps({"traceEvents": events()}).encode("utf-16"),
    "lists before and behind": lambda: json.dumps(
        {"a": [[{"b": "]"}], "}"], "traceEvents": events(), "z": [1, ["traceEvents"]]}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst"])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_and_packing(name: str, suffix: str, tmp_path: Path) -> None:
    trace = sk.load(SOURCES[name]())
    path = sk.annotate(trace, tmp_path / f"a{suffix}")
    again = sk.load(path)
    same(again, trace)
    assert again.args().equals(trace.args())
    packed = {b"{": ".json", b"[": ".json", b" ": ".json", b"\x1f": ".json.gz", b"(": ".json.zst"}
    assert packed[path.read_bytes()[:1]] == suffix
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_tracks_say_what_the_verbs_say(tmp_path: Path) -> None:
    trace = sk.load(events())
    made = added(sk.annotate(trace, tmp_path / "a.json"), len(events()))
    pids = {e["args"]["name"].removeprefix("skiptrace: "): e["pid"]
            for e in made if e["name"] == "process_name"}  # fmt: skip
    assert tuple(pids) == TRACKS
    assert min(pids.values()) > 1
    spans = {name: [e for e in made if e["pid"] == pid and e["ph"] == "X"]
             for name, pid in pids.items()}  # fmt: skip

    def times(found: list[Event]) -> list[tuple[int, int]]:
        return [tuple(round(float(e[k]) * 1000) for k in ("ts", "dur")) for e in found]  # type: ignore[misc]

    gaps = idle_gaps(trace)
    assert times(spans["idle gaps"]) == gaps.select("start_ns", "dur_ns").rows()
    assert [e["name"] for e in spans["idle gaps"]] == gaps["cause"].to_list()
    for event in spans["idle gaps"]:
        assert event["cname"] == CAUSE_COLOURS[event["name"]]
        assert sum(event["args"][f"{a}_ns"] for a in ACTIVITIES) == round(
            float(event["dur"]) * 1000
        )
    path = sk.critical_path(trace).frame.filter(pl.col("dur_ns") > 0)
    pieces = path.select(
        "start_ns", "end_ns", "step", "kind", "side", "op", "kernel", "work"
    ).rows()
    merged = [
        (group[0][0], group[-1][1] - group[0][0])
        for group in ([*g] for _, g in groupby(pieces, key=lambda piece: piece[2:]))
    ]
    assert times(spans["critical path"]) == merged
    assert sum(dur for _, dur in merged) == sk.summary(trace)["il_ns"].sum()
    steps = sk.summary(trace)
    assert times(spans["steps"]) == steps.select("start_ns", "il_ns").rows()
    verdicts = sk.boundedness(trace)["verdict"]
    assert [e["name"] for e in spans["steps"]] == [
        f"{s}: {v}-bound" for s, v in zip(steps["step"], verdicts, strict=True)
    ]
    counts = [(e["ts"], e["args"]["launches"]) for e in made if e["ph"] == "C"]
    assert counts == [
        ("2.000", 1), ("15.000", 0), ("21.000", 1), ("35.000", 0), ("62.000", 1), ("83.000", 0),
    ]  # fmt: skip
    depth = sk.queue_depth(trace).frame
    assert [n for _, n in counts] == depth["depth"].to_list()
    assert set(CAUSE_COLOURS) == set(ACTIVITIES)


@pytest.mark.parametrize(
    ("own", "arrows"), [("", 5), ("fwdbwd", 5), ("ac2g", 2), ("async", 2), ("skiptrace", 2)]
)
def test_arrows_are_added_where_the_writer_has_none(own: str, arrows: int, tmp_path: Path) -> None:
    arrow = {"id": 1, "cat": own, "name": "ac2g"}
    written = [arrow | {"ph": "s", "pid": 1, "tid": 1, "ts": 2},
               arrow | {"ph": "f", "pid": 0, "tid": 7, "ts": 10}]  # fmt: skip
    all_events = events() + (written if own else [])
    trace = sk.load(all_events)
    made = added(sk.annotate(trace, tmp_path / "a.json"), len(all_events))
    ends = Counter(e["ph"] for e in made if e["ph"] in "sf")
    assert ends == {"s": arrows, "f": arrows}
    begin = {e["id"]: (e["pid"], e["tid"], e["ts"]) for e in made if e["ph"] == "s"}
    end = {e["id"]: (e["pid"], e["tid"], e["ts"]) for e in made if e["ph"] == "f"}
    pairs = [(begin[i], end[i]) for i in begin]
    assert ((1, 1, "62.000"), (0, 7, "75.000")) in pairs
    assert (((1, 1, "2.000"), (0, 7, "10.000")) in pairs) is (arrows == 5)


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_arrows_of_launches_are_known_wherever_blocks_cut(block: int) -> None:
    others = [{"ph": "s", "cat": "fwdbwd", "id": 2}, {"ph": "X", "cat": "ac2g"}]
    for cat, want in (("fwdbwd", False), ("ac2g", True), ("async_cpu_to_gpu", True)):
        for arrow in ({"ph": "s", "id": 1, "cat": cat}, {"cat": cat, "id": 1, "ph": "s"}):
            source = _Blocks("<test>", json.dumps([*others, arrow, *others]).encode())
            object.__setattr__(source, "stamp", (block, 0))
            ending = find_ending(source)
            assert ending is not None
            assert ending.has_arrows is want


@pytest.mark.parametrize(("ahead", "lanes"), [(0, 1), (1, 2), (2, 3)])
def test_spans_of_one_lane_never_overlap(ahead: int, lanes: int, tmp_path: Path) -> None:
    found: list[Event] = []
    for n in range(6):  # the host of each is done at once, its kernel that many steps later
        at, run = 100 * n, 90 + 100 * ahead
        found += [step(n, at, 95), op("aten::mm", at + 1, 6), call("launch", at + 2, 2, n + 1),
                  kernel(at + 8, run, n + 1, stream=n)]  # fmt: skip
    made = added(sk.annotate(sk.load(found), tmp_path / "a.json"), len(found))
    for track in ("steps", "critical path"):
        pid = next(e["pid"] for e in made if e["name"] == "process_name"
                   and e["args"]["name"].endswith(track))  # fmt: skip
        spans = [(e["tid"], float(e["ts"]), float(e["ts"]) + float(e["dur"]))
                 for e in made if e["pid"] == pid and e["ph"] == "X"]  # fmt: skip
        assert {lane for lane, _, _ in spans} == set(range(lanes))
        for (lane, _, end), (next_lane, start, _) in pairwise(sorted(spans)):
            assert lane != next_lane or round(end, 3) <= start


def test_a_window_has_its_own_tracks_and_the_whole_file(tmp_path: Path) -> None:
    trace = sk.load(events())
    path = sk.annotate(trace.step(2), tmp_path / "a.json")
    made = [e for e in added(path, len(events())) if e["ph"] == "X"]
    assert {e["args"]["step"] for e in made if "step" in e["args"]} == {"ProfilerStep#2"}
    same(sk.load(path), trace)


def test_times_keep_their_digits_whatever_their_size(tmp_path: Path) -> None:
    for base in (1_700_000_000_000_000, -5):
        late = [call("launch", f"{base}.001", 1, 1), kernel(f"{base + 9}.007", 1, 1)]
        path = sk.annotate(sk.load(late), tmp_path / "a.json")
        made = added(path, 2)
        want = "1700000000000000.001" if base > 0 else "-5.001"
        assert [e["ts"] for e in made if e["ph"] == "s"] == [want]
        same(sk.load(path), sk.load(late))


def test_what_cannot_be_written_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    source = tmp_path / "t.json"
    source.write_text(json.dumps(events()))
    trace = sk.load(source)
    with pytest.raises(SaveError, match="it is the trace itself"):
        sk.annotate(trace, source)
    with pytest.raises(SaveError, match="cannot be written"):
        sk.annotate(trace, tmp_path / "no" / "folder.json")
    trace.save(tmp_path / "saved")
    with pytest.raises(SaveError, match="saved or made of frames has no text"):
        sk.annotate(sk.load(tmp_path / "saved"), tmp_path / "a.json")
    damaged = sk.load(json.dumps(events()).encode()[:-40])
    with pytest.raises(SaveError, match="the file is damaged"):
        sk.annotate(damaged, tmp_path / "a.json")
    with pytest.raises(SaveError, match="cannot be saved"):
        sk.annotate(sk.load([op("a", 0, 1, x=float("nan"))]), tmp_path / "a.json")
    source.write_text(json.dumps(events()[:-1]))
    with pytest.raises(ReadError, match="has changed"):
        sk.annotate(trace, tmp_path / "a.json")
    os.unlink(source)  # noqa: PTH108
    with pytest.raises(ReadError):
        sk.annotate(trace, tmp_path / "a.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["saved"]


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='"\\[]{}:, traceEvents\n', max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(alphabet='"\\]}ab', max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=4), JSON, JSON,
       st.integers(1, 40), st.booleans())  # fmt: skip
def test_the_end_is_found_whatever_strings_hold_and_blocks_cut(
    found: list[Any], before: Any, after: Any, block: int, bare: bool
) -> None:
    document = found if bare else {"x": before, "traceEvents": found, "y": after}
    text = json.dumps(document).encode()
    source = _Blocks("<test>", text)
    object.__setattr__(source, "stamp", (block, 0))
    ending = find_ending(source)
    assert ending is not None
    more = [b'{"n":1}', b'{"n":2}']
    again = json.loads(b"".join(with_more(source, ending.at, more)))
    if not bare:
        assert (again["x"], again["y"]) == (before, after)
        again = again["traceEvents"]
    assert again == [*found, {"n": 1}, {"n": 2}]


class _Blocks(Source):
    """A source in small blocks; their size stands in its stamp."""

    def blocks(self, *_: Any, **__: Any) -> Any:
        size, text = (self.stamp or (9, 0))[0], self.origin
        assert isinstance(text, bytes)
        return (text[i : i + size] for i in range(0, len(text), size))


def test_a_text_that_is_not_closed_has_no_end() -> None:
    for text in (b'[{"a": 1}', b'{"traceEvents": [1]', b'["a', b'{"x": [1]}'):
        assert find_ending(Source("<test>", text)) is None


def test_the_fixture_of_a_graph_gets_an_arrow_for_every_kernel(tmp_path: Path) -> None:
    path = fixture_path("graph_step")
    trace = sk.load(path)
    made = added(sk.annotate(trace, tmp_path / "a.json"), trace.meta.events)
    graph = trace.launches.filter(pl.col("works") > 1)["works"]
    assert sum(e["ph"] == "f" for e in made) == graph.sum() - len(graph)
