"""What launching threads do at each moment, against a look at every nanosecond in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers import Event, event, kernel
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.measure.activity import HOST, thread_activities

LAST = 24
THREADS = [(1, 1), (1, 2), (1, 3), (2, 1)]
NAMES = {
    "sync": ("cuda_runtime", "cudaDeviceSynchronize"),
    "alloc": ("cuda_runtime", "cudaMalloc"),
    "copy": ("cuda_runtime", "cudaMemcpy"),
    "dataloader": ("user_annotation", "enumerate(DataLoader)"),
    "operator": ("cpu_op", "aten::mm"),
    "call": ("cuda_runtime", "cudaStreamIsCapturing"),
    "launch": ("cuda_runtime", "cudaLaunchKernel"),
}

Span = tuple[str, int, int, int]
"""What, on which of `THREADS` (overhead: on none), from and to, in nanoseconds."""
SPANS = st.tuples(
    st.sampled_from([*NAMES, "profiler"]),
    st.integers(0, 3),
    st.integers(0, LAST),
    st.integers(0, 8),
).map(lambda s: (s[0], s[1], s[2], s[2] + s[3]))
RANGES = st.lists(st.tuples(st.integers(-2, LAST), st.integers(-2, LAST + 9)), max_size=6)


def events_of(spans: list[Span]) -> list[Event]:
    """The spans as events; each launch has its work, far behind."""
    events = []
    for number, (what, which, low, high) in enumerate(spans, 1):
        pid, tid = THREADS[which]
        if what == "profiler":
            events.append(event("overhead", "Buffer Flush", low / 1000, (high - low) / 1000, -1, 0))
            continue
        cat, name = NAMES[what]
        made = event(cat, name, low / 1000, (high - low) / 1000, pid, tid)
        if what == "launch":
            made["args"] = {"correlation": number}
            events.append(kernel(100 + number, 0.5, number))
        events.append(made)
    return events


def activity(spans: list[Span], thread: int, at: int) -> str:
    """DESIGN's rule for one nanosecond of a thread."""

    def first_that_holds(which: int) -> str:
        mine = [s for s in spans if s[1] == which and s[0] != "profiler"]
        calls = [s for s in mine if NAMES[s[0]][0] == "cuda_runtime"]
        now = {what for what, _, low, high in mine if low <= at < high}
        disturbs = any(
            low <= at < high and any(max(low, c[2]) < min(high, c[3]) for c in calls)
            for what, _, low, high in spans
            if what == "profiler"
        )
        now |= {"profiler"} if disturbs else set()
        now |= {"operator"} if "call" in now else set()
        return next((name for name in HOST if name in now), "python")

    own = first_that_holds(thread)
    if own != "python":
        return own
    launching = {s[1] for s in spans if s[0] == "launch"}
    found = {
        first_that_holds(other)
        for other in launching
        if THREADS[other][0] == THREADS[thread][0]
        and any(
            s[1] == other and s[0] not in ("profiler", "dataloader") and s[2] <= at < s[3]
            for s in spans
        )
    }
    return next((name for name in HOST if name in found), "python")


@given(st.lists(SPANS, max_size=14), RANGES)
def test_each_nanosecond_is_in_the_first_activity_that_holds(
    spans: list[Span], ranges: list[tuple[int, int]]
) -> None:
    trace = sk.load(events_of(spans))
    found = thread_activities(trace)
    launching = {s[1] for s in spans if s[0] == "launch"}
    assert set(found) == {THREADS[which] for which in launching}
    lows, highs = np.array(ranges, np.int64).reshape(-1, 2).T
    for which in launching:
        moments = {at: activity(spans, which, at) for at in range(-2, LAST + 9)}
        amounts = found[THREADS[which]].amounts(lows, highs)
        for row, (low, high) in enumerate(ranges):
            inside = [moments[at] for at in range(low, high)]
            expected = {name: inside.count(name) for name in (*HOST, "python")}
            assert {name: int(ns[row]) for name, ns in amounts.items()} == expected
        sets: dict[str, Any] = found[THREADS[which]].sets
        for name, (starts, ends) in sets.items():
            cells = {
                c for s, e in zip(starts.tolist(), ends.tolist(), strict=True) for c in range(s, e)
            }
            assert cells == {at for at, what in moments.items() if what == name}
