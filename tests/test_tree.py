"""The call tree: paths of modules and operators, their times, what is left out, and the text."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from helpers import call, fixture_path, kernel, op, python, step, trace_path

import skiptrace as sk
from skiptrace.errors import StepError, UnknownKeyError

EVENTS = [
    step(1, 0, 100), step(2, 100, 100),
    *(e for at in (0, 40) for e in (
        python("nn.Module: Linear_0", at, 30), op("aten::linear", at + 1, 20),
        op("aten::t", at + 2, 3), op("aten::mm", at + 6, 10))),
    python("nn.Module: Linear_0", 101, 9),
    op("aten::mm", 80, 1, tid=2),
    call("cudaLaunchKernel", 8, 1, 1), kernel(10, 70, 1),
    call("cudaLaunchKernel", 90, 1, 2), kernel(91, 2, 2),
    kernel(95, 1),
]  # fmt: skip


def test_paths_and_their_times() -> None:
    frame = sk.tree(sk.load(EVENTS), 1, min_share=0).frame
    columns = ("depth", "name", "kind", "count", "total_ns", "self_ns", "launches", "device_ns",
               "device_total_ns")  # fmt: skip
    assert frame.select(columns).rows() == [
        (0, "Linear_0", "module", 2, 60_000, 20_000, 0, 0, 70_000),
        (1, "aten::linear", "operator", 2, 40_000, 14_000, 0, 0, 70_000),
        (2, "aten::mm", "operator", 2, 20_000, 20_000, 1, 70_000, 70_000),
        (2, "aten::t", "operator", 2, 6_000, 6_000, 0, 0, 0),
        (0, "aten::mm", "operator", 1, 1_000, 1_000, 0, 0, 0),
        (0, None, None, 0, 0, 0, 1, 2_000, 2_000),
    ]
    names = dict(frame.select("node", "name").rows())
    assert [names.get(parent) for parent in frame["parent"]] == [
        None, "Linear_0", "aten::linear", "aten::linear", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "left"), [(0.0, 6), (0.02, 5), (0.2, 3), (0.98, 2), (1.0, 0)])
def test_small_paths_are_left_out_with_all_under_them(share: float, left: int) -> None:
    frame = sk.tree(sk.load(EVENTS), 1, min_share=share).frame
    assert len(frame) == left or (share == 0.98 and len(frame) <= 3)
    kept = frame["node"].to_list()
    assert frame["parent"].drop_nulls().is_in(kept).all()


def test_the_text_has_a_line_a_row() -> None:
    found = sk.tree(sk.load(EVENTS), "ProfilerStep#1", min_share=0)
    lines = str(found).splitlines()
    assert len(lines) == len(found.frame)
    assert lines[2].startswith("    aten::mm ")
    assert lines[2].split() == ["aten::mm", "x2", "host", "0.020", "ms", "device", "0.070", "ms"]
    assert lines[-1].startswith("(outside)")


def test_a_step_as_a_trace_has_the_tree_of_the_step() -> None:
    trace = sk.load(EVENTS)
    assert sk.tree(trace.step(2)).frame.equals(sk.tree(trace, 2).frame)


def test_of_a_window_self_time_is_that_of_the_whole_and_open_events_are_outside() -> None:
    trace = sk.load([
        op("early", 5, 20), call("cudaLaunchKernel", 12, 2, 1), kernel(20, 5, 1),
        op("within", 30, 50), op("after", 60, 10), python("nn.Module: Net_0", 72, 4),
        op("later", 90, 5),
    ])  # fmt: skip
    part = trace.between(10_000, 50_000)
    columns = ("name", "count", "total_ns", "self_ns", "launches", "device_total_ns")
    assert sk.tree(part, min_share=0).frame.select(columns).rows() == [
        ("within", 1, 50_000, 36_000, 0, 0),
        (None, 0, 0, 0, 1, 5_000),
    ]
    whole = sk.tree(trace, min_share=0).frame.filter(name="within")
    assert whole["self_ns"].to_list() == [36_000]


def test_a_real_tree_adds_up() -> None:
    trace = sk.load(fixture_path("training_step"))
    frame = sk.tree(trace, min_share=0).frame
    ops = sk.ops(trace, "trace").row(0, named=True)
    operators = frame.filter(kind="operator")
    assert operators["count"].sum() == ops["count"]
    assert operators["self_ns"].sum() == ops["self_ns"]
    under = frame.group_by("parent").agg(pl.col("device_total_ns").sum()).drop_nulls()
    both = frame.join(under, left_on="node", right_on="parent", suffix="_below", how="left")
    below = both["device_total_ns_below"].fill_null(0)
    assert (both["device_ns"] + below == both["device_total_ns"]).all()


def test_modules_of_a_real_tree() -> None:
    text = sk.tree(sk.load(trace_path("h100/gpt2_b1_full_stack_shapes_memory_flops")), -1).text
    assert text.splitlines()[0].startswith("GPT2LMHeadModel_0 ")
    assert "\n    GPT2Block_0 " in text


@pytest.mark.parametrize("events", [[], [kernel(0, 5)]])
def test_nothing_on_the_host(events: list[Any]) -> None:
    frame = sk.tree(sk.load(events)).frame
    assert frame["name"].to_list() == [None] * len(events)


def test_wrong_arguments() -> None:
    with pytest.raises(StepError):
        sk.tree(sk.load(EVENTS), 7)
    with pytest.raises(UnknownKeyError, match="a share between 0 and 1"):
        sk.tree(sk.load(EVENTS), min_share=2)
