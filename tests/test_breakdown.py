"""Device time by what ran: parts that sum to the span, by step, device and class."""

from __future__ import annotations

from typing import Any

import pytest
from breakdowns import plain_breakdown
from helpers import annotation, call, fixture_paths, kernel, memcpy, memset, op, step
from hypothesis import given, settings
from test_properties import traces

import skiptrace as sk
from skiptrace.errors import RulesError, UnknownKeyError

EVENTS = [
    kernel(0, 10, name="gemm"),
    kernel(5, 10, name="ncclDevKernel_AllReduce", stream=8),  # 5 beside the kernel, 5 alone
    memcpy(14, 4, stream=9),  # 1 beside communication, 3 alone
    memset(20, 2),
    kernel(30, 4, name="add"),
    kernel(0, 5, name="add", device=1),
]


def test_each_moment_is_in_one_part() -> None:
    rows = sk.breakdown(sk.load(EVENTS), by="trace").to_dicts()
    assert rows[0] == {
        "step": "all", "device": 0, "span_ns": 34_000, "compute_only_ns": 9_000,
        "overlap_ns": 5_000, "exposed_ns": 5_000, "copy_only_ns": 5_000, "other_ns": 0,
        "idle_ns": 10_000, "compute_ns": 14_000, "communication_ns": 10_000, "copy_ns": 6_000,
        "overlap_share": 0.5, "idle_share": pytest.approx(10 / 34),
    }  # fmt: skip
    assert (rows[1]["device"], rows[1]["span_ns"], rows[1]["overlap_share"]) == (1, 5_000, None)


def launched(corr: int, at: float, name: str, start: float, dur: float) -> list[Any]:
    return [call("cudaLaunchKernel", at, 1, corr), kernel(start, dur, corr, name)]


STEPS = [
    step(1, 0, 10), step(2, 10, 10),
    *launched(1, 1, "a", 5, 10), *launched(2, 5, "b", 30, 10),
    *launched(3, 12, "c", 20, 5), kernel(26, 1, name="of no launch"),
]  # fmt: skip


def test_work_of_other_steps_is_no_idle_time() -> None:
    rows = sk.breakdown(sk.load(STEPS)).to_dicts()
    assert [row["step"] for row in rows] == ["ProfilerStep#1", "ProfilerStep#2"]
    first = {key: rows[0][key] for key in ("span_ns", "compute_ns", "other_ns", "idle_ns")}
    assert first == {"span_ns": 35_000, "compute_ns": 20_000, "other_ns": 6_000, "idle_ns": 9_000}
    assert rows[1]["span_ns"] == rows[1]["compute_only_ns"] == 5_000


def test_rules_decide_what_communication_is_unless_arguments_say_so() -> None:
    events = [*EVENTS[:2], kernel(20, 3, name="mine", **{"Collective name": "allreduce"})]
    found = sk.breakdown(sk.load(events), "trace", classes={"communication": "^gemm$"})
    assert found["communication_ns"].item() == 13_000
    assert sk.breakdown(sk.load(events), "trace")["communication_ns"].item() == 13_000
    assert sk.breakdown(sk.load(events), "trace", classes={})["communication_ns"].item() == 3_000


@settings(max_examples=20)
@given(traces())
@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_a_count_moment_by_moment(events: list[Any]) -> None:
    trace = sk.load(events)
    rows = sk.breakdown(trace, "trace").to_dicts()
    assert [{k: row[k] for k in plain} for row, plain in zip(
        rows, plain_breakdown(trace, trace.work.to_dicts()), strict=True)] == plain_breakdown(
        trace, trace.work.to_dicts())  # fmt: skip
    for name in trace.steps["name"]:
        part = trace.step(name)
        found = sk.breakdown(trace).filter(step=name)
        assert found.equals(sk.breakdown(part))
        plain = plain_breakdown(trace, part.work.to_dicts())
        assert [{k: row[k] for k in plain[0]} for row in found.to_dicts()] == plain


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_a_step_as_a_trace_has_the_rows_of_the_step(path: Any) -> None:
    trace = sk.load(path)
    for name in trace.steps["name"]:
        part = trace.step(name)
        assert sk.breakdown(part).equals(sk.breakdown(trace).filter(step=name))
        assert sk.step_time(part).equals(sk.step_time(trace).filter(step=name))


@pytest.mark.parametrize("events", [[], [op("a", 0, 5)], [annotation("a", 0, 1)]])
def test_nothing_ran(events: list[Any]) -> None:
    assert sk.breakdown(sk.load(events)).is_empty()
    assert sk.breakdown(sk.load(events), "trace").is_empty()


def test_a_work_of_no_length_has_a_span_of_none() -> None:
    row = sk.breakdown(sk.load([kernel(5, 0)])).row(0, named=True)
    assert (row["span_ns"], row["idle_share"]) == (0, None)


def test_wrong_arguments_are_named() -> None:
    trace = sk.load(EVENTS)
    with pytest.raises(UnknownKeyError, match="Valid: step, trace"):
        sk.breakdown(trace, by="op")
    with pytest.raises(RulesError, match="class -> regular expression"):
        sk.breakdown(trace, classes=["gemm"])  # type: ignore[arg-type]
    with pytest.raises(RulesError, match=r"'gemm': '\('.*no regular expression"):
        sk.breakdown(trace, classes={"gemm": "("})
