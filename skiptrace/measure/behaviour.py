"""Which calls wait, allocate, copy and block, and which threads launch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, merge, union
from skiptrace.lookup import rows_of
from skiptrace.measure.keys import call_names
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Thread, thread_rows
from skiptrace.model.once import once
from skiptrace.model.trace import Trace, Whole


def launching_threads(trace: Trace) -> list[Thread]:
    """(pid, tid) of every thread that launches anywhere in the recording."""
    return _launching(trace.whole)


@once
def _launching(whole: Whole) -> list[Thread]:
    return sorted(thread_rows(*_where(whole.launches)))


@dataclass(frozen=True, eq=False)
class Host:
    """What the launching threads of a recording did, and when."""

    threads: list[Thread]
    calls: dict[Thread, Intervals]
    """When each is in a call."""
    inside: dict[Thread, Intervals]
    """When each is in an operator or a call."""
    waits: pl.DataFrame
    """Calls that return only when work on the device has ended."""
    allocations: pl.DataFrame
    """Calls that allocate or free device or pinned memory."""
    copies: pl.DataFrame
    """Copies that block, by name or because they returned only after their work had ended."""


def host_of(trace: Trace | Whole) -> Host:
    """The behaviour of the launching threads over the whole recording."""
    return _host(trace if isinstance(trace, Whole) else trace.whole)


@once
def _host(whole: Whole) -> Host:
    calls, threads = whole.calls, _launching(whole)
    in_call, in_op = (thread_intervals(f, threads) for f in (calls, whole.ops))
    return Host(
        threads,
        in_call,
        {thread: merge(in_call[thread], in_op[thread]) for thread in threads},
        _waiting(whole),
        calls[np.flatnonzero(call_names(whole).fit(cats.ALLOCATES))],
        _copying_calls(whole),
    )


def waiting_calls(trace: Trace) -> pl.DataFrame:
    """Calls that return only when work on the device has ended."""
    return _waiting(trace.whole)


@once
def _waiting(whole: Whole) -> pl.DataFrame:
    return whole.calls[np.flatnonzero(call_names(whole).fit(cats.WAITS))]


def _copying_calls(whole: Whole) -> pl.DataFrame:
    """Copies that block: by name, or because they returned only after their work had ended."""
    calls, work = whole.calls, whole.work
    names = call_names(whole)
    blocks = names.fit(cats.COPIES) & ~names.fit(cats.COPIES_ASYNC)
    call = rows_of(calls["id"], work["launch"])
    is_copy = (work["kind"] == "memcpy").to_numpy()
    copies, others = (np.zeros(len(calls), np.bool_) for _ in range(2))
    copies[call[is_copy & (call >= 0)]] = True
    others[call[~is_copy & (call >= 0)]] = True
    rows = np.flatnonzero(copies[call] & (call >= 0)) if len(calls) else call[:0]
    start, dur = (work[c].to_numpy()[rows] for c in ("start_ns", "dur_ns"))
    copied = np.full(len(calls), np.iinfo(np.int64).min)
    np.maximum.at(copied, call[rows], start + dur)
    returned = (calls["start_ns"] + calls["dur_ns"]).to_numpy()
    blocks |= copies & ~others & (returned >= copied)
    return calls[np.flatnonzero(blocks)]


def thread_intervals(frame: pl.DataFrame, threads: Iterable[Thread]) -> dict[Thread, Intervals]:
    """The moments in which each thread is inside any row of a frame."""
    start = frame["start_ns"].to_numpy()
    end = start + frame["dur_ns"].to_numpy()
    rows: Mapping[Thread, Ints | slice] = thread_rows(*_where(frame))
    if len(rows) == 1:  # of one thread are all rows, and `union` sorts them
        rows = dict.fromkeys(rows, slice(None))
    return {
        thread: union(start[rows[thread]], end[rows[thread]]) if thread in rows else EMPTY
        for thread in threads
    }


def _where(frame: pl.DataFrame) -> tuple[Ints, Ints, Ints]:
    pid, tid, start = (frame[c].to_numpy() for c in ("pid", "tid", "start_ns"))
    return pid, tid, start
