"""The critical path. Times in the traces are microseconds."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from helpers import Event, call, kernel, memcpy, op, python, step
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import Machine, program

import skiptrace as sk
from skiptrace.errors import StepError, UnknownKeyError
from skiptrace.model import schema

LAUNCH = "cudaLaunchKernel"


def path(events: list[Event], **options: Any) -> list[tuple[Any, ...]]:
    """(kind, length in µs) of the pieces, in time order."""
    frame = sk.critical_path(sk.load(events), **options).frame
    return [(kind, ns / 1000) for kind, ns in frame.select("kind", "dur_ns").rows()]


def launched_apart(count: int) -> list[Event]:
    """Kernels of 5 µs, launched 50 apart by a call of 4; each starts 3 after its call's return."""
    events: list[Event] = []
    for i in range(count):
        at = 50 * i
        events += [op("aten::mm", at, 20), call(LAUNCH, at + 2, 4, i + 1), kernel(at + 9, 5, i + 1)]
    return events


def test_the_host_holds_a_step_whose_kernels_find_the_device_idle() -> None:
    assert path([step(1, 0, 150), *launched_apart(3)]) == [
        ("operator", 2), ("launch", 4), ("operator", 14), ("python", 30),
        ("operator", 2), ("launch", 4), ("operator", 14), ("python", 30),
        ("operator", 2), ("launch", 4), ("latency", 3), ("device", 5),
    ]  # fmt: skip


def test_the_device_holds_a_step_whose_kernels_queue() -> None:
    events = [step(1, 0, 50), op("a", 0, 40)]
    for i in range(4):
        events += [call(LAUNCH, 2 + 8 * i, 4, i + 1), kernel(9 + 102 * i, 100, i + 1, f"k{i}")]
    found = sk.critical_path(sk.load(events))
    assert found.frame.select("kind", "kernel").rows()[-7:] == [
        ("device", "k0"), ("stream gap", "k1"), ("device", "k1"), ("stream gap", "k2"),
        ("device", "k2"), ("stream gap", "k3"), ("device", "k3"),
    ]  # fmt: skip
    row = found.shares.row(0, named=True)
    assert (row["device_ns"], row["stream_gap_ns"], row["latency_ns"]) == (400_000, 6_000, 3_000)
    assert row["device_share"] == pytest.approx(406 / 415)


def test_time_waited_in_a_call_is_the_devices_and_waking_up_the_hosts() -> None:
    events = [step(1, 0, 300), op("a", 0, 300), call(LAUNCH, 2, 4, 1), kernel(9, 100, 1)]
    events += [call("cudaDeviceSynchronize", 10, 110), call(LAUNCH, 130, 4, 2), kernel(137, 5, 2)]
    assert path(events) == [
        ("operator", 2), ("launch", 4), ("latency", 3), ("device", 100), ("sync", 11),
        ("operator", 10), ("launch", 4), ("latency", 3), ("device", 5),
    ]  # fmt: skip


def test_a_copy_is_on_the_device_and_its_call_waits_for_it() -> None:
    events = [step(1, 0, 300), op("a", 0, 200), call("cudaMemcpyAsync", 10, 50, 1)]
    events += [memcpy(20, 30, 1), call(LAUNCH, 70, 4, 2), kernel(77, 5, 2)]
    assert path(events) == [
        ("operator", 10), ("latency", 10), ("copy", 30), ("sync", 10), ("operator", 10),
        ("launch", 4), ("latency", 3), ("device", 5),
    ]  # fmt: skip


def test_work_of_an_earlier_step_is_named() -> None:
    events = [step(1, 0, 20), op("a", 0, 20), call(LAUNCH, 2, 4, 1), kernel(9, 200, 1)]
    events += [step(2, 20, 20), op("b", 20, 20), call(LAUNCH, 22, 4, 2), kernel(211, 50, 2)]
    found = sk.critical_path(sk.load(events), step=2)
    assert found.frame.select("kind", "dur_ns", "side").rows() == [
        ("earlier step", 189_000, "device"), ("stream gap", 2_000, "device"),
        ("device", 50_000, "device"),
    ]  # fmt: skip
    assert found.shares["earlier_step_ns"].to_list() == [189_000]


