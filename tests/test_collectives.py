"""Collectives across ranks: types, sizes, arrivals and bandwidths, against plain Python."""

from __future__ import annotations

import gzip
import json
from typing import Any

import polars as pl
import pytest
from agreement import assert_conforms
from cluster import NCCL, document, reduce, three
from helpers import annotation, call, event, fixture_path, kernel

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.model.kernel_classes import is_communication
from skiptrace.model.schema.several import COLLECTIVE_RANKS, COLLECTIVES


def test_one_all_reduce_of_three_ranks() -> None:
    row = sk.collectives(three()).row(0, named=True)
    assert row == {
        "collective": 0, "type": "all_reduce", "group": "0 [0, 1, 2]", "step": "all",
        "bytes": 4000, "dtype": "Float", "group_size": 3, "ranks": 3, "missing": 0,
        "start_ns": 20_000, "dur_ns": 40_000, "skew_ns": 25_000, "first_rank": 0, "last_rank": 2,
        "transfer_ns": 15_000, "algorithm_gb_s": 4000 / 15_000,
        "bus_gb_s": pytest.approx(4000 / 15_000 * 4 / 3),
    }  # fmt: skip
    waits = sk.collectives(three(), by="rank").select("rank", "aligned_ns", "dur_ns", "wait_ns")
    assert waits.rows() == [
        (0, 20_000, 40_000, 25_000), (1, 30_000, 30_000, 15_000), (2, 45_000, 15_000, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "nelems", "kind", "size", "factor"),
    [
        ("allreduce", (1000, 1000), "all_reduce", 4000, 4 / 3),
        ("_allgather_base", (1000, 3000), "all_gather", 12_000, 2 / 3),
        ("_reduce_scatter_base", (3000, 1000), "reduce_scatter", 12_000, 2 / 3),
        ("all_to_allv", (3000, 3000), "all_to_all", 12_000, 2 / 3),
        ("broadcast", (1000, 1000), "broadcast", 4000, 1),
        ("reduce", (1000, 1000), "reduce", 4000, 1),
        ("gather", (1000, 3000), "gather", 12_000, 2 / 3),
        ("barrier", (1, 1), "barrier", 4, 1),
        ("allreduce_coalesced", (1000, 1000), "all_reduce", 4000, 4 / 3),
    ],
)
def test_types_sizes_and_bus_factors_are_those_of_nccl_tests(
    name: str, nelems: tuple[int, int], kind: str, size: int, factor: float
) -> None:
    args = {"Collective name": name, "In msg nelems": nelems[0], "Out msg nelems": nelems[1]}
    traces = {r: sk.load([reduce(0, 10, 1, **args)]) for r in range(3)}
    row = sk.collectives(sk.load_ranks(traces)).row(0, named=True)
    assert (row["type"], row["bytes"]) == (kind, size)
    assert row["algorithm_gb_s"] == size / 10_000
    assert row["bus_gb_s"] == pytest.approx(size / 10_000 * factor)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("BFloat16", 2), ("Half", 2), ("Double", 8), ("Long", 8), ("Byte", 1), ("Float8_e4m3fn", 1),
     ("QUInt4x2", None)],
)  # fmt: skip
def test_an_element_has_the_size_of_its_type(dtype: str, size: int | None) -> None:
    found = sk.collectives(sk.load_ranks({0: sk.load([reduce(0, 10, 1, dtype=dtype)])}))
    assert found["bytes"].to_list() == [None if size is None else 1000 * size]
    assert found["dtype"].to_list() == [dtype]


