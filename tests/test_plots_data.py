"""What charts are drawn from, against plain counting: bins and bars add up to what they show."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from helpers import fixture_path
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.intervals import union
from skiptrace.model.schema.column import ACTIVITIES, PATH_KINDS
from skiptrace.show.plots import palette
from skiptrace.show.plots.bars import BARS, STEPS, split_steps, top
from skiptrace.show.plots.bins import Lane, binned, disjoint, edges_of, runs, weighted
from skiptrace.show.plots.changes import waterfall, whatif_rows
from skiptrace.show.plots.chart import plain, unit_for
from skiptrace.show.plots.curves import sweep_rows
from skiptrace.show.plots.depth import cells, depth_bins

SPANS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 25)), max_size=12)


def moments(spans: list[tuple[int, int]]) -> set[int]:
    return {t for start, dur in spans for t in range(start, start + dur)}


def as_set(spans: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    start, dur = (np.array([s[i] for s in spans], np.int64) for i in (0, 1))
    return union(start, start + dur)


@given(st.integers(-5, 60), st.integers(1, 80), st.integers(1, 40))
def test_edges_are_whole_ascend_and_reach_from_end_to_end(low: int, length: int, bins: int) -> None:
    edges = edges_of(low, low + length, bins).tolist()
    assert (edges[0], edges[-1]) == (low, low + length)
    lengths = [b - a for a, b in pairwise(edges)]
    assert len(lengths) == min(bins, length)
    assert max(lengths) - min(lengths) <= 1


def test_edges_of_a_long_time_do_not_overflow() -> None:
    high = 2**62
    assert edges_of(0, high, 300)[-1] == high
    assert (np.diff(edges_of(0, high, 300)) > 0).all()


@given(SPANS, SPANS, SPANS, st.integers(0, 30), st.integers(40, 120), st.integers(1, 9))
def test_bins_hold_what_each_moment_does(
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    alone: list[tuple[int, int]],
    low: int,
    high: int,
    bins: int,
) -> None:
    lanes = [
        Lane("both", disjoint({"a": as_set(first), "b": as_set(second)})),
        Lane("alone", {"c": as_set(alone)}),
    ]
    frame = binned(lanes, low, high, bins)
    edges = edges_of(low, high, bins).tolist()
    truth = [
        (0, "a", moments(first)),
        (0, "b", moments(second) - moments(first)),
        (1, "c", moments(alone)),
    ]
    wanted = {
        (lane, what, a, b): len(when & set(range(a, b)))
        for lane, what, when in truth
        for a, b in pairwise(edges)
    }
    found = {
        tuple(r[:4]): r[4] for r in frame.select("lane", "what", "start_ns", "end_ns", "ns").rows()
    }
    assert found == {key: ns for key, ns in wanted.items() if ns}
    for lane, what, a, below in frame.select("lane", "what", "start_ns", "below").rows():
        under = [ns for (n, w, s, _), ns in wanted.items() if (n, s) == (lane, a) and w < what]
        assert below == sum(under)


STEPPED = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), max_size=12)


@given(STEPPED, st.integers(-10, 20), st.integers(21, 90), st.integers(1, 9))
def test_a_value_in_bins_is_its_sum_and_maximum_over_their_moments(
    steps: list[tuple[int, int]], low: int, high: int, bins: int
) -> None:
    # As queue_depth has it: each step lasts to the next, and the last has no length and no value.
    at = np.cumsum([0, *(dur for dur, _ in steps)])
    dur = np.array([*(dur for dur, _ in steps), 0])
    value = np.array([*(value for _, value in steps), 0])
    edges = edges_of(low, high, bins)
    every = {t: v for a, d, v in zip(at, dur, value, strict=True) for t in range(a, a + d)}
    sums, most = weighted(at, dur, value, edges)
    inside = [[every.get(t, 0) for t in range(a, b)] for a, b in pairwise(edges)]
    assert sums.tolist() == [sum(values) for values in inside]
    assert most.tolist() == [max(values) for values in inside]


@given(st.integers(0, 500), st.integers(1, 60))
def test_groups_of_neighbours_are_few_and_in_order(count: int, most: int) -> None:
    groups = runs(count, most).tolist()
    assert groups == sorted(groups)
    assert len(groups) == count
    assert len(set(groups)) <= most
    assert set(groups) == set(range(len(set(groups))))


@pytest.mark.parametrize("count", [0, 1, BARS, BARS + 1, 100])
def test_bars_add_up_to_the_frame(count: int) -> None:
    frame = pl.DataFrame({"op": [f"op {i}" for i in range(count)], "ns": list(range(count, 0, -1))},
                         schema={"op": pl.String, "ns": pl.Int64})  # fmt: skip
    found = top(frame, "op", ["ns"])
    assert found["ns"].sum() == frame["ns"].sum()
    assert len(found) == min(count, BARS + 1)
    if count > BARS:
        assert found["name"][-1] == f"({count - BARS} others)"


def test_names_that_are_cut_to_the_same_are_bars_of_their_own() -> None:
    names = [f"{'template<' * 9}{middle}{'>' * 80}" for middle in "abc"]
    found = top(pl.DataFrame({"op": names, "ns": [3, 2, 1]}), "op", ["ns"])
    assert found["name"].n_unique() == 3
    assert found["ns"].to_list() == [3, 2, 1]


@pytest.mark.parametrize("count", [1, STEPS, STEPS + 1, 1000])
def test_steps_taken_together_add_up(count: int) -> None:
    sums = pl.DataFrame(
        {
            "step": [*(f"s{i}" for i in range(count - 1)), None],
            "launches": range(count),
            "launch_ns": range(count),
            "queue_ns": range(0, 2 * count, 2),
        }
    )
    found = split_steps(sums)
    assert len(found) <= STEPS
    assert found["steps"].sum() == count
    for column in ("launches", "launch_ns", "queue_ns"):
        assert found[column].sum() == sums[column].sum()
    assert found["name"][-1].endswith("(in no step)")
    assert found["name"].n_unique() == len(found)


def test_the_depth_in_bins_is_the_queues() -> None:
    queue = sk.queue_depth(sk.load(fixture_path("streams")))
    bins = depth_bins(queue.frame, queue.streams, 40)
    assert bins["lane"].n_unique() == len(queue.streams)
    for row in queue.streams.iter_rows(named=True):
        lane = bins.filter(pl.col("lane") == f"device {row['device']}, stream {row['stream']}")
        assert len(lane) == 40
        frame = queue.frame.filter(device=row["device"], stream=row["stream"])
        assert lane["launch_ns"].sum() == (frame["dur_ns"] * frame["depth"]).sum()
        assert lane["max"].max() == row["max_depth"]


def test_the_bars_of_a_waterfall_meet_and_end_at_the_latency_after() -> None:
    before, after = (sk.load(fixture_path(name)) for name in ("eager_step", "graph_step"))
    found = sk.diff(before, after)
    bars = waterfall(int(found.steps["il_ns"][0]), found.split)
    assert bars["start_ns"][0] == found.steps["il_ns"][0]
    assert bars["end_ns"][-1] == found.steps["il_ns"][1]
    assert bars["start_ns"][1:-1].to_list() == bars["end_ns"][:-2].to_list()
    assert bars["change_ns"].sum() == found.change_ns
    assert bars["name"].n_unique() == len(bars)


def test_cells_of_a_heat_map_add_up_and_are_few() -> None:
    rows = pl.DataFrame(
        {
            "rank": [rank for rank in range(3) for _ in range(500)],
            "collective": [n for _ in range(3) for n in range(500)],
            "ns": range(1500),
        }
    )
    found = cells(rows, "collective")
    assert found["ns"].sum() == rows["ns"].sum()
    assert found["name"].n_unique() <= 60
    assert found.filter(rank=0)["joined"].sum() == 500
    assert found["name"][0] == "0 to 8"


def test_the_points_of_a_sweep_are_its_rows() -> None:
    trace = sk.load(fixture_path("eager_step"))
    numbers, words = sk.sweep({1: trace, 2: trace}), sk.sweep({"a": trace, "b": trace})
    rows = sweep_rows({"one": numbers, "two": numbers}, "tklqt_per_launch_ns")
    assert rows["x"].to_list() == [1.0, 2.0, 1.0, 2.0]
    assert rows["value"].to_list() == 2 * numbers.frame["tklqt_per_launch_ns"].to_list()
    assert sweep_rows({"one": numbers, "two": words}, "il_ns")["x"].to_list() == [
        "1",
        "2",
        "a",
        "b",
    ]


def test_predictions_are_ordered_by_what_they_bring() -> None:
    trace = sk.load(fixture_path("eager_step"))
    named = {"host": sk.whatif(trace, host=0.5), "graph": sk.whatif(trace, cuda_graph=True)}
    rows = whatif_rows(named)
    assert rows["name"].to_list() == ["graph", "host"]
    assert rows["latency_ns"].to_list() == [
        named[n].frame["latency_ns"][0] for n in ("graph", "host")
    ]
    with pytest.raises(sk.errors.UnknownKeyError, match="what-if of 'a'"):
        whatif_rows({"a": 1})  # type: ignore[dict-item]


def test_everything_that_time_goes_to_has_a_colour_of_its_own() -> None:
    kinds = {palette.ALIKE.get(kind, kind) for kind in PATH_KINDS}
    assert set(ACTIVITIES) | kinds <= set(palette.TIME)
    shown = [palette.TIME[name] for name in {*ACTIVITIES, *kinds}]
    assert len(set(shown)) == len(shown)


# What eyes without one kind of cone see, in linear RGB: Machado, Oliveira and Fernandes, 2009.
SEEN = {
    "all cones": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour: str, seen: Any) -> np.ndarray:
    """CIE L*a*b* of a colour as such eyes see it."""
    code = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(np.array(seen) @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("colours", [palette.TIME, palette.SIDES], ids=["time", "sides"])
def test_colours_stay_apart_for_all_eyes(eyes: str, colours: dict[str, str]) -> None:
    seen = [lab(colour, SEEN[eyes]) for colour in set(colours.values())]
    # 2.3 is the least difference that is noticed.
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 10


@pytest.mark.parametrize(
    ("ns", "unit"), [(0, "ns"), (1_999, "ns"), (2_000, "µs"), (5_000_000, "ms"), (9 * 10**9, "s"),
                     (None, "ns")],
)  # fmt: skip
def test_the_unit_suits_the_time(ns: int | None, unit: str) -> None:
    assert unit_for(ns).name == unit


def test_a_name_cannot_end_the_script_that_it_stands_in() -> None:
    name = "</script><!--<script>alert('\"')"
    shown = plain(name)
    assert "</" not in shown
    assert "<!" not in shown
    assert shown.replace("\u2060", "") == name
    assert plain("std::less<int> a < b") == "std::less<int> a < b"
    assert plain(None) == "(none)"
