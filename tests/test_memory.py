"""Memory over time, its peak, and who allocated what lives then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from breakdowns import conforms
from helpers import Event, op, python, step, trace_path

import skiptrace as sk
from skiptrace.model.schema.breakdowns import MEMORY_CURVE, MEMORY_LIVE, MEMORY_PEAKS


def memory(ts: float, size: int, address: Any = None, tid: int = 1, **more: Any) -> Event:
    args = {"Bytes": size, "Device Type": 1, "Device Id": 0} | more
    args |= {} if address is None else {"Addr": address}
    return {"ph": "i", "s": "t", "cat": "cpu_instant_event", "name": "[memory]", "pid": 1,
            "tid": tid, "ts": ts, "args": args}  # fmt: skip


HOST = {"Device Type": 0, "Device Id": -1}
EVENTS = [
    step(1, 0, 20), step(2, 20, 20),
    python("nn.Module: Net_0", 0, 40), op("aten::linear", 0, 12), op("aten::empty", 2, 5),
    memory(3, 100, 1), memory(4, 50, 2), memory(8, 30, 3), memory(9, -50, 2),
    memory(10, 70, 2), memory(15, -100, 1), memory(25, 20, 1), memory(26, 5, 9, **HOST),
]  # fmt: skip


def test_curve_and_peak() -> None:
    found = sk.memory(sk.load(EVENTS))
    conforms(found.curve, *MEMORY_CURVE)
    conforms(found.peaks, *MEMORY_PEAKS)
    curve = found.curve.filter(device=0).select("at_ns", "allocated", "op").rows()
    assert curve == [
        (3_000, 100, "aten::empty"), (4_000, 150, "aten::empty"), (8_000, 180, "aten::linear"),
        (9_000, 130, "aten::linear"), (10_000, 200, "aten::linear"), (15_000, 100, None),
        (25_000, 120, None),
    ]  # fmt: skip
    peak = found.peaks.filter(device=0).row(0, named=True)
    assert (peak["peak"], peak["peak_ns"], peak["op"], peak["module"]) == (
        200, 10_000, "aten::linear", "Net_0",
    )  # fmt: skip
    assert (peak["allocations"], peak["frees"], peak["reserved"]) == (5, 2, None)
    assert (found.peaks["device_kind"].to_list(), found.reason) == (["cpu", "cuda"], "")


def test_who_allocated_what_lives_at_the_peak() -> None:
    live = sk.memory(sk.load(EVENTS)).live
    conforms(live, *MEMORY_LIVE)
    columns = ("op", "root_op", "module", "allocations", "bytes", "peak_share")
    assert live.filter(device=0).select(columns).rows() == [
        ("aten::empty", "aten::linear", "Net_0", 1, 100, 0.5),
        ("aten::linear", "aten::linear", "Net_0", 2, 100, 0.5),
    ]


def test_what_was_there_before_the_recording_is_a_row_of_its_own() -> None:
    events = [memory(1, 10, 1, **{"Total Allocated": 1010, "Total Reserved": 4096})]
    found = sk.memory(sk.load(events))
    assert found.live.select("op", "allocations", "bytes").rows() == [
        (None, 1, 10), (None, None, 1000),
    ]  # fmt: skip
    assert found.peaks.select("peak", "reserved").row(0) == (1010, 4096)


def test_a_step_has_the_part_of_the_curve_that_lies_in_it() -> None:
    trace = sk.load([e | ({"args": {**e["args"], "Total Allocated": 7}} if e["ph"] == "i" else {})
                     for e in EVENTS])  # fmt: skip
    whole = sk.memory(trace).curve
    for name in trace.steps["name"]:
        low, dur = trace.steps.filter(name=name).select("start_ns", "dur_ns").row(0)
        inside = whole.filter((whole["at_ns"] >= low) & (whole["at_ns"] < low + dur))
        assert sk.memory(trace.step(name)).curve.equals(inside)


def test_totals_left_out_are_those_so_far_in_the_recording_in_a_window_too() -> None:
    trace = sk.load([op("aten::empty", 0, 30), memory(1, 100, 1), memory(11, 50, 2)])
    found = sk.memory(trace.between(9_000, 20_000))
    assert found.curve.select("bytes", "allocated").rows() == [(50, 150)]
    assert found.peaks["peak"].to_list() == [150]
    assert found.live.select("allocations", "bytes").rows() == [(1, 50), (None, 100)]


def test_nothing_recorded_says_why(tmp_path: Path) -> None:
    assert "profile_memory=True" in sk.memory(sk.load(json.dumps([op("a", 0, 5)]).encode())).reason
    assert "window" in sk.memory(sk.load(EVENTS).between(100_000, 200_000)).reason
    sk.load(EVENTS).save(tmp_path / "saved")
    found = sk.memory(sk.load(tmp_path / "saved"))
    assert "saved folder" in found.reason
    assert found.curve.is_empty()
    assert found.live.is_empty()


@pytest.mark.parametrize(
    "broken",
    [{"ts": None}, {"args": None}, {"args": {"Bytes": "many"}}, {"args": [1]}, {"pid": "x"}],
)
def test_events_that_say_nothing_are_left_out(broken: Event) -> None:
    found = sk.memory(sk.load([*EVENTS, memory(30, 8, 4) | broken]))
    assert len(found.curve) == 8 + ("pid" in broken)


NAMES = ["h100/gpt2_b1_full_stack_shapes_memory_flops", "public/tl_h100_bert-small",
         "public/tl_mi300_bert-small", "public/tl_h100_qwen1.5-0.5b",
         "public/kineto_2021_resnet50_num_workers_0"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_count_of_a_real_trace(name: str) -> None:
    import gzip

    path = trace_path(name)
    found = sk.memory(sk.load(path))
    document = json.loads(gzip.decompress(path.read_bytes()))
    events = [e for e in document["traceEvents"] if e.get("name") == "[memory]"]
    assert len(found.curve) == len(events)
    assert found.curve["bytes"].sum() == sum(e["args"]["Bytes"] for e in events)
    for row in found.peaks.to_dicts():
        mine = [e["args"] for e in events
                if (e["args"]["Device Type"], e["args"]["Device Id"])
                == (row["device_type"], row["device"])]  # fmt: skip
        if "Total Allocated" in mine[0]:
            assert row["peak"] == max(a["Total Allocated"] for a in mine)
        live = found.live.filter(device_type=row["device_type"], device=row["device"])
        assert live["bytes"].sum() == row["peak"]
        before = live.filter(live["allocations"].is_null())
        assert before["bytes"].sum() >= 0
