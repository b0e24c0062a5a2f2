"""Ranks as one set: where a rank comes from, clocks, and verbs over all of them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from agreement import assert_conforms
from cluster import document, rank_events, reduce, three
from helpers import call, fixture_path, kernel, op, trace_path
from hypothesis import given, settings
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import RanksError, UnknownKeyError
from skiptrace.model.schema import FRAMES
from skiptrace.model.schema.several import CLOCKS


def write(path: Path, rank: int | None, **header: Any) -> Path:
    path.write_text(json.dumps(document(rank, rank_events(20, 60), **header)))
    return path


def test_a_folder_gives_its_traces_by_the_rank_of_their_header(tmp_path: Path) -> None:
    write(tmp_path / "a_rank5.json", 1)
    write(tmp_path / "b.pt.trace.json", 0)
    (tmp_path / "notes.txt").write_text("no trace")
    sk.load(write(tmp_path / "c.tmp", 2)).save(tmp_path / "saved")
    ranks = sk.load_ranks(tmp_path)
    assert list(ranks.traces) == [0, 1, 2]
    assert ranks[1].meta.source.endswith("a_rank5.json")
    assert len(ranks) == 3
    assert "2: <Trace" in repr(ranks)


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("rank3.json", 3),
        ("ddp_Rank-12.pt.json", 12),
        ("rank1_rank_07.json", 7),
        ("a rank 4.json", 4),
    ],
)
def test_without_a_header_the_last_rank_in_the_name_counts(
    tmp_path: Path, name: str, rank: int
) -> None:
    assert list(sk.load_ranks([write(tmp_path / name, None)]).traces) == [rank]


def test_a_mapping_gives_the_ranks_itself_and_takes_traces(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", 7)
    mapping: dict[int, Path | sk.Trace] = {4: path, 2: sk.load(path)}
    ranks = sk.load_ranks(mapping)
    assert list(ranks.traces) == [2, 4]


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    one, same = write(tmp_path / "a.json", 1), write(tmp_path / "b.json", 1)
    unknown = write(tmp_path / "c.json", None)
    other = write(tmp_path / "d.json", 2, world_size=8)
    for given_, text in (
        ([one, same], r"rank 1 has several traces: .*a\.json, .*b\.json"),
        ([unknown], r"c\.json: which rank"),
        ([one, other], "rank 1: 3, rank 2: 8"),
        ([], "at least one trace"),
        ({}, "at least one trace"),
        (tmp_path / "missing", "no folder"),
        ({-1: one}, "whole number"),
    ):
        with pytest.raises(RanksError, match=text):
            sk.load_ranks(given_)
    with pytest.raises(UnknownKeyError, match="unknown rank 9"):
        sk.load_ranks([one])[9]


FRAME_VERBS = {
    "summary": sk.summary, "tklqt": sk.tklqt, "idle_gaps": sk.idle_gaps,
    "idle_causes": sk.idle_causes, "boundedness": sk.boundedness, "top_kernels": sk.top_kernels,
    "advise": sk.advise, "breakdown": sk.breakdown, "kernels": sk.kernels, "ops": sk.ops,
    "step_time": sk.step_time, "sm_efficiency": sk.sm_efficiency, "efficiency": sk.efficiency,
    "launch_outliers": sk.launch_outliers,
}  # fmt: skip


@pytest.mark.parametrize("name", FRAME_VERBS)
def test_a_verb_of_a_set_is_the_verb_of_each_with_its_rank(name: str) -> None:
    ranks = sk.load_ranks([fixture_path("tp2_rank0"), fixture_path("tp2_rank1")])
    verb = FRAME_VERBS[name]
    found = verb(ranks)
    assert found.columns[0] == "rank"
    for rank, trace in ranks.traces.items():
        mine = found.filter(pl.col("rank") == rank).drop("rank")
        assert mine.equals(verb(trace))
    assert len(found) == sum(len(verb(trace)) for trace in ranks.traces.values())


def test_arguments_reach_the_verb_and_a_result_without_rows_is_an_error() -> None:
    ranks = three()
    assert sk.summary(ranks, by="trace")["rank"].to_list() == [0, 1, 2]
    assert ranks.map(sk.summary, "trace").equals(sk.summary(ranks, by="trace"))
    with pytest.raises(RanksError, match="launch_floor returns a LaunchFloor"):
        ranks.map(sk.launch_floor)  # type: ignore[arg-type]


def test_a_column_rank_of_the_verb_gives_way() -> None:
    found = three().map(lambda trace: pl.DataFrame({"n": [len(trace.work)], "rank": ["mine"]}))
    assert found.rows() == [(0, 2), (1, 2), (2, 2)]


# --- clocks -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 6)), min_size=2, max_size=7))
def test_ranks_are_aligned_from_the_one_that_shares_most(of_rank: list[set[int]]) -> None:
    ranks = sk.load_ranks({
        r: sk.load([reduce(100 * k, 50, k + 1, Seq=k) for k in sorted(held)])
        for r, held in enumerate(of_rank)
    })  # fmt: skip
    want: dict[int, tuple[int, int | None]] = {0: (0, None)}
    while len(want) < len(of_rank):
        pairs = [(a, b) for a in range(len(of_rank)) if a not in want for b in sorted(want)]
        a, b = max(pairs, key=lambda p: len(of_rank[p[0]] & of_rank[p[1]]))
        if not of_rank[a] & of_rank[b]:
            break
        want[a] = (len(of_rank[a] & of_rank[b]), b)
    found = ranks.clocks.select("collectives", "reference").rows()
    assert found == [want.get(r, (0, None)) for r in range(len(of_rank))]


def test_clocks_are_aligned_on_the_ends_and_traces_are_left_alone() -> None:
    shifted = three((0, 1000, -500))
    assert shifted.clocks["offset_ns"].to_list() == [0, -1_000_000, 500_000]
    assert shifted.clocks["source"].to_list() == ["none", "collectives", "collectives"]
    assert shifted[1].work["start_ns"].to_list() == [1_004_000, 1_030_000]
    for by in ("collective", "rank"):
        drop = ["start_ns"] if by == "rank" else []
        mine, plain = (sk.collectives(r, by).drop(drop) for r in (shifted, three()))
        assert mine.equals(plain)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-500, 500), min_size=1, max_size=40), st.integers(-(10**6), 10**6))
def test_the_offset_is_the_median_difference_of_ends_and_its_spread_is_reported(
    jitter: list[int], shift: int
) -> None:
    def trace(rank: int, late: list[int]) -> sk.Trace:
        ends = [100 * i + 50 + x / 1000 for i, x in enumerate(late)]
        return sk.load([reduce(end - 20, 20, i + 1) for i, end in enumerate(ends)])

    moved = [x + 1000 * shift for x in jitter]
    ranks = sk.load_ranks({0: trace(0, [0] * len(jitter)), 1: trace(1, moved)})
    row = ranks.clocks.row(1, named=True)
    apart = sorted(-x for x in moved)
    assert row["collectives"] == len(jitter)
    assert abs(row["offset_ns"] - statistics.median(apart)) <= 0.5
    nearest = [apart[-(-len(apart) * share // 100) - 1] for share in (5, 95)]
    assert row["spread_ns"] == nearest[1] - nearest[0]
    assert_conforms(ranks.clocks, *CLOCKS)


def test_a_rank_without_a_shared_collective_is_aligned_by_way_of_another() -> None:
    def of(pairs: list[tuple[str, float]]) -> sk.Trace:
        events = []
        for i, (group, end) in enumerate(pairs):
            named = {"Process Group Name": group, "Process Group Ranks": None}
            events.append(reduce(end - 5, 5, i + 1, **named))
        return sk.load(events)

    ranks = sk.load_ranks({0: of([("a", 10)]), 1: of([("b", 120), ("a", 110)]), 2: of([("b", 20)])})
    assert ranks.clocks.select("offset_ns", "reference").rows() == [
        (0, None), (-100_000, 0), (0, 1),
    ]  # fmt: skip


def test_without_collectives_the_headers_unix_time_counts_if_both_have_one() -> None:
    def trace(base: int | None) -> sk.Trace:
        header = {} if base is None else {"baseTimeNanoseconds": base}
        return sk.load({"traceEvents": [kernel(0, 1)], **header})

    ranks = sk.load_ranks({0: trace(1000), 1: trace(1700), 2: trace(None)})
    assert ranks.clocks.select("offset_ns", "spread_ns", "source").rows() == [
        (0, None, "none"), (700, None, "unix time"), (0, None, "none"),
    ]  # fmt: skip
    assert ranks.matched.is_empty()


def test_sequence_numbers_match_recordings_that_begin_apart() -> None:
    def trace(first: int, at: float) -> sk.Trace:
        return sk.load([reduce(at + 100 * i, 10, i + 1, Seq=first + i) for i in range(3)])

    ranks = sk.load_ranks({0: trace(7, 0), 1: trace(8, 100)})
    found = sk.collectives(ranks)
    assert found["ranks"].to_list() == [1, 2, 2, 1]
    assert found["missing"].to_list() == [1, 0, 0, 1]
    assert ranks.clocks["offset_ns"].to_list() == [0, 0]


def test_without_numbers_they_are_counted_in_each_step() -> None:
    def trace(steps: list[int]) -> sk.Trace:
        events = []
        for n in steps:
            at = 1000 * n
            events += [
                {"ph": "X", "cat": "user_annotation", "name": f"ProfilerStep#{n}", "pid": 1,
                 "tid": 1, "ts": at, "dur": 900},
                op("o", at + 1, 10), call("launch", at + 2, 1, n), reduce(at + 20, 10, n),
            ]  # fmt: skip
        return sk.load(events)

    found = sk.collectives(sk.load_ranks({0: trace([1, 2, 3]), 1: trace([2, 3, 4])}))
    assert found.select("step", "ranks").rows() == [
        ("ProfilerStep#1", 1), ("ProfilerStep#2", 2), ("ProfilerStep#3", 2), ("ProfilerStep#4", 1),
    ]  # fmt: skip


def test_the_real_ranks_are_aligned_within_their_collectives() -> None:
    for name, count in (("ddp2", 26), ("tp2", 32)):
        ranks = sk.load_ranks([trace_path(f"h100/{name}_rank{rank}") for rank in (0, 1)])
        assert ranks.clocks["collectives"].to_list() == [0, count]
        assert ranks.clocks["spread_ns"][1] < 100_000
        assert ranks.map(lambda trace: trace.steps.select("name"))["rank"].n_unique() == 2


def test_every_frame_is_declared() -> None:
    for name in ("collectives", "collective_ranks", "clocks", "stragglers"):
        assert name in FRAMES
