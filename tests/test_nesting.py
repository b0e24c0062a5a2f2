"""Which interval encloses a moment: ties, no length, bad nesting; against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import Event, call, fixture_path, health, kernel, op
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.intervals import Ints
from skiptrace.model.nesting import Nest

Span = tuple[int, int, int, int]
"""Process, thread, start, duration."""
SPANS = st.lists(
    st.tuples(
        st.integers(1, 2), st.sampled_from([-7, 0, 1]), st.integers(0, 12), st.integers(0, 8)
    ),
    max_size=25,
)


def innermost(spans: list[Span], where: tuple[int, int], time: int, before: int) -> int | None:
    """The rule in words: ordered by start, the longer first, then as in the file: the last open."""
    order = sorted(range(len(spans)), key=lambda i: (spans[i][2], -spans[i][3], i))
    limit = order.index(before) if before >= 0 else len(order)
    inside = [
        i
        for i in order[:limit]
        if spans[i][:2] == where and spans[i][2] <= time < spans[i][2] + spans[i][3]
    ]
    return inside[-1] if inside else None


def load_ops(spans: list[Span], *more: Event) -> sk.Trace:
    return sk.load([op(f"o{i}", s, d, t, p) for i, (p, t, s, d) in enumerate(spans)] + list(more))


@given(SPANS)
def test_parent_depth_and_root_equal_a_plain_search(spans: list[Span]) -> None:
    ops = load_ops(spans).ops
    parent = [innermost(spans, s[:2], s[2], i) for i, s in enumerate(spans)]
    chains = [[i] for i in range(len(spans))]
    for chain in chains:
        while (above := parent[chain[-1]]) is not None:
            chain.append(above)
    assert ops["id"].to_list() == list(range(len(spans)))
    assert ops["parent"].to_list() == parent
    assert ops["depth"].to_list() == [len(chain) - 1 for chain in chains]
    assert ops["root"].to_list() == [chain[-1] for chain in chains]


@given(SPANS, st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 22))))
def test_a_calls_op_equals_a_plain_search(
    spans: list[Span], at: list[tuple[int, int, int]]
) -> None:
    calls = [call("c", time, 1, tid=tid, pid=pid) for pid, tid, time in at]
    found = load_ops(spans, *calls).calls["op"].to_list()
    assert found == [innermost(spans, (pid, tid), time, -1) for pid, tid, time in at]


@given(SPANS)
def test_a_threads_timeline_changes_only_where_the_innermost_does(spans: list[Span]) -> None:
    nest = Nest(load_ops(spans).ops)
    bounds, rows = nest.timeline(1, 0)
    for bound, row in zip(bounds.tolist(), rows.tolist(), strict=True):
        expected = innermost(spans, (1, 0), bound // 1000, -1)
        assert row == (-1 if expected is None else expected)
    assert len(nest.timeline(9, 9)[0]) == 0


@given(SPANS, st.integers(-1, 20), st.integers(0, 9))
def test_part_of_a_timeline_is_as_the_whole_between_its_moments(
    spans: list[Span], since: int, length: int
) -> None:
    nest = Nest(load_ops(spans).ops)
    low, high = 1000 * since, 1000 * (since + length)

    def between(bounds: Ints, rows: Ints) -> tuple[list[int], list[int]]:
        inside = (bounds > low) & (bounds < high)
        at_low = np.append(rows, -1)[np.searchsorted(bounds, low, side="right") - 1]
        return bounds[inside].tolist(), [int(at_low), *rows[inside].tolist()]

    assert between(*nest.timeline(1, 0, (low, high))) == between(*nest.timeline(1, 0))


NESTS: dict[str, tuple[list[Event], list[int | None], int]] = {
    "of equal starts the longer is the parent": ([op("a", 0, 5), op("b", 0, 9)], [1, None], 0),
    "of twins the first in the file is the parent": ([op("a", 0, 5), op("b", 0, 5)], [None, 0], 0),
    "equal ends nest": ([op("a", 0, 9), op("b", 4, 5)], [None, 0], 0),
    "touching ones do not nest": ([op("a", 0, 5), op("b", 5, 5)], [None, None], 0),
    "zero length encloses nothing": ([op("a", 3, 0), op("b", 3, 0)], [None, None], 0),
    "zero length has a parent": ([op("a", 3, 0), op("b", 3, 2)], [1, None], 0),
    "zero length at the end is outside": ([op("a", 0, 3), op("b", 3, 0)], [None, None], 0),
    "one that ends late keeps its parent": ([op("a", 0, 5), op("b", 3, 9)], [None, 0], 1),
    "after a late one its children are its own": (
        [op("a", 0, 5), op("b", 3, 9), op("c", 6, 1)], [None, 0, 1], 1,
    ),
    "back in the outer one after an inner one": (
        [op("a", 0, 9), op("b", 1, 2), op("c", 5, 1)], [None, 0, 0], 0,
    ),
    "threads do not nest in each other": ([op("a", 0, 9), op("b", 1, 2, tid=2)], [None, None], 0),
    "processes do not nest in each other": ([op("a", 0, 9), op("b", 1, 2, pid=2)], [None, None], 0),
    "hashed and negative threads are threads": (
        [op("a", 0, 9, tid=-(2**62)), op("b", 1, 2, tid=2**62), op("c", 1, 1, tid=-(2**62))],
        [None, None, 0], 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "parents", "crossing"), NESTS.values(), ids=NESTS)
def test_the_rule(events: list[Event], parents: list[int | None], crossing: int) -> None:
    trace = sk.load(events)
    assert trace.ops["parent"].to_list() == parents
    assert health(trace).get("badly_nested_op", 0) == crossing


def test_a_launch_belongs_to_the_op_around_its_start_even_if_it_ends_later() -> None:
    events = [op("root", 0, 20), op("a", 2, 3), call("launch", 4, 9, 1), call("launch", 5, 1, 2)]
    trace = sk.load([*events, kernel(8, 1, 1), kernel(9, 1, 2)])
    assert trace.launches.select("op", "root_op").rows() == [(1, 0), (0, 0)]


def test_ten_thousand_levels_need_no_recursion() -> None:
    count = 10_000
    ops = sk.load([op("a", i, 2 * (count - i)) for i in range(count)]).ops
    assert ops["depth"].to_list() == list(range(count))
    assert ops["root"].unique().to_list() == [0]


def test_autograd_threads_of_a_real_step_have_roots_of_their_own() -> None:
    ops = sk.load(fixture_path("training_step")).ops
    assert ops["tid"].n_unique() > 1
    roots = ops.join(ops.select(root="id", at="tid"), on="root")
    assert (roots["tid"] == roots["at"]).all()
