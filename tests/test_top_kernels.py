"""The kernels that run longest or most often."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import call, kernel, memcpy

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

EVENTS = [
    kernel(0, 50, None, "gemm"),  # unlinked counts too
    kernel(60, 10, 1, "add"),
    kernel(80, 11, 2, "add"),
    kernel(95, 0, 3, "add"),
    kernel(100, 21, 4, "mul"),
    memcpy(200, 500, 5),
    call("cudaLaunchKernel", 1, 1, 1),
]


@pytest.mark.parametrize(
    ("by", "names"), [("time", ["gemm", "add", "mul"]), ("count", ["add", "gemm", "mul"])]
)
def test_order_by_time_or_by_count_then_time_then_name(by: str, names: list[str]) -> None:
    assert sk.top_kernels(sk.load(EVENTS), by=by)["kernel"].to_list() == names


def test_figures_of_a_kernel() -> None:
    row = sk.top_kernels(sk.load(EVENTS), by="count").row(0, named=True)
    assert row == {
        "kernel": "add", "count": 3, "kernel_ns": 21000, "mean_ns": 7000, "min_ns": 0,
        "max_ns": 11000, "time_share": pytest.approx(21 / 92),
    }  # fmt: skip


@pytest.mark.parametrize(("k", "rows"), [(0, 0), (1, 1), (2, 2), (99, 3)])
def test_at_most_k_and_shares_stay_those_of_all_kernels(k: int, rows: int) -> None:
    frame = sk.top_kernels(sk.load(EVENTS), k)
    assert len(frame) == rows
    if k:
        assert frame["time_share"][0] == pytest.approx(50 / 92)


def test_a_window_has_its_own_kernels_alone() -> None:
    frame = sk.top_kernels(sk.load(EVENTS).between(0, 5000))
    assert frame.select("kernel", "count").rows() == [("add", 1)]


def test_kernels_without_any_duration_have_no_share() -> None:
    frame = sk.top_kernels(sk.load([kernel(0, 0), kernel(5, 0)]))
    assert frame.select("count", "kernel_ns", "time_share").rows() == [(2, 0, None)]


def test_no_kernels_no_rows() -> None:
    assert sk.top_kernels(sk.load([memcpy(0, 5)])).is_empty()


@pytest.mark.parametrize("by", ["name", None, ["time"]])
def test_an_unknown_order_is_refused_and_the_valid_ones_are_named(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: time, count"):
        sk.top_kernels(sk.load(EVENTS), by=by)
