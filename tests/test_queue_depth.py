"""Launches under way on each stream over time, and how long its queue was empty or full."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest
from breakdowns import plain_queue
from helpers import call, fixture_path, fixture_paths, kernel
from hypothesis import given, settings
from test_properties import traces

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

EVENTS = [
    call("cudaLaunchKernel", 0, 2, 1), kernel(5, 20, 1),
    call("cudaLaunchKernel", 4, 2, 2), kernel(25, 5, 2),
    call("cudaLaunchKernel", 40, 9, 3), kernel(50, 10, 3),
    call("cudaGraphLaunch", 41, 2, 4), kernel(60, 5, 4), kernel(66, 4, 4),  # one launch
    call("cudaLaunchKernel", 0, 1, 5), kernel(2, 1, 5, stream=8),
    kernel(0, 1, None, stream=9),
]  # fmt: skip


def test_depth_from_change_to_change() -> None:
    frame = sk.queue_depth(sk.load(EVENTS)).frame
    assert frame.filter(stream=7).select("start_ns", "dur_ns", "depth").rows() == [
        (0, 4_000, 1), (4_000, 21_000, 2), (25_000, 5_000, 1), (30_000, 10_000, 0),
        (40_000, 1_000, 1), (41_000, 19_000, 2), (60_000, 10_000, 1), (70_000, 0, 0),
    ]  # fmt: skip
    assert frame["stream"].unique().sort().to_list() == [7, 8]


def test_how_long_a_queue_was_empty_full_and_blocking() -> None:
    streams = sk.queue_depth(sk.load(EVENTS), limit=2).streams
    assert streams.rows()[0] == (
        0, 7, 4, 0, 70_000, 10_000, 40_000, 10_000, 2, pytest.approx(100 / 70),
    )  # fmt: skip
    assert streams.rows()[2] == (0, 9, 0, 1, 0, 0, 0, 0, 0, None)


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_depth_times_time_is_the_time_from_launches_to_the_end_of_their_work(path: Any) -> None:
    trace = sk.load(path)
    assert area(trace) == plain_queue(trace)


@settings(max_examples=60)
@given(traces())
@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_the_same_of_random_traces(events: list[Any]) -> None:
    trace = sk.load(events)
    assert area(trace) == plain_queue(trace)


def area(trace: sk.Trace) -> Counter[tuple[int, int]]:
    frame = sk.queue_depth(trace).frame.with_columns(area=pl.col("depth") * pl.col("dur_ns"))
    rows = frame.group_by("device", "stream").agg(pl.col("area").sum()).rows()
    return Counter({(device, stream): amount for device, stream, amount in rows})


def test_a_step_has_its_own_launches_alone() -> None:
    trace = sk.load(fixture_path("eager_step"))
    counts = [
        sk.queue_depth(trace.step(name)).streams["launches"].sum() for name in trace.steps["name"]
    ]
    assert sum(counts) == sk.queue_depth(trace.in_steps()).streams["launches"].sum()


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")  # clocks that disagree
def test_clocks_that_disagree_do_not_make_a_queue() -> None:
    events = [call("cudaLaunchKernel", 50, 2, 1), kernel(5, 20, 1)]
    found = sk.queue_depth(sk.load(events))
    assert found.frame.select("dur_ns", "depth").rows() == [(0, 0)]


def test_nothing_launched() -> None:
    found = sk.queue_depth(sk.load([]))
    assert found.frame.is_empty()
    assert found.streams.is_empty()


@pytest.mark.parametrize("limit", [0, -1, 2.5, None])
def test_a_limit_that_is_none(limit: Any) -> None:
    with pytest.raises(UnknownKeyError, match="a count, 1 or more"):
        sk.queue_depth(sk.load(EVENTS), limit=limit)
