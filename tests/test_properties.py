"""Random traces: every figure equals the oracle's, and what must add up does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import helpers
import oracle
import polars as pl
import pytest
from agreement import assert_identities, assert_oracle, assert_schema
from helpers import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_replay import assert_plain

import skiptrace as sk
from skiptrace.predict.replayed import recorded

# Random traces have every oddity that verbs warn of.
pytestmark = pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")

MOMENTS = st.integers(0, 60)
LENGTHS = st.integers(0, 25)
OPS = ("aten::mm", "aten::add", "enumerate(DataLoader)#next")
CALLS = (
    ("cudaLaunchKernel", "cuda_runtime"),
    ("cuLaunchKernel", "cuda_driver"),
    ("hipGraphLaunch", "cuda_runtime"),
    ("cudaMemcpyAsync", "cuda_runtime"),
    ("hipMemcpy", "cuda_runtime"),
    ("cudaMalloc", "cuda_runtime"),
    ("cudaFreeHost", "cuda_runtime"),
    ("cudaStreamSynchronize", "cuda_runtime"),
    ("zeEventHostSynchronize", "xpu_runtime"),
    ("cudaStreamWaitEvent", "cuda_runtime"),
    ("cudaGetDevice", "cuda_runtime"),
)
KERNELS = ("gemm", "add", "ncclDevKernel_AllReduce")
# Few ids, so that calls share them, launches have several works, and works have no launch.
IDS = st.one_of(st.none(), st.sampled_from([0, -1]), st.integers(1, 9))


def microseconds(ns: int) -> float:
    return ns / 1000


def at(draw: st.DrawFn) -> tuple[float, float]:
    return microseconds(draw(MOMENTS)), microseconds(draw(LENGTHS))


@st.composite
def host_events(draw: st.DrawFn) -> Event:
    thread = {"pid": draw(st.integers(1, 2)), "tid": draw(st.integers(1, 3))}
    match draw(st.sampled_from(["op", "op", "call", "call", "call", "label", "python", "rest"])):
        case "op":
            return helpers.op(draw(st.sampled_from(OPS)), *at(draw), **thread)
        case "call":
            name, cat = draw(st.sampled_from(CALLS))
            return helpers.call(name, *at(draw), draw(IDS), cat=cat, **thread)
        case "label":
            name = draw(st.sampled_from(["forward", "DataLoader: load"]))
            return helpers.annotation(name, *at(draw), **thread)
        case "python":
            return helpers.python(draw(st.sampled_from(["main", "step"])), *at(draw), **thread)
        case _:
            return helpers.event("overhead", "Activity Buffer Request", *at(draw), **thread)


@st.composite
def device_events(draw: st.DrawFn) -> Event:
    where: Any = {"device": draw(st.integers(0, 1)), "stream": draw(st.sampled_from([0, 7]))}
    corr = draw(IDS)
    match draw(st.sampled_from(["kernel", "kernel", "kernel", "memcpy", "memset", "sync"])):
        case "kernel":
            name = draw(st.sampled_from(KERNELS))
            if draw(st.integers(0, 3)) == 3:
                where["Collective name"] = "allreduce"
            return helpers.kernel(*at(draw), corr, name, **where)
        case "memcpy":
            return helpers.memcpy(*at(draw), corr, **where)
        case "memset":
            return helpers.memset(*at(draw), corr, **where)
        case _:
            kind = draw(st.sampled_from(["Stream Wait Event", "Context Sync"]))
            where |= {"cat": "cuda_sync", "cuda_sync_kind": kind}
            return helpers.kernel(*at(draw), corr, kind, **where)


@st.composite
def step_marks(draw: st.DrawFn) -> list[Event]:
    """Steps of each process, one behind the other, on a thread of their own."""
    marks = []
    for pid in (1, 2):
        edges = sorted(draw(st.lists(MOMENTS, max_size=4, unique=True)))
        cat = draw(st.sampled_from(["user_annotation", "cpu_op", "python_function"]))
        for n, (low, high) in enumerate(pairwise(edges)):
            dur = microseconds(draw(st.integers(1, high - low)))
            name = f"ProfilerStep#{10 * pid + n}"
            marks.append(helpers.event(cat, name, microseconds(low), dur, pid, 99))
    return marks


@st.composite
def undisturbed(draw: st.DrawFn) -> list[Event]:
    """Launches onto an idle device, enough for a floor that is their median."""
    events = []
    for i in range(draw(st.sampled_from([0, 0, 10, 11, 12]))):
        start, delay = 1000 + 100 * i, draw(st.integers(0, 20))
        name = "cudaLaunchKernel"
        events.append(helpers.call(name, microseconds(start), 0.003, 100 + i, pid=1, tid=1))
        events.append(helpers.kernel(microseconds(start + delay), 0.005, 100 + i))
    return events


@st.composite
def traces(draw: st.DrawFn) -> list[Event]:
    """Events of any order: nested or crossing, on threads and streams of several processes."""
    mixed = draw(st.lists(st.one_of(host_events(), device_events()), max_size=40))
    again = draw(st.lists(st.sampled_from(mixed), max_size=2)) if mixed else []
    return mixed + draw(step_marks()) + draw(undisturbed()) + again


random_traces = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@random_traces
@given(traces())
def test_every_figure_of_a_random_trace_is_the_oracles(events: list[Event]) -> None:
    trace = sk.load(events)
    assert_oracle(trace, oracle.read(events))


@random_traces
@given(traces())
def test_a_random_trace_keeps_the_identities_and_the_schema(events: list[Event]) -> None:
    trace = sk.load(events)
    assert_identities(trace)
    assert_schema(trace)


@random_traces
@given(traces(), st.integers(-5, 100), st.integers(1, 100))
def test_a_random_window_keeps_the_identities(events: list[Event], low: int, size: int) -> None:
    window = sk.load(events).between(low, low + size)
    assert_identities(window)
    assert_schema(window)


FRAMES = ("ops", "calls", "launches", "annotations", "python")


def taken(trace: sk.Trace, key: str | tuple[int, int]) -> dict[str, list[dict[str, Any]]]:
    """A step or window by its definition, row by row."""
    if isinstance(key, str):
        (step,) = (s for s in trace.steps.to_dicts() if s["name"] == key)
        low, high, pid = step["start_ns"], step["start_ns"] + step["dur_ns"], step["pid"]
    else:
        (low, high), pid = key, None

    def holds(row: dict[str, Any]) -> bool:
        if "step" in row and isinstance(key, str):
            return bool(row["step"] == key)
        return low <= row["start_ns"] < high and pid in (None, row["pid"])

    found = {name: [r for r in getattr(trace, name).to_dicts() if holds(r)] for name in FRAMES}
    launched = {row["id"] for row in found["launches"]}
    found["work"] = [row for row in trace.work.to_dicts() if row["launch"] in launched]
    found["steps"] = [
        row
        for row in trace.steps.to_dicts()
        if row["name"] == key
        or (isinstance(key, tuple) and row["start_ns"] < high
            and low < row["start_ns"] + row["dur_ns"])
        or row["name"] == "all"
    ]  # fmt: skip
    return found


@random_traces
@given(traces(), st.lists(st.integers(-9, 9) | st.tuples(MOMENTS, LENGTHS), max_size=3))
def test_windows_of_windows_hold_the_rows_of_their_definition_in_the_order_of_the_frames(
    events: list[Event], path: list[int | tuple[int, int]]
) -> None:
    trace = sk.load(events)
    for choice in path:
        if isinstance(choice, tuple):
            window = (choice[0], sum(choice) + 1)
            expected, trace = taken(trace, window), trace.between(*window)
        elif names := [name for name in trace.steps["name"] if name != "all"]:
            name = names[choice % len(names)]
            expected, trace = taken(trace, name), trace.step(name)
        else:
            continue
        assert {name: getattr(trace, name).to_dicts() for name in expected} == expected


@random_traces
@given(traces())
def test_what_lies_in_steps_is_what_has_one(events: list[Event]) -> None:
    trace = sk.load(events)
    for name in ("ops", "calls", "launches"):
        rows = getattr(trace, name)
        assert getattr(trace.in_steps(), name).equals(rows.filter(pl.col("step").is_not_null()))


@random_traces
@given(traces(), MOMENTS)
def test_two_windows_that_share_an_edge_add_up_to_the_trace(events: list[Event], edge: int) -> None:
    trace = sk.load(events)
    parts: list[Any] = [trace.between(-1000, edge), trace.between(edge, 10_000)]
    for column in ("launches", "kernels", "tklqt_ns", "queue_ns"):
        whole = sk.tklqt(trace, by="trace")[column].item()
        assert sum(sk.tklqt(part, by="trace")[column].item() for part in parts) == whole
    linked = trace.work["launch"].count()
    assert sum(len(part.work) for part in parts) == linked


@random_traces
@given(traces())
def test_a_step_of_a_random_trace_has_the_figures_of_its_row(events: list[Event]) -> None:
    trace = sk.load(events)
    for name in trace.steps["name"]:
        step = trace.step(name)
        assert_identities(step)
        assert sk.tklqt(step).filter(step=name).equals(sk.tklqt(trace).filter(step=name))
        mine, whole = (
            sk.summary(t).filter(step=name).select(pl.exclude("outlier")) for t in (step, trace)
        )
        assert mine.equals(whole)


@random_traces
@given(traces())
def test_the_path_of_a_random_trace_is_its_latency_and_its_replay_a_plain_one(
    events: list[Event],
) -> None:
    trace = sk.load(events)
    found = sk.critical_path(trace)
    il = sk.summary(trace).filter(pl.col("il_ns").is_not_null())
    assert found.shares.select("step", "il_ns").equals(il.select("step", "il_ns"))
    assert_plain(recorded(trace).model)


@random_traces
@given(traces())
def test_what_ifs_of_a_random_trace_have_a_row_a_step(events: list[Event]) -> None:
    trace = sk.load(events)
    steps = sk.summary(trace).filter(pl.col("il_ns").is_not_null())["step"].to_list()
    changes: list[dict[str, Any]] = [
        {"remove_syncs": True}, {"cuda_graph": True}, {"cuda_graph": "op"}, {"fuse": 2},
        {"host": 0}, {"device": 0},
    ]  # fmt: skip
    for change in changes:
        frame = sk.whatif(trace, **change).frame
        assert frame["step"].to_list() == steps
        assert (frame["latency_low_ns"] <= frame["latency_ns"]).all()
        assert (frame["latency_ns"] <= frame["latency_high_ns"]).all()
    assert sk.advise(trace)["gain_ns"].is_sorted(descending=True)
