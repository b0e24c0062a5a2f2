"""`launch_floor`: what a launch costs when nothing is in its way, from a null-kernel trace."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from skiptrace.errors import FloorError
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.model.rounding import median_of, quantile_of
from skiptrace.model.trace import Trace
from skiptrace.thresholds import MIN_IDLE_LAUNCHES


@dataclass(frozen=True)
class LaunchFloor:
    """Launch latency and kernel duration of a trace's undisturbed kernel launches, in ns."""

    median_ns: int
    p5_ns: int
    p95_ns: int
    kernel_median_ns: int
    kernel_p5_ns: int
    kernel_p95_ns: int
    launches: int
    """How many launches these figures rest on."""
    source: str
    """``idle``: launches that found the device idle; ``all``: too few of those, so every one."""


def launch_floor(trace: Trace) -> LaunchFloor:
    """Measure the floor from launches that found the whole device idle.

    Meant for a trace of an empty kernel launched with a synchronisation after each; on any other
    trace it tells the same of that trace's kernel launches. The result goes into ``floor=`` of
    every verb.

    Parameters
    ----------
    trace
        A trace or a window of one.

    Returns
    -------
    LaunchFloor
        Median (half to even), 5th and 95th percentile (nearest rank) of ``t_l`` and of the
        duration of the first kernels.

    Raises
    ------
    FloorError
        The trace has no kernel launch.

    References
    ----------
    The null-kernel experiment of arXiv 2504.11750.
    """
    warn_of_doubts(trace, "launch_floor")
    launches = trace.launches.filter(pl.col("kind") == "kernel")
    if launches.is_empty():
        raise FloorError.no_launches(trace.meta.source)
    idle = launches.filter("found_idle")
    source = "idle" if len(idle) >= MIN_IDLE_LAUNCHES else "all"
    used = idle if source == "idle" else launches
    latency = used["tklqt_ns"].to_numpy()
    duration = used.join(
        trace.work.select("dur_ns", first_work="id"), on="first_work", suffix="_work"
    )["dur_ns_work"].to_numpy()
    return LaunchFloor(
        median_of(latency),
        quantile_of(latency, 5),
        quantile_of(latency, 95),
        median_of(duration),
        quantile_of(duration, 5),
        quantile_of(duration, 95),
        len(used),
        source,
    )
