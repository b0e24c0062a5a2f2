"""Fusion chains against a count over tuples of names in plain Python."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import (
    Event,
    call,
    fixture_path,
    fixture_paths,
    kernel,
    memcpy,
    op,
    step,
    trace_path,
    trace_paths,
)
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.measure.fusion import LENGTHS, Fusion
from skiptrace.model import schema

WAIT = re.compile(r"(?i)\w*synchronize$")
LAUNCH = "cudaLaunchKernel"
Chain = tuple[str, ...]


# --- the count in plain Python --------------------------------------------------------------------


@dataclass
class Link:
    """One kernel of a run."""

    name: str
    launch: int
    graph: bool
    call_ns: int
    dur_ns: int
    launch_ns: int
    root: str | None


@dataclass
class Found:
    """A candidate."""

    count: int
    first_count: int
    instances: int = 0
    saved: int = 0
    kernel_ns: int = 0
    launch_ns: int = 0
    host_ns: int = 0
    roots: set[str] = field(default_factory=set)

    def take(self, links: list[Link]) -> None:
        self.instances += 1
        self.saved += max(sum(not link.graph for link in links) - 1, 0)
        self.kernel_ns += sum(link.dur_ns for link in links)
        self.launch_ns += sum(link.launch_ns for link in links)
        self.host_ns += links[-1].call_ns - links[0].call_ns


def runs_of(trace: sk.Trace, across_sync: bool) -> list[list[Link]]:
    """Kernels by device, stream, step and process, cut at waits of the process."""
    launches = {row["id"]: row for row in trace.launches.iter_rows(named=True)}
    names = dict(trace.whole.ops.select("id", "name").iter_rows())
    waits: dict[int, list[int]] = defaultdict(list)
    for row in trace.whole.calls.iter_rows(named=True):
        if WAIT.fullmatch(row["name"]):
            waits[row["pid"]].append(row["start_ns"])
    runs: dict[Any, list[tuple[Any, Link]]] = defaultdict(list)
    for work in trace.work.iter_rows(named=True):
        if work["kind"] != "kernel" or work["launch"] is None:
            continue
        launch = launches[work["launch"]]
        start, pid = launch["start_ns"], launch["pid"]
        cut = 0 if across_sync else sum(1 for wait in waits[pid] if wait <= start)
        step_key = (launch["step"] is None, launch["step"] or "")
        where = (work["device"], work["stream"], step_key, pid, cut)
        link = Link(
            work["name"], launch["id"], launch["kind"] == "graph", start, work["dur_ns"],
            launch["launch_ns"], names.get(launch["root_op"]),
        )  # fmt: skip
        runs[where].append(((start, work["start_ns"], work["id"]), link))
    ordered = [[link for _, link in sorted(runs[key], key=lambda x: x[0])] for key in sorted(runs)]
    seen: set[int] = set()  # what launching a graph took counts once, at its first kernel
    for link in (link for run in ordered for link in run):
        link.launch_ns = 0 if link.launch in seen else link.launch_ns
        seen.add(link.launch)
    return ordered


def windows(run: list[Link], length: int) -> Iterator[tuple[Chain, list[Link]]]:
    names = [link.name for link in run]
    for i in range(len(run) - length + 1):
        yield tuple(names[i : i + length]), run[i : i + length]


def count(
    runs: list[list[Link]], length: int, threshold: float, wanted: Callable[[Chain], bool]
) -> tuple[int, dict[Chain, Found]]:
    """How many different chains there are, and the wanted candidates."""
    first = Counter(link.name for run in runs for link in run)
    shown = Counter(chain for run in runs for chain, _ in windows(run, length))
    found = {
        chain: Found(n, first[chain[0]])
        for chain, n in shown.items()
        if n / first[chain[0]] >= threshold and wanted(chain)
    }
    for run in runs:
        taken_until = 0
        for at, (chain, links) in enumerate(windows(run, length)):
            if chain in found:
                found[chain].roots |= {link.root for link in links if link.root is not None}
                if at >= taken_until:
                    taken_until = at + length
                    found[chain].take(links)
    return len(shown), found


def within(short: Chain, long: Chain) -> bool:
    return any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))


def assert_is_the_count(
    trace: sk.Trace, lengths: tuple[int, ...], threshold: float = 1.0, across_sync: bool = False
) -> Fusion:
    """Every figure of `fusion` is that of the plain count."""
    result = sk.fusion(trace, lengths, threshold, across_sync=across_sync)
    runs = runs_of(trace, across_sync)
    eager = int((trace.launches["kernels"] > 0).sum())
    everything: dict[Chain, Found] = {}
    worth: dict[Chain, Found] = {}
    for length, row in zip(sorted(set(lengths)), result.savings.rows(named=True), strict=True):
        unique, found = count(runs, length, threshold, lambda _: True)
        everything |= found
        repeated = {c for c, f in found.items() if f.count > 1}
        taken = count(runs, length, threshold, repeated.__contains__)[1]
        for chain in [c for c, f in taken.items() if f.instances]:
            worth |= count(runs, length, threshold, [chain].__contains__)[1]
        fused = eager - sum(f.saved for f in found.values())
        assert row == {
            "length": length,
            "unique_chains": unique,
            "candidates": len(found),
            "kernels_eager": eager,
            "kernels_fused": fused,
            "ideal_speedup": eager / fused if any(runs) else None,
        }
    assert as_found(result.candidates) == everything
    assert as_found(result.ranking) == {
        chain: alone
        for chain, alone in worth.items()
        if alone.saved
        and not any(
            len(longer) > len(chain) and f.count == alone.count and within(chain, longer)
            for longer, f in everything.items()
        )
    }
    return result


def as_found(frame: pl.DataFrame) -> dict[Chain, Found]:
    rows = {tuple(row["chain"]): row for row in frame.iter_rows(named=True)}
    assert len(rows) == len(frame)
    return {
        chain: Found(
            r["count"], r["first_count"], r["instances"], r["launches_saved"], r["kernel_ns"],
            r["launch_ns"], r["host_ns"], set(r["root_ops"]),
        )
        for chain, r in rows.items()
    }  # fmt: skip


def assert_invariants(trace: sk.Trace, result: Fusion) -> None:
    """What holds on every trace."""
    for name, frame in (("candidates", result.candidates), ("ranking", result.ranking)):
        declared = pl.Schema({c.name: c.dtype for c in schema.measured.FUSION_CANDIDATES})
        assert frame.schema == declared, name
    assert result.savings.schema == pl.Schema(
        {c.name: c.dtype for c in schema.measured.FUSION_SAVINGS}
    )
    c = result.candidates
    assert c["proximity"].is_between(0, 1, closed="right").all()
    assert (c["proximity"] == c["count"] / c["first_count"]).all()
    assert (c["chain"].list.len() == c["length"]).all()
    assert (c["instances"] <= c["count"]).all()
    assert (c["launches_saved"] <= c["instances"] * (c["length"] - 1)).all()
    assert c.equals(c.sort("length", -pl.col("launches_saved"), maintain_order=True))
    kernels = trace.work.filter(kind="kernel")["launch"].count()
    per = c.group_by("length").agg(
        used=(pl.col("instances") * pl.col("length")).sum(), saved=pl.col("launches_saved").sum()
    )
    assert (per["used"] <= kernels).all()  # no kernel is in two instances
    for length, saved in per.select("length", "saved").rows():
        row = result.savings.filter(length=length).row(0, named=True)
        assert row["kernels_eager"] - row["kernels_fused"] == saved
        assert row["kernels_fused"] >= 1
        assert row["ideal_speedup"] >= 1
    assert result.ranking["host_ns"].is_sorted(descending=True)
    assert (result.ranking["count"] > 1).all()


# --- literal traces -------------------------------------------------------------------------------


def sequence(names: str, apart: int = 10) -> list[Event]:
    """A kernel for each letter, launched `apart` µs after one another; `|` is a wait."""
    events: list[Event] = []
    for i, name in enumerate(names):
        if name == "|":
            events.append(call("cudaDeviceSynchronize", apart * i, 2))
        else:
            events += [
                call(LAUNCH, apart * i, 2, i + 1),
                kernel(apart * i + 5, 3, i + 1, name),
            ]
    return events


def figures(names: str, length: int, **options: Any) -> dict[str, tuple[int, ...]]:
    """Chain -> count, count of its first kernel, instances, launches saved."""
    found = sk.fusion(sk.load(sequence(names)), (length,), **options).candidates
    columns = ("count", "first_count", "instances", "launches_saved")
    return {"".join(r["chain"]): tuple(r[c] for c in columns) for r in found.to_dicts()}


def ranking(names: str, *lengths: int, **options: Any) -> dict[str, tuple[int, ...]]:
    """Chain -> instances, launches saved, host time in ns."""
    found = sk.fusion(sk.load(sequence(names)), lengths, **options).ranking
    columns = ("instances", "launches_saved", "host_ns")
    return {"".join(r["chain"]): tuple(r[c] for c in columns) for r in found.to_dicts()}


def test_candidates_follow_whenever_their_first_kernel_runs_and_overlaps_go_to_the_left() -> None:
    assert figures("abcxabcyabc", 3) == {
        "abc": (3, 3, 1, 2),
        "xab": (1, 1, 1, 2),
        "yab": (1, 1, 1, 2),
    }
    # By launches saved; b is followed by c each time, c by x, y or nothing.
    assert list(figures("abcxabcyabc", 2).items()) == [
        ("bc", (3, 3, 2, 2)),
        ("ab", (3, 3, 1, 1)),
        ("xa", (1, 1, 1, 1)),
        ("ya", (1, 1, 1, 1)),
    ]


def test_windows_overlap_in_the_score_and_not_in_what_is_saved() -> None:
    assert figures("aaaaa", 2) == {}
    assert figures("aaaaa", 2, threshold=0.8) == {"aa": (4, 5, 2, 2)}
    assert figures("aaaaa", 2, threshold=0.81) == {}


def test_savings_are_of_launches() -> None:
    savings = sk.fusion(sk.load(sequence("abcxabcyabc")), (3, 2, 3, 40)).savings
    assert savings.rows() == [
        (2, 6, 4, 11, 6, 11 / 6),
        (3, 7, 3, 11, 5, 11 / 5),
        (40, 0, 0, 11, 11, 1.0),
    ]


def test_the_ranking_has_repeated_chains_in_their_longest_form_as_if_fused_alone() -> None:
    # xab and yab take all but one instance of abc, and occur once: that is not held against it.
    assert ranking("abcxabcyabc", 2, 3) == {"abc": (3, 6, 60_000)}
    # ab also occurs without c: more often than abc, so it is listed apart.
    assert ranking("abcdabcdab", 2, 3) == {"ab": (3, 3, 30_000), "cda": (2, 4, 40_000)}


def test_of_the_rotations_of_a_loop_one_is_ranked() -> None:
    assert set(figures("abcdabcdab", 3)) == {"cda", "dab"}
    assert set(ranking("abcdabcdab", 3)) == {"cda"}


def test_the_ranking_is_by_the_host_time_between_launches() -> None:
    slow = [e | {"ts": e["ts"] + 100 * (e["ts"] >= 30)} for e in sequence("xxcdabcdab")]
    found = sk.fusion(sk.load(slow), (2,)).ranking
    assert ["".join(c) for c in found["chain"]] == ["cd", "ab"]
    assert found["host_ns"].to_list() == [120_000, 20_000]


def test_a_wait_ends_a_chain_unless_told_otherwise() -> None:
    assert figures("ab|cab|c", 2) == {"ab": (2, 2, 2, 2)}
    assert figures("ab|cab|c", 3) == {}
    assert figures("ab|cab|c", 3, across_sync=True) == {"abc": (2, 2, 2, 4)}


def graph(at: int, corr: int, names: str) -> list[Event]:
    kernels = [kernel(at + 5 + i, 1, corr, name) for i, name in enumerate(names)]
    return [call("cudaGraphLaunch", at, 2, corr), *kernels]


def test_kernels_of_a_graph_form_chains_and_save_no_launch() -> None:
    found = sk.fusion(sk.load([*graph(0, 1, "abc"), *graph(50, 2, "abc")]), (3,))
    row = found.candidates.row(0, named=True)
    assert (row["chain"], row["count"], row["launches_saved"]) == (["a", "b", "c"], 2, 0)
    assert row["launch_ns"] == 10_000  # each launch once, not once a kernel
    assert found.savings.row(0) == (3, 3, 1, 2, 2, 1.0)
    assert found.ranking.is_empty()


def test_a_graph_between_other_launches_saves_those_alone() -> None:
    events = [
        *graph(50, 9, "gh"),
        *(e for e in sequence("a     b") if e["ts"] < 10 or e["ts"] >= 60),
    ]
    found = sk.fusion(sk.load(events), (4,))
    assert ["".join(c) for c in found.candidates["chain"]] == ["aghb"]
    assert found.savings.row(0) == (4, 1, 1, 3, 2, 1.5)


def test_root_operators_of_every_occurrence_in_the_order_of_the_chain() -> None:
    events = [
        op("first", 0, 9), op("second", 10, 9), op("other", 30, 9), op("second", 40, 9),
        *sequence("ab ab"),
    ]  # fmt: skip
    found = sk.fusion(sk.load([e for e in events if e["name"] != " "]), (2,)).candidates
    assert found["root_ops"].to_list() == [["first", "other", "second"]]
    bare = sk.fusion(sk.load(sequence("ab")), (2,)).candidates
    assert bare["root_ops"].to_list() == [[]]


def test_a_window_has_the_chains_of_its_own_launches() -> None:
    events = [step(1, 0, 30), step(2, 30, 30), *sequence("abcabc")]
    trace = sk.load(events)
    assert sk.fusion(trace, (3,)).savings.row(0)[1:5] == (1, 1, 6, 2)
    assert sk.fusion(trace.step(2), (3,)).savings.row(0)[1:5] == (1, 1, 3, 1)


@pytest.mark.parametrize(
    "events",
    [[], [op("aten::mm", 0, 5)], [kernel(0, 5)], [call("cudaMemcpy", 0, 5, 1), memcpy(1, 2, 1)]],
    ids=["nothing", "no device", "unlinked", "copy"],
)
def test_without_linked_kernels_there_are_rows_of_zeros(events: list[Event]) -> None:
    found = sk.fusion(sk.load(events), (2, 4))
    assert found.savings.rows() == [(2, 0, 0, 0, 0, None), (4, 0, 0, 0, 0, None)]
    assert found.candidates.is_empty()
    assert found.candidates.schema == pl.Schema(
        {c.name: c.dtype for c in schema.measured.FUSION_CANDIDATES}
    )
    assert found.ranking.schema == found.candidates.schema


@pytest.mark.parametrize("lengths", [(), (1, 2), (0,), (-2,), (2.5,), ("2",), 4, "24", None])
def test_bad_lengths_are_refused(lengths: Any) -> None:
    with pytest.raises(UnknownKeyError, match="chain lengths"):
        sk.fusion(sk.load(sequence("ab")), lengths)


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan"), "1", None])
def test_a_bad_threshold_is_refused(threshold: Any) -> None:
    with pytest.raises(UnknownKeyError, match=r"a number in \(0, 1\]"):
        sk.fusion(sk.load(sequence("ab")), (2,), threshold)


# --- random and real traces -----------------------------------------------------------------------


@st.composite
def host_sequences(draw: st.DrawFn) -> list[Event]:
    """Launches, graphs, copies and waits on several threads, streams, processes and steps."""
    events: list[Event] = []
    now = 0
    for corr in range(1, draw(st.integers(1, 40)) + 1):
        now += draw(st.integers(0, 3))
        thread = {"pid": draw(st.sampled_from([1, 1, 1, 2])), "tid": draw(st.integers(1, 2))}
        where: dict[str, Any] = {
            "stream": draw(st.sampled_from([7, 7, 8])),
            "device": draw(st.sampled_from([0, 0, 1])),
        }
        begin = 200 + now + draw(st.integers(0, 4))
        name = draw(st.sampled_from("aabc"))
        match draw(st.sampled_from(["kernel"] * 6 + ["graph", "copy", "wait", "step", "op"])):
            case "kernel":
                events += [
                    call(LAUNCH, now, 1, corr, **thread),
                    kernel(begin, 2, corr, name, **where),
                ]
            case "graph":
                events.append(call("cudaGraphLaunch", now, 1, corr, **thread))
                events += [kernel(begin + 2 * i, 1, corr, n, **where) for i, n in enumerate("ab")]
            case "copy":
                events += [
                    call("cudaMemcpy", now, 1, corr, **thread),
                    memcpy(begin, 2, corr, **where),
                ]
            case "wait":
                events.append(call("cudaStreamSynchronize", now, 1, **thread))
            case "step":
                events.append(step(corr, now, draw(st.integers(1, 30)), thread["pid"], 9))
            case _:
                events.append(op(f"aten::{name}", now, 4, **thread))
    return events


@given(host_sequences(), st.sampled_from([1.0, 0.5, 0.01]), st.booleans())
def test_random_traces_have_the_figures_of_the_plain_count(
    events: list[Event], threshold: float, across_sync: bool
) -> None:
    trace = sk.load(events)
    result = assert_is_the_count(trace, (2, 3, 5, 8), threshold, across_sync)
    assert_invariants(trace, result)


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda path: path.name.partition(".")[0])
@pytest.mark.parametrize("across_sync", [False, True], ids=["", "across"])
def test_fixtures_have_the_figures_of_the_plain_count(path: Path, across_sync: bool) -> None:
    trace = sk.load(path)
    assert_invariants(trace, assert_is_the_count(trace, (2, 4, 8, 16), across_sync=across_sync))


BERT = {2: (18, 4), 4: (20, 3), 8: (16, 1), 16: (15, 0)}
BERT_ACROSS = {2: (19, 5), 4: (23, 5), 8: (23, 3), 16: (23, 2)}
GPT2 = {2: (38, 20), 4: (39, 17), 8: (31, 10), 16: (25, 8), 32: (25, 2), 256: (13, 2)}
GPT2_ACROSS = {2: (40, 22), 4: (45, 21), 8: (45, 18), 16: (45, 16), 32: (45, 10), 256: (33, 10)}


@pytest.mark.parametrize(
    ("name", "across_sync", "counts"),
    [
        ("encoder", False, BERT),
        ("encoder", True, BERT_ACROSS),
        ("eager_step", False, GPT2),
        ("eager_step", True, GPT2_ACROSS),
    ],
)
def test_counts_of_an_independent_count(
    name: str, across_sync: bool, counts: dict[int, tuple[int, int]]
) -> None:
    savings = sk.fusion(sk.load(fixture_path(name)), across_sync=across_sync).savings
    rows = savings.select("length", "unique_chains", "candidates").rows()
    found = {length: (unique, candidates) for length, unique, candidates in rows}
    assert {length: found[length] for length in counts} == counts


@pytest.mark.parametrize("name", ["public/tl_h100_bert-small", "h100/gpt2_b1_s512_eager"])
def test_the_fixtures_count_like_the_traces_they_were_cut_from(name: str) -> None:
    fixture = {"public/tl_h100_bert-small": "encoder"}.get(name, "eager_step")
    ours, whole = (sk.fusion(sk.load(p)) for p in (fixture_path(fixture), trace_path(name)))
    assert ours.savings.equals(whole.savings)


@pytest.mark.parametrize("path", trace_paths(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_real_trace_saves_no_launch_twice_and_keeps_one(path: Path) -> None:
    trace = sk.load(path)
    for across_sync in (False, True):
        result = sk.fusion(trace, across_sync=across_sync)
        assert result.savings["length"].to_list() == list(LENGTHS)
        assert_invariants(trace, result)
