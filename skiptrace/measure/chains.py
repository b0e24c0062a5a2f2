"""Runs of consecutive kernels as integers: windows of every length get equal numbers if equal.

Prefix doubling: the number of a window of length 2p is the number of the pair of windows of length
p it is made of, so equality is exact (nothing is hashed) and a length costs one sort.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import rows_of
from skiptrace.measure.behaviour import waiting_calls
from skiptrace.measure.keys import Numbered, numbered, step_names, work_names
from skiptrace.model.trace import Trace


@dataclass(frozen=True, eq=False)
class Kernels:
    """The linked kernels of a trace in chain order, one place each."""

    frame: pl.DataFrame
    """``name``, ``dur_ns``, ``launch``, ``kind``, ``call_ns``, ``launch_ns``, ``root_op``."""
    names: Ints
    """Number of the kernel's name."""
    room: Ints
    """Kernels from here to the end of the run that a chain may not leave, itself included."""

    @cached_property
    def counts(self) -> Ints:
        """How many kernels each number is the name of."""
        return np.bincount(self.names)

    @cached_property
    def labels(self) -> pl.Series:
        """The name of each number: a copy, so that what is made of it keeps nothing else alive."""
        first = np.empty(int(self.names.max(initial=-1)) + 1, np.int64)
        first[self.names[::-1]] = np.arange(len(self.names))[::-1]  # the first is written last
        return pl.Series("name", self.frame["name"].gather(first).to_list(), dtype=pl.String)

    @cached_property
    def running(self) -> dict[str, Ints]:
        """Sums over all before each place: launches that are a kernel's, kernel and launch time."""
        frame = self.frame
        # Of a graph's launch once, not once a kernel.
        is_first = rows_of(frame["launch"], frame["launch"]) == np.arange(len(frame))
        values = {
            "launches_saved": (frame["kind"] == "kernel").to_numpy(),
            "kernel_ns": frame["dur_ns"].to_numpy(),
            "launch_ns": frame["launch_ns"].to_numpy() * is_first,
        }
        return {
            name: np.append(np.zeros(1, np.int64), np.cumsum(each, dtype=np.int64))
            for name, each in values.items()
        }


def kernel_runs(trace: Trace, *, across_sync: bool) -> Kernels:
    """Linked kernels in launch order per device, stream and step, cut at calls that wait.

    A call that waits cuts the chains of its own process, whichever thread makes it. Streams of
    the same number in two processes are two streams.
    """
    is_kernel = (trace.work["kind"] == "kernel").to_numpy()
    place = np.flatnonzero(is_kernel & trace.work["launch"].is_not_null().to_numpy())
    row = rows_of(trace.launches["id"], trace.work["launch"])[place]
    ids, start, stream, device = (
        trace.work[c].to_numpy()[place] for c in ("id", "start_ns", "stream", "device")
    )
    call, pid = (trace.launches[c].to_numpy()[row] for c in ("start_ns", "pid"))
    runs = [
        np.zeros(len(row), np.int64) if across_sync else _waits_before(trace, pid, call),
        pid,
        step_names(trace).at(row),
        stream,
        device,
    ]
    order = np.lexsort((ids, start, call, *runs[1:]))
    cut = np.zeros(max(len(order) - 1, 0), np.bool_)
    for run in runs:
        cut |= run[order[1:]] != run[order[:-1]]
    ends = np.append(np.flatnonzero(cut) + 1, len(order))
    room = np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(len(order))
    place, row = place[order], row[order]
    launches = trace.launches.select("kind", "root_op", "launch_ns", call_ns="start_ns")[row]
    frame = trace.work.select("name", "dur_ns", "launch")[place].hstack(launches)
    return Kernels(frame, _dense(_names(trace).at(place)), room.astype(np.int64))


def _names(trace: Trace) -> Numbered:
    """The names of work, of which a lacking one and an empty one are the same."""
    if trace.work["name"].null_count():
        return numbered(trace.work["name"].fill_null(""))
    return work_names(trace if trace.window else trace.whole)


def _waits_before(trace: Trace, pid: Ints, call: Ints) -> Ints:
    """How often each call's process had begun to wait for the device when the call began."""
    count = np.zeros(len(call), np.int64)
    process, start = (waiting_calls(trace)[c].to_numpy() for c in ("pid", "start_ns"))
    for one in np.unique(process):
        here = pid == one
        begun = np.sort(start[process == one])
        count[here] = np.searchsorted(begun, call[here], side="right")
    return count


class Windows:
    """Numbers of all windows of a length, by length, made from those of shorter ones."""

    def __init__(self, kernels: Kernels) -> None:
        self._room = kernels.room
        self._powers: dict[int, Ints] = {1: kernels.names}

    def of(self, length: int) -> Ints:
        """Per place the number of the window that starts there, -1 where the run is too short."""
        power = 1 << (length.bit_length() - 1)
        half = 1
        while half < power:
            if 2 * half not in self._powers:
                self._powers[2 * half] = self._joined(self._powers[half], half, 2 * half)
            half *= 2
        if power == length:
            return self._fitting(self._powers[power], length)
        return self._joined(self._powers[power], length - power, length)

    def _fitting(self, numbers: Ints, length: int) -> Ints:
        return np.where(self._room >= length, numbers, -1)

    def _joined(self, numbers: Ints, offset: int, length: int) -> Ints:
        """Number the pairs (window here, window `offset` on); they cover `length` kernels."""
        fits = np.flatnonzero(self._room >= length)
        pair = numbers[fits] * (int(numbers.max()) + 1) + numbers[fits + offset]
        result = np.full(len(numbers), -1, np.int64)
        result[fits] = _dense(pair)
        return result


def _dense(numbers: Ints) -> Ints:
    """The numbers from 0 on, as many as there are different ones; equal ones stay equal."""
    if len(numbers) and (most := int(numbers.max())) < 4 * len(numbers):
        found = np.zeros(most + 1, np.bool_)
        found[numbers] = True
        return np.asarray((np.cumsum(found) - 1)[numbers], np.int64)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def spaced(places: Ints, length: int) -> Bools:
    """Of sorted places, those taken from the left so that each is `length` past the last taken.

    Following "the first one far enough on" from the first place, by doubling the jump.
    """
    count = len(places)
    jump = np.append(np.searchsorted(places, places + length), count)
    found = np.zeros(1, np.int64)
    while jump[0] < count:
        found = np.append(found, jump[found])
        jump = jump[jump]
    taken = np.zeros(count + 1, np.bool_)
    taken[found] = True
    return taken[:count]
