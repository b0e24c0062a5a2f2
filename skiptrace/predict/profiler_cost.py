"""What the profiler itself adds to the host's time, per recorded event: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.model.nesting import Thread, thread_rows
from skiptrace.model.trace import Trace, Whole
from skiptrace.predict.replay import Model


class Cost(NamedTuple):
    """Nanoseconds of host time that recording adds: the likely, and its range."""

    low: int
    likely: int
    high: int


class ProfilerCost(NamedTuple):
    """What each recorded event costs; fitted by ``examples/fit_profiler_cost.py``.

    From small loops timed with and without the profiler, in turns, on one pinned core of a Xeon
    host (PyTorch 2.11, CUDA 13): another host differs, and can be fitted by the same script.
    """

    op: Cost = Cost(720, 910, 980)
    """An operator."""
    call: Cost = Cost(0, 650, 2400)
    """A call of the runtime or driver API."""
    shapes: Cost = Cost(370, 480, 490)
    """More for an operator whose shapes are recorded."""
    memory: Cost = Cost(0, 60, 120)
    """More for an operator where allocations are recorded."""
    frame: Cost = Cost(60, 80, 120)
    """A Python frame."""


DEFAULT = ProfilerCost()


def per_point(trace: Trace, model: Model, cost: ProfilerCost = DEFAULT) -> dict[str, Ints]:
    """Host time that the profiler added before each point: ``low``, ``likely`` and ``high``.

    Half of what an event costs falls to its start, half to its end. Found once a recording.
    """
    kept = trace.whole.kept
    if (per_point, cost) not in kept:
        kept[per_point, cost] = _per_point(trace.whole, trace.meta.options, model, cost)
    found: dict[str, Ints] = kept[per_point, cost]
    return found


def _per_point(
    whole: Whole, options: Mapping[str, bool], model: Model, cost: ProfilerCost
) -> dict[str, Ints]:
    op = [cost.op]
    op += [cost.shapes] if options.get("record_shapes") or options.get("with_flops") else []
    op += [cost.memory] if options.get("profile_memory") else []
    recorded = [(whole.ops, op), (whole.calls, [cost.call]), (whole.python, [cost.frame])]
    frames = [(*_edges(frame), costs) for frame, costs in recorded]
    found = {name: np.zeros(len(model.delta), np.int64) for name in Cost._fields}
    for number, thread in enumerate(model.threads):
        part = slice(int(model.first_point[number]), int(model.first_point[number + 1]))
        for rows, start, end, costs in frames:
            mine = rows.get(thread, np.empty(0, np.int64))
            edges = np.concatenate((start[mine], end[mine]))
            count = np.bincount(
                np.searchsorted(model.time[part], edges), minlength=part.stop - part.start + 1
            )[:-1]
            for name, into in found.items():
                into[part] += count * sum(getattr(one, name) for one in costs) // 2
    return found


def _edges(frame: pl.DataFrame) -> tuple[dict[Thread, Ints], Ints, Ints]:
    """The rows of each thread, and when each row starts and ends."""
    pid, tid, start, dur = (frame[c].to_numpy() for c in ("pid", "tid", "start_ns", "dur_ns"))
    return thread_rows(pid, tid, start), start, start + dur
