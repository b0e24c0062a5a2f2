"""`step_time`: each step's wall time by priority, after the TensorBoard plugin of PyTorch."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, merge, overlap, union
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import numbered
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.categories import DATALOADER, STEP_NAME
from skiptrace.model.kernel_classes import Classes, is_communication
from skiptrace.model.schema.breakdowns import STEP_TIME
from skiptrace.model.schema.column import conform
from skiptrace.model.steps import is_one_step
from skiptrace.model.trace import Trace

HOST_COLLECTIVES = r"^(?:nccl|gloo):"
"""Operators and annotations of the host that are communication."""


@over_ranks
def step_time(trace: Trace, *, classes: Classes | None = None) -> pl.DataFrame:
    """Wall time of each step by what went on, each moment in the first that holds.

    The order is kernel, memcpy, memset, communication, runtime, dataloader, cpu, other.

    Parameters
    ----------
    trace
        A trace or a window of one, of which each step is a whole one.
    classes
        As in `breakdown`: what is ``communication``.

    Returns
    -------
    polars.DataFrame
        A row a step, columns as listed under "step_time" in the docs; the eight categories sum to
        ``wall_ns``.

    Raises
    ------
    RulesError
        `classes` is no mapping of names to regular expressions.

    References
    ----------
    ``overall_parser.py`` and ``event_parser.py`` of PyTorch's TensorBoard plugin
    (pytorch/kineto, ``tb_plugin``).
    """
    warn_of_doubts(trace, "step_time")
    steps = step_extents(trace)
    low = steps["start_ns"].to_numpy()
    high = low + steps["wall_ns"].to_numpy()
    taken, before = EMPTY, np.zeros(len(steps), np.int64)
    parts = {}
    for name, moments in _roles(trace, classes).items():
        taken = merge(taken, moments)
        covered = overlap(taken, low, high)
        parts[f"{name}_ns"] = covered - before
        before = covered
    parts["other_ns"] = high - low - before
    return conform(steps.with_columns(pl.Series(n, v) for n, v in parts.items()), STEP_TIME)


def step_extents(trace: Trace) -> pl.DataFrame:
    """``step``, ``start_ns`` and ``wall_ns`` of the trace's steps.

    A step lasts until its last work has ended, and begins no earlier than the one before ended.
    """
    whole = trace.whole
    steps = whole.steps.sort("start_ns", maintain_order=True)
    end = (steps["start_ns"] + steps["dur_ns"]).to_numpy()
    work_end = whole.work["start_ns"] + whole.work["dur_ns"]
    if is_one_step(steps):
        end = np.maximum(end, work_end.to_numpy().max(initial=end[0]))
    else:
        row = rows_of(whole.launches["id"], whole.work["launch"])
        step = link_to_row(whole.launches["step"], row)
        last = (
            pl.DataFrame({"step": step, "end": work_end}).group_by("step").agg(pl.col("end").max())
        )
        reach = steps.join(last, left_on="name", right_on="step", how="left",
                           maintain_order="left")["end"]  # fmt: skip
        end = np.maximum(end, reach.fill_null(np.iinfo(np.int64).min).to_numpy())
    start = steps["start_ns"].to_numpy()
    reached = np.maximum.accumulate(end)
    start = np.maximum(start, np.append(start[:1], reached[:-1]))
    found = steps.select(
        step="name", start_ns=pl.Series(start), wall_ns=pl.Series(np.maximum(end - start, 0))
    )
    return trace.steps.select(step="name").join(found, on="step", how="left", maintain_order="left")


def _roles(trace: Trace, classes: Classes | None) -> dict[str, Intervals]:
    """Category -> its moments, over the whole recording."""
    whole = trace.whole
    work = whole.work
    communicates = pl.Series(is_communication(trace, work, classes))
    kind = work["kind"]
    labels = whole.annotations.filter(~pl.col("name").str.contains(STEP_NAME))
    columns = ("name", "start_ns", "dur_ns")
    host = pl.concat([f.select(columns) for f in (whole.ops, labels)])
    names = numbered(host["name"])
    collective, loads = (names.fit(pattern) for pattern in (HOST_COLLECTIVES, DATALOADER))
    return {
        "kernel": _moments(work.filter((kind == "kernel") & ~communicates)),
        "memcpy": _moments(work.filter(kind == "memcpy")),
        "memset": _moments(work.filter(kind == "memset")),
        "communication": merge(_moments(work.filter(communicates)),
                               _moments(host.filter(collective))),
        "runtime": _moments(whole.calls),
        "dataloader": _moments(host.filter(loads)),
        "cpu": merge(_moments(host), _moments(whole.python)),
    }  # fmt: skip


def _moments(frame: pl.DataFrame) -> Intervals:
    start: Ints = frame["start_ns"].to_numpy()
    return union(start, start + frame["dur_ns"].to_numpy())
