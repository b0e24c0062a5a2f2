"""Where a curve crosses a threshold for good."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiptrace.predict.transition import Transition, find_transition


def found(values: list[float | None], parameters: Any = None, threshold: float = 0.5) -> Transition:
    return find_transition(
        "share", parameters or [2**n for n in range(len(values))], values, threshold
    )


@pytest.mark.parametrize(
    ("values", "last", "first"),
    [
        ([0.1, 0.2, 0.7, 0.9], 2, 4),
        ([0.1, 0.6, 0.4, 0.9], 4, 8),  # dips: only the last crossing is for good
        ([0.1, 0.6, None, 0.9], 4, 8),  # nothing to judge counts as below
        ([0.9, 0.1, 0.9, 0.8], 2, 4),
        ([0.1, 0.5], 1, 2),  # at the threshold is past it
        ([None, 0.5], 1, 2),
    ],
)
def test_the_first_parameter_from_which_on_it_stays(
    values: list[float | None], last: int, first: int
) -> None:
    transition = found(values)
    assert (transition.last_cpu_bound, transition.parameter) == (last, first)
    assert f" at {last} to " in transition.reason
    assert f" at {first} and stays" in transition.reason


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.1, 0.2, 0.3], "0.3 at 4"),
        ([0.6, 0.7, 0.4999], "0.4999 at 4"),
        ([1, 1, None], "unknown at 4"),
    ],
)
def test_a_curve_that_never_turns_says_so(values: list[float | None], shown: str) -> None:
    transition = found(values)
    assert (transition.parameter, transition.interpolated) == (None, None)
    assert transition.last_cpu_bound == 4
    assert transition.reason.startswith("never turns")
    assert shown in transition.reason


def test_a_curve_past_the_turn_from_the_start_says_so() -> None:
    transition = found([0.5, 0.6])
    assert (transition.parameter, transition.last_cpu_bound, transition.interpolated) == (None,) * 3
    assert transition.reason == "past the turn from the start: share is 0.5 at 1, at or above 0.5"


def test_a_curve_of_no_points_never_turns() -> None:
    transition = find_transition("share", [], [], 0.5)
    assert (transition.parameter, transition.last_cpu_bound, transition.evidence) == (
        None,
        None,
        (),
    )


def test_every_point_is_evidence() -> None:
    transition = found([0.1, None, 0.7])
    assert transition.evidence == ((1, 0.1), (2, None), (4, 0.7))
    assert transition.threshold == 0.5


def test_large_figures_are_written_out() -> None:
    assert found([9817, 75375.4], threshold=19634).reason == (
        "share rises from 9,817 at 1 to 75,375 at 2 and stays at or above 19,634"
    )


@pytest.mark.parametrize(
    ("parameters", "values", "where"),
    [
        ([1, 4], [0.25, 0.75], 2),  # half way in the log of 1 to 4
        ([8, 16], [0.25, 0.75], 8 * math.sqrt(2)),
        ([10, 1000], [0.4, 0.6], 100),
        ([8, 16], [0.0, 0.5], 16),
        ([0.5, 2.0], [0.25, 0.75], 1),
        ([8, 16], [None, 0.75], None),  # no line from nothing
        ([0, 16], [0.25, 0.75], None),  # no logarithm
        ([-4, 16], [0.25, 0.75], None),
        (["large", "medium"], [0.25, 0.75], None),
    ],
)
def test_the_crossing_is_interpolated_in_the_log_of_the_parameter(
    parameters: list[Any], values: list[float | None], where: float | None
) -> None:
    transition = found(values, parameters)
    assert transition.parameter == parameters[1]
    assert transition.interpolated == (where if where is None else pytest.approx(where))


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=12))
def test_all_from_the_parameter_on_are_past_it_and_the_one_before_is_not(
    values: list[float | None],
) -> None:
    transition = found(values)
    past = [value is not None and value >= 0.5 for value in values]
    if transition.parameter is None:
        assert not past[-1] or all(past)
        return
    first = int(math.log2(transition.parameter))
    assert all(past[first:])
    assert not past[first - 1]
    if transition.interpolated is not None:
        assert (
            transition.parameter / 2 <= transition.interpolated <= transition.parameter * 1.0000001
        )
