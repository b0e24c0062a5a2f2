"""Verdicts and their evidence. Times in the traces are microseconds."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Event, call, kernel, memcpy, op, step

import skiptrace as sk
from skiptrace.errors import UnknownKeyError


def busy(work: float, il: float = 100, at: float = 0, n: int = 1) -> list[Event]:
    """A step of latency `il`: its host works until a launch, then its device for `work`."""
    launch = [call("cudaLaunchKernel", at + il - work - 2, 1, n), kernel(at + il - work, work, n)]
    return [step(n, at, il), op("aten::mm", at, il - work - 1), *launch]


def verdict(events: list[Event], **options: Any) -> dict[str, Any]:
    return sk.boundedness(sk.load(events), **options).row(0, named=True)


@pytest.mark.parametrize(
    ("work", "expected", "reason"),
    [
        (10, "cpu", "host 89.0 %, device 10.0 % of the critical path of 100 µs"),
        (48.5, "cpu", "a step is as long as its host takes"),
        (49.5, "balanced", "neither side holds it back alone"),
        (50, "gpu", "a step is as long as its device takes"),
        (95, "gpu", "device 95.0 %"),
    ],
)
def test_the_verdict_is_the_side_with_more_than_half_of_the_critical_path(
    work: float, expected: str, reason: str
) -> None:
    row = verdict(busy(work))
    assert (row["verdict"], row["busy_share"]) == (expected, pytest.approx(work / 100))
    assert row["device_share"] == pytest.approx(work / 100)
    assert row["host_share"] == pytest.approx((99 - work) / 100)
    assert row["latency_share"] == pytest.approx(0.01)  # from the call's return to the kernel
    assert reason in row["because"]


def test_a_device_kept_busy_by_earlier_steps_is_not_idle() -> None:
    launches = [call("cudaLaunchKernel", 1, 1, 1), call("cudaLaunchKernel", 101, 1, 2)]
    works = [kernel(3, 196, 1), kernel(200, 5, 2)]
    ops = [step(1, 0, 100), op("a", 0, 5), step(2, 100, 100), op("b", 100, 5)]
    events = [*ops, *launches, *works]
    assert sk.boundedness(sk.load(events))["verdict"].to_list() == ["gpu", "gpu"]


def test_a_graph_is_judged_by_its_works_not_by_its_one_launch() -> None:
    graph = [kernel(5 + 10 * i, 9.5, 1) for i in range(10)]
    row = verdict([call("cudaGraphLaunch", 0, 3, 1), *graph])
    assert (row["verdict"], row["tklqt_per_launch_ns"]) == ("gpu", 5000)


def test_streams_that_take_turns_keep_the_device_busy_without_any_queue() -> None:
    launches = [call("cudaLaunchKernel", i, 0.5, i + 1) for i in range(10)]
    works = [kernel(10 + 10 * i, 10, i + 1, stream=i) for i in range(10)]
    row = verdict([*launches, *works])
    assert (row["verdict"], row["queue_share"]) == ("gpu", 0)


def test_the_evidence_stands_beside_the_verdict() -> None:
    events = [op("a", 0, 9), kernel(0, 40), call("cudaLaunchKernel", 10, 1, 1), kernel(40, 20, 1)]
    row = verdict(events, floor=6000)
    assert row["tklqt_per_launch_ns"] == 30000
    assert row["floor_ns"] == 6000
    assert row["queue_share"] == pytest.approx(24 / 30)
    assert row["hdbi_share"] == pytest.approx(60 / (60 + 10))
    assert "80 % of the launch-to-start time was queueing" in row["because"]


def test_without_launch_time_there_is_no_queue_share() -> None:
    row = verdict([op("a", 0, 9), call("cudaLaunchKernel", 5, 1, 1), kernel(5, 4, 1)])
    assert row["queue_share"] is None
    assert "queueing" not in row["because"]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "nothing ran on a device"),
        ([op("a", 0, 9)], "nothing ran on a device"),
        ([kernel(0, 9)], "no latency"),
    ],
)
@pytest.mark.parametrize("by", ["step", "trace"])
def test_where_there_is_nothing_to_judge_the_verdict_is_null_and_says_why(
    events: list[Event], reason: str, by: str
) -> None:
    row = verdict(events, by=by)
    assert (row["step"], row["verdict"], row["busy_share"]) == ("all", None, None)
    assert reason in row["because"]


def test_one_row_a_step_in_time_order() -> None:
    frame = sk.boundedness(sk.load([*busy(90, at=200, n=2), *busy(10, n=1)]))
    assert frame.select("step", "verdict").rows() == [
        ("ProfilerStep#1", "cpu"),
        ("ProfilerStep#2", "gpu"),
    ]


def test_the_trace_is_judged_by_its_steps_not_by_the_time_between_them() -> None:
    frame = sk.boundedness(sk.load([*busy(90), *busy(80, at=10_000, n=2)]), by="trace")
    assert frame.select("step", "verdict", "busy_share").rows() == [
        ("all", "gpu", pytest.approx(0.85))
    ]


@pytest.mark.parametrize("steps", [1, 2])
def test_two_devices_share_the_latency(steps: int) -> None:
    events = []
    for n in range(steps):
        on_the_other = [call("cudaLaunchKernel", 100 * n + 3, 1, 9 + n)]
        on_the_other.append(kernel(100 * n + 50, 10, 9 + n, device=1))
        events += [*busy(90, at=100 * n, n=n + 1), *on_the_other]
    assert verdict(events)["busy_share"] == pytest.approx(0.5)
    assert verdict(events, by="trace")["busy_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("by", ["kernel", None])
def test_an_unknown_key_is_refused_and_the_valid_ones_are_named(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: step, trace"):
        sk.boundedness(sk.load([]), by=by)


def test_steps_of_blocking_copies_alone_have_no_hdbi_share() -> None:
    copies = [
        [step(n, n, 50), call("cudaMemcpy", n + 1, 30, n + 1), memcpy(n + 2, 20, n + 1)]
        for n in (0, 100)
    ]
    pooled = sk.boundedness(sk.load([e for events in copies for e in events]), "trace")
    assert pooled["hdbi_share"].to_list() == [None]


def test_where_the_verdict_rests_on_the_profilers_own_time_it_says_so() -> None:
    """Fifty operators before the launch, 0.91 µs of each the profiler's."""
    events = [step(1, 0, 300), call("cudaLaunchKernel", 100, 5, 1), kernel(107, 90, 1)]
    events += [op("aten::view", 2 * i, 1.5) for i in range(50)]
    row = verdict(events)
    assert (row["verdict"], row["unprofiled_verdict"]) == ("cpu", "gpu")
    assert "without the profiler's own time it would be gpu" in row["because"]
    assert verdict(busy(90))["unprofiled_verdict"] == "gpu"
    assert "profiler" not in verdict(busy(90))["because"]
