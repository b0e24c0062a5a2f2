"""TKLQT, its exact split, and its groupings. Times in the traces are microseconds."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from helpers import (
    Event,
    annotation,
    call,
    health,
    kernel,
    memcpy,
    memset,
    op,
    step,
)

import skiptrace as sk
from skiptrace.errors import FloorError, UnknownKeyError
from skiptrace.model.schema.measured import TKLQT_KEYS

LAUNCH = "cudaLaunchKernel"


def splits(events: list[Event], floor: Any = None) -> list[tuple[int, int, int]]:
    """(t_l, launch, queue) of each kernel launch, by time."""
    frame = sk.tklqt(sk.load(events), by="launch", floor=floor)
    return frame.select("tklqt_ns", "launch_ns", "queue_ns").rows()


def total(events: list[Event]) -> dict[str, Any]:
    return sk.tklqt(sk.load(events), by="trace").row(0, named=True)


def test_t_l_is_begin_to_begin_and_holds_the_api_call() -> None:
    assert splits([call(LAUNCH, 10, 4, 1), kernel(17.125, 3, 1)]) == [(7125, 7125, 0)]


def test_t_l_of_a_graph_ends_at_its_first_kernel_and_it_is_one_launch() -> None:
    graph = [memset(12, 1, 1), memcpy(14, 1, 1), kernel(18, 2, 1), kernel(21, 2, 1)]
    row = total([call("cudaGraphLaunch", 10, 1, 1), *graph])
    assert (row["launches"], row["kernels"], row["tklqt_ns"]) == (1, 2, 8000)


@pytest.mark.parametrize("work", [memcpy, memset])
def test_a_launch_without_a_kernel_is_not_in_tklqt(work: Any) -> None:
    trace = sk.load([call("cudaMemcpyAsync", 10, 1, 1), work(15, 2, 1)])
    assert trace.launches["tklqt_ns"].to_list() == [5000]
    assert sk.tklqt(trace, by="trace").select("launches", "tklqt_ns").row(0) == (0, 0)


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_a_kernel_that_starts_before_its_launch_counts_as_0_and_is_in_health() -> None:
    events = [call(LAUNCH, 10, 1, 1), kernel(9.5, 1, 1)]
    assert splits(events) == [(0, 0, 0)]
    assert health(sk.load(events))["negative_launch_time"] == 1


@pytest.mark.parametrize("busy", [(0, 6), (0, 8), (1, 7)], ids=["lower", "higher", "device"])
def test_only_work_of_the_same_stream_is_ahead(busy: tuple[int, int]) -> None:
    device, stream = busy
    other = kernel(0, 90, device=device, stream=stream)
    launches = sk.load([other, call(LAUNCH, 10, 1, 1), kernel(15, 2, 1)]).launches
    assert launches.select("ahead_ns", "found_idle").rows() == [(None, False)]


def test_works_of_the_launch_itself_are_not_ahead() -> None:
    alone = [call("cudaGraphLaunch", 10, 1, 1), memset(12, 20, 1), kernel(40, 2, 1)]
    launches = sk.load(alone).launches
    assert launches.select("ahead_ns", "queue_ns", "found_idle").rows() == [(None, 0, False)]


def behind(prev_end: float, start: float, **where: Any) -> list[Event]:
    """A launch at 10 whose kernel starts at `start`, behind an unlinked one that ends so."""
    before = kernel(0, prev_end, None, **where)
    return [before, call(LAUNCH, 10, 1, 2), kernel(start, 5, 2)]


@pytest.mark.parametrize(
    ("prev_end", "start", "floor", "queue"),
    [
        (30, 31, 5000, 15000),  # prev_end - (start(l) + floor)
        (15, 31, 5000, 0),  # gone when the launch would have arrived
        (30, 31, 0, 20000),
        (40, 31, 0, 21000),  # overlap on the stream: never more than t_l
        (5, 31, 0, 0),
    ],
)
def test_queue_time_is_clamped_between_0_and_t_l(
    prev_end: float, start: float, floor: int, queue: int
) -> None:
    t = round((start - 10) * 1000)
    assert splits(behind(prev_end, start), floor=floor) == [(t, t - queue, queue)]


@pytest.mark.parametrize("where", [{"stream": 8}, {"device": 1}])
def test_work_of_another_stream_or_device_makes_no_queue(where: dict[str, int]) -> None:
    assert splits(behind(30, 31, **where), floor=0) == [(21000, 21000, 0)]


def test_nothing_ahead_is_no_queue() -> None:
    assert splits([call(LAUNCH, 10, 1, 1), kernel(99, 1, 1)], floor=0) == [(89000, 89000, 0)]


def test_a_work_of_equal_start_is_not_ahead() -> None:
    events = [kernel(20, 50), call(LAUNCH, 10, 1, 2), kernel(20, 5, 2)]
    assert splits(events, floor=0) == [(10000, 10000, 0)]


def test_the_end_ahead_is_the_latest_not_that_of_the_last_to_start() -> None:
    events = [kernel(0, 28), kernel(2, 3), call(LAUNCH, 10, 1, 2), kernel(30, 5, 2)]
    assert splits(events, floor=0) == [(20000, 2000, 18000)]


@pytest.mark.parametrize(("others_end", "queue"), [(12, 2000), (15, 5000), (19, 9000)])
def test_works_of_the_graph_itself_are_not_ahead_of_its_first_kernel(
    others_end: float, queue: int
) -> None:
    graph = [memset(13, 2, 2), memcpy(16, 4, 2), kernel(20, 1, 2)]
    other = kernel(1, others_end - 1)
    events = [other, call("cudaGraphLaunch", 10, 1, 2), *graph]
    assert splits(events, floor=0) == [(10000, 10000 - queue, queue)]


def test_works_of_others_between_those_of_the_graph_are_ahead() -> None:
    graph = [memset(11, 1, 2), memset(14, 5, 2), kernel(20, 1, 2)]
    events = [kernel(12, 5), call("cudaGraphLaunch", 10, 1, 2), *graph]
    assert splits(events, floor=0) == [(10000, 3000, 7000)]


# --- floors ---------------------------------------------------------------------------------------


def apart(delays: list[float], work: Any = kernel, first: int = 1) -> list[Event]:
    """Launches 100 apart, each onto an idle device, with the given t_l; one work before them."""
    events = [work(-50, 1)]
    for i, delay in enumerate(delays):
        events += [call("launch", 100 * i, 1, first + i), work(100 * i + delay, 2, first + i)]
    return events


def test_the_floor_is_the_median_over_ten_launches_onto_an_idle_device() -> None:
    trace = sk.load(apart([5, 3, 9, 4, 8, 7, 6, 10, 2, 50]))
    assert trace.whole.floors.ns["kernel"] == 6500
    assert trace.whole.floors.source["kernel"] == "median"
    assert health(trace)["floor_median"] == 1


def test_fewer_than_ten_give_the_smallest_t_l_of_the_kind() -> None:
    trace = sk.load(apart([5, 3, 9, 4, 8, 7, 6, 10, 50]))
    assert trace.whole.floors.ns["kernel"] == 3000
    assert health(trace)["floor_smallest"] == 1


def test_the_first_launch_of_all_has_no_earlier_work_and_found_nothing_idle() -> None:
    assert sk.load(apart([5] * 10)[1:]).launches["found_idle"].sum() == 9


def test_other_kinds_with_few_idle_launches_borrow_the_kernel_floor() -> None:
    copies = [call("cudaMemcpyAsync", 5000, 1, 99), memcpy(5001, 1, 99)]
    floors = sk.load(apart([5] * 10) + copies).whole.floors
    assert (floors.ns["memcpy"], floors.source["memcpy"]) == (5000, "kernel")


def test_other_kinds_with_ten_have_their_own_median() -> None:
    copies = [e | {"ts": e["ts"] + 10_000} for e in apart([2] * 11, memcpy, 50)]
    floors = sk.load([*apart([5] * 10), *copies]).whole.floors
    assert floors.ns == {"kernel": 5000, "memcpy": 2000, "memset": 5000, "graph": 5000}


def test_an_idle_stream_on_a_busy_device_gives_no_floor() -> None:
    trace = sk.load([*apart([5] * 12), kernel(-60, 5000, stream=9)])
    assert not trace.launches["found_idle"].any()
    busy_elsewhere = sk.load([*apart([5] * 12), kernel(-60, 5000, device=1)])
    assert busy_elsewhere.launches["found_idle"].all()


def test_a_work_that_ends_at_the_launch_leaves_the_device_idle() -> None:
    events = [kernel(0, 10), call(LAUNCH, 10, 1, 1), kernel(12, 1, 1)]
    assert sk.load(events).launches["found_idle"].to_list() == [True]


def test_with_nothing_to_go_by_the_floor_is_0() -> None:
    trace = sk.load([call("cudaMemcpyAsync", 0, 1, 1), memcpy(4, 1, 1)])
    assert set(trace.whole.floors.ns.values()) == {0}
    assert health(trace)["floor_none"] == 2  # kernel, and memcpy, which would borrow it


MEASURED = sk.LaunchFloor(4000, 0, 0, 0, 0, 0, 1, "idle")


@pytest.mark.parametrize(
    ("floor", "kernel_queue", "graph_queue"),
    [
        (4000, 16000, 16000),  # graphs had none of their own: they borrow it
        ({"kernel": 4000}, 16000, 16000),
        ({"graph": 1000}, 0, 19000),  # the trace's own kernel floor is its smallest t_l, 20000
        ({"kernel": 4000, "graph": 1000}, 16000, 19000),
        (MEASURED, 16000, 16000),
        (10**9, 0, 0),
    ],
)
def test_a_given_floor_replaces_the_one_of_the_trace(
    floor: Any, kernel_queue: int, graph_queue: int
) -> None:
    events = [
        *behind(30, 30),
        kernel(100, 30),
        call("cudaGraphLaunch", 110, 1, 3),
        kernel(130, 5, 3),
        kernel(135, 5, 3),
    ]
    assert splits(events, floor=floor) == [
        (20000, 20000 - kernel_queue, kernel_queue),
        (20000, 20000 - graph_queue, graph_queue),
    ]


@pytest.mark.parametrize("floor", [-1, 1.5, True, "5", {"kernels": 1}, {"kernel": -1}, [5]])
def test_a_floor_that_is_none_is_refused(floor: Any) -> None:
    trace = sk.load(behind(30, 31))
    for verb in (sk.tklqt, sk.summary, sk.boundedness):
        with pytest.raises(FloorError, match="give nanoseconds"):
            verb(trace, floor=floor)


# --- spread ---------------------------------------------------------------------------------------


def with_times(times: list[float]) -> list[Event]:
    return [
        event
        for i, t in enumerate(times)
        for event in (call(LAUNCH, 1000 * i, 1, i + 1), kernel(1000 * i + t, 1, i + 1))
    ]


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([0.001, 0.002], 2),  # 1.5 to even
        ([0.002, 0.003], 2),  # 2.5 to even
        ([0.003, 0.004], 4),  # 3.5 to even
        ([0.001, 0.002, 0.009], 2),
    ],
)
def test_medians_are_rounded_half_to_even(times: list[float], median: int) -> None:
    assert total(with_times(times))["median_ns"] == median


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_p95_is_the_nearest_rank(count: int, rank: int) -> None:
    row = total(with_times([i + 1 for i in reversed(range(count))]))
    assert (row["p95_ns"], row["max_ns"]) == (rank * 1000, count * 1000)


# --- groupings ------------------------------------------------------------------------------------

RICH = [
    step(1, 0, 100),
    step(2, 100, 100),
    annotation("forward", 5, 50),
    annotation("inner", 8, 4),
    op("aten::linear", 5, 40),
    op("aten::mm", 9, 10),
    call(LAUNCH, 10, 1, 1),
    kernel(12, 5, 1, "gemm"),
    call(LAUNCH, 30, 1, 2),
    kernel(33, 5, 2, "add", stream=8),
    call(LAUNCH, 60, 1, 3, tid=2),
    kernel(67, 5, 3, "add", device=1),
    op("aten::mm", 110, 20, tid=2),
    call("cudaGraphLaunch", 111, 1, 4, tid=2),
    kernel(120, 5, 4, "gemm"),
    kernel(126, 5, 4, "add"),
    call(LAUNCH, 300, 1, 5),
    kernel(310, 5, 5, "add"),
    kernel(400, 5, None, "lost"),
    call("cudaMemcpyAsync", 410, 1, 6),
    memcpy(411, 5, 6),
]  # fmt: skip
TIMES = {1: 2000, 2: 3000, 3: 7000, 4: 9000, 5: 10000}
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "trace": [("all", 31000)],
    "step": [("ProfilerStep#1", 12000), ("ProfilerStep#2", 9000), (None, 10000)],
    "op": [("aten::mm", 11000), ("aten::linear", 3000), (None, 17000)],
    "root_op": [("aten::mm", 9000), ("aten::linear", 5000), (None, 17000)],
    "kernel": [("add", 20000), ("gemm", 11000)],
    "stream": [(0, 7, 21000), (1, 7, 7000), (0, 8, 3000)],
    "device": [(0, 24000), (1, 7000)],
    "thread": [(2, 16000), (1, 15000)],
    "kind": [("kernel", 22000), ("graph", 9000)],
    "launch": [(6, 2000), (8, 3000), (10, 7000), (13, 9000), (16, 10000)],
}


@pytest.mark.parametrize("by", EXPECTED)
def test_rows_of_each_grouping_largest_first_and_the_null_row_last(by: str) -> None:
    frame = sk.tklqt(sk.load(RICH), by=by)
    keys = [c.name for c in TKLQT_KEYS[by]]
    assert frame.select(*keys, "tklqt_ns").rows() == EXPECTED[by]


def test_an_annotation_holds_what_starts_in_it_on_its_thread() -> None:
    frame = sk.tklqt(sk.load([e for e in RICH if "Profiler" not in e["name"]]), by="annotation")
    rows = frame.select("annotation", "tklqt_ns").rows()
    assert rows == [("forward", 3000), ("inner", 2000), (None, 26000)]


@pytest.mark.parametrize("by", [*TKLQT_KEYS, ["step", "kernel"], ["device", "op", "thread"]])
def test_every_grouping_adds_up(by: Any) -> None:
    trace = sk.load(RICH)
    frame = sk.tklqt(trace, by=by)
    columns = ["launches", "kernels", "tklqt_ns", "launch_ns", "queue_ns"]
    whole = sk.tklqt(trace, by="trace").select(columns)
    assert frame.select(columns).sum().equals(whole)
    assert (frame["launch_ns"] + frame["queue_ns"]).equals(frame["tklqt_ns"], check_names=False)


def test_a_list_groups_by_all_of_its_keys() -> None:
    frame = sk.tklqt(sk.load(RICH), by=["step", "stream"])
    assert frame.columns[:3] == ["step", "device", "stream"]
    assert frame.select("step", "device", "stream", "tklqt_ns").rows() == [
        (None, 0, 7, 10000),
        ("ProfilerStep#2", 0, 7, 9000),
        ("ProfilerStep#1", 1, 7, 7000),
        ("ProfilerStep#1", 0, 8, 3000),
        ("ProfilerStep#1", 0, 7, 2000),
    ]


def test_a_step_without_launches_has_a_row_of_zeros() -> None:
    frame = sk.tklqt(sk.load([*RICH, step(3, 200, 50)]))
    row = frame.filter(step="ProfilerStep#3").row(0, named=True)
    assert (row["launches"], row["tklqt_ns"], row["median_ns"]) == (0, 0, None)


def test_thread_rows_of_two_processes_stay_apart() -> None:
    events = [*RICH, call(LAUNCH, 500, 1, 7, pid=9), kernel(501, 1, 7)]
    frame = sk.tklqt(sk.load(events), by="thread").filter(thread=1)
    assert sorted(frame["tklqt_ns"]) == [1000, 15000]


@pytest.mark.parametrize("by", ["steps", "", None, 3, ["op", "kernels"], []])
def test_an_unknown_key_is_refused_and_the_valid_ones_are_named(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: trace, step, op, root_op, kernel, stream"):
        sk.tklqt(sk.load(RICH), by=by)


def test_an_unknown_key_gets_the_nearest_as_a_hint() -> None:
    with pytest.raises(ValueError, match="Did you mean 'root_op'"):
        sk.tklqt(sk.load(RICH), by="rootop")


# --- windows, empty traces ------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2])
def test_a_step_as_a_trace_has_its_row_with_the_split_of_the_whole(k: int) -> None:
    trace = sk.load(RICH)
    row = sk.tklqt(trace).filter(step=f"ProfilerStep#{k}")
    assert sk.tklqt(trace.step(k)).equals(row)


def test_a_window_keeps_the_queue_behind_work_from_before_it() -> None:
    events = [kernel(0, 30), call(LAUNCH, 10, 1, 2), kernel(31, 5, 2)]
    window = sk.load(events).between(10_000, 11_000)
    assert len(window.work) == 1
    row = sk.tklqt(window, by="trace", floor=0).row(0, named=True)
    assert (row["launch_ns"], row["queue_ns"]) == (1000, 20000)


@pytest.mark.parametrize(
    "events",
    [[], [op("aten::mm", 0, 5)], [call("cudaGetDevice", 0, 1)]],
    ids=["none", "op", "call"],
)
def test_a_trace_without_device_work_gives_rows_of_zeros(events: list[Event]) -> None:
    trace = sk.load(events)
    for by, key in (("trace", "trace"), ("step", "step")):
        frame = sk.tklqt(trace, by=by)
        assert frame.row(0) == ("all", 0, 0, 0, 0, 0, None, None, None)
        assert frame.columns[0] == key
    assert sk.tklqt(trace, by="op").is_empty()
    assert "no_device_work" in health(trace)


def test_unlinked_work_is_in_no_row() -> None:
    trace = sk.load([kernel(0, 5, 1), kernel(6, 5)])
    assert sk.tklqt(trace, by="trace")["launches"].item() == 0
    assert sk.tklqt(trace, by="kernel").filter(pl.col("launches") > 0).is_empty()
