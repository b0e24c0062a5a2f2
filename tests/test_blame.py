"""What stands behind idle time: the call that waited, and what surrounds it."""

from __future__ import annotations

from typing import Any

import polars as pl
from helpers import call, kernel, op, python

import skiptrace as sk
from skiptrace.measure.blame import blame
from skiptrace.measure.idle_gaps import gap_causes


def places(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    trace = sk.load(events)
    return blame(trace, gap_causes(trace)).to_dicts()


LAUNCHED = [call("launch", 0, 2, 1), kernel(4, 6, 1)]
FAR = [
    call("launch", 60, 2, 2), kernel(64, 2, 2), op("far", 90, 12),
    call("cudaDeviceSynchronize", 95, 5),
]  # fmt: skip


def test_a_wait_that_covers_the_gaps_start_is_named_with_its_operators_and_frame() -> None:
    waited = [
        op("item", 5, 50), op("inner", 6, 40), python("train.py(3): step", 0, 80),
        call("cudaStreamSynchronize", 7, 50),
    ]  # fmt: skip
    (row,) = places([*LAUNCHED, *waited, *FAR])
    assert row == {
        "cause": "sync", "root_op": "item", "op": "inner", "python": "train.py(3): step",
        "call": "cudaStreamSynchronize", "next_op": None, "gaps": 1, "idle_ns": 54_000,
    }  # fmt: skip


def test_a_wait_that_begins_within_the_gap_is_named_not_the_last_of_the_trace() -> None:
    waited = [op("item", 12, 40), call("cudaStreamSynchronize", 14, 30)]
    (row,) = places([*LAUNCHED, *waited, *FAR])
    assert (row["cause"], row["op"], row["call"]) == ("sync", "item", "cudaStreamSynchronize")


def test_a_wait_of_another_thread_is_named_by_no_call() -> None:
    waited = [call("cudaStreamSynchronize", 9, 50, tid=2), call("launch", 300, 1, 3, tid=2)]
    rows = places([*LAUNCHED, *waited, *FAR, kernel(302, 1, 3)])
    first = next(row for row in rows if row["idle_ns"] == 54_000)
    assert (first["cause"], first["call"], first["op"]) == ("sync", None, None)


def test_where_the_host_was_in_nothing_the_next_operator_is_named() -> None:
    (row,) = places([*LAUNCHED, op("mm", 58, 6), *FAR])
    assert (row["cause"], row["op"], row["next_op"]) == ("python", None, "mm")


def test_places_add_up_to_the_idle_time() -> None:
    trace = sk.load([*LAUNCHED, op("mm", 58, 6), *FAR])
    total = blame(trace, gap_causes(trace)).select(pl.col("idle_ns").sum()).item()
    assert total == sk.idle_gaps(trace)["dur_ns"].sum()
