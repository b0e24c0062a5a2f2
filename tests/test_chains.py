"""Windows of kernels as numbers, and greedy instances, against tuples and a plain loop."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from helpers import Event, call, kernel, memcpy, step
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.measure.chains import Kernels, Windows, kernel_runs, spaced

LAUNCH = "cudaLaunchKernel"


def of_runs(runs: list[list[int]]) -> Kernels:
    """Kernels whose names are numbers, in the given runs."""
    room = [left for run in runs for left in range(len(run), 0, -1)]
    names = [name for run in runs for name in run]
    return Kernels(pl.DataFrame(), np.array(names, np.int64), np.array(room, np.int64))


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=4),
    st.permutations(range(1, 20)),
)
def test_windows_have_equal_numbers_exactly_where_their_tuples_are_equal(
    runs: list[list[int]], lengths: list[int]
) -> None:
    windows = Windows(of_runs(runs))
    for length in lengths:
        tuples = [
            tuple(run[i : i + length]) if i + length <= len(run) else None
            for run in runs
            for i in range(len(run))
        ]
        numbers = windows.of(length).tolist()
        assert [n >= 0 for n in numbers] == [t is not None for t in tuples]
        pairs = {(n, t) for n, t in zip(numbers, tuples, strict=True) if t is not None}
        assert len(pairs) == len({n for n, _ in pairs}) == len({t for _, t in pairs})


def test_a_length_beyond_every_run_has_no_window() -> None:
    assert Windows(of_runs([[0, 1], [0]])).of(10**6).tolist() == [-1, -1, -1]


@given(st.sets(st.integers(0, 60)), st.integers(1, 9))
def test_spaced_takes_from_the_left_what_a_loop_takes(places: set[int], length: int) -> None:
    ordered = sorted(places)
    taken: list[int] = []
    for place in ordered:
        if not taken or place >= taken[-1] + length:
            taken.append(place)
    found = spaced(np.array(ordered, np.int64), length)
    assert [p for p, t in zip(ordered, found.tolist(), strict=True) if t] == taken
    assert all(b - a >= length for a, b in combinations(taken, 2))


# --- runs -----------------------------------------------------------------------------------------


def runs_of(events: list[Event], *, across_sync: bool = False) -> list[str]:
    """The names of each run's kernels, a letter each."""
    kernels = kernel_runs(sk.load(events), across_sync=across_sync)
    names, room = kernels.frame["name"].to_list(), kernels.room.tolist()
    ends = [i + 1 for i, left in enumerate(room) if left == 1]
    return ["".join(names[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


def launched(
    name: str, at: int, corr: int, *, runs_at: int | None = None, **more: int
) -> list[Event]:
    where = {k: more.pop(k) for k in ("device", "stream") if k in more}
    begin = 1000 + at if runs_at is None else runs_at
    return [call(LAUNCH, at, 1, corr, **more), kernel(begin, 1, corr, name, **where)]


def test_order_is_that_of_launches_and_then_of_starts() -> None:
    late = launched("a", 10, 1, runs_at=900)
    graph = [
        call("cudaGraphLaunch", 20, 1, 2),
        kernel(700, 1, 2, "c"),
        kernel(600, 1, 2, "b"),
    ]
    assert runs_of([*graph, *late]) == ["abc"]


def test_copies_fills_and_unlinked_kernels_are_in_no_run_and_break_none() -> None:
    copy = [call("cudaMemcpy", 20, 5, 9), memcpy(21, 1, 9)]
    events = [*launched("a", 10, 1), *copy, kernel(1015, 1, None, "lost"), *launched("b", 30, 2)]
    assert runs_of(events) == ["ab"]


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("cudaDeviceSynchronize", True),
        ("hipStreamSynchronize", True),
        ("cuEventSynchronize", True),
        ("zeEventHostSynchronize", True),
        ("cudaStreamWaitEvent", False),  # a stream waits, not the host
        ("cudaMemcpy", False),
        ("cudaMalloc", False),
        ("cudaEventQuery", False),
    ],
)
def test_a_call_that_waits_cuts_and_no_other(name: str, cuts: bool) -> None:
    events = [*launched("a", 10, 1), call(name, 20, 5), *launched("b", 30, 2)]
    assert runs_of(events) == (["a", "b"] if cuts else ["ab"])
    assert runs_of(events, across_sync=True) == ["ab"]


def test_a_wait_cuts_every_stream_and_thread_of_its_process_and_no_other_process() -> None:
    events = [
        *launched("a", 10, 1, stream=7),
        *launched("b", 11, 2, stream=8, tid=2),
        *launched("c", 12, 3, stream=9, pid=5),
        call("cudaDeviceSynchronize", 20, 5, tid=3),
        *launched("d", 30, 4, stream=7),
        *launched("e", 31, 5, stream=8, tid=2),
        *launched("f", 32, 6, stream=9, pid=5),
    ]
    assert runs_of(events) == ["a", "d", "b", "e", "cf"]


def test_streams_of_one_number_in_two_processes_are_two() -> None:
    events = [
        *launched("a", 10, 1),
        *launched("b", 11, 2, pid=5),
        *launched("c", 12, 3),
        *launched("d", 13, 4, pid=5),
    ]
    assert runs_of(events) == ["ac", "bd"]


def test_runs_end_with_their_device_stream_and_step() -> None:
    events = [
        step(1, 0, 50),
        step(2, 50, 50),
        *launched("a", 10, 1),
        *launched("b", 20, 2, stream=8),
        *launched("c", 30, 3, device=1),
        *launched("d", 40, 4),
        *launched("e", 60, 5),
        *launched("f", 200, 6),  # in no step
    ]
    assert runs_of(events) == ["ad", "e", "f", "b", "c"]


def test_a_window_is_cut_by_its_own_waits_alone_and_keeps_its_launches() -> None:
    events = [
        *launched("a", 10, 1),
        call("cudaDeviceSynchronize", 20, 5),
        *launched("b", 30, 2),
        *launched("c", 40, 3),
    ]
    window = sk.load(events).between(25_000, 45_000)
    assert kernel_runs(window, across_sync=False).room.tolist() == [2, 1]
