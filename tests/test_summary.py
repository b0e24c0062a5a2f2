"""Latency, busy and idle of each step. Times in the traces are microseconds."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from helpers import Event, call, kernel, memcpy, memset, op, step

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

LAUNCH = "cudaLaunchKernel"


def row(events: list[Event], by: str = "step", at: int = 0) -> dict[str, Any]:
    return sk.summary(sk.load(events), by=by).row(at, named=True)


def launched(start: float, work: float, dur: float, corr: int, **where: Any) -> list[Event]:
    """A launch of 1 µs on thread 1 and its kernel."""
    return [call(LAUNCH, start, 1, corr), kernel(work, dur, corr, **where)]


# --- latency --------------------------------------------------------------------------------------


def test_il_runs_from_the_first_op_to_the_end_of_the_last_work() -> None:
    events = [call("cudaGetDevice", 2, 1), op("aten::mm", 5, 10), *launched(6, 20, 7.5, 1)]
    found = row(events)
    assert (found["start_ns"], found["il_ns"]) == (5000, 22500)


def test_il_runs_from_the_first_call_where_there_is_no_op() -> None:
    events = [call("cudaGetDevice", 2, 1), *launched(6, 20, 7.5, 1)]
    assert row(events)["il_ns"] == 25500


def test_il_of_a_step_starts_with_its_own_first_op_not_with_one_open_from_before() -> None:
    events = [step(1, 10, 50), op("outer", 0, 40), op("inner", 15, 5), *launched(16, 20, 5, 1)]
    assert row(events)["il_ns"] == 10000


def test_the_last_work_is_the_one_that_ends_last() -> None:
    events = [op("a", 0, 9), *launched(1, 5, 95, 1), *launched(3, 10, 5, 2, stream=8)]
    assert row(events)["il_ns"] == 100_000


def test_busy_is_summed_over_devices_that_work_at_the_same_time() -> None:
    events = [op("a", 0, 9), *launched(1, 10, 50, 1), *launched(3, 12, 50, 2, device=1)]
    assert row(events)["busy_ns"] == 100_000


NULL = ("il_ns", "gpu_idle_ns", "gpu_idle_paper_ns", "busy_share", "cpu_busy_ns", "cpu_idle_ns")


@pytest.mark.parametrize(
    "events",
    [
        [op("aten::mm", 0, 5), call("cudaGetDevice", 1, 1)],
        [kernel(0, 5)],
        [kernel(0, 5), op("aten::mm", 5, 5)],
        [],
    ],
    ids=["no work", "neither op nor call", "work before the first op", "nothing"],
)
@pytest.mark.parametrize("by", ["step", "trace"])
def test_without_work_or_host_there_is_no_latency_and_what_follows_is_null(
    events: list[Event], by: str
) -> None:
    found = row(events, by)
    assert found["step"] == "all"
    assert {found[key] for key in (*NULL, "hdbi_share")} == {None}
    assert found["works"] == sum(e["cat"] == "kernel" for e in events)
    assert (found["launches"], found["tklqt_ns"], found["outlier"]) == (0, 0, False)


def test_a_step_without_work_still_has_its_row_and_its_start() -> None:
    events = [step(1, 10, 20), step(2, 30, 10), op("a", 31, 2), *launched(32, 35, 5, 1)]
    found = row(events)
    assert (found["step"], found["start_ns"], found["il_ns"]) == ("ProfilerStep#1", 10000, None)


def test_rows_are_in_time_order() -> None:
    events = [step(12, 50, 10), step(3, 0, 10), step(7, 20, 10)]
    names = sk.summary(sk.load(events))["step"].to_list()
    assert names == ["ProfilerStep#3", "ProfilerStep#7", "ProfilerStep#12"]


def test_an_autograd_threads_launch_belongs_to_the_step_by_time() -> None:
    events = [step(1, 0, 10), op("a", 0, 9), call(LAUNCH, 5, 1, 1, tid=77), kernel(30, 5, 1)]
    assert row(events)["launches"] == 1
    other = [*events[:2], call(LAUNCH, 5, 1, 1, pid=2), kernel(30, 5, 1)]
    assert row(other)["launches"] == 0


def test_work_belongs_to_the_step_in_which_it_was_launched() -> None:
    events = [step(1, 0, 10), step(2, 10, 10), op("a", 1, 2), op("b", 11, 2)]
    events += [*launched(2, 15, 5, 1), *launched(12, 20, 5, 2)]
    assert sk.summary(sk.load(events))["works"].to_list() == [1, 1]
    assert sk.summary(sk.load(events))["il_ns"].to_list() == [19000, 14000]


# --- device ---------------------------------------------------------------------------------------


def test_counts_and_kernel_times() -> None:
    works = [kernel(10, 3, 1), kernel(20, 4, 1), memset(30, 2, 1), memcpy(40, 5, 2)]
    found = row([call("cudaGraphLaunch", 0, 1, 1), call("cudaMemcpyAsync", 1, 1, 2), *works])
    assert [found[k] for k in ("launches", "kernels", "works")] == [1, 2, 4]
    assert (found["kernel_ns"], found["akd_ns"], found["busy_ns"]) == (7000, 3500, 14000)


@pytest.mark.parametrize(("durations", "akd"), [((0.001, 0.002), 2), ((0.002, 0.003), 2)])
def test_akd_is_rounded_half_to_even(durations: tuple[float, float], akd: int) -> None:
    events = [e for i, d in enumerate(durations) for e in launched(i, 10 * i + 10, d, i + 1)]
    assert row(events)["akd_ns"] == akd


def test_busy_is_the_union_over_streams_and_the_papers_idle_turns_negative() -> None:
    events = [op("a", 0, 2), *launched(0, 0, 10, 1), *launched(1, 1, 9, 2, stream=8)]
    found = row(events)
    assert (found["il_ns"], found["busy_ns"], found["gpu_idle_ns"]) == (10000, 10000, 0)
    assert found["gpu_idle_paper_ns"] == 10000 - 19000
    assert found["busy_share"] == 1


def test_idle_counts_no_time_in_which_another_steps_work_or_unlinked_work_runs() -> None:
    events = [
        step(1, 0, 10), step(2, 10, 90), op("a", 0, 1), op("b", 10, 80),
        *launched(0.5, 5, 25, 1),  # runs on to 30, in step 2
        *launched(20, 60, 10, 2),
        kernel(40, 5),
    ]  # fmt: skip
    found = row(events, at=1)
    assert (found["il_ns"], found["busy_ns"]) == (60000, 10000)
    assert found["gpu_idle_ns"] == 60000 - 20000 - 5000 - 10000
    assert found["busy_share"] == pytest.approx(35 / 60)


def test_two_devices_are_summed_and_shares_are_over_both() -> None:
    events = [op("a", 0, 90), *launched(1, 10, 40, 1), *launched(2, 70, 30, 2, device=1)]
    found = row(events)
    assert (found["il_ns"], found["devices"], found["busy_ns"]) == (100_000, 2, 70_000)
    assert found["gpu_idle_ns"] == 60_000 + 70_000
    assert found["gpu_idle_paper_ns"] == 200_000 - 70_000
    assert found["busy_share"] == pytest.approx(0.35)


def test_a_device_that_the_step_does_not_use_is_not_counted_for_it() -> None:
    events = [step(1, 0, 10), step(2, 10, 10), op("a", 0, 5), op("b", 10, 5)]
    events += [*launched(1, 5, 5, 1), *launched(11, 15, 5, 2, device=1)]
    assert sk.summary(sk.load(events))["devices"].to_list() == [1, 1]
    assert row(events, "trace")["devices"] == 2


def test_unlinked_work_is_in_the_only_step_but_in_no_recorded_one() -> None:
    events = [op("a", 0, 5), *launched(1, 5, 5, 1), kernel(20, 5)]
    assert row(events)["works"] == 2
    assert row([step(1, 0, 50), *events])["works"] == 1
    assert row([step(1, 0, 50), *events], "trace")["works"] == 2


# --- host -----------------------------------------------------------------------------------------


def cpu_busy(*events: Event, end: float = 100) -> int:
    """CPU busy (µs) of a step whose IL runs from an op of [0, 10) to `end`."""
    found = row([op("first", 0, 10), *launched(5, end - 1, 1, 1), *events])
    assert found["il_ns"] == end * 1000
    assert found["cpu_busy_ns"] + found["cpu_idle_ns"] == found["il_ns"]
    return int(found["cpu_busy_ns"]) // 1000


def test_cpu_busy_is_the_union_of_ops_and_calls() -> None:
    assert cpu_busy() == 10
    assert cpu_busy(op("second", 8, 12), call("cudaGetDevice", 19, 6)) == 25


def test_cpu_busy_is_clipped_to_the_latency() -> None:
    assert cpu_busy(op("long", 90, 500)) == 20


@pytest.mark.parametrize(
    ("name", "busy"),
    [
        ("cudaStreamSynchronize", 0),
        ("cuEventSynchronize", 0),
        ("cudaMemcpy", 0),
        ("cudaMemcpyAsync", 30),
        ("cudaStreamWaitEvent", 30),
        ("cudaMalloc", 30),
    ],
)
def test_waits_and_copies_that_block_are_not_cpu_busy(name: str, busy: int) -> None:
    assert cpu_busy(call(name, 20, 30)) == 10 + busy
    assert cpu_busy(op("around", 15, 40), call(name, 20, 30)) == 10 + 10 + busy


@pytest.mark.parametrize(("returns", "busy"), [(44, 24), (45, 0), (50, 0)])
def test_an_async_copy_that_returned_after_its_work_blocked(returns: int, busy: int) -> None:
    assert cpu_busy(call("cudaMemcpyAsync", 20, returns - 20, 9), memcpy(40, 5, 9)) == 10 + busy


def test_every_launching_thread_of_the_process_counts_and_no_other() -> None:
    assert cpu_busy(op("idle thread", 20, 30, tid=2)) == 10
    launches = [call(LAUNCH, 500, 1, 9, tid=2), kernel(600, 1, 9)]
    marks = [step(1, 0, 100), op("first", 0, 10), *launched(5, 99, 1, 1)]
    found = row([*marks, op("busy thread", 20, 30, tid=2), *launches])
    assert found["cpu_busy_ns"] == 40_000
    of_another = [call(LAUNCH, 500, 1, 9, tid=2, pid=2), kernel(600, 1, 9)]
    found = row([*marks, op("other process", 20, 30, tid=2, pid=2), *of_another])
    assert found["cpu_busy_ns"] == 10_000


def test_one_thread_waiting_does_not_make_another_idle() -> None:
    waits = [call("cudaDeviceSynchronize", 20, 30, tid=2), call(LAUNCH, 60, 1, 9, tid=2)]
    assert cpu_busy(*waits, kernel(70, 1, 9), op("works on", 20, 30)) == 10 + 30 + 1


def test_hdbi_is_kernel_time_over_kernel_and_cpu_time() -> None:
    events = [op("first", 0, 10), *launched(5, 90, 30, 1), memcpy(130, 5)]
    assert row(events)["hdbi_share"] == pytest.approx(30 / 40)


# --- outliers, floors, windows --------------------------------------------------------------------


def steps_of(latencies: list[float]) -> list[Event]:
    events = []
    for i, il in enumerate(latencies):
        at = 1000 * i
        events += [step(i, at, 900), op("a", at, 1), *launched(at, at + il - 1, 1, i + 1)]
    return events


@pytest.mark.parametrize(
    ("latencies", "outliers"),
    [
        ([100, 100, 150], [False, False, False]),  # 1.5 times the median is none yet
        ([100, 100, 150.001], [False, False, True]),
        ([100, 300], [False, False]),  # of the median 200: 300 is not over
        ([100, 100, 100, 400], [False, False, False, True]),
        ([500], [False]),
    ],
)
def test_an_outlier_is_over_one_and_a_half_times_the_median(
    latencies: list[float], outliers: list[bool]
) -> None:
    assert sk.summary(sk.load(steps_of(latencies)))["outlier"].to_list() == outliers


def test_steps_without_latency_do_not_move_the_median() -> None:
    events = [*steps_of([100, 100, 200]), *(step(10 + i, 5000 + i, 1) for i in range(5))]
    assert sk.summary(sk.load(events))["outlier"].to_list() == [False, False, True] + 5 * [False]


def test_a_given_floor_moves_time_between_launch_and_queue() -> None:
    trace = sk.load([kernel(0, 30), op("a", 5, 9), *launched(10, 30, 5, 1)])
    split = sk.summary(trace, floor=3000).select("tklqt_ns", "launch_ns", "queue_ns").row(0)
    assert split == (20000, 3000, 17000)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_step_as_a_trace_has_its_row_but_for_the_outlier(k: int) -> None:
    trace = sk.load([*steps_of([100, 100, 400]), kernel(350, 4), kernel(950, 200, stream=9)])
    row_of = sk.summary(trace).filter(step=f"ProfilerStep#{k}").drop("outlier")
    assert sk.summary(trace.step(k)).drop("outlier").equals(row_of)
    as_one = sk.summary(trace.step(k), by="trace").drop("outlier", "step")
    assert as_one.equals(row_of.drop("step"))


def test_the_row_of_the_trace_spans_all_steps_and_what_lies_outside() -> None:
    events = [*steps_of([100, 100]), *launched(5000, 5010, 5, 9)]
    found = row(events, "trace")
    assert (found["step"], found["start_ns"], found["il_ns"]) == ("all", 0, 5015_000)
    by_step = sk.summary(sk.load(events)).select(pl.col("launches").sum()).item()
    assert (found["launches"], by_step) == (3, 2)


@pytest.mark.parametrize("by", ["steps", "kernel", None, ["step"]])
def test_an_unknown_key_is_refused_and_the_valid_ones_are_named(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: step, trace"):
        sk.summary(sk.load([]), by=by)
