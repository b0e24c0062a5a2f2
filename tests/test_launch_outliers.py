"""Launches that cost more than they should, each kind and its place."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import call, fixture_path, kernel, op, python, step

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

EVENTS = [
    step(1, 0, 1000), python("main.py(1): run", 0, 1000), python("nn.Module: Net_0", 1, 900),
    op("aten::linear", 0, 300), op("aten::mm", 5, 200),
    call("cudaLaunchKernel", 10, 60, 1), kernel(75, 100, 1, "gemm"),  # a long call
    call("cudaLaunchKernel", 100, 5, 2), kernel(400, 50, 2, "late"),  # a long delay
    call("cudaLaunchKernel", 500, 9, 3), kernel(520, 3, 3, "short"),
    call("cudaGraphLaunch", 600, 9, 4), kernel(620, 5, 4, "a"), kernel(626, 5, 4, "b"),
]  # fmt: skip


def test_each_kind_with_its_place() -> None:
    frame = sk.launch_outliers(sk.load(EVENTS))
    columns = ("outlier", "work", "call_ns", "work_ns", "op", "root_op", "module")
    assert frame.select(columns).rows() == [
        ("long_call", "gemm", 60_000, 100_000, "aten::mm", "aten::linear", "Net_0"),
        ("long_delay", "late", 5_000, 50_000, "aten::mm", "aten::linear", "Net_0"),
        ("short_work", "short", 9_000, 3_000, None, None, "Net_0"),
    ]
    assert frame["python"].unique().to_list() == ["nn.Module: Net_0"]
    assert frame["step"].unique().to_list() == ["ProfilerStep#1"]


def test_waiting_behind_earlier_work_is_no_delay_of_a_launch() -> None:
    events = [
        call("cudaLaunchKernel", 0, 5, 1), kernel(10, 1000, 1),
        call("cudaLaunchKernel", 20, 5, 2), kernel(1011, 10, 2),
    ]  # fmt: skip
    assert sk.launch_outliers(sk.load(events)).is_empty()


@pytest.mark.parametrize(("kind", "column"), [("long_call", "dur_ns"), ("long_delay", "launch_ns")])
def test_a_threshold_has_to_be_exceeded(kind: str, column: str) -> None:
    trace = sk.load(EVENTS)
    most = int(trace.launches[column].max())  # type: ignore[arg-type]
    limits = {"long_call": "call_ns", "long_delay": "delay_ns"}
    never = dict.fromkeys(limits.values(), 10**9)
    for limit, expected in ((most - 1, [kind, "short_work"]), (most, ["short_work"])):
        found = sk.launch_outliers(trace, **{**never, limits[kind]: limit})
        assert found["outlier"].to_list() == expected


def test_a_plain_count_of_a_real_trace_and_its_steps() -> None:
    trace = sk.load(fixture_path("eager_step"))
    durations: dict[int, int] = {}
    for launch, dur in trace.work.select("launch", "dur_ns").rows():
        durations[launch] = durations.get(launch, 0) + dur
    wanted = [
        (kind, row["id"])
        for row in trace.launches.to_dicts()
        for kind, is_one in (
            ("long_call", row["dur_ns"] > 20_000), ("long_delay", row["launch_ns"] > 15_000),
            ("short_work", durations[row["id"]] < row["dur_ns"]),
        ) if is_one
    ]  # fmt: skip
    found = sk.launch_outliers(trace, call_ns=20_000, delay_ns=15_000)
    assert sorted(found.select("outlier", "launch").rows()) == sorted(wanted)
    name = trace.steps["name"][-1]
    part = sk.launch_outliers(trace.step(name), call_ns=20_000, delay_ns=15_000)
    assert part.equals(found.filter(step=name))


def test_no_launches() -> None:
    assert sk.launch_outliers(sk.load([kernel(0, 5)])).is_empty()


@pytest.mark.parametrize("options", [{"call_ns": -1}, {"delay_ns": 1.5}, {"call_ns": None}])
def test_wrong_thresholds(options: Any) -> None:
    with pytest.raises(UnknownKeyError, match="nanoseconds, 0 or more"):
        sk.launch_outliers(sk.load(EVENTS), **options)
