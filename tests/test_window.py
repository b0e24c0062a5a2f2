"""The index behind windows: the rows it finds are those that reading the frame would find."""

from __future__ import annotations

import pickle
from typing import Any

import helpers
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.model.window import Sorted

VALUES = st.lists(st.integers(-9, 9) | st.none(), max_size=12)


def frame(values: list[int | None], cut: int = 0) -> pl.DataFrame:
    """A frame of two chunks, cut there."""
    whole = pl.DataFrame(
        {"row": range(len(values)), "value": values}, {"row": pl.Int64, "value": pl.Int64}
    )
    return pl.concat([whole[:cut], whole[cut:]], rechunk=False)


@given(VALUES, st.integers(0, 12), st.integers(-10, 10), st.integers(-10, 10))
def test_between_is_a_half_open_filter_in_the_order_of_the_frame(
    values: list[int | None], cut: int, low: int, high: int
) -> None:
    found = Sorted(frame(values, cut), "value").between(low, max(low, high))
    expected = [(i, v) for i, v in enumerate(values) if v is not None and low <= v < high]
    assert found.rows() == expected


@given(VALUES, st.integers(0, 12), st.sets(st.integers(-10, 10)))
def test_equal_to_is_a_membership_filter_in_the_order_of_the_frame(
    values: list[int | None], cut: int, wanted: set[int]
) -> None:
    found = Sorted(frame(values, cut), "value").equal_to(np.array([*wanted], np.int64))
    assert found.rows() == [(i, v) for i, v in enumerate(values) if v in wanted]


EVENTS = [
    helpers.step(1, 0, 10), helpers.step(2, 10, 10),
    helpers.call("launch", 12, 1, 2), helpers.call("launch", 2, 1, 1),  # as calls are: unordered
    helpers.kernel(30, 1, 2), helpers.kernel(20, 1, 1), helpers.op("a", 1, 5),
]  # fmt: skip


def test_windows_of_a_recording_share_one_index() -> None:
    trace = sk.load(EVENTS)
    step = trace.step(1)
    assert trace._index is trace.whole.index
    assert step.whole.index is trace.whole.index
    assert step._index is not trace.whole.index  # it would find what lies outside the step


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_pickled_trace_is_its_frames_whether_or_not_windows_were_taken(used: bool) -> None:
    trace = sk.load(EVENTS)
    if used:
        trace.step(2).between(0, 9), trace.in_steps()
    assert pickle.dumps(trace) == pickle.dumps(sk.load(EVENTS))
    again: Any = pickle.loads(pickle.dumps(trace))
    assert again.work.equals(trace.work)
    assert again.step(2).work["id"].to_list() == [4]
    assert again._index is again.whole.index
