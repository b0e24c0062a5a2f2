"""Events in memory are the trace of a file that holds them, whatever they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from helpers import Event, call, health, kernel, op, step
from polars.testing import assert_frame_equal

import skiptrace as sk
from skiptrace.errors import ReadError, StepError

EVENTS = [step(1, 0, 9), op("a", 0, 9), call("launch", 1, 1, 1), kernel(4, 1, 1, grid=[1, 1, 1])]
FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps", "health")


def lazily() -> Iterator[Event]:
    yield from EVENTS


@pytest.mark.parametrize(
    "events", [EVENTS, tuple(EVENTS), lazily(), dict(enumerate(EVENTS)).values()],
    ids=["list", "tuple", "generator", "view"],
)  # fmt: skip
def test_any_iterable_is_the_list_of_its_events(events: Iterable[Event]) -> None:
    made, loaded = sk.from_events(events), sk.load(EVENTS)
    for name in FRAMES:
        assert_frame_equal(getattr(made, name), getattr(loaded, name))
    assert made.args("grid").rows() == [(3, [1, 1, 1])]


def test_the_header_is_that_of_a_file() -> None:
    header = {"distributedInfo": {"rank": 3}, "baseTimeNanoseconds": 5, "traceEvents": "not these"}
    trace = sk.from_events(lazily(), header=header)
    assert (trace.meta.rank, trace.meta.base_time_ns, len(trace.ops)) == (3, 5, 1)


def test_parts_and_steps_are_asked_for_as_of_load() -> None:
    trace = sk.from_events(lazily(), steps="a", without=["cuda_runtime"], window=(0, 5000))
    assert trace.steps["name"].to_list() == ["a"]
    assert trace.calls.is_empty()
    assert trace.window == (0, 5000)
    with pytest.raises(StepError):
        sk.from_events(lazily(), steps="none such")


def test_no_events_are_a_trace_and_odd_ones_are_counted() -> None:
    assert sk.from_events(iter(())).ops.is_empty()
    odd: list[Any] = [*EVENTS, 5, None, {"ph": "?"}]
    assert health(sk.from_events(odd))["unknown_phase"] == 3


@pytest.mark.parametrize("given", [{"traceEvents": EVENTS}, "trace.json", b"[]", 5, None], ids=repr)
def test_what_is_no_iterable_of_events_is_told_what_takes_it(given: Any) -> None:
    with pytest.raises(ReadError, match=r"from_events\(\) takes an iterable .*load\(\) takes"):
        sk.from_events(given)


def test_an_error_of_the_iterable_is_the_callers() -> None:
    def broken() -> Iterator[Event]:
        yield EVENTS[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        sk.from_events(broken())