def test_a_work_behind_another_stream_leads_there() -> None:
    events = [step(1, 0, 60), op("a", 0, 50), call(LAUNCH, 2, 4, 1), kernel(9, 500, 1)]
    events += [call("cudaStreamWaitEvent", 10, 1), call(LAUNCH, 12, 4, 2)]
    events += [kernel(511, 30, 2, stream=8)]
    assert path(events)[-3:] == [("device", 500), ("dependency", 2), ("device", 30)]


def test_inside_a_graph_all_is_the_devices() -> None:
    graph = [kernel(20 + 11 * i, 10, 1) for i in range(3)]
    events = [step(1, 0, 100), op("a", 0, 90), call("cudaGraphLaunch", 10, 60, 1), *graph]
    assert path(events) == [
        ("operator", 10), ("latency", 10), ("device", 10), ("stream gap", 1), ("device", 10),
        ("stream gap", 1), ("device", 10),
    ]  # fmt: skip


def test_pieces_name_the_operator_the_python_frame_and_the_kernel() -> None:
    frames = [python("model.py(3): forward", 0, 70), python("model.py(9): attend", 40, 30)]
    found = sk.critical_path(sk.load([step(1, 0, 120), *frames, *launched_apart(2)])).frame
    assert found.select("op", "python").rows()[2:5] == [
        ("aten::mm", "model.py(3): forward"),
        (None, "model.py(3): forward"),
        (None, "model.py(9): attend"),
    ]
    last = found.row(-1, named=True)
    assert (last["op"], last["python"], last["kernel"]) == ("aten::mm", "model.py(9): attend", "k")
    assert (last["device"], last["stream"], last["tid"]) == (0, 7, None)
    assert found["tid"][0] == 1


def test_the_path_by_a_column_adds_up() -> None:
    found = sk.critical_path(sk.load([step(1, 0, 150), *launched_apart(3)]))
    for key in ("kind", "side", "op", "python", "kernel", "step"):
        summed = found.by(key)
        assert summed["path_ns"].sum() == found.frame["dur_ns"].sum()
        assert summed["path_share"].sum() == pytest.approx(1)
    with pytest.raises(UnknownKeyError, match="Valid: kind, side, op"):
        found.by("colour")


def test_the_edges_of_a_graph_that_the_path_goes_along_are_marked() -> None:
    events = [step(1, 0, 400), op("a", 0, 300)]
    for i in range(3):  # the first two queue behind each other, the third comes late
        at = (2, 10, 250)[i]
        events += [call(LAUNCH, at, 4, i + 1), kernel((9, 111, 257)[i], 100, i + 1, f"k{i}")]
    trace = sk.load(events)
    graph = sk.graph(trace)
    sk.critical_path(trace).mark(graph)
    name = {node: data["name"] for node, data in graph.nodes(data=True)}
    marked = [(a, b, e["kind"]) for a, b, e in graph.edges(data=True) if e["critical"]]
    found = [(name[a], name[b], kind) for a, b, kind in marked]
    # The path is the host's up to the third launch, and that launch's kernel.
    assert sorted(found) == [(LAUNCH, LAUNCH, "thread")] * 2 + [(LAUNCH, "k2", "runs")]


def test_an_unknown_step_is_refused_and_a_trace_without_latency_has_no_path() -> None:
    trace = sk.load([step(1, 0, 150), *launched_apart(3)])
    assert sk.critical_path(trace, step="ProfilerStep#1").frame.equals(
        sk.critical_path(trace).frame
    )
    with pytest.raises(StepError):
        sk.critical_path(trace, step=7)
    nothing = sk.critical_path(sk.load([op("a", 0, 5)]))
    assert (len(nothing.frame), len(nothing.shares)) == (0, 0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_the_pieces_of_any_step_meet_and_sum_to_its_latency(seed: int, streams: int) -> None:
    machine = Machine()
    il = round(1000 * machine.run(program(seed, streams)))
    found = sk.critical_path(sk.load(machine.events))
    frame = found.frame
    assert frame["dur_ns"].sum() == il
    assert (frame["dur_ns"] > 0).all()
    assert frame["end_ns"][:-1].equals(frame["start_ns"][1:].rename("end_ns"))
    columns = [
        c for c in schema.predicted.CRITICAL_SHARES if c.name.endswith("_ns") and c.name != "il_ns"
    ]
    kinds = found.shares.select(pl.sum_horizontal(c.name for c in columns)).to_series()
    assert kinds.to_list() == [il]
