"""Begin and end events are matched per thread as on a stack; what has no partner is counted."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from helpers import Event, call, health, kernel, op
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.read.pairs import match_pairs


def begin(name: str, ts: Any, tid: int = 1, pid: int = 1, cat: str = "cpu_op") -> Event:
    return {"ph": "B", "cat": cat, "name": name, "ts": ts, "pid": pid, "tid": tid}


def end(ts: Any, tid: int = 1, pid: int = 1) -> Event:
    return {"ph": "E", "ts": ts, "pid": pid, "tid": tid}


def by_stack(events: list[tuple[int, int, bool]]) -> tuple[dict[int, int], int]:
    """Begin -> its end or -1, and the stray ends, of events (thread, time, begins)."""
    stacks: dict[int, list[int]] = defaultdict(list)
    matched, stray = {}, 0
    for i in sorted(range(len(events)), key=lambda i: (events[i][1], i)):
        thread, _, begins = events[i]
        if begins:
            stacks[thread].append(i)
            matched[i] = -1
        elif stacks[thread]:
            matched[stacks[thread].pop()] = i
        else:
            stray += 1
    return matched, stray


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.booleans()), max_size=40))
def test_matching_equals_a_stack_per_thread(events: list[tuple[int, int, bool]]) -> None:
    threads, times, begins = (np.array([e[i] for e in events]) for i in range(3))
    first, last, stray = match_pairs(
        threads.astype(np.int64), times.astype(np.int64), begins.astype(np.bool_)
    )
    assert (dict(zip(first.tolist(), last.tolist(), strict=True)), stray) == by_stack(events)


def spans(trace: sk.Trace) -> list[tuple[Any, ...]]:
    return trace.ops.select("id", "name", "start_ns", "dur_ns").rows()


def test_pairs_become_complete_events_that_nest_and_link() -> None:
    events = [
        begin("outer", 0),
        begin("inner", 2),
        call("cudaLaunchKernel", 3, 1, 5),
        end(6),
        end(9),
    ]
    trace = sk.load([*events, kernel(5, 1, 5)])
    assert spans(trace) == [(0, "outer", 0, 9000), (1, "inner", 2000, 4000)]
    assert trace.launches.select("op", "root_op").rows() == [(1, 0)]
    assert "unclosed_begin" not in health(trace)


def test_interleaved_threads_and_processes_are_matched_each_alone() -> None:
    events = [begin("a", 0), begin("b", 1, tid=2), begin("c", 2, pid=2), end(3), end(5, tid=2)]
    trace = sk.load([*events, end(8, pid=2)])
    assert spans(trace) == [(0, "a", 0, 3000), (1, "b", 1000, 4000), (2, "c", 2000, 6000)]


def test_order_is_by_time_not_by_place_and_equal_times_by_place() -> None:
    assert spans(sk.load([end(9), begin("a", 1)])) == [(1, "a", 1000, 8000)]
    events = [begin("a", 1), end(4), begin("b", 4), end(6)]
    assert spans(sk.load(events)) == [(0, "a", 1000, 3000), (2, "b", 4000, 2000)]


def test_a_begin_that_never_ends_lasts_to_the_end_of_the_trace() -> None:
    trace = sk.load([begin("lost", 1), begin("a", 2), end(3), op("x", 5, 7)])
    # The stack gives the only end to the innermost.
    assert spans(trace) == [(0, "lost", 1000, 11000), (1, "a", 2000, 1000), (3, "x", 5000, 7000)]
    assert health(trace)["unclosed_begin"] == 1
    assert trace.health.filter(kind="unclosed_begin")["example"].item() == 0


def test_an_end_that_nothing_began_is_left_out_and_counted() -> None:
    trace = sk.load([end(1), begin("a", 2), end(3), end(4), end(5, tid=9)])
    assert spans(trace) == [(1, "a", 2000, 1000)]
    assert health(trace)["stray_end"] == 3
    assert trace.health.filter(kind="stray_end")["example"].item() == 0


def test_a_pair_may_carry_its_fields_on_its_end() -> None:
    launch = begin("cudaLaunchKernel", 1, cat="cuda_runtime")
    trace = sk.load([launch, end(3) | {"args": {"correlation": 4}}, kernel(5, 1, 4)])
    assert trace.work["launch"].to_list() == [0]