def test_a_type_without_arguments_is_that_of_the_label_or_the_kernel() -> None:
    def trace(*around: Any, name: str = NCCL) -> sk.Trace:
        return sk.load([*around, call("launch", 2, 1, 1), kernel(5, 5, 1, name)])

    label = annotation("nccl:all_to_all", 0, 9)
    inner = event("cpu_op", "record_param_comms", 1, 5, **{"Collective name": "broadcast",
                  "In msg nelems": 5, "dtype": "Int"})  # fmt: skip
    cases = {
        "all_reduce": trace(),
        "all_to_all": trace(label, name="ncclKernel_SendRecv_RING"),
        "send_recv": trace(name="ncclKernel_SendRecv_RING"),
        "broadcast": trace(label, inner),
        "other": trace(name="ncclKernel_New"),
    }
    for kind, one in cases.items():
        row = sk.collectives(sk.load_ranks({0: one})).row(0, named=True)
        assert row["type"] == kind
        assert row["bytes"] == (20 if kind == "broadcast" else None)


def test_what_communicates_is_what_breakdown_calls_communication() -> None:
    trace = sk.load([
        kernel(0, 5, 1, NCCL), kernel(10, 7, 2, "all_reduce_2shot"), kernel(20, 9, 3, "gemm"),
        kernel(30, 11, 4, "mine", **{"Collective name": "allreduce"}),
        event("gpu_memcpy", "ncclMemcpy", 50, 3, pid=0, tid=7),
    ])  # fmt: skip
    found = sk.load_ranks({0: trace}).matched
    work = trace.work.filter(is_communication(trace, trace.work))
    assert found["work"].sort().to_list() == work["id"].sort().to_list()
    assert set(work["name"]) == {"mine", NCCL}


def test_a_rank_that_lacks_one_is_counted_and_its_figures_are_null() -> None:
    traces = {r: sk.load([reduce(0, 10, 1)]) for r in range(2)}
    traces[2] = sk.load([kernel(0, 1)])
    row = sk.collectives(sk.load_ranks(traces)).row(0, named=True)
    assert (row["ranks"], row["missing"], row["group_size"]) == (2, 1, 3)
    assert row["transfer_ns"] is row["algorithm_gb_s"] is row["bus_gb_s"] is None
    assert row["skew_ns"] == 0
    del traces[1], traces[2]
    alone = sk.collectives(sk.load_ranks(traces)).row(0, named=True)
    assert (alone["skew_ns"], alone["missing"]) == (None, 0)


def test_groups_are_apart_and_members_alone_are_expected() -> None:
    pair = {"Process Group Name": "1", "Process Group Ranks": "[0, 1]", "Group size": 2}
    traces = {r: sk.load([reduce(0, 10, 1, **pair)]) for r in (0, 1)}
    traces[2] = sk.load([reduce(3, 10, 1, **pair | {"Process Group Ranks": "[2, 3]"})])
    found = sk.collectives(sk.load_ranks(traces)).sort("first_rank")
    assert found.select("ranks", "missing").rows() == [(2, 0), (1, 0)]
    short = {"Process Group Ranks": "[0, 1, ..., 99]", "Group size": 100}
    some = sk.collectives(sk.load_ranks({0: sk.load([reduce(0, 1, 1, **short)]), 5: sk.load([])}))
    assert some.select("group_size", "missing", "transfer_ns").row(0) == (100, 1, None)


def test_of_a_group_of_unknown_members_no_more_are_expected_than_it_has() -> None:
    def trace(group: str | None, size: int | None) -> sk.Trace:
        named = {"Process Group Name": group, "Process Group Ranks": None, "Group size": size}
        return sk.load([kernel(0, 1) if group is None else reduce(0, 10, 1, **named)])

    for size, groups, want in (
        (2, ("tp0", "tp0", "tp1", "tp1"), [(2, 0), (2, 0)]),
        (2, ("tp0", "tp0", "tp1", None), [(1, 1), (2, 0)]),
        (9, ("tp0", "tp0", None), [(2, 1)]),
        (None, ("tp0", None, None), [(1, 2)]),
    ):
        ranks = sk.load_ranks({r: trace(group, size) for r, group in enumerate(groups)})
        found = sk.collectives(ranks).select("ranks", "missing")
        assert sorted(found.rows()) == want


