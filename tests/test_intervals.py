"""Every function of the interval arithmetic against sets of unit cells."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skiptrace import intervals as iv
from skiptrace.intervals import Intervals, Ints

LAST = 20
PAIRS = st.lists(st.tuples(st.integers(-3, LAST), st.integers(-3, LAST)), max_size=12)
TIMES = st.lists(st.integers(-5, LAST + 5), max_size=12)
CELLS = st.sets(st.integers(-3, LAST))
SETS = CELLS.map(lambda cells: iv.union(*columns([(cell, cell + 1) for cell in sorted(cells)])))


def columns(pairs: list[tuple[int, int]]) -> Intervals:
    """Arrays of starts and ends."""
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def cells(starts: Ints, ends: Ints) -> set[int]:
    """The unit cells that half-open intervals cover."""
    return {
        c
        for s, e in zip(starts.tolist(), ends.tolist(), strict=True)
        for c in range(int(s), int(e))
    }


def assert_set(found: Intervals, expected: set[int]) -> None:
    """It covers just these cells, and is sorted, disjoint, not touching, none empty, int64."""
    starts, ends = found
    assert cells(starts, ends) == expected
    assert (starts < ends).all()
    assert (starts[1:] > ends[:-1]).all()
    assert starts.dtype == ends.dtype == np.int64


@given(PAIRS)
def test_union_merges_what_overlaps_or_touches(pairs: list[tuple[int, int]]) -> None:
    starts, ends = columns(pairs)
    assert_set(iv.union(starts, ends), cells(starts, ends))


@given(SETS, SETS, SETS)
def test_merge_is_the_union_of_sets(a: Intervals, b: Intervals, c: Intervals) -> None:
    assert_set(iv.merge(a, b, c), cells(*a) | cells(*b) | cells(*c))


@given(SETS)
def test_total_counts_cells(a: Intervals) -> None:
    assert iv.total(a) == len(cells(*a))


@given(SETS, st.integers(-5, LAST), st.integers(-5, LAST))
def test_clip_and_complement_divide_a_range(a: Intervals, low: int, high: int) -> None:
    inside = set(range(low, high))
    assert_set(iv.clip(a, low, high), cells(*a) & inside)
    if low <= high:
        assert_set(iv.complement(a, low, high), inside - cells(*a))


@given(SETS, SETS)
def test_intersect_and_subtract_divide_a_set(a: Intervals, b: Intervals) -> None:
    assert_set(iv.intersect(a, b), cells(*a) & cells(*b))
    assert_set(iv.subtract(a, b), cells(*a) - cells(*b))


@given(st.lists(st.tuples(st.integers(0, LAST), st.integers(0, 5)), max_size=12))
def test_gaps_lie_between_and_name_what_ends_them(spans: list[tuple[int, int]]) -> None:
    spans = sorted(spans)
    starts, ends = columns([(s, s + d) for s, d in spans])
    gap_starts, gap_ends, after = iv.gaps_between(starts, ends)
    # A zero-length interval is a point that divides the gap it lies in.
    points = sorted({s for s, _ in spans} | set(ends.tolist()))
    covered = cells(starts, ends)
    expected = [(a, b) for a, b in pairwise(points) if a not in covered]
    assert list(zip(gap_starts.tolist(), gap_ends.tolist(), strict=True)) == expected
    firsts = [starts.tolist().index(end) for _, end in expected]
    assert after.tolist() == firsts


@given(SETS, TIMES)
def test_measure_and_contains_look_at_each_time(a: Intervals, times: list[int]) -> None:
    at = np.array(times, np.int64)
    covered = cells(*a)
    assert iv.Measure(a).before(at).tolist() == [len([c for c in covered if c < t]) for t in times]
    assert iv.contains(a, at).tolist() == [t in covered for t in times]


@given(SETS, SETS, TIMES)
def test_a_measure_is_asked_for_what_lies_outside_of_another_set(
    a: Intervals, b: Intervals, times: list[int]
) -> None:
    found = iv.Measure(a).before_outside(b, np.array(times, np.int64))
    outside = cells(*a) - cells(*b)
    assert found.tolist() == [len([c for c in outside if c < t]) for t in times]


@given(SETS, PAIRS)
def test_overlap_measures_each_range(a: Intervals, pairs: list[tuple[int, int]]) -> None:
    lows, highs = columns(pairs)
    expected = [len(cells(*a) & set(range(low, high))) for low, high in pairs]
    assert iv.overlap(a, lows, highs).tolist() == expected


@given(PAIRS, st.sets(st.integers(-2, LAST)))
def test_overlay_cuts_each_interval_at_the_bounds(
    pairs: list[tuple[int, int]], bounds: set[int]
) -> None:
    at = sorted(bounds)
    which, segment, length = iv.overlay(*columns(pairs), np.array(at, np.int64))
    assert (length > 0).all()
    pieces: dict[tuple[int, int], int] = {}
    for i, (low, high) in enumerate(pairs):
        for cell in range(low, high):
            piece = i, len([b for b in at if b <= cell]) - 1
            pieces[piece] = pieces.get(piece, 0) + 1
    found = list(zip(which.tolist(), segment.tolist(), strict=True))
    assert found == sorted(pieces)
    assert dict(zip(found, length.tolist(), strict=True)) == pieces


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(-1, 39), st.integers(-1, 10)), max_size=20),
)
def test_last_above_is_the_last_larger_value_up_to_a_place(
    values: list[int], queries: list[tuple[int, int]]
) -> None:
    queries = [(min(upto, len(values) - 1), threshold) for upto, threshold in queries]
    expected = [
        max((j for j in range(upto + 1) if values[j] > threshold), default=-1)
        for upto, threshold in queries
    ]
    assert iv.last_above(np.array(values, np.int64), *columns(queries)).tolist() == expected


def test_nothing_is_an_interval_set_too() -> None:
    none = np.empty(0, np.int64)
    for found in (iv.union(none, none), iv.merge(), iv.subtract(iv.EMPTY, iv.EMPTY)):
        assert_set(found, set())
    assert iv.total(iv.EMPTY) == 0
    assert iv.last_above(none, none, none).tolist() == []
    assert [len(part) for part in iv.gaps_between(none, none)] == [0, 0, 0]


def test_times_near_the_ends_of_int64_do_not_overflow() -> None:
    big = 2**63 - 1
    a = iv.union(np.array([big - 5, -big]), np.array([big, 5 - big]))
    assert iv.total(a) == 10
    assert iv.contains(a, np.array([big - 1, big, -big, 0])).tolist() == [True, False, True, False]
