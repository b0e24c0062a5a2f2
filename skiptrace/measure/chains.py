"""Runs of consecutive kernels as integers: windows of every length get equal numbers if equal.

Prefix doubling: the number of a window of length 2p is the number of the pair of windows of length
p it is made of, so equality is exact (nothing is hashed) and a length costs one sort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.measure.behaviour import waiting_calls
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


def kernel_runs(trace: Trace, *, across_sync: bool) -> Kernels:
    """Linked kernels in launch order per device, stream and step, cut at calls that wait.

    A call that waits cuts the chains of its own process, whichever thread makes it. Streams of
    the same number in two processes are two streams.
    """
    launches = trace.launches.select(
        "pid", "kind", "step", "root_op", "launch_ns", launch="id", call_ns="start_ns"
    )
    waits = waiting_calls(trace).select("pid", wait_ns="start_ns").sort("wait_ns")
    waits = waits.with_columns(cut=pl.int_range(1, pl.len() + 1).over("pid"))
    frame = (
        trace.work.filter(pl.col("kind") == "kernel")
        .select("id", "name", "start_ns", "dur_ns", "device", "stream", "launch")
        .join(launches, on="launch")
        .sort("call_ns", "start_ns", "id")
        .join_asof(waits, left_on="call_ns", right_on="wait_ns", by="pid", check_sortedness=False)
        .with_columns(cut=pl.lit(0) if across_sync else pl.col("cut").fill_null(0))
        .sort("device", "stream", "step", "pid", "call_ns", "start_ns", "id", nulls_last=True)
    )
    run = (
        frame.select(pl.struct("device", "stream", "step", "pid", "cut").rle_id())
        .to_series()
        .to_numpy()
    )
    ends = np.searchsorted(run, run, side="right")
    return Kernels(
        frame,
        frame["name"].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1,
        (ends - np.arange(len(run))).astype(np.int64),
    )


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
        pair = numbers[fits] * (len(numbers) + 1) + numbers[fits + offset]
        result = np.full(len(numbers), -1, np.int64)
        result[fits] = np.unique(pair, return_inverse=True)[1]
        return result


def spaced(places: Ints, length: int) -> Bools:
    """Of sorted places, those taken from the left so that each is `length` past the last taken.

    Following "the first one far enough on" from the first place, by doubling the jump.
    """
    count = len(places)
    jump = np.append(np.searchsorted(places, places + length), count)
    taken = np.zeros(count + 1, np.bool_)
    taken[0] = True
    while jump[0] < count:
        taken[jump[np.flatnonzero(taken)]] = True
        jump = jump[jump]
    return taken[:count]
