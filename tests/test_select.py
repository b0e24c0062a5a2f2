"""A part of a trace is what the whole has of it, however the file is laid out."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from helpers import call, event, fixture_paths, kernel, op

import skiptrace as sk
from skiptrace.read import stream
from skiptrace.read.select import Selection
from skiptrace.read.source import Source

LAYOUTS = {"indented": {"indent": 1}, "one line": {}, "odd colons": {"separators": (",\n", " :")}}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks even of a small trace, so that the fast reader is asked too."""
    monkeypatch.setattr(stream, "BLOCK", 6_000)


def laid_out(traced: list[dict[str, Any]], layout: str) -> bytes:
    return json.dumps({"traceEvents": traced}, **LAYOUTS[layout]).encode()  # type: ignore[arg-type]


def traced() -> list[dict[str, Any]]:
    made = []
    for i in range(60):
        made += [
            event("python_function", f'f{i} "ts": 5, {{', 100 * i, 90),
            op("o", 100 * i + 10, 60),
            call("cudaLaunchKernel", 100 * i + 20, 10, i + 1),
            {"ph": "i", "name": "mark", "ts": 100 * i, "pid": 1, "tid": 1},
            kernel(100 * i + 50, 200, i + 1, args={"dur": 3}) if i % 7 else op("odd", "12", 1),
        ]
    return made


@pytest.mark.parametrize("layout", LAYOUTS)
def test_categories_left_out_are_counted_and_all_else_is_the_same(layout: str) -> None:
    data = laid_out(traced(), layout)
    whole, part = sk.load(data), sk.load(data, without=["python_function", "kernel"])
    assert len(part.python) == len(part.work) == 0
    assert part.ops.equals(whole.ops)
    assert part.annotations.equals(whole.annotations)
    assert part.calls.equals(whole.calls)
    assert part.health.filter(kind="without_nothing").is_empty()
    left = part.health.filter(kind="left_out")["count"].item()
    assert left == len(whole.python) + len(whole.work)
    assert part.meta.events == whole.meta.events == len(traced())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", [(1_000_000, 2_000_000), (0, 10_000), (2_965_000, 2_995_000)])
def test_a_window_has_what_the_whole_has_there(layout: str, window: tuple[int, int]) -> None:
    data = laid_out(traced(), layout)
    there, part = sk.load(data).between(*window), sk.load(data, window=window)
    for frame in ("ops", "calls", "work", "python", "annotations"):
        # Depth and parents are of what was loaded, and all that encloses the window is.
        assert getattr(part, frame).equals(getattr(there, frame)), frame
    assert part.launches["tklqt_ns"].equals(there.launches["tklqt_ns"])
    assert part.window == there.window == window
    assert part.health.filter(kind="needed_left_out").is_empty()


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name)
def test_windows_of_fixtures(path: Any) -> None:
    whole = sk.load(path)
    start = int(whole.steps["start_ns"].min())  # type: ignore[arg-type]
    end = int((whole.steps["start_ns"] + whole.steps["dur_ns"]).max())  # type: ignore[arg-type]
    low, high = start + (end - start) // 3, start + (end - start) // 2 + 1
    there, part = whole.between(low, high), sk.load(path, window=(low, high))
    same = ["id", "name", "start_ns", "dur_ns", "pid", "tid"]
    for frame in ("ops", "calls", "work", "launches", "python", "annotations"):
        assert getattr(part, frame).select(same).equals(getattr(there, frame).select(same)), frame
    assert part.launches["op"].equals(there.launches["op"])


def test_one_category_is_a_list_of_one_and_none_found_is_no_error() -> None:
    data = laid_out(traced(), "indented")
    assert sk.load(data, without="cpu_op").ops.is_empty()
    unmet = sk.load(data, without=["no such", "cpu_op", "nor this"])
    (row,) = unmet.health.filter(kind="without_nothing").iter_rows(named=True)
    assert (row["count"], row["severity"]) == (2, "info")
    assert row["meaning"].endswith("that no event has (no such, nor this)")
    assert sk.load(data, without="no such").ops.equals(sk.load(data).ops)


def test_all_of_a_block_can_be_left_out() -> None:
    data = laid_out([op("o", i, 1) for i in range(2_000)] + traced(), "indented")
    read = stream.read_parts(Source.of(data), None, Selection(frozenset(["cpu_op"])), block=4_000)
    assert read.events.assembled().events == 2_000 + len(traced())
    whole = sk.load(data)
    assert sk.load(data, without=["cpu_op"]).work.equals(whole.work.with_columns(pl.col("launch")))