def test_a_send_meets_its_receive() -> None:
    def trace(rank: int, *peers: tuple[str, int]) -> sk.Trace:
        events = []
        for i, (name, peer) in enumerate(peers):
            way = {"Dst Rank" if name == "send" else "Src Rank": peer, "Collective name": name}
            events.append(reduce(10 * i, 5, i + 1, **way))
        return sk.load(events)

    ranks = sk.load_ranks(
        {0: trace(0, ("send", 1), ("send", 2)), 1: trace(1, ("recv", 0)), 2: trace(2, ("recv", 0))}
    )
    found = ranks.matched.group_by("pair").agg(pl.col("rank").sort(), pl.col("match").n_unique())
    assert sorted(found.rows()) == [("0 -> 1", [0, 1], 1), ("0 -> 2", [0, 2], 1)]


def test_ids_of_any_sign_match() -> None:
    big = 2**64 - 5
    traces = {0: sk.load([reduce(0, 1, 1, **{"Comms Id": big})]),
              1: sk.load([reduce(0, 1, 1, **{"Comms Id": -5})])}  # fmt: skip
    assert sk.collectives(sk.load_ranks(traces))["ranks"].to_list() == [2]


def test_a_set_without_collectives_gives_no_rows_of_the_declared_columns() -> None:
    nothing = sk.load_ranks({0: sk.load([]), 1: sk.load([kernel(0, 1)])})
    assert_conforms(sk.collectives(nothing), *COLLECTIVES)
    assert_conforms(sk.collectives(nothing, by="rank"), *COLLECTIVE_RANKS)
    assert sk.collectives(nothing).is_empty()
    with pytest.raises(UnknownKeyError, match="Valid: collective, rank"):
        sk.collectives(nothing, by="type")


def test_a_saved_trace_has_the_same_collectives(tmp_path: Any) -> None:
    loaded = sk.load(document(1, [reduce(0, 10, 1), reduce(20, 10, 2)]))
    loaded.save(tmp_path / "t")
    mine, theirs = (sk.collectives(sk.load_ranks([t])) for t in (tmp_path / "t", loaded))
    assert mine.equals(theirs)


def test_every_figure_of_a_real_pair_against_a_plain_count() -> None:
    ranks = sk.load_ranks([fixture_path("tp2_rank0"), fixture_path("tp2_rank1")])
    found = sk.collectives(ranks)
    assert_conforms(found, *COLLECTIVES)
    assert_conforms(sk.collectives(ranks, by="rank"), *COLLECTIVE_RANKS)
    kernels: list[list[tuple[int, int, int]]] = []
    for rank, offset in enumerate(ranks.clocks["offset_ns"].to_list()):
        with gzip.open(fixture_path(f"tp2_rank{rank}")) as file:
            events = json.loads(file.read(), parse_float=str)["traceEvents"]
        nccl = [e for e in events if e.get("cat") == "kernel" and "nccl" in e["name"]]

        def ns(text: str) -> int:
            whole, _, part = str(text).partition(".")
            return int(whole) * 1000 + int(part.ljust(3, "0"))

        spans = [(ns(e["ts"]) + offset, ns(e["dur"]), 2 * e["args"]["In msg nelems"]) for e in nccl]
        kernels.append(sorted(spans))
    plain = [
        (a[2], abs(a[0] - b[0]), int(b[0] > a[0]), min(a[1], b[1]),
         max(a[0] + a[1], b[0] + b[1]) - min(a[0], b[0]))
        for a, b in zip(*kernels, strict=True)
    ]  # fmt: skip
    mine = found.select("bytes", "skew_ns", "last_rank", "transfer_ns", "dur_ns").rows()
    assert mine == plain
    assert found["bus_gb_s"].to_list() == [pytest.approx(size / t) for size, _, _, t, _ in plain]
