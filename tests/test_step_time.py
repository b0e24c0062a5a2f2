"""Wall time of steps by priority, after the TensorBoard plugin."""

from __future__ import annotations

from typing import Any

import pytest
from breakdowns import CATEGORIES, covered, role
from helpers import annotation, call, fixture_path, kernel, memcpy, memset, op, python, step
from hypothesis import given, settings
from test_properties import traces

import skiptrace as sk

EVENTS = [
    step(1, 0, 100),
    op("aten::mm", 0, 50), python("main.py(1): run", 0, 60),
    annotation("enumerate(DataLoader)#next", 55, 10),
    call("cudaLaunchKernel", 40, 15, 1),
    kernel(10, 5, 1), kernel(14, 8, 2, "ncclDevKernel"),
    memcpy(20, 4, 3), memset(23, 3, 4),
    annotation("nccl:all_reduce", 70, 5), annotation("forward", 72, 8),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")  # clocks that disagree
def test_each_moment_is_in_the_first_category_that_holds() -> None:
    row = sk.step_time(sk.load(EVENTS)).row(0, named=True)
    assert row == {
        "step": "ProfilerStep#1", "start_ns": 0, "wall_ns": 100_000, "kernel_ns": 5_000,
        "memcpy_ns": 4_000, "memset_ns": 2_000, "communication_ns": 10_000, "runtime_ns": 15_000,
        "dataloader_ns": 10_000, "cpu_ns": 29_000, "other_ns": 25_000,
    }  # fmt: skip


def test_a_step_lasts_until_its_last_work_and_begins_after_the_one_before() -> None:
    events = [
        step(1, 0, 10), step(2, 10, 10), step(3, 20, 5),
        call("cudaLaunchKernel", 1, 1, 1), kernel(5, 17, 1),
        call("cudaLaunchKernel", 12, 1, 2), kernel(30, 5, 2),
    ]  # fmt: skip
    trace = sk.load(events)
    frame = sk.step_time(trace)
    assert frame.select("start_ns", "wall_ns").rows() == [
        (0, 22_000), (22_000, 13_000), (35_000, 0),
    ]  # fmt: skip
    assert sk.step_time(trace.step(2)).equals(frame[1:2])
    part = trace.between(11_000, 14_000)  # of the second: its row, not a part of it
    assert part.steps["name"].to_list() == ["ProfilerStep#2"]
    assert sk.step_time(part).equals(frame[1:2])


@settings(max_examples=20)
@given(traces())
@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_a_count_moment_by_moment(events: list[Any]) -> None:
    trace = sk.load(events)
    whole = trace.whole
    works = whole.work.to_dicts()
    labels = [r for r in whole.annotations.to_dicts() if not r["name"].startswith("ProfilerStep#")]
    host = [*whole.ops.to_dicts(), *labels]
    sets = [
        covered(w for w in works if role(trace, w) == "compute"),
        covered(w for w in works if w["kind"] == "memcpy"),
        covered(w for w in works if w["kind"] == "memset"),
        covered(w for w in works if role(trace, w) == "comm"),
        covered(whole.calls.to_dicts()),
        covered(h for h in host if "DataLoader" in h["name"]),
        covered([*host, *whole.python.to_dicts()]),
    ]
    for row in sk.step_time(trace).to_dicts():
        left = set(range(row["start_ns"], row["start_ns"] + row["wall_ns"]))
        for name, moments in zip(CATEGORIES, [*sets, left], strict=True):
            assert row[name] == len(left & moments), name
            left -= moments


def test_one_step_reaches_to_the_end_of_all_work() -> None:
    row = sk.step_time(sk.load([op("a", 0, 5), kernel(90, 10)])).row(0, named=True)
    assert (row["wall_ns"], row["kernel_ns"], row["cpu_ns"]) == (100_000, 10_000, 5_000)


def test_rules_decide_what_communication_is() -> None:
    trace = sk.load(fixture_path("eager_step"))
    plain, all_of_it = sk.step_time(trace), sk.step_time(trace, classes={"communication": "."})
    assert all_of_it["kernel_ns"].sum() == 0
    assert all_of_it["communication_ns"].sum() == plain["kernel_ns"].sum() > 0


def test_nothing() -> None:
    assert sk.step_time(sk.load([])).drop("step", "start_ns").row(0) == (0,) * 9
