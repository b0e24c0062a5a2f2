"""Operators: self and total time on the host, and the device time under them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from breakdowns import plain_self, plain_total, plain_under
from helpers import call, fixture_paths, kernel, op, python, step
from hypothesis import given, settings
from test_properties import traces

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

EVENTS = [
    python("nn.Module: Net_0", 0, 100),
    op("aten::linear", 0, 20),
    op("aten::mm", 5, 10, **{"Input Dims": [[2, 3]]}),
    op("aten::to", 30, 20), op("aten::to", 35, 10),  # within itself
    op("aten::mm", 0, 7, tid=2),
    call("cudaLaunchKernel", 6, 1, 1), kernel(10, 40, 1),
    call("cudaLaunchKernel", 17, 1, 2), kernel(50, 5, 2),
    call("cudaLaunchKernel", 36, 1, 3), kernel(60, 7, 3),
    call("cudaLaunchKernel", 70, 1, 4), kernel(80, 2, 4),  # in no operator
    kernel(90, 1),
]  # fmt: skip


def test_self_total_and_device_time() -> None:
    frame = sk.ops(sk.load(EVENTS))
    columns = ("count", "self_ns", "total_ns", "launches", "device_ns", "device_total_ns")
    assert {row[0]: row[1:] for row in frame.select("name", *columns).rows()} == {
        "aten::to": (2, 20_000, 20_000, 1, 7_000, 7_000),  # what is under both counts once
        "aten::mm": (2, 17_000, 17_000, 1, 40_000, 40_000),
        "aten::linear": (1, 10_000, 20_000, 1, 5_000, 45_000),
        None: (0, 0, 0, 1, 3_000, 0),
    }
    assert frame["name"].to_list() == ["aten::to", "aten::mm", "aten::linear", None]


def test_other_keys() -> None:
    trace = sk.load(EVENTS)
    assert sk.ops(trace, "thread").select("thread", "self_ns", "launches").rows() == [
        (1, 40_000, 4), (2, 7_000, 0), (None, 0, 0),
    ]  # fmt: skip
    shapes = sk.ops(trace, ["name", "shape"]).filter(pl.col("shape").is_not_null())
    assert shapes.select("name", "shape", "count").rows() == [("aten::mm", "[[2,3]]", 1)]
    modules = sk.ops(trace, "module").select("module", "count", "launches").rows()
    assert modules == [("Net_0", 4, 4), (None, 1, 0)]


@settings(max_examples=20)
@given(traces())
@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_a_count_moment_by_moment(events: list[Any]) -> None:
    trace = sk.load(events)
    frame = sk.ops(trace).filter(pl.col("name").is_not_null())

    def column(name: str) -> dict[str, int]:
        return {k: v for k, v in frame.select("name", name).rows() if v}

    def counted(amounts: dict[str, int]) -> dict[str, int]:
        return {k: v for k, v in amounts.items() if v}

    assert column("self_ns") == counted(plain_self(trace.ops))
    assert column("total_ns") == counted(plain_total(trace.ops))
    assert column("device_total_ns") == counted(plain_under(trace))
    for name in trace.steps["name"]:
        whole = sk.ops(trace, ["step", "name"]).filter(step=name)
        assert_same(sk.ops(trace.step(name)), whole)


def assert_same(part: pl.DataFrame, whole: pl.DataFrame) -> None:
    """The same rows, but for shares and what is in no operator, whose key is the step alone."""
    part, whole = (f.drop("self_share", "device_share").sort("name") for f in (part, whole))
    assert part.filter(pl.any_horizontal(pl.col(pl.Int64) > 0)).equals(
        whole.drop("step").filter(pl.any_horizontal(pl.col(pl.Int64) > 0))
    )


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_a_step_as_a_trace_has_the_rows_of_the_step(path: Path) -> None:
    trace = sk.load(path)
    for name in trace.steps["name"]:
        assert_same(sk.ops(trace.step(name)), sk.ops(trace, ["step", "name"]).filter(step=name))
        one = sk.ops(trace.step(name), "step").filter(step=name)
        assert_same(one.rename({"step": "name"}),
                    sk.ops(trace, "step").filter(step=name).with_columns(name="step")
                    .select("step", "name", pl.exclude("step", "name")))  # fmt: skip


def test_an_operator_that_outlasts_its_step_keeps_its_whole_time_in_a_window() -> None:
    events = [step(1, 0, 10), step(2, 10, 10), op("a", 5, 10), op("b", 12, 1),
              call("cudaLaunchKernel", 12.5, 0.2, 1), kernel(30, 3, 1)]  # fmt: skip
    trace = sk.load(events)
    row = sk.ops(trace.step(1)).row(0, named=True)
    assert (row["name"], row["self_ns"], row["device_ns"], row["device_total_ns"]) == (
        "a", 9_000, 0, 3_000,
    )  # fmt: skip


def test_no_operators() -> None:
    assert sk.ops(sk.load([])).is_empty()
    assert sk.ops(sk.load([kernel(0, 5)])).select("name", "device_ns").rows() == [(None, 5_000)]


@pytest.mark.parametrize("by", ["op", None, ["name", "kernel"]])
def test_an_unknown_key_is_refused(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: trace, name, module, shape"):
        sk.ops(sk.load(EVENTS), by)
