"""Stragglers: who waits for whom, and what the late rank did, against a count of nanoseconds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest
from agreement import assert_conforms
from cluster import reduce, three
from helpers import call, kernel, op, trace_path
from hypothesis import given, settings
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.model.schema.several import STRAGGLERS


def rows(ranks: sk.Ranks) -> dict[tuple[Any, ...], int]:
    found = sk.stragglers(ranks)
    assert_conforms(found, *STRAGGLERS)
    assert found["wait_ns"].sum() == sk.collectives(ranks, by="rank")["wait_ns"].sum()
    keys = ("rank", "waiting", "activity", "op", "kernel")
    return {tuple(row[k] for k in keys): row["wait_ns"] for row in found.iter_rows(named=True)}


def test_each_waiting_rank_waits_for_the_last_and_not_for_the_next() -> None:
    found = rows(three())
    per_pair = Counter[tuple[int, int]]()
    for (late, waiting, *_), wait in found.items():
        per_pair[late, waiting] += wait
    assert per_pair == {(2, 0): 25_000, (2, 1): 15_000}


def late_rank(*events: Any) -> sk.Ranks:
    """Rank 0 arrives at 10 us and rank 1, with these events, at 50; both end at 60."""
    return sk.load_ranks(
        {0: sk.load([reduce(10, 50, 1)]), 1: sk.load([*events, reduce(50, 10, 9)])}
    )


def test_the_late_ranks_device_its_host_and_its_launch() -> None:
    found = rows(
        late_rank(
            op("aten::mm", 0, 12),
            call("cudaLaunchKernel", 5, 1, 1),
            kernel(8, 12, 1, "gemm"),  # 10 to 20 of the wait
            op("aten::item", 20, 10),
            call("cudaStreamSynchronize", 22, 5),
            op("c10d::allreduce_", 40, 9),
            call("cudaLaunchKernelExC", 42, 3, 9),
        )
    )
    assert found == {
        (1, 0, "device", "aten::mm", "gemm"): 10_000,
        (1, 0, "operator", "aten::item", None): 5_000,
        (1, 0, "sync", "aten::item", None): 5_000,
        (1, 0, "python", None, None): 10_000,
        (1, 0, "operator", "c10d::allreduce_", None): 2_000,
        (1, 0, "launch", "c10d::allreduce_", None): 3_000,
        (1, 0, "dependency", "c10d::allreduce_", None): 5_000,
    }


def test_without_its_launch_the_time_is_unknown_and_of_works_the_last_to_start_counts() -> None:
    both = [kernel(5, 25, None, "first"), kernel(15, 5, None, "second", stream=8)]
    assert rows(late_rank(*both)) == {
        (1, 0, "device", None, "first"): 15_000,
        (1, 0, "device", None, "second"): 5_000,
        (1, 0, "unknown", None, None): 20_000,
    }


def test_work_of_another_device_does_not_count() -> None:
    assert rows(late_rank(kernel(5, 40, None, "elsewhere", device=3))) == {
        (1, 0, "unknown", None, None): 40_000
    }


def test_together_or_alone_nobody_waits() -> None:
    together = sk.load_ranks({r: sk.load([reduce(10, 50, 1)]) for r in range(3)})
    alone = sk.load_ranks({0: sk.load([reduce(10, 50, 1)]), 1: sk.load([])})
    nothing = sk.load_ranks({0: sk.load([])})
    for ranks in (together, alone, nothing):
        assert rows(ranks) == {}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=8),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=5),
    st.integers(30, 70),
    st.integers(0, 30),
)
def test_every_moment_of_a_wait_is_counted_once(
    works: list[tuple[int, int]], ops: list[tuple[int, int]], launch: int, lead: int
) -> None:
    arrival, first = 80, 80 - lead
    events: list[Any] = [kernel(a, d, None, f"k{i}") for i, (a, d) in enumerate(works)]
    events += [op(f"o{i}", a, d) for i, (a, d) in enumerate(ops)]
    events += [call("launch", launch, 4, 9), reduce(arrival, 10, 9)]
    ranks = sk.load_ranks(
        {0: sk.load([reduce(first, 90 - first, 1)]), 1: sk.load(events)}
    )  # fmt: skip
    expected = Counter[str]()
    for us in range(first, arrival):
        if any(a <= us < a + d for a, d in works):
            expected["device"] += 1000
        elif us >= launch:
            expected["launch" if us < launch + 4 else "dependency"] += 1000
        else:
            inside = any(a <= us < a + d for a, d in ops)
            expected["operator" if inside else "python"] += 1000
    found = Counter[str]()
    for (_, _, activity, _, _), wait in rows(ranks).items():
        found[activity] += wait
    assert found == expected


def test_of_the_real_pair_the_rank_with_the_short_kernels_is_late() -> None:
    # No clock needed: who comes last waits for nobody inside its kernel.
    ranks = sk.load_ranks([trace_path(f"h100/ddp2_rank{rank}") for rank in (0, 1)])
    by_rank = sk.collectives(ranks, by="rank")
    durations = by_rank.pivot("rank", index="collective", values="dur_ns")
    shorter = (durations["0"] < durations["1"]).sum()
    found = sk.stragglers(ranks)
    waited = dict(found.group_by("rank").agg(pl.col("wait_ns").sum()).rows())
    assert (shorter, len(durations)) == (24, 26)
    assert waited[0] > 30 * waited[1]
    assert found["wait_ns"].sum() == by_rank["wait_ns"].sum() == sum(waited.values())
    # What a rank waited, its kernels are longer by, but for the clocks.
    longer = sum(by_rank["dur_ns"]) - 2 * sum(sk.collectives(ranks)["transfer_ns"])
    assert longer == pytest.approx(found["wait_ns"].sum(), rel=0.02)
