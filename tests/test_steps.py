"""What a step is, what belongs to it, and that a step or window taken out keeps its figures."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from helpers import (
    Event,
    annotation,
    call,
    event,
    fixture_path,
    health,
    kernel,
    memcpy,
    op,
    python,
    step,
)
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import StepError
from skiptrace.model.steps import StepIndex, find_steps

# Two steps; the first one's kernel runs in the second and delays its kernel.
TWO = [
    step(4, 0, 10), op("a", 1, 9), call("launch", 8, 1, 1), kernel(12, 6, 1),
    step(5, 10, 10), op("b", 10, 8), call("launch", 11, 1, 2), kernel(18, 2, 2),
]  # fmt: skip


def names(trace: sk.Trace) -> list[str]:
    return trace.steps["name"].to_list()


@pytest.mark.parametrize(
    "cat", ["user_annotation", "cpu_op", "Operator", "python_function", "x", None]
)
def test_a_host_event_of_that_name_is_a_step_whatever_its_category_and_no_op(
    cat: str | None,
) -> None:
    trace = sk.load([event(cat, "ProfilerStep#1", 0, 10), op("a", 1, 2)])
    assert names(trace) == ["ProfilerStep#1"]
    assert trace.ops.select("name", "depth", "parent", "step").rows() == [
        ("a", 0, None, "ProfilerStep#1")
    ]
    assert "not_understood" not in health(trace)


@pytest.mark.parametrize("cat", ["gpu_user_annotation", "kernel"])
def test_the_devices_copy_is_no_step(cat: str) -> None:
    assert names(sk.load([kernel(0, 9, name="ProfilerStep#1", cat=cat), op("a", 0, 1)])) == ["all"]


@pytest.mark.parametrize(
    "name", ["ProfilerStep", "ProfilerStep#", "ProfilerStep#1 ", "#1", "MyProfilerStep#1"]
)
def test_other_names_are_no_steps(name: str) -> None:
    assert names(sk.load([annotation(name, 0, 9), op(name, 0, 1)])) == ["all"]


def test_a_step_written_twice_is_one_step() -> None:
    twice = [event("Operator", "ProfilerStep#1", 0, 9), event("cpu_op", "ProfilerStep#1", 0, 9)]
    assert names(sk.load([*twice, step(2, 9, 5)])) == ["ProfilerStep#1", "ProfilerStep#2"]


def test_a_trace_without_steps_is_one_step_over_all() -> None:
    trace = sk.load([op("a", 3, 4), op("a", 5, 1, pid=9), kernel(20, 5, 1), call("c", 4, 1, 1)])
    assert trace.steps.select("name", "start_ns", "dur_ns", "pid").rows() == [
        ("all", 3000, 22000, None)
    ]
    assert trace.ops["step"].to_list() == ["all", "all"]
    assert trace.step("all") is trace
    assert names(trace.between(4000, 5000)) == ["all"]


def test_what_starts_in_a_step_belongs_to_it_on_any_thread_of_its_process() -> None:
    events = [step(1, 10, 10), op("before", 9, 5), op("first", 10, 1), op("autograd", 15, 9, tid=2)]
    events += [op("next", 20, 1), op("process", 12, 1, pid=2), call("c", 19.999, 9, tid=3)]
    trace = sk.load(events)
    inside = trace.ops.filter(pl.col("step").is_not_null())["name"].to_list()
    assert inside == ["first", "autograd"]
    assert trace.calls["step"].to_list() == ["ProfilerStep#1"]


def test_autograd_threads_of_a_real_step_belong_to_it() -> None:
    trace = sk.load(fixture_path("training_step"))
    threads = trace.launches.filter(step="ProfilerStep#2")["tid"].unique()
    assert len(threads) == 2
    assert trace.launches["step"].null_count() == 0


def test_launches_outside_every_step_have_none_and_are_counted() -> None:
    trace = sk.load([*TWO, call("launch", 25, 1, 3), kernel(30, 1, 3)])
    assert trace.launches["step"].to_list() == ["ProfilerStep#4", "ProfilerStep#5", None]
    assert health(trace)["launch_outside_steps"] == 1


def test_steps_of_two_processes_are_told_apart() -> None:
    trace = sk.load([step(1, 0, 9), step(1, 0, 9, pid=2), op("a", 1, 1, pid=2)])
    assert names(trace) == ["ProfilerStep#1 (pid 1)", "ProfilerStep#1 (pid 2)"]
    assert trace.ops["step"].to_list() == ["ProfilerStep#1 (pid 2)"]


# --- steps= ---------------------------------------------------------------------------------------

SERVING = [
    annotation("execute_7", 0, 10), annotation("execute_inner", 2, 3),
    annotation("Execute_8", 20, 5), annotation("execute_9", 30, 10),
    op("forward", 1, 8), op("forward", 31, 8), op("forward", 33, 2), op("decode[1]", 50, 5),
]  # fmt: skip
WANTED: dict[str, tuple[Any, list[tuple[str, int, int]]]] = {
    "a pattern, nested: the outermost": (
        "execute_*", [("execute_7", 0, 10), ("execute_9", 30, 10)],
    ),
    "a name": ("execute_inner", [("execute_inner", 2, 3)]),
    "an op's name, numbered in time order": (
        "forward", [("forward#0", 1, 8), ("forward#1", 31, 8)],
    ),
    "several, nested: the outermost": (
        ["execute_9", "forward"], [("forward", 1, 8), ("execute_9", 30, 10)],
    ),
    "brackets, escaped as in fnmatch": ("decode[[]1]", [("decode[1]", 50, 5)]),
    "brackets, as they stand": ("decode[1]", [("decode[1]", 50, 5)]),
    "windows": ([(20_000, 30_000), (0, 5_000)], [("window#0", 0, 5), ("window#1", 20, 10)]),
    "a window alone": ([(0, 5_000)], [("window", 0, 5)]),
    "named windows": ([("warm", 0, 5_000), ["hot", 6_000, 9_000]], [("warm", 0, 5), ("hot", 6, 3)]),
    "a mapping": ({"hot": (6_000, 9_000), "warm": (0, 5_000)}, [("warm", 0, 5), ("hot", 6, 3)]),
    "a pattern and a window": (
        ["execute_9", (0, 5_000)], [("window", 0, 5), ("execute_9", 30, 10)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "expected"), WANTED.values(), ids=WANTED)
def test_steps_may_be_named(wanted: Any, expected: list[tuple[str, int, int]]) -> None:
    trace = sk.load([*SERVING, step(1, 0, 99)], steps=wanted)
    assert trace.steps.select("name", "start_ns", "dur_ns").rows() == [
        (name, start * 1000, dur * 1000) for name, start, dur in expected
    ]
    assert "forward" in trace.ops["name"].to_list()  # an op that is a step is an op still


def test_the_steps_asked_for_replace_the_profilers() -> None:
    trace = sk.load(TWO, steps="b")
    assert trace.launches["step"].to_list() == [None, "b"]
    assert names(sk.load(TWO, steps="ProfilerStep#5")) == ["ProfilerStep#5"]


@pytest.mark.parametrize(
    "wanted", ["forwards", "EXECUTE_*", ["nothing", "none"], ["forward", "typo"]]
)
def test_steps_that_match_nothing_name_what_there_is(wanted: Any) -> None:
    with pytest.raises(StepError, match=r"matches no annotation or operator.*execute_7"):
        sk.load(SERVING, steps=wanted)


@pytest.mark.parametrize(
    "wanted",
    [[(5, 5)], [(9, 1)], [(0.0, 5.0)], [("a", 0, None)], [(1,)], [(1, 2, 3, 4)], (0, 5000), 5,
     [None], {"a": (5, 1)}],
    ids=repr,
)  # fmt: skip
def test_windows_that_are_none_are_step_errors(wanted: Any) -> None:
    with pytest.raises(StepError):
        sk.load(SERVING, steps=wanted)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 12)), min_size=1, max_size=8, unique=True
    ),
    st.lists(st.integers(0, 35), min_size=1, max_size=12),
)
def test_of_overlapping_windows_the_innermost_holds(
    windows: list[tuple[int, int]], times: list[int]
) -> None:
    given = [(f"{start}+{dur}", start * 1000, (start + dur) * 1000) for start, dur in windows]
    trace = sk.load([op("a", time, 1) for time in times], steps=given)
    for time, found in zip(times, trace.ops["step"], strict=True):
        holding = [w for w in windows if w[0] <= time < sum(w)]
        innermost = max(holding, key=lambda w: (w[0], -w[1]), default=None)
        assert found == (None if innermost is None else "{}+{}".format(*innermost))


# --- step(k) and between(a, b) --------------------------------------------------------------------


@pytest.mark.parametrize("key", [5, "5", -1, "ProfilerStep#5"], ids=repr)
def test_a_step_is_found_by_number_place_or_name(key: int | str) -> None:
    assert names(sk.load(TWO).step(key)) == ["ProfilerStep#5"]


@pytest.mark.parametrize("key", [6, 1, -3, "ProfilerStep#6", "6", ""], ids=repr)
def test_an_unknown_step_is_an_error_that_names_those_there_are(key: int | str) -> None:
    with pytest.raises(StepError, match=r"unknown step .*ProfilerStep#4, ProfilerStep#5"):
        sk.load(TWO).step(key)


def test_a_number_that_several_processes_have_is_an_error_that_names_them() -> None:
    trace = sk.load([step(1, 0, 9), step(1, 0, 9, pid=2)])
    with pytest.raises(StepError, match=r"ProfilerStep#1 \(pid 1\), ProfilerStep#1 \(pid 2\)"):
        trace.step(1)


def test_a_step_without_the_profilers_names_is_found_by_its_place() -> None:
    trace = sk.load([op("s", 0, 5), op("s", 10, 5)], steps="s")
    assert [names(trace.step(key)) for key in (1, "0")] == [["s#1"], ["s#0"]]


def test_no_two_steps_share_a_name_and_none_is_called_all() -> None:
    labels = [annotation(name, 10 * i, 5) for i, name in enumerate(["s", "s", "s#1", "all"])]
    assert names(sk.load(labels, steps=["s*", "all"])) == ["s#0", "s#2", "s#1", "all#0"]
    windowed = sk.load([op("a", 1, 1), op("b", 30, 1)], steps={"all": (0, 20_000)})
    assert windowed.ops["step"].to_list() == ["all#0", None]


def test_a_number_is_the_profilers_before_it_is_a_place() -> None:
    trace = sk.load([step(1, 0, 5), step(0, 5, 5)])
    assert (names(trace.step(0)), names(trace.step(-1))) == (["ProfilerStep#0"],) * 2


def test_a_step_is_what_starts_in_it_and_the_work_launched_there_whenever_it_runs() -> None:
    whole = sk.load(TWO)
    first, second = whole.step(4), whole.step(5)
    assert (first.work["id"].to_list(), second.work["id"].to_list()) == ([3], [7])
    assert (first.calls["id"].to_list(), second.ops["id"].to_list()) == ([2], [5])
    assert (first.window, second.window) == ((0, 10_000), (10_000, 20_000))
    assert (names(first), first.annotations["id"].to_list()) == (["ProfilerStep#4"], [0])


def test_the_split_of_a_step_rests_on_work_before_it() -> None:
    whole = sk.load(TWO)
    launch = whole.step(5).launches
    assert launch.select("tklqt_ns", "ahead_ns").rows() == [(7000, 7000)]
    assert launch.equals(whole.launches.filter(step="ProfilerStep#5"))
    assert sk.tklqt(whole.step(5)).equals(sk.tklqt(whole).filter(step="ProfilerStep#5"))


def test_a_window_is_half_open_and_keeps_open_ops_as_context_only() -> None:
    events = [op("root", 0, 20), op("a", 5, 10), python("f", 5, 1), call("launch", 8, 1, 1)]
    events += [memcpy(30, 1, 1), op("b", 12, 1), annotation("x", 8, 9)]
    window = sk.load(events).between(8_000, 12_000)
    assert (len(window.ops), len(window.python), window.annotations["id"].to_list()) == (0, 0, [6])
    assert window.launches.select("op", "root_op").rows() == [(1, 0)]
    assert window.work["id"].to_list() == [4]
    assert window.whole.ops["name"].to_list() == ["root", "a", "b"]
    assert sk.load(events).between(5_000, 12_001).ops["name"].to_list() == ["a", "b"]


def test_a_window_of_a_window_is_what_both_hold() -> None:
    trace = sk.load(TWO)
    inner = trace.step(5).between(0, 11_000)
    assert (inner.ops["name"].to_list(), len(inner.calls), len(inner.work)) == (["b"], 0, 0)
    both = trace.between(0, 15_000).step(5)
    assert both.launches["id"].to_list() == [6]


def test_a_window_names_the_steps_that_it_touches() -> None:
    trace = sk.load(TWO)
    assert names(trace.between(0, 10_000)) == ["ProfilerStep#4"]
    assert names(trace.between(9_999, 10_001)) == ["ProfilerStep#4", "ProfilerStep#5"]
    assert names(trace.between(20_000, 30_000)) == []


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=8),
    st.tuples(st.integers(0, 18), st.integers(1, 5)),
)
def test_a_window_touches_steps_that_are_nested_or_overlap(
    windows: list[tuple[int, int]], window: tuple[int, int]
) -> None:
    steps = find_steps(
        pl.DataFrame(), [(start, start + dur) for start, dur in windows], pl.Series()
    )
    low, high = window[0], sum(window)
    in_time_order = sorted(windows, key=lambda w: (w[0], -w[1]))
    assert StepIndex(steps).touching(low, high).select("start_ns", "dur_ns").rows() == [
        (start, dur) for start, dur in in_time_order if start < high and low < start + dur
    ]


@pytest.mark.parametrize("window", [(5, 5), (9, 1), (0.0, 5.0), ("0", "5"), (None, 5)], ids=repr)
def test_what_is_no_window_is_a_step_error(window: Any) -> None:
    with pytest.raises(StepError, match=r"integer nanoseconds with start < end"):
        sk.load(TWO).between(*window)


def test_a_trace_cannot_be_changed() -> None:
    trace = sk.load(TWO)
    with pytest.raises(FrozenInstanceError):
        trace.ops = trace.ops.clear()  # type: ignore[misc]
    before: list[Event] = trace.ops.to_dicts()
    trace.step(5), trace.between(0, 5)
    assert trace.ops.to_dicts() == before
    assert "2 ops, 2 calls, 2 launches, 2 works, 2 steps>" in repr(trace)


@pytest.mark.parametrize("name", ["eager_step", "graph_step", "streams", "sync_events", "rocm"])
def test_steps_and_windows_of_a_real_trace_divide_it(name: str) -> None:
    trace = sk.load(fixture_path(name))
    starts = pl.concat([trace.ops["start_ns"], trace.calls["start_ns"]]).sort()
    cuts = [starts[0], starts[len(starts) // 3], starts[len(starts) // 2], starts[-1] + 1]
    parts = [trace.between(a, b) for a, b in pairwise(cuts)]
    steps = [trace.step(step) for step in names(trace)]
    for frame in ("ops", "calls", "launches", "work"):
        whole = getattr(trace, frame)
        linked = whole.filter(pl.col("launch").is_not_null()) if frame == "work" else whole
        assert pl.concat([getattr(p, frame) for p in parts]).sort("id").equals(linked.sort("id"))
        own = linked if frame == "work" else linked.filter(pl.col("step").is_not_null())
        assert pl.concat([getattr(s, frame) for s in steps]).sort("id").equals(own.sort("id"))
