"""`diff`: pairs by path, name and order, and a change of latency that adds up to the nanosecond."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from agreement import assert_conforms
from helpers import Event, call, fixture_path, kernel, op, step, trace_path
from hypothesis import given, settings
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.measure.latency_split import split_latency
from skiptrace.model.schema.several import (
    DIFF_LAUNCHES,
    DIFF_OPS,
    DIFF_SPLIT,
    DIFF_STEPS,
    DIFF_WORKS,
)

TURNED = {"added": "removed", "removed": "added", "slower": "faster", "faster": "slower"}


def launched(
    ts: float, at: float, dur: float, corr: int, name: str = "k", **where: Any
) -> list[Event]:
    """A launch of 1 us and its kernel."""
    return [call("cudaLaunchKernel", ts, 1, corr), kernel(at, dur, corr, name, **where)]


def layer(at: float, corr: int, gemm: float = 5, name: str = "gemm") -> list[Event]:
    """An operator in another, with a kernel that starts 8 later."""
    return [op("aten::linear", at, 6), op("aten::addmm", at + 1, 4),
            *launched(at + 2, at + 8, gemm, corr, name)]  # fmt: skip


BEFORE = [*layer(0, 1), *layer(20, 2), op("aten::gelu", 40, 5), *launched(41, 45, 2, 3, "gelu")]
AFTER = [*layer(0, 1, 15), *layer(40, 2, 5, "gemm_large"), *launched(60, 70, 1, 3, "gelu"),
         op("aten::tanh", 80, 5), *launched(81, 85, 4, 4, "tanh")]  # fmt: skip


def test_each_event_is_paired_by_path_and_name_then_path_then_name() -> None:
    found = sk.diff(sk.load(BEFORE), sk.load(AFTER))
    works = found.works.select("name", "match", "change", "change_ns").sort("name")
    assert works.rows() == [
        ("gelu", "name", "faster", -1000), ("gemm", "path and name", "slower", 10_000),
        ("gemm_large", "path", "same", 0), ("tanh", None, "added", 4000),
    ]  # fmt: skip
    assert found.works.filter(name="gemm_large")["name_before"].item() == "gemm"
    ops = found.ops.filter(pl.col("change") != "same").select("path", "change", "change_ns")
    assert sorted(ops.rows()) == [("aten::gelu", "removed", -5000), ("aten::tanh", "added", 5000)]
    assert found.ops.filter(name="aten::addmm")["path"].to_list() == 2 * [
        "aten::linear / aten::addmm"
    ]
    assert found.launches.select("change", "change_ns").sort("change_ns").rows() == [
        ("same", 0), ("same", 0), ("added", 4000), ("slower", 6000),
    ]  # fmt: skip


def test_the_latency_is_split_over_the_works_that_ran_or_came_next() -> None:
    found = sk.diff(sk.load(BEFORE), sk.load(AFTER))
    # before: 0 to 47; after: 0 to 89
    assert found.change_ns == 42_000
    rows = found.split.select(
        "op", "before_ns", "after_ns", "change_ns", "busy_change_ns", "idle_change_ns"
    )
    assert sorted(rows.rows(), key=str) == [
        ("aten::addmm", 33_000, 53_000, 20_000, 10_000, 10_000),
        ("aten::gelu", 14_000, 0, -14_000, -2000, -12_000),
        ("aten::tanh", 0, 18_000, 18_000, 4000, 14_000),
        (None, 0, 18_000, 18_000, 1000, 17_000),  # 53 to 71
    ]  # fmt: skip
    assert found.verdict == (
        "0.042 ms longer (89.4 %), from 0.047 to 0.089 ms, 0.029 ms more idle; "
        "launches 3 to 4; kernels 3 to 4; "
        "of the kernels, copies and fills 1 added, 1 slower, 1 faster"
    )
    assert repr(found) == f"<Diff: {found.verdict}>"


def test_each_trace_stands_with_its_median_step_and_others_work_is_behind() -> None:
    def steps(lengths: tuple[int, ...]) -> list[Event]:
        events = []
        for n, dur in enumerate(lengths):
            at = 1000 * n
            events += [
                step(n, at, 900),
                op("o", at + 10, 5),
                *launched(at + 11, at + 20, dur, n + 1),
            ]
        return events

    found = sk.diff(sk.load(steps((30, 10, 20))), sk.load(steps((5, 6, 100, 90))))
    assert found.steps["step"].to_list() == ["ProfilerStep#2", "ProfilerStep#1"]
    assert found.change_ns == -14_000
    late = [step(0, 0, 50), op("a", 1, 5), *launched(2, 10, 100, 1),
            step(1, 60, 200), op("b", 61, 5), *launched(62, 120, 5, 2)]  # fmt: skip
    row = sk.diff(sk.load([]), sk.load(late).step(1)).split.row(0, named=True)
    assert (row["behind_change_ns"], row["idle_change_ns"], row["busy_change_ns"]) == (
        49_000, 10_000, 5000,
    )  # fmt: skip


def test_minus_reads_as_with_numbers() -> None:
    before, after = sk.load(BEFORE), sk.load(AFTER)
    found = after - before
    assert isinstance(found, sk.Diff)
    assert found.change_ns == sk.diff(before, after).change_ns == 42_000
    with pytest.raises(TypeError):
        after - 3  # type: ignore[operator]


@pytest.mark.parametrize("empty", [[], [op("a", 0, 1)]], ids=["nothing", "no work"])
def test_without_a_latency_there_is_none_to_compare(empty: list[Event]) -> None:
    for before, after, which in ((empty, AFTER, "before"), (AFTER, empty, "after")):
        found = sk.diff(sk.load(before), sk.load(after))
        assert found.change_ns is None
        assert found.verdict.startswith(f"no latency to compare: the trace {which} has no step")
        conforming(found)
    assert sk.diff(sk.load(empty), sk.load(empty)).works.is_empty()


def conforming(found: sk.Diff) -> None:
    for frame, columns in (
        (found.steps, DIFF_STEPS), (found.split, DIFF_SPLIT), (found.ops, DIFF_OPS),
        (found.launches, DIFF_LAUNCHES), (found.works, DIFF_WORKS),
    ):  # fmt: skip
        assert_conforms(frame, *columns)


def holds(before: sk.Trace, after: sk.Trace) -> None:
    """What is true of any two traces."""
    found, back = sk.diff(before, after), sk.diff(after, before)
    conforming(found)
    for which, il in zip(("before", "after"), found.steps["il_ns"], strict=True):
        assert il is None or found.split[f"{which}_ns"].sum() == il
    if found.change_ns is not None:
        assert back.change_ns == -found.change_ns
        assert (
            found.split["change_ns"].sum() == found.works["il_change_ns"].sum() == found.change_ns
        )
    parts = pl.sum_horizontal("busy_change_ns", "behind_change_ns", "idle_change_ns")
    assert found.split.select(parts).to_series().equals(found.split["change_ns"], check_names=False)
    for name, events in (("ops", 4), ("launches", 5), ("works", 6)):
        mine, theirs = getattr(found, name), getattr(back, name)
        ours = {
            (b, a): (c, n)
            for b, a, c, n in mine.select("before", "after", "change", "change_ns").rows()
        }
        assert len(ours) == len(mine), events
        assert {
            (a, b): (TURNED.get(c, c), -n)
            for b, a, c, n in theirs.select("before", "after", "change", "change_ns").rows()
        } == ours
        for which in ("before", "after"):
            assert mine[which].drop_nulls().is_unique().all()
    same = sk.diff(before, before)
    for frame in (same.ops, same.launches, same.works):
        assert set(frame["change"]) <= {"same"}
        assert frame["before"].equals(frame["after"], check_names=False)
        assert not any(frame[c].abs().sum() for c in frame.columns if c.endswith("change_ns"))
    assert not any(same.split[c].abs().sum() for c in same.split.columns if c.endswith("change_ns"))


WORK = st.tuples(
    st.integers(0, 60), st.integers(0, 30), st.integers(0, 20), st.sampled_from("abc"),
    st.integers(0, 1), st.booleans(),
)  # fmt: skip


def random_trace(works: list[tuple[int, int, int, str, int, bool]], ops: list[Any]) -> list[Event]:
    events: list[Event] = [op(name, at, dur) for at, dur, name in ops]
    for i, (at, wait, dur, name, device, linked) in enumerate(works):
        events += [call(f"launch{name}", at, 2, i + 1), kernel(
            at + wait, dur, i + 1 if linked else None, name, device=device)]  # fmt: skip
    return events


OPS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 30), st.sampled_from("xyz")), max_size=6
)


@settings(max_examples=15, deadline=None)
@given(st.lists(WORK, max_size=8), OPS, st.lists(WORK, max_size=8), OPS)
def test_any_two_traces_add_up(works: Any, ops: Any, others: Any, their_ops: Any) -> None:
    holds(sk.load(random_trace(works, ops)), sk.load(random_trace(others, their_ops)))


@settings(max_examples=40, deadline=None)
@given(st.lists(WORK, min_size=1, max_size=8), OPS)
def test_the_split_is_that_of_a_count_of_moments(works: Any, ops: Any) -> None:
    trace = sk.load(random_trace(works, ops))
    row = sk.summary(trace, by="trace").row(0, named=True)
    if row["il_ns"] is None:
        return
    start = row["start_ns"]
    found = split_latency(trace, start, row["il_ns"])
    spans = found.select("id", "start_ns", "dur_ns").rows()
    counted = {i: [0, 0] for i, _, _ in spans}
    for at in range(start, start + row["il_ns"], 1000):
        running = [(s, -d, i) for i, s, d in spans if s <= at < s + d]
        if running:
            counted[max(running)[2]][0] += 1000
        else:
            counted[min((s, i) for i, s, _ in spans if s > at)[1]][1] += 1000
    mine = {i: [busy, idle] for i, busy, idle in found.select("id", "busy_ns", "idle_ns").rows()}
    assert mine == counted
    assert found["behind_ns"].sum() == 0


NAMES = ("eager_step", "graph_step", "encoder", "streams", "jax", "no_device")


@pytest.mark.parametrize("name", NAMES)
def test_any_two_fixtures_add_up(name: str) -> None:
    first = sk.load(fixture_path("eager_step"))
    holds(first, sk.load(fixture_path(name)))


@pytest.mark.parametrize(
    ("before", "after", "faster"),
    [
        ("gpt2_b1_s512_eager", "gpt2_b1_s512_compile", True),
        ("gpt2_b1_s512_eager", "gpt2_b16_s512_eager", False),
        ("gpt2_b1_s512_mask4d", "gpt2_b1_s512_mask4d-cudagraph", True),
    ],
)
def test_real_pairs(before: str, after: str, faster: bool) -> None:
    one, two = (sk.load(trace_path(f"h100/{name}")) for name in (before, after))
    found = two - one
    holds(one, two)
    assert (found.change_ns or 0) < 0 if faster else (found.change_ns or 0) > 0
    assert ("shorter" if faster else "longer") in found.verdict
    # A graph launches the kernels that were launched one by one: those are found again by name.
    if "cudagraph" in after:
        assert (found.works["match"] == "name").sum() > 0.9 * len(found.works)
        assert found.steps["launches"][1] == 1