@pytest.mark.parametrize("without", [[], ["python_function"]])
def test_another_list_behind_the_events_that_is_laid_out_alike_holds_none(
    without: list[str],
) -> None:
    frames = [event("python_function", "f", i, 1) for i in range(20)]
    other = [{key: e[key] for key in ("ph", "cat", *e)} for e in frames]
    mine = [{key: e[key] for key in ("ph", "cat", *e)} for e in [*traced()[1::5], *frames]]
    data = json.dumps({"traceEvents": mine, "other": {"list": other}}, indent=0).encode()
    trace = sk.load(data, without=without)
    assert trace.meta.events == len(mine)
    assert len(trace.ops) == len(traced()) // 5


@pytest.mark.parametrize("part", [{"without": ["python_function"]}, {"window": (0, 300_000)}])
def test_arguments_are_those_of_the_events_where_one_left_out_is_damaged(
    part: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 1 << 20)  # all of it is the last block
    frames = [{**e, "args": {"n": n}} for n, e in enumerate(traced())]
    text = json.dumps({"traceEvents": frames}, indent=1)
    at = text.index("}", text.index("f40 "))
    data = (text[:at] + "]}" + text[at:]).encode()
    with pytest.raises(sk.errors.ReadError):
        sk.load(data, repair=False, **part)
    trace = sk.load(data, **part)
    assert len(trace.ops) > 2
    assert set(trace.ops["id"]) <= set(trace.args("n")["id"])


@pytest.mark.parametrize("damage", ["", "]}", "\x00", '"'])
def test_what_is_left_of_many_blocks_is_that_of_each(damage: str) -> None:
    events = [e for n in range(300) for e in (op("f", n, 1), event("python_function", "p", n, 1))]
    ordered = [{key: e[key] for key in ("ph", "cat", *e)} for e in events]
    text = json.dumps(
        {"traceEvents": [{**e, "args": {"n": n}} for n, e in enumerate(ordered)]}, indent=1
    )
    at = text.index("}", text.index('"n": 200'))
    source = Source.of((text[:at] + damage + text[at:]).encode())
    whole = stream.read_parts(source, block=2_000)
    part = stream.read_parts(source, None, Selection(frozenset(["python_function"])), block=2_000)
    raw, mine = whole.events.assembled(), part.events.assembled()
    assert (mine.events, mine.left_out) == (raw.events, 300)
    assert bool(damage) == bool(whole.faults)
    assert part.faults == whole.faults
    kept = raw.frame(["id", "cat", "name", "start_ns"]).filter(pl.col("cat") == "cpu_op")
    assert mine.frame(["id", "cat", "name", "start_ns"]).equals(kept)


@pytest.mark.parametrize("between", ["}, {", "},\n{", "} , {"])
@pytest.mark.parametrize("block", [None, 2_000])
def test_events_that_stand_apart_otherwise_than_most_are_counted(
    between: str, block: int | None
) -> None:
    events = [e for n in range(60) for e in (op("f", n, 1), event("python_function", "p", n, 1))]
    ordered = [{key: e[key] for key in ("ph", "cat", *e)} for e in events]
    text = json.dumps({"traceEvents": ordered}, indent=1)
    at = text.index("}", len(text) // 2)
    source = Source.of((text[:at] + f'{between}"ph": "i"' + text[at:]).encode())
    whole = stream.read_parts(source, block=block)
    part = stream.read_parts(source, None, Selection(frozenset(["python_function"])), block=block)
    raw, mine = whole.events.assembled(), part.events.assembled()
    assert (mine.events, mine.left_out, part.faults) == (121, 60, [])
    kept = raw.frame(["cat", "start_ns"]).filter(pl.col("cat") == "cpu_op")
    assert mine.frame(["cat", "start_ns"]).equals(kept)


def test_objects_in_an_event_are_no_events_where_others_are_left_out() -> None:
    nested = [op("o", i, 1, l=[{"a": 1}, 5], n=i) for i in range(3)]
    events = [{key: e[key] for key in ("ph", "cat", *e)} for e in [*nested, *traced()[:1]]]
    data = json.dumps({"traceEvents": events}, indent=0).encode()
    trace = sk.load(data, without=["python_function"])
    assert trace.meta.events == 4
    assert trace.ops["id"].to_list() == [0, 1, 2]


def test_a_window_needs_an_end_after_its_start() -> None:
    with pytest.raises(sk.errors.StepError, match="start < end"):
        sk.load([], window=(5, 5))
