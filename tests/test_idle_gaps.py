"""Gaps, what the host did in them, and their one cause. Times in the traces are microseconds."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from helpers import Event, annotation, call, event, kernel, memcpy, memset, op, python, step

import skiptrace as sk
from skiptrace.model.schema.column import ACTIVITIES

LAUNCH = "cudaLaunchKernel"


def gaps(events: list[Event]) -> list[tuple[int, int, int]]:
    """(device, start, end) of each gap, in µs."""
    frame = sk.idle_gaps(sk.load(events)).select("device", "start_ns", "end_ns")
    return [(device, start // 1000, end // 1000) for device, start, end in frame.rows()]


def parts(trace: sk.Trace, row: int = 0) -> dict[str, int]:
    """The activities of a gap that are not 0, in µs."""
    found = sk.idle_gaps(trace).row(row, named=True)
    amounts = {a: found[f"{a}_ns"] // 1000 for a in ACTIVITIES}
    assert sum(amounts.values()) * 1000 == found["dur_ns"]
    return {a: amount for a, amount in amounts.items() if amount}


def gap(*during: Event, launch: float = 190, tid: int = 1, ends: float = 200) -> sk.Trace:
    """A gap from 100 to `ends`, ended by a kernel of a launch of 2 µs, with host events in it."""
    before = [call(LAUNCH, 10, 2, 1, tid=tid), kernel(20, 80, 1)]
    after = [call(LAUNCH, launch, 2, 2, tid=tid), kernel(ends, 10, 2)]
    return sk.load([*before, *during, *after])


# --- which gaps -----------------------------------------------------------------------------------


def test_a_gap_has_no_work_on_any_stream_of_its_device() -> None:
    events = [kernel(0, 10), kernel(5, 20, stream=8), kernel(30, 5), memcpy(40, 5, stream=8)]
    assert gaps(events) == [(0, 25, 30), (0, 35, 40)]


def test_each_device_has_gaps_of_its_own_inside_its_own_span() -> None:
    events = [kernel(0, 10), kernel(20, 10), kernel(12, 3, device=1), kernel(90, 3, device=1)]
    assert gaps(events) == [(0, 10, 20), (1, 15, 90)]


def test_touching_work_leaves_no_gap() -> None:
    assert gaps([kernel(0, 10), kernel(10, 5)]) == []


def test_a_long_work_below_later_ones_hides_their_gaps() -> None:
    assert gaps([kernel(0, 50), kernel(5, 1, stream=8), kernel(20, 1, stream=8)]) == []


def test_zero_length_work_splits_a_gap() -> None:
    events = [kernel(0, 10), memset(15, 0), kernel(20, 5)]
    assert gaps(events) == [(0, 10, 15), (0, 15, 20)]


def test_a_gap_belongs_to_the_earliest_launch_of_works_that_end_it_together() -> None:
    events = [
        kernel(0, 10),
        kernel(30, 5, 2, stream=8),
        kernel(30, 5, 1),
        kernel(30, 5, None, stream=9),
        call(LAUNCH, 12, 1, 1),
        call(LAUNCH, 14, 1, 2),
    ]
    assert sk.idle_gaps(sk.load(events))["next_work"].to_list() == [2]


def test_a_gap_has_the_step_of_the_work_that_ends_it() -> None:
    trace = gap(step(1, 0, 12), step(2, 12, 200))
    assert sk.idle_gaps(trace)["step"].to_list() == ["ProfilerStep#2"]


@pytest.mark.parametrize("marks", [[], [step(1, 0, 100)]])
def test_unlinked_work_belongs_to_the_only_step_or_to_none(marks: list[Event]) -> None:
    frame = sk.idle_gaps(sk.load([*marks, kernel(0, 10), kernel(20, 5)]))
    assert frame["step"].to_list() == [None if marks else "all"]


def test_gaps_and_busy_time_make_the_span() -> None:
    events = [kernel(0, 10), kernel(4, 9, stream=8), kernel(17, 0), kernel(30.5, 2.25)]
    frame = sk.idle_gaps(sk.load(events))
    assert frame["dur_ns"].sum() == 32750 - 13000 - 2250


# --- activities before the launch -----------------------------------------------------------------

ONE = {
    "profiler": [call("cudaGetDevice", 120, 50), event("overhead", "Buffer Flush", 120, 50)],
    "sync": [call("cudaDeviceSynchronize", 120, 50)],
    "alloc": [call("cudaMalloc", 120, 50)],
    "copy": [call("cudaMemcpy", 120, 50)],
    "launch": [call(LAUNCH, 120, 50, 9), kernel(210, 5, 9)],
    "dataloader": [annotation("DataLoader: next", 120, 50)],
    "operator": [op("aten::view", 120, 50)],
}


@pytest.mark.parametrize("activity", ONE)
def test_each_activity_of_the_launching_thread_and_python_elsewhere(activity: str) -> None:
    # From 100 to 190, less the 50 of the activity: python; then 2 in the call and 8 on the way.
    found = parts(gap(*ONE[activity]))
    expected = {"python": 40, "launch": 2, "device": 8}
    expected[activity] = expected.get(activity, 0) + 50
    assert found == expected


def test_of_several_the_first_activity_in_the_order_holds() -> None:
    """Shells around each other: each shows only where no earlier activity holds."""
    shells = [
        event("overhead", "Buffer Flush", 140, 4),
        call("hipStreamSynchronize", 138, 8),
        call("hipMalloc", 136, 12),
        call("hipMemcpy", 134, 16),
        call("hipLaunchKernel", 132, 20, 9),
        annotation("enumerate(DataLoader)#next", 130, 24),
        op("aten::to", 128, 28),
        kernel(210, 1, 9),
    ]
    found = parts(gap(*shells))
    assert [found[a] for a in ACTIVITIES[:7]] == [4, 4, 4, 4, 4 + 2, 4, 4]
    assert found["python"] == 90 - 28


@pytest.mark.parametrize(
    ("name", "activity"),
    [
        ("cudaStreamSynchronize", "sync"),
        ("cudaEventSynchronize", "sync"),
        ("cuCtxSynchronize", "sync"),
        ("hipDeviceSynchronize", "sync"),
        ("zeEventHostSynchronize", "sync"),
        ("cudaStreamWaitEvent", "operator"),  # the stream waits, not the host
        ("cudaEventQuery", "operator"),
        ("cudaMalloc", "alloc"),
        ("cudaFree", "alloc"),
        ("cudaHostAlloc", "alloc"),
        ("cudaMallocAsync", "alloc"),
        ("cuMemAlloc_v2", "alloc"),
        ("hipHostMalloc", "alloc"),
        ("zeMemAllocDevice", "alloc"),
        ("cudaMemcpy", "copy"),
        ("hipMemcpyWithStream", "copy"),
        ("cudaMemcpyAsync", "operator"),
        ("cudaMemsetAsync", "operator"),
    ],
)
def test_what_an_api_call_does_is_known_by_its_name(name: str, activity: str) -> None:
    assert parts(gap(call(name, 120, 50)))[activity] == 50


@pytest.mark.parametrize(("returns", "activity"), [(59.5, "launch"), (60, "copy"), (65, "copy")])
def test_an_async_copy_blocks_if_it_returns_after_its_work_ended(
    returns: float, activity: str
) -> None:
    copying = [call("cudaMemcpyAsync", 30, returns - 30, 9), memcpy(50, 10, 9, device=1)]
    events = [kernel(0, 10), *copying, call(LAUNCH, 70, 1, 2), kernel(80, 1, 2)]
    amounts = sk.idle_gaps(sk.load(events)).row(0, named=True)
    in_the_copy = round((returns - 30) * 1000)
    assert amounts["copy_ns"] == (in_the_copy if activity == "copy" else 0)
    assert amounts["launch_ns"] == 1000 + (in_the_copy if activity == "launch" else 0)


def test_an_overhead_event_outside_every_call_is_no_profiler_time() -> None:
    assert "profiler" not in parts(gap(event("overhead", "Buffer Flush", 120, 50)))
    elsewhere = [event("overhead", "Buffer Flush", 120, 50), call("cudaGetDevice", 120, 5, tid=2)]
    assert "profiler" not in parts(gap(*elsewhere))


def test_an_overhead_event_of_any_thread_disturbs_the_calls_it_overlaps() -> None:
    disturbing = [event("overhead", "Flush", 120, 50, 1, 77), call("cudaGetDevice", 165, 1)]
    assert parts(gap(*disturbing))["profiler"] == 50


# --- other threads --------------------------------------------------------------------------------


def worker(*during: Event) -> list[Event]:
    """A second thread that launches (after the gap), and what it does."""
    return [*during, call(LAUNCH, 300, 1, 50, tid=2), kernel(305, 1, 50)]


def test_outside_every_op_another_launching_threads_activity_counts() -> None:
    during = worker(op("aten::backward", 110, 60, tid=2), call("cudaMalloc", 120, 20, tid=2))
    assert parts(gap(*during)) == {
        "alloc": 20,
        "operator": 40,
        "python": 30,
        "launch": 2,
        "device": 8,
    }


def test_the_own_activity_of_the_thread_comes_first() -> None:
    during = worker(call("cudaMalloc", 120, 20, tid=2))
    assert "alloc" not in parts(gap(op("aten::cat", 120, 20), *during))


def test_a_thread_that_never_launches_explains_nothing() -> None:
    assert parts(gap(op("aten::mm", 110, 60, tid=2))) == {"python": 90, "launch": 2, "device": 8}


def test_a_thread_of_another_process_explains_nothing() -> None:
    other = op("aten::mm", 110, 60, pid=2), call(LAUNCH, 300, 1, 50, pid=2), kernel(305, 1, 50)
    assert "operator" not in parts(gap(*other))


def test_another_threads_annotation_alone_explains_nothing() -> None:
    assert "dataloader" not in parts(gap(*worker(annotation("DataLoader", 110, 60, tid=2))))


# --- from the launch on ---------------------------------------------------------------------------


def test_from_the_launch_to_its_return_is_launch_then_device() -> None:
    assert parts(gap(launch=100)) == {"launch": 2, "device": 98}


def test_a_launch_before_the_gap_leaves_it_to_the_device() -> None:
    assert parts(gap(launch=80)) == {"device": 100}
    assert parts(gap(launch=99)) == {"launch": 1, "device": 99}


def test_a_work_that_starts_before_its_call_returns_ends_the_launch() -> None:
    assert parts(gap(launch=199)) == {"python": 99, "launch": 1}


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")  # clocks that disagree
def test_a_work_that_starts_before_its_launch_leaves_all_to_the_host() -> None:
    assert parts(gap(launch=205)) == {"python": 100}


def test_unlinked_work_ends_a_gap_for_an_unknown_reason() -> None:
    trace = sk.load([kernel(0, 10), kernel(30, 5), op("aten::mm", 0, 30)])
    assert parts(trace) == {"unknown": 20}
    assert sk.idle_gaps(trace)["cause"].to_list() == ["unknown"]


WAITED = {
    "wait call": [call("cudaStreamWaitEvent", 70, 1)],
    "hip wait call": [call("hipStreamWaitEvent", 70, 1)],
    "cuda_sync record": [
        kernel(70, 1, cat="cuda_sync", name="Stream Wait Event", cuda_sync_kind="Stream Wait Event")
    ],
}


@pytest.mark.parametrize("reason", WAITED)
def test_a_stream_told_to_wait_since_its_last_work_depends(reason: str) -> None:
    assert parts(gap(*WAITED[reason], launch=80)) == {"dependency": 100}


@pytest.mark.parametrize(("stream", "reason"), [(7, "dependency"), (9, "device")])
@pytest.mark.parametrize("recorded_at", [70, 150])
def test_a_wait_call_with_a_record_counts_for_the_stream_on_record_alone(
    recorded_at: float, stream: int, reason: str
) -> None:
    kind = {"name": "Stream Wait Event", "cuda_sync_kind": "Stream Wait Event"}
    record = kernel(recorded_at, 1, 40, cat="cuda_sync", stream=stream, **kind)
    told = [call("cudaStreamWaitEvent", 70, 1, 40), record]
    assert parts(gap(*told, launch=80)) == {reason: 100}


@pytest.mark.parametrize(
    "other",
    [
        call("cudaStreamWaitEvent", 5, 1),  # before the launch of the stream's last work
        call("cudaStreamWaitEvent", 80, 0),  # at the launch
        call("cudaStreamWaitEvent", 90, 1),  # after the launch
        call("cudaStreamWaitEvent", 70, 1, tid=2),
        kernel(70, 1, cat="cuda_sync", name="Context Sync", cuda_sync_kind="Context Sync"),
    ],
)
def test_a_wait_at_another_time_or_place_is_no_dependency(other: Event) -> None:
    assert parts(gap(other, launch=80)) == {"device": 100}


@pytest.mark.parametrize(
    "work",
    [
        {"name": "ncclDevKernel_AllReduce_Sum_f16_RING_LL"},
        {"name": "k", "Collective name": "allreduce"},
    ],
)
def test_a_collective_waits_for_its_peers(work: dict[str, Any]) -> None:
    events = [kernel(0, 10), call(LAUNCH, 5, 1, 1), kernel(40, 5, 1, **work)]
    assert parts(sk.load(events)) == {"dependency": 30}


def test_inside_a_graph_the_device_is_on_its_own() -> None:
    events = [
        call("cudaGraphLaunch", 0, 90, 1),
        call("cudaDeviceSynchronize", 12, 50),
        kernel(10, 10, 1),
        kernel(40, 10, 1, "ncclDevKernel", stream=8),
    ]
    trace = sk.load(events)
    assert parts(trace) == {"device": 20}
    assert sk.idle_gaps(trace)["cause"].to_list() == ["device"]


def test_a_graph_over_several_streams_and_devices_is_one_launch() -> None:
    graph = [
        kernel(50, 10, 1),
        kernel(55, 10, 1, stream=8),
        kernel(80, 5, 1, stream=9),
        kernel(50, 2, 1, device=1),
        kernel(60, 2, 1, device=1),
    ]
    events = [call("cudaGraphLaunch", 10, 5, 1), *graph]
    trace = sk.load(events)
    assert gaps(events) == [(0, 65, 80), (1, 52, 60)]
    assert len(trace.launches) == 1
    assert [parts(trace, row) for row in (0, 1)] == [{"device": 15}, {"device": 8}]


# --- cause ----------------------------------------------------------------------------------------


def cause(*during: Event, **where: Any) -> str:
    return str(sk.idle_gaps(gap(*during, **where))["cause"][0])


@pytest.mark.parametrize(
    ("until", "expected"),
    [(101, "python"), (139.999, "python"), (140, "sync"), (189, "sync")],
)
def test_a_wait_that_covers_the_start_is_the_cause_unless_the_host_took_more_than_half(
    until: float, expected: str
) -> None:
    # Of the gap of 100, python has 190 - until.
    assert cause(call("cudaStreamSynchronize", 50, until - 50)) == expected


@pytest.mark.parametrize("name", ["cudaMalloc", "cudaMemcpy"])
def test_alloc_and_copy_count_against_a_sync(name: str) -> None:
    sync = call("cudaStreamSynchronize", 50, 55)
    assert cause(sync, op("aten::mm", 105, 85)) == "sync"
    assert cause(sync, call(name, 105, 85)) != "sync"


def test_a_wait_after_the_gaps_start_is_the_cause_only_as_the_largest() -> None:
    assert cause(call("cudaStreamSynchronize", 101, 30)) == "python"
    assert cause(call("cudaStreamSynchronize", 101, 60)) == "sync"


def test_a_wait_on_another_thread_is_not_the_cause_of_the_start() -> None:
    sync = call("cudaStreamSynchronize", 50, 55, tid=2)
    assert cause(*worker(sync), op("aten::mm", 105, 85)) == "operator"


def test_a_wait_that_began_after_the_launch_delayed_nothing() -> None:
    assert cause(call("cudaStreamSynchronize", 85, 130), launch=80) == "device"


def test_else_the_largest_activity_is_the_cause() -> None:
    assert cause(op("aten::mm", 120, 60)) == "operator"
    assert cause(launch=120, ends=200) == "device"


@pytest.mark.parametrize(
    ("during", "expected"),
    [
        ([op("a", 100, 45)], "operator"),  # operator 45, python 45
        ([op("a", 100, 45), call("cudaMalloc", 145, 45)], "alloc"),
        ([op("a", 100, 45), annotation("DataLoader", 145, 45)], "dataloader"),
    ],
)
def test_ties_go_to_the_first_in_the_order(during: list[Event], expected: str) -> None:
    assert cause(*during) == expected


# --- who held it ----------------------------------------------------------------------------------


def test_host_op_and_python_frame_are_those_that_held_most_of_the_gap() -> None:
    frames = [python("main", 0, 300), python("load", 105, 60)]
    trace = gap(op("aten::cat", 100, 30), op("aten::mm", 130, 65), *frames)
    row = sk.idle_gaps(trace).row(0, named=True)
    assert (row["host_op"], row["host_python"]) == ("aten::mm", "load")


def test_no_op_and_no_frame_are_null() -> None:
    row = sk.idle_gaps(gap(op("aten::mm", 0, 50))).row(0, named=True)
    assert (row["host_op"], row["host_python"]) == (None, None)


# --- windows, empty -------------------------------------------------------------------------------


def test_gaps_of_a_window_end_with_its_own_work_and_background_work_is_busy() -> None:
    events = [
        *(
            e
            for i in range(4)
            for e in (call(LAUNCH, i, 0.5, i + 1), kernel(20 * i + 10, 5, i + 1))
        ),
        kernel(52, 2, None),  # background
    ]
    trace = sk.load(events)
    window = trace.between(1000, 4000)  # launches of the kernels at 30, 50 and 70
    assert len(window.work) == 3
    found = sk.idle_gaps(window).select("start_ns", "end_ns").rows()
    assert found == [(35000, 50000), (55000, 70000)]
    only = trace.between(2000, 3000)
    assert sk.idle_gaps(only).is_empty()


def test_background_work_inside_a_window_splits_its_gap() -> None:
    events = [
        call(LAUNCH, 1, 0.5, 1),
        kernel(10, 5, 1),
        call(LAUNCH, 2, 0.5, 2),
        kernel(50, 5, 2),
        call(LAUNCH, 9, 0.5, 3),
        kernel(30, 5, 3, stream=8),
    ]
    found = sk.idle_gaps(sk.load(events).between(0, 3000))
    assert found.select("start_ns", "end_ns", "next_work").rows() == [
        (15000, 30000, 5),
        (35000, 50000, 3),
    ]


@pytest.mark.parametrize(
    "events", [[], [op("aten::mm", 0, 5)], [kernel(0, 5)]], ids=["none", "no work", "one work"]
)
def test_without_two_works_there_is_no_gap(events: list[Event]) -> None:
    frame = sk.idle_gaps(sk.load(events))
    assert frame.is_empty()
    assert frame.columns[:5] == ["device", "start_ns", "end_ns", "dur_ns", "cause"]


def test_a_graph_begins_on_each_device_with_its_first_work_there() -> None:
    before = [call("launch", 0, 1, 1), kernel(2, 3, 1), call("launch", 1, 1, 2),
              kernel(3, 2, 2, device=1)]  # fmt: skip
    graph = [call("cudaGraphLaunch", 100, 2, 3), kernel(104, 2, 3), kernel(110, 2, 3, device=1)]
    gaps = sk.idle_gaps(sk.load([*before, *graph]))
    assert gaps["cause"].to_list() == ["python", "python"]
    assert gaps["python_ns"].to_list() == [95_000, 95_000]


def test_building_a_graph_is_no_blocking_copy() -> None:
    built = [call("cudaGraphAddMemcpyNode", 10, 30), call("launch", 50, 1, 2), kernel(52, 1, 2)]
    (gap,) = sk.idle_gaps(sk.load([call("launch", 0, 1, 1), kernel(2, 3, 1), *built])).to_dicts()
    assert (gap["copy_ns"], gap["operator_ns"]) == (0, 30_000)


def test_a_wait_told_before_unlinked_work_began_is_not_what_the_next_work_waits_for() -> None:
    told = [call("launch", 0, 1, 1), kernel(2, 1, 1), call("cudaStreamWaitEvent", 4, 1)]
    after = [kernel(10, 5), call("launch", 14, 1, 2), kernel(20, 1, 2)]
    gap = sk.idle_gaps(sk.load([*told, *after])).to_dicts()[-1]
    assert (gap["dependency_ns"], gap["device_ns"]) == (0, 5_000)


def test_a_short_window_is_read_like_the_whole_where_operators_cross() -> None:
    """`leaf` outlasts `cross`, which encloses its start and has ended before the gap begins."""
    events = [
        op("outer", 0, 100), op("cross", 10, 30), op("leaf", 20, 40),
        call("cudaLaunchKernel", 50, 1, 1), kernel(52, 3, 1),
        call("cudaLaunchKernel", 90, 1, 2), kernel(95, 3, 2),
        *(op("later", 1000 + 10 * i, 5) for i in range(9)),
    ]  # fmt: skip
    trace = sk.load(events)
    gaps = sk.idle_gaps(trace)
    assert gaps["host_op"].to_list() == ["outer"]
    assert sk.idle_gaps(trace.between(45_000, 100_000)).equals(gaps)
    by_op = sk.idle_causes(trace.between(45_000, 100_000), by="op")
    assert by_op.select("op", "idle_ns").rows() == [("outer", 35_000), ("leaf", 5_000)]


def test_gaps_are_found_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    trace, again = gap(op("aten::mm", 100, 50)), gap(op("aten::mm", 100, 50))
    monkeypatch.setattr(Thread, "start", refuse)
    assert sk.idle_gaps(again)["host_op"].to_list() == ["aten::mm"]
    monkeypatch.undo()
    assert sk.idle_gaps(trace).equals(sk.idle_gaps(again))
