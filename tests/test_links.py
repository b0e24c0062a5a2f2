"""Which call launched a work: by correlation, the outermost of several; never by a name."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import pytest
from helpers import Event, call, event, fixture_path, health, kernel, memcpy, memset, op
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk

WRITERS = {
    "CUDA runtime": ("cuda_runtime", "cudaLaunchKernel", "kernel", "kernel"),
    "CUDA driver": ("cuda_driver", "cuLaunchKernelEx", "kernel", "kernel"),
    "CUDA copy": ("cuda_runtime", "cudaMemcpyAsync", "gpu_memcpy", "memcpy"),
    "CUDA fill": ("cuda_runtime", "cudaMemsetAsync", "gpu_memset", "memset"),
    "ROCm": ("cuda_runtime", "hipExtModuleLaunchKernel", "kernel", "kernel"),
    "ROCm copy": ("cuda_runtime", "hipMemcpyWithStream", "gpu_memcpy", "memcpy"),
    "HIP driver": ("hip_driver", "hipModuleLaunchKernel", "kernel", "kernel"),
    "XPU runtime": ("xpu_runtime", "urEnqueueKernelLaunch", "kernel", "kernel"),
    "XPU driver": ("xpu_driver", "zeCommandListAppendLaunchKernel", "kernel", "kernel"),
    "MTIA": ("mtia_runtime", "runFunction", "mtia_ccp_events", "kernel"),
    "PrivateUse1 runtime": ("privateuse1_runtime", "anything at all", "kernel", "kernel"),
    "PrivateUse1 driver": ("privateuse1_driver", "", "gpu_memcpy", "memcpy"),
    "2021 kernel": ("Runtime", "cudaLaunchKernel", "Kernel", "kernel"),
    "2021 copy": ("Runtime", "cudaMemcpyAsync", "Memcpy", "memcpy"),
    "2021 fill": ("Runtime", "cudaMemsetAsync", "Memset", "memset"),
}


@pytest.mark.parametrize(("cat", "name", "work", "kind"), WRITERS.values(), ids=WRITERS)
def test_every_writers_categories_link(cat: str, name: str, work: str, kind: str) -> None:
    outer = event("Operator" if cat == "Runtime" else "cpu_op", "op", 0, 9)
    trace = sk.load([outer, call(name, 1, 2, 5, cat=cat), kernel(4, 1, 5, cat=work)])
    assert trace.work.select("kind", "launch", "device", "stream").rows() == [(kind, 1, 0, 7)]
    assert trace.launches.select("id", "name", "op", "kind").rows() == [(1, name, 0, kind)]
    assert "not_understood" not in health(trace)


@pytest.mark.parametrize("cat", ["cuda_sync", "cuda_event", "overhead", "gpu_user_annotation"])
def test_what_is_no_work_has_no_launch(cat: str) -> None:
    trace = sk.load([call("cudaStreamSynchronize", 1, 2, 5), kernel(4, 1, 5, cat=cat)])
    assert (len(trace.work), len(trace.launches)) == (0, 0)
    assert "not_understood" not in health(trace)


def test_a_category_that_is_not_known_is_counted_with_its_name() -> None:
    trace = sk.load([event("tpu_thing", "x", 1, 1), event(None, "y", 1, 1), op("a", 0, 1)])
    assert health(trace)["not_understood"] == 2
    assert "tpu_thing" in trace.health.filter(kind="not_understood")["meaning"].item()


@pytest.mark.parametrize("correlation", [0, -1, "0", "-1", 2**32 - 1, None], ids=repr)
def test_zero_and_minus_one_are_no_id(correlation: object) -> None:
    trace = sk.load([call("launch", 1, 1, correlation), kernel(4, 1, correlation)])
    assert trace.work.select("correlation", "launch").rows() == [(None, None)]
    assert trace.calls["correlation"].to_list() == [None]
    assert len(trace.launches) == 0
    assert health(trace)["work_without_id"] == 1


def test_work_of_no_id_or_another_is_not_linked_to_a_call_of_a_negative_one() -> None:
    trace = sk.load([call("c", 1, 1, -5), kernel(4, 1), kernel(6, 1, 1), kernel(8, 1, -5)])
    assert trace.work["launch"].to_list() == [None, None, 0]


def test_an_id_may_be_written_as_text() -> None:
    assert sk.load([call("c", 1, 1, "12"), kernel(4, 1, 12)]).work["launch"].to_list() == [0]


def test_of_a_runtime_and_a_driver_call_the_outermost_launched() -> None:
    inner = call("cuLaunchKernel", 2, 1, 5, cat="cuda_driver")
    trace = sk.load([inner, call("cudaLaunchKernel", 1, 4, 5), kernel(6, 1, 5)])
    assert trace.work["launch"].to_list() == [1]
    assert trace.launches["name"].to_list() == ["cudaLaunchKernel"]
    assert health(trace)["shared_correlation"] == 1


@pytest.mark.parametrize(
    ("calls", "launch"),
    [
        ([call("late", 5, 1, 1), call("early", 1, 1, 1)], 1),
        ([call("short", 1, 1, 1), call("long", 1, 3, 1)], 1),
        ([call("first", 1, 1, 1), call("second", 1, 1, 1)], 0),
        ([call("a", 3, 1, 1, tid=2), call("b", 2, 1, 1, tid=1)], 1),
    ],
    ids=["earliest start", "longer of equal starts", "file order", "on any thread"],
)
def test_the_outermost_is_the(calls: list[Event], launch: int) -> None:
    assert sk.load([*calls, kernel(9, 1, 1)]).work["launch"].to_list() == [launch]


IDS = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 9)), max_size=12)


@given(IDS, IDS)
def test_each_work_has_at_most_one_launch_and_rows_never_grow(
    calls: list[tuple[int, int]], works: list[tuple[int, int]]
) -> None:
    events = [call("c", ts, 1, corr) for corr, ts in calls]
    events += [kernel(ts, 1, corr) for corr, ts in works]
    trace = sk.load(events)
    first = {c: min((ts, i) for i, (d, ts) in enumerate(calls) if c == d)[1] for c, _ in calls}
    expected = [first.get(corr) if corr > 0 else None for corr, _ in works]
    assert trace.work["launch"].to_list() == expected
    assert trace.work["id"].to_list() == list(range(len(calls), len(events)))
    assert trace.calls["id"].to_list() == list(range(len(calls)))
    assert sorted(trace.launches["id"]) == sorted({e for e in expected if e is not None})
    assert trace.launches["works"].sum() == sum(e is not None for e in expected)


def test_a_graph_launch_is_one_launch_whatever_streams_and_devices_it_spans() -> None:
    works = [memset(9, 1, 3), kernel(10, 5, 3, "a"), kernel(11, 5, 3, "b", stream=8)]
    works += [memcpy(20, 1, 3), kernel(12, 1, 3, "c", device=1)]
    trace = sk.load([call("hipGraphLaunch", 1, 4, 3), *works])
    columns = ("kind", "works", "kernels", "first_work", "device", "stream", "tklqt_ns")
    assert trace.launches.select(columns).rows() == [("graph", 5, 3, 2, 0, 7, 9000)]
    assert trace.work["launch"].to_list() == [0] * 5


@pytest.mark.parametrize(
    ("works", "first", "kind"),
    [
        ([memset(3, 1, 1), kernel(5, 1, 1), kernel(4, 1, 1)], 3, "graph"),
        ([memset(3, 1, 1), memcpy(2, 1, 1)], 2, "graph"),
        ([kernel(4, 1, 1, "a"), kernel(4, 1, 1, "b")], 1, "graph"),
        ([memcpy(2, 1, 1)], 1, "memcpy"),
    ],
    ids=["first kernel by start", "first work without a kernel", "file order", "alone"],
)
def test_the_first_work_is_the(works: list[Event], first: int, kind: str) -> None:
    trace = sk.load([call("launch", 0, 1, 1), *works])
    assert trace.launches.select("first_work", "kind").rows() == [(first, kind)]


def test_device_and_stream_are_the_arguments_else_the_process_and_thread() -> None:
    told = kernel(4, 1, device=1, stream=20) | {"pid": 0, "tid": 7}
    bare = event("kernel", "k", 6, 1, 2, 9)
    trace = sk.load([told, bare])
    assert trace.work.select("device", "stream").rows() == [(1, 20), (2, 9)]
    assert trace.work.select("pid", "tid").rows() == [(0, 7), (2, 9)]


def test_a_graph_launch_without_work_is_counted() -> None:
    trace = sk.load([call("cudaGraphLaunch", 1, 4, 3), call("cudaLaunchKernel", 6, 1, 4)])
    assert len(trace.launches) == 0
    assert health(trace)["graph_without_work"] == 1


def test_work_launched_outside_the_recording_is_kept_unlinked_and_counted() -> None:
    trace = sk.load([kernel(1, 1, 77), call("launch", 2, 1, 5), kernel(4, 1, 5), kernel(6, 1, 78)])
    assert trace.work["launch"].to_list() == [None, 1, None]
    assert health(trace)["unlinked_work"] == 2
    assert trace.health.filter(kind="unlinked_work").select("share", "example").row(0) == (2 / 3, 0)


def test_the_split_counts_unlinked_work_ahead_on_the_stream() -> None:
    events = [kernel(0, 30, 99), call("launch", 10, 1, 5), kernel(30, 4, 5)]
    launches = sk.load(events).launches
    assert launches.select("tklqt_ns", "ahead_ns", "found_idle").rows() == [(20_000, 20_000, False)]


def test_work_that_starts_before_its_launch_counts_as_zero() -> None:
    trace = sk.load([call("launch", 10, 1, 5), kernel(8, 4, 5)])
    columns = ("tklqt_ns", "launch_ns", "queue_ns")
    assert trace.launches.select(columns).rows() == [(0, 0, 0)]
    assert health(trace)["negative_launch_time"] == 1


def test_work_may_start_before_its_call_returns() -> None:
    assert sk.load([call("c", 1, 9, 5), kernel(4, 1, 5)]).launches["tklqt_ns"].to_list() == [3000]


def called(number: int, corr: int | None = None, key: str = "External id") -> Event:
    return call("c", 1, 1, corr, **{key: number})


def ran(number: int, corr: int | None = None, key: str = "External id") -> Event:
    return kernel(4, 1, corr, **{key: number})


FALLBACKS: dict[str, tuple[list[Event], list[int | None]]] = {
    "one call, one work": ([called(9), ran(9)], [0]),
    "spelled as in 2021": ([called(9, key="external id"), ran(9, key="external id")], [0]),
    "two calls": ([called(9), called(9), ran(9)], [None]),
    "two works": ([called(9), ran(9), ran(9)], [None, None]),
    "two works, one by its correlation": ([called(8, 5), called(9), ran(9, 5), ran(9)], [0, None]),
    "a call that has a correlation": ([called(9, 5), ran(9)], [None]),
    "a work that has a correlation": ([called(9), ran(9, 5)], [None]),
    "zero": ([called(0), ran(0)], [None]),
}


@pytest.mark.parametrize(("events", "launches"), FALLBACKS.values(), ids=FALLBACKS)
def test_the_external_id_links_only_where_nothing_else_could(
    events: list[Event], launches: Iterable[int | None]
) -> None:
    trace = sk.load(events)
    links = list(launches)
    assert trace.work["launch"].to_list() == links
    found = health(trace).get("linked_by_external_id", 0)
    assert found == (1 if links == [0] else 0)


def test_a_wrong_external_id_never_beats_a_correlation() -> None:
    trace = sk.load([called(1, 5), called(2, 6), ran(1, 6), ran(2, 5)])
    assert trace.work["launch"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("name", "works", "linked", "launches", "most"),
    [
        ("graph_step", 663, 663, 3, 221),
        ("rocm", 434, 434, 14, 421),
        ("unlinked", 632, 131, 131, 1),
        ("legacy_2021", 1516, 1516, 1516, 1),
    ],
)
def test_fixtures_have_these_links(
    name: str, works: int, linked: int, launches: int, most: int
) -> None:
    trace = sk.load(fixture_path(name))
    assert (len(trace.work), trace.work["launch"].count()) == (works, linked)
    assert (len(trace.launches), trace.launches["works"].max()) == (launches, most)
    assert trace.launches["id"].is_in(trace.calls["id"].implode()).all()
    assert trace.launches.filter(pl.col("id") != pl.col("call")).is_empty()
