"""`breakdown`: what each device did, as compute, communication, copies and idle time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, overlap
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import check_key
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.summary import device_busy, own_work
from skiptrace.model.kernel_classes import Classes, is_communication
from skiptrace.model.rounding import share_of
from skiptrace.model.schema.breakdowns import BREAKDOWN
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace

COMPUTE, COMMUNICATION, COPY = range(3)


@over_ranks
def breakdown(trace: Trace, by: str = "step", *, classes: Classes | None = None) -> pl.DataFrame:
    """Device time as compute, communication (overlapped and exposed), copies and idle time.

    A row covers the span from the start of its first work on a device to the end of its last, and
    each moment of that is in exactly one of six parts, so that they sum to it.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``step``: a row a step and device, in time order; ``trace``: a row a device, its step
        named ``all``.
    classes
        Rules class -> regular expression for names of kernels; those of the class
        ``communication`` count as such. By default `skiptrace.model.kernel_classes.CLASSES`.

    Returns
    -------
    polars.DataFrame
        Columns as listed under "breakdown" in the docs; times in ns. Steps and devices without
        work have no row; nor has work that belongs to no step, which is ``other_ns`` where it ran
        in the span of one.

    Raises
    ------
    UnknownKeyError
        `by` is neither ``step`` nor ``trace``.
    RulesError
        `classes` is no mapping of names to regular expressions.
    """
    check_key("by", by, ("step", "trace"))
    warn_of_doubts(trace, "breakdown")
    work = own_work(trace).with_columns(role=pl.Series(_roles(trace, trace.work, classes)))
    if by == "trace":
        work = work.with_columns(step=pl.lit(ALL))
        steps = pl.DataFrame({"step": [ALL]})
    else:
        steps = trace.steps.select(step="name")
    groups = (
        work.select("step", "device")
        .unique()
        .join(steps.with_row_index("place"), on="step")
        .sort("place", "device")
        .with_row_index("group")
    )
    if groups.is_empty():
        return empty(BREAKDOWN)
    work = work.join(groups.select("step", "device", "group"), on=["step", "device"])
    pieces = cut(*(work[c].to_numpy() for c in ("group", "role", "start_ns", "dur_ns")))
    frame = groups.with_columns(_amounts(trace, groups["device"].to_numpy(), pieces))
    return conform(_derived(frame), BREAKDOWN)


def _roles(trace: Trace, work: pl.DataFrame, classes: Classes | None) -> Ints:
    kernel = (work["kind"] == "kernel").to_numpy()
    communication = is_communication(trace, work, classes)
    return np.where(communication, COMMUNICATION, np.where(kernel, COMPUTE, COPY))


class Pieces(NamedTuple):
    """The span of each group, cut wherever one of its works starts or ends."""

    group: Ints
    start: Ints
    end: Ints
    roles: Ints
    """Sum of 2 ** role over the roles that run."""


def cut(group: Ints, role: Ints, start: Ints, dur: Ints) -> Pieces:
    """Cut the span of each group at every start and end of its works. Cost: two sorts of them."""
    times = np.concatenate((start, start + dur))
    groups, roles = np.tile(group, 2), np.tile(role, 2)
    change = np.repeat((1, -1), len(start))
    order = np.lexsort((times, groups))
    times, groups, roles, change = times[order], groups[order], roles[order], change[order]
    running = np.zeros(len(times), np.int64)
    for one in (COMPUTE, COMMUNICATION, COPY):
        # What a group begins it also ends, so sums need not begin anew.
        running += (np.cumsum(np.where(roles == one, change, 0)) > 0).astype(np.int64) << one
    piece = np.flatnonzero((groups[1:] == groups[:-1]) & (times[1:] > times[:-1]))
    return Pieces(groups[piece], times[piece], times[piece + 1], running[piece])


def _amounts(trace: Trace, device: Ints, pieces: Pieces) -> list[pl.Series]:
    length = pieces.end - pieces.start

    def amount(where: Ints) -> Ints:
        total = np.zeros(len(device), np.int64)
        np.add.at(total, pieces.group[where], length[where])
        return total

    roles = pieces.roles
    compute, communicates, copies = ((roles >> one) & 1 for one in range(3))
    nothing = np.flatnonzero(roles == 0)
    others = np.zeros(len(device), np.int64)
    for one in np.unique(device).tolist():
        here = nothing[device[pieces.group[nothing]] == one]
        busy = overlap(device_busy(trace, one), pieces.start[here], pieces.end[here])
        np.add.at(others, pieces.group[here], busy)
    parts = {
        "compute_only_ns": amount(np.flatnonzero((compute == 1) & (communicates == 0))),
        "overlap_ns": amount(np.flatnonzero((compute == 1) & (communicates == 1))),
        "exposed_ns": amount(np.flatnonzero((compute == 0) & (communicates == 1))),
        "copy_only_ns": amount(np.flatnonzero(roles == 1 << COPY)),
        "other_ns": others,
        "idle_ns": amount(nothing) - others,
        "copy_ns": amount(np.flatnonzero(copies)),
    }
    return [pl.Series(name, values) for name, values in parts.items()]


def _derived(frame: pl.DataFrame) -> pl.DataFrame:
    frame = frame.with_columns(
        span_ns=pl.sum_horizontal(c.name for c in BREAKDOWN[3:9]),
        compute_ns=pl.col("compute_only_ns") + pl.col("overlap_ns"),
        communication_ns=pl.col("overlap_ns") + pl.col("exposed_ns"),
    )
    return frame.with_columns(
        overlap_share=share_of(pl.col("overlap_ns"), pl.col("communication_ns")),
        idle_share=share_of(pl.col("idle_ns"), pl.col("span_ns")),
    )
