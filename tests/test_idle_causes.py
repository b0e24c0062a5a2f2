"""Where the idle time goes. Times in the traces are microseconds."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from helpers import Event, call, kernel, op, python, step

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.model.schema.measured import IDLE_KEYS

LAUNCH = "cudaLaunchKernel"

# Gaps of 100, 50, 25 and 20: a sync, python, an operator and unlinked work.
EVENTS: list[Event] = [
    step(1, 0, 170),
    step(2, 170, 330),
    python("main.py(1): main", 0, 500),
    python("model.py(7): forward", 300, 100),
    call(LAUNCH, 0, 1, 1),
    kernel(5, 45, 1),
    call("cudaDeviceSynchronize", 40, 80),
    op("aten::mm", 120, 20),
    op("aten::mm_out", 125, 5),
    call(LAUNCH, 135, 2, 2),
    kernel(150, 100, 2),
    call(LAUNCH, 290, 2, 3),
    kernel(300, 20, 3),
    op("aten::add", 320, 30),
    call(LAUNCH, 344, 1, 4),
    kernel(345, 5, 4),
    kernel(370, 5),
]


def table(by: str, events: list[Event] = EVENTS) -> list[tuple[Any, ...]]:
    return sk.idle_causes(sk.load(events), by=by).select(by, "gaps", "idle_ns").rows()


EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "cause": [
        ("sync", 1, 100_000),
        ("python", 1, 50_000),
        ("operator", 1, 25_000),
        ("unknown", 1, 20_000),
    ],
    "activity": [
        ("sync", 1, 70_000),
        ("python", 1, 40_000),
        ("operator", 2, 39_000),
        ("device", 2, 21_000),
        ("unknown", 1, 20_000),
        ("launch", 3, 5_000),
    ],
    # Of the first gap, 15 to the launch and 15 after it are aten::mm's, 5 between aten::mm_out's.
    "op": [("aten::mm", 1, 25_000), ("aten::add", 1, 25_000), ("aten::mm_out", 1, 5_000)],
    # After its launch a gap has the frame around the launch.
    "python": [("main.py(1): main", 2, 150_000), ("model.py(7): forward", 1, 25_000)],
    "step": [("ProfilerStep#1", 1, 100_000), ("ProfilerStep#2", 2, 75_000), (None, 1, 20_000)],
}
EXPECTED["op"] = [
    ("aten::add", 1, 25_000),
    ("aten::mm", 1, 25_000),
    ("aten::mm_out", 1, 5_000),
    (None, 3, 140_000),
]
EXPECTED["python"] = [*EXPECTED["python"], (None, 1, 20_000)]


@pytest.mark.parametrize("by", EXPECTED)
def test_idle_time_by_each_key_largest_first_null_last(by: str) -> None:
    assert table(by) == EXPECTED[by]


@pytest.mark.parametrize("by", IDLE_KEYS)
def test_every_key_sums_to_the_total_gap_time_and_shares_to_1(by: str) -> None:
    trace = sk.load(EVENTS)
    frame = sk.idle_causes(trace, by=by)
    assert frame["idle_ns"].sum() == sk.idle_gaps(trace)["dur_ns"].sum() == 195_000
    assert frame["idle_share"].sum() == pytest.approx(1)
    assert frame["idle_share"][0] == pytest.approx(frame["idle_ns"][0] / 195_000)


def test_after_the_launch_the_launch_op_holds_the_gap_even_once_it_has_ended() -> None:
    events = [kernel(0, 10), op("aten::mm", 12, 3), call(LAUNCH, 13, 1, 1), kernel(90, 1, 1)]
    assert table("op", events) == [("aten::mm", 1, 78_000), (None, 1, 2_000)]


def test_only_frames_and_ops_of_the_launching_thread_count() -> None:
    other = [python("worker", 0, 100, tid=2), op("aten::sleep", 0, 100, tid=2)]
    events = [*other, kernel(0, 10), call(LAUNCH, 40, 1, 1), kernel(50, 1, 1)]
    assert table("python", events) == table("op", events) == [(None, 1, 40_000)]


def test_a_window_counts_its_own_gaps_alone() -> None:
    window = sk.load(EVENTS).between(280_000, 350_000)
    assert sk.idle_causes(window).select("cause", "idle_ns").rows() == [("operator", 25_000)]


@pytest.mark.parametrize("by", IDLE_KEYS)
@pytest.mark.parametrize("events", [[], [op("aten::mm", 0, 5)]])
def test_without_gaps_there_are_no_rows(by: str, events: list[Event]) -> None:
    frame = sk.idle_causes(sk.load(events), by=by)
    assert frame.is_empty()
    assert frame.columns == [by, "gaps", "idle_ns", "idle_share"]


@pytest.mark.parametrize("by", ["causes", "thread", None, ["op"]])
def test_an_unknown_key_is_refused_and_the_valid_ones_are_named(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: cause, activity, op, python, step"):
        sk.idle_causes(sk.load(EVENTS), by=by)


def refilling() -> list[Event]:
    """A host that waits once and then launches each kernel only just too late."""
    events = [step(1, 0, 1000), op("a", 0, 900), call(LAUNCH, 0, 4, 100), kernel(7, 100, 100)]
    events += [call("cudaDeviceSynchronize", 10, 107)]
    for i in range(10):
        events += [call(LAUNCH, 130 + 40 * i, 4, i + 1), kernel(137 + 40 * i, 35, i + 1)]
    return events


def test_a_counterfactual_is_the_idle_time_that_goes_with_its_cause() -> None:
    frame = sk.idle_causes(sk.load(refilling()), counterfactual=True)
    direct = sk.idle_causes(sk.load(refilling()))
    assert frame.filter(pl.col("gaps") > 0).drop("counterfactual_ns").equals(direct)
    idle = dict(frame.select("cause", "idle_ns").rows())
    gone = dict(frame.select("cause", "counterfactual_ns").rows())
    # Nine gaps of 5 end with the way from a launch to its kernel; without the wait there is none.
    assert (idle["sync"], idle["device"]) == (30_000, 9 * 5_000)
    assert gone["sync"] == 75_000


def test_a_counterfactual_of_another_key_is_refused() -> None:
    with pytest.raises(UnknownKeyError, match="Valid: cause"):
        sk.idle_causes(sk.load(EVENTS), by="op", counterfactual=True)


def test_a_counterfactual_of_no_work_has_no_rows() -> None:
    assert sk.idle_causes(sk.load([]), counterfactual=True).is_empty()
